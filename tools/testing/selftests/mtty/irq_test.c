// SPDX-License-Identifier: GPL-2.0-only
/* The interrupts of an mtty device: INTx, which is a level, and MSI, which is a message. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "card.h"

#define INTX	VFIO_PCI_INTX_IRQ_INDEX
#define MSI	VFIO_PCI_MSI_IRQ_INDEX
#define REQ	VFIO_PCI_REQ_IRQ_INDEX
#define TRIGGER	VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK	VFIO_IRQ_SET_ACTION_MASK
#define UNMASK	VFIO_IRQ_SET_ACTION_UNMASK

/* The offset of the MSI capability */
#define MSI_CAPABILITY	0x40

FIXTURE(irq)
{
	struct card card;
	int intx;
	int msi;
	int req;
};

FIXTURE_SETUP(irq)
{
	if (!parent_exists(CARD_PARENT))
		SKIP(return, "no parent " CARD_PARENT);
	ASSERT_EQ(0, card_create(&self->card, "mtty-2"));
	if (self->card.crashes) {
		card_remove(&self->card);
		SKIP(return, CARD_CRASHES);
	}
	self->intx = eventfd_new();
	self->msi = eventfd_new();
	self->req = eventfd_new();
	ASSERT_LE(0, self->req);
}

/* The device has dropped all its references to eventfd contexts */
FIXTURE_TEARDOWN(irq)
{
	EXPECT_EQ(0, card_remove(&self->card));
	close(self->intx);
	close(self->msi);
	close(self->req);
	if (!self->card.kernels_own)
		EXPECT_TRUE(eventfd_ids_back_to(self->card.eventfd_id));
}

static void act(struct __test_metadata *_metadata, const struct card *card,
		int index, __u32 action)
{
	EXPECT_EQ(0, card_act(card, index, action, 1));
}

static void turn_off(struct __test_metadata *_metadata, const struct card *card,
		     int index)
{
	EXPECT_EQ(0, card_act(card, index, TRIGGER, 0));
}

TEST_F(irq, trigger_by_loopback_signals)
{
	const int indexes[] = { INTX, MSI, REQ };
	const int fds[] = { self->intx, self->msi, self->req };
	int i;

	for (i = 0; i < 3; i++) {
		if (indexes[i] == REQ && self->card.kernels_own)
			continue;
		expect_set_eventfd(_metadata, &self->card, indexes[i], fds[i]);
		EXPECT_EQ(0, eventfd_take(fds[i]));
		act(_metadata, &self->card, indexes[i], TRIGGER);
		EXPECT_EQ(1, eventfd_take(fds[i]));
		if (indexes[i] == INTX)
			act(_metadata, &self->card, INTX, UNMASK);
		EXPECT_EQ(0, card_act_if(&self->card, indexes[i], TRIGGER, 0));
		EXPECT_EQ(0, eventfd_take(fds[i]));
		EXPECT_EQ(0, card_act_if(&self->card, indexes[i], TRIGGER, 1));
		EXPECT_EQ(1, eventfd_take(fds[i]));
		expect_set_eventfd(_metadata, &self->card, indexes[i], -1);
	}
}

TEST_F(irq, trigger_that_is_not_set_signals_nobody)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "refuses this without an eventfd");
	act(_metadata, &self->card, INTX, TRIGGER);
	act(_metadata, &self->card, MSI, TRIGGER);
	act(_metadata, &self->card, REQ, TRIGGER);
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	expect_set_eventfd(_metadata, &self->card, REQ, self->req);
	EXPECT_EQ(0, eventfd_take(self->intx));
	EXPECT_EQ(0, eventfd_take(self->msi));
	EXPECT_EQ(0, eventfd_take(self->req));
}

TEST_F(irq, received_byte_signals_intx)
{
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(0, eventfd_take(self->intx));
	card_in(&self->card, 0, UART_RX);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	EXPECT_EQ(0, eventfd_take(self->intx));
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->intx));
}

TEST_F(irq, received_byte_signals_msi)
{
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->msi));
	EXPECT_EQ('a', card_in(&self->card, 0, UART_RX));
	expect_out(_metadata, &self->card, 0, UART_TX, 'b');
	EXPECT_EQ(1, eventfd_take(self->msi));
}

TEST_F(irq, access_that_raises_nothing_sends_no_message)
{
	int reg;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "sends a message for each byte");
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->msi));
	/* The byte stays, so its interrupt stays asserted */
	expect_out(_metadata, &self->card, 0, UART_TX, 'b');
	expect_out(_metadata, &self->card, 0, UART_SCR, 0x5a);
	for (reg = UART_IER; reg <= UART_SCR; reg++)
		card_in(&self->card, 0, reg);
	for (reg = UART_TX; reg <= UART_SCR; reg++)
		card_in(&self->card, 1, reg);
	card_in(&self->card, 0, UART_RX);
	EXPECT_EQ(0, eventfd_take(self->msi));
	/* The interrupt ends, and is raised again */
	EXPECT_EQ('b', card_in(&self->card, 0, UART_RX));
	EXPECT_EQ(0, eventfd_take(self->msi));
	expect_out(_metadata, &self->card, 0, UART_TX, 'c');
	EXPECT_EQ(1, eventfd_take(self->msi));
}

TEST_F(irq, each_byte_that_goes_out_sends_a_message)
{
	int i;

	if (self->card.kernels_own)
		SKIP(return,
		     CARD_KERNELS_OWN "sends no message for an empty transmitter");
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_THRI);
	EXPECT_EQ(1, eventfd_take(self->msi));
	/* No read of IIR: the interrupt stays asserted */
	for (i = 0; i < 3; i++) {
		expect_out(_metadata, &self->card, 0, UART_TX, 'a' + i);
		EXPECT_EQ(1, eventfd_take(self->msi));
	}
}

TEST_F(irq, configuration_write_sends_no_message)
{
	const __u32 msi = (__u32)PCI_MSI_FLAGS_ENABLE << 16;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no MSI capability");
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->msi));
	EXPECT_EQ(0, card_set_config32(&self->card, PCI_COMMAND,
				       PCI_COMMAND_IO));
	EXPECT_EQ(0, card_set_config32(&self->card, PCI_INTERRUPT_LINE, 11));
	/* The trigger has enabled MSI already */
	EXPECT_EQ(0, card_set_config32(&self->card, MSI_CAPABILITY, msi));
	EXPECT_EQ(0, card_set_config32(&self->card, MSI_CAPABILITY, msi));
	EXPECT_EQ(0, card_set_config32(&self->card, MSI_CAPABILITY, 0));
	EXPECT_EQ(0, eventfd_take(self->msi));
}

TEST_F(irq, pending_interrupt_is_one_message_when_msi_is_enabled)
{
	const __u32 msi = (__u32)PCI_MSI_FLAGS_ENABLE << 16;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "loses the interrupt");
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 1, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	expect_out(_metadata, &self->card, 1, UART_TX, 'a');
	/* First the trigger, then the capability; below, the other way round */
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	EXPECT_EQ(0, card_set_config32(&self->card, MSI_CAPABILITY, msi));
	EXPECT_EQ(1, eventfd_take(self->msi));
	expect_set_eventfd(_metadata, &self->card, MSI, -1);
	EXPECT_EQ(0, card_set_config32(&self->card, MSI_CAPABILITY, 0));
	EXPECT_EQ(0, card_set_config32(&self->card, MSI_CAPABILITY, msi));
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	EXPECT_EQ(1, eventfd_take(self->msi));
	/* Without a pending interrupt, no message */
	card_in(&self->card, 0, UART_RX);
	card_in(&self->card, 1, UART_RX);
	expect_set_eventfd(_metadata, &self->card, MSI, -1);
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	EXPECT_EQ(0, eventfd_take(self->msi));
}

TEST_F(irq, loopback_trigger_is_one_message)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "loses a pending interrupt");
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->msi));
	/* An interrupt is pending, and its message has been sent */
	act(_metadata, &self->card, MSI, TRIGGER);
	EXPECT_EQ(1, eventfd_take(self->msi));
	EXPECT_EQ(0, card_act_if(&self->card, MSI, TRIGGER, 1));
	EXPECT_EQ(1, eventfd_take(self->msi));
	EXPECT_EQ(0, card_act_if(&self->card, MSI, TRIGGER, 0));
	EXPECT_EQ(0, eventfd_take(self->msi));
}

TEST_F(irq, second_port_signals_too)
{
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 1, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 1, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(0, eventfd_take(self->msi));
	expect_out(_metadata, &self->card, 1, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->msi));
}

TEST_F(irq, intx_masks_itself)
{
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->intx));
	card_in(&self->card, 0, UART_RX);
	expect_out(_metadata, &self->card, 0, UART_TX, 'b');
	EXPECT_EQ(0, eventfd_take(self->intx));
}

TEST_F(irq, intx_that_came_while_masked_is_not_lost)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "loses the interrupt");
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->intx));
	card_in(&self->card, 0, UART_RX);
	expect_out(_metadata, &self->card, 0, UART_TX, 'b');
	act(_metadata, &self->card, INTX, UNMASK);
	EXPECT_EQ(1, eventfd_take(self->intx));
	/* INTx is a level: it is signalled again until the byte is read */
	act(_metadata, &self->card, INTX, UNMASK);
	EXPECT_EQ(1, eventfd_take(self->intx));
	EXPECT_EQ('b', card_in(&self->card, 0, UART_RX));
	act(_metadata, &self->card, INTX, UNMASK);
	EXPECT_EQ(0, eventfd_take(self->intx));
	expect_out(_metadata, &self->card, 0, UART_TX, 'c');
	EXPECT_EQ(1, eventfd_take(self->intx));
}

TEST_F(irq, intx_of_one_port_does_not_hide_the_other)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "loses the interrupt");
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 1, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->intx));
	expect_out(_metadata, &self->card, 1, UART_TX, 'b');
	EXPECT_EQ(0, eventfd_take(self->intx));
	card_in(&self->card, 0, UART_RX);
	act(_metadata, &self->card, INTX, UNMASK);
	EXPECT_EQ(1, eventfd_take(self->intx));
	card_in(&self->card, 1, UART_RX);
	act(_metadata, &self->card, INTX, UNMASK);
	EXPECT_EQ(0, eventfd_take(self->intx));
}

TEST_F(irq, intx_can_be_masked)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "loses the interrupt");
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	act(_metadata, &self->card, INTX, MASK);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(0, eventfd_take(self->intx));
	EXPECT_EQ(0, card_act_if(&self->card, INTX, UNMASK, 0));
	EXPECT_EQ(0, eventfd_take(self->intx));
	EXPECT_EQ(0, card_act_if(&self->card, INTX, UNMASK, 1));
	EXPECT_EQ(1, eventfd_take(self->intx));
	card_in(&self->card, 0, UART_RX);
	act(_metadata, &self->card, INTX, UNMASK);
	EXPECT_EQ(0, card_act_if(&self->card, INTX, MASK, 0));
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->intx));
}

TEST_F(irq, intx_pending_reaches_the_eventfd_that_is_set_later)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "loses the interrupt");
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	EXPECT_EQ(1, eventfd_take(self->intx));
}

TEST_F(irq, eventfd_can_unmask_intx)
{
	int unmask;
	__u64 one = 1;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no unmask eventfd");
	unmask = eventfd_new();
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	EXPECT_EQ(0, card_set_unmask(&self->card, unmask));
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->intx));
	EXPECT_EQ(8, write(unmask, &one, sizeof(one)));
	EXPECT_TRUE(eventfd_wait(self->intx, SOON_MS));
	EXPECT_EQ(1, eventfd_take(self->intx));
	/* The eventfd can be removed, even twice */
	EXPECT_TRUE(eventfd_is_heard(unmask));
	EXPECT_EQ(0, card_set_unmask(&self->card, -1));
	EXPECT_FALSE(eventfd_is_heard(unmask));
	EXPECT_EQ(0, card_set_unmask(&self->card, -1));
	close(unmask);
}

TEST_F(irq, turning_intx_off_takes_its_unmask_eventfd_away)
{
	int unmask;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no unmask eventfd");
	unmask = eventfd_new();
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	EXPECT_EQ(0, card_set_unmask(&self->card, unmask));
	/* Replacing the trigger keeps the unmask eventfd */
	expect_set_eventfd(_metadata, &self->card, INTX, -1);
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	EXPECT_TRUE(eventfd_is_heard(unmask));
	turn_off(_metadata, &self->card, INTX);
	EXPECT_FALSE(eventfd_is_heard(unmask));
	EXPECT_EQ(0, card_set_unmask(&self->card, unmask));
	EXPECT_TRUE(eventfd_is_heard(unmask));
	close(unmask);
}

TEST_F(irq, closing_the_device_takes_the_unmask_eventfd_away)
{
	int unmask;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no unmask eventfd");
	unmask = eventfd_new();
	EXPECT_EQ(0, card_set_unmask(&self->card, unmask));
	vfio_close(&self->card.user);
	ASSERT_EQ(0, card_use(&self->card));
	/* The interrupt of the next holder is pending and masked */
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	act(_metadata, &self->card, INTX, MASK);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_FALSE(eventfd_is_heard(unmask));
	EXPECT_FALSE(eventfd_wait(self->intx, 200));
	/* The next holder's own unmask eventfd works nevertheless */
	EXPECT_EQ(0, card_set_unmask(&self->card, self->msi));
	EXPECT_TRUE(eventfd_is_heard(self->msi));
	EXPECT_TRUE(eventfd_wait(self->intx, SOON_MS));
	close(unmask);
}

TEST_F(irq, removing_the_device_takes_the_unmask_eventfd_away)
{
	struct card other;
	int unmask;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no unmask eventfd");
	ASSERT_EQ(0, card_create(&other, "mtty-1"));
	unmask = eventfd_new();
	EXPECT_EQ(0, card_set_unmask(&other, unmask));
	EXPECT_EQ(0, card_remove(&other));
	EXPECT_FALSE(eventfd_is_heard(unmask));
	close(unmask);
}

/* The fields behind the name in /proc/PID/stat, up to the user and system ticks */
#define KWORKER_STAT ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu"

/* Returns the ticks that all kernel workers have run */
static long kworker_ticks(void)
{
	unsigned long user, system;
	char path[64], text[512], *name;
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	long ticks = 0;

	while (proc && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%.20s/stat", entry->d_name);
		if (!isdigit(entry->d_name[0]) ||
		    file_read(path, text, sizeof(text)) < 0)
			continue;
		name = strstr(text, "(kworker/");
		if (name && sscanf(strrchr(text, ')'), KWORKER_STAT, &user,
				   &system) == 2)
			ticks += user + system;
	}
	if (proc)
		closedir(proc);
	return ticks;
}

/* A level that unmasks itself signals for ever, but must not take all CPU time */
TEST_F(irq, intx_that_unmasks_itself_is_slowed_down)
{
	long before, second = sysconf(_SC_CLK_TCK);
	__u64 one = 1;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no unmask eventfd");
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	EXPECT_EQ(0, card_set_unmask(&self->card, self->intx));
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(8, write(self->intx, &one, sizeof(one)));
	before = kworker_ticks();
	sleep(2);
	/* A worker that is not slowed down would run for all of the two seconds */
	EXPECT_GT(second, kworker_ticks() - before);
	TH_LOG("%ld of %ld ticks", kworker_ticks() - before, 2 * second);
	EXPECT_EQ(1, card_in(&self->card, 0, UART_LSR) & UART_LSR_DR);
}

TEST_F(irq, intx_can_be_disabled_in_the_command_register)
{
	const __u32 io = PCI_COMMAND_IO;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "ignores the bit");
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	EXPECT_EQ(0, card_set_config32(&self->card, PCI_COMMAND,
				       io | PCI_COMMAND_INTX_DISABLE));
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(0, eventfd_take(self->intx));
	EXPECT_EQ(PCI_STATUS_INTERRUPT << 16,
		  card_config32(&self->card, PCI_COMMAND) &
		  PCI_STATUS_INTERRUPT << 16);
	EXPECT_EQ(0, card_set_config32(&self->card, PCI_COMMAND, io));
	EXPECT_EQ(1, eventfd_take(self->intx));
	card_in(&self->card, 0, UART_RX);
	EXPECT_EQ(0, card_config32(&self->card, PCI_COMMAND) &
		     PCI_STATUS_INTERRUPT << 16);
}

TEST_F(irq, eventfd_can_be_replaced)
{
	int other = eventfd_new();

	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	expect_set_eventfd(_metadata, &self->card, MSI, other);
	act(_metadata, &self->card, MSI, TRIGGER);
	EXPECT_EQ(0, eventfd_take(self->msi));
	EXPECT_EQ(1, eventfd_take(other));
	expect_set_eventfd(_metadata, &self->card, MSI, -1);
	EXPECT_EQ(0, eventfd_take(other));
	close(other);
}

TEST_F(irq, closed_eventfd_does_no_harm)
{
	int fd = eventfd_new();

	expect_set_eventfd(_metadata, &self->card, MSI, fd);
	close(fd);
	act(_metadata, &self->card, MSI, TRIGGER);
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	act(_metadata, &self->card, MSI, TRIGGER);
	EXPECT_EQ(1, eventfd_take(self->msi));
}

TEST_F(irq, eventfd_that_is_full_does_no_harm)
{
	__u64 full = ~0ULL - 1;
	int i;

	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	ASSERT_EQ(8, write(self->msi, &full, sizeof(full)));
	for (i = 0; i < 10; i++)
		act(_metadata, &self->card, MSI, TRIGGER);
	EXPECT_NE(0, eventfd_take(self->msi));
	act(_metadata, &self->card, MSI, TRIGGER);
	EXPECT_EQ(1, eventfd_take(self->msi));
}

TEST_F(irq, one_eventfd_serves_all)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has one index at a time");
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	expect_set_eventfd(_metadata, &self->card, MSI, self->intx);
	expect_set_eventfd(_metadata, &self->card, REQ, self->intx);
	act(_metadata, &self->card, INTX, TRIGGER);
	act(_metadata, &self->card, MSI, TRIGGER);
	act(_metadata, &self->card, REQ, TRIGGER);
	EXPECT_EQ(3, eventfd_take(self->intx));
}

TEST_F(irq, turning_off_twice_does_no_harm)
{
	const int indexes[] = { INTX, MSI, REQ };
	int i, j;

	if (self->card.kernels_own)
		SKIP(return,
		     CARD_KERNELS_OWN "puts its eventfd twice, on some kernels");
	for (i = 0; i < 3; i++) {
		int fd = eventfd_new();

		for (j = 0; j < 4; j++)
			turn_off(_metadata, &self->card, indexes[i]);
		expect_set_eventfd(_metadata, &self->card, indexes[i], fd);
		for (j = 0; j < 4; j++)
			turn_off(_metadata, &self->card, indexes[i]);
		expect_set_eventfd(_metadata, &self->card, indexes[i], fd);
		for (j = 0; j < 4; j++)
			expect_set_eventfd(_metadata, &self->card, indexes[i],
					   -1);
		turn_off(_metadata, &self->card, indexes[i]);
		act(_metadata, &self->card, indexes[i], TRIGGER);
		EXPECT_EQ(0, eventfd_take(fd));
		expect_set_eventfd(_metadata, &self->card, indexes[i], fd);
		act(_metadata, &self->card, indexes[i], TRIGGER);
		EXPECT_EQ(1, eventfd_take(fd));
		turn_off(_metadata, &self->card, indexes[i]);
		close(fd);
	}
}

TEST_F(irq, next_opener_has_none_of_the_triggers)
{
	if (self->card.kernels_own)
		SKIP(return,
		     CARD_KERNELS_OWN "loses the next holder's interrupts");
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	expect_set_eventfd(_metadata, &self->card, REQ, self->req);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	act(_metadata, &self->card, INTX, MASK);
	vfio_close(&self->card.user);
	ASSERT_EQ(0, card_use(&self->card));
	act(_metadata, &self->card, INTX, TRIGGER);
	act(_metadata, &self->card, MSI, TRIGGER);
	act(_metadata, &self->card, REQ, TRIGGER);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(0, eventfd_take(self->intx));
	EXPECT_EQ(0, eventfd_take(self->req));
	card_in(&self->card, 0, UART_RX);
	/* INTx works for the new holder, because it is not masked */
	expect_set_eventfd(_metadata, &self->card, INTX, self->msi);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->msi));
	EXPECT_EQ(0, eventfd_take(self->intx));
}

TEST_F(irq, next_opener_after_msi_has_intx)
{
	expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
	if (self->card.kernels_own)
		expect_set_eventfd(_metadata, &self->card, MSI, -1);
	vfio_close(&self->card.user);
	ASSERT_EQ(0, card_use(&self->card));
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->intx));
	EXPECT_EQ(0, eventfd_take(self->msi));
}

static int run_set_and_die(void *arg)
{
	struct card *card = arg;
	int fd = eventfd_new();

	if (card_use(card) || card_set_eventfd(card, INTX, fd) ||
	    card_set_eventfd(card, MSI, fd) || card_set_eventfd(card, REQ, fd))
		return 1;
	abort();
}

TEST_F(irq, death_drops_the_triggers)
{
	int i;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no request interrupt");
	vfio_close(&self->card.user);
	for (i = 0; i < 10; i++) {
		pid_t pid = child_start(run_set_and_die, &self->card, -1, -1);

		EXPECT_EQ(128 + SIGABRT, child_wait(pid, SOON_MS));
	}
	ASSERT_EQ(0, card_use(&self->card));
	act(_metadata, &self->card, INTX, TRIGGER);
	act(_metadata, &self->card, MSI, TRIGGER);
	act(_metadata, &self->card, REQ, TRIGGER);
}

TEST_F(irq, reset_keeps_the_triggers)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "is not tested for this");
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	expect_set_eventfd(_metadata, &self->card, REQ, self->req);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	ASSERT_EQ(0, vfio_ioctl(self->card.user.device, VFIO_DEVICE_RESET,
				NULL));
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(0, eventfd_take(self->intx));
	card_in(&self->card, 0, UART_RX);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(1, eventfd_take(self->intx));
	act(_metadata, &self->card, REQ, TRIGGER);
	EXPECT_EQ(1, eventfd_take(self->req));
}

TEST_F(irq, reset_keeps_the_mask)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "is not tested for this");
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	act(_metadata, &self->card, INTX, MASK);
	ASSERT_EQ(0, vfio_ioctl(self->card.user.device, VFIO_DEVICE_RESET,
				NULL));
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(0, eventfd_take(self->intx));
	act(_metadata, &self->card, INTX, UNMASK);
	EXPECT_EQ(1, eventfd_take(self->intx));
	/* Also the mask that a signal of INTx has set */
	ASSERT_EQ(0, vfio_ioctl(self->card.user.device, VFIO_DEVICE_RESET,
				NULL));
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	EXPECT_EQ(0, eventfd_take(self->intx));
	act(_metadata, &self->card, INTX, UNMASK);
	EXPECT_EQ(1, eventfd_take(self->intx));
}

/* Threads signal while another one sets, replaces and removes the triggers */
struct storm {
	const struct card *card;
	int over;
	int bad;
};

static void *storm_uart(void *arg)
{
	struct storm *storm = arg;

	while (!__atomic_load_n(&storm->over, __ATOMIC_RELAXED)) {
		if (card_out(storm->card, 0, UART_TX, 'a') ||
		    card_in(storm->card, 0, UART_RX) < 0 ||
		    card_act(storm->card, INTX, UNMASK, 1))
			storm->bad = 1;
	}
	return NULL;
}

static void *storm_trigger(void *arg)
{
	struct storm *storm = arg;

	while (!__atomic_load_n(&storm->over, __ATOMIC_RELAXED)) {
		if (card_act(storm->card, INTX, TRIGGER, 1) ||
		    card_act(storm->card, MSI, TRIGGER, 1) ||
		    card_act(storm->card, REQ, TRIGGER, 1))
			storm->bad = 1;
	}
	return NULL;
}

TEST_F_TIMEOUT(irq, triggers_change_while_they_are_signalled, 120 * SLOWER)
{
	const int indexes[] = { INTX, MSI, REQ };
	struct storm storm = { .card = &self->card };
	pthread_t threads[2];
	int i, j;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "may crash");
	expect_out(_metadata, &self->card, 0, UART_IER,
		   UART_IER_RDI | UART_IER_THRI);
	ASSERT_EQ(0, pthread_create(&threads[0], NULL, storm_uart, &storm));
	ASSERT_EQ(0, pthread_create(&threads[1], NULL, storm_trigger, &storm));
	for (i = 0; i < 1500; i++) {
		for (j = 0; j < 3; j++) {
			int fd = eventfd_new();

			expect_set_eventfd(_metadata, &self->card, indexes[j],
					   fd);
			close(fd);
			if ((i + j) % 3 == 0) {
				expect_set_eventfd(_metadata, &self->card,
						   indexes[j], -1);
			} else if ((i + j) % 3 == 1) {
				turn_off(_metadata, &self->card, indexes[j]);
			}
		}
	}
	storm.over = 1;
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, storm.bad);
	/* The interrupts work as before */
	for (j = 0; j < 3; j++)
		turn_off(_metadata, &self->card, indexes[j]);
	card_in(&self->card, 0, UART_RX);
	expect_out(_metadata, &self->card, 0, UART_IER, 0);
	expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
	act(_metadata, &self->card, INTX, TRIGGER);
	EXPECT_EQ(1, eventfd_take(self->intx));
}

/* Signals until the descriptor is closed */
static void *storm_close(void *arg)
{
	struct storm *storm = arg;
	int ret = 0;

	while (!ret) {
		ret = card_act(storm->card, MSI, TRIGGER, 1);
		__atomic_store_n(&storm->over, 1, __ATOMIC_RELAXED);
	}
	storm->bad = ret;
	return NULL;
}

TEST_F_TIMEOUT(irq, device_closes_while_it_is_signalled, 120 * SLOWER)
{
	int i;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "may crash");
	for (i = 0; i < 200; i++) {
		struct storm storm = { .card = &self->card };
		pthread_t thread;

		expect_set_eventfd(_metadata, &self->card, INTX, self->intx);
		expect_set_eventfd(_metadata, &self->card, MSI, self->msi);
		ASSERT_EQ(0, pthread_create(&thread, NULL, storm_close,
					    &storm));
		while (!__atomic_load_n(&storm.over, __ATOMIC_RELAXED))
			sched_yield();
		close(self->card.user.device);
		pthread_join(thread, NULL);
		EXPECT_EQ(-EBADF, storm.bad);
		self->card.user.device = -1;
		vfio_close(&self->card.user);
		ASSERT_EQ(0, card_use(&self->card));
	}
}

TEST_HARNESS_MAIN
