/* SPDX-License-Identifier: GPL-2.0-only */
/* Parents of mediated devices, and their types */
#ifndef _MDEV_PARENT_H
#define _MDEV_PARENT_H

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mdev.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/wait.h>

/**
 * struct mdev_parent - a registered parent device
 * @kref: one for the registration, one for each type and each mdev
 * @dev: the parent device; a reference is held, and the pointer may be used,
 *	until the unregistration returns
 * @ops: the parent driver's callbacks, valid until the unregistration returns
 * @driver: if it is a parent of the kernel's own interface, the one driver of
 *	its mdevs, else NULL; see mdev_kernel.c
 * @types: the kset "mdev_supported_types"
 * @type_list: the types, in the order of their groups; only the registering
 *	and the unregistering thread use it
 * @node: in the table of parents, under mdev_parents_lock
 * @lock: protects @closing, @since and the mdevs' @evicted, and taking a place
 *	in @nr_mdevs against @closing
 * @closing: unregistration has begun: no more mdevs
 * @gone: the device is unplugged: no holder is given time; read without @lock
 * @since: when the unregistration began, in jiffies
 * @nr_mdevs: mdevs that exist or are being created or torn down, and gates that
 *	hold a place: see struct mdev_gate
 * @changes: counts what a thread may wait for: a release, a death, a creation
 *	that ended
 */
struct mdev_parent {
	struct kref kref;
	struct device *dev;
	const struct mdev_parent_ops *ops;
	struct device_driver *driver;
	struct kset *types;
	struct list_head type_list;
	struct hlist_node node;
	struct mutex lock; /* the next three, and more: see above */
	bool closing;
	bool gone;
	u64 since;
	atomic_t nr_mdevs;
	atomic_t changes;
};

/**
 * struct mdev_type - a supported type of a parent
 * @kobj: its folder; the last reference frees it
 * @devices: the folder of links to its mdevs
 * @parent: a reference is held until @kobj goes
 * @group: its name and attributes, valid until the parent is unregistered
 * @node: in the parent's type_list
 */
struct mdev_type {
	struct kobject kobj;
	struct kobject *devices;
	struct mdev_parent *parent;
	const struct attribute_group *group;
	struct list_head node;
};

#define to_mdev_type(k) container_of(k, struct mdev_type, kobj)

static inline void mdev_parent_get(struct mdev_parent *parent)
{
	kref_get(&parent->kref);
}

static inline void mdev_parent_release(struct kref *kref)
{
	struct mdev_parent *parent =
		container_of(kref, struct mdev_parent, kref);

	mutex_destroy(&parent->lock);
	kfree(parent);
}

static inline void mdev_parent_put(struct mdev_parent *parent)
{
	kref_put(&parent->kref, mdev_parent_release);
}

int mdev_parent_register(struct device *dev, const struct mdev_parent_ops *ops,
			 struct device_driver *driver);
const struct mdev_parent_ops *mdev_parent_unregister(struct device *dev);

/* Threads that wait for a device, for all of a parent, or for the time they have */
extern wait_queue_head_t mdev_wait_queue;

/* Wake the threads that wait for one of the changes that @changes counts */
static inline void mdev_parent_wake(struct mdev_parent *parent)
{
	/* A thread that sees the count sees the change, too */
	atomic_inc_return_release(&parent->changes);
	wake_up_all(&mdev_wait_queue);
}

/* A place for one more mdev, unless the parent is being unregistered */
static inline bool mdev_parent_place_get(struct mdev_parent *parent)
{
	bool open;

	mutex_lock(&parent->lock);
	open = !parent->closing;
	if (open)
		atomic_inc(&parent->nr_mdevs);
	mutex_unlock(&parent->lock);
	return open;
}

static inline void mdev_parent_place_put(struct mdev_parent *parent)
{
	/* A thread that sees the mdev gone sees all earlier changes of it */
	atomic_dec_return_release(&parent->nr_mdevs);
	mdev_parent_wake(parent);
}

#endif /* _MDEV_PARENT_H */
