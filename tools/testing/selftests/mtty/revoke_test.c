// SPDX-License-Identifier: GPL-2.0-only
/*
 * A serial card is revoked. Nothing of the former holder's state reaches the
 * next holder. A call that is repeated because of missing memory takes effect
 * once.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "card.h"

#define INTX	VFIO_PCI_INTX_IRQ_INDEX
#define MSI	VFIO_PCI_MSI_IRQ_INDEX

/* A step that the holder repeats until it fails */
struct busy {
	struct card *card;
	int (*step)(struct busy *busy);
	int fds[3];
	int steps;
	int ret;
	pthread_t thread;
};

static void *run_busy(void *arg)
{
	struct busy *busy = arg;

	do {
		busy->ret = busy->step(busy);
		__atomic_add_fetch(&busy->steps, 1, __ATOMIC_RELAXED);
	} while (!busy->ret);
	return NULL;
}

FIXTURE(card)
{
	struct card card;
	/* The card of the next holder */
	struct card next;
	struct busy busy;
	struct missing missing;
	size_t page;
	int eventfd_id;
};

FIXTURE_SETUP(card)
{
	if (!parent_exists(CARD_PARENT))
		SKIP(return, "no parent " CARD_PARENT);
	self->page = sysconf(_SC_PAGESIZE);
	self->missing = (struct missing)MISSING_NONE;
	self->next.user = (struct vfio_user)VFIO_USER_NONE;
	self->eventfd_id = eventfd_next_id();
	ASSERT_EQ(0, card_create(&self->card, "mtty-2"));
	ASSERT_EQ(0, missing_new(&self->missing, 2 * self->page));
	self->busy.card = &self->card;
}

FIXTURE_TEARDOWN(card)
{
	missing_free(&self->missing);
	vfio_close(&self->next.user);
	vfio_close(&self->card.user);
	if (mdev_exists(&self->card.uuid))
		EXPECT_EQ(0, mdev_remove(&self->card.uuid));
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

static void revoke_card(struct __test_metadata *_metadata,
			const struct card *card)
{
	EXPECT_EQ(0, child_wait(revoker_start(&card->uuid), SOON_MS));
}

static void start_busy(struct __test_metadata *_metadata, struct busy *busy,
		       int (*step)(struct busy *busy))
{
	busy->step = step;
	ASSERT_EQ(0, pthread_create(&busy->thread, NULL, run_busy, busy));
	while (__atomic_load_n(&busy->steps, __ATOMIC_RELAXED) < 10)
		usleep(1000);
}

static void expect_busy_ended(struct __test_metadata *_metadata,
			      const struct busy *busy)
{
	pthread_join(busy->thread, NULL);
	EXPECT_EQ(-ENODEV, busy->ret);
}

/* Creates a device with the same UUID for the next holder */
static void start_next(struct __test_metadata *_metadata,
		       FIXTURE_DATA(card) *self)
{
	self->next.uuid = self->card.uuid;
	ASSERT_EQ(0, mdev_create(CARD_PARENT, "mtty-2", &self->next.uuid));
	ASSERT_EQ(0, card_use(&self->next));
}

TEST_F(card, next_holder_finds_a_new_card)
{
	int reg;

	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_SCR, 0x5a);
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_MCR, UART_MCR_RTS);
	expect_out(_metadata, &self->card, 0, UART_TX, 'x');
	EXPECT_EQ(0, card_set_config32(&self->card, PCI_BASE_ADDRESS_0,
				       0xffffffff));
	revoke_card(_metadata, &self->card);
	start_next(_metadata, self);
	EXPECT_EQ(0, card_in(&self->next, 0, UART_SCR));
	EXPECT_EQ(0, card_in(&self->next, 0, UART_IER));
	EXPECT_EQ(0, card_in(&self->next, 0, UART_MCR));
	EXPECT_EQ(UART_LSR_THRE | UART_LSR_TEMT,
		  card_in(&self->next, 0, UART_LSR));
	EXPECT_EQ(1, card_config32(&self->next, PCI_BASE_ADDRESS_0));
	for (reg = 0; reg < 8; reg++)
		EXPECT_EQ(-ENODEV, card_in(&self->card, 0, reg));
}

static int step_write(struct busy *busy)
{
	int i, ret = 0;

	for (i = 0; !ret && i < 20; i++)
		ret = card_out(busy->card, i % 2, UART_TX, 'x');
	if (!ret)
		ret = card_out(busy->card, 0, UART_SCR, 0x5a);
	return ret;
}

TEST_F(card, holder_that_goes_on_does_not_reach_the_next_one)
{
	int i;

	start_busy(_metadata, &self->busy, step_write);
	revoke_card(_metadata, &self->card);
	start_next(_metadata, self);
	EXPECT_EQ(0, card_out(&self->next, 0, UART_FCR, UART_FCR_ENABLE_FIFO));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0, card_out(&self->next, 0, UART_TX, 'a' + i));
	EXPECT_EQ(-ENODEV, card_out(&self->card, 0, UART_TX, 'x'));
	for (i = 0; i < 16; i++)
		EXPECT_EQ('a' + i, card_in(&self->next, 0, UART_RX));
	EXPECT_EQ(0, card_in(&self->next, 0, UART_SCR));
	expect_busy_ended(_metadata, &self->busy);
}

static int step_interrupt(struct busy *busy)
{
	__u64 one = 1;
	int ret;

	/* Signals INTx, and unmasks it by the holder's eventfd */
	ret = card_out(busy->card, 0, UART_IER, UART_IER_THRI);
	if (!ret)
		ret = card_out(busy->card, 0, UART_TX, 'x');
	if (write(busy->fds[2], &one, sizeof(one)) != sizeof(one))
		return -errno;
	return ret;
}

TEST_F(card, interrupts_under_way_end)
{
	int *fds = self->busy.fds;
	int i;

	for (i = 0; i < 3; i++) {
		fds[i] = eventfd_new();
		ASSERT_LE(0, fds[i]);
	}
	expect_set_eventfd(_metadata, &self->card, INTX, fds[0]);
	EXPECT_EQ(0, card_set_unmask(&self->card, fds[2]));
	start_busy(_metadata, &self->busy, step_interrupt);
	EXPECT_TRUE(eventfd_wait(fds[0], SOON_MS));
	revoke_card(_metadata, &self->card);
	expect_busy_ended(_metadata, &self->busy);
	/* Discard signals from before the revocation */
	eventfd_take(fds[0]);
	eventfd_take(fds[2]);
	EXPECT_FALSE(eventfd_is_heard(fds[2]));
	EXPECT_FALSE(eventfd_wait(fds[0], 200));
	/* The next holder's card does not signal the old eventfds */
	start_next(_metadata, self);
	EXPECT_EQ(0, card_out(&self->next, 0, UART_IER, UART_IER_THRI));
	EXPECT_FALSE(eventfd_wait(fds[0], 200));
	for (i = 0; i < 3; i++)
		close(fds[i]);
	/* No reference to the contexts is left, while the shell is still open */
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

static int step_set_irqs(struct busy *busy)
{
	int device = busy->card->user.device;
	int ret;

	ret = vfio_set_eventfd(device, INTX, busy->fds[0]);
	if (!ret)
		ret = card_set_unmask(busy->card, busy->fds[2]);
	if (!ret)
		ret = vfio_set_eventfd(device, MSI, busy->fds[1]);
	if (!ret)
		ret = card_act(busy->card, MSI, VFIO_IRQ_SET_ACTION_TRIGGER, 0);
	if (!ret)
		ret = card_act(busy->card, INTX, VFIO_IRQ_SET_ACTION_TRIGGER,
			       0);
	return ret;
}

TEST_F_TIMEOUT(card, eventfds_set_meanwhile_are_dropped, 120)
{
	int *fds = self->busy.fds;
	int round, i;

	for (i = 0; i < 3; i++)
		fds[i] = eventfd_new();
	for (round = 0; round < 10; round++) {
		self->busy.steps = 0;
		start_busy(_metadata, &self->busy, step_set_irqs);
		revoke_card(_metadata, &self->card);
		expect_busy_ended(_metadata, &self->busy);
		vfio_close(&self->card.user);
		ASSERT_EQ(0, mdev_create(CARD_PARENT, "mtty-2",
					 &self->card.uuid));
		ASSERT_EQ(0, card_use(&self->card));
	}
	for (i = 0; i < 3; i++)
		close(fds[i]);
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

/* Reads or writes that wait for memory. Until it is present, the card does not change */
struct access {
	struct card *card;
	void *data;
	size_t len;
	__u64 at;
	bool write;
	ssize_t ret;
	pthread_t thread;
};

static void *run_access(void *arg)
{
	struct access *access = arg;

	access->ret = access->write ?
		card_write(access->card, access->data, access->len,
			   access->at) :
		card_read(access->card, access->data, access->len, access->at);
	return NULL;
}

/* Returns when the access waits for the missing memory */
static void start_access(struct __test_metadata *_metadata,
			 struct missing *missing, struct access *access)
{
	ASSERT_EQ(0, pthread_create(&access->thread, NULL, run_access, access));
	ASSERT_TRUE(missing_wait(missing, SOON_MS));
}

static ssize_t end_access(struct __test_metadata *_metadata,
			  struct missing *missing, struct access *access)
{
	EXPECT_EQ(0, missing_bring(missing, missing->size));
	pthread_join(access->thread, NULL);
	return access->ret;
}

TEST_F(card, read_that_waits_for_memory_loses_no_byte)
{
	__u8 *data = self->missing.memory;
	struct access access = {
		.card = &self->card, .data = data, .len = 1,
		.at = self->card.bar[0],
	};

	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	expect_out(_metadata, &self->card, 0, UART_TX, 'b');
	expect_out(_metadata, &self->card, 0, UART_TX, 'c');
	start_access(_metadata, &self->missing, &access);
	/* The byte has not been consumed, because it was not delivered */
	EXPECT_EQ('a', card_in(&self->card, 0, UART_RX));
	EXPECT_EQ(1, end_access(_metadata, &self->missing, &access));
	EXPECT_EQ('b', *data);
	EXPECT_EQ('c', card_in(&self->card, 0, UART_RX));
	EXPECT_EQ(0, card_in(&self->card, 0, UART_LSR) & UART_LSR_DR);
}

/* All registers at once: only the first bytes of the result could be delivered */
TEST_F(card, read_into_memory_half_of_which_is_missing_loses_no_byte)
{
	__u8 *data = (__u8 *)self->missing.memory + self->page - 4;
	struct access access = {
		.card = &self->card, .data = data, .len = 8,
		.at = self->card.bar[0],
	};

	ASSERT_EQ(0, missing_bring(&self->missing, self->page));
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	expect_out(_metadata, &self->card, 0, UART_TX, 'b');
	start_access(_metadata, &self->missing, &access);
	EXPECT_EQ(8, end_access(_metadata, &self->missing, &access));
	EXPECT_EQ('a', data[0]);
	EXPECT_EQ('b', card_in(&self->card, 0, UART_RX));
	EXPECT_EQ(0, card_in(&self->card, 0, UART_LSR) & UART_LSR_DR);
}

TEST_F(card, interrupt_is_told_once_by_a_read_that_waits_for_memory)
{
	__u8 *data = self->missing.memory;
	struct access access = {
		.card = &self->card, .data = data, .len = 1,
		.at = self->card.bar[0] + UART_IIR,
	};

	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_THRI);
	start_access(_metadata, &self->missing, &access);
	EXPECT_EQ(1, end_access(_metadata, &self->missing, &access));
	EXPECT_EQ(UART_IIR_THRI, *data);
	EXPECT_EQ(UART_IIR_NO_INT, card_in(&self->card, 0, UART_IIR));
}

TEST_F(card, write_that_waits_for_memory_counts_once)
{
	struct access access = {
		.card = &self->card, .data = self->missing.memory, .len = 1,
		.at = self->card.bar[0], .write = true,
	};

	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	start_access(_metadata, &self->missing, &access);
	EXPECT_EQ(0, card_in(&self->card, 0, UART_LSR) & UART_LSR_DR);
	EXPECT_EQ(1, end_access(_metadata, &self->missing, &access));
	EXPECT_EQ(UART_LSR_DR, card_in(&self->card, 0, UART_LSR) & UART_LSR_DR);
	EXPECT_EQ(0, card_in(&self->card, 0, UART_RX));
	EXPECT_EQ(0, card_in(&self->card, 0, UART_LSR) & UART_LSR_DR);
}

TEST_F(card, write_from_memory_half_of_which_is_missing_counts_once)
{
	__u8 *data = (__u8 *)self->missing.memory + self->page - 1;
	struct access access = {
		.card = &self->card, .data = data, .len = 4,
		.at = self->card.bar[0], .write = true,
	};

	ASSERT_EQ(0, missing_bring(&self->missing, self->page));
	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	*data = 'a';
	/* A byte to transmit, and a 0 for each of the next registers up to LCR */
	start_access(_metadata, &self->missing, &access);
	EXPECT_EQ(0, card_in(&self->card, 0, UART_LSR) & UART_LSR_DR);
	EXPECT_EQ(4, end_access(_metadata, &self->missing, &access));
	/* A write of 0 to FCR turns the FIFO off, and empties it */
	EXPECT_EQ(0, card_in(&self->card, 0, UART_LSR) & UART_LSR_DR);
	EXPECT_EQ(UART_IIR_NO_INT, card_in(&self->card, 0, UART_IIR));
}

TEST_F(card, read_that_waits_does_not_outlive_the_revocation)
{
	__u8 *data = self->missing.memory;
	struct access access = {
		.card = &self->card, .data = data, .len = 1,
		.at = self->card.bar[0],
	};

	expect_out(_metadata, &self->card, 0, UART_FCR, UART_FCR_ENABLE_FIFO);
	expect_out(_metadata, &self->card, 0, UART_TX, 'a');
	start_access(_metadata, &self->missing, &access);
	revoke_card(_metadata, &self->card);
	start_next(_metadata, self);
	EXPECT_EQ(0, card_out(&self->next, 0, UART_TX, 'n'));
	EXPECT_EQ(-ENODEV, end_access(_metadata, &self->missing, &access));
	/* The former holder got no byte of the next holder's, who has lost none */
	EXPECT_EQ(0, *data);
	EXPECT_EQ('n', card_in(&self->next, 0, UART_RX));
}

/* An ioctl that only reads its argument works with read-only memory */
TEST_F(card, read_only_argument_is_enough)
{
	struct vfio_irq_set *set = mmap(NULL, self->page,
					PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int device = self->card.user.device;

	ASSERT_NE(MAP_FAILED, (void *)set);
	set->argsz = sizeof(*set);
	set->flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = INTX;
	ASSERT_EQ(0, mprotect(set, self->page, PROT_READ));
	EXPECT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_SET_IRQS, set));
	/* One that writes to it fails */
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_GET_INFO, set));
	EXPECT_EQ(-EFAULT, card_read(&self->card, set, 4, self->card.config));
	EXPECT_EQ(4, card_write(&self->card, set, 4, self->card.config));
	munmap(set, self->page);
}

TEST_HARNESS_MAIN
