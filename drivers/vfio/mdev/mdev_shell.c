// SPDX-License-Identifier: GPL-2.0-only
/*
 * Detaching a VFIO device, and the shell that it leaves; see mdev_shell.h.
 *
 * The way of each VFIO device, whether it was released or revoked:
 *
 *	mdev_shell_detach()			the thread
 *	-------------------			----------
 *	starts it		--------->	opens the group, which may wait
 *						for the holder
 *	waits a moment for its		takes its turn, if there is one,
 *	 end, or takes its turn: moves		unregisters the device from
 *	 the device out of sysfs		VFIO, which waits for nobody,
 *	returns					and frees the device
 *
 * The holder of a device that was released has this moment to leave its group
 * and its container, too: QEMU unmaps its guest's memory after it has closed the
 * device, and a container without a group does not do that.
 */
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched/task.h>

#include "mdev_group.h"
#include "mdev_request.h"
#include "mdev_vfio.h"

/* How long the holder of a released device has to close its group */
#define LEAVE_WAIT	HZ

/* Where there can be no thread: each work may take any time */
static struct workqueue_struct *mdev_shell_wq;

/* Both pair with those at the end of the thread, or of the work */
static void mdev_shell_get_mdev(struct mdev_device *mdev)
{
	get_device(&mdev->dev);
	__module_get(THIS_MODULE);
}

static bool mdev_shell_take_turn(struct mdev_shell *shell, int from, int to)
{
	if (atomic_cmpxchg(&shell->turn, from, to) != from)
		return false;
	wake_up_all(&mdev_wait_queue);
	return true;
}

/* Returns whether somebody waits for the end of this */
static bool mdev_shell_run(struct mdev_device *mdev)
{
	struct mdev_shell *shell = &mdev->shell;
	struct mdev_vfio *vmdev = mdev->vmdev;
	bool was_held = shell->was_held;
	struct file *group;
	bool waited_for;

	group = mdev_group_take(shell->group_id);
	if (!mdev_shell_take_turn(shell, MDEV_SHELL_UNDECIDED,
				  MDEV_SHELL_THREAD))
		mdev_wait_timeout(atomic_read_acquire(&shell->turn) ==
				  MDEV_SHELL_LEFT, TASK_IDLE,
				  MAX_SCHEDULE_TIMEOUT);

	vfio_unregister_group_dev(&vmdev->vdev);
	/* From here on nobody can open it */
	mdev_group_put(group);
	wait_event_idle(vmdev->gate.wait, mdev_gate_is_quiet(&vmdev->gate));
	mdev_dma_stop(&vmdev->dma);
	/* If nobody waits, there may soon be another shell */
	waited_for = atomic_read(&shell->turn) == MDEV_SHELL_THREAD;
	if (was_held)
		dev_info(&mdev->dev, "former holder closed the revoked device\n");

	mutex_lock(&mdev->lock);
	mdev->vmdev = NULL;
	mutex_unlock(&mdev->lock);
	/* Pairs with vfio_alloc_device() in mdev_vfio_probe() */
	vfio_put_device(&vmdev->vdev);
	if (waited_for)
		mdev_shell_take_turn(shell, MDEV_SHELL_THREAD, MDEV_SHELL_DONE);
	return waited_for;
}

/* The thread that waits for this one keeps what this one would keep otherwise */
static int mdev_shell_thread(void *data)
{
	struct mdev_device *mdev = data;

	if (mdev_shell_run(mdev))
		return 0;
	put_device(&mdev->dev);
	module_put_and_kthread_exit(0);
}

static void mdev_shell_work(struct work_struct *work)
{
	struct mdev_vfio *vmdev =
		container_of(work, struct mdev_vfio, shell_work);
	struct mdev_device *mdev = vmdev->mdev;

	mdev_shell_run(mdev);
	put_device(&mdev->dev);
	module_put(THIS_MODULE);
}

/* With a reference, or NULL if memory is short, or this thread is being killed */
static struct task_struct *mdev_shell_start(struct mdev_device *mdev)
{
	struct task_struct *thread =
		kthread_create(mdev_shell_thread, mdev, "mdev-shell");

	if (IS_ERR(thread))
		return NULL;
	get_task_struct(thread);
	wake_up_process(thread);
	return thread;
}

/*
 * A VFIO device leaves the folder of its parent by itself, if that goes before
 * VFIO has unregistered it.
 */
static void mdev_shell_leave_parent(struct vfio_device *vdev)
{
	struct kobject *class_dir = vdev->device.kobj.parent;

	if (device_move(&vdev->device, NULL, DPM_ORDER_NONE))
		return;
	/* It forgets the class's folder in that of the parent */
	kobject_del(class_dir);
	kobject_put(class_dir);
}

/* Take the device out of sysfs; the thread is left to itself */
static void mdev_shell_leave(struct mdev_vfio *vmdev)
{
	struct mdev_device *mdev = vmdev->mdev;

	mdev_shell_leave_parent(&vmdev->vdev);
	mdev_shell_get_mdev(mdev);
	mdev_shell_take_turn(&mdev->shell, MDEV_SHELL_DETACHED,
			     MDEV_SHELL_LEFT);
}

static bool mdev_shell_is_over(const struct mdev_shell *shell)
{
	int turn = atomic_read_acquire(&shell->turn);

	return turn == MDEV_SHELL_DONE || turn == MDEV_SHELL_LEFT;
}

/*
 * Wait for @thread, or leave it to itself: the VFIO device is out of sysfs when
 * this returns. Nobody but the thread may use @vmdev once that had its turn.
 */
static void mdev_shell_wait(struct mdev_shell *shell, struct mdev_vfio *vmdev,
			    struct task_struct *thread)
{
	if (thread && !shell->was_held &&
	    mdev_wait_timeout(mdev_shell_is_over(shell), TASK_IDLE, LEAVE_WAIT))
		return;
	if (mdev_shell_take_turn(shell, MDEV_SHELL_UNDECIDED,
				 MDEV_SHELL_DETACHED))
		mdev_shell_leave(vmdev);
	else
		mdev_wait_timeout(mdev_shell_is_over(shell), TASK_IDLE,
				  MAX_SCHEDULE_TIMEOUT);
}

/**
 * mdev_shell_detach - leave a VFIO device to itself
 * @vmdev: the VFIO device; its gate is closed, and no holder is left that the
 *	parent driver knows of
 *
 * Context: the unbind of vfio_mdev. Takes a moment, whatever any process does.
 */
void mdev_shell_detach(struct mdev_vfio *vmdev)
{
	struct mdev_device *mdev = vmdev->mdev;
	struct mdev_shell *shell = &mdev->shell;
	struct task_struct *thread = mdev_shell_start(mdev);

	mdev_shell_wait(shell, vmdev, thread);
	if (!thread) {
		queue_work(mdev_shell_wq, &vmdev->shell_work);
	} else {
		/* It must have left this module before that can be unloaded */
		if (atomic_read(&shell->turn) == MDEV_SHELL_DONE)
			kthread_stop(thread);
		/* Pairs with get_task_struct() in mdev_shell_start() */
		put_task_struct(thread);
	}
	/* VFIO added it, and looks for it in mdev_vfio_dev */
	iommu_group_remove_device(&mdev->dev);
}

/**
 * mdev_shell_waits - VFIO waits for a descriptor of a device to be closed
 * @vmdev: the device
 *
 * It is one that was opened without the group, and has left sysfs: so nobody
 * else waits any more.
 *
 * Context: the shell's thread, in VFIO's unregistration.
 */
void mdev_shell_waits(struct mdev_vfio *vmdev)
{
	struct mdev_device *mdev = vmdev->mdev;
	struct mdev_shell *shell = &mdev->shell;

	if (atomic_read(&shell->turn) != MDEV_SHELL_THREAD)
		return;
	mdev_shell_get_mdev(mdev);
	mdev_shell_take_turn(shell, MDEV_SHELL_THREAD, MDEV_SHELL_LEFT);
}

/* Before the probe of vfio_mdev ends; the mediated device has no other shell */
void mdev_shell_init(struct mdev_vfio *vmdev)
{
	struct device *dev = &vmdev->mdev->dev;
	struct mdev_shell *shell = &vmdev->mdev->shell;
	struct iommu_group *group = iommu_group_get(dev);

	INIT_WORK(&vmdev->shell_work, mdev_shell_work);
	atomic_set(&shell->turn, MDEV_SHELL_UNDECIDED);
	shell->was_held = false;
	shell->group_id = iommu_group_id(group);
	iommu_group_put(group);
}

int mdev_shell_init_module(void)
{
	mdev_shell_wq = alloc_workqueue("mdev_shell", WQ_UNBOUND,
					WQ_UNBOUND_MAX_ACTIVE);
	return mdev_shell_wq ? 0 : -ENOMEM;
}

/* No shell is left, but maybe the way out of the last one's work */
void mdev_shell_exit_module(void)
{
	destroy_workqueue(mdev_shell_wq);
}
