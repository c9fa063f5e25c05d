// SPDX-License-Identifier: GPL-2.0-only
/*
 * A serial card is migrated. Tests each transition of the states, the state
 * that the other card gets, data that is truncated, changed or of another
 * device, and the rest of a session whose card is gone.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "card.h"
#include "mdev/call.h"
#include "migration.h"

#define INTX		VFIO_PCI_INTX_IRQ_INDEX
#define MSI		VFIO_PCI_MSI_IRQ_INDEX
#define MSI_FLAGS	(0x40 + PCI_MSI_FLAGS)
#define FIFO_SIZE	16
#define MAX_SIZE	4096

/* Seconds, longer than the interval of the kernel's rate limit for log lines */
#define RATELIMIT_S	6

/* Number of random changes of the data */
#define CHANGES		3000

/* The data of a card */
struct data {
	__u8 bytes[MAX_SIZE];
	ssize_t size;
};

FIXTURE(migration)
{
	/* The source and the target */
	struct card card;
	struct card other;
	struct data data;
	struct missing missing;
	bool has_precopy;
	int fd;
	int eventfd;
	int eventfd_id;
};

FIXTURE_SETUP(migration)
{
	if (!parent_exists(CARD_PARENT))
		SKIP(return, "no parent " CARD_PARENT);
	self->eventfd_id = eventfd_next_id();
	self->missing = (struct missing)MISSING_NONE;
	self->fd = -1;
	self->eventfd = eventfd_new();
	ASSERT_EQ(0, card_create(&self->card, "mtty-2"));
	ASSERT_EQ(0, card_create(&self->other, "mtty-2"));
	self->has_precopy = mig_has_precopy(self->card.user.device);
}

FIXTURE_TEARDOWN(migration)
{
	missing_free(&self->missing);
	close(self->fd);
	close(self->eventfd);
	vfio_close(&self->card.user);
	vfio_close(&self->other.user);
	if (mdev_exists(&self->card.uuid))
		EXPECT_EQ(0, mdev_remove(&self->card.uuid));
	if (mdev_exists(&self->other.uuid))
		EXPECT_EQ(0, mdev_remove(&self->other.uuid));
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

static void reset_card(struct __test_metadata *_metadata,
		       const struct card *card)
{
	EXPECT_EQ(0, vfio_ioctl(card->user.device, VFIO_DEVICE_RESET, NULL));
}

/* Begins a session of the card that is migrated */
static void session(struct __test_metadata *_metadata,
		    FIXTURE_DATA(migration) *self, int state)
{
	ASSERT_EQ(0, mig_set(self->card.user.device, state, &self->fd));
}

static void end_session(FIXTURE_DATA(migration) *self)
{
	close(self->fd);
	self->fd = -1;
}

static void save(struct data *data, int from)
{
	data->size = mig_save(from, data->bytes, sizeof(data->bytes));
}

static void fill_fifo(const struct card *card, int port)
{
	int i;

	card_out(card, port, UART_FCR, UART_FCR_ENABLE_FIFO);
	/* The bytes wrap around the end of the ring buffer */
	for (i = 0; i < 5; i++)
		card_out(card, port, UART_TX, 0xee);
	for (i = 0; i < 5; i++)
		card_in(card, port, UART_RX);
	for (i = 0; i < FIFO_SIZE; i++)
		card_out(card, port, UART_TX, 0x30 + i);
}

TEST_F(migration, card_can_be_migrated)
{
	EXPECT_EQ(MIG_FLAG_STOP_COPY | MIG_FLAG_P2P,
		  mig_flags(self->card.user.device) & ~MIG_FLAG_PRE_COPY);
	EXPECT_EQ(MIG_RUNNING, mig_get(self->card.user.device));
}

TEST_F(migration, features_can_be_probed)
{
	__u64 none = 0;

	EXPECT_EQ(0, mig_feature(self->card.user.device,
				 VFIO_DEVICE_FEATURE_PROBE |
				 VFIO_DEVICE_FEATURE_GET | MIG_FEATURE_FLAGS,
				 &none, sizeof(none)));
	EXPECT_EQ(0, mig_feature(self->card.user.device,
				 VFIO_DEVICE_FEATURE_PROBE |
				 VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_SET | MIG_FEATURE_STATE,
				 &none, sizeof(none)));
	/* Without iommufd, the kernel has no dirty logging. Offering it would confuse QEMU */
	EXPECT_EQ(-ENOTTY, mig_feature(self->card.user.device,
				       VFIO_DEVICE_FEATURE_PROBE |
				       VFIO_DEVICE_FEATURE_SET |
				       MIG_FEATURE_LOGGING, &none,
				       sizeof(none)));
}

/* VFIO shows the state in debugfs, whether the device is open or not */
#define DEBUGFS		"/sys/kernel/debug"

static bool shows(const struct uuid *uuid, const char *state)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), DEBUGFS "/vfio/%s/migration/state",
		 uuid->text);
	return file_read(path, text, sizeof(text)) > 0 && !strcmp(text, state);
}

TEST_F(migration, administrator_sees_the_state_at_any_time)
{
	int i;

	/* debugfs may be mounted already */
	mount("debugfs", DEBUGFS, "debugfs", 0, NULL);
	if (!file_exists(DEBUGFS "/vfio"))
		SKIP(return, "this kernel's VFIO is not in debugfs");
	EXPECT_TRUE(shows(&self->card.uuid, "RUNNING"));
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP));
	EXPECT_TRUE(shows(&self->card.uuid, "STOP"));
	for (i = 0; i < 20; i++) {
		vfio_close(&self->card.user);
		EXPECT_TRUE(shows(&self->card.uuid, "RUNNING"));
		ASSERT_EQ(0, card_use(&self->card));
	}
}

/* The state has changed even so: the holder sees that, and sets the old state */
TEST_F(migration, session_needs_a_descriptor)
{
	struct rlimit limit, none;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, mig_go(self->card.user.device, MIG_STOP_COPY));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_RUNNING));
	save(&self->data, self->card.user.device);
	EXPECT_LT(0, self->data.size);
}

TEST_F(migration, size_is_that_of_the_data)
{
	if (!self->has_precopy) {
		EXPECT_EQ(-ENOTTY, mig_size(self->card.user.device));
		SKIP(return, "this kernel's VFIO does not report the size");
	}
	save(&self->data, self->card.user.device);
	EXPECT_EQ(self->data.size, mig_size(self->card.user.device));
}

static bool saves(int state)
{
	return state == MIG_STOP_COPY || state == MIG_PRE_COPY ||
	       state == MIG_PRE_COPY_P2P;
}

/* The result of a transition according to VFIO's description of the states */
static int transition(int from, int to, bool has_precopy)
{
	if (to == MIG_ERROR || from == MIG_ERROR || to >= MIG_STATES)
		return -EINVAL;
	if (!has_precopy && (to == MIG_PRE_COPY || to == MIG_PRE_COPY_P2P))
		return -EINVAL;
	if (from == MIG_STOP_COPY &&
	    (to == MIG_PRE_COPY || to == MIG_PRE_COPY_P2P))
		return -EINVAL;
	return 0;
}

/* A descriptor is returned only if a session begins */
static bool begins(int from, int to)
{
	if (from == to)
		return false;
	return to == MIG_RESUMING || (saves(to) && !saves(from));
}

TEST_F(migration, every_transition_is_as_vfio_describes_it)
{
	int from, to, fd, ret;

	save(&self->data, self->other.user.device);
	ASSERT_LT(0, self->data.size);
	for (from = MIG_STOP; from < MIG_STATES; from++) {
		if (transition(MIG_RUNNING, from, self->has_precopy))
			continue;
		for (to = 0; to < MIG_STATES + 2; to++) {
			reset_card(_metadata, &self->card);
			ASSERT_EQ(MIG_RUNNING, mig_get(self->card.user.device));
			session(_metadata, self, from);
			ASSERT_EQ(begins(MIG_RUNNING, from), self->fd >= 0);
			ASSERT_EQ(from, mig_get(self->card.user.device));
			if (from == MIG_RESUMING)
				ASSERT_EQ(self->data.size,
					  mig_write(self->fd, self->data.bytes,
						    self->data.size));
			ret = mig_set(self->card.user.device, to, &fd);
			ASSERT_EQ(transition(from, to, self->has_precopy), ret) {
				TH_LOG("from %d to %d", from, to);
			}
			ASSERT_EQ(ret ? from : to,
				  mig_get(self->card.user.device));
			ASSERT_EQ(!ret && begins(from, to), fd >= 0) {
				TH_LOG("from %d to %d", from, to);
			}
			close(fd);
			end_session(self);
		}
	}
}

TEST_F(migration, only_a_reset_leads_out_of_an_error)
{
	int to;

	EXPECT_EQ(-EINVAL, mig_load(self->card.user.device, "", 0));
	EXPECT_EQ(MIG_ERROR, mig_get(self->card.user.device));
	for (to = 0; to < MIG_STATES + 2; to++)
		EXPECT_EQ(-EINVAL, mig_go(self->card.user.device, to));
	EXPECT_EQ(MIG_ERROR, mig_get(self->card.user.device));
	reset_card(_metadata, &self->card);
	EXPECT_EQ(MIG_RUNNING, mig_get(self->card.user.device));
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP));
}

/* Registers that reading does not change */
static const int registers[] = { UART_IER, UART_LCR, UART_MCR, UART_SCR };

static void set_up_card(const struct card *card)
{
	int port;

	for (port = 0; port < 2; port++) {
		fill_fifo(card, port);
		card_out(card, port, UART_LCR, UART_LCR_DLAB | 3);
		card_out(card, port, UART_DLL, 0x12 + port);
		card_out(card, port, UART_DLM, 0x34);
		card_out(card, port, UART_LCR, 3 + port);
		card_out(card, port, UART_IER, UART_IER_RDI);
		card_out(card, port, UART_MCR, UART_MCR_RTS);
		card_out(card, port, UART_SCR, 0x5a + port);
	}
	card_set_config32(card, PCI_BASE_ADDRESS_0, 0xc000);
	card_set_config32(card, PCI_BASE_ADDRESS_1, 0xd000);
	card_set_config32(card, PCI_COMMAND, PCI_COMMAND_IO);
}

TEST_F(migration, card_arrives_as_it_was)
{
	__u32 config[64];
	size_t i;
	int port, byte;

	set_up_card(&self->card);
	for (i = 0; i < 64; i++)
		config[i] = card_config32(&self->card, 4 * i);
	save(&self->data, self->card.user.device);
	ASSERT_EQ(0, mig_load(self->other.user.device, self->data.bytes,
			      self->data.size));
	EXPECT_EQ(0, mig_go(self->other.user.device, MIG_RUNNING));

	for (i = 0; i < 64; i++)
		EXPECT_EQ(config[i], card_config32(&self->other, 4 * i));
	for (port = 0; port < 2; port++) {
		for (i = 0; i < sizeof(registers) / sizeof(*registers); i++)
			EXPECT_EQ(card_in(&self->card, port, registers[i]),
				  card_in(&self->other, port, registers[i]));
		EXPECT_EQ(UART_MSR_CTS | UART_MSR_DCTS,
			  card_in(&self->other, port, UART_MSR));
		for (byte = 0; byte < FIFO_SIZE; byte++)
			EXPECT_EQ(0x30 + byte,
				  card_in(&self->other, port, UART_RX));
		EXPECT_EQ(UART_LSR_THRE | UART_LSR_TEMT,
			  card_in(&self->other, port, UART_LSR));
		card_out(&self->other, port, UART_LCR, UART_LCR_DLAB);
		EXPECT_EQ(0x12 + port, card_in(&self->other, port, UART_DLL));
		EXPECT_EQ(0x34, card_in(&self->other, port, UART_DLM));
	}
}

/* A load replaces the old state of the card */
TEST_F(migration, card_that_arrives_replaces_all)
{
	save(&self->data, self->card.user.device);
	set_up_card(&self->other);
	ASSERT_EQ(0, mig_load(self->other.user.device, self->data.bytes,
			      self->data.size));
	EXPECT_EQ(0, card_in(&self->other, 0, UART_SCR));
	EXPECT_EQ(0, card_in(&self->other, 1, UART_IER));
	EXPECT_EQ(0, card_in(&self->other, 1, UART_LSR) & UART_LSR_DR);
	EXPECT_EQ(1, card_config32(&self->other, PCI_BASE_ADDRESS_0));
}

TEST_F(migration, source_can_go_on_after_all)
{
	set_up_card(&self->card);
	save(&self->data, self->card.user.device);
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_RUNNING));
	EXPECT_EQ(0x30, card_in(&self->card, 0, UART_RX));
	EXPECT_EQ(0x5a, card_in(&self->card, 0, UART_SCR));
}

TEST_F(migration, stopped_card_signals_nothing_until_it_runs)
{
	EXPECT_EQ(0, card_set_eventfd(&self->card, INTX, self->eventfd));
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP));
	expect_out(_metadata, &self->card, 0, UART_TX, 'x');
	EXPECT_EQ(0, card_act(&self->card, INTX, VFIO_IRQ_SET_ACTION_UNMASK, 1));
	EXPECT_EQ(0, eventfd_take(self->eventfd));
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_RUNNING_P2P));
	EXPECT_EQ(1, eventfd_take(self->eventfd));
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_RUNNING));
	EXPECT_EQ(0, eventfd_take(self->eventfd));
}

TEST_F(migration, interrupt_that_was_pending_comes_where_it_runs)
{
	static const int indexes[] = { INTX, MSI };
	int i;

	for (i = 0; i < 2; i++) {
		reset_card(_metadata, &self->card);
		reset_card(_metadata, &self->other);
		EXPECT_EQ(0, card_set_eventfd(&self->card, indexes[i],
					      self->eventfd));
		expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
		expect_out(_metadata, &self->card, 0, UART_TX, 'x');
		/* The source signals, but the guest has no time to handle the interrupt */
		EXPECT_EQ(1, eventfd_take(self->eventfd));
		EXPECT_EQ(0, card_set_eventfd(&self->card, indexes[i], -1));
		EXPECT_EQ(0, card_set_eventfd(&self->other, indexes[i],
					      self->eventfd));
		save(&self->data, self->card.user.device);
		ASSERT_EQ(0, mig_load(self->other.user.device, self->data.bytes,
				      self->data.size));
		EXPECT_EQ(0, eventfd_take(self->eventfd));
		EXPECT_EQ(0, mig_go(self->other.user.device, MIG_RUNNING));
		EXPECT_EQ(1, eventfd_take(self->eventfd));
		EXPECT_EQ(0, card_set_eventfd(&self->other, indexes[i], -1));
	}
}

TEST_F(migration, nothing_comes_where_nothing_was_pending)
{
	EXPECT_EQ(0, card_set_eventfd(&self->other, MSI, self->eventfd));
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	save(&self->data, self->card.user.device);
	ASSERT_EQ(0, mig_load(self->other.user.device, self->data.bytes,
			      self->data.size));
	EXPECT_EQ(0, mig_go(self->other.user.device, MIG_RUNNING));
	EXPECT_EQ(0, eventfd_take(self->eventfd));
}

/*
 * After a load, the target signals INTx once, even if the source has lowered
 * the level: the guest may still have it raised
 */
TEST_F(migration, level_that_came_along_can_be_lowered)
{
	save(&self->data, self->card.user.device);
	EXPECT_EQ(0, card_set_eventfd(&self->other, INTX, self->eventfd));
	ASSERT_EQ(0, mig_load(self->other.user.device, self->data.bytes,
			      self->data.size));
	EXPECT_EQ(0, eventfd_take(self->eventfd));
	EXPECT_EQ(0, mig_go(self->other.user.device, MIG_RUNNING));
	EXPECT_EQ(1, eventfd_take(self->eventfd));
	/* It is signalled once only */
	EXPECT_EQ(0, card_act(&self->other, INTX, VFIO_IRQ_SET_ACTION_UNMASK, 1));
	EXPECT_EQ(0, mig_go(self->other.user.device, MIG_STOP));
	EXPECT_EQ(0, mig_go(self->other.user.device, MIG_RUNNING));
	EXPECT_EQ(0, eventfd_take(self->eventfd));
	EXPECT_EQ(0, card_set_eventfd(&self->other, INTX, -1));
}

static int poll_events(int fd)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&polled, 1, 0) == 1 ? polled.revents : 0;
}

TEST_F(migration, identity_comes_before_the_card_is_stopped)
{
	struct mig_precopy info = {};
	struct mig_header *header = (void *)self->data.bytes;
	size_t left = MIG_IDENTITY_SIZE;

	if (!self->has_precopy)
		SKIP(return, NO_PRECOPY);
	session(_metadata, self, MIG_PRE_COPY);
	EXPECT_EQ(0, mig_precopy(self->fd, &info));
	EXPECT_EQ(left, info.initial_bytes);
	EXPECT_EQ(0, info.dirty_bytes);
	EXPECT_EQ(POLLIN, poll_events(self->fd));
	EXPECT_EQ(10, mig_read(self->fd, self->data.bytes, 10));
	EXPECT_EQ(0, mig_precopy(self->fd, &info));
	EXPECT_EQ(left - 10, info.initial_bytes);
	EXPECT_EQ(left - 10,
		  mig_read(self->fd, self->data.bytes + 10, MAX_SIZE - 10));
	EXPECT_EQ(0, memcmp(header->magic, "mdev-mig", 8));
	EXPECT_STREQ("mtty-2", header->type);

	/* All data of pre-copy has been read */
	EXPECT_EQ(0, mig_precopy(self->fd, &info));
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_EQ(0, poll_events(self->fd));
	EXPECT_EQ(-ENOMSG, mig_read(self->fd, self->data.bytes, 1));
	expect_out(_metadata, &self->card, 0, UART_SCR, 0x77);
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_PRE_COPY_P2P));
	EXPECT_EQ(-ENOMSG, mig_read(self->fd, self->data.bytes, 1));

	/* The same descriptor has the rest */
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP_COPY));
	EXPECT_EQ(POLLIN, poll_events(self->fd));
	EXPECT_EQ(-EINVAL, mig_precopy(self->fd, &info));
	self->data.size = mig_read(self->fd, self->data.bytes + left,
				   MAX_SIZE - left);
	EXPECT_LT(0, self->data.size);
	self->data.size += left;
	EXPECT_EQ(0, mig_read(self->fd, self->data.bytes, 1));
	EXPECT_EQ(POLLIN, poll_events(self->fd));
	ASSERT_EQ(0, mig_load(self->other.user.device, self->data.bytes,
			      self->data.size));
	EXPECT_EQ(0x77, card_in(&self->other, 0, UART_SCR));
}

TEST_F(migration, pre_copy_can_be_given_up)
{
	if (!self->has_precopy)
		SKIP(return, NO_PRECOPY);
	session(_metadata, self, MIG_PRE_COPY);
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_RUNNING));
	EXPECT_EQ(-ENODEV, mig_read(self->fd, self->data.bytes, 1));
	end_session(self);
	session(_metadata, self, MIG_PRE_COPY_P2P);
	EXPECT_EQ(MIG_IDENTITY_SIZE,
		  mig_read(self->fd, self->data.bytes, MAX_SIZE));
}

TEST_F(migration, arguments_of_the_ioctl_are_checked)
{
	struct mig_precopy info = { .argsz = sizeof(info) - 1 };

	if (!self->has_precopy)
		SKIP(return, NO_PRECOPY);
	session(_metadata, self, MIG_PRE_COPY);
	EXPECT_EQ(-1, ioctl(self->fd, MIG_PRECOPY, &info));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->fd, MIG_PRECOPY, bad_address()));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->fd, VFIO_DEVICE_RESET));
	EXPECT_EQ(ENOTTY, errno);
	end_session(self);
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_RUNNING));
	session(_metadata, self, MIG_RESUMING);
	EXPECT_EQ(-EINVAL, mig_precopy(self->fd, &info));
}

TEST_F(migration, descriptor_goes_one_way_and_has_no_position)
{
	__u8 byte = 0;

	session(_metadata, self, MIG_STOP_COPY);
	EXPECT_EQ(-EBADF, mig_write(self->fd, &byte, 1));
	EXPECT_EQ(-1, pread(self->fd, &byte, 1, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, read(self->fd, bad_address(), 4));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(1, mig_read(self->fd, &byte, 1));
	EXPECT_EQ('m', byte);
	end_session(self);
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP));
	session(_metadata, self, MIG_RESUMING);
	EXPECT_EQ(POLLOUT, poll_events(self->fd));
	EXPECT_EQ(-EBADF, mig_read(self->fd, &byte, 1));
	EXPECT_EQ(-1, write(self->fd, bad_address(), 4));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(migration, pieces_of_any_size_will_do)
{
	ssize_t i;

	set_up_card(&self->card);
	session(_metadata, self, MIG_STOP_COPY);
	while (mig_read(self->fd, self->data.bytes + self->data.size, 1) == 1)
		self->data.size++;
	end_session(self);
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP));
	session(_metadata, self, MIG_RESUMING);
	for (i = 0; i < self->data.size; i++)
		ASSERT_EQ(1, mig_write(self->fd, self->data.bytes + i, 1));
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP));
	EXPECT_EQ(0x5a, card_in(&self->card, 0, UART_SCR));
}

static void expect_refused(struct __test_metadata *_metadata,
			   const struct card *card, const __u8 *bytes,
			   ssize_t size)
{
	int device = card->user.device;

	EXPECT_EQ(-EINVAL, mig_load(device, bytes, size)) {
		TH_LOG("%zd bytes", size);
	}
	ASSERT_EQ(MIG_ERROR, mig_get(device));
	ASSERT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_RESET, NULL));
}

TEST_F(migration, data_that_is_cut_is_refused)
{
	ssize_t size;

	save(&self->data, self->card.user.device);
	for (size = 0; size < self->data.size; size++)
		expect_refused(_metadata, &self->other, self->data.bytes, size);
	EXPECT_EQ(0, mig_load(self->other.user.device, self->data.bytes, size));
}

TEST_F(migration, data_with_more_behind_it_is_refused)
{
	save(&self->data, self->card.user.device);
	expect_refused(_metadata, &self->other, self->data.bytes,
		       self->data.size + 1);
	expect_refused(_metadata, &self->other, self->data.bytes, MAX_SIZE);
	EXPECT_EQ(0, mig_load(self->other.user.device, self->data.bytes,
			      self->data.size));
}

TEST_F(migration, data_of_another_type_is_refused_as_soon_as_it_shows)
{
	struct card single;
	int log;

	ASSERT_EQ(0, card_create(&single, "mtty-1"));
	save(&self->data, single.user.device);
	/* Earlier tests may have used up the kernel's rate limit for these lines */
	sleep(RATELIMIT_S);
	log = kmsg_open();
	session(_metadata, self, MIG_RESUMING);
	EXPECT_EQ(MIG_IDENTITY_SIZE - 1,
		  mig_write(self->fd, self->data.bytes, MIG_IDENTITY_SIZE - 1));
	EXPECT_EQ(-EINVAL,
		  mig_write(self->fd, self->data.bytes + MIG_IDENTITY_SIZE - 1,
			    1));
	EXPECT_TRUE(kmsg_wait(log, SOON_MS, self->card.uuid.text,
			      "refused: it is of another type",
			      "needed: type mtty-2"));
	EXPECT_EQ(-EINVAL, mig_write(self->fd, self->data.bytes, 1));
	EXPECT_EQ(-EINVAL, mig_go(self->card.user.device, MIG_STOP));
	EXPECT_EQ(0, card_remove(&single));
	close(log);
}

/* Each bit of the header counts. A lower version would be accepted, but mtty has only one */
TEST_F(migration, no_bit_of_the_header_can_be_another)
{
	struct mig_header *header = (void *)self->data.bytes;
	size_t bit;

	save(&self->data, self->card.user.device);
	for (bit = 0; bit < 8 * sizeof(*header); bit++) {
		self->data.bytes[bit / 8] ^= 1 << bit % 8;
		expect_refused(_metadata, &self->other, self->data.bytes,
			       self->data.size);
		self->data.bytes[bit / 8] ^= 1 << bit % 8;
	}
	EXPECT_EQ(0, mig_load(self->other.user.device, self->data.bytes,
			      self->data.size));
}

static void begin_random(void)
{
	const char *text = getenv("MIGRATION_SEED");
	unsigned int seed = text ? (unsigned int)atoi(text) : now_ms();

	printf("# MIGRATION_SEED=%u\n", seed);
	srand(seed);
}

/* Changes between one bit and many */
static void change(struct data *data, size_t from)
{
	size_t state = data->size - from;
	int i, count = 1 << rand() % 7;

	for (i = 0; i < count; i++)
		data->bytes[from + rand() % state] ^= 1 << rand() % 8;
}

/*
 * Accepted data is a valid state of a card: it is saved again as the same
 * bytes, and reads of the registers do no harm.
 */
TEST_F(migration, state_at_random_is_refused_or_is_one)
{
	struct data changed, again;
	int i, reg, ret, loaded = 0;

	begin_random();
	set_up_card(&self->card);
	save(&self->data, self->card.user.device);
	for (i = 0; i < CHANGES; i++) {
		changed = self->data;
		change(&changed, sizeof(struct mig_header));
		ret = mig_load(self->other.user.device, changed.bytes,
			       changed.size);
		if (ret) {
			ASSERT_EQ(-EINVAL, ret);
			ASSERT_EQ(MIG_ERROR, mig_get(self->other.user.device));
		} else {
			loaded++;
			save(&again, self->other.user.device);
			ASSERT_EQ(changed.size, again.size);
			ASSERT_EQ(0, memcmp(changed.bytes, again.bytes,
					    again.size));
			for (reg = 0; reg < 8; reg++)
				ASSERT_LE(0, card_in(&self->other, 0, reg));
		}
		ASSERT_EQ(0, vfio_ioctl(self->other.user.device,
					VFIO_DEVICE_RESET, NULL));
	}
	/* Both results have to occur */
	EXPECT_LT(CHANGES / 100, loaded);
	EXPECT_LT(loaded, CHANGES);
}

/* Bytes behind the FIFO's valid ones have to be 0: no card would read them */
TEST_F(migration, bytes_behind_the_last_one_are_refused)
{
	save(&self->data, self->card.user.device);
	self->data.bytes[sizeof(struct mig_header) + 256 + FIFO_SIZE - 1] = 1;
	expect_refused(_metadata, &self->other, self->data.bytes,
		       self->data.size);
}

TEST_F(migration, data_at_random_is_refused)
{
	struct data changed;
	int i, ret;

	begin_random();
	save(&self->data, self->card.user.device);
	for (i = 0; i < CHANGES; i++) {
		changed = self->data;
		changed.size += rand() % 64 - 32;
		change(&changed, 0);
		ret = mig_load(self->other.user.device, changed.bytes,
			       changed.size);
		ASSERT_TRUE(ret == 0 || ret == -EINVAL);
		ASSERT_EQ(ret ? MIG_ERROR : MIG_STOP,
			  mig_get(self->other.user.device));
		ASSERT_EQ(0, vfio_ioctl(self->other.user.device,
					VFIO_DEVICE_RESET, NULL));
	}
}

/* After a refused write, the session stays refused, even if the data is right */
TEST_F(migration, session_that_was_refused_cannot_be_mended)
{
	save(&self->data, self->card.user.device);
	session(_metadata, self, MIG_RESUMING);
	EXPECT_EQ(-EINVAL, mig_write(self->fd, self->data.bytes, MAX_SIZE));
	EXPECT_EQ(-EINVAL,
		  mig_write(self->fd, self->data.bytes, self->data.size));
	EXPECT_EQ(-EINVAL, mig_go(self->card.user.device, MIG_STOP));
}

/* A write that fails with EFAULT has consumed nothing */
TEST_F(migration, write_that_fails_can_be_made_again)
{
	save(&self->data, self->card.user.device);
	session(_metadata, self, MIG_RESUMING);
	EXPECT_EQ(-1, write(self->fd, bad_address(), self->data.size));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(self->data.size,
		  mig_write(self->fd, self->data.bytes, self->data.size));
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP));
}

static void expect_dead(struct __test_metadata *_metadata, int fd)
{
	__u8 byte;

	EXPECT_EQ(-ENODEV, mig_read(fd, &byte, 1));
	EXPECT_EQ(POLLHUP, poll_events(fd) & POLLHUP);
}

static long call_poll(struct call *call)
{
	struct pollfd polled = { .fd = call->at, .events = POLLIN };

	return poll(&polled, 1, -1) == 1 ? polled.revents : -ETIMEDOUT;
}

/* Begins a session, reads its data, and starts a thread that polls for more */
static void poll_in_session(struct __test_metadata *_metadata,
			    FIXTURE_DATA(migration) *self, struct call *call)
{
	session(_metadata, self, MIG_PRE_COPY);
	EXPECT_EQ(MIG_IDENTITY_SIZE,
		  mig_read(self->fd, self->data.bytes, MAX_SIZE));
	ASSERT_EQ(0, call_start(call, &(struct call){
		.run = call_poll, .at = self->fd,
	}));
	EXPECT_TRUE(call_sleeps(call, SOON_MS));
}

/* By more data, by the end of the session, and by a revocation */
TEST_F(migration, poll_is_woken)
{
	struct call call;

	if (!self->has_precopy)
		SKIP(return, NO_PRECOPY);
	poll_in_session(_metadata, self, &call);
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP_COPY));
	EXPECT_EQ(POLLIN, call_end(&call, SOON_MS));
	end_session(self);

	reset_card(_metadata, &self->card);
	poll_in_session(_metadata, self, &call);
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_RUNNING));
	EXPECT_EQ(POLLHUP, call_end(&call, SOON_MS) & POLLHUP);
	end_session(self);

	poll_in_session(_metadata, self, &call);
	EXPECT_EQ(0, child_wait(revoker_start(&self->card.uuid), SOON_MS));
	EXPECT_EQ(POLLHUP, call_end(&call, SOON_MS) & POLLHUP);
}

TEST_F(migration, descriptor_is_dead_when_the_session_is_over)
{
	session(_metadata, self, MIG_STOP_COPY);
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP));
	expect_dead(_metadata, self->fd);
	end_session(self);
	session(_metadata, self, MIG_STOP_COPY);
	reset_card(_metadata, &self->card);
	expect_dead(_metadata, self->fd);
	end_session(self);
	session(_metadata, self, MIG_RESUMING);
	reset_card(_metadata, &self->card);
	EXPECT_EQ(-ENODEV, mig_write(self->fd, "m", 1));
	EXPECT_EQ(POLLHUP, poll_events(self->fd) & POLLHUP);
	EXPECT_EQ(MIG_RUNNING, mig_get(self->card.user.device));
}

/* An old descriptor does not reach the next session */
TEST_F(migration, old_descriptors_do_not_reach_the_next_session)
{
	int fds[100], i;

	save(&self->data, self->card.user.device);
	for (i = 0; i < 100; i++) {
		reset_card(_metadata, &self->card);
		ASSERT_EQ(0, mig_set(self->card.user.device, MIG_RESUMING,
				     &fds[i]));
		if (i)
			EXPECT_EQ(-ENODEV, mig_write(fds[i - 1], "m", 1));
	}
	EXPECT_EQ(self->data.size,
		  mig_write(fds[99], self->data.bytes, self->data.size));
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP));
	for (i = 0; i < 100; i++)
		close(fds[i]);
}

TEST_F(migration, descriptor_is_dead_when_the_card_is_closed)
{
	session(_metadata, self, MIG_STOP_COPY);
	vfio_close(&self->card.user);
	expect_dead(_metadata, self->fd);
	/* After the next open, the card runs */
	ASSERT_EQ(0, card_use(&self->card));
	EXPECT_EQ(MIG_RUNNING, mig_get(self->card.user.device));
	EXPECT_EQ(0, card_set_eventfd(&self->card, INTX, self->eventfd));
	expect_out(_metadata, &self->card, 0, UART_IER, UART_IER_RDI);
	expect_out(_metadata, &self->card, 0, UART_TX, 'x');
	EXPECT_EQ(1, eventfd_take(self->eventfd));
	EXPECT_EQ(0, card_set_eventfd(&self->card, INTX, -1));
}

/* A descriptor keeps neither the card nor its driver */
TEST_F(migration, descriptor_outlives_the_driver)
{
	session(_metadata, self, MIG_STOP_COPY);
	EXPECT_EQ(0, card_remove(&self->card));
	EXPECT_EQ(0, card_remove(&self->other));
	EXPECT_EQ(0, module_unload("mtty"));
	expect_dead(_metadata, self->fd);
	end_session(self);
	EXPECT_EQ(0, module_load("mtty"));
}

/* Reads or writes, whichever the descriptor allows */
static ssize_t use_data(int fd)
{
	__u8 byte = 'm';
	ssize_t ret = mig_read(fd, &byte, 1);

	return ret == -EBADF ? mig_write(fd, &byte, 1) : ret;
}

TEST_F(migration, revocation_ends_it_in_any_state)
{
	int state;

	for (state = MIG_STOP; state < MIG_STATES; state++) {
		if (transition(MIG_RUNNING, state, self->has_precopy))
			continue;
		session(_metadata, self, state);
		EXPECT_EQ(0, child_wait(revoker_start(&self->card.uuid),
					SOON_MS));
		EXPECT_EQ(state, mig_get(self->card.user.device));
		/* The revoked device can only pretend to stop and to run */
		EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP));
		EXPECT_EQ(0, mig_go(self->card.user.device, MIG_RUNNING));
		EXPECT_EQ(-ENODEV, mig_go(self->card.user.device,
					  MIG_STOP_COPY));
		EXPECT_EQ(-ENODEV, mig_go(self->card.user.device,
					  MIG_RESUMING));
		EXPECT_EQ(-EINVAL, mig_go(self->card.user.device, MIG_ERROR));
		EXPECT_EQ(-EINVAL, mig_go(self->card.user.device, MIG_STATES));
		if (self->fd >= 0)
			EXPECT_EQ(-ENODEV, use_data(self->fd));
		end_session(self);
		vfio_close(&self->card.user);
		ASSERT_EQ(0, mdev_create(CARD_PARENT, "mtty-2",
					 &self->card.uuid));
		ASSERT_EQ(0, card_use(&self->card));
		EXPECT_EQ(MIG_RUNNING, mig_get(self->card.user.device));
	}
}

/* QEMU may stop or continue its guest meanwhile, which must not fail */
TEST_F(migration, session_of_a_revoked_card_can_go_on)
{
	if (!self->has_precopy)
		SKIP(return, NO_PRECOPY);
	session(_metadata, self, MIG_PRE_COPY);
	EXPECT_EQ(0, child_wait(revoker_start(&self->card.uuid), SOON_MS));
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_PRE_COPY_P2P));
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_STOP_COPY));
	EXPECT_EQ(MIG_STOP_COPY, mig_get(self->card.user.device));
	EXPECT_EQ(-ENODEV, mig_read(self->fd, self->data.bytes, 1));
	EXPECT_EQ(-EINVAL, mig_go(self->card.user.device, MIG_PRE_COPY));
	EXPECT_EQ(0, mig_go(self->card.user.device, MIG_RUNNING));
	EXPECT_EQ(-ENODEV, mig_go(self->card.user.device, MIG_PRE_COPY));
}

/* A card that is being migrated can be requested like any other */
TEST_F(migration, request_comes_in_a_session)
{
	pid_t remover;

	EXPECT_EQ(0, vfio_set_request(self->card.user.device, self->eventfd));
	session(_metadata, self, MIG_STOP_COPY);
	remover = remover_start(&self->card.uuid);
	EXPECT_TRUE(eventfd_wait(self->eventfd, SOON_MS));
	EXPECT_LT(0, mig_read(self->fd, self->data.bytes, MAX_SIZE));
	EXPECT_EQ(MIG_STOP_COPY, mig_get(self->card.user.device));
	vfio_close(&self->card.user);
	EXPECT_EQ(0, child_wait(remover, SOON_MS));
	expect_dead(_metadata, self->fd);
}

/* @at: the descriptor of the data */
static long call_data_read(struct call *call)
{
	return mig_read(call->at, call->data, call->len);
}

static long call_data_write(struct call *call)
{
	return mig_write(call->at, call->data, call->len);
}

/* A call of the data waits for missing memory. Only the holder's thread waits */
TEST_F(migration, call_that_is_stuck_delays_nobody)
{
	static const struct {
		int state;
		long (*run)(struct call *call);
		/* Result of ending the session, and of the call after that */
		int ended;
		long ret;
	} ways[] = {
		{ MIG_STOP_COPY, call_data_read, 0, 100 },
		{ MIG_RESUMING, call_data_write, -EINVAL, -ENODEV },
	};
	struct call call;
	bool revoke;
	__s64 begin;
	int i, ret;

	for (i = 0; i < 4; i++) {
		revoke = i >= 2;
		ASSERT_EQ(0, missing_new(&self->missing,
					 sysconf(_SC_PAGESIZE)));
		session(_metadata, self, ways[i % 2].state);
		ASSERT_EQ(0, call_start(&call, &(struct call){
			.run = ways[i % 2].run, .at = self->fd,
			.data = self->missing.memory, .len = 100,
		}));
		ASSERT_TRUE(missing_wait(&self->missing, SOON_MS));
		begin = now_ms();
		ret = revoke ? child_wait(revoker_start(&self->card.uuid),
					  SOON_MS) :
			       mig_go(self->card.user.device, MIG_STOP);
		EXPECT_EQ(revoke ? 0 : ways[i % 2].ended, ret);
		EXPECT_GT(SOON_MS, now_ms() - begin);
		EXPECT_EQ(0, missing_bring(&self->missing,
					   sysconf(_SC_PAGESIZE)));
		EXPECT_EQ(ways[i % 2].ret, call_end(&call, SOON_MS));
		missing_free(&self->missing);
		end_session(self);
		if (!revoke) {
			reset_card(_metadata, &self->card);
			continue;
		}
		vfio_close(&self->card.user);
		ASSERT_EQ(0, mdev_create(CARD_PARENT, "mtty-2",
					 &self->card.uuid));
		ASSERT_EQ(0, card_use(&self->card));
	}
}

/* Threads change the state and use the descriptors, all at once */
struct racer {
	int fd;
	unsigned int seed;
	/* How often each state was reached, and the first unexpected error */
	int reached[MIG_STATES];
	int unexpected;
	bool stop;
	pthread_t thread;
};

static void race_to(struct racer *racer, int state)
{
	__u8 bytes[64];
	int data, ret;

	ret = mig_set(racer->fd, state, &data);
	if (!ret)
		racer->reached[state]++;
	else if (ret != -EINVAL && ret != -ENODEV && !racer->unexpected)
		racer->unexpected = ret;
	if (data < 0)
		return;
	if (mig_read(data, bytes, sizeof(bytes)) == -EBADF)
		mig_write(data, "mdev-mig", 8);
	close(data);
}

static void *race(void *arg)
{
	struct racer *racer = arg;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_RELAXED)) {
		switch (rand_r(&racer->seed) % 8) {
		case 0:
			vfio_ioctl(racer->fd, VFIO_DEVICE_RESET, NULL);
			break;
		case 1:
			mig_get(racer->fd);
			break;
		default:
			race_to(racer, rand_r(&racer->seed) % MIG_STATES);
		}
	}
	return NULL;
}

TEST_F(migration, threads_that_race_meet_a_state)
{
	struct racer racers[4];
	int i, state;

	for (i = 0; i < 4; i++) {
		racers[i] = (struct racer){
			.fd = self->card.user.device, .seed = i,
		};
		ASSERT_EQ(0, pthread_create(&racers[i].thread, NULL, race,
					    &racers[i]));
	}
	sleep(1);
	EXPECT_EQ(0, child_wait(revoker_start(&self->card.uuid), SOON_MS));
	for (i = 0; i < 4; i++) {
		__atomic_store_n(&racers[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(racers[i].thread, NULL);
		EXPECT_EQ(0, racers[i].unexpected);
		for (state = MIG_STOP; state < MIG_STATES; state++)
			EXPECT_EQ(!transition(MIG_RUNNING, state,
					      self->has_precopy),
				  racers[i].reached[state] > 0);
	}
	EXPECT_EQ(-ENODEV, card_in(&self->card, 0, UART_SCR));
}

TEST_HARNESS_MAIN
