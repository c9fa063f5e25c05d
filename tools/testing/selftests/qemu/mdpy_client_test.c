// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU as the user of a display of the kernel's sample mdpy, whose driver knows
 * nothing of requests: QEMU finds the interrupt that the framework adds, is
 * asked through it, and lets the display go if its guest agrees.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "pci_client.h"

#define PARENT		"mdpy"
#define TYPE		"mdpy-vga"
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
	bool agrees;			/* to an unplug */
};

FIXTURE_VARIANT_ADD(client, agreeing)
{
	.command_line = "display eject", .agrees = true,
};

/* As without an operating system */
FIXTURE_VARIANT_ADD(client, refusing)
{
	.command_line = "display",
};

#define expect_at_work() do {						\
	ASSERT_TRUE(qemu_says(&self->qemu, "card in slot "));		\
	ASSERT_TRUE(qemu_says(&self->qemu,				\
			      "640x480 pixels, 1000 painted\n"));	\
	ASSERT_TRUE(qemu_says(&self->qemu, "idle\n"));			\
} while (0)

#define create() ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid))

FIXTURE_SETUP(client)
{
	set_up_client();
	self->eventfd_id = eventfd_next_id();
	self->uuid = uuid_new();
	create();
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
	start_qemu();
}

FIXTURE_TEARDOWN(client)
{
	tear_down_client();
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	close(self->log);
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

#define expect_unplugged() do {						\
	EXPECT_TRUE(qmp_event(&self->qemu, "DEVICE_DELETED"));		\
	EXPECT_TRUE(qemu_says(&self->qemu, "the card is gone\n"));	\
} while (0)

client_test(removal_has_qemu_let_go)
{
	self->child = remover_start(&self->uuid);
	expect_relayed();
	EXPECT_TRUE(qemu_says(&self->qemu, "asked for the card: "));
	if (variant->agrees) {
		expect_unplugged();
	} else {
		expect_child_waiting();
		interrupt_child();
		self->child = remover_start(&self->uuid);
		expect_child_waiting();
		EXPECT_EQ(0, qemu_quit(&self->qemu));
		EXPECT_EQ(0, qemu_wait(&self->qemu, QEMU_MS));
	}
	expect_child_done();
	EXPECT_FALSE(mdev_exists(&self->uuid));
	if (!variant->agrees)
		return;
	create();
	ASSERT_EQ(0, qemu_plug(&self->qemu, DRIVER, &self->uuid));
	expect_at_work();
}

client_test(request_has_qemu_let_go)
{
	EXPECT_EQ(0, file_puts(mdev_path(&self->uuid, "request").text, "1"));
	expect_relayed();
	EXPECT_TRUE(qemu_says(&self->qemu, "asked for the card: "));
	if (variant->agrees)
		expect_unplugged();
	EXPECT_TRUE(mdev_exists(&self->uuid));
}

client_test(stopped_qemu_is_waited_for)
{
	EXPECT_EQ(-EOPNOTSUPP, mdev_revoke(&self->uuid));
	ASSERT_EQ(0, qemu_stop(&self->qemu));
	self->child = remover_start(&self->uuid);
	expect_relayed();
	expect_child_waiting();
	qemu_kill(&self->qemu);
	expect_child_done();
	EXPECT_FALSE(mdev_exists(&self->uuid));
}

TEST_HARNESS_MAIN
