// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first programs of a guest, which is loaded from a disk by records that
 * hold CCWs. A channel reads the records over the running program. QEMU's
 * firmware runs such a program in parts, each of which is in memory before it
 * starts.
 */
#include <errno.h>
#include <string.h>

#include "kselftest_harness.h"
#include "ipl.h"
#include "raw.h"

#define DISK_READ_IPL	0x02

/* The guest's memory from address 0 on */
#define LOW_SIZE	0x10000
#define LIST_OF_STAGE	0x1800	/* the address of record 4 */
#define CODE		0x4000

#define STAGE_SEEK	(LIST_OF_STAGE + 0x40)
#define STAGE_SIZE	0x60

/* The loaded program: records 1 and 2 of a track */
#define CODE_HEAD	2
#define CODE_RECORDS	2

#define PSW		"\x00\x08\x00\x00\x80\x00\x40\x00"

FIXTURE(ipl)
{
	struct raw raw;
	__u8 *low;
};

/* Makes record 2, which reads more CCWs and goes on with them */
static void make_loader(const struct place *place, __u8 *record)
{
	put_read_record(place, record, record + 0x40, LIST_OF_LOADER,
			LOADER_SEEK, 0, 4);
	put_ccw_at(record + 24, place, DISK_READ, CCW_CC | CCW_SLI, STAGE_SIZE,
		   LIST_OF_STAGE);
	put_ccw_at(record + 32, place, CMD_TIC, 0, 0, LIST_OF_STAGE);
}

/* Makes record 4, whose CCWs read the program */
static void make_stage(const struct place *place, __u8 *record)
{
	put_read_record(place, record, record + 0x40, LIST_OF_STAGE,
			STAGE_SEEK, CODE_HEAD, 1);
	put_ccw_at(record + 24, place, DISK_READ, CCW_CC, RECORD, CODE);
	put_ccw_at(record + 32, place, DISK_READ, 0, RECORD, CODE + RECORD);
}

static void fill_code(__u8 *code)
{
	int i;

	for (i = 0; i < CODE_RECORDS * RECORD; i++)
		code[i] = i * 31 + (i >> 7);
}

static void write_records(struct __test_metadata *_metadata, struct ccw *ccw,
			  const struct place *place)
{
	static __u8 first[IPL1_SIZE], loader[IPL2_SIZE], label[LABEL_SIZE];
	static __u8 stage[STAGE_SIZE], code[CODE_RECORDS * RECORD];
	const struct piece ipl[] = {
		{ KEY_SIZE, IPL1_SIZE, first },
		{ KEY_SIZE, IPL2_SIZE, loader },
		{ KEY_SIZE, LABEL_SIZE, label },
		{ 0, STAGE_SIZE, stage },
	};
	const struct piece body[] = {
		{ 0, RECORD, code },
		{ 0, RECORD, code + RECORD },
	};

	make_first(place, first, PSW);
	make_loader(place, loader);
	make_stage(place, stage);
	fill_code(code);
	write_track(_metadata, ccw, 0, ipl, ARRAY_SIZE(ipl));
	write_track(_metadata, ccw, CODE_HEAD, body, ARRAY_SIZE(body));
}

FIXTURE_SETUP(ipl)
{
	struct ccw *ccw = &self->raw.life.ccw;

	raw_set_up(_metadata, &self->raw);
	if (!life_set_up(_metadata, &self->raw.life, SCRATCH))
		SKIP(return, "no device %s", SCRATCH);
	ASSERT_EQ(0, ccw_open(ccw));
	self->low = mmap(NULL, LOW_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->low);
	ASSERT_EQ(0, vfio_map(&ccw->user, self->low, 0, LOW_SIZE));
}

FIXTURE_TEARDOWN(ipl)
{
	raw_tear_down(_metadata, &self->raw);
	if (self->low)
		munmap(self->low, LOW_SIZE);
}

/* The firmware */

static void put_low(FIXTURE_DATA(ipl) *self, __u32 at, __u8 cmd, __u8 flags,
		    __u16 count, __u32 data)
{
	put_ccw_at(self->low + at, &firmware, cmd, flags, count, data);
}

static int run_low(FIXTURE_DATA(ipl) *self, __u32 flags, __u32 program)
{
	struct ccw *ccw = &self->raw.life.ccw;

	return ccw_run(ccw, flags, program, &ccw->response);
}

static void expect_part(struct __test_metadata *_metadata,
			FIXTURE_DATA(ipl) *self, __u32 program)
{
	const struct response *response = &self->raw.life.ccw.response;

	EXPECT_EQ(0, run_low(self, ORB_FIRMWARE, program));
	EXPECT_EQ(DSTAT_END, response->dstat);
	EXPECT_EQ(0, response->cstat);
}

/* Puts the first CCW of an IPL. It reads 24 bytes to address 0, over itself */
static void put_read_ipl(FIXTURE_DATA(ipl) *self, __u8 flags)
{
	put_low(self, 0, DISK_READ_IPL, flags, IPL1_SIZE, 0);
}

/* Record 1's CCWs expect the disk behind it: a seek and a search come first */
static void put_search_before(FIXTURE_DATA(ipl) *self)
{
	memcpy(self->low + 0x20, self->low + 8, 16);
	/* The next CCWs are not there yet */
	self->low[0x20 + 4] &= ~CCW_CC;
	memset(self->low + 0x30, 0, 16);
	put_read_record(&firmware, self->low + 8, self->low + 0x30, 8, 0x30, 0,
			2);
}

static __u32 data_of(FIXTURE_DATA(ipl) *self, __u32 at)
{
	__u32 word;

	memcpy(&word, self->low + at, sizeof(word));
	return be32toh(word) & 0xffffff;
}

/*
 * Cuts a program behind a read that a TIC follows. The read brings the CCWs to
 * which the TIC leads. Returns their address, or 0 at the end
 */
static __u32 cut_part(FIXTURE_DATA(ipl) *self, __u32 at)
{
	for (; self->low[at + 4] & CCW_CC || self->low[at] == CMD_TIC; at += 8) {
		if (self->low[at] != DISK_READ || self->low[at + 8] != CMD_TIC)
			continue;
		self->low[at + 4] &= ~CCW_CC;
		return data_of(self, at + 8);
	}
	return 0;
}

static void expect_code(struct __test_metadata *_metadata, const __u8 *memory)
{
	static __u8 code[CODE_RECORDS * RECORD];

	fill_code(code);
	EXPECT_EQ(0, memcmp(memory, PSW, 8));
	EXPECT_EQ(0, memcmp(memory + CODE, code, sizeof(code)));
}

/* A channel loads all records by itself, in one program */
TEST_F(ipl, channel_loads_the_whole_program)
{
	struct raw *raw = &self->raw;
	const struct place channel = { ORB_STRICT | ORB_FMT1, raw->base };
	struct outcome *outcome = calloc(1, sizeof(*outcome));

	ASSERT_NE(NULL, outcome);
	write_records(_metadata, &raw->life.ccw, &channel);
	put_ccw_at(raw->image, &channel, DISK_READ_IPL, CCW_CC | CCW_SLI,
		   IPL1_SIZE, 0);
	EXPECT_EQ(0, run_raw(raw, channel.orb, 0, outcome));
	EXPECT_EQ(0, outcome->err);
	EXPECT_EQ(DSTAT_END << 24,
		  be32toh(outcome->irb[IRB_STATUS]) & 0xffff0000);
	expect_code(_metadata, outcome->memory);
	free(outcome);
}

TEST_F(ipl, program_is_loaded_in_parts)
{
	__u32 part, next;
	int parts = 0;

	write_records(_metadata, &self->raw.life.ccw, &firmware);
	put_read_ipl(self, 0);
	expect_part(_metadata, self, 0);
	part = data_of(self, 8);
	EXPECT_EQ(LIST_OF_LOADER, part);
	put_search_before(self);
	expect_part(_metadata, self, 8);
	for (; part && parts < 8; part = next, parts++) {
		next = cut_part(self, part);
		expect_part(_metadata, self, part);
	}
	EXPECT_EQ(2, parts);
	expect_code(_metadata, self->low);
}

/* The program reads its next CCWs. A copy would run other ones */
TEST_F(ipl, whole_program_without_prefetching_is_refused)
{
	static const __u8 none[LOW_SIZE - 8];

	put_read_ipl(self, CCW_CC | CCW_SLI);
	EXPECT_EQ(-EOPNOTSUPP, run_low(self, ORB_STRICT, 0));
	EXPECT_EQ(0, memcmp(self->low + 8, none, sizeof(none)));
	/* The first CCW alone is refused, too: it reads over itself */
	put_read_ipl(self, 0);
	EXPECT_EQ(-EOPNOTSUPP, run_low(self, ORB_STRICT, 0));
	EXPECT_EQ(0, memcmp(self->low + 8, none, sizeof(none)));
}

/* The CCW in memory at the start runs, not the one that the record brings */
TEST_F(ipl, whole_program_with_prefetching_runs_what_was_there)
{
	const struct response *response = &self->raw.life.ccw.response;

	write_records(_metadata, &self->raw.life.ccw, &firmware);
	put_read_ipl(self, CCW_CC | CCW_SLI);
	put_low(self, 8, CMD_NOP, CCW_SLI, 1, 0);
	EXPECT_EQ(0, run_low(self, ORB_FIRMWARE, 0));
	EXPECT_EQ(DSTAT_END, response->dstat);
	EXPECT_EQ(0, response->cstat);
	EXPECT_EQ(16, response->cpa);
	EXPECT_EQ(0, memcmp(self->low, PSW, 8));
	EXPECT_EQ(LIST_OF_LOADER, data_of(self, 8));
	EXPECT_EQ(0, self->low[LIST_OF_LOADER]);
}

TEST_HARNESS_MAIN
