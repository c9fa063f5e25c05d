/* SPDX-License-Identifier: GPL-2.0-only */
/* The holder of a device, and the request to release it */
#ifndef _MDEV_REQUEST_H
#define _MDEV_REQUEST_H

#include <linux/wait.h>

#include "mdev_device.h"

/*
 * The one wait for a device: until @condition is true, or for @timeout jiffies.
 * A change that may make @condition true wakes mdev_wait_queue. @state:
 * TASK_IDLE for a thread that no signal may stop, TASK_INTERRUPTIBLE for a
 * writer; with TASK_FREEZABLE if it holds no lock. Returns the jiffies that are
 * left, or
 * -ERESTARTSYS.
 */
#define mdev_wait_timeout(condition, state, timeout)			\
({									\
	long __ret = (timeout);						\
									\
	might_sleep();							\
	if (!___wait_cond_timeout(condition))				\
		__ret = ___wait_event(mdev_wait_queue,			\
				      ___wait_cond_timeout(condition),	\
				      state, 0, timeout,		\
				      __ret = schedule_timeout(__ret));	\
	__ret;								\
})

void mdev_request_init(struct mdev_device *mdev);
void mdev_request_stop(struct mdev_device *mdev);
void mdev_holder_set(struct mdev_device *mdev);
int mdev_holder_show(struct mdev_device *mdev, char *buf);
int mdev_use_begin(struct mdev_device *mdev);
void mdev_use_held(struct mdev_device *mdev);
void mdev_use_failed(struct mdev_device *mdev);
void mdev_use_closing(struct mdev_device *mdev);
void mdev_use_end(struct mdev_device *mdev);
bool mdev_use_revoking(struct mdev_device *mdev);
void mdev_use_revoked(struct mdev_device *mdev);
void mdev_evict_begin(struct mdev_device *mdev);
void mdev_evict_end(struct mdev_device *mdev);
int mdev_claim(struct mdev_device *mdev, enum mdev_event event);
int mdev_may_claim(struct mdev_device *mdev);
int mdev_removal_begin(struct mdev_device *mdev);
void mdev_removal_cancel(struct mdev_device *mdev);
int mdev_request_once(struct mdev_device *mdev);
int mdev_request_cancel(struct mdev_device *mdev);
void mdev_request_trigger_set(struct mdev_device *mdev);
void mdev_request_forward(struct mdev_device *mdev, unsigned int count);
void mdev_request_last(struct mdev_device *mdev);

#endif /* _MDEV_REQUEST_H */
