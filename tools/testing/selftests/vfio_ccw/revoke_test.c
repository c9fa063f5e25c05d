// SPDX-License-Identifier: GPL-2.0
/*
 * A subchannel is taken from its holder: by the administrator, by an unbind
 * that has waited long enough, and because the device is pulled. None of these
 * waits for the holder, whatever the holder is doing.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "kselftest_harness.h"
#include "life.h"

/* All calls of a revoked device fail, and its memory can be unmapped */
static void expect_dead(struct __test_metadata *_metadata,
			const struct ccw *ccw)
{
	struct ccw_schib_region schib;
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
			 0x7fff,
	};
	int device = ccw->user.device;

	EXPECT_EQ(-ENODEV, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_EQ(-ENODEV, ccw_async(ccw, VFIO_CCW_ASYNC_CMD_HSCH));
	EXPECT_EQ(-ENODEV, region_read(ccw, REGION_SCHIB, &schib,
				       sizeof(schib)));
	EXPECT_EQ(-ENODEV, vfio_info(device, &info));
	EXPECT_EQ(-ENODEV, vfio_ioctl(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-ENODEV, vfio_ioctl(device, VFIO_DEVICE_FEATURE, &feature));
	EXPECT_EQ(-ENODEV, vfio_set_eventfd(device, VFIO_CCW_IO_IRQ_INDEX,
					    ccw->io));
	EXPECT_EQ(vfio_way() == VFIO_WAY_CDEV ? -ENOENT : -ENODEV,
		  vfio_get_device(&ccw->user, &ccw->uuid));
	EXPECT_EQ(0, vfio_unmap(&ccw->user, GUEST_BASE, GUEST_SIZE));
	EXPECT_EQ(ccw->pinned, pages_pinned());
}

/* The subchannel is free for another holder */
static void expect_free(struct __test_metadata *_metadata,
			const struct ccw *ccw)
{
	EXPECT_FALSE(mdev_exists(&ccw->uuid));
	EXPECT_EQ(1, instances(ccw->sch, CCW_TYPE));
}

static void stop_holder(struct __test_metadata *_metadata,
			const struct life *life)
{
	ASSERT_EQ(0, kill(life->holder.pid, SIGSTOP));
}

static void continue_holder(struct __test_metadata *_metadata,
			    const struct life *life)
{
	ASSERT_EQ(0, kill(life->holder.pid, SIGCONT));
}

FIXTURE(taken)
{
	struct life life;
};

CCW_VARIANTS(taken);

FIXTURE_SETUP(taken)
{
	if (!life_set_up(_metadata, &self->life, variant->device))
		SKIP(return, "no device %s", variant->device);
}

FIXTURE_TEARDOWN(taken)
{
	struct ccw *ccw = &self->life.ccw;

	if (!ccw->memory)
		return;
	grace_set(GRACE_DEFAULT);
	/* The host's driver may have the subchannel already */
	ccw->bound = parent_exists(ccw->sch);
	life_tear_down(_metadata, &self->life);
}

/* The new holder has the same UUID, while the old one still has its device open */
static void expect_usable_by_next(struct __test_metadata *_metadata,
				  struct ccw *ccw)
{
	struct ccw old = *ccw;

	ASSERT_EQ(0, mdev_create(ccw->sch, CCW_TYPE, &ccw->uuid));
	ccw->user = (struct vfio_user)VFIO_USER_NONE;
	ccw->io = eventfd_new();
	ASSERT_EQ(0, ccw_open(ccw));
	expect_usable(_metadata, ccw);
	ccw_close(ccw);
	EXPECT_EQ(0, mdev_remove(&ccw->uuid));
	close(ccw->io);
	*ccw = old;
}

TEST_F(taken, unused_device_can_be_revoked)
{
	struct ccw *ccw = &self->life.ccw;

	EXPECT_EQ(0, mdev_revoke(&ccw->uuid));
	expect_free(_metadata, ccw);
	expect_usable_by_next(_metadata, ccw);
}

TEST_F(taken, idle_user_loses_it)
{
	struct ccw *ccw = &self->life.ccw;
	int request = eventfd_new();

	ASSERT_EQ(0, ccw_open(ccw));
	ASSERT_EQ(0, vfio_set_eventfd(ccw->user.device, VFIO_CCW_REQ_IRQ_INDEX,
				      request));
	EXPECT_EQ(0, mdev_revoke(&ccw->uuid));
	EXPECT_TRUE(eventfd_wait(request, SOON_MS));
	expect_free(_metadata, ccw);
	expect_dead(_metadata, ccw);
	expect_usable_by_next(_metadata, ccw);
	/* The old holder keeps its memory, but gets no interrupts */
	EXPECT_EQ(0, eventfd_take(ccw->io));
	ccw_close(ccw);
	close(request);
}

TEST_F(taken, user_with_a_response_to_fetch_loses_it)
{
	struct ccw *ccw = &self->life.ccw;

	ASSERT_EQ(0, ccw_open(ccw));
	put_ccw(ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0x8000, DATA);
	EXPECT_EQ(0, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
	ASSERT_TRUE(eventfd_wait(ccw->io, SOON_MS));
	EXPECT_EQ(0, mdev_revoke(&ccw->uuid));
	expect_free(_metadata, ccw);
	expect_dead(_metadata, ccw);
	expect_usable_by_next(_metadata, ccw);
}

TEST_F(taken, stopped_user_is_not_waited_for)
{
	struct ccw *ccw = &self->life.ccw;

	if (ccw->kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, true);
	stop_holder(_metadata, &self->life);
	EXPECT_EQ(0, mdev_revoke(&ccw->uuid));
	expect_taken_from_holder(_metadata, &self->life);
	expect_free(_metadata, ccw);
	expect_usable_by_next(_metadata, ccw);
	continue_holder(_metadata, &self->life);
	expect_holder_lost_it(_metadata, &self->life);
}

TEST_F_TIMEOUT(taken, user_loses_it_under_io, 120)
{
	struct ccw *ccw = &self->life.ccw;
	int i;

	for (i = 0; i < 5; i++) {
		self->life.child = child_start(run_user, ccw, ccw->crw, -1);
		ASSERT_LT(0, self->life.child);
		ASSERT_TRUE(eventfd_wait(ccw->crw, SOON_MS));
		eventfd_take(ccw->crw);
		EXPECT_EQ(0, mdev_revoke(&ccw->uuid));
		expect_free(_metadata, ccw);
		expect_usable_by_next(_metadata, ccw);
		child_kill(self->life.child);
		self->life.child = -1;
		EXPECT_EQ(ccw->pinned, pages_pinned());
		ASSERT_EQ(0, mdev_create(ccw->sch, CCW_TYPE, &ccw->uuid));
	}
}

TEST_F(taken, user_stuck_in_a_start_is_not_waited_for)
{
	struct ccw *ccw = &self->life.ccw;

	start_stuck_user(_metadata, &self->life);
	EXPECT_EQ(0, mdev_revoke(&ccw->uuid));
	expect_free(_metadata, ccw);
	expect_usable_by_next(_metadata, ccw);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->life.child, 0));
}

TEST_F(taken, remove_waits_and_ends_with_a_revocation)
{
	struct ccw *ccw = &self->life.ccw;

	if (ccw->kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, true);
	self->life.child = remover_start(&ccw->uuid);
	expect_asked(_metadata, &self->life);
	EXPECT_EQ(0, holder_order(&self->life.holder, HOLDER_USE));
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->life.child, 0));
	EXPECT_EQ(0, mdev_revoke(&ccw->uuid));
	EXPECT_EQ(ENODEV, child_wait(self->life.child, SOON_MS));
	self->life.child = -1;
	expect_free(_metadata, ccw);
	expect_holder_lost_it(_metadata, &self->life);
}

/* The host's own driver gets the subchannel, and its device works */
static void expect_usable_by_host(struct __test_metadata *_metadata,
				  const struct life *life, const char *wanted)
{
	const struct ccw *ccw = &life->ccw;

	EXPECT_FALSE(parent_exists(ccw->sch));
	EXPECT_EQ(0, sch_bind(ccw->sch, "\n"));
	if (!file_exists(ccw_path(ccw->device, "").text))
		EXPECT_TRUE(uevent_wait(life->events, BACK_MS, "add",
					ccw->device, NULL));
	EXPECT_EQ(0, ccw_settle(ccw->device));
	EXPECT_TRUE(ccw_matches(ccw->device, wanted));
}

TEST_F(taken, unbind_revokes_when_the_time_is_over)
{
	if (self->life.ccw.kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, true);
	stop_holder(_metadata, &self->life);
	ASSERT_EQ(0, grace_set(1));
	EXPECT_EQ(0, sch_unbind(self->life.ccw.sch));
	expect_taken_from_holder(_metadata, &self->life);
	expect_usable_by_host(_metadata, &self->life, variant->device);
	continue_holder(_metadata, &self->life);
	expect_holder_lost_it(_metadata, &self->life);
}

TEST_F(taken, unbind_that_waits_for_ever_can_be_given_a_limit)
{
	if (self->life.ccw.kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	ASSERT_EQ(0, grace_set(0));
	start_holder(_metadata, &self->life, true);
	self->life.child = sch_unbinder_start(self->life.ccw.sch);
	expect_asked(_metadata, &self->life);
	EXPECT_EQ(0, holder_order(&self->life.holder, HOLDER_USE));
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->life.child, 2000));
	ASSERT_EQ(0, grace_set(1));
	EXPECT_EQ(0, child_wait(self->life.child, SOON_MS));
	self->life.child = -1;
	expect_usable_by_host(_metadata, &self->life, variant->device);
	expect_holder_lost_it(_metadata, &self->life);
}

TEST_F(taken, unbind_does_not_wait_for_a_user_stuck_in_a_start)
{
	start_stuck_user(_metadata, &self->life);
	ASSERT_EQ(0, grace_set(1));
	EXPECT_EQ(0, sch_unbind(self->life.ccw.sch));
	expect_usable_by_host(_metadata, &self->life, variant->device);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->life.child, 0));
}

/* The host pulls the device */

FIXTURE(pulled)
{
	struct life life;
	bool pulled;
};

FIXTURE_SETUP(pulled)
{
	if (!file_exists("/run/host"))
		SKIP(return, "no host to ask");
	if (!life_set_up(_metadata, &self->life, PULLED))
		SKIP(return, "no device %s", PULLED);
}

FIXTURE_TEARDOWN(pulled)
{
	struct ccw *ccw = &self->life.ccw;

	if (!ccw->memory)
		return;
	if (self->life.holder.pid > 0)
		holder_kill(&self->life.holder);
	ccw_close(ccw);
	if (self->pulled) {
		/* Wait until the device is gone, and plug it in again */
		while (file_exists(css_path(ccw->sch, "").text) &&
		       uevent_wait(self->life.events, SOON_MS, "remove",
				   ccw->sch, "SUBSYSTEM=css"))
			;
		EXPECT_FALSE(mdev_exists(&ccw->uuid));
		EXPECT_EQ(0, host_plug(PULLED_ID, PULLED_DEVNO));
		while (!file_exists(ccw_path(PULLED, "online").text) &&
		       uevent_wait(self->life.events, BACK_MS, "add", PULLED,
				   NULL))
			;
		EXPECT_EQ(0, ccw_settle(PULLED));
	}
	life_tear_down(_metadata, &self->life);
}

static void pull(struct __test_metadata *_metadata, FIXTURE_DATA(pulled) *self)
{
	ASSERT_EQ(0, host_pull(PULLED_ID));
	self->pulled = true;
}

static void expect_gone(struct __test_metadata *_metadata,
			const struct life *life)
{
	EXPECT_TRUE(uevent_wait(life->events, SOON_MS, "remove",
				life->ccw.uuid.text, NULL));
	EXPECT_FALSE(mdev_exists(&life->ccw.uuid));
}

TEST_F(pulled, unused_device_goes_at_once)
{
	pull(_metadata, self);
	expect_gone(_metadata, &self->life);
}

/*
 * The thread that binds the driver shares its processor with this one. When the
 * parent appears, this thread has the host pull the device. It lets the other
 * thread go on when the channel subsystem knows of that.
 */
struct binding {
	const char *sch;
	pthread_t thread;
	int ret;
};

static void *bind_driver(void *arg)
{
	struct binding *binding = arg;

	binding->ret = sch_bind(binding->sch, "vfio_ccw");
	return NULL;
}

/* Starts a thread on this processor, whichever the present one uses */
static int start_on(int processor, pthread_t *thread, void *(*run)(void *),
		    void *arg)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int err;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	pthread_attr_init(&attr);
	err = pthread_attr_setaffinity_np(&attr, sizeof(set), &set) ?:
	      pthread_create(thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return err;
}

static void *pull_device(void *arg)
{
	int *ret = arg;

	__atomic_store_n(ret, host_pull(PULLED_ID), __ATOMIC_RELEASE);
	return NULL;
}

/* Keeps this processor busy until @ret is not 1, and for some time after that */
static void keep_processor(const int *ret)
{
	__s64 end = now_ms() + SOON_MS;

	while (__atomic_load_n(ret, __ATOMIC_ACQUIRE) == 1 && now_ms() < end)
		;
	end = now_ms() + 400;
	while (now_ms() < end)
		;
}

static bool has_link(const char *link)
{
	char name[64];

	return file_link_name(link, name, sizeof(name)) >= 0;
}

static void pull_while_bound(struct __test_metadata *_metadata,
			     FIXTURE_DATA(pulled) *self)
{
	struct binding binding = { .sch = self->life.ccw.sch };
	struct ccw *ccw = &self->life.ccw;
	pthread_t puller;
	char link[64];
	int ret = 1;
	__s64 end;

	EXPECT_EQ(0, sch_unbind(ccw->sch));
	snprintf(link, sizeof(link), "/sys/class/mdev_bus/%s", ccw->sch);
	ASSERT_EQ(0, start_on(0, &binding.thread, bind_driver, &binding));
	end = now_ms() + SOON_MS;
	while (!has_link(link) && now_ms() < end)
		usleep(20);
	self->pulled = true;
	ASSERT_EQ(0, start_on(1, &puller, pull_device, &ret));
	keep_processor(&ret);
	pthread_join(puller, NULL);
	EXPECT_EQ(0, ret);
	pthread_join(binding.thread, NULL);
	/* The RCU of tasks takes seconds on a kernel that is slow itself */
	EXPECT_TRUE(soon_not_in(SOON_MS * SLOWER, false,
				!file_exists(css_path(ccw->sch, "").text)));
	/* The parent is gone, too */
	EXPECT_FALSE(has_link(link));
}

static void plug_again(struct __test_metadata *_metadata,
		       FIXTURE_DATA(pulled) *self)
{
	EXPECT_EQ(0, host_plug(PULLED_ID, PULLED_DEVNO));
	EXPECT_EQ(0, ccw_settle(PULLED));
	EXPECT_EQ(0, ccw_find(&self->life.ccw, PULLED));
	self->pulled = false;
}

TEST_F_TIMEOUT(pulled, device_goes_while_its_driver_is_bound, 120 * SLOWER)
{
	static const struct sched_param first = { .sched_priority = 1 };
	struct ccw *ccw = &self->life.ccw;
	int i;

	if (ccw->kernels_own)
		SKIP(return, "the kernel's own has no parent then");
	EXPECT_EQ(0, mdev_remove(&ccw->uuid));
	ccw->created = false;
	ccw->bound = false;
	ASSERT_EQ(0, thread_use_processor(pthread_self(), 0));
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK,
					&first));
	for (i = 0; i < 6; i++) {
		pull_while_bound(_metadata, self);
		plug_again(_metadata, self);
	}
}

TEST_F(pulled, user_is_told_and_loses_it)
{
	if (self->life.ccw.kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, true);
	pull(_metadata, self);
	EXPECT_TRUE(eventfd_wait(self->life.holder.eventfd, SOON_MS));
	expect_taken_from_holder(_metadata, &self->life);
	expect_gone(_metadata, &self->life);
	expect_holder_lost_it(_metadata, &self->life);
}

TEST_F(pulled, user_that_cannot_be_asked_loses_it)
{
	if (self->life.ccw.kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, false);
	pull(_metadata, self);
	expect_taken_from_holder(_metadata, &self->life);
	expect_gone(_metadata, &self->life);
	expect_holder_lost_it(_metadata, &self->life);
}

TEST_F(pulled, device_that_is_gone_says_so)
{
	struct ccw *ccw = &self->life.ccw;

	if (ccw->kernels_own)
		SKIP(return, "the kernel's own returns EIO, or old data");
	ASSERT_EQ(0, ccw_open(ccw));
	put_ccw(ccw, PROGRAM, CMD_NOP, CCW_SLI, 1, DATA);
	pull(_metadata, self);
	expect_gone(_metadata, &self->life);
	expect_dead(_metadata, ccw);
	ccw_close(ccw);
}

TEST_F(pulled, device_pulled_in_the_middle_of_a_start)
{
	if (self->life.ccw.kernels_own)
		SKIP(return, ASKS_NOBODY);
	start_stuck_user(_metadata, &self->life);
	pull(_metadata, self);
	expect_gone(_metadata, &self->life);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->life.child, 0));
}

static bool comes(int events, const char *device)
{
	return file_exists(ccw_path(device, "").text) ||
	       uevent_wait(events, BACK_MS, "add", device, NULL);
}

/*
 * QEMU gives a new device the lowest free subchannel. The first new device gets
 * that of the pulled device, and the second gets another. Both must appear
 * while the holder of the pulled device cannot even run.
 */
TEST_F(pulled, stopped_user_holds_up_nothing)
{
	if (self->life.ccw.kernels_own)
		SKIP(return, "the kernel's own waits on the channel subsystem's only work queue");
	start_holder(_metadata, &self->life, true);
	stop_holder(_metadata, &self->life);
	pull(_metadata, self);
	expect_gone(_metadata, &self->life);
	EXPECT_EQ(0, host_plug(OTHER_ID, OTHER_DEVNO));
	EXPECT_TRUE(comes(self->life.events, OTHER));
	EXPECT_EQ(0, host_plug(SAME_ID, SAME_DEVNO));
	EXPECT_TRUE(comes(self->life.events, SAME));
	continue_holder(_metadata, &self->life);
	expect_holder_lost_it(_metadata, &self->life);

	EXPECT_EQ(0, ccw_settle(SAME));
	EXPECT_EQ(0, ccw_settle(OTHER));
	EXPECT_EQ(0, host_pull(SAME_ID));
	EXPECT_TRUE(uevent_wait(self->life.events, SOON_MS, "remove", SAME,
				"SUBSYSTEM=ccw"));
	EXPECT_EQ(0, host_pull(OTHER_ID));
	EXPECT_TRUE(uevent_wait(self->life.events, SOON_MS, "remove", OTHER,
				"SUBSYSTEM=ccw"));
}

TEST_F(pulled, unbind_that_waits_ends_when_the_device_is_pulled)
{
	if (self->life.ccw.kernels_own)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, false);
	stop_holder(_metadata, &self->life);
	self->life.child = sch_unbinder_start(self->life.ccw.sch);
	ASSERT_LT(0, self->life.child);
	expect_blocked(_metadata, &self->life);
	pull(_metadata, self);
	EXPECT_EQ(0, child_wait(self->life.child, SOON_MS));
	self->life.child = -1;
	expect_gone(_metadata, &self->life);
	continue_holder(_metadata, &self->life);
	expect_holder_lost_it(_metadata, &self->life);
}

TEST_HARNESS_MAIN
