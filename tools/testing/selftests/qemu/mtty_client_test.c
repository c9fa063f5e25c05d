// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU as the user of a serial card of mtty's: a guest of our own passes bytes
 * through the card by interrupts, and whoever takes the card away finds that
 * QEMU lets it go, where its guest agrees, or that it doesn't.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "../mtty/card.h"
#include "pci_client.h"

#define device_uuid	(&self->uuid)

FIXTURE(client)
{
	CLIENT;
	struct uuid uuid;
	int eventfd_id;
};

FIXTURE_VARIANT(client)
{
	const char *type;
	const char *command_line;	/* the guest's */
	const char *at_work;		/* what it says as long as it works */
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

/* As without an operating system */
FIXTURE_VARIANT_ADD(client, refusing_idle)
{
	.type = "mtty-2", .command_line = "", .at_work = "idle\n",
};

FIXTURE_VARIANT_ADD(client, refusing_io)
{
	.type = "mtty-1", .command_line = "io", .at_work = "round ",
};

/* The guest has found the card, and bytes pass through it */
#define expect_at_work() do {						\
	ASSERT_TRUE(qemu_says(&self->qemu, "card in slot "));		\
	ASSERT_TRUE(qemu_says(&self->qemu,				\
			      "INTx: 64 bytes, by interrupts\n"));	\
	ASSERT_TRUE(qemu_says(&self->qemu,				\
			      "MSI: 64 bytes, by interrupts\n"));	\
	ASSERT_TRUE(qemu_says(&self->qemu, variant->at_work));		\
} while (0)

#define create() ASSERT_EQ(0, mdev_create(CARD_PARENT, variant->type, &self->uuid))

FIXTURE_SETUP(client)
{
	set_up_client();
	self->eventfd_id = eventfd_next_id();
	self->uuid = uuid_new();
	create();
	if (mdev_is_kernels_own(&self->uuid)) {
		mdev_remove(&self->uuid);
		SKIP(return, "the kernel's own mdev says nothing of its user");
	}
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
	start_qemu();
	ASSERT_EQ(0, anchor_set(&self->anchor, &self->qemu, CARD_PARENT,
				"mtty-1"));
}

FIXTURE_TEARDOWN(client)
{
	tear_down_client();
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	close(self->log);
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

#define expect_asked() do {						\
	expect_relayed();						\
	EXPECT_TRUE(qemu_says(&self->qemu, "asked for the card: "));	\
} while (0)

/* QEMU has closed the device, and its guest has seen it go */
#define expect_unplugged() do {						\
	EXPECT_TRUE(qmp_event(&self->qemu, "DEVICE_DELETED"));		\
	EXPECT_TRUE(qemu_says(&self->qemu, "the card is gone\n"));	\
} while (0)

/*
 * The one way that QEMU lets go of a card: its guest agrees, or else QEMU has
 * to end.
 */
#define expect_released() do {						\
	if (variant->agrees) {						\
		expect_unplugged();					\
		break;							\
	}								\
	if (self->child > 0)						\
		expect_child_waiting();					\
	expect_still_at_work();						\
	EXPECT_EQ(0, qemu_quit(&self->qemu));				\
	EXPECT_EQ(0, qemu_wait(&self->qemu, QEMU_MS));			\
} while (0)

/* By the same guest, or by another one where that one is gone */
#define expect_usable_again() do {					\
	if (!mdev_exists(&self->uuid))					\
		create();						\
	if (self->qemu.pid > 0) {					\
		ASSERT_EQ(0, qemu_plug(&self->qemu, DRIVER, &self->uuid)); \
		expect_at_work();					\
	} else {							\
		start_qemu();						\
	}								\
	expect_still_at_work();						\
} while (0)

client_test(removal_has_qemu_unplug)
{
	self->child = remover_start(&self->uuid);
	expect_asked();
	expect_released();
	expect_child_done();
	EXPECT_FALSE(mdev_exists(&self->uuid));
	expect_usable_again();
}

client_test(unbinding_has_qemu_unplug)
{
	self->child = driver_unbinder_start(&self->uuid);
	expect_asked();
	expect_released();
	expect_child_done();
	/* What no driver is bound to can still be removed */
	EXPECT_TRUE(mdev_exists(&self->uuid));
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	expect_usable_again();
}

client_test(request_has_qemu_unplug)
{
	EXPECT_EQ(0, file_puts(mdev_path(&self->uuid, "request").text, "1"));
	expect_asked();
	expect_released();
	EXPECT_TRUE(mdev_exists(&self->uuid));
	expect_usable_again();
}

/* The device stays whole, and can be asked for again */
client_test(removal_can_be_given_up)
{
	if (variant->agrees)
		SKIP(return, "this guest agrees at once");
	self->child = remover_start(&self->uuid);
	expect_asked();
	expect_child_waiting();
	interrupt_child();
	expect_still_at_work();

	self->child = remover_start(&self->uuid);
	expect_child_waiting();
	expect_still_at_work();
	qemu_kill(&self->qemu);
	expect_child_done();
	EXPECT_FALSE(mdev_exists(&self->uuid));
	expect_usable_again();
}

client_test(stopped_qemu_is_named_and_waited_for)
{
	ASSERT_EQ(0, qemu_stop(&self->qemu));
	self->child = remover_start(&self->uuid);
	expect_relayed();
	expect_child_waiting();
	interrupt_child();

	self->child = remover_start(&self->uuid);
	expect_child_waiting();
	qemu_continue(&self->qemu);
	expect_released();
	expect_child_done();
	EXPECT_FALSE(mdev_exists(&self->uuid));
	expect_usable_again();
}

client_test(killed_qemu_ends_the_removal)
{
	ASSERT_EQ(0, qemu_stop(&self->qemu));
	self->child = remover_start(&self->uuid);
	expect_child_waiting();
	qemu_kill(&self->qemu);
	expect_child_done();
	EXPECT_FALSE(mdev_exists(&self->uuid));
	expect_usable_again();
}

client_test(killed_qemu_leaves_nothing_behind)
{
	qemu_kill(&self->qemu);
	EXPECT_TRUE(mdev_exists(&self->uuid));
	expect_usable_again();
}

client_test(qemu_gives_the_device_back)
{
	EXPECT_EQ(0, qemu_unplug(&self->qemu));
	EXPECT_TRUE(qemu_says(&self->qemu, "asked for the card: "));
	expect_released();
	expect_usable_again();
	EXPECT_EQ(0, kmsg_count(self->log, self->uuid.text, "request"));
}

client_test(reset_machine_finds_the_device_again)
{
	EXPECT_EQ(0, qmp(&self->qemu, "{'execute': 'system_reset'}"));
	EXPECT_TRUE(qemu_says(&self->qemu, "hello\n"));
	expect_at_work();
	expect_still_at_work();
}

client_test(second_qemu_is_refused)
{
	expect_second_qemu_refused();
}

/* The parent driver's module is in use as long as a device is that stays */
client_test(module_stays_where_nothing_is_revoked)
{
	qemu_kill(&self->qemu);
	EXPECT_EQ(0, grace_set(0));
	start_qemu();
	EXPECT_EQ(-1, syscall(SYS_delete_module, CARD_PARENT, O_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
	expect_still_at_work();
	EXPECT_EQ(0, grace_set(GRACE_DEFAULT));
}

/*
 * QEMU lives. It was asked a last time, so a guest that agrees has the card
 * unplugged. Another one may wait for an interrupt that does not come any more,
 * but works with a new card once it is started anew: only then does QEMU take
 * the old one out. Without the new one, QEMU 10.0 was seen to end in an assertion
 * of its own, now and then: in resettable_container_child_foreach().
 */
#define expect_lost() do {						\
	if (variant->agrees) {						\
		expect_unplugged();					\
		break;							\
	}								\
	create();							\
	ASSERT_EQ(0, qemu_plug_as(&self->qemu, "new", DRIVER,		\
				  &self->uuid));			\
	qemu_hush(&self->qemu);						\
	EXPECT_EQ(0, qmp(&self->qemu, "{'execute': 'system_reset'}"));	\
	EXPECT_TRUE(qmp_event(&self->qemu, "DEVICE_DELETED"));		\
	EXPECT_TRUE(qemu_says(&self->qemu, "hello\n"));			\
	expect_at_work();						\
	expect_still_at_work();						\
	EXPECT_EQ(0, qemu_quit(&self->qemu));				\
	EXPECT_EQ(0, qemu_wait(&self->qemu, QEMU_MS));			\
} while (0)

client_test(running_qemu_lives_through_a_revocation)
{
	revoke_from_qemu();
	expect_lost();
	expect_usable_again();
}

client_test(stopped_qemu_lives_through_a_revocation)
{
	ASSERT_EQ(0, qemu_stop(&self->qemu));
	revoke_from_qemu();
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text,
			      LOG_REVOKED, self->qemu.comm));
	/* Somebody else can have it at once */
	create();
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	qemu_continue(&self->qemu);
	expect_lost();
	expect_usable_again();
}

TEST_HARNESS_MAIN
