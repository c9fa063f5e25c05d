/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs a channel program on both sides, on the same subchannel: by raw_ccw.ko
 * as it is on the hardware, and translated by vfio_ccw. The raw side's memory
 * has real addresses. On the other side, the guest's addresses are the same,
 * but have other pages.
 */
#ifndef SELFTESTS_VFIO_CCW_RAW_H
#define SELFTESTS_VFIO_CCW_RAW_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "life.h"
#include "raw_ccw.h"

/* How long a program may take */
#define RUN_MS		5000

/* The IRB's words: 3 of the SCSW, 5 of extended status, and sense data */
#define IRB_WORDS	(RAW_CCW_IRB_SIZE / 4)
#define IRB_STATUS	2
#define STATUS_PROGRAM	(CSTAT_PROGRAM << 16)

/* Status that ends a program: an alert, or the device's end */
#define STCTL_LAST	0x12

struct outcome {
	int err;
	__u32 irb[IRB_WORDS];
	__u8 memory[RAW_CCW_SIZE];
};

/* A device, and the memory of its programs */
struct raw {
	struct life life;
	int fd;
	__u64 base;
	__u8 *memory;			/* the guest's */
	__u8 *image;			/* what both sides begin with */
};

static inline void raw_set_up(struct __test_metadata *_metadata,
			      struct raw *raw)
{
	raw->life.holder.pid = -1;
	raw->fd = open(RAW_CCW_NODE, O_RDWR);
	ASSERT_LE(0, raw->fd);
	ASSERT_EQ(0, ioctl(raw->fd, RAW_CCW_ADDRESS, &raw->base));
	raw->memory = mmap(NULL, RAW_CCW_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, raw->memory);
	raw->image = calloc(1, RAW_CCW_SIZE);
	ASSERT_NE(NULL, raw->image);
}

static inline void raw_tear_down(struct __test_metadata *_metadata,
				 struct raw *raw)
{
	free(raw->image);
	if (raw->life.ccw.memory)
		life_tear_down(_metadata, &raw->life);
	munmap(raw->memory, RAW_CCW_SIZE);
	close(raw->fd);
}

/* Opens the device of a test. Returns false if there is none */
static inline bool raw_open(struct __test_metadata *_metadata, struct raw *raw,
			    const char *name)
{
	struct ccw *ccw = &raw->life.ccw;

	if (!life_set_up(_metadata, &raw->life, name))
		return false;
	ASSERT_EQ(0, ccw_open(ccw));
	ASSERT_EQ(0, vfio_unmap(&ccw->user, GUEST_BASE, GUEST_SIZE));
	ASSERT_EQ(0, vfio_map(&ccw->user, raw->memory, raw->base,
			      RAW_CCW_SIZE));
	return true;
}

static inline __u32 subchannel_id(const struct ccw *ccw)
{
	/* 0.0.NNNN: the ID is the number, with a 1 before it */
	return 0x10000 | strtoul(ccw->sch + 4, NULL, 16);
}

static inline void put_word(__u8 *image, __u32 offset, __u32 word)
{
	word = htobe32(word);
	memcpy(image + offset, &word, sizeof(word));
}

/* Runs of one side, from the CCW at an offset on */

static inline int run_raw(const struct raw *raw, __u32 flags, __u32 offset,
			  struct outcome *outcome)
{
	struct raw_ccw_run run = {
		.subchannel = subchannel_id(&raw->life.ccw),
		.orb = { 0, flags, raw->base + offset },
	};

	if (pwrite(raw->fd, raw->image, RAW_CCW_SIZE, 0) != RAW_CCW_SIZE)
		return -EIO;
	outcome->err = ioctl(raw->fd, RAW_CCW_RUN, &run) ? -errno : 0;
	memcpy(outcome->irb, run.irb, sizeof(outcome->irb));
	return pread(raw->fd, outcome->memory, RAW_CCW_SIZE, 0) == RAW_CCW_SIZE ?
		0 : -EIO;
}

/* Ends a program that takes too long, as raw_ccw.ko does */
static inline int end_translated(const struct ccw *ccw, struct outcome *outcome)
{
	struct response response;
	int err = ccw_async(ccw, VFIO_CCW_ASYNC_CMD_CSCH);

	outcome->err = -ETIMEDOUT;
	return err ? err : ccw_response(ccw, &response);
}

static inline int run_translated(const struct raw *raw, __u32 flags,
				 __u32 offset, struct outcome *outcome)
{
	const struct ccw *ccw = &raw->life.ccw;
	struct ccw_io_region region;
	__u32 word;
	int err;

	memcpy(raw->memory, raw->image, RAW_CCW_SIZE);
	memset(outcome->irb, 0, sizeof(outcome->irb));
	outcome->err = ccw_start(ccw, flags, raw->base + offset);
	while (!outcome->err) {
		if (!eventfd_wait(ccw->io, RUN_MS))
			return end_translated(ccw, outcome);
		eventfd_take(ccw->io);
		err = region_read(ccw, REGION_IO, &region, sizeof(region));
		if (err)
			return err;
		memcpy(outcome->irb, region.irb_area, sizeof(outcome->irb));
		memcpy(&word, region.irb_area, sizeof(word));
		if (be32toh(word) & STCTL_LAST)
			break;
	}
	memcpy(outcome->memory, raw->memory, RAW_CCW_SIZE);
	return 0;
}

/* Returns a word of the IRB, without a count that is undefined because of a program check */
static inline __u32 irb_word(const struct outcome *outcome, int i)
{
	__u32 word = be32toh(outcome->irb[i]);

	return i == IRB_STATUS && word & STATUS_PROGRAM ? word & ~0xffffU : word;
}

/*
 * Returns the kind of the first difference of two outcomes, with its index in
 * @where. Returns NULL if there is none
 */
static inline const char *difference(const struct outcome *outcomes, int *where)
{
	int i;

	*where = 0;
	if (outcomes[0].err != outcomes[1].err)
		return "the start";
	for (i = 0; !outcomes[0].err && i < (int)IRB_WORDS; i++) {
		*where = i;
		if (irb_word(&outcomes[0], i) != irb_word(&outcomes[1], i))
			return "word of the IRB";
	}
	/* A program that did not end may have stored anything */
	if (outcomes[0].err || !memcmp(outcomes[0].memory, outcomes[1].memory,
				       RAW_CCW_SIZE))
		return NULL;
	for (i = 0; i < RAW_CCW_SIZE; i++) {
		*where = i;
		if (outcomes[0].memory[i] != outcomes[1].memory[i])
			return "byte of memory";
	}
	return NULL;
}

#endif /* SELFTESTS_VFIO_CCW_RAW_H */
