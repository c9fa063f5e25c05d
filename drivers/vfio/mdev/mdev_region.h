/* SPDX-License-Identifier: GPL-2.0-only */
/* The answer to VFIO_DEVICE_GET_REGION_INFO */
#ifndef _MDEV_REGION_H
#define _MDEV_REGION_H

struct mdev_description;
struct vfio_info_cap;
struct vfio_region_info;

int mdev_region_describe(const struct mdev_description *description,
			 struct vfio_region_info *info,
			 struct vfio_info_cap *caps);
long mdev_region_ioctl(const struct mdev_description *description,
		       void __user *arg);
void __user *mdev_region_arg(const struct vfio_region_info *info);
int mdev_region_read_back(struct vfio_region_info *info,
			  const void __user *arg);

#endif /* _MDEV_REGION_H */
