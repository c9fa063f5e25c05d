// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that passes bytes through a serial card is migrated from one QEMU to
 * another, with the card. No byte is lost. Other tests are about a card that
 * cannot be migrated, or is revoked during the migration.
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

/* The options with which a user enables migration */
#define MIGRATES	DRIVER ",enable-migration=on"

/* Printed by the guest if it fails */
#define FAILED		"\nfailed: "

/* Migrations to the target and back */
#define ROUND_TRIPS	2

/* Indexes in qemus and uuids of the first migration's source and target */
enum {
	SOURCE,
	TARGET,
};

FIXTURE(migration)
{
	struct qemu qemus[2];
	struct uuid uuids[2];
	int log;
	int listener;
	int eventfd_id;
};

FIXTURE_SETUP(migration)
{
	int i;

	self->log = -1;
	self->listener = -1;
	for (i = 0; i < 2; i++)
		self->qemus[i].pid = -1;
	if (!file_exists(QEMU_FILES))
		SKIP(return, NO_QEMU);
	self->eventfd_id = eventfd_next_id();
	for (i = 0; i < 2; i++)
		self->uuids[i] = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuids[SOURCE]));
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

/* Makes QEMU report the migration by events */
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

/* Starts a migration whose data nobody reads, so that it ends only by a cancel */
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

/* Starts a QEMU. With @incoming, its guest comes from that address */
static void begin(struct __test_metadata *_metadata,
		  FIXTURE_DATA(migration) *self, int nr,
		  const char *command_line, const char *incoming)
{
	struct qemu *qemu = &self->qemus[nr];

	ASSERT_EQ(0, start_pci(qemu, MIGRATES, &self->uuids[nr], command_line,
			       incoming));
	ASSERT_EQ(0, qemu_greet(qemu));
	ASSERT_EQ(0, tell_of_migration(qemu));
}

static void begin_target(struct __test_metadata *_metadata,
			 FIXTURE_DATA(migration) *self, const char *type,
			 const char *command_line)
{
	ASSERT_EQ(0, mdev_create(PARENT, type, &self->uuids[TARGET]));
	begin(_metadata, self, TARGET, command_line, ADDRESS);
}

static void expect_status(struct __test_metadata *_metadata, struct qemu *qemu,
			  const char *status)
{
	char text[64];

	snprintf(text, sizeof(text), "\"status\": \"%s\"", status);
	ASSERT_TRUE(qmp_event(qemu, text));
}

/* The guest goes on, and has not printed an error */
static void expect_rounds(struct __test_metadata *_metadata, struct qemu *qemu)
{
	ASSERT_TRUE(qemu_says(qemu, "round "));
	ASSERT_TRUE(qemu_says(qemu, "round "));
	ASSERT_EQ(NULL, strstr(qemu->console.text, FAILED));
}

migration_test(no_byte_is_lost)
{
	struct qemu *source = &self->qemus[SOURCE];
	struct qemu *from, *to;
	int i, there, back;

	begin(_metadata, self, SOURCE, "io", NULL);
	ASSERT_TRUE(qemu_says(source, "round 1\n"));
	for (i = 0; i < 2 * ROUND_TRIPS; i++) {
		back = i % 2;
		there = !back;
		from = &self->qemus[back];
		to = &self->qemus[there];
		ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuids[there]));
		begin(_metadata, self, there, "io", ADDRESS);
		qemu_hush(from);
		ASSERT_TRUE(qemu_says(from, "round "));
		ASSERT_EQ(0, migrate_to_address(from));
		expect_status(_metadata, from, "completed");
		expect_status(_metadata, to, "completed");
		expect_rounds(_metadata, to);
		EXPECT_EQ(0, qemu_quit(from));
		EXPECT_EQ(0, qemu_wait(from, QEMU_MS));
		EXPECT_EQ(0, mdev_remove(&self->uuids[back]));
	}
}

migration_test(bytes_in_the_card_go_along)
{
	struct qemu *source = &self->qemus[SOURCE];
	struct qemu *target = &self->qemus[TARGET];

	begin(_metadata, self, SOURCE, "keep", NULL);
	begin_target(_metadata, self, TYPE, "keep");
	ASSERT_TRUE(qemu_says(source, "keeping"));
	ASSERT_EQ(0, migrate_to_address(source));
	expect_status(_metadata, source, "completed");
	ASSERT_TRUE(qemu_says(target, "16 bytes kept"));
	ASSERT_EQ(NULL, strstr(source->console.text, "bytes kept"));
	ASSERT_TRUE(qemu_says(target, "keeping"));
	ASSERT_EQ(NULL, strstr(target->console.text, FAILED));
}

/* The target refuses the data before the guest is stopped, so the guest goes on */
migration_test(card_of_another_type_is_refused)
{
	struct qemu *source = &self->qemus[SOURCE];

	begin(_metadata, self, SOURCE, "io", NULL);
	ASSERT_TRUE(qemu_says(source, "round 1\n"));
	begin_target(_metadata, self, "mtty-1", "io");
	ASSERT_EQ(0, migrate_to_address(source));
	/* This reads the source's console, else QEMU would wait for its reader */
	expect_status(_metadata, source, "failed");
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuids[TARGET].text,
			      "migration data refused: it is of another type",
			      NULL));
	qemu_hush(source);
	expect_rounds(_metadata, source);
}

migration_test(card_can_be_revoked_meanwhile)
{
	struct qemu *source = &self->qemus[SOURCE];

	begin(_metadata, self, SOURCE, "io", NULL);
	ASSERT_TRUE(qemu_says(source, "round 1\n"));
	ASSERT_EQ(0, migrate_for_ever(source, &self->listener));
	expect_status(_metadata, source, "active");
	EXPECT_EQ(0, mdev_revoke(&self->uuids[SOURCE]));
	/* The guest may be stopped before QEMU notices the revocation */
	EXPECT_EQ(0, qmp(source, "{'execute': 'stop'}"));
	EXPECT_EQ(0, qmp(source, "{'execute': 'cont'}"));
	ASSERT_TRUE(qemu_says(source, "the card is gone"));
	EXPECT_EQ(0, qmp(source, "{'execute': 'migrate_cancel'}"));
	EXPECT_EQ(0, qmp(source, "{'execute': 'query-status'}"));
}

/* The guest does not agree, or cannot: the removal waits, and can be given up */
migration_test(card_can_be_asked_for_meanwhile)
{
	struct qemu *source = &self->qemus[SOURCE];
	pid_t remover;

	begin(_metadata, self, SOURCE, "io", NULL);
	ASSERT_TRUE(qemu_says(source, "round 1\n"));
	ASSERT_EQ(0, migrate_for_ever(source, &self->listener));
	expect_status(_metadata, source, "active");
	remover = remover_start(&self->uuids[SOURCE]);
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuids[SOURCE].text,
			      LOG_RELAYED " (#1)", source->comm));
	EXPECT_EQ(-ETIMEDOUT, child_wait(remover, 1000));
	kill(remover, SIGINT);
	EXPECT_EQ(128 + SIGINT, child_wait(remover, SOON_MS));
	EXPECT_TRUE(mdev_exists(&self->uuids[SOURCE]));
	EXPECT_EQ(0, qmp(source, "{'execute': 'migrate_cancel'}"));
	qemu_hush(source);
	expect_rounds(_metadata, source);
}

TEST_HARNESS_MAIN
