// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own mdev_register_driver() and mdev_unregister_driver(), apart
 * for the versions of these symbols: see mdev_kernel_parent.c. The kernel makes
 * the versions of these two with the types of <linux/iommu.h>.
 */
#include <linux/iommu.h>
#include <linux/mdev_kernel.h>

int mdev_kernel_driver_add(struct mdev_driver *drv);
void mdev_kernel_driver_del(struct mdev_driver *drv);

int mdev_register_driver(struct mdev_driver *drv)
{
	return mdev_kernel_driver_add(drv);
}
EXPORT_SYMBOL(mdev_register_driver);

void mdev_unregister_driver(struct mdev_driver *drv)
{
	mdev_kernel_driver_del(drv);
}
EXPORT_SYMBOL(mdev_unregister_driver);
