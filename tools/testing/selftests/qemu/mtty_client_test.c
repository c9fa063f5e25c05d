// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU holds a serial card of mtty, and a guest of our own passes bytes through
 * the card by interrupts. When the card is removed or unbound, QEMU releases it
 * if the guest agrees, and keeps it otherwise.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "../mtty/card.h"
#include "pci_client.h"

FIXTURE(client)
{
	struct client client;
	struct uuid uuid;
	int eventfd_id;
};

FIXTURE_VARIANT(client)
{
	const char *type;
	const char *command_line;	/* of the guest */
	const char *at_work;		/* what the guest prints while it works */
	bool agrees;			/* to an unplug */
};

FIXTURE_VARIANT_ADD(client, idle)
{
	.type = "mtty-1", .command_line = "eject", .at_work = "idle\n",
	.agrees = true,
};

FIXTURE_VARIANT_ADD(client, io)
{
	.type = "mtty-2", .command_line = "io eject", .at_work = "round ",
	.agrees = true,
};

/* Like a guest without an operating system */
FIXTURE_VARIANT_ADD(client, refusing_idle)
{
	.type = "mtty-2", .command_line = "", .at_work = "idle\n",
};

FIXTURE_VARIANT_ADD(client, refusing_io)
{
	.type = "mtty-1", .command_line = "io", .at_work = "round ",
};

/* The guest has found the card, and bytes pass through it */
static void expect_at_work(struct __test_metadata *_metadata,
			   struct client *client)
{
	ASSERT_TRUE(qemu_says(&client->qemu, "card in slot "));
	ASSERT_TRUE(qemu_says(&client->qemu,
			      "INTx: 64 bytes, by interrupts\n"));
	ASSERT_TRUE(qemu_says(&client->qemu,
			      "MSI: 64 bytes, by interrupts\n"));
	ASSERT_TRUE(qemu_says(&client->qemu, client->at_work));
}

static void create(struct __test_metadata *_metadata,
		   FIXTURE_DATA(client) *self,
		   const FIXTURE_VARIANT(client) *variant)
{
	ASSERT_EQ(0, mdev_create(CARD_PARENT, variant->type, &self->uuid));
}

FIXTURE_SETUP(client)
{
	if (!file_exists(QEMU_FILES))
		SKIP(return, NO_QEMU);
	set_up_client(&self->client, &self->uuid, variant->command_line);
	self->client.start = start;
	self->client.at_work = variant->at_work;
	self->eventfd_id = eventfd_next_id();
	self->uuid = uuid_new();
	create(_metadata, self, variant);
	if (mdev_is_kernels_own(&self->uuid)) {
		mdev_remove(&self->uuid);
		SKIP(return, "the kernel's own mdev does not name the holder");
	}
	self->client.log = kmsg_open();
	ASSERT_LE(0, self->client.log);
	start_qemu(_metadata, &self->client);
	expect_at_work(_metadata, &self->client);
	ASSERT_EQ(0, anchor_set(&self->client.anchor, &self->client.qemu,
				CARD_PARENT, "mtty-1"));
}

FIXTURE_TEARDOWN(client)
{
	tear_down_client(_metadata, &self->client);
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	close(self->client.log);
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

static void expect_asked(struct __test_metadata *_metadata,
			 struct client *client)
{
	expect_relayed(_metadata, client);
	EXPECT_TRUE(qemu_says(&client->qemu, "asked for the card: "));
}

/* QEMU releases a card only if its guest agrees, or when QEMU ends. */
static void expect_released(struct __test_metadata *_metadata,
			    struct client *client, bool agrees)
{
	if (agrees) {
		expect_unplugged(_metadata, &client->qemu);
		return;
	}
	if (client->child > 0)
		expect_child_waiting(_metadata, client);
	expect_still_at_work(_metadata, client);
	EXPECT_EQ(0, qemu_quit(&client->qemu));
	EXPECT_EQ(0, qemu_wait(&client->qemu, QEMU_MS));
}

/* Usable by the same guest, or by another one if that has ended */
static void expect_usable_again(struct __test_metadata *_metadata,
				FIXTURE_DATA(client) *self,
				const FIXTURE_VARIANT(client) *variant)
{
	struct client *client = &self->client;

	if (!mdev_exists(&self->uuid))
		create(_metadata, self, variant);
	if (client->qemu.pid > 0) {
		ASSERT_EQ(0, qemu_plug(&client->qemu, DRIVER, &self->uuid));
	} else {
		start_qemu(_metadata, client);
	}
	expect_at_work(_metadata, client);
	expect_still_at_work(_metadata, client);
}

client_test(removal_has_qemu_unplug)
{
	self->client.child = remover_start(&self->uuid);
	expect_asked(_metadata, &self->client);
	expect_released(_metadata, &self->client, variant->agrees);
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(mdev_exists(&self->uuid));
	expect_usable_again(_metadata, self, variant);
}

client_test(unbinding_has_qemu_unplug)
{
	self->client.child = driver_unbinder_start(&self->uuid);
	expect_asked(_metadata, &self->client);
	expect_released(_metadata, &self->client, variant->agrees);
	expect_child_done(_metadata, &self->client);
	/* A device without a driver can still be removed */
	EXPECT_TRUE(mdev_exists(&self->uuid));
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	expect_usable_again(_metadata, self, variant);
}

client_test(request_has_qemu_unplug)
{
	EXPECT_EQ(0, file_puts(mdev_path(&self->uuid, "request").text, "1"));
	expect_asked(_metadata, &self->client);
	expect_released(_metadata, &self->client, variant->agrees);
	EXPECT_TRUE(mdev_exists(&self->uuid));
	expect_usable_again(_metadata, self, variant);
}

/* The device still works, and can be requested again */
client_test(removal_can_be_given_up)
{
	if (variant->agrees)
		SKIP(return, "this guest agrees at once");
	self->client.child = remover_start(&self->uuid);
	expect_asked(_metadata, &self->client);
	expect_child_waiting(_metadata, &self->client);
	interrupt_child(_metadata, &self->client);
	expect_still_at_work(_metadata, &self->client);

	self->client.child = remover_start(&self->uuid);
	expect_child_waiting(_metadata, &self->client);
	expect_still_at_work(_metadata, &self->client);
	qemu_kill(&self->client.qemu);
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(mdev_exists(&self->uuid));
	expect_usable_again(_metadata, self, variant);
}

client_test(stopped_qemu_is_named_and_waited_for)
{
	ASSERT_EQ(0, qemu_stop(&self->client.qemu));
	self->client.child = remover_start(&self->uuid);
	expect_relayed(_metadata, &self->client);
	expect_child_waiting(_metadata, &self->client);
	interrupt_child(_metadata, &self->client);

	self->client.child = remover_start(&self->uuid);
	expect_child_waiting(_metadata, &self->client);
	qemu_continue(&self->client.qemu);
	expect_released(_metadata, &self->client, variant->agrees);
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(mdev_exists(&self->uuid));
	expect_usable_again(_metadata, self, variant);
}

client_test(killed_qemu_ends_the_removal)
{
	ASSERT_EQ(0, qemu_stop(&self->client.qemu));
	self->client.child = remover_start(&self->uuid);
	expect_child_waiting(_metadata, &self->client);
	qemu_kill(&self->client.qemu);
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(mdev_exists(&self->uuid));
	expect_usable_again(_metadata, self, variant);
}

client_test(killed_qemu_leaves_nothing_behind)
{
	qemu_kill(&self->client.qemu);
	EXPECT_TRUE(mdev_exists(&self->uuid));
	expect_usable_again(_metadata, self, variant);
}

client_test(qemu_gives_the_device_back)
{
	EXPECT_EQ(0, qemu_unplug(&self->client.qemu));
	EXPECT_TRUE(qemu_says(&self->client.qemu, "asked for the card: "));
	expect_released(_metadata, &self->client, variant->agrees);
	expect_usable_again(_metadata, self, variant);
	EXPECT_EQ(0, kmsg_count(self->client.log, self->uuid.text, "request"));
}

client_test(reset_machine_finds_the_device_again)
{
	EXPECT_EQ(0, qmp(&self->client.qemu, "{'execute': 'system_reset'}"));
	EXPECT_TRUE(qemu_says(&self->client.qemu, "hello\n"));
	expect_at_work(_metadata, &self->client);
	expect_still_at_work(_metadata, &self->client);
}

client_test(second_qemu_is_refused)
{
	expect_second_qemu_refused(_metadata, &self->client);
}

/* The parent driver's module is in use while a device exists that is not revoked */
client_test(module_stays_where_nothing_is_revoked)
{
	qemu_kill(&self->client.qemu);
	EXPECT_EQ(0, grace_set(0));
	start_qemu(_metadata, &self->client);
	expect_at_work(_metadata, &self->client);
	EXPECT_EQ(-1, syscall(SYS_delete_module, CARD_PARENT, O_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
	expect_still_at_work(_metadata, &self->client);
	EXPECT_EQ(0, grace_set(GRACE_DEFAULT));
}

/*
 * QEMU survives. It was asked a last time before the revocation. A guest that
 * agrees has had the card unplugged. Another guest may wait for an interrupt of
 * the revoked card for ever. It works with a new card after a reset, and only
 * then does QEMU remove the old one. Without a new card, QEMU 10.0 sometimes
 * fails an assertion in resettable_container_child_foreach().
 */
static void expect_lost(struct __test_metadata *_metadata,
			FIXTURE_DATA(client) *self,
			const FIXTURE_VARIANT(client) *variant)
{
	struct qemu *qemu = &self->client.qemu;

	if (variant->agrees) {
		expect_unplugged(_metadata, qemu);
		return;
	}
	create(_metadata, self, variant);
	ASSERT_EQ(0, qemu_plug_as(qemu, "new", DRIVER, &self->uuid));
	qemu_hush(qemu);
	EXPECT_EQ(0, qmp(qemu, "{'execute': 'system_reset'}"));
	EXPECT_TRUE(qmp_event(qemu, "DEVICE_DELETED"));
	EXPECT_TRUE(qemu_says(qemu, "hello\n"));
	expect_at_work(_metadata, &self->client);
	expect_still_at_work(_metadata, &self->client);
	EXPECT_EQ(0, qemu_quit(qemu));
	EXPECT_EQ(0, qemu_wait(qemu, QEMU_MS));
}

client_test(running_qemu_lives_through_a_revocation)
{
	revoke_from_qemu(_metadata, &self->client);
	expect_lost(_metadata, self, variant);
	expect_usable_again(_metadata, self, variant);
}

client_test(stopped_qemu_lives_through_a_revocation)
{
	ASSERT_EQ(0, qemu_stop(&self->client.qemu));
	revoke_from_qemu(_metadata, &self->client);
	EXPECT_TRUE(kmsg_wait(self->client.log, SOON_MS, self->uuid.text,
			      LOG_REVOKED, self->client.qemu.comm));
	/* Another holder can have a new device at once */
	create(_metadata, self, variant);
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	qemu_continue(&self->client.qemu);
	expect_lost(_metadata, self, variant);
	expect_usable_again(_metadata, self, variant);
}

TEST_HARNESS_MAIN
