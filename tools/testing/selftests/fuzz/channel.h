/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random channel programs, and the subchannels that become parents while the
 * fuzzer runs. All threads of a worker write their programs to one page, even
 * while vfio_ccw reads it.
 */
#ifndef SELFTESTS_FUZZ_CHANNEL_H
#define SELFTESTS_FUZZ_CHANNEL_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "kselftest.h"
#include "../vfio_ccw/ccw.h"
#include "random.h"

/* The page has room for this many programs, and for lists of addresses behind them */
#define PROGRAMS	32
#define PROGRAM_CCWS	8
#define LISTS		(PROGRAM + PROGRAMS * PROGRAM_CCWS * 8)
#define LISTS_SIZE	2048

/* The guest memory that other calls map and unmap */
#define FUZZ_IOVA	0x200000U
#define FUZZ_IOVAS	32

#define CHANNELS	4

static struct ccw channels[CHANNELS];
static int nr_channels;

/* Whether a program that does not end can be stopped */
static bool programs_may_loop;

/* Makes the devices parents. @names: devices' names, with spaces between; may be NULL */
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

static inline void tell_attribute(const struct ccw *ccw, const char *name)
{
	char text[64];

	if (file_read(ccw_path(ccw->device, name).text, text, sizeof(text)) < 0)
		snprintf(text, sizeof(text), "missing");
	ksft_print_msg("%s %s: %s\n", ccw->device, name,
		       strtok(text, "\n") ?: "");
}

/* Which threads are in the channel subsystem, and where */
static inline void tell_waiting_threads(void)
{
	char text[4096], path[64], *line, *rest;
	const struct dirent *entry;
	DIR *proc = opendir("/proc");

	while (proc && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%.20s/stack", entry->d_name);
		if (file_read(path, text, sizeof(text)) < 0 ||
		    !strstr(text, "ccw"))
			continue;
		for (line = strtok_r(text, "\n", &rest); line;
		     line = strtok_r(NULL, "\n", &rest))
			ksft_print_msg("%s: %s\n", path, line);
	}
	if (proc)
		closedir(proc);
}

/*
 * Gives the device back to the host, which must be able to use it again. If the
 * device's program does not end in time, vfio_ccw logs that and gives up the
 * subchannel. The host finds the device once it answers, so bind and unbind
 * again, as an administrator would.
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
	tell_attribute(ccw, "cutype");
	tell_attribute(ccw, "availability");
	tell_attribute(ccw, "online");
	tell_waiting_threads();
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

/* Returns a random address for data: mapped or not, or in the program itself */
static inline __u32 random_data(void)
{
	if (chance(16))
		return random64();
	if (chance(8))
		return PROGRAM + below(4096);
	return FUZZ_IOVA + below(FUZZ_IOVAS * 4096);
}

/*
 * Returns a random target for a TIC at @addr. QEMU runs a program to its end
 * within SSCH, so a TIC to an earlier CCW could stop the machine for ever.
 */
static inline __u32 random_target(__u32 addr)
{
	unsigned int first = programs_may_loop ? 0 : (addr - PROGRAM) / 8 + 1;

	return PROGRAM + (first + below(PROGRAMS * PROGRAM_CCWS + 1 - first)) * 8;
}

/*
 * Writes a random CCW. Its command must not give addresses to a virtio device,
 * which would use them as the host's addresses. Data that a program reads
 * contains no such command, either.
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

/* Writes a program or a part of one, and starts it. @ccw: see channel_of() */
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

/* @device: any descriptor. @page: for programs. Returns false if it is no channel device */
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
