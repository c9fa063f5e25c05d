// SPDX-License-Identifier: GPL-2.0-only
/* The 16550A of an mtty port, as a serial driver uses it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "card.h"

#define FIFO_SIZE	16
#define IIR_SOURCE	0x0f

FIXTURE(port)
{
	struct card card;
	int port;
};

FIXTURE_VARIANT(port)
{
	const char *type;
	int port;
};

FIXTURE_VARIANT_ADD(port, only)
{
	.type = "mtty-1", .port = 0,
};

FIXTURE_VARIANT_ADD(port, first)
{
	.type = "mtty-2", .port = 0,
};

FIXTURE_VARIANT_ADD(port, second)
{
	.type = "mtty-2", .port = 1,
};

FIXTURE_SETUP(port)
{
	if (!parent_exists(CARD_PARENT))
		SKIP(return, "no parent " CARD_PARENT);
	self->port = variant->port;
	ASSERT_EQ(0, card_create(&self->card, variant->type));
}

FIXTURE_TEARDOWN(port)
{
	EXPECT_EQ(0, card_remove(&self->card));
}

static int in(const FIXTURE_DATA(port) *self, int reg)
{
	return card_in(&self->card, self->port, reg);
}

static void out(struct __test_metadata *_metadata,
		const FIXTURE_DATA(port) *self, int reg, int value)
{
	expect_out(_metadata, &self->card, self->port, reg, value);
}

static void send_bytes(struct __test_metadata *_metadata,
		       const FIXTURE_DATA(port) *self, int count)
{
	int byte;

	for (byte = 0; byte < count; byte++)
		out(_metadata, self, UART_TX, 0x40 + byte);
}

static void expect_bytes(struct __test_metadata *_metadata,
			 const FIXTURE_DATA(port) *self, int count)
{
	int byte;

	for (byte = 0; byte < count; byte++) {
		EXPECT_EQ(UART_LSR_DR, in(self, UART_LSR) & UART_LSR_DR);
		EXPECT_EQ(0x40 + byte, in(self, UART_RX));
	}
}

TEST_F(port, idle_transmitter_is_empty_and_receiver_too)
{
	EXPECT_EQ(UART_LSR_TEMT | UART_LSR_THRE, in(self, UART_LSR));
	EXPECT_EQ(UART_IIR_NO_INT, in(self, UART_IIR) & IIR_SOURCE);
	EXPECT_EQ(0, in(self, UART_IER));
}

TEST_F(port, one_byte_comes_back)
{
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	send_bytes(_metadata, self, 1);
	expect_bytes(_metadata, self, 1);
	EXPECT_EQ(UART_LSR_TEMT | UART_LSR_THRE, in(self, UART_LSR));
}

TEST_F(port, every_value_comes_back)
{
	int value;

	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	for (value = 0; value < 256; value++) {
		out(_metadata, self, UART_TX, value);
		EXPECT_EQ(value, in(self, UART_RX));
	}
}

TEST_F(port, byte_comes_back_without_fifo)
{
	send_bytes(_metadata, self, 1);
	expect_bytes(_metadata, self, 1);
	EXPECT_EQ(0, in(self, UART_LSR) & UART_LSR_DR);
}

TEST_F(port, fifteen_bytes_come_back)
{
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	send_bytes(_metadata, self, FIFO_SIZE - 1);
	expect_bytes(_metadata, self, FIFO_SIZE - 1);
	EXPECT_EQ(UART_LSR_TEMT | UART_LSR_THRE, in(self, UART_LSR));
}

TEST_F(port, sixteen_bytes_come_back)
{
	if (self->card.kernels_own)
		SKIP(return,
		     CARD_KERNELS_OWN "takes a full FIFO for an empty one");
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	send_bytes(_metadata, self, FIFO_SIZE);
	EXPECT_EQ(0, in(self, UART_LSR) & UART_LSR_OE);
	expect_bytes(_metadata, self, FIFO_SIZE);
	EXPECT_EQ(UART_LSR_TEMT | UART_LSR_THRE, in(self, UART_LSR));
}

TEST_F(port, seventeenth_byte_is_an_overrun)
{
	if (self->card.kernels_own)
		SKIP(return,
		     CARD_KERNELS_OWN "takes a full FIFO for an empty one");
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	send_bytes(_metadata, self, FIFO_SIZE + 1);
	EXPECT_EQ(UART_LSR_OE | UART_LSR_DR,
		  in(self, UART_LSR) & (UART_LSR_OE | UART_LSR_DR));
	/* The overrun is reported once, and the sixteen bytes are kept */
	EXPECT_EQ(UART_LSR_DR,
		  in(self, UART_LSR) & (UART_LSR_OE | UART_LSR_DR));
	expect_bytes(_metadata, self, FIFO_SIZE);
	EXPECT_EQ(0, in(self, UART_LSR) & (UART_LSR_OE | UART_LSR_DR));
}

TEST_F(port, second_byte_without_fifo_is_an_overrun)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "reports the overrun after the next byte");
	send_bytes(_metadata, self, 2);
	EXPECT_EQ(UART_LSR_OE | UART_LSR_DR,
		  in(self, UART_LSR) & (UART_LSR_OE | UART_LSR_DR));
	/* The new byte has replaced the old one */
	EXPECT_EQ(0x41, in(self, UART_RX));
	EXPECT_EQ(0, in(self, UART_LSR) & UART_LSR_DR);
}

TEST_F(port, fifo_goes_round)
{
	int round;

	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	for (round = 0; round < 20; round++) {
		send_bytes(_metadata, self, 7);
		expect_bytes(_metadata, self, 7);
	}
}

TEST_F(port, fifo_reset_empties)
{
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	send_bytes(_metadata, self, 5);
	out(_metadata, self, UART_FCR,
	    UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	EXPECT_EQ(0, in(self, UART_LSR) & UART_LSR_DR);
	send_bytes(_metadata, self, 3);
	expect_bytes(_metadata, self, 3);
}

TEST_F(port, turning_the_fifo_off_empties)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "keeps the bytes");
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	send_bytes(_metadata, self, 5);
	out(_metadata, self, UART_FCR, 0);
	EXPECT_EQ(0, in(self, UART_LSR) & UART_LSR_DR);
}

TEST_F(port, turning_the_fifo_on_empties)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "keeps the bytes");
	send_bytes(_metadata, self, 1);
	EXPECT_EQ(UART_LSR_DR, in(self, UART_LSR) & UART_LSR_DR);
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	EXPECT_EQ(0, in(self, UART_LSR) & UART_LSR_DR);
	/* Enabling it again keeps the bytes */
	send_bytes(_metadata, self, 3);
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_bytes(_metadata, self, 3);
}

TEST_F(port, iir_tells_of_the_fifo)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "always reports a FIFO");
	EXPECT_EQ(0, in(self, UART_IIR) & 0xc0);
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	EXPECT_EQ(0xc0, in(self, UART_IIR) & 0xc0);
	out(_metadata, self, UART_FCR, 0);
	EXPECT_EQ(0, in(self, UART_IIR) & 0xc0);
}

TEST_F(port, divisor_is_behind_dlab)
{
	out(_metadata, self, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	out(_metadata, self, UART_DLL, 0x34);
	out(_metadata, self, UART_DLM, 0x12);
	EXPECT_EQ(0x34, in(self, UART_DLL));
	EXPECT_EQ(0x12, in(self, UART_DLM));
	out(_metadata, self, UART_LCR, UART_LCR_WLEN8);
	EXPECT_EQ(0, in(self, UART_IER));
	EXPECT_EQ(0, in(self, UART_LSR) & UART_LSR_DR);
	EXPECT_EQ(UART_LCR_WLEN8, in(self, UART_LCR));
}

TEST_F(port, divisor_can_be_changed)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "only adds bits to the divisor");
	out(_metadata, self, UART_LCR, UART_LCR_DLAB);
	out(_metadata, self, UART_DLL, 0xff);
	out(_metadata, self, UART_DLM, 0xff);
	out(_metadata, self, UART_DLL, 0x01);
	out(_metadata, self, UART_DLM, 0x00);
	EXPECT_EQ(0x01, in(self, UART_DLL));
	EXPECT_EQ(0x00, in(self, UART_DLM));
	/* The divisor keeps its value */
	out(_metadata, self, UART_LCR, 0);
	out(_metadata, self, UART_LCR, UART_LCR_DLAB);
	EXPECT_EQ(0x01, in(self, UART_DLL));
}

TEST_F(port, scratch_register_keeps_a_byte)
{
	int value;

	for (value = 0; value < 256; value++) {
		out(_metadata, self, UART_SCR, value);
		EXPECT_EQ(value, in(self, UART_SCR));
	}
}

TEST_F(port, interrupt_enable_has_four_bits)
{
	if (self->card.crashes)
		SKIP(return, CARD_CRASHES);
	out(_metadata, self, UART_IER, 0xff);
	EXPECT_EQ(0x0f, in(self, UART_IER));
	out(_metadata, self, UART_IER, 0);
	EXPECT_EQ(0, in(self, UART_IER));
}

TEST_F(port, status_registers_cannot_be_written)
{
	int lsr = in(self, UART_LSR);

	out(_metadata, self, UART_LSR, 0xff);
	EXPECT_EQ(lsr, in(self, UART_LSR));
	in(self, UART_MSR);
	lsr = in(self, UART_MSR);
	out(_metadata, self, UART_MSR, ~lsr);
	EXPECT_EQ(lsr, in(self, UART_MSR));
}

TEST_F(port, interrupts_have_priorities)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "adds up the codes of interrupts");
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(_metadata, self, UART_MCR, UART_MCR_DTR);
	send_bytes(_metadata, self, FIFO_SIZE + 1);
	out(_metadata, self, UART_IER,
	    UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI);
	/* Overrun, until LSR is read */
	EXPECT_EQ(UART_IIR_RLSI, in(self, UART_IIR) & IIR_SOURCE);
	EXPECT_EQ(UART_IIR_RLSI, in(self, UART_IIR) & IIR_SOURCE);
	EXPECT_EQ(UART_LSR_OE, in(self, UART_LSR) & UART_LSR_OE);
	/* Data, until the bytes are read */
	EXPECT_EQ(UART_IIR_RDI, in(self, UART_IIR) & IIR_SOURCE);
	expect_bytes(_metadata, self, FIFO_SIZE);
	/* Transmitter empty, reported once */
	EXPECT_EQ(UART_IIR_THRI, in(self, UART_IIR) & IIR_SOURCE);
	/* Modem lines, until MSR is read */
	EXPECT_EQ(UART_IIR_MSI, in(self, UART_IIR) & IIR_SOURCE);
	EXPECT_EQ(UART_IIR_MSI, in(self, UART_IIR) & IIR_SOURCE);
	in(self, UART_MSR);
	EXPECT_EQ(UART_IIR_NO_INT, in(self, UART_IIR) & IIR_SOURCE);
}

TEST_F(port, interrupt_that_is_not_enabled_is_not_told)
{
	if (self->card.crashes)
		SKIP(return, CARD_CRASHES);
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	send_bytes(_metadata, self, 4);
	EXPECT_EQ(UART_IIR_NO_INT, in(self, UART_IIR) & IIR_SOURCE);
	out(_metadata, self, UART_IER, UART_IER_RDI);
	EXPECT_EQ(UART_IIR_RDI, in(self, UART_IIR) & UART_IIR_RDI);
	out(_metadata, self, UART_IER, 0);
	EXPECT_EQ(UART_IIR_NO_INT, in(self, UART_IIR) & IIR_SOURCE);
}

TEST_F(port, trigger_level_tells_data_from_timeout)
{
	const struct {
		int bits;
		int level;
	} triggers[] = {
		{ UART_FCR_TRIGGER_1, 1 }, { UART_FCR_TRIGGER_4, 4 },
		{ UART_FCR_TRIGGER_8, 8 }, { UART_FCR_TRIGGER_14, 14 },
	};
	size_t i;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "knows a level of 1 only");
	out(_metadata, self, UART_IER, UART_IER_RDI);
	for (i = 0; i < ARRAY_SIZE(triggers); i++) {
		out(_metadata, self, UART_FCR,
		    UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR |
		    triggers[i].bits);
		send_bytes(_metadata, self, triggers[i].level - 1);
		EXPECT_EQ(triggers[i].level > 1 ? UART_IIR_RX_TIMEOUT :
			  UART_IIR_NO_INT, in(self, UART_IIR) & IIR_SOURCE);
		send_bytes(_metadata, self, 1);
		EXPECT_EQ(UART_IIR_RDI, in(self, UART_IIR) & IIR_SOURCE) {
			TH_LOG("level %d", triggers[i].level);
		}
	}
}

TEST_F(port, enabling_the_empty_transmitters_interrupt_raises_it)
{
	if (self->card.crashes)
		SKIP(return, CARD_CRASHES);
	out(_metadata, self, UART_IER, UART_IER_THRI);
	EXPECT_EQ(UART_IIR_THRI, in(self, UART_IIR) & IIR_SOURCE);
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "reports the interrupt for ever");
	EXPECT_EQ(UART_IIR_NO_INT, in(self, UART_IIR) & IIR_SOURCE);
	/* Each transmitted byte raises it again */
	out(_metadata, self, UART_TX, 'a');
	EXPECT_EQ(UART_IIR_THRI, in(self, UART_IIR) & IIR_SOURCE);
	/* So does enabling it again, which Linux's driver tests */
	out(_metadata, self, UART_IER, 0);
	out(_metadata, self, UART_IER, UART_IER_THRI);
	EXPECT_EQ(UART_IIR_THRI, in(self, UART_IIR) & IIR_SOURCE);
}

TEST_F(port, loop_drives_the_modem_lines)
{
	const struct {
		int out;
		int in;
	} lines[] = {
		{ UART_MCR_RTS, UART_MSR_CTS },
		{ UART_MCR_DTR, UART_MSR_DSR },
		{ UART_MCR_OUT1, UART_MSR_RI },
		{ UART_MCR_OUT2, UART_MSR_DCD },
	};
	int set, i, expected;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no modem lines");
	for (set = 0; set < 16; set++) {
		int mcr = UART_MCR_LOOP;

		expected = 0;
		for (i = 0; i < 4; i++) {
			if (set & 1 << i) {
				mcr |= lines[i].out;
				expected |= lines[i].in;
			}
		}
		out(_metadata, self, UART_MCR, mcr);
		EXPECT_EQ(expected, in(self, UART_MSR) & 0xf0) {
			TH_LOG("MCR %#x", mcr);
		}
		EXPECT_EQ(mcr, in(self, UART_MCR));
	}
	/* Linux's driver probes in this way */
	out(_metadata, self, UART_MCR,
	    UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	EXPECT_EQ(UART_MSR_DCD | UART_MSR_CTS, in(self, UART_MSR) & 0xf0);
}

TEST_F(port, loop_brings_bytes_back)
{
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(_metadata, self, UART_MCR, UART_MCR_LOOP);
	send_bytes(_metadata, self, 3);
	expect_bytes(_metadata, self, 3);
}

TEST_F(port, changes_of_modem_lines_are_told_once)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no modem lines");
	in(self, UART_MSR);
	out(_metadata, self, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	EXPECT_EQ(UART_MSR_DCTS, in(self, UART_MSR) & UART_MSR_DCTS);
	EXPECT_EQ(0, in(self, UART_MSR) & UART_MSR_ANY_DELTA);
	out(_metadata, self, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	EXPECT_EQ(0, in(self, UART_MSR) & UART_MSR_ANY_DELTA);
	out(_metadata, self, UART_MCR, UART_MCR_LOOP);
	EXPECT_EQ(UART_MSR_DCTS, in(self, UART_MSR) & UART_MSR_ANY_DELTA);
}

TEST_F(port, each_modem_line_has_its_change)
{
	const struct {
		int out;
		int rise;
		int fall;
	} lines[] = {
		{ UART_MCR_RTS, UART_MSR_DCTS, UART_MSR_DCTS },
		{ UART_MCR_DTR, UART_MSR_DDSR, UART_MSR_DDSR },
		/* TERI reports the end of the ring signal, not its start */
		{ UART_MCR_OUT1, 0, UART_MSR_TERI },
		{ UART_MCR_OUT2, UART_MSR_DDCD, UART_MSR_DDCD },
	};
	size_t i;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no modem lines");
	out(_metadata, self, UART_MCR, UART_MCR_LOOP);
	in(self, UART_MSR);
	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		out(_metadata, self, UART_MCR, UART_MCR_LOOP | lines[i].out);
		EXPECT_EQ(lines[i].rise,
			  in(self, UART_MSR) & UART_MSR_ANY_DELTA) {
			TH_LOG("MCR %#x, set", lines[i].out);
		}
		out(_metadata, self, UART_MCR, UART_MCR_LOOP);
		EXPECT_EQ(lines[i].fall,
			  in(self, UART_MSR) & UART_MSR_ANY_DELTA) {
			TH_LOG("MCR %#x, cleared", lines[i].out);
		}
	}
}

TEST_F(port, plug_changes_two_lines_with_dtr)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no modem lines");
	in(self, UART_MSR);
	out(_metadata, self, UART_MCR, UART_MCR_DTR);
	EXPECT_EQ(UART_MSR_DSR | UART_MSR_DCD | UART_MSR_DDSR | UART_MSR_DDCD,
		  in(self, UART_MSR));
	out(_metadata, self, UART_MCR, UART_MCR_DTR | UART_MCR_RTS);
	EXPECT_EQ(UART_MSR_DSR | UART_MSR_DCD | UART_MSR_CTS | UART_MSR_DCTS,
		  in(self, UART_MSR));
	out(_metadata, self, UART_MCR, UART_MCR_RTS);
	EXPECT_EQ(UART_MSR_CTS | UART_MSR_DDSR | UART_MSR_DDCD,
		  in(self, UART_MSR));
}

TEST_F(port, device_reset_resets_the_port)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "keeps its registers");
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(_metadata, self, UART_IER, UART_IER_RDI);
	out(_metadata, self, UART_SCR, 0x77);
	out(_metadata, self, UART_LCR, UART_LCR_WLEN8);
	out(_metadata, self, UART_MCR, UART_MCR_RTS);
	send_bytes(_metadata, self, 5);
	ASSERT_EQ(0, vfio_ioctl(self->card.user.device, VFIO_DEVICE_RESET,
				NULL));
	EXPECT_EQ(0, in(self, UART_IER));
	EXPECT_EQ(UART_IIR_NO_INT, in(self, UART_IIR));
	EXPECT_EQ(0, in(self, UART_LCR));
	EXPECT_EQ(0, in(self, UART_MCR));
	EXPECT_EQ(UART_LSR_TEMT | UART_LSR_THRE, in(self, UART_LSR));
}

TEST_F(port, next_opener_finds_it_as_new)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "keeps the last holder's state");
	out(_metadata, self, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(_metadata, self, UART_IER, UART_IER_RDI);
	out(_metadata, self, UART_SCR, 0x77);
	send_bytes(_metadata, self, 5);
	ASSERT_EQ(0, card_set_config32(&self->card, PCI_BASE_ADDRESS_0,
				       0xc000));
	vfio_close(&self->card.user);
	ASSERT_EQ(0, card_use(&self->card));
	EXPECT_EQ(0, in(self, UART_IER));
	EXPECT_EQ(UART_IIR_NO_INT, in(self, UART_IIR));
	EXPECT_EQ(0, in(self, UART_SCR));
	EXPECT_EQ(UART_LSR_TEMT | UART_LSR_THRE, in(self, UART_LSR));
	EXPECT_EQ(PCI_BASE_ADDRESS_SPACE_IO,
		  card_config32(&self->card, PCI_BASE_ADDRESS_0));
}

/* Two ports on one card */
FIXTURE(ports)
{
	struct card card;
};

FIXTURE_SETUP(ports)
{
	if (!parent_exists(CARD_PARENT))
		SKIP(return, "no parent " CARD_PARENT);
	ASSERT_EQ(0, card_create(&self->card, "mtty-2"));
}

FIXTURE_TEARDOWN(ports)
{
	EXPECT_EQ(0, card_remove(&self->card));
}

TEST_F(ports, are_independent)
{
	const struct card *card = &self->card;
	int i;

	if (self->card.crashes)
		SKIP(return, CARD_CRASHES);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, card_out(card, i, UART_FCR, UART_FCR_ENABLE_FIFO));
		EXPECT_EQ(0, card_out(card, i, UART_SCR, 0x50 + i));
	}
	EXPECT_EQ(0, card_out(card, 0, UART_TX, 'a'));
	EXPECT_EQ(0, card_in(card, 1, UART_LSR) & UART_LSR_DR);
	EXPECT_EQ(0, card_out(card, 1, UART_TX, 'b'));
	EXPECT_EQ(0, card_out(card, 1, UART_LCR, UART_LCR_DLAB));
	EXPECT_EQ('a', card_in(card, 0, UART_RX));
	EXPECT_EQ(0, card_in(card, 0, UART_LCR));
	EXPECT_EQ(0, card_out(card, 1, UART_LCR, 0));
	EXPECT_EQ(0, card_in(card, 0, UART_LSR) & UART_LSR_DR);
	EXPECT_EQ('b', card_in(card, 1, UART_RX));
	EXPECT_EQ(0x50, card_in(card, 0, UART_SCR));
	EXPECT_EQ(0x51, card_in(card, 1, UART_SCR));
	EXPECT_EQ(0, card_out(card, 0, UART_IER, UART_IER_THRI));
	EXPECT_EQ(UART_IIR_NO_INT, card_in(card, 1, UART_IIR) & IIR_SOURCE);
}

TEST_F(ports, of_two_cards_are_independent)
{
	struct card other;

	ASSERT_EQ(0, card_create(&other, "mtty-1"));
	EXPECT_EQ(0, card_out(&other, 0, UART_TX, 'x'));
	EXPECT_EQ(0, card_in(&self->card, 0, UART_LSR) & UART_LSR_DR);
	EXPECT_EQ('x', card_in(&other, 0, UART_RX));
	EXPECT_EQ(0, card_remove(&other));
}

TEST_HARNESS_MAIN
