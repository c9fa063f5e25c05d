// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parents of the kernel's own interface, that of Linux 6.x: all differences
 * between them and those of Linux 5.10.
 *
 * Such a parent has one driver, which makes the VFIO devices of its mediated
 * devices itself. To the framework it is a parent like the others, with the
 * callbacks and attributes below. The driver's structs are part of its own
 * memory. They are filled in here as the kernel's own mdev does.
 */
#include "mdev_kernel.h"

#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/vfio.h>

#include "mdev_device.h"
#include "mdev_group.h"
#include "mdev_request.h"
#include "mdev_revoke.h"
#include "mdev_watch.h"

/* A driver takes our struct mdev_device for the kernel's own */
#define ASSERT_SAME_PLACE(ours, theirs)					\
	static_assert(offsetof(struct mdev_device, ours) ==		\
		      offsetof(struct kernel_mdev_device, theirs) &&	\
		      sizeof_field(struct mdev_device, ours) ==		\
		      sizeof_field(struct kernel_mdev_device, theirs))

ASSERT_SAME_PLACE(dev, dev);
ASSERT_SAME_PLACE(uuid, uuid);
ASSERT_SAME_PLACE(kernel_type, type);
ASSERT_SAME_PLACE(active, active);

/**
 * struct mdev_kernel_type - a type of such a parent
 * @group: its attributes
 * @type: the driver's
 */
struct mdev_kernel_type {
	struct attribute_group group;
	struct kernel_mdev_type *type;
};

/**
 * struct mdev_kernel_parent - such a parent
 * @ops: the callbacks, for the framework
 * @parent: the driver's
 * @groups: the types' groups, and NULL
 * @types: the types
 */
struct mdev_kernel_parent {
	struct mdev_parent_ops ops;
	struct kernel_mdev_parent *parent;
	struct attribute_group **groups;
	struct mdev_kernel_type types[];
};

static struct kernel_mdev_driver *to_kernel_driver(struct device_driver *drv)
{
	return container_of(drv, struct kernel_mdev_driver, driver);
}

static struct kernel_mdev_device *to_kernel_device(struct mdev_device *mdev)
{
	return to_kernel_mdev_device(&mdev->dev);
}

static struct kernel_mdev_type *to_kernel_type(struct kobject *kobj)
{
	const struct attribute_group *group = to_mdev_type(kobj)->group;

	return container_of(group, struct mdev_kernel_type, group)->type;
}

/* The member has the name of the type, here as well */
static struct kernel_mdev_driver *
kernel_driver(const struct kernel_mdev_parent *kparent)
{
	return kparent->kernel_mdev_driver;
}

static ssize_t name_show(struct kobject *kobj, struct device *dev, char *buf)
{
	struct kernel_mdev_type *type = to_kernel_type(kobj);

	return sysfs_emit(buf, "%s\n", type->pretty_name ?: type->sysfs_name);
}

static MDEV_TYPE_ATTR_RO(name);

static ssize_t device_api_show(struct kobject *kobj, struct device *dev,
			       char *buf)
{
	struct kernel_mdev_type *type = to_kernel_type(kobj);

	return sysfs_emit(buf, "%s\n", kernel_driver(type->parent)->device_api);
}

static MDEV_TYPE_ATTR_RO(device_api);

static ssize_t available_instances_show(struct kobject *kobj,
					struct device *dev, char *buf)
{
	struct kernel_mdev_type *type = to_kernel_type(kobj);
	struct kernel_mdev_driver *drv = kernel_driver(type->parent);

	if (drv->get_available)
		return sysfs_emit(buf, "%u\n", drv->get_available(type));
	return sysfs_emit(buf, "%d\n",
			  atomic_read(&type->parent->available_instances));
}

static MDEV_TYPE_ATTR_RO(available_instances);

static ssize_t description_show(struct kobject *kobj, struct device *dev,
				char *buf)
{
	struct kernel_mdev_type *type = to_kernel_type(kobj);

	return kernel_driver(type->parent)->show_description(type, buf);
}

static MDEV_TYPE_ATTR_RO(description);

static struct attribute *mdev_kernel_type_attrs[] = {
	&mdev_type_attr_name.attr,
	&mdev_type_attr_device_api.attr,
	&mdev_type_attr_available_instances.attr,
	NULL
};

static struct attribute *mdev_kernel_described_type_attrs[] = {
	&mdev_type_attr_name.attr,
	&mdev_type_attr_device_api.attr,
	&mdev_type_attr_available_instances.attr,
	&mdev_type_attr_description.attr,
	NULL
};

static struct kernel_mdev_parent *mdev_kernel_parent_of(struct mdev_device *mdev)
{
	return container_of(mdev_parent(mdev)->ops, struct mdev_kernel_parent,
			    ops)->parent;
}

/* Without get_available, all types of a driver share one number of instances */
static bool mdev_kernel_instance_get(struct kernel_mdev_parent *kparent)
{
	return kernel_driver(kparent)->get_available ||
	       atomic_dec_if_positive(&kparent->available_instances) >= 0;
}

static void mdev_kernel_instance_put(struct kernel_mdev_parent *kparent)
{
	if (!kernel_driver(kparent)->get_available)
		atomic_inc(&kparent->available_instances);
}

/* Sets only what the driver may read in its probe callback, which follows */
static int mdev_kernel_create(struct kobject *kobj, struct mdev_device *mdev)
{
	struct kernel_mdev_parent *kparent = mdev_kernel_parent_of(mdev);
	const char *api = kernel_driver(kparent)->device_api;
	int ret;

	if (!mdev_kernel_instance_get(kparent))
		return -EUSERS;
	ret = mdev_watch_init(mdev, !strcmp(api, VFIO_DEVICE_API_PCI_STRING));
	if (ret) {
		mdev_kernel_instance_put(kparent);
		return ret;
	}
	mdev->kernel_type = to_kernel_type(kobj);
	mdev->active = true;
	return 0;
}

static int mdev_kernel_remove(struct mdev_device *mdev)
{
	/* Pairs with mdev_group_begin() of the writer that has claimed it */
	if (mdev->group.users)
		mdev_group_end(mdev);
	/* It is over, but may not have returned */
	cancel_work_sync(&mdev->watch->ask);
	mdev->active = false;
	mdev_kernel_instance_put(mdev_kernel_parent_of(mdev));
	return 0;
}

/* Not if a removal waits */
static int mdev_kernel_bind(struct device *dev)
{
	struct kernel_mdev_driver *drv = to_kernel_driver(dev->driver);
	struct mdev_device *mdev = to_mdev_device(dev);
	int ret = 0;

	if (READ_ONCE(mdev->request.evictors) || !mdev_group_bind_begin(mdev))
		return -EBUSY;
	if (drv->probe)
		ret = drv->probe(to_kernel_device(mdev));
	if (!ret)
		mdev_watch_begin(mdev);
	mdev_group_bind_end(mdev);
	return ret;
}

/*
 * The waits come first, so that the driver does not have to wait. The group is
 * ours while VFIO gives up the device: no process has it open, so VFIO detaches
 * it from no container that is in use; see mdev_group.c.
 */
static int mdev_kernel_unbind(struct device *dev)
{
	struct kernel_mdev_driver *drv = to_kernel_driver(dev->driver);
	struct mdev_device *mdev = to_mdev_device(dev);

	mdev_evict_begin(mdev);
	mdev_wait_for_release(mdev);
	mdev_wait_for_group(mdev);
	/* Nobody can open it: a driver may wait for the last reference to it */
	if (mdev_group_is_ours(&mdev->group) && !mdev->watch->blind)
		mdev_watch_end(mdev);
	if (drv->remove)
		drv->remove(to_kernel_device(mdev));
	/* If it could be open until now */
	mdev_watch_end(mdev);
	mdev_group_end(mdev);
	mdev_evict_end(mdev);
	return 0;
}

/* Fill in the groups of @kparent's types; @parent has room for them */
static void mdev_kernel_types_init(struct mdev_kernel_parent *parent,
				   struct kernel_mdev_parent *kparent)
{
	unsigned int i;

	for (i = 0; i < kparent->nr_types; i++) {
		struct mdev_kernel_type *type = &parent->types[i];

		type->type = kparent->types[i];
		type->type->parent = kparent;
		type->group.name = type->type->sysfs_name;
		type->group.attrs = kernel_driver(kparent)->show_description ?
				    mdev_kernel_described_type_attrs :
				    mdev_kernel_type_attrs;
		parent->groups[i] = &type->group;
	}
}

static void mdev_kernel_parent_free(struct mdev_kernel_parent *parent)
{
	kfree(parent->groups);
	kfree(parent);
}

static struct mdev_kernel_parent *
mdev_kernel_parent_alloc(struct kernel_mdev_parent *kparent)
{
	struct mdev_kernel_parent *parent;

	parent = kzalloc(struct_size(parent, types, kparent->nr_types),
			 GFP_KERNEL);
	if (!parent)
		return NULL;
	parent->groups = kcalloc(kparent->nr_types + 1,
				 sizeof(*parent->groups), GFP_KERNEL);
	if (!parent->groups) {
		kfree(parent);
		return NULL;
	}

	parent->parent = kparent;
	mdev_kernel_types_init(parent, kparent);
	parent->ops = (struct mdev_parent_ops) {
		.owner			= kernel_driver(kparent)->driver.owner,
		.supported_type_groups	= parent->groups,
		.create			= mdev_kernel_create,
		.remove			= mdev_kernel_remove,
		.request		= mdev_watch_request,
	};
	return parent;
}

/**
 * mdev_kernel_parent_add - what mdev_register_parent() does
 * @kparent: the driver's struct, which is filled in
 * @dev: the parent device
 * @drv: the driver of its mediated devices, registered
 * @types: its types
 * @nr_types: how many
 *
 * Return: 0; -EEXIST if @dev is a parent already; or another negative errno.
 */
int mdev_kernel_parent_add(struct kernel_mdev_parent *kparent,
			   struct device *dev, struct kernel_mdev_driver *drv,
			   struct kernel_mdev_type **types,
			   unsigned int nr_types)
{
	struct mdev_kernel_parent *parent;
	int ret;

	memset(kparent, 0, sizeof(*kparent));
	kparent->dev = dev;
	kparent->kernel_mdev_driver = drv;
	kparent->types = types;
	kparent->nr_types = nr_types;
	atomic_set(&kparent->available_instances, drv->max_instances);

	parent = mdev_kernel_parent_alloc(kparent);
	if (!parent)
		return -ENOMEM;
	ret = mdev_parent_register(dev, &parent->ops, &drv->driver);
	if (ret)
		mdev_kernel_parent_free(parent);
	return ret;
}

/**
 * mdev_kernel_parent_del - what mdev_unregister_parent() does
 * @kparent: the driver's struct
 *
 * Waits for the holders of its mediated devices, without a limit.
 */
void mdev_kernel_parent_del(struct kernel_mdev_parent *kparent)
{
	const struct mdev_parent_ops *ops =
		mdev_parent_unregister(kparent->dev);

	if (ops)
		mdev_kernel_parent_free(container_of(ops,
						     struct mdev_kernel_parent,
						     ops));
}

/**
 * mdev_kernel_driver_add - what mdev_register_driver() of Linux 6.x does
 * @drv: the driver
 *
 * Return: 0; -EINVAL if it has no device_api; or another negative errno.
 */
int mdev_kernel_driver_add(struct kernel_mdev_driver *drv)
{
	if (!drv->device_api)
		return -EINVAL;
	drv->driver.bus = &mdev_bus_type;
	drv->driver.probe = mdev_kernel_bind;
	drv->driver.remove = mdev_kernel_unbind;
	return driver_register(&drv->driver);
}

void mdev_kernel_driver_del(struct kernel_mdev_driver *drv)
{
	driver_unregister(&drv->driver);
}
