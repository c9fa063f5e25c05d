/* SPDX-License-Identifier: GPL-2.0-only */
/* The file by which a process opens VFIO's device without its group */
#ifndef _MDEV_CDEV_H
#define _MDEV_CDEV_H

#include <linux/types.h>

struct file_operations;
struct vfio_device;

const struct file_operations *mdev_cdev_shut(struct vfio_device *vdev);
bool mdev_cdev_exists(struct vfio_device *vdev);
bool mdev_cdev_is_open(struct vfio_device *vdev);
void mdev_cdev_retire(struct vfio_device *vdev);
void mdev_cdev_reopen(struct vfio_device *vdev,
		      const struct file_operations *ops);

#endif /* _MDEV_CDEV_H */
