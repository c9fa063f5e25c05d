/* SPDX-License-Identifier: GPL-2.0-only */
/* The states of VFIO's migration, for the devices of any parent driver */
#ifndef _MDEV_MIGRATION_H
#define _MDEV_MIGRATION_H

#include <linux/mutex.h>
#include <linux/vfio.h>

struct mdev_migration;
struct mdev_stream;
struct mdev_vfio;

/**
 * struct mdev_migrating - the migration of a device that is open
 * @lock: makes changes of @state one at a time; held around the parent driver's
 *	callbacks for migration. No thread that has it waits for the holder
 * @state: VFIO's; under @lock
 * @stream: the session, or NULL; under @lock
 * @version: a copy of the parent driver's, for when that driver is unloaded
 * @max_size: the same
 */
struct mdev_migrating {
	struct mutex lock; /* see above */
	enum vfio_device_mig_state state;
	struct mdev_stream *stream;
	u32 version;
	u32 max_size;
};

const char *mdev_migration_fault(const struct mdev_migration *migration);
u32 mdev_migration_flags(const struct mdev_migration *migration);
void mdev_migration_init(struct mdev_migrating *migrating,
			 const struct mdev_migration *migration);
struct file *mdev_migration_prepare(struct mdev_vfio *vmdev,
				    enum vfio_device_mig_state state);
struct file *mdev_migration_set_state(struct mdev_vfio *vmdev,
				      enum vfio_device_mig_state state,
				      struct file **spare);
int mdev_migration_set_revoked(struct mdev_vfio *vmdev,
			       enum vfio_device_mig_state state);
enum vfio_device_mig_state mdev_migration_state(struct mdev_vfio *vmdev);
size_t mdev_migration_size(const struct mdev_vfio *vmdev);
int mdev_migration_was_reset(struct mdev_vfio *vmdev);
void mdev_migration_end(struct mdev_migrating *migrating);

#endif /* _MDEV_MIGRATION_H */
