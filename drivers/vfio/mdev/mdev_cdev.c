// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file in /dev/vfio/devices/ by which a process opens VFIO's device without
 * its group. A driver hears of that only when the process binds the device to
 * an iommufd. VFIO's unregistration waits for the close of the file: with the
 * device's lock held, and no signal ends that wait.
 *
 * If the driver of a device would wait there, this file has operations of ours
 * while the device is wanted back. They open nothing. VFIO's own operations are
 * not needed meanwhile: each open file has a reference to them.
 */
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/vfio.h>

#include "compat.h"
#include "mdev_cdev.h"

static int mdev_cdev_refuse(struct inode *inode, struct file *file)
{
	return -EBUSY;
}

static const struct file_operations mdev_cdev_shut_ops = {
	.owner	= THIS_MODULE,
	.open	= mdev_cdev_refuse,
};

/**
 * mdev_cdev_shut - from now on nobody opens a device by its own file
 * @vdev: VFIO's device, to which the caller has a reference
 *
 * Return: what mdev_cdev_reopen() wants, or NULL if there is no such file.
 */
const struct file_operations *mdev_cdev_shut(struct vfio_device *vdev)
{
	struct cdev *cdev = vfio_device_cdev(vdev);

	return cdev ? xchg(&cdev->ops, &mdev_cdev_shut_ops) : NULL;
}

/* Whether VFIO's device has a file of its own, on this kernel */
bool mdev_cdev_exists(struct vfio_device *vdev)
{
	const struct cdev *cdev = vfio_device_cdev(vdev);

	return cdev;
}

/**
 * mdev_cdev_is_open - does a process have a device open, whether bound or not?
 * @vdev: VFIO's device, to which the caller has a reference
 *
 * The count is VFIO's own, for its unregistration: one is for the registration.
 */
bool mdev_cdev_is_open(struct vfio_device *vdev)
{
	return refcount_read(&vdev->refcount) > 1;
}

/**
 * mdev_cdev_retire - forget this module's operations
 * @vdev: VFIO's device, which its driver is about to unregister
 *
 * A process that has a path to the file may be opening it for as long as VFIO's
 * device exists, and that may be longer than this module is loaded. It finds no
 * operations. Nobody calls mdev_cdev_reopen() any more.
 */
void mdev_cdev_retire(struct vfio_device *vdev)
{
	struct cdev *cdev = vfio_device_cdev(vdev);

	if (cdev && READ_ONCE(cdev->ops) == &mdev_cdev_shut_ops)
		WRITE_ONCE(cdev->ops, NULL);
}

/**
 * mdev_cdev_reopen - undo mdev_cdev_shut()
 * @vdev: as there
 * @ops: what it returned
 */
void mdev_cdev_reopen(struct vfio_device *vdev,
		      const struct file_operations *ops)
{
	if (ops)
		WRITE_ONCE(vfio_device_cdev(vdev)->ops, ops);
}
