/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A subchannel behind the functions for its instructions, and a translator that
 * knows what of its program the channel may use.
 */
#ifndef SUBCHANNEL_SIMULATOR_H
#define SUBCHANNEL_SIMULATOR_H

#include "vfio_ccw.h"

/* Where programs are, for the guest and on the host; CCWs have 8 bytes */
#define GUEST_PROGRAM	0x2000U
#define HOST_PROGRAM	0x10000000U
#define PROGRAM_CCWS	16U
/* The guest's page that a program uses */
#define GUEST_PAGE	0x7000ULL

/* How a program ends, if nothing ends it earlier */
enum sim_ending {
	SIM_AT_ONCE,		/* channel end and device end together */
	SIM_DEVICE_LATER,	/* channel end, then device end */
	SIM_INTERMEDIATE,	/* a status of no end first */
	SIM_CHECK,		/* unit check, with sense data */
	SIM_NEVER,
	SIM_NR_ENDINGS
};

/* The subchannel, and what is wrong with it */
struct sim {
	u32 fctl;
	u32 actl;
	bool enabled;
	bool gone;
	bool changed;		/* another device is behind the number */
	bool deaf;		/* neither halt nor clear does anything */
	bool deaf_to_halt;
	bool halt_leaves_active; /* the device, after a halt */
	bool never_disabled;
	int start_cc;		/* of the next START SUBCHANNEL, if not 0;
				 * -EIO: an operand exception
				 */
	bool silent;		/* interrupts are lost */
	bool twice;		/* or come again */

	enum sim_ending ending;
	unsigned int delay;	/* of each step, in ms */
	unsigned int left;	/* of this one */
	unsigned int told;	/* statuses of this program */
	bool runs;		/* the channel works on the program */
	struct ccw_cp *program;
	u32 cpa;
	u32 orb_flags;

	bool pending;		/* status */
	struct irb irb;
	bool ends;		/* with it a program, a halt or a clear is over */
	bool device_end_comes;

	unsigned int clears;	/* instructions, so far */
};

extern struct sim sim;
extern struct subchannel sim_sch;
extern struct mdev_device sim_mdev;
/* What becomes of a program that the driver translates next */
extern int sim_translate_error;
/* Called in the middle of a translation, when it waits for user space */
extern void (*sim_meanwhile)(void);
/* What has happened to the device meanwhile */
extern bool sim_revoked;

void sim_reset(void);
/* Unsolicited status of the device, if there is no other status */
void sim_attention(void);

/* Those that the test has: an interrupt that is on its way to the driver */
void test_interrupt(const struct irb *irb, bool ends);
void test_signal(const struct mdev_trigger *trigger);

#endif /* SUBCHANNEL_SIMULATOR_H */
