/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Subchannels that are parents while the fuzzer runs, and channel programs at
 * random. The programs of all threads of a worker are in one page, which each of
 * them writes as it likes, also while vfio_ccw reads it.
 */
#ifndef SELFTESTS_FUZZ_CHANNEL_H
#define SELFTESTS_FUZZ_CHANNEL_H

#include <stdio.h>
#include <string.h>

#include "kselftest.h"
#include "../vfio_ccw/ccw.h"
#include "random.h"

/* The page has room for so many programs, and for lists of addresses behind them */
#define PROGRAMS	32
#define PROGRAM_CCWS	8
#define LISTS		(PROGRAM + PROGRAMS * PROGRAM_CCWS * 8)
#define LISTS_SIZE	2048

/* Where the guest memory is that the other calls map and unmap */
#define FUZZ_IOVA	0x200000U
#define FUZZ_IOVAS	32

#define CHANNELS	4

static struct ccw channels[CHANNELS];
static int nr_channels;

/* Whether a program that does not end can be stopped */
static bool programs_may_loop;

/* Each becomes a parent. @names: of devices, between spaces; NULL: none */
static inline int channels_take(const char *names)
{
	char name[32];
	int err = 0, len;

	for (; !err && names && sscanf(names, " %31s%n", name, &len) == 1;
	     names += len) {
		if (nr_channels == CHANNELS)
			return -ENOSPC;
		err = ccw_find(&channels[nr_channels], name);
		if (!err)
			err = ccw_bind(&channels[nr_channels++]);
	}
	return err;
}

static inline const char *random_channel(void)
{
	return channels[below(nr_channels)].sch;
}

/*
 * And back to the host, where the device has to be usable again. One that does not
 * come to an end in time is given up by vfio_ccw, which says so, and the host finds
 * it when it answers: an administrator would try again.
 */
static inline bool channel_give_back(struct ccw *ccw)
{
	int tries;

	for (tries = 0; tries < 3; tries++) {
		if (!parent_exists(ccw->sch)) {
			sch_unbind(ccw->sch);
			sch_bind(ccw->sch, "vfio_ccw");
		}
		if (!ccw_unbind(ccw))
			return true;
	}
	ksft_print_msg("%s does not come back\n", ccw->device);
	return false;
}

static inline bool channels_give_back(void)
{
	bool back = true;

	while (nr_channels)
		back = channel_give_back(&channels[--nr_channels]) && back;
	return back;
}

/* Where data may be: mapped or not, the program itself too, anywhere */
static inline __u32 random_data(void)
{
	if (chance(16))
		return random64();
	if (chance(8))
		return PROGRAM + below(4096);
	return FUZZ_IOVA + below(FUZZ_IOVAS * 4096);
}

/*
 * Where a program at @addr goes on by a TIC. QEMU runs a program to its end before
 * SSCH is done: one that goes back could keep the machine for ever.
 */
static inline __u32 random_target(__u32 addr)
{
	unsigned int first = programs_may_loop ? 0 : (addr - PROGRAM) / 8 + 1;

	return PROGRAM + (first + below(PROGRAMS * PROGRAM_CCWS + 1 - first)) * 8;
}

/*
 * No command that gives a virtio device addresses: it would use them as the
 * host's. What reads brings none of those commands either.
 */
static inline void put_random_ccw(const struct ccw *ccw, __u32 orb, __u32 addr)
{
	static const __u8 commands[] = {
		CMD_NOP, CMD_NOP, CMD_SENSE, CMD_SENSE, CMD_SENSE_ID,
		CMD_SENSE_ID, 0x01, 0x02, 0x07, 0x0c, CMD_TIC, CMD_TIC,
	};
	static const __u8 flags[] = {
		CCW_CC, CCW_CC | CCW_SLI, CCW_CC | CCW_SLI, CCW_SLI, CCW_DC, 0,
		CCW_CC | CCW_IDA | CCW_SLI, CCW_CC | CCW_IDA, CCW_IDA | CCW_SLI,
		CCW_CC | CCW_MIDA | CCW_SLI, CCW_CC | CCW_SKIP | CCW_SLI,
		CCW_CC | CCW_PCI | CCW_SLI, CCW_SUSPEND,
	};
	__u8 cmd = commands[below(sizeof(commands))];
	__u8 flag = flags[below(sizeof(flags))];
	__u16 count = chance(8) ? random64() : below(64);
	__u32 data = random_data();

	if (cmd == CMD_TIC)
		data = random_target(addr);
	else if (flag & (CCW_IDA | CCW_MIDA))
		data = LISTS + below(LISTS_SIZE / 16) * 16;
	put_ccw_of(ccw, orb, addr, cmd, flag, count,
		   orb & ORB_FMT1 ? data : data & 0xffffff);
}

static inline void put_random_list(const struct ccw *ccw, __u32 orb)
{
	int i, first = below(LISTS_SIZE / 8 - 8);

	for (i = 0; i < 8; i++)
		put_idaw(ccw, orb, LISTS, first + i, chance(4) ? random_data() :
			 FUZZ_IOVA + below(FUZZ_IOVAS) * 4096);
}

static inline __u32 random_orb(void)
{
	static const __u32 formats[] = { 0, ORB_IDA64, ORB_IDA64 | ORB_IDA2K };

	if (chance(32))
		return random64();
	return ORB_LPM | formats[below(ARRAY_SIZE(formats))] |
	       (chance(4) ? 0 : ORB_FMT1) | (chance(4) ? 0 : ORB_PREFETCH) |
	       (chance(4) ? ORB_MIDA : 0);
}

/* Writes a program, or a part of one, and starts it. @ccw: see channel_of() */
static inline int start_random(const struct ccw *ccw)
{
	__u32 orb = random_orb();
	__u32 addr = PROGRAM + below(PROGRAMS) * PROGRAM_CCWS * 8;
	int i, n = below(PROGRAM_CCWS + 1);

	for (i = 0; i < n; i++)
		put_random_ccw(ccw, orb, addr + i * 8);
	put_random_list(ccw, orb);
	return ccw_start(ccw, orb, chance(16) ? random_data() : addr);
}

/* @device: any descriptor; @page: where programs are written. False: no channel */
static inline bool channel_of(struct ccw *ccw, int device, __u8 *page)
{
	struct vfio_region_info info;
	int i;

	*ccw = (struct ccw){ .memory = page, .user.device = device };
	for (i = 0; i < NR_REGIONS; i++) {
		if (vfio_region(device, i, &info))
			return false;
		if (i == REGION_IO && info.size != sizeof(struct ccw_io_region))
			return false;
		ccw->offset[i] = info.offset;
	}
	return true;
}

#endif /* SELFTESTS_FUZZ_CHANNEL_H */
