// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU holds a display of the kernel's sample mdpy, whose driver has no
 * requests. QEMU finds the request interrupt that the framework adds, is asked
 * through it, and releases the display if its guest agrees.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "pci_client.h"

#define PARENT		"mdpy"
#define TYPE		"mdpy-vga"

FIXTURE(client)
{
	struct client client;
	struct uuid uuid;
	int eventfd_id;
};

FIXTURE_VARIANT(client)
{
	const char *command_line;	/* of the guest */
	bool agrees;			/* to an unplug */
};

FIXTURE_VARIANT_ADD(client, agreeing)
{
	.command_line = "display eject", .agrees = true,
};

/* Like a guest without an operating system */
FIXTURE_VARIANT_ADD(client, refusing)
{
	.command_line = "display",
};

static void expect_at_work(struct __test_metadata *_metadata, struct qemu *qemu)
{
	ASSERT_TRUE(qemu_says(qemu, "card in slot "));
	ASSERT_TRUE(qemu_says(qemu, "640x480 pixels, 1000 painted\n"));
	ASSERT_TRUE(qemu_says(qemu, "idle\n"));
}

FIXTURE_SETUP(client)
{
	if (!file_exists(QEMU_FILES))
		SKIP(return, NO_QEMU);
	set_up_client(&self->client, &self->uuid, variant->command_line);
	self->client.start = start;
	self->eventfd_id = eventfd_next_id();
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	self->client.log = kmsg_open();
	ASSERT_LE(0, self->client.log);
	start_qemu(_metadata, &self->client);
	expect_at_work(_metadata, &self->client.qemu);
}

FIXTURE_TEARDOWN(client)
{
	tear_down_client(_metadata, &self->client);
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	close(self->client.log);
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

client_test(removal_has_qemu_let_go)
{
	self->client.child = remover_start(&self->uuid);
	expect_relayed(_metadata, &self->client);
	EXPECT_TRUE(qemu_says(&self->client.qemu, "asked for the card: "));
	if (variant->agrees) {
		expect_unplugged(_metadata, &self->client.qemu);
	} else {
		expect_child_waiting(_metadata, &self->client);
		interrupt_child(_metadata, &self->client);
		self->client.child = remover_start(&self->uuid);
		expect_child_waiting(_metadata, &self->client);
		EXPECT_EQ(0, qemu_quit(&self->client.qemu));
		EXPECT_EQ(0, qemu_wait(&self->client.qemu, QEMU_MS));
	}
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(mdev_exists(&self->uuid));
	if (!variant->agrees)
		return;
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	ASSERT_EQ(0, qemu_plug(&self->client.qemu, DRIVER, &self->uuid));
	expect_at_work(_metadata, &self->client.qemu);
}

client_test(request_has_qemu_let_go)
{
	EXPECT_EQ(0, file_puts(mdev_path(&self->uuid, "request").text, "1"));
	expect_relayed(_metadata, &self->client);
	EXPECT_TRUE(qemu_says(&self->client.qemu, "asked for the card: "));
	if (variant->agrees)
		expect_unplugged(_metadata, &self->client.qemu);
	EXPECT_TRUE(mdev_exists(&self->uuid));
}

client_test(stopped_qemu_is_waited_for)
{
	EXPECT_EQ(-EOPNOTSUPP, mdev_revoke(&self->uuid));
	ASSERT_EQ(0, qemu_stop(&self->client.qemu));
	self->client.child = remover_start(&self->uuid);
	expect_relayed(_metadata, &self->client);
	expect_child_waiting(_metadata, &self->client);
	qemu_kill(&self->client.qemu);
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(mdev_exists(&self->uuid));
}

TEST_HARNESS_MAIN
