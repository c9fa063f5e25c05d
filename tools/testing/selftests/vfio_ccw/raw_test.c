// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each channel program runs twice on the same subchannel: as it is on the
 * hardware, and translated by vfio_ccw. Both must do the same: the tests
 * compare the status of the interruption and all memory. The raw side's memory
 * has real addresses. On the other side, the guest's addresses are the same,
 * but have other pages.
 *
 * RAW_PROGRAMS is the number of random programs, RAW_SEED the number of the
 * first one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "raw.h"

/*
 * No other test reads what this one writes to the disk and the tape. All of the
 * reader's cards are the same
 */
#define DISK		"0.0.0121"
#define PRINTER		"0.0.000e"
#define TAPE		"0.0.0580"
#define READER		"0.0.0030"

#define PROGRAMS	500

#define DSTAT_EXCEPTION	0x01

/* The test stops after this many programs that differ */
#define MOST		10

/* The parts of the memory, from its beginning on */
#define CODE		0x0
#define CODE_SIZE	0x200
#define ARGUMENTS	0x1000
#define LISTS		0x2000
#define LISTS_SIZE	0x1000
#define MIDALS		0x3000
#define MIDALS_SIZE	0x1000
#define SPACE		0x4000
#define SPACE_SIZE	(RAW_CCW_SIZE - SPACE)

/* The most CCWs of a program, and the most data of a CCW */
#define MAX_CCWS	24
#define MAX_COUNT	0x2000

/* The most MIDAWs of a list. All lists lie in one page */
#define MAX_MIDAWS	10

#define MIDAW_SIZE	16
#define MIDAW_LAST	0x800000U
#define MIDAW_SKIP	0x400000U

struct program {
	__u32 flags;			/* word 1 of the ORB */
	int n;
	struct {
		__u8 cmd;
		__u8 flags;
		__u16 count;
		__u32 offset;		/* of data, or of the CCW for a TIC */
		bool list;
		bool midaws;		/* the list is one of MIDAWs */
		bool may_skip;		/* the MIDAWs may skip input */
	} ccws[MAX_CCWS];
};

FIXTURE(raw)
{
	struct raw raw;
	struct outcome *outcomes;	/* raw, and translated */
};

FIXTURE_SETUP(raw)
{
	raw_set_up(_metadata, &self->raw);
	self->outcomes = calloc(2, sizeof(*self->outcomes));
	ASSERT_NE(NULL, self->outcomes);
}

FIXTURE_TEARDOWN(raw)
{
	free(self->outcomes);
	raw_tear_down(_metadata, &self->raw);
}

/* Random numbers, which are the same everywhere */

static __u64 state;

static __u32 some(__u32 below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % below;
}

static bool one_in(__u32 n)
{
	return !some(n);
}

/* Puts a program, with its lists, into an image of the memory */

/*
 * Puts a list for @count bytes at @offset. The first address is that of
 * @offset. The others are of blocks that lie in another order
 */
static void put_list(__u8 *image, __u64 base, __u32 list, __u32 flags,
		     __u32 offset, __u32 count)
{
	__u32 block = (flags & ORB_IDA64) && !(flags & ORB_IDA2K) ? 4096 : 2048;
	__u32 size = flags & ORB_IDA64 ? 8 : 4;
	__u32 left = count + (offset % block), i, at;

	for (i = 0; i == 0 || left > block; i++) {
		at = offset;
		if (i) {
			left -= block;
			at = SPACE + (((offset / block) * 7 + i * 5) * block) %
				     (SPACE_SIZE - block);
			at -= at % block;
		}
		if (size == 8) {
			put_word(image, list + i * 8, 0);
			put_word(image, list + i * 8 + 4, base + at);
		} else {
			put_word(image, list + i * 4, base + at);
		}
	}
}

/* Puts MIDAWs for the data of a CCW. Most are valid. The same CCW always gets the same ones */
static void put_midaws(__u8 *image, __u64 base, __u32 list,
		       const struct program *program, int i)
{
	__u32 left = program->ccws[i].count;
	__u64 saved = state;
	int n;

	state = program->ccws[i].offset * 2654435761ULL + left + i;
	for (n = 0; left && n < MAX_MIDAWS; n++, list += MIDAW_SIZE) {
		__u32 at = SPACE + some(SPACE_SIZE - 4096), word = 0, high = 0;
		__u32 most = 4096 - at % 4096;
		__u32 part = one_in(3) ? 1 + some(most) : most;

		if (part > left)
			part = left;
		if (program->ccws[i].may_skip && one_in(6))
			word |= MIDAW_SKIP;
		if ((part == left && one_in(2)) || one_in(60))
			word |= MIDAW_LAST;
		if (one_in(80))
			high = 1U << some(32);
		left -= part;
		if (one_in(80))
			part = some(8192);
		put_word(image, list, high);
		put_word(image, list + 4, word | part);
		put_word(image, list + 8, 0);
		put_word(image, list + 12, base + at);
	}
	state = saved;
}

static void put_program(__u8 *image, __u64 base, const struct program *program)
{
	__u32 list, data, i;

	/* If a program goes on behind its own CCWs, a NOP ends it */
	for (i = 0; i < CODE_SIZE; i += 8) {
		put_word(image, CODE + i, CMD_NOP << 24 | CCW_SLI << 16 | 1);
		put_word(image, CODE + i + 4, base + SPACE);
	}
	memset(image + LISTS, 0, LISTS_SIZE);
	memset(image + MIDALS, 0, MIDALS_SIZE);
	for (i = 0; i < (__u32)program->n; i++) {
		__u32 cmd = program->ccws[i].cmd, flags = program->ccws[i].flags;

		list = LISTS + i * (LISTS_SIZE / MAX_CCWS / 8 * 8);
		data = base + program->ccws[i].offset;
		if (program->ccws[i].list && program->ccws[i].midaws) {
			list = MIDALS + i * MAX_MIDAWS * MIDAW_SIZE;
			flags |= CCW_MIDA;
			put_midaws(image, base, list, program, i);
			data = base + list;
		} else if (program->ccws[i].list) {
			flags |= CCW_IDA;
			put_list(image, base, list, program->flags,
				 program->ccws[i].offset,
				 program->ccws[i].count);
			data = base + list;
		}
		put_word(image, CODE + i * 8, cmd << 24 | flags << 16 |
					      program->ccws[i].count);
		put_word(image, CODE + i * 8 + 4, data);
	}
}

/* Random programs */

/*
 * A kind of device: its commands, and whether they include those of disks. The
 * setup program brings the device into a known state, if that is necessary.
 * Some kinds have programs with MIDAWs
 */
struct kind {
	const char *device;
	const __u8 *commands;
	size_t n;
	bool disk;
	const struct program *setup;
	bool midaws;
};

static const __u8 disk_commands[] = {
	CMD_NOP, CMD_SENSE, CMD_SENSE_ID, 0x64, 0xfa, 0x06, 0x06, 0x86, 0x0e,
	0x1e, 0x12, 0x1a, 0x16, 0x5e, 0x05, 0x07, 0x47, 0x63, 0x31, 0xb1, 0x51,
	0x71, 0x29, 0x1f, 0x13, 0x0b, 0x22, 0xde, 0xff, 0x00, 0x44, 0x54,
};

static const __u8 printer_commands[] = {
	CMD_NOP, CMD_SENSE, CMD_SENSE_ID, 0x01, 0x09, 0x11, 0x19, 0x0b, 0x13,
	0x1b, 0x8b, 0x00, 0xff,
};

#define CMD_READ_BACKWARD 0x0c
#define TAPE_REWIND	0x07
#define TAPE_WRITE	0x01
#define TAPE_MARK	0x1f
#define TAPE_READ_NUMBER 0x22

#define C		(CCW_CC | CCW_SLI)

/* Two files of some blocks. The tape is rewound before and after that */
static const struct program tape_setup = {
	.flags = ORB_FORMAT1, .n = 8, .ccws = {
		{ TAPE_REWIND, C, 1, SPACE },
		{ TAPE_WRITE, C, 80, SPACE },
		{ TAPE_WRITE, C, 4096, SPACE + 0x100 },
		{ TAPE_WRITE, C, 0x1801, SPACE + 0x2000 },
		{ TAPE_MARK, C, 1, SPACE },
		{ TAPE_WRITE, C, 1, SPACE + 0x33 },
		{ TAPE_MARK, C, 1, SPACE },
		{ TAPE_REWIND, CCW_SLI, 1, SPACE },
	},
};

/* Writes, reads, and moves by blocks and files, in both directions */
static const __u8 tape_commands[] = {
	CMD_NOP, CMD_SENSE, CMD_SENSE_ID, TAPE_WRITE, TAPE_WRITE, 0x02, 0x02, 0x02,
	CMD_READ_BACKWARD, CMD_READ_BACKWARD,
	TAPE_REWIND, TAPE_MARK, 0x27, 0x2f, 0x37, 0x3f, 0x22, 0x64, 0x00,
	0xff,
};

static const __u8 reader_commands[] = {
	CMD_NOP, CMD_SENSE, CMD_SENSE_ID, 0x02, 0x02, 0x02, 0x42, 0x82, 0x12,
	0x23, 0x00, 0xff,
};

static const struct kind disk = {
	DISK, disk_commands, ARRAY_SIZE(disk_commands), true, NULL, false
};

static const struct kind disk_midaws = {
	DISK, disk_commands, ARRAY_SIZE(disk_commands), true, NULL, true
};

static const struct kind printer = {
	PRINTER, printer_commands, ARRAY_SIZE(printer_commands), false, NULL,
	false
};

static const struct kind tape = {
	TAPE, tape_commands, ARRAY_SIZE(tape_commands), false, &tape_setup,
	false
};

static const struct kind tape_midaws = {
	TAPE, tape_commands, ARRAY_SIZE(tape_commands), false, &tape_setup,
	true
};

static const struct kind reader = {
	READER, reader_commands, ARRAY_SIZE(reader_commands), false, NULL,
	false
};

/* Such a command takes less than a page. Its arguments have a fixed place */
static bool takes_arguments(__u8 cmd)
{
	return cmd == 0x07 || cmd == 0x47 || cmd == 0x63 || cmd == 0x31 ||
	       cmd == 0xb1 || cmd == 0x51 || cmd == 0x71 || cmd == 0x1f ||
	       cmd == 0x0b;
}

static __u32 argument_of(__u8 cmd)
{
	switch (cmd) {
	case 0x07:
	case 0x0b:
		return ARGUMENTS;
	case 0x63:
		return ARGUMENTS + 0x20;
	case 0x47:
		return ARGUMENTS + 0x40;
	case 0x1f:
		return ARGUMENTS + 0x60;
	default:
		return ARGUMENTS + 2;	/* the seek's cylinder and head */
	}
}

static __u16 count_of(__u8 cmd)
{
	switch (cmd) {
	case 0x07:
	case 0x0b:
		return 6;
	case 0x63:
	case 0x47:
		return 16;
	case 0x1f:
		return 1;
	default:
		return 5;
	}
}

static void put_arguments(__u8 *image)
{
	__u8 cylinder = some(10), head = some(15), record = 1 + some(13);
	__u8 *seek = image + ARGUMENTS, *extent = seek + 0x20;
	__u8 *locate = seek + 0x40;
	static const __u8 operations[] = { 0x01, 0x06, 0x06, 0x16, 0x0c, 0x81 };

	seek[3] = cylinder;
	seek[5] = head;
	seek[6] = record;
	extent[0] = one_in(2) ? 0x80 : 0x40;
	extent[1] = 0xc0;
	extent[9] = cylinder;
	extent[11] = head;
	extent[13] = cylinder;
	extent[15] = head;
	locate[0] = operations[some(sizeof(operations))];
	locate[1] = one_in(2) ? 0x80 : 0;
	locate[3] = 1 + some(3);
	locate[5] = cylinder;
	locate[7] = head;
	locate[9] = cylinder;
	locate[11] = head;
	locate[12] = record;
	locate[14] = locate[1] ? 0x10 : 0;
}

static bool is_printer(const struct kind *kind)
{
	return kind->commands == printer_commands;
}

static bool is_tape(const struct kind *kind)
{
	return kind->setup == &tape_setup;
}

/* Does a CCW read backward, or may it, as chained data of such a command? */
static bool may_be_backward(const struct program *program, int i)
{
	if (program->ccws[i].cmd == CMD_READ_BACKWARD)
		return true;
	while (i--)
		if (program->ccws[i].cmd == CMD_READ_BACKWARD &&
		    program->ccws[i].flags & CCW_DC)
			return true;
	return false;
}

/*
 * Gives a CCW a list of MIDAWs, with these exceptions. Hercules fetches the
 * data of a no-operation. If a CCW skips, its MIDAWs must skip, too, and are
 * refused. If a CCW reads backward, Hercules takes what is before its buffer.
 *
 * MIDAWs may skip input. Chained data has the direction of an earlier command,
 * so its MIDAWs do not skip.
 */
static void some_midaws(struct program *program, int i)
{
	__u8 cmd = program->ccws[i].cmd;

	if (cmd == CMD_NOP || program->ccws[i].flags & CCW_SKIP ||
	    may_be_backward(program, i))
		return;
	program->ccws[i].list = true;
	program->ccws[i].midaws = true;
	program->ccws[i].may_skip = !(i && program->ccws[i - 1].flags & CCW_DC) &&
				    ((cmd & 0x03) == 0x02 || (cmd & 0x0f) == 0x04);
}

static void some_ccw(struct program *program, const struct kind *kind, __u8 cmd)
{
	static const __u8 flags[] = {
		CCW_CC | CCW_SLI, CCW_CC | CCW_SLI, CCW_CC | CCW_SLI, CCW_CC,
		CCW_DC, CCW_DC | CCW_SLI, CCW_SLI, CCW_CC | CCW_SLI | CCW_SKIP,
		CCW_DC | CCW_SKIP, CCW_CC | CCW_SLI | CCW_DC,
	};
	int i = program->n++;

	program->ccws[i].cmd = cmd;
	program->ccws[i].list = false;
	if (kind->disk && takes_arguments(cmd) && !one_in(12)) {
		program->ccws[i].flags = CCW_CC | CCW_SLI;
		program->ccws[i].count = count_of(cmd);
		program->ccws[i].offset = argument_of(cmd);
		return;
	}
	program->ccws[i].flags = flags[some(sizeof(flags))];
	/*
	 * Hercules fetches data even for commands that have none: a
	 * no-operation, and the control of a tape. What the control of a
	 * printer chains data to, it executes as a command. For a block's number
	 * of a tape it stores too many bytes, left from before
	 */
	if (cmd == CMD_NOP ||
	    ((is_tape(kind) || is_printer(kind)) && (cmd & 0x03) == 0x03) ||
	    (is_tape(kind) && cmd == TAPE_READ_NUMBER))
		program->ccws[i].flags &= ~CCW_DC;
	program->ccws[i].count = one_in(4) ? some(MAX_COUNT) : some(64);
	if (one_in(6))
		program->ccws[i].count = 4096;
	program->ccws[i].offset = SPACE + some(SPACE_SIZE - MAX_COUNT);
	program->ccws[i].list = one_in(3);
	if (kind->midaws && one_in(2))
		some_midaws(program, i);
}

static void some_tic(struct program *program, __u32 to)
{
	int i = program->n++;

	program->ccws[i].cmd = CMD_TIC;
	program->ccws[i].flags = 0;
	program->ccws[i].count = 0;
	program->ccws[i].offset = CODE + to * 8;
	program->ccws[i].list = false;
}

/* Makes a program of random pieces. A piece is a command; those of disks have more kinds */
static void some_program(struct program *program, const struct kind *kind)
{
	static const __u32 formats[] = { 0, ORB_IDA64, ORB_IDA64 | ORB_IDA2K };
	int pieces = 1 + some(6), search;

	memset(program, 0, sizeof(*program));
	program->flags = ORB_FORMAT1 | formats[some(3)];
	if (kind->midaws)
		program->flags |= ORB_MIDA;
	while (pieces-- && program->n < MAX_CCWS - 6) {
		switch (kind->disk ? some(6) : 2 + some(4)) {
		case 0:		/* a search that loops */
			some_ccw(program, kind, 0x07);
			search = program->n;
			some_ccw(program, kind, 0x31);
			some_tic(program, search);
			break;
		case 1:
			some_ccw(program, kind, 0x63);
			some_ccw(program, kind, 0x47);
			break;
		case 2:		/* a TIC over what follows; never first */
			if (program->n)
				some_tic(program, program->n + 1 + some(2));
			break;
		default:
			some_ccw(program, kind, kind->commands[some(kind->n)]);
		}
	}
	some_ccw(program, kind, CMD_NOP);
	some_ccw(program, kind, CMD_NOP);
	some_ccw(program, kind, CMD_NOP);
	program->ccws[program->n - 1].flags = CCW_SLI;
}

/* Returns the CCW behind one, across a TIC. It may be outside the program */
static int behind(const struct program *program, int i)
{
	i++;
	if (i < program->n && program->ccws[i].cmd == CMD_TIC)
		i = (program->ccws[i].offset - CODE) / 8;
	return i;
}

/* For the translator, a write or a search may skip the CCW behind it */
static bool may_skip(__u8 cmd)
{
	return (cmd & 0x03) == 0x01;
}

/*
 * Is one of these known differences in the program?
 *
 * vfio_ccw refuses a TIC that leads to a TIC, even if the channel would not
 * reach it. If one CCW chains data to a CCW, and another chains a command to
 * the same one, vfio_ccw may report a program check for one of them. vfio_ccw
 * refuses MIDAWs that skip if chained data of an output command, across a TIC,
 * has them.
 *
 * If a control command chains data to a count of 0, Hercules accepts what
 * should be a program check.
 */
static bool is_known_to_differ(const struct program *program)
{
	bool command[MAX_CCWS + 8] = { true }, data[MAX_CCWS + 8] = { };
	int i, next;

	for (i = 0; i < program->n; i++) {
		next = behind(program, i);
		if (next >= program->n)
			continue;
		if (program->ccws[i].cmd == CMD_TIC) {
			next = (program->ccws[i].offset - CODE) / 8;
			if (next < program->n &&
			    program->ccws[next].cmd == CMD_TIC)
				return true;
			continue;
		}
		if (program->ccws[i].flags & CCW_DC)
			data[next] = true;
		else if (program->ccws[i].flags & CCW_CC)
			command[next] = true;
		if (program->ccws[i].flags & CCW_CC &&
		    may_skip(program->ccws[i].cmd))
			command[behind(program, i + 1)] = true;
	}
	for (i = 0; i < program->n; i++)
		if (data[i] && (command[i] || !program->ccws[i].count ||
				program->ccws[i].may_skip))
			return true;
	return false;
}

static void print_program(struct __test_metadata *_metadata,
			  const struct program *program, __u32 number)
{
	int i;

	TH_LOG("program %u, flags %#x:", number, program->flags);
	for (i = 0; i < program->n; i++)
		TH_LOG("  %2d: %02x %02x %04x %05x%s", i, program->ccws[i].cmd,
		       program->ccws[i].flags, program->ccws[i].count,
		       program->ccws[i].offset,
		       program->ccws[i].midaws ? " by MIDAWs" :
		       program->ccws[i].list ? " by a list" : "");
}

/* Returns the program without one of its CCWs. Its TICs still lead to the same CCWs */
static struct program without(const struct program *program, int which)
{
	struct program shorter = *program;
	int i;

	shorter.n--;
	memmove(shorter.ccws + which, shorter.ccws + which + 1,
		(shorter.n - which) * sizeof(shorter.ccws[0]));
	for (i = 0; i < shorter.n; i++)
		if (shorter.ccws[i].cmd == CMD_TIC &&
		    shorter.ccws[i].offset > CODE + (__u32)which * 8)
			shorter.ccws[i].offset -= 8;
	return shorter;
}

static void set_up_device(struct __test_metadata *_metadata,
			  FIXTURE_DATA(raw) *self, const struct kind *kind)
{
	if (!kind->setup)
		return;
	put_program(self->raw.image, self->raw.base, kind->setup);
	ASSERT_EQ(0, run_raw(&self->raw, kind->setup->flags, CODE,
			     &self->outcomes[0]));
	ASSERT_EQ(0, self->outcomes[0].err);
}

/*
 * Did a program end at a tape's mark that it read backward? Hercules then
 * stores a buffer that another program left, and reports all of the count as
 * stored
 */
static bool read_mark_backward(const FIXTURE_DATA(raw) *self,
			       const struct program *program)
{
	const __u32 *irb = self->outcomes[0].irb;
	__u32 offset = be32toh(irb[1]) - self->raw.base - CODE;

	return be32toh(irb[IRB_STATUS]) >> 24 & DSTAT_EXCEPTION &&
	       offset && offset / 8 <= (__u32)program->n &&
	       may_be_backward(program, offset / 8 - 1);
}

static const char *compare_once(struct __test_metadata *_metadata,
				FIXTURE_DATA(raw) *self,
				const struct kind *kind,
				const struct program *program, int *where)
{
	/* Run the raw side last: set_up_device() overwrites its outcome */
	set_up_device(_metadata, self, kind);
	put_program(self->raw.image, self->raw.base, program);
	ASSERT_EQ(0, run_translated(&self->raw, program->flags, CODE,
				    &self->outcomes[1]));
	set_up_device(_metadata, self, kind);
	put_program(self->raw.image, self->raw.base, program);
	ASSERT_EQ(0, run_raw(&self->raw, program->flags, CODE,
			     &self->outcomes[0]));
	if (read_mark_backward(self, program))
		memcpy(self->outcomes[0].memory, self->outcomes[1].memory,
		       RAW_CCW_SIZE);
	return difference(self->outcomes, where);
}

/*
 * If there is no setup program, the first comparison is unfair: one side begins
 * with what the program before has left, and the other with what this one has.
 * In the second comparison, both begin with the latter
 */
static const char *compare(struct __test_metadata *_metadata,
			   FIXTURE_DATA(raw) *self, const struct kind *kind,
			   const struct program *program, int *where)
{
	if (!compare_once(_metadata, self, kind, program, where))
		return NULL;
	return compare_once(_metadata, self, kind, program, where);
}

/* Prints the smallest program that still differs, of those without some CCWs of @whole */
static void report(struct __test_metadata *_metadata, FIXTURE_DATA(raw) *self,
		   const struct kind *kind, const struct program *whole,
		   __u32 number)
{
	const struct outcome *outcomes = self->outcomes;
	struct program small = *whole, shorter;
	int at, where;
	const char *name = difference(outcomes, &where);

	TH_LOG("program %u differs in %s %d", number, name, where);
	for (at = 0; at < small.n && small.n > 1; at++) {
		shorter = without(&small, at);
		/* Hercules accepts a program that begins with a TIC */
		if (shorter.ccws[0].cmd == CMD_TIC ||
		    is_known_to_differ(&shorter))
			continue;
		if (compare(_metadata, self, kind, &shorter, &where)) {
			small = shorter;
			at = -1;
		}
	}
	name = compare(_metadata, self, kind, &small, &where);
	print_program(_metadata, &small, number);
	TH_LOG("differs in %s %d", name ?: "nothing any more", where);
	TH_LOG("raw: %d, %08x %08x %08x %08x; translated: %d, %08x %08x %08x %08x",
	       outcomes[0].err, outcomes[0].irb[0], outcomes[0].irb[1],
	       outcomes[0].irb[2], outcomes[0].irb[3], outcomes[1].err,
	       outcomes[1].irb[0], outcomes[1].irb[1], outcomes[1].irb[2],
	       outcomes[1].irb[3]);
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

/* Compares random programs of the open device one by one */
static void one_at_a_time(struct __test_metadata *_metadata,
			  FIXTURE_DATA(raw) *self, const struct kind *kind)
{
	__u32 seed = setting("RAW_SEED", 1), i;
	__u32 n = setting("RAW_PROGRAMS", PROGRAMS), differ = 0;
	__u32 ended = 0;
	struct program program;
	const char *place;
	int byte;

	for (i = SPACE; i < RAW_CCW_SIZE; i++)
		self->raw.image[i] = i * 13 + (i >> 8);
	for (i = seed; i < seed + n && differ < MOST; i++) {
		state = i * 2654435761ULL;
		memset(self->raw.image + ARGUMENTS, 0, 0x80);
		put_arguments(self->raw.image);
		do {
			some_program(&program, kind);
		} while (is_known_to_differ(&program));
		place = compare(_metadata, self, kind, &program, &byte);
		ended += !self->outcomes[0].err &&
			 !(self->outcomes[0].irb[IRB_STATUS] &
			   htobe32(DSTAT_UNITCHECK << 24));
		if (!place)
			continue;
		differ++;
		report(_metadata, self, kind, &program, i);
	}
	TH_LOG("%u programs, %u without a unit check, %u differ", n, ended,
	       differ);
	EXPECT_EQ(0, differ);
	EXPECT_LT(n / 20, ended);
}

TEST_F_TIMEOUT(raw, random_programs_of_a_disk_do_the_same, 3600)
{
	if (!raw_open(_metadata, &self->raw, disk.device))
		SKIP(return, "no device %s", disk.device);
	one_at_a_time(_metadata, self, &disk);
}

TEST_F_TIMEOUT(raw, random_programs_of_a_disk_with_midaws_do_the_same, 3600)
{
	if (!raw_open(_metadata, &self->raw, disk_midaws.device))
		SKIP(return, "no device %s", disk_midaws.device);
	one_at_a_time(_metadata, self, &disk_midaws);
}

TEST_F_TIMEOUT(raw, random_programs_of_a_tape_with_midaws_do_the_same, 3600)
{
	if (!raw_open(_metadata, &self->raw, tape_midaws.device))
		SKIP(return, "no device %s", tape_midaws.device);
	one_at_a_time(_metadata, self, &tape_midaws);
}

TEST_F_TIMEOUT(raw, random_programs_of_a_printer_do_the_same, 3600)
{
	if (!raw_open(_metadata, &self->raw, printer.device))
		SKIP(return, "no device %s", printer.device);
	one_at_a_time(_metadata, self, &printer);
}

TEST_F_TIMEOUT(raw, random_programs_of_a_tape_do_the_same, 3600)
{
	if (!raw_open(_metadata, &self->raw, tape.device))
		SKIP(return, "no device %s", tape.device);
	one_at_a_time(_metadata, self, &tape);
}

TEST_F_TIMEOUT(raw, random_programs_of_a_reader_do_the_same, 3600)
{
	if (!raw_open(_metadata, &self->raw, reader.device))
		SKIP(return, "no device %s", reader.device);
	one_at_a_time(_metadata, self, &reader);
}

static const struct program by_hand[] = {
	{ .n = 1, .ccws = { { CMD_SENSE_ID, CCW_SLI, 256, SPACE + 5 } } },
	{ .n = 1, .ccws = { { CMD_SENSE_ID, 0, 3, SPACE } } },
	{ .n = 1, .ccws = { { CMD_SENSE_ID, CCW_SLI | CCW_SKIP, 7, SPACE } } },
	{ .n = 1, .ccws = { { 0x64, 0, 64, SPACE + 0xfff, true } } },
	{ .n = 1, .ccws = { { 0xfa, CCW_SLI, 256, SPACE + 0x7ff, true } } },
	{ .n = 2, .ccws = { { 0xff, C, 1, SPACE }, { CMD_NOP, CCW_SLI, 1, 0 } } },
	{ .n = 3, .ccws = {
		{ 0x63, CCW_CC, 16, ARGUMENTS + 0x20 },
		{ 0x47, CCW_CC, 16, ARGUMENTS + 0x40 },
		{ 0x86, CCW_SLI, 4096, SPACE + 0x123, true },
	} },
	{ .n = 5, .ccws = {
		{ 0x63, CCW_CC, 16, ARGUMENTS + 0x20 },
		{ 0x47, CCW_CC, 16, ARGUMENTS + 0x40 },
		{ 0x06, CCW_DC, 1000, SPACE },
		{ 0x00, CCW_DC | CCW_SKIP, 2000, SPACE + 1000 },
		{ 0x00, CCW_SLI, 4096, SPACE + 0x3000, true },
	} },
	{ .n = 4, .ccws = {
		{ 0x07, CCW_CC, 6, ARGUMENTS },
		{ 0x31, CCW_CC, 5, ARGUMENTS + 2 },
		{ CMD_TIC, 0, 0, CODE + 8 },
		{ 0x06, CCW_SLI, 4096, SPACE + 0x801 },
	} },
	{ .n = 5, .ccws = {
		{ 0x07, CCW_CC, 6, ARGUMENTS },
		{ 0x31, CCW_CC, 5, ARGUMENTS + 2 },
		{ CMD_TIC, 0, 0, CODE + 8 },
		{ 0x1e, CCW_CC | CCW_SLI, 0x2000, SPACE + 1, true },
		{ 0x12, 0, 8, SPACE + 0x4000 },
	} },
	{ .n = 3, .ccws = {
		{ 0x07, CCW_CC, 6, ARGUMENTS },
		{ 0x16, CCW_CC | CCW_SLI, 100, SPACE },
		{ 0x5e, CCW_SLI, 0x2000, SPACE + 0x1001, true },
	} },
};

TEST_F_TIMEOUT(raw, programs_of_a_disk_by_hand_do_the_same, 120)
{
	static const __u32 formats[] = { 0, ORB_IDA64, ORB_IDA64 | ORB_IDA2K };
	__u32 i, format, place;
	struct program program;
	const char *name;
	int where;

	if (!raw_open(_metadata, &self->raw, DISK))
		SKIP(return, "no device %s", DISK);
	for (i = SPACE; i < RAW_CCW_SIZE; i++)
		self->raw.image[i] = i * 13 + (i >> 8);
	for (place = 0; place < 4; place++) {
		state = place;
		put_arguments(self->raw.image);
		for (i = 0; i < ARRAY_SIZE(by_hand); i++) {
			for (format = 0; format < 3; format++) {
				program = by_hand[i];
				program.flags = ORB_FORMAT1 | formats[format];
				name = compare(_metadata, self, &disk, &program,
					       &where);
				EXPECT_EQ(NULL, name);
				if (name)
					report(_metadata, self, &disk, &program,
					       i);
			}
		}
	}
}

/* Data goes where the MIDAWs say, and the rest of memory stays as it is */
TEST_F(raw, midaws_are_what_the_channel_follows)
{
	struct program program = {
		.flags = ORB_FORMAT1 | ORB_MIDA, .n = 1, .ccws = {
			{ CMD_SENSE_ID, CCW_SLI, 7, SPACE, true, true, false },
		},
	};
	const char *name;
	int where, i, changed = 0;

	if (!raw_open(_metadata, &self->raw, DISK))
		SKIP(return, "no device %s", DISK);
	name = compare(_metadata, self, &disk, &program, &where);
	EXPECT_EQ(NULL, name);
	EXPECT_EQ(0, self->outcomes[1].err);
	EXPECT_EQ(DSTAT_END << 24,
		  be32toh(self->outcomes[1].irb[IRB_STATUS]) & 0xffff0000);
	for (i = 0; i < RAW_CCW_SIZE; i++)
		changed += self->outcomes[1].memory[i] != self->raw.image[i];
	EXPECT_LT(3, changed);
	EXPECT_GE(7, changed);
}

static const char *place_of(const struct outcome *outcomes, int *where)
{
	return difference(outcomes, where) ?: "nothing";
}

/* difference() finds a byte, a word of the IRB and an errno */
TEST_F(raw, a_difference_is_found)
{
	int where;

	EXPECT_STREQ("nothing", place_of(self->outcomes, &where));
	self->outcomes[1].memory[RAW_CCW_SIZE - 1] = 1;
	EXPECT_STREQ("byte of memory", place_of(self->outcomes, &where));
	EXPECT_EQ(RAW_CCW_SIZE - 1, where);
	self->outcomes[0].irb[IRB_WORDS - 1] = 1;
	EXPECT_STREQ("word of the IRB", place_of(self->outcomes, &where));
	self->outcomes[0].err = -EBUSY;
	EXPECT_STREQ("the start", place_of(self->outcomes, &where));
}

TEST_HARNESS_MAIN
