// SPDX-License-Identifier: GPL-2.0-only
/*
 * The framework's migration, with a parent driver whose steps can fail. After a
 * failure the device has its old state or the state ERROR, and no other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"
#include "migration.h"

#define TYPE	"mdev_relay-relay"

/* What a device may do by itself: the last value that the driver was told */
enum run {
	RUN_STOPPED,
	RUN_NO_P2P,
	RUN_FULL,
};

FIXTURE(relay)
{
	struct uuid uuid;
	struct vfio_user user;
	__u8 *page;
	size_t page_size;
	bool has_precopy;
	int fd;
	__u8 *data;
	ssize_t size;
};

FIXTURE_VARIANT(relay)
{
	const char *parent;
};

FIXTURE_VARIANT_ADD(relay, revocable)
{
	.parent = "mdev_relay.0",
};

FIXTURE_VARIANT_ADD(relay, not_revocable)
{
	.parent = "mdev_relay.2",
};

FIXTURE_SETUP(relay)
{
	if (!parent_exists(variant->parent))
		SKIP(return, "no parent %s", variant->parent);
	self->fd = -1;
	self->page_size = sysconf(_SC_PAGESIZE);
	self->data = calloc(3, self->page_size);
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(variant->parent, TYPE, &self->uuid));
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	self->has_precopy = mig_has_precopy(self->user.device);
}

FIXTURE_TEARDOWN(relay)
{
	EXPECT_EQ(0, relay_set("migration_fails", 0));
	if (self->page)
		munmap(self->page, self->page_size);
	close(self->fd);
	vfio_close(&self->user);
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	free(self->data);
}

static int set_fails(unsigned int what)
{
	return relay_set("migration_fails", what);
}

static void reset_device(struct __test_metadata *_metadata, int device)
{
	EXPECT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_RESET, NULL));
}

static void expect_state(struct __test_metadata *_metadata, int device,
			 int state, enum run run)
{
	EXPECT_EQ(state, mig_get(device));
	EXPECT_EQ(run, relay_counter("level"));
}

/* Makes the data of a device whose page is filled with @byte */
static ssize_t made_up(__u8 *data, size_t page_size, __u32 version, __u8 byte)
{
	struct mig_header header = {
		.magic = "mdev-mig",
		.type = TYPE,
	};
	__u8 *number;
	int i;

	/* Little endian on any machine */
	for (i = 0; i < 4; i++) {
		number = (__u8 *)&header.format;
		number[i] = i ? 0 : 1;
		number = (__u8 *)&header.version;
		number[i] = version >> 8 * i;
		number = (__u8 *)&header.size;
		number[i] = page_size >> 8 * i;
	}
	memcpy(data, &header, sizeof(header));
	memset(data + sizeof(header), byte, page_size);
	return sizeof(header) + page_size;
}

TEST_F(relay, device_without_p2p_has_none_of_its_states)
{
	EXPECT_EQ(MIG_FLAG_STOP_COPY,
		  mig_flags(self->user.device) & ~MIG_FLAG_PRE_COPY);
	EXPECT_EQ(-EINVAL, mig_go(self->user.device, MIG_RUNNING_P2P));
	EXPECT_EQ(-EINVAL, mig_go(self->user.device, MIG_PRE_COPY_P2P));
	expect_state(_metadata, self->user.device, MIG_RUNNING, RUN_FULL);
}

/* On some kernels VFIO would look for such a transition for ever */
TEST_F(relay, there_is_no_way_back_to_pre_copy)
{
	EXPECT_EQ(0, mig_go(self->user.device, MIG_STOP_COPY));
	EXPECT_EQ(-EINVAL, mig_go(self->user.device, MIG_PRE_COPY));
	EXPECT_EQ(-EINVAL, mig_go(self->user.device, MIG_PRE_COPY_P2P));
	expect_state(_metadata, self->user.device, MIG_STOP_COPY, RUN_STOPPED);
}

TEST_F(relay, driver_is_told_how_far_the_device_runs)
{
	EXPECT_EQ(0, mig_go(self->user.device, MIG_STOP));
	expect_state(_metadata, self->user.device, MIG_STOP, RUN_STOPPED);
	EXPECT_EQ(0, mig_go(self->user.device, MIG_STOP_COPY));
	expect_state(_metadata, self->user.device, MIG_STOP_COPY, RUN_STOPPED);
	EXPECT_EQ(0, mig_go(self->user.device, MIG_RUNNING));
	expect_state(_metadata, self->user.device, MIG_RUNNING, RUN_FULL);
	if (self->has_precopy) {
		EXPECT_EQ(0, mig_go(self->user.device, MIG_PRE_COPY));
		expect_state(_metadata, self->user.device, MIG_PRE_COPY,
			     RUN_FULL);
	}
	EXPECT_EQ(0, mig_go(self->user.device, MIG_RESUMING));
	expect_state(_metadata, self->user.device, MIG_RESUMING, RUN_STOPPED);
	reset_device(_metadata, self->user.device);
	expect_state(_metadata, self->user.device, MIG_RUNNING, RUN_FULL);
}

TEST_F(relay, data_is_the_same_on_every_machine)
{
	__u8 again[3 * self->page_size];

	self->size = made_up(self->data, self->page_size, MDEV_RELAY_VERSION,
			     0x5a);
	ASSERT_EQ(0, mig_load(self->user.device, self->data, self->size));
	EXPECT_EQ(self->size, mig_save(self->user.device, again,
				       sizeof(again)));
	EXPECT_EQ(0, memcmp(self->data, again, self->size));
	self->page = relay_map(self->user.device, MDEV_RELAY_FAULT_REGION);
	ASSERT_NE(NULL, self->page);
	EXPECT_EQ(0x5a, self->page[0]);
	EXPECT_EQ(0x5a, self->page[self->page_size - 1]);
}

TEST_F(relay, driver_is_told_of_an_older_version)
{
	self->size = made_up(self->data, self->page_size,
			     MDEV_RELAY_VERSION - 1, 0x5a);
	ASSERT_EQ(0, mig_load(self->user.device, self->data, self->size));
	self->page = relay_map(self->user.device, MDEV_RELAY_FAULT_REGION);
	ASSERT_NE(NULL, self->page);
	EXPECT_EQ(0xa5, self->page[0]);
	reset_device(_metadata, self->user.device);
	self->size = made_up(self->data, self->page_size,
			     MDEV_RELAY_VERSION + 1, 0x5a);
	EXPECT_EQ(-EINVAL, mig_load(self->user.device, self->data, self->size));
}

/* The state of a device may have no bytes */
TEST_F(relay, empty_state_is_one)
{
	self->size = mig_save(self->user.device, self->data,
			      3 * self->page_size);
	EXPECT_EQ(sizeof(struct mig_header), self->size);
	EXPECT_EQ(0, mig_load(self->user.device, self->data, self->size));
	expect_state(_metadata, self->user.device, MIG_STOP, RUN_STOPPED);
}

TEST_F(relay, stop_that_fails_has_not_happened)
{
	ASSERT_EQ(0, set_fails(MDEV_RELAY_STOP_FAILS));
	EXPECT_EQ(-EIO, mig_go(self->user.device, MIG_STOP));
	EXPECT_EQ(-EIO, mig_go(self->user.device, MIG_STOP_COPY));
	EXPECT_EQ(-EIO, mig_go(self->user.device, MIG_RESUMING));
	expect_state(_metadata, self->user.device, MIG_RUNNING, RUN_FULL);
	if (!self->has_precopy)
		return;
	/* The pre-copy session goes on */
	ASSERT_EQ(0, mig_set(self->user.device, MIG_PRE_COPY, &self->fd));
	EXPECT_EQ(-EIO, mig_go(self->user.device, MIG_STOP_COPY));
	expect_state(_metadata, self->user.device, MIG_PRE_COPY, RUN_FULL);
	EXPECT_EQ(1, mig_read(self->fd, self->data, 1));
}

TEST_F(relay, start_that_fails_has_not_happened)
{
	EXPECT_EQ(0, mig_go(self->user.device, MIG_STOP));
	ASSERT_EQ(0, set_fails(MDEV_RELAY_START_FAILS));
	EXPECT_EQ(-EIO, mig_go(self->user.device, MIG_RUNNING));
	expect_state(_metadata, self->user.device, MIG_STOP, RUN_STOPPED);
	/* A reset cannot start the device, either */
	EXPECT_EQ(-EIO, vfio_ioctl(self->user.device, VFIO_DEVICE_RESET, NULL));
	expect_state(_metadata, self->user.device, MIG_ERROR, RUN_STOPPED);
	ASSERT_EQ(0, set_fails(0));
	reset_device(_metadata, self->user.device);
	expect_state(_metadata, self->user.device, MIG_RUNNING, RUN_FULL);
}

TEST_F(relay, save_that_fails_leaves_the_device_as_it_was)
{
	int log = kmsg_open();

	ASSERT_EQ(0, set_fails(MDEV_RELAY_SAVE_FAILS));
	EXPECT_EQ(-EIO, mig_go(self->user.device, MIG_STOP_COPY));
	EXPECT_TRUE(kmsg_wait(log, SOON_MS, self->uuid.text,
			      "mdev_relay cannot save the state of the device",
			      "(error -5)"));
	close(log);
	/* The device was stopped before the save, and stays stopped */
	expect_state(_metadata, self->user.device, MIG_STOP, RUN_STOPPED);
	EXPECT_EQ(0, mig_go(self->user.device, MIG_RUNNING));
	if (!self->has_precopy)
		return;
	ASSERT_EQ(0, mig_set(self->user.device, MIG_PRE_COPY, &self->fd));
	EXPECT_EQ(-EIO, mig_go(self->user.device, MIG_STOP_COPY));
	expect_state(_metadata, self->user.device, MIG_PRE_COPY, RUN_FULL);
	ASSERT_EQ(0, set_fails(0));
	EXPECT_EQ(0, mig_go(self->user.device, MIG_STOP_COPY));
	EXPECT_EQ(sizeof(struct mig_header),
		  mig_read(self->fd, self->data, self->page_size));
}

/* The partial state of a failed save is not part of the next one */
TEST_F(relay, save_that_failed_leaves_nothing_behind)
{
	__u8 again[3 * self->page_size];

	if (!self->has_precopy)
		SKIP(return, NO_PRECOPY);
	self->size = made_up(self->data, self->page_size, MDEV_RELAY_VERSION,
			     0);
	ASSERT_EQ(0, mig_load(self->user.device, self->data, self->size));
	ASSERT_EQ(0, mig_set(self->user.device, MIG_PRE_COPY, &self->fd));
	ASSERT_EQ(0, set_fails(MDEV_RELAY_SAVE_FAILS));
	EXPECT_EQ(-EIO, mig_go(self->user.device, MIG_STOP_COPY));
	ASSERT_EQ(0, set_fails(0));
	EXPECT_EQ(0, mig_go(self->user.device, MIG_STOP_COPY));
	EXPECT_EQ(self->size, mig_read(self->fd, again, sizeof(again)));
	EXPECT_EQ(0, memcmp(self->data, again, self->size));
}

/* A device whose state is unknown is in ERROR */
TEST_F(relay, device_that_cannot_go_back_is_in_error)
{
	if (!self->has_precopy)
		SKIP(return, NO_PRECOPY);
	ASSERT_EQ(0, mig_set(self->user.device, MIG_PRE_COPY, &self->fd));
	ASSERT_EQ(0, set_fails(MDEV_RELAY_SAVE_FAILS | MDEV_RELAY_START_FAILS));
	EXPECT_EQ(-EIO, mig_go(self->user.device, MIG_STOP_COPY));
	expect_state(_metadata, self->user.device, MIG_ERROR, RUN_STOPPED);
	EXPECT_EQ(-ENODEV, mig_read(self->fd, self->data, 1));
	ASSERT_EQ(0, set_fails(0));
	reset_device(_metadata, self->user.device);
	expect_state(_metadata, self->user.device, MIG_RUNNING, RUN_FULL);
}

TEST_F(relay, load_that_fails_is_an_error)
{
	self->size = mig_save(self->user.device, self->data,
			      3 * self->page_size);
	ASSERT_EQ(0, set_fails(MDEV_RELAY_LOAD_FAILS));
	EXPECT_EQ(-EIO, mig_load(self->user.device, self->data, self->size));
	expect_state(_metadata, self->user.device, MIG_ERROR, RUN_STOPPED);
	reset_device(_metadata, self->user.device);
	expect_state(_metadata, self->user.device, MIG_RUNNING, RUN_FULL);
}

/* After the next open, the device runs, whatever state it had */
TEST_F(relay, close_ends_it_in_any_state)
{
	static const int states[] = {
		MIG_STOP, MIG_STOP_COPY, MIG_RESUMING, MIG_PRE_COPY,
	};
	size_t i;

	for (i = 0; i < sizeof(states) / sizeof(*states); i++) {
		if (states[i] == MIG_PRE_COPY && !self->has_precopy)
			continue;
		ASSERT_EQ(0, mig_set(self->user.device, states[i], &self->fd));
		vfio_close(&self->user);
		ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
		expect_state(_metadata, self->user.device, MIG_RUNNING,
			     RUN_FULL);
		close(self->fd);
		self->fd = -1;
	}
}

/* The length comes from the driver, so the framework has to check it */
TEST_F(relay, driver_that_saves_too_much_is_stopped)
{
	int log = kmsg_open();

	ASSERT_EQ(0, set_fails(MDEV_RELAY_SAVES_TOO_MUCH));
	EXPECT_EQ(-EIO, mig_go(self->user.device, MIG_STOP_COPY));
	expect_state(_metadata, self->user.device, MIG_STOP, RUN_STOPPED);
	EXPECT_TRUE(kmsg_wait(log, SOON_MS, "saved more migration data than its max_size",
			      "mdev_relay", NULL));
	close(log);
}

TEST_HARNESS_MAIN
