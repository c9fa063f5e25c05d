// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VFIO group of a mediated device. VFIO lets one process at a time have a
 * group open, and each device that is open by a type 1 container keeps its group
 * open. If a thread has the group open itself, no process has the device, the
 * group, or the container through that group, and none will get them. A device
 * that is open by an iommufd may be open all the same. It has no container, and
 * VFIO waits for it without a lock.
 *
 * That matters when VFIO gives up a group, because it detaches the group from
 * its container then. It does so with a global lock held. It waits for a lock
 * that the holder can keep, and ignores ioctls that are under way on the
 * container.
 */
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fsnotify_backend.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "mdev_cdev.h"
#include "mdev_group.h"
#include "mdev_request.h"
#include "mdev_watch.h"

#define GROUP_PATH_LEN	48

/*
 * How often to look if no close was reported: the holder may have opened the
 * group by another file than that in /dev.
 */
#define LOOK_INTERVAL	(10 * HZ)

/* A close is reported when it begins: how often to look after that */
#define CLOSE_INTERVAL	(HZ / 50 ?: 1)
#define CLOSE_LOOKS	50

/* Reports closes of the files of groups and devices in /dev */
static struct fsnotify_group *mdev_group_watch;

/*
 * Closes are counted for each group number: a thread that waits for one group
 * does not have to look each time that another one is closed.
 */
static struct mdev_group_closes {
	atomic_t count;
	wait_queue_head_t wait;
} mdev_group_closes[256];

static struct mdev_group_closes *mdev_group_closes_of(int id)
{
	return &mdev_group_closes[(unsigned int)id %
				  ARRAY_SIZE(mdev_group_closes)];
}

/* A close of the group with the number @id, or of its device */
struct mdev_group_mark {
	struct fsnotify_mark mark;
	int id;
};

/**
 * mdev_group_released - a device was released that was opened without its group
 * @id: the group's number, or negative if VFIO has none
 *
 * The watch reports the begin of the close, and the release may take its time.
 */
void mdev_group_released(int id)
{
	struct mdev_group_closes *closes = mdev_group_closes_of(id);

	atomic_inc(&closes->count);
	wake_up_all(&closes->wait);
}

static int mdev_group_closed(struct fsnotify_mark *mark, u32 mask,
			     struct inode *inode, struct inode *dir,
			     const struct qstr *name, u32 cookie)
{
	mdev_group_released(container_of(mark, struct mdev_group_mark,
					 mark)->id);
	return 0;
}

static void mdev_group_free_mark(struct fsnotify_mark *mark)
{
	kfree(container_of(mark, struct mdev_group_mark, mark));
}

static const struct fsnotify_ops mdev_group_watch_ops = {
	.handle_inode_event	= mdev_group_closed,
	.free_mark		= mdev_group_free_mark,
};

/* Count closes of @path's file from now on. Returns NULL if that fails */
static struct fsnotify_mark *mdev_group_mark(const char *path, int id)
{
	struct mdev_group_mark *mark;
	struct path found;
	int err = -ENOENT;

	scoped_with_init_fs()
		err = kern_path(path, LOOKUP_FOLLOW, &found);
	if (err)
		return NULL;
	mark = kzalloc(sizeof(*mark), GFP_KERNEL);
	if (!mark)
		goto put_path;
	mark->id = id;
	fsnotify_init_mark(&mark->mark, mdev_group_watch);
	mark->mark.mask = FS_CLOSE_WRITE | FS_CLOSE_NOWRITE;
	if (fsnotify_add_inode_mark(&mark->mark, d_inode(found.dentry), 0)) {
		fsnotify_put_mark(&mark->mark);
		mark = NULL;
	}
put_path:
	path_put(&found);
	return mark ? &mark->mark : NULL;
}

static void mdev_group_unmark(struct fsnotify_mark *mark)
{
	if (!mark)
		return;
	fsnotify_destroy_mark(mark, mdev_group_watch);
	/* Pairs with fsnotify_init_mark() in mdev_group_mark() */
	fsnotify_put_mark(mark);
}

static struct file *mdev_group_open(const char *path)
{
	struct file *file = ERR_PTR(-ENOENT);

	scoped_with_init_fs()
		file = filp_open(path, O_RDWR | O_CLOEXEC, 0);
	return file;
}

/* Wait until a group is closed, if the count of closes is still @count */
static bool mdev_group_wait_close(struct mdev_group_closes *closes, int count)
{
	return wait_event_idle_timeout(closes->wait,
				       atomic_read(&closes->count) != count,
				       LOOK_INTERVAL);
}

/* What the threads that wait can tell; a shell's thread has no @group */
static void mdev_group_tell(struct mdev_group_use *group, bool open)
{
	if (group)
		WRITE_ONCE(group->open, open);
}

/*
 * mdev_group_open(), or -EBUSY if VFIO's device @dev is open by its own file. A
 * thread that began to open that file before it was shut may be preempted before
 * VFIO counts it. It does not sleep there, so the RCU of tasks waits for it.
 */
static struct file *mdev_group_open_idle(const char *path, struct device *dev,
					 struct mdev_group_use *group)
{
	struct vfio_device *vdev = NULL;
	struct file *file;

	/* If the open takes long, a process has VFIO wait in it */
	mdev_group_tell(group, true);
	if (dev)
		vdev = container_of(dev, struct vfio_device, device);
	if (vdev && mdev_cdev_is_open(vdev))
		return ERR_PTR(-EBUSY);
	file = mdev_group_open(path);
	if (file == ERR_PTR(-EBUSY))
		return file;
	mdev_group_tell(group, false);
	if (!vdev || !mdev_cdev_exists(vdev))
		return file;
	synchronize_rcu_tasks();
	if (!mdev_cdev_is_open(vdev))
		return file;
	mdev_group_tell(group, true);
	if (!IS_ERR(file))
		mdev_group_put(file);
	return ERR_PTR(-EBUSY);
}

/* NULL: the group is wanted for good */
static bool mdev_group_is_unwanted(const struct mdev_group_use *group)
{
	return group && !READ_ONCE(group->users);
}

/* A close has begun, of this group or of one that is counted with it */
static struct file *
mdev_group_open_closing(const char *path, struct device *dev,
			struct mdev_group_use *group)
{
	struct file *file;
	int i;

	for (i = 0; i < CLOSE_LOOKS; i++) {
		file = mdev_group_open_idle(path, dev, group);
		if (file != ERR_PTR(-EBUSY) || mdev_group_is_unwanted(group))
			break;
		schedule_timeout_idle(CLOSE_INTERVAL);
	}
	return file;
}

static struct file *mdev_group_open_when_closed(const char *path, int id,
						struct device *dev,
						struct mdev_group_use *group)
{
	struct mdev_group_closes *closes = mdev_group_closes_of(id);
	struct file *file;
	int count;

	for (;;) {
		count = atomic_read(&closes->count);
		file = mdev_group_open_idle(path, dev, group);
		if (file != ERR_PTR(-EBUSY) || mdev_group_is_unwanted(group))
			return file;
		if (!mdev_group_wait_close(closes, count))
			continue;
		file = mdev_group_open_closing(path, dev, group);
		if (file != ERR_PTR(-EBUSY))
			return file;
	}
}

static void mdev_group_path(char *path, int id)
{
	snprintf(path, GROUP_PATH_LEN, "/dev/vfio/%d", id);
}

/* The file by which a device is opened without its group */
static void mdev_group_device_path(char *path, const struct device *dev)
{
	snprintf(path, GROUP_PATH_LEN, "/dev/vfio/devices/%s", dev_name(dev));
}

/**
 * mdev_group_id - the number of a device's VFIO group
 * @dev: the mediated device
 *
 * Return: the number, or -ENODEV if VFIO has no groups.
 */
int mdev_group_id(struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	int id;

	if (!group)
		return -ENODEV;
	id = iommu_group_id(group);
	iommu_group_put(group);
	return id;
}

/**
 * mdev_group_try - open a VFIO group, if no process has it open
 * @id: its number, which is not negative
 *
 * Context: a thread of its own: the holder can make VFIO wait while it opens or
 * closes the group, and this waits as long.
 * Return: the file, for mdev_group_put(), or an ERR_PTR: -EBUSY if a process
 * has it open.
 */
struct file *mdev_group_try(int id)
{
	char path[GROUP_PATH_LEN];

	mdev_group_path(path, id);
	return mdev_group_open(path);
}

/* See mdev_group_take(), and mdev_group_is_unwanted() */
static struct file *mdev_group_wait(int id, struct device *dev,
				    struct mdev_group_use *group)
{
	/* A shell's thread has no @group: it may wait for that file in VFIO */
	struct device *closed = group ? dev : NULL;
	struct fsnotify_mark *mark, *device_mark = NULL;
	char path[GROUP_PATH_LEN];
	struct file *file;

	if (dev) {
		mdev_group_device_path(path, dev);
		device_mark = mdev_group_mark(path, id);
	}
	mdev_group_path(path, id);
	mark = mdev_group_mark(path, id);
	/* VFIO is done with the group a little after the device's release */
	file = mdev_group_open_closing(path, closed, group);
	if (file == ERR_PTR(-EBUSY))
		file = mdev_group_open_when_closed(path, id, closed, group);
	mdev_group_unmark(device_mark);
	mdev_group_unmark(mark);
	return file;
}

/**
 * mdev_group_take - open a VFIO group, so that no process has it open
 * @id: its number
 * @dev: VFIO's device of it
 *
 * Context: as for mdev_group_try(). Waits until the holder has closed the group,
 * or the device that it opened without the group.
 * Return: the file, for mdev_group_put(), or an ERR_PTR other than -EBUSY.
 */
struct file *mdev_group_take(int id, struct device *dev)
{
	return mdev_group_wait(id, dev, NULL);
}

/**
 * mdev_group_put - close a VFIO group
 * @file: what mdev_group_try() or mdev_group_take() returned
 *
 * Context: a kernel thread. It is closed when this returns.
 */
void mdev_group_put(struct file *file)
{
	if (IS_ERR(file))
		pr_warn_once("mdev: cannot see whether a VFIO group is still open: opening it gives error %ld\n",
			     PTR_ERR(file));
	else
		__fput_sync(file);
}

/*
 * The same for threads that must not wait in VFIO, where a holder can make them
 * wait. One work for each device, or a thread if the group is open, takes the
 * group for all of them, and puts it into struct mdev_group_use.
 */
static struct workqueue_struct *mdev_group_wq;

static void mdev_group_reopen_cdev(const struct mdev_watch *watch)
{
	if (watch->vdev)
		mdev_cdev_reopen(watch->vdev, watch->group_job.cdev_ops);
}

/*
 * Returns false if the group is open, and a thread wants it again. Else drops
 * the job's reference @vdev to VFIO's device; it may be NULL. When the group is
 * not being taken any more, another job may take it, the device may be unbound,
 * and the module of its driver may be unloaded. So the reference is dropped
 * before, under the lock: it is not the last one while the device is watched.
 */
static bool mdev_group_taken(struct mdev_device *mdev, struct device *vdev,
			     struct file *file)
{
	struct mdev_group_use *group = &mdev->group;
	struct vfio_device *watched;
	bool again;

	mutex_lock(&mdev->lock);
	again = group->users && file == ERR_PTR(-EBUSY);
	if (!again) {
		watched = mdev->watch->vdev;
		if (vdev && watched && vdev == &watched->device) {
			put_device(vdev);
			vdev = NULL;
		}
		mdev->group_taking = false;
		if (group->users) {
			WRITE_ONCE(group->file, file);
			file = NULL;
		} else {
			mdev_group_reopen_cdev(mdev->watch);
		}
	}
	mutex_unlock(&mdev->lock);
	wake_up_all(&mdev_wait_queue);
	if (again)
		return false;
	if (!IS_ERR_OR_NULL(file))
		mdev_group_put(file);
	/* The device was unbound without the group: the machine goes down */
	put_device(vdev);
	return true;
}

/*
 * The thread, or the work, is done. Once the group is taken, the job may be
 * used again, and the removal goes on. Only the driver refers to VFIO's device
 * then, so its instance is free when the removal is over. Returns false if the
 * group is open, and a thread wants it again.
 */
static bool mdev_group_done(struct mdev_device *mdev, struct device *vdev,
			    struct file *file)
{
	/* Pairs with get_device() in mdev_group_is_wanted() */
	if (file != ERR_PTR(-EBUSY)) {
		put_device(vdev);
		vdev = NULL;
	}
	if (!mdev_group_taken(mdev, vdev, file))
		return false;
	/* Pairs with mdev_group_start() */
	put_device(&mdev->dev);
	return true;
}

static void mdev_group_job_run(struct mdev_group_job *job)
{
	struct mdev_device *mdev = job->mdev;
	struct device *vdev = job->vdev;
	struct file *file;

	do {
		file = mdev_group_wait(mdev->group.id, vdev, &mdev->group);
	} while (!mdev_group_done(mdev, vdev, file));
}

static int mdev_group_thread(void *data)
{
	mdev_group_job_run(data);
	module_put_and_kthread_exit(0);
}

static void mdev_group_work(struct work_struct *work)
{
	struct mdev_group_job *job =
		container_of(work, struct mdev_group_job, work);
	struct mdev_device *mdev = job->mdev;
	struct device *vdev = job->vdev;
	char path[GROUP_PATH_LEN];
	struct file *file;

	mdev_group_path(path, mdev->group.id);
	file = mdev_group_open_idle(path, vdev, &mdev->group);
	if (file == ERR_PTR(-EBUSY)) {
		if (!IS_ERR(kthread_run(mdev_group_thread, job, "mdev-group")))
			return;
		mdev_group_job_run(job);
	} else {
		mdev_group_done(mdev, vdev, file);
	}
	module_put(THIS_MODULE);
}

/**
 * mdev_group_job_init - make a job ready for use
 * @job: part of what belongs to @mdev
 * @mdev: the mediated device, whose driver is one of the kernel's own interface
 */
void mdev_group_job_init(struct mdev_group_job *job, struct mdev_device *mdev)
{
	INIT_WORK(&job->work, mdev_group_work);
	job->mdev = mdev;
}

/* @vdev: VFIO's device, to which there is a reference, or NULL */
static void mdev_group_start(struct mdev_device *mdev, struct device *vdev)
{
	struct mdev_group_job *job = &mdev->watch->group_job;

	job->vdev = vdev;
	get_device(&mdev->dev);
	/* Pairs with module_put() at the end of the work, or of the thread */
	__module_get(THIS_MODULE);
	queue_work(mdev_group_wq, &job->work);
}

/* The first one wants the group. Returns whether a job has to take it */
static bool mdev_group_is_wanted(struct mdev_device *mdev,
				 struct device **vdev)
{
	struct mdev_group_use *group = &mdev->group;
	struct mdev_watch *watch = mdev->watch;

	lockdep_assert_held(&mdev->lock);

	/* It is still shut, then */
	if (mdev->group_taking)
		return false;
	WRITE_ONCE(group->open, false);
	if (watch->vdev)
		watch->group_job.cdev_ops = mdev_cdev_shut(watch->vdev);
	group->id = mdev_group_id(&mdev->dev);
	/* Without groups, VFIO's device may still be open by its own file */
	if (group->id < 0 && !(watch->vdev && mdev_cdev_exists(watch->vdev))) {
		WRITE_ONCE(group->file, ERR_PTR(group->id));
		return false;
	}
	mdev->group_taking = true;
	/* Pairs with put_device() in mdev_group_done() */
	if (watch->vdev)
		*vdev = get_device(&watch->vdev->device);
	return true;
}

/* Nobody wants it any more: if VFIO still has the device, let it be opened */
static struct file *mdev_group_is_left(struct mdev_device *mdev)
{
	struct mdev_group_use *group = &mdev->group;
	struct mdev_watch *watch = mdev->watch;
	struct file *file = group->file;

	lockdep_assert_held(&mdev->lock);

	group->file = NULL;
	/* Else it is shut until it is not being taken any more, or not yet */
	if (!mdev->group_taking && !watch->binding)
		mdev_group_reopen_cdev(watch);
	return file;
}

/**
 * mdev_group_begin - begin to take a device's group, so that no process has it
 * @mdev: the mediated device, whose driver is one of the kernel's own interface
 *
 * No process can open the device's own file from now on. Does not wait:
 * mdev_group_is_taken() tells when the group is taken, and mdev_wait_queue is
 * woken. Then no process has the device's own file open either, and no driver
 * is bound until mdev_group_end(): the group stays that of the device.
 */
void mdev_group_begin(struct mdev_device *mdev)
{
	struct device *vdev = NULL;
	bool start = false;

	mutex_lock(&mdev->lock);
	if (!mdev->group.users++ && !mdev->watch->binding)
		start = mdev_group_is_wanted(mdev, &vdev);
	mutex_unlock(&mdev->lock);
	if (start)
		mdev_group_start(mdev, vdev);
}

/**
 * mdev_group_end - undo mdev_group_begin()
 * @mdev: the mediated device
 *
 * The last caller closes a group that was taken, when it returns to user space.
 */
void mdev_group_end(struct mdev_device *mdev)
{
	struct mdev_group_use *group = &mdev->group;
	struct file *file = NULL;

	mutex_lock(&mdev->lock);
	if (!--group->users)
		file = mdev_group_is_left(mdev);
	mutex_unlock(&mdev->lock);
	if (!file)
		mdev_group_released(group->id);
	else if (!IS_ERR(file))
		fput(file);
	else if (group->id >= 0)
		mdev_group_put(file);
}

/**
 * mdev_group_bind_begin - a driver is about to register a VFIO device
 * @mdev: the mediated device
 *
 * The new device's group is another one. If a thread wants the group, it may
 * have taken the one before, and would take it for the new one.
 *
 * Return: whether no thread wants it; then mdev_group_bind_end() has to follow.
 */
bool mdev_group_bind_begin(struct mdev_device *mdev)
{
	bool unwanted;

	mutex_lock(&mdev->lock);
	unwanted = !mdev->group.users;
	WRITE_ONCE(mdev->watch->binding, unwanted);
	mutex_unlock(&mdev->lock);
	return unwanted;
}

/**
 * mdev_group_bind_end - the driver has registered its VFIO device, or has failed
 * @mdev: the mediated device
 *
 * Takes the group for threads that have wanted it meanwhile.
 */
void mdev_group_bind_end(struct mdev_device *mdev)
{
	struct device *vdev = NULL;
	bool start = false;

	mutex_lock(&mdev->lock);
	WRITE_ONCE(mdev->watch->binding, false);
	if (mdev->group.users)
		start = mdev_group_is_wanted(mdev, &vdev);
	mutex_unlock(&mdev->lock);
	if (start)
		mdev_group_start(mdev, vdev);
	wake_up_all(&mdev_wait_queue);
}

int mdev_group_init_module(void)
{
	unsigned int i;

	mdev_group_wq = alloc_workqueue("mdev_group", WQ_HIGHPRI | WQ_PERCPU,
					WQ_MAX_ACTIVE);
	if (!mdev_group_wq)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(mdev_group_closes); i++)
		init_waitqueue_head(&mdev_group_closes[i].wait);
	mdev_group_watch = fsnotify_alloc_group(&mdev_group_watch_ops, 0);
	if (IS_ERR(mdev_group_watch)) {
		destroy_workqueue(mdev_group_wq);
		return PTR_ERR(mdev_group_watch);
	}
	return 0;
}

/* No group is being taken any more, but the last work may not have returned */
void mdev_group_exit_module(void)
{
	destroy_workqueue(mdev_group_wq);
	fsnotify_put_group(mdev_group_watch);
	/* Marks are freed by code of this module */
	fsnotify_wait_marks_destroyed();
}
