/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The claim: what a translated program does on the host is what the guest's
 * program would do in the guest.
 */
#ifndef CCW_PROOF_H
#define CCW_PROOF_H

#include "reach.h"
#include "world.h"

struct proof {
	struct world world;
	struct world_copy copy;
	struct ccw_cp *cp;
	struct reach reach;

	/* Of the last program */
	int err;
	struct ccw_cp_start start;
	struct model_result guest;
	unsigned int pin_calls;		/* that its translation made */
	unsigned int pinned;		/* pages, while it ran */
	char finding[200];
};

void proof_init(struct proof *proof);
void proof_free(struct proof *proof);

/* Translates the program, and nothing else */
int proof_translate(struct proof *proof, u32 flags, u32 cpa);

/*
 * Translates the program, runs guest's and host's with the device's script,
 * and releases it. Returns NULL, or in what the two differ, or what is wrong
 * otherwise. A translation that fails is right where the guest's program
 * fails with a device that does all that it is asked to do.
 *
 * Where guest memory changes meanwhile, nothing can be compared: then it has
 * to be harmless, which the world looks after.
 */
const char *proof_run(struct proof *proof, u32 flags, u32 cpa,
		      const u8 *script, size_t len);

#endif /* CCW_PROOF_H */
