// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures what a channel program costs, from user space to user space: from
 * the write of the I/O region to the eventfd's signal and the read of the
 * response. In a guest whose clock counts instructions (QEMU's -icount
 * shift=0,sleep=off) a nanosecond is an instruction.
 *
 * Prints a line for each figure: "bench NAME VALUE". The same program runs with
 * our modules and with the kernel's own.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <time.h>

#include "bench.h"
#include "vfio_ccw/ccw.h"

#define RUNS	200

/* What a CCW's count can say at most */
#define COUNT_MAX	0xffff

/* Where a TIC leads: to another page */
#define TIC_TARGET	(PROGRAM + 0x10000)

static struct ccw ccw;

static const struct shape {
	const char *name;
	__u8 command;
	int number;		/* of CCWs, chained by command */
	__u32 count;		/* bytes a CCW */
	__u32 stride;		/* from one CCW's data to the next one's */
	int behind;		/* CCWs of 64 KiB behind a TIC, which nothing reaches */
} shapes[] = {
	{ "ccw-nop",		CMD_NOP,	1,	1,		0,	0 },
	{ "ccw-sense-id",	CMD_SENSE_ID,	1,	4,		0,	0 },
	{ "ccw-read-conf",	CMD_READ_CONF,	1,	64,		0,	0 },
	{ "ccw-nop-16",		CMD_NOP,	16,	1,		0,	0 },
	{ "ccw-nop-128",	CMD_NOP,	128,	1,		0,	0 },
	{ "ccw-64k",		CMD_READ_CONF,	1,	COUNT_MAX,	0,	0 },
	{ "ccw-4k-16",		CMD_READ_CONF,	16,	0x1000,		0x1000,	0 },
	{ "ccw-64k-8",		CMD_READ_CONF,	8,	COUNT_MAX,	0x10000,	0 },
	{ "ccw-tic",		CMD_NOP,	2,	1,		0,	500 },
};

/* To a page of its own. Returns the address there */
static __u32 put_tic(const struct shape *shape, __u32 addr)
{
	addr = put_ccw(&ccw, addr, CMD_TIC, 0, 0, TIC_TARGET);
	for (int i = 0; i < shape->behind; i++)
		addr = put_ccw(&ccw, addr, CMD_READ_CONF, CCW_SLI | CCW_CC,
			       COUNT_MAX, DATA);
	return TIC_TARGET;
}

static void put_program(const struct shape *shape)
{
	__u32 addr = PROGRAM, data = DATA;

	for (int i = 1; i <= shape->number; i++) {
		__u8 flags = i < shape->number ? CCW_SLI | CCW_CC : CCW_SLI;

		addr = put_ccw(&ccw, addr, shape->command, flags, shape->count,
			       data);
		data += shape->stride;
		if (i == 1 && shape->behind)
			addr = put_tic(shape, addr);
	}
}

static uint64_t run(const struct shape *shape)
{
	struct ccw_io_region start, end;
	uint64_t before, after, count;
	__u32 scsw[3];

	fill_region(&start, ORB_FORMAT1, PROGRAM, SCSW_START);
	before = now();
	if (pwrite(ccw.user.device, &start, sizeof(start),
		   ccw.offset[REGION_IO]) != sizeof(start))
		err(1, "%s: start", shape->name);
	if (read(ccw.io, &count, sizeof(count)) != sizeof(count))
		err(1, "%s: eventfd", shape->name);
	if (pread(ccw.user.device, &end, sizeof(end),
		  ccw.offset[REGION_IO]) != sizeof(end))
		err(1, "%s: response", shape->name);
	after = now();

	/* Channel end and device end, and no other status */
	memcpy(scsw, end.irb_area, sizeof(scsw));
	if (be32toh(scsw[2]) >> 16 != DSTAT_END << 8)
		errx(1, "%s: status %#x", shape->name, be32toh(scsw[2]) >> 16);
	return after - before;
}

static void measure(const struct shape *shape)
{
	uint64_t samples[RUNS];

	put_program(shape);
	for (int i = 0; i < RUNS; i++)
		samples[i] = run(shape);
	report(shape->name, samples, RUNS);
}

int main(void)
{
	int ret = ccw_grab(&ccw, CU_RNG);

	if (!ret)
		ret = ccw_open(&ccw);
	if (ret) {
		ccw_release(&ccw);
		errx(1, "no subchannel to measure with: %s", strerror(-ret));
	}
	/* Made for tests, which do not block */
	fcntl(ccw.io, F_SETFL, 0);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		measure(&shapes[i]);
	fcntl(ccw.io, F_SETFL, O_NONBLOCK);
	return ccw_release(&ccw) ? 1 : 0;
}
