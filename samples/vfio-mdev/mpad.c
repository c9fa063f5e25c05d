// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpad: the smallest parent driver for mediated devices. Each device is a PCI
 * card with a page of memory and no interrupt, which QEMU's vfio-pci takes. Its
 * holder can be asked to release it, and it can be revoked.
 */
#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/mdev_describe.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci_ids.h>
#include <linux/pci_regs.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "compat.h"

#define MPAD_MAX	8	/* devices */
#define MPAD_SIZE	4096	/* bytes of memory of each */

/* No driver knows this pair, so a guest's does not bind to the card by itself */
#define MPAD_VENDOR	0x1234
#define MPAD_DEVICE	0x4d50

struct mpad {
	struct mutex lock; /* @config and @memory */
	u8 config[PCI_CFG_SPACE_SIZE];
	u8 memory[MPAD_SIZE];
	struct mdev_trigger triggers[VFIO_PCI_NUM_IRQS];
};

static struct class *mpad_class;
static struct device *mpad_parent;
static atomic_t mpad_available = ATOMIC_INIT(MPAD_MAX);

/* The regions */

static ssize_t mpad_read(struct mdev_device *mdev, unsigned int index,
			 char __user *buf, size_t count, u64 pos)
{
	struct mpad *mpad = mdev_get_drvdata(mdev);
	const u8 *data = index == VFIO_PCI_CONFIG_REGION_INDEX ?
			 mpad->config : mpad->memory;
	unsigned long left;

	mutex_lock(&mpad->lock);
	left = copy_to_user(buf, data + pos, count);
	mutex_unlock(&mpad->lock);
	return left ? -EFAULT : count;
}

static ssize_t mpad_write(struct mdev_device *mdev, unsigned int index,
			  const char __user *buf, size_t count, u64 pos)
{
	struct mpad *mpad = mdev_get_drvdata(mdev);
	u8 *data;

	/* Read once, and before anything changes */
	data = memdup_user(buf, count);
	if (IS_ERR(data))
		return PTR_ERR(data);

	mutex_lock(&mpad->lock);
	if (index == VFIO_PCI_BAR0_REGION_INDEX)
		memcpy(mpad->memory + pos, data, count);
	else if (pos <= PCI_COMMAND && PCI_COMMAND < pos + count)
		mpad->config[PCI_COMMAND] = data[PCI_COMMAND - pos] &
					    PCI_COMMAND_MEMORY;
	mutex_unlock(&mpad->lock);
	kfree(data);
	return count;
}

static int mpad_reset(struct mdev_device *mdev)
{
	struct mpad *mpad = mdev_get_drvdata(mdev);

	mutex_lock(&mpad->lock);
	memset(mpad->memory, 0, sizeof(mpad->memory));
	memset(mpad->config, 0, sizeof(mpad->config));
	mpad->config[PCI_VENDOR_ID] = MPAD_VENDOR & 0xff;
	mpad->config[PCI_VENDOR_ID + 1] = MPAD_VENDOR >> 8;
	mpad->config[PCI_DEVICE_ID] = MPAD_DEVICE & 0xff;
	mpad->config[PCI_DEVICE_ID + 1] = MPAD_DEVICE >> 8;
	mpad->config[PCI_CLASS_DEVICE + 1] = PCI_BASE_CLASS_MEMORY;
	mutex_unlock(&mpad->lock);
	return 0;
}

/* The description */

static const struct mdev_region mpad_regions[VFIO_PCI_NUM_REGIONS] = {
	[VFIO_PCI_BAR0_REGION_INDEX] = {
		.size	= MPAD_SIZE,
		.read	= mpad_read,
		.write	= mpad_write,
	},
	[VFIO_PCI_CONFIG_REGION_INDEX] = {
		.size	= PCI_CFG_SPACE_SIZE,
		.read	= mpad_read,
		.write	= mpad_write,
	},
};

/* With the request the holder can be asked. PCI, unlike PCI Express, has no errors */
static const struct mdev_irq mpad_irqs[VFIO_PCI_NUM_IRQS] = {
	[VFIO_PCI_ERR_IRQ_INDEX] = {
		.unknown = true,
	},
	[VFIO_PCI_REQ_IRQ_INDEX] = {
		.flags	= VFIO_IRQ_INFO_EVENTFD,
		.kind	= MDEV_TRIGGER_REQUEST,
	},
};

static const struct mdev_description mpad_description = {
	.flags		= VFIO_DEVICE_FLAGS_PCI,
	.region_shift	= 40,
	.nr_regions	= VFIO_PCI_NUM_REGIONS,
	.regions	= mpad_regions,
	.nr_irqs	= VFIO_PCI_NUM_IRQS,
	.irqs		= mpad_irqs,
	.reset		= mpad_reset,
};

/* The type */

static ssize_t name_show(struct kobject *kobj, struct device *dev, char *buf)
{
	return sysfs_emit(buf, "A page of memory\n");
}
static MDEV_TYPE_ATTR_RO(name);

static ssize_t device_api_show(struct kobject *kobj, struct device *dev,
			       char *buf)
{
	return sysfs_emit(buf, "%s\n", VFIO_DEVICE_API_PCI_STRING);
}
static MDEV_TYPE_ATTR_RO(device_api);

static ssize_t available_instances_show(struct kobject *kobj,
					struct device *dev, char *buf)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&mpad_available));
}
static MDEV_TYPE_ATTR_RO(available_instances);

static struct attribute *mpad_type_attrs[] = {
	&mdev_type_attr_name.attr,
	&mdev_type_attr_device_api.attr,
	&mdev_type_attr_available_instances.attr,
	NULL,
};

static struct attribute_group mpad_type = {
	.name = "page",
	.attrs = mpad_type_attrs,
};

static struct attribute_group *mpad_types[] = { &mpad_type, NULL };

/* The life of a device */

static int mpad_create(struct kobject *kobj, struct mdev_device *mdev)
{
	struct mpad *mpad;
	int ret;

	if (atomic_dec_if_positive(&mpad_available) < 0)
		return -ENOSPC;
	mpad = kzalloc(sizeof(*mpad), GFP_KERNEL);
	ret = mpad ? mdev_describe(mdev, &mpad_description, mpad->triggers) :
		     -ENOMEM;
	if (ret) {
		kfree(mpad);
		atomic_inc(&mpad_available);
		return ret;
	}
	mutex_init(&mpad->lock);
	mdev_set_drvdata(mdev, mpad);
	return 0;
}

static int mpad_remove(struct mdev_device *mdev)
{
	kfree(mdev_get_drvdata(mdev));
	atomic_inc(&mpad_available);
	return 0;
}

/* Nothing is running that would have to be stopped */
static void mpad_revoke(struct mdev_device *mdev)
{
}

static const struct mdev_parent_ops mpad_ops = {
	.owner = THIS_MODULE,
	.supported_type_groups = mpad_types,
	.create = mpad_create,
	.remove = mpad_remove,
	.open = mpad_reset,	/* nothing of one holder's reaches the next */
	.revoke = mpad_revoke,
};

/* The parent */

static int __init mpad_init(void)
{
	int ret;

	mpad_class = class_create("mpad");
	if (IS_ERR(mpad_class))
		return PTR_ERR(mpad_class);
	mpad_parent = device_create(mpad_class, NULL, 0, NULL, "mpad");
	ret = PTR_ERR_OR_ZERO(mpad_parent);
	if (ret)
		goto destroy_class;
	ret = mdev_register_device(mpad_parent, &mpad_ops);
	if (ret)
		goto unregister_parent;
	return 0;

unregister_parent:
	device_unregister(mpad_parent);
destroy_class:
	class_destroy(mpad_class);
	return ret;
}
module_init(mpad_init);

static void __exit mpad_exit(void)
{
	mdev_unregister_device(mpad_parent);
	device_unregister(mpad_parent);
	class_destroy(mpad_class);
}
module_exit(mpad_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(MDEV_VERSION);
MODULE_DESCRIPTION("Mediated PCI card with a page of memory, the smallest sample");
