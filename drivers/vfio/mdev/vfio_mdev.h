/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VFIO device of a mediated device, and the gate between VFIO and the
 * parent driver.
 *
 * Each call of the parent driver on behalf of the user is inside the gate from
 * its begin to its end. A revocation closes the gate, for good, and waits until
 * nobody is inside; from then on the parent driver owes the user nothing, and
 * the VFIO device is a shell:
 *
 *	open ----------> closing ---------> closed ----------> freed
 *	     revocation           the last          the last descriptor
 *	     begins               call left         was closed
 *
 * A call inside never waits for user space: reads, writes and ioctls are made
 * with page faults disabled, and once more when the memory has been brought in,
 * from outside; what has to wait all the same goes outside for that time, by
 * mdev_wait_begin() and mdev_wait_end().
 */
#ifndef _VFIO_MDEV_H
#define _VFIO_MDEV_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/instruction_pointer.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/refcount.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "mdev_private.h"

/* In the gate's counter: calls inside in the lower half, those that are outside
 * and will come back in the upper one, and the sign when it is closed
 */
#define GATE_OUTSIDE	0x100000000LL
#define GATE_CLOSED	S64_MIN

/**
 * struct vfio_mdev - the VFIO device of a mediated device
 * @vdev: VFIO's part; its last reference frees this
 * @mdev: while @vdev is registered or this is a shell, a reference to its
 *	struct device is held
 * @ops: the parent driver's callbacks, valid inside the gate
 * @gate: see above
 * @gate_map: makes the gate a lock, in lockdep's eyes
 * @shell: there from the begin of a revocation on; set under mdev->lock and
 *	before the gate is closed
 * @group_file: the user's file of VFIO's group, while open or a shell, or NULL;
 *	a reference is held: see mdev_shell_outlive_group()
 * @unmap: what the dma_unmap callback that is under way, or was, gave back and is
 *	not unpinned yet; NULL when there is nothing. Another thread's is looked
 *	into, and let go of, under mdev_unmap_lock
 * @mappings: mappings that the kernel cannot take away; negative when there
 *	may be no more of them
 * @revocable: the parent driver can revoke; constant
 * @settled: it may be opened; see vfio_mdev_probe()
 * @owner_held: the open holds a reference to the parent driver's module; only
 *	open, close and revocation use it, which come one after the other
 */
struct vfio_mdev {
	struct vfio_device vdev;
	struct mdev_device *mdev;
	const struct mdev_parent_ops *ops;
	atomic64_t gate;
	struct lockdep_map gate_map;
	struct mdev_shell *shell;
	struct file *group_file;
	struct mdev_unmap *unmap;
	atomic_t mappings;
	bool revocable;
	bool settled;
	bool owner_held;
};

/**
 * struct mdev_shell - what is left of a VFIO device that was revoked
 * @refs: the revocation's, until the removal has left @vmdev to a thread or
 *	@work, and that of the latter
 * @vmdev: the VFIO device; this goes before it does
 * @owner: the parent driver's module
 * @owner_held: a reference to it is, for calls that have gone outside; put by
 *	whoever is the last to leave the gate
 * @drained: nobody was inside after the gate was closed
 * @quiet: who waits until nobody is inside or outside
 * @revoker: the thread that is in the revoke callback
 * @unpins: pages that the revoke callback gave back, to be unpinned; the
 *	revoker adds to it, then @unpin_work takes over
 * @unpin_work: unpins them; VFIO may let it wait for user space
 * @unpinned: done with that, and with the revoke callback; the last close
 *	waits for it, since VFIO unpins for open devices only
 * @work: unregisters the VFIO device, waits for its last descriptor, frees this,
 *	where there is no thread that does
 * @was_held: it was revoked from a user
 * @off_sysfs: the VFIO device has left sysfs, and cannot be found by its name
 */
struct mdev_shell {
	refcount_t refs;
	struct vfio_mdev *vmdev;
	struct module *owner;
	atomic_t owner_held;
	struct completion drained;
	wait_queue_head_t quiet;
	struct task_struct *revoker;
	struct list_head unpins;
	struct work_struct unpin_work;
	struct completion unpinned;
	bool was_held;
	struct work_struct work;
	struct completion off_sysfs;
};

static inline struct vfio_mdev *to_vfio_mdev(struct vfio_device *vdev)
{
	return container_of(vdev, struct vfio_mdev, vdev);
}

/* mdev_gate.c */
void mdev_gate_init(struct vfio_mdev *vmdev);
void mdev_gate_left(struct vfio_mdev *vmdev);
void mdev_gate_close(struct vfio_mdev *vmdev);
void mdev_gate_revoked(struct vfio_mdev *vmdev);
bool mdev_gate_is_quiet(const struct vfio_mdev *vmdev);
bool mdev_gate_bring_in(const struct vfio_mdev *vmdev, const void __user *addr,
			size_t size, bool write, unsigned int *tries);
bool mdev_gate_bring_in_arg(const struct vfio_mdev *vmdev, unsigned long arg,
			    unsigned int *tries);

/* Out of the gate; the revoker may be waiting for this */
static inline void mdev_gate_leave(struct vfio_mdev *vmdev)
{
	rwsem_release(&vmdev->gate_map, _THIS_IP_);
	if (unlikely(atomic64_add_negative(-1, &vmdev->gate)))
		mdev_gate_left(vmdev);
}

/* Into the gate, unless it is closed: nobody waits here, as with a trylock */
static inline bool mdev_gate_enter(struct vfio_mdev *vmdev)
{
	bool closed = atomic64_add_negative(1, &vmdev->gate);

	rwsem_acquire_read(&vmdev->gate_map, 0, 1, _THIS_IP_);
	if (likely(!closed))
		return true;
	mdev_gate_leave(vmdev);
	return false;
}

/* The same around a callback that may have to do with user memory */
static inline bool mdev_call_begin(struct vfio_mdev *vmdev)
{
	if (!mdev_gate_enter(vmdev))
		return false;
	if (likely(vmdev->revocable))
		pagefault_disable();
	return true;
}

static inline void mdev_call_end(struct vfio_mdev *vmdev)
{
	if (likely(vmdev->revocable))
		pagefault_enable();
	mdev_gate_leave(vmdev);
}

/* How long DMA unmap waits until pages are unpinned: VFIO calls again, some ten
 * times, and whoever needs one of VFIO's locks to go on gets it in between
 */
#define UNMAP_WAIT	(2 * HZ)

/* mdev_mmap.c */
int mdev_map(struct vfio_mdev *vmdev, struct vm_area_struct *vma);
bool mdev_mappings_end(struct vfio_mdev *vmdev);
void mdev_mappings_zap(struct vfio_mdev *vmdev);

/* mdev_memory.c */
void mdev_unpin_deferred(struct mdev_shell *shell);
bool mdev_unmap_begin(struct vfio_mdev *vmdev);
void mdev_unmap_end(struct vfio_mdev *vmdev);
void mdev_unmap_wait(struct vfio_mdev *vmdev, unsigned long timeout);

/* mdev_revoke.c */
void mdev_shell_queue(struct work_struct *work);
void mdev_shell_detach(struct vfio_mdev *vmdev);
void mdev_shell_outlive_group(struct vfio_mdev *vmdev);
void mdev_shell_wait_quiet(struct vfio_mdev *vmdev, unsigned long timeout);

#endif /* _VFIO_MDEV_H */
