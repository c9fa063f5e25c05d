// SPDX-License-Identifier: GPL-2.0-only
/*
 * The information for user space: events, the name of the holder, the module
 * parameter, and the log lines about a parent driver that omits something.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"
#include "held.h"
#include "lib.h"
#include "lib/log.h"
#include "mdev_relay.h"

#define PARENT		"mdev_relay.0"
#define TYPE		"mdev_relay-relay"
#define MISUSE		"mdev_misuse.0"
#define MISUSE_TYPE	"platform-type"

FIXTURE(answers)
{
	struct held held;
	struct vfio_user user;
};

FIXTURE_SETUP(answers)
{
	self->user = (struct vfio_user)VFIO_USER_NONE;
	if (!parent_exists(PARENT))
		SKIP(return, "no parent " PARENT);
	if (!set_up_held(_metadata, &self->held, PARENT, TYPE))
		SKIP(return, ASKS_NOBODY);
}

FIXTURE_TEARDOWN(answers)
{
	vfio_close(&self->user);
	grace_set(GRACE_DEFAULT);
	tear_down_held(_metadata, &self->held);
}

/* Returns the next event of the device, unchanged, or NULL */
static char *next_event(int events, const struct uuid *uuid, char *message,
			size_t size, size_t *len)
{
	__s64 end = now_ms() + SOON_MS;
	ssize_t ret;

	while (now_ms() < end) {
		ret = recv(events, message, size - 1, 0);
		if (ret <= 0) {
			usleep(1000);
			continue;
		}
		message[ret] = '\0';
		*len = ret;
		if (strstr(message, uuid->text))
			return message;
	}
	return NULL;
}

static bool event_has(const char *message, size_t len, const char *start)
{
	const char *part;

	for (part = message; part < message + len; part += strlen(part) + 1)
		if (!strncmp(part, start, strlen(start)))
			return true;
	return false;
}

/* A child creates devices, one after the other, while the test reads their events */
#define ROUNDS	100

static int run_creator(void *uuids)
{
	const struct uuid *uuid = uuids;
	int i, ret;

	for (i = 0; i < ROUNDS; i++) {
		ret = mdev_create(PARENT, TYPE, &uuid[i]);
		if (ret)
			return -ret;
	}
	return 0;
}

TEST_F(answers, add_event_comes_when_the_device_is_whole)
{
	static struct uuid uuids[ROUNDS];
	pid_t child;
	int i;

	for (i = 0; i < ROUNDS; i++)
		uuids[i] = uuid_new();
	child = child_start(run_creator, uuids, -1, -1);
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_TRUE(uevent_wait(self->held.events, SOON_MS, "add",
					uuids[i].text, "SUBSYSTEM=mdev"));
		EXPECT_TRUE(file_exists(mdev_path(&uuids[i],
						  "iommu_group").text));
		EXPECT_TRUE(file_exists(mdev_path(&uuids[i],
						  "mdev_type").text));
		EXPECT_TRUE(file_exists(mdev_path(&uuids[i], "driver").text));
		/* The next event says that the device is bound */
		EXPECT_TRUE(uevent_wait(self->held.events, SOON_MS, "bind",
					uuids[i].text, "SUBSYSTEM=mdev"));
	}
	EXPECT_EQ(0, child_wait(child, SOON_MS));
	for (i = 0; i < ROUNDS; i++)
		EXPECT_EQ(0, mdev_remove(&uuids[i]));
}

/* libvirt looks at SUBSYSTEM only if the event has no DEVTYPE */
TEST_F(answers, events_carry_no_type)
{
	struct uuid uuid = uuid_new();
	char message[8192];
	bool removed = false;
	int of_mdev = 0;
	size_t len;

	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &uuid));
	ASSERT_EQ(0, file_puts(mdev_path(&uuid, "request").text, "1"));
	ASSERT_EQ(0, mdev_remove(&uuid));
	while (!removed && next_event(self->held.events, &uuid, message,
				      sizeof(message), &len)) {
		if (!event_has(message, len, "SUBSYSTEM=mdev"))
			continue;
		of_mdev++;
		EXPECT_FALSE(event_has(message, len, "DEVTYPE="));
		removed = event_has(message, len, "ACTION=remove");
	}
	EXPECT_TRUE(removed);
	/* The events add, bind, unbind and remove */
	EXPECT_EQ(4, of_mdev);
}

/* Readers of events see the removal only, and never that the device became free */
TEST_F(answers, release_for_a_removal_is_no_event)
{
	char message[8192];
	bool removed = false;
	size_t len;

	start_holder(_metadata, &self->held, true);
	self->held.child = remover_start(&self->held.uuid);
	ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	ASSERT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
	while (!removed && next_event(self->held.events, &self->held.uuid,
				      message, sizeof(message), &len)) {
		EXPECT_FALSE(event_has(message, len,
				       MDEV_UEVENT_REQUEST_MET));
		removed = event_has(message, len, "ACTION=remove") &&
			  event_has(message, len, "SUBSYSTEM=mdev");
	}
	EXPECT_TRUE(removed);
}

TEST_F(answers, release_that_nobody_waits_for_is_an_event)
{
	start_holder(_metadata, &self->held, true);
	ASSERT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	ASSERT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_MET));
}

struct setter {
	int device;
	int eventfd;
};

static int run_setter(void *arg)
{
	struct setter *setter = arg;
	int ret = vfio_set_request(setter->device, setter->eventfd);

	if (ret)
		return -ret;
	pause();
	return 0;
}

/* If a helper opens the device and passes it on, the holder is the process that set the eventfd */
TEST_F(answers, holder_is_the_process_that_set_the_request_eventfd)
{
	struct setter setter = { .eventfd = eventfd_new() };
	char text[64], shown[64];
	pid_t child, remover;

	ASSERT_EQ(0, vfio_open(&self->user, &self->held.uuid));
	setter.device = self->user.device;
	snprintf(shown, sizeof(shown), "%d ", getpid());
	ASSERT_LT(0, file_read(mdev_path(&self->held.uuid, "holder").text, text,
			       sizeof(text)));
	EXPECT_EQ(0, strncmp(shown, text, strlen(shown)));

	child = child_start(run_setter, &setter, setter.device,
			    setter.eventfd);
	snprintf(shown, sizeof(shown), "%d ", child);
	EXPECT_TRUE(soon(file_read(mdev_path(&self->held.uuid, "holder").text,
				   text, sizeof(text)) > 0 &&
			 !strncmp(shown, text, strlen(shown))));
	remover = remover_start(&self->held.uuid);
	snprintf(shown, sizeof(shown), "(pid %d)", child);
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_RELAYED, shown));
	EXPECT_EQ(1, eventfd_take(setter.eventfd));

	/* The process ID may be reused soon, so it must not be reported */
	child_kill(child);
	EXPECT_TRUE(soon(file_read(mdev_path(&self->held.uuid, "holder").text,
				   text, sizeof(text)) > 0 &&
			 !strncmp("0 ", text, 2) && strstr(text, " (exited)")));
	child_kill(remover);
	self->held.child = remover_start(&self->held.uuid);
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_RELAYED, "(pid 0, exited)"));
	vfio_close(&self->user);
	EXPECT_EQ(0, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
	close(setter.eventfd);
}

/* The same as bash's job control, a debugger or the freezer */
TEST_F(answers, removal_goes_on_after_it_was_stopped)
{
	start_holder(_metadata, &self->held, true);
	self->held.child = remover_start(&self->held.uuid);
	ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	ASSERT_EQ(0, kill(self->held.child, SIGSTOP));
	ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_CANCELLED));
	ASSERT_EQ(0, kill(self->held.child, SIGCONT));
	ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	ASSERT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
}

TEST_F(answers, second_removal_names_the_holder_at_once)
{
	int log;

	start_holder(_metadata, &self->held, false);
	self->held.child = remover_start(&self->held.uuid);
	ASSERT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_BLOCKED, self->held.name));
	child_kill(self->held.child);
	log = kmsg_open();
	self->held.child = remover_start(&self->held.uuid);
	EXPECT_TRUE(kmsg_wait(log, SOON_MS, self->held.uuid.text, LOG_BLOCKED,
			      self->held.name));
	close(log);
}

static int set_revoke_after(const char *text)
{
	return file_puts(GRACE_FILE, text);
}

TEST_F(answers, time_of_the_holders_is_checked)
{
	static const char *const wrong[] = {
		"31536001", "17179870000", "4294967296", "-1", "x", "1.5",
		"18446744073709551616", "1 2",
	};
	char text[32];
	size_t i;

	EXPECT_EQ(0, set_revoke_after("31536000"));
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_GT(0, set_revoke_after(wrong[i]));
		ASSERT_LT(0, file_read(GRACE_FILE, text, sizeof(text)));
		EXPECT_STREQ("31536000", text);
	}
	EXPECT_EQ(0, set_revoke_after("0"));
}

TEST_F(answers, wait_of_many_seconds_is_none_of_one)
{
	pid_t unbinder;

	/* In jiffies at 250 Hz this is just above 2^32 */
	ASSERT_EQ(0, set_revoke_after("17179870"));
	start_holder(_metadata, &self->held, true);
	unbinder = driver_unbinder_start(&self->held.uuid);
	ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	sleep(3);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(unbinder, SOON_MS));
}

TEST_F(answers, driver_that_populates_a_mapping_is_named)
{
	void *memory;

	if (!vfio_mappings_can_be_taken())
		SKIP(return, KEEPS_MAPPINGS);
	ASSERT_EQ(0, vfio_open(&self->user, &self->held.uuid));
	memory = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED,
		      self->user.device, (off_t)MDEV_RELAY_POPULATED_REGION <<
		      MDEV_RELAY_INDEX_SHIFT);
	ASSERT_NE(MAP_FAILED, memory);
	munmap(memory, sysconf(_SC_PAGESIZE));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, "mdev_relay",
			      "maps pages without a fault handler", NULL));
}

FIXTURE(misuse)
{
	int log;
};

FIXTURE_VARIANT(misuse)
{
	const char *forgets;
	int result;
	const char *line;
};

FIXTURE_VARIANT_ADD(misuse, create) {
	.forgets = "create",
	.result = -EINVAL,
	.line = "cannot register: it has no create callback",
};

FIXTURE_VARIANT_ADD(misuse, remove) {
	.forgets = "remove",
	.result = -EINVAL,
	.line = "cannot register: it has no remove callback",
};

FIXTURE_VARIANT_ADD(misuse, types) {
	.forgets = "types",
	.result = -EINVAL,
	.line = "cannot register: it has no supported types",
};

FIXTURE_VARIANT_ADD(misuse, device_api) {
	.forgets = "device_api",
	.result = 0,
	.line = "type type has no attribute device_api",
};

FIXTURE_VARIANT_ADD(misuse, available_instances) {
	.forgets = "available_instances",
	.result = 0,
	.line = "type type has no attribute available_instances",
};

FIXTURE_VARIANT_ADD(misuse, request) {
	.forgets = "request",
	.result = 0,
	.line = "has no request callback",
};

FIXTURE_VARIANT_ADD(misuse, revoke) {
	.forgets = "revoke",
	.result = 0,
	.line = "has no revoke callback",
};

FIXTURE_VARIANT_ADD(misuse, migration_flags) {
	.forgets = "migration_flags",
	.result = -EINVAL,
	.line = "cannot register: it has no valid migration flags",
};

FIXTURE_VARIANT_ADD(misuse, migration_size) {
	.forgets = "migration_size",
	.result = -EINVAL,
	.line = "cannot register: it has no valid migration max_size",
};

FIXTURE_VARIANT_ADD(misuse, migration_large) {
	.forgets = "migration_large",
	.result = -EINVAL,
	.line = "cannot register: it has no valid migration max_size",
};

FIXTURE_VARIANT_ADD(misuse, migration_callbacks) {
	.forgets = "migration_callbacks",
	.result = -EINVAL,
	.line = "cannot register: it has no complete set of migration callbacks",
};

FIXTURE_VARIANT_ADD(misuse, migration_type) {
	.forgets = "migration_type",
	.result = -EINVAL,
	.line = "is too long for migration data",
};

FIXTURE_VARIANT_ADD(misuse, migration_nothing) {
	.forgets = "migration_nothing",
	.result = 0,
	.line = NULL,
};

FIXTURE_VARIANT_ADD(misuse, nothing) {
	.forgets = "nothing",
	.result = 0,
	.line = NULL,
};

FIXTURE_SETUP(misuse)
{
	if (!file_exists("/sys/module/mdev_misuse"))
		SKIP(return, "no module mdev_misuse");
	self->log = kmsg_open();
}

static int make_forget(const char *what)
{
	return file_puts("/sys/module/mdev_misuse/parameters/forget", what);
}

FIXTURE_TEARDOWN(misuse)
{
	EXPECT_EQ(0, make_forget("everything_back"));
	close(self->log);
}

static bool said(int log, const char *text)
{
	return kmsg_wait(log, SOON_MS, MISUSE, "parent driver mdev_misuse",
			 text);
}

TEST_F(misuse, driver_and_what_it_forgets_are_named)
{
	EXPECT_EQ(variant->result, make_forget(variant->forgets));
	if (variant->line) {
		EXPECT_TRUE(said(self->log, variant->line));
	} else {
		EXPECT_FALSE(kmsg_wait(self->log, 0, MISUSE, "parent driver",
				       NULL));
	}
	EXPECT_EQ(variant->result == 0, parent_exists(MISUSE));
}

/* Faults in a description. A parent driver describes each device that it creates */
static const struct misdescription {
	const char *what;
	int result;		/* of a create */
	const char *line;
} misdescriptions[] = {
	{ "described_nothing", 0, NULL },
	{ "described_callbacks", -EINVAL, "its driver also has a read, write" },
	{ "described_shift", -EINVAL, "no room for the regions' index" },
	{ "described_room", -EINVAL, "no room for the regions' index" },
	{ "described_size", -EINVAL, "a region is larger" },
	{ "described_page", -EINVAL, "does not end with a page" },
	{ "described_irqs", -EINVAL, "too many interrupts" },
	{ "described_flags", -EINVAL, "an interrupt has flags and is unknown" },
	{ "described_requests", -EINVAL, "more than one request interrupt" },
	{ "described_reset", -EINVAL, "it can be migrated, but has no reset" },
	{ "described_asking", 0, "without a request interrupt" },
};

static void expect_misdescription(struct __test_metadata *_metadata,
				  const struct misdescription *misdescription)
{
	struct uuid uuid = uuid_new();
	int log = kmsg_open();

	ASSERT_EQ(0, make_forget(misdescription->what));
	EXPECT_EQ(misdescription->result,
		  mdev_create(MISUSE, MISUSE_TYPE, &uuid)) {
		TH_LOG("%s", misdescription->what);
	}
	if (misdescription->line)
		EXPECT_TRUE(said(log, misdescription->line)) {
			TH_LOG("%s", misdescription->what);
		}
	if (mdev_exists(&uuid))
		EXPECT_EQ(0, mdev_remove(&uuid));
	EXPECT_EQ(0, make_forget("everything_back"));
	close(log);
}

TEST(description_that_contradicts_itself_is_refused)
{
	size_t i;

	if (!file_exists("/sys/module/mdev_misuse"))
		SKIP(return, "no module mdev_misuse");
	for (i = 0; i < ARRAY_SIZE(misdescriptions); i++)
		expect_misdescription(_metadata, &misdescriptions[i]);
}

TEST(trigger_that_was_not_initialised_is_refused)
{
	struct uuid uuid = uuid_new();
	int fd = eventfd_new(), id, log = kmsg_open();
	struct vfio_user user;

	if (!file_exists("/sys/module/mdev_misuse"))
		SKIP(return, "no module mdev_misuse");
	id = eventfd_next_id();
	ASSERT_EQ(0, make_forget("trigger"));
	ASSERT_EQ(0, mdev_create(MISUSE, MISUSE_TYPE, &uuid));
	ASSERT_EQ(0, vfio_open(&user, &uuid));
	EXPECT_EQ(-EINVAL, vfio_set_eventfd(user.device, 0, fd));
	EXPECT_TRUE(kmsg_wait(log, SOON_MS, "misuse_ioctl", "[mdev_misuse]",
			      "mdev_trigger_init"));
	vfio_close(&user);
	EXPECT_EQ(0, mdev_remove(&uuid));
	EXPECT_TRUE(eventfd_ids_back_to(id));
	EXPECT_EQ(0, make_forget("everything_back"));
	close(fd);
	close(log);
}

FIXTURE(misuse_mapping)
{
	struct uuid uuid;
	struct vfio_user user;
	size_t page;
	int log;
};

FIXTURE_VARIANT(misuse_mapping)
{
	const char *forgets;
	int shared;		/* the error of a shared mapping */
};

FIXTURE_VARIANT_ADD(misuse_mapping, pfnmap)
{
	.forgets = "pfnmap", .shared = EINVAL,
};

FIXTURE_VARIANT_ADD(misuse_mapping, nothing)
{
	.forgets = "nothing",
};

FIXTURE_SETUP(misuse_mapping)
{
	self->user = (struct vfio_user)VFIO_USER_NONE;
	self->log = -1;
	if (!file_exists("/sys/module/mdev_misuse"))
		SKIP(return, "no module mdev_misuse");
	self->page = sysconf(_SC_PAGESIZE);
	self->log = kmsg_open();
	self->uuid = uuid_new();
	ASSERT_EQ(0, make_forget(variant->forgets));
	ASSERT_EQ(0, mdev_create(MISUSE, MISUSE_TYPE, &self->uuid));
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
}

FIXTURE_TEARDOWN(misuse_mapping)
{
	vfio_close(&self->user);
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	EXPECT_EQ(0, make_forget("everything_back"));
	close(self->log);
}

/* Returns 0 or the errno */
static int misuse_map(FIXTURE_DATA(misuse_mapping) *self, int flags)
{
	void *at = mmap(NULL, self->page, PROT_READ | PROT_WRITE, flags,
			self->user.device, 0);

	if (at == MAP_FAILED)
		return errno;
	munmap(at, self->page);
	return 0;
}

/* Its pages could be used after a revocation */
TEST_F(misuse_mapping, pages_that_can_be_pinned_are_refused)
{
	EXPECT_EQ(variant->shared, misuse_map(self, MAP_SHARED));
	if (variant->shared)
		EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, "mdev_misuse",
				      "without VM_PFNMAP", "refused"));
}

/* The device has no description, so its driver does not see this either */
TEST_F(misuse_mapping, private_mapping_is_refused)
{
	EXPECT_EQ(EINVAL, misuse_map(self, MAP_PRIVATE));
}

TEST_HARNESS_MAIN
