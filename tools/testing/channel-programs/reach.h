/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What of a guest's program a channel can come to, whatever the device does:
 * which CCWs, and what becomes of the data of each. That is what the translator
 * may be at a loss with: it has bounds, and one CCW of the host's for each of
 * the guest's. Told from the guest's program alone.
 */
#ifndef CCW_REACH_H
#define CCW_REACH_H

#include "model.h"

/* Where looking further would tell no more: the translator's bound is 512 */
#define REACH_MAX	1024

struct reach_ccw {
	uint32_t addr;
	struct model_ccw ccw;
	bool is_ccw;		/* sound, so that it has more than an address */
	unsigned int ways;	/* it is come to, see reach.c */
	unsigned int uses;	/* of its data, see reach.c */
	unsigned int sure;	/* those uses that need no status modifier */
};

struct reach {
	const struct model_orb *orb;
	const struct model_mem *mem;
	unsigned int n;
	unsigned int parts;	/* that are apart in memory, at most */
	unsigned int sure_n;	/* CCWs without any status modifier */
	unsigned int sure_parts;
	struct reach_ccw ccws[REACH_MAX];
	unsigned int nmodifiers;
	uint32_t modifiers[REACH_MAX];
};

/* Looks for all that the program of the ORB can come to */
void reach_look(struct reach *reach, const struct model_orb *orb,
		const struct model_mem *mem);

/* Is the data of any CCW used in more than one way? */
bool reach_has_conflict(const struct reach *reach);

/*
 * Has a channel that comes to the CCW at @addr, as chained data of a command's
 * direction or else as a command, a reason to find it, or what it chains data
 * to, used in another way as well? Not if it comes there in one that is sure.
 */
bool reach_is_conflict(const struct reach *reach, uint32_t addr, bool chained,
		       enum model_direction dir);

/*
 * How many MIDAWs are there, at most? @sure: of CCWs that need no status
 * modifier. From so many on the translator may be short of room for them: the
 * end of a page may not do for a list
 */
#define REACH_MANY_MIDAWS	4096
unsigned int reach_midaws(const struct reach *reach, bool sure);

/* May a device write to where CCWs or lists of addresses are? */
bool reach_writes_itself(const struct reach *reach);

#endif /* CCW_REACH_H */
