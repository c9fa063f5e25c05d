/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The property that the tests check: a translated program has the same effects
 * on the host as the guest's program would have in the guest.
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
	unsigned int pin_calls;		/* calls of its translation */
	unsigned int pinned;		/* pages while it ran */
	char finding[200];
};

void proof_init(struct proof *proof);
void proof_free(struct proof *proof);

/* Only translates the program */
int proof_translate(struct proof *proof, u32 flags, u32 cpa);

/*
 * Translates the program, runs the guest's and the host's program with the
 * device's script, and releases the translation. Returns NULL, or a description
 * of the difference or of another fault. A failed translation is right if the
 * guest's program fails with a device that takes all data.
 *
 * If guest memory changes meanwhile, the results cannot be compared. The world
 * still checks that the program is harmless.
 */
const char *proof_run(struct proof *proof, u32 flags, u32 cpa,
		      const u8 *script, size_t len);

#endif /* CCW_PROOF_H */
