/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One device that a process can hold, and a child removes, or revokes: what the
 * fixtures for that share.
 */
#ifndef SELFTESTS_MDEV_HELD_H
#define SELFTESTS_MDEV_HELD_H

#include <stdio.h>
#include <unistd.h>

#include "lib.h"

#define HELD								\
	struct uuid uuid;						\
	struct holder holder;						\
	pid_t child;							\
	char name[64];							\
	int log;							\
	int events;							\
	int count;							\
	int eventfd_id

#define set_up_held(parent, type) do {					\
	if (!parent_exists(parent))					\
		SKIP(return, "no parent %s", parent);			\
	self->holder.pid = -1;						\
	self->child = -1;						\
	self->eventfd_id = eventfd_next_id();				\
	self->count = mdev_count();					\
	self->uuid = uuid_new();					\
	ASSERT_EQ(0, mdev_create(parent, type, &self->uuid));		\
	if (mdev_is_kernels_own(&self->uuid)) {				\
		mdev_remove(&self->uuid);				\
		SKIP(return, "the kernel's own mdev does not ask for release"); \
	}								\
	self->log = kmsg_open();					\
	ASSERT_LE(0, self->log);					\
	self->events = uevent_open();					\
	ASSERT_LE(0, self->events);					\
} while (0)

#define tear_down_held() do {						\
	child_kill(self->child);					\
	if (self->holder.pid > 0)					\
		holder_kill(&self->holder);				\
	if (mdev_exists(&self->uuid))					\
		EXPECT_EQ(0, mdev_remove(&self->uuid));			\
	close(self->events);						\
	close(self->log);						\
	EXPECT_EQ(self->count, mdev_count());				\
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));		\
} while (0)

#define event(variable)							\
	uevent_wait(self->events, SOON_MS, "change", self->uuid.text, variable)

/* As the kernel's log names a holder */
static inline const char *named(char *text, size_t size, pid_t pid)
{
	snprintf(text, size, HOLDER_NAME " (pid %d)", pid);
	return text;
}

/* A holder with its request eventfd, or without */
#define start_holder(with_eventfd) do {					\
	ASSERT_EQ(0, holder_start(&self->holder, &self->uuid));		\
	named(self->name, sizeof(self->name), self->holder.pid);	\
	if (with_eventfd)						\
		ASSERT_EQ(0, holder_order(&self->holder, HOLDER_REGISTER)); \
} while (0)

#define expect_holder_shown() do {					\
	char text[64], shown[64];					\
									\
	EXPECT_LT(0, file_read(mdev_path(&self->uuid, "holder").text, text, \
			       sizeof(text)));				\
	snprintf(shown, sizeof(shown), "%d " HOLDER_NAME, self->holder.pid); \
	EXPECT_STREQ(shown, text);					\
} while (0)

#endif /* SELFTESTS_MDEV_HELD_H */
