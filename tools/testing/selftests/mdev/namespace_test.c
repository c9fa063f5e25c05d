// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who the holder is for a process of another PID namespace: "holder" shows the
 * reader's PIDs, and 0 for a process that the reader cannot see.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>

#include "kselftest_harness.h"
#include "held.h"
#include "lib.h"

FIXTURE(namespace)
{
	struct held held;
};

FIXTURE_VARIANT(namespace)
{
	const char *parent;
	const char *type;
};

FIXTURE_VARIANT_ADD(namespace, mpad)
{
	.parent = "mpad", .type = "mpad-page",
};

FIXTURE_VARIANT_ADD(namespace, relay)
{
	.parent = "mdev_relay.0", .type = "mdev_relay-relay",
};

FIXTURE_SETUP(namespace)
{
	if (!parent_exists(variant->parent))
		SKIP(return, "no parent %s", variant->parent);
	ASSERT_TRUE(set_up_held(_metadata, &self->held, variant->parent,
				variant->type));
}

FIXTURE_TEARDOWN(namespace)
{
	tear_down_held(_metadata, &self->held);
}

struct reader {
	const struct uuid *uuid;
	const char *expected;
};

/* Returns 0 if the process reads what is expected */
static int run_reader(void *arg)
{
	const struct reader *reader = arg;
	char text[64];

	if (getpid() != 1)
		return 2;
	if (file_read(mdev_path(reader->uuid, "holder").text, text,
		      sizeof(text)) < 0)
		return 3;
	return !!strcmp(reader->expected, text);
}

TEST_F(namespace, holder_is_pid_0_for_a_reader_that_cannot_see_it)
{
	struct reader reader = {
		.uuid = &self->held.uuid,
		.expected = "0 " HOLDER_NAME,
	};

	start_holder(_metadata, &self->held, false);
	/* The next child is the first process of the new namespace */
	ASSERT_EQ(0, unshare(CLONE_NEWPID));
	self->held.child = child_start(run_reader, &reader, -1, -1);
	EXPECT_EQ(0, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
	/* The namespace of the test still has the holder's PID */
	expect_holder_shown(_metadata, &self->held);
}

TEST_F(namespace, holder_in_a_namespace_has_the_readers_pid_for_it)
{
	ASSERT_EQ(0, unshare(CLONE_NEWPID));
	start_holder(_metadata, &self->held, false);
	ASSERT_LT(1, self->held.holder.pid);
	expect_holder_shown(_metadata, &self->held);
}

TEST_HARNESS_MAIN
