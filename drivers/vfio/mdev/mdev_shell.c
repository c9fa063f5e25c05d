// SPDX-License-Identifier: GPL-2.0-only
/*
 * Detaching a VFIO device, and the shell that it leaves; see mdev_shell.h.
 *
 * The way of each VFIO device, whether it was released or revoked:
 *
 *	mdev_shell_detach()			the work, or the thread
 *	-------------------			-----------------------
 *	queues the work		--------->	opens the group; if it is open, a
 *						thread waits until it is closed
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
#include <linux/slab.h>

#include "compat.h"
#include "mdev_group.h"
#include "mdev_phys.h"
#include "mdev_request.h"
#include "mdev_vfio.h"

/*
 * A holder can make VFIO wait while a work opens the group. Only hundreds of
 * such works delay another work, and no removal waits for that one.
 */
static struct workqueue_struct *mdev_shell_wq;

/* For the work; it frees this */
struct mdev_shell_job {
	struct work_struct work;
	struct mdev_device *mdev;
};

/* Both pair with those in mdev_shell_end() and mdev_shell_thread() */
static void mdev_shell_get_mdev(struct mdev_device *mdev)
{
	get_device(&mdev->dev);
	__module_get(THIS_MODULE);
}

static bool mdev_shell_take_turn(struct mdev_shell *shell, int from, int to)
{
	if (atomic_cmpxchg(&shell->turn, from, to) != from)
		return false;
	/* No thread waits for the other turns */
	if (to == MDEV_SHELL_LEFT || to == MDEV_SHELL_DONE)
		wake_up_all(&mdev_wait_queue);
	return true;
}

/*
 * Unregister the device from VFIO, with the group open. If VFIO has no groups,
 * the unregistration waits for the holder. Returns whether a thread waits for
 * the end of this.
 */
static bool mdev_shell_run(struct mdev_device *mdev, struct file *group)
{
	struct mdev_shell *shell = &mdev->shell;
	struct mdev_vfio *vmdev = mdev->vmdev;
	struct device *phys = vmdev->vdev.dev;
	bool revoked = mdev->revoked;
	bool waited_for;

	if (!mdev_shell_take_turn(shell, MDEV_SHELL_UNDECIDED,
				  MDEV_SHELL_THREAD))
		mdev_wait_timeout(atomic_read_acquire(&shell->turn) ==
				  MDEV_SHELL_LEFT, TASK_IDLE,
				  MAX_SCHEDULE_TIMEOUT);

	vfio_unregister_group_dev(&vmdev->vdev);
	/* From here on nobody can open it */
	if (group)
		mdev_group_put(group);
	mdev_gate_wait_quiet(&vmdev->gate);
	/* If nobody waits, there may soon be another shell */
	waited_for = atomic_read(&shell->turn) == MDEV_SHELL_THREAD;
	if (revoked)
		dev_info(&mdev->dev, "former holder closed the revoked device\n");

	mutex_lock(&mdev->lock);
	mdev->vmdev = NULL;
	mutex_unlock(&mdev->lock);
	/* Pairs with vfio_alloc_device() in mdev_vfio_probe() */
	vfio_put_device(&vmdev->vdev);
	mdev_phys_free(phys);
	if (waited_for)
		mdev_shell_take_turn(shell, MDEV_SHELL_THREAD, MDEV_SHELL_DONE);
	return waited_for;
}

static struct file *mdev_shell_take_group(struct mdev_device *mdev)
{
	if (mdev->shell.group_id < 0)
		return NULL;
	return mdev_group_take(mdev->shell.group_id,
			       &mdev->vmdev->vdev.device);
}

/*
 * A process has the group open. If mdev_shell_reap() waits for this thread,
 * that drops the reference to it, and the thread has ended before this module
 * can be unloaded.
 */
static int mdev_shell_thread(void *data)
{
	struct mdev_device *mdev = data;

	if (mdev_shell_run(mdev, mdev_shell_take_group(mdev)))
		return 0;
	put_device(&mdev->dev);
	put_task_struct(current);
	module_put_and_kthread_exit(0);
}

/* Returns false if memory is short */
static bool mdev_shell_start_thread(struct mdev_device *mdev)
{
	struct task_struct *thread =
		kthread_create(mdev_shell_thread, mdev, "mdev-shell");

	if (IS_ERR(thread))
		return false;
	/* Pairs with put_task_struct() in the thread, or mdev_shell_reap() */
	mdev->shell.thread = get_task_struct(thread);
	wake_up_process(thread);
	return true;
}

static void mdev_shell_end(struct mdev_device *mdev, struct file *group)
{
	if (mdev_shell_run(mdev, group))
		return;
	put_device(&mdev->dev);
	module_put(THIS_MODULE);
}

/* Without groups it is unknown whether a process has the device open */
static struct file *mdev_shell_try_group(struct mdev_device *mdev)
{
	return mdev->shell.group_id < 0 ?
	       ERR_PTR(-EBUSY) : mdev_group_try(mdev->shell.group_id);
}

static void mdev_shell_work(struct work_struct *work)
{
	struct mdev_shell_job *job =
		container_of(work, struct mdev_shell_job, work);
	struct mdev_device *mdev = job->mdev;
	struct file *group;

	kfree(job);
	group = mdev_shell_try_group(mdev);
	if (group == ERR_PTR(-EBUSY)) {
		if (mdev_shell_start_thread(mdev))
			return;
		group = mdev_shell_take_group(mdev);
	}
	mdev_shell_end(mdev, group);
}

static void mdev_shell_start(struct mdev_device *mdev)
{
	struct mdev_shell_job *job =
		kmalloc(sizeof(*job), GFP_KERNEL | __GFP_NOFAIL);

	INIT_WORK(&job->work, mdev_shell_work);
	job->mdev = mdev;
	queue_work(mdev_shell_wq, &job->work);
}

/*
 * The parent may be removed before VFIO has unregistered its device: take this
 * device out of the parent's folder.
 */
static void mdev_shell_leave_parent(struct vfio_device *vdev)
{
	struct kobject *class_dir = vdev->device.kobj.parent;

	if (device_move(&vdev->device, NULL, DPM_ORDER_NONE))
		return;
	/* device_move() forgets the class's folder in that of the parent */
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
 * Wait for the end of the thread (or the work), or leave it alone. The VFIO
 * device is out of sysfs when this returns. Only the thread may use @vmdev once
 * it had its turn.
 */
static void mdev_shell_wait(struct mdev_device *mdev, struct mdev_vfio *vmdev)
{
	struct mdev_shell *shell = &mdev->shell;

	if (!mdev->revoked &&
	    mdev_wait_timeout(mdev_shell_is_over(shell), TASK_IDLE,
			      MDEV_LEAVE_WAIT))
		return;
	if (mdev_shell_take_turn(shell, MDEV_SHELL_UNDECIDED,
				 MDEV_SHELL_DETACHED))
		mdev_shell_leave(vmdev);
	else
		mdev_wait_timeout(mdev_shell_is_over(shell), TASK_IDLE,
				  MAX_SCHEDULE_TIMEOUT);
}

/* If the caller waited for the thread, wait until it has left this module */
static void mdev_shell_reap(struct mdev_shell *shell)
{
	if (atomic_read(&shell->turn) != MDEV_SHELL_DONE || !shell->thread)
		return;
	kthread_stop(shell->thread);
	put_task_struct(shell->thread);
}

/**
 * mdev_shell_detach - leave a VFIO device to itself
 * @vmdev: the VFIO device; its gate is closed, and the parent driver knows of
 *	no holder any more
 *
 * Context: the unbind of vfio_mdev. Takes a moment, whatever any process does.
 */
void mdev_shell_detach(struct mdev_vfio *vmdev)
{
	struct mdev_device *mdev = vmdev->mdev;

	mdev_shell_start(mdev);
	mdev_shell_wait(mdev, vmdev);
	mdev_shell_reap(&mdev->shell);
	/* VFIO added it, and looks for it in its physical device */
	iommu_group_remove_device(&mdev->dev);
}

/**
 * mdev_shell_waits - VFIO waits for a descriptor of a device to be closed
 * @vmdev: the device
 *
 * The device was opened without the group. It is out of sysfs when this
 * returns, so no removal waits for the thread any more.
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
void mdev_shell_init(struct mdev_device *mdev)
{
	struct mdev_shell *shell = &mdev->shell;

	atomic_set(&shell->turn, MDEV_SHELL_UNDECIDED);
	shell->thread = NULL;
	shell->group_id = mdev_group_id(&mdev->dev);
}

int mdev_shell_init_module(void)
{
	mdev_shell_wq = alloc_workqueue("mdev_shell",
					WQ_HIGHPRI | WQ_PERCPU, WQ_MAX_ACTIVE);
	return mdev_shell_wq ? 0 : -ENOMEM;
}

/* No shell is left, but the last work may not have returned */
void mdev_shell_exit_module(void)
{
	destroy_workqueue(mdev_shell_wq);
}
