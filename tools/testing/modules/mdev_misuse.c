// SPDX-License-Identifier: GPL-2.0-only
/*
 * A parent driver that forgets something. What it forgets is written to the
 * module parameter "forget", which registers its device anew; the write fails as
 * the registration does. "everything_back" leaves it unregistered.
 */
#include <linux/mdev.h>
#include <linux/mdev_trigger.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#define MISUSE_NAME	"mdev_misuse"

struct misuse {
	struct mdev_trigger request;
};

static struct platform_device *misuse_device;

/* Serialises registrations, and protects what follows */
static DEFINE_MUTEX(misuse_lock);
static bool misuse_registered;
static bool misuse_forgets_trigger;
static struct mdev_parent_ops misuse_ops;

static int misuse_create(struct kobject *kobj, struct mdev_device *mdev)
{
	struct misuse *misuse = kzalloc(sizeof(*misuse), GFP_KERNEL);

	if (!misuse)
		return -ENOMEM;
	if (!misuse_forgets_trigger)
		mdev_trigger_init(&misuse->request, mdev, MDEV_TRIGGER_REQUEST);
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

static struct attribute_group *misuse_types[] = { &misuse_group, NULL };
static struct attribute_group *misuse_no_types[] = { NULL };

/* All that a driver should have, but for @what */
static void misuse_prepare(const char *what)
{
	struct attribute **attr = misuse_attrs;

	memset(misuse_attrs, 0, sizeof(misuse_attrs));
	if (strcmp(what, "device_api"))
		*attr++ = &mdev_type_attr_device_api.attr;
	if (strcmp(what, "available_instances"))
		*attr++ = &mdev_type_attr_available_instances.attr;
	misuse_forgets_trigger = !strcmp(what, "trigger");
	misuse_ops = (struct mdev_parent_ops){
		.owner			= THIS_MODULE,
		.supported_type_groups	= strcmp(what, "types") ?
					  misuse_types : misuse_no_types,
		.create			= strcmp(what, "create") ?
					  misuse_create : NULL,
		.remove			= strcmp(what, "remove") ?
					  misuse_remove : NULL,
		.ioctl			= misuse_ioctl,
		.request		= strcmp(what, "request") ?
					  misuse_request : NULL,
		.revoke			= strcmp(what, "revoke") ?
					  misuse_revoke : NULL,
	};
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

	/* Not while the module is being loaded */
	if (!misuse_device)
		return -EBUSY;
	if (strscpy(what, val, sizeof(what)) < 0)
		return -EINVAL;
	strim(what);

	mutex_lock(&misuse_lock);
	misuse_unregister();
	if (strcmp(what, "everything_back")) {
		misuse_prepare(what);
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
MODULE_PARM_DESC(forget, "What the driver forgets: create, remove, types, device_api, available_instances, request, revoke, trigger, or nothing");

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
