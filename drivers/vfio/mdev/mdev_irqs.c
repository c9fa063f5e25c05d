// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_DEVICE_SET_IRQS (include/uapi/linux/vfio.h): reads and checks its
 * argument, and applies it to a trigger.
 */
#include <linux/export.h>
#include <linux/mdev_trigger.h>
#include <linux/printk.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "mdev_irqs.h"
#include "mdev_request.h"
#include "mdev_triggers.h"

/**
 * mdev_irq_set_read - read and check the argument of VFIO_DEVICE_SET_IRQS
 * @set: the result
 * @arg: the ioctl's argument, a struct vfio_irq_set of the holder
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
 * mdev_trigger_set_irqs - apply a VFIO_DEVICE_SET_IRQS to a trigger
 * @trigger: the trigger of @set's index
 * @set: from mdev_irq_set_read(), its action VFIO_IRQ_SET_ACTION_TRIGGER
 *
 * Sets the holder's eventfd, takes it away, or signals it. It is no error to
 * take away or signal an eventfd that is not set.
 *
 * Context: process context, may sleep. In an ioctl of the holder's.
 * Return: 0; -EINVAL for another action, or a trigger that mdev_trigger_init()
 * does not know; -ENOMEM; or the error of eventfd_ctx_fdget() if the descriptor
 * is not an eventfd's.
 */
int mdev_trigger_set_irqs(struct mdev_trigger *trigger,
			  const struct mdev_irq_set *set)
{
	int ret;

	/* It is on no list: its eventfd would never be dropped */
	if (!trigger->mdev) {
		pr_warn_once("mdev: %pS sets a trigger that mdev_trigger_init() has not initialised\n",
			     __builtin_return_address(0));
		return -EINVAL;
	}
	if (set->action != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -EINVAL;

	if (set->data == VFIO_IRQ_SET_DATA_EVENTFD && set->fd != -1) {
		ret = mdev_trigger_set(trigger, set->fd);
		if (!ret && trigger->kind == MDEV_TRIGGER_REQUEST)
			mdev_request_trigger_set(trigger->mdev);
		return ret;
	}

	if (set->data == VFIO_IRQ_SET_DATA_EVENTFD || !set->count)
		mdev_trigger_clear(trigger);
	else if (set->fire)
		mdev_trigger_signal(trigger);
	return 0;
}
EXPORT_SYMBOL_GPL(mdev_trigger_set_irqs);

/**
 * mdev_irqs_are_taken_away - does a VFIO_DEVICE_SET_IRQS take interrupts away?
 * @arg: the ioctl's argument
 *
 * A former holder has no interrupts any more: for it this has succeeded.
 *
 * Context: process context, may sleep, and wait for user space.
 */
bool mdev_irqs_are_taken_away(const void __user *arg)
{
	struct {
		struct vfio_irq_set hdr;
		s32 fd;
	} set;
	const size_t minsz = offsetofend(struct vfio_irq_set, count);

	if (copy_from_user(&set.hdr, arg, minsz) || set.hdr.argsz < minsz)
		return false;
	if (!set.hdr.count)
		return set.hdr.flags == (VFIO_IRQ_SET_DATA_NONE |
					 VFIO_IRQ_SET_ACTION_TRIGGER);
	if (set.hdr.count != 1 || set.hdr.argsz < minsz + sizeof(set.fd) ||
	    !(set.hdr.flags & VFIO_IRQ_SET_DATA_EVENTFD) ||
	    copy_from_user(&set.fd, arg + minsz, sizeof(set.fd)))
		return false;
	return set.fd == -1;
}
