// SPDX-License-Identifier: GPL-2.0-only
/*
 * Visits each cell of the tables in drivers/vfio/mdev/mdev_state.c, and
 * compares it with a second description: a list of the few valid steps, and
 * rules for all other cells.
 */
#include <errno.h>
#include <stdio.h>

#include "mdev_state.h"
#include "state_test.h"

static const char *const phase_names[MDEV_NR_PHASES] = {
	"NEW", "FREE", "OPENING", "HELD", "CLOSING", "REVOKING", "GOING",
	"GOING_OPENING", "GOING_HELD", "GOING_CLOSING", "GOING_REVOKING",
};

static const char *const event_names[MDEV_NR_EVENTS] = {
	"ANNOUNCE", "ABANDON", "OPEN", "OPENED", "OPEN_FAILED", "CLOSE",
	"CLOSED", "CLAIM", "CLAIM_HELD", "REVOKE", "REVOKED",
};

static const char *const request_names[MDEV_NR_REQUEST_STATES] = {
	"NONE", "BY_HAND", "WAITED", "BOTH", "FINAL",
};

static const char *const request_event_names[MDEV_NR_REQUEST_EVENTS] = {
	"ASK", "WAIT", "GIVE_UP", "CANCEL", "REVOKE", "END",
};

/*
 * The phases of each use: of a device that is not claimed, and of one that is
 */
static const struct {
	int live, going;
} uses[] = {
	{ MDEV_FREE, MDEV_GOING },
	{ MDEV_OPENING, MDEV_GOING_OPENING },
	{ MDEV_HELD, MDEV_GOING_HELD },
	{ MDEV_CLOSING, MDEV_GOING_CLOSING },
	{ MDEV_REVOKING, MDEV_GOING_REVOKING },
};

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Steps of the use. They are the same whether the device is claimed or not */
static const struct {
	int event;
	int from, to;
} steps[] = {
	{ MDEV_EV_OPENED, MDEV_OPENING, MDEV_HELD },
	{ MDEV_EV_OPEN_FAILED, MDEV_OPENING, MDEV_FREE },
	{ MDEV_EV_CLOSE, MDEV_HELD, MDEV_CLOSING },
	{ MDEV_EV_CLOSED, MDEV_CLOSING, MDEV_FREE },
	{ MDEV_EV_REVOKE, MDEV_HELD, MDEV_REVOKING },
	{ MDEV_EV_REVOKE, MDEV_CLOSING, MDEV_REVOKING },
	{ MDEV_EV_REVOKED, MDEV_REVOKING, MDEV_FREE },
};

static unsigned int results, failures;

void result(int ok, const char *event, const char *state, int is, int should)
{
	results++;
	if (!ok) {
		failures++;
		printf("# is %d, should be %d\n", is, should);
	}
	printf("%sok %u %s_in_%s\n", ok ? "" : "not ", results, event, state);
}

static int is_going(int phase)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(uses); i++)
		if (uses[i].going == phase)
			return 1;
	return 0;
}

static int use_of(int phase)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(uses); i++)
		if (uses[i].going == phase || uses[i].live == phase)
			return uses[i].live;
	return -1;
}

static int with_going(int use, int going)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(uses); i++)
		if (uses[i].live == use)
			return going ? uses[i].going : uses[i].live;
	return -1;
}

static int expected_step(int event, int phase)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++)
		if (steps[i].event == event && steps[i].from == use_of(phase))
			return with_going(steps[i].to, is_going(phase));
	if (event == MDEV_EV_REVOKE &&
	    (phase == MDEV_NEW || use_of(phase) == MDEV_FREE))
		return -ENODEV;
	return -EPROTO;
}

/* The expected next phase, or a negative errno */
static int expected(int event, int phase)
{
	switch (event) {
	case MDEV_EV_ANNOUNCE:
		return phase == MDEV_NEW ? MDEV_FREE : -EPROTO;
	case MDEV_EV_ABANDON:
		return phase == MDEV_NEW ? MDEV_GOING : -EPROTO;
	case MDEV_EV_OPEN:
		if (phase == MDEV_NEW || is_going(phase))
			return -ENODEV;
		return phase == MDEV_FREE ? MDEV_OPENING : -EBUSY;
	case MDEV_EV_CLAIM:
	case MDEV_EV_CLAIM_HELD:
		if (phase == MDEV_NEW)
			return -EAGAIN;
		if (is_going(phase))
			return -ENODEV;
		if (event == MDEV_EV_CLAIM && phase != MDEV_FREE)
			return -EBUSY;
		return with_going(phase, 1);
	default:
		return expected_step(event, phase);
	}
}

static void visit_phases(void)
{
	int event, phase;

	for (event = 0; event < MDEV_NR_EVENTS; event++) {
		for (phase = 0; phase < MDEV_NR_PHASES; phase++) {
			struct mdev_state state = { .phase = phase,
						    .request = MDEV_REQ_BOTH };
			int should = expected(event, phase);
			int ret = mdev_state_event(&state, event);
			int is = ret ? ret : state.phase;

			result(is == should && state.request == MDEV_REQ_BOTH &&
			       (!ret || state.phase == phase),
			       event_names[event], phase_names[phase], is,
			       should);
		}
	}
}

/* Expects by three facts: requested by hand, requested by waiting, final */
static int expected_request(int event, int request)
{
	int hand = request == MDEV_REQ_BY_HAND || request == MDEV_REQ_BOTH;
	int waited = request == MDEV_REQ_WAITED || request == MDEV_REQ_BOTH;

	if (event == MDEV_REQ_EV_END)
		return MDEV_REQ_NONE;
	if (event == MDEV_REQ_EV_CANCEL && (waited || request == MDEV_REQ_FINAL))
		return -EBUSY;
	if (event == MDEV_REQ_EV_REVOKE || request == MDEV_REQ_FINAL)
		return MDEV_REQ_FINAL;
	if (event == MDEV_REQ_EV_ASK || event == MDEV_REQ_EV_CANCEL)
		hand = event == MDEV_REQ_EV_ASK;
	else
		waited = event == MDEV_REQ_EV_WAIT;
	if (hand)
		return waited ? MDEV_REQ_BOTH : MDEV_REQ_BY_HAND;
	return waited ? MDEV_REQ_WAITED : MDEV_REQ_NONE;
}

static void visit_requests(void)
{
	int event, request;

	for (event = 0; event < MDEV_NR_REQUEST_EVENTS; event++) {
		for (request = 0; request < MDEV_NR_REQUEST_STATES; request++) {
			struct mdev_state state = { .phase = MDEV_HELD,
						    .request = request };
			int should = expected_request(event, request);
			int ret = mdev_state_request(&state, event);
			int is = ret ? ret : state.request;

			result(is == should && state.phase == MDEV_HELD &&
			       (!ret || state.request == request),
			       request_event_names[event],
			       request_names[request], is, should);
		}
	}
}

/* The questions that the framework asks about a phase */
static void visit_questions(void)
{
	int phase;

	for (phase = 0; phase < MDEV_NR_PHASES; phase++) {
		int use = use_of(phase);

		result(mdev_phase_is_going(phase) == is_going(phase),
		       "is_going", phase_names[phase],
		       mdev_phase_is_going(phase), is_going(phase));
		result(mdev_phase_is_in_use(phase) ==
		       (phase != MDEV_NEW && use != MDEV_FREE), "is_in_use",
		       phase_names[phase], mdev_phase_is_in_use(phase),
		       phase != MDEV_NEW && use != MDEV_FREE);
		result(mdev_phase_is_held(phase) == (use == MDEV_HELD),
		       "is_held", phase_names[phase],
		       mdev_phase_is_held(phase), use == MDEV_HELD);
	}
}

int main(void)
{
	printf("1..%d\n", MDEV_NR_EVENTS * MDEV_NR_PHASES +
	       MDEV_NR_REQUEST_EVENTS * MDEV_NR_REQUEST_STATES +
	       3 * MDEV_NR_PHASES + UNMAP_RESULTS);
	visit_phases();
	visit_requests();
	visit_questions();
	visit_unmaps();
	return failures != 0;
}
