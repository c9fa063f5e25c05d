/* SPDX-License-Identifier: GPL-2.0-only */
/* The VFIO group of a device, which its holder opens first and closes last */
#ifndef _MDEV_GROUP_H
#define _MDEV_GROUP_H

#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct device;
struct file;
struct file_operations;
struct mdev_device;

/* How long the holder of a released device has to leave its group */
#define MDEV_LEAVE_WAIT	HZ

/**
 * struct mdev_group_use - a group, taken by the threads that detach its device
 * @file: the group, once it is taken: no process has it open then; or an
 *	ERR_PTR, if that cannot be known. Threads that wait read it without the
 *	lock
 * @id: its number, or negative if VFIO has no groups
 * @users: how many threads want it; the job reads it without the lock
 * @open: the job has found the group open, or the device's own file, or is kept
 *	from opening the group; written by the job without the lock
 *
 * All but @open is written under the device's lock.
 */
struct mdev_group_use {
	struct file *file;
	int id;
	unsigned int users;
	bool open;
};

/**
 * struct mdev_group_job - a work, or a thread, that takes the group of a device
 * @work: begins it; queued when @mdev->group_taking becomes true
 * @mdev: the device; a reference is held while the group is being taken
 * @vdev: VFIO's device, to which a reference is held as well, or NULL
 * @cdev_ops: from mdev_cdev_shut(), while no process may open @vdev by its own
 *	file; else NULL. Written under the device's lock
 *
 * Part of the device's struct mdev_watch. It may be used again as soon as
 * @mdev->group_taking is false.
 */
struct mdev_group_job {
	struct work_struct work;
	struct mdev_device *mdev;
	struct device *vdev;
	const struct file_operations *cdev_ops;
};

void mdev_group_job_init(struct mdev_group_job *job, struct mdev_device *mdev);
int mdev_group_id(struct device *dev);
struct file *mdev_group_try(int id);
struct file *mdev_group_take(int id, struct device *dev);
void mdev_group_put(struct file *file);
void mdev_group_released(int id);
void mdev_group_begin(struct mdev_device *mdev);
void mdev_group_end(struct mdev_device *mdev);
bool mdev_group_bind_begin(struct mdev_device *mdev);
void mdev_group_bind_end(struct mdev_device *mdev);

static inline bool mdev_group_is_taken(const struct mdev_group_use *group)
{
	return READ_ONCE(group->file);
}

/* The same, and it is known that no process has the group */
static inline bool mdev_group_is_ours(const struct mdev_group_use *group)
{
	return !IS_ERR_OR_NULL(READ_ONCE(group->file));
}

int mdev_group_init_module(void);
void mdev_group_exit_module(void);

#endif /* _MDEV_GROUP_H */
