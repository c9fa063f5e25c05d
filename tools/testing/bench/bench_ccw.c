// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures the cost of a channel program, from user space to user space: from
 * the write of the I/O region to the eventfd's signal and the read of the
 * response. Also measures the cost of VFIO's own pinning of guest memory. If
 * the guest's clock counts instructions (QEMU's -icount shift=0,sleep=off), a
 * nanosecond is one instruction.
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
#include "mdev_relay.h"
#include "vfio_ccw/ccw.h"

#define RUNS	200

/* The largest count of a CCW */
#define COUNT_MAX	0xffff

/* Lists of IDAWs for 64 KiB each, and how far they are apart */
#define LISTS		128
#define IDAWS		32
#define LIST_APART	0x100

/* Pages in one call */
#define MANY		128

/* The parent that pins for the measurement of VFIO's own pinning */
#define RELAY		"mdev_relay.0"
#define RELAY_TYPE	"mdev_relay-relay"

/* Distance of two pages that are not adjacent */
#define APART	0x2000

/* An IOVA that is not the start of a page; the next page would be beyond all addresses */
#define NO_PAGE		UINT64_MAX

/* The target of the TIC, on another page */
#define TIC_TARGET	(PROGRAM + 0x10000)

static struct ccw ccw;

static const struct shape {
	const char *name;
	__u8 command;
	int number;		/* of CCWs, chained by command */
	__u32 count;		/* bytes a CCW */
	__u32 stride;		/* from one CCW's data to the next one's */
	int behind;		/* 64-KiB CCWs behind a TIC, never executed */
	int idaws;		/* in a list of its own for each CCW */
	__u32 strict;		/* bits of the ORB that are not set */
} shapes[] = {
	{ "ccw-nop",		CMD_NOP,	1,	1,		0,	0, 0, 0 },
	{ "ccw-sense-id",	CMD_SENSE_ID,	1,	4,		0,	0, 0, 0 },
	{ "ccw-read-conf",	CMD_READ_CONF,	1,	64,		0,	0, 0, 0 },
	{ "ccw-nop-16",		CMD_NOP,	16,	1,		0,	0, 0, 0 },
	{ "ccw-nop-128",	CMD_NOP,	128,	1,		0,	0, 0, 0 },
	{ "ccw-64k",		CMD_READ_CONF,	1,	COUNT_MAX,	0,	0, 0, 0 },
	{ "ccw-4k-16",		CMD_READ_CONF,	16,	0x1000,		0x1000,	0, 0, 0 },
	{ "ccw-4k-16-apart",	CMD_READ_CONF,	16,	0x1000,		APART,		0, 0, 0 },
	{ "ccw-64k-8",		CMD_READ_CONF,	8,	COUNT_MAX,	0x10000,	0, 0, 0 },
	{ "ccw-tic",		CMD_NOP,	2,	1,		0,	500, 0, 0 },
}, lists[] = {
	{ "ccw-lists",		CMD_READ_CONF,	LISTS,	COUNT_MAX,	0,	0,	IDAWS, 0 },
	{ "ccw-lists-strict",	CMD_READ_CONF,	LISTS,	COUNT_MAX,	0,	0,	IDAWS,
	  ORB_PREFETCH },
};

/* Writes a list of IDAWs for the same 64 KiB. Returns its address */
static __u32 put_list(const struct shape *shape, int number)
{
	__u32 list = PROGRAM + 0x10000 + number * LIST_APART;

	for (int i = 0; i < shape->idaws; i++)
		put_idaw1(&ccw, list, i, DATA + i * 0x800);
	return list;
}

/* Writes a TIC to a page of its own. Returns the address of its target */
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

		if (shape->idaws) {
			data = put_list(shape, i);
			flags |= CCW_IDA;
		}
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

	fill_region(&start, ORB_FORMAT1 & ~shape->strict, PROGRAM, SCSW_START);
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

/* A device of a parent that only pins */
static struct vfio_user relay = VFIO_USER_NONE;

static ssize_t relay_call(__u32 action, __u64 iova, __u32 npage)
{
	struct mdev_relay_pin arg = {
		.iova = iova,
		.npage = npage,
		.action = action,
	};

	return pwrite(relay.device, &arg, sizeof(arg),
		      (off_t)MDEV_RELAY_PIN_REGION << MDEV_RELAY_INDEX_SHIFT);
}

/*
 * Pins with @calls calls, and unpins with as many. A call for NO_PAGE fails
 * after all work of the parent and before VFIO is called.
 */
static uint64_t pin_time(int calls, __u64 iova, __u32 npage)
{
	bool refused = iova == NO_PAGE;
	__u64 step = refused ? 0 : APART;
	uint64_t before = now();

	for (int i = 0; i < calls; i++)
		if (relay_call(MDEV_RELAY_PIN, iova + i * step, npage) < 0 &&
		    !refused)
			err(1, "pin %u pages", npage);
	for (int i = 0; i < calls; i++)
		if (relay_call(MDEV_RELAY_UNPIN, iova + i * step, npage) < 0 &&
		    !refused)
			err(1, "unpin %u pages", npage);
	return now() - before;
}

static uint64_t pin_median(int calls, __u64 iova, __u32 npage)
{
	uint64_t samples[RUNS];

	for (int i = 0; i < RUNS; i++)
		samples[i] = pin_time(calls, iova, npage);
	return median(samples, RUNS);
}

/* The cost of VFIO's pinning, including mdev.ko's part of each call */
static uint64_t pinning(int calls, __u32 npage)
{
	return pin_median(calls, DATA, npage) -
	       pin_median(calls, NO_PAGE, npage);
}

static void report_one(const char *name, uint64_t value)
{
	printf("bench %s %llu\n", name, (unsigned long long)value);
}

static void measure_pinning(void)
{
	struct uuid uuid = uuid_new();
	uint64_t one, many;

	if (mdev_create(RELAY, RELAY_TYPE, &uuid) ||
	    vfio_open(&relay, &uuid) ||
	    vfio_map(&relay, ccw.memory, GUEST_BASE, GUEST_SIZE))
		errx(1, "no device to measure VFIO's pinning with");
	one = pinning(1, 1);
	many = pinning(1, MANY);
	report_one("vfio-pin-1", one);
	report_one("vfio-pin-16", pinning(1, 16));
	report_one("vfio-pin-128", many);
	report_one("vfio-page", (many - one) / (MANY - 1));
	report_one("vfio-16-calls", pinning(16, 1));
	vfio_close(&relay);
	if (mdev_remove(&uuid))
		errx(1, "remove");
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
	/* The library opens it non-blocking, for the tests */
	fcntl(ccw.io, F_SETFL, 0);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		measure(&shapes[i]);
	/* The rest compares our own figures: the peer has no relay parent */
	if (parent_exists(RELAY)) {
		measure(&lists[0]);
		measure(&lists[1]);
		measure_pinning();
	}
	fcntl(ccw.io, F_SETFL, O_NONBLOCK);
	return ccw_release(&ccw) ? 1 : 0;
}
