// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attributes of types and mediated devices.
 * Documentation/ABI/testing/sysfs-bus-mdev describes them,
 * include/uapi/linux/vfio_mdev.h their grammar.
 */
#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/sysfs.h>

#include "mdev_device.h"
#include "mdev_request.h"
#include "mdev_revoke.h"
#include "mdev_sysfs.h"

static int mdev_parse_number(const char *buf, size_t count, unsigned long max,
			     unsigned long *val)
{
	/* kstrtoul() would take a sign, and stop at a NUL */
	if (!isdigit(buf[0]) || strlen(buf) != count || kstrtoul(buf, 0, val))
		return -EINVAL;
	return *val <= max ? 0 : -EINVAL;
}

static int mdev_parse_uuid(const char *buf, size_t count, guid_t *uuid)
{
	if (count == UUID_STRING_LEN + 1 && buf[UUID_STRING_LEN] == '\n')
		count--;
	if (count != UUID_STRING_LEN)
		return -EINVAL;
	return guid_parse(buf, uuid);
}

/*
 * The caller has claimed the device, and writes to an attribute of it. The
 * teardown removes this attribute before this thread returns from the write. So
 * sysfs is told not to wait for this thread, and the thread holds references.
 * That to the module can only be put before the last instruction of mdev.ko;
 * mdev_exit() waits for the rest. Sysfs does wait for other writers of this and
 * of the other attributes: they find the device claimed, and return.
 */
static void mdev_remove_self(struct device *dev, struct device_attribute *attr)
{
	struct kernfs_node *kn =
		sysfs_break_active_protection(&dev->kobj, &attr->attr);

	get_device(dev);
	__module_get(THIS_MODULE);
	/* Without it the teardown would wait for this thread */
	WARN_ON_ONCE(!kn);
	mdev_device_teardown(to_mdev_device(dev));
	if (kn)
		sysfs_unbreak_active_protection(kn);
	put_device(dev);
	module_put(THIS_MODULE);
}

/* Waits first: if that is interrupted, nothing has changed */
static ssize_t remove_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	struct mdev_device *mdev = to_mdev_device(dev);
	unsigned long val;
	int ret;

	ret = mdev_parse_number(buf, count, ULONG_MAX, &val);
	if (ret)
		return ret;
	if (!val)
		return count;

	ret = mdev_claim_released(mdev);
	if (ret)
		return ret;

	mdev_remove_self(dev, attr);
	return count;
}

static DEVICE_ATTR_WO(remove);

static ssize_t revoke_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	unsigned long val;
	int ret;

	ret = mdev_parse_number(buf, count, 1, &val);
	if (ret)
		return ret;
	if (!val)
		return count;

	ret = mdev_revoke(to_mdev_device(dev), true);
	if (ret)
		return ret;

	mdev_remove_self(dev, attr);
	return count;
}

static struct device_attribute dev_attr_revoke =
	__ATTR(revoke, 0200, NULL, revoke_store);

static ssize_t holder_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return mdev_holder_show(to_mdev_device(dev), buf);
}

static DEVICE_ATTR_ADMIN_RO(holder);

static ssize_t request_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(to_mdev_device(dev)->state.request) !=
			  MDEV_REQ_NONE);
}

static ssize_t request_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	struct mdev_device *mdev = to_mdev_device(dev);
	unsigned long val;
	int ret;

	ret = mdev_parse_number(buf, count, 1, &val);
	if (ret)
		return ret;

	ret = val ? mdev_request_once(mdev) : mdev_request_cancel(mdev);
	return ret ?: count;
}

static DEVICE_ATTR_ADMIN_RW(request);

static ssize_t request_count_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_mdev_device(dev)->request.count));
}

static DEVICE_ATTR_RO(request_count);

static ssize_t request_since_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lld\n", READ_ONCE(to_mdev_device(dev)->request.since));
}

static DEVICE_ATTR_RO(request_since);

static struct attribute *mdev_device_attrs[] = {
	&dev_attr_remove.attr,
	&dev_attr_revoke.attr,
	&dev_attr_holder.attr,
	&dev_attr_request.attr,
	&dev_attr_request_count.attr,
	&dev_attr_request_since.attr,
	NULL
};
ATTRIBUTE_GROUPS(mdev_device);

/* No name: uevents carry no DEVTYPE, as those of the kernel's own mdev */
static const struct device_type mdev_device_type = {
	.groups	= mdev_device_groups,
};

static ssize_t create_store(struct kobject *kobj, struct device *dev,
			    const char *buf, size_t count)
{
	guid_t uuid;
	int ret;

	ret = mdev_parse_uuid(buf, count, &uuid);
	if (ret) {
		dev_warn_ratelimited(dev, "%s: cannot create mediated device: not a valid UUID\n",
				     kobject_name(kobj));
		return ret;
	}

	ret = mdev_device_create(to_mdev_type(kobj), &uuid, &mdev_device_type);
	return ret ?: count;
}

struct mdev_type_attribute mdev_type_attr_create = __ATTR_WO(create);
