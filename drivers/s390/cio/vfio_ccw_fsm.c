// SPDX-License-Identifier: GPL-2.0-only
/* vfio-ccw: the state machine, a table of all states and all events */
#include <linux/errno.h>
#include <linux/lockdep.h>

#include "vfio_ccw.h"

struct vfio_ccw_cell {
	s16 err;
	u8 next;
};

#define TO(state)	{ 0, VFIO_CCW_##state }
#define ERR(errno, state) { -(errno), VFIO_CCW_##state }

static const struct vfio_ccw_cell
vfio_ccw_table[VFIO_CCW_NR_STATES][VFIO_CCW_NR_EVENTS] = {
	[VFIO_CCW_NOT_OPER] = {
		[VFIO_CCW_OPEN]		= ERR(ENODEV, NOT_OPER),
		[VFIO_CCW_CLOSE]	= TO(NOT_OPER),
		[VFIO_CCW_START]	= ERR(ENODEV, NOT_OPER),
		[VFIO_CCW_STARTED]	= ERR(ENODEV, NOT_OPER),
		[VFIO_CCW_ASYNC]	= ERR(ENODEV, NOT_OPER),
		[VFIO_CCW_INTERRUPT]	= ERR(ENODEV, NOT_OPER),
		[VFIO_CCW_ENDED]	= ERR(ENODEV, NOT_OPER),
		[VFIO_CCW_LOST]		= TO(NOT_OPER),
		[VFIO_CCW_GONE]		= TO(NOT_OPER),
	},
	[VFIO_CCW_STANDBY] = {
		[VFIO_CCW_OPEN]		= TO(IDLE),
		[VFIO_CCW_CLOSE]	= TO(STANDBY),
		[VFIO_CCW_START]	= ERR(EIO, STANDBY),
		[VFIO_CCW_STARTED]	= ERR(EIO, STANDBY),
		[VFIO_CCW_ASYNC]	= ERR(EIO, STANDBY),
		/* From before it was disabled: no holder wants it */
		[VFIO_CCW_INTERRUPT]	= ERR(EIO, STANDBY),
		[VFIO_CCW_ENDED]	= ERR(EIO, STANDBY),
		[VFIO_CCW_LOST]		= TO(NOT_OPER),
		[VFIO_CCW_GONE]		= TO(NOT_OPER),
	},
	[VFIO_CCW_IDLE] = {
		[VFIO_CCW_OPEN]		= ERR(EBUSY, IDLE),
		[VFIO_CCW_CLOSE]	= TO(STANDBY),
		[VFIO_CCW_START]	= TO(IDLE),
		[VFIO_CCW_STARTED]	= TO(PENDING),
		[VFIO_CCW_ASYNC]	= TO(IDLE),
		[VFIO_CCW_INTERRUPT]	= TO(IDLE),
		[VFIO_CCW_ENDED]	= TO(IDLE),
		[VFIO_CCW_LOST]		= TO(NOT_OPER),
		[VFIO_CCW_GONE]		= TO(NOT_OPER),
	},
	[VFIO_CCW_PENDING] = {
		[VFIO_CCW_OPEN]		= ERR(EBUSY, PENDING),
		[VFIO_CCW_CLOSE]	= TO(STANDBY),
		[VFIO_CCW_START]	= ERR(EBUSY, PENDING),
		[VFIO_CCW_STARTED]	= ERR(EIO, PENDING),
		[VFIO_CCW_ASYNC]	= TO(PENDING),
		[VFIO_CCW_INTERRUPT]	= TO(PENDING),
		[VFIO_CCW_ENDED]	= TO(IDLE),
		[VFIO_CCW_LOST]		= TO(CLEARING),
		[VFIO_CCW_GONE]		= TO(NOT_OPER),
	},
	[VFIO_CCW_CLEARING] = {
		[VFIO_CCW_OPEN]		= ERR(ENODEV, CLEARING),
		[VFIO_CCW_CLOSE]	= TO(NOT_OPER),
		[VFIO_CCW_START]	= ERR(ENODEV, CLEARING),
		[VFIO_CCW_STARTED]	= ERR(ENODEV, CLEARING),
		[VFIO_CCW_ASYNC]	= ERR(ENODEV, CLEARING),
		[VFIO_CCW_INTERRUPT]	= TO(CLEARING),
		[VFIO_CCW_ENDED]	= TO(NOT_OPER),
		[VFIO_CCW_LOST]		= TO(CLEARING),
		[VFIO_CCW_GONE]		= TO(NOT_OPER),
	},
};

/**
 * vfio_ccw_fsm - an event happens to a subchannel
 * @vc: the subchannel
 * @event: the event
 *
 * Context: under the subchannel's lock.
 * Return: 0, or the negative errno that refuses the event.
 */
int vfio_ccw_fsm(struct vfio_ccw *vc, enum vfio_ccw_event event)
{
	const struct vfio_ccw_cell *cell = &vfio_ccw_table[vc->state][event];

	lockdep_assert_held(&vc->sch->lock);
	vc->state = cell->next;
	return cell->err;
}
