// SPDX-License-Identifier: GPL-2.0-only
/*
 * A parent driver that omits one thing. A write of the thing's name to the
 * module parameter "forget" registers the driver's device again without it. The
 * write returns the error of the registration. "everything_back" leaves the
 * device unregistered.
 */
#include <linux/bits.h>
#include <linux/mdev.h>
#include <linux/mdev_describe.h>
#include <linux/mdev_migration.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "compat.h"

#define MISUSE_NAME	"mdev_misuse"

/* Prefixes of faults in a description, and in a migration */
#define DESCRIBED	"described_"
#define MIGRATION	"migration_"

struct misuse {
	struct mdev_trigger request;
	struct mdev_trigger triggers[2];
};

static struct platform_device *misuse_device;

/* Serialises registrations, and protects the variables below */
static DEFINE_MUTEX(misuse_lock);
static bool misuse_registered;
static bool misuse_forgets_trigger;
static bool misuse_forgets_pfnmap;
static bool misuse_describes;
static struct mdev_parent_ops misuse_ops;
static struct mdev_migration misuse_migration;

/* The description, with a fault in one member */
static struct mdev_region misuse_regions[3];
static struct mdev_irq misuse_irqs[2];
static struct mdev_description misuse_description;

static int misuse_create(struct kobject *kobj, struct mdev_device *mdev)
{
	struct misuse *misuse = kzalloc(sizeof(*misuse), GFP_KERNEL);
	int ret = 0;

	if (!misuse)
		return -ENOMEM;
	if (misuse_describes)
		ret = mdev_describe(mdev, &misuse_description,
				    misuse->triggers);
	else if (!misuse_forgets_trigger)
		mdev_trigger_init(&misuse->request, mdev, MDEV_TRIGGER_REQUEST);
	if (ret) {
		kfree(misuse);
		return ret;
	}
	mdev_set_drvdata(mdev, misuse);
	return 0;
}

static int misuse_remove(struct mdev_device *mdev)
{
	kfree(mdev_get_drvdata(mdev));
	return 0;
}

static long misuse_ioctl(struct mdev_device *mdev, unsigned int cmd,
			 unsigned long arg)
{
	struct misuse *misuse = mdev_get_drvdata(mdev);
	struct mdev_irq_set set;
	int ret;

	if (cmd != VFIO_DEVICE_SET_IRQS)
		return -ENOTTY;
	ret = mdev_irq_set_read(&set, (void __user *)arg, BIT(0));
	return ret ? ret : mdev_trigger_set_irqs(&misuse->request, &set);
}

static vm_fault_t misuse_fault(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct misuse_vm_ops = {
	.fault = misuse_fault,
};

static int misuse_mmap(struct mdev_device *mdev, struct vm_area_struct *vma)
{
	vma->vm_ops = &misuse_vm_ops;
	if (!misuse_forgets_pfnmap)
		vm_flags_set(vma, VM_PFNMAP);
	return 0;
}

static void misuse_request(struct mdev_device *mdev, unsigned int count)
{
	struct misuse *misuse = mdev_get_drvdata(mdev);

	mdev_request_relay(&misuse->request, count);
}

static void misuse_revoke(struct mdev_device *mdev)
{
}

static ssize_t device_api_show(struct kobject *kobj, struct device *dev,
			       char *buf)
{
	return sysfs_emit(buf, "%s\n", VFIO_DEVICE_API_PCI_STRING);
}
static MDEV_TYPE_ATTR_RO(device_api);

static ssize_t available_instances_show(struct kobject *kobj,
					struct device *dev, char *buf)
{
	return sysfs_emit(buf, "1\n");
}
static MDEV_TYPE_ATTR_RO(available_instances);

static struct attribute *misuse_attrs[3];

static struct attribute_group misuse_group = {
	.name	= "type",
	.attrs	= misuse_attrs,
};

/* With the driver's name as a prefix, too long for migration data */
static struct attribute_group misuse_long_group = {
	.name	= "type_with_a_name_that_nobody_would_want_to_write_more_than_once",
	.attrs	= misuse_attrs,
};

static struct attribute_group *misuse_types[] = { &misuse_group, NULL };
static struct attribute_group *misuse_no_types[] = { NULL };
static struct attribute_group *misuse_long_types[] = {
	&misuse_long_group, NULL
};

/* Prepares a complete driver, except for @what */
static void misuse_prepare(const char *what)
{
	struct attribute **attr = misuse_attrs;

	memset(misuse_attrs, 0, sizeof(misuse_attrs));
	if (strcmp(what, "device_api"))
		*attr++ = &mdev_type_attr_device_api.attr;
	if (strcmp(what, "available_instances"))
		*attr++ = &mdev_type_attr_available_instances.attr;
	misuse_forgets_trigger = !strcmp(what, "trigger");
	misuse_forgets_pfnmap = !strcmp(what, "pfnmap");
	misuse_ops = (struct mdev_parent_ops){
		.owner			= THIS_MODULE,
		.supported_type_groups	= strcmp(what, "types") ?
					  misuse_types : misuse_no_types,
		.create			= strcmp(what, "create") ?
					  misuse_create : NULL,
		.remove			= strcmp(what, "remove") ?
					  misuse_remove : NULL,
		.ioctl			= misuse_ioctl,
		.mmap			= misuse_mmap,
		.request		= strcmp(what, "request") ?
					  misuse_request : NULL,
		.revoke			= strcmp(what, "revoke") ?
					  misuse_revoke : NULL,
	};
}

static int misuse_run(struct mdev_device *mdev, enum mdev_run run)
{
	return 0;
}

static ssize_t misuse_save(struct mdev_device *mdev, void *state)
{
	return 0;
}

static int misuse_load(struct mdev_device *mdev, u32 version,
		       const void *state, size_t size)
{
	return 0;
}

/* Prepares a correct migration, except for @what */
static void misuse_migrate(const char *what)
{
	misuse_migration = (struct mdev_migration){
		.flags		= strcmp(what, "flags") ?
				  VFIO_MIGRATION_P2P : BIT(31),
		.max_size	= strcmp(what, "size") ? 1 : 0,
		.run		= misuse_run,
		.save		= strcmp(what, "callbacks") ? misuse_save : NULL,
		.load		= misuse_load,
	};
	if (!strcmp(what, "large"))
		misuse_migration.max_size = MDEV_MIGRATION_MAX_SIZE + 1;
	else if (!strcmp(what, "type"))
		misuse_ops.supported_type_groups = misuse_long_types;
	misuse_ops.migration = &misuse_migration;
}

static int misuse_mmap_region(struct mdev_device *mdev, unsigned int index,
			      struct vm_area_struct *vma)
{
	return -EINVAL;
}

/* Prepares a correct description, except for @what */
static void misuse_describe(const char *what)
{
	memset(misuse_regions, 0, sizeof(misuse_regions));
	memset(misuse_irqs, 0, sizeof(misuse_irqs));
	misuse_irqs[1].flags = VFIO_IRQ_INFO_EVENTFD;
	misuse_irqs[1].kind = MDEV_TRIGGER_REQUEST;
	misuse_description = (struct mdev_description){
		.region_shift	= 20,
		.nr_regions	= ARRAY_SIZE(misuse_regions),
		.regions	= misuse_regions,
		.nr_irqs	= ARRAY_SIZE(misuse_irqs),
		.irqs		= misuse_irqs,
	};
	misuse_ops.request = NULL;
	misuse_ops.mmap = NULL;
	if (strcmp(what, "callbacks"))
		misuse_ops.ioctl = NULL;
	if (!strcmp(what, "shift"))
		misuse_description.region_shift = 63;
	else if (!strcmp(what, "room"))
		misuse_description.region_shift = 62;
	else if (!strcmp(what, "size"))
		misuse_regions[1].size = BIT(20) + 1;
	else if (!strcmp(what, "page"))
		misuse_regions[1] = (struct mdev_region){
			.size = 1, .mmap = misuse_mmap_region,
		};
	else if (!strcmp(what, "irqs"))
		misuse_description.nr_irqs = 1000;
	else if (!strcmp(what, "flags"))
		misuse_irqs[1].flags = 0;
	else if (!strcmp(what, "requests"))
		misuse_irqs[0] = misuse_irqs[1];
	else if (!strcmp(what, "asking"))
		misuse_irqs[1].kind = MDEV_TRIGGER_INTERRUPT;
	else if (!strcmp(what, "reset"))
		misuse_migrate("nothing");
}

static void misuse_unregister(void)
{
	lockdep_assert_held(&misuse_lock);

	if (misuse_registered)
		mdev_unregister_device(&misuse_device->dev);
	misuse_registered = false;
}

static int misuse_set(const char *val, const struct kernel_param *kp)
{
	char what[32];
	int ret = 0;

	/* The device does not exist while the module is being loaded */
	if (!misuse_device)
		return -EBUSY;
	if (strscpy(what, val, sizeof(what)) < 0)
		return -EINVAL;
	strim(what);

	mutex_lock(&misuse_lock);
	misuse_unregister();
	if (strcmp(what, "everything_back")) {
		misuse_prepare(what);
		misuse_describes = strstarts(what, DESCRIBED);
		if (misuse_describes)
			misuse_describe(what + strlen(DESCRIBED));
		if (strstarts(what, MIGRATION))
			misuse_migrate(what + strlen(MIGRATION));
		ret = mdev_register_device(&misuse_device->dev, &misuse_ops);
		misuse_registered = !ret;
	}
	mutex_unlock(&misuse_lock);
	return ret;
}

static const struct kernel_param_ops misuse_param_ops = {
	.set = misuse_set,
};
module_param_cb(forget, &misuse_param_ops, NULL, 0200);
__MODULE_PARM_TYPE(forget, "string");
MODULE_PARM_DESC(forget, "What the driver forgets: create, remove, types, device_api, available_instances, request, revoke, trigger, pfnmap, or nothing; or, in the description of a device, described_callbacks, _shift, _room, _size, _page, _irqs, _flags, _requests, _asking, _reset, or _nothing; or, in the migration, migration_flags, _size, _large, _callbacks, _type, or _nothing");

static int __init misuse_init(void)
{
	struct platform_device *device =
		platform_device_register_simple(MISUSE_NAME, 0, NULL, 0);

	if (IS_ERR(device))
		return PTR_ERR(device);
	misuse_device = device;
	return 0;
}
module_init(misuse_init);

static void __exit misuse_exit(void)
{
	mutex_lock(&misuse_lock);
	misuse_unregister();
	mutex_unlock(&misuse_lock);
	platform_device_unregister(misuse_device);
}
module_exit(misuse_exit);

MODULE_DESCRIPTION("Test parent that forgets something");
MODULE_LICENSE("GPL");
