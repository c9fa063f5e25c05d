// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU as the holder of a card of the smallest sample, mpad: its guest uses the
 * card's memory, QEMU is asked for the card, and loses it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "pci_client.h"

#define PARENT		"mpad"
#define TYPE		"mpad-page"
#define device_uuid	(&self->uuid)

FIXTURE(client)
{
	CLIENT;
	struct uuid uuid;
	int eventfd_id;
};

FIXTURE_VARIANT(client)
{
	const char *command_line;	/* the guest's */
};

FIXTURE_VARIANT_ADD(client, agreeing)
{
	.command_line = "pad eject",
};

#define expect_at_work() do {						\
	ASSERT_TRUE(qemu_says(&self->qemu, "card in slot "));		\
	ASSERT_TRUE(qemu_says(&self->qemu, "1024 words kept\n"));	\
	ASSERT_TRUE(qemu_says(&self->qemu, "idle\n"));			\
} while (0)

FIXTURE_SETUP(client)
{
	set_up_client();
	self->eventfd_id = eventfd_next_id();
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
	start_qemu();
	/* With the card, QEMU's container would go while QEMU still uses it */
	ASSERT_EQ(0, anchor_set(&self->anchor, &self->qemu, PARENT, TYPE));
}

FIXTURE_TEARDOWN(client)
{
	tear_down_client();
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	close(self->log);
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

client_test(removal_has_qemu_let_go)
{
	self->child = remover_start(&self->uuid);
	expect_relayed();
	EXPECT_TRUE(qemu_says(&self->qemu, "asked for the card: "));
	EXPECT_TRUE(qmp_event(&self->qemu, "DEVICE_DELETED"));
	expect_child_done();
	EXPECT_FALSE(mdev_exists(&self->uuid));
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	ASSERT_EQ(0, qemu_plug(&self->qemu, DRIVER, &self->uuid));
	expect_at_work();
}

client_test(stopped_qemu_loses_it)
{
	ASSERT_EQ(0, qemu_stop(&self->qemu));
	revoke_from_qemu();
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text, LOG_REVOKED,
			      self->qemu.comm));
	qemu_continue(&self->qemu);
	EXPECT_TRUE(qmp_event(&self->qemu, "DEVICE_DELETED"));
}

TEST_HARNESS_MAIN
