// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mediated devices: the parents, and how devices come and go.
 *
 * Locks, the outer first:
 *	locks of VFIO (its device set, its group)
 *	mdev_parents_lock
 *	mdev_parent.lock
 *	mdev_device.lock
 *	locks that a parent driver takes in its request callback
 *
 * References: a registration holds its parent; a type holds its parent; a
 * device holds its type; the table of UUIDs holds nothing, a device leaves it
 * before it goes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include <uapi/linux/vfio_mdev.h>

#include "compat.h"
#include "mdev_private.h"
#include "mdev_trace.h"

/* The registered parents by their device, under mdev_parents_lock */
static DEFINE_HASHTABLE(mdev_parents, 6);
static DEFINE_MUTEX(mdev_parents_lock);

/* All mdevs by their UUID; the table itself keeps a UUID from coming twice */
static struct rhashtable mdev_uuids;
static const struct rhashtable_params mdev_uuids_params = {
	.key_len = sizeof(guid_t),
	.key_offset = offsetof(struct mdev_device, uuid),
	.head_offset = offsetof(struct mdev_device, node),
	.automatic_shrinking = true,
};

/* /sys/class/mdev_bus, with a link for each parent */
static struct class_compat *mdev_parent_class;

void mdev_parent_get(struct mdev_parent *parent)
{
	kref_get(&parent->kref);
}

static void mdev_parent_release(struct kref *kref)
{
	struct mdev_parent *parent =
		container_of(kref, struct mdev_parent, kref);

	mutex_destroy(&parent->lock);
	kfree(parent);
}

void mdev_parent_put(struct mdev_parent *parent)
{
	kref_put(&parent->kref, mdev_parent_release);
}

/* Something happened that a thread may wait for: see mdev_parent.changes */
static void mdev_parent_changed(struct mdev_parent *parent)
{
	/* What has changed is seen by who sees the count */
	atomic_inc_return_release(&parent->changes);
	wake_up_all(&parent->wait);
}

void mdev_changed(struct mdev_device *mdev)
{
	mdev_parent_changed(mdev_parent(mdev));
}

/* A place for one more mdev, unless the parent is going away */
static bool mdev_place_get(struct mdev_parent *parent)
{
	bool open;

	mutex_lock(&parent->lock);
	open = !parent->closing;
	if (open)
		atomic_inc(&parent->nr_mdevs);
	mutex_unlock(&parent->lock);
	return open;
}

static void mdev_place_put(struct mdev_parent *parent)
{
	/* All that was done to the mdev is seen by who sees it gone */
	atomic_dec_return_release(&parent->nr_mdevs);
	mdev_parent_changed(parent);
}

static void mdev_device_release(struct device *dev)
{
	struct mdev_device *mdev = to_mdev_device(dev);

	/* Pairs with kobject_get() in mdev_alloc() */
	kobject_put(&mdev->type->kobj);
	mutex_destroy(&mdev->lock);
	kfree(mdev);
}

/* On success the caller owns the first reference to the mdev's device */
static struct mdev_device *mdev_alloc(struct mdev_type *type, const guid_t *uuid)
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
	mdev_use_init(mdev);

	device_initialize(&mdev->dev);
	mdev->dev.parent = parent->dev;
	mdev->dev.bus = &mdev_bus_type;
	mdev->dev.type = &mdev_device_type;
	mdev->dev.groups = parent->ops->mdev_attr_groups;
	mdev->dev.release = mdev_device_release;
	/* There is no hardware behind it that could sleep or wake */
	device_set_pm_not_required(&mdev->dev);

	/* In two steps: a name that is no more than "%s" is not formatted twice */
	snprintf(name, sizeof(name), "%pUl", uuid);
	ret = dev_set_name(&mdev->dev, "%s", name);
	if (ret) {
		put_device(&mdev->dev);
		return ERR_PTR(ret);
	}
	return mdev;
}

/* What only the claimant of @mdev may do; gives its first reference back */
void mdev_teardown(struct mdev_device *mdev)
{
	struct mdev_parent *parent = mdev_parent(mdev);
	int ret;

	mdev_links_remove(mdev);
	device_del(&mdev->dev);
	/* No request can be made any more that would queue it again */
	cancel_delayed_work_sync(&mdev->ask);

	ret = parent->ops->remove(mdev);
	if (ret)
		dev_err(&mdev->dev, "parent driver failed to remove it, error %d; what it had is lost\n",
			ret);

	/* The UUID is free again before whoever waits goes on */
	rhashtable_remove_fast(&mdev_uuids, &mdev->node, mdev_uuids_params);
	if (mdev->complete)
		trace_mdev_remove(&mdev->uuid, 0);
	mdev_place_put(parent);
	put_device(&mdev->dev);
}

/*
 * Add @mdev to sysfs. Its folder is complete before user space is told of it;
 * no driver can be bound to it yet.
 */
static int mdev_add(struct mdev_device *mdev)
{
	int ret;

	dev_set_uevent_suppress(&mdev->dev, true);
	ret = device_add(&mdev->dev);
	if (ret)
		return ret;

	ret = mdev_links_add(mdev);
	if (ret) {
		device_del(&mdev->dev);
		return ret;
	}

	dev_set_uevent_suppress(&mdev->dev, false);
	kobject_uevent(&mdev->dev.kobj, KOBJ_ADD);
	return 0;
}

/*
 * Bind @mdev to vfio_mdev, which makes it LIVE: others can find it then, and
 * remove it. One that fails to bind is torn down, by whoever claims it first.
 */
static int mdev_bind(struct mdev_device *mdev)
{
	int ret;

	get_device(&mdev->dev);
	ret = device_driver_attach(&vfio_mdev_driver.driver, &mdev->dev);
	if (!ret) {
		WRITE_ONCE(mdev->complete, true);
		mdev_changed(mdev);
	} else if (mdev_claim(mdev, MDEV_NEW)) {
		mdev_teardown(mdev);
	}
	put_device(&mdev->dev);
	return ret;
}

static const char *mdev_create_error(int ret)
{
	switch (ret) {
	case -EEXIST:
		return "the UUID is in use";
	case -ENODEV:
		return "the parent is going away";
	case -ENOSPC:
		return "no instance is left";
	case -ENOMEM:
		return "out of memory";
	default:
		return "it failed";
	}
}

/**
 * mdev_create - create a mediated device
 * @type: its type
 * @uuid: its name
 *
 * Return: 0; -ENODEV while the parent is going away; -EEXIST where a mediated
 * device has that UUID; or what the parent driver says.
 */
int mdev_create(struct mdev_type *type, const guid_t *uuid)
{
	struct mdev_parent *parent = type->parent;
	struct mdev_device *mdev;
	int ret;

	if (!mdev_place_get(parent)) {
		ret = -ENODEV;
		goto out;
	}

	mdev = mdev_alloc(type, uuid);
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
	mdev_place_put(parent);
out:
	trace_mdev_create(uuid, ret);
	if (ret)
		dev_warn_ratelimited(parent->dev, "%s: mediated device %pUl not created: %s (error %d)\n",
				     kobject_name(&type->kobj), uuid,
				     mdev_create_error(ret), ret);
	return ret;
}

/* For device_for_each_child(): is @dev one of @parent's mdevs? */
static struct mdev_device *mdev_of_parent(struct device *dev,
					  struct mdev_parent *parent)
{
	struct mdev_device *mdev = mdev_from_dev(dev);

	return mdev && mdev_parent(mdev) == parent ? mdev : NULL;
}

static int mdev_evict_child(struct device *dev, void *data)
{
	struct mdev_device *mdev = mdev_of_parent(dev, data);

	if (mdev && !mdev->evicted) {
		mdev->evicted = true;
		mdev_evict_begin(mdev);
	}
	return 0;
}

/* Take what is free. All of them are being evicted */
static int mdev_reap_child(struct device *dev, void *data)
{
	struct mdev_device *mdev = mdev_of_parent(dev, data);

	if (mdev && mdev_claim(mdev, MDEV_LIVE))
		mdev_teardown(mdev);
	return 0;
}

/* There is no time left: take what is in use as well, if that can be */
static int mdev_revoke_child(struct device *dev, void *data)
{
	struct mdev_device *mdev = mdev_of_parent(dev, data);

	if (mdev && !mdev_revoke(mdev, true))
		mdev_teardown(mdev);
	return 0;
}

/* No more mdevs of @parent */
static void mdev_parent_close(struct mdev_parent *parent)
{
	mutex_lock(&parent->lock);
	if (!parent->closing) {
		parent->closing = true;
		parent->since = jiffies;
	}
	mutex_unlock(&parent->lock);
}

/* Ask the users of those that are there; no others may open them */
static void mdev_parent_evict(struct mdev_parent *parent)
{
	mutex_lock(&parent->lock);
	device_for_each_child(parent->dev, parent, mdev_evict_child);
	mutex_unlock(&parent->lock);
}

static bool mdev_parent_is_impatient(const struct mdev_parent *parent)
{
	return READ_ONCE(parent->gone) || mdev_grace_is_over(parent->since);
}

/*
 * Remove all mdevs of @parent: ask all users first, then take what is free, as
 * it becomes free, and when the users' time is over (at once, where the parent
 * is gone) take the rest. Who else is in the middle of creating or removing one
 * comes to an end by itself, and is waited for. The time that is given may be
 * changed meanwhile: look once a second.
 */
static void mdev_parent_empty(struct mdev_parent *parent)
{
	bool told = false;
	int changes;

	mdev_parent_close(parent);
	for (;;) {
		changes = atomic_read_acquire(&parent->changes);
		if (mdev_parent_is_impatient(parent))
			device_for_each_child(parent->dev, parent,
					      mdev_revoke_child);
		mdev_parent_evict(parent);
		device_for_each_child(parent->dev, parent, mdev_reap_child);
		if (!atomic_read_acquire(&parent->nr_mdevs))
			break;
		if (!told && mdev_grace())
			dev_notice(parent->dev, "waiting for mediated devices to be released; revoking them after %u s\n",
				   mdev_grace());
		told = true;
		wait_event_idle_timeout(parent->wait,
					atomic_read(&parent->changes) != changes,
					HZ);
	}
}

/* Under mdev_parents_lock */
static struct mdev_parent *mdev_parent_find(struct device *dev)
{
	struct mdev_parent *parent;

	lockdep_assert_held(&mdev_parents_lock);
	hash_for_each_possible(mdev_parents, parent, node, (unsigned long)dev)
		if (parent->dev == dev)
			return parent;
	return NULL;
}

static int mdev_parent_insert(struct mdev_parent *parent)
{
	int ret = 0;

	mutex_lock(&mdev_parents_lock);
	if (mdev_parent_find(parent->dev))
		ret = -EEXIST;
	else
		hash_add(mdev_parents, &parent->node,
			 (unsigned long)parent->dev);
	mutex_unlock(&mdev_parents_lock);
	return ret;
}

static void mdev_parent_delete(struct mdev_parent *parent)
{
	mutex_lock(&mdev_parents_lock);
	hash_del(&parent->node);
	mutex_unlock(&mdev_parents_lock);
}

static void mdev_parent_event(struct mdev_parent *parent, char *event)
{
	kobject_uevent_env(&parent->dev->kobj, KOBJ_CHANGE,
			   (char *[]){ event, NULL });
}

/**
 * mdev_register_device - make a device a parent of mediated devices
 * @dev: the device; a reference is held until mdev_unregister_device()
 * @ops: the parent driver's callbacks; they may be called before this returns
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL where a mandatory callback or every type is missing;
 * -EEXIST where @dev is a parent already; or another negative errno.
 */
int mdev_register_device(struct device *dev, const struct mdev_parent_ops *ops)
{
	struct mdev_parent *parent;
	int ret;

	if (!dev || !ops || !ops->create || !ops->remove ||
	    !ops->supported_type_groups || !ops->supported_type_groups[0])
		return -EINVAL;

	parent = kzalloc(sizeof(*parent), GFP_KERNEL);
	if (!parent)
		return -ENOMEM;

	kref_init(&parent->kref);
	mutex_init(&parent->lock);
	init_waitqueue_head(&parent->wait);
	INIT_LIST_HEAD(&parent->type_list);
	parent->dev = get_device(dev);
	parent->ops = ops;

	ret = mdev_parent_insert(parent);
	if (ret)
		goto put_parent;

	ret = sysfs_create_groups(&dev->kobj, ops->dev_attr_groups);
	if (ret)
		goto delete_parent;

	ret = class_compat_create_link(mdev_parent_class, dev, NULL);
	if (ret)
		goto remove_groups;

	/* As soon as a type is there, so can be its mdevs */
	ret = mdev_types_add(parent);
	if (ret)
		goto remove_types;

	if (!ops->request)
		dev_warn(dev, "the parent driver has no request callback: users of its mediated devices cannot be asked to release them\n");
	mdev_parent_event(parent, MDEV_UEVENT_REGISTERED);
	return 0;

remove_types:
	mdev_parent_empty(parent);
	mdev_types_remove(parent);
	class_compat_remove_link(mdev_parent_class, dev, NULL);
remove_groups:
	sysfs_remove_groups(&dev->kobj, ops->dev_attr_groups);
delete_parent:
	mdev_parent_delete(parent);
put_parent:
	put_device(dev);
	mdev_parent_put(parent);
	return ret;
}
EXPORT_SYMBOL_GPL(mdev_register_device);

/* A reference to the parent that @dev is, or NULL */
static struct mdev_parent *mdev_parent_get_by_dev(struct device *dev)
{
	struct mdev_parent *parent;

	mutex_lock(&mdev_parents_lock);
	parent = mdev_parent_find(dev);
	if (parent)
		mdev_parent_get(parent);
	mutex_unlock(&mdev_parents_lock);
	return parent;
}

/**
 * mdev_unregister_begin - begin to unregister a parent
 * @dev: the parent device
 *
 * From now on no mediated device of the parent can be created or opened, the
 * users are asked to release theirs, and the time that they are given runs:
 * a driver that unregisters several parents calls this for all of them first,
 * so that they share it. mdev_unregister_device() has to follow.
 *
 * Context: process context, may sleep; does not wait for users.
 */
void mdev_unregister_begin(struct device *dev)
{
	struct mdev_parent *parent = mdev_parent_get_by_dev(dev);

	if (!parent)
		return;
	mdev_parent_close(parent);
	mdev_parent_evict(parent);
	mdev_parent_put(parent);
}
EXPORT_SYMBOL_GPL(mdev_unregister_begin);

/**
 * mdev_parent_gone - tell that there is nothing behind a parent any more
 * @dev: the parent device
 *
 * Its mediated devices are of no use to anybody. mdev_unregister_device(),
 * which has to follow or is under way, asks the users once and revokes the
 * devices at once.
 *
 * Context: process context, may sleep; does not wait for users.
 */
void mdev_parent_gone(struct device *dev)
{
	struct mdev_parent *parent = mdev_parent_get_by_dev(dev);

	if (!parent)
		return;
	WRITE_ONCE(parent->gone, true);
	mdev_parent_changed(parent);
	mdev_parent_put(parent);
}
EXPORT_SYMBOL_GPL(mdev_parent_gone);

/**
 * mdev_unregister_device - undo mdev_register_device()
 * @dev: the parent device
 *
 * Removes all mediated devices of the parent. The users of all of them are
 * asked to release them before any is waited for; those that are released, or
 * were not in use, go at once; those that are not released in the time that
 * the module parameter "revoke_after" gives are revoked. No callback is called
 * any more when this returns.
 *
 * Context: process context. Waits for users that hold on: without a limit where
 * @revoke is missing, or that time is 0.
 */
void mdev_unregister_device(struct device *dev)
{
	struct mdev_parent *parent = mdev_parent_get_by_dev(dev);

	if (!parent)
		return;

	mdev_parent_empty(parent);
	mdev_types_remove(parent);
	class_compat_remove_link(mdev_parent_class, dev, NULL);
	sysfs_remove_groups(&dev->kobj, parent->ops->dev_attr_groups);
	mdev_parent_event(parent, MDEV_UEVENT_UNREGISTERED);
	mdev_parent_delete(parent);
	/*
	 * Pair with get_device() and kref_init() in mdev_register_device(). A
	 * type or an mdev that somebody still refers to may outlive the parent
	 * driver, which @dev may be part of: it keeps @parent, but not @dev.
	 */
	put_device(dev);
	mdev_parent_put(parent);
	/* Pairs with mdev_parent_get_by_dev() */
	mdev_parent_put(parent);
}
EXPORT_SYMBOL_GPL(mdev_unregister_device);

/**
 * mdev_get_drvdata - the parent driver's pointer for a mediated device
 * @mdev: the device
 *
 * Return: what mdev_set_drvdata() set, at first NULL.
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
 * Return: the mediated device, or NULL where @dev is none's.
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
 * Linux 5.10 attached @iommu_device to the IOMMU domain of the user's
 * container. No kernel that this runs on can do so any more: the device is only
 * remembered for mdev_get_iommu_device(), and the log says so.
 *
 * Return: 0.
 */
int mdev_set_iommu_device(struct device *dev, struct device *iommu_device)
{
	if (iommu_device)
		dev_warn_once(dev, "VFIO does not map guest memory for an IOMMU device (%s) any more; pin it through the mediated device\n",
			      dev_name(iommu_device));
	to_mdev_device(dev)->iommu_device = iommu_device;
	return 0;
}
EXPORT_SYMBOL_GPL(mdev_set_iommu_device);

/**
 * mdev_get_iommu_device - what mdev_set_iommu_device() named
 * @dev: a mediated device's struct device
 *
 * Return: the device, or NULL.
 */
struct device *mdev_get_iommu_device(struct device *dev)
{
	return to_mdev_device(dev)->iommu_device;
}
EXPORT_SYMBOL_GPL(mdev_get_iommu_device);

/*
 * Two frameworks can't share the bus. The module loader keeps out a second
 * module of this name or with these symbols; this is for one that has neither.
 */
static bool mdev_bus_is_taken(void)
{
	struct path path;

	if (kern_path("/sys/bus/mdev", 0, &path))
		return false;
	path_put(&path);
	return true;
}

static int __init mdev_init(void)
{
	int ret;

	if (mdev_bus_is_taken()) {
		pr_err("another mdev framework is loaded, which has the bus \"mdev\": unload it first\n");
		return -EEXIST;
	}

	ret = mdev_revoke_init();
	if (ret)
		return ret;

	ret = rhashtable_init(&mdev_uuids, &mdev_uuids_params);
	if (ret)
		goto exit_revoke;

	ret = bus_register(&mdev_bus_type);
	if (ret)
		goto destroy_uuids;

	mdev_parent_class = class_compat_register("mdev_bus");
	if (!mdev_parent_class) {
		ret = -ENOMEM;
		goto unregister_bus;
	}

	ret = mdev_register_driver(&vfio_mdev_driver, THIS_MODULE);
	if (ret)
		goto unregister_class;
	return 0;

unregister_class:
	class_compat_unregister(mdev_parent_class);
unregister_bus:
	bus_unregister(&mdev_bus_type);
destroy_uuids:
	rhashtable_destroy(&mdev_uuids);
exit_revoke:
	mdev_revoke_exit();
	return ret;
}

/* The parents' modules use this one: by now they and their mdevs are gone */
static void __exit mdev_exit(void)
{
	mdev_unregister_driver(&vfio_mdev_driver);
	class_compat_unregister(mdev_parent_class);
	bus_unregister(&mdev_bus_type);
	rhashtable_destroy(&mdev_uuids);
	mdev_revoke_exit();
	/* Eventfds that were dropped last are put by code of this module */
	rcu_barrier();
	/* So may be the way out of the last write to "remove": see there */
	synchronize_rcu_tasks();
}

module_init(mdev_init)
module_exit(mdev_exit)

MODULE_DESCRIPTION("Mediated devices whose users can be asked to release them");
MODULE_LICENSE("GPL");
MODULE_VERSION(MDEV_VERSION);
MODULE_ALIAS("vfio_mdev");
