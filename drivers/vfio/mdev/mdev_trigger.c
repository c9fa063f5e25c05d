// SPDX-License-Identifier: GPL-2.0-only
/*
 * Triggers: a user's eventfd for one interrupt or request, set and taken away
 * by VFIO_DEVICE_SET_IRQS (include/uapi/linux/vfio.h), signalled from any
 * context, dropped when the device is closed.
 */
#include <linux/export.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "compat.h"
#include "mdev_private.h"

/**
 * struct mdev_trigger_eventfd - what a trigger points to while it is set
 * @ctx: the user's eventfd; a reference is held
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

static int mdev_trigger_set(struct mdev_trigger *trigger, int fd)
{
	struct mdev_trigger_eventfd *eventfd;

	eventfd = kmalloc(sizeof(*eventfd), GFP_KERNEL_ACCOUNT);
	if (!eventfd)
		return -ENOMEM;

	eventfd->ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(eventfd->ctx)) {
		int ret = PTR_ERR(eventfd->ctx);

		kfree(eventfd);
		return ret;
	}

	mdev_trigger_replace(trigger, eventfd);
	if (trigger->kind == MDEV_TRIGGER_REQUEST)
		mdev_request_trigger_set(trigger->mdev);
	return 0;
}

/* Close is done with the device: no ioctl can set one again */
void mdev_triggers_drop(struct mdev_device *mdev)
{
	struct mdev_trigger *trigger;

	list_for_each_entry(trigger, &mdev->triggers, node)
		mdev_trigger_replace(trigger, NULL);
}

/*
 * Revocation is done with the device. Whoever waits for a request finds out
 * that it is too late for one.
 */
void mdev_triggers_revoke(struct mdev_device *mdev)
{
	struct mdev_trigger *trigger;

	list_for_each_entry(trigger, &mdev->triggers, node)
		if (trigger->kind == MDEV_TRIGGER_REQUEST)
			mdev_trigger_signal(trigger);
	mdev_triggers_drop(mdev);
}

/**
 * mdev_trigger_init - make a trigger of a mediated device ready for use
 * @trigger: part of the parent driver's state of @mdev; it has to stay until
 *	the remove callback is called
 * @mdev: the device
 * @kind: what it tells the user
 *
 * To be called in the create callback.
 */
void mdev_trigger_init(struct mdev_trigger *trigger, struct mdev_device *mdev,
		       enum mdev_trigger_kind kind)
{
	trigger->mdev = mdev;
	trigger->kind = kind;
	RCU_INIT_POINTER(trigger->eventfd, NULL);
	list_add_tail(&trigger->node, &mdev->triggers);
}
EXPORT_SYMBOL_GPL(mdev_trigger_init);

/**
 * mdev_trigger_signal - signal the user through a trigger
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

/**
 * mdev_irq_set_read - read and check the argument of VFIO_DEVICE_SET_IRQS
 * @set: the result
 * @arg: the ioctl's argument, a struct vfio_irq_set of the user
 * @indexes: the bitmap of the interrupt indexes that exist, each of them with
 *	one interrupt
 *
 * The argument is read once. What @set holds on success is one of the
 * combinations that include/uapi/linux/vfio.h allows for one interrupt.
 *
 * Context: process context, may sleep.
 * Return: 0, -EFAULT, or -EINVAL for anything that is not such a combination.
 */
int mdev_irq_set_read(struct mdev_irq_set *set, const void __user *arg,
		      unsigned long indexes)
{
	const size_t minsz = offsetofend(struct vfio_irq_set, count);
	struct vfio_irq_set hdr;
	size_t size;
	int ret;

	if (copy_from_user(&hdr, arg, minsz))
		return -EFAULT;
	if (hdr.index >= BITS_PER_LONG || !(indexes & BIT(hdr.index)))
		return -EINVAL;

	ret = vfio_set_irqs_validate_and_prepare(&hdr, 1, BITS_PER_LONG, &size);
	if (ret)
		return ret;

	set->index = hdr.index;
	set->action = hdr.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	set->data = hdr.flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	set->count = hdr.count;
	set->fd = -1;
	set->fire = set->data == VFIO_IRQ_SET_DATA_NONE && set->count;

	if (hweight32(set->action) != 1)
		return -EINVAL;
	/* An empty set means one thing only: take the trigger away */
	if (!set->count)
		return set->data == VFIO_IRQ_SET_DATA_NONE &&
		       set->action == VFIO_IRQ_SET_ACTION_TRIGGER ? 0 : -EINVAL;

	if (set->data == VFIO_IRQ_SET_DATA_EVENTFD) {
		if (copy_from_user(&set->fd, arg + minsz, sizeof(set->fd)))
			return -EFAULT;
	} else if (set->data == VFIO_IRQ_SET_DATA_BOOL) {
		u8 fire;

		if (copy_from_user(&fire, arg + minsz, sizeof(fire)))
			return -EFAULT;
		set->fire = fire;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(mdev_irq_set_read);

/**
 * mdev_trigger_set_irqs - do what a VFIO_DEVICE_SET_IRQS says to a trigger
 * @trigger: the trigger of @set's index
 * @set: from mdev_irq_set_read(), its action VFIO_IRQ_SET_ACTION_TRIGGER
 *
 * Sets the user's eventfd, takes it away, or signals it. Taking away or
 * signalling what is not set is no error.
 *
 * Context: process context, may sleep. Called from the ioctl callback.
 * Return: 0; -EINVAL for another action; -ENOMEM; what eventfd_ctx_fdget()
 * says of a file descriptor that is not an eventfd's.
 */
int mdev_trigger_set_irqs(struct mdev_trigger *trigger,
			  const struct mdev_irq_set *set)
{
	if (set->action != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -EINVAL;

	if (set->data == VFIO_IRQ_SET_DATA_EVENTFD && set->fd != -1)
		return mdev_trigger_set(trigger, set->fd);

	if (set->data == VFIO_IRQ_SET_DATA_EVENTFD || !set->count)
		mdev_trigger_replace(trigger, NULL);
	else if (set->fire)
		mdev_trigger_signal(trigger);
	return 0;
}
EXPORT_SYMBOL_GPL(mdev_trigger_set_irqs);
