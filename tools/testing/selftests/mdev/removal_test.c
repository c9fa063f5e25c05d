// SPDX-License-Identifier: GPL-2.0-only
/*
 * Removes mediated devices that are held: the holder is asked, the writer
 * waits, and each event meanwhile has a defined result. interval_test.c has the
 * tests that need more than the first request.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "kselftest_harness.h"
#include "held.h"
#include "lib.h"
#include "lib/log.h"

/* A device that one process holds and another one removes */
FIXTURE(held)
{
	struct held held;
};

FIXTURE_VARIANT(held)
{
	const char *parent;
	const char *type;
};

FIXTURE_VARIANT_ADD(held, mtty)
{
	.parent = "mtty", .type = "mtty-1",
};

FIXTURE_VARIANT_ADD(held, mpad)
{
	.parent = "mpad", .type = "mpad-page",
};

/* Samples of the kernel */
FIXTURE_VARIANT_ADD(held, mdpy)
{
	.parent = "mdpy", .type = "mdpy-vga",
};

FIXTURE_VARIANT_ADD(held, mbochs)
{
	.parent = "mbochs", .type = "mbochs-small",
};

FIXTURE_VARIANT_ADD(held, relay)
{
	.parent = "mdev_relay.0", .type = "mdev_relay-relay",
};

FIXTURE_SETUP(held)
{
	if (!parent_exists(variant->parent))
		SKIP(return, "no parent %s", variant->parent);
	if (!set_up_held(_metadata, &self->held, variant->parent,
			 variant->type))
		SKIP(return, ASKS_NOBODY);
}

FIXTURE_TEARDOWN(held)
{
	tear_down_held(_metadata, &self->held);
}

static void expect_waiting(struct __test_metadata *_metadata,
			   const struct held *held)
{
	EXPECT_EQ(-ETIMEDOUT, child_wait(held->child, 0));
	EXPECT_TRUE(mdev_exists(&held->uuid));
}

TEST_F(held, unused_device_is_removed_at_once)
{
	start_holder(_metadata, &self->held, true);
	ASSERT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, mdev_remove(&self->held.uuid));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
	EXPECT_EQ(0, kmsg_count(self->held.log, self->held.uuid.text,
				"request"));
	EXPECT_EQ(0, eventfd_take(self->held.holder.eventfd));
}

TEST_F(held, user_is_asked_at_once)
{
	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	EXPECT_EQ(1, eventfd_take(self->held.holder.eventfd));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_RELAYED " (#1)", self->held.name));
	expect_waiting(_metadata, &self->held);
}

TEST_F(held, user_that_lets_go_ends_the_removal)
{
	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	ASSERT_TRUE(eventfd_wait(self->held.holder.eventfd, SOON_MS));
	expect_waiting(_metadata, &self->held);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
}

TEST_F(held, user_without_eventfd_is_named_as_blocking)
{
	int second = kmsg_open();

	start_holder(_metadata, &self->held, false);
	start_remover(_metadata, &self->held);
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_BLOCKED, self->held.name));
	EXPECT_TRUE(kmsg_wait(second, SOON_MS, self->held.uuid.text,
			      LOG_NO_EVENTFD, self->held.name));
	close(second);
	expect_waiting(_metadata, &self->held);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
	/* The line comes once a minute at most */
	EXPECT_EQ(0, kmsg_count(self->held.log, self->held.uuid.text,
				LOG_BLOCKED));
}

TEST_F(held, eventfd_registered_while_pending_is_signalled_at_once)
{
	start_holder(_metadata, &self->held, false);
	start_remover(_metadata, &self->held);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_REGISTER));
	EXPECT_TRUE(eventfd_wait(self->held.holder.eventfd, SOON_MS));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_BLOCKED, NULL));
	expect_waiting(_metadata, &self->held);
}

TEST_F(held, eventfd_taken_away_before_close_gives_no_notice)
{
	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	ASSERT_TRUE(eventfd_wait(self->held.holder.eventfd, SOON_MS));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_UNREGISTER));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
	EXPECT_EQ(0, kmsg_count(self->held.log, self->held.uuid.text,
				LOG_BLOCKED));
}

TEST_F(held, device_is_whole_while_the_removal_waits)
{
	char text[64];

	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_TRUE(file_exists(mdev_path(&self->held.uuid, "remove").text));
	EXPECT_TRUE(file_exists(mdev_path(&self->held.uuid,
					  "iommu_group").text));
	EXPECT_EQ(0, file_link_name(mdev_path(&self->held.uuid,
					      "mdev_type").text, text,
				    sizeof(text)));
	EXPECT_STREQ(variant->type, text);
	EXPECT_EQ(0, file_link_name(mdev_path(&self->held.uuid, "driver").text,
				    text, sizeof(text)));
	EXPECT_EQ(-EEXIST, mdev_create(variant->parent, variant->type,
				       &self->held.uuid));
	expect_holder_shown(_metadata, &self->held);
}

TEST_F(held, attributes_tell_of_the_pending_request)
{
	time_t now = time(NULL);

	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request"));
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request_count"));
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request_since"));
	start_remover(_metadata, &self->held);
	EXPECT_EQ(1, mdev_number(&self->held.uuid, "request"));
	EXPECT_EQ(1, mdev_number(&self->held.uuid, "request_count"));
	EXPECT_LE(now, mdev_number(&self->held.uuid, "request_since"));
	EXPECT_GE(time(NULL), mdev_number(&self->held.uuid, "request_since"));
}

TEST_F(held, holder_is_shown_while_it_holds)
{
	char text[64];

	start_holder(_metadata, &self->held, false);
	expect_holder_shown(_metadata, &self->held);
	ASSERT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, file_read(mdev_path(&self->held.uuid, "holder").text, text,
			       sizeof(text)));
}

static void ignore_signal(int number)
{
	(void)number;
}

/* SA_RESTART or 0: whether the system call is restarted after the handler */
static int handler_flags;

static int run_handling_remover(void *arg)
{
	struct sigaction action = {
		.sa_handler = ignore_signal,
		.sa_flags = handler_flags,
	};

	sigaction(SIGUSR1, &action, NULL);
	return -mdev_remove(arg);
}

/* The device is as before the removal, which was given up */
static void expect_whole(struct __test_metadata *_metadata, struct held *held)
{
	EXPECT_TRUE(event(held, MDEV_UEVENT_REQUEST_CANCELLED));
	EXPECT_TRUE(file_exists(mdev_path(&held->uuid, "remove").text));
	EXPECT_EQ(0, mdev_number(&held->uuid, "request"));
	EXPECT_EQ(0, mdev_number(&held->uuid, "request_count"));
	EXPECT_EQ(0, mdev_number(&held->uuid, "request_since"));
	EXPECT_EQ(0, holder_order(&held->holder, HOLDER_USE));
	EXPECT_EQ(vfio_further(0),
		  holder_order(&held->holder, HOLDER_OPEN_AGAIN));
	EXPECT_EQ(0, holder_order(&held->holder, HOLDER_CLOSE));
	holder_kill(&held->holder);
	start_holder(_metadata, held, true);
	start_remover(_metadata, held);
	EXPECT_EQ(1, eventfd_take(held->holder.eventfd));
	EXPECT_EQ(0, holder_order(&held->holder, HOLDER_CLOSE));
	expect_removed(_metadata, held);
}

TEST_F(held, interrupted_removal_leaves_all_as_it_was)
{
	start_holder(_metadata, &self->held, true);
	self->held.child = child_start(run_handling_remover, &self->held.uuid,
				       -1, -1);
	ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	ASSERT_EQ(0, kill(self->held.child, SIGUSR1));
	EXPECT_EQ(EINTR, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
	expect_whole(_metadata, &self->held);
}

TEST_F(held, interrupted_removal_is_restarted_for_a_handler_that_says_so)
{
	start_holder(_metadata, &self->held, true);
	handler_flags = SA_RESTART;
	self->held.child = child_start(run_handling_remover, &self->held.uuid,
				       -1, -1);
	ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	ASSERT_EQ(0, kill(self->held.child, SIGUSR1));
	ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_CANCELLED));
	ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	expect_waiting(_metadata, &self->held);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
}

TEST_F(held, terminated_removal_leaves_all_as_it_was)
{
	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	ASSERT_EQ(0, kill(self->held.child, SIGTERM));
	EXPECT_EQ(128 + SIGTERM, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
	expect_whole(_metadata, &self->held);
}

TEST_F(held, killed_removal_leaves_all_as_it_was)
{
	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	ASSERT_EQ(0, kill(self->held.child, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
	expect_whole(_metadata, &self->held);
}

/* The holder is asked at once a few times, and then only once an interval */
TEST_F(held, interrupted_removal_can_be_repeated_at_will)
{
	__u64 asked = 0;
	int i;

	start_holder(_metadata, &self->held, true);
	for (i = 0; i < 20; i++) {
		start_remover(_metadata, &self->held);
		asked += eventfd_take(self->held.holder.eventfd);
		if (i < 3)
			EXPECT_EQ(i + 1, asked);
		ASSERT_EQ(0, kill(self->held.child, SIGTERM));
		EXPECT_EQ(128 + SIGTERM, child_wait(self->held.child, SOON_MS));
		self->held.child = -1;
		ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_CANCELLED));
	}
	/* On a busy machine, the loop may take longer than an interval */
	EXPECT_GT(20, asked);
	EXPECT_GT(20, kmsg_count(self->held.log, self->held.uuid.text,
				 LOG_RELAYED));
}

/* More than a counter of one byte can hold */
#define MANY_REMOVALS	300

static int run_impatient_remover(void *arg)
{
	/* Repeated signals, because the first one may come before the wait */
	const struct itimerval often = {
		.it_value.tv_usec = 5000, .it_interval.tv_usec = 5000,
	};
	struct sigaction action = { .sa_handler = ignore_signal };
	int i, err = 0;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (i = 0; i < MANY_REMOVALS && (!err || err == -EINTR); i++)
		err = mdev_remove(arg);
	return -err;
}

TEST_F_TIMEOUT(held, impatient_removals_ask_no_more_often, 60 * SLOWER)
{
	const __s64 interval_ms = MDEV_REQUEST_INTERVAL * 1000;
	const __s64 begin = now_ms();
	__u64 asked;

	start_holder(_metadata, &self->held, true);
	self->held.child = child_start(run_impatient_remover, &self->held.uuid,
				       -1, -1);
	EXPECT_EQ(EINTR, child_wait(self->held.child, 50000 * SLOWER));
	self->held.child = -1;
	asked = eventfd_take(self->held.holder.eventfd);
	EXPECT_LT(0, asked);
	EXPECT_GE(5 * ((now_ms() - begin) / interval_ms + 1), asked);
}

TEST_F(held, open_while_removal_is_pending_fails)
{
	struct vfio_user user;

	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(vfio_further(0),
		  holder_order(&self->held.holder, HOLDER_OPEN_AGAIN));
	start_remover(_metadata, &self->held);
	EXPECT_EQ(vfio_further(-EBUSY),
		  holder_order(&self->held.holder, HOLDER_OPEN_AGAIN));
	EXPECT_EQ(vfio_further(-EBUSY), vfio_open(&user, &self->held.uuid));
	child_kill(self->held.child);
	self->held.child = -1;
	EXPECT_EQ(vfio_further(0),
		  holder_order(&self->held.holder, HOLDER_OPEN_AGAIN));
}

/* The holder has a second to leave its group, from when it closes the device */
#define LEAVE_MS	500

TEST_F(held, group_kept_open_does_not_block)
{
	__s64 start;

	if (driver_is_kernels_own(&self->held.uuid))
		SKIP(return, "mdev waits for the group before a driver that could");
	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	start = now_ms();
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE_DEVICE));
	expect_removed(_metadata, &self->held);
	if (vfio_way() != VFIO_WAY_CDEV)
		EXPECT_LT(LEAVE_MS, now_ms() - start);
	/* The holder still has the group, but it cannot open the device */
	EXPECT_GT(0, holder_order(&self->held.holder, HOLDER_OPEN_AGAIN));
}

TEST_F(held, last_descriptor_counts)
{
	bool kernels_own = driver_is_kernels_own(&self->held.uuid);
	struct vfio_user user;
	int second;

	if (vfio_way() != VFIO_WAY_TYPE1)
		SKIP(return, OPENED_ONCE);
	ASSERT_EQ(0, vfio_open(&user, &self->held.uuid));
	second = vfio_get_device(&user, &self->held.uuid);
	ASSERT_LE(0, second);
	start_remover(_metadata, &self->held);
	close(user.device);
	user.device = -1;
	expect_waiting(_metadata, &self->held);
	EXPECT_EQ(1, mdev_number(&self->held.uuid, "request"));
	close(second);
	/* For a driver of the kernel's own interface, the removal waits for the group, too */
	if (kernels_own)
		vfio_close(&user);
	expect_removed(_metadata, &self->held);
	vfio_close(&user);
}

TEST_F(held, killed_holder_ends_the_removal)
{
	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	ASSERT_EQ(0, kill(self->held.holder.pid, SIGKILL));
	expect_removed(_metadata, &self->held);
}

TEST_F(held, next_opener_inherits_no_request_eventfd)
{
	struct holder dead;

	start_holder(_metadata, &self->held, true);
	dead = self->held.holder;
	child_kill(dead.pid);
	start_holder(_metadata, &self->held, false);
	start_remover(_metadata, &self->held);
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_BLOCKED, self->held.name));
	EXPECT_EQ(0, eventfd_take(dead.eventfd));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
	EXPECT_EQ(0, eventfd_take(dead.eventfd));
	dead.pid = -1;
	holder_kill(&dead);
}

TEST_F(held, inherited_descriptor_still_holds)
{
	pid_t opener;

	start_holder(_metadata, &self->held, true);
	opener = self->held.holder.pid;
	ASSERT_EQ(0, holder_order(&self->held.holder, HOLDER_HAND_OVER));
	ASSERT_NE(opener, self->held.holder.pid);
	start_remover(_metadata, &self->held);
	EXPECT_EQ(1, eventfd_take(self->held.holder.eventfd));
	snprintf(self->held.name, sizeof(self->held.name),
		 HOLDER_NAME " (pid 0, exited)");
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_RELAYED, self->held.name));
	expect_waiting(_metadata, &self->held);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
}

TEST_F(held, second_writer_of_remove_fails)
{
	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	EXPECT_EQ(-EBUSY, mdev_remove(&self->held.uuid));
	EXPECT_EQ(-EBUSY, mdev_remove(&self->held.uuid));
	expect_waiting(_metadata, &self->held);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
}

TEST_F(held, uuid_can_be_used_again_after_the_removal)
{
	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
	EXPECT_EQ(0, mdev_create(variant->parent, variant->type,
				 &self->held.uuid));
	holder_kill(&self->held.holder);
	start_holder(_metadata, &self->held, false);
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request"));
}

TEST_F(held, written_request_asks_once_and_removes_nothing)
{
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	EXPECT_EQ(1, eventfd_take(self->held.holder.eventfd));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_RELAYED, self->held.name));
	EXPECT_EQ(1, mdev_number(&self->held.uuid, "request"));
	EXPECT_EQ(1, mdev_number(&self->held.uuid, "request_count"));
	/* The device can still be opened */
	EXPECT_EQ(vfio_further(0),
		  holder_order(&self->held.holder, HOLDER_OPEN_AGAIN));
	/* A second request: it asks again, but there is no second event */
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	EXPECT_EQ(1, eventfd_take(self->held.holder.eventfd));
	EXPECT_EQ(2, mdev_number(&self->held.uuid, "request_count"));
	EXPECT_FALSE(uevent_wait(self->held.events, 0, "change",
				 self->held.uuid.text,
				 MDEV_UEVENT_REQUEST_PENDING));
	EXPECT_TRUE(mdev_exists(&self->held.uuid));
}

TEST_F(held, written_request_can_be_cancelled)
{
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "0"));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_CANCELLED));
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request"));
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request_count"));
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request_since"));
	/* Nothing to cancel */
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "0"));
	EXPECT_FALSE(uevent_wait(self->held.events, 0, "change",
				 self->held.uuid.text, NULL));
}

TEST_F(held, written_request_is_met_by_close)
{
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_MET));
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request"));
	EXPECT_TRUE(mdev_exists(&self->held.uuid));
}

TEST_F(held, written_request_without_eventfd_is_logged)
{
	start_holder(_metadata, &self->held, false);
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_CANNOT_ASK, self->held.name));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_REGISTER));
	EXPECT_TRUE(eventfd_wait(self->held.holder.eventfd, SOON_MS));
}

TEST_F(held, request_cannot_be_cancelled_while_a_removal_waits)
{
	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	EXPECT_EQ(-EBUSY, file_puts(mdev_path(&self->held.uuid, "request").text,
				    "0"));
	EXPECT_EQ(1, mdev_number(&self->held.uuid, "request"));
	expect_waiting(_metadata, &self->held);
	/* The request can be repeated */
	EXPECT_EQ(1, eventfd_take(self->held.holder.eventfd));
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	EXPECT_EQ(1, eventfd_take(self->held.holder.eventfd));
	EXPECT_EQ(2, mdev_number(&self->held.uuid, "request_count"));
}

TEST_F(held, written_request_outlives_a_removal_that_gave_up)
{
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	EXPECT_EQ(1, eventfd_take(self->held.holder.eventfd));
	self->held.child = remover_start(&self->held.uuid);
	ASSERT_TRUE(eventfd_wait(self->held.holder.eventfd, SOON_MS));
	child_kill(self->held.child);
	self->held.child = -1;
	EXPECT_EQ(1, mdev_number(&self->held.uuid, "request"));
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "0"));
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request"));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_CANCELLED));
}

TEST_F(held, open_while_written_request_is_pending_succeeds)
{
	struct holder first;

	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	first = self->held.holder;
	holder_kill(&first);
	start_holder(_metadata, &self->held, true);
	/* The end of the first holder has met the request */
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request"));
	EXPECT_EQ(0, eventfd_take(self->held.holder.eventfd));
}

/* A parent that cannot ask */
FIXTURE(unasked)
{
	struct held held;
};

FIXTURE_SETUP(unasked)
{
	if (!parent_exists("mdev_legacy.0"))
		SKIP(return, "no parent mdev_legacy.0");
	if (!set_up_held(_metadata, &self->held, "mdev_legacy.0",
			 "mdev_legacy-page"))
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->held, false);
}

FIXTURE_TEARDOWN(unasked)
{
	tear_down_held(_metadata, &self->held);
}

TEST_F(unasked, user_is_named_as_blocking)
{
	int second = kmsg_open();

	start_remover(_metadata, &self->held);
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_BLOCKED, self->held.name));
	EXPECT_TRUE(kmsg_wait(second, SOON_MS, self->held.uuid.text, LOG_NO_WAY,
			      NULL));
	close(second);
	expect_waiting(_metadata, &self->held);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
}

TEST_F(unasked, written_request_fails)
{
	struct path request = mdev_path(&self->held.uuid, "request");

	EXPECT_EQ(-EOPNOTSUPP, file_puts(request.text, "1"));
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request"));
	EXPECT_EQ(0, file_puts(request.text, "0"));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_NO_WAY, self->held.name));
	/* Without a holder, a request cannot fail */
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, file_puts(request.text, "1"));
}

TEST_F(unasked, interrupted_removal_can_be_repeated)
{
	start_remover(_metadata, &self->held);
	child_kill(self->held.child);
	self->held.child = -1;
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_CANCELLED));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	start_remover(_metadata, &self->held);
	holder_kill(&self->held.holder);
	expect_removed(_metadata, &self->held);
}

/* A parent that is unbound while its devices are held */
#define PARENT	"mdev_relay.1"
#define TYPE	"mdev_relay-relay"
#define DEVICES	4

FIXTURE(unbound)
{
	struct uuid uuids[DEVICES];
	struct holder holders[DEVICES];
	pid_t unbinder;
	int log;
	int events;
	int count;
	int eventfd_id;
};

/* Devices 0 to 2 are held, device 2 without a request eventfd; device 3 is not held */
FIXTURE_SETUP(unbound)
{
	int i;

	if (!parent_exists(PARENT))
		SKIP(return, "no parent " PARENT);
	self->eventfd_id = eventfd_next_id();
	self->count = mdev_count();
	self->unbinder = -1;
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
	self->events = uevent_open();
	ASSERT_LE(0, self->events);
	for (i = 0; i < DEVICES; i++) {
		self->holders[i].pid = -1;
		self->holders[i].socket = -1;
		self->holders[i].eventfd = -1;
		self->uuids[i] = uuid_new();
		ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuids[i]));
	}
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, holder_start(&self->holders[i], &self->uuids[i]));
		if (i == 2)
			continue;
		ASSERT_EQ(0, holder_order(&self->holders[i], HOLDER_REGISTER));
	}
}

FIXTURE_TEARDOWN(unbound)
{
	int i;

	for (i = 0; i < DEVICES; i++)
		holder_kill(&self->holders[i]);
	if (self->unbinder > 0)
		EXPECT_EQ(0, child_wait(self->unbinder, SOON_MS));
	for (i = 0; i < DEVICES; i++)
		if (mdev_exists(&self->uuids[i]))
			EXPECT_EQ(0, mdev_remove(&self->uuids[i]));
	if (!parent_exists(PARENT))
		EXPECT_EQ(0, parent_bind(PARENT));
	close(self->events);
	close(self->log);
	EXPECT_EQ(self->count, mdev_count());
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

static void start_unbinder(struct __test_metadata *_metadata,
			   FIXTURE_DATA(unbound) *self)
{
	self->unbinder = unbinder_start(PARENT);
	ASSERT_LT(0, self->unbinder);
}

static void expect_asked(struct __test_metadata *_metadata,
			 const struct holder *holder)
{
	EXPECT_TRUE(eventfd_wait(holder->eventfd, SOON_MS));
}

TEST_F(unbound, every_user_is_asked_before_any_is_waited_for)
{
	char name[64];
	int log[3];
	int i;

	for (i = 0; i < 3; i++)
		log[i] = kmsg_open();
	start_unbinder(_metadata, self);
	expect_asked(_metadata, &self->holders[0]);
	expect_asked(_metadata, &self->holders[1]);
	for (i = 0; i < 3; i++) {
		EXPECT_TRUE(kmsg_wait(log[i], SOON_MS, self->uuids[i].text,
				      i == 2 ? LOG_BLOCKED : LOG_RELAYED,
				      named(name, sizeof(name),
					    self->holders[i].pid)));
		close(log[i]);
		EXPECT_TRUE(mdev_exists(&self->uuids[i]));
		EXPECT_EQ(0, holder_order(&self->holders[i], HOLDER_USE));
	}
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->unbinder, 0));
}

TEST_F(unbound, device_that_is_held_keeps_no_other_from_going)
{
	start_unbinder(_metadata, self);
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "remove",
				self->uuids[3].text, NULL));
	EXPECT_EQ(0, holder_order(&self->holders[1], HOLDER_CLOSE));
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "remove",
				self->uuids[1].text, NULL));
	EXPECT_TRUE(mdev_exists(&self->uuids[0]));
	EXPECT_TRUE(mdev_exists(&self->uuids[2]));
	holder_kill(&self->holders[2]);
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "remove",
				self->uuids[2].text, NULL));
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->unbinder, 0));
	EXPECT_EQ(0, holder_order(&self->holders[0], HOLDER_USE));
	EXPECT_EQ(0, holder_order(&self->holders[0], HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(self->unbinder, SOON_MS));
	self->unbinder = -1;
	EXPECT_FALSE(parent_exists(PARENT));
	EXPECT_EQ(0, parent_bind(PARENT));
}

TEST_F(unbound, create_and_open_fail_meanwhile)
{
	struct uuid uuid = uuid_new();

	start_unbinder(_metadata, self);
	expect_asked(_metadata, &self->holders[0]);
	EXPECT_EQ(-ENODEV, mdev_create(PARENT, TYPE, &uuid));
	EXPECT_FALSE(mdev_exists(&uuid));
	EXPECT_EQ(vfio_further(-EBUSY),
		  holder_order(&self->holders[0], HOLDER_OPEN_AGAIN));
	EXPECT_EQ(-EEXIST, mdev_create("mdev_relay.0", TYPE, &self->uuids[0]));
}

TEST_F(unbound, remove_meanwhile_ends_with_the_device)
{
	pid_t remover;
	int ret;

	start_unbinder(_metadata, self);
	expect_asked(_metadata, &self->holders[0]);
	eventfd_take(self->holders[0].eventfd);
	remover = remover_start(&self->uuids[0]);
	ASSERT_LT(0, remover);
	expect_asked(_metadata, &self->holders[0]);
	EXPECT_EQ(0, holder_order(&self->holders[0], HOLDER_CLOSE));
	ret = child_wait(remover, SOON_MS);
	EXPECT_TRUE(ret == 0 || ret == ENODEV) {
		TH_LOG("the removal ended with %d", ret);
	}
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "remove",
				self->uuids[0].text, NULL));
}

TEST_F(unbound, unbind_overtakes_a_removal_that_waits)
{
	pid_t remover = remover_start(&self->uuids[0]);
	int ret;

	ASSERT_LT(0, remover);
	expect_asked(_metadata, &self->holders[0]);
	start_unbinder(_metadata, self);
	expect_asked(_metadata, &self->holders[1]);
	/* The removal gives up, the unbind does not */
	child_kill(remover);
	EXPECT_EQ(1, mdev_number(&self->uuids[0], "request"));
	EXPECT_EQ(-EBUSY, file_puts(mdev_path(&self->uuids[0], "request").text,
				    "0"));
	EXPECT_EQ(0, holder_order(&self->holders[0], HOLDER_CLOSE));
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "remove",
				self->uuids[0].text, NULL));
	ret = mdev_remove(&self->uuids[0]);
	EXPECT_TRUE(ret == -ENOENT || ret == -ENODEV);
}

/* Unbinds a device from its driver, and binds it again */
TEST_F(unbound, device_unbound_from_its_driver_asks_too)
{
	pid_t pid = driver_unbinder_start(&self->uuids[0]);
	struct vfio_user user;

	ASSERT_LT(0, pid);
	expect_asked(_metadata, &self->holders[0]);
	EXPECT_EQ(-ETIMEDOUT, child_wait(pid, 0));
	EXPECT_EQ(0, holder_order(&self->holders[0], HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(pid, SOON_MS));
	EXPECT_TRUE(mdev_exists(&self->uuids[0]));
	EXPECT_FALSE(file_exists(mdev_path(&self->uuids[0], "driver").text));
	EXPECT_NE(0, vfio_open(&user, &self->uuids[0]));

	EXPECT_EQ(0, file_puts(MDEV_DRIVER "bind", self->uuids[0].text));
	EXPECT_EQ(0, vfio_open(&user, &self->uuids[0]));
	vfio_close(&user);
	EXPECT_EQ(0, file_puts(MDEV_DRIVER "unbind", self->uuids[0].text));
	EXPECT_EQ(0, mdev_remove(&self->uuids[0]));
}

/*
 * Races: threads repeat opposite operations without a pause. Each call must end
 * in one of a few defined ways, and nothing may be lost at the end.
 */
#define ROUNDS 300
#define REMOVALS 30	/* rounds that have to find a device */

struct race {
	const char *parent;
	const char *type;
	struct uuid uuid;
	/* Set when the thread that ends the race is done */
	int over;
	/* The first errno that is not allowed */
	int bad;
	const char *bad_call;
	int done;
};

static void race_note(struct race *race, const char *call, int ret)
{
	switch (ret) {
	case 0:
		__atomic_add_fetch(&race->done, 1, __ATOMIC_RELAXED);
		break;
	case -ENODEV:
	case -EAGAIN:
	case -EBUSY:
	case -ENOENT:
	case -EEXIST:
		break;
	default:
		if (!__atomic_exchange_n(&race->bad, ret, __ATOMIC_RELAXED))
			race->bad_call = call;
	}
}

static bool race_over(struct race *race)
{
	return __atomic_load_n(&race->over, __ATOMIC_RELAXED);
}

static void *race_create(void *arg)
{
	struct race *race = arg;

	while (!race_over(race))
		race_note(race, "create", mdev_create(race->parent, race->type,
						      &race->uuid));
	return NULL;
}

static void *race_remove(void *arg)
{
	struct race *race = arg;

	while (!race_over(race))
		race_note(race, "remove", mdev_remove(&race->uuid));
	return NULL;
}

static void *race_open(void *arg)
{
	struct race *race = arg;
	struct vfio_user user;
	int ret;

	while (!race_over(race)) {
		ret = vfio_open(&user, &race->uuid);
		/*
		 * -EINVAL is from VFIO: the device went after its name was
		 * looked up and before it was opened, and took the group's
		 * container with it. -ENXIO is from open(2): the group went
		 * after its node was found.
		 */
		if (ret == -EINVAL || ret == -ENXIO)
			ret = -ENODEV;
		race_note(race, "open", ret);
		if (!ret)
			vfio_close(&user);
	}
	return NULL;
}

static void *race_request(void *arg)
{
	struct race *race = arg;

	while (!race_over(race)) {
		race_note(race, "request",
			  file_puts(mdev_path(&race->uuid, "request").text,
				    "1"));
		race_note(race, "cancel",
			  file_puts(mdev_path(&race->uuid, "request").text,
				    "0"));
	}
	return NULL;
}

FIXTURE(race)
{
	struct race race;
	pthread_t threads[8];
	int nr_threads;
	int count;
	int eventfd_id;
};

FIXTURE_SETUP(race)
{
	if (!parent_exists(PARENT))
		SKIP(return, "no parent " PARENT);
	self->eventfd_id = eventfd_next_id();
	self->count = mdev_count();
	self->race.parent = PARENT;
	self->race.type = "mdev_relay-limited";
	self->race.uuid = uuid_new();
}

FIXTURE_TEARDOWN(race)
{
	if (!parent_exists(PARENT))
		EXPECT_EQ(0, parent_bind(PARENT));
	if (mdev_exists(&self->race.uuid))
		EXPECT_EQ(0, mdev_remove(&self->race.uuid));
	EXPECT_EQ(self->count, mdev_count());
	EXPECT_EQ(1, instances(PARENT, "mdev_relay-limited"));
	/* The UUID can be reused */
	EXPECT_EQ(0, mdev_create(PARENT, "mdev_relay-limited",
				 &self->race.uuid));
	EXPECT_EQ(0, mdev_remove(&self->race.uuid));
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

static void start_thread(struct __test_metadata *_metadata,
			 FIXTURE_DATA(race) *self, void *(*run)(void *race))
{
	ASSERT_EQ(0, pthread_create(&self->threads[self->nr_threads++],
				    NULL, run, &self->race));
}

static void end_race(struct __test_metadata *_metadata,
		     FIXTURE_DATA(race) *self)
{
	__atomic_store_n(&self->race.over, 1, __ATOMIC_RELAXED);
	while (self->nr_threads)
		pthread_join(self->threads[--self->nr_threads], NULL);
	EXPECT_EQ(0, self->race.bad) {
		TH_LOG("%s", self->race.bad_call);
	}
	EXPECT_LT(0, self->race.done);
}

/* The creator may not run at first, so rounds that find no device do not count */
static void remove_in_rounds(FIXTURE_DATA(race) *self)
{
	int removals = 0;
	int i;

	for (i = 0; i < ROUNDS || removals < REMOVALS; i++) {
		int ret = mdev_remove(&self->race.uuid);

		race_note(&self->race, "remove", ret);
		removals += !ret;
	}
}

TEST_F_TIMEOUT(race, remove_against_create, 120 * SLOWER)
{
	start_thread(_metadata, self, race_create);
	remove_in_rounds(self);
	end_race(_metadata, self);
}

TEST_F_TIMEOUT(race, two_removes_against_two_creates, 120 * SLOWER)
{
	start_thread(_metadata, self, race_create);
	start_thread(_metadata, self, race_create);
	start_thread(_metadata, self, race_remove);
	remove_in_rounds(self);
	end_race(_metadata, self);
}

TEST_F_TIMEOUT(race, open_against_remove_and_create, 120 * SLOWER)
{
	start_thread(_metadata, self, race_create);
	start_thread(_metadata, self, race_open);
	start_thread(_metadata, self, race_request);
	remove_in_rounds(self);
	end_race(_metadata, self);
}

TEST_F_TIMEOUT(race, unbind_against_all, 120 * SLOWER)
{
	int i;

	start_thread(_metadata, self, race_create);
	start_thread(_metadata, self, race_open);
	start_thread(_metadata, self, race_remove);
	start_thread(_metadata, self, race_request);
	for (i = 0; i < ROUNDS / 10; i++) {
		pid_t pid = unbinder_start(PARENT);

		EXPECT_EQ(0, child_wait(pid, SOON_MS));
		EXPECT_EQ(0, parent_bind(PARENT));
	}
	end_race(_metadata, self);
}

/* A device can be removed as soon as its add event is seen */
TEST_F_TIMEOUT(race, remove_in_the_moment_of_creation, 120 * SLOWER)
{
	int events = uevent_open();
	int i;

	ASSERT_LE(0, events);
	start_thread(_metadata, self, race_create);
	for (i = 0; i < ROUNDS / 5; i++) {
		ASSERT_TRUE(uevent_wait(events, SOON_MS, "add",
					self->race.uuid.text, NULL));
		race_note(&self->race, "remove", mdev_remove(&self->race.uuid));
		/* If the removal came too early, remove the device before the next round */
		while (mdev_exists(&self->race.uuid) &&
		       mdev_remove(&self->race.uuid) == -EAGAIN)
			;
	}
	end_race(_metadata, self);
	close(events);
}

/*
 * A slow creator shares its processor with a thread that removes the device and
 * has a higher priority, and with a busy thread. Once it has sent the add
 * event, it runs only when these do not.
 */
struct slow_creator {
	struct race *race;
	pthread_t creator;
	pthread_t busy;
	/* The busy thread waits here for the start of a round, and reads @over for its end */
	sem_t begin;
	int over;
	int ret;
};

static void *create_slowly(void *arg)
{
	struct slow_creator *slow = arg;

	slow->ret = mdev_create(slow->race->parent, slow->race->type,
				&slow->race->uuid);
	return NULL;
}

static void *be_busy(void *arg)
{
	struct slow_creator *slow = arg;

	sem_wait(&slow->begin);
	while (!__atomic_load_n(&slow->over, __ATOMIC_RELAXED))
		;
	return NULL;
}

static void start_slow_creator(struct __test_metadata *_metadata,
			       struct slow_creator *slow)
{
	slow->over = 0;
	ASSERT_EQ(0, sem_init(&slow->begin, 0, 0));
	ASSERT_EQ(0, pthread_create(&slow->busy, NULL, be_busy, slow));
	ASSERT_EQ(0, thread_use_processor(slow->busy, 0));
	ASSERT_EQ(0, pthread_create(&slow->creator, NULL, create_slowly, slow));
	ASSERT_EQ(0, thread_use_processor(slow->creator, 0));
}

static void end_slow_creator(struct __test_metadata *_metadata,
			     struct slow_creator *slow)
{
	__atomic_store_n(&slow->over, 1, __ATOMIC_RELAXED);
	pthread_join(slow->busy, NULL);
	pthread_join(slow->creator, NULL);
	sem_destroy(&slow->begin);
	EXPECT_EQ(0, slow->ret);
}

/* The device is removed before its creator has returned */
TEST_F_TIMEOUT(race, remove_before_the_creator_goes_on, 120 * SLOWER)
{
	static const struct sched_param first = { .sched_priority = 1 };
	static const struct sched_param last = { .sched_priority = 0 };
	struct slow_creator slow = { .race = &self->race };
	int events = uevent_open();
	int i;

	ASSERT_LE(0, events);
	ASSERT_EQ(0, thread_use_processor(pthread_self(), 0));
	/* Threads that it starts have the normal policy */
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK,
					&first));
	for (i = 0; i < ROUNDS / 30; i++) {
		start_slow_creator(_metadata, &slow);
		ASSERT_TRUE(uevent_wait(events, SOON_MS, "add",
					self->race.uuid.text, "SUBSYSTEM=mdev"));
		pthread_setschedparam(slow.creator, SCHED_IDLE, &last);
		sem_post(&slow.begin);
		EXPECT_EQ(0, mdev_remove(&self->race.uuid));
		end_slow_creator(_metadata, &slow);
	}
	close(events);
}

TEST_HARNESS_MAIN
