// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest without an operating system. It looks for its one I/O device, runs
 * SENSE ID, and works with the device until it is unplugged. Then the guest
 * waits for another device. It reports each step in a line on the console.
 *
 * With a 3270 terminal, the guest shows a screen, and repeats the text that the
 * operator types. With a 3390 disk, from which it may have been loaded, it
 * reads a record, writes the text of it into the next record, and ends. With
 * any other device it is idle, or runs channel programs in a loop if its
 * command line is "io".
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccw_guest.h"

struct schib {
	uint32_t intparm;
	uint32_t flags;
	uint32_t rest[11];
};

#define SCHIB_ENABLED	0x00800000
#define SCHIB_VALID	0x00010000
#define SCHIB_DEVNO	0x0000ffff

struct orb {
	uint32_t intparm;
	uint32_t flags;
	uint32_t program;
	uint32_t rest[5];
};

/* Format 1, prefetch allowed, all paths */
#define ORB_FLAGS	0x00c0ff00

struct ccw {
	uint8_t command;
	uint8_t flags;
	uint16_t count;
	uint32_t data;
} __attribute__((aligned(8)));

#define CCW_CHAIN	0x40
#define CCW_SLI		0x20

#define CMD_NOP		0x03
#define CMD_TIC		0x08
#define CMD_ERASE_WRITE	0x05
#define CMD_READ_MODIFIED 0x06
#define CMD_SENSE_ID	0xe4

#define CMD_WRITE_DATA	0x05
#define CMD_READ_DATA	0x06
#define CMD_SEEK	0x07
#define CMD_SEARCH_ID	0x31

struct irb {
	uint32_t control;
	uint32_t program;
	uint8_t device_status;
	uint8_t subchannel_status;
	uint16_t count;
	uint32_t rest[21];
};

#define IRB_START	0x00004000
#define STATUS_ATTENTION 0x80
#define STATUS_END	0x0c	/* of channel and device */
#define STATUS_UNIT_CHECK 0x02
#define CHANNEL_LENGTH	0x40	/* incorrect length */

/* The first one of subchannel set 0 */
#define FIRST_SUBCHANNEL 0x00010000
#define LAST_SUBCHANNEL	0x0001ffff

static uint32_t subchannel;

/* The console */

struct sccb {
	uint16_t length;
	uint8_t function;
	uint8_t control[3];
	uint16_t response;
	union {
		struct {
			uint16_t reserved;
			uint16_t size;
			uint32_t masks[4];
		} mask;
		struct {
			uint16_t length;
			uint8_t type;
			uint8_t flags;
			uint16_t reserved;
			char text[128];
		} event;
	};
} __attribute__((aligned(4096)));

#define SCLP_WRITE_MASK	0x00780005
#define SCLP_WRITE_EVENT 0x00760005
#define SCLP_ASCII	0x1a
#define SCLP_ASCII_MASK	0x00000040

static struct sccb sccb;
static unsigned int column;

static void service_call(uint32_t command, uint16_t length)
{
	int cc;

	sccb.length = length;
	sccb.function = 0;
	/* QEMU has stored the response when the instruction ends */
	do {
		asm volatile(".insn rre,0xb2200000,%1,%2\n"
			     "	ipm	%0\n"
			     "	srl	%0,28"
			     : "=d" (cc)
			     : "d" (command), "a" (&sccb) : "cc", "memory");
	} while (cc == 2);
}

static void console_open(void)
{
	sccb.mask.reserved = 0;
	sccb.mask.size = sizeof(uint32_t);
	sccb.mask.masks[0] = 0;
	sccb.mask.masks[1] = SCLP_ASCII_MASK;
	service_call(SCLP_WRITE_MASK, offsetof(struct sccb, mask) +
				      sizeof(sccb.mask));
}

static void put_char(char c)
{
	sccb.event.text[column++] = c;
	if (c != '\n' && column < sizeof(sccb.event.text))
		return;
	sccb.event.length = offsetof(struct sccb, event.text) -
			    offsetof(struct sccb, event) + column;
	sccb.event.type = SCLP_ASCII;
	sccb.event.flags = 0;
	sccb.event.reserved = 0;
	service_call(SCLP_WRITE_EVENT, offsetof(struct sccb, event) +
				       sccb.event.length);
	column = 0;
}

static void put(const char *text)
{
	while (*text)
		put_char(*text++);
}

static void put_hex(uint32_t value, int digits)
{
	while (digits--)
		put_char("0123456789abcdef"[value >> 4 * digits & 15]);
}

static void put_number(unsigned int value)
{
	if (value >= 10)
		put_number(value / 10);
	put_char('0' + value % 10);
}

void program_check(void)
{
	put("\nprogram check ");
	put_hex(lowcore.program_code & 0xffff, 4);
	put("\n");
}

/* Channel I/O */

#define channel_instruction(name, id, operand) ({			\
	register uint32_t id_ asm("1") = (id);				\
	int cc_;							\
									\
	asm volatile(name "	0(%2)\n"				\
		     "	ipm	%0\n"					\
		     "	srl	%0,28"					\
		     : "=d" (cc_)					\
		     : "d" (id_), "a" (operand) : "cc", "memory");	\
	cc_;								\
})

/* Discards the channel reports: the callers look at the subchannels themselves */
static void take_channel_reports(void)
{
	uint32_t report;
	int cc;

	do {
		asm volatile("stcrw	%1\n"
			     "	ipm	%0\n"
			     "	srl	%0,28"
			     : "=d" (cc), "=Q" (report) : : "cc");
	} while (!cc);
}

/* How often an instruction is tried again while the subchannel is busy */
#define BUSY_TRIES	100000

/*
 * A reset of the machine leaves the subchannel busy until QEMU notices that the
 * program has ended
 */
static int modify(uint32_t id, struct schib *schib)
{
	unsigned int tries = BUSY_TRIES;
	int cc;

	do {
		cc = channel_instruction("msch", id, schib);
	} while (cc == 2 && --tries);
	return cc;
}

static bool find_device(void)
{
	struct schib schib;
	struct irb irb;
	uint32_t id;
	int cc;

	for (id = FIRST_SUBCHANNEL; id <= LAST_SUBCHANNEL; id++) {
		if (channel_instruction("stsch", id, &schib) == 3)
			return false;
		if (!(schib.flags & SCHIB_VALID))
			continue;
		put("subchannel ");
		put_hex(id, 8);
		put(" device ");
		put_hex(schib.flags & SCHIB_DEVNO, 4);
		schib.flags |= SCHIB_ENABLED;
		schib.intparm = id;
		cc = modify(id, &schib);
		if (cc == 1) {
			/* QEMU keeps the status over a reset of the machine */
			put(" has status");
			channel_instruction("tsch", id, &irb);
			cc = modify(id, &schib);
		}
		if (cc || channel_instruction("stsch", id, &schib) ||
		    !(schib.flags & SCHIB_ENABLED)) {
			put(" cannot be enabled, condition code ");
			put_number(cc);
			put("\n");
			continue;
		}
		put(" enabled\n");
		subchannel = id;
		return true;
	}
	return false;
}

enum outcome {
	DONE,
	UNSOLICITED,		/* status that belongs to no program */
	FAILED,			/* the program ended with an error */
	GONE,			/* the subchannel does not exist */
};

/* Waits for status of the device */
static enum outcome response(struct irb *irb)
{
	struct schib schib;

	for (;;) {
		if (wait_event()) {
			take_channel_reports();
			if (channel_instruction("stsch", subchannel, &schib) ||
			    !(schib.flags & SCHIB_VALID))
				return GONE;
			continue;
		}
		switch (channel_instruction("tsch", subchannel, irb)) {
		case 0:
			break;
		case 1:
			continue;
		default:
			return GONE;
		}
		if (!(irb->control & IRB_START))
			return UNSOLICITED;
		if (irb->device_status == STATUS_END &&
		    !(irb->subchannel_status & ~CHANNEL_LENGTH))
			return DONE;
		return FAILED;
	}
}

static enum outcome run(const struct ccw *program, struct irb *irb)
{
	struct orb orb = {
		.intparm = 0x12345678,
		.flags = ORB_FLAGS,
		.program = (uintptr_t)program,
	};
	enum outcome outcome;
	int cc;

	for (;;) {
		cc = channel_instruction("ssch", subchannel, &orb);
		if (cc == 3)
			return GONE;
		if (!cc)
			break;
		/* Unsolicited status is pending: clear it */
		channel_instruction("tsch", subchannel, irb);
	}
	do {
		outcome = response(irb);
	} while (outcome == UNSOLICITED);
	return outcome;
}

static enum outcome fail(const char *what, const struct irb *irb)
{
	put(what);
	put(" failed: device status ");
	put_hex(irb->device_status, 2);
	put(" subchannel status ");
	put_hex(irb->subchannel_status, 2);
	put("\n");
	return FAILED;
}

static enum outcome sense_id(uint8_t *id, size_t size)
{
	static struct ccw program;
	struct irb irb;
	enum outcome outcome;
	size_t i;

	program = (struct ccw) {
		.command = CMD_SENSE_ID,
		.flags = CCW_SLI,
		.count = size,
		.data = (uintptr_t)id,
	};
	for (i = 0; i < size; i++)
		id[i] = 0;
	outcome = run(&program, &irb);
	return outcome == FAILED ? fail("SENSE ID", &irb) : outcome;
}

/* A 3270 terminal */

#define SCREEN_COLUMNS	80
#define ORDER_FIELD	0x1d
#define ORDER_ADDRESS	0x11
#define ORDER_CURSOR	0x13
#define FIELD_PROTECTED	0x60
#define FIELD_INPUT	0x40
#define WCC		0xc3	/* reset, keyboard unlocked, nothing modified */

/* Letters, digits and a few more: the code points that all EBCDICs share */
static const char ebcdic_rows[16][17] = {
	[0x4] = " ..........<(+.&", [0x5] = "..........!$*);.",
	[0x6] = "-/.........,%_>?", [0x7] = "..........:#@'=\"",
	[0x8] = ".abcdefghi......", [0x9] = ".jklmnopqr......",
	[0xa] = "..stuvwxyz......",
	[0xc] = ".ABCDEFGHI......", [0xd] = ".JKLMNOPQR......",
	[0xe] = "..STUVWXYZ......", [0xf] = "0123456789......",
};

static char to_ascii(uint8_t code)
{
	char c = ebcdic_rows[code >> 4][code & 15];

	return c ? c : '.';
}

static uint8_t to_ebcdic(char c)
{
	int code;

	for (code = 0x40; code < 0x100; code++)
		if (to_ascii(code) == c)
			return code;
	return 0x4b;	/* the full stop */
}

/* A six-bit part of a screen address as the EBCDIC character that encodes it */
static uint8_t address_char(unsigned int bits)
{
	bits &= 0x3f;
	if (bits == 0x21)
		return 0x61;
	if (!(bits & 0xf) && bits != 0x30)
		return 0x40 | bits;
	return (bits & 0xf) > 9 ? 0x40 | bits : 0xc0 | bits;
}

static uint8_t *put_position(uint8_t *at, int row, int col)
{
	unsigned int position = row * SCREEN_COLUMNS + col;

	*at++ = ORDER_ADDRESS;
	*at++ = address_char(position >> 6);
	*at++ = address_char(position);
	return at;
}

static uint8_t *put_field(uint8_t *at, int row, const char *text)
{
	at = put_position(at, row, 0);
	*at++ = ORDER_FIELD;
	*at++ = FIELD_PROTECTED;
	while (*text)
		*at++ = to_ebcdic(*text++);
	return at;
}

static enum outcome show(const char *typed)
{
	static struct ccw program;
	static uint8_t screen[512];
	uint8_t *at = screen;
	struct irb irb;
	enum outcome outcome;

	*at++ = WCC;
	at = put_field(at, 0, "Hello from the guest");
	at = put_field(at, 1, typed);
	at = put_field(at, 2, "Say:");
	*at++ = ORDER_FIELD;
	*at++ = FIELD_INPUT;
	*at++ = ORDER_CURSOR;
	at = put_field(at, 3, "");
	program = (struct ccw) {
		.command = CMD_ERASE_WRITE,
		.flags = CCW_SLI,
		.count = at - screen,
		.data = (uintptr_t)screen,
	};
	for (;;) {
		outcome = run(&program, &irb);
		if (outcome != FAILED)
			break;
		if (!(irb.device_status & STATUS_UNIT_CHECK))
			return fail("ERASE/WRITE", &irb);
		/* No operator is connected. The terminal reports attention when one connects */
		put("no operator yet\n");
		outcome = response(&irb);
		if (outcome == GONE)
			break;
	}
	if (outcome == DONE)
		put("screen written\n");
	return outcome;
}

/* Reads the text of the first field that the operator changed */
static enum outcome read_typed(char *typed, size_t size)
{
	static struct ccw program;
	static uint8_t data[256];
	struct irb irb;
	enum outcome outcome;
	size_t from, len, i;

	program = (struct ccw) {
		.command = CMD_READ_MODIFIED,
		.flags = CCW_SLI,
		.count = sizeof(data),
		.data = (uintptr_t)data,
	};
	outcome = run(&program, &irb);
	if (outcome == FAILED)
		return fail("READ MODIFIED", &irb);
	if (outcome == GONE)
		return outcome;
	len = sizeof(data) - irb.count;
	put("key ");
	put_hex(data[0], 2);
	/* The key, the address of the cursor, then the address and the text of each field */
	from = len > 3 && data[3] == ORDER_ADDRESS ? 6 : 3;
	for (i = 0; i < size - 1 && from + i < len &&
	     data[from + i] != ORDER_ADDRESS; i++)
		typed[i] = to_ascii(data[from + i]);
	typed[i] = '\0';
	put(" typed \"");
	put(typed);
	put("\"\n");
	return DONE;
}

static enum outcome talk(void)
{
	static char typed[80] = "Type something, and press Enter";
	enum outcome outcome;
	struct irb irb;

	for (;;) {
		outcome = show(typed);
		if (outcome != DONE)
			return outcome;
		do {
			outcome = response(&irb);
			if (outcome == GONE)
				return outcome;
		} while (!(irb.device_status & STATUS_ATTENTION));
		outcome = read_typed(typed, sizeof(typed));
		if (outcome != DONE)
			return outcome;
	}
}

/* A 3390 disk */

#define RECORD_HEAD	3
#define RECORD_SIZE	80

/* Records of one track, without keys: reads the first or writes the second */
static enum outcome move_record(uint8_t record, uint8_t command, char *data)
{
	static uint8_t seek[6] = { 0, 0, 0, 0, 0, RECORD_HEAD };
	static uint8_t id[5] = { 0, 0, 0, RECORD_HEAD };
	static struct ccw program[4];
	struct irb irb;
	enum outcome outcome;

	id[4] = record;
	program[0] = (struct ccw) {
		CMD_SEEK, CCW_CHAIN, sizeof(seek), (uintptr_t)seek };
	program[1] = (struct ccw) {
		CMD_SEARCH_ID, CCW_CHAIN, sizeof(id), (uintptr_t)id };
	program[2] = (struct ccw) { CMD_TIC, 0, 0, (uintptr_t)&program[1] };
	program[3] = (struct ccw) {
		command, 0, RECORD_SIZE, (uintptr_t)data };
	outcome = run(program, &irb);
	return outcome == FAILED ? fail("a program of the disk", &irb) : outcome;
}

static enum outcome use_disk(void)
{
	static char text[RECORD_SIZE + 1];
	enum outcome outcome = move_record(1, CMD_READ_DATA, text);

	if (outcome != DONE)
		return outcome;
	put("record read: ");
	put(text);
	put("\n");
	outcome = move_record(2, CMD_WRITE_DATA, text);
	if (outcome == DONE)
		put("record written\n");
	return outcome;
}

/* Any device */

/* A line on the console for so many programs */
#define PROGRAMS_A_LINE	50

static enum outcome run_programs(void)
{
	static struct ccw program[2];
	static uint8_t id[7];
	unsigned int count = 0;
	enum outcome outcome;
	struct irb irb;

	program[0] = (struct ccw) {
		.command = CMD_NOP,
		.flags = CCW_CHAIN | CCW_SLI,
		.count = 1,
		.data = (uintptr_t)id,
	};
	program[1] = (struct ccw) {
		.command = CMD_SENSE_ID,
		.flags = CCW_SLI,
		.count = sizeof(id),
		.data = (uintptr_t)id,
	};
	for (;;) {
		id[0] = 0;
		outcome = run(program, &irb);
		if (outcome == FAILED)
			return fail("a program", &irb);
		if (outcome != DONE)
			return outcome;
		if (id[0] != 0xff) {
			put("SENSE ID brought nothing\n");
			return FAILED;
		}
		if (++count % PROGRAMS_A_LINE)
			continue;
		put("programs ");
		put_number(count);
		put("\n");
	}
}

static enum outcome only_wait(void)
{
	enum outcome outcome;
	struct irb irb;

	put("idle\n");
	do {
		outcome = response(&irb);
	} while (outcome != GONE);
	return outcome;
}

static enum outcome work(void)
{
	static uint8_t id[7];
	enum outcome outcome = sense_id(id, sizeof(id));
	unsigned int i;

	if (outcome != DONE)
		return outcome;
	put("SENSE ID");
	for (i = 0; i < sizeof(id); i++) {
		put(" ");
		put_hex(id[i], 2);
	}
	put("\n");
	if (id[1] == 0x32 && id[2] == 0x70)
		return talk();
	if (id[1] == 0x39 && id[2] == 0x90)
		return use_disk();
	if (command_line[0] == 'i' && command_line[1] == 'o')
		return run_programs();
	return only_wait();
}

/* Enable the processor for I/O of all subclasses, and for channel reports */
static void set_up_interrupts(void)
{
	uint64_t all_subclasses = 0xff000000, reports = 0x10000000;

	lowcore.program_new = (struct psw) {
		PSW_64BIT, (uintptr_t)on_program_check };
	lowcore.machine_check_new = (struct psw) {
		PSW_64BIT, (uintptr_t)on_machine_check };
	lowcore.io_new = (struct psw) { PSW_64BIT, (uintptr_t)on_io };
	asm volatile("lctlg	6,6,%0" : : "Q" (all_subclasses));
	asm volatile("lctlg	14,14,%0" : : "Q" (reports));
}

int main(void)
{
	console_open();
	set_up_interrupts();
	put("hello\n");
	for (;;) {
		while (!find_device()) {
			put("no device\n");
			/* A channel report announces a new device */
			if (wait_event())
				take_channel_reports();
		}
		if (work() == GONE)
			put("the device is gone\n");
		else
			return 1;
	}
}
