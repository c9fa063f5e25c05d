/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mediated devices that can be migrated: the parent driver stops a device, saves
 * its state, and loads it into another one; the framework has the states of
 * VFIO's migration, their order, and the data that the holder carries over.
 */
#ifndef _LINUX_MDEV_MIGRATION_H
#define _LINUX_MDEV_MIGRATION_H

#include <linux/sizes.h>
#include <linux/types.h>

struct mdev_device;

/**
 * enum mdev_run - what a device does by itself
 * @MDEV_RUN_STOPPED: nothing: it signals no interrupt, accesses no memory, and
 *	its state changes only by what the holder writes
 * @MDEV_RUN_NO_P2P: everything but DMA to other devices; only of a driver whose
 *	struct mdev_migration has VFIO_MIGRATION_P2P
 * @MDEV_RUN_FULL: everything
 */
enum mdev_run {
	MDEV_RUN_STOPPED,
	MDEV_RUN_NO_P2P,
	MDEV_RUN_FULL,
};

/* The most that the state of a device can take */
#define MDEV_MIGRATION_MAX_SIZE		SZ_16M

/**
 * struct mdev_migration - how a parent driver's devices are migrated
 * @flags: VFIO_MIGRATION_PRE_COPY and VFIO_MIGRATION_P2P, each if the holder is
 *	to be offered that; VFIO_MIGRATION_STOP_COPY goes without saying. In
 *	pre-copy the destination is told the type and @version, and can refuse
 *	them while the source still runs
 * @version: of the state's layout; rises with each change of it
 * @max_size: the most bytes that @save writes; at most MDEV_MIGRATION_MAX_SIZE
 * @run: sets what the device may do by itself. When it returns, that is so; it
 *	waits for the hardware, if it has to, in a time that does not depend on
 *	the holder. Return 0, or a negative errno if nothing has changed
 * @save: writes the state of the stopped device to @state, which has @max_size
 *	bytes, all 0, and is aligned for any number. The state is for a machine
 *	of another byte order as well. Return how many bytes there are, or a
 *	negative errno
 * @load: the opposite, into a stopped device of the same type. Everything in
 *	@state is hostile, as the holder wrote it. @version is at most the
 *	driver's own. Return 0, or a negative errno if the state cannot be one
 *	of such a device; the holder has to reset it then, or to close it
 *
 * All three are mandatory. They are called one at a time for one device, between
 * @open and @release of struct mdev_parent_ops, but beside its other callbacks, a
 * reset by the holder among them: a driver has a lock for its state. They touch no
 * memory of the holder's, and do not call mdev_wait_begin(). With a revoke
 * callback, none is under way when that is called.
 *
 * After @open, and after VFIO_DEVICE_RESET, a device runs. @open starts it. After a
 * reset, the framework calls @run if the device did not run. A device that can be
 * migrated must have a reset: nothing else leads out of the error state.
 *
 * VFIO tells the holder which guest memory is pinned, so that the holder can track
 * what such a device writes. There is no other dirty tracking.
 */
struct mdev_migration {
	u32 flags;
	u32 version;
	u32 max_size;
	int (*run)(struct mdev_device *mdev, enum mdev_run run);
	ssize_t (*save)(struct mdev_device *mdev, void *state);
	int (*load)(struct mdev_device *mdev, u32 version, const void *state,
		    size_t size);
};

#endif /* _LINUX_MDEV_MIGRATION_H */
