/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The shell is the rest of a VFIO device that was detached. VFIO keeps it until
 * no process has the device or its group open. A work looks whether one has. If
 * not, it unregisters the device from VFIO; else a thread of its own waits, and
 * does that then. No removal waits longer than a moment.
 */
#ifndef _MDEV_SHELL_H
#define _MDEV_SHELL_H

#include <linux/atomic.h>
#include <linux/types.h>

struct mdev_device;
struct mdev_vfio;
struct task_struct;

/* The progress of a shell: which side takes the VFIO device out of sysfs */
enum mdev_shell_turn {
	MDEV_SHELL_UNDECIDED,
	MDEV_SHELL_THREAD,	/* the thread (or the work); it is waited for */
	MDEV_SHELL_DETACHED,	/* detaching; it waits for no thread */
	MDEV_SHELL_LEFT,	/* the same, and the device is out of sysfs */
	MDEV_SHELL_DONE,	/* the thread is about to return */
};

/**
 * struct mdev_shell - the detached VFIO device of a mediated device
 * @thread: the thread, once there is one; a reference is held
 * @turn: an enum mdev_shell_turn; waited for at mdev_wait_queue
 * @group_id: the number of its VFIO group, or negative if VFIO has none
 *
 * Part of the mediated device, which has at most one.
 */
struct mdev_shell {
	struct task_struct *thread;
	atomic_t turn;
	int group_id;
};

void mdev_shell_init(struct mdev_device *mdev);
void mdev_shell_detach(struct mdev_vfio *vmdev);
void mdev_shell_waits(struct mdev_vfio *vmdev);
int mdev_shell_init_module(void);
void mdev_shell_exit_module(void);

#endif /* _MDEV_SHELL_H */
