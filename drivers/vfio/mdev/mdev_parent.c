// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parents of mediated devices: registered, drained, unregistered.
 *
 * Documentation/driver-api/mdev.rst has the locks and references.
 */
#include <linux/device.h>
#include <linux/export.h>
#include <linux/freezer.h>
#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <uapi/linux/vfio_mdev.h>

#include "compat.h"
#include "mdev_device.h"
#include "mdev_main.h"
#include "mdev_migration.h"
#include "mdev_request.h"
#include "mdev_revoke.h"
#include "mdev_sysfs.h"
#include "mdev_type.h"

/* The registered parents by their device, under mdev_parents_lock */
static DEFINE_HASHTABLE(mdev_parents, 6);
static DEFINE_MUTEX(mdev_parents_lock);

/* /sys/class/mdev_bus, with a link for each parent */
static struct class_compat *mdev_parent_class;

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

/* Tear the device down if it is free. All devices are being evicted */
static int mdev_reap_child(struct device *dev, void *data)
{
	struct mdev_device *mdev = mdev_of_parent(dev, data);

	if (mdev && !mdev_claim(mdev, MDEV_EV_CLAIM))
		mdev_device_teardown(mdev);
	return 0;
}

/* There is no time left: revoke the device if it is in use, and tear it down */
static int mdev_revoke_child(struct device *dev, void *data)
{
	struct mdev_device *mdev = mdev_of_parent(dev, data);

	if (mdev && !mdev_revoke(mdev, true))
		mdev_device_teardown(mdev);
	return 0;
}

/* No more mdevs of @parent */
static void mdev_parent_close(struct mdev_parent *parent)
{
	mutex_lock(&parent->lock);
	if (!parent->closing) {
		WRITE_ONCE(parent->closing, true);
		parent->since = get_jiffies_64();
	}
	mutex_unlock(&parent->lock);
}

/* Ask the holders of @parent's mdevs; no other process may open these */
static void mdev_parent_evict(struct mdev_parent *parent)
{
	mutex_lock(&parent->lock);
	device_for_each_child(parent->dev, parent, mdev_evict_child);
	mutex_unlock(&parent->lock);
}

static bool mdev_parent_is_impatient(const struct mdev_parent *parent)
{
	return READ_ONCE(parent->gone) || !mdev_grace_left(parent->since);
}

/*
 * If the driver core unbinds the parent, it holds the parent's lock. Suspend
 * would wait for this lock, so the thread must not be frozen. If the parent is
 * only unregistered, as by the unload of its driver, the thread can be frozen.
 */
static unsigned int mdev_parent_wait_state(struct mdev_parent *parent)
{
	return mutex_is_locked(&parent->dev->mutex) ?
	       TASK_IDLE : TASK_IDLE | TASK_FREEZABLE;
}

/* Wait for a change since @changes, or until the time of the holders ends */
static void mdev_parent_wait(struct mdev_parent *parent, int changes,
			     int grace_changes)
{
	long timeout = mdev_grace_left(parent->since);

	/* Look again at those that could not be revoked */
	if (mdev_parent_is_impatient(parent))
		timeout = HZ;
	mdev_wait_timeout(atomic_read(&parent->changes) != changes ||
			  mdev_grace_changes() != grace_changes,
			  mdev_parent_wait_state(parent), timeout);
}

/* Tear down the mdevs that are free, or can be revoked now */
static void mdev_parent_reap(struct mdev_parent *parent)
{
	if (mdev_parent_is_impatient(parent))
		device_for_each_child(parent->dev, parent, mdev_revoke_child);
	mdev_parent_evict(parent);
	device_for_each_child(parent->dev, parent, mdev_reap_child);
}

/*
 * Remove all mdevs of @parent. Ask all holders first, then tear down each mdev
 * when it is free. When the holders' time is over (at once, if the parent is
 * gone), revoke the others. A thread that is creating or removing an mdev ends
 * by itself; wait for it.
 */
static void mdev_parent_drain(struct mdev_parent *parent)
{
	int changes, grace_changes;
	bool told = false;

	mdev_parent_close(parent);
	for (;;) {
		changes = atomic_read_acquire(&parent->changes);
		grace_changes = mdev_grace_changes();
		mdev_parent_reap(parent);
		if (!atomic_read_acquire(&parent->nr_mdevs))
			break;
		if (!told && mdev_grace() && parent->ops->revoke)
			dev_notice(parent->dev, "waiting for mediated devices to be released; revoking them after %llu s\n",
				   mdev_grace());
		told = true;
		mdev_parent_wait(parent, changes, grace_changes);
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

/* The name of what the driver must have and has not, or NULL */
static const char *mdev_ops_missing(const struct mdev_parent_ops *ops)
{
	if (!ops)
		return "callbacks";
	if (!ops->create)
		return "create callback";
	if (!ops->remove)
		return "remove callback";
	if (!ops->supported_type_groups || !ops->supported_type_groups[0])
		return "supported types";
	return ops->migration ? mdev_migration_fault(ops->migration) : NULL;
}

/*
 * Warn if the driver lacks a callback that an administrator will miss. A driver
 * of the kernel's own interface has none of these: the log has lines for each
 * of its devices instead.
 */
static void mdev_parent_check(struct mdev_parent *parent)
{
	const char *driver = module_name(parent->ops->owner);

	if (parent->driver)
		return;
	/* Without an ioctl callback, devices are described; see mdev_describe() */
	if (!parent->ops->request && parent->ops->ioctl)
		dev_warn(parent->dev, "parent driver %s has no request callback: holders of its mediated devices cannot be asked to release them\n",
			 driver);
	if (!parent->ops->revoke)
		dev_warn(parent->dev, "parent driver %s has no revoke callback: its mediated devices cannot be revoked\n",
			 driver);
}

/**
 * mdev_parent_register - make a device a parent of mediated devices
 * @dev: the device; a reference is held until mdev_parent_unregister()
 * @ops: the parent driver's callbacks; they may be called before this returns
 * @driver: the driver of its mediated devices, or NULL; see struct mdev_parent
 *
 * Return: 0; -EEXIST if @dev is a parent already; or another negative errno.
 */
int mdev_parent_register(struct device *dev, const struct mdev_parent_ops *ops,
			 struct device_driver *driver)
{
	struct mdev_parent *parent;
	int ret;

	parent = kzalloc(sizeof(*parent), GFP_KERNEL);
	if (!parent)
		return -ENOMEM;

	kref_init(&parent->kref);
	mutex_init(&parent->lock);
	INIT_LIST_HEAD(&parent->type_list);
	parent->dev = get_device(dev);
	parent->ops = ops;
	parent->driver = driver;

	ret = mdev_parent_insert(parent);
	if (ret)
		goto put_parent;

	ret = sysfs_create_groups(&dev->kobj, ops->dev_attr_groups);
	if (ret)
		goto delete_parent;

	ret = class_compat_create_link(mdev_parent_class, dev);
	if (ret)
		goto remove_groups;

	/* Once a type is in sysfs, mdevs of it can be created */
	ret = mdev_types_add(parent, &mdev_type_attr_create.attr);
	if (ret)
		goto remove_types;

	mdev_parent_check(parent);
	mdev_parent_event(parent, MDEV_UEVENT_REGISTERED);
	return 0;

remove_types:
	mdev_parent_drain(parent);
	mdev_types_remove(parent);
	class_compat_remove_link(mdev_parent_class, dev);
remove_groups:
	sysfs_remove_groups(&dev->kobj, ops->dev_attr_groups);
delete_parent:
	mdev_parent_delete(parent);
put_parent:
	put_device(dev);
	mdev_parent_put(parent);
	return ret;
}

/**
 * mdev_register_device - make a device a parent of mediated devices
 * @dev: the device; a reference is held until mdev_unregister_device()
 * @ops: the parent driver's callbacks; they may be called before this returns
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL if a mandatory callback or every type is missing;
 * -EEXIST if @dev is a parent already; or another negative errno.
 */
int mdev_register_device(struct device *dev, const struct mdev_parent_ops *ops)
{
	const char *missing = mdev_ops_missing(ops);

	if (!dev)
		return -EINVAL;
	if (missing) {
		dev_err(dev, "parent driver %s cannot register: it has no %s\n",
			ops ? module_name(ops->owner) : "(unknown)", missing);
		return -EINVAL;
	}
	return mdev_parent_register(dev, ops, NULL);
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
 * From now on no mediated device of the parent can be created or opened. The
 * holders are asked to release theirs, and their time starts. A driver that
 * unregisters several parents calls this for all of them first, so that their
 * holders share this time. mdev_unregister_device() has to follow.
 *
 * Context: process context, may sleep; does not wait for holders.
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
 * mdev_parent_gone - tell that a parent's hardware is gone
 * @dev: the parent device
 *
 * Its mediated devices are useless. mdev_unregister_device() has to follow, or
 * is under way: it asks the holders once, and revokes the devices at once.
 *
 * Context: process context, may sleep; does not wait for holders.
 */
void mdev_parent_gone(struct device *dev)
{
	struct mdev_parent *parent = mdev_parent_get_by_dev(dev);

	if (!parent)
		return;
	WRITE_ONCE(parent->gone, true);
	mdev_parent_wake(parent);
	mdev_parent_put(parent);
}
EXPORT_SYMBOL_GPL(mdev_parent_gone);

/**
 * mdev_parent_unregister - undo mdev_parent_register()
 * @dev: the parent device
 *
 * Return: the callbacks with which it was registered; they are not called any
 * more. NULL if it was not registered.
 */
const struct mdev_parent_ops *mdev_parent_unregister(struct device *dev)
{
	struct mdev_parent *parent = mdev_parent_get_by_dev(dev);
	const struct mdev_parent_ops *ops;

	if (!parent)
		return NULL;
	ops = parent->ops;

	mdev_parent_drain(parent);
	mdev_types_remove(parent);
	class_compat_remove_link(mdev_parent_class, dev);
	sysfs_remove_groups(&dev->kobj, ops->dev_attr_groups);
	mdev_parent_event(parent, MDEV_UEVENT_UNREGISTERED);
	mdev_parent_delete(parent);
	/*
	 * Pair with get_device() and kref_init() in mdev_parent_register(). A
	 * type or an mdev may outlive the parent driver if there is still a
	 * reference to it. It keeps @parent, but not @dev, which may be part of
	 * that driver.
	 */
	put_device(dev);
	mdev_parent_put(parent);
	/* Pairs with mdev_parent_get_by_dev() */
	mdev_parent_put(parent);
	return ops;
}

/**
 * mdev_unregister_device - undo mdev_register_device()
 * @dev: the parent device
 *
 * Removes all mediated devices of the parent. Asks all holders before it waits
 * for one. A device that is not in use is removed at once, the others when they
 * are released. The module parameter "revoke_after" is the time for that;
 * devices that are not released in time are revoked. No callback is called any
 * more when this returns.
 *
 * Context: process context. Waits for holders: without a limit if the driver
 * has no revoke callback, or that time is 0.
 */
void mdev_unregister_device(struct device *dev)
{
	mdev_parent_unregister(dev);
}
EXPORT_SYMBOL_GPL(mdev_unregister_device);

int mdev_parent_init(void)
{
	mdev_parent_class = class_compat_register("mdev_bus");
	return mdev_parent_class ? 0 : -ENOMEM;
}

void mdev_parent_exit(void)
{
	class_compat_unregister(mdev_parent_class);
}
