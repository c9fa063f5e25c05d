// SPDX-License-Identifier: GPL-2.0-only
/* The types of a parent, and the links between them and their devices */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "mdev_device.h"
#include "mdev_stream.h"
#include "mdev_type.h"

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

static bool mdev_type_has(const struct attribute_group *group, const char *name)
{
	struct attribute **attr;

	for (attr = group->attrs; attr && *attr; attr++)
		if (!strcmp((*attr)->name, name))
			return true;
	return false;
}

/* User space asks for these of each type; a driver for Linux 5.10 has them */
static void mdev_type_check(struct mdev_parent *parent,
			    const struct attribute_group *group)
{
	static const char *const names[] = {
		"available_instances", "device_api",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!mdev_type_has(group, names[i]))
			dev_warn(parent->dev, "parent driver %s: type %s has no attribute %s, which mdevctl and libvirt read\n",
				 module_name(parent->ops->owner),
				 group->name, names[i]);
}

/* "create" comes last: once it is in sysfs, mdevs of the type can be created */
static int mdev_type_add(struct mdev_parent *parent,
			 const struct attribute_group *group,
			 const struct attribute *create)
{
	struct mdev_type *type;
	int ret;

	if (!group->name) {
		dev_err(parent->dev, "parent driver %s cannot register: one of its types has no name\n",
			module_name(parent->ops->owner));
		return -EINVAL;
	}
	mdev_type_check(parent, group);

	type = kzalloc(sizeof(*type), GFP_KERNEL);
	if (!type)
		return -ENOMEM;

	mdev_parent_get(parent);
	type->parent = parent;
	type->group = group;
	type->kobj.kset = parent->types;
	ret = kobject_init_and_add(&type->kobj, &mdev_type_ktype, NULL, "%s-%s",
				   dev_driver_string(parent->dev), group->name);
	if (ret)
		goto put_type;

	if (parent->ops->migration &&
	    strlen(kobject_name(&type->kobj)) >= MDEV_STREAM_TYPE_SIZE) {
		dev_err(parent->dev, "parent driver %s cannot register: the name of its type %s is too long for migration data\n",
			module_name(parent->ops->owner), group->name);
		ret = -EINVAL;
		goto del_type;
	}

	type->devices = kobject_create_and_add("devices", &type->kobj);
	if (!type->devices) {
		ret = -ENOMEM;
		goto del_type;
	}

	ret = sysfs_create_files(&type->kobj,
				 (const struct attribute **)group->attrs);
	if (ret)
		goto put_devices;

	ret = sysfs_create_file(&type->kobj, create);
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
		/* Removes the files, too; waits for threads that use one */
		kobject_del(&type->kobj);
		kobject_put(&type->kobj);
	}
	kset_unregister(parent->types);
}

/* If it fails, some types and mdevs of them may exist */
int mdev_types_add(struct mdev_parent *parent, const struct attribute *create)
{
	struct attribute_group **group;
	int ret;

	parent->types = kset_create_and_add("mdev_supported_types", NULL,
					    &parent->dev->kobj);
	if (!parent->types)
		return -ENOMEM;

	for (group = parent->ops->supported_type_groups; *group; group++) {
		ret = mdev_type_add(parent, *group, create);
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
