// SPDX-License-Identifier: GPL-2.0-only
/*
 * Revocation takes a mediated device from a holder that does not release it.
 * This is also the one way out of VFIO, for a device that was released or
 * revoked:
 *
 *	keep new holders out and ask	mdev_evict_begin()
 *	wait				mdev_wait_for_release(), or before, in
 *					mdev_claim_released() and in the drain
 *					of the parent
 *	close the gate			mdev_revoke()
 *	detach				mdev_shell_detach()
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/reboot.h>

#include "mdev_cdev.h"
#include "mdev_migration.h"
#include "mdev_mmap.h"
#include "mdev_request.h"
#include "mdev_revoke.h"
#include "mdev_trace.h"
#include "mdev_triggers.h"
#include "mdev_vfio.h"
#include "mdev_watch.h"

/* How long a revocation waits until no page is pinned any more: long enough
 * if unpinning does not wait for the holder itself
 */
#define REVOKE_WAIT	(HZ / 10)

/* A year, in seconds */
#define MAX_GRACE	(365u * 24 * 3600)

/* A device that cannot be revoked now is looked at again */
#define REVOKE_AGAIN	HZ

/* Protects @revoke_after against the opens that depend on it, and the list of
 * open devices that can be revoked
 */
static DEFINE_MUTEX(mdev_owners_lock);
static LIST_HEAD(mdev_open_devices);

/* In seconds; 0: for ever */
static u64 revoke_after = 60;

/* Counts changes of the time that holders have */
static atomic_t mdev_grace_changed = ATOMIC_INIT(0);

/* The machine is going down: wait for no holder */
static bool mdev_rebooting;

u64 mdev_grace(void)
{
	return READ_ONCE(revoke_after);
}

int mdev_grace_changes(void)
{
	return atomic_read_acquire(&mdev_grace_changed);
}

static void mdev_grace_wake(void)
{
	atomic_inc_return_release(&mdev_grace_changed);
	wake_up_all(&mdev_wait_queue);
}

/**
 * mdev_grace_left - how long holders have until their devices are revoked
 * @since: when they were asked, as get_jiffies_64() said
 *
 * Return: jiffies, MAX_SCHEDULE_TIMEOUT if there is no limit.
 */
long mdev_grace_left(u64 since)
{
	u64 after = mdev_grace();
	u64 end = since + after * HZ;
	u64 now = get_jiffies_64();

	if (READ_ONCE(mdev_rebooting))
		return 0;
	if (!after)
		return MAX_SCHEDULE_TIMEOUT;
	return now < end ? min_t(u64, end - now, MAX_SCHEDULE_TIMEOUT - 1) : 0;
}

/* Hold the parent driver's module only while the device cannot be revoked */
static void mdev_owner_update(struct mdev_vfio *vmdev, bool hold)
{
	lockdep_assert_held(&mdev_owners_lock);

	if (hold == vmdev->owner_held)
		return;
	if (!hold)
		module_put(vmdev->gate.owner);
	/* A module that is being unloaded cannot be held: its unload waits */
	vmdev->owner_held = hold && try_module_get(vmdev->gate.owner);
}

/**
 * mdev_owner_get - a device is being opened
 * @vmdev: the device
 *
 * The parent driver's module cannot be unloaded while a device is open that
 * cannot be revoked. If all open devices can be revoked, the unload revokes
 * them.
 *
 * Return: 0, or -ENODEV if it is being unloaded.
 */
int mdev_owner_get(struct mdev_vfio *vmdev)
{
	int ret = 0;

	mutex_lock(&mdev_owners_lock);
	vmdev->owner_held = !vmdev->gate.revocable || !revoke_after;
	if (vmdev->owner_held && !try_module_get(vmdev->gate.owner)) {
		vmdev->owner_held = false;
		ret = -ENODEV;
	} else if (vmdev->gate.revocable) {
		list_add(&vmdev->use->open_node, &mdev_open_devices);
	}
	mutex_unlock(&mdev_owners_lock);
	return ret;
}

/* Undoes mdev_owner_get(). The caller is not in the module's code */
void mdev_owner_put(struct mdev_vfio *vmdev)
{
	mutex_lock(&mdev_owners_lock);
	if (vmdev->gate.revocable)
		list_del(&vmdev->use->open_node);
	if (vmdev->owner_held)
		module_put(vmdev->gate.owner);
	vmdev->owner_held = false;
	mutex_unlock(&mdev_owners_lock);
}

static int mdev_grace_set(const char *val, const struct kernel_param *kp)
{
	struct mdev_use *use;
	u64 after;
	int ret;

	ret = kstrtou64(val, 0, &after);
	if (ret)
		return ret;
	if (after > MAX_GRACE)
		return -EINVAL;

	mutex_lock(&mdev_owners_lock);
	WRITE_ONCE(revoke_after, after);
	list_for_each_entry(use, &mdev_open_devices, open_node)
		mdev_owner_update(use->vmdev, !after);
	mutex_unlock(&mdev_owners_lock);
	mdev_grace_wake();
	return 0;
}

static int mdev_grace_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%llu\n", mdev_grace());
}

static const struct kernel_param_ops mdev_grace_ops = {
	.set	= mdev_grace_set,
	.get	= mdev_grace_get,
};

module_param_cb(revoke_after, &mdev_grace_ops, NULL, 0644);
__MODULE_PARM_TYPE(revoke_after, "ullong");
MODULE_PARM_DESC(revoke_after, "Seconds after which a device that is in use is revoked when its parent is unbound, unregistered or unloaded, or vfio_mdev is unbound from it; 0: never; at most a year (default 60)");

/* Can it be revoked? Says why if it cannot */
static int mdev_may_revoke(struct mdev_device *mdev)
{
	struct mdev_vfio *vmdev = mdev->vmdev;
	const char *why = NULL;
	int ret = 0;

	lockdep_assert_held(&mdev->lock);

	if (mdev_is_kernels(mdev)) {
		if (!mdev_is_in_use(mdev) && !mdev->watch->blind)
			return 0;
		why = "its driver uses the kernel's own mdev interface, which has no revocation";
		ret = -EOPNOTSUPP;
	} else if (!vmdev || !mdev_is_in_use(mdev)) {
		return 0;
	} else if (!vmdev->gate.revocable) {
		why = "the parent driver has no revoke callback";
		ret = -EOPNOTSUPP;
	} else if (!mdev_mappings_end(vmdev)) {
		why = "it is mapped, and the kernel cannot take the mapping away";
		ret = -EBUSY;
	}
	if (ret && mdev->why_not != -ret)
		dev_warn(&mdev->dev, "cannot be revoked: %s\n", why);
	mdev->why_not = -ret;
	return ret;
}

/* The gate is closed: have the parent driver take the device back */
static void mdev_revoke_from_holder(struct mdev_vfio *vmdev)
{
	struct mdev_device *mdev = vmdev->mdev;

	mdev->revoked = true;
	mdev_mappings_zap(vmdev);

	WRITE_ONCE(vmdev->use->revoker, current);
	vmdev->ops->revoke(mdev);
	WRITE_ONCE(vmdev->use->revoker, NULL);
	mdev_dma_kick(vmdev->use);
	mdev_migration_end(&vmdev->use->migrating);

	mdev_triggers_revoke(mdev);
	mdev_owner_put(vmdev);
}

/* One caller for each VFIO device. It is not in use when this returns */
static void mdev_revoke_close(struct mdev_vfio *vmdev)
{
	struct mdev_device *mdev = vmdev->mdev;
	bool was_held;

	mdev_gate_close(&vmdev->gate, &mdev->dev);
	was_held = mdev_use_revoking(mdev);
	if (was_held)
		mdev_revoke_from_holder(vmdev);
	mdev_gate_settle(&vmdev->gate, &mdev->dev, mdev_parent(mdev));
	if (!was_held)
		return;
	/* The pages of a holder that is not hostile are unpinned at once */
	mdev_dma_wait(vmdev->use, REVOKE_WAIT);
	mdev_use_revoked(mdev);
}

/*
 * Returns as mdev_wait_timeout(). A writer can be interrupted. It stops waiting
 * if another thread has claimed the device, since that thread waits for it
 */
static long mdev_wait_group_taken(struct mdev_device *mdev, unsigned int state,
				  long timeout)
{
	return mdev_wait_timeout(mdev_group_is_taken(&mdev->group) ||
				 READ_ONCE(mdev_rebooting) ||
				 (state == TASK_INTERRUPTIBLE &&
				  mdev_is_going(mdev)), state, timeout);
}

/* Returns whether anything was found open: the job may not have looked yet */
static bool mdev_say_group_open(struct mdev_device *mdev)
{
	bool is_open = READ_ONCE(mdev->group.open);
	struct vfio_device *vdev;

	if (!is_open)
		return false;
	mutex_lock(&mdev->lock);
	vdev = mdev->watch->vdev;
	if (vdev && mdev_cdev_is_open(vdev))
		dev_warn_ratelimited(&mdev->dev, "removal blocked until its VFIO device is closed: a process has opened /dev/vfio/devices/%s without binding it to an iommufd\n",
				     dev_name(&vdev->device));
	else if (mdev->group.id >= 0)
		dev_warn_ratelimited(&mdev->dev, "removal blocked until its VFIO group is closed: a process has /dev/vfio/%d open\n",
				     mdev->group.id);
	mutex_unlock(&mdev->lock);
	return true;
}

/*
 * Not while the driver asks, nor while it registers its device: there is no group
 * yet. A writer does not wait either if another thread has claimed the device.
 */
static bool mdev_may_take_group(struct mdev_device *mdev, unsigned int state)
{
	return (!READ_ONCE(mdev->watch->binding) &&
		!mdev_watch_is_asking(mdev->watch)) ||
	       (state == TASK_INTERRUPTIBLE && mdev_is_going(mdev));
}

/*
 * Wait until no process has the group of a released device open, nor its own
 * file. The driver of this device is one of the kernel's own interface: it
 * makes VFIO give up the group with a global lock held, which then waits for
 * locks that the holder keeps. Returns -ERESTARTSYS if a signal ended the wait.
 */
static int mdev_wait_group(struct mdev_device *mdev, unsigned int state)
{
	long left;

	left = mdev_wait_timeout(mdev_may_take_group(mdev, state), state,
				 MDEV_LEAVE_WAIT);
	if (!left) {
		if (mdev_watch_is_asking(mdev->watch))
			dev_warn_ratelimited(&mdev->dev, "removal blocked until the driver's request callback returns\n");
		left = mdev_wait_timeout(mdev_may_take_group(mdev, state),
					 state, MAX_SCHEDULE_TIMEOUT);
	}
	if (left > 0)
		left = mdev_wait_group_taken(mdev, state, MDEV_LEAVE_WAIT);
	while (!left)
		left = mdev_wait_group_taken(mdev, state,
					     mdev_say_group_open(mdev) ?
					     MAX_SCHEDULE_TIMEOUT :
					     MDEV_LEAVE_WAIT);
	return left < 0 ? -ERESTARTSYS : 0;
}

/**
 * mdev_wait_for_group - take the group of a device that is being unbound
 * @mdev: the device, whose driver is one of the kernel's own interface
 *
 * Undone by mdev_group_end().
 */
void mdev_wait_for_group(struct mdev_device *mdev)
{
	mdev_group_begin(mdev);
	mdev_wait_group(mdev, TASK_IDLE);
}

/* The device was released. The claimant's teardown calls mdev_group_end() */
static int mdev_claim_with_group(struct mdev_device *mdev)
{
	int ret;

	if (!mdev_is_kernels(mdev))
		return mdev_claim(mdev, MDEV_EV_CLAIM);
	mdev_group_begin(mdev);
	ret = mdev_wait_group(mdev, TASK_INTERRUPTIBLE);
	if (!ret)
		ret = mdev_claim(mdev, MDEV_EV_CLAIM);
	if (ret)
		mdev_group_end(mdev);
	return ret;
}

/**
 * mdev_claim_released - get a device from its holder, and claim it
 * @mdev: the device
 *
 * Asks the holder, waits for the release without a limit, and claims the device
 * for teardown. If it fails, nothing has changed.
 *
 * Return: 0; -ERESTARTSYS if a signal ended the wait; -EBUSY while another
 * caller waits; -EAGAIN while the device is being created; -ENODEV if another
 * thread has claimed it.
 */
int mdev_claim_released(struct mdev_device *mdev)
{
	int ret;

	ret = mdev_removal_begin(mdev);
	if (ret)
		goto out;

	if (mdev_wait_timeout(!mdev_is_in_use(mdev) || mdev_is_going(mdev),
			      TASK_INTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT) < 0)
		ret = -ERESTARTSYS;
	else
		ret = mdev_claim_with_group(mdev);
	if (!ret)
		return 0;
	mdev_removal_cancel(mdev);
out:
	trace_mdev_remove(&mdev->uuid, ret);
	return ret;
}

/* The group is wanted of no device that its creator may still have bound */
static int mdev_may_claim_unused(struct mdev_device *mdev)
{
	int ret;

	mutex_lock(&mdev->lock);
	ret = mdev_may_claim(mdev) ?: mdev_may_revoke(mdev);
	if (!ret && mdev_watch_is_asking(mdev->watch))
		ret = -EBUSY;
	mutex_unlock(&mdev->lock);
	return ret;
}

/* For a device of the kernel's own interface: succeeds if it has no holder */
static int mdev_claim_unused(struct mdev_device *mdev)
{
	int ret;

	ret = mdev_may_claim_unused(mdev);
	if (ret)
		return ret;

	mdev_group_begin(mdev);
	if (!mdev_wait_group_taken(mdev, TASK_IDLE, MDEV_LEAVE_WAIT))
		ret = READ_ONCE(mdev->group.open) ? -EBUSY : -EAGAIN;
	else	/* A driver may have been bound meanwhile */
		ret = mdev_may_claim_unused(mdev) ?:
		      mdev_claim(mdev, MDEV_EV_CLAIM);
	if (ret)
		mdev_group_end(mdev);
	return ret;
}

/**
 * mdev_revoke - take a device from its holder, if there is one
 * @mdev: the device
 * @claim: become the thread that tears it down, too
 *
 * Asks the holder once more, and does not wait for it. Afterwards the device is
 * not in use, and no process can open it.
 *
 * Context: process context. Waits for calls inside the gate, and for the parent
 * driver's revoke callback.
 * Return: 0; -EOPNOTSUPP or -EBUSY if it cannot be taken from its holder; with
 * @claim also -EAGAIN while it is being created, or if the host is too busy to
 * tell in time whether it is in use, and -ENODEV if another thread has claimed
 * it.
 */
int mdev_revoke(struct mdev_device *mdev, bool claim)
{
	struct mdev_vfio *vmdev;
	bool mine = false;
	int ret = 0;

	if (claim && mdev_is_kernels(mdev))
		return mdev_claim_unused(mdev);

	mutex_lock(&mdev->lock);
	vmdev = mdev->vmdev;
	if (!claim || !mdev_is_going(mdev))
		ret = mdev_may_revoke(mdev);
	if (!ret && claim)
		ret = mdev_state_event(&mdev->state, MDEV_EV_CLAIM_HELD);
	if (!ret && vmdev && !vmdev->closing) {
		mine = true;
		WRITE_ONCE(vmdev->closing, true);
		if (mdev_is_in_use(mdev))
			mdev_request_last(mdev);
		/* An unbind may go on as soon as the device is not in use */
		get_device(&vmdev->vdev.device);
	}
	mutex_unlock(&mdev->lock);
	if (ret)
		return ret;
	if (claim)
		mdev_parent_wake(mdev_parent(mdev));

	if (mine) {
		mdev_revoke_close(vmdev);
		put_device(&vmdev->vdev.device);
		return 0;
	}
	/* The other thread's wait does not depend on user space either */
	mdev_wait_timeout(!mdev_is_in_use(mdev), TASK_IDLE,
			  MAX_SCHEDULE_TIMEOUT);
	return 0;
}

/* Wait until it is not in use; revoke it when the holder's time is over */
void mdev_wait_for_release(struct mdev_device *mdev)
{
	u64 since = get_jiffies_64();
	int changes;
	long left;

	while (mdev_is_in_use(mdev)) {
		changes = mdev_grace_changes();
		left = mdev_grace_left(since);
		if (!left && !mdev_revoke(mdev, false))
			break;
		mdev_wait_timeout(!mdev_is_in_use(mdev) ||
				  mdev_grace_changes() != changes,
				  TASK_IDLE, left ?: REVOKE_AGAIN);
	}
}

/**
 * mdev_detach - the way out of VFIO
 * @vmdev: the VFIO device, which the caller may not use any more afterwards
 *
 * Context: the unbind of vfio_mdev. In a teardown, the wait is over already.
 */
void mdev_detach(struct mdev_vfio *vmdev)
{
	struct mdev_device *mdev = vmdev->mdev;

	mdev_evict_begin(mdev);
	mdev_wait_for_release(mdev);
	/* No process has the device open: this only closes the gate */
	WARN_ON_ONCE(mdev_revoke(mdev, false));
	mdev_shell_detach(vmdev);
	mdev_evict_end(mdev);
}

static int mdev_reboot(struct notifier_block *nb, unsigned long action,
		       void *data)
{
	WRITE_ONCE(mdev_rebooting, true);
	mdev_grace_wake();
	return NOTIFY_DONE;
}

static struct notifier_block mdev_reboot_nb = {
	.notifier_call = mdev_reboot,
};

int mdev_revoke_init_module(void)
{
	return register_reboot_notifier(&mdev_reboot_nb);
}

void mdev_revoke_exit_module(void)
{
	unregister_reboot_notifier(&mdev_reboot_nb);
}
