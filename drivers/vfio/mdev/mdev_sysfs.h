/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MDEV_SYSFS_H
#define _MDEV_SYSFS_H

#include <linux/mdev.h>

/* An attribute of each type; those of a device are in its device type */
extern struct mdev_type_attribute mdev_type_attr_create;

#endif /* _MDEV_SYSFS_H */
