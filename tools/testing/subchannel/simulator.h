/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Simulates a subchannel, and the functions that issue its instructions. A
 * simulated translator knows which memory of its program the channel may use.
 */
#ifndef SUBCHANNEL_SIMULATOR_H
#define SUBCHANNEL_SIMULATOR_H

#include "vfio_ccw.h"

/* Addresses of the program, for the guest and on the host. A CCW has 8 bytes */
#define GUEST_PROGRAM	0x2000U
#define HOST_PROGRAM	0x10000000U
#define PROGRAM_CCWS	16U
/* The page of the guest that a program uses */
#define GUEST_PAGE	0x7000ULL

/* How a program ends, if nothing ends it before */
enum sim_ending {
	SIM_AT_ONCE,		/* channel end with device end */
	SIM_DEVICE_LATER,	/* channel end, then device end */
	SIM_INTERMEDIATE,	/* first an intermediate status */
	SIM_CHECK,		/* unit check, with sense data */
	SIM_NEVER,
	SIM_NR_ENDINGS
};

/* The subchannel, and its faults */
struct sim {
	u32 fctl;
	u32 actl;
	bool enabled;
	bool gone;
	bool changed;		/* another device has this number */
	bool qdio;		/* that device uses QDIO */
	u32 intparm;		/* the parameter of interrupts */
	u8 lpum;		/* the path that was used last */
	bool deaf;		/* halt and clear have no effect */
	bool deaf_to_halt;
	bool halt_leaves_active; /* device active after halt */
	bool halt_is_slow;	/* an intermediate status precedes its end */
	bool never_disabled;
	bool half_enabled;	/* enabled, but not all of the change is taken over */
	unsigned int refusals;	/* how often it is not disabled, before it is */
	int refusal;		/* with which error */
	unsigned long hears_at;	/* when it is not deaf any more, if not 0 */
	int start_cc;		/* of the next START SUBCHANNEL, if not 0;
				 * -EIO: an operand exception
				 */
	bool silent;		/* interrupts are not delivered */
	bool twice;		/* are delivered twice */

	enum sim_ending ending;
	unsigned int delay;	/* of a step, in ms */
	unsigned int left;	/* of this step, in ms */
	unsigned int told;	/* statuses of the program */
	bool runs;		/* the channel executes it */
	struct ccw_cp *program;
	u32 cpa;
	u32 orb_flags;

	bool pending;		/* status is pending */
	struct irb irb;
	bool ends;		/* status ends the function */
	bool device_end_comes;

	unsigned int clears;	/* CLEAR instructions so far */
};

extern struct sim sim;
extern struct subchannel sim_sch;
extern struct mdev_device sim_mdev;
/* The error of the next translation, or 0 */
extern int sim_translate_error;
/* Called in the middle of a translation, which is where it waits for user space */
extern void (*sim_meanwhile)(void);
/* Called when the driver waits for the hardware next */
extern void (*sim_asleep)(void);
/* Called when the driver waits for user space next */
extern void (*sim_outside)(void);
/* Gets the interrupts instead of test_interrupt() */
extern void (*sim_irq)(const struct irb *irb);
/* Whether the device was revoked meanwhile */
extern bool sim_revoked;

void sim_reset(void);
/* Unsolicited status of the device, unless other status is pending */
void sim_attention(void);

/* Defined by the test: delivers an interrupt to the driver */
void test_interrupt(const struct irb *irb, bool ends);
void test_signal(const struct mdev_trigger *trigger);

/* Shared by the files of the test */
void check(bool met, const char *what, int line);
#define CHECK(met) check(met, #met, __LINE__)

struct test {
	void (*run)(void);
	const char *name;
};

#define TEST(name)	{ name, #name }

/* driver_test.c. The last entry has no name */
extern const struct test driver_tests[];

/* vfio_ccw_drv.c */
void driver_init(int *err);
void driver_exit(void);

#endif /* SUBCHANNEL_SIMULATOR_H */
