// SPDX-License-Identifier: GPL-2.0-only
/*
 * Triggers: a holder's eventfd for one interrupt or request, set and taken away
 * by VFIO_DEVICE_SET_IRQS (see mdev_irqs.c), signalled from any context,
 * dropped when the device is closed.
 */
#include <linux/export.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "compat.h"
#include "mdev_device.h"
#include "mdev_triggers.h"

/**
 * struct mdev_trigger_eventfd - the target of a trigger that is set
 * @ctx: the holder's eventfd; a reference is held
 * @rcu: puts @ctx and frees this when no signaller can see it any more
 */
struct mdev_trigger_eventfd {
	struct eventfd_ctx *ctx;
	struct rcu_head rcu;
};

static void mdev_trigger_eventfd_free(struct rcu_head *rcu)
{
	struct mdev_trigger_eventfd *eventfd =
		container_of(rcu, struct mdev_trigger_eventfd, rcu);

	eventfd_ctx_put(eventfd->ctx);
	kfree(eventfd);
}

/* xchg() gives each eventfd that was there to exactly one caller */
static void mdev_trigger_replace(struct mdev_trigger *trigger,
				 struct mdev_trigger_eventfd *new)
{
	struct mdev_trigger_eventfd *old =
		unrcu_pointer(xchg(&trigger->eventfd, RCU_INITIALIZER(new)));

	if (old)
		call_rcu(&old->rcu, mdev_trigger_eventfd_free);
}

/* Context: process context, may sleep. Return: 0 or a negative errno */
int mdev_trigger_set(struct mdev_trigger *trigger, int fd)
{
	struct mdev_trigger_eventfd *eventfd;

	eventfd = kmalloc(sizeof(*eventfd), MDEV_GFP_HOLDER);
	if (!eventfd)
		return -ENOMEM;

	eventfd->ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(eventfd->ctx)) {
		int ret = PTR_ERR(eventfd->ctx);

		kfree(eventfd);
		return ret;
	}

	mdev_trigger_replace(trigger, eventfd);
	return 0;
}

void mdev_trigger_clear(struct mdev_trigger *trigger)
{
	mdev_trigger_replace(trigger, NULL);
}

/* The device is closed: no ioctl can set an eventfd again */
void mdev_triggers_drop(struct mdev_device *mdev)
{
	struct mdev_trigger *trigger;

	for (trigger = mdev->triggers; trigger; trigger = trigger->next)
		mdev_trigger_replace(trigger, NULL);
}

/*
 * The device is revoked. Signal the request triggers, so that a process that
 * waits for a request wakes, and finds that it is too late.
 */
void mdev_triggers_revoke(struct mdev_device *mdev)
{
	struct mdev_trigger *trigger;

	for (trigger = mdev->triggers; trigger; trigger = trigger->next)
		if (trigger->kind == MDEV_TRIGGER_REQUEST)
			mdev_trigger_signal(trigger);
	mdev_triggers_drop(mdev);
}

/**
 * mdev_trigger_init - make a trigger of a mediated device ready for use
 * @trigger: part of the parent driver's state of @mdev; it has to stay until
 *	the remove callback is called
 * @mdev: the device
 * @kind: what it tells the holder
 *
 * To be called in the create callback.
 */
void mdev_trigger_init(struct mdev_trigger *trigger, struct mdev_device *mdev,
		       enum mdev_trigger_kind kind)
{
	struct mdev_trigger *other;

	/* A list that leads back to itself has no end */
	for (other = mdev->triggers; other; other = other->next)
		if (WARN_ON_ONCE(other == trigger))
			return;
	trigger->mdev = mdev;
	trigger->kind = kind;
	trigger->index = -1;
	RCU_INIT_POINTER(trigger->eventfd, NULL);
	trigger->next = mdev->triggers;
	mdev->triggers = trigger;
}
EXPORT_SYMBOL_GPL(mdev_trigger_init);

/**
 * mdev_trigger_signal - signal the holder through a trigger
 * @trigger: the trigger
 *
 * Context: any, interrupts included.
 * Return: whether there was an eventfd to signal.
 */
bool mdev_trigger_signal(struct mdev_trigger *trigger)
{
	struct mdev_trigger_eventfd *eventfd;

	rcu_read_lock();
	eventfd = rcu_dereference(trigger->eventfd);
	if (eventfd)
		eventfd_signal(eventfd->ctx);
	rcu_read_unlock();
	return eventfd;
}
EXPORT_SYMBOL_GPL(mdev_trigger_signal);

/**
 * mdev_trigger_is_set - is there an eventfd to signal?
 * @trigger: the trigger
 *
 * Context: any. The answer may be old when it arrives.
 * Return: whether one was there.
 */
bool mdev_trigger_is_set(const struct mdev_trigger *trigger)
{
	return rcu_access_pointer(trigger->eventfd);
}
EXPORT_SYMBOL_GPL(mdev_trigger_is_set);
