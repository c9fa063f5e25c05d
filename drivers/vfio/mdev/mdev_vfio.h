/* SPDX-License-Identifier: GPL-2.0-only */
/* The VFIO device of a mediated device */
#ifndef _MDEV_VFIO_H
#define _MDEV_VFIO_H

#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>

#include "mdev_device.h"
#include "mdev_dma.h"
#include "mdev_gate.h"

/**
 * struct mdev_holder - the process that is named, and can be asked
 * @lock: protects the rest; nothing is taken inside
 * @pid: the process that opened the device, or the last one that set a request
 *	eventfd; a reference is held while the device is in use, else NULL
 * @comm: its command, printable
 */
struct mdev_holder {
	spinlock_t lock; /* the next two */
	struct pid *pid;
	char comm[TASK_COMM_LEN];
};

/**
 * struct mdev_vfio - the VFIO device of a mediated device
 * @vdev: VFIO's part; its last reference frees this
 * @mdev: a reference to its struct device is held until the shell's thread is
 *	done with this
 * @ops: the parent driver's callbacks, valid inside the gate
 * @gate: see mdev_gate.h
 * @dma: guest memory, see mdev_dma.h
 * @holder: see there
 * @shell_work: does what the shell's thread does, if there can be none
 * @mappings: mappings that the kernel cannot take away; negative when there
 *	may be no more of them
 * @settled: it may be opened; see mdev_vfio_probe()
 * @closing: a thread closes the gate, or has; set once, under mdev->lock
 * @owner_held: the open holds a reference to the parent driver's module; under
 *	mdev_owners_lock
 * @open_node: in the list of open devices that can be revoked, under
 *	mdev_owners_lock
 * @closer: the thread that is in the release callback, or NULL
 * @cut_short: the release callback was told that the device was revoked, and
 *	has not done its work; only @closer uses it
 * @revoker: the thread that is in the revoke callback, or NULL
 */
struct mdev_vfio {
	struct vfio_device vdev;
	struct mdev_device *mdev;
	const struct mdev_parent_ops *ops;
	struct mdev_gate gate;
	struct mdev_dma dma;
	struct mdev_holder holder;
	struct work_struct shell_work;
	atomic_t mappings;
	bool settled;
	bool closing;
	bool owner_held;
	bool cut_short;
	struct list_head open_node;
	struct task_struct *closer;
	struct task_struct *revoker;
};

static inline struct mdev_vfio *to_mdev_vfio(struct vfio_device *vdev)
{
	return container_of(vdev, struct mdev_vfio, vdev);
}

extern struct mdev_driver mdev_vfio_driver;

#endif /* _MDEV_VFIO_H */
