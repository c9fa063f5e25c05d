// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channel programs through vfio_ccw: their data, their ends, and refusals.
 * QEMU's channel subsystem runs a program within START SUBCHANNEL. So no
 * program can stay active here, and none may loop over data for ever.
 */
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "fixture.h"

/* The first of the 256 bytes of virtio-rng's SENSE ID */
static const __u8 sense_id[] = { 0xff, 0x38, 0x32, 0x04, 0, 0, 0 };
#define SENSE_ID_SIZE	256

/* The most CCWs that the kernel's own vfio_ccw takes in one piece */
#define PEER_CCWS	256

/* The bounds of CCWs and of pieces, see vfio_ccw_cp.h of the driver */
#define MAX_CCWS	512
#define MAX_PIECES	128

/* Part of the log line about a program that is refused */
#define NOT_STARTED	"not started"

/* The device frees all that a program has used, not only at the close */
static void tear_down_io(struct __test_metadata *_metadata, struct ccw *ccw)
{
	if (ccw->memory)
		EXPECT_EQ(0, vfio_unmap(&ccw->user, GUEST_BASE, GUEST_SIZE));
	EXPECT_EQ(ccw->pinned, pages_pinned());
	ccw_tear_down(_metadata, ccw);
}

FIXTURE(io)
{
	struct ccw ccw;
};

FIXTURE_SETUP(io)
{
	if (!ccw_set_up(_metadata, &self->ccw, CU_RNG))
		SKIP(return, "no device %s", CU_RNG);
	ASSERT_EQ(0, ccw_open(&self->ccw));
}

FIXTURE_TEARDOWN(io)
{
	tear_down_io(_metadata, &self->ccw);
}

/* The program runs to its end, behind the CCW before @end, without errors */
static void expect_end(struct __test_metadata *_metadata, struct ccw *ccw,
		       __u32 flags, __u32 program, __u32 end)
{
	EXPECT_EQ(0, ccw_run(ccw, flags, program, &ccw->response));
	EXPECT_EQ(SCSW_START, ccw->response.fctl);
	EXPECT_EQ(DSTAT_END, ccw->response.dstat);
	EXPECT_EQ(0, ccw->response.cstat);
	EXPECT_EQ(end, ccw->response.cpa);
	EXPECT_EQ(0, ret_code(ccw, REGION_IO));
}

/* The program starts, and ends in a program check behind the CCW before @end */
static void expect_program_check(struct __test_metadata *_metadata,
				 struct ccw *ccw, __u32 flags, __u32 program,
				 __u32 end)
{
	EXPECT_EQ(0, ccw_run(ccw, flags, program, &ccw->response));
	EXPECT_EQ(CSTAT_PROGRAM, ccw->response.cstat);
	EXPECT_EQ(end, ccw->response.cpa);
}

static void expect_sense_id(struct __test_metadata *_metadata,
			    const struct ccw *ccw, __u32 addr)
{
	EXPECT_EQ(0, memcmp(guest(ccw, addr), sense_id, sizeof(sense_id)));
}

/* The device works, whatever came before */
static void expect_usable(struct __test_metadata *_metadata, struct ccw *ccw)
{
	const __u32 program = PROGRAM + 0x3f000, data = DATA + 0x3f000;

	put_ccw(ccw, program, CMD_SENSE_ID, CCW_SLI, 7, data);
	memset(guest(ccw, data), 0xa5, 8);
	expect_end(_metadata, ccw, ORB_FORMAT1, program, program + 8);
	expect_sense_id(_metadata, ccw, data);
}

/* The start is refused, or the channel ends the program. It does not run for ever */
static void expect_error(struct __test_metadata *_metadata, struct ccw *ccw,
			 __u32 program)
{
	int err = ccw_start(ccw, ORB_FORMAT1, program);

	EXPECT_TRUE(err == 0 || err == -EINVAL);
	if (!err) {
		EXPECT_EQ(0, ccw_response(ccw, &ccw->response));
		EXPECT_NE(0, ccw->response.cstat);
	}
	expect_usable(_metadata, ccw);
}

/* As expect_refused(), for data that cannot be pinned */
static void expect_not_pinned(struct __test_metadata *_metadata,
			      struct ccw *ccw, __u32 flags, __u32 program)
{
	int err = ccw_start(ccw, flags, program);

	/* The kernel's own driver returns either */
	EXPECT_TRUE(err == -EINVAL || (ccw->kernels_own && err == -EFAULT));
	EXPECT_EQ(err, ret_code(ccw, REGION_IO));
	EXPECT_EQ(0, eventfd_take(ccw->io));
	EXPECT_EQ(ccw->pinned, pages_pinned());
	expect_usable(_metadata, ccw);
}

/* The start is refused, starts nothing, and leaves nothing behind */
static void expect_refused(struct __test_metadata *_metadata, struct ccw *ccw,
			   int err, __u32 flags, __u32 program)
{
	EXPECT_EQ(err, ccw_start(ccw, flags, program));
	EXPECT_EQ(err, ret_code(ccw, REGION_IO));
	EXPECT_EQ(0, eventfd_take(ccw->io));
	EXPECT_EQ(ccw->pinned, pages_pinned());
	expect_usable(_metadata, ccw);
}

/*
 * Are these bytes of SENSE ID, in a block that is not the first? QEMU 7.2, for
 * one, starts again with the device's data in each block.
 */
static bool goes_on(const struct ccw *ccw, __u32 addr, int from, int len)
{
	return !memcmp(guest(ccw, addr), sense_id + from, len) ||
	       !memcmp(guest(ccw, addr), sense_id, len);
}

static bool untouched(const struct ccw *ccw, __u32 addr, __u32 size)
{
	const __u8 *data = guest(ccw, addr);

	while (size--)
		if (*data++ != 0xa5)
			return false;
	return true;
}

static void touch_nothing(const struct ccw *ccw, __u32 addr, __u32 size)
{
	memset(guest(ccw, addr), 0xa5, size);
}

/* Single commands */

TEST_F(io, nop_ends_at_once)
{
	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 0, 0);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
	EXPECT_EQ(1, self->ccw.response.stctl & SCSW_PENDING);
	/* A NOP has no data, so its address may be anywhere */
	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 1, NOWHERE);
	if (!self->ccw.kernels_own)
		expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM,
			   PROGRAM + 8);
}

TEST_F(io, sense_id_brings_the_true_data)
{
	touch_nothing(&self->ccw, DATA, 0x1000);
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, 0, SENSE_ID_SIZE, DATA);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
	EXPECT_EQ(0, self->ccw.response.count);
	expect_sense_id(_metadata, &self->ccw, DATA);
	EXPECT_TRUE(untouched(&self->ccw, DATA + SENSE_ID_SIZE, 0x800));
}

TEST_F(io, suppressed_length_brings_a_part)
{
	touch_nothing(&self->ccw, DATA, 0x1000);
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 2, DATA + 1);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
	/* QEMU stores 0xff only if there is room for the type */
	EXPECT_EQ(0, memcmp(guest(&self->ccw, DATA + 1), "\0\x38", 2));
	EXPECT_TRUE(untouched(&self->ccw, DATA, 1));
	EXPECT_TRUE(untouched(&self->ccw, DATA + 3, 0x100));
}

TEST_F(io, suppressed_length_tells_what_is_left)
{
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 4096, DATA + 16);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
	EXPECT_EQ(4096 - SENSE_ID_SIZE, self->ccw.response.count);
	expect_sense_id(_metadata, &self->ccw, DATA + 16);
}

TEST_F(io, largest_count_works)
{
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0xffff, DATA + 2047);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
	EXPECT_EQ(0xffff - SENSE_ID_SIZE, self->ccw.response.count);
	EXPECT_EQ(0xff, *(__u8 *)guest(&self->ccw, DATA + 2047));
	EXPECT_TRUE(goes_on(&self->ccw, DATA + 2048, 1, 6));
}

TEST_F(io, wrong_length_is_the_channels_to_tell)
{
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, 0, 3, DATA);
	EXPECT_EQ(0, ccw_run(&self->ccw, ORB_FORMAT1, PROGRAM,
			     &self->ccw.response));
	EXPECT_NE(0, self->ccw.response.cstat);
	EXPECT_EQ(PROGRAM + 8, self->ccw.response.cpa);
	expect_usable(_metadata, &self->ccw);
}

TEST_F(io, skipped_data_goes_nowhere)
{
	touch_nothing(&self->ccw, DATA, 0x1000);
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI | CCW_SKIP, 7, DATA);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
	EXPECT_TRUE(untouched(&self->ccw, DATA, 0x1000));
}

TEST_F(io, skipped_data_needs_no_place)
{
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI | CCW_SKIP, 7,
		NOWHERE);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
}

TEST_F(io, count_of_nothing_needs_no_place)
{
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0, NOWHERE);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
}

TEST_F(io, count_of_nothing_in_format_0_is_invalid)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own makes it a count of 0 in format 1");
	put_ccw0(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0, DATA);
	expect_program_check(_metadata, &self->ccw, ORB_FORMAT0, PROGRAM,
			     PROGRAM + 8);
	expect_usable(_metadata, &self->ccw);
}

TEST_F(io, command_of_no_kind_is_the_channels_to_refuse)
{
	static const __u8 commands[] = { 0x00, 0x10, 0xf0 };
	unsigned int i;

	for (i = 0; i < sizeof(commands); i++) {
		put_ccw(&self->ccw, PROGRAM, commands[i], CCW_SLI, 1, DATA);
		EXPECT_EQ(0, ccw_run(&self->ccw, ORB_FORMAT1, PROGRAM,
				     &self->ccw.response));
		EXPECT_NE(0, self->ccw.response.cstat |
			     self->ccw.response.dstat);
		EXPECT_EQ(PROGRAM + 8, self->ccw.response.cpa);
	}
	expect_usable(_metadata, &self->ccw);
}

TEST_F(io, unknown_command_gives_unit_check_and_sense_data)
{
	put_ccw(&self->ccw, PROGRAM, 0xf7, CCW_SLI, 1, DATA);
	EXPECT_EQ(0, ccw_run(&self->ccw, ORB_FORMAT1, PROGRAM,
			     &self->ccw.response));
	EXPECT_EQ(DSTAT_UNITCHECK, self->ccw.response.dstat & DSTAT_UNITCHECK);
	EXPECT_EQ(PROGRAM + 8, self->ccw.response.cpa);
	/* The response has the sense data, command reject. SENSE does not get it again */
	EXPECT_EQ(0x80, self->ccw.response.sense);
	memset(guest(&self->ccw, DATA), 0xa5, 64);
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE, CCW_SLI, 32, DATA);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
	EXPECT_EQ(0, *(__u8 *)guest(&self->ccw, DATA));
	expect_usable(_metadata, &self->ccw);
}

/* Addresses */

TEST_F(io, data_may_cross_pages)
{
	int i;

	for (i = 1; i < 7; i++) {
		touch_nothing(&self->ccw, DATA, 0x2000);
		put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7,
			DATA + 0x1000 - i);
		expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM,
			   PROGRAM + 8);
		EXPECT_EQ(0, memcmp(guest(&self->ccw, DATA + 0x1000 - i),
				    sense_id, i));
		EXPECT_TRUE(goes_on(&self->ccw, DATA + 0x1000, i, 7 - i));
		EXPECT_TRUE(untouched(&self->ccw, DATA, 0x1000 - i));
		EXPECT_TRUE(untouched(&self->ccw, DATA + 0x1007 - i, 0x100));
	}
}

TEST_F(io, format_0_reaches_its_data)
{
	__u32 at;

	put_ccw0(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, DATA + 3);
	expect_end(_metadata, &self->ccw, ORB_FORMAT0, PROGRAM, PROGRAM + 8);
	expect_sense_id(_metadata, &self->ccw, DATA + 3);

	/* A TIC has no count, and four bits of its command are ignored */
	at = put_ccw0(&self->ccw, PROGRAM, CMD_NOP, CCW_CC | CCW_SLI, 1, DATA);
	put_ccw0(&self->ccw, at, CMD_TIC | 0x50, 0xff, 0x1234, PROGRAM + 0x800);
	put_ccw0(&self->ccw, PROGRAM + 0x800, CMD_SENSE_ID, CCW_SLI | CCW_IDA,
		 9, LIST);
	put_idaw1(&self->ccw, LIST, 0, DATA + 0x17ff);
	put_idaw1(&self->ccw, LIST, 1, DATA + 0x3800);
	expect_end(_metadata, &self->ccw, ORB_FORMAT0, PROGRAM,
		   PROGRAM + 0x808);
	EXPECT_EQ(0xff, *(__u8 *)guest(&self->ccw, DATA + 0x17ff));
	EXPECT_TRUE(goes_on(&self->ccw, DATA + 0x3800, 1, 6));
}

TEST_F(io, transfer_in_channel_is_followed)
{
	__u32 at;

	/* Forwards, backwards, and into the next page */
	at = put_ccw(&self->ccw, PROGRAM + 0x400, CMD_NOP, CCW_CC | CCW_SLI, 0,
		     0);
	put_ccw(&self->ccw, at, CMD_TIC, 0, 0, PROGRAM + 0x3008);
	at = put_ccw(&self->ccw, PROGRAM + 0x3008, CMD_NOP, CCW_CC | CCW_SLI, 0,
		     0);
	put_ccw(&self->ccw, at, CMD_TIC, 0, 0, PROGRAM);
	at = put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_CC | CCW_SLI, 0, 0);
	put_ccw(&self->ccw, at, CMD_TIC, 0, 0, PROGRAM + 0x410);
	put_ccw(&self->ccw, PROGRAM + 0x410, CMD_SENSE_ID, CCW_SLI, 7, DATA);
	touch_nothing(&self->ccw, DATA, 16);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM + 0x400,
		   PROGRAM + 0x418);
	expect_sense_id(_metadata, &self->ccw, DATA);
}

TEST_F(io, chain_may_cross_pages)
{
	__u32 at = PROGRAM + 0x1000 - 16;

	at = put_ccw(&self->ccw, at, CMD_NOP, CCW_CC | CCW_SLI, 0, 0);
	at = put_ccw(&self->ccw, at, CMD_SENSE_ID, CCW_CC | CCW_SLI, 7, DATA);
	put_ccw(&self->ccw, at, CMD_SENSE_ID, CCW_SLI, 7, DATA + 0x100);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM + 0x1000 - 16,
		   PROGRAM + 0x1008);
	expect_sense_id(_metadata, &self->ccw, DATA);
	expect_sense_id(_metadata, &self->ccw, DATA + 0x100);
}

TEST_F(io, each_command_of_a_chain_brings_its_data)
{
	__u32 at = PROGRAM;
	int i;

	for (i = 0; i < 16; i++)
		at = put_ccw(&self->ccw, at, CMD_SENSE_ID,
			     CCW_SLI | (i < 15 ? CCW_CC : 0), 7,
			     DATA + i * 0x1801);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, at);
	for (i = 0; i < 16; i++)
		expect_sense_id(_metadata, &self->ccw, DATA + i * 0x1801);
}

/*
 * QEMU's channel runs the first CCW of a data chain as if it were alone, and
 * does not allow a wrong length there. So this test checks only that the other
 * CCWs do no harm.
 */
TEST_F(io, data_chain_is_accepted)
{
	__u32 at;

	touch_nothing(&self->ccw, DATA, 0x4000);
	at = put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_DC, SENSE_ID_SIZE,
		     DATA + 0xfff);
	at = put_ccw(&self->ccw, at, 0, CCW_DC | CCW_IDA, 4, LIST);
	put_idaw1(&self->ccw, LIST, 0, DATA + 0x2000);
	put_ccw(&self->ccw, at, 0, CCW_SLI, 4, DATA + 0x3000);
	EXPECT_EQ(0, ccw_run(&self->ccw, ORB_FORMAT1, PROGRAM,
			     &self->ccw.response));
	EXPECT_EQ(DSTAT_END, self->ccw.response.dstat);
	EXPECT_EQ(0xff, *(__u8 *)guest(&self->ccw, DATA + 0xfff));
	EXPECT_TRUE(goes_on(&self->ccw, DATA + 0x1000, 1, 6));
	EXPECT_LE(PROGRAM + 8, self->ccw.response.cpa);
	EXPECT_GE(at + 8, self->ccw.response.cpa);
	EXPECT_TRUE(untouched(&self->ccw, DATA + 0x3004, 0x100));
}

/* Each form of lists of indirect data addresses */
FIXTURE(list)
{
	struct ccw ccw;
};

FIXTURE_VARIANT(list)
{
	__u32 flags;
	__u32 block;
	bool wide;
};

FIXTURE_VARIANT_ADD(list, format_1)
{
	.flags = ORB_FORMAT1, .block = 2048,
};

FIXTURE_VARIANT_ADD(list, format_2_of_2k)
{
	.flags = ORB_FORMAT1 | ORB_IDA64 | ORB_IDA2K, .block = 2048,
	.wide = true,
};

FIXTURE_VARIANT_ADD(list, format_2_of_4k)
{
	.flags = ORB_FORMAT1 | ORB_IDA64, .block = 4096, .wide = true,
};

FIXTURE_VARIANT_ADD(list, format_1_of_format_0)
{
	.flags = ORB_FORMAT0, .block = 2048,
};

FIXTURE_SETUP(list)
{
	if (!ccw_set_up(_metadata, &self->ccw, CU_RNG))
		SKIP(return, "no device %s", CU_RNG);
	ASSERT_EQ(0, ccw_open(&self->ccw));
}

FIXTURE_TEARDOWN(list)
{
	tear_down_io(_metadata, &self->ccw);
}

static __u32 idaw_size(const FIXTURE_VARIANT(list) *variant)
{
	return variant->wide ? 8 : 4;
}

/* Puts a command with a list */
static void put_listed(const struct ccw *ccw, __u32 orb, __u16 count,
		       __u32 list)
{
	put_ccw_of(ccw, orb, PROGRAM, CMD_SENSE_ID, CCW_SLI | CCW_IDA, count,
		   list);
}

TEST_F(list, one_block_is_reached)
{
	touch_nothing(&self->ccw, DATA, 0x1000);
	put_listed(&self->ccw, variant->flags, 7, LIST);
	put_idaw(&self->ccw, variant->flags, LIST, 0, DATA);
	expect_end(_metadata, &self->ccw, variant->flags, PROGRAM, PROGRAM + 8);
	expect_sense_id(_metadata, &self->ccw, DATA);
	EXPECT_TRUE(untouched(&self->ccw, DATA + 7, 0x100));
}

TEST_F(list, first_word_may_be_unaligned)
{
	touch_nothing(&self->ccw, DATA, 0x1000);
	put_listed(&self->ccw, variant->flags, 7, LIST + idaw_size(variant));
	put_idaw(&self->ccw, variant->flags, LIST, 1,
		 DATA + variant->block - 7);
	/* This word is not part of the list */
	put_idaw(&self->ccw, variant->flags, LIST, 2, NOWHERE);
	expect_end(_metadata, &self->ccw, variant->flags, PROGRAM, PROGRAM + 8);
	expect_sense_id(_metadata, &self->ccw, DATA + variant->block - 7);
}

TEST_F(list, blocks_may_be_anywhere)
{
	__u32 first, second = DATA + 8 * variant->block;

	for (first = 1; first < 7; first++) {
		touch_nothing(&self->ccw, DATA, 0x10000);
		put_listed(&self->ccw, variant->flags, 7, LIST);
		put_idaw(&self->ccw, variant->flags, LIST, 0,
			 DATA + variant->block - first);
		put_idaw(&self->ccw, variant->flags, LIST, 1, second);
		expect_end(_metadata, &self->ccw, variant->flags, PROGRAM,
			   PROGRAM + 8);
		EXPECT_EQ(0, memcmp(guest(&self->ccw, DATA + variant->block -
					  first), sense_id, first));
		EXPECT_TRUE(goes_on(&self->ccw, second, first, 7 - first));
		EXPECT_TRUE(untouched(&self->ccw, DATA + variant->block, 64));
		EXPECT_TRUE(untouched(&self->ccw, second + 7 - first, 64));
	}
}

TEST_F(list, longest_list_works)
{
	int words = 0xffff / variant->block + 1, i;

	touch_nothing(&self->ccw, DATA, 0x40000);
	put_listed(&self->ccw, variant->flags, 0xffff, LIST);
	put_idaw(&self->ccw, variant->flags, LIST, 0,
		 DATA + 2 * variant->block - 100);
	/* Every other block, downwards */
	for (i = 1; i <= words; i++)
		put_idaw(&self->ccw, variant->flags, LIST, i,
			 DATA + 0x30000 - 2 * i * variant->block);
	expect_end(_metadata, &self->ccw, variant->flags, PROGRAM, PROGRAM + 8);
	expect_sense_id(_metadata, &self->ccw, DATA + 2 * variant->block - 100);
	EXPECT_FALSE(memchr(guest(&self->ccw, DATA + 0x30000 -
				  2 * variant->block), 0xa5,
			    SENSE_ID_SIZE - 100));
	EXPECT_TRUE(untouched(&self->ccw, DATA + 0x30000 - 2 * variant->block +
			      SENSE_ID_SIZE - 100, 100));
	EXPECT_TRUE(untouched(&self->ccw, DATA + 2 * variant->block, 100));
}

/* Two bytes go where the first word of the list says, and five where the second does */
static void expect_both_words_followed(struct __test_metadata *_metadata,
				       struct ccw *ccw,
				       const FIXTURE_VARIANT(list) *variant,
				       __u32 list)
{
	put_listed(ccw, variant->flags, 7, list);
	put_idaw(ccw, variant->flags, list, 0, DATA + variant->block - 2);
	put_idaw(ccw, variant->flags, list, 1, DATA + 4 * variant->block);
	expect_end(_metadata, ccw, variant->flags, PROGRAM, PROGRAM + 8);
}

TEST_F(list, list_may_cross_pages)
{
	__u32 list = LIST + 0x1000 - idaw_size(variant);

	expect_both_words_followed(_metadata, &self->ccw, variant, list);
	EXPECT_TRUE(goes_on(&self->ccw, DATA + 4 * variant->block, 2, 5));
}

TEST_F(list, list_may_end_where_memory_ends)
{
	__u32 list = GUEST_END - 2 * idaw_size(variant);

	if (self->ccw.kernels_own && !variant->wide)
		SKIP(return, "the kernel's own returns EINVAL at times");
	expect_both_words_followed(_metadata, &self->ccw, variant, list);
	/* A list of one word */
	put_listed(&self->ccw, variant->flags, 7,
		   GUEST_END - idaw_size(variant));
	put_idaw(&self->ccw, variant->flags, GUEST_END - idaw_size(variant), 0,
		 DATA + 16);
	expect_end(_metadata, &self->ccw, variant->flags, PROGRAM, PROGRAM + 8);
	expect_sense_id(_metadata, &self->ccw, DATA + 16);
}

TEST_F(list, list_beyond_the_end_of_memory_fails)
{
	__u32 list = GUEST_END - idaw_size(variant);

	put_listed(&self->ccw, variant->flags, 7, list);
	put_idaw(&self->ccw, variant->flags, list, 0,
		 DATA + variant->block - 2);
	expect_refused(_metadata, &self->ccw, -EINVAL, variant->flags, PROGRAM);
	put_listed(&self->ccw, variant->flags, 7, NOWHERE);
	expect_refused(_metadata, &self->ccw, -EINVAL, variant->flags, PROGRAM);
}

TEST_F(list, address_beyond_memory_fails)
{
	put_listed(&self->ccw, variant->flags, 7, LIST);
	put_idaw(&self->ccw, variant->flags, LIST, 0, NOWHERE);
	expect_not_pinned(_metadata, &self->ccw, variant->flags, PROGRAM);
	put_idaw(&self->ccw, variant->flags, LIST, 0,
		 DATA + variant->block - 2);
	put_idaw(&self->ccw, variant->flags, LIST, 1, NOWHERE);
	expect_not_pinned(_metadata, &self->ccw, variant->flags, PROGRAM);
	if (variant->wide) {
		put_idaw2(&self->ccw, LIST, 1, 1ULL << 40);
		expect_not_pinned(_metadata, &self->ccw, variant->flags,
				  PROGRAM);
		put_idaw2(&self->ccw, LIST, 0, ~0ULL << 12);
		expect_not_pinned(_metadata, &self->ccw, variant->flags,
				  PROGRAM);
	}
}

/* vfio_ccw copies an unaligned address as it is, and the channel reports it */
TEST_F(list, unaligned_second_word_gives_a_program_check)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own ignores the address's offset");
	put_listed(&self->ccw, variant->flags, 7, LIST);
	put_idaw(&self->ccw, variant->flags, LIST, 0,
		 DATA + variant->block - 2);
	put_idaw(&self->ccw, variant->flags, LIST, 1,
		 DATA + 4 * variant->block + 8);
	EXPECT_EQ(0, ccw_run(&self->ccw, variant->flags, PROGRAM,
			     &self->ccw.response));
	EXPECT_EQ(CSTAT_PROGRAM, self->ccw.response.cstat);
	EXPECT_EQ(PROGRAM + 8, self->ccw.response.cpa);
	expect_usable(_metadata, &self->ccw);
}

TEST_F(list, unaligned_list_gives_a_program_check)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own reads the list nevertheless");
	put_listed(&self->ccw, variant->flags, 7, LIST + 2);
	EXPECT_EQ(0, ccw_run(&self->ccw, variant->flags, PROGRAM,
			     &self->ccw.response));
	EXPECT_EQ(CSTAT_PROGRAM, self->ccw.response.cstat);
	expect_usable(_metadata, &self->ccw);
}

/* The configuration of a virtio disk begins with its size in sectors */
#define DISK_SECTORS	2048
#define CONF_SIZE	60

FIXTURE(disk)
{
	struct ccw ccw;
	__u8 conf[CONF_SIZE];
};

FIXTURE_SETUP(disk)
{
	if (!ccw_set_up(_metadata, &self->ccw, CU_BLOCK))
		SKIP(return, "no device %s", CU_BLOCK);
	ASSERT_EQ(0, ccw_open(&self->ccw));
}

FIXTURE_TEARDOWN(disk)
{
	ccw_tear_down(_metadata, &self->ccw);
}

static void expect_conf(struct __test_metadata *_metadata,
			FIXTURE_DATA(disk) *self, __u32 flags, __u32 addr)
{
	__u8 *conf = guest(&self->ccw, addr);

	memset(conf, 0xa5, CONF_SIZE + 1);
	expect_end(_metadata, &self->ccw, flags, PROGRAM, PROGRAM + 8);
	EXPECT_EQ(0, memcmp(conf, self->conf, CONF_SIZE));
	EXPECT_EQ(0xa5, conf[CONF_SIZE]);
}

TEST_F(disk, configuration_is_the_same_by_every_address)
{
	const __u32 end_of_2k = DATA + 0x800 - CONF_SIZE;
	const __u32 end_of_4k = DATA + 0x1000 - CONF_SIZE;
	__u64 sectors;

	/* Its length depends on what the disk can do */
	touch_nothing(&self->ccw, DATA, CONF_SIZE);
	put_ccw(&self->ccw, PROGRAM, CMD_READ_CONF, CCW_SLI, CONF_SIZE, DATA);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
	memcpy(self->conf, guest(&self->ccw, DATA), CONF_SIZE);
	memcpy(&sectors, self->conf, sizeof(sectors));
	/* The byte order depends on the revision that was negotiated */
	EXPECT_TRUE(be64toh(sectors) == DISK_SECTORS ||
		    le64toh(sectors) == DISK_SECTORS);

	put_ccw(&self->ccw, PROGRAM, CMD_READ_CONF, CCW_SLI, CONF_SIZE,
		DATA + 0x2345);
	expect_conf(_metadata, self, ORB_FORMAT1, DATA + 0x2345);
	put_ccw0(&self->ccw, PROGRAM, CMD_READ_CONF, CCW_SLI, CONF_SIZE,
		 DATA + 0x101);
	expect_conf(_metadata, self, ORB_FORMAT0, DATA + 0x101);

	put_ccw(&self->ccw, PROGRAM, CMD_READ_CONF, CCW_SLI | CCW_IDA,
		CONF_SIZE, LIST);
	put_idaw1(&self->ccw, LIST, 0, end_of_2k);
	expect_conf(_metadata, self, ORB_FORMAT1, end_of_2k);
	put_idaw2(&self->ccw, LIST, 0, end_of_2k);
	expect_conf(_metadata, self, ORB_FORMAT1 | ORB_IDA64 | ORB_IDA2K,
		    end_of_2k);
	put_idaw2(&self->ccw, LIST, 0, end_of_4k);
	expect_conf(_metadata, self, ORB_FORMAT1 | ORB_IDA64, end_of_4k);
}

/* Lengths of programs */

static __u32 put_nops(const struct ccw *ccw, __u32 at, int n)
{
	/* QEMU limits the number of NOPs with a count of 0 */
	while (n--)
		at = put_ccw(ccw, at, CMD_NOP, CCW_SLI | (n ? CCW_CC : 0), 1,
			     DATA);
	return at;
}

TEST_F(io, chains_run_to_their_ends)
{
	static const int lengths[] = { 1, 2, 3, 128, 254, 255, 256 };
	unsigned int i;

	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		__u32 end = put_nops(&self->ccw, PROGRAM, lengths[i]);

		expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, end);
	}
}

TEST_F(io, chain_of_257_runs)
{
	__u32 end = put_nops(&self->ccw, PROGRAM, PEER_CCWS + 1);

	if (self->ccw.kernels_own)
		expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1,
			       PROGRAM);
	else
		expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, end);
}

TEST_F(io, chain_beyond_the_bound_fails)
{
	int n = self->ccw.kernels_own ? PEER_CCWS : MAX_CCWS;
	__u32 end = put_nops(&self->ccw, PROGRAM, n);

	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, end);
	put_nops(&self->ccw, PROGRAM, n + 1);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1, PROGRAM);
	put_nops(&self->ccw, PROGRAM, 20000);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1, PROGRAM);
}

/* NOP, TIC, NOP, TIC and so on: each pair in a piece of its own */
static __u32 put_pieces(const struct ccw *ccw, int pieces)
{
	__u32 at, next = PROGRAM;
	int i;

	for (i = 0; i < pieces; i++) {
		at = next;
		next = PROGRAM + (i + 1) * 0x100;
		at = put_ccw(ccw, at, CMD_NOP, CCW_CC | CCW_SLI, 1, DATA);
		put_ccw(ccw, at, CMD_TIC, 0, 0, next);
	}
	return put_ccw(ccw, next, CMD_NOP, CCW_SLI, 1, DATA);
}

TEST_F(io, pieces_are_bounded)
{
	__u32 end;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own has another bound");
	end = put_pieces(&self->ccw, 30);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, end);
	put_pieces(&self->ccw, MAX_PIECES + 1);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1, PROGRAM);
	put_pieces(&self->ccw, 500);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1, PROGRAM);
}

TEST_F(io, loops_end)
{
	__u32 at;

	/* A TIC to itself, at first and behind a NOP */
	put_ccw(&self->ccw, PROGRAM, CMD_TIC, 0, 0, PROGRAM);
	expect_error(_metadata, &self->ccw, PROGRAM);
	at = put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_CC | CCW_SLI, 0, 0);
	put_ccw(&self->ccw, at, CMD_TIC, 0, 0, at);
	expect_error(_metadata, &self->ccw, PROGRAM);
	/* A TIC to a TIC, which leads back */
	put_ccw(&self->ccw, at, CMD_TIC, 0, 0, PROGRAM + 0x1000);
	put_ccw(&self->ccw, PROGRAM + 0x1000, CMD_TIC, 0, 0, at);
	expect_error(_metadata, &self->ccw, PROGRAM);
	/* A TIC to a TIC, which leads to itself */
	put_ccw(&self->ccw, PROGRAM + 0x1000, CMD_TIC, 0, 0, PROGRAM + 0x1000);
	expect_error(_metadata, &self->ccw, PROGRAM);
}

TEST_F(io, program_cannot_begin_with_a_tic)
{
	put_ccw(&self->ccw, PROGRAM, CMD_TIC, 0, 0, PROGRAM + 0x100);
	put_ccw(&self->ccw, PROGRAM + 0x100, CMD_NOP, CCW_SLI, 1, DATA);
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own leaves this check to the channel");
	expect_error(_metadata, &self->ccw, PROGRAM);
}

/* The end of memory */

TEST_F(io, program_may_end_where_memory_ends)
{
	__u32 at = GUEST_END - 8;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own reads 2 KiB in any case");
	put_ccw(&self->ccw, at, CMD_SENSE_ID, CCW_SLI, 7, DATA);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, at, GUEST_END);
	expect_sense_id(_metadata, &self->ccw, DATA);
	put_ccw(&self->ccw, at - 8, CMD_NOP, CCW_CC | CCW_SLI, 0, 0);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, at - 8, GUEST_END);
	put_ccw0(&self->ccw, at, CMD_SENSE_ID, CCW_SLI, 7, DATA + 32);
	expect_end(_metadata, &self->ccw, ORB_FORMAT0, at, GUEST_END);
	expect_sense_id(_metadata, &self->ccw, DATA + 32);
}

TEST_F(io, program_that_runs_out_of_memory_fails)
{
	put_ccw(&self->ccw, GUEST_END - 8, CMD_NOP, CCW_CC | CCW_SLI, 1, DATA);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1,
		       GUEST_END - 8);
}

TEST_F(io, data_may_end_where_memory_ends)
{
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, GUEST_END - 7);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
	expect_sense_id(_metadata, &self->ccw, GUEST_END - 7);
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, GUEST_END - 6);
	expect_not_pinned(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM);
}

/* The last page that a CCW can address */
TEST_F(io, last_page_below_2g_is_reached)
{
	const __u32 base = 0x7ffff000;
	__u8 *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u32 words[2];

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, vfio_map(&self->ccw.user, page, base, 4096));
	words[0] = htobe32(CMD_SENSE_ID << 24 | CCW_SLI << 16 | 7);
	words[1] = htobe32(base + 16);
	memcpy(page + 4088, words, sizeof(words));
	if (!self->ccw.kernels_own)
		expect_end(_metadata, &self->ccw, ORB_FORMAT1, base + 4088,
			   base + 4096);
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, base + 4089);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
	EXPECT_EQ(0, memcmp(page + 4089, sense_id, sizeof(sense_id)));
	/* One byte more does not fit */
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 8, base + 4089);
	expect_error(_metadata, &self->ccw, PROGRAM);
	EXPECT_EQ(0, vfio_unmap(&self->ccw.user, base, 4096));
	munmap(page, 4096);
}

/* Bad addresses */

TEST_F(io, program_that_is_nowhere_fails)
{
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1, NOWHERE);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1, 0);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1, GUEST_END);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1,
		       GUEST_BASE - 8);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1, 0x7ffffff8);
}

TEST_F(io, address_of_the_program_must_be_right)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own takes any address");
	put_nops(&self->ccw, PROGRAM, 2);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1,
		       PROGRAM + 4);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1,
		       PROGRAM + 1);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1,
		       0x80000000 | PROGRAM);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT0,
		       0x01000000 | PROGRAM);
}

TEST_F(io, data_that_is_nowhere_fails)
{
	__u32 at;

	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, NOWHERE);
	expect_not_pinned(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM);
	/* Only the first page is mapped, and then only the second */
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0x1000,
		GUEST_END - 0x800);
	expect_not_pinned(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM);
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0x1000,
		GUEST_BASE - 0x800);
	expect_not_pinned(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM);
	/* The second of two commands has such data */
	at = put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_CC | CCW_SLI, 7,
		     DATA);
	put_ccw(&self->ccw, at, CMD_SENSE_ID, CCW_SLI, 7, NOWHERE);
	touch_nothing(&self->ccw, DATA, 16);
	expect_not_pinned(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM);
	EXPECT_TRUE(untouched(&self->ccw, DATA, 16));
}

TEST_F(io, transfer_in_channel_to_nowhere_fails)
{
	__u32 at = put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_CC | CCW_SLI, 1,
			   DATA);

	put_ccw(&self->ccw, at, CMD_TIC, 0, 0, NOWHERE);
	expect_refused(_metadata, &self->ccw, -EINVAL, ORB_FORMAT1, PROGRAM);
}

TEST_F(io, memory_that_cannot_be_written_fails)
{
	const __u32 base = NOWHERE;
	__u8 *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, vfio_map(&self->ccw.user, page, base, 4096));
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, base);
	expect_not_pinned(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM);
	EXPECT_EQ(0, vfio_unmap(&self->ccw.user, base, 4096));
	/* After the unmap, the address is like any other that is not mapped */
	munmap(page, 4096);
	expect_not_pinned(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM);
}

TEST_F(io, memory_that_is_mapped_to_be_read_is_only_read)
{
	const __u32 base = NOWHERE;
	__u8 *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, vfio_map_to_read(&self->ccw.user, page, base, 4096));
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, base);
	EXPECT_GT(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
	/* The program itself may lie there */
	memset(page, 0, 4096);
	page[0] = CMD_NOP;
	page[1] = CCW_SLI;
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, base, base + 8);
	EXPECT_EQ(0, vfio_unmap(&self->ccw.user, base, 4096));
	munmap(page, 4096);
}

TEST_F(io, memory_whose_owner_took_it_back_fails)
{
	const __u32 base = NOWHERE;
	__u8 *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, vfio_map(&self->ccw.user, page, base, 4096));
	munmap(page, 4096);
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, base);
	expect_not_pinned(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM);
	/* The program itself lies there */
	expect_not_pinned(_metadata, &self->ccw, ORB_FORMAT1, base);
	EXPECT_EQ(0, vfio_unmap(&self->ccw.user, base, 4096));
	expect_usable(_metadata, &self->ccw);
}

/* Sets whether this process may lock more memory than its limit allows */
static int set_ipc_lock(bool may)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	data[0].effective |= (unsigned int)may << CAP_IPC_LOCK;
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

TEST_F(io, memory_beyond_the_limit_is_told_once)
{
	const struct rlimit limit = { .rlim_cur = 4 * 4096,
				      .rlim_max = RLIM_INFINITY };
	const __u32 base = NOWHERE;
	int log = kmsg_open(), vfio_log = kmsg_open();
	__u8 *memory = mmap(NULL, 0x20000, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (vfio_way() != VFIO_WAY_TYPE1)
		SKIP(return, WITHOUT_TYPE1);
	ASSERT_NE(MAP_FAILED, memory);
	ASSERT_EQ(0, set_ipc_lock(false));
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	/* VFIO remembers this for the mapping, whatever the process may do later */
	ASSERT_EQ(0, vfio_map(&self->ccw.user, memory, base, 0x20000));
	ASSERT_EQ(0, set_ipc_lock(true));

	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0xfff0, base);
	expect_refused(_metadata, &self->ccw, -ENOMEM, ORB_FORMAT1, PROGRAM);
	EXPECT_EQ(1, kmsg_count(vfio_log, "RLIMIT_MEMLOCK", "exceeded"));
	/* Lines of earlier tests may use up the limit of the log for some seconds */
	while (!self->ccw.kernels_own &&
	       !kmsg_wait(log, 1000, NOT_STARTED, "RLIMIT_MEMLOCK is reached",
			  NULL))
		EXPECT_EQ(-ENOMEM, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	close(vfio_log);
	close(log);
	/* Within the limit, a program works. In the kernel's own driver it fails after that */
	if (self->ccw.kernels_own)
		return;
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0x3000, base);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
}

/* If one holder repeats its errors, the log still has those of other devices */
TEST_F(io, refusals_hide_no_other_devices)
{
	const char *one = "0.0.1234", *two = "0.0.1235";
	struct ccw other = {};
	int log = kmsg_open();
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own logs nothing");
	ASSERT_EQ(0, ccw_grab(&other,
			      strcmp(self->ccw.device, one) ? one : two));
	ASSERT_EQ(0, ccw_open(&other));
	for (i = 0; i < 30; i++)
		EXPECT_EQ(-EINVAL, ccw_start(&self->ccw, ORB_FORMAT1, NOWHERE));
	EXPECT_EQ(-EINVAL, ccw_start(&other, ORB_FORMAT1, NOWHERE));
	EXPECT_TRUE(kmsg_wait(log, SOON_MS, other.sch, NOT_STARTED, NULL));
	EXPECT_EQ(0, ccw_release(&other));
	close(log);
}

/* At most ten lines in five seconds, also if the channel refuses the start */
TEST_F(io, refusals_do_not_fill_the_log)
{
	__s64 begun = now_ms();
	int log = kmsg_open();
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own logs nothing");
	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 1, DATA);
	for (i = 0; i < 100; i++)
		ASSERT_EQ(-EOPNOTSUPP, ccw_start(&self->ccw,
						 ORB_FORMAT1 | ORB_MIDA,
						 PROGRAM));
	EXPECT_GE(10 * (2 + (now_ms() - begun) / 5000),
		  kmsg_count(log, self->ccw.sch, "not started"));
	close(log);
}

/* /proc/interrupts shows the interrupts to the administrator */
static long irqs_of(const char *column)
{
	FILE *file = fopen("/proc/interrupts", "re");
	char line[512], name[16], *at;
	long sum = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%15[^:]:", name) != 1 || strcmp(name, column))
			continue;
		for (at = strchr(line, ':') + 1; isdigit(at[strspn(at, " ")]);)
			sum += strtol(at, &at, 10);
	}
	if (file)
		fclose(file);
	return sum;
}

TEST_F(io, interrupts_are_counted)
{
	long before = irqs_of("CIO");
	int i;

	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 0, 0);
	for (i = 0; i < 10; i++)
		expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM,
			   PROGRAM + 8);
	EXPECT_LE(before + 10, irqs_of("CIO"));
}

/* Features that are not supported */

TEST_F(io, orb_bits_that_are_not_supported_are_refused)
{
	static const struct {
		__u32 bit;
		int err;
	} bits[] = {
		{ ORB_TRANSPORT, -EOPNOTSUPP },
		{ ORB_SUSPEND, -EOPNOTSUPP },
		{ ORB_LIMIT, -EOPNOTSUPP },
		{ ORB_MIDA, -EOPNOTSUPP },
		{ ORB_EXTENDED, -EOPNOTSUPP },
		{ 0x02, -EINVAL },
		{ 0x04, -EINVAL },
		{ 0x08, -EINVAL },
		{ 0x10, -EINVAL },
		{ 0x20, -EINVAL },
	};
	unsigned int i;

	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 1, DATA);
	for (i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		if (self->ccw.kernels_own && bits[i].bit != ORB_TRANSPORT)
			continue;
		expect_refused(_metadata, &self->ccw, bits[i].err,
			       ORB_FORMAT1 | bits[i].bit, PROGRAM);
	}
}

/* QEMU's channel subsystem has no MIDAWs, and refuses them at START SUBCHANNEL */
TEST_F(io, midaws_that_the_machine_lacks_are_named)
{
	int log = kmsg_open(), seconds = 10;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own passes these bits on");
	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 1, DATA);
	expect_refused(_metadata, &self->ccw, -EOPNOTSUPP,
		       ORB_FORMAT1 | ORB_MIDA, PROGRAM);
	/* Lines of earlier tests may use up the limit of the log for some seconds */
	while (!kmsg_wait(log, 1000, self->ccw.sch, "not started",
			  "has no MIDAWs")) {
		ASSERT_LE(0, --seconds);
		ASSERT_EQ(-EOPNOTSUPP, ccw_start(&self->ccw,
						 ORB_FORMAT1 | ORB_MIDA,
						 PROGRAM));
	}
	close(log);
	/* The refusal leaves nothing behind */
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
}

TEST_F(io, orb_bits_that_are_passed_on_do_no_harm)
{
	static const __u32 bits[] = {
		0xf0000000,		/* key */
		0x04000000,		/* streaming */
		0x02000000,		/* modification */
		0x01000000,		/* synchronisation */
		0x00200000,		/* initial status */
		0x00080000,		/* suspend suppression */
		0x00000080,		/* length suppression */
	};
	unsigned int i;

	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 1, DATA);
	for (i = 0; i < sizeof(bits) / sizeof(*bits); i++)
		expect_end(_metadata, &self->ccw, ORB_FORMAT1 | bits[i],
			   PROGRAM, PROGRAM + 8);
	/* Without prefetch, and without a mask of paths */
	expect_end(_metadata, &self->ccw, ORB_FMT1 | ORB_LPM, PROGRAM,
		   PROGRAM + 8);
	expect_end(_metadata, &self->ccw, ORB_FMT1 | ORB_PREFETCH, PROGRAM,
		   PROGRAM + 8);
}

TEST_F(io, ccw_flags_that_are_not_supported_are_refused)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own passes these bits on");
	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI | CCW_SUSPEND, 1, DATA);
	expect_refused(_metadata, &self->ccw, -EOPNOTSUPP, ORB_FORMAT1,
		       PROGRAM);
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI | CCW_MIDA, 7, DATA);
	expect_refused(_metadata, &self->ccw, -EOPNOTSUPP, ORB_FORMAT1,
		       PROGRAM);
}

TEST_F(io, intermediate_interruption_is_allowed)
{
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI | CCW_PCI, 7, DATA);
	EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	/* The channel need not interrupt in between. The last response ends the program */
	do {
		ASSERT_EQ(0, ccw_response(&self->ccw, &self->ccw.response));
	} while (!self->ccw.response.dstat);
	EXPECT_EQ(DSTAT_END, self->ccw.response.dstat);
	expect_sense_id(_metadata, &self->ccw, DATA);
}

TEST_F(io, other_functions_are_not_for_this_region)
{
	struct ccw_io_region region;

	put_nops(&self->ccw, PROGRAM, 1);
	fill_region(&region, ORB_FORMAT1, PROGRAM, SCSW_HALT);
	EXPECT_EQ(-EOPNOTSUPP, region_write(&self->ccw, REGION_IO, &region,
					    sizeof(region)));
	EXPECT_EQ(-EOPNOTSUPP, ret_code(&self->ccw, REGION_IO));
	fill_region(&region, ORB_FORMAT1, PROGRAM, SCSW_CLEAR);
	EXPECT_EQ(-EOPNOTSUPP, region_write(&self->ccw, REGION_IO, &region,
					    sizeof(region)));
	EXPECT_EQ(-EOPNOTSUPP, ret_code(&self->ccw, REGION_IO));
	fill_region(&region, ORB_FORMAT1, PROGRAM, 0);
	/* The kernel's own starts the program all the same */
	if (!self->ccw.kernels_own) {
		EXPECT_EQ(-EIO, region_write(&self->ccw, REGION_IO, &region,
					     sizeof(region)));
		EXPECT_EQ(-EIO, ret_code(&self->ccw, REGION_IO));
	}
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
	expect_usable(_metadata, &self->ccw);
}

/* Halt and clear */

TEST_F(io, clear_of_an_idle_subchannel_answers)
{
	EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	EXPECT_EQ(0, ret_code(&self->ccw, REGION_CMD));
	EXPECT_EQ(0, ccw_response(&self->ccw, &self->ccw.response));
	EXPECT_EQ(SCSW_CLEAR, self->ccw.response.fctl);
	EXPECT_EQ(0, self->ccw.response.cstat);
	/* The kernel's own driver reports an address of the host here */
	if (!self->ccw.kernels_own)
		EXPECT_EQ(0, self->ccw.response.cpa);
	expect_usable(_metadata, &self->ccw);
}

TEST_F(io, halt_of_an_idle_subchannel_answers)
{
	EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_HSCH));
	EXPECT_EQ(0, ret_code(&self->ccw, REGION_CMD));
	EXPECT_EQ(0, ccw_response(&self->ccw, &self->ccw.response));
	EXPECT_EQ(SCSW_HALT, self->ccw.response.fctl & SCSW_HALT);
	EXPECT_EQ(0, self->ccw.response.cstat);
	expect_usable(_metadata, &self->ccw);
}

TEST_F(io, other_commands_fail)
{
	static const __u32 commands[] = { 0, 3, 4, 7, 0x80000000, 0xffffffff };
	unsigned int i;

	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		EXPECT_EQ(-EINVAL, ccw_async(&self->ccw, commands[i]));
		EXPECT_EQ(-EINVAL, ret_code(&self->ccw, REGION_CMD));
	}
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
	expect_usable(_metadata, &self->ccw);
}

TEST_F(io, halt_after_a_clear_answers_too)
{
	int i;

	for (i = 0; i < 10; i++) {
		EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
		EXPECT_EQ(0, ccw_response(&self->ccw, &self->ccw.response));
		EXPECT_EQ(SCSW_CLEAR, self->ccw.response.fctl);
		EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_HSCH));
		EXPECT_EQ(0, ccw_response(&self->ccw, &self->ccw.response));
		EXPECT_EQ(SCSW_HALT, self->ccw.response.fctl & SCSW_HALT);
		expect_usable(_metadata, &self->ccw);
	}
}

/* Responses that have not been fetched yet */

static void expect_response(struct __test_metadata *_metadata, struct ccw *ccw,
			    __u32 end, __u32 function)
{
	EXPECT_EQ(0, ccw_response(ccw, &ccw->response));
	EXPECT_EQ(function, ccw->response.fctl & function);
	EXPECT_EQ(end, ccw->response.cpa);
}

/* Repeats a start as long as the device is busy */
static int start_again(const struct ccw *ccw, __u32 program)
{
	int ret;

	do {
		ret = ccw_start(ccw, ORB_FORMAT1, program);
	} while (ret == -EBUSY || ret == -EAGAIN);
	return ret;
}

TEST_F(io, two_starts_are_two_responses)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps only the last response");
	put_nops(&self->ccw, PROGRAM, 1);
	put_nops(&self->ccw, PROGRAM + 0x1000, 3);
	EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_EQ(0, start_again(&self->ccw, PROGRAM + 0x1000));
	expect_response(_metadata, &self->ccw, PROGRAM + 8, SCSW_START);
	expect_response(_metadata, &self->ccw, PROGRAM + 0x1018, SCSW_START);
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
}

TEST_F(io, start_and_clear_are_two_responses)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps only the last response");
	put_nops(&self->ccw, PROGRAM, 2);
	EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	ASSERT_TRUE(eventfd_wait(self->ccw.io, SOON_MS));
	EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	expect_response(_metadata, &self->ccw, PROGRAM + 16, SCSW_START);
	expect_response(_metadata, &self->ccw, 0, SCSW_CLEAR);
	expect_usable(_metadata, &self->ccw);
}

TEST_F(io, responses_come_in_order)
{
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps only the last response");
	for (i = 0; i < 12; i++) {
		put_nops(&self->ccw, PROGRAM + i * 0x400, i + 1);
		EXPECT_EQ(0, start_again(&self->ccw, PROGRAM + i * 0x400));
	}
	for (i = 0; i < 12; i++)
		expect_response(_metadata, &self->ccw,
				PROGRAM + i * 0x400 + (i + 1) * 8, SCSW_START);
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
}

TEST_F(io, responses_that_nobody_fetches_do_no_harm)
{
	__u32 last = PROGRAM + 100 * 0x100;
	int i;

	for (i = 0; i <= 100; i++) {
		put_nops(&self->ccw, PROGRAM + i * 0x100, 1);
		EXPECT_EQ(0, start_again(&self->ccw, PROGRAM + i * 0x100));
	}
	/* The latest response is among those that are kept */
	do {
		ASSERT_EQ(0, ccw_response(&self->ccw, &self->ccw.response));
	} while (self->ccw.response.cpa != last + 8);
	/* The kernel's own driver shows a response before it signals the eventfd */
	if (self->ccw.kernels_own && eventfd_wait(self->ccw.io, 1000))
		eventfd_take(self->ccw.io);
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
	expect_usable(_metadata, &self->ccw);
}

TEST_F(io, response_stays_until_the_next)
{
	struct response again;

	put_nops(&self->ccw, PROGRAM, 1);
	expect_end(_metadata, &self->ccw, ORB_FORMAT1, PROGRAM, PROGRAM + 8);
	EXPECT_EQ(0, read_irb(&self->ccw, &again));
	EXPECT_EQ(0, memcmp(&again, &self->ccw.response, sizeof(again)));
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
}

/* A program is over before its response is signalled. So the next start must succeed */
TEST_F_TIMEOUT(io, next_start_is_not_refused, 120)
{
	int i;

	put_nops(&self->ccw, PROGRAM, 2);
	for (i = 0; i < 2000; i++) {
		int ret = ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM);

		ASSERT_EQ(0, ret) {
			TH_LOG("start %d", i);
		}
		ASSERT_EQ(0, ccw_response(&self->ccw, &self->ccw.response));
		ASSERT_EQ(PROGRAM + 16, self->ccw.response.cpa);
	}
}

/* Threads start, halt, clear, reset, read and unmap at once */
#define ROUNDS		1500
#define RACE_BASE	0x1000000U

#define MOST_THREADS	4

struct race {
	struct ccw *ccw;
	pthread_t threads[MOST_THREADS];
	int nr;
	int over;
	int bad;
	const char *bad_call;
	int done;
	int busy;
};

static void race_note(struct race *race, const char *call, int ret)
{
	switch (ret) {
	case -EBUSY:
	case -EAGAIN:
		__atomic_add_fetch(&race->busy, 1, __ATOMIC_RELAXED);
		break;
	case 0:
		__atomic_add_fetch(&race->done, 1, __ATOMIC_RELAXED);
		break;
	default:
		/* The memory of the data was not mapped */
		if (ret == -EINVAL && !strcmp(call, "start of data"))
			break;
		if (!__atomic_exchange_n(&race->bad, ret, __ATOMIC_RELAXED))
			race->bad_call = call;
	}
}

static bool race_over(struct race *race)
{
	return __atomic_load_n(&race->over, __ATOMIC_RELAXED);
}

static void *race_start(void *arg)
{
	struct race *race = arg;

	while (!race_over(race))
		race_note(race, "start", ccw_start(race->ccw, ORB_FORMAT1,
						   PROGRAM));
	return NULL;
}

static void *race_data(void *arg)
{
	struct race *race = arg;

	while (!race_over(race))
		race_note(race, "start of data",
			  ccw_start(race->ccw, ORB_FORMAT1, PROGRAM + 0x1000));
	return NULL;
}

static void *race_async(void *arg)
{
	struct race *race = arg;

	while (!race_over(race)) {
		race_note(race, "clear",
			  ccw_async(race->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
		race_note(race, "halt",
			  ccw_async(race->ccw, VFIO_CCW_ASYNC_CMD_HSCH));
	}
	return NULL;
}

static void *race_read(void *arg)
{
	struct race *race = arg;
	struct ccw_schib_region schib;
	struct response response;

	while (!race_over(race)) {
		race_note(race, "read", read_irb(race->ccw, &response));
		/* An address is the guest's or 0, never the host's */
		if (response.cpa > GUEST_END)
			race_note(race, "address", -ERANGE);
		race_note(race, "schib", region_read(race->ccw, REGION_SCHIB,
						     &schib, sizeof(schib)));
	}
	return NULL;
}

static void *race_map(void *arg)
{
	struct race *race = arg;
	void *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	while (!race_over(race)) {
		race_note(race, "map", vfio_map(&race->ccw->user, page,
						RACE_BASE, 8192));
		race_note(race, "unmap", vfio_unmap(&race->ccw->user, RACE_BASE,
						    8192));
	}
	munmap(page, 8192);
	return NULL;
}

static void start_thread(struct __test_metadata *_metadata, struct race *race,
			 void *(*run)(void *arg))
{
	ASSERT_EQ(0, pthread_create(&race->threads[race->nr++], NULL, run,
				    race));
}

static void end_race(struct __test_metadata *_metadata, struct race *race,
		     struct ccw *ccw)
{
	__atomic_store_n(&race->over, 1, __ATOMIC_RELAXED);
	while (race->nr)
		pthread_join(race->threads[--race->nr], NULL);
	EXPECT_EQ(0, race->bad) {
		TH_LOG("%s", race->bad_call);
	}
	EXPECT_LT(0, race->done);
	TH_LOG("%d done, %d busy", race->done, race->busy);
	EXPECT_EQ(0, ccw_reset(ccw));
	expect_usable(_metadata, ccw);
}

static void put_race_programs(const struct ccw *ccw)
{
	put_nops(ccw, PROGRAM, 5);
	put_ccw(ccw, PROGRAM + 0x1000, CMD_SENSE_ID, CCW_SLI, 8192, RACE_BASE);
}

TEST_F_TIMEOUT(io, start_against_clear_and_read, 120)
{
	struct race race = { .ccw = &self->ccw };
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own reports addresses of the host, or loses the device");
	put_race_programs(&self->ccw);
	start_thread(_metadata, &race, race_start);
	start_thread(_metadata, &race, race_async);
	start_thread(_metadata, &race, race_read);
	for (i = 0; i < ROUNDS; i++)
		race_note(&race, "start", ccw_start(&self->ccw, ORB_FORMAT1,
						    PROGRAM));
	end_race(_metadata, &race, &self->ccw);
}

TEST_F_TIMEOUT(io, reset_against_all, 120)
{
	struct race race = { .ccw = &self->ccw };
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own reports addresses of the host, or loses the device");
	put_race_programs(&self->ccw);
	start_thread(_metadata, &race, race_start);
	start_thread(_metadata, &race, race_async);
	start_thread(_metadata, &race, race_read);
	for (i = 0; i < ROUNDS / 10; i++)
		race_note(&race, "reset",
			  vfio_ioctl(self->ccw.user.device, VFIO_DEVICE_RESET,
				     NULL));
	end_race(_metadata, &race, &self->ccw);
}

TEST_F_TIMEOUT(io, unmap_against_all, 120)
{
	struct race race = { .ccw = &self->ccw };
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own reports addresses of the host");
	put_race_programs(&self->ccw);
	start_thread(_metadata, &race, race_data);
	start_thread(_metadata, &race, race_map);
	start_thread(_metadata, &race, race_read);
	for (i = 0; i < ROUNDS; i++)
		race_note(&race, "start of data",
			  ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM + 0x1000));
	end_race(_metadata, &race, &self->ccw);
}

TEST_HARNESS_MAIN
