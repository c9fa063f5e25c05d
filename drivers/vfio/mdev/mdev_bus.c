// SPDX-License-Identifier: GPL-2.0-only
/* The mdev bus: mediated devices, and the drivers that bind to them */
#include <linux/export.h>

#include "compat.h"
#include "mdev_device.h"
#include "mdev_main.h"

/*
 * The bus has no probe and no remove of its own. They differ between the two
 * interfaces, so each interface fills in those of its drivers.
 */
static int mdev_bus_probe(struct device *dev)
{
	struct mdev_driver *drv = to_mdev_driver(dev->driver);

	return drv->probe ? drv->probe(dev) : 0;
}

static int mdev_bus_remove(struct device *dev)
{
	struct mdev_driver *drv = to_mdev_driver(dev->driver);

	if (drv->remove)
		drv->remove(dev);
	return 0;
}

/*
 * A device that is being created is on the bus before its folder is complete.
 * No driver matches until then: the creator binds the device when the folder is
 * complete, and then announces it. For a device of the kernel's own interface
 * only the driver of its parent matches; that driver can use no other device.
 */
static int mdev_bus_match(struct device *dev, bus_match_driver *drv)
{
	struct mdev_device *mdev = to_mdev_device(dev);

	if (READ_ONCE(mdev->state.phase) == MDEV_NEW)
		return false;
	if (mdev_parent(mdev)->driver)
		return drv == mdev_parent(mdev)->driver;
	return drv->probe == mdev_bus_probe;
}

struct bus_type mdev_bus_type = {
	.name	= "mdev",
	.match	= mdev_bus_match,
};
EXPORT_SYMBOL_GPL(mdev_bus_type);

/* What mdev_register_driver() in <linux/mdev.h> calls; see there */
int mdev_driver_register(struct mdev_driver *drv, struct module *owner)
{
	drv->driver.name = drv->name;
	drv->driver.owner = owner;
	drv->driver.bus = &mdev_bus_type;
	drv->driver.probe = mdev_bus_probe;
	drv->driver.remove = mdev_bus_remove;
	return driver_register(&drv->driver);
}
EXPORT_SYMBOL_GPL(mdev_driver_register);

/* The same of mdev_unregister_driver() */
void mdev_driver_unregister(struct mdev_driver *drv)
{
	driver_unregister(&drv->driver);
}
EXPORT_SYMBOL_GPL(mdev_driver_unregister);

int mdev_bus_init(void)
{
	return bus_register(&mdev_bus_type);
}

void mdev_bus_exit(void)
{
	bus_unregister(&mdev_bus_type);
}
