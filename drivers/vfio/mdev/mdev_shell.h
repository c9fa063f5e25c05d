/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What detaching leaves of a VFIO device: a shell, which VFIO keeps until
 * nobody has the device or its group open. A thread of its own waits for that,
 * and unregisters the device from VFIO; no removal waits longer than a moment.
 */
#ifndef _MDEV_SHELL_H
#define _MDEV_SHELL_H

#include <linux/atomic.h>
#include <linux/types.h>

struct mdev_device;
struct mdev_vfio;

/* How far it is, and whose turn it is to take the VFIO device out of sysfs */
enum mdev_shell_turn {
	MDEV_SHELL_UNDECIDED,
	MDEV_SHELL_THREAD,	/* the thread's, whose end is waited for */
	MDEV_SHELL_DETACHED,	/* not the thread's, which is left to itself */
	MDEV_SHELL_LEFT,	/* the same, and the device has left sysfs */
	MDEV_SHELL_DONE,	/* the thread is on its way out */
};

/**
 * struct mdev_shell - the detached VFIO device of a mediated device
 * @turn: an enum mdev_shell_turn; waited for at mdev_wait_queue
 * @group_id: the number of its VFIO group
 * @was_held: it was revoked from a holder
 *
 * Part of the mediated device, which has at most one.
 */
struct mdev_shell {
	atomic_t turn;
	int group_id;
	bool was_held;
};

void mdev_shell_init(struct mdev_vfio *vmdev);
void mdev_shell_detach(struct mdev_vfio *vmdev);
void mdev_shell_waits(struct mdev_vfio *vmdev);
int mdev_shell_init_module(void);
void mdev_shell_exit_module(void);

#endif /* _MDEV_SHELL_H */
