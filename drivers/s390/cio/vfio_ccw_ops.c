// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: what user space meets: the type and its one instance, the regions
 * and the ioctls, as include/uapi/linux/vfio_ccw.h and vfio.h have them.
 */
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "vfio_ccw.h"

/* A region's number is in the upper bits of the file offset */
#define OFFSET_SHIFT	10
#define OFFSET_MASK	((1ULL << OFFSET_SHIFT) - 1)

enum {
	REGION_IO = VFIO_CCW_CONFIG_REGION_INDEX,
	REGION_CMD,
	REGION_SCHIB,
	REGION_CRW,
	NR_REGIONS
};

static const struct vfio_ccw_region {
	u32 size;
	u32 flags;
	u32 subtype;
} vfio_ccw_regions[NR_REGIONS] = {
	[REGION_IO] = {
		.size	 = sizeof(struct ccw_io_region),
		.flags	 = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
	},
	[REGION_CMD] = {
		.size	 = sizeof(struct ccw_cmd_region),
		.flags	 = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		.subtype = VFIO_REGION_SUBTYPE_CCW_ASYNC_CMD,
	},
	[REGION_SCHIB] = {
		.size	 = sizeof(struct ccw_schib_region),
		.flags	 = VFIO_REGION_INFO_FLAG_READ,
		.subtype = VFIO_REGION_SUBTYPE_CCW_SCHIB,
	},
	[REGION_CRW] = {
		.size	 = sizeof(struct ccw_crw_region),
		.flags	 = VFIO_REGION_INFO_FLAG_READ,
		.subtype = VFIO_REGION_SUBTYPE_CCW_CRW,
	},
};

#define IRQ_INDEXES							\
	(BIT(VFIO_CCW_IO_IRQ_INDEX) | BIT(VFIO_CCW_CRW_IRQ_INDEX) |	\
	 BIT(VFIO_CCW_REQ_IRQ_INDEX))

static struct vfio_ccw *vfio_ccw_of(struct mdev_device *mdev)
{
	return mdev_get_drvdata(mdev);
}

/* The type */

static ssize_t name_show(struct kobject *kobj, struct device *dev, char *buf)
{
	return sysfs_emit(buf, "I/O subchannel (Non-QDIO)\n");
}
static MDEV_TYPE_ATTR_RO(name);

static ssize_t device_api_show(struct kobject *kobj, struct device *dev,
			       char *buf)
{
	return sysfs_emit(buf, "%s\n", VFIO_DEVICE_API_CCW_STRING);
}
static MDEV_TYPE_ATTR_RO(device_api);

static ssize_t available_instances_show(struct kobject *kobj,
					struct device *dev, char *buf)
{
	struct vfio_ccw *vc = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%d\n", atomic_read(&vc->available));
}
static MDEV_TYPE_ATTR_RO(available_instances);

static struct attribute *vfio_ccw_type_attrs[] = {
	&mdev_type_attr_name.attr,
	&mdev_type_attr_device_api.attr,
	&mdev_type_attr_available_instances.attr,
	NULL
};

static struct attribute_group vfio_ccw_type_group = {
	.name	= "io",
	.attrs	= vfio_ccw_type_attrs,
};

static struct attribute_group *vfio_ccw_type_groups[] = {
	&vfio_ccw_type_group,
	NULL
};

static int vfio_ccw_create(struct kobject *kobj, struct mdev_device *mdev)
{
	struct vfio_ccw *vc = dev_get_drvdata(mdev_parent_dev(mdev));

	if (atomic_dec_if_positive(&vc->available) < 0)
		return -ENOSPC;

	vc->mdev = mdev;
	mdev_set_drvdata(mdev, vc);
	mdev_trigger_init(&vc->io_trigger, mdev, MDEV_TRIGGER_INTERRUPT);
	mdev_trigger_init(&vc->crw_trigger, mdev, MDEV_TRIGGER_INTERRUPT);
	mdev_trigger_init(&vc->req_trigger, mdev, MDEV_TRIGGER_REQUEST);
	return 0;
}

static int vfio_ccw_remove(struct mdev_device *mdev)
{
	struct vfio_ccw *vc = vfio_ccw_of(mdev);

	vc->mdev = NULL;
	atomic_inc(&vc->available);
	return 0;
}

static int vfio_ccw_mdev_open(struct mdev_device *mdev)
{
	return vfio_ccw_open(vfio_ccw_of(mdev));
}

static void vfio_ccw_mdev_release(struct mdev_device *mdev)
{
	vfio_ccw_close(vfio_ccw_of(mdev));
}

static void vfio_ccw_mdev_revoke(struct mdev_device *mdev)
{
	vfio_ccw_revoke(vfio_ccw_of(mdev));
}

static void vfio_ccw_mdev_request(struct mdev_device *mdev, unsigned int count)
{
	mdev_request_relay(&vfio_ccw_of(mdev)->req_trigger, count);
}

static void vfio_ccw_mdev_dma_unmap(struct mdev_device *mdev, u64 iova,
				    u64 length)
{
	vfio_ccw_dma_unmap(vfio_ccw_of(mdev), iova, length);
}

/* The regions */

/*
 * The region that an access is to, where in it, and that it ends in it.
 * Returns -EINVAL for any access that is not within one region.
 */
static int vfio_ccw_locate(loff_t pos, size_t count, size_t *offset)
{
	u64 index = (u64)pos >> OFFSET_SHIFT;
	size_t end;

	if (index >= NR_REGIONS)
		return -EINVAL;
	index = array_index_nospec(index, NR_REGIONS);

	*offset = pos & OFFSET_MASK;
	if (check_add_overflow(*offset, count, &end) ||
	    end > vfio_ccw_regions[index].size)
		return -EINVAL;
	return index;
}

/*
 * Most accesses are to all of the I/O region: where the compiler knows the size,
 * nobody has to check at each copy which kernel object it is of.
 */
static int vfio_ccw_copy_out(char __user *to, const void *from, size_t count)
{
	unsigned long left;

	if (count == sizeof(struct ccw_io_region))
		left = copy_to_user(to, from, sizeof(struct ccw_io_region));
	else
		left = copy_to_user(to, from, count);
	return left ? -EFAULT : 0;
}

static int vfio_ccw_copy_in(void *to, const char __user *from, size_t count)
{
	unsigned long left;

	if (count == sizeof(struct ccw_io_region))
		left = copy_from_user(to, from, sizeof(struct ccw_io_region));
	else
		left = copy_from_user(to, from, count);
	return left ? -EFAULT : 0;
}

/* Are @count bytes at @offset of the I/O region some of the response? */
static bool vfio_ccw_is_response(size_t offset, size_t count)
{
	return offset < offsetofend(struct ccw_io_region, irb_area) &&
	       offset + count > offsetof(struct ccw_io_region, irb_area);
}

/*
 * Copy a part of a region to the user. A response or a report is taken when the
 * user has it: if the user's memory is not there, the user, or mdev for it, comes
 * again. Whoever reads a part of the response has had it.
 */
static int vfio_ccw_copy_region(struct vfio_ccw *vc, struct vfio_ccw_user *user,
				int index, size_t offset, char __user *buf,
				size_t count)
{
	struct ccw_schib_region schib;
	const void *region;
	bool takes = false;
	int ret = 0;

	switch (index) {
	case REGION_IO:
		if (vfio_ccw_is_response(offset, count))
			ret = vfio_ccw_show_response(vc, user);
		takes = ret > 0;
		region = &user->region;
		break;
	case REGION_CMD:
		region = &user->cmd_region;
		break;
	case REGION_SCHIB:
		ret = vfio_ccw_read_schib(vc, user, &schib);
		region = &schib;
		break;
	default:
		user->crw_region.crw = vfio_ccw_crw_show(vc);
		takes = user->crw_region.crw;
		region = &user->crw_region;
	}
	if (ret < 0)
		return ret;

	if (vfio_ccw_copy_out(buf, region + offset, count))
		return -EFAULT;
	if (takes && index == REGION_IO)
		vfio_ccw_take_response(vc);
	else if (takes)
		vfio_ccw_crw_take(vc);
	return 0;
}

static ssize_t vfio_ccw_mdev_read(struct mdev_device *mdev, char __user *buf,
				  size_t count, loff_t *ppos)
{
	struct vfio_ccw *vc = vfio_ccw_of(mdev);
	struct vfio_ccw_user *user;
	size_t offset;
	int index, ret;

	index = vfio_ccw_locate(*ppos, count, &offset);
	if (index < 0)
		return index;
	if (!count)
		return 0;

	user = vfio_ccw_user_lock(vc);
	if (IS_ERR(user))
		return PTR_ERR(user);
	ret = vfio_ccw_copy_region(vc, user, index, offset, buf, count);
	vfio_ccw_user_unlock(user);
	if (ret)
		return ret;

	*ppos += count;
	return count;
}

static ssize_t vfio_ccw_mdev_write(struct mdev_device *mdev,
				   const char __user *buf, size_t count,
				   loff_t *ppos)
{
	struct vfio_ccw *vc = vfio_ccw_of(mdev);
	u8 data[sizeof(struct ccw_io_region)];
	struct vfio_ccw_user *user;
	size_t offset;
	int index, ret;

	index = vfio_ccw_locate(*ppos, count, &offset);
	if (index < 0)
		return index;
	if (!(vfio_ccw_regions[index].flags & VFIO_REGION_INFO_FLAG_WRITE))
		return -EINVAL;
	if (!count)
		return 0;
	/* Read once, and before anything changes */
	if (vfio_ccw_copy_in(data, buf, count))
		return -EFAULT;

	user = vfio_ccw_user_lock(vc);
	if (IS_ERR(user))
		return PTR_ERR(user);
	if (index == REGION_IO) {
		memcpy((u8 *)&user->region + offset, data, count);
		ret = vfio_ccw_start(vc, user);
		user->region.ret_code = ret;
	} else {
		memcpy((u8 *)&user->cmd_region + offset, data, count);
		ret = vfio_ccw_async(vc, user->cmd_region.command);
		user->cmd_region.ret_code = ret;
	}
	vfio_ccw_user_unlock(user);
	if (ret)
		return ret;

	*ppos += count;
	return count;
}

/* The ioctls */

static long vfio_ccw_get_info(void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;

	info.flags = VFIO_DEVICE_FLAGS_CCW | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = NR_REGIONS;
	info.num_irqs = VFIO_CCW_NUM_IRQS;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* Beyond the first region, a capability says what a region is for */
static int vfio_ccw_get_region_info(struct mdev_device *mdev,
				    struct vfio_region_info *info,
				    struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_type cap = {
		.header.id = VFIO_REGION_INFO_CAP_TYPE,
		.header.version = 1,
		.type = VFIO_REGION_TYPE_CCW,
	};
	const struct vfio_ccw_region *region;
	u32 index = info->index;

	if (index >= NR_REGIONS)
		return -EINVAL;

	region = &vfio_ccw_regions[array_index_nospec(index, NR_REGIONS)];
	info->flags = region->flags;
	info->size = region->size;
	info->offset = (u64)index << OFFSET_SHIFT;
	if (!region->subtype)
		return 0;
	cap.subtype = region->subtype;
	return vfio_info_add_capability(caps, &cap.header, sizeof(cap));
}

static long vfio_ccw_get_irq_info(void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_CCW_NUM_IRQS)
		return -EINVAL;

	info.count = 1;
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long vfio_ccw_set_irqs(struct vfio_ccw *vc, const void __user *arg)
{
	struct mdev_irq_set set;
	int ret;

	ret = mdev_irq_set_read(&set, arg, IRQ_INDEXES);
	if (ret)
		return ret;

	switch (set.index) {
	case VFIO_CCW_IO_IRQ_INDEX:
		return mdev_trigger_set_irqs(&vc->io_trigger, &set);
	case VFIO_CCW_CRW_IRQ_INDEX:
		return mdev_trigger_set_irqs(&vc->crw_trigger, &set);
	default:
		return mdev_trigger_set_irqs(&vc->req_trigger, &set);
	}
}

static long vfio_ccw_do_reset(struct vfio_ccw *vc)
{
	struct vfio_ccw_user *user;
	int ret;

	user = vfio_ccw_user_lock(vc);
	if (IS_ERR(user))
		return PTR_ERR(user);
	ret = vfio_ccw_reset(vc, user);
	vfio_ccw_user_unlock(user);
	return ret;
}

static long vfio_ccw_mdev_ioctl(struct mdev_device *mdev, unsigned int cmd,
				unsigned long arg)
{
	struct vfio_ccw *vc = vfio_ccw_of(mdev);
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return vfio_ccw_get_info(uarg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return vfio_ccw_get_irq_info(uarg);
	case VFIO_DEVICE_SET_IRQS:
		return vfio_ccw_set_irqs(vc, uarg);
	case VFIO_DEVICE_RESET:
		return vfio_ccw_do_reset(vc);
	default:
		return -ENOTTY;
	}
}

const struct mdev_parent_ops vfio_ccw_mdev_ops = {
	.owner			= THIS_MODULE,
	.supported_type_groups	= vfio_ccw_type_groups,
	.create			= vfio_ccw_create,
	.remove			= vfio_ccw_remove,
	.open			= vfio_ccw_mdev_open,
	.release		= vfio_ccw_mdev_release,
	.read			= vfio_ccw_mdev_read,
	.write			= vfio_ccw_mdev_write,
	.ioctl			= vfio_ccw_mdev_ioctl,
	.get_region_info_caps	= vfio_ccw_get_region_info,
	.request		= vfio_ccw_mdev_request,
	.revoke			= vfio_ccw_mdev_revoke,
	.dma_unmap		= vfio_ccw_mdev_dma_unmap,
};
