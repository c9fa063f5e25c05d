// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a subchannel that is passed through: binding, its one mediated
 * device, open and close, holders that die, and removal of each kind while it is
 * in use.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "kselftest_harness.h"
#include "life.h"

FIXTURE(life)
{
	struct life life;
};

CCW_VARIANTS(life);

FIXTURE_SETUP(life)
{
	if (!life_set_up(_metadata, &self->life, variant->device))
		SKIP(return, "no device %s", variant->device);
}

FIXTURE_TEARDOWN(life)
{
	if (self->life.ccw.memory)
		life_tear_down(_metadata, &self->life);
}

TEST_F(life, type_is_what_clients_expect)
{
	struct ccw *ccw = &self->life.ccw;
	char text[64], parent[300];
	char *path;

	EXPECT_LT(0, file_read(type_path(ccw->sch, CCW_TYPE, "device_api").text,
			       text, sizeof(text)));
	EXPECT_STREQ("vfio-ccw", text);
	EXPECT_LT(0, file_read(type_path(ccw->sch, CCW_TYPE, "name").text, text,
			       sizeof(text)));
	EXPECT_STREQ("I/O subchannel (Non-QDIO)", text);
	EXPECT_EQ(0, file_link_name(css_path(ccw->sch, "driver").text, text,
				    sizeof(text)));
	EXPECT_STREQ("vfio_ccw", text);
	/* QEMU takes the folder above the mediated device's for the subchannel's */
	path = realpath(mdev_path(&ccw->uuid, "..").text, NULL);
	ASSERT_NE(NULL, path);
	snprintf(parent, sizeof(parent), "/sys/devices/css0/%s", ccw->sch);
	free(path);
	path = realpath(mdev_path(&ccw->uuid, "").text, NULL);
	ASSERT_NE(NULL, path);
	*strrchr(path, '/') = '\0';
	EXPECT_STREQ(parent, path);
	free(path);
}

TEST_F(life, there_is_one_instance)
{
	struct ccw *ccw = &self->life.ccw;
	struct uuid second = uuid_new();

	EXPECT_EQ(0, instances(ccw->sch, CCW_TYPE));
	EXPECT_EQ(ccw->kernels_own ? -EUSERS : -ENOSPC,
		  mdev_create(ccw->sch, CCW_TYPE, &second));
	EXPECT_FALSE(mdev_exists(&second));
	EXPECT_EQ(0, ccw_remove(ccw));
	EXPECT_EQ(1, instances(ccw->sch, CCW_TYPE));
	EXPECT_EQ(0, mdev_create(ccw->sch, CCW_TYPE, &second));
	EXPECT_EQ(0, instances(ccw->sch, CCW_TYPE));
	EXPECT_EQ(0, mdev_remove(&second));
	EXPECT_EQ(1, instances(ccw->sch, CCW_TYPE));
}

TEST_F(life, create_of_another_type_fails)
{
	EXPECT_GT(0, mdev_create(self->life.ccw.sch, "vfio_ccw-none",
				 &self->life.ccw.uuid));
}

TEST_F_TIMEOUT(life, subchannel_comes_and_goes, 120)
{
	struct ccw *ccw = &self->life.ccw;
	int i;

	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, ccw_unbind(ccw));
		/* Its mediated device goes with it */
		EXPECT_FALSE(mdev_exists(&ccw->uuid));
		EXPECT_FALSE(parent_exists(ccw->sch));
		ASSERT_EQ(0, ccw_bind(ccw));
		ASSERT_EQ(0, ccw_create(ccw));
	}
	ASSERT_EQ(0, ccw_open(ccw));
	expect_usable(_metadata, ccw);
}

static int ignore(const char *what, const char *device)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%s%s", what, device ? " " : "",
		 device ?: "");
	return file_puts("/proc/cio_ignore", text);
}

/* A purge removes devices that are ignored and not in use. Our subchannel is in use */
TEST_F(life, purge_leaves_it_alone)
{
	struct ccw *ccw = &self->life.ccw;

	ASSERT_EQ(0, ccw_open(ccw));
	ASSERT_EQ(0, ignore("add", ccw->device));
	EXPECT_EQ(0, ignore("purge", NULL));
	EXPECT_TRUE(mdev_exists(&ccw->uuid));
	expect_usable(_metadata, ccw);
	EXPECT_EQ(0, ignore("free", ccw->device));
	EXPECT_TRUE(parent_exists(ccw->sch));
	expect_usable(_metadata, ccw);
}

TEST_F(life, open_and_close_can_be_repeated)
{
	struct ccw *ccw = &self->life.ccw;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ccw_open(ccw));
		expect_usable(_metadata, ccw);
		ccw_close(ccw);
		EXPECT_EQ(ccw->pinned, pages_pinned());
	}
}

TEST_F(life, second_descriptor_is_of_the_same_device)
{
	struct ccw *ccw = &self->life.ccw;
	int second;

	if (vfio_way() != VFIO_WAY_TYPE1)
		SKIP(return, OPENED_ONCE);
	ASSERT_EQ(0, ccw_open(ccw));
	second = vfio_get_device(&ccw->user, &ccw->uuid);
	ASSERT_LE(0, second);
	close(ccw->user.device);
	ccw->user.device = second;
	expect_usable(_metadata, ccw);
}

/* The next holder finds nothing that the last one has left */
TEST_F(life, reopened_device_is_as_new)
{
	struct ccw *ccw = &self->life.ccw;
	struct ccw_io_region region;
	static const struct ccw_io_region none;
	struct ccw_cmd_region cmd;
	struct ccw_crw_region crw;
	int io;

	if (ccw->kernels_own)
		SKIP(return, "the kernel's own keeps the regions' contents");
	ASSERT_EQ(0, ccw_open(ccw));
	put_ccw(ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, DATA);
	EXPECT_EQ(0, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
	ASSERT_TRUE(eventfd_wait(ccw->io, SOON_MS));
	EXPECT_EQ(0, ccw_async(ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	EXPECT_EQ(-EINVAL, ccw_async(ccw, 77));
	EXPECT_EQ(-EINVAL, ccw_start(ccw, ORB_FORMAT1, NOWHERE));
	ccw_close(ccw);

	io = ccw->io;
	ccw->io = eventfd_new();
	ASSERT_EQ(0, ccw_open(ccw));
	EXPECT_EQ(0, region_read(ccw, REGION_IO, &region, sizeof(region)));
	EXPECT_EQ(0, memcmp(&region, &none, sizeof(region)));
	EXPECT_EQ(0, region_read(ccw, REGION_CMD, &cmd, sizeof(cmd)));
	EXPECT_EQ(0, cmd.command);
	EXPECT_EQ(0, cmd.ret_code);
	EXPECT_EQ(0, region_read(ccw, REGION_CRW, &crw, sizeof(crw)));
	EXPECT_EQ(0, crw.crw);
	expect_usable(_metadata, ccw);
	/* The first holder's eventfd gets no signal */
	EXPECT_EQ(0, eventfd_take(io));
	close(io);
}

TEST_F(life, reset_device_is_as_new)
{
	struct ccw *ccw = &self->life.ccw;
	struct ccw_io_region region;
	static const struct ccw_io_region none;
	int i;

	if (ccw->kernels_own)
		SKIP(return, "the kernel's own keeps the regions' contents");
	ASSERT_EQ(0, ccw_open(ccw));
	for (i = 0; i < 5; i++) {
		put_ccw(ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, DATA);
		EXPECT_EQ(0, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
		ASSERT_EQ(0, ccw_response(ccw, &ccw->response));
		EXPECT_EQ(0, vfio_ioctl(ccw->user.device, VFIO_DEVICE_RESET,
					NULL));
		EXPECT_EQ(0, region_read(ccw, REGION_IO, &region,
					 sizeof(region)));
		EXPECT_EQ(0, memcmp(&region, &none, sizeof(region)));
		EXPECT_EQ(0, eventfd_take(ccw->io));
		EXPECT_EQ(ccw->pinned, pages_pinned());
		expect_usable(_metadata, ccw);
	}
}

TEST_F(life, memory_can_be_taken_away_and_given_back)
{
	struct ccw *ccw = &self->life.ccw;
	int i;

	if (ccw->kernels_own)
		SKIP(return, "the kernel's own loses the response, and then the device");
	ASSERT_EQ(0, ccw_open(ccw));
	for (i = 0; i < 20; i++) {
		put_ccw(ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0x8000, DATA);
		EXPECT_EQ(0, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
		/* The response has not been fetched yet */
		EXPECT_EQ(0, vfio_unmap(&ccw->user, GUEST_BASE, GUEST_SIZE));
		EXPECT_EQ(ccw->pinned, pages_pinned());
		ASSERT_TRUE(eventfd_wait(ccw->io, SOON_MS));
		eventfd_take(ccw->io);
		EXPECT_EQ(-EINVAL, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
		EXPECT_EQ(0, vfio_map(&ccw->user, ccw->memory, GUEST_BASE,
				      GUEST_SIZE));
		EXPECT_EQ(0, vfio_ioctl(ccw->user.device, VFIO_DEVICE_RESET,
					NULL));
		/* This comes in place of the program's response */
		ASSERT_EQ(0, ccw_response(ccw, &ccw->response));
		EXPECT_EQ(CSTAT_INTERFACE, ccw->response.cstat);
	}
	expect_usable(_metadata, ccw);
}

TEST_F_TIMEOUT(life, killed_user_leaves_nothing_behind, 120)
{
	struct ccw *ccw = &self->life.ccw;
	int i;

	if (ccw->kernels_own)
		SKIP(return, "the kernel's own keeps a killed holder's eventfds");
	for (i = 0; i < 10; i++) {
		self->life.child = child_start(run_user, ccw, ccw->crw, -1);
		ASSERT_LT(0, self->life.child);
		ASSERT_TRUE(eventfd_wait(ccw->crw, SOON_MS));
		child_kill(self->life.child);
		self->life.child = -1;
		eventfd_take(ccw->crw);
		EXPECT_EQ(ccw->pinned, pages_pinned());
		ASSERT_EQ(0, ccw_open(ccw));
		expect_usable(_metadata, ccw);
		ccw_close(ccw);
	}
}

TEST_F(life, user_stuck_in_a_start_can_be_killed)
{
	struct ccw *ccw = &self->life.ccw;

	if (ccw->kernels_own)
		SKIP(return, "the kernel's own keeps a killed holder's eventfds");
	start_stuck_user(_metadata, &self->life);
	child_kill(self->life.child);
	self->life.child = -1;
	ASSERT_EQ(0, ccw_open(ccw));
	expect_usable(_metadata, ccw);
}

TEST_F(life, removal_waits_for_a_user_stuck_in_a_start)
{
	struct ccw *ccw = &self->life.ccw;
	pid_t remover;

	if (ccw->kernels_own)
		SKIP(return, ASKS_NOBODY);
	start_stuck_user(_metadata, &self->life);
	remover = remover_start(&ccw->uuid);
	EXPECT_TRUE(kmsg_wait(self->life.log, SOON_MS, ccw->uuid.text,
			      LOG_BLOCKED, NULL));
	EXPECT_EQ(-ETIMEDOUT, child_wait(remover, 0));
	child_kill(self->life.child);
	self->life.child = -1;
	EXPECT_EQ(0, child_wait(remover, SOON_MS));
	EXPECT_FALSE(mdev_exists(&ccw->uuid));
}

/* Removal of the mediated device, and of the subchannel */

/* The removal ends when the holder closes the device */
static void expect_released(struct __test_metadata *_metadata,
			    struct life *life)
{
	EXPECT_EQ(-ETIMEDOUT, child_wait(life->child, 0));
	EXPECT_EQ(0, holder_order(&life->holder, HOLDER_USE));
	EXPECT_EQ(0, holder_order(&life->holder, HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(life->child, SOON_MS));
	life->child = -1;
	EXPECT_FALSE(mdev_exists(&life->ccw.uuid));
}

TEST_F(life, remove_asks_the_user)
{
	struct ccw *ccw = &self->life.ccw;

	if (ccw->kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, true);
	self->life.child = remover_start(&ccw->uuid);
	expect_asked(_metadata, &self->life);
	expect_released(_metadata, &self->life);
	EXPECT_EQ(1, instances(ccw->sch, CCW_TYPE));
}

TEST_F(life, remove_names_who_blocks_it)
{
	struct ccw *ccw = &self->life.ccw;

	if (ccw->kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, false);
	self->life.child = remover_start(&ccw->uuid);
	expect_blocked(_metadata, &self->life);
	expect_released(_metadata, &self->life);
	EXPECT_EQ(1, instances(ccw->sch, CCW_TYPE));
}

TEST_F(life, interrupted_remove_leaves_the_device_whole)
{
	struct ccw *ccw = &self->life.ccw;

	if (ccw->kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, true);
	self->life.child = remover_start(&ccw->uuid);
	expect_asked(_metadata, &self->life);
	child_kill(self->life.child);
	self->life.child = -1;
	EXPECT_EQ(0, holder_order(&self->life.holder, HOLDER_USE));
	holder_kill(&self->life.holder);
	ASSERT_EQ(0, ccw_open(ccw));
	expect_usable(_metadata, ccw);
}

TEST_F(life, unbind_asks_the_user)
{
	struct ccw *ccw = &self->life.ccw;

	if (ccw->kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, true);
	self->life.child = sch_unbinder_start(ccw->sch);
	expect_asked(_metadata, &self->life);
	expect_released(_metadata, &self->life);
	EXPECT_FALSE(parent_exists(ccw->sch));
	EXPECT_EQ(0, sch_bind(ccw->sch, "vfio_ccw"));
	EXPECT_EQ(1, instances(ccw->sch, CCW_TYPE));
}

TEST_F(life, unbind_names_who_blocks_it)
{
	struct ccw *ccw = &self->life.ccw;

	if (ccw->kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, false);
	self->life.child = sch_unbinder_start(ccw->sch);
	expect_blocked(_metadata, &self->life);
	expect_released(_metadata, &self->life);
	EXPECT_EQ(0, sch_bind(ccw->sch, "vfio_ccw"));
}

TEST_F(life, unbind_ends_with_a_killed_user)
{
	struct ccw *ccw = &self->life.ccw;

	if (ccw->kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, true);
	self->life.child = sch_unbinder_start(ccw->sch);
	expect_asked(_metadata, &self->life);
	kill(self->life.holder.pid, SIGKILL);
	EXPECT_EQ(0, child_wait(self->life.child, SOON_MS));
	self->life.child = -1;
	EXPECT_FALSE(mdev_exists(&ccw->uuid));
	EXPECT_EQ(0, sch_bind(ccw->sch, "vfio_ccw"));
}

TEST_F(life, io_goes_on_while_an_unbind_waits)
{
	struct ccw *ccw = &self->life.ccw;

	if (ccw->kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	ASSERT_EQ(0, ccw_open(ccw));
	self->life.child = sch_unbinder_start(ccw->sch);
	EXPECT_TRUE(kmsg_wait(self->life.log, SOON_MS, ccw->uuid.text,
			      ccw->kernels_own ? LOG_FORWARDED : LOG_BLOCKED,
			      NULL));
	expect_usable(_metadata, ccw);
	EXPECT_EQ(0, vfio_ioctl(ccw->user.device, VFIO_DEVICE_RESET, NULL));
	expect_usable(_metadata, ccw);
	ccw_close(ccw);
	EXPECT_EQ(0, child_wait(self->life.child, SOON_MS));
	self->life.child = -1;
	EXPECT_EQ(0, sch_bind(ccw->sch, "vfio_ccw"));
}

TEST_HARNESS_MAIN
