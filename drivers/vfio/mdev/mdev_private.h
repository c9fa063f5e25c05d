/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mediated devices: what the files of mdev.ko share.
 *
 * An mdev's life, and who moves it on:
 *
 *	NEW <---> LIVE ----> GOING
 *	   probe      claim
 *
 * NEW is the creator's alone. vfio_mdev's first probe makes it LIVE, when
 * nothing can fail any more but the registration with VFIO itself; where that
 * fails, it is NEW again. mdev_claim() and mdev_revoke() take it to GOING, for
 * exactly one caller, who then owns the teardown.
 *
 * An mdev's use, which only vfio_mdev's open and close move, and a revocation:
 *
 *	FREE ----> OPENING ----> HELD ----> CLOSING ----> FREE
 *	                          |           |
 *	                          +-----------+---> REVOKING ---> FREE
 *
 * A request for its release can be pending in each of them; the user is asked
 * in HELD only. The gate that a revocation closes is in vfio_mdev.h.
 */
#ifndef _MDEV_PRIVATE_H
#define _MDEV_PRIVATE_H

#include <linux/device.h>
#include <linux/kref.h>
#include <linux/mdev.h>
#include <linux/mdev_trigger.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/rhashtable.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct vfio_mdev;

/**
 * struct mdev_parent - a registered parent device
 * @kref: one for the registration, one for each type and each mdev
 * @dev: the parent device; a reference is held, and the pointer may be used,
 *	until the unregistration returns
 * @ops: the parent driver's callbacks, valid until the unregistration returns
 * @types: the kset "mdev_supported_types"
 * @type_list: the types, in the order of their groups; only the registering
 *	and the unregistering thread use it
 * @node: in the table of parents, under mdev_parents_lock
 * @lock: protects @closing, @since and the mdevs' @evicted, and taking a place
 *	in @nr_mdevs against @closing
 * @closing: unregistration has begun: no more mdevs
 * @gone: the device is: nobody is given time any more; read without @lock
 * @since: when the unregistration began, in jiffies
 * @nr_mdevs: mdevs that exist or are being created or torn down
 * @changes: counts what a thread on @wait may wait for: a release, a death, a
 *	creation that ended
 * @wait: who waits for an mdev of this parent, or for all
 */
struct mdev_parent {
	struct kref kref;
	struct device *dev;
	const struct mdev_parent_ops *ops;
	struct kset *types;
	struct list_head type_list;
	struct hlist_node node;
	struct mutex lock; /* the next three, and more: see above */
	bool closing;
	bool gone;
	unsigned long since;
	atomic_t nr_mdevs;
	atomic_t changes;
	wait_queue_head_t wait;
};

/**
 * struct mdev_type - a supported type of a parent
 * @kobj: its folder; the last reference frees it
 * @devices: the folder of links to its mdevs
 * @parent: a reference is held until @kobj goes
 * @node: in the parent's type_list
 */
struct mdev_type {
	struct kobject kobj;
	struct kobject *devices;
	struct mdev_parent *parent;
	struct list_head node;
};

enum mdev_life {
	MDEV_NEW,
	MDEV_LIVE,
	MDEV_GOING,
};

enum mdev_use {
	MDEV_FREE,
	MDEV_OPENING,
	MDEV_HELD,
	MDEV_CLOSING,
	MDEV_REVOKING,
};

/**
 * struct mdev_device - a mediated device
 * @dev: its place in the driver model; the last reference frees it
 * @uuid: its name, unique over all parents
 * @node: in the table of UUIDs, from before it is created until after it is
 *	removed
 * @type: a reference to its kobject is held until @dev goes
 * @driver_data: the parent driver's
 * @iommu_device: as told by mdev_set_iommu_device()
 * @vmdev: its VFIO device while vfio_mdev is bound, and then until the shell
 *	that a revocation leaves is gone; else NULL. Under @lock; without it in
 *	the parent driver's calls, which come before that
 * @triggers: the parent driver's triggers, complete before it can be opened
 * @lock: protects all below but where it is said otherwise, and is held around
 *	each call of the parent's request callback, so that none is under way
 *	when @use leaves HELD
 * @life: see above; waited for without @lock
 * @use: see above; waited for without @lock
 * @complete: it was bound once, so its creation is done and other drivers may
 *	bind; only its creator writes it, @lock does not protect it
 * @evicted: the parent's unregistration counts in @evictors; under the
 *	parent's lock
 * @pending: a request is pending: @evictors or @asked_by_hand, in use; read
 *	without @lock after setting a request trigger
 * @trigger_set: a request trigger was set while a request was pending; written
 *	without @lock before @ask is queued for it
 * @removing: a writer of "remove" is waiting
 * @asked_by_hand: a request through sysfs is pending
 * @revoking: the pending request is a revocation's, which nobody can cancel
 * @announce: the next line about the request is due in any case
 * @why_not: the errno that keeps it from being revoked, as the log was told
 * @relayed: the last time the user was asked, there was an eventfd for it
 * @evictors: how many wait for the release and keep new users out; read
 *	without @lock by the early check in vfio_mdev's match
 * @count: how often the pending request has been made; shown without @lock
 * @since: when it was first made, seconds since the Epoch; shown without @lock
 * @next_line: when the next line about the request may be printed, jiffies
 * @holder: the process that opened it; a reference is held while in use
 * @comm: its command, printable
 * @ask: makes the request again while somebody waits, or when @trigger_set
 */
struct mdev_device {
	struct device dev;
	guid_t uuid;
	struct rhash_head node;
	struct mdev_type *type;
	void *driver_data;
	struct device *iommu_device;
	struct vfio_mdev *vmdev;
	struct list_head triggers;
	struct mutex lock; /* most of what follows */
	u8 life;
	u8 use;
	bool complete;
	bool evicted;
	bool pending;
	bool trigger_set;
	bool removing:1;
	bool asked_by_hand:1;
	bool revoking:1;
	bool announce:1;
	bool relayed:1;
	u8 why_not;
	unsigned int evictors;
	unsigned int count;
	time64_t since;
	unsigned long next_line;
	struct pid *holder;
	char comm[TASK_COMM_LEN];
	struct delayed_work ask;
};

#define to_mdev_device(d) container_of(d, struct mdev_device, dev)
#define to_mdev_type(k) container_of(k, struct mdev_type, kobj)

static inline struct mdev_parent *mdev_parent(const struct mdev_device *mdev)
{
	return mdev->type->parent;
}

/* mdev_core.c */
int mdev_create(struct mdev_type *type, const guid_t *uuid);
void mdev_teardown(struct mdev_device *mdev);
void mdev_changed(struct mdev_device *mdev);
void mdev_parent_get(struct mdev_parent *parent);
void mdev_parent_put(struct mdev_parent *parent);

/* mdev_sysfs.c */
extern const struct device_type mdev_device_type;
int mdev_types_add(struct mdev_parent *parent);
void mdev_types_remove(struct mdev_parent *parent);
int mdev_links_add(struct mdev_device *mdev);
void mdev_links_remove(struct mdev_device *mdev);

/* mdev_request.c */
void mdev_use_init(struct mdev_device *mdev);
int mdev_use_begin(struct mdev_device *mdev);
void mdev_use_held(struct mdev_device *mdev);
void mdev_use_closing(struct mdev_device *mdev);
bool mdev_use_is_closing(struct mdev_device *mdev);
void mdev_use_end(struct mdev_device *mdev);
bool mdev_use_revoking(struct mdev_device *mdev);
void mdev_use_revoked(struct mdev_device *mdev);
int mdev_use_show(struct mdev_device *mdev, char *buf);
void mdev_evict_begin(struct mdev_device *mdev);
void mdev_evict_end(struct mdev_device *mdev);
void mdev_live(struct mdev_device *mdev, bool live);
int mdev_may_claim(const struct mdev_device *mdev);
bool mdev_claim(struct mdev_device *mdev, enum mdev_life from);
int mdev_claim_released(struct mdev_device *mdev);
int mdev_request_once(struct mdev_device *mdev);
int mdev_request_cancel(struct mdev_device *mdev);
void mdev_request_trigger_set(struct mdev_device *mdev);
void mdev_request_last(struct mdev_device *mdev);

/* mdev_trigger.c */
void mdev_triggers_drop(struct mdev_device *mdev);
void mdev_triggers_revoke(struct mdev_device *mdev);

/* mdev_revoke.c */
unsigned int mdev_grace(void);
bool mdev_grace_is_over(unsigned long since);
int mdev_revoke(struct mdev_device *mdev, bool claim);
int mdev_revoke_init(void);
void mdev_revoke_exit(void);

/* vfio_mdev.c */
extern struct mdev_driver vfio_mdev_driver;
void vfio_mdev_request(struct mdev_device *mdev, unsigned int count);

#endif /* _MDEV_PRIVATE_H */
