// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: START SUBCHANNEL.
 *
 * The guest chooses flags of the ORB. If the channel subsystem lacks a facility
 * that they ask for, that is an operand exception. The ssch() of some kernels
 * does not report this exception, so here is another one.
 */
#include <linux/errno.h>
#include <linux/limits.h>

#include <asm/asm-extable.h>

#include "vfio_ccw.h"

/* IPM sets the condition code behind two bits that are 0, so never to this */
#define NO_CONDITION_CODE	U32_MAX
#define CONDITION_CODE_SHIFT	28

/**
 * vfio_ccw_start_subchannel - START SUBCHANNEL
 * @schid: the subchannel
 * @orb: the operation
 *
 * Context: under the subchannel's lock.
 * Return: the condition code, or -EIO for an operand exception: this channel
 * subsystem does not accept the ORB, and nothing was started.
 */
int vfio_ccw_start_subchannel(struct subchannel_id schid, const union orb *orb)
{
	u32 word = NO_CONDITION_CODE;

	/* The address of the exception is that of the next instruction */
	asm volatile("	l	1,%[schid]\n"
		     "	ssch	%[orb]\n"
		     "0:	ipm	%[word]\n"
		     "1:\n"
		     EX_TABLE(0b, 1b)
		     : [word] "+d" (word)
		     : [schid] "Q" (schid), [orb] "Q" (*orb)
		     : "1", "cc", "memory");
	return word == NO_CONDITION_CODE ? -EIO : word >> CONDITION_CODE_SHIFT;
}
