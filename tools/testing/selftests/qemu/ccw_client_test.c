// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU holds a subchannel, and a guest of our own works with the device behind
 * it. QEMU releases the device when it is removed, unbound or pulled.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "../vfio_ccw/fixture.h"
#include "qemu.h"

#define DRIVER		"vfio-ccw"

/* The names of the devices, and the host's commands to pull and plug them */
#define RNG		"0.0.1234"
#define RNG_PULL	"device_del id=rng0"
#define RNG_PLUG	"device_add driver=virtio-rng-ccw id=rng0 devno=fe.0.1234"
#define TERMINAL	"0.0.000a"

FIXTURE(client)
{
	struct client client;
	struct ccw ccw;
	int events;
	bool operated;
};

FIXTURE_VARIANT(client)
{
	const char *device;
	const char *pull;
	const char *plug;
	const char *command_line;	/* of the guest */
	const char *at_work;		/* what the guest prints while it works */
};

FIXTURE_VARIANT_ADD(client, rng_idle)
{
	.device = RNG, .pull = RNG_PULL, .plug = RNG_PLUG,
	.command_line = "", .at_work = "idle\n",
};

FIXTURE_VARIANT_ADD(client, rng_io)
{
	.device = RNG, .pull = RNG_PULL, .plug = RNG_PLUG,
	.command_line = "io", .at_work = "programs ",
};

FIXTURE_VARIANT_ADD(client, terminal)
{
	.device = TERMINAL, .command_line = "", .at_work = "screen written\n",
};

static int start(struct qemu *qemu, const struct uuid *uuid,
		 const char *command_line)
{
	const char * const argv[] = {
		"/usr/bin/qemu-system-s390x",
		"-M", "s390-ccw-virtio", "-accel", "tcg", "-m", "32",
		"-nodefaults", "-display", "none",
		"-chardev", "stdio,id=console,signal=off",
		"-device", "sclpconsole,chardev=console",
		"-kernel", GUEST_PROGRAM("ccw_guest"), "-append", command_line,
		NULL,
	};

	return qemu_start(qemu, argv, DRIVER, uuid);
}

static bool has_operator(const char *device)
{
	return !strcmp(device, TERMINAL);
}

/* Disconnects the terminal's operator, a tn3270 client on the host */
static int operator_leave(void)
{
	return host_ask("s3270 Disconnect()", NULL, 0);
}

/* Connects the operator. Returns when there is a screen: the guest must run */
static int operator_come(void)
{
	char answer[4096], command[128];
	const char *port;
	int err;

	err = host_ask("query-chardev", answer, sizeof(answer));
	if (err)
		return err;
	port = strstr(answer, "tcp:127.0.0.1:");
	if (!port)
		return -ENOENT;
	snprintf(command, sizeof(command), "s3270 Connect(127.0.0.1:%d)",
		 atoi(port + strlen("tcp:127.0.0.1:")));
	return host_ask(command, NULL, 0);
}

/* The guest has found the device, and works with it */
static void expect_at_work(struct __test_metadata *_metadata,
			   FIXTURE_DATA(client) *self,
			   const FIXTURE_VARIANT(client) *variant)
{
	struct qemu *qemu = &self->client.qemu;

	ASSERT_TRUE(qemu_says(qemu, " enabled\n"));
	ASSERT_TRUE(qemu_says(qemu, "SENSE ID ff 3"));
	if (has_operator(variant->device) && !self->operated) {
		ASSERT_TRUE(qemu_says(qemu, "no operator yet\n"));
		ASSERT_EQ(0, operator_come());
		self->operated = true;
	}
	ASSERT_TRUE(qemu_says(qemu, variant->at_work));
}

FIXTURE_SETUP(client)
{
	self->events = -1;
	if (!file_exists(QEMU_FILES))
		SKIP(return, NO_QEMU);
	set_up_client(&self->client, &self->ccw.uuid, variant->command_line);
	self->client.start = start;
	self->client.at_work = variant->at_work;
	ASSERT_EQ(0, ccw_grab(&self->ccw, variant->device));
	if (self->ccw.kernels_own) {
		ccw_release(&self->ccw);
		SKIP(return, "the kernel's own mdev does not name the holder");
	}
	self->client.log = kmsg_open();
	self->events = uevent_open();
	ASSERT_LE(0, self->events);
	if (has_operator(variant->device))
		ASSERT_EQ(0, operator_leave());
	start_qemu(_metadata, &self->client);
	expect_at_work(_metadata, self, variant);
	ASSERT_EQ(0, anchor_set(&self->client.anchor, &self->client.qemu,
				"mdev_relay.0", "mdev_relay-relay"));
}

FIXTURE_TEARDOWN(client)
{
	if (!self->ccw.memory)
		return;
	tear_down_client(_metadata, &self->client);
	close(self->events);
	close(self->client.log);
	ccw_tear_down(_metadata, &self->ccw);
}

/* QEMU has closed the device, and its guest has noticed that */
static void expect_unplugged(struct __test_metadata *_metadata,
			     struct qemu *qemu)
{
	EXPECT_TRUE(qmp_event(qemu, "DEVICE_DELETED"));
	EXPECT_TRUE(qemu_says(qemu, "the device is gone\n"));
	EXPECT_TRUE(qemu_says(qemu, "no device\n"));
}

/* The same guest can use a device again */
static void expect_usable_again(struct __test_metadata *_metadata,
				FIXTURE_DATA(client) *self,
				const FIXTURE_VARIANT(client) *variant)
{
	if (!mdev_exists(&self->ccw.uuid))
		ASSERT_EQ(0, ccw_create(&self->ccw));
	ASSERT_EQ(0, qemu_plug(&self->client.qemu, DRIVER, &self->ccw.uuid));
	expect_at_work(_metadata, self, variant);
	expect_still_at_work(_metadata, &self->client);
}

/* Another QEMU can use a device */
static void expect_startable_again(struct __test_metadata *_metadata,
				   FIXTURE_DATA(client) *self,
				   const FIXTURE_VARIANT(client) *variant)
{
	if (!mdev_exists(&self->ccw.uuid))
		ASSERT_EQ(0, ccw_create(&self->ccw));
	start_qemu(_metadata, &self->client);
	expect_at_work(_metadata, self, variant);
	expect_still_at_work(_metadata, &self->client);
}

client_test(removal_has_qemu_unplug)
{
	self->client.child = remover_start(&self->ccw.uuid);
	expect_relayed(_metadata, &self->client);
	expect_unplugged(_metadata, &self->client.qemu);
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
	expect_usable_again(_metadata, self, variant);
}

client_test(unbinding_has_qemu_unplug)
{
	self->client.child = sch_unbinder_start(self->ccw.sch);
	expect_relayed(_metadata, &self->client);
	expect_unplugged(_metadata, &self->client.qemu);
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(parent_exists(self->ccw.sch));
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "vfio_ccw"));
	expect_usable_again(_metadata, self, variant);
}

client_test(request_has_qemu_unplug)
{
	EXPECT_EQ(0, file_puts(mdev_path(&self->ccw.uuid, "request").text,
			       "1"));
	expect_relayed(_metadata, &self->client);
	expect_unplugged(_metadata, &self->client.qemu);
	EXPECT_TRUE(mdev_exists(&self->ccw.uuid));
	expect_usable_again(_metadata, self, variant);
}

client_test(stopped_qemu_is_named_and_waited_for)
{
	ASSERT_EQ(0, qemu_stop(&self->client.qemu));
	self->client.child = remover_start(&self->ccw.uuid);
	expect_relayed(_metadata, &self->client);
	expect_child_waiting(_metadata, &self->client);
	interrupt_child(_metadata, &self->client);

	self->client.child = remover_start(&self->ccw.uuid);
	expect_child_waiting(_metadata, &self->client);
	qemu_continue(&self->client.qemu);
	expect_unplugged(_metadata, &self->client.qemu);
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
	expect_usable_again(_metadata, self, variant);
}

/*
 * The removal is given up, but QEMU has seen the request and releases the
 * device
 */
client_test(stopped_qemu_lets_go_later)
{
	ASSERT_EQ(0, qemu_stop(&self->client.qemu));
	self->client.child = remover_start(&self->ccw.uuid);
	expect_relayed(_metadata, &self->client);
	interrupt_child(_metadata, &self->client);
	qemu_continue(&self->client.qemu);
	expect_unplugged(_metadata, &self->client.qemu);
	EXPECT_TRUE(mdev_exists(&self->ccw.uuid));
	expect_usable_again(_metadata, self, variant);
}

client_test(killed_qemu_ends_the_removal)
{
	ASSERT_EQ(0, qemu_stop(&self->client.qemu));
	self->client.child = remover_start(&self->ccw.uuid);
	expect_relayed(_metadata, &self->client);
	expect_child_waiting(_metadata, &self->client);
	qemu_kill(&self->client.qemu);
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
	expect_startable_again(_metadata, self, variant);
}

client_test(killed_qemu_leaves_nothing_behind)
{
	qemu_kill(&self->client.qemu);
	EXPECT_EQ(self->ccw.pinned, pages_pinned());
	EXPECT_TRUE(mdev_exists(&self->ccw.uuid));
	expect_startable_again(_metadata, self, variant);
}

client_test(qemu_gives_the_device_back)
{
	EXPECT_EQ(0, qemu_unplug(&self->client.qemu));
	expect_unplugged(_metadata, &self->client.qemu);
	expect_usable_again(_metadata, self, variant);
	EXPECT_EQ(0, qemu_quit(&self->client.qemu));
	EXPECT_EQ(0, qemu_wait(&self->client.qemu, QEMU_MS));
	EXPECT_EQ(0, kmsg_count(self->client.log, self->ccw.uuid.text,
				"request"));
	expect_startable_again(_metadata, self, variant);
}

client_test(reset_machine_finds_the_device_again)
{
	int i;

	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, qmp(&self->client.qemu,
				 "{'execute': 'system_reset'}"));
		EXPECT_TRUE(qemu_says(&self->client.qemu, "hello\n"));
		expect_at_work(_metadata, self, variant);
		expect_still_at_work(_metadata, &self->client);
	}
}

/* The guest's processors are stopped, QEMU is not */
client_test(paused_machine_has_qemu_unplug)
{
	EXPECT_EQ(0, qmp(&self->client.qemu, "{'execute': 'stop'}"));
	self->client.child = remover_start(&self->ccw.uuid);
	expect_relayed(_metadata, &self->client);
	EXPECT_TRUE(qmp_event(&self->client.qemu, "DEVICE_DELETED"));
	expect_child_done(_metadata, &self->client);
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
	EXPECT_EQ(0, qmp(&self->client.qemu, "{'execute': 'cont'}"));
	EXPECT_TRUE(qemu_says(&self->client.qemu, "the device is gone\n"));
	expect_usable_again(_metadata, self, variant);
}

client_test(second_qemu_is_refused)
{
	expect_second_qemu_refused(_metadata, &self->client);
}

client_test(pulled_device_has_qemu_unplug)
{
	if (!variant->pull)
		SKIP(return, "QEMU cannot unplug this device");
	ASSERT_EQ(0, host_ask(variant->pull, NULL, 0));
	expect_relayed(_metadata, &self->client);
	expect_unplugged(_metadata, &self->client.qemu);
	while (file_exists(css_path(self->ccw.sch, "").text) &&
	       uevent_wait(self->events, SOON_MS, "remove", self->ccw.sch,
			   "SUBSYSTEM=css"))
		;
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
	EXPECT_FALSE(parent_exists(self->ccw.sch));

	ASSERT_EQ(0, host_ask(variant->plug, NULL, 0));
	while (!file_exists(ccw_path(variant->device, "online").text) &&
	       uevent_wait(self->events, SOON_MS, "add", variant->device, NULL))
		;
	ASSERT_EQ(0, ccw_settle(variant->device));
	ASSERT_EQ(0, ccw_find(&self->ccw, variant->device));
	ASSERT_EQ(0, ccw_bind(&self->ccw));
	expect_usable_again(_metadata, self, variant);
}

/* QEMU is asked a last time before a revocation, and unplugs the dead device */
client_test(running_qemu_lives_through_a_revocation)
{
	revoke_from_qemu(_metadata, &self->client);
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
	expect_unplugged(_metadata, &self->client.qemu);
	expect_usable_again(_metadata, self, variant);
}

client_test(stopped_qemu_lives_through_a_revocation)
{
	ASSERT_EQ(0, qemu_stop(&self->client.qemu));
	revoke_from_qemu(_metadata, &self->client);
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
	EXPECT_TRUE(kmsg_wait(self->client.log, SOON_MS, self->ccw.uuid.text,
			      LOG_REVOKED, self->client.qemu.comm));
	/* Another holder can have a new device at once */
	ASSERT_EQ(0, ccw_create(&self->ccw));
	ASSERT_EQ(0, ccw_open(&self->ccw));
	ccw_close(&self->ccw);
	EXPECT_EQ(0, ccw_remove(&self->ccw));
	qemu_continue(&self->client.qemu);
	expect_unplugged(_metadata, &self->client.qemu);
	expect_usable_again(_metadata, self, variant);
}

client_test(stopped_qemu_does_not_hold_up_an_unbind)
{
	ASSERT_EQ(0, qemu_stop(&self->client.qemu));
	EXPECT_EQ(0, grace_set(1));
	EXPECT_EQ(0, sch_unbind(self->ccw.sch));
	EXPECT_EQ(0, grace_set(GRACE_DEFAULT));
	EXPECT_FALSE(parent_exists(self->ccw.sch));
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "vfio_ccw"));
	qemu_continue(&self->client.qemu);
	expect_unplugged(_metadata, &self->client.qemu);
	expect_usable_again(_metadata, self, variant);
}

/* Returns whether the operator's screen shows @text */
static bool screen_shows(const char *text)
{
	char answer[4096];
	int i;

	/* The host sends no event when the screen changes */
	for (i = 0; i < SOON_MS / 100; i++) {
		if (host_ask("s3270 Ascii(0,0,4,79)", answer, sizeof(answer)))
			return false;
		if (strstr(answer, text))
			return true;
		usleep(100000);
	}
	printf("the screen: %s\n", answer);
	return false;
}

static void expect_conversation(struct __test_metadata *_metadata,
				struct qemu *qemu, const char *text)
{
	char command[64], typed[64];

	snprintf(command, sizeof(command), "s3270 String(\"%s\")", text);
	snprintf(typed, sizeof(typed), "key 7d typed \"%s\"\n", text);
	EXPECT_TRUE(screen_shows("Hello from the guest"));
	EXPECT_EQ(0, host_ask(command, NULL, 0));
	EXPECT_EQ(0, host_ask("s3270 Enter()", NULL, 0));
	ASSERT_TRUE(qemu_says(qemu, typed));
	ASSERT_TRUE(qemu_says(qemu, "screen written\n"));
	EXPECT_TRUE(screen_shows(text));
}

client_test(operator_talks_to_the_guest)
{
	if (!has_operator(variant->device))
		SKIP(return, "no operator at this device");
	expect_conversation(_metadata, &self->client.qemu, "hello there");
	expect_conversation(_metadata, &self->client.qemu, "and again 42");

	self->client.child = remover_start(&self->ccw.uuid);
	expect_relayed(_metadata, &self->client);
	expect_unplugged(_metadata, &self->client.qemu);
	expect_child_done(_metadata, &self->client);
	expect_usable_again(_metadata, self, variant);
	expect_conversation(_metadata, &self->client.qemu,
			    "with another device");
}

TEST_HARNESS_MAIN
