// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own mdev_register_parent() and mdev_unregister_parent().
 *
 * The versions of the two symbols are the kernel's, so that a module that was
 * built for the kernel's own mdev.ko loads. A version is made of each type that
 * is complete here, and of the names of the parameters: nothing else is
 * included, and the names are those of the kernel's header.
 */
#include <linux/export.h>
#include <linux/mdev_kernel.h>

int mdev_kernel_parent_add(struct mdev_parent *parent, struct device *dev,
			   struct mdev_driver *drv, struct mdev_type **types,
			   unsigned int nr_types);
void mdev_kernel_parent_del(struct mdev_parent *parent);

int mdev_register_parent(struct mdev_parent *parent, struct device *dev,
			 struct mdev_driver *mdev_driver,
			 struct mdev_type **types, unsigned int nr_types)
{
	return mdev_kernel_parent_add(parent, dev, mdev_driver, types,
				      nr_types);
}
EXPORT_SYMBOL(mdev_register_parent);

void mdev_unregister_parent(struct mdev_parent *parent)
{
	mdev_kernel_parent_del(parent);
}
EXPORT_SYMBOL(mdev_unregister_parent);
