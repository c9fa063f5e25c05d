// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: the interface for user space: the type and its one instance, the
 * regions and the interrupts, as include/uapi/linux/vfio_ccw.h and vfio.h have
 * them.
 */
#include <linux/mdev_describe.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "vfio_ccw.h"

/* A region's number is in the upper bits of the file offset */
#define OFFSET_SHIFT	10

enum {
	REGION_IO = VFIO_CCW_CONFIG_REGION_INDEX,
	REGION_CMD,
	REGION_SCHIB,
	REGION_CRW,
	NR_REGIONS
};

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

static void vfio_ccw_mdev_dma_unmap(struct mdev_device *mdev, u64 iova,
				    u64 length)
{
	vfio_ccw_dma_unmap(vfio_ccw_of(mdev), iova, length);
}

/* The regions */

/*
 * Most accesses are to all of the I/O region. If the compiler knows the size,
 * no copy has to check at run time which kernel object it belongs to.
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

/* Is a part of the response in @count bytes at @offset of the I/O region? */
static bool vfio_ccw_is_response(size_t offset, size_t count)
{
	return offset < offsetofend(struct ccw_io_region, irb_area) &&
	       offset + count > offsetof(struct ccw_io_region, irb_area);
}

/*
 * Copy a part of a region to the holder. A response or a report is consumed
 * once the holder has read it, or any byte of it. If the holder's memory is not
 * present, it is not: the holder, or mdev for it, reads again.
 */
static int vfio_ccw_copy_region(struct vfio_ccw *vc, struct vfio_ccw_user *user,
				unsigned int index, size_t offset,
				char __user *buf, size_t count)
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

static ssize_t vfio_ccw_region_read(struct mdev_device *mdev,
				    unsigned int index, char __user *buf,
				    size_t count, u64 offset)
{
	struct vfio_ccw *vc = vfio_ccw_of(mdev);
	struct vfio_ccw_user *user;
	int ret;

	user = vfio_ccw_user_lock(vc);
	if (IS_ERR(user))
		return PTR_ERR(user);
	ret = vfio_ccw_copy_region(vc, user, index, offset, buf, count);
	vfio_ccw_user_unlock(user);
	return ret ? ret : count;
}

static ssize_t vfio_ccw_io_write(struct mdev_device *mdev, unsigned int index,
				 const char __user *buf, size_t count,
				 u64 offset)
{
	struct vfio_ccw *vc = vfio_ccw_of(mdev);
	u8 data[sizeof(struct ccw_io_region)];
	struct vfio_ccw_user *user;
	int ret;

	/* Read once, and before anything changes */
	if (vfio_ccw_copy_in(data, buf, count))
		return -EFAULT;

	user = vfio_ccw_user_lock(vc);
	if (IS_ERR(user))
		return PTR_ERR(user);
	memcpy((u8 *)&user->region + offset, data, count);
	ret = vfio_ccw_start(vc, user);
	user->region.ret_code = ret;
	vfio_ccw_user_unlock(user);
	return ret ? ret : count;
}

static ssize_t vfio_ccw_cmd_write(struct mdev_device *mdev, unsigned int index,
				  const char __user *buf, size_t count,
				  u64 offset)
{
	struct vfio_ccw *vc = vfio_ccw_of(mdev);
	u8 data[sizeof(struct ccw_cmd_region)];
	struct vfio_ccw_user *user;
	int ret;

	if (copy_from_user(data, buf, count))
		return -EFAULT;

	user = vfio_ccw_user_lock(vc);
	if (IS_ERR(user))
		return PTR_ERR(user);
	memcpy((u8 *)&user->cmd_region + offset, data, count);
	ret = vfio_ccw_async(vc, user->cmd_region.command);
	user->cmd_region.ret_code = ret;
	vfio_ccw_user_unlock(user);
	return ret ? ret : count;
}

/* Beyond the first region, a capability says what a region is for */
static const struct mdev_region vfio_ccw_regions[NR_REGIONS] = {
	[REGION_IO] = {
		.size	 = sizeof(struct ccw_io_region),
		.read	 = vfio_ccw_region_read,
		.write	 = vfio_ccw_io_write,
	},
	[REGION_CMD] = {
		.size	 = sizeof(struct ccw_cmd_region),
		.type	 = VFIO_REGION_TYPE_CCW,
		.subtype = VFIO_REGION_SUBTYPE_CCW_ASYNC_CMD,
		.read	 = vfio_ccw_region_read,
		.write	 = vfio_ccw_cmd_write,
	},
	[REGION_SCHIB] = {
		.size	 = sizeof(struct ccw_schib_region),
		.type	 = VFIO_REGION_TYPE_CCW,
		.subtype = VFIO_REGION_SUBTYPE_CCW_SCHIB,
		.read	 = vfio_ccw_region_read,
	},
	[REGION_CRW] = {
		.size	 = sizeof(struct ccw_crw_region),
		.type	 = VFIO_REGION_TYPE_CCW,
		.subtype = VFIO_REGION_SUBTYPE_CCW_CRW,
		.read	 = vfio_ccw_region_read,
	},
};

static const struct mdev_irq vfio_ccw_irqs[VFIO_CCW_NUM_IRQS] = {
	[VFIO_CCW_IO_IRQ_INDEX] = {
		.flags	 = VFIO_IRQ_INFO_EVENTFD,
	},
	[VFIO_CCW_CRW_IRQ_INDEX] = {
		.flags	 = VFIO_IRQ_INFO_EVENTFD,
	},
	[VFIO_CCW_REQ_IRQ_INDEX] = {
		.flags	 = VFIO_IRQ_INFO_EVENTFD,
		.kind	 = MDEV_TRIGGER_REQUEST,
	},
};

static int vfio_ccw_mdev_reset(struct mdev_device *mdev)
{
	struct vfio_ccw *vc = vfio_ccw_of(mdev);
	struct vfio_ccw_user *user;
	int ret;

	user = vfio_ccw_user_lock(vc);
	if (IS_ERR(user))
		return PTR_ERR(user);
	ret = vfio_ccw_reset(vc, user);
	vfio_ccw_user_unlock(user);
	return ret;
}

static const struct mdev_description vfio_ccw_description = {
	.flags		= VFIO_DEVICE_FLAGS_CCW,
	.region_shift	= OFFSET_SHIFT,
	.exact		= true,
	.nr_regions	= NR_REGIONS,
	.regions	= vfio_ccw_regions,
	.nr_irqs	= VFIO_CCW_NUM_IRQS,
	.irqs		= vfio_ccw_irqs,
	.reset		= vfio_ccw_mdev_reset,
};

/* The one instance */

static int vfio_ccw_create(struct kobject *kobj, struct mdev_device *mdev)
{
	struct vfio_ccw *vc = dev_get_drvdata(mdev_parent_dev(mdev));
	int ret;

	if (atomic_dec_if_positive(&vc->available) < 0)
		return -ENOSPC;
	ret = mdev_describe(mdev, &vfio_ccw_description, vc->triggers);
	if (ret) {
		atomic_inc(&vc->available);
		return ret;
	}

	vc->mdev = mdev;
	mdev_set_drvdata(mdev, vc);
	return 0;
}

static int vfio_ccw_remove(struct mdev_device *mdev)
{
	struct vfio_ccw *vc = vfio_ccw_of(mdev);

	vc->mdev = NULL;
	atomic_inc(&vc->available);
	return 0;
}

const struct mdev_parent_ops vfio_ccw_mdev_ops = {
	.owner			= THIS_MODULE,
	.supported_type_groups	= vfio_ccw_type_groups,
	.create			= vfio_ccw_create,
	.remove			= vfio_ccw_remove,
	.open			= vfio_ccw_mdev_open,
	.release		= vfio_ccw_mdev_release,
	.revoke			= vfio_ccw_mdev_revoke,
	.dma_unmap		= vfio_ccw_mdev_dma_unmap,
};
