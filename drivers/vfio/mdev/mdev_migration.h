/* SPDX-License-Identifier: GPL-2.0-only */
/* The states of VFIO's migration, for the devices of any parent driver */
#ifndef _MDEV_MIGRATION_H
#define _MDEV_MIGRATION_H

#include <linux/mutex.h>
#include <linux/vfio.h>

#include "mdev_stream.h"

struct device;
struct mdev_migration;
struct mdev_vfio;

/**
 * struct mdev_migration_use - while a device is open
 * @lock: makes changes of the state one at a time; held around the parent driver's
 *	callbacks for migration. Nobody waits for the holder with it
 * @state: VFIO's; under @lock
 * @stream: the session, or NULL; under @lock, and when no call can come any more
 *	without it
 */
struct mdev_migration_use {
	struct mutex lock; /* see above */
	enum vfio_device_mig_state state;
	struct mdev_stream *stream;
};

const char *mdev_migration_fault(const struct mdev_migration *migration);
u32 mdev_migration_flags(const struct mdev_migration *migration);
void mdev_migration_init(struct mdev_migration_use *use);
struct file *mdev_migration_set_state(struct mdev_vfio *vmdev,
				      enum vfio_device_mig_state state);
int mdev_migration_set_revoked(enum vfio_device_mig_state state);
enum vfio_device_mig_state mdev_migration_state(struct mdev_vfio *vmdev);
size_t mdev_migration_size(const struct mdev_migration *migration);
int mdev_migration_was_reset(struct mdev_vfio *vmdev);
void mdev_migration_end(struct mdev_migration_use *use);

#endif /* _MDEV_MIGRATION_H */
