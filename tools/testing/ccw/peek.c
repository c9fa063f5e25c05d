// SPDX-License-Identifier: GPL-2.0-only
/* The translator itself, with a look at what it keeps private */
#include CCW_CP_SOURCE

#include "world.h"

void *peek_host_ccws(struct ccw_cp *cp, unsigned int *n)
{
	*n = cp->nhost;
	return cp->host;
}

/*
 * Whether the program was too much in a way that shows only when it gets
 * there: it hit a bound behind a status modifier, or a CCW is reached in more
 * than one way and is invalid for one of them.
 */
bool peek_is_cut(struct ccw_cp *cp)
{
	unsigned int i;

	if (cp->nslots == CCW_CP_MAX_CCWS || cp->nsegs == CCW_CP_MAX_SEGS)
		return true;
	for (i = 0; i < cp->nslots; i++) {
		const struct cp_slot *slot = &cp->slots[i];

		if (slot->is & (IS_CUT | IS_DATA_ONLY))
			return true;
		if (slot->is & IS_INVALID &&
		    hweight8(slot->as) > 1)
			return true;
	}
	return false;
}
