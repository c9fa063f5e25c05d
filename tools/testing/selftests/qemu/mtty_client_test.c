// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU as the user of a serial card of mtty's: a guest passes bytes through the
 * card by interrupts, and whoever takes the card away finds that QEMU lets it
 * go, where its guest agrees, or that it doesn't. The guest is a program of our
 * own, or Linux with its own driver.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "../mtty/card.h"
#include "qemu.h"

#define DRIVER		"vfio-pci"

/* The Linux guest's, where this test's script in client-tests.toml puts them */
#define LINUX_IMAGE	"/tmp/linux/image"
#define LINUX_INITRAMFS	"/tmp/linux/initramfs"

/* It is there in less than two minutes where the machine has nothing to do */
#define LINUX_MS	(10 * QEMU_MS)
#define LINUX_STARTS	3
#define LINUX_AT_WORK	"ports that pass bytes by interrupts: "

FIXTURE(client)
{
	struct uuid uuid;
	struct qemu qemu;
	struct anchor anchor;
	const char *type;		/* the variant's, or a later card's */
	const char *at_work;
	pid_t child;
	int log;
	int eventfd_id;
};

FIXTURE_VARIANT(client)
{
	const char *type;
	const char *command_line;	/* the guest's */
	const char *at_work;		/* what it says as long as it works */
	bool agrees;			/* to an unplug */
	bool linux_guest;
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

/*
 * It agrees to an unplug, as the kernel does by itself. It starts faster without
 * what makes it safe.
 */
FIXTURE_VARIANT_ADD(client, linux_guest)
{
	.type = "mtty-2",
	.command_line = "console=ttyS0 quiet nokaslr mitigations=off cryptomgr.notests",
	.at_work = LINUX_AT_WORK "2\n",
	.agrees = true, .linux_guest = true,
};

/*
 * Returns when the guest's first process has begun. An emulated emulator is not
 * perfect: now and then the guest's kernel goes down while it patches itself.
 */
static int start_linux(struct qemu *qemu, const struct uuid *uuid,
		       const char *command_line)
{
	const char * const argv[] = {
		"/usr/bin/qemu-system-x86_64",
		"-M", "pc", "-accel", "tcg", "-m", "256",
		"-nodefaults", "-display", "none",
		"-chardev", "stdio,id=console,signal=off",
		"-serial", "chardev:console",
		"-kernel", LINUX_IMAGE, "-initrd", LINUX_INITRAMFS,
		"-append", command_line, NULL,
	};
	long long deadline;
	int i, err;

	for (i = 0; i < LINUX_STARTS; i++) {
		err = qemu_start(qemu, argv, DRIVER, uuid);
		if (!err)
			err = qemu_greet(qemu);
		if (err)
			return err;
		deadline = qemu_now_ms() + LINUX_MS;
		do {
			if (stream_find(&qemu->console, "hello\n"))
				return 0;
			if (stream_find(&qemu->console, "Kernel panic"))
				break;
		} while (stream_fill(&qemu->console, deadline));
		qemu_kill(qemu);
	}
	return -EIO;
}

static int start(struct qemu *qemu, const struct uuid *uuid,
		 const char *command_line)
{
	const char * const argv[] = {
		"/usr/bin/qemu-system-x86_64",
		"-M", "pc", "-accel", "tcg", "-m", "32",
		"-nodefaults", "-display", "none",
		"-chardev", "stdio,id=console,signal=off",
		"-device", "isa-debugcon,chardev=console,iobase=0xe9",
		"-kernel", GUEST_PROGRAM("pci_guest"), "-append", command_line,
		NULL,
	};

	return qemu_start(qemu, argv, DRIVER, uuid);
}

/* The guest has found the card, and bytes pass through it */
#define expect_at_work() do {						\
	if (variant->linux_guest) {					\
		ASSERT_TRUE(qemu_says_in(&self->qemu, LINUX_MS,		\
			    "card 0x4348 0x3253, driver serial\n"));	\
		ASSERT_TRUE(qemu_says_in(&self->qemu, LINUX_MS,		\
					 self->at_work));		\
		break;							\
	}								\
	ASSERT_TRUE(qemu_says(&self->qemu, "card in slot "));		\
	ASSERT_TRUE(qemu_says(&self->qemu,				\
			      "INTx: 64 bytes, by interrupts\n"));	\
	ASSERT_TRUE(qemu_says(&self->qemu,				\
			      "MSI: 64 bytes, by interrupts\n"));	\
	ASSERT_TRUE(qemu_says(&self->qemu, self->at_work));		\
} while (0)

/* And still do; a guest that is idle says nothing */
#define expect_still_at_work() do {					\
	if (!strcmp(self->at_work, "idle\n"))			\
		break;							\
	qemu_hush(&self->qemu);						\
	ASSERT_TRUE(qemu_says(&self->qemu, self->at_work));		\
	ASSERT_TRUE(qemu_says(&self->qemu, self->at_work));		\
} while (0)

#define start_qemu() do {						\
	if (variant->linux_guest) {					\
		ASSERT_EQ(0, start_linux(&self->qemu, &self->uuid,	\
					 variant->command_line));	\
	} else {							\
		ASSERT_EQ(0, start(&self->qemu, &self->uuid,		\
				   variant->command_line));		\
		ASSERT_EQ(0, qemu_greet(&self->qemu));			\
	}								\
	expect_at_work();						\
} while (0)

#define create() ASSERT_EQ(0, mdev_create(CARD_PARENT, self->type, &self->uuid))

FIXTURE_SETUP(client)
{
	self->child = -1;
	self->qemu.pid = -1;
	self->type = variant->type;
	self->at_work = variant->at_work;
	self->anchor = (struct anchor)ANCHOR_NONE;
	if (!file_exists(QEMU_ROOT))
		SKIP(return, "no QEMU in this guest");
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
	child_kill(self->child);
	qemu_kill(&self->qemu);
	EXPECT_EQ(0, anchor_raise(&self->anchor));
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	close(self->log);
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

#define client_test(name)						\
	TEST_F_TIMEOUT(client, name, 3 * QEMU_TEST_S)

static int run_unbind(void *arg)
{
	const struct uuid *uuid = arg;

	return -file_puts("/sys/bus/mdev/drivers/vfio_mdev/unbind", uuid->text);
}

/* Linux does what it is asked for, and says nothing */
#define expect_guest_asked() do {					\
	if (!variant->linux_guest)					\
		EXPECT_TRUE(qemu_says(&self->qemu,			\
				      "asked for the card: "));		\
} while (0)

#define expect_asked() do {						\
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text,	\
			      RELAYED " (#1)", self->qemu.comm));	\
	expect_guest_asked();						\
} while (0)

/* QEMU has closed the device, and its guest has seen it go */
#define expect_unplugged() do {						\
	EXPECT_TRUE(qmp_event(&self->qemu, "DEVICE_DELETED"));		\
	EXPECT_TRUE(qemu_says(&self->qemu, "the card is gone\n"));	\
	/*								\
	 * A slow guest was asked twice. It is through with that when	\
	 * it has said this; before, it would eject the next card.	\
	 */								\
	if (variant->linux_guest) {					\
		EXPECT_TRUE(qemu_says(&self->qemu, "no card\n"));	\
		EXPECT_TRUE(qemu_says(&self->qemu, "no card\n"));	\
	}								\
} while (0)

#define expect_child_done() do {					\
	EXPECT_EQ(0, child_wait(self->child, QEMU_MS));			\
	self->child = -1;						\
} while (0)

#define expect_child_waiting() do {					\
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, 1000));		\
	EXPECT_TRUE(mdev_exists(&self->uuid));				\
} while (0)

#define interrupt_child() do {						\
	kill(self->child, SIGINT);					\
	EXPECT_EQ(128 + SIGINT, child_wait(self->child, SOON_MS));	\
	self->child = -1;						\
	EXPECT_TRUE(mdev_exists(&self->uuid));				\
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
	self->child = child_start(run_unbind, &self->uuid, -1, -1);
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
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text,
			      RELAYED " (#1)", self->qemu.comm));
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
	expect_guest_asked();
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

/* The first one is not disturbed */
client_test(second_qemu_is_refused)
{
	struct qemu *second = malloc(sizeof(*second));

	ASSERT_NE(NULL, second);
	EXPECT_EQ(0, start(second, &self->uuid, ""));
	EXPECT_TRUE(qemu_says(second, "busy"));
	EXPECT_EQ(1, qemu_wait(second, QEMU_MS));
	free(second);
	expect_still_at_work();
}

/* The parent driver's module is in use as long as a device is that stays */
client_test(module_stays_where_nothing_is_revoked)
{
	qemu_kill(&self->qemu);
	EXPECT_EQ(0, file_puts(REVOKE_AFTER, "0"));
	start_qemu();
	EXPECT_EQ(-1, syscall(SYS_delete_module, CARD_PARENT, O_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
	expect_still_at_work();
	EXPECT_EQ(0, file_puts(REVOKE_AFTER, "60"));
}

/* A QEMU that runs may have let go when it is asked for the last time */
#define revoke_from_qemu() do {						\
	EXPECT_EQ(0, file_puts(mdev_path(&self->uuid, "revoke").text,	\
			       "1"));					\
	EXPECT_FALSE(mdev_exists(&self->uuid));				\
} while (0)

/*
 * QEMU lives. It was asked a last time, so a guest that agrees has the card
 * unplugged; another one may wait for an interrupt that does not come any more,
 * but can be started anew.
 */
#define expect_lost() do {						\
	if (variant->agrees) {						\
		expect_unplugged();					\
		break;							\
	}								\
	qemu_hush(&self->qemu);						\
	EXPECT_EQ(0, qmp(&self->qemu, "{'execute': 'system_reset'}"));	\
	EXPECT_TRUE(qemu_says(&self->qemu, "hello\n"));			\
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
			      REVOKED, self->qemu.comm));
	/* Somebody else can have it at once */
	create();
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	qemu_continue(&self->qemu);
	expect_lost();
	expect_usable_again();
}

/* The same QEMU, and the same start of its guest: it takes each card anew */
client_test(guest_sees_card_after_card_come_and_go)
{
	if (!variant->agrees)
		SKIP(return, "this guest does not let its first card go");
	self->child = remover_start(&self->uuid);
	expect_asked();
	expect_unplugged();
	expect_child_done();
	EXPECT_FALSE(mdev_exists(&self->uuid));

	/* The driver has to see that one of its ports isn't there */
	self->type = "mtty-1";
	if (variant->linux_guest)
		self->at_work = LINUX_AT_WORK "1\n";
	expect_usable_again();

	revoke_from_qemu();
	expect_lost();
	self->type = variant->type;
	self->at_work = variant->at_work;
	expect_usable_again();

	ASSERT_EQ(0, qemu_stop(&self->qemu));
	revoke_from_qemu();
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text,
			      REVOKED, self->qemu.comm));
	qemu_continue(&self->qemu);
	expect_lost();
	expect_usable_again();
}

TEST_HARNESS_MAIN
