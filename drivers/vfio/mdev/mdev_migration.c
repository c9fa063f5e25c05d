// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO's migration: which state follows which is the VFIO core's; here is what
 * each step does. A state says how far the device runs, and whether its state is
 * being saved or loaded, in a session:
 *
 *			runs		session
 *	RUNNING		fully		-
 *	RUNNING_P2P	without P2P	-
 *	PRE_COPY	fully		saving, from here ...
 *	PRE_COPY_P2P	without P2P	saving
 *	STOP_COPY	not		saving, to here
 *	STOP		not		-
 *	RESUMING	not		loading
 *	ERROR		not		-	after data that cannot be loaded;
 *						only a reset leads out
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/mdev_migration.h>

#include "compat.h"
#include "mdev_migration.h"
#include "mdev_vfio.h"

enum mdev_session {
	MDEV_SESSION_NONE,
	MDEV_SESSION_SAVING,
	MDEV_SESSION_LOADING,
};

static const struct {
	enum mdev_run run;
	enum mdev_session session;
} mdev_migration_states[] = {
	[VFIO_DEVICE_STATE_ERROR]	 = { MDEV_RUN_STOPPED, MDEV_SESSION_NONE },
	[VFIO_DEVICE_STATE_STOP]	 = { MDEV_RUN_STOPPED, MDEV_SESSION_NONE },
	[VFIO_DEVICE_STATE_RUNNING]	 = { MDEV_RUN_FULL, MDEV_SESSION_NONE },
	[VFIO_DEVICE_STATE_STOP_COPY]	 = { MDEV_RUN_STOPPED, MDEV_SESSION_SAVING },
	[VFIO_DEVICE_STATE_RESUMING]	 = { MDEV_RUN_STOPPED, MDEV_SESSION_LOADING },
	[VFIO_DEVICE_STATE_RUNNING_P2P]	 = { MDEV_RUN_NO_P2P, MDEV_SESSION_NONE },
	[VFIO_DEVICE_STATE_PRE_COPY]	 = { MDEV_RUN_FULL, MDEV_SESSION_SAVING },
	[VFIO_DEVICE_STATE_PRE_COPY_P2P] = { MDEV_RUN_NO_P2P, MDEV_SESSION_SAVING },
};

/**
 * mdev_migration_fault - what is wrong with a parent driver's
 * @migration: the driver's
 *
 * Return: what is missing or wrong, for the log; or NULL.
 */
const char *mdev_migration_fault(const struct mdev_migration *migration)
{
	if (migration->flags & ~(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
				 VFIO_MIGRATION_PRE_COPY))
		return "valid migration flags";
	if (!migration->run || !migration->save || !migration->load)
		return "complete set of migration callbacks";
	if (!migration->max_size ||
	    migration->max_size > MDEV_MIGRATION_MAX_SIZE)
		return "valid migration max_size";
	return NULL;
}

/* What VFIO tells the holder */
u32 mdev_migration_flags(const struct mdev_migration *migration)
{
	u32 flags = migration->flags | VFIO_MIGRATION_STOP_COPY;

	return vfio_has_precopy ? flags : flags & ~VFIO_MIGRATION_PRE_COPY;
}

void mdev_migration_init(struct mdev_migration_use *use)
{
	mutex_init(&use->lock);
	use->state = VFIO_DEVICE_STATE_RUNNING;
}

/* An estimate for the holder */
size_t mdev_migration_size(const struct mdev_migration *migration)
{
	return sizeof(struct mdev_stream_header) + migration->max_size;
}

static int mdev_migration_run(struct mdev_vfio *vmdev,
			      enum vfio_device_mig_state from,
			      enum vfio_device_mig_state to)
{
	enum mdev_run run = mdev_migration_states[to].run;

	if (run == mdev_migration_states[from].run)
		return 0;
	return vmdev->ops->migration->run(vmdev->mdev, run);
}

/* The stopped device's state becomes part of the stream */
static int mdev_migration_save(struct mdev_vfio *vmdev)
{
	const struct mdev_migration *migration = vmdev->ops->migration;
	struct mdev_stream *stream = vmdev->use->migration.stream;
	ssize_t size = migration->save(vmdev->mdev, mdev_stream_room(stream));

	if (size < 0)
		return size;
	if (size > migration->max_size) {
		dev_err(&vmdev->mdev->dev, "parent driver %s saved more than its max_size, %u bytes\n",
			module_name(vmdev->ops->owner), migration->max_size);
		return -EIO;
	}
	mdev_stream_saved(stream, size);
	return 0;
}

static int mdev_migration_load(struct mdev_vfio *vmdev)
{
	struct mdev_stream *stream = vmdev->use->migration.stream;
	const void *state;
	size_t size;
	u32 version;
	int ret;

	ret = mdev_stream_finish(stream);
	if (ret)
		return ret;
	state = mdev_stream_state(stream, &version, &size);
	ret = vmdev->ops->migration->load(vmdev->mdev, version, state, size);
	if (ret)
		dev_warn_ratelimited(&vmdev->mdev->dev, "migration data refused: the parent driver does not take its state (error %d)\n",
				     ret);
	return ret;
}

/**
 * mdev_migration_end - end the session, if there is one
 * @use: the device's
 *
 * Context: with its lock, or when no call can come any more.
 */
void mdev_migration_end(struct mdev_migration_use *use)
{
	if (use->stream)
		mdev_stream_end(use->stream);
	use->stream = NULL;
}

/* A session begins: its file */
static struct file *mdev_migration_begin(struct mdev_vfio *vmdev, bool saving)
{
	const struct mdev_migration *migration = vmdev->ops->migration;
	struct mdev_migration_use *use = &vmdev->use->migration;
	struct mdev_device *mdev = vmdev->mdev;
	const struct mdev_stream_source source = {
		.name = dev_name(&mdev->dev),
		.type = kobject_name(&mdev->type->kobj),
		.version = migration->version,
		.max_size = migration->max_size,
	};
	struct file *file;

	use->stream = mdev_stream_new(&source, saving);
	if (!use->stream)
		return ERR_PTR(-ENOMEM);
	file = mdev_stream_file(use->stream);
	if (IS_ERR(file))
		mdev_migration_end(use);
	return file;
}

/*
 * One step, to a state that may follow the present one. Returns the file of a
 * session that begins, or NULL. If it fails the device is as it was, or else in
 * the state ERROR.
 */
static struct file *mdev_migration_step(struct mdev_vfio *vmdev,
					enum vfio_device_mig_state to)
{
	struct mdev_migration_use *use = &vmdev->use->migration;
	enum vfio_device_mig_state from = use->state;
	enum mdev_session was = mdev_migration_states[from].session;
	enum mdev_session becomes = mdev_migration_states[to].session;
	struct file *file = NULL;
	int ret;

	if (was == MDEV_SESSION_LOADING) {
		ret = mdev_migration_load(vmdev);
		mdev_migration_end(use);
		use->state = ret ? VFIO_DEVICE_STATE_ERROR : to;
		return ERR_PTR(ret);
	}

	ret = mdev_migration_run(vmdev, from, to);
	if (ret)
		return ERR_PTR(ret);
	if (was != becomes && becomes != MDEV_SESSION_NONE) {
		file = mdev_migration_begin(vmdev,
					    becomes == MDEV_SESSION_SAVING);
		ret = PTR_ERR_OR_ZERO(file);
	}
	if (!ret && to == VFIO_DEVICE_STATE_STOP_COPY)
		ret = mdev_migration_save(vmdev);
	if (ret)
		goto back;
	if (was != becomes && becomes == MDEV_SESSION_NONE)
		mdev_migration_end(use);
	use->state = to;
	return file;

back:
	if (was != becomes) {
		mdev_migration_end(use);
		if (!IS_ERR_OR_NULL(file))
			fput(file);
	}
	if (mdev_migration_run(vmdev, to, from)) {
		mdev_migration_end(use);
		use->state = VFIO_DEVICE_STATE_ERROR;
	}
	return ERR_PTR(ret);
}

/* A session begins with the last step only: there is one file at most */
static struct file *mdev_migration_go(struct mdev_vfio *vmdev,
				      enum vfio_device_mig_state state)
{
	struct mdev_migration_use *use = &vmdev->use->migration;
	enum vfio_device_mig_state next;
	struct file *file = NULL;
	int ret;

	/* The VFIO core would warn: it takes this for a driver's mistake */
	if (state == VFIO_DEVICE_STATE_ERROR ||
	    use->state == VFIO_DEVICE_STATE_ERROR)
		return ERR_PTR(-EINVAL);
	while (!file && use->state != state) {
		ret = vfio_mig_get_next_state(&vmdev->vdev, use->state, state,
					      &next);
		if (ret)
			return ERR_PTR(ret);
		file = mdev_migration_step(vmdev, next);
	}
	return file;
}

/**
 * mdev_migration_set_state - the holder wants another state
 * @vmdev: the device, whose driver has migration
 * @state: the state, as the holder gave it
 *
 * Context: inside the gate.
 * Return: the file of the session that has begun, NULL if none has, or an
 * ERR_PTR().
 */
struct file *mdev_migration_set_state(struct mdev_vfio *vmdev,
				      enum vfio_device_mig_state state)
{
	struct mdev_migration_use *use = &vmdev->use->migration;
	struct file *file;

	mutex_lock(&use->lock);
	file = mdev_migration_go(vmdev, state);
	mutex_unlock(&use->lock);
	return file;
}

/**
 * mdev_migration_set_revoked - the same of a device that was revoked
 * @state: the state, as the holder gave it
 *
 * There is nothing left that could be stopped, or run: that has succeeded, whatever
 * the holder wants. QEMU would abort the guest if even that failed.
 *
 * Return: 0; -ENODEV where a session would begin; -EINVAL if there is no such state.
 */
int mdev_migration_set_revoked(enum vfio_device_mig_state state)
{
	if (state <= VFIO_DEVICE_STATE_ERROR ||
	    state >= ARRAY_SIZE(mdev_migration_states))
		return -EINVAL;
	return mdev_migration_states[state].session == MDEV_SESSION_NONE ?
	       0 : -ENODEV;
}

enum vfio_device_mig_state mdev_migration_state(struct mdev_vfio *vmdev)
{
	return READ_ONCE(vmdev->use->migration.state);
}

/**
 * mdev_migration_was_reset - the holder has reset the device
 * @vmdev: the device, whose driver has migration
 *
 * Context: inside the gate.
 * Return: 0, or a negative errno if it does not run: then it is in the state ERROR.
 */
int mdev_migration_was_reset(struct mdev_vfio *vmdev)
{
	struct mdev_migration_use *use = &vmdev->use->migration;
	int ret;

	mutex_lock(&use->lock);
	mdev_migration_end(use);
	ret = mdev_migration_run(vmdev, use->state, VFIO_DEVICE_STATE_RUNNING);
	use->state = ret ? VFIO_DEVICE_STATE_ERROR : VFIO_DEVICE_STATE_RUNNING;
	mutex_unlock(&use->lock);
	return ret;
}
