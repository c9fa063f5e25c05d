// SPDX-License-Identifier: GPL-2.0-only
/*
 * The requests of dasd_eckd, Linux's driver of 3390 disks, with the same
 * commands, flags, counts and parameters. Each request runs twice: translated
 * by vfio_ccw, and as it is on the hardware. Both must do the same. A request
 * that all such disks know must also work. Others may be rejected, but alike on
 * both sides.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "ipl.h"
#include "raw.h"

/* All of the driver's requests allow prefetching, and have 64-bit IDAWs */
#define ORB_DRIVER	(ORB_FORMAT1 | ORB_IDA64)

/* The parts of the memory, from its beginning on */
#define PROGRAM_AT	0x0
#define RECOVERY_AT	0x800
#define SECOND_RECOVERY_AT 0x900
#define REQUEST_DATA	0x1000
#define BLOCKS		0x4000
#define MAX_BLOCKS	((RAW_CCW_SIZE - BLOCKS) / RECORD)

/* Commands of disks that disk.h does not have */
#define DISK_STEAL	0x14	/* unconditional reserve */
#define DISK_WRITE_R0	0x15
#define DISK_PSF	0x27	/* perform subsystem function */
#define DISK_SNID	0x34	/* sense path group ID */
#define DISK_RSSD	0x3e	/* read subsystem data */
#define DISK_LOCATE_EXT	0x4b
#define DISK_SNSS	0x54	/* sense subsystem status */
#define DISK_WRITE_MT	0x85
#define DISK_READ_MT	0x86
#define DISK_RELEASE	0x94
#define DISK_WRITE_TRACK 0x95
#define DISK_WRITE_CKD_MT 0x9d
#define DISK_READ_DATA	0xa6	/* data of a track */
#define DISK_RESERVE	0xb4
#define DISK_PREFIX	0xe7
#define DISK_DCTL	0xf3	/* diagnostic control */
#define DISK_DSO	0xf7	/* define subsystem operation */
#define DISK_RSCK	0xf9	/* reset summary unit check */

/* A command's flag for the record's key, for the volume's first records */
#define DISK_WITH_KEY	0x08

/* Sizes of parameters */
#define EXTENT_SIZE	16
#define EXTENT_TIMED	32	/* with the time of day */
#define LOCATE_SIZE	16
#define LOCATE_EXT_SIZE	20
#define PREFIX_SIZE	64
#define COUNT_SIZE	8
#define SENSE_SIZE	32

/* The most data that a track has */
#define TRACK_SIZE	57326

/* Tracks for tests that write or format them */
#define TRACK_BLOCKS	60
#define TRACK_FORMAT	135

FIXTURE(dasd)
{
	struct raw raw;
	__u32 at;			/* of the next CCW */
	bool first;			/* it begins a program */
	__u32 data;			/* of the next parameters */
	struct outcome *outcomes;	/* raw, and translated */
};

static void new_request(FIXTURE_DATA(dasd) *self)
{
	__u32 i;

	memset(self->raw.image, 0, BLOCKS);
	for (i = BLOCKS; i < RAW_CCW_SIZE; i++)
		self->raw.image[i] = i * 13 + (i >> 8);
	self->at = PROGRAM_AT;
	self->first = true;
	self->data = REQUEST_DATA;
}

FIXTURE_SETUP(dasd)
{
	raw_set_up(_metadata, &self->raw);
	self->outcomes = calloc(2, sizeof(*self->outcomes));
	ASSERT_NE(NULL, self->outcomes);
	if (!raw_open(_metadata, &self->raw, SCRATCH))
		SKIP(return, "no device %s", SCRATCH);
	new_request(self);
}

FIXTURE_TEARDOWN(dasd)
{
	free(self->outcomes);
	raw_tear_down(_metadata, &self->raw);
}

/* Requests */

static __u8 *at_offset(FIXTURE_DATA(dasd) *self, __u32 offset)
{
	return self->raw.image + offset;
}

static void put_half(__u8 *to, __u16 value)
{
	value = htobe16(value);
	memcpy(to, &value, sizeof(value));
}

/* Returns room for parameters, all zero */
static __u32 parameters(FIXTURE_DATA(dasd) *self, __u32 size)
{
	__u32 offset = self->data;

	self->data += (size + 7) & ~7U;
	return offset;
}

/* Appends a CCW. The one before it chains to it */
static void command(FIXTURE_DATA(dasd) *self, __u8 cmd, __u8 flags,
		    __u16 count, __u32 offset)
{
	if (!self->first)
		at_offset(self, self->at - 8)[1] |= CCW_CC;
	self->first = false;
	put_word(self->raw.image, self->at,
		 (__u32)cmd << 24 | (__u32)flags << 16 | count);
	put_word(self->raw.image, self->at + 4, self->raw.base + offset);
	self->at += 8;
}

static void put_track(__u8 *to, int track)
{
	put_half(to, track / HEADS);
	put_half(to + 2, track % HEADS);
}

static bool is_write(__u8 cmd)
{
	return cmd == DISK_WRITE_MT || cmd == (DISK_WRITE_MT | DISK_WITH_KEY);
}

static bool is_format(__u8 cmd)
{
	return cmd == DISK_WRITE_CKD || cmd == DISK_WRITE_R0;
}

/* Fills in the parameters of define extent for a command that follows */
static void fill_extent(__u8 *extent, int first, int last, __u8 cmd)
{
	if (cmd == DISK_WRITE_R0)
		extent[0] = 0xc2;	/* all writes, by device support */
	else if (cmd == DISK_WRITE_TRACK)
		extent[0] = 0xc0;
	else if (is_write(cmd))
		extent[0] = EXTENT_WRITE;
	else if (!is_format(cmd))
		extent[0] = EXTENT_READ;
	extent[1] = EXTENT_ECKD;
	/* Formatting and counts bypass the cache */
	if (is_format(cmd) || cmd == DISK_READ_COUNT)
		extent[1] |= 0x04;
	put_track(extent + 8, first);
	put_track(extent + 12, last);
}

static __u8 *define_extent(FIXTURE_DATA(dasd) *self, int first, int last,
			   __u8 cmd)
{
	__u32 offset = parameters(self, EXTENT_TIMED);

	fill_extent(at_offset(self, offset), first, last, cmd);
	command(self, DISK_EXTENT, 0, EXTENT_SIZE, offset);
	return at_offset(self, offset);
}

static int quotient_up(int a, int b)
{
	return (a + b - 1) / b;
}

/* Returns the sector of a 3390's track in which a record begins */
static __u8 sector_of(int record, int size)
{
	int blocks = quotient_up(size + 6, 232);
	int cells = 9 + quotient_up(size + 6 * (blocks + 1), 34);

	return record ? (49 + (record - 1) * (10 + cells)) / 8 : 0;
}

/* Returns the orientation and operation for locate record */
static __u8 operation_of(__u8 cmd)
{
	if (cmd == DISK_WRITE_R0)
		return 0x43;
	if (cmd == DISK_WRITE_CKD)
		return 0x03;
	return is_write(cmd) ? LOCATE_WRITE : LOCATE_READ;
}

static void fill_locate(__u8 *locate, int track, int record, int n, __u8 cmd,
			int size)
{
	locate[0] = operation_of(cmd);
	locate[3] = n;
	put_track(locate + 4, track);
	put_track(locate + 8, track);
	locate[12] = record;
	locate[13] = sector_of(record, size);
	if (cmd == DISK_READ_COUNT || cmd == DISK_WRITE_R0)
		return;
	locate[1] = LOCATE_LENGTH;
	put_half(locate + 14, size);
}

static __u8 *locate_record(FIXTURE_DATA(dasd) *self, int track, int record,
			   int n, __u8 cmd, int size)
{
	__u32 offset = parameters(self, LOCATE_SIZE);

	fill_locate(at_offset(self, offset), track, record, n, cmd, size);
	command(self, DISK_LOCATE, 0, LOCATE_SIZE, offset);
	return at_offset(self, offset);
}

/* Both sides */

/* A program like QEMU turns -EACCES and -ENODEV into condition code 3 */
static int as_condition(int err)
{
	return err == -EACCES ? -ENODEV : err;
}

static __u32 status_of(const struct outcome *outcome)
{
	return be32toh(outcome->irb[IRB_STATUS]);
}

static void tell(struct __test_metadata *_metadata, FIXTURE_DATA(dasd) *self,
		 const char *name)
{
	const struct outcome *side;
	int i;

	for (i = 0; i < 2; i++) {
		side = &self->outcomes[i];
		TH_LOG("%s, %s: %d, IRB %08x %08x %08x, sense %08x", name,
		       i ? "translated" : "raw", side->err,
		       be32toh(side->irb[0]), be32toh(side->irb[1]),
		       be32toh(side->irb[2]), be32toh(side->irb[8]));
	}
}

static bool expect_same(struct __test_metadata *_metadata,
			FIXTURE_DATA(dasd) *self, const char *name)
{
	const char *place;
	int where;

	self->outcomes[1].err = as_condition(self->outcomes[1].err);
	place = difference(self->outcomes, &where);
	EXPECT_EQ(NULL, place);
	if (!place)
		return true;
	TH_LOG("%s differs in %s %d", name, place, where);
	tell(_metadata, self, name);
	return false;
}

/* Runs the CCWs from @offset on, on both sides */
static bool run_both(struct __test_metadata *_metadata,
		     FIXTURE_DATA(dasd) *self, const char *name, __u32 flags,
		     __u32 offset)
{
	EXPECT_EQ(0, run_translated(&self->raw, flags, offset,
				    &self->outcomes[1]));
	EXPECT_EQ(0, run_raw(&self->raw, flags, offset, &self->outcomes[0]));
	return expect_same(_metadata, self, name);
}

/* Runs the request. Both sides must do the same, whatever that is */
static bool run_alike(struct __test_metadata *_metadata,
		      FIXTURE_DATA(dasd) *self, const char *name)
{
	return run_both(_metadata, self, name, ORB_DRIVER, PROGRAM_AT);
}

static bool ended_well(FIXTURE_DATA(dasd) *self)
{
	return !self->outcomes[1].err &&
	       status_of(&self->outcomes[1]) >> 16 == DSTAT_END << 8;
}

/* For a person to read: the disk may not know the request, or may reject it */
static void note_refusal(struct __test_metadata *_metadata,
			 FIXTURE_DATA(dasd) *self, const char *name)
{
	const struct outcome *side = &self->outcomes[1];

	if (!ended_well(self))
		TH_LOG("%s ends with status %04x, sense data %08x", name,
		       status_of(side) >> 16, be32toh(side->irb[8]));
}

static void expect_done(struct __test_metadata *_metadata,
			FIXTURE_DATA(dasd) *self, const char *name)
{
	bool well = ended_well(self);

	EXPECT_TRUE(well);
	if (!well)
		tell(_metadata, self, name);
}

/* Runs the request. Both sides must do the same, and it must work */
static void run_well(struct __test_metadata *_metadata,
		     FIXTURE_DATA(dasd) *self, const char *name)
{
	run_alike(_metadata, self, name);
	expect_done(_metadata, self, name);
}

/* Returns the memory at an offset, as the request has left it */
static const __u8 *result(FIXTURE_DATA(dasd) *self, __u32 offset)
{
	return self->outcomes[1].memory + offset;
}

static bool has_block(FIXTURE_DATA(dasd) *self, int index, const __u8 *block)
{
	return !memcmp(result(self, BLOCKS + index * RECORD), block, RECORD);
}

/* Properties of the disk */

/* "V1.0" in EBCDIC is the version that the caller knows */
static __u32 read_configuration(FIXTURE_DATA(dasd) *self)
{
	__u32 offset;

	new_request(self);
	offset = parameters(self, 256);
	memcpy(at_offset(self, offset), "\xe5\xf1\x4b\xf0", 4);
	command(self, DISK_CONFIGURATION, 0, 256, offset);
	return offset;
}

TEST_F(dasd, configuration_is_read)
{
	__u32 offset = read_configuration(self);

	run_well(_metadata, self, "read configuration data");
	/* The device's element, with its type */
	EXPECT_EQ(0xc0, result(self, offset)[0] & 0xc0);
	EXPECT_EQ(0, memcmp(result(self, offset) + 4,
			    "\x40\x40\xf3\xf3\xf9\xf0", 6));
}

/* Runs once on each path alone, including paths that the disk does not have */
TEST_F(dasd, each_path_is_verified)
{
	int path, operational = 0;

	for (path = 0x80; path; path >>= 1) {
		read_configuration(self);
		run_both(_metadata, self, "path verification",
			 (ORB_DRIVER & ~ORB_LPM) | path << 8, PROGRAM_AT);
		if (!self->outcomes[1].err) {
			operational++;
			continue;
		}
		EXPECT_EQ(-ENODEV, self->outcomes[1].err);
	}
	EXPECT_LE(1, operational);
	TH_LOG("%d paths are operational", operational);
	read_configuration(self);
	run_well(_metadata, self, "read configuration data");
}

TEST_F(dasd, characteristics_are_read)
{
	__u32 offset = parameters(self, 64);

	command(self, DISK_CHARACTERISTICS, 0, 64, offset);
	run_well(_metadata, self, "read device characteristics");
	EXPECT_EQ(0, memcmp(result(self, offset) + 3, "\x33\x90", 2));
	EXPECT_EQ(0, memcmp(result(self, offset) + 12, "\0\x0a\0\x0f", 4));
}

/* Requests of one command */

struct single {
	const char *name;
	__u8 cmd;
	__u8 flags;
	__u16 count;
	bool works;		/* on every such disk */
	__u8 data[4];		/* its first parameters */
};

static void run_singles(struct __test_metadata *_metadata,
			FIXTURE_DATA(dasd) *self, const struct single *single,
			size_t n)
{
	__u32 offset;

	for (; n--; single++) {
		new_request(self);
		offset = parameters(self, single->count);
		memcpy(at_offset(self, offset), single->data,
		       sizeof(single->data));
		command(self, single->cmd, single->flags, single->count,
			offset);
		run_alike(_metadata, self, single->name);
		if (single->works)
			expect_done(_metadata, self, single->name);
		else
			note_refusal(_metadata, self, single->name);
	}
}

/* Each of these commands reads sense data, like SENSE */
static const struct single reservations[] = {
	{ "reserve", DISK_RESERVE, CCW_SLI, SENSE_SIZE, true, { } },
	{ "reserve again", DISK_RESERVE, CCW_SLI, SENSE_SIZE, true, { } },
	{ "release", DISK_RELEASE, CCW_SLI, SENSE_SIZE, true, { } },
	{ "unconditional reserve", DISK_STEAL, CCW_SLI, SENSE_SIZE, true, { } },
	{ "release", DISK_RELEASE, CCW_SLI, SENSE_SIZE, true, { } },
};

TEST_F(dasd, disk_is_reserved_and_released)
{
	run_singles(_metadata, self, reservations, ARRAY_SIZE(reservations));
}

static const struct single senses[] = {
	{ "no-operation", CMD_NOP, CCW_SLI, 0, true, { } },
	{ "sense", CMD_SENSE, CCW_SLI, SENSE_SIZE, true, { } },
	{ "sense path group ID", DISK_SNID, CCW_SLI, 12, true, { } },
	{ "sense subsystem status", DISK_SNSS, 0, 44, false, { } },
	{ "reset summary unit check", DISK_RSCK, CCW_SLI, 16, false, { 0x02 } },
	{ "diagnostic control", DISK_DCTL, 0, 4, false, { 0x02, 0x20 } },
	{ "set subsystem characteristics", DISK_PSF, 0, 66, false, { 0x1d } },
	{ "answer to a path's event", DISK_PSF, CCW_SLI, 22, false,
	  { 0x1a, 0, 0x01, 0x10 } },
	{ "release of all space", DISK_DSO, 0, 24, false, { 0x81 } },
};

TEST_F(dasd, disk_is_sensed_and_controlled)
{
	run_singles(_metadata, self, senses, ARRAY_SIZE(senses));
}

/* Data of the subsystem: one command prepares it, the next one reads it */
static const struct {
	const char *name;
	__u8 suborder;
	__u8 variable[2];
	__u8 prepare_flags;
	__u8 flags;
	__u16 count;
} subsystem[] = {
	{ "feature codes", 0x41, { }, 0, 0, 256 },
	{ "volume storage query", 0x52, { }, 0, CCW_SLI, 28 },
	{ "logical configuration query", 0x53, { }, 0, CCW_SLI, 3616 },
	{ "unit address configuration", 0x0e, { }, 0, 0, 512 },
	{ "performance statistics", 0x01, { 0, 1 }, 0, 0, 192 },
	{ "message buffer", 0x03, { }, CCW_SLI, CCW_SLI, 4096 },
	{ "query of host access", 0x1c, { }, CCW_SLI, CCW_SLI, 16410 },
	{ "query of copy relations", 0x50, { 4 }, CCW_SLI, CCW_SLI, 644 },
};

TEST_F(dasd, subsystem_data_is_read)
{
	__u32 offset, i, known = 0;
	__u8 *order;

	for (i = 0; i < ARRAY_SIZE(subsystem); i++) {
		new_request(self);
		offset = parameters(self, 12);
		order = at_offset(self, offset);
		order[0] = 0x18;
		order[6] = subsystem[i].suborder;
		memcpy(order + 7, subsystem[i].variable, 2);
		command(self, DISK_PSF, subsystem[i].prepare_flags, 12, offset);
		command(self, DISK_RSSD, subsystem[i].flags,
			subsystem[i].count, BLOCKS + 4);
		run_alike(_metadata, self, subsystem[i].name);
		known += ended_well(self);
		note_refusal(_metadata, self, subsystem[i].name);
	}
	TH_LOG("%u of %zu kinds of subsystem data are known", known,
	       ARRAY_SIZE(subsystem));
}

/* The layout of a track */

struct record {
	__u8 number;
	__u8 key;
	__u16 size;
};

/* The first records have keys, as on volumes for z/OS */
static struct record record_at(int track, int number)
{
	static const __u16 sizes[] = { 24, 144, 80 };

	if (track == 0 && number <= 3)
		return (struct record){ number, 4, sizes[number - 1] };
	if (track == 1)
		return (struct record){ number, 44, 96 };
	return (struct record){ number, 0, RECORD };
}

static void put_count(__u8 *count, int track, const struct record *record)
{
	put_track(count, track);
	count[4] = record->number;
	count[5] = record->key;
	put_half(count + 6, record->size);
}

static void write_count(FIXTURE_DATA(dasd) *self, __u8 cmd, int track,
			struct record record)
{
	__u32 offset = parameters(self, COUNT_SIZE);

	put_count(at_offset(self, offset), track, &record);
	command(self, cmd, CCW_SLI, COUNT_SIZE, offset);
}

/* Formats @n tracks */
static void format(FIXTURE_DATA(dasd) *self, int track, int n)
{
	int i, number;
	__u8 cmd;

	new_request(self);
	/* Record 0 may be formatted, too */
	define_extent(self, track, track + n - 1, DISK_WRITE_CKD)[7] = 0x04;
	locate_record(self, track, 0, n * RECORDS, DISK_WRITE_CKD, RECORD);
	for (i = track; i < track + n; i++) {
		for (number = 1; number <= RECORDS; number++) {
			cmd = i > track && number == 1 ? DISK_WRITE_CKD_MT :
							 DISK_WRITE_CKD;
			write_count(self, cmd, i, record_at(i, number));
		}
	}
}

/* Reads the counts of @n records of a track. Returns the offset of the first */
static __u32 read_counts(FIXTURE_DATA(dasd) *self, int track, int n)
{
	__u32 offset;
	int i;

	new_request(self);
	define_extent(self, track, track, DISK_READ_COUNT);
	locate_record(self, track, 0, n, DISK_READ_COUNT, 0);
	offset = parameters(self, n * COUNT_SIZE);
	for (i = 0; i < n; i++)
		command(self, DISK_READ_COUNT, CCW_SLI, COUNT_SIZE,
			offset + i * COUNT_SIZE);
	return offset;
}

static bool is_count(FIXTURE_DATA(dasd) *self, __u32 offset, int track,
		     int number)
{
	struct record record = record_at(track, number);
	__u8 count[COUNT_SIZE];

	put_count(count, track, &record);
	return !memcmp(result(self, offset), count, sizeof(count));
}

static void expect_formatted(struct __test_metadata *_metadata,
			     FIXTURE_DATA(dasd) *self, int track)
{
	__u32 offset = read_counts(self, track, RECORDS);
	int i;

	run_well(_metadata, self, "check of a track's format");
	for (i = 0; i < RECORDS; i++)
		EXPECT_TRUE(is_count(self, offset + i * COUNT_SIZE, track,
				     i + 1));
}

TEST_F(dasd, tracks_are_formatted)
{
	format(self, TRACK_FORMAT, 1);
	run_well(_metadata, self, "format of a track");
	expect_formatted(_metadata, self, TRACK_FORMAT);
	format(self, TRACK_FORMAT, 3);
	run_well(_metadata, self, "format of three tracks");
	expect_formatted(_metadata, self, TRACK_FORMAT);
	expect_formatted(_metadata, self, TRACK_FORMAT + 1);
	expect_formatted(_metadata, self, TRACK_FORMAT + 2);
}

TEST_F(dasd, track_is_formatted_with_its_record_zero)
{
	int number;

	define_extent(self, TRACK_FORMAT, TRACK_FORMAT, DISK_WRITE_R0);
	locate_record(self, TRACK_FORMAT, 0, RECORDS + 2, DISK_WRITE_R0, 0);
	write_count(self, DISK_WRITE_R0, TRACK_FORMAT,
		    (struct record){ 0, 0, 8 });
	for (number = 1; number <= RECORDS; number++)
		write_count(self, DISK_WRITE_CKD, TRACK_FORMAT,
			    record_at(TRACK_FORMAT, number));
	run_alike(_metadata, self, "format with record zero");
	note_refusal(_metadata, self, "format with record zero");
}

TEST_F(dasd, track_is_invalidated)
{
	__u32 offset;

	define_extent(self, TRACK_FORMAT, TRACK_FORMAT, DISK_WRITE_CKD);
	locate_record(self, TRACK_FORMAT, 0, 1, DISK_WRITE_CKD, 8);
	write_count(self, DISK_WRITE_CKD, TRACK_FORMAT,
		    (struct record){ 1, 0, 0 });
	run_alike(_metadata, self, "invalidation of a track");
	offset = read_counts(self, TRACK_FORMAT, 2);
	run_alike(_metadata, self, "counts of an invalid track");
	note_refusal(_metadata, self, "counts of an invalid track");
	/* The track has no second record */
	EXPECT_FALSE(is_count(self, offset + COUNT_SIZE, TRACK_FORMAT, 2));
	format(self, TRACK_FORMAT, 1);
	run_well(_metadata, self, "format of a track");
	expect_formatted(_metadata, self, TRACK_FORMAT);
}

/* Reads what the driver reads to find out how a disk is formatted */
static __u32 analyse(FIXTURE_DATA(dasd) *self)
{
	__u32 offset;
	int i;

	new_request(self);
	offset = parameters(self, 5 * COUNT_SIZE);
	define_extent(self, 0, 1, DISK_READ_COUNT);
	locate_record(self, 0, 0, 4, DISK_READ_COUNT, 0);
	for (i = 0; i < 4; i++)
		command(self, DISK_READ_COUNT, 0, COUNT_SIZE,
			offset + i * COUNT_SIZE);
	locate_record(self, 1, 0, 1, DISK_READ_COUNT, 0);
	command(self, DISK_READ_COUNT, 0, COUNT_SIZE, offset + 4 * COUNT_SIZE);
	return offset;
}

TEST_F(dasd, layout_is_recognised)
{
	__u32 offset;
	int i;

	format(self, 0, 2);
	run_well(_metadata, self, "format of the first tracks");
	offset = analyse(self);
	run_well(_metadata, self, "analysis");
	for (i = 0; i < 4; i++)
		EXPECT_TRUE(is_count(self, offset + i * COUNT_SIZE, 0, i + 1));
	EXPECT_TRUE(is_count(self, offset + 4 * COUNT_SIZE, 1, 1));
}

/* Blocks */

/* Reads or writes a block, with a list of one address if @list */
static void transfer(FIXTURE_DATA(dasd) *self, __u8 cmd, __u16 count,
		     int index, bool list)
{
	__u32 data = BLOCKS + index * RECORD, offset;

	if (!list) {
		command(self, cmd, 0, count, data);
		return;
	}
	offset = parameters(self, sizeof(__u64));
	put_word(self->raw.image, offset + 4, self->raw.base + data);
	command(self, cmd, CCW_IDA, count, offset);
}

/* Moves @n blocks from @block on. The last one comes first in memory */
static void move_blocks(FIXTURE_DATA(dasd) *self, __u8 cmd, int block, int n,
			bool lists)
{
	int i;

	define_extent(self, block / RECORDS, (block + n - 1) / RECORDS, cmd);
	locate_record(self, block / RECORDS, block % RECORDS + 1, n, cmd,
		      RECORD);
	for (i = 0; i < n; i++)
		transfer(self, cmd, RECORD, n - 1 - i, lists);
}

static void expect_blocks(struct __test_metadata *_metadata,
			  FIXTURE_DATA(dasd) *self, int block, int n,
			  bool lists)
{
	__u8 written[MAX_BLOCKS * RECORD];
	int i;

	new_request(self);
	memcpy(written, at_offset(self, BLOCKS), sizeof(written));
	written[5] = lists;	/* other data than before */
	memcpy(at_offset(self, BLOCKS), written, sizeof(written));
	move_blocks(self, DISK_WRITE_MT, block, n, lists);
	run_well(_metadata, self, "write of blocks");

	new_request(self);
	memset(at_offset(self, BLOCKS), 0xa5, n * RECORD);
	move_blocks(self, DISK_READ_MT, block, n, lists);
	run_well(_metadata, self, "read of blocks");
	for (i = 0; i < n; i++)
		EXPECT_TRUE(has_block(self, i, written + i * RECORD));
}

TEST_F(dasd, blocks_are_written_and_read)
{
	const int block = TRACK_BLOCKS * RECORDS;

	expect_blocks(_metadata, self, block + 2, 1, false);
	expect_blocks(_metadata, self, block + 2, 1, true);
	expect_blocks(_metadata, self, block, RECORDS, true);
	/* Across the end of a track */
	expect_blocks(_metadata, self, block + 7, RECORDS, false);
	expect_blocks(_metadata, self, block + 7, RECORDS, true);
}

/* If a server sets the clock, define extent has the time of day behind it */
TEST_F(dasd, blocks_are_written_with_the_time_of_day)
{
	__u8 *extent = define_extent(self, TRACK_BLOCKS, TRACK_BLOCKS,
				     DISK_WRITE_MT);

	extent[7] = 0x0a;
	memset(extent + 16, 0x42, 8);
	at_offset(self, PROGRAM_AT)[1] = CCW_SLI;
	put_half(at_offset(self, PROGRAM_AT + 2), EXTENT_TIMED);
	locate_record(self, TRACK_BLOCKS, 1, 1, DISK_WRITE_MT, RECORD);
	transfer(self, DISK_WRITE_MT, RECORD, 0, true);
	run_alike(_metadata, self, "write with the time of day");
	note_refusal(_metadata, self, "write with the time of day");
}

/* Locates records of the first two tracks one by one. Some have a key */
static void move_special(FIXTURE_DATA(dasd) *self, __u8 cmd)
{
	static const int blocks[] = { 0, 1, 2, 3, RECORDS, RECORDS + 1 };
	int i, track, number, size;
	struct record record;
	__u8 this;

	new_request(self);
	define_extent(self, 0, 1, cmd);
	for (i = 0; i < (int)ARRAY_SIZE(blocks); i++) {
		track = blocks[i] / RECORDS;
		number = blocks[i] % RECORDS + 1;
		record = record_at(track, number);
		size = record.key + record.size;
		this = cmd | (record.key ? DISK_WITH_KEY : 0);
		locate_record(self, track, number, 1, this, size);
		transfer(self, this, size, i, i % 2);
	}
}

TEST_F(dasd, records_with_keys_are_written_and_read)
{
	__u8 record[140];

	format(self, 0, 2);
	run_well(_metadata, self, "format of the first tracks");
	move_special(self, DISK_WRITE_MT);
	memcpy(record, at_offset(self, BLOCKS + RECORD), sizeof(record));
	run_well(_metadata, self, "write of records with keys");
	move_special(self, DISK_READ_MT);
	memset(at_offset(self, BLOCKS), 0xe5, MAX_BLOCKS * RECORD);
	run_well(_metadata, self, "read of records with keys");
	EXPECT_EQ(0, memcmp(record, result(self, BLOCKS + RECORD),
			    sizeof(record)));
}

/* Whole tracks, and the prefix command of newer control units */

static __u32 put_track_list(FIXTURE_DATA(dasd) *self)
{
	__u32 offset = parameters(self, 16 * sizeof(__u64));
	__u32 i;

	for (i = 0; i < 16; i++)
		put_word(self->raw.image, offset + i * 8 + 4,
			 self->raw.base + BLOCKS + i % MAX_BLOCKS * RECORD);
	return offset;
}

static void raw_track(FIXTURE_DATA(dasd) *self, __u8 cmd, __u8 locate)
{
	__u32 offset, list;
	__u8 *data;

	new_request(self);
	define_extent(self, TRACK_BLOCKS, TRACK_BLOCKS, cmd);
	offset = parameters(self, LOCATE_EXT_SIZE + 2);
	data = at_offset(self, offset);
	data[0] = cmd == DISK_WRITE_TRACK ? 0x3f : 0x40 | LOCATE_TRACK;
	data[3] = 1;
	put_track(data + 4, TRACK_BLOCKS);
	put_track(data + 8, TRACK_BLOCKS);
	data[13] = 0xff;
	if (cmd == DISK_WRITE_TRACK) {
		data[17] = 0x11;
		data[19] = 2;
		data[20] = 0x80;
	}
	command(self, locate, 0, locate == DISK_LOCATE ? LOCATE_SIZE :
		cmd == DISK_WRITE_TRACK ? LOCATE_EXT_SIZE + 2 : LOCATE_EXT_SIZE,
		offset);
	list = put_track_list(self);
	command(self, cmd, CCW_IDA | CCW_SLI, TRACK_SIZE, list);
}

TEST_F(dasd, raw_tracks_are_read_and_written)
{
	raw_track(self, DISK_READ_TRACK, DISK_LOCATE_EXT);
	run_alike(_metadata, self, "read track");
	note_refusal(_metadata, self, "read track");
	raw_track(self, DISK_WRITE_TRACK, DISK_LOCATE_EXT);
	run_alike(_metadata, self, "write full track");
	note_refusal(_metadata, self, "write full track");
	/* The same with a command that all control units know */
	raw_track(self, DISK_READ_TRACK, DISK_LOCATE);
	run_well(_metadata, self, "read track after locate record");
}

static __u8 *prefix(FIXTURE_DATA(dasd) *self, __u8 format, __u8 cmd)
{
	__u32 offset = parameters(self, PREFIX_SIZE);
	__u8 *data = at_offset(self, offset);

	data[0] = format;
	data[1] = 0x80;		/* define extent is valid */
	fill_extent(data + 12, TRACK_BLOCKS, TRACK_BLOCKS, cmd);
	command(self, DISK_PREFIX, 0, PREFIX_SIZE, offset);
	return data + 12 + EXTENT_TIMED;
}

TEST_F(dasd, prefix_and_track_data_are_as_the_disk_has_them)
{
	__u8 *locate;

	prefix(self, 0, DISK_READ_MT);
	locate_record(self, TRACK_BLOCKS, 1, 2, DISK_READ_MT, RECORD);
	transfer(self, DISK_READ_MT, RECORD, 0, true);
	transfer(self, DISK_READ_MT, RECORD, 1, true);
	run_alike(_metadata, self, "prefix");
	note_refusal(_metadata, self, "prefix");

	new_request(self);
	locate = prefix(self, 1, DISK_READ_MT);
	fill_locate(locate, TRACK_BLOCKS, 1, 1, DISK_READ_MT, RECORD);
	locate[0] = LOCATE_TRACK;
	command(self, DISK_READ_DATA, CCW_IDA, 2 * RECORD,
		put_track_list(self));
	run_alike(_metadata, self, "read track data");
	note_refusal(_metadata, self, "read track data");
}

/* Errors, and how the driver goes on after them */

/* Writes four records from record 3 on, but promises two */
static void write_one_too_many(FIXTURE_DATA(dasd) *self)
{
	int i;

	new_request(self);
	define_extent(self, TRACK_BLOCKS, TRACK_BLOCKS, DISK_WRITE_MT);
	locate_record(self, TRACK_BLOCKS, 3, 2, DISK_WRITE_MT, RECORD);
	for (i = 0; i < 4; i++)
		transfer(self, DISK_WRITE_MT, RECORD, i, i % 2);
}

/* Begins another program, beside the one that failed */
static void begin_recovery(FIXTURE_DATA(dasd) *self, __u32 offset)
{
	self->at = offset;
	self->first = true;
}

static void go_to(FIXTURE_DATA(dasd) *self, __u32 offset)
{
	command(self, CMD_TIC, 0, 0, offset);
}

/* Runs the request. It must end with a unit check */
static void run_into_check(struct __test_metadata *_metadata,
			   FIXTURE_DATA(dasd) *self, const char *name)
{
	const struct outcome *side = &self->outcomes[1];

	run_alike(_metadata, self, name);
	EXPECT_EQ(0, side->err);
	EXPECT_EQ(DSTAT_UNITCHECK, status_of(side) >> 24 & DSTAT_UNITCHECK);
	TH_LOG("%s ends with status %04x, sense data %08x", name,
	       status_of(side) >> 16, be32toh(side->irb[8]));
}

/* Returns the sense data in the IRB. It is the same on both sides */
static const __u8 *sense_of(FIXTURE_DATA(dasd) *self)
{
	return (const __u8 *)&self->outcomes[1].irb[8];
}

TEST_F(dasd, unit_check_comes_with_sense_data)
{
	write_one_too_many(self);
	run_into_check(_metadata, self, "a write too many");
	/* The IRB has 32 bytes of sense data: command reject */
	EXPECT_EQ(0x01000000 | SENSE_SIZE << 16,
		  be32toh(self->outcomes[1].irb[4]) & 0x013f0000);
	EXPECT_EQ(0x80, sense_of(self)[0]);
}

/* A guest that does not read the sense data in the IRB asks for it by SENSE */
TEST_F(dasd, sense_follows_a_unit_check)
{
	struct raw *raw = &self->raw;
	struct outcome *outcomes = self->outcomes;
	__u32 offset;

	write_one_too_many(self);
	begin_recovery(self, RECOVERY_AT);
	offset = parameters(self, SENSE_SIZE);
	command(self, CMD_SENSE, CCW_SLI, SENSE_SIZE, offset);
	EXPECT_EQ(0, run_translated(raw, ORB_DRIVER, PROGRAM_AT, &outcomes[1]));
	EXPECT_EQ(0, run_translated(raw, ORB_DRIVER, RECOVERY_AT, &outcomes[1]));
	EXPECT_EQ(0, run_raw(raw, ORB_DRIVER, PROGRAM_AT, &outcomes[0]));
	EXPECT_EQ(0, run_raw(raw, ORB_DRIVER, RECOVERY_AT, &outcomes[0]));
	expect_same(_metadata, self, "sense");
	expect_done(_metadata, self, "sense");
}

/* The driver first retries a request by another program that jumps to it */
TEST_F(dasd, program_is_retried_by_a_jump_to_it)
{
	move_blocks(self, DISK_READ_MT, TRACK_BLOCKS * RECORDS + 3, 3, true);
	begin_recovery(self, RECOVERY_AT);
	command(self, CMD_NOP, 0, 0, 0);
	go_to(self, PROGRAM_AT);
	/* If the retry fails, too, the driver jumps to the retry */
	begin_recovery(self, SECOND_RECOVERY_AT);
	command(self, CMD_NOP, 0, 0, 0);
	go_to(self, RECOVERY_AT);
	run_both(_metadata, self, "retry", ORB_DRIVER, RECOVERY_AT);
	expect_done(_metadata, self, "retry");
	run_both(_metadata, self, "second retry", ORB_DRIVER,
		 SECOND_RECOVERY_AT);
	expect_done(_metadata, self, "second retry");
}

/* Returns the offset of the CCW that the SCSW names */
static __u32 failing_ccw(FIXTURE_DATA(dasd) *self)
{
	return be32toh(self->outcomes[1].irb[1]) - self->raw.base;
}

/* Puts a program that continues a write where it ended */
static void put_rest(FIXTURE_DATA(dasd) *self, const __u8 *locate,
		     __u32 failing)
{
	__u32 extent, offset;

	begin_recovery(self, RECOVERY_AT);
	extent = parameters(self, EXTENT_TIMED);
	memcpy(at_offset(self, extent), at_offset(self, REQUEST_DATA),
	       EXTENT_SIZE);
	command(self, DISK_EXTENT, 0, EXTENT_SIZE, extent);
	offset = parameters(self, LOCATE_SIZE);
	memcpy(at_offset(self, offset), locate, LOCATE_SIZE);
	command(self, DISK_LOCATE, 0, LOCATE_SIZE, offset);
	go_to(self, failing);
}

/* Makes parameters of locate record from 32 bytes of sense data */
static void locate_from_sense(__u8 *locate, const __u8 *sense)
{
	locate[0] = sense[7];
	if ((sense[7] & 0x3f) == 0x01)
		locate[0] = 0x81;
	else if ((sense[7] & 0x3f) == 0x03)
		locate[0] = 0xc3;
	locate[1] = sense[8];
	locate[2] = sense[9];
	locate[3] = sense[3];
	locate[4] = sense[29];
	locate[5] = sense[30];
	locate[7] = sense[31];
	memcpy(locate + 8, sense + 11, 8);
}

TEST_F(dasd, write_goes_on_where_it_failed)
{
	__u8 locate[LOCATE_SIZE] = { };
	__u32 failing;
	__u8 block[RECORD];

	write_one_too_many(self);
	run_into_check(_metadata, self, "a write too many");
	failing = failing_ccw(self);
	/* The CCW is the one behind the third write, which was rejected */
	EXPECT_EQ(PROGRAM_AT + 5 * 8, failing);

	locate_from_sense(locate, sense_of(self));
	put_rest(self, locate, failing);
	run_both(_metadata, self, "the rest, by sense data", ORB_DRIVER,
		 RECOVERY_AT);

	write_one_too_many(self);
	memset(at_offset(self, BLOCKS + 3 * RECORD), 0x36, RECORD);
	memcpy(block, at_offset(self, BLOCKS + 3 * RECORD), RECORD);
	memset(locate, 0, sizeof(locate));
	fill_locate(locate, TRACK_BLOCKS, 6, 1, DISK_WRITE_MT, RECORD);
	put_rest(self, locate, failing);
	run_both(_metadata, self, "the rest", ORB_DRIVER, RECOVERY_AT);
	expect_done(_metadata, self, "the rest");

	new_request(self);
	move_blocks(self, DISK_READ_MT, TRACK_BLOCKS * RECORDS + 5, 1, false);
	run_well(_metadata, self, "read of a block");
	EXPECT_TRUE(has_block(self, 0, block));
}

/* A record that does not exist, and accesses that the extent does not allow */
TEST_F(dasd, errors_are_the_disks_own)
{
	move_blocks(self, DISK_READ_MT, TRACK_BLOCKS * RECORDS, 1, true);
	/* The number of the record in locate record */
	at_offset(self, REQUEST_DATA + EXTENT_TIMED)[12] = RECORDS + 1;
	run_into_check(_metadata, self, "no record found");
	EXPECT_EQ(0x08, sense_of(self)[1]);

	new_request(self);
	move_blocks(self, DISK_WRITE_MT, TRACK_BLOCKS * RECORDS, 1, true);
	at_offset(self, REQUEST_DATA)[0] = EXTENT_READ;
	run_alike(_metadata, self, "a write that define extent forbids");
	note_refusal(_metadata, self, "a write that define extent forbids");

	new_request(self);
	move_blocks(self, DISK_READ_MT, TRACK_BLOCKS * RECORDS, 1, true);
	at_offset(self, REQUEST_DATA + EXTENT_TIMED)[5]++;
	run_into_check(_metadata, self, "outside of the extent");
}

TEST_HARNESS_MAIN
