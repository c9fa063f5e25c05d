/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface of the kernel's own mdev, Linux 6.x, beside ours: its types have
 * other names here. To be included before <linux/mdev.h>.
 */
#ifndef _MDEV_KERNEL_H
#define _MDEV_KERNEL_H

#define mdev_device		kernel_mdev_device
#define mdev_type		kernel_mdev_type
#define mdev_parent		kernel_mdev_parent
#define mdev_driver		kernel_mdev_driver
#define to_mdev_device		to_kernel_mdev_device
#define mdev_dev		kernel_mdev_dev
#define mdev_register_parent	kernel_mdev_register_parent
#define mdev_unregister_parent	kernel_mdev_unregister_parent
#define mdev_register_driver	kernel_mdev_register_driver
#define mdev_unregister_driver	kernel_mdev_unregister_driver

#include <linux/mdev_kernel.h>

#undef mdev_device
#undef mdev_type
#undef mdev_parent
#undef mdev_driver
#undef to_mdev_device
#undef mdev_dev
#undef mdev_register_parent
#undef mdev_unregister_parent
#undef mdev_register_driver
#undef mdev_unregister_driver

/* For mdev_kernel_parent.c and mdev_kernel_driver.c, with the real names */
int mdev_kernel_parent_add(struct kernel_mdev_parent *kparent,
			   struct device *dev, struct kernel_mdev_driver *drv,
			   struct kernel_mdev_type **types,
			   unsigned int nr_types);
void mdev_kernel_parent_del(struct kernel_mdev_parent *kparent);
int mdev_kernel_driver_add(struct kernel_mdev_driver *drv);
void mdev_kernel_driver_del(struct kernel_mdev_driver *drv);

#endif /* _MDEV_KERNEL_H */
