// SPDX-License-Identifier: GPL-2.0
/*
 * A subchannel that is taken from its user: by the administrator, by an unbind
 * that has waited long enough, and because it was pulled. Nothing of that waits
 * for the user, whatever that is doing.
 */
#include "kselftest_harness.h"
#include "life.h"

/* What is left of a device that was revoked */
#define expect_dead() do {						\
	struct ccw_schib_region schib;					\
	struct vfio_device_info info = { .argsz = sizeof(info) };	\
	struct vfio_device_feature feature = {				\
		.argsz = sizeof(feature),				\
		.flags = VFIO_DEVICE_FEATURE_PROBE |			\
			 VFIO_DEVICE_FEATURE_GET | 0x7fff,		\
	};								\
	int device = self->ccw.user.device;				\
									\
	EXPECT_EQ(-ENODEV, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM)); \
	EXPECT_EQ(-ENODEV, ccw_async(&self->ccw,			\
				     VFIO_CCW_ASYNC_CMD_HSCH));		\
	EXPECT_EQ(-ENODEV, region_read(&self->ccw, REGION_SCHIB, &schib, \
				       sizeof(schib)));			\
	EXPECT_EQ(-ENODEV, vfio_info(device, &info));			\
	EXPECT_EQ(-ENODEV, vfio_ioctl(device, VFIO_DEVICE_RESET, NULL)); \
	EXPECT_EQ(-ENODEV, vfio_ioctl(device, VFIO_DEVICE_FEATURE,	\
				      &feature));			\
	EXPECT_EQ(-ENODEV, vfio_set_eventfd(device,			\
					    VFIO_CCW_IO_IRQ_INDEX,	\
					    self->ccw.io));		\
	EXPECT_EQ(-ENODEV, vfio_get_device(&self->ccw.user,		\
					   &self->ccw.uuid));		\
	EXPECT_EQ(0, vfio_unmap(&self->ccw.user, GUEST_BASE, GUEST_SIZE)); \
	EXPECT_EQ(self->ccw.pinned, pages_pinned());			\
} while (0)

/* The subchannel is free: another user can have it */
#define expect_free() do {						\
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));			\
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));		\
} while (0)

#define stop_holder() ASSERT_EQ(0, kill(self->holder.pid, SIGSTOP))
#define continue_holder() ASSERT_EQ(0, kill(self->holder.pid, SIGCONT))

FIXTURE(taken)
{
	LIFE;
};

CCW_VARIANTS(taken);

FIXTURE_SETUP(taken)
{
	set_up(variant->device);
}

FIXTURE_TEARDOWN(taken)
{
	if (!self->ccw.memory)
		return;
	grace_set(GRACE_DEFAULT);
	/* The subchannel may be with the host's driver already */
	self->ccw.bound = parent_exists(self->ccw.sch);
	tear_down();
}

/* With the same UUID, while the one it was taken from still has it open */
#define expect_usable_by_next() do {					\
	struct ccw old = self->ccw;					\
									\
	ASSERT_EQ(0, mdev_create(self->ccw.sch, CCW_TYPE,		\
				 &self->ccw.uuid));			\
	self->ccw.user = (struct vfio_user)VFIO_USER_NONE;		\
	self->ccw.io = eventfd_new();					\
	ASSERT_EQ(0, ccw_open(&self->ccw));				\
	expect_usable();						\
	ccw_close(&self->ccw);						\
	EXPECT_EQ(0, mdev_remove(&self->ccw.uuid));			\
	close(self->ccw.io);						\
	self->ccw = old;						\
} while (0)

TEST_F(taken, unused_device_can_be_revoked)
{
	EXPECT_EQ(0, mdev_revoke(&self->ccw.uuid));
	expect_free();
	expect_usable_by_next();
}

TEST_F(taken, idle_user_loses_it)
{
	int request = eventfd_new();

	ASSERT_EQ(0, ccw_open(&self->ccw));
	ASSERT_EQ(0, vfio_set_eventfd(self->ccw.user.device,
				      VFIO_CCW_REQ_IRQ_INDEX, request));
	EXPECT_EQ(0, mdev_revoke(&self->ccw.uuid));
	EXPECT_TRUE(eventfd_wait(request, SOON_MS));
	expect_free();
	expect_dead();
	expect_usable_by_next();
	/* Its memory is its own still, its interrupts are not */
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
	ccw_close(&self->ccw);
	close(request);
}

TEST_F(taken, user_with_a_response_to_fetch_loses_it)
{
	ASSERT_EQ(0, ccw_open(&self->ccw));
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0x8000, DATA);
	EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	ASSERT_TRUE(eventfd_wait(self->ccw.io, SOON_MS));
	EXPECT_EQ(0, mdev_revoke(&self->ccw.uuid));
	expect_free();
	expect_dead();
	expect_usable_by_next();
}

TEST_F(taken, stopped_user_is_not_waited_for)
{
	start_holder(true);
	stop_holder();
	EXPECT_EQ(0, mdev_revoke(&self->ccw.uuid));
	expect_taken_from_holder();
	expect_free();
	expect_usable_by_next();
	continue_holder();
	expect_holder_lost_it();
}

TEST_F_TIMEOUT(taken, user_loses_it_under_io, 120)
{
	int i;

	for (i = 0; i < 5; i++) {
		self->child = child_start(run_user, &self->ccw, self->ccw.crw,
					  -1);
		ASSERT_LT(0, self->child);
		ASSERT_TRUE(eventfd_wait(self->ccw.crw, SOON_MS));
		eventfd_take(self->ccw.crw);
		EXPECT_EQ(0, mdev_revoke(&self->ccw.uuid));
		expect_free();
		expect_usable_by_next();
		child_kill(self->child);
		self->child = -1;
		EXPECT_EQ(self->ccw.pinned, pages_pinned());
		ASSERT_EQ(0, mdev_create(self->ccw.sch, CCW_TYPE,
					 &self->ccw.uuid));
	}
}

TEST_F(taken, user_stuck_in_a_start_is_not_waited_for)
{
	start_stuck_user();
	EXPECT_EQ(0, mdev_revoke(&self->ccw.uuid));
	expect_free();
	expect_usable_by_next();
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, 0));
}

TEST_F(taken, remove_waits_and_ends_with_a_revocation)
{
	start_holder(true);
	self->child = remover_start(&self->ccw.uuid);
	expect_asked();
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_USE));
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, 0));
	EXPECT_EQ(0, mdev_revoke(&self->ccw.uuid));
	EXPECT_EQ(ENODEV, child_wait(self->child, SOON_MS));
	self->child = -1;
	expect_free();
	expect_holder_lost_it();
}

/* The host's own driver gets the subchannel, and its device works */
#define expect_usable_by_host() do {					\
	EXPECT_FALSE(parent_exists(self->ccw.sch));			\
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "\n"));			\
	if (!file_exists(ccw_path(self->ccw.device, "").text))		\
		EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "add",	\
					self->ccw.device, NULL));	\
	EXPECT_EQ(0, ccw_settle(self->ccw.device));			\
	EXPECT_TRUE(ccw_matches(self->ccw.device, variant->device));	\
} while (0)

TEST_F(taken, unbind_revokes_when_the_time_is_over)
{
	start_holder(true);
	stop_holder();
	ASSERT_EQ(0, grace_set(1));
	EXPECT_EQ(0, sch_unbind(self->ccw.sch));
	expect_taken_from_holder();
	expect_usable_by_host();
	continue_holder();
	expect_holder_lost_it();
}

TEST_F(taken, unbind_that_waits_for_ever_can_be_given_a_limit)
{
	ASSERT_EQ(0, grace_set(0));
	start_holder(true);
	self->child = sch_unbinder_start(self->ccw.sch);
	expect_asked();
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_USE));
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, 2000));
	ASSERT_EQ(0, grace_set(1));
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
	expect_usable_by_host();
	expect_holder_lost_it();
}

TEST_F(taken, unbind_does_not_wait_for_a_user_stuck_in_a_start)
{
	start_stuck_user();
	ASSERT_EQ(0, grace_set(1));
	EXPECT_EQ(0, sch_unbind(self->ccw.sch));
	expect_usable_by_host();
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, 0));
}

/* The host pulls the device */

FIXTURE(pulled)
{
	LIFE;
	bool pulled;
};

FIXTURE_SETUP(pulled)
{
	if (!file_exists("/run/host"))
		SKIP(return, "no host to be asked");
	set_up(PULLED);
}

FIXTURE_TEARDOWN(pulled)
{
	if (!self->ccw.memory)
		return;
	if (self->holder.pid > 0)
		holder_kill(&self->holder);
	ccw_close(&self->ccw);
	if (self->pulled) {
		/* Gone for good, and then it is plugged in again */
		while (file_exists(css_path(self->ccw.sch, "").text) &&
		       uevent_wait(self->events, SOON_MS, "remove",
				   self->ccw.sch, "SUBSYSTEM=css"))
			;
		EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
		EXPECT_EQ(0, host_plug(PULLED_ID, PULLED_DEVNO));
		while (!file_exists(ccw_path(PULLED, "online").text) &&
		       uevent_wait(self->events, SOON_MS, "add", PULLED, NULL))
			;
		EXPECT_EQ(0, ccw_settle(PULLED));
	}
	tear_down();
}

#define pull() do {							\
	ASSERT_EQ(0, host_pull(PULLED_ID));				\
	self->pulled = true;						\
} while (0)

#define expect_gone() do {						\
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "remove",	\
				self->ccw.uuid.text, NULL));		\
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));			\
} while (0)

TEST_F(pulled, unused_device_goes_at_once)
{
	pull();
	expect_gone();
}

TEST_F(pulled, user_is_told_and_loses_it)
{
	start_holder(true);
	pull();
	EXPECT_TRUE(eventfd_wait(self->holder.eventfd, SOON_MS));
	expect_taken_from_holder();
	expect_gone();
	expect_holder_lost_it();
}

TEST_F(pulled, user_that_cannot_be_asked_loses_it)
{
	start_holder(false);
	pull();
	expect_taken_from_holder();
	expect_gone();
	expect_holder_lost_it();
}

TEST_F(pulled, device_that_is_gone_says_so)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own has EIO, or old data");
	ASSERT_EQ(0, ccw_open(&self->ccw));
	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 1, DATA);
	pull();
	expect_gone();
	expect_dead();
	ccw_close(&self->ccw);
}

TEST_F(pulled, device_pulled_in_the_middle_of_a_start)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own mdev does not ask for release");
	start_stuck_user();
	pull();
	expect_gone();
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, 0));
}

static bool comes(int events, const char *device)
{
	return file_exists(ccw_path(device, "").text) ||
	       uevent_wait(events, SOON_MS, "add", device, NULL);
}

/*
 * QEMU gives the lowest free subchannel to a new device: the one that was
 * pulled is free for the first, another one for the second. Both come, while
 * the user of the one that was pulled cannot even run.
 */
TEST_F(pulled, stopped_user_holds_up_nothing)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own waits on the channel subsystem's only work queue");
	start_holder(true);
	stop_holder();
	pull();
	expect_gone();
	EXPECT_EQ(0, host_plug(OTHER_ID, OTHER_DEVNO));
	EXPECT_TRUE(comes(self->events, OTHER));
	EXPECT_EQ(0, host_plug(SAME_ID, SAME_DEVNO));
	EXPECT_TRUE(comes(self->events, SAME));
	continue_holder();
	expect_holder_lost_it();

	EXPECT_EQ(0, ccw_settle(SAME));
	EXPECT_EQ(0, ccw_settle(OTHER));
	EXPECT_EQ(0, host_pull(SAME_ID));
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "remove", SAME,
				"SUBSYSTEM=ccw"));
	EXPECT_EQ(0, host_pull(OTHER_ID));
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "remove", OTHER,
				"SUBSYSTEM=ccw"));
}

TEST_F(pulled, unbind_that_waits_ends_when_the_device_is_pulled)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own mdev does not ask for release");
	start_holder(false);
	stop_holder();
	self->child = sch_unbinder_start(self->ccw.sch);
	ASSERT_LT(0, self->child);
	expect_blocked();
	pull();
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
	expect_gone();
	continue_holder();
	expect_holder_lost_it();
}

TEST_HARNESS_MAIN
