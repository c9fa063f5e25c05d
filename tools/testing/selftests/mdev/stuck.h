/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices whose open or close is stuck in VFIO: their holder lets their container
 * wait, with its lock held.
 */
#ifndef SELFTESTS_MDEV_STUCK_H
#define SELFTESTS_MDEV_STUCK_H

#include <errno.h>
#include <unistd.h>

#include "call.h"
#include "lib.h"
#include "stall.h"

/* A device with its holder: this process */
struct held {
	struct uuid uuid;
	struct vfio_user user;
	struct stall stall;
	struct call call;
};

/* Where its memory is for the device: four pages */
#define HELD_IOVA	0x100000ULL

#define HELD_NONE { .user = VFIO_USER_NONE, .stall = STALL_NONE,	\
		    .call.done = -1 }

static inline int held_new(struct held *held, const char *parent,
			   const char *type, void *memory)
{
	size_t size = 4 * sysconf(_SC_PAGESIZE);
	int ret;

	*held = (struct held)HELD_NONE;
	held->uuid = uuid_new();
	ret = mdev_create(parent, type, &held->uuid);
	if (!ret)
		ret = vfio_open(&held->user, &held->uuid);
	return ret ? ret : vfio_map(&held->user, memory, HELD_IOVA, size);
}

static inline int held_lock(struct held *held)
{
	return stall_begin(&held->stall, &held->user, HELD_IOVA,
			   4 * sysconf(_SC_PAGESIZE));
}

static inline void held_close_device(struct held *held)
{
	close(held->user.device);
	held->user.device = -1;
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

/* A thread is in a call, until the container's lock is free */
static inline int held_stick(struct held *held, long (*run)(struct call *call))
{
	int ret = held_lock(held);

	if (!ret)
		ret = call_start(&held->call, &(struct call){
			.run = run, .user = &held->user, .data = &held->uuid,
		});
	if (ret)
		return ret;
	return call_is_stuck(&held->call, SOON_MS) ? 0 : -ETIMEDOUT;
}

static inline int held_stick_close(struct held *held)
{
	return held_stick(held, call_close_device);
}

static inline int held_stick_open(struct held *held)
{
	held_close_device(held);
	return held_stick(held, call_open_device);
}

/* With the group's lock held, too */
static inline int held_stick_group(struct held *held)
{
	held_close_device(held);
	return held_stick(held, call_close_group);
}

/* Whether all that was stuck has come to its end */
static inline bool held_free(struct held *held)
{
	bool ended = stall_end(&held->stall);
	long ret;

	if (held->call.done >= 0) {
		ret = call_end(&held->call, SOON_MS);
		ended = ended && ret != -ETIMEDOUT;
		if (held->call.run == call_close_device)
			held->user.device = -1;
		else if (held->call.run == call_close_group)
			held->user.group = -1;
		else if (ret >= 0)
			close(ret);
	}
	vfio_close(&held->user);
	return ended;
}

#endif /* SELFTESTS_MDEV_STUCK_H */
