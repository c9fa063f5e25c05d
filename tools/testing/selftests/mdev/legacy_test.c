// SPDX-License-Identifier: GPL-2.0-only
/*
 * A parent driver that knows nothing but the interface of Linux 5.10 works: its
 * attributes, its devices, and a driver of its own on the mdev bus.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

#define PARENT		"mdev_legacy.0"
#define TYPE		"mdev_legacy-page"
#define MAX_INSTANCES	8

FIXTURE(legacy)
{
	struct uuid uuid;
	struct vfio_user user;
};

FIXTURE_SETUP(legacy)
{
	if (!parent_exists(PARENT))
		SKIP(return, "no parent " PARENT);
	self->user = (struct vfio_user)VFIO_USER_NONE;
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
}

FIXTURE_TEARDOWN(legacy)
{
	vfio_close(&self->user);
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	EXPECT_EQ(MAX_INSTANCES, instances(PARENT, TYPE));
}

TEST_F(legacy, attributes_of_parent_type_and_device_work)
{
	char expected[128];
	char text[128];

	EXPECT_LT(0, file_read(parent_path(PARENT, "legacy/version").text, text,
			       sizeof(text)));
	EXPECT_STREQ("5.10", text);

	EXPECT_EQ(0, file_puts(type_path(PARENT, TYPE, "note").text, "hello"));
	EXPECT_LT(0, file_read(type_path(PARENT, TYPE, "note").text, text,
			       sizeof(text)));
	EXPECT_STREQ(PARENT " hello", text);

	EXPECT_LT(0, file_read(mdev_path(&self->uuid, "legacy/identity").text,
			       text, sizeof(text)));
	snprintf(expected, sizeof(expected), "%s page " PARENT " mdev",
		 self->uuid.text);
	EXPECT_STREQ(expected, text);
}

TEST_F(legacy, iommu_device_is_remembered)
{
	struct path path = mdev_path(&self->uuid, "legacy/iommu_device");
	char text[128];

	EXPECT_LT(0, file_read(path.text, text, sizeof(text)));
	EXPECT_STREQ("none", text);
	EXPECT_EQ(0, file_puts(path.text, "parent"));
	EXPECT_LT(0, file_read(path.text, text, sizeof(text)));
	EXPECT_STREQ(PARENT, text);
	EXPECT_EQ(0, file_puts(path.text, "none"));
	EXPECT_LT(0, file_read(path.text, text, sizeof(text)));
	EXPECT_STREQ("none", text);
}

TEST_F(legacy, instances_are_the_parents)
{
	struct uuid uuids[MAX_INSTANCES];
	int i;

	EXPECT_EQ(MAX_INSTANCES - 1, instances(PARENT, TYPE));
	for (i = 0; i < MAX_INSTANCES - 1; i++) {
		uuids[i] = uuid_new();
		EXPECT_EQ(0, mdev_create(i % 2 ? "mdev_legacy.1" : PARENT,
					 i % 3 ? TYPE : "mdev_legacy-other",
					 &uuids[i]));
	}
	uuids[i] = uuid_new();
	EXPECT_EQ(-ENOSPC, mdev_create(PARENT, TYPE, &uuids[i]));
	EXPECT_EQ(0, instances("mdev_legacy.1", TYPE));
	for (i = 0; i < MAX_INSTANCES - 1; i++)
		EXPECT_EQ(0, mdev_remove(&uuids[i]));
}

TEST_F(legacy, device_reads_writes_and_maps)
{
	struct vfio_device_info info;
	struct vfio_region_info region;
	char text[16] = {};
	char *page;

	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	ASSERT_EQ(0, vfio_info(self->user.device, &info));
	EXPECT_EQ(VFIO_DEVICE_FLAGS_PLATFORM, info.flags);
	ASSERT_EQ(0, vfio_region(self->user.device, 0, &region));
	EXPECT_EQ(5, pwrite(self->user.device, "hello", 5, region.offset + 8));
	EXPECT_EQ(5, pread(self->user.device, text, 5, region.offset + 8));
	EXPECT_STREQ("hello", text);

	page = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    self->user.device, region.offset);
	ASSERT_NE(MAP_FAILED, (void *)page);
	EXPECT_STREQ("hello", page + 8);
	page[8] = 'H';
	EXPECT_EQ(5, pread(self->user.device, text, 5, region.offset + 8));
	EXPECT_STREQ("Hello", text);
	EXPECT_EQ(0, munmap(page, region.size));
}

/* A mapping has a reference to the descriptor, so it holds the device */
TEST_F(legacy, mapping_holds_the_device)
{
	int events = uevent_open();
	pid_t remover;
	char *page;

	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	page = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		    MAP_SHARED, self->user.device, 0);
	ASSERT_NE(MAP_FAILED, (void *)page);
	close(self->user.device);
	self->user.device = -1;

	remover = remover_start(&self->uuid);
	/* The child has a copy of the mapping until the child ends */
	ASSERT_LT(0, remover);
	EXPECT_TRUE(uevent_wait(events, SOON_MS, "change", self->uuid.text,
				MDEV_UEVENT_REQUEST_PENDING));
	EXPECT_EQ(-ETIMEDOUT, child_wait(remover, 0));
	page[0] = 'x';
	child_kill(remover);
	EXPECT_EQ(0, munmap(page, sysconf(_SC_PAGESIZE)));
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	close(events);
}

TEST_F(legacy, ioctl_that_the_parent_does_not_know_fails)
{
	int fd = eventfd_new();

	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	EXPECT_EQ(-ENOTTY, vfio_set_eventfd(self->user.device, 0, fd));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->user.device, VFIO_DEVICE_RESET,
				      NULL));
	close(fd);
}

TEST_F(legacy, parent_without_request_callback_is_logged)
{
	int log = kmsg_open();

	EXPECT_EQ(0, mdev_remove(&self->uuid));
	EXPECT_EQ(0, child_wait(unbinder_start("mdev_legacy.1"), SOON_MS));
	EXPECT_EQ(0, parent_bind("mdev_legacy.1"));
	EXPECT_TRUE(kmsg_wait(log, SOON_MS, "mdev_legacy.1",
			      "no request callback", NULL));
	close(log);
}

#define OWN_DRIVER	"/sys/bus/mdev/drivers/mdev_legacy_observer/"

TEST_F(legacy, own_driver_on_the_bus_can_be_bound)
{
	struct vfio_user user;
	int log = kmsg_open();
	char text[64];

	EXPECT_EQ(0, file_link_name(mdev_path(&self->uuid, "driver").text, text,
				    sizeof(text)));
	EXPECT_STREQ("vfio_mdev", text);
	EXPECT_EQ(0, file_puts(MDEV_DRIVER "unbind", self->uuid.text));
	EXPECT_EQ(0, file_puts(OWN_DRIVER "bind", self->uuid.text));
	EXPECT_TRUE(kmsg_wait(log, SOON_MS, self->uuid.text, " observed",
			      PARENT));
	EXPECT_EQ(0, file_link_name(mdev_path(&self->uuid, "driver").text, text,
				    sizeof(text)));
	EXPECT_STREQ("mdev_legacy_observer", text);
	EXPECT_NE(0, vfio_open(&user, &self->uuid));
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	EXPECT_TRUE(kmsg_wait(log, SOON_MS, self->uuid.text,
			      "no longer observed", NULL));
	close(log);
}

TEST_HARNESS_MAIN
