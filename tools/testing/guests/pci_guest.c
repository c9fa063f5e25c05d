// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest without an operating system. It looks for a PCI serial card, and
 * passes bytes through the card's loop-back by interrupts, INTx and MSI, until
 * the card is unplugged. Then it waits for another card. It reports each step
 * in a line on the debug console.
 *
 * Words on its command line:
 *   display  look for a display of mdpy's instead, and paint some pixels
 *   pad      look for a card of mpad's instead, and fill its memory
 *   io       pass bytes in a loop; otherwise the guest is idle after one round
 *   keep     leave bytes in the card for a while, in a loop
 *   eject    agree to an unplug by ACPI, as an operating system does; otherwise
 *            the card stays
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pci_guest.h"

#define DEBUG_PORT	0xe9

#define MULTIBOOT_COMMAND_LINE	0x4

struct gate {
	uint16_t low;
	uint16_t selector;
	uint16_t type;
	uint16_t high;
};

#define GATE_INTERRUPT	0x8e00
#define CODE_SELECTOR	8

/* The interrupt vectors: the processor's own, then those of the two 8259s */
#define VECTOR_PIC	0x20
#define VECTOR_MSI	0x40
#define VECTOR_SPURIOUS	0xff
#define NR_VECTORS	0x100

#define PIC1		0x20
#define PIC2		0xa0
#define PIC_EOI		0x20
#define PIC_CASCADE	2
#define PIC_SPURIOUS	7	/* an 8259 reports this for a lost interrupt */

#define APIC_EOI	0xfee000b0
#define APIC_SPURIOUS	0xfee000f0
#define APIC_ENABLE	0x100
#define MSI_ADDRESS	0xfee00000

/* The card */
#define CARD_ID		0x32534348

/* The display: its pixels are BAR 0, its size is in its configuration space */
#define DISPLAY_ID	0x000f1b36
#define DISPLAY_WIDTH	0x48
#define DISPLAY_HEIGHT	0x4c
#define DISPLAY_PIXELS	1000

/* A card of mpad's: its memory is BAR 0 */
#define PAD_ID		0x4d501234
#define PAD_WORDS	1024

#define PCI_ID		0x00
#define PCI_COMMAND	0x04
#define PCI_COMMAND_ON	0x7	/* both spaces; bus master, for MSI */
#define PCI_BAR		0x10
#define PCI_CAPS	0x34
#define PCI_CAP_MSI	0x05
#define PCI_MSI_ENABLE	0x00010000
#define PCI_MSI_64	0x00800000

/* Addresses that nothing else of this machine uses */
#define CARD_PORTS	0xd000
#define CARD_MEMORY	0xf0000000

/* The bridge that routes the interrupts of the slots */
#define BRIDGE_SLOT	1
#define BRIDGE_ROUTES	0x60

/* ACPI's hot-unplug of PCI slots: one bit for each slot */
#define HOTPLUG_DOWN	0xae04
#define HOTPLUG_EJECT	0xae08
#define HOTPLUG_BUS	0xae10

/* A 16550A */
#define UART_DATA	(CARD_PORTS + 0)
#define UART_IER	(CARD_PORTS + 1)
#define UART_IIR	(CARD_PORTS + 2)
#define UART_FCR	(CARD_PORTS + 2)
#define UART_LCR	(CARD_PORTS + 3)
#define UART_MCR	(CARD_PORTS + 4)
#define UART_LSR	(CARD_PORTS + 5)

#define IER_RECEIVED	0x01
#define IIR_NONE	0x01
#define IIR_GONE	0xff
#define FCR_ENABLE	0x07	/* and reset both FIFOs */
#define LCR_8_BITS	0x03
#define MCR_LOOP	0x1b	/* DTR, RTS, OUT2, loop-back */
#define LSR_READY	0x01
#define LSR_EMPTY	0x20

#define BLOCK		16	/* bytes: the size of the FIFO */

/* The firmware's timer: 18.2 ticks a second */
#define TICKS_A_BLOCK	(18 * 20)
#define TICKS_KEPT	(18 * 10)

static struct gate gates[NR_VECTORS];
static uint32_t card_id = CARD_ID;
static int slot;
static int irq;
static bool agrees;

/* Written by the interrupt handlers */
static volatile unsigned int ticks;
static volatile unsigned int interrupts[NR_INTERRUPTS];
static volatile unsigned int received;
static uint8_t bytes[BLOCK];

static void out8(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a" (value), "Nd" (port));
}

static uint8_t in8(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

static void out32(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" : : "a" (value), "Nd" (port));
}

static uint32_t in32(uint16_t port)
{
	uint32_t value;

	asm volatile("inl %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

static void put(const char *text)
{
	while (*text)
		out8(DEBUG_PORT, *text++);
}

static void put_number(unsigned int value)
{
	if (value >= 10)
		put_number(value / 10);
	out8(DEBUG_PORT, '0' + value % 10);
}

void unexpected(void)
{
	put("exception\n");
}

/* PCI: one bus, only function 0 of each device */

static uint32_t config_read(int device, int reg)
{
	out32(0xcf8, 0x80000000 | device << 11 | (reg & ~3));
	return in32(0xcfc);
}

static void config_write(int device, int reg, uint32_t value)
{
	out32(0xcf8, 0x80000000 | device << 11 | (reg & ~3));
	out32(0xcfc, value);
}

static bool card_is_there(void)
{
	return config_read(slot, PCI_ID) == card_id;
}

/* Returns the offset of the capability, or 0 */
static int find_msi(void)
{
	int at = config_read(slot, PCI_CAPS) & 0xfc;

	/* The capability list of an unplugged card reads as all ones, without an end */
	while (at && card_is_there()) {
		uint32_t header = config_read(slot, at);

		if ((header & 0xff) == PCI_CAP_MSI)
			return at;
		at = header >> 8 & 0xfc;
	}
	return 0;
}

/* Switches MSI on or off. Returns whether the card has MSI */
static bool use_msi(bool enable)
{
	int at = find_msi();
	uint32_t header = at ? config_read(slot, at) : 0;

	if (!at)
		return false;
	config_write(slot, at + 4, MSI_ADDRESS);
	if (header & PCI_MSI_64)
		config_write(slot, at + 8, 0);
	config_write(slot, at + (header & PCI_MSI_64 ? 12 : 8), VECTOR_MSI);
	header = enable ? header | PCI_MSI_ENABLE : header & ~PCI_MSI_ENABLE;
	config_write(slot, at, header);
	return true;
}

/* Interrupts */

static uint16_t mask_port(int line)
{
	return line < 8 ? PIC1 + 1 : PIC2 + 1;
}

static void unmask(int line)
{
	uint16_t port = mask_port(line);

	out8(port, in8(port) & ~(1 << (line & 7)));
}

static void mask(int line)
{
	uint16_t port = mask_port(line);

	out8(port, in8(port) | 1 << (line & 7));
}

static void set_gate(int vector, void (*entry)(void))
{
	gates[vector] = (struct gate) {
		.low = (uintptr_t)entry,
		.selector = CODE_SELECTOR,
		.type = GATE_INTERRUPT,
		.high = (uintptr_t)entry >> 16,
	};
}

static void set_up_interrupts(void)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) idt = {
		sizeof(gates) - 1, (uintptr_t)gates,
	};
	int vector;

	for (vector = 0; vector < VECTOR_PIC; vector++)
		set_gate(vector, on_exception);
	set_gate(VECTOR_PIC, on_timer);
	/* A level may be gone before the processor acknowledges the interrupt */
	set_gate(VECTOR_PIC + PIC_SPURIOUS, on_spurious);
	set_gate(VECTOR_PIC + 8 + PIC_SPURIOUS, on_spurious2);
	set_gate(VECTOR_SPURIOUS, on_spurious);
	set_gate(VECTOR_MSI, on_msi);
	asm volatile("lidt %0" : : "m" (idt));

	/* Edge-triggered; the vectors; master and slave; 8086 mode; all masked */
	out8(PIC1, 0x11);
	out8(PIC2, 0x11);
	out8(PIC1 + 1, VECTOR_PIC);
	out8(PIC2 + 1, VECTOR_PIC + 8);
	out8(PIC1 + 1, 1 << PIC_CASCADE);
	out8(PIC2 + 1, PIC_CASCADE);
	out8(PIC1 + 1, 1);
	out8(PIC2 + 1, 1);
	out8(PIC1 + 1, 0xff);
	out8(PIC2 + 1, 0xff);
	unmask(0);
	unmask(PIC_CASCADE);
	*(volatile uint32_t *)APIC_SPURIOUS = APIC_ENABLE | VECTOR_SPURIOUS;
}

static void take_bytes(void)
{
	int left = 2 * BLOCK;

	/* Reads of an unplugged card return all ones */
	while (left-- && in8(UART_LSR) & LSR_READY) {
		uint8_t byte = in8(UART_DATA);

		if (received < BLOCK)
			bytes[received] = byte;
		received++;
	}
}

void interrupt(int which)
{
	uint8_t iir;

	interrupts[which]++;
	switch (which) {
	case BY_TIMER:
		ticks++;
		break;
	case BY_INTX:
		iir = in8(UART_IIR);
		/* The level that an unplugged card has raised stays raised */
		if (iir == IIR_GONE)
			mask(irq);
		if (!(iir & IIR_NONE))
			take_bytes();
		if (irq >= 8)
			out8(PIC2, PIC_EOI);
		break;
	case BY_MSI:
		/* A message reports a change only, so take all bytes that have come */
		while (!(in8(UART_IIR) & IIR_NONE) && received <= BLOCK)
			take_bytes();
		*(volatile uint32_t *)APIC_EOI = 0;
		return;
	case SPURIOUS:
		return;
	case SPURIOUS2:
		/* The first 8259 has seen an interrupt of the second one */
		break;
	}
	out8(PIC1, PIC_EOI);
}

static void wait_interrupt(void)
{
	asm volatile("sti; hlt; cli" : : : "memory");
}

/* Handles the host's request by ACPI for the card, which may be unplugged already */
static void heed_host(void)
{
	static bool told;
	uint32_t slots;

	out32(HOTPLUG_BUS, 0);
	slots = in32(HOTPLUG_DOWN);
	if (!slots) {
		told = false;
		return;
	}
	if (!told)
		put(agrees ? "asked for the card: here it is\n" :
			     "asked for the card: no\n");
	told = true;
	if (agrees)
		out32(HOTPLUG_EJECT, slots);
}

/* Bytes */

enum outcome {
	DONE,
	FAILED,
	GONE,
};

static enum outcome fail(const char *what)
{
	if (!card_is_there())
		return GONE;
	put("failed: ");
	put(what);
	put("\n");
	return FAILED;
}

static void uart_open(void)
{
	out8(UART_LCR, LCR_8_BITS);
	out8(UART_FCR, FCR_ENABLE);
	out8(UART_MCR, MCR_LOOP);
	out8(UART_IER, IER_RECEIVED);
}

/* Sends a few bytes, and receives them by interrupts */
static enum outcome pass_block(int by, uint8_t first)
{
	unsigned int start = ticks;
	unsigned int before = interrupts[by];
	unsigned int i;

	received = 0;
	for (i = 0; i < BLOCK; i++) {
		if (!(in8(UART_LSR) & LSR_EMPTY))
			return fail("the transmitter is busy");
		out8(UART_DATA, first + 37 * i);
	}
	while (received < BLOCK) {
		if (ticks - start > TICKS_A_BLOCK)
			return fail("bytes did not come by interrupt");
		if (!card_is_there())
			return GONE;
		wait_interrupt();
	}
	if (interrupts[by] == before)
		return fail("bytes came without an interrupt");
	if (received != BLOCK)
		return fail("more bytes came than were sent");
	for (i = 0; i < BLOCK; i++)
		if (bytes[i] != (uint8_t)(first + 37 * i))
			return fail("other bytes came than were sent");
	return DONE;
}

static enum outcome pass_blocks(int by, unsigned int count)
{
	unsigned int before = interrupts[by];
	unsigned int i;

	for (i = 0; i < count; i++) {
		enum outcome outcome = pass_block(by, i);

		if (outcome != DONE)
			return outcome;
		heed_host();
		if (!card_is_there())
			return GONE;
	}
	put(by == BY_MSI ? "MSI: " : "INTx: ");
	put_number(count * BLOCK);
	put(" bytes, ");
	put(interrupts[by] == before ? "no" : "by");
	put(" interrupts\n");
	return DONE;
}

static bool find_card(void)
{
	int pirq;

	for (slot = 0; slot < 32; slot++)
		if (card_is_there())
			break;
	if (slot == 32)
		return false;
	/* The firmware has not configured a card that was plugged in later */
	config_write(slot, PCI_BAR, card_id == CARD_ID ?
				    CARD_PORTS : CARD_MEMORY);
	config_write(slot, PCI_COMMAND, PCI_COMMAND_ON);
	pirq = (slot - 1) & 3;
	irq = config_read(BRIDGE_SLOT, BRIDGE_ROUTES) >> 8 * pirq & 0xff;
	put("card in slot ");
	put_number(slot);
	put(" interrupt ");
	put_number(irq);
	put("\n");
	set_gate(VECTOR_PIC + irq, on_intx);
	unmask(irq);
	return true;
}

static enum outcome only_wait(void)
{
	put("idle\n");
	while (card_is_there()) {
		wait_interrupt();
		heed_host();
	}
	return GONE;
}

static enum outcome work(bool again)
{
	enum outcome outcome;
	unsigned int round;

	uart_open();
	for (round = 1;; round++) {
		outcome = pass_blocks(BY_INTX, 4);
		if (outcome == DONE && use_msi(true)) {
			outcome = pass_blocks(BY_MSI, 4);
			use_msi(false);
		}
		if (outcome != DONE)
			return outcome;
		if (!again)
			return only_wait();
		put("round ");
		put_number(round);
		put("\n");
	}
}

/* Leaves bytes in the card, unread, for most of the time */
static enum outcome keep(void)
{
	unsigned int i, start;

	uart_open();
	out8(UART_IER, 0);
	for (;;) {
		for (i = 0; i < BLOCK; i++)
			out8(UART_DATA, 'a' + i);
		put("keeping\n");
		for (start = ticks; ticks - start < TICKS_KEPT;)
			wait_interrupt();
		for (i = 0; i < BLOCK; i++)
			if (in8(UART_DATA) != 'a' + i)
				return fail("other bytes came than were kept");
		put_number(BLOCK);
		put(" bytes kept\n");
	}
}

/* Returns the number of words in the card's memory that read back as written */
static unsigned int fill_memory(unsigned int words)
{
	volatile uint32_t *memory = (uint32_t *)CARD_MEMORY;
	unsigned int i, same = 0;

	for (i = 0; i < words; i++)
		memory[i] = i * 0x10203;
	for (i = 0; i < words; i++)
		same += memory[i] == i * 0x10203;
	return same;
}

static enum outcome paint(void)
{
	unsigned int same = fill_memory(DISPLAY_PIXELS);

	put_number(config_read(slot, DISPLAY_WIDTH));
	put("x");
	put_number(config_read(slot, DISPLAY_HEIGHT));
	put(" pixels, ");
	put_number(same);
	put(" painted\n");
	return only_wait();
}

static enum outcome fill_pad(void)
{
	put_number(fill_memory(PAD_WORDS));
	put(" words kept\n");
	return only_wait();
}

static bool has_word(const char *text, const char *word)
{
	while (*text) {
		const char *at = word;

		while (*at && *text == *at) {
			text++;
			at++;
		}
		if (!*at && (!*text || *text == ' '))
			return true;
		while (*text && *text != ' ')
			text++;
		while (*text == ' ')
			text++;
	}
	return false;
}

void main(const struct multiboot *multiboot)
{
	const char *text = multiboot->flags & MULTIBOOT_COMMAND_LINE ?
			   multiboot->command_line : "";
	enum outcome outcome;

	put("hello\n");
	agrees = has_word(text, "eject");
	if (has_word(text, "display"))
		card_id = DISPLAY_ID;
	if (has_word(text, "pad"))
		card_id = PAD_ID;
	set_up_interrupts();
	for (;;) {
		while (!find_card()) {
			wait_interrupt();
			heed_host();
		}
		if (card_id == DISPLAY_ID)
			outcome = paint();
		else if (card_id == PAD_ID)
			outcome = fill_pad();
		else
			outcome = has_word(text, "keep") ?
				  keep() : work(has_word(text, "io"));
		if (outcome != GONE)
			return;
		put("the card is gone\n");
	}
}
