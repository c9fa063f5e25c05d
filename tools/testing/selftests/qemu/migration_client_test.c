// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that passes bytes through a serial card is migrated from one QEMU to
 * another, with the card: none is lost. And what becomes of the guest where the
 * card cannot go, or is taken away meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "pci_client.h"

#define PARENT		"mtty"
#define TYPE		"mtty-2"
#define SOCKET		"/tmp/migration"
#define ADDRESS		"unix:" SOCKET

/* All that a user has to say */
#define MIGRATES	DRIVER ",enable-migration=on"

/* In the guest's words */
#define FAILED		"\nfailed: "

/* From here to there and back */
#define ROUND_TRIPS	2

FIXTURE(migration)
{
	struct qemu qemus[2];
	struct uuid uuids[2];
	int log;
	int listener;
	int eventfd_id;
};

#define source	(&self->qemus[0])
#define target	(&self->qemus[1])

FIXTURE_SETUP(migration)
{
	int i;

	self->log = -1;
	self->listener = -1;
	for (i = 0; i < 2; i++)
		self->qemus[i].pid = -1;
	if (!file_exists(QEMU_FILES))
		SKIP(return, "no QEMU in this guest");
	self->eventfd_id = eventfd_next_id();
	for (i = 0; i < 2; i++)
		self->uuids[i] = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuids[0]));
	self->log = kmsg_open();
}

FIXTURE_TEARDOWN(migration)
{
	int i;

	for (i = 0; i < 2; i++)
		qemu_kill(&self->qemus[i]);
	for (i = 0; i < 2; i++)
		if (mdev_exists(&self->uuids[i]))
			EXPECT_EQ(0, mdev_remove(&self->uuids[i]));
	close(self->listener);
	unlink(SOCKET);
	close(self->log);
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

#define migration_test(name)						\
	TEST_F_TIMEOUT(migration, name, QEMU_TEST_S)

/* By events */
static int tell_of_migration(struct qemu *qemu)
{
	return qmp(qemu,
		   "{'execute': 'migrate-set-capabilities', 'arguments': {'capabilities': [{'capability': 'events', 'state': true}]}}");
}

static int migrate_to_address(struct qemu *qemu)
{
	return qmp(qemu,
		   "{'execute': 'migrate', 'arguments': {'uri': '" ADDRESS "'}}");
}

/* Nobody takes the data: the migration goes on until it is cancelled */
static int migrate_for_ever(struct qemu *qemu, int *listener)
{
	static const struct sockaddr_un address = {
		.sun_family = AF_UNIX,
		.sun_path = SOCKET,
	};

	*listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(*listener, (const void *)&address, sizeof(address)) ||
	    listen(*listener, 1))
		return -errno;
	return migrate_to_address(qemu);
}

#define begin(qemu, nr, command_line, incoming) do {			\
	ASSERT_EQ(0, start_pci(qemu, MIGRATES, &self->uuids[nr],	\
			       command_line, incoming));		\
	ASSERT_EQ(0, qemu_greet(qemu));					\
	ASSERT_EQ(0, tell_of_migration(qemu));				\
} while (0)

#define begin_target(type, command_line) do {				\
	ASSERT_EQ(0, mdev_create(PARENT, type, &self->uuids[1]));	\
	begin(target, 1, command_line, ADDRESS);			\
} while (0)

#define expect_status(qemu, status)					\
	ASSERT_TRUE(qmp_event(qemu, "\"status\": \"" status "\""))

/* It says more, and nothing is wrong with what it has said */
#define expect_rounds(qemu) do {					\
	ASSERT_TRUE(qemu_says(qemu, "round "));				\
	ASSERT_TRUE(qemu_says(qemu, "round "));				\
	ASSERT_EQ(NULL, strstr((qemu)->console.text, FAILED));	\
} while (0)

migration_test(no_byte_is_lost)
{
	struct qemu *from = source, *to = target;
	int i, there, back;

	begin(source, 0, "io", NULL);
	ASSERT_TRUE(qemu_says(source, "round 1\n"));
	for (i = 0; i < 2 * ROUND_TRIPS; i++) {
		back = i % 2;
		there = !back;
		from = &self->qemus[back];
		to = &self->qemus[there];
		ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuids[there]));
		begin(to, there, "io", ADDRESS);
		qemu_hush(from);
		ASSERT_TRUE(qemu_says(from, "round "));
		ASSERT_EQ(0, migrate_to_address(from));
		expect_status(from, "completed");
		expect_status(to, "completed");
		expect_rounds(to);
		EXPECT_EQ(0, qemu_quit(from));
		EXPECT_EQ(0, qemu_wait(from, QEMU_MS));
		EXPECT_EQ(0, mdev_remove(&self->uuids[back]));
	}
}

migration_test(bytes_in_the_card_go_along)
{
	begin(source, 0, "keep", NULL);
	begin_target(TYPE, "keep");
	ASSERT_TRUE(qemu_says(source, "keeping"));
	ASSERT_EQ(0, migrate_to_address(source));
	expect_status(source, "completed");
	ASSERT_TRUE(qemu_says(target, "16 bytes kept"));
	ASSERT_EQ(NULL, strstr(source->console.text, "bytes kept"));
	ASSERT_TRUE(qemu_says(target, "keeping"));
	ASSERT_EQ(NULL, strstr(target->console.text, FAILED));
}

/* The target says so before the guest is stopped: it goes on where it is */
migration_test(card_of_another_type_is_refused)
{
	begin(source, 0, "io", NULL);
	ASSERT_TRUE(qemu_says(source, "round 1\n"));
	begin_target("mtty-1", "io");
	ASSERT_EQ(0, migrate_to_address(source));
	EXPECT_TRUE(kmsg_wait(self->log, QEMU_MS, self->uuids[1].text,
			      "migration data refused: it is of another type",
			      NULL));
	expect_status(source, "failed");
	qemu_hush(source);
	expect_rounds(source);
}

migration_test(card_can_be_revoked_meanwhile)
{
	begin(source, 0, "io", NULL);
	ASSERT_TRUE(qemu_says(source, "round 1\n"));
	ASSERT_EQ(0, migrate_for_ever(source, &self->listener));
	expect_status(source, "active");
	EXPECT_EQ(0, mdev_revoke(&self->uuids[0]));
	/* The guest may be stopped before QEMU finds out */
	EXPECT_EQ(0, qmp(source, "{'execute': 'stop'}"));
	EXPECT_EQ(0, qmp(source, "{'execute': 'cont'}"));
	ASSERT_TRUE(qemu_says(source, "the card is gone"));
	EXPECT_EQ(0, qmp(source, "{'execute': 'migrate_cancel'}"));
	EXPECT_EQ(0, qmp(source, "{'execute': 'query-status'}"));
}

/* Its guest does not agree, or cannot: the removal waits, and can be given up */
migration_test(card_can_be_asked_for_meanwhile)
{
	pid_t remover;

	begin(source, 0, "io", NULL);
	ASSERT_TRUE(qemu_says(source, "round 1\n"));
	ASSERT_EQ(0, migrate_for_ever(source, &self->listener));
	expect_status(source, "active");
	remover = remover_start(&self->uuids[0]);
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuids[0].text,
			      LOG_RELAYED " (#1)", source->comm));
	EXPECT_EQ(-ETIMEDOUT, child_wait(remover, 1000));
	kill(remover, SIGINT);
	EXPECT_EQ(128 + SIGINT, child_wait(remover, SOON_MS));
	EXPECT_TRUE(mdev_exists(&self->uuids[0]));
	EXPECT_EQ(0, qmp(source, "{'execute': 'migrate_cancel'}"));
	qemu_hush(source);
	expect_rounds(source);
}

TEST_HARNESS_MAIN
