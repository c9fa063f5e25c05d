// SPDX-License-Identifier: GPL-2.0-only
/* Mediated devices: creation, teardown, and their data for parent drivers */
#include <linux/export.h>
#include <linux/slab.h>

#include "mdev_device.h"
#include "mdev_request.h"
#include "mdev_trace.h"
#include "mdev_type.h"
#include "mdev_vfio.h"

/* All mdevs by their UUID; the table itself keeps a UUID from coming twice */
static struct rhashtable mdev_uuids;
static const struct rhashtable_params mdev_uuids_params = {
	.key_len = sizeof(guid_t),
	.key_offset = offsetof(struct mdev_device, uuid),
	.head_offset = offsetof(struct mdev_device, node),
	.automatic_shrinking = true,
};

static void mdev_device_release(struct device *dev)
{
	struct mdev_device *mdev = to_mdev_device(dev);

	/* From mdev_watch_init(); its job held a reference while it ran */
	if (mdev_is_kernels(mdev))
		kfree(mdev->watch);
	/* Pairs with kobject_get() in mdev_alloc() */
	kobject_put(&mdev->type->kobj);
	mutex_destroy(&mdev->lock);
	kfree(mdev);
}

/* On success the caller owns the first reference to the mdev's device */
static struct mdev_device *mdev_alloc(struct mdev_type *type,
				      const guid_t *uuid,
				      const struct device_type *device_type)
{
	struct mdev_parent *parent = type->parent;
	char name[UUID_STRING_LEN + 1];
	struct mdev_device *mdev;
	int ret;

	mdev = kzalloc(sizeof(*mdev), GFP_KERNEL);
	if (!mdev)
		return ERR_PTR(-ENOMEM);

	kobject_get(&type->kobj);
	mdev->type = type;
	guid_copy(&mdev->uuid, uuid);
	mdev_request_init(mdev);

	device_initialize(&mdev->dev);
	mdev->dev.parent = parent->dev;
	mdev->dev.bus = &mdev_bus_type;
	mdev->dev.type = device_type;
	mdev->dev.groups = parent->ops->mdev_attr_groups;
	mdev->dev.release = mdev_device_release;
	/* There is no hardware behind it that could sleep or wake */
	device_set_pm_not_required(&mdev->dev);

	/* In two steps: with "%s" alone the name is not formatted twice */
	snprintf(name, sizeof(name), "%pUl", uuid);
	ret = dev_set_name(&mdev->dev, "%s", name);
	if (ret) {
		put_device(&mdev->dev);
		return ERR_PTR(ret);
	}
	return mdev;
}

static void mdev_remove(struct mdev_device *mdev)
{
	struct mdev_parent *parent = mdev_parent(mdev);
	int ret;

	mdev_links_remove(mdev);
	device_del(&mdev->dev);
	mdev_request_stop(mdev);

	ret = parent->ops->remove(mdev);
	if (ret)
		dev_err(&mdev->dev, "parent driver failed to remove the device, error %d; its resources are lost\n",
			ret);

	/* The UUID is free again before a waiting thread goes on */
	rhashtable_remove_fast(&mdev_uuids, &mdev->node, mdev_uuids_params);
}

/* Give back its place, and its first reference */
static void mdev_put(struct mdev_device *mdev)
{
	struct mdev_parent *parent = mdev_parent(mdev);

	mdev_parent_place_put(parent);
	put_device(&mdev->dev);
}

/**
 * mdev_device_teardown - remove a device, and drop its creator's reference
 * @mdev: the device, which the caller has claimed
 *
 * Context: process context. Waits for no holder longer than a moment.
 */
void mdev_device_teardown(struct mdev_device *mdev)
{
	mdev_remove(mdev);
	trace_mdev_remove(&mdev->uuid, 0);
	mdev_put(mdev);
}

/*
 * Add @mdev to sysfs. No uevent is sent yet, and no driver can be bound to it.
 */
static int mdev_add(struct mdev_device *mdev)
{
	int ret;

	dev_set_uevent_suppress(&mdev->dev, true);
	ret = device_add(&mdev->dev);
	if (ret)
		return ret;

	ret = mdev_links_add(mdev);
	if (ret)
		device_del(&mdev->dev);
	return ret;
}

/*
 * The device is complete: tell user space, which may open and remove it. A
 * process that knows it earlier, by its VFIO device, waits for the lock. Once
 * it has the lock, it may drop the first reference before this thread is done.
 */
static void mdev_announce(struct mdev_device *mdev)
{
	get_device(&mdev->dev);
	mutex_lock(&mdev->lock);
	mdev_event(mdev, MDEV_EV_ANNOUNCE);
	dev_set_uevent_suppress(&mdev->dev, false);
	kobject_uevent(&mdev->dev.kobj, KOBJ_ADD);
	kobject_uevent(&mdev->dev.kobj, KOBJ_BIND);
	mutex_unlock(&mdev->lock);
	mdev_parent_wake(mdev_parent(mdev));
	put_device(&mdev->dev);
}

/* If the device cannot be bound, tear it down: it was not announced */
static int mdev_bind(struct mdev_device *mdev)
{
	int ret;

	ret = device_driver_attach(mdev_parent(mdev)->driver ?:
				   &mdev_vfio_driver.driver, &mdev->dev);
	if (!ret) {
		mdev_announce(mdev);
		return 0;
	}
	WARN_ON_ONCE(mdev_claim(mdev, MDEV_EV_ABANDON));
	/* The driver's interface knows no parent that goes */
	if (READ_ONCE(mdev_parent(mdev)->closing))
		ret = -ENODEV;
	mdev_remove(mdev);
	mdev_put(mdev);
	return ret;
}

static const char *mdev_create_error(int ret)
{
	switch (ret) {
	case -EEXIST:
		return "another mediated device has this UUID";
	case -ENODEV:
		return "the parent is being unregistered";
	case -ENOSPC:
	case -EUSERS:
		return "the parent has no instance of this type left";
	case -ENOMEM:
		return "out of memory";
	default:
		return "the parent driver or the kernel refused it";
	}
}

/**
 * mdev_device_create - create a mediated device
 * @type: its type
 * @uuid: its name
 * @device_type: its attributes
 *
 * Return: 0; -ENODEV while the parent is being unregistered; -EEXIST if a
 * mediated device has that UUID; or the parent driver's error.
 */
int mdev_device_create(struct mdev_type *type, const guid_t *uuid,
		       const struct device_type *device_type)
{
	struct mdev_parent *parent = type->parent;
	struct mdev_device *mdev;
	int ret;

	if (!mdev_parent_place_get(parent)) {
		ret = -ENODEV;
		goto out;
	}

	mdev = mdev_alloc(type, uuid, device_type);
	if (IS_ERR(mdev)) {
		ret = PTR_ERR(mdev);
		goto put_place;
	}

	ret = rhashtable_lookup_insert_fast(&mdev_uuids, &mdev->node,
					    mdev_uuids_params);
	if (ret)
		goto put_mdev;

	ret = parent->ops->create(&type->kobj, mdev);
	if (ret)
		goto remove_uuid;

	ret = mdev_add(mdev);
	if (ret)
		goto remove_from_parent;

	ret = mdev_bind(mdev);
	goto out;

remove_from_parent:
	parent->ops->remove(mdev);
remove_uuid:
	rhashtable_remove_fast(&mdev_uuids, &mdev->node, mdev_uuids_params);
put_mdev:
	put_device(&mdev->dev);
put_place:
	mdev_parent_place_put(parent);
out:
	trace_mdev_create(uuid, ret);
	if (ret)
		dev_warn_ratelimited(parent->dev, "%s: cannot create mediated device %pUl: %s (error %d)\n",
				     kobject_name(&type->kobj), uuid,
				     mdev_create_error(ret), ret);
	return ret;
}

/**
 * mdev_get_drvdata - the parent driver's pointer for a mediated device
 * @mdev: the device
 *
 * Return: the pointer that mdev_set_drvdata() has set; NULL before that.
 */
void *mdev_get_drvdata(struct mdev_device *mdev)
{
	return mdev->driver_data;
}
EXPORT_SYMBOL_GPL(mdev_get_drvdata);

/**
 * mdev_set_drvdata - set the parent driver's pointer for a mediated device
 * @mdev: the device
 * @data: the pointer; the framework does nothing with it
 */
void mdev_set_drvdata(struct mdev_device *mdev, void *data)
{
	mdev->driver_data = data;
}
EXPORT_SYMBOL_GPL(mdev_set_drvdata);

/**
 * mdev_uuid - the UUID of a mediated device
 * @mdev: the device
 *
 * Return: its UUID, valid as long as @mdev.
 */
const guid_t *mdev_uuid(struct mdev_device *mdev)
{
	return &mdev->uuid;
}
EXPORT_SYMBOL_GPL(mdev_uuid);

/**
 * mdev_dev - the struct device of a mediated device
 * @mdev: the device
 *
 * Return: its struct device, valid as long as @mdev.
 */
struct device *mdev_dev(struct mdev_device *mdev)
{
	return &mdev->dev;
}
EXPORT_SYMBOL_GPL(mdev_dev);

/**
 * mdev_parent_dev - the parent device of a mediated device
 * @mdev: the device
 *
 * Return: the device given to mdev_register_device(), valid as long as @mdev.
 */
struct device *mdev_parent_dev(struct mdev_device *mdev)
{
	return mdev_parent(mdev)->dev;
}
EXPORT_SYMBOL_GPL(mdev_parent_dev);

/**
 * mdev_from_dev - the mediated device that a struct device belongs to
 * @dev: any device
 *
 * Return: the mediated device, or NULL if @dev belongs to none.
 */
struct mdev_device *mdev_from_dev(struct device *dev)
{
	return dev->bus == &mdev_bus_type ? to_mdev_device(dev) : NULL;
}
EXPORT_SYMBOL_GPL(mdev_from_dev);

/**
 * mdev_set_iommu_device - name the device whose IOMMU isolates a mediated one
 * @dev: a mediated device's struct device
 * @iommu_device: a physical device, or NULL
 *
 * Linux 5.10 attached @iommu_device to the IOMMU domain of the holder's
 * container. The kernels that this runs on cannot do that any more. The device
 * is only kept for mdev_get_iommu_device(), and the log says so.
 *
 * Return: 0.
 */
int mdev_set_iommu_device(struct device *dev, struct device *iommu_device)
{
	if (iommu_device)
		dev_warn_once(dev, "the parent driver names an IOMMU device (%s), for which VFIO no longer maps guest memory: the driver has to pin guest memory itself\n",
			      dev_name(iommu_device));
	to_mdev_device(dev)->iommu_device = iommu_device;
	return 0;
}
EXPORT_SYMBOL_GPL(mdev_set_iommu_device);

/**
 * mdev_get_iommu_device - get the device that mdev_set_iommu_device() has set
 * @dev: a mediated device's struct device
 *
 * Return: the device, or NULL.
 */
struct device *mdev_get_iommu_device(struct device *dev)
{
	return to_mdev_device(dev)->iommu_device;
}
EXPORT_SYMBOL_GPL(mdev_get_iommu_device);

int mdev_device_init(void)
{
	return rhashtable_init(&mdev_uuids, &mdev_uuids_params);
}

void mdev_device_exit(void)
{
	rhashtable_destroy(&mdev_uuids);
}
