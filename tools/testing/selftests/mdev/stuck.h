/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices whose open or close is stuck in VFIO: their container's lock is held. */
#ifndef SELFTESTS_MDEV_STUCK_H
#define SELFTESTS_MDEV_STUCK_H

#include <errno.h>
#include <unistd.h>

#include "call.h"
#include "lib.h"
#include "stall.h"

/* A device whose holder is this process, which can get stuck */
struct stuck {
	struct uuid uuid;
	struct vfio_user user;
	struct stall stall;
	struct call call;
};

/* The IOVA of the holder's memory: four pages */
#define STUCK_IOVA	0x100000ULL

#define STUCK_NONE { .user = VFIO_USER_NONE, .stall = STALL_NONE,	\
		     .call.done = -1 }

static inline int stuck_new(struct stuck *stuck, const char *parent,
			    const char *type, void *memory)
{
	size_t size = 4 * sysconf(_SC_PAGESIZE);
	int ret;

	*stuck = (struct stuck)STUCK_NONE;
	stuck->uuid = uuid_new();
	ret = mdev_create(parent, type, &stuck->uuid);
	if (!ret)
		ret = vfio_open(&stuck->user, &stuck->uuid);
	return ret ? ret : vfio_map(&stuck->user, memory, STUCK_IOVA, size);
}

static inline int stuck_lock(struct stuck *stuck)
{
	return stall_begin(&stuck->stall, &stuck->user, STUCK_IOVA,
			   4 * sysconf(_SC_PAGESIZE));
}

static inline void stuck_close_device(struct stuck *stuck)
{
	close(stuck->user.device);
	stuck->user.device = -1;
}

static inline long call_close_device(struct call *call)
{
	return call_errno(close(call->user->device));
}

static inline long call_close_group(struct call *call)
{
	return call_errno(close(call->user->group));
}

static inline long call_open_device(struct call *call)
{
	return vfio_get_device(call->user, call->data);
}

/* Starts a call in a thread, which then waits for the container's lock */
static inline int stuck_in(struct stuck *stuck, long (*run)(struct call *call))
{
	int ret = stuck_lock(stuck);

	if (!ret)
		ret = call_start(&stuck->call, &(struct call){
			.run = run, .user = &stuck->user, .data = &stuck->uuid,
		});
	if (ret)
		return ret;
	return call_is_stuck(&stuck->call, SOON_MS) ? 0 : -ETIMEDOUT;
}

static inline int stuck_in_close(struct stuck *stuck)
{
	return stuck_in(stuck, call_close_device);
}

static inline int stuck_in_open(struct stuck *stuck)
{
	stuck_close_device(stuck);
	return stuck_in(stuck, call_open_device);
}

/* Gets stuck in the same way, with the group's lock held, too */
static inline int stuck_in_group(struct stuck *stuck)
{
	stuck_close_device(stuck);
	return stuck_in(stuck, call_close_group);
}

/* Ends the stall. Returns whether all stuck calls have returned */
static inline bool stuck_free(struct stuck *stuck)
{
	bool ended = stall_end(&stuck->stall);
	long ret;

	if (stuck->call.done >= 0) {
		ret = call_end(&stuck->call, SOON_MS);
		ended = ended && ret != -ETIMEDOUT;
		if (stuck->call.run == call_close_device)
			stuck->user.device = -1;
		else if (stuck->call.run == call_close_group)
			stuck->user.group = -1;
		else if (ret >= 0)
			close(ret);
	}
	vfio_close(&stuck->user);
	return ended;
}

#endif /* SELFTESTS_MDEV_STUCK_H */
