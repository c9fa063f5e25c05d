/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The states of a mediated device: its phase (its life and its use) and the
 * request for its release. mdev_state.c is the only writer. Plain C, so that a
 * test in user space visits each cell.
 *
 *	NEW ---> FREE ---> OPENING ---> HELD ---> CLOSING ---> FREE
 *	           |                     |           |
 *	           |                     +-----------+---> REVOKING ---> FREE
 *	           v
 *	         GOING: claimed, by exactly one thread, which tears it down
 *
 * A revocation that removes the device claims it first, even if it is in use.
 * The phases GOING_* are those of a device that is claimed and still in use.
 */
#ifndef _MDEV_STATE_H
#define _MDEV_STATE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#endif

enum mdev_phase {
	MDEV_NEW,		/* only its creator may use it */
	MDEV_FREE,		/* no holder; can be opened and claimed */
	MDEV_OPENING,		/* in the parent's open callback */
	MDEV_HELD,		/* open; the only phase in which its holder is asked */
	MDEV_CLOSING,		/* in the parent's release callback */
	MDEV_REVOKING,		/* in the parent's revoke callback */
	MDEV_GOING,		/* claimed, not in use */
	MDEV_GOING_OPENING,	/* claimed, and as the phases above */
	MDEV_GOING_HELD,
	MDEV_GOING_CLOSING,
	MDEV_GOING_REVOKING,
	MDEV_NR_PHASES
};

enum mdev_event {
	MDEV_EV_ANNOUNCE,	/* created, bound and complete */
	MDEV_EV_ABANDON,	/* its creator claims it, for it cannot be bound */
	MDEV_EV_OPEN,		/* the first descriptor is being opened */
	MDEV_EV_OPENED,
	MDEV_EV_OPEN_FAILED,
	MDEV_EV_CLOSE,		/* the last descriptor is being closed */
	MDEV_EV_CLOSED,
	MDEV_EV_CLAIM,		/* for teardown; of a device that is not in use */
	MDEV_EV_CLAIM_HELD,	/* for teardown; even if it is in use */
	MDEV_EV_REVOKE,		/* its gate is closed: take it from its holder */
	MDEV_EV_REVOKED,
	MDEV_NR_EVENTS
};

enum mdev_request_state {
	MDEV_REQ_NONE,
	MDEV_REQ_BY_HAND,	/* somebody wrote to "request" */
	MDEV_REQ_WAITED,	/* a thread waits for the release */
	MDEV_REQ_BOTH,		/* the two above */
	MDEV_REQ_FINAL,		/* a revocation's; nobody can cancel it */
	MDEV_NR_REQUEST_STATES
};

enum mdev_request_event {
	MDEV_REQ_EV_ASK,	/* by hand */
	MDEV_REQ_EV_WAIT,	/* the first to wait for the release */
	MDEV_REQ_EV_GIVE_UP,	/* the last that waited does not any more */
	MDEV_REQ_EV_CANCEL,	/* by hand */
	MDEV_REQ_EV_REVOKE,
	MDEV_REQ_EV_END,	/* the device was released, or revoked */
	MDEV_NR_REQUEST_EVENTS
};

/**
 * struct mdev_state - the states of one device
 * @phase: an enum mdev_phase
 * @request: an enum mdev_request_state
 *
 * Written under the device's lock, by mdev_state.c only. Threads that wait read
 * it without the lock, with READ_ONCE().
 */
struct mdev_state {
	unsigned char phase;
	unsigned char request;
};

int mdev_state_event(struct mdev_state *state, enum mdev_event event);
int mdev_state_request(struct mdev_state *state,
		       enum mdev_request_event event);

/* Claimed for teardown */
static inline bool mdev_phase_is_going(unsigned char phase)
{
	return phase >= MDEV_GOING;
}

/* A process has it open, is opening or closing it, or it is being revoked */
static inline bool mdev_phase_is_in_use(unsigned char phase)
{
	return phase != MDEV_NEW && phase != MDEV_FREE && phase != MDEV_GOING;
}

/* Open: guest memory may be pinned, and its holder can be asked */
static inline bool mdev_phase_is_held(unsigned char phase)
{
	return phase == MDEV_HELD || phase == MDEV_GOING_HELD;
}

#endif /* _MDEV_STATE_H */
