// SPDX-License-Identifier: GPL-2.0-only
/*
 * A removal that lasts: the holder is asked again, and the log repeats its
 * lines. The test mostly waits, for about 100 seconds.
 */
#include <errno.h>
#include <stdlib.h>

#include "kselftest_harness.h"
#include "lib.h"
#include "lib/log.h"

struct removal {
	struct uuid uuid;
	struct holder holder;
	pid_t remover;
	int log;
};

FIXTURE(removals)
{
	struct removal r[3];
	int events;
};

FIXTURE_VARIANT(removals)
{
	const char *parent;
	const char *type;
};

FIXTURE_VARIANT_ADD(removals, mtty)
{
	.parent = "mtty", .type = "mtty-1",
};

FIXTURE_SETUP(removals)
{
	int i;

	if (!parent_exists(variant->parent))
		SKIP(return, "no parent %s", variant->parent);
	self->events = uevent_open();
	ASSERT_LE(0, self->events);
	for (i = 0; i < 3; i++) {
		struct removal *r = &self->r[i];

		r->uuid = uuid_new();
		ASSERT_EQ(0, mdev_create(variant->parent, variant->type,
					 &r->uuid));
		r->log = kmsg_open();
		ASSERT_LE(0, r->log);
		ASSERT_EQ(0, holder_start(&r->holder, &r->uuid));
	}
}

FIXTURE_TEARDOWN(removals)
{
	int i;

	for (i = 0; i < 3; i++) {
		struct removal *r = &self->r[i];

		child_kill(r->remover);
		holder_kill(&r->holder);
		if (mdev_exists(&r->uuid))
			EXPECT_EQ(0, mdev_remove(&r->uuid));
		close(r->log);
	}
	close(self->events);
}

static void start_remover(struct __test_metadata *_metadata, int events,
			  struct removal *r)
{
	r->remover = remover_start(&r->uuid);
	ASSERT_LT(0, r->remover);
	ASSERT_TRUE(uevent_wait(events, SOON_MS, "change", r->uuid.text,
				MDEV_UEVENT_REQUEST_PENDING));
}

/* All removals run at once, so that they share the wait */
TEST_F_TIMEOUT(removals, repeat_what_they_ask_and_say, 240 * SLOWER)
{
	struct removal *asked = &self->r[0];
	struct removal *unasked = &self->r[1];
	struct removal *turned = &self->r[2];
	int relayed = 0;
	long asks = 0;
	int i;

	if (mdev_is_kernels_own(&asked->uuid))
		SKIP(return, ASKS_NOBODY);
	ASSERT_EQ(0, holder_order(&asked->holder, HOLDER_REGISTER));
	ASSERT_EQ(0, holder_order(&turned->holder, HOLDER_REGISTER));
	start_remover(_metadata, self->events, turned);
	start_remover(_metadata, self->events, unasked);
	start_remover(_metadata, self->events, asked);

	/* A holder that removes its eventfd and keeps the device is not asked again */
	ASSERT_TRUE(eventfd_wait(turned->holder.eventfd, SOON_MS));
	EXPECT_EQ(1, eventfd_take(turned->holder.eventfd));
	EXPECT_EQ(0, kmsg_count(turned->log, turned->uuid.text, LOG_BLOCKED));
	EXPECT_EQ(0, holder_order(&turned->holder, HOLDER_UNREGISTER));
	EXPECT_TRUE(kmsg_wait(turned->log, REPEAT_MS, turned->uuid.text,
			      LOG_BLOCKED, HOLDER_NAME));
	/* If it registers an eventfd again, it is asked at once */
	EXPECT_EQ(0, eventfd_take(turned->holder.eventfd));
	EXPECT_EQ(0, holder_order(&turned->holder, HOLDER_REGISTER));
	EXPECT_TRUE(eventfd_wait(turned->holder.eventfd, SOON_MS));

	/* The others are asked every 10 seconds; the log has the first and each tenth time */
	while (asks < 11) {
		ASSERT_TRUE(eventfd_wait(asked->holder.eventfd, REPEAT_MS));
		asks += eventfd_take(asked->holder.eventfd);
		EXPECT_LE(asks, mdev_number(&asked->uuid, "request_count"));
		relayed += kmsg_count(asked->log, asked->uuid.text,
				      LOG_RELAYED);
		if (asks < 10) {
			EXPECT_EQ(1, relayed);
		}
	}
	EXPECT_EQ(2, relayed);

	/* After 100 seconds the log has the first line, and one after a minute */
	EXPECT_EQ(2, kmsg_count(unasked->log, unasked->uuid.text, LOG_BLOCKED));
	EXPECT_EQ(1, mdev_number(&unasked->uuid, "request"));

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-ETIMEDOUT, child_wait(self->r[i].remover, 0));
		EXPECT_EQ(0, holder_order(&self->r[i].holder, HOLDER_USE));
		EXPECT_EQ(0, holder_order(&self->r[i].holder, HOLDER_CLOSE));
		EXPECT_EQ(0, child_wait(self->r[i].remover, SOON_MS));
		self->r[i].remover = -1;
	}
}

/* A request by a write to "request" is not repeated */
TEST_F_TIMEOUT(removals, written_request_is_not_repeated, 60 * SLOWER)
{
	struct removal *written = &self->r[0];
	struct removal *clock = &self->r[1];

	if (mdev_is_kernels_own(&written->uuid))
		SKIP(return, ASKS_NOBODY);
	ASSERT_EQ(0, holder_order(&written->holder, HOLDER_REGISTER));
	ASSERT_EQ(0, holder_order(&clock->holder, HOLDER_REGISTER));
	EXPECT_EQ(0, file_puts(mdev_path(&written->uuid, "request").text, "1"));
	EXPECT_EQ(1, eventfd_take(written->holder.eventfd));
	/* The repetition of a later removal shows that the interval is over */
	start_remover(_metadata, self->events, clock);
	EXPECT_EQ(1, eventfd_take(clock->holder.eventfd));
	EXPECT_TRUE(eventfd_wait(clock->holder.eventfd, REPEAT_MS));
	EXPECT_EQ(0, eventfd_take(written->holder.eventfd));
	EXPECT_EQ(1, mdev_number(&written->uuid, "request_count"));
}

TEST_HARNESS_MAIN
