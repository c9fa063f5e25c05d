/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watching the VFIO device of a driver of the kernel's own interface. The driver
 * makes the device; the framework sees each open and close here.
 */
#ifndef _MDEV_WATCH_H
#define _MDEV_WATCH_H

#include <linux/mdev_trigger.h>
#include <linux/vfio.h>

#include "mdev_group.h"
#include "mdev_holder.h"

struct mdev_device;

/**
 * struct mdev_watch - the data of a mediated device whose driver makes its VFIO
 *	device
 * @mdev: the mediated device, of which this is part
 * @vdev: its VFIO device, while that is watched, else NULL; a reference is held.
 *	Written by the probe and the remove of the driver; cleared under the
 *	device's lock
 * @driver_ops: the driver's operations for @vdev
 * @ops: the same, but for those that are watched; @vdev has these, under the
 *	lock of its set
 * @holder: the process that has it open
 * @request: the interrupt that asks the holder
 * @group_job: takes the group of @vdev
 * @ask: has the driver ask the holder
 * @count: as of the request that @ask passes on
 * @asking: @ask is queued or under way, and uses @vdev; becomes true under the
 *	device's lock, in the phase HELD only
 * @asks_again: there was another request meanwhile; under the device's lock
 * @is_pci: it is of the vfio-pci kind: holders know such an interrupt
 * @adds_request: its driver cannot ask, so the framework asks, through @request
 * @blind: its VFIO device cannot be watched
 * @binding: the driver may be about to register its VFIO device; written under
 *	the device's lock
 */
struct mdev_watch {
	struct mdev_device *mdev;
	struct vfio_device *vdev;
	const struct vfio_device_ops *driver_ops;
	struct vfio_device_ops ops;
	struct mdev_holder holder;
	struct mdev_trigger request;
	struct mdev_group_job group_job;
	struct work_struct ask;
	unsigned int count;
	bool asking;
	bool asks_again;
	bool is_pci;
	bool adds_request;
	bool blind;
	bool binding;
};

/* Is the driver's request callback being called? If not, @vdev can go */
static inline bool mdev_watch_is_asking(const struct mdev_watch *watch)
{
	/* Pairs with smp_store_release() in mdev_watch_ask() */
	return smp_load_acquire(&watch->asking);
}

int mdev_watch_init(struct mdev_device *mdev, bool is_pci);
void mdev_watch_begin(struct mdev_device *mdev);
void mdev_watch_end(struct mdev_device *mdev);
void mdev_watch_request(struct mdev_device *mdev, unsigned int count);

int mdev_watch_init_module(void);
void mdev_watch_exit_module(void);

#endif /* _MDEV_WATCH_H */
