// SPDX-License-Identifier: GPL-2.0-only
/* Tests of each feature and limit of the translator */
#include <stdarg.h>
#include <stdio.h>

#include "proof.h"

#define DC	0x80
#define CC	0x40
#define SLI	0x20
#define SKIP	0x10
#define PCI	0x08
#define IDA	0x04
#define SUSP	0x02
#define MIDA	0x01

#define READ	0x02
#define WRITE	0x01
#define NOP	0x03
#define SENSE	0x04
#define TIC	0x08
#define BACK	0x0c
#define SEARCH	0x31

#define FMT1	CCW_ORB_FMT1
#define F2	CCW_ORB_IDA64
#define MIDAWS	CCW_ORB_MIDA
#define F2_2K	(CCW_ORB_IDA64 | CCW_ORB_IDA2K)

/* Bytes of the device's script for a command, see model_device_next() */
#define ALL		0x00
#define AT_ONCE		0x01
#define BYTES_80	0x32
#define MODIFIER	0x18
#define UNIT_CHECK	0x07

#define PROGRAM		0x1000
#define LISTS		0x3000
#define DATA		0x4000
#define NOWHERE		0x20000

static struct proof p;
static bool failed;
static u32 flags;	/* of the ORB */
static u32 at;		/* the address of the next CCW */

static void __attribute__((format(printf, 2, 3)))
expect(bool holds, const char *format, ...)
{
	va_list args;

	if (holds)
		return;
	failed = true;
	va_start(args, format);
	fputs("# ", stdout);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
}

#define EQUAL(a, b) equal(a, b, #a, __LINE__)

static void equal(long long is, long long wanted, const char *what, int line)
{
	expect(is == wanted, "line %d: %s is %lld, not %lld", line, what, is,
	       wanted);
}

static void ccw(u8 cmd, u8 flag, u16 count, u32 cda)
{
	world_ccw(&p.world, flags & FMT1, at, cmd, flag, count, cda);
	at += 8;
}

static void begin(u32 orb_flags)
{
	/* The length of a NOP is not checked then, as in format 0 */
	flags = orb_flags | CCW_ORB_ILS;
	at = PROGRAM;
}

static void put_idaw(u32 list, unsigned int i, u64 addr)
{
	u8 raw[8] = { addr >> 56, addr >> 48, addr >> 40, addr >> 32,
		      addr >> 24, addr >> 16, addr >> 8, addr };
	unsigned int size = flags & F2 ? 8 : 4;

	world_put(&p.world, list + i * size, raw + 8 - size, size);
}

/* Runs the program on guest and host. The device follows @script */
static void runs_from(u32 cpa, enum model_end end, const char *script,
		      size_t len)
{
	const char *finding;

	/* An invalid CCW overwrites leftovers behind the program */
	ccw(0, 0, 0, 0);
	at -= 8;
	finding = proof_run(&p, flags, cpa, (const u8 *)script, len);
	expect(!finding, "%s", finding);
	expect(!p.err, "error %d: %s", p.err, ccw_cp_why(p.cp));
	if (!p.err)
		expect(p.guest.end == end, "%s, not %s",
		       model_end_names[p.guest.end], model_end_names[end]);
}

static void runs(enum model_end end)
{
	runs_from(PROGRAM, end, "", 0);
}

static void runs_with(enum model_end end, u8 first, u8 second)
{
	char script[] = { first, second };

	runs_from(PROGRAM, end, script, sizeof(script));
}

static void fails_from(u32 cpa, int err)
{
	const char *finding;

	finding = proof_run(&p, flags, cpa, NULL, 0);
	expect(!finding, "%s", finding);
	expect(p.err == err, "error %d, not %d", p.err, err);
	expect(!ccw_cp_guest_cpa(p.cp, 0x10000008), "a CCW address");
	expect(!ccw_cp_uses(p.cp, 0, ~0ULL), "pages in use");
}

static void fails(int err)
{
	fails_from(PROGRAM, err);
}

/* All formats of CCWs and IDAWs */
static const u32 all_forms[] = {
	0, FMT1, F2, F2_2K, FMT1 | F2, FMT1 | F2_2K,
};

static bool begin_form(unsigned int i)
{
	if (i == ARRAY_SIZE(all_forms))
		return false;
	begin(all_forms[i]);
	return true;
}

static void direct_data_goes_both_ways(void)
{
	static const u8 cmds[] = { READ, WRITE, SENSE, 0x07, BACK, 0xe4 };
	unsigned int i, k;

	for (i = 0; begin_form(i); i++)
		for (k = 0; k < ARRAY_SIZE(cmds); k++) {
			at = PROGRAM;
			ccw(cmds[k], 0, 80, DATA + 0x100);
			runs(MODEL_NORMAL);
			EQUAL(p.guest.bytes, 80);
			EQUAL(p.pin_calls, 1);
		}
}

static void unaligned_direct_data_crosses_pages(void)
{
	static const u8 cmds[] = { READ, WRITE, BACK };
	unsigned int i, k;

	for (i = 0; begin_form(i); i++)
		for (k = 0; k < ARRAY_SIZE(cmds); k++) {
			at = PROGRAM;
			ccw(cmds[k], 0, 9001, cmds[k] == BACK ? DATA + 9000
							      : DATA + 0xfff);
			runs(MODEL_NORMAL);
			EQUAL(p.guest.bytes, 9001);
			EQUAL(p.pin_calls, 1);
		}
}

static void idal_is_followed_in_each_format(void)
{
	unsigned int i, k, block;

	for (i = 0; begin_form(i); i++) {
		block = (flags & F2_2K) == F2 ? 4096 : 2048;
		put_idaw(LISTS, 0, DATA + 0x3000 + 0x7f0);
		for (k = 1; k < 4; k++)
			put_idaw(LISTS, k, DATA + 0x3000 - k * block);
		ccw(READ, IDA, 0x10 + (block == 4096 ? 0x800 : 0) + 3 * block,
		    LISTS);
		runs(MODEL_NORMAL);
		EQUAL(p.guest.bytes, 0x10 + (block == 4096 ? 0x800 : 0) +
		      3 * block);
	}
}

static void idal_reaches_above_4_gib(void)
{
	begin(FMT1 | F2);
	put_idaw(LISTS, 0, WORLD_HIGH + 0x1ffc);
	put_idaw(LISTS, 1, WORLD_TOP);
	put_idaw(LISTS, 2, WORLD_HIGH);
	ccw(WRITE, IDA, 8192, LISTS);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.bytes, 8192);
}

static void idal_crosses_pages(void)
{
	unsigned int k;

	begin(FMT1 | F2_2K);
	for (k = 0; k < 8; k++)
		put_idaw(LISTS - 24, k, DATA + (k ^ 3) * 2048);
	ccw(READ, IDA, 8 * 2048, LISTS - 24);
	runs(MODEL_NORMAL);
}

static void idal_ends_with_memory(void)
{
	unsigned int i, size;

	for (i = 0; begin_form(i); i++) {
		size = flags & F2 ? 8 : 4;
		put_idaw(WORLD_LOW_END - size, 0, DATA);
		ccw(READ, IDA, 2048, WORLD_LOW_END - size);
		runs(MODEL_NORMAL);
		/* The data is not aligned, so it needs two IDAWs */
		at = PROGRAM;
		put_idaw(WORLD_LOW_END - 2 * size, 0, DATA + 4095);
		put_idaw(WORLD_LOW_END - size, 1, DATA);
		ccw(READ, IDA, 2048, WORLD_LOW_END - 2 * size);
		runs(MODEL_NORMAL);
	}
}

static void idal_beyond_memory_fails(void)
{
	begin(FMT1 | F2);
	put_idaw(WORLD_LOW_END - 8, 0, DATA + 1);
	ccw(READ, IDA, 4096, WORLD_LOW_END - 8);
	fails(-EINVAL);
	at = PROGRAM;
	ccw(READ, IDA, 1, NOWHERE);
	fails(-EINVAL);
}

static void read_backward_takes_an_idal(void)
{
	begin(FMT1 | F2);
	put_idaw(LISTS, 0, DATA + 0x1010);
	put_idaw(LISTS, 1, DATA + 0x3fff);
	put_idaw(LISTS, 2, DATA + 0x0fff);
	ccw(BACK, IDA, 0x11 + 4096 + 5, LISTS);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.bytes, 0x11 + 4096 + 5);
}

static void misaligned_idal_gives_a_program_check(void)
{
	unsigned int i;

	for (i = 0; begin_form(i); i++) {
		ccw(NOP, CC, 1, 0);
		ccw(READ, IDA, 80, LISTS + 2);
		runs(MODEL_PROGRAM_CHECK);
		EQUAL(p.guest.cpa, PROGRAM + 16);
		EQUAL(p.pinned, 0);
	}
}

static void bad_idaw_gives_a_program_check_where_it_is(void)
{
	begin(FMT1 | F2);
	put_idaw(LISTS, 0, DATA + 0x10);
	put_idaw(LISTS, 1, DATA + 0x2800);
	ccw(READ, IDA | SLI, 8192, LISTS);
	runs(MODEL_PROGRAM_CHECK);
	EQUAL(p.guest.bytes, 4096 - 0x10);
	/* A device that sends less does not reach the bad IDAW */
	runs_with(MODEL_NORMAL, BYTES_80, 0);
	EQUAL(p.guest.bytes, 80);
}

static void idaw_of_format_1_above_2_gib_gives_a_program_check(void)
{
	begin(FMT1);
	put_idaw(LISTS, 0, 0x80000000U | DATA);
	ccw(READ, IDA, 80, LISTS);
	runs(MODEL_PROGRAM_CHECK);
	EQUAL(p.pinned, 0);
}

static void data_chain_inherits_the_command(void)
{
	unsigned int i;

	for (i = 0; begin_form(i); i++) {
		ccw(READ, DC, 100, DATA);
		ccw(WRITE, DC, 100, DATA + 0x2000);
		ccw(0, CC, 100, DATA + 0x4000);
		ccw(WRITE, DC, 7, DATA);
		ccw(READ, 0, 7, WORLD_READONLY);
		runs(MODEL_NORMAL);
		EQUAL(p.guest.bytes, 314);
		EQUAL(p.guest.commands, 2);
	}
}

static void data_chain_goes_through_a_tic(void)
{
	begin(FMT1);
	ccw(READ, DC, 100, DATA);
	ccw(TIC, 0, 0, 0x2000);
	at = 0x2000;
	ccw(0, 0, 100, DATA + 0x2000);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.bytes, 200);
}

static void search_loop_ends_by_status_modifier(void)
{
	char script[] = { ALL, ALL, ALL, MODIFIER, ALL };

	begin(FMT1);
	ccw(SEARCH, CC, 5, DATA);
	ccw(TIC, 0, 0, PROGRAM);
	ccw(READ, 0, 512, DATA + 0x1000);
	runs_from(PROGRAM, MODEL_NORMAL, script, sizeof(script));
	EQUAL(p.guest.commands, 5);
	EQUAL(p.guest.cpa, PROGRAM + 24);
}

static void status_modifier_leads_behind_the_last_ccw(void)
{
	begin(FMT1);
	ccw(SEARCH, CC, 5, DATA);
	ccw(NOP, 0, 1, 0);
	ccw(READ, CC, 512, DATA);
	ccw(READ, 0, 512, DATA + 0x1000);
	runs_with(MODEL_NORMAL, MODIFIER, ALL);
	EQUAL(p.guest.bytes, 5 + 1024);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.bytes, 5);
}

static void what_is_never_reached_does_no_harm(void)
{
	static const u8 junk[][2] = {
		{ READ, CC }, { WRITE, IDA }, { READ, SUSP }, { READ, MIDA },
		{ TIC, 0 }, { 0, 0 }, { 0x18, 0xff }, { BACK, DC },
	};
	unsigned int i, k;

	for (i = 0; begin_form(i); i++)
		for (k = 0; k < ARRAY_SIZE(junk); k++) {
			at = PROGRAM;
			ccw(SEARCH, CC, 5, DATA);
			ccw(NOP, 0, 1, 0);
			ccw(junk[k][0], junk[k][1], junk[k][0] == TIC ? 0 : 80,
			    NOWHERE);
			runs(MODEL_NORMAL);
			EQUAL(p.guest.cpa, PROGRAM + 16);
			/*
			 * If reached, it gives a program check, as in the guest
			 */
			runs_with(MODEL_PROGRAM_CHECK, MODIFIER, ALL);
		}
}

static void optional_data_is_there_as_far_as_it_can_be(void)
{
	begin(FMT1);
	ccw(SEARCH, CC, 5, DATA);
	ccw(TIC, 0, 0, PROGRAM);
	ccw(READ, SLI, 8192, WORLD_LOW_END - 0x1000);
	runs_with(MODEL_PROGRAM_CHECK, MODIFIER, ALL);
	EQUAL(p.guest.bytes, 5 + 4096);
	runs_with(MODEL_NORMAL, MODIFIER, BYTES_80);
}

/* Only searches have a status modifier: these commands never skip a CCW */
static void what_a_program_does_not_name_is_left_alone(void)
{
	static const u8 commands[] = { NOP, READ, 0x04, 0x0f, BACK };
	u32 elsewhere = PROGRAM + 0x1000;
	unsigned int i, k, n;

	for (i = 0; begin_form(i); i++)
		for (k = 0; k < ARRAY_SIZE(commands); k++) {
			at = PROGRAM;
			ccw(commands[k], CC | SLI, 1, DATA);
			ccw(TIC, 0, 0, elsewhere);
			for (n = 0; n < 100; n++)
				ccw(READ, CC, 4096, DATA + 0x1000);
			at = elsewhere;
			ccw(NOP, 0, 1, 0);
			EQUAL(proof_translate(&p, flags, PROGRAM), 0);
			EQUAL(ccw_cp_uses(p.cp, DATA + 0x1000, 4096), false);
			ccw_cp_release(p.cp);
			runs_with(MODEL_NORMAL, MODIFIER, ALL);
			EQUAL(p.guest.cpa, elsewhere + 8);
		}
}

/* A device may give a status modifier where no known one does */
static void chained_data_is_no_command_to_any_device(void)
{
	begin(FMT1);
	ccw(READ, CC, 1, DATA);
	ccw(WRITE, DC, 7, DATA);
	ccw(READ, 0, 7, WORLD_READONLY);
	runs_with(MODEL_NORMAL, MODIFIER, ALL);
}

/* The same CCW: the search leads to it by the TIC, or over that to the chain */
static void chained_data_can_be_a_command_too(void)
{
	begin(FMT1);
	ccw(SEARCH, CC, 5, DATA);
	ccw(TIC, 0, 0, PROGRAM + 24);
	ccw(READ, DC, 7, DATA);
	ccw(READ, 0, 7, DATA + 0x1000);
	runs(MODEL_NORMAL);
	runs_with(MODEL_NORMAL, MODIFIER, ALL);
}

static void search_that_passes_over_a_tic_to_elsewhere_goes_on(void)
{
	begin(FMT1);
	ccw(SEARCH, CC, 5, DATA);
	ccw(TIC, 0, 0, PROGRAM + 0x1000);
	ccw(READ, 0, 512, DATA + 0x1000);
	at = PROGRAM + 0x1000;
	ccw(NOP, 0, 1, 0);
	runs_with(MODEL_NORMAL, MODIFIER, ALL);
	EQUAL(p.guest.cpa, PROGRAM + 24);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.cpa, PROGRAM + 0x1008);
}

static void tic_leads_to_another_part(void)
{
	unsigned int i;

	for (i = 0; begin_form(i); i++) {
		ccw(NOP, CC, 1, 0);
		ccw(TIC, 0, 0, WORLD_ISLAND);
		at = WORLD_ISLAND;
		ccw(READ, CC, 10, DATA);
		ccw(TIC, 0, 0, 0x800);
		at = 0x800;
		ccw(WRITE, 0, 10, DATA);
		runs(MODEL_NORMAL);
		EQUAL(p.guest.cpa, 0x808);
	}
}

static void tic_back_into_the_middle_of_a_part_is_kept(void)
{
	char script[] = { ALL, ALL, ALL, ALL, ALL, ALL, UNIT_CHECK };

	begin(FMT1);
	ccw(NOP, CC, 1, 0);
	ccw(READ, CC, 10, DATA);
	ccw(WRITE, CC, 10, DATA);
	ccw(TIC, 0, 0, PROGRAM + 8);
	runs_from(PROGRAM, MODEL_UNIT_CHECK, script, sizeof(script));
	EQUAL(p.guest.commands, 7);
}

static void parts_that_meet_are_one(void)
{
	begin(FMT1);
	ccw(NOP, CC, 1, 0);
	ccw(TIC, 0, 0, PROGRAM - 16);
	at = PROGRAM - 16;
	ccw(READ, CC, 10, DATA);
	ccw(SEARCH, CC, 10, DATA);
	at = NOWHERE;
	runs(MODEL_RUNNING);
}

static void endless_loop_of_commands_is_the_guests_affair(void)
{
	begin(FMT1);
	ccw(NOP, CC, 1, 0);
	ccw(TIC, 0, 0, PROGRAM);
	runs(MODEL_RUNNING);
}

static void tic_to_itself_fails(void)
{
	begin(FMT1);
	ccw(NOP, CC, 1, 0);
	ccw(TIC, 0, 0, PROGRAM + 8);
	fails(-EINVAL);
}

static void tic_to_a_tic_fails(void)
{
	begin(FMT1);
	ccw(NOP, CC, 1, 0);
	ccw(TIC, 0, 0, 0x2000);
	at = 0x2000;
	ccw(TIC, 0, 0, PROGRAM);
	fails(-EINVAL);
	begin(0);
	ccw(NOP, CC, 1, 0);
	ccw(TIC, 0, 0, PROGRAM + 16);
	ccw(0x48, 0xff, 17, PROGRAM);
	fails(-EINVAL);
}

static void tic_at_the_start_gives_a_program_check(void)
{
	unsigned int i;

	for (i = 0; begin_form(i); i++) {
		ccw(TIC, 0, 0, PROGRAM + 8);
		ccw(NOP, 0, 1, 0);
		runs(MODEL_PROGRAM_CHECK);
		EQUAL(p.guest.cpa, PROGRAM + 8);
	}
}

static void tic_out_of_memory_fails(void)
{
	begin(FMT1);
	ccw(NOP, CC, 1, 0);
	ccw(TIC, 0, 0, NOWHERE);
	fails(-EINVAL);
}

static void malformed_tic_gives_a_program_check(void)
{
	static const struct {
		u8 cmd, flag;
		u16 count;
		u32 cda;
	} tics[] = {
		{ 0x08, 0x40, 0, 0x2000 }, { 0x08, 0, 1, 0x2000 },
		{ 0x18, 0, 0, 0x2000 }, { 0x08, 0, 0, 0x2004 },
		{ 0x08, 0, 0, 0x80002000 },
	};
	unsigned int i;

	begin(FMT1);
	for (i = 0; i < ARRAY_SIZE(tics); i++) {
		at = PROGRAM;
		ccw(NOP, CC, 1, 0);
		ccw(tics[i].cmd, tics[i].flag, tics[i].count, tics[i].cda);
		at = 0x2000;
		ccw(NOP, 0, 1, 0);
		runs(MODEL_PROGRAM_CHECK);
		EQUAL(p.guest.cpa, PROGRAM + 16);
	}
}

static void tic_of_format_0_is_known_by_four_bits(void)
{
	begin(0);
	ccw(NOP, CC, 1, 0);
	ccw(0xf8, 0xff, 0xffff, 0x2000);
	at = 0x2000;
	ccw(NOP, 0, 1, 0);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.commands, 2);
}

static void chains_of_each_length_run(void)
{
	static const unsigned int lengths[] = { 1, 2, 255, 256, 257, 510 };
	unsigned int i, k, n;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < ARRAY_SIZE(lengths); i++) {
			begin(k ? FMT1 : 0);
			for (n = lengths[i]; n > 1; n--)
				ccw(NOP, CC, 1, 0);
			ccw(NOP, 0, 1, 0);
			runs(MODEL_NORMAL);
			EQUAL(p.guest.commands, lengths[i]);
			EQUAL(p.pinned, 0);
		}
	}
}

static void longest_chain_runs_and_one_more_fails(void)
{
	unsigned int n;

	begin(FMT1);
	for (n = 1; n < CCW_CP_MAX_CCWS; n++)
		ccw(NOP, CC, 0, 0);
	ccw(NOP, 0, 0, 0);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.commands, CCW_CP_MAX_CCWS);
	at -= 8;
	ccw(NOP, CC, 0, 0);
	ccw(NOP, 0, 0, 0);
	fails(-EINVAL);
}

static void most_parts_run_and_one_more_fails(void)
{
	unsigned int i, n;

	for (n = CCW_CP_MAX_SEGS; n <= CCW_CP_MAX_SEGS + 1; n++) {
		begin(FMT1);
		for (i = 0; i < n; i++) {
			/* From the last to the first address, out of order */
			at = 0x100 + (i * 37 % (n + 1)) * 0x30;
			ccw(NOP, i == n - 1 ? 0 : CC, 0, 0);
			ccw(TIC, 0, 0, 0x100 + (i + 1) * 37 % (n + 1) * 0x30);
			ccw(0, 0, 0, 0);
			ccw(0, 0, 0, 0);
		}
		if (n == CCW_CP_MAX_SEGS) {
			runs_from(0x100, MODEL_NORMAL, "", 0);
			EQUAL(p.guest.commands, n);
		} else {
			fails_from(0x100, -EINVAL);
		}
	}
}

static void program_may_end_with_memory(void)
{
	static const u32 ends[] = {
		WORLD_LOW_END, WORLD_16M + 0x2000, WORLD_2G + 0x2000,
		WORLD_ISLAND + 0x1000,
	};
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		for (n = 1; n < 4; n++) {
			begin(ends[i] > 1 << 24 ? FMT1 : 0);
			at = ends[i] - n * 8;
			while (at < ends[i] - 8)
				ccw(NOP, CC, 1, 0);
			ccw(READ, 0, 8, DATA);
			runs_from(ends[i] - n * 8, MODEL_NORMAL, "", 0);
			EQUAL(p.guest.commands, n);
		}
	}
}

static void program_across_pages_runs(void)
{
	begin(FMT1);
	at = 0x2000 - 16;
	ccw(NOP, CC, 1, 0);
	ccw(READ, CC, 8, DATA);
	ccw(READ, DC, 8, DATA);
	ccw(READ, 0, 8, DATA + 8);
	runs_from(0x2000 - 16, MODEL_NORMAL, "", 0);
	EQUAL(p.guest.bytes, 24);
}

static void program_that_runs_out_of_memory_fails(void)
{
	begin(FMT1);
	at = WORLD_LOW_END - 8;
	ccw(NOP, CC, 1, 0);
	fails_from(WORLD_LOW_END - 8, -EINVAL);
	at = WORLD_2G + 0x1ff8;
	ccw(NOP, CC, 1, 0);
	fails_from(WORLD_2G + 0x1ff8, -EINVAL);
	fails_from(NOWHERE, -EINVAL);
	begin(0);
	at = WORLD_16M + 0x1ff8;
	ccw(NOP, CC, 1, 0);
	fails_from(WORLD_16M + 0x1ff8, -EINVAL);
}

static void data_beyond_the_limit_gives_a_program_check(void)
{
	begin(0);
	ccw(READ, 0, 80, WORLD_16M + 0x1ff0);
	runs(MODEL_PROGRAM_CHECK);
	EQUAL(p.guest.bytes, 16);
	begin(FMT1);
	ccw(READ, 0, 80, WORLD_2G + 0x1ff0);
	runs(MODEL_PROGRAM_CHECK);
	EQUAL(p.guest.bytes, 16);
	at = PROGRAM;
	ccw(READ, 0, 80, 0x80000000U | DATA);
	runs(MODEL_PROGRAM_CHECK);
	at = PROGRAM;
	ccw(BACK, 0, 80, 9);
	runs(MODEL_PROGRAM_CHECK);
	EQUAL(p.guest.bytes, 10);
}

static void count_of_0_needs_no_memory_in_format_1(void)
{
	static const u8 cmds[] = { READ, WRITE, SENSE, NOP, BACK, 0x07 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		begin(FMT1);
		ccw(cmds[i], CC, 0, NOWHERE);
		ccw(cmds[i], IDA, 0, NOWHERE + 1);
		runs(MODEL_NORMAL);
		EQUAL(p.pinned, 0);
		EQUAL(p.guest.commands, 2);
	}
}

static void count_of_0_gives_a_program_check_in_format_0(void)
{
	begin(0);
	ccw(NOP, CC, 1, 0);
	ccw(NOP, 0, 0, 0);
	runs(MODEL_PROGRAM_CHECK);
	EQUAL(p.guest.cpa, PROGRAM + 16);
}

static void count_of_0_gives_a_program_check_in_data_chains(void)
{
	begin(FMT1);
	ccw(READ, DC, 0, DATA);
	ccw(READ, 0, 1, DATA);
	runs(MODEL_PROGRAM_CHECK);
	EQUAL(p.guest.bytes, 0);
	at = PROGRAM;
	ccw(READ, DC, 5, DATA);
	ccw(READ, 0, 0, DATA);
	runs(MODEL_PROGRAM_CHECK);
	EQUAL(p.guest.bytes, 5);
}

static void nop_needs_no_memory(void)
{
	unsigned int i;

	for (i = 0; begin_form(i); i++) {
		ccw(NOP, CC, 65535, NOWHERE);
		ccw(NOP, IDA | DC, 80, NOWHERE + 1);
		runs(MODEL_NORMAL);
		EQUAL(p.pinned, 0);
	}
}

static void skipped_input_needs_no_memory(void)
{
	static const u8 cmds[] = { READ, SENSE, BACK };
	unsigned int i, k;

	for (i = 0; begin_form(i); i++)
		for (k = 0; k < ARRAY_SIZE(cmds); k++) {
			at = PROGRAM;
			ccw(cmds[k], SKIP | CC, 65535, NOWHERE);
			ccw(cmds[k], SKIP | IDA | DC, 80, NOWHERE);
			ccw(cmds[k], 0, 80, DATA + 80);
			runs(MODEL_NORMAL);
			EQUAL(p.guest.bytes, 80);
			EQUAL(p.pinned, 1);
		}
}

static void skip_means_nothing_to_output(void)
{
	begin(FMT1);
	ccw(WRITE, SKIP, 80, DATA);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.bytes, 80);
	at = PROGRAM;
	ccw(WRITE, SKIP, 80, NOWHERE);
	fails(-EINVAL);
}

static void flags_go_to_the_channel(void)
{
	const u8 *host;

	begin(FMT1);
	ccw(READ, CC | SLI, 80, DATA);
	ccw(NOP, CC | PCI, 0, 0);
	ccw(READ, SKIP | SLI | PCI, 80, DATA);
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	host = shim_dma(p.start.cpa, 24);
	EQUAL(host[1], CC | SLI | IDA);
	EQUAL(host[9], CC | PCI);
	EQUAL(host[17], SKIP | SLI | PCI | IDA);
	ccw_cp_release(p.cp);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.interrupts, 2);
	runs_with(MODEL_NORMAL, BYTES_80, ALL);
}

static void wrong_length_ends_the_chain(void)
{
	begin(FMT1);
	ccw(READ, CC, 100, DATA);
	ccw(NOP, 0, 0, 0);
	runs_with(MODEL_LENGTH, BYTES_80, ALL);
	EQUAL(p.guest.residual, 20);
}

static void invalid_command_gives_a_program_check(void)
{
	static const u8 cmds[] = { 0x00, 0x10, 0xf0 };
	unsigned int i, k;

	for (i = 0; begin_form(i); i++)
		for (k = 0; k < ARRAY_SIZE(cmds); k++) {
			at = PROGRAM;
			ccw(READ, CC, 1, DATA);
			ccw(cmds[k], CC, 1, NOWHERE);
			runs(MODEL_PROGRAM_CHECK);
			EQUAL(p.guest.cpa, PROGRAM + 16);
			EQUAL(p.guest.commands, 1);
		}
}

static void suspend_flag_is_not_supported(void)
{
	begin(FMT1);
	ccw(NOP, CC, 0, 0);
	ccw(NOP, SUSP, 0, 0);
	fails(-EOPNOTSUPP);
	expect(!!strstr(ccw_cp_why(p.cp), "suspend"), "%s", ccw_cp_why(p.cp));
}

static void midaws_are_not_supported(void)
{
	unsigned int i;

	for (i = 0; begin_form(i); i++) {
		ccw(READ, MIDA, 80, LISTS);
		fails(-EOPNOTSUPP);
		expect(!!strstr(ccw_cp_why(p.cp), "MIDA"), "%s",
		       ccw_cp_why(p.cp));
	}
}

static void unmapped_data_fails(void)
{
	unsigned int i;

	for (i = 0; begin_form(i); i++) {
		ccw(READ, CC, 80, DATA);
		ccw(READ, 0, 80, NOWHERE);
		fails(-EINVAL);
		/* Only the second page is not mapped */
		at = PROGRAM;
		ccw(READ, CC, 80, DATA);
		ccw(WRITE, 0, 8192, WORLD_LOW_END - 0x1000);
		fails(-EINVAL);
		at = PROGRAM;
		put_idaw(LISTS, 0, DATA);
		put_idaw(LISTS, 1, NOWHERE);
		ccw(WRITE, IDA, 4097, LISTS);
		put_idaw(LISTS, 2, DATA);
		fails(-EINVAL);
	}
}

static void read_only_memory_can_be_sent_only(void)
{
	begin(FMT1);
	ccw(WRITE, 0, 80, WORLD_READONLY);
	runs(MODEL_NORMAL);
	at = PROGRAM;
	ccw(READ, 0, 80, WORLD_READONLY);
	fails(-EINVAL);
	at = PROGRAM;
	ccw(READ, DC, 80, DATA);
	ccw(WRITE, 0, 80, WORLD_READONLY);
	fails(-EINVAL);
}

static void data_both_upwards_and_downwards_fails(void)
{
	begin(FMT1);
	ccw(READ, DC, 80, DATA);
	ccw(0x02, CC, 80, DATA + 0x100);
	ccw(BACK, DC, 80, DATA + 0x100);
	ccw(TIC, 0, 0, PROGRAM + 8);
	fails(-EINVAL);
}

static void scsw_address_is_the_guests(void)
{
	const u32 island = WORLD_ISLAND;
	unsigned int n;
	u32 i;

	begin(FMT1);
	for (i = 0; i < 4; i++)
		ccw(NOP, CC, 0, 0);
	ccw(TIC, 0, 0, island);
	ccw(0, 0, 0, 0);
	at = island;
	ccw(NOP, CC, 0, 0);
	ccw(NOP, 0, 0, 0);
	ccw(0, 0, 0, 0);
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	peek_host_ccws(p.cp, &n);
	/* Each CCW, and 8 bytes behind the last CCW of each part */
	for (i = 0; i <= 6; i++)
		EQUAL(ccw_cp_guest_cpa(p.cp, p.start.cpa + i * 8),
		      PROGRAM + i * 8);
	/* No CCW follows the TIC */
	for (i = 0; i <= 3; i++)
		EQUAL(ccw_cp_guest_cpa(p.cp, p.start.cpa + (8 + i) * 8),
		      island + i * 8);
	EQUAL(ccw_cp_guest_cpa(p.cp, p.start.cpa - 8), 0);
	EQUAL(ccw_cp_guest_cpa(p.cp, p.start.cpa + 1), 0);
	EQUAL(ccw_cp_guest_cpa(p.cp, p.start.cpa + n * 8), 0);
	EQUAL(ccw_cp_guest_cpa(p.cp, PROGRAM), 0);
	/* Late status needs the address after the release */
	ccw_cp_release(p.cp);
	EQUAL(ccw_cp_guest_cpa(p.cp, p.start.cpa + 8), PROGRAM + 8);
}

static void scsw_address_is_0_before_any_program(void)
{
	EQUAL(ccw_cp_guest_cpa(p.cp, 0), 0);
	EQUAL(ccw_cp_guest_cpa(p.cp, 0x10000000), 0);
}

static void ranges_in_use_are_known(void)
{
	begin(FMT1 | F2);
	put_idaw(LISTS, 0, DATA);
	put_idaw(LISTS, 1, WORLD_TOP);
	ccw(READ, IDA, 8192, LISTS);
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	EQUAL(ccw_cp_uses(p.cp, DATA, 4096), true);
	EQUAL(ccw_cp_uses(p.cp, DATA - 4096, 4096), false);
	EQUAL(ccw_cp_uses(p.cp, DATA + 4096, 4096), false);
	EQUAL(ccw_cp_uses(p.cp, DATA - 4096, 3 * 4096), true);
	EQUAL(ccw_cp_uses(p.cp, 0, ~0ULL), true);
	EQUAL(ccw_cp_uses(p.cp, WORLD_TOP, 4096), true);
	EQUAL(ccw_cp_uses(p.cp, WORLD_TOP, ~0ULL), true);
	EQUAL(ccw_cp_uses(p.cp, WORLD_TOP - 4096, 4096), false);
	EQUAL(ccw_cp_uses(p.cp, DATA, 0), false);
	/* The program's own memory is not in use: the program was copied */
	EQUAL(ccw_cp_uses(p.cp, PROGRAM, 4096), false);
	EQUAL(ccw_cp_uses(p.cp, LISTS, 4096), false);
	ccw_cp_release(p.cp);
	EQUAL(ccw_cp_uses(p.cp, 0, ~0ULL), false);
}

static unsigned int times_kept(u64 guest)
{
	const u8 *at = world_at(&p.world, guest);
	unsigned int i;

	for (i = 0; i < WORLD_PAGES; i++)
		if (p.world.pages[i].mem == at)
			return p.world.pages[i].kept;
	return 0;
}

/* Each pinned page is kept once for each pin, and no other page is */
static void pages_of_a_program_that_runs_for_ever_are_kept(void)
{
	begin(FMT1 | F2);
	ccw_cp_keep(p.cp);
	ccw(SEARCH, CC, 5, DATA);
	ccw(READ, 0, 8192, DATA + 2 * 4096);
	/* Only a status modifier leads here: consecutive pages with a hole */
	ccw(READ, 0, 8192, WORLD_LOW_END - 4096);
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	EQUAL(times_kept(DATA), 0);
	ccw_cp_keep(p.cp);
	ccw_cp_release(p.cp);
	EQUAL(times_kept(DATA), 1);
	EQUAL(times_kept(DATA + 2 * 4096), 1);
	EQUAL(times_kept(DATA + 3 * 4096), 1);
	EQUAL(times_kept(WORLD_LOW_END - 4096), 1);
	EQUAL(times_kept(PROGRAM), 0);
	EQUAL(times_kept(LISTS), 0);
	/* No pages are pinned, so none is kept */
	ccw_cp_keep(p.cp);
	EQUAL(times_kept(DATA), 1);
}

static void release_can_be_repeated(void)
{
	unsigned int before;

	ccw_cp_release(p.cp);
	begin(FMT1);
	ccw(READ, 0, 8192, DATA);
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	EQUAL(p.world.pinned, 2);
	ccw_cp_release(p.cp);
	EQUAL(p.world.pinned, 0);
	before = p.world.unpin_calls;
	ccw_cp_release(p.cp);
	EQUAL(p.world.unpin_calls, before);
	/* The next translation and ccw_cp_free() release the pages, too */
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	EQUAL(p.world.pinned, 2);
	ccw_cp_free(p.cp);
	EQUAL(p.world.pinned, 0);
	p.cp = ccw_cp_alloc(&world_ops, &p.world);
}

static void consecutive_pages_are_pinned_in_one_call(void)
{
	unsigned int i;

	begin(FMT1 | F2);
	for (i = 0; i < 8; i++)
		ccw(READ, i == 7 ? 0 : CC, 4096, DATA + i * 4096);
	runs(MODEL_NORMAL);
	EQUAL(p.pin_calls, 1);
	EQUAL(p.pinned, 8);
	/* Consecutive uses of the same page, too */
	begin(FMT1);
	for (i = 0; i < 8; i++)
		ccw(WRITE, i == 7 ? 0 : CC, 1000, DATA + i * 1000);
	runs(MODEL_NORMAL);
	EQUAL(p.pin_calls, 1);
	EQUAL(p.pinned, 2);
	/* Not for reads and writes together, and not with a page in between */
	begin(FMT1);
	ccw(WRITE, CC, 4096, DATA);
	ccw(READ, CC, 4096, DATA + 4096);
	ccw(READ, 0, 4096, DATA + 3 * 4096);
	runs(MODEL_NORMAL);
	EQUAL(p.pin_calls, 3);
}

/* A guest that changes memory after it was read */
static void rewrite(struct world *world, u64 addr, size_t len)
{
	(void)len;
	if (addr < LISTS)
		world_ccw(world, true, PROGRAM, WRITE, 0, 1, NOWHERE);
	memset(world_at(world, LISTS), 0xff, 16);
	memset(world_at(world, PROGRAM + 8), 0xff, 64);
}

static void what_was_read_once_counts(void)
{
	const u8 *host;

	begin(FMT1 | F2);
	ccw(READ, CC, 80, DATA);
	ccw(READ, 0, 80, DATA);
	ccw(0, 0, 0, 0);
	p.world.interfere = rewrite;
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	host = shim_dma(p.start.cpa, 24);
	EQUAL(host[0], READ);
	EQUAL(host[8], READ);
	EQUAL(p.pinned, 1);
	EQUAL(p.world.reads, 1);
	ccw_cp_release(p.cp);

	/* The list is read once, too, at the CCW's address */
	p.world.interfere = NULL;
	begin(FMT1 | F2);
	ccw(READ, IDA, 8192, 0x2000);
	ccw(0, 0, 0, 0);
	put_idaw(0x2000, 0, DATA + 8);
	put_idaw(0x2000, 1, DATA + 0x1000);
	put_idaw(0x2000, 2, DATA + 0x2000);
	p.world.reads = 0;
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	/* The program; two IDAWs; the third, once the first shows the need */
	EQUAL(p.world.reads, 3);
	EQUAL(p.pinned, 3);
	ccw_cp_release(p.cp);
}

static void program_is_read_by_the_page(void)
{
	unsigned int n;

	begin(FMT1);
	for (n = 1; n < 128; n++)
		ccw(NOP, CC, 0, 0);
	ccw(NOP, 0, 0, 0);
	ccw(0, 0, 0, 0);
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	EQUAL(p.world.reads, 1);
	EQUAL(p.pin_calls, 0);
}

static void biggest_program(void)
{
	unsigned int n;

	begin(FMT1);
	for (n = 1; n < CCW_CP_MAX_CCWS; n++)
		ccw(WRITE, CC, 30000, DATA + 0x7ff);
	ccw(WRITE, 0, 30000, DATA + 0x7ff);
}

static void memory_is_taken_once_only(void)
{
	unsigned int before;

	biggest_program();
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	before = shim_allocs;
	EQUAL(proof_translate(&p, flags, PROGRAM), 0);
	ccw_cp_release(p.cp);
	begin(FMT1 | F2);
	ccw(READ, CC, 4096, DATA);
	ccw(READ, 0, 32768, DATA);
	runs(MODEL_NORMAL);
	EQUAL(shim_allocs, before);
}

/* A boot loader does this: it reads its next CCWs */
static void program_that_reads_over_itself_is_refused_by_name(void)
{
	static const struct {
		u8 cmd, flag;
		u16 count;
		u32 data;
		bool fails;
	} reads[] = {
		{ READ, 0, 16, PROGRAM + 16, true },
		{ READ, 0, 1, PROGRAM + 23, true },
		{ READ, 0, 64, PROGRAM + 24, false },
		{ READ, 0, 16, PROGRAM - 16, false },
		{ READ, 0, 17, PROGRAM - 16, true },
		{ READ, SKIP, 16, PROGRAM + 16, false },
		{ WRITE, 0, 16, PROGRAM + 16, false },
		{ BACK, 0, 16, PROGRAM + 24, true },
		{ BACK, 0, 16, PROGRAM + 39, false },
		/* The list of the last CCW */
		{ READ, 0, 5, LISTS + 3, true },
		{ READ, 0, 16, LISTS + 4, false },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(reads); i++) {
		begin(FMT1);
		put_idaw(LISTS, 0, DATA);
		ccw(reads[i].cmd, reads[i].flag | CC, reads[i].count,
		    reads[i].data);
		ccw(NOP, CC, 1, 0);
		ccw(READ, IDA, 80, LISTS);
		if (reads[i].fails) {
			fails(-EOPNOTSUPP);
			expect(!!strstr(ccw_cp_why(p.cp), "prefetch"),
			       "the reason is: %s", ccw_cp_why(p.cp));
			flags |= CCW_ORB_PREFETCH;
		}
		runs(MODEL_NORMAL);
	}
}

static void longest_run_takes_several_calls(void)
{
	unsigned int i;

	begin(FMT1);
	for (i = 0; i < 40; i++)
		ccw(READ, i < 39 ? CC : 0, 0xf000, WORLD_LONG + i * 0xf000);
	runs(MODEL_RUNNING);
	EQUAL(p.pinned, 600);
	EQUAL(p.pin_calls, 2);
	/* The data of one CCW is not split: 34 CCWs with 15 pages each fit */
	EQUAL(p.world.largest_pin, 510);
}

static void limit_of_locked_memory_ends_it_at_once(void)
{
	unsigned int i, k;

	begin(FMT1);
	put_idaw(LISTS, 0, DATA);
	put_idaw(LISTS, 1, DATA + 0x2000);
	put_idaw(LISTS, 2, DATA + 0x4000);
	put_idaw(LISTS, 3, DATA + 0x5000);
	ccw(READ, IDA, 0x2000, LISTS);
	/* Three runs of pages. None of them is tried again page by page */
	for (i = 1; i <= 3; i++) {
		k = p.world.pin_calls;
		p.world.short_at = i;
		fails(-ENOMEM);
		EQUAL(p.world.pin_calls - k, i - 1);
		expect(!!strstr(ccw_cp_why(p.cp), "RLIMIT_MEMLOCK"),
		       "the reason is: %s", ccw_cp_why(p.cp));
		p.world.is_short = false;
	}
	p.world.short_at = 0;
	runs(MODEL_NORMAL);
}

/* Other pages would fail in the same way, and the holder tries again */
static void memory_that_goes_away_ends_it_at_once(void)
{
	begin(FMT1);
	ccw(READ, CC, 0x2000, DATA);
	ccw(READ, 0, 0x2000, DATA + 0x4000);
	p.world.short_error = -EINTR;
	p.world.short_at = 2;
	EQUAL(proof_translate(&p, flags, PROGRAM), -EINTR);
	EQUAL(p.world.pinned, 0);
	expect(!!strstr(ccw_cp_why(p.cp), "unmapped"), "the reason is: %s",
	       ccw_cp_why(p.cp));
	p.world.short_error = 0;
	p.world.short_at = 0;
	p.world.is_short = false;
	runs(MODEL_NORMAL);
}

static void short_memory_is_told_and_leaves_nothing(void)
{
	struct ccw_cp *cp = p.cp;
	unsigned int at_alloc;
	int err = -ENOMEM;

	ccw_cp_free(cp);
	EQUAL(shim_live, 0);
	biggest_program();
	for (at_alloc = 1; err && at_alloc < 100; at_alloc++) {
		shim_fail_at = at_alloc;
		p.cp = ccw_cp_alloc(&world_ops, &p.world);
		if (!p.cp) {
			EQUAL(shim_live, 0);
			continue;
		}
		err = proof_translate(&p, flags, PROGRAM);
		if (err) {
			EQUAL(err, -ENOMEM);
			EQUAL(p.world.pinned, 0);
			EQUAL(ccw_cp_uses(p.cp, 0, ~0ULL), false);
			/* The next translation has enough memory */
			EQUAL(proof_translate(&p, flags, PROGRAM), 0);
		}
		ccw_cp_free(p.cp);
		EQUAL(shim_live, 0);
		EQUAL(p.world.pinned, 0);
	}
	expect(at_alloc > 12, "only %u allocations", at_alloc);
	shim_fail_at = 0;
	p.cp = ccw_cp_alloc(&world_ops, &p.world);
}

/*
 * The table in the documentation: the treatment of each bit of the ORB's 3
 * words, for a format-1 program with direct data.
 */
enum fate { PASSED, USED, UNSUPPORTED, WRONG };

static enum fate fate_of_word_1(unsigned int bit)
{
	switch (bit) {
	case 0 ... 3:		/* key */
	case 5 ... 7:		/* streaming, modification, synchronization */
	case 9 ... 10:		/* prefetch, initial status */
	case 12:		/* suppress suspended interruption */
	case 16 ... 25:		/* paths, length suppression, MIDAWs */
		return PASSED;
	case 8:			/* format */
	case 14 ... 15:		/* format-2 IDAWs, of 2 KiB */
		return USED;
	case 4:			/* suspend */
	case 11:		/* address limit */
	case 13:		/* transport mode */
	case 31:		/* extension */
		return UNSUPPORTED;
	}
	return WRONG;
}

static void each_orb_bit_has_its_fate(void)
{
	unsigned int bit;
	u32 mask;
	int err;

	begin(FMT1 | CCW_ORB_LPM);
	ccw(NOP, 0, 1, 0);
	EQUAL(proof_translate(&p, FMT1, PROGRAM), 0);
	EQUAL(p.start.flags, FMT1 | F2);

	for (bit = 0; bit < 32; bit++) {
		mask = 1U << (31 - bit);
		err = proof_translate(&p, FMT1 | mask, PROGRAM);
		switch (fate_of_word_1(bit)) {
		case PASSED:
			expect(!err && p.start.flags == (FMT1 | F2 | mask),
			       "bit %u: error %d, flags %#x", bit, err,
			       p.start.flags);
			break;
		case USED:
			expect(!err, "bit %u: error %d", bit, err);
			break;
		case UNSUPPORTED:
			expect(err == -EOPNOTSUPP, "bit %u: error %d", bit,
			       err);
			break;
		case WRONG:
			expect(err == -EINVAL, "bit %u: error %d", bit, err);
			break;
		}
	}

	/* The host's program always has format 1 and format-2 IDAWs */
	EQUAL(proof_translate(&p, FMT1 | F2, PROGRAM), 0);
	EQUAL(p.start.flags, FMT1 | F2);
	EQUAL(proof_translate(&p, FMT1 | F2_2K, PROGRAM), 0);
	EQUAL(p.start.flags, FMT1 | F2);
	begin(0);
	ccw(NOP, 0, 1, 0);
	EQUAL(proof_translate(&p, 0, PROGRAM), 0);
	EQUAL(p.start.flags, FMT1 | F2 | CCW_ORB_ILS);
}

static void idaws_are_as_small_as_a_list_has_them(void)
{
	unsigned int i;
	u32 small;

	for (i = 0; begin_form(i); i++) {
		small = (flags & F2_2K) == F2 ? 0 : CCW_ORB_IDA2K;
		put_idaw(LISTS, 0, DATA);
		ccw(READ, CC, 8192, DATA + 0x7ff);
		ccw(READ, IDA, 80, LISTS);
		runs(MODEL_NORMAL);
		EQUAL(p.start.flags & CCW_ORB_IDA2K, small);
		/* Skipped data has no list */
		at -= 8;
		ccw(READ, IDA | SKIP, 80, LISTS);
		runs(MODEL_NORMAL);
		EQUAL(p.start.flags & CCW_ORB_IDA2K, 0);
	}
}

/* The pin call of one CCW includes pages of the next CCWs */
static void pages_of_neighbours_are_pinned_by_one_call(void)
{
	unsigned int i, k;

	for (i = 0; begin_form(i); i++) {
		for (k = 0; k < 4; k++)
			ccw(READ, CC, 4096, DATA + k * 4096);
		ccw(READ, CC, 4097, DATA + 0x3fff);
		ccw(BACK, CC, 4097, DATA + 0x3000);
		ccw(READ, 0, 8192, DATA + 0x800);
		runs(MODEL_NORMAL);
		EQUAL(p.pin_calls, 1);
		EQUAL(p.pinned, 5);
	}
	/* Pages to read and pages to write are pinned by separate calls */
	begin(FMT1);
	ccw(READ, CC, 4096, DATA);
	ccw(WRITE, CC, 4096, DATA + 0x1000);
	ccw(READ, CC, 4096, DATA + 0x2000);
	ccw(READ, 0, 4096, DATA);
	runs(MODEL_NORMAL);
	EQUAL(p.pin_calls, 4);
}

static void each_bit_of_the_program_address_counts(void)
{
	unsigned int bit;
	u32 mask;

	begin(FMT1);
	at = 0;
	ccw(NOP, 0, 1, 0);
	for (bit = 0; bit < 32; bit++) {
		mask = 1U << (31 - bit);
		if (world_at(&p.world, mask) && bit && bit < 29) {
			at = mask;
			ccw(NOP, 0, 1, 0);
			EQUAL(proof_translate(&p, FMT1, mask), 0);
		} else {
			EQUAL(proof_translate(&p, FMT1, mask), -EINVAL);
		}
		if (bit < 8)
			EQUAL(proof_translate(&p, 0, mask), -EINVAL);
	}
}

static void interruption_parameter_is_left_alone(void)
{
	__be32 orb[] = { 0, cpu_to_be32(FMT1), cpu_to_be32(PROGRAM) };
	struct ccw_cp_start start;
	unsigned int bit;

	begin(FMT1);
	ccw(NOP, 0, 1, 0);
	for (bit = 0; bit < 32; bit++) {
		orb[0] = cpu_to_be32(1U << bit);
		EQUAL(ccw_cp_translate(p.cp, orb, &start), 0);
		EQUAL(start.flags, FMT1 | F2);
	}
}

#define LAST		0x80
#define SKIP_MIDAW	0x40

static void put_midaw(u32 list, unsigned int i, u8 flag, u16 count, u64 addr)
{
	u8 raw[16] = { 0, 0, 0, 0, 0, flag, count >> 8, count,
		       addr >> 56, addr >> 48, addr >> 40, addr >> 32,
		       addr >> 24, addr >> 16, addr >> 8, addr };

	world_put(&p.world, list + i * 16, raw, sizeof(raw));
}

static void midaws_are_followed_in_both_formats(void)
{
	static const u8 cmds[] = { READ, WRITE, SENSE, 0x07 };
	unsigned int i, k;

	for (i = 0; begin_form(i); i++)
		for (k = 0; k < ARRAY_SIZE(cmds); k++) {
			at = PROGRAM;
			flags |= MIDAWS;
			put_midaw(LISTS, 0, 0, 100, DATA + 0xf9c);
			put_midaw(LISTS, 1, 0, 4096, WORLD_HIGH + 0x1000);
			put_midaw(LISTS, 2, 0, 1, DATA + 7);
			put_midaw(LISTS, 3, LAST, 3000, DATA + 0x3010);
			ccw(cmds[k], MIDA, 100 + 4096 + 1 + 3000, LISTS);
			runs(MODEL_NORMAL);
			EQUAL(p.guest.bytes, 7197);
			EQUAL(p.pinned, 4);
			/* The same, if the device wants less */
			runs_with(MODEL_LENGTH, BYTES_80, 0);
			EQUAL(p.guest.bytes, 80);
		}
}

static void midaws_need_no_last_one(void)
{
	begin(FMT1 | MIDAWS);
	put_midaw(LISTS, 0, 0, 100, DATA);
	put_midaw(LISTS, 1, 0, 100, DATA + 0x2000);
	put_midaw(LISTS, 2, 0xff, 0, NOWHERE);
	ccw(READ, MIDA, 200, LISTS);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.bytes, 200);
}

static void midaws_skip_input(void)
{
	begin(FMT1 | MIDAWS);
	put_midaw(LISTS, 0, 0, 80, DATA);
	put_midaw(LISTS, 1, SKIP_MIDAW, 20000, NOWHERE + 4000);
	put_midaw(LISTS, 2, LAST, 80, DATA + 0x1000);
	ccw(READ, MIDA, 20160, LISTS);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.bytes, 20160);
	EQUAL(p.pinned, 2);
	/* The device would get unknown data */
	at = PROGRAM;
	ccw(WRITE, MIDA, 20160, LISTS);
	fails(-EOPNOTSUPP);
	expect(!!strstr(ccw_cp_why(p.cp), "skip output"), "%s",
	       ccw_cp_why(p.cp));
}

static void midaws_go_backward(void)
{
	begin(FMT1 | MIDAWS);
	put_midaw(LISTS, 0, 0, 0x11, DATA + 0x1010);
	put_midaw(LISTS, 1, LAST, 4096, DATA + 0x3fff);
	ccw(BACK, MIDA, 0x11 + 4096, LISTS);
	runs(MODEL_NORMAL);
	EQUAL(p.guest.bytes, 0x11 + 4096);
}

/*
 * No data is chained behind a bad first MIDAW. The next CCW is reached only by
 * a status modifier, as a command
 */
static void bad_first_midaw_leads_to_nothing(void)
{
	begin(FMT1 | MIDAWS);
	put_midaw(LISTS, 0, 0, 0, DATA);
	put_midaw(LISTS, 1, LAST, 8, DATA);
	ccw(SEARCH, CC, 5, DATA);
	ccw(BACK, DC | MIDA, 8, LISTS);
	ccw(WRITE, MIDA, 8, LISTS + 16);
	runs_with(MODEL_NORMAL, MODIFIER, ALL);
	EQUAL(p.guest.commands, 2);
	runs(MODEL_PROGRAM_CHECK);
	EQUAL(p.guest.cpa, PROGRAM + 16);
}

/* The data before the bad MIDAW is moved, then the program check comes */
static void bad_midaw_gives_a_program_check_where_it_is(void)
{
	static const struct {
		u8 flag;
		u16 count;
		u64 addr;
	} bad[] = {
		{ LAST, 0, DATA },		/* a count of 0 */
		{ LAST, 100, DATA + 0xfff },	/* leaves its page */
		{ LAST, 101, DATA },		/* more than the CCW's count */
		{ LAST, 99, DATA },		/* the last one, less than the count */
		{ 0x10, 100, DATA },		/* reserved bits */
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		begin(FMT1 | MIDAWS);
		put_midaw(LISTS, 0, 0, 100, DATA + 0x2000);
		put_midaw(LISTS, 1, bad[i].flag, bad[i].count, bad[i].addr);
		put_midaw(LISTS, 2, LAST, 1, DATA);
		ccw(READ, MIDA, 200, LISTS);
		runs(MODEL_PROGRAM_CHECK);
		EQUAL(p.guest.bytes, bad[i].count == 99 ? 199 : 100);
		runs_with(MODEL_LENGTH, BYTES_80, 0);
	}
	begin(FMT1 | MIDAWS);
	ccw(READ, MIDA, 200, LISTS + 8);
	runs(MODEL_PROGRAM_CHECK);
	EQUAL(p.pinned, 0);
}

static void midaws_end_with_their_page(void)
{
	unsigned int i;

	begin(FMT1 | MIDAWS);
	put_midaw(LISTS - 16, 0, 0, 100, DATA);
	put_midaw(LISTS, 0, LAST, 100, DATA);
	ccw(READ, MIDA, 200, LISTS - 16);
	runs(MODEL_PROGRAM_CHECK);
	EQUAL(p.guest.bytes, 100);
	/* The MIDAWs fill a page; one more does not fit */
	at = PROGRAM;
	for (i = 0; i < 256; i++)
		put_midaw(LISTS, i, 0, 16, DATA + 0x1000 + i * 16);
	ccw(READ, MIDA, 4096, LISTS);
	runs(MODEL_NORMAL);
	EQUAL(p.pin_calls, 1);
	at = PROGRAM;
	ccw(READ, MIDA, 4097, LISTS);
	fails(-EINVAL);
	expect(!!strstr(ccw_cp_why(p.cp), "leaves its page"), "%s",
	       ccw_cp_why(p.cp));
}

static void midaws_to_nowhere_fail(void)
{
	begin(FMT1 | MIDAWS);
	put_midaw(LISTS, 0, LAST, 100, NOWHERE);
	ccw(READ, MIDA, 100, LISTS);
	fails(-EINVAL);
	at = PROGRAM;
	ccw(READ, MIDA, 100, NOWHERE);
	fails(-EINVAL);
	at = PROGRAM;
	put_midaw(LISTS, 0, LAST, 100, WORLD_READONLY);
	ccw(READ, MIDA, 100, LISTS);
	fails(-EINVAL);
	at = PROGRAM;
	ccw(WRITE, MIDA, 100, LISTS);
	runs(MODEL_NORMAL);
}

static void midaws_are_for_what_has_data(void)
{
	begin(FMT1 | MIDAWS);
	ccw(NOP, MIDA | CC, 100, NOWHERE);
	ccw(READ, MIDA, 0, NOWHERE);
	runs(MODEL_NORMAL);
	at = PROGRAM;
	ccw(READ, MIDA | SKIP, 100, LISTS);
	fails(-EOPNOTSUPP);
	at = PROGRAM;
	ccw(READ, MIDA | IDA, 100, LISTS);
	fails(-EOPNOTSUPP);
}

static void too_many_midaws_fail(void)
{
	unsigned int i, n;

	begin(FMT1 | MIDAWS);
	for (i = 0; i < 256; i++)
		put_midaw(LISTS, i, 0, 1, DATA);
	for (n = 35; n <= 36; n++) {
		at = PROGRAM;
		for (i = 0; i < n; i++)
			ccw(READ, i < n - 1 ? MIDA | CC : MIDA, 256, LISTS);
		if (n == 35)
			runs(MODEL_NORMAL);
	}
	fails(-EINVAL);
	expect(!!strstr(ccw_cp_why(p.cp), "too many MIDAWs"), "%s",
	       ccw_cp_why(p.cp));
}

static void program_that_reads_over_its_midaws_needs_prefetching(void)
{
	begin(FMT1 | MIDAWS);
	put_midaw(LISTS, 0, LAST, 100, LISTS + 15);
	ccw(READ, MIDA, 100, LISTS);
	fails(-EOPNOTSUPP);
	put_midaw(LISTS, 0, LAST, 100, LISTS + 16);
	runs(MODEL_NORMAL);
}

static void freeing_nothing_is_fine(void)
{
	ccw_cp_free(NULL);
}

#define TEST(name) { #name, name }

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	TEST(direct_data_goes_both_ways),
	TEST(unaligned_direct_data_crosses_pages),
	TEST(idal_is_followed_in_each_format),
	TEST(idal_reaches_above_4_gib),
	TEST(idal_crosses_pages),
	TEST(idal_ends_with_memory),
	TEST(idal_beyond_memory_fails),
	TEST(read_backward_takes_an_idal),
	TEST(misaligned_idal_gives_a_program_check),
	TEST(bad_idaw_gives_a_program_check_where_it_is),
	TEST(idaw_of_format_1_above_2_gib_gives_a_program_check),
	TEST(data_chain_inherits_the_command),
	TEST(data_chain_goes_through_a_tic),
	TEST(search_loop_ends_by_status_modifier),
	TEST(status_modifier_leads_behind_the_last_ccw),
	TEST(what_a_program_does_not_name_is_left_alone),
	TEST(chained_data_is_no_command_to_any_device),
	TEST(chained_data_can_be_a_command_too),
	TEST(search_that_passes_over_a_tic_to_elsewhere_goes_on),
	TEST(what_is_never_reached_does_no_harm),
	TEST(optional_data_is_there_as_far_as_it_can_be),
	TEST(tic_leads_to_another_part),
	TEST(tic_back_into_the_middle_of_a_part_is_kept),
	TEST(parts_that_meet_are_one),
	TEST(endless_loop_of_commands_is_the_guests_affair),
	TEST(tic_to_itself_fails),
	TEST(tic_to_a_tic_fails),
	TEST(tic_at_the_start_gives_a_program_check),
	TEST(tic_out_of_memory_fails),
	TEST(malformed_tic_gives_a_program_check),
	TEST(tic_of_format_0_is_known_by_four_bits),
	TEST(chains_of_each_length_run),
	TEST(longest_chain_runs_and_one_more_fails),
	TEST(most_parts_run_and_one_more_fails),
	TEST(program_may_end_with_memory),
	TEST(program_across_pages_runs),
	TEST(program_that_runs_out_of_memory_fails),
	TEST(data_beyond_the_limit_gives_a_program_check),
	TEST(count_of_0_needs_no_memory_in_format_1),
	TEST(count_of_0_gives_a_program_check_in_format_0),
	TEST(count_of_0_gives_a_program_check_in_data_chains),
	TEST(nop_needs_no_memory),
	TEST(skipped_input_needs_no_memory),
	TEST(skip_means_nothing_to_output),
	TEST(flags_go_to_the_channel),
	TEST(wrong_length_ends_the_chain),
	TEST(invalid_command_gives_a_program_check),
	TEST(suspend_flag_is_not_supported),
	TEST(midaws_are_not_supported),
	TEST(unmapped_data_fails),
	TEST(read_only_memory_can_be_sent_only),
	TEST(data_both_upwards_and_downwards_fails),
	TEST(scsw_address_is_the_guests),
	TEST(scsw_address_is_0_before_any_program),
	TEST(ranges_in_use_are_known),
	TEST(pages_of_a_program_that_runs_for_ever_are_kept),
	TEST(release_can_be_repeated),
	TEST(consecutive_pages_are_pinned_in_one_call),
	TEST(what_was_read_once_counts),
	TEST(program_is_read_by_the_page),
	TEST(memory_is_taken_once_only),
	TEST(program_that_reads_over_itself_is_refused_by_name),
	TEST(longest_run_takes_several_calls),
	TEST(limit_of_locked_memory_ends_it_at_once),
	TEST(memory_that_goes_away_ends_it_at_once),
	TEST(short_memory_is_told_and_leaves_nothing),
	TEST(each_orb_bit_has_its_fate),
	TEST(each_bit_of_the_program_address_counts),
	TEST(interruption_parameter_is_left_alone),
	TEST(idaws_are_as_small_as_a_list_has_them),
	TEST(pages_of_neighbours_are_pinned_by_one_call),
	TEST(midaws_are_followed_in_both_formats),
	TEST(midaws_need_no_last_one),
	TEST(midaws_skip_input),
	TEST(midaws_go_backward),
	TEST(bad_first_midaw_leads_to_nothing),
	TEST(bad_midaw_gives_a_program_check_where_it_is),
	TEST(midaws_end_with_their_page),
	TEST(midaws_to_nowhere_fail),
	TEST(midaws_are_for_what_has_data),
	TEST(too_many_midaws_fail),
	TEST(program_that_reads_over_its_midaws_needs_prefetching),
	TEST(freeing_nothing_is_fine),
};

int main(void)
{
	unsigned int i, wrong = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%zu\n", ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		failed = false;
		proof_init(&p);
		tests[i].run();
		proof_free(&p);
		expect(!p.world.pinned, "pages stay pinned");
		expect(!shim_live, "memory is leaked");
		printf("%sok %u %s\n", failed ? "not " : "", i + 1,
		       tests[i].name);
		fflush(stdout);
		wrong += failed;
	}
	return !!wrong;
}
