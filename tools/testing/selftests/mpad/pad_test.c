// SPDX-License-Identifier: GPL-2.0-only
/* A card of mpad: a page of memory, and PCI's configuration space. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "kselftest_harness.h"
#include "lib.h"

#define PARENT	"mpad"
#define TYPE	"mpad-page"
#define SIZE	4096

FIXTURE(pad)
{
	struct uuid uuid;
	struct vfio_user user;
	__u64 memory;
	__u64 config;
	char data[SIZE];
	char found[SIZE];
};

static int use(struct uuid *uuid, struct vfio_user *user, __u64 *memory,
	       __u64 *config)
{
	struct vfio_region_info region;
	int err;

	err = vfio_open(user, uuid);
	if (!err)
		err = vfio_region(user->device, VFIO_PCI_BAR0_REGION_INDEX,
				  &region);
	*memory = region.offset;
	if (!err)
		err = vfio_region(user->device, VFIO_PCI_CONFIG_REGION_INDEX,
				  &region);
	*config = region.offset;
	return err;
}

FIXTURE_SETUP(pad)
{
	size_t i;

	if (!parent_exists(PARENT))
		SKIP(return, "no parent " PARENT);
	for (i = 0; i < SIZE; i++)
		self->data[i] = 7 * i + 1;
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	ASSERT_EQ(0, use(&self->uuid, &self->user, &self->memory,
			 &self->config));
}

FIXTURE_TEARDOWN(pad)
{
	vfio_close(&self->user);
	EXPECT_EQ(0, mdev_remove(&self->uuid));
}

static ssize_t pad_write(const FIXTURE_DATA(pad) *self, size_t count, __u64 at)
{
	return pwrite(self->user.device, self->data, count, self->memory + at);
}

static ssize_t pad_read(FIXTURE_DATA(pad) *self, size_t count, __u64 at)
{
	return pread(self->user.device, self->found, count, self->memory + at);
}

TEST_F(pad, memory_keeps_what_is_written)
{
	EXPECT_EQ(SIZE, pad_write(self, SIZE, 0));
	EXPECT_EQ(SIZE, pad_read(self, SIZE, 0));
	EXPECT_EQ(0, memcmp(self->data, self->found, SIZE));
	EXPECT_EQ(5, pad_write(self, 5, 77));
	EXPECT_EQ(5, pad_read(self, 5, 77));
	EXPECT_EQ(0, memcmp(self->data, self->found, 5));
}

TEST_F(pad, next_holder_finds_zeroes)
{
	EXPECT_EQ(SIZE, pad_write(self, SIZE, 0));
	vfio_close(&self->user);
	ASSERT_EQ(0, use(&self->uuid, &self->user, &self->memory,
			 &self->config));
	EXPECT_EQ(SIZE, pad_read(self, SIZE, 0));
	memset(self->data, 0, SIZE);
	EXPECT_EQ(0, memcmp(self->data, self->found, SIZE));
}

TEST_F(pad, write_that_cannot_be_read_changes_nothing)
{
	EXPECT_EQ(SIZE, pad_write(self, SIZE, 0));
	EXPECT_EQ(-1, pwrite(self->user.device, bad_address(), 8,
			     self->memory));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(8, pad_read(self, 8, 0));
	EXPECT_EQ(0, memcmp(self->data, self->found, 8));
}

TEST_F(pad, only_its_memory_can_be_enabled)
{
	__u8 before[256], after[256], ones[256];

	memset(ones, 0xff, sizeof(ones));
	EXPECT_EQ(256, pread(self->user.device, before, 256, self->config));
	EXPECT_EQ(256, pwrite(self->user.device, ones, 256, self->config));
	EXPECT_EQ(256, pread(self->user.device, after, 256, self->config));
	EXPECT_EQ(PCI_COMMAND_MEMORY, after[PCI_COMMAND]);
	after[PCI_COMMAND] = before[PCI_COMMAND];
	EXPECT_EQ(0, memcmp(before, after, 256));
	EXPECT_EQ(0x34, before[PCI_VENDOR_ID]);
	EXPECT_EQ(0x12, before[PCI_VENDOR_ID + 1]);
}

TEST_F(pad, there_are_eight)
{
	EXPECT_EQ(7, instances(PARENT, TYPE));
}

TEST_HARNESS_MAIN
