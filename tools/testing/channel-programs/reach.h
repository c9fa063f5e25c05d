/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The CCWs of a guest's program that a channel can reach, whatever the device
 * does, and the uses of their data. The translator may refuse a program because
 * of them: it has limits, and one CCW of the host for each CCW of the guest.
 * All of this follows from the guest's program alone.
 */
#ifndef CCW_REACH_H
#define CCW_REACH_H

#include "model.h"

/* More CCWs than this need not be counted: the translator's limit is 512 */
#define REACH_MAX	1024

struct reach_ccw {
	uint32_t addr;
	struct model_ccw ccw;
	bool is_ccw;		/* a valid CCW; if not, only @addr is set */
	unsigned int ways;	/* to reach it, see reach.c */
	unsigned int uses;	/* of its data, see reach.c */
	unsigned int sure;	/* those uses that need no status modifier */
};

struct reach {
	const struct model_orb *orb;
	const struct model_mem *mem;
	unsigned int n;
	unsigned int parts;	/* not adjacent in memory, an upper limit */
	unsigned int sure_n;	/* CCWs that need no status modifier */
	unsigned int sure_parts;
	struct reach_ccw ccws[REACH_MAX];
	unsigned int nmodifiers;
	uint32_t modifiers[REACH_MAX];
};

/* Finds all that a program of this ORB can reach */
void reach_look(struct reach *reach, const struct model_orb *orb,
		const struct model_mem *mem);

/* Is the data of any CCW used in more than one way? */
bool reach_has_conflict(const struct reach *reach);

/*
 * Returns whether a channel that reaches the CCW at @addr may find that its
 * data, or the data that it chains to, is also used in another way. @chained:
 * the CCW is reached as chained data, in direction @dir; otherwise it is a
 * command. A use that needs no status modifier is never a conflict.
 */
bool reach_is_conflict(const struct reach *reach, uint32_t addr, bool chained,
		       enum model_direction dir);

/*
 * An upper limit of the number of MIDAWs. @sure: only of CCWs that need no
 * status modifier. From REACH_MANY_MIDAWS on, the translator may lack room for
 * them, because a list may not fit into the rest of a page
 */
#define REACH_MANY_MIDAWS	4096
unsigned int reach_midaws(const struct reach *reach, bool sure);

/* May a device write to CCWs or lists of addresses? */
bool reach_writes_itself(const struct reach *reach);

#endif /* CCW_REACH_H */
