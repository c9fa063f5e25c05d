// SPDX-License-Identifier: GPL-2.0-only
/*
 * Revocation: a mediated device is taken from a user who does not release it.
 *
 * Whoever revokes closes the gate and has the parent driver take everything
 * back. Then the device is free, and goes the way that others go. Its VFIO
 * device, which VFIO keeps until the user has closed the last descriptor, stays
 * behind as a shell, for which a work waits: no removal does.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "compat.h"
#include "vfio_mdev.h"

/* How long a revocation waits until no page is pinned any more: long enough
 * where that does not wait for user space itself
 */
#define REVOKE_WAIT	(HZ / 10)

/* A limit in seconds that jiffies can hold on every machine */
#define MAX_GRACE	(365u * 24 * 3600)

static unsigned int revoke_after = 60;
module_param(revoke_after, uint, 0644);
MODULE_PARM_DESC(revoke_after, "Seconds after which a device that is in use is revoked when its parent is unbound, unregistered or unloaded, or vfio_mdev is unbound from it; 0: never (default 60)");

/*
 * Unpins what a callback has given back, and waits for a user's last close
 * where there is no thread for that: each work may take any time, and the kernel
 * runs only some hundreds at once.
 */
static struct workqueue_struct *mdev_shell_wq;

/* Is the time over that a user is given? @since: when it began, in jiffies */
bool mdev_grace_is_over(unsigned long since)
{
	unsigned int after = min(READ_ONCE(revoke_after), MAX_GRACE);

	return after && time_after_eq(jiffies, since + after * HZ);
}

unsigned int mdev_grace(void)
{
	return READ_ONCE(revoke_after);
}

/* Has @work done by a thread that holds no lock; it may wait for any time */
void mdev_shell_queue(struct work_struct *work)
{
	queue_work(mdev_shell_wq, work);
}

static void mdev_shell_put(struct mdev_shell *shell)
{
	if (refcount_dec_and_test(&shell->refs))
		kfree(shell);
}

/**
 * mdev_shell_outlive_group - wait until nobody can use the device's VFIO group
 * @vmdev: the VFIO device, a shell
 *
 * When its last device goes VFIO takes a group out of its container, and with
 * the last group all of the container's IOMMU, without regard to ioctls that are
 * under way on the container: QEMU unmaps its guest's memory after it has closed
 * the device. So the device stays until its user has closed the group, too. VFIO
 * itself has a reference to that file while the device is open.
 *
 * Context: the shell's thread, in VFIO's wait for the last descriptor.
 */
void mdev_shell_outlive_group(struct vfio_mdev *vmdev)
{
	struct file *file = vmdev->group_file;

	if (!file)
		return;
	/* Nobody tells when it is closed */
	while (file_count(file) > 1)
		schedule_timeout_idle(HZ / 10);
	vmdev->group_file = NULL;
	fput(file);
	/* Now the group leaves its container, before VFIO finds it there */
	flush_delayed_fput();
}

/* VFIO waits for the last descriptor in here, and asks vfio_mdev to ask */
static void mdev_shell_wait(struct mdev_shell *shell)
{
	struct vfio_mdev *vmdev = shell->vmdev;
	struct mdev_device *mdev = vmdev->mdev;

	vfio_unregister_group_dev(&vmdev->vdev);
	complete_all(&shell->off_sysfs);
	wait_for_completion(&shell->unpinned);
	flush_work(&shell->unpin_work);
	if (shell->was_held)
		dev_info(&mdev->dev, "the user that it was revoked from has closed it\n");

	mutex_lock(&mdev->lock);
	mdev->vmdev = NULL;
	mutex_unlock(&mdev->lock);
	/* Pairs with vfio_alloc_device() in vfio_mdev_probe() */
	vfio_put_device(&vmdev->vdev);
	mdev_shell_put(shell);
	/* Pairs with get_device() in mdev_shell_detach() */
	put_device(&mdev->dev);
}

/* Both pair with __module_get() in mdev_shell_detach() */
static int mdev_shell_thread(void *shell)
{
	mdev_shell_wait(shell);
	module_put_and_kthread_exit(0);
}

static void mdev_shell_work(struct work_struct *work)
{
	mdev_shell_wait(container_of(work, struct mdev_shell, work));
	module_put(THIS_MODULE);
}

static void mdev_shell_unpin(struct work_struct *work)
{
	struct mdev_shell *shell =
		container_of(work, struct mdev_shell, unpin_work);

	mdev_unpin_deferred(shell);
	complete_all(&shell->unpinned);
	wake_up_all(&shell->quiet);
}

static struct mdev_shell *mdev_shell_alloc(void)
{
	struct mdev_shell *shell =
		kzalloc(sizeof(*shell), GFP_KERNEL | __GFP_NOFAIL);

	refcount_set(&shell->refs, 1);
	init_completion(&shell->drained);
	init_completion(&shell->unpinned);
	init_completion(&shell->off_sysfs);
	init_waitqueue_head(&shell->quiet);
	INIT_LIST_HEAD(&shell->unpins);
	INIT_WORK(&shell->unpin_work, mdev_shell_unpin);
	INIT_WORK(&shell->work, mdev_shell_work);
	return shell;
}

/**
 * mdev_shell_detach - leave a VFIO device that was revoked to itself
 * @vmdev: the VFIO device
 *
 * Context: the removal of vfio_mdev from the mediated device. Nobody is waited
 * for in user space.
 */
void mdev_shell_detach(struct vfio_mdev *vmdev)
{
	struct mdev_shell *shell = vmdev->shell;
	struct device *dev = &vmdev->mdev->dev;

	/* On older kernels it leaves sysfs after the user's last close */
	vfio_device_leave_parent(&vmdev->vdev);
	get_device(dev);
	__module_get(THIS_MODULE);
	refcount_inc(&shell->refs);
	/* Not where memory is short, or this thread is being killed */
	if (IS_ERR(kthread_run(mdev_shell_thread, shell, "mdev-shell")))
		mdev_shell_queue(&shell->work);
	wait_for_completion(&shell->off_sysfs);
	mdev_shell_put(shell);
	/* VFIO would, when the user has gone: too late for @dev */
	iommu_group_remove_device(dev);
}

/**
 * mdev_shell_wait_quiet - wait for the calls of a device that was revoked
 * @vmdev: the device
 * @timeout: how long at most, in jiffies
 *
 * Waits until every call of the user's is over, also those that are outside of
 * the gate, and no page is pinned any more.
 */
void mdev_shell_wait_quiet(struct vfio_mdev *vmdev, unsigned long timeout)
{
	struct mdev_shell *shell = vmdev->shell;

	wait_event_timeout(shell->quiet,
			   completion_done(&shell->unpinned) &&
			   mdev_gate_is_quiet(vmdev), timeout);
}

/* Under the lock: can it be revoked? Says why where it cannot */
static int mdev_may_revoke(struct mdev_device *mdev)
{
	struct vfio_mdev *vmdev = mdev->vmdev;
	const char *why = NULL;
	int ret = 0;

	if (!vmdev || mdev->use == MDEV_FREE)
		return 0;
	if (!vmdev->revocable) {
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

/* The gate is closed: have the parent driver take everything back */
static void mdev_revoke_from_user(struct vfio_mdev *vmdev)
{
	struct mdev_device *mdev = vmdev->mdev;
	struct mdev_shell *shell = vmdev->shell;

	shell->was_held = true;
	mdev_mappings_zap(vmdev);

	shell->revoker = current;
	vmdev->ops->revoke(mdev);
	shell->revoker = NULL;

	mdev_triggers_revoke(mdev);
	if (list_empty(&shell->unpins))
		complete_all(&shell->unpinned);
	else
		mdev_shell_queue(&shell->unpin_work);
	/* Pairs with try_module_get() in vfio_mdev_open() */
	if (vmdev->owner_held)
		module_put(shell->owner);
}

/**
 * mdev_revoke - take a device from its user, if there is one
 * @mdev: the device
 * @claim: become the one who tears it down, too
 *
 * The user is asked once more, and not waited for. Afterwards nobody uses the
 * device, and nobody can open it.
 *
 * Context: process context. Waits for calls inside the gate, and for what the
 * parent driver's revoke callback takes.
 * Return: 0; -EOPNOTSUPP or -EBUSY where it has a user from whom it cannot be
 * taken; with @claim also -EAGAIN while it is being created and -ENODEV when
 * somebody else has claimed it.
 */
int mdev_revoke(struct mdev_device *mdev, bool claim)
{
	struct mdev_shell *shell = mdev_shell_alloc();
	struct vfio_mdev *vmdev;
	bool mine;
	int ret;

	mutex_lock(&mdev->lock);
	ret = claim ? mdev_may_claim(mdev) : 0;
	if (!ret)
		ret = mdev_may_revoke(mdev);
	if (ret) {
		mutex_unlock(&mdev->lock);
		kfree(shell);
		return ret;
	}

	if (claim)
		WRITE_ONCE(mdev->life, MDEV_GOING);
	vmdev = mdev->vmdev;
	mine = vmdev && !vmdev->shell;
	if (mine) {
		shell->vmdev = vmdev;
		shell->owner = vmdev->ops->owner;
		vmdev->shell = shell;
		if (mdev->use != MDEV_FREE)
			mdev_request_last(mdev);
		/* An unbind of vfio_mdev may go on as soon as there is no user */
		get_device(&vmdev->vdev.device);
	}
	mutex_unlock(&mdev->lock);
	if (claim)
		mdev_changed(mdev);

	if (!mine) {
		kfree(shell);
		/* Nobody else's wait depends on user space either */
		wait_event_idle(mdev_parent(mdev)->wait,
				READ_ONCE(mdev->use) == MDEV_FREE);
		return 0;
	}

	mdev_gate_close(vmdev);
	if (mdev_use_revoking(mdev)) {
		mdev_revoke_from_user(vmdev);
		mdev_gate_revoked(vmdev);
		mdev_shell_wait_quiet(vmdev, REVOKE_WAIT);
		mdev_use_revoked(mdev);
	} else {
		mdev_gate_revoked(vmdev);
		complete_all(&shell->unpinned);
	}
	put_device(&vmdev->vdev.device);
	return 0;
}

int mdev_revoke_init(void)
{
	mdev_shell_wq = alloc_workqueue("mdev_shell", WQ_UNBOUND,
					WQ_UNBOUND_MAX_ACTIVE);
	return mdev_shell_wq ? 0 : -ENOMEM;
}

/* No shell is left, but maybe the way out of the last one's work */
void mdev_revoke_exit(void)
{
	destroy_workqueue(mdev_shell_wq);
}
