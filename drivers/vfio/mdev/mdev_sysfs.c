// SPDX-License-Identifier: GPL-2.0-only
/*
 * What sysfs shows of mediated devices: the types of a parent, the devices, and
 * their attributes. Documentation/ABI/testing/sysfs-bus-mdev describes them,
 * include/uapi/linux/vfio_mdev.h their grammar.
 */
#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "mdev_private.h"

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

static ssize_t create_store(struct kobject *kobj, struct device *dev,
			    const char *buf, size_t count)
{
	guid_t uuid;
	int ret;

	ret = mdev_parse_uuid(buf, count, &uuid);
	if (ret) {
		dev_warn_ratelimited(dev, "%s: mediated device not created: what was written is no UUID\n",
				     kobject_name(kobj));
		return ret;
	}

	ret = mdev_create(to_mdev_type(kobj), &uuid);
	return ret ?: count;
}

static MDEV_TYPE_ATTR_WO(create);

static ssize_t mdev_type_show(struct kobject *kobj, struct attribute *attr,
			      char *buf)
{
	struct mdev_type_attribute *type_attr =
		container_of(attr, struct mdev_type_attribute, attr);

	if (!type_attr->show)
		return -EIO;
	return type_attr->show(kobj, to_mdev_type(kobj)->parent->dev, buf);
}

static ssize_t mdev_type_store(struct kobject *kobj, struct attribute *attr,
			       const char *buf, size_t count)
{
	struct mdev_type_attribute *type_attr =
		container_of(attr, struct mdev_type_attribute, attr);

	if (!type_attr->store)
		return -EIO;
	return type_attr->store(kobj, to_mdev_type(kobj)->parent->dev, buf,
				count);
}

static const struct sysfs_ops mdev_type_sysfs_ops = {
	.show	= mdev_type_show,
	.store	= mdev_type_store,
};

static void mdev_type_release(struct kobject *kobj)
{
	struct mdev_type *type = to_mdev_type(kobj);

	/* Pairs with mdev_parent_get() in mdev_type_add() */
	mdev_parent_put(type->parent);
	kfree(type);
}

static const struct kobj_type mdev_type_ktype = {
	.sysfs_ops	= &mdev_type_sysfs_ops,
	.release	= mdev_type_release,
};

/* "create" comes last: with it, mdevs of the type can come */
static int mdev_type_add(struct mdev_parent *parent,
			 const struct attribute_group *group)
{
	struct mdev_type *type;
	int ret;

	if (!group->name)
		return -EINVAL;

	type = kzalloc(sizeof(*type), GFP_KERNEL);
	if (!type)
		return -ENOMEM;

	mdev_parent_get(parent);
	type->parent = parent;
	type->kobj.kset = parent->types;
	ret = kobject_init_and_add(&type->kobj, &mdev_type_ktype, NULL, "%s-%s",
				   dev_driver_string(parent->dev), group->name);
	if (ret)
		goto put_type;

	type->devices = kobject_create_and_add("devices", &type->kobj);
	if (!type->devices) {
		ret = -ENOMEM;
		goto del_type;
	}

	ret = sysfs_create_files(&type->kobj,
				 (const struct attribute **)group->attrs);
	if (ret)
		goto put_devices;

	ret = sysfs_create_file(&type->kobj, &mdev_type_attr_create.attr);
	if (ret)
		goto put_devices;

	list_add_tail(&type->node, &parent->type_list);
	return 0;

put_devices:
	kobject_put(type->devices);
del_type:
	kobject_del(&type->kobj);
put_type:
	kobject_put(&type->kobj);
	return ret;
}

void mdev_types_remove(struct mdev_parent *parent)
{
	struct mdev_type *type, *next;

	list_for_each_entry_safe_reverse(type, next, &parent->type_list, node) {
		list_del(&type->node);
		kobject_put(type->devices);
		/* Takes the files along; waits for who still uses one */
		kobject_del(&type->kobj);
		kobject_put(&type->kobj);
	}
	kset_unregister(parent->types);
}

/* On failure some types may be there, and mdevs of them */
int mdev_types_add(struct mdev_parent *parent)
{
	struct attribute_group **group;
	int ret;

	parent->types = kset_create_and_add("mdev_supported_types", NULL,
					    &parent->dev->kobj);
	if (!parent->types)
		return -ENOMEM;

	for (group = parent->ops->supported_type_groups; *group; group++) {
		ret = mdev_type_add(parent, *group);
		if (ret)
			return ret;
	}
	return 0;
}

int mdev_links_add(struct mdev_device *mdev)
{
	struct mdev_type *type = mdev->type;
	int ret;

	ret = sysfs_create_link(type->devices, &mdev->dev.kobj,
				dev_name(&mdev->dev));
	if (ret)
		return ret;

	ret = sysfs_create_link(&mdev->dev.kobj, &type->kobj, "mdev_type");
	if (ret)
		sysfs_remove_link(type->devices, dev_name(&mdev->dev));
	return ret;
}

void mdev_links_remove(struct mdev_device *mdev)
{
	sysfs_remove_link(&mdev->dev.kobj, "mdev_type");
	sysfs_remove_link(mdev->type->devices, dev_name(&mdev->dev));
}

/*
 * The caller has claimed the device, and writes to an attribute of it, which
 * then goes before its file's writer, this thread, returns from it: sysfs is told
 * not to wait for this one, hence the references. The module's can only be put
 * before the last instruction of mdev.ko; mdev_exit() waits for the rest. Sysfs
 * does wait for writers of the other attributes, and for others of this one:
 * they find the device claimed, and return.
 */
static void mdev_remove_self(struct device *dev, struct device_attribute *attr)
{
	struct kernfs_node *kn =
		sysfs_break_active_protection(&dev->kobj, &attr->attr);

	get_device(dev);
	__module_get(THIS_MODULE);
	/* The teardown would wait for this thread */
	WARN_ON_ONCE(!kn);
	mdev_teardown(to_mdev_device(dev));
	if (kn)
		sysfs_unbreak_active_protection(kn);
	put_device(dev);
	module_put(THIS_MODULE);
}

/* The wait comes first, and leaves everything as it is */
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
	return mdev_use_show(to_mdev_device(dev), buf);
}

static DEVICE_ATTR_ADMIN_RO(holder);

static ssize_t request_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(to_mdev_device(dev)->pending));
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
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_mdev_device(dev)->count));
}

static DEVICE_ATTR_RO(request_count);

static ssize_t request_since_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lld\n", READ_ONCE(to_mdev_device(dev)->since));
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

const struct device_type mdev_device_type = {
	.name	= "mdev",
	.groups	= mdev_device_groups,
};
