// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO looks at the driver of its physical device at each open, close and
 * ioctl. A mediated device has no driver any more when it was detached. VFIO
 * gets another device in its place, which always has one.
 *
 * Newer kernels' VFIO shows the path of the physical device in
 * /proc/PID/fdinfo. A path is the names of a kobject and its parents. The
 * parents may be gone while a holder still has the device open. So this device
 * has no parent, and its name is the whole path.
 */
#include <linux/device.h>
#include <linux/slab.h>

#include "compat.h"
#include "mdev_device.h"
#include "mdev_phys.h"

/* For kernels that do not show a path: all devices have this one */
static struct device mdev_phys_nameless = {
	.init_name = "vfio_mdev",
};

static int mdev_phys_name(struct device *phys, struct mdev_device *mdev)
{
	char *path = kobject_get_path(&mdev->dev.kobj, GFP_KERNEL);

	if (!path)
		return -ENOMEM;
	/* A slash comes before each name */
	phys->kobj.name = kstrdup(path + 1, GFP_KERNEL);
	kfree(path);
	return phys->kobj.name ? 0 : -ENOMEM;
}

/**
 * mdev_phys_new - make the device that VFIO takes for the physical one
 * @mdev: the mediated device, which is in sysfs
 * @driver: its driver
 *
 * Return: a device that is in no sysfs, for mdev_phys_free(), or NULL if memory
 * is short.
 */
struct device *mdev_phys_new(struct mdev_device *mdev,
			     struct device_driver *driver)
{
	struct device *phys = &mdev_phys_nameless;

	if (vfio_shows_path) {
		phys = kzalloc(sizeof(*phys), MDEV_GFP_HOLDER);
		if (!phys)
			return NULL;
		if (mdev_phys_name(phys, mdev)) {
			kfree(phys);
			return NULL;
		}
	}
	phys->driver = driver;
	return phys;
}

/* VFIO has nothing to do with the device any more */
void mdev_phys_free(struct device *phys)
{
	if (phys == &mdev_phys_nameless)
		return;
	kfree(phys->kobj.name);
	kfree(phys);
}
