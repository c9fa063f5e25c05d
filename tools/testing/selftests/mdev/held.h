/* SPDX-License-Identifier: GPL-2.0-only */
/* A device for fixtures: a process holds it, a child removes or revokes it. */
#ifndef SELFTESTS_MDEV_HELD_H
#define SELFTESTS_MDEV_HELD_H

#include <stdio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

struct held {
	struct uuid uuid;
	struct holder holder;
	pid_t child;
	char name[64];
	int log;
	int events;
	int count;
	int eventfd_id;
};

/* Creates the device. Returns false if its holder cannot be asked */
static inline bool
set_up_held(struct __test_metadata *_metadata, struct held *held,
	    const char *parent, const char *type)
{
	held->holder.pid = -1;
	held->child = -1;
	held->eventfd_id = eventfd_next_id();
	held->count = mdev_count();
	held->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(parent, type, &held->uuid));
	if (mdev_is_kernels_own(&held->uuid)) {
		mdev_remove(&held->uuid);
		return false;
	}
	held->log = kmsg_open();
	ASSERT_LE(0, held->log);
	held->events = uevent_open();
	ASSERT_LE(0, held->events);
	return true;
}

static inline void
tear_down_held(struct __test_metadata *_metadata, struct held *held)
{
	child_kill(held->child);
	if (held->holder.pid > 0)
		holder_kill(&held->holder);
	if (mdev_exists(&held->uuid))
		EXPECT_EQ(0, mdev_remove(&held->uuid));
	close(held->events);
	close(held->log);
	EXPECT_EQ(held->count, mdev_count());
	EXPECT_TRUE(eventfd_ids_back_to(held->eventfd_id));
}

static inline bool event(const struct held *held, const char *variable)
{
	return uevent_wait(held->events, SOON_MS, "change", held->uuid.text,
			   variable);
}

/* Formats a holder as the kernel's log names it */
static inline const char *named(char *text, size_t size, pid_t pid)
{
	snprintf(text, size, HOLDER_NAME " (pid %d)", pid);
	return text;
}

/* Starts a holder, with or without its request eventfd */
static inline void start_holder(struct __test_metadata *_metadata,
				struct held *held, bool with_eventfd)
{
	ASSERT_EQ(0, holder_start(&held->holder, &held->uuid));
	named(held->name, sizeof(held->name), held->holder.pid);
	if (with_eventfd)
		ASSERT_EQ(0, holder_order(&held->holder, HOLDER_REGISTER));
}

static inline void expect_holder_shown(struct __test_metadata *_metadata,
				       const struct held *held)
{
	char text[64], shown[64];

	EXPECT_LT(0, file_read(mdev_path(&held->uuid, "holder").text, text,
			       sizeof(text)));
	snprintf(shown, sizeof(shown), "%d " HOLDER_NAME, held->holder.pid);
	EXPECT_STREQ(shown, text);
}

/* Starts a removal. Returns when it waits */
static inline void
start_remover(struct __test_metadata *_metadata, struct held *held)
{
	held->child = remover_start(&held->uuid);
	ASSERT_LT(0, held->child);
	ASSERT_TRUE(event(held, MDEV_UEVENT_REQUEST_PENDING));
}

static inline void
expect_removed(struct __test_metadata *_metadata, struct held *held)
{
	EXPECT_EQ(0, child_wait(held->child, SOON_MS));
	held->child = -1;
	EXPECT_FALSE(mdev_exists(&held->uuid));
}

#endif /* SELFTESTS_MDEV_HELD_H */
