// SPDX-License-Identifier: GPL-2.0-only
/*
 * The states of a mediated device, and the effect of each event in each of
 * them. A table and nothing else. The source of an event decides which thread
 * may cause it, and does the rest of the work.
 */
#ifdef __KERNEL__
#include <linux/compiler.h>
#include <linux/errno.h>
#else
#include <errno.h>
#define WRITE_ONCE(x, val) ((x) = (val))
#endif

#include "mdev_state.h"

/* A cell is the next state, or an errno that leaves the state as it is */
#define TO(state)	(MDEV_##state)
#define NO(errno)	(-(errno))
/* This event cannot come here: its source is over, or has not begun */
#define NEVER		(-EPROTO)

static const signed char mdev_phases[MDEV_NR_EVENTS][MDEV_NR_PHASES] = {
	[MDEV_EV_ANNOUNCE] = {
		[MDEV_NEW]		= TO(FREE),
		[MDEV_FREE]		= NEVER,
		[MDEV_OPENING]		= NEVER,
		[MDEV_HELD]		= NEVER,
		[MDEV_CLOSING]		= NEVER,
		[MDEV_REVOKING]		= NEVER,
		[MDEV_GOING]		= NEVER,
		[MDEV_GOING_OPENING]	= NEVER,
		[MDEV_GOING_HELD]	= NEVER,
		[MDEV_GOING_CLOSING]	= NEVER,
		[MDEV_GOING_REVOKING]	= NEVER,
	},
	[MDEV_EV_ABANDON] = {
		[MDEV_NEW]		= TO(GOING),
		[MDEV_FREE]		= NEVER,
		[MDEV_OPENING]		= NEVER,
		[MDEV_HELD]		= NEVER,
		[MDEV_CLOSING]		= NEVER,
		[MDEV_REVOKING]		= NEVER,
		[MDEV_GOING]		= NEVER,
		[MDEV_GOING_OPENING]	= NEVER,
		[MDEV_GOING_HELD]	= NEVER,
		[MDEV_GOING_CLOSING]	= NEVER,
		[MDEV_GOING_REVOKING]	= NEVER,
	},
	[MDEV_EV_OPEN] = {
		[MDEV_NEW]		= NO(ENODEV),
		[MDEV_FREE]		= TO(OPENING),
		[MDEV_OPENING]		= NO(EBUSY),
		[MDEV_HELD]		= NO(EBUSY),
		[MDEV_CLOSING]		= NO(EBUSY),
		[MDEV_REVOKING]		= NO(EBUSY),
		[MDEV_GOING]		= NO(ENODEV),
		[MDEV_GOING_OPENING]	= NO(ENODEV),
		[MDEV_GOING_HELD]	= NO(ENODEV),
		[MDEV_GOING_CLOSING]	= NO(ENODEV),
		[MDEV_GOING_REVOKING]	= NO(ENODEV),
	},
	[MDEV_EV_OPENED] = {
		[MDEV_NEW]		= NEVER,
		[MDEV_FREE]		= NEVER,
		[MDEV_OPENING]		= TO(HELD),
		[MDEV_HELD]		= NEVER,
		[MDEV_CLOSING]		= NEVER,
		[MDEV_REVOKING]		= NEVER,
		[MDEV_GOING]		= NEVER,
		[MDEV_GOING_OPENING]	= TO(GOING_HELD),
		[MDEV_GOING_HELD]	= NEVER,
		[MDEV_GOING_CLOSING]	= NEVER,
		[MDEV_GOING_REVOKING]	= NEVER,
	},
	[MDEV_EV_OPEN_FAILED] = {
		[MDEV_NEW]		= NEVER,
		[MDEV_FREE]		= NEVER,
		[MDEV_OPENING]		= TO(FREE),
		[MDEV_HELD]		= NEVER,
		[MDEV_CLOSING]		= NEVER,
		[MDEV_REVOKING]		= NEVER,
		[MDEV_GOING]		= NEVER,
		[MDEV_GOING_OPENING]	= TO(GOING),
		[MDEV_GOING_HELD]	= NEVER,
		[MDEV_GOING_CLOSING]	= NEVER,
		[MDEV_GOING_REVOKING]	= NEVER,
	},
	[MDEV_EV_CLOSE] = {
		[MDEV_NEW]		= NEVER,
		[MDEV_FREE]		= NEVER,
		[MDEV_OPENING]		= NEVER,
		[MDEV_HELD]		= TO(CLOSING),
		[MDEV_CLOSING]		= NEVER,
		[MDEV_REVOKING]		= NEVER,
		[MDEV_GOING]		= NEVER,
		[MDEV_GOING_OPENING]	= NEVER,
		[MDEV_GOING_HELD]	= TO(GOING_CLOSING),
		[MDEV_GOING_CLOSING]	= NEVER,
		[MDEV_GOING_REVOKING]	= NEVER,
	},
	[MDEV_EV_CLOSED] = {
		[MDEV_NEW]		= NEVER,
		[MDEV_FREE]		= NEVER,
		[MDEV_OPENING]		= NEVER,
		[MDEV_HELD]		= NEVER,
		[MDEV_CLOSING]		= TO(FREE),
		[MDEV_REVOKING]		= NEVER,
		[MDEV_GOING]		= NEVER,
		[MDEV_GOING_OPENING]	= NEVER,
		[MDEV_GOING_HELD]	= NEVER,
		[MDEV_GOING_CLOSING]	= TO(GOING),
		[MDEV_GOING_REVOKING]	= NEVER,
	},
	[MDEV_EV_CLAIM] = {
		[MDEV_NEW]		= NO(EAGAIN),
		[MDEV_FREE]		= TO(GOING),
		[MDEV_OPENING]		= NO(EBUSY),
		[MDEV_HELD]		= NO(EBUSY),
		[MDEV_CLOSING]		= NO(EBUSY),
		[MDEV_REVOKING]		= NO(EBUSY),
		[MDEV_GOING]		= NO(ENODEV),
		[MDEV_GOING_OPENING]	= NO(ENODEV),
		[MDEV_GOING_HELD]	= NO(ENODEV),
		[MDEV_GOING_CLOSING]	= NO(ENODEV),
		[MDEV_GOING_REVOKING]	= NO(ENODEV),
	},
	[MDEV_EV_CLAIM_HELD] = {
		[MDEV_NEW]		= NO(EAGAIN),
		[MDEV_FREE]		= TO(GOING),
		[MDEV_OPENING]		= TO(GOING_OPENING),
		[MDEV_HELD]		= TO(GOING_HELD),
		[MDEV_CLOSING]		= TO(GOING_CLOSING),
		[MDEV_REVOKING]		= TO(GOING_REVOKING),
		[MDEV_GOING]		= NO(ENODEV),
		[MDEV_GOING_OPENING]	= NO(ENODEV),
		[MDEV_GOING_HELD]	= NO(ENODEV),
		[MDEV_GOING_CLOSING]	= NO(ENODEV),
		[MDEV_GOING_REVOKING]	= NO(ENODEV),
	},
	/* ENODEV: it has no holder. No open is inside a closed gate */
	[MDEV_EV_REVOKE] = {
		[MDEV_NEW]		= NO(ENODEV),
		[MDEV_FREE]		= NO(ENODEV),
		[MDEV_OPENING]		= NEVER,
		[MDEV_HELD]		= TO(REVOKING),
		[MDEV_CLOSING]		= TO(REVOKING),
		[MDEV_REVOKING]		= NEVER,
		[MDEV_GOING]		= NO(ENODEV),
		[MDEV_GOING_OPENING]	= NEVER,
		[MDEV_GOING_HELD]	= TO(GOING_REVOKING),
		[MDEV_GOING_CLOSING]	= TO(GOING_REVOKING),
		[MDEV_GOING_REVOKING]	= NEVER,
	},
	[MDEV_EV_REVOKED] = {
		[MDEV_NEW]		= NEVER,
		[MDEV_FREE]		= NEVER,
		[MDEV_OPENING]		= NEVER,
		[MDEV_HELD]		= NEVER,
		[MDEV_CLOSING]		= NEVER,
		[MDEV_REVOKING]		= TO(FREE),
		[MDEV_GOING]		= NEVER,
		[MDEV_GOING_OPENING]	= NEVER,
		[MDEV_GOING_HELD]	= NEVER,
		[MDEV_GOING_CLOSING]	= NEVER,
		[MDEV_GOING_REVOKING]	= TO(GOING),
	},
};

static const signed char
mdev_requests[MDEV_NR_REQUEST_EVENTS][MDEV_NR_REQUEST_STATES] = {
	[MDEV_REQ_EV_ASK] = {
		[MDEV_REQ_NONE]		= TO(REQ_BY_HAND),
		[MDEV_REQ_BY_HAND]	= TO(REQ_BY_HAND),
		[MDEV_REQ_WAITED]	= TO(REQ_BOTH),
		[MDEV_REQ_BOTH]		= TO(REQ_BOTH),
		[MDEV_REQ_FINAL]	= TO(REQ_FINAL),
	},
	[MDEV_REQ_EV_WAIT] = {
		[MDEV_REQ_NONE]		= TO(REQ_WAITED),
		[MDEV_REQ_BY_HAND]	= TO(REQ_BOTH),
		[MDEV_REQ_WAITED]	= TO(REQ_WAITED),
		[MDEV_REQ_BOTH]		= TO(REQ_BOTH),
		[MDEV_REQ_FINAL]	= TO(REQ_FINAL),
	},
	[MDEV_REQ_EV_GIVE_UP] = {
		[MDEV_REQ_NONE]		= TO(REQ_NONE),
		[MDEV_REQ_BY_HAND]	= TO(REQ_BY_HAND),
		[MDEV_REQ_WAITED]	= TO(REQ_NONE),
		[MDEV_REQ_BOTH]		= TO(REQ_BY_HAND),
		[MDEV_REQ_FINAL]	= TO(REQ_FINAL),
	},
	[MDEV_REQ_EV_CANCEL] = {
		[MDEV_REQ_NONE]		= TO(REQ_NONE),
		[MDEV_REQ_BY_HAND]	= TO(REQ_NONE),
		[MDEV_REQ_WAITED]	= NO(EBUSY),
		[MDEV_REQ_BOTH]		= NO(EBUSY),
		[MDEV_REQ_FINAL]	= NO(EBUSY),
	},
	[MDEV_REQ_EV_REVOKE] = {
		[MDEV_REQ_NONE]		= TO(REQ_FINAL),
		[MDEV_REQ_BY_HAND]	= TO(REQ_FINAL),
		[MDEV_REQ_WAITED]	= TO(REQ_FINAL),
		[MDEV_REQ_BOTH]		= TO(REQ_FINAL),
		[MDEV_REQ_FINAL]	= TO(REQ_FINAL),
	},
	[MDEV_REQ_EV_END] = {
		[MDEV_REQ_NONE]		= TO(REQ_NONE),
		[MDEV_REQ_BY_HAND]	= TO(REQ_NONE),
		[MDEV_REQ_WAITED]	= TO(REQ_NONE),
		[MDEV_REQ_BOTH]		= TO(REQ_NONE),
		[MDEV_REQ_FINAL]	= TO(REQ_NONE),
	},
};

/**
 * mdev_state_event - something happens to a device
 * @state: the device's states
 * @event: what
 *
 * Context: under the device's lock.
 * Return: 0, or a negative errno; then nothing has changed. -EPROTO: the event
 * cannot come in this phase, so there is a fault in the framework.
 */
int mdev_state_event(struct mdev_state *state, enum mdev_event event)
{
	int next = mdev_phases[event][state->phase];

	if (next < 0)
		return next;
	WRITE_ONCE(state->phase, next);
	return 0;
}

/**
 * mdev_state_request - something happens to the request for a device's release
 * @state: the device's states
 * @event: what
 *
 * Context: under the device's lock.
 * Return: 0, or -EBUSY; then nothing has changed.
 */
int mdev_state_request(struct mdev_state *state,
		       enum mdev_request_event event)
{
	int next = mdev_requests[event][state->request];

	if (next < 0)
		return next;
	WRITE_ONCE(state->request, next);
	return 0;
}
