// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a subchannel that is passed through: binding, its one mediated
 * device, open and close, users that die, and removal of each kind while it is
 * in use.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "kselftest_harness.h"
#include "life.h"

FIXTURE(life)
{
	LIFE;
};

CCW_VARIANTS(life);

FIXTURE_SETUP(life)
{
	set_up(variant->device);
}

FIXTURE_TEARDOWN(life)
{
	if (self->ccw.memory)
		tear_down();
}

TEST_F(life, type_is_what_clients_expect)
{
	char text[64], parent[300];
	char *path;

	EXPECT_LT(0, file_read(type_path(self->ccw.sch, CCW_TYPE,
					 "device_api").text, text,
			       sizeof(text)));
	EXPECT_STREQ("vfio-ccw", text);
	EXPECT_LT(0, file_read(type_path(self->ccw.sch, CCW_TYPE, "name").text,
			       text, sizeof(text)));
	EXPECT_STREQ("I/O subchannel (Non-QDIO)", text);
	EXPECT_EQ(0, file_link_name(css_path(self->ccw.sch, "driver").text,
				    text, sizeof(text)));
	EXPECT_STREQ("vfio_ccw", text);
	/* QEMU takes the folder above the mdev's for the subchannel's */
	path = realpath(mdev_path(&self->ccw.uuid, "..").text, NULL);
	ASSERT_NE(NULL, path);
	snprintf(parent, sizeof(parent), "/sys/devices/css0/%s",
		 self->ccw.sch);
	free(path);
	path = realpath(mdev_path(&self->ccw.uuid, "").text, NULL);
	ASSERT_NE(NULL, path);
	*strrchr(path, '/') = '\0';
	EXPECT_STREQ(parent, path);
	free(path);
}

TEST_F(life, there_is_one_instance)
{
	struct uuid second = uuid_new();

	EXPECT_EQ(0, instances(self->ccw.sch, CCW_TYPE));
	EXPECT_EQ(self->ccw.kernels_own ? -EUSERS : -ENOSPC,
		  mdev_create(self->ccw.sch, CCW_TYPE, &second));
	EXPECT_FALSE(mdev_exists(&second));
	EXPECT_EQ(0, ccw_remove(&self->ccw));
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
	EXPECT_EQ(0, mdev_create(self->ccw.sch, CCW_TYPE, &second));
	EXPECT_EQ(0, instances(self->ccw.sch, CCW_TYPE));
	EXPECT_EQ(0, mdev_remove(&second));
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
}

TEST_F(life, create_of_another_type_fails)
{
	EXPECT_GT(0, mdev_create(self->ccw.sch, "vfio_ccw-none",
				 &self->ccw.uuid));
}

TEST_F_TIMEOUT(life, subchannel_comes_and_goes, 120)
{
	int i;

	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, ccw_unbind(&self->ccw));
		/* Its mediated device goes with it */
		EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
		EXPECT_FALSE(parent_exists(self->ccw.sch));
		ASSERT_EQ(0, ccw_bind(&self->ccw));
		ASSERT_EQ(0, ccw_create(&self->ccw));
	}
	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_usable();
}

static int ignore(const char *what, const char *device)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%s%s", what, device ? " " : "",
		 device ?: "");
	return file_puts("/proc/cio_ignore", text);
}

/* What is being ignored and is not used goes; a subchannel of ours is used */
TEST_F(life, purge_leaves_it_alone)
{
	ASSERT_EQ(0, ccw_open(&self->ccw));
	ASSERT_EQ(0, ignore("add", self->ccw.device));
	EXPECT_EQ(0, ignore("purge", NULL));
	EXPECT_TRUE(mdev_exists(&self->ccw.uuid));
	expect_usable();
	EXPECT_EQ(0, ignore("free", self->ccw.device));
	EXPECT_TRUE(parent_exists(self->ccw.sch));
	expect_usable();
}

TEST_F(life, open_and_close_can_be_repeated)
{
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ccw_open(&self->ccw));
		expect_usable();
		ccw_close(&self->ccw);
		EXPECT_EQ(self->ccw.pinned, pages_pinned());
	}
}

TEST_F(life, second_descriptor_is_of_the_same_device)
{
	int second;

	ASSERT_EQ(0, ccw_open(&self->ccw));
	second = vfio_get_device(&self->ccw.user, &self->ccw.uuid);
	ASSERT_LE(0, second);
	close(self->ccw.user.device);
	self->ccw.user.device = second;
	expect_usable();
}

/* What one user leaves behind, the next one does not find */
TEST_F(life, reopened_device_is_as_new)
{
	struct ccw_io_region region;
	static const struct ccw_io_region none;
	struct ccw_cmd_region cmd;
	struct ccw_crw_region crw;
	int io;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps the regions' contents");
	ASSERT_EQ(0, ccw_open(&self->ccw));
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, DATA);
	EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	ASSERT_TRUE(eventfd_wait(self->ccw.io, SOON_MS));
	EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	EXPECT_EQ(-EINVAL, ccw_async(&self->ccw, 77));
	EXPECT_EQ(-EINVAL, ccw_start(&self->ccw, ORB_FORMAT1, NOWHERE));
	ccw_close(&self->ccw);

	io = self->ccw.io;
	self->ccw.io = eventfd_new();
	ASSERT_EQ(0, ccw_open(&self->ccw));
	EXPECT_EQ(0, region_read(&self->ccw, REGION_IO, &region,
				 sizeof(region)));
	EXPECT_EQ(0, memcmp(&region, &none, sizeof(region)));
	EXPECT_EQ(0, region_read(&self->ccw, REGION_CMD, &cmd, sizeof(cmd)));
	EXPECT_EQ(0, cmd.command);
	EXPECT_EQ(0, cmd.ret_code);
	EXPECT_EQ(0, region_read(&self->ccw, REGION_CRW, &crw, sizeof(crw)));
	EXPECT_EQ(0, crw.crw);
	expect_usable();
	/* And the first one's eventfd is nobody's */
	EXPECT_EQ(0, eventfd_take(io));
	close(io);
}

TEST_F(life, reset_device_is_as_new)
{
	struct ccw_io_region region;
	static const struct ccw_io_region none;
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps the regions' contents");
	ASSERT_EQ(0, ccw_open(&self->ccw));
	for (i = 0; i < 5; i++) {
		put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, DATA);
		EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
		EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
		EXPECT_EQ(0, vfio_ioctl(self->ccw.user.device,
					VFIO_DEVICE_RESET, NULL));
		eventfd_take(self->ccw.io);
		EXPECT_EQ(0, region_read(&self->ccw, REGION_IO, &region,
					 sizeof(region)));
		EXPECT_EQ(0, memcmp(&region, &none, sizeof(region)));
		EXPECT_EQ(0, eventfd_take(self->ccw.io));
		EXPECT_EQ(self->ccw.pinned, pages_pinned());
		expect_usable();
	}
}

TEST_F(life, memory_can_be_taken_away_and_given_back)
{
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own loses the response, and then the device");
	ASSERT_EQ(0, ccw_open(&self->ccw));
	for (i = 0; i < 20; i++) {
		put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0x8000,
			DATA);
		EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
		/* Nobody has fetched the response yet */
		EXPECT_EQ(0, vfio_unmap(&self->ccw.user, GUEST_BASE,
					GUEST_SIZE));
		EXPECT_EQ(self->ccw.pinned, pages_pinned());
		ASSERT_TRUE(eventfd_wait(self->ccw.io, SOON_MS));
		eventfd_take(self->ccw.io);
		EXPECT_EQ(-EINVAL, ccw_start(&self->ccw, ORB_FORMAT1,
					     PROGRAM));
		EXPECT_EQ(0, vfio_map(&self->ccw.user, self->ccw.memory,
				      GUEST_BASE, GUEST_SIZE));
		EXPECT_EQ(0, vfio_ioctl(self->ccw.user.device,
					VFIO_DEVICE_RESET, NULL));
		eventfd_take(self->ccw.io);
	}
	expect_usable();
}

TEST_F_TIMEOUT(life, killed_user_leaves_nothing_behind, 120)
{
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps a killed user's eventfds");
	for (i = 0; i < 10; i++) {
		self->child = child_start(run_user, &self->ccw, self->ccw.crw,
					  -1);
		ASSERT_LT(0, self->child);
		ASSERT_TRUE(eventfd_wait(self->ccw.crw, SOON_MS));
		child_kill(self->child);
		self->child = -1;
		eventfd_take(self->ccw.crw);
		EXPECT_EQ(self->ccw.pinned, pages_pinned());
		ASSERT_EQ(0, ccw_open(&self->ccw));
		expect_usable();
		ccw_close(&self->ccw);
	}
}

TEST_F(life, user_stuck_in_a_start_can_be_killed)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps a killed user's eventfds");
	start_stuck_user();
	child_kill(self->child);
	self->child = -1;
	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_usable();
}

TEST_F(life, removal_waits_for_a_user_stuck_in_a_start)
{
	pid_t remover;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own mdev does not ask for release");
	start_stuck_user();
	remover = remover_start(&self->ccw.uuid);
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->ccw.uuid.text, LOG_BLOCKED,
			      NULL));
	EXPECT_EQ(-ETIMEDOUT, child_wait(remover, 0));
	child_kill(self->child);
	self->child = -1;
	EXPECT_EQ(0, child_wait(remover, SOON_MS));
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
}

/* The removal table: of the mediated device, and of the subchannel */

/* It goes when the user lets go */
#define expect_released() do {						\
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, 0));		\
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_USE));		\
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_CLOSE));	\
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));			\
	self->child = -1;						\
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));			\
} while (0)

TEST_F(life, remove_asks_the_user)
{
	start_holder(true);
	self->child = remover_start(&self->ccw.uuid);
	expect_asked();
	expect_released();
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
}

TEST_F(life, remove_names_who_blocks_it)
{
	start_holder(false);
	self->child = remover_start(&self->ccw.uuid);
	expect_blocked();
	expect_released();
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
}

TEST_F(life, interrupted_remove_leaves_the_device_whole)
{
	start_holder(true);
	self->child = remover_start(&self->ccw.uuid);
	expect_asked();
	child_kill(self->child);
	self->child = -1;
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_USE));
	holder_kill(&self->holder);
	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_usable();
}

TEST_F(life, unbind_asks_the_user)
{
	start_holder(true);
	self->child = sch_unbinder_start(self->ccw.sch);
	expect_asked();
	expect_released();
	EXPECT_FALSE(parent_exists(self->ccw.sch));
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "vfio_ccw"));
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
}

TEST_F(life, unbind_names_who_blocks_it)
{
	start_holder(false);
	self->child = sch_unbinder_start(self->ccw.sch);
	expect_blocked();
	expect_released();
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "vfio_ccw"));
}

TEST_F(life, unbind_ends_with_a_killed_user)
{
	start_holder(true);
	self->child = sch_unbinder_start(self->ccw.sch);
	expect_asked();
	kill(self->holder.pid, SIGKILL);
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "vfio_ccw"));
}

TEST_F(life, io_goes_on_while_an_unbind_waits)
{
	if (self->ccw.kernels_mdev)
		SKIP(return, "the kernel's own mdev does not ask for release");
	ASSERT_EQ(0, ccw_open(&self->ccw));
	self->child = sch_unbinder_start(self->ccw.sch);
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->ccw.uuid.text,
			      self->ccw.kernels_own ? LOG_FORWARDED : LOG_BLOCKED,
			      NULL));
	expect_usable();
	EXPECT_EQ(0, vfio_ioctl(self->ccw.user.device, VFIO_DEVICE_RESET,
				NULL));
	expect_usable();
	ccw_close(&self->ccw);
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "vfio_ccw"));
}

TEST_HARNESS_MAIN
