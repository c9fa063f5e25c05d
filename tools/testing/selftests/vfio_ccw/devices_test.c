// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channel programs for real kinds of devices, as Hercules has them: a 3390
 * disk, a tape, a card reader, a punch and a printer. The tests compare what
 * programs read with what was written, or with the machine's configuration.
 */
#include <errno.h>
#include <string.h>

#include "kselftest_harness.h"
#include "disk.h"

#define TAPE		"0.0.0580"
#define READER		"0.0.000c"
#define PUNCH		"0.0.000d"
#define PRINTER		"0.0.000e"

#define DSTAT_EXCEPTION	0x01

#define CARD		80

/* Commands of tapes */
#define TAPE_WRITE	0x01
#define TAPE_READ	0x02
#define TAPE_REWIND	0x07
#define TAPE_BACKWARD	0x0c
#define TAPE_MARK	0x1f

/* Commands of unit-record devices */
#define CARD_READ	0x02
#define CARD_PUNCH	0x01
#define PRINT_LINE	0x09

FIXTURE(device)
{
	struct life life;
};

FIXTURE_SETUP(device)
{
	self->life.holder.pid = -1;
}

FIXTURE_TEARDOWN(device)
{
	if (!self->life.ccw.memory)
		return;
	expect_usable(_metadata, &self->life.ccw);
	life_tear_down(_metadata, &self->life);
}

/* Opens the device of a test. Returns false if there is none */
static bool open_device(struct __test_metadata *_metadata, struct life *life,
			const char *name)
{
	if (!life_set_up(_metadata, life, name))
		return false;
	ASSERT_EQ(0, ccw_open(&life->ccw));
	return true;
}

/* Disks */

/* Puts a seek, and a search that loops until the record is found */
static __u32 put_search(const struct ccw *ccw, __u16 cylinder, __u16 head,
			__u8 record)
{
	const __u32 seek = PARAMETERS, id = PARAMETERS + 8;
	__u32 at, search;

	put16(ccw, seek, 0);
	put16(ccw, seek + 2, cylinder);
	put16(ccw, seek + 4, head);
	put16(ccw, id, cylinder);
	put16(ccw, id + 2, head);
	*(__u8 *)guest(ccw, id + 4) = record;
	at = put_ccw(ccw, PROGRAM, DISK_SEEK, CCW_CC, 6, seek);
	search = at;
	at = put_ccw(ccw, at, DISK_SEARCH_ID, CCW_CC, 5, id);
	return put_ccw(ccw, at, CMD_TIC, 0, 0, search);
}

TEST_F(device, disk_says_what_it_is)
{
	struct ccw *ccw = &self->life.ccw;
	__u8 *data;

	if (!open_device(_metadata, &self->life, DISK))
		SKIP(return, "no device %s", DISK);
	data = guest(ccw, DATA);
	put_ccw(ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 256, DATA);
	expect_end(_metadata, ccw);
	EXPECT_EQ(0, memcmp(data, "\xff\x39\x90", 3));
	EXPECT_EQ(0, memcmp(data + 4, "\x33\x90", 2));

	put_ccw(ccw, PROGRAM, DISK_CHARACTERISTICS, CCW_SLI, 64, DATA);
	expect_end(_metadata, ccw);
	EXPECT_EQ(0, memcmp(data, "\x39\x90", 2));
	EXPECT_EQ(0, memcmp(data + 3, "\x33\x90", 2));
	/* Cylinders, and tracks of each cylinder */
	EXPECT_EQ(10, data[12] << 8 | data[13]);
	EXPECT_EQ(HEADS, data[14] << 8 | data[15]);

	memset(data, 0, 256);
	put_ccw(ccw, PROGRAM, DISK_CONFIGURATION, CCW_SLI, 256, DATA);
	expect_end(_metadata, ccw);
	/* The element of the device has its type in EBCDIC */
	EXPECT_EQ(0xc0, data[0] & 0xc0);
	EXPECT_EQ(0, memcmp(data + 4, "\x40\x40\xf3\xf3\xf9\xf0", 6));
}

TEST_F(device, disk_reads_what_was_written)
{
	struct ccw *ccw = &self->life.ccw;
	int record;

	if (!open_device(_metadata, &self->life, DISK))
		SKIP(return, "no device %s", DISK);
	for (record = 1; record <= RECORDS; record++) {
		fill(ccw, DATA, RECORD, record);
		put_write(ccw, 2, 3, record, DATA);
		expect_end(_metadata, ccw);
	}
	for (record = RECORDS; record; record--) {
		memset(guest(ccw, DATA + 0x10000), 0, RECORD);
		put_read(ccw, 2, 3, record, DATA + 0x10000);
		expect_end(_metadata, ccw);
		EXPECT_TRUE(filled(ccw, DATA + 0x10000, RECORD, record));
	}
}

TEST_F(device, disk_reads_a_whole_track)
{
	struct ccw *ccw = &self->life.ccw;
	const __u32 size = 0xf000;
	const __u8 *data;
	__u32 at;

	if (!open_device(_metadata, &self->life, DISK))
		SKIP(return, "no device %s", DISK);
	fill(ccw, DATA, RECORD, 77);
	put_write(ccw, 3, 1, 1, DATA);
	expect_end(_metadata, ccw);
	at = put_locate(ccw, EXTENT_READ, LOCATE_TRACK, 3, 1, 0);
	put_ccw(ccw, at, DISK_READ_TRACK, CCW_SLI, size, DATA + 0x10000);
	expect_end(_metadata, ccw);
	/* The count field and the data of record 1 follow record 0 */
	data = guest(ccw, DATA + 0x10000);
	EXPECT_EQ(0, memcmp(data, "\0\3\0\1\1\0\x10\0", 8));
	EXPECT_TRUE(filled(ccw, DATA + 0x10000 + 8, RECORD, 77));
}

TEST_F(device, disk_finds_a_record_by_its_number)
{
	struct ccw *ccw = &self->life.ccw;
	__u32 at;

	if (!open_device(_metadata, &self->life, DISK))
		SKIP(return, "no device %s", DISK);
	fill(ccw, DATA, RECORD, 99);
	put_write(ccw, 4, 2, 7, DATA);
	expect_end(_metadata, ccw);
	at = put_search(ccw, 4, 2, 7);
	at = put_ccw(ccw, at, DISK_READ, 0, RECORD, DATA + 0x10000);
	expect_end(_metadata, ccw);
	EXPECT_EQ(at, ccw->response.cpa);
	EXPECT_TRUE(filled(ccw, DATA + 0x10000, RECORD, 99));
}

TEST_F(device, disk_does_not_find_a_record_that_is_not_there)
{
	struct ccw *ccw = &self->life.ccw;
	__u32 at;

	if (!open_device(_metadata, &self->life, DISK))
		SKIP(return, "no device %s", DISK);
	memset(guest(ccw, DATA), 0xa5, RECORD);
	at = put_search(ccw, 4, 2, RECORDS + 1);
	put_ccw(ccw, at, DISK_READ, 0, RECORD, DATA);
	EXPECT_EQ(0, run_to_end(ccw, ORB_FORMAT1, &ccw->response));
	EXPECT_EQ(DSTAT_UNITCHECK, ccw->response.dstat & DSTAT_UNITCHECK);
	EXPECT_EQ(0xa5, *(__u8 *)guest(ccw, DATA));
}

/* Each CCW of a chain of data has another size */
TEST_F(device, disk_chains_and_skips_data)
{
	struct ccw *ccw = &self->life.ccw;
	__u32 at;

	if (!open_device(_metadata, &self->life, DISK))
		SKIP(return, "no device %s", DISK);
	fill(ccw, DATA, RECORD, 5);
	at = put_locate(ccw, EXTENT_WRITE, LOCATE_WRITE, 5, 5, 5);
	at = put_ccw(ccw, at, DISK_WRITE, CCW_DC, 1, DATA);
	at = put_ccw(ccw, at, 0, CCW_DC, 2998, DATA + 1);
	put_ccw(ccw, at, 0, 0, RECORD - 2999, DATA + 2999);
	expect_end(_metadata, ccw);

	memset(guest(ccw, DATA + 0x10000), 0xa5, 2 * RECORD);
	at = put_locate(ccw, EXTENT_READ, LOCATE_READ, 5, 5, 5);
	at = put_ccw(ccw, at, DISK_READ, CCW_DC, 500, DATA + 0x10000);
	at = put_ccw(ccw, at, 0, CCW_DC | CCW_SKIP, 1000, DATA + 0x10000 + 500);
	put_ccw(ccw, at, 0, 0, RECORD - 1500, DATA + 0x10000 + 1500);
	expect_end(_metadata, ccw);
	memset(guest(ccw, DATA + 500), 0xa5, 1000);
	EXPECT_EQ(0, memcmp(guest(ccw, DATA),
			    guest(ccw, DATA + 0x10000), RECORD));
	EXPECT_EQ(0xa5, *(__u8 *)guest(ccw, DATA + 0x10000 + RECORD));
}

/* The pieces lie backwards in memory. Each is a page or half a page */
static __u32 piece(int i)
{
	return DATA + 0x20000 - i * 0x2000;
}

static void expect_lists(struct __test_metadata *_metadata, struct ccw *ccw,
			 __u32 flags, __u32 size)
{
	const int n = RECORD / size;
	__u32 at;
	int i;

	for (i = 0; i < n; i++) {
		put_idaw(ccw, flags, LIST + 0x1000, i, piece(i));
		memset(guest(ccw, piece(i)), 0, size);
	}
	at = put_locate(ccw, EXTENT_READ, LOCATE_READ, 6, 6, 6);
	put_ccw(ccw, at, DISK_READ, CCW_IDA, RECORD, LIST + 0x1000);
	EXPECT_EQ(0, run_to_end(ccw, flags, &ccw->response));
	EXPECT_EQ(DSTAT_END, ccw->response.dstat);
	EXPECT_EQ(0, ccw->response.cstat);
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, memcmp(guest(ccw, DATA + i * size),
				    guest(ccw, piece(i)), size));
}

TEST_F(device, disk_takes_lists_of_addresses_of_both_formats)
{
	struct ccw *ccw = &self->life.ccw;

	if (!open_device(_metadata, &self->life, DISK))
		SKIP(return, "no device %s", DISK);
	fill(ccw, DATA, RECORD, 31);
	put_write(ccw, 6, 6, 6, DATA);
	expect_end(_metadata, ccw);
	expect_lists(_metadata, ccw, ORB_FORMAT1, 2048);
	expect_lists(_metadata, ccw, ORB_FORMAT1 | ORB_IDA64 | ORB_IDA2K, 2048);
	expect_lists(_metadata, ccw, ORB_FORMAT1 | ORB_IDA64, 4096);
}

/* Tape */

static void rewind_tape(struct __test_metadata *_metadata, struct ccw *ccw)
{
	put_ccw(ccw, PROGRAM, TAPE_REWIND, CCW_SLI, 1, DATA);
	expect_end(_metadata, ccw);
}

TEST_F(device, tape_reads_forwards_and_backwards)
{
	struct ccw *ccw = &self->life.ccw;
	static const __u16 sizes[] = { 100, 4096, 9999 };
	__u32 at = PROGRAM;
	int i;

	if (!open_device(_metadata, &self->life, TAPE))
		SKIP(return, "no device %s", TAPE);
	rewind_tape(_metadata, ccw);
	for (i = 0; i < 3; i++) {
		fill(ccw, DATA + i * 0x4000, sizes[i], 40 + i);
		at = put_ccw(ccw, at, TAPE_WRITE, CCW_CC, sizes[i],
			     DATA + i * 0x4000);
	}
	put_ccw(ccw, at, TAPE_MARK, CCW_SLI, 1, DATA);
	expect_end(_metadata, ccw);
	rewind_tape(_metadata, ccw);

	for (i = 0; i < 3; i++) {
		memset(guest(ccw, DATA + 0x20000), 0, 0x4000);
		put_ccw(ccw, PROGRAM, TAPE_READ, CCW_SLI, 0x4000,
			DATA + 0x20000);
		expect_end(_metadata, ccw);
		EXPECT_EQ(0x4000 - sizes[i], ccw->response.count);
		EXPECT_TRUE(filled(ccw, DATA + 0x20000, sizes[i], 40 + i));
	}
	put_ccw(ccw, PROGRAM, TAPE_READ, CCW_SLI, 0x4000, DATA + 0x20000);
	expect_status(_metadata, ccw, DSTAT_END | DSTAT_EXCEPTION);
	/* Backwards, the mark comes first, then the records from their ends on */
	put_ccw(ccw, PROGRAM, TAPE_BACKWARD, CCW_SLI, 0x4000,
		DATA + 0x24000 - 1);
	expect_status(_metadata, ccw, DSTAT_END | DSTAT_EXCEPTION);
	for (i = 2; i >= 0; i--) {
		memset(guest(ccw, DATA + 0x20000), 0, 0x4000);
		put_ccw(ccw, PROGRAM, TAPE_BACKWARD, CCW_SLI, 0x4000,
			DATA + 0x24000 - 1);
		expect_end(_metadata, ccw);
		EXPECT_EQ(0x4000 - sizes[i], ccw->response.count);
		EXPECT_TRUE(filled(ccw, DATA + 0x24000 - sizes[i], sizes[i],
				   40 + i));
	}
}

/* Cards and lines, in EBCDIC */

static const __u8 card_word[] = { 0x83, 0x81, 0x99, 0x84, 0x40 };

TEST_F(device, reader_reads_cards_in_pieces)
{
	struct ccw *ccw = &self->life.ccw;
	__u8 *data;
	__u32 at;

	if (!open_device(_metadata, &self->life, READER))
		SKIP(return, "no device %s", READER);
	data = guest(ccw, DATA);
	put_ccw(ccw, PROGRAM, CARD_READ, 0, CARD, DATA);
	expect_end(_metadata, ccw);
	EXPECT_EQ(0, memcmp(data, card_word, sizeof(card_word)));
	EXPECT_EQ(0xf1, data[5]);
	EXPECT_EQ(0x40, data[6]);

	/* Skip the word on the second card */
	memset(data, 0xa5, 0x2000);
	at = put_ccw(ccw, PROGRAM, CARD_READ, CCW_DC | CCW_SKIP, 5, NOWHERE);
	at = put_ccw(ccw, at, 0, CCW_DC, 1, DATA);
	put_ccw(ccw, at, 0, 0, CARD - 6, DATA + 0x1000 - 8);
	expect_end(_metadata, ccw);
	EXPECT_EQ(0xf2, data[0]);
	EXPECT_EQ(0xa5, data[1]);
	EXPECT_EQ(0xa5, data[0x1000 - 9]);
	EXPECT_EQ(0x40, data[0x1000 - 8]);
	EXPECT_EQ(0x40, data[0x1000 - 8 + CARD - 7]);
	EXPECT_EQ(0xa5, data[0x1000 - 8 + CARD - 6]);
}

/* Does the machine report that @hex was the last data written to a file? */
static bool device_made(const char *file, const char *hex)
{
	char command[64], answer[1024];
	size_t len;

	snprintf(command, sizeof(command), "made %s", file);
	if (host_ask(command, answer, sizeof(answer)))
		return false;
	len = strlen(answer);
	return len >= strlen(hex) && strstr(answer, hex);
}

TEST_F(device, punch_makes_cards)
{
	struct ccw *ccw = &self->life.ccw;
	__u8 *data;
	int i;

	if (!open_device(_metadata, &self->life, PUNCH))
		SKIP(return, "no device %s", PUNCH);
	data = guest(ccw, DATA);
	for (i = 0; i < CARD; i++)
		data[i] = 0x40;
	memcpy(data, "\xc1\xc2\xc3\xf7", 4);
	put_ccw(ccw, PROGRAM, CARD_PUNCH, 0, CARD, DATA);
	expect_end(_metadata, ccw);
	EXPECT_TRUE(device_made("punch.bin", "c1c2c3f740404040"));
}

TEST_F(device, printer_prints_lines)
{
	struct ccw *ccw = &self->life.ccw;
	__u32 at;

	if (!open_device(_metadata, &self->life, PRINTER))
		SKIP(return, "no device %s", PRINTER);
	memcpy(guest(ccw, DATA), "\xc8\xc5\xd9\xc3", 4);
	memcpy(guest(ccw, DATA + 0x5000), "\xe4\xd3\xc5\xe2", 4);
	at = put_ccw(ccw, PROGRAM, PRINT_LINE, CCW_DC, 4, DATA);
	put_ccw(ccw, at, 0, CCW_SLI, 4, DATA + 0x5000);
	expect_end(_metadata, ccw);
	/* The text is HERCULES */
	EXPECT_TRUE(device_made("printer.txt", "48455243554c4553"));
}

TEST_HARNESS_MAIN
