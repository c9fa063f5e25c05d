/* SPDX-License-Identifier: GPL-2.0-only */
/* The VFIO device of a mediated device */
#ifndef _MDEV_VFIO_H
#define _MDEV_VFIO_H

#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/vfio.h>

#include "mdev_device.h"
#include "mdev_dma.h"
#include "mdev_gate.h"
#include "mdev_holder.h"
#include "mdev_migration.h"

/**
 * struct mdev_use - the data that exists while a device is open
 * @refs: that of the open, and one of each system call that unmaps, or asks for
 *	the migration state
 * @vmdev: the VFIO device
 * @dma: guest memory, see mdev_dma.h
 * @holder: see struct mdev_holder
 * @irqs_lock: makes VFIO_DEVICE_SET_IRQS of a described device one at a time;
 *	held around its driver's changed and mask. No thread that has it waits
 *	for the holder
 * @migrating: see mdev_migration.h
 * @open_node: in the list of open devices that can be revoked, under
 *	mdev_owners_lock
 * @closer: the thread that is in the release callback, or NULL
 * @revoker: the thread that is in the revoke callback, or NULL
 * @cut_short: the release callback was told that the device was revoked, and
 *	has not done its work; only @closer uses it
 * @rcu: frees it, when mdev_wait_end() has looked at it
 */
struct mdev_use {
	refcount_t refs;
	struct mdev_vfio *vmdev;
	struct mdev_dma dma;
	struct mdev_holder holder;
	struct mutex irqs_lock; /* SET_IRQS: see above */
	struct mdev_migrating migrating;
	struct list_head open_node;
	struct task_struct *closer;
	struct task_struct *revoker;
	bool cut_short;
	struct rcu_head rcu;
};

/**
 * struct mdev_vfio - the VFIO device of a mediated device
 * @vdev: VFIO's part; its last reference frees this
 * @mdev: a reference to its struct device is held until the shell's thread is
 *	done with this
 * @ops: the parent driver's callbacks, valid inside the gate
 * @gate: see mdev_gate.h
 * @use: from the begin of open to the end of close, else NULL; written under
 *	mdev->lock, read under it, or in a call of the holder's
 * @mappings: mappings that the kernel cannot take away; negative when there
 *	may be no more of them
 * @settled: it may be opened; see mdev_vfio_probe()
 * @closing: a thread closes the gate, or has; set once, under mdev->lock
 * @owner_held: the open holds a reference to the parent driver's module; under
 *	mdev_owners_lock
 * @pins: the parent driver can pin guest memory; constant
 */
struct mdev_vfio {
	struct vfio_device vdev;
	struct mdev_device *mdev;
	const struct mdev_parent_ops *ops;
	struct mdev_gate gate;
	struct mdev_use *use;
	atomic_t mappings;
	bool settled;
	bool closing;
	bool owner_held;
	bool pins;
};

static inline struct mdev_vfio *to_mdev_vfio(struct vfio_device *vdev)
{
	return container_of(vdev, struct mdev_vfio, vdev);
}

static inline void mdev_use_free(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct mdev_use, rcu));
}

/* For a thread that is in no call of the holder's; NULL if it is not open */
static inline struct mdev_use *mdev_use_get(const struct mdev_vfio *vmdev)
{
	struct mdev_use *use;

	mutex_lock(&vmdev->mdev->lock);
	use = vmdev->use;
	if (use)
		refcount_inc(&use->refs);
	mutex_unlock(&vmdev->mdev->lock);
	return use;
}

static inline void mdev_use_put(struct mdev_use *use)
{
	if (!refcount_dec_and_test(&use->refs))
		return;
	mdev_dma_free(&use->dma);
	call_rcu(&use->rcu, mdev_use_free);
}

extern struct mdev_driver mdev_vfio_driver;

#endif /* _MDEV_VFIO_H */
