// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU holds a card of mpad, the smallest sample. Its guest uses the card's
 * memory. QEMU is asked to release the card, and the card is revoked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "pci_client.h"

#define PARENT		"mpad"
#define TYPE		"mpad-page"

FIXTURE(client)
{
	struct client client;
	struct uuid uuid;
	int eventfd_id;
};

FIXTURE_VARIANT(client)
{
	const char *command_line;	/* of the guest */
};

FIXTURE_VARIANT_ADD(client, agreeing)
{
	.command_line = "pad eject",
};

static void expect_at_work(struct __test_metadata *_metadata, struct qemu *qemu)
{
	ASSERT_TRUE(qemu_says(qemu, "card in slot "));
	ASSERT_TRUE(qemu_says(qemu, "1024 words kept\n"));
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
	/*
	 * Without the anchor, the container's IOMMU would be freed with the
	 * card, while QEMU still uses it
	 */
	ASSERT_EQ(0, anchor_set(&self->client.anchor, &self->client.qemu,
				PARENT, TYPE));
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
	EXPECT_TRUE(qmp_event(&self->client.qemu, "DEVICE_DELETED"));
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(mdev_exists(&self->uuid));
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	ASSERT_EQ(0, qemu_plug(&self->client.qemu, DRIVER, &self->uuid));
	expect_at_work(_metadata, &self->client.qemu);
}

client_test(stopped_qemu_loses_it)
{
	ASSERT_EQ(0, qemu_stop(&self->client.qemu));
	revoke_from_qemu(_metadata, &self->client);
	EXPECT_TRUE(kmsg_wait(self->client.log, SOON_MS, self->uuid.text,
			      LOG_REVOKED, self->client.qemu.comm));
	qemu_continue(&self->client.qemu);
	EXPECT_TRUE(qmp_event(&self->client.qemu, "DEVICE_DELETED"));
}

TEST_HARNESS_MAIN
