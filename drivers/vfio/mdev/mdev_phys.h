/* SPDX-License-Identifier: GPL-2.0-only */
/* The device that VFIO takes for the physical one behind a mediated device */
#ifndef _MDEV_PHYS_H
#define _MDEV_PHYS_H

struct device;
struct device_driver;
struct mdev_device;

struct device *mdev_phys_new(struct mdev_device *mdev,
			     struct device_driver *driver);
void mdev_phys_free(struct device *phys);

#endif /* _MDEV_PHYS_H */
