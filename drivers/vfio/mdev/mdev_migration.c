// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO's migration. The VFIO core decides which state follows another; the
 * steps are made here. A state says how far the device runs, and whether its
 * state is being saved or loaded, in a session:
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
#include <linux/nospec.h>

#include "compat.h"
#include "mdev_migration.h"
#include "mdev_stream.h"
#include "mdev_vfio.h"

enum mdev_session {
	MDEV_SESSION_NONE,
	MDEV_SESSION_SAVING,
	MDEV_SESSION_LOADING,
};

struct mdev_migration_properties {
	enum mdev_run run;
	enum mdev_session session;
};

static const struct mdev_migration_properties mdev_migration_states[] = {
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
 * mdev_migration_fault - check a parent driver's struct mdev_migration
 * @migration: the struct
 *
 * Return: the name of what is missing or wrong, for the log; or NULL.
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

/* @state may come from the holder */
static const struct mdev_migration_properties *
mdev_migration_properties(unsigned int state)
{
	if (state >= ARRAY_SIZE(mdev_migration_states))
		state = VFIO_DEVICE_STATE_ERROR;
	return &mdev_migration_states[array_index_nospec(state,
					ARRAY_SIZE(mdev_migration_states))];
}

static enum mdev_session mdev_migration_session(enum vfio_device_mig_state state)
{
	return mdev_migration_properties(state)->session;
}

/* The flags that VFIO shows the holder */
u32 mdev_migration_flags(const struct mdev_migration *migration)
{
	u32 flags = migration->flags | VFIO_MIGRATION_STOP_COPY;

	return vfio_has_precopy ? flags : flags & ~VFIO_MIGRATION_PRE_COPY;
}

/* @migration: the parent driver's, or NULL */
void mdev_migration_init(struct mdev_migrating *migrating,
			 const struct mdev_migration *migration)
{
	mutex_init(&migrating->lock);
	migrating->state = VFIO_DEVICE_STATE_RUNNING;
	if (!migration)
		return;
	migrating->version = migration->version;
	migrating->max_size = migration->max_size;
}

/* An estimate for the holder */
size_t mdev_migration_size(const struct mdev_vfio *vmdev)
{
	return sizeof(struct mdev_stream_header) + vmdev->use->migrating.max_size;
}

/* A driver gives 0 or a negative errno */
static int mdev_migration_result(int ret)
{
	return WARN_ON_ONCE(ret > 0) ? -EIO : ret;
}

static int mdev_migration_run(struct mdev_vfio *vmdev,
			      enum vfio_device_mig_state from,
			      enum vfio_device_mig_state to)
{
	enum mdev_run run = mdev_migration_properties(to)->run;

	if (run == mdev_migration_properties(from)->run)
		return 0;
	return mdev_migration_result(vmdev->ops->migration->run(vmdev->mdev,
								run));
}

/* The stopped device's state becomes part of the stream */
static int mdev_migration_save(struct mdev_vfio *vmdev)
{
	const struct mdev_migration *migration = vmdev->ops->migration;
	struct mdev_stream *stream = vmdev->use->migrating.stream;
	void *room = mdev_stream_room(stream);
	ssize_t size = migration->save(vmdev->mdev, room);

	if (size < 0) {
		dev_warn_ratelimited(&vmdev->mdev->dev, "parent driver %s cannot save the state of the device for a migration (error %zd)\n",
				     module_name(vmdev->ops->owner), size);
		/* It may have begun: let it find zeroes the next time */
		memset(room, 0, migration->max_size);
		return size;
	}
	if (size > migration->max_size) {
		dev_err(&vmdev->mdev->dev, "parent driver %s saved more migration data than its max_size of %u bytes\n",
			module_name(vmdev->ops->owner), migration->max_size);
		return -EIO;
	}
	mdev_stream_saved(stream, size);
	return 0;
}

static int mdev_migration_load(struct mdev_vfio *vmdev)
{
	struct mdev_stream *stream = vmdev->use->migrating.stream;
	const void *state;
	size_t size;
	u32 version;
	int ret;

	ret = mdev_stream_finish(stream);
	if (ret)
		return ret;
	state = mdev_stream_state(stream, &version, &size);
	ret = mdev_migration_result(vmdev->ops->migration->load(vmdev->mdev,
								version, state,
								size));
	if (ret)
		dev_warn_ratelimited(&vmdev->mdev->dev, "migration data refused: the parent driver does not accept the state in it (error %d)\n",
				     ret);
	return ret;
}

static void mdev_migration_end_session(struct mdev_migrating *migrating)
{
	lockdep_assert_held(&migrating->lock);

	if (migrating->stream)
		mdev_stream_end(migrating->stream);
	migrating->stream = NULL;
}

/**
 * mdev_migration_prepare - allocate the memory and the file of a session
 * @vmdev: the device
 * @state: the state, as the holder gave it
 *
 * May wait for memory, in the holder's own cgroup.
 *
 * Context: outside of the gate.
 * Return: a file, for mdev_migration_set_state(), then for fput(); or an
 * ERR_PTR(), also if no session begins with @state.
 */
struct file *mdev_migration_prepare(struct mdev_vfio *vmdev,
				    enum vfio_device_mig_state state)
{
	struct mdev_device *mdev = vmdev->mdev;
	const struct mdev_stream_source source = {
		.name = dev_name(&mdev->dev),
		.type = kobject_name(&mdev->type->kobj),
		.version = vmdev->use->migrating.version,
		.max_size = vmdev->use->migrating.max_size,
	};
	enum mdev_session session = mdev_migration_session(state);

	if (session == MDEV_SESSION_NONE)
		return ERR_PTR(-EINVAL);
	return mdev_stream_new(&source, session == MDEV_SESSION_SAVING);
}

/* A session begins. Returns its file */
static struct file *mdev_migration_begin(struct mdev_migrating *migrating,
					 struct file **spare)
{
	struct file *file = *spare;

	if (IS_ERR(file))
		return file;
	migrating->stream = mdev_stream_of(file);
	*spare = NULL;
	return file;
}

/*
 * Make one step, to a state that may follow the present one. Returns the file
 * of a session that begins, or NULL. If the step fails, the device is as it
 * was, or in the state ERROR.
 */
static struct file *mdev_migration_step(struct mdev_vfio *vmdev,
					enum vfio_device_mig_state to,
					struct file **spare)
{
	struct mdev_migrating *migrating = &vmdev->use->migrating;
	enum vfio_device_mig_state from = migrating->state;
	enum mdev_session was = mdev_migration_session(from);
	enum mdev_session becomes = mdev_migration_session(to);
	struct file *file = NULL;
	int ret;

	if (was == MDEV_SESSION_LOADING) {
		ret = mdev_migration_load(vmdev);
		mdev_migration_end_session(migrating);
		migrating->state = ret ? VFIO_DEVICE_STATE_ERROR : to;
		return ERR_PTR(ret);
	}

	ret = mdev_migration_run(vmdev, from, to);
	if (ret)
		return ERR_PTR(ret);
	if (was != becomes && becomes != MDEV_SESSION_NONE) {
		file = mdev_migration_begin(migrating, spare);
		ret = PTR_ERR_OR_ZERO(file);
	}
	if (!ret && to == VFIO_DEVICE_STATE_STOP_COPY)
		ret = mdev_migration_save(vmdev);
	if (ret)
		goto back;
	if (was != becomes && becomes == MDEV_SESSION_NONE)
		mdev_migration_end_session(migrating);
	migrating->state = to;
	return file;

back:
	if (was != becomes) {
		mdev_migration_end_session(migrating);
		if (!IS_ERR_OR_NULL(file))
			fput(file);
	}
	if (mdev_migration_run(vmdev, to, from)) {
		mdev_migration_end_session(migrating);
		migrating->state = VFIO_DEVICE_STATE_ERROR;
	}
	return ERR_PTR(ret);
}

/* Does only a reset lead from one state to the other? */
static bool mdev_migration_is_blocked(enum vfio_device_mig_state from,
				      enum vfio_device_mig_state to)
{
	if (from == VFIO_DEVICE_STATE_ERROR || to == VFIO_DEVICE_STATE_ERROR)
		return true;
	return from == VFIO_DEVICE_STATE_STOP_COPY &&
	       (to == VFIO_DEVICE_STATE_PRE_COPY ||
		to == VFIO_DEVICE_STATE_PRE_COPY_P2P);
}

/*
 * If there is no way, the VFIO core is not asked for one: it would warn of
 * ERROR, as of a driver's mistake. Older cores never return then (6.12.95 does
 * not, 6.12.117 does).
 */
static int mdev_migration_next(struct mdev_vfio *vmdev,
			       enum vfio_device_mig_state state,
			       enum vfio_device_mig_state *next)
{
	enum vfio_device_mig_state now = vmdev->use->migrating.state;

	if (mdev_migration_is_blocked(now, state))
		return -EINVAL;
	*next = now;
	return state == now ? 0 :
	       vfio_mig_get_next_state(&vmdev->vdev, now, state, next);
}

/* Only the last step can begin a session: there is one file at most */
static struct file *mdev_migration_go(struct mdev_vfio *vmdev,
				      enum vfio_device_mig_state state,
				      struct file **spare)
{
	struct mdev_migrating *migrating = &vmdev->use->migrating;
	enum vfio_device_mig_state next;
	struct file *file = NULL;
	int ret;

	do {
		/* A revocation waits for one step only */
		if (mdev_gate_is_closed(&vmdev->gate))
			return ERR_PTR(-ENODEV);
		ret = mdev_migration_next(vmdev, state, &next);
		if (ret)
			return ERR_PTR(ret);
		if (next != migrating->state)
			file = mdev_migration_step(vmdev, next, spare);
	} while (!file && migrating->state != state);
	return file;
}

/**
 * mdev_migration_set_state - the holder wants another state
 * @vmdev: the device, whose driver has migration
 * @state: the state, as the holder gave it
 * @spare: from mdev_migration_prepare(); NULL afterwards if it was needed
 *
 * Context: inside the gate.
 * Return: the file of the session that has begun, NULL if none has, or an
 * ERR_PTR().
 */
struct file *mdev_migration_set_state(struct mdev_vfio *vmdev,
				      enum vfio_device_mig_state state,
				      struct file **spare)
{
	struct mdev_migrating *migrating = &vmdev->use->migrating;
	struct file *file;

	mutex_lock(&migrating->lock);
	file = mdev_migration_go(vmdev, state, spare);
	mutex_unlock(&migrating->lock);
	return file;
}

/**
 * mdev_migration_set_revoked - the same of a device that was revoked
 * @vmdev: the device, which is not in use any more
 * @state: the state, as the holder gave it
 *
 * Stopping or running the device succeeds, although there is no device any
 * more. So does a state that goes on with the present session: the session's
 * data is gone, and its file says so. QEMU would abort the guest if one of
 * these failed.
 *
 * Return: 0; -ENODEV if a session would begin; -EINVAL as for any device.
 */
int mdev_migration_set_revoked(struct mdev_vfio *vmdev,
			       enum vfio_device_mig_state state)
{
	struct mdev_migrating *migrating = &vmdev->use->migrating;
	enum vfio_device_mig_state next;
	enum mdev_session session;
	int ret;

	mutex_lock(&migrating->lock);
	ret = mdev_migration_next(vmdev, state, &next);
	if (ret)
		goto unlock;
	session = mdev_migration_session(state);
	if (session != MDEV_SESSION_NONE &&
	    session != mdev_migration_session(migrating->state))
		ret = -ENODEV;
	else
		migrating->state = state;
unlock:
	mutex_unlock(&migrating->lock);
	return ret;
}

/* VFIO calls this, too: if the device is not open then, it runs */
enum vfio_device_mig_state mdev_migration_state(struct mdev_vfio *vmdev)
{
	struct mdev_use *use = mdev_use_get(vmdev);
	enum vfio_device_mig_state state;

	if (!use)
		return VFIO_DEVICE_STATE_RUNNING;
	mutex_lock(&use->migrating.lock);
	state = use->migrating.state;
	mutex_unlock(&use->migrating.lock);
	mdev_use_put(use);
	return state;
}

/**
 * mdev_migration_was_reset - the holder has reset the device
 * @vmdev: the device, whose driver has migration
 *
 * Context: inside the gate.
 * Return: 0, or a negative errno if it does not run: it is in the state ERROR.
 */
int mdev_migration_was_reset(struct mdev_vfio *vmdev)
{
	struct mdev_migrating *migrating = &vmdev->use->migrating;
	int ret;

	mutex_lock(&migrating->lock);
	mdev_migration_end_session(migrating);
	ret = mdev_migration_run(vmdev, migrating->state,
				 VFIO_DEVICE_STATE_RUNNING);
	if (ret)
		mdev_migration_run(vmdev, migrating->state,
				   VFIO_DEVICE_STATE_ERROR);
	migrating->state = ret ? VFIO_DEVICE_STATE_ERROR :
				 VFIO_DEVICE_STATE_RUNNING;
	mutex_unlock(&migrating->lock);
	return ret;
}

/* The device was revoked, or is closed: the session is over, the state stays */
void mdev_migration_end(struct mdev_migrating *migrating)
{
	mutex_lock(&migrating->lock);
	mdev_migration_end_session(migrating);
	mutex_unlock(&migrating->lock);
}
