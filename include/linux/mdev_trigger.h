/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Triggers: the eventfds through which a mediated device reaches its holder.
 */
#ifndef _LINUX_MDEV_TRIGGER_H
#define _LINUX_MDEV_TRIGGER_H

#include <linux/types.h>

struct mdev_device;
struct mdev_trigger_eventfd;

/**
 * enum mdev_trigger_kind - what a trigger tells the holder
 * @MDEV_TRIGGER_INTERRUPT: an interrupt of the device
 * @MDEV_TRIGGER_REQUEST: the request to release the device; one that is set
 *	while a request is pending is signalled at once
 */
enum mdev_trigger_kind {
	MDEV_TRIGGER_INTERRUPT,
	MDEV_TRIGGER_REQUEST,
};

/**
 * struct mdev_trigger - one interrupt or request of a mediated device
 *
 * It belongs to the parent driver's state of the device: initialised by
 * mdev_trigger_init() in the create callback, and there until the remove
 * callback. The fields are the framework's.
 */
struct mdev_trigger {
	/* private: */
	struct mdev_device *mdev;
	/* Replaced by xchg(); what was there goes after a grace period */
	struct mdev_trigger_eventfd __rcu *eventfd;
	/* The next of the device's triggers */
	struct mdev_trigger *next;
	enum mdev_trigger_kind kind;
	/* Of a described device's interrupt, else negative */
	int index;
};

/**
 * struct mdev_irq_set - a VFIO_DEVICE_SET_IRQS, read once and checked
 * @index: the interrupt index, one of those that the driver named
 * @action: one of VFIO_IRQ_SET_ACTION_MASK, _UNMASK and _TRIGGER
 * @data: one of VFIO_IRQ_SET_DATA_NONE, _BOOL and _EVENTFD
 * @count: 1, or 0 with VFIO_IRQ_SET_DATA_NONE: take the trigger away
 * @fd: with VFIO_IRQ_SET_DATA_EVENTFD the file descriptor, -1 for none
 * @fire: with VFIO_IRQ_SET_DATA_BOOL, whether the action is to be done
 */
struct mdev_irq_set {
	u32 index;
	u32 action;
	u32 data;
	u32 count;
	s32 fd;
	bool fire;
};

void mdev_trigger_init(struct mdev_trigger *trigger, struct mdev_device *mdev,
		       enum mdev_trigger_kind kind);
bool mdev_trigger_signal(struct mdev_trigger *trigger);
bool mdev_trigger_is_set(const struct mdev_trigger *trigger);

int mdev_irq_set_read(struct mdev_irq_set *set, const void __user *arg,
		      unsigned long indexes);
int mdev_trigger_set_irqs(struct mdev_trigger *trigger,
			  const struct mdev_irq_set *set);

void mdev_request_relay(struct mdev_trigger *trigger, unsigned int count);

#endif /* _LINUX_MDEV_TRIGGER_H */
