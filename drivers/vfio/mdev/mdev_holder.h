/* SPDX-License-Identifier: GPL-2.0-only */
/* The process that has a device open; see mdev_request.c */
#ifndef _MDEV_HOLDER_H
#define _MDEV_HOLDER_H

#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

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

#endif /* _MDEV_HOLDER_H */
