// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU holds a serial card of mtty, with Linux as its guest. The kernel's own
 * driver binds the card, passes bytes through it, and releases it. The guest's
 * first process is guests/linux_guest.sh.
 */
#include <errno.h>
#include <string.h>

#include "kselftest_harness.h"
#include "../mtty/card.h"
#include "qemu.h"

#define DRIVER		"vfio-pci"

/* This test's script in clients/tests.toml makes these files */
#define IMAGE		"/tmp/linux/image"
#define INITRAMFS	"/tmp/linux/initramfs"

/* On an idle machine the guest is up within a minute */
#define LINUX_MS	(5 * QEMU_MS)
#define STARTS		3

/* Options that make the guest start faster */
#define COMMAND_LINE	"console=ttyS0 quiet nokaslr mitigations=off cryptomgr.notests"

FIXTURE(guest)
{
	struct uuid uuid;
	struct qemu qemu;
	struct anchor anchor;
	int log;
	int eventfd_id;
};

#define PORTS(number)	"ports that pass bytes by interrupts: " #number "\n"

/*
 * Returns when bytes pass through both ports. An emulator in an emulator is not
 * reliable: now and then the guest's kernel crashes, most often while it
 * patches its code at the start.
 */
static int start(struct qemu *qemu, const struct uuid *uuid)
{
	const char * const argv[] = {
		"/usr/bin/qemu-system-x86_64",
		"-M", "pc", "-accel", "tcg", "-m", "256",
		"-nodefaults", "-display", "none",
		"-chardev", "stdio,id=console,signal=off",
		"-serial", "chardev:console",
		"-kernel", IMAGE, "-initrd", INITRAMFS,
		"-append", COMMAND_LINE, NULL,
	};
	__s64 deadline;
	int i, err;

	for (i = 0; i < STARTS; i++) {
		err = qemu_start(qemu, argv, DRIVER, uuid);
		if (!err)
			err = qemu_greet(qemu);
		if (err)
			return err;
		deadline = now_ms() + LINUX_MS;
		do {
			if (stream_find(&qemu->console, PORTS(2)))
				return 0;
			if (stream_find(&qemu->console, "Oops: ") ||
			    stream_find(&qemu->console, "Kernel panic"))
				break;
		} while (qemu_listen(qemu, deadline));
		qemu_kill(qemu);
	}
	return -EIO;
}

/*
 * The card's driver has bound it, has found all its ports, and gets interrupts:
 * the guest prints @ports
 */
static void expect_at_work(struct __test_metadata *_metadata, struct qemu *qemu,
			   const char *ports)
{
	ASSERT_TRUE(qemu_says_in(qemu, LINUX_MS,
				 "card 0x4348 0x3253, driver serial\n"));
	ASSERT_TRUE(qemu_says_in(qemu, LINUX_MS, ports));
}

/* The guest's kernel has released the card, and QEMU has closed the device. */
static void expect_unplugged(struct __test_metadata *_metadata,
			     struct qemu *qemu)
{
	EXPECT_TRUE(qmp_event(qemu, "DEVICE_DELETED"));
	EXPECT_TRUE(qemu_says(qemu, "no card\n"));
	EXPECT_TRUE(qemu_says(qemu, "no card\n"));
}

/* Plugs a new card into the guest that had the last one */
static void plug(struct __test_metadata *_metadata, FIXTURE_DATA(guest) *self,
		 const char *type)
{
	ASSERT_FALSE(mdev_exists(&self->uuid));
	ASSERT_EQ(0, mdev_create(CARD_PARENT, type, &self->uuid));
	ASSERT_EQ(0, qemu_plug(&self->qemu, DRIVER, &self->uuid));
}

FIXTURE_SETUP(guest)
{
	self->qemu.pid = -1;
	self->anchor = (struct anchor)ANCHOR_NONE;
	self->eventfd_id = eventfd_next_id();
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(CARD_PARENT, "mtty-2", &self->uuid));
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(guest)
{
	qemu_kill(&self->qemu);
	EXPECT_EQ(0, anchor_raise(&self->anchor));
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	close(self->log);
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

/* All steps use one start of the guest, which takes longer than all of them */
TEST_F_TIMEOUT(guest, sees_card_after_card_come_and_go, 2 * QEMU_TEST_S)
{
	pid_t remover;

	/* Not in the set-up: a failed set-up is not torn down */
	ASSERT_EQ(0, start(&self->qemu, &self->uuid));
	ASSERT_EQ(0, anchor_set(&self->anchor, &self->qemu, CARD_PARENT,
				"mtty-1"));
	expect_at_work(_metadata, &self->qemu, PORTS(2));

	/*
	 * Ask once. A removal would repeat the request while the guest is slow.
	 * A repeated request would also make the guest give away the next card,
	 * which has the same slot.
	 */
	EXPECT_EQ(0, file_puts(mdev_path(&self->uuid, "request").text, "1"));
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text,
			      LOG_RELAYED " (#1)", self->qemu.comm));
	expect_unplugged(_metadata, &self->qemu);
	EXPECT_EQ(0, mdev_remove(&self->uuid));

	/* The driver must notice that this card has only one port */
	plug(_metadata, self, "mtty-1");
	expect_at_work(_metadata, &self->qemu, PORTS(1));

	/* A running QEMU is asked a last time, and may release the device */
	EXPECT_EQ(0, mdev_revoke(&self->uuid));
	expect_unplugged(_metadata, &self->qemu);
	plug(_metadata, self, "mtty-2");
	expect_at_work(_metadata, &self->qemu, PORTS(2));

	ASSERT_EQ(0, qemu_stop(&self->qemu));
	EXPECT_EQ(0, mdev_revoke(&self->uuid));
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text, LOG_REVOKED,
			      self->qemu.comm));
	qemu_continue(&self->qemu);
	expect_unplugged(_metadata, &self->qemu);
	plug(_metadata, self, "mtty-2");
	expect_at_work(_metadata, &self->qemu, PORTS(2));

	remover = remover_start(&self->uuid);
	expect_unplugged(_metadata, &self->qemu);
	EXPECT_EQ(0, child_wait(remover, QEMU_MS));
}

TEST_HARNESS_MAIN
