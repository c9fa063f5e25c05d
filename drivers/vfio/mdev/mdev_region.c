// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_DEVICE_GET_REGION_INFO. There are two sorts of kernels and two of parent
 * drivers:
 *
 *			VFIO asks for one region	VFIO passes the ioctl on
 *			(get_region_info_caps)		(older kernels)
 * the driver
 * - has described	mdev_region_describe()		mdev_region_ioctl()
 *   the device
 * - answers the ioctl	its callback is called with	its callback is called
 *			mdev_region_arg()
 */
#include <linux/mdev_describe.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include <asm/syscall.h>

#include "mdev_region.h"

/* The part of the structure that each holder knows; the rest is capabilities */
#define REGION_MINSZ	offsetofend(struct vfio_region_info, offset)

/* The capabilities go behind the structure, if there is room for them */
static int mdev_region_put_caps(struct vfio_region_info *info,
				struct vfio_info_cap *caps, void __user *arg)
{
	size_t size = sizeof(*info) + caps->size;

	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	if (info->argsz < size) {
		/* The holder repeats the ioctl with as much room as this */
		info->argsz = size;
		return 0;
	}
	vfio_info_cap_shift(caps, sizeof(*info));
	info->cap_offset = sizeof(*info);
	return copy_to_user(arg + sizeof(*info), caps->buf, caps->size) ?
	       -EFAULT : 0;
}

static u32 mdev_region_flags(const struct mdev_region *region)
{
	u32 flags = 0;

	if (!region->size)
		return 0;
	if (region->read)
		flags |= VFIO_REGION_INFO_FLAG_READ;
	if (region->write)
		flags |= VFIO_REGION_INFO_FLAG_WRITE;
	if (region->mmap)
		flags |= VFIO_REGION_INFO_FLAG_MMAP;
	return flags;
}

static int mdev_region_add_type(const struct mdev_region *region,
				struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_type cap = {
		.header.id = VFIO_REGION_INFO_CAP_TYPE,
		.header.version = 1,
		.type = region->type,
		.subtype = region->subtype,
	};

	return vfio_info_add_capability(caps, &cap.header, sizeof(cap));
}

/**
 * mdev_region_describe - tell of one region of a described device
 * @description: the device's
 * @info: its index is the region's; the rest is filled in
 * @caps: what the region has beyond that is added
 *
 * Return: 0; -EINVAL if there is no such region; -ENOMEM.
 */
int mdev_region_describe(const struct mdev_description *description,
			 struct vfio_region_info *info,
			 struct vfio_info_cap *caps)
{
	const struct mdev_region *region;
	u32 index = info->index;

	if (index >= description->nr_regions)
		return -EINVAL;
	index = array_index_nospec(index, description->nr_regions);
	region = &description->regions[index];
	info->flags = mdev_region_flags(region);
	info->cap_offset = 0;
	info->size = region->size;
	info->offset = (u64)index << description->region_shift;
	return region->type || region->subtype ?
	       mdev_region_add_type(region, caps) : 0;
}

/**
 * mdev_region_ioctl - answer the ioctl as newer kernels' VFIO does
 * @description: the device's
 * @arg: the ioctl's argument
 *
 * Context: inside the gate.
 * Return: 0 or a negative errno.
 */
long mdev_region_ioctl(const struct mdev_description *description,
		       void __user *arg)
{
	struct vfio_info_cap caps = {};
	struct vfio_region_info info;
	int ret;

	if (copy_from_user(&info, arg, REGION_MINSZ))
		return -EFAULT;
	if (info.argsz < REGION_MINSZ)
		return -EINVAL;

	ret = mdev_region_describe(description, &info, &caps);
	if (!ret && caps.size)
		ret = mdev_region_put_caps(&info, &caps, arg);
	kfree(caps.buf);
	if (!ret && copy_to_user(arg, &info, REGION_MINSZ))
		ret = -EFAULT;
	return ret;
}

static bool mdev_region_is_asked_for(const struct vfio_region_info *info,
				     const void __user *arg)
{
	struct vfio_region_info asked;

	return !copy_from_user(&asked, arg, REGION_MINSZ) &&
	       asked.argsz == info->argsz && asked.index == info->index;
}

/**
 * mdev_region_arg - the argument of the ioctl that VFIO is answering
 * @info: what VFIO has read of it
 *
 * VFIO does not pass it on. It is one of the arguments of the system call: they
 * are in the caller's registers, which cannot change meanwhile.
 *
 * Return: the argument, or NULL if this is not such a system call.
 */
void __user *mdev_region_arg(const struct vfio_region_info *info)
{
	unsigned long args[6];
	void __user *arg;

	syscall_get_arguments(current, task_pt_regs(current), args);
	arg = (void __user *)args[2];
	if ((unsigned int)args[1] != VFIO_DEVICE_GET_REGION_INFO ||
	    !mdev_region_is_asked_for(info, arg))
		return NULL;
	return arg;
}

/**
 * mdev_region_read_back - give VFIO the answer that a driver gave the holder
 * @info: the answer; VFIO writes it to the holder once more
 * @arg: the holder's memory, where the driver has written the answer and the
 *	capabilities behind it
 *
 * Return: 0 or -EFAULT.
 */
int mdev_region_read_back(struct vfio_region_info *info,
			  const void __user *arg)
{
	return copy_from_user(info, arg, REGION_MINSZ) ? -EFAULT : 0;
}
