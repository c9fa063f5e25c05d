// SPDX-License-Identifier: GPL-2.0-only
/*
 * Revocation: a write to "revoke" takes a mediated device from a holder that
 * does not release it. revoke_parent_test.c has the revocations when a parent
 * goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "call.h"
#include "held.h"
#include "lib.h"
#include "lib/log.h"
#include "mdev_relay.h"

#define RELAY_TYPE	"mdev_relay-relay"
#define PAGES		16
#define IOVA		0x100000ULL

#define TRACING		"/sys/kernel/tracing/"

static int revoke_write(const struct uuid *uuid, const char *text)
{
	return file_puts(mdev_path(uuid, "revoke").text, text);
}

/* A device that a process holds */
FIXTURE(held)
{
	struct held held;
	long users; /* references to mdev.ko */
};

FIXTURE_VARIANT(held)
{
	const char *parent;
	const char *type;
};

FIXTURE_VARIANT_ADD(held, mtty)
{
	.parent = "mtty", .type = "mtty-1",
};

FIXTURE_VARIANT_ADD(held, relay)
{
	.parent = "mdev_relay.0", .type = "mdev_relay-limited",
};

FIXTURE_SETUP(held)
{
	self->users = module_users("mdev");
	if (!parent_exists(variant->parent))
		SKIP(return, "no parent %s", variant->parent);
	if (!set_up_held(_metadata, &self->held, variant->parent,
			 variant->type))
		SKIP(return, ASKS_NOBODY);
}

FIXTURE_TEARDOWN(held)
{
	tear_down_held(_metadata, &self->held);
	EXPECT_TRUE(mdev_users_become(self->users));
}

/* Revokes in a child, so that a revocation that hangs does not block the test */
static int revoke_in_child(const struct uuid *uuid)
{
	return child_wait(revoker_start(uuid), SOON_MS);
}

static void expect_revoked(struct __test_metadata *_metadata,
			   const struct uuid *uuid)
{
	EXPECT_EQ(0, revoke_in_child(uuid));
	EXPECT_FALSE(mdev_exists(uuid));
}

static bool said(int log, const struct uuid *uuid, const char *line)
{
	return kmsg_wait(log, SOON_MS, uuid->text, line, NULL);
}

/* Does the log name the holder from which the device was revoked? */
static bool said_revoked(const struct held *held)
{
	char line[160];

	snprintf(line, sizeof(line), LOG_REVOKED "%s" LOG_STAYS, held->name);
	return said(held->log, &held->uuid, line);
}

TEST_F(held, attribute_is_for_root)
{
	pid_t pid;

	EXPECT_EQ(0200, file_mode(mdev_path(&self->held.uuid, "revoke").text));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (setuid(65534))
			_exit(1);
		_exit(-mdev_revoke(&self->held.uuid));
	}
	EXPECT_EQ(EACCES, child_wait(pid, SOON_MS));
	EXPECT_TRUE(mdev_exists(&self->held.uuid));
}

TEST_F(held, attribute_takes_a_number)
{
	static const char * const bad[] = {
		"2", "-1", "+1", "x", "1x", "1 ", " 1", "1\n\n", "\n", "10",
		"0x", "yes", "4294967297", "18446744073709551617",
	};
	size_t i;

	start_holder(_metadata, &self->held, true);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, revoke_write(&self->held.uuid, bad[i])) {
			TH_LOG("\"%s\"", bad[i]);
		}
	}
	EXPECT_EQ(-EINVAL, file_write(mdev_path(&self->held.uuid,
						"revoke").text, "1\0", 2));
	EXPECT_EQ(0, revoke_write(&self->held.uuid, "0"));
	EXPECT_EQ(0, revoke_write(&self->held.uuid, "0\n"));
	/* None of these writes had an effect */
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_EQ(0, eventfd_take(self->held.holder.eventfd));
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request"));
	EXPECT_EQ(0, revoke_write(&self->held.uuid, "0x01\n"));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
}

TEST_F(held, device_that_is_not_in_use_is_removed)
{
	long available = instances(variant->parent, variant->type);

	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
	EXPECT_EQ(available + 1, instances(variant->parent, variant->type));
	EXPECT_FALSE(kmsg_wait(self->held.log, 100, self->held.uuid.text,
			       LOG_REVOKED, NULL));
	EXPECT_EQ(-ENOENT, mdev_revoke(&self->held.uuid));
}

TEST_F(held, device_that_was_released_is_removed)
{
	start_holder(_metadata, &self->held, true);
	ASSERT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
	EXPECT_EQ(0, eventfd_take(self->held.holder.eventfd));
	EXPECT_FALSE(kmsg_wait(self->held.log, 100, self->held.uuid.text,
			       LOG_REVOKED, NULL));
}

TEST_F(held, group_that_is_open_is_no_use)
{
	start_holder(_metadata, &self->held, true);
	ASSERT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE_DEVICE));
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
	EXPECT_GT(0, holder_order(&self->held.holder, HOLDER_OPEN_AGAIN));
	EXPECT_FALSE(kmsg_wait(self->held.log, 100, self->held.uuid.text,
			       LOG_REVOKED, NULL));
}

TEST_F(held, device_is_taken_from_its_user)
{
	long available = instances(variant->parent, variant->type);

	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
	EXPECT_EQ(available + 1, instances(variant->parent, variant->type));
	EXPECT_EQ(-ENODEV, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_TRUE(said_revoked(&self->held));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_REVOKED));
	EXPECT_TRUE(uevent_wait(self->held.events, SOON_MS, "remove",
				self->held.uuid.text, NULL));
	EXPECT_FALSE(kmsg_wait(self->held.log, 0, self->held.uuid.text,
			       LOG_CLOSED, NULL));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_TRUE(said(self->held.log, &self->held.uuid, LOG_CLOSED));
}

TEST_F(held, user_that_is_stopped_is_not_waited_for)
{
	start_holder(_metadata, &self->held, true);
	ASSERT_EQ(0, kill(self->held.holder.pid, SIGSTOP));
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
	EXPECT_TRUE(said_revoked(&self->held));
	ASSERT_EQ(0, kill(self->held.holder.pid, SIGCONT));
	EXPECT_EQ(-ENODEV, holder_order(&self->held.holder, HOLDER_USE));
}

/* The first signal asks again, the second one comes at the end */
TEST_F(held, user_is_told_a_last_time)
{
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_EQ(2, eventfd_take(self->held.holder.eventfd));
	EXPECT_FALSE(eventfd_wait(self->held.holder.eventfd, 100));
}

TEST_F(held, user_without_eventfd_is_not_told)
{
	start_holder(_metadata, &self->held, false);
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_TRUE(said_revoked(&self->held));
	EXPECT_EQ(0, eventfd_take(self->held.holder.eventfd));
	/* The holder cannot register an eventfd, either */
	EXPECT_EQ(-ENODEV, holder_order(&self->held.holder, HOLDER_REGISTER));
}

TEST_F(held, descriptors_of_the_group_open_nothing_any_more)
{
	if (vfio_way() == VFIO_WAY_CDEV)
		SKIP(return, WITHOUT_GROUP);
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_EQ(-ENODEV, holder_order(&self->held.holder, HOLDER_OPEN_AGAIN));
}

TEST_F(held, group_node_goes_with_the_last_close)
{
	char group[32], node[64];

	start_holder(_metadata, &self->held, true);
	ASSERT_EQ(0, file_link_name(mdev_path(&self->held.uuid,
					      "iommu_group").text, group,
				    sizeof(group)));
	snprintf(node, sizeof(node), "/dev/vfio/%s", group);
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_TRUE(file_exists(node));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_TRUE(soon(!file_exists(node)));
}

TEST_F(held, framework_stays_until_the_shell_is_closed)
{
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_LT(self->users, module_users("mdev"));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE_DEVICE));
	/* The group of the holder has a reference, too */
	EXPECT_LT(self->users, module_users("mdev"));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_TRUE(mdev_users_become(self->users));
}

TEST_F(held, uuid_can_be_used_at_once)
{
	struct holder old;

	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_EQ(0, mdev_create(variant->parent, variant->type,
				 &self->held.uuid));
	old = self->held.holder;
	start_holder(_metadata, &self->held, true);
	/* The former holder has a shell, the new one a device */
	EXPECT_EQ(-ENODEV, holder_order(&old, HOLDER_USE));
	EXPECT_EQ(vfio_further(-ENODEV),
		  holder_order(&old, HOLDER_OPEN_AGAIN));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_EQ(vfio_further(0),
		  holder_order(&self->held.holder, HOLDER_OPEN_AGAIN));
	expect_holder_shown(_metadata, &self->held);
	eventfd_take(old.eventfd);
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	EXPECT_EQ(1, eventfd_take(self->held.holder.eventfd));
	EXPECT_EQ(0, eventfd_take(old.eventfd));
	/* The end of the former holder does not affect the new one */
	holder_kill(&old);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, mdev_remove(&self->held.uuid));
}

TEST_F(held, uuid_can_be_revoked_again_and_again)
{
	struct holder shells[8];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shells); i++) {
		start_holder(_metadata, &self->held, i % 2);
		EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
		shells[i] = self->held.holder;
		self->held.holder.pid = -1;
		EXPECT_EQ(0, mdev_create(variant->parent, variant->type,
					 &self->held.uuid));
	}
	for (i = 0; i < ARRAY_SIZE(shells); i++) {
		EXPECT_EQ(-ENODEV, holder_order(&shells[i], HOLDER_USE));
		holder_kill(&shells[i]);
	}
}

TEST_F(held, inherited_descriptor_is_a_shell_too)
{
	start_holder(_metadata, &self->held, true);
	ASSERT_EQ(0, holder_order(&self->held.holder, HOLDER_HAND_OVER));
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	snprintf(self->held.name, sizeof(self->held.name),
		 HOLDER_NAME " (pid 0, exited)");
	EXPECT_TRUE(said_revoked(&self->held));
	EXPECT_EQ(-ENODEV, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_FALSE(kmsg_wait(self->held.log, 0, self->held.uuid.text,
			       LOG_CLOSED, NULL));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_TRUE(said(self->held.log, &self->held.uuid, LOG_CLOSED));
}

TEST_F(held, killed_user_closes_the_shell)
{
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	holder_kill(&self->held.holder);
	EXPECT_TRUE(said(self->held.log, &self->held.uuid, LOG_CLOSED));
}

TEST_F(held, user_that_was_killed_had_released_it)
{
	start_holder(_metadata, &self->held, true);
	holder_kill(&self->held.holder);
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_FALSE(kmsg_wait(self->held.log, 100, self->held.uuid.text,
			       LOG_REVOKED, NULL));
}

/* The holder is killed at various points. The device is gone each time */
TEST_F_TIMEOUT(held, user_killed_meanwhile_is_no_matter, 120)
{
	int i, j;

	for (i = 0; i < 30; i++) {
		start_holder(_metadata, &self->held, i % 2);
		self->held.child = revoker_start(&self->held.uuid);
		for (j = 0; j < i % 10; j++)
			sched_yield();
		holder_kill(&self->held.holder);
		EXPECT_EQ(0, child_wait(self->held.child, SOON_MS));
		self->held.child = -1;
		EXPECT_FALSE(mdev_exists(&self->held.uuid));
		EXPECT_EQ(0, mdev_create(variant->parent, variant->type,
					 &self->held.uuid));
	}
}

TEST_F(held, removal_that_waits_ends_with_enodev)
{
	start_holder(_metadata, &self->held, true);
	self->held.child = remover_start(&self->held.uuid);
	ASSERT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_EQ(ENODEV, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_REVOKED));
	/* Signalled by the removal, by the revocation, and at its end */
	EXPECT_EQ(3, eventfd_take(self->held.holder.eventfd));
}

TEST_F(held, removal_does_not_revoke)
{
	ASSERT_EQ(0, grace_set(1));
	start_holder(_metadata, &self->held, true);
	self->held.child = remover_start(&self->held.uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->held.child, 3000));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_EQ(0, grace_set(GRACE_DEFAULT));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
}

TEST_F(held, request_by_hand_ends_with_the_device)
{
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_PENDING));
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_REVOKED));
	EXPECT_EQ(3, eventfd_take(self->held.holder.eventfd));
}

TEST_F(held, attributes_that_are_open_give_enodev)
{
	int fd = open(mdev_path(&self->held.uuid, "revoke").text,
		      O_WRONLY | O_CLOEXEC);
	int remove = open(mdev_path(&self->held.uuid, "remove").text,
			  O_WRONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_LE(0, remove);
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_EQ(-1, write(fd, "1", 1));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, write(remove, "1", 1));
	EXPECT_EQ(ENODEV, errno);
	close(remove);
	close(fd);
}

TEST_F_TIMEOUT(held, one_of_two_revocations_has_it, 120)
{
	int i, first, second;
	pid_t other;

	for (i = 0; i < 20; i++) {
		start_holder(_metadata, &self->held, i % 2);
		other = revoker_start(&self->held.uuid);
		self->held.child = revoker_start(&self->held.uuid);
		first = child_wait(other, SOON_MS);
		second = child_wait(self->held.child, SOON_MS);
		self->held.child = -1;
		EXPECT_EQ(0, first && second);
		EXPECT_TRUE(first || second);
		first += second;
		EXPECT_TRUE(first == ENODEV || first == ENOENT) {
			TH_LOG("the other ended with %d", first);
		}
		EXPECT_FALSE(mdev_exists(&self->held.uuid));
		holder_kill(&self->held.holder);
		EXPECT_EQ(0, mdev_create(variant->parent, variant->type,
					 &self->held.uuid));
	}
}

TEST_F(held, tracepoint_tells_from_whom)
{
	static char text[65536];
	char line[128];

	if (!file_exists(TRACING "events/mdev/mdev_revoke/enable"))
		SKIP(return, "no tracing");
	EXPECT_EQ(0, file_puts(TRACING "trace", " "));
	EXPECT_EQ(0, file_puts(TRACING "events/mdev/enable", "1"));
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, file_puts(TRACING "events/mdev/enable", "0"));
	EXPECT_LT(0, file_read(TRACING "trace", text, sizeof(text)));
	snprintf(line, sizeof(line), "mdev_revoke: uuid=%s holder=%d",
		 self->held.uuid.text, self->held.holder.pid);
	EXPECT_NE(NULL, strstr(text, line)) {
		TH_LOG("%s\n%s", line, text);
	}
	snprintf(line, sizeof(line), "mdev_remove: uuid=%s ret=0",
		 self->held.uuid.text);
	EXPECT_NE(NULL, strstr(text, line));
	snprintf(line, sizeof(line), "mdev_close: uuid=%s",
		 self->held.uuid.text);
	EXPECT_NE(NULL, strstr(text, line));
}

/* A device that this process has open, with guest memory */
struct used {
	struct uuid uuid;
	struct vfio_user user;
	struct missing missing;
	struct call call;
	struct call second;
	unsigned char *memory;
	size_t page;
	size_t size;
	/* An offset that can be read and written */
	__u64 at;
	int log;
	long relays;
	long pinned;
	int eventfd_id;
};

static void set_up_used(struct __test_metadata *_metadata, struct used *used,
			const char *parent, const char *type)
{
	used->call.done = -1;
	used->second.done = -1;
	used->missing = (struct missing)MISSING_NONE;
	used->page = sysconf(_SC_PAGESIZE);
	used->size = PAGES * used->page;
	used->eventfd_id = eventfd_next_id();
	used->relays = relay_counter("relays");
	used->pinned = pages_pinned();
	used->log = kmsg_open();
	used->memory = mmap(NULL, used->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)used->memory);
	memset(used->memory, 0x5a, used->size);
	ASSERT_EQ(0, missing_new(&used->missing, used->size));
	used->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(parent, type, &used->uuid));
	ASSERT_EQ(0, vfio_open(&used->user, &used->uuid));
	ASSERT_EQ(0, vfio_map(&used->user, used->memory, IOVA, used->size));
	used->at = IOVA;
}

static void tear_down_used(struct __test_metadata *_metadata,
			   struct used *used)
{
	missing_free(&used->missing);
	if (used->call.done >= 0)
		EXPECT_NE(-ETIMEDOUT, call_end(&used->call, SOON_MS));
	if (used->second.done >= 0)
		EXPECT_NE(-ETIMEDOUT, call_end(&used->second, SOON_MS));
	vfio_close(&used->user);
	if (mdev_exists(&used->uuid))
		EXPECT_EQ(0, mdev_remove(&used->uuid));
	close(used->log);
	munmap(used->memory, used->size);
	EXPECT_EQ(0, relay_counter("pinned_all"));
	EXPECT_TRUE(relay_counter_becomes("relays", used->relays));
	EXPECT_TRUE(pages_pinned_become(used->pinned));
	EXPECT_TRUE(eventfd_ids_back_to(used->eventfd_id));
}

FIXTURE(used)
{
	struct used used;
};

FIXTURE_VARIANT(used)
{
	const char *parent;
	const char *type;
};

FIXTURE_VARIANT_ADD(used, mtty)
{
	.parent = "mtty", .type = "mtty-2",
};

FIXTURE_VARIANT_ADD(used, relay)
{
	.parent = "mdev_relay.0", .type = RELAY_TYPE,
};

FIXTURE_SETUP(used)
{
	struct vfio_region_info region;

	if (!parent_exists(variant->parent))
		SKIP(return, "no parent %s", variant->parent);
	set_up_used(_metadata, &self->used, variant->parent, variant->type);
	if (strcmp(variant->type, RELAY_TYPE)) {
		ASSERT_EQ(0, vfio_region(self->used.user.device,
					 VFIO_PCI_CONFIG_REGION_INDEX,
					 &region));
		self->used.at = region.offset;
	}
}

FIXTURE_TEARDOWN(used)
{
	tear_down_used(_metadata, &self->used);
}

/* The memory appears, and the call returns -ENODEV */
static void expect_call_fails(struct __test_metadata *_metadata,
			      struct used *used)
{
	EXPECT_EQ(-ETIMEDOUT, call_end(&used->call, 0));
	EXPECT_EQ(0, missing_bring(&used->missing, used->size));
	EXPECT_EQ(-ENODEV, call_end(&used->call, SOON_MS));
}

TEST_F(used, shell_gives_enodev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct {
		struct vfio_device_feature feature;
		__u64 data[4];
	} arg = {
		.feature.argsz = sizeof(arg),
		.feature.flags = VFIO_DEVICE_FEATURE_PROBE | 0xfff,
	};
	int device = self->used.user.device;
	char data[8] = {};

	expect_revoked(_metadata, &self->used.uuid);
	EXPECT_EQ(-1, pread(device, data, sizeof(data), self->used.at));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, pread(device, data, 0, self->used.at));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, pread(device, bad_address(), 8, self->used.at));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, pwrite(device, data, sizeof(data), self->used.at));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, write(device, data, sizeof(data)));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-ENODEV, vfio_ioctl(device, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-ENODEV, vfio_ioctl(device, VFIO_DEVICE_GET_INFO,
				      bad_address()));
	EXPECT_EQ(-ENODEV, vfio_ioctl(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-ENODEV, vfio_ioctl(device, 0x1234, NULL));
	EXPECT_EQ(-ENODEV, vfio_ioctl(device, VFIO_DEVICE_FEATURE, &arg));
	/* The interrupts are gone, so a call that removes them succeeds */
	EXPECT_EQ(0, vfio_set_irqs(device, VFIO_IRQ_SET_DATA_NONE |
				   VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 0, NULL,
				   0));
	EXPECT_EQ(0, vfio_set_eventfd(device, 0, -1));
	EXPECT_EQ(-ENODEV, vfio_set_eventfd(device, 0, self->used.log));
	EXPECT_EQ(-ENODEV, vfio_set_irqs(device, VFIO_IRQ_SET_DATA_NONE |
					 VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 1,
					 NULL, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->used.page, PROT_READ, MAP_SHARED,
				   device, (off_t)MDEV_RELAY_FAULT_REGION <<
				   MDEV_RELAY_INDEX_SHIFT));
	EXPECT_EQ(ENODEV, errno);
	/* The container belongs to the holder, and still works */
	EXPECT_EQ(0, vfio_unmap(&self->used.user, IOVA, self->used.size));
	EXPECT_EQ(0, vfio_map(&self->used.user, self->used.memory, IOVA,
			      self->used.size));
}

TEST_F(used, each_descriptor_is_a_shell)
{
	struct vfio_device_info info;
	int second, third;

	if (vfio_way() != VFIO_WAY_TYPE1)
		SKIP(return, OPENED_ONCE);
	second = vfio_get_device(&self->used.user, &self->used.uuid);
	third = dup(self->used.user.device);
	ASSERT_LE(0, second);
	ASSERT_LE(0, third);
	expect_revoked(_metadata, &self->used.uuid);
	EXPECT_EQ(-ENODEV, vfio_info(self->used.user.device, &info));
	EXPECT_EQ(-ENODEV, vfio_info(second, &info));
	EXPECT_EQ(-ENODEV, vfio_info(third, &info));
	close(self->used.user.device);
	self->used.user.device = -1;
	EXPECT_EQ(-ENODEV, vfio_info(third, &info));
	close(third);
	EXPECT_FALSE(kmsg_wait(self->used.log, 100, self->used.uuid.text,
			       LOG_CLOSED, NULL));
	EXPECT_EQ(-ENODEV, vfio_info(second, &info));
	close(second);
	/* VFIO frees the container with its last group, so the shell keeps the group */
	EXPECT_FALSE(kmsg_wait(self->used.log, 300, self->used.uuid.text,
			       LOG_CLOSED, NULL));
	EXPECT_EQ(0, vfio_unmap(&self->used.user, IOVA, self->used.size));
	vfio_close(&self->used.user);
	EXPECT_TRUE(said(self->used.log, &self->used.uuid, LOG_CLOSED));
}

/* The descriptor is in a socket, and no process has it */
TEST_F(used, descriptor_that_was_sent_is_a_shell)
{
	char room[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { .iov_base = room, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);
	struct vfio_device_info info;
	int sockets[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				sockets));
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &self->used.user.device, sizeof(int));
	ASSERT_EQ(1, sendmsg(sockets[0], &message, 0));
	close(self->used.user.device);
	self->used.user.device = -1;
	expect_revoked(_metadata, &self->used.uuid);
	EXPECT_FALSE(kmsg_wait(self->used.log, 100, self->used.uuid.text,
			       LOG_CLOSED, NULL));
	ASSERT_EQ(1, recvmsg(sockets[1], &message, 0));
	memcpy(&self->used.user.device, CMSG_DATA(control), sizeof(int));
	EXPECT_EQ(-ENODEV, vfio_info(self->used.user.device, &info));
	close(sockets[0]);
	close(sockets[1]);
}

TEST_F(used, read_that_waits_for_memory_is_not_waited_for)
{
	ASSERT_EQ(0, call_start(&self->used.call, &(struct call){
		.run = call_read, .user = &self->used.user,
		.data = self->used.missing.memory, .len = 4,
		.at = self->used.at,
	}));
	ASSERT_TRUE(missing_wait(&self->used.missing, SOON_MS));
	expect_revoked(_metadata, &self->used.uuid);
	expect_call_fails(_metadata, &self->used);
}

TEST_F(used, write_that_waits_for_memory_is_not_waited_for)
{
	ASSERT_EQ(0, call_start(&self->used.call, &(struct call){
		.run = call_write, .user = &self->used.user,
		.data = self->used.missing.memory, .len = 4,
		.at = self->used.at,
	}));
	ASSERT_TRUE(missing_wait(&self->used.missing, SOON_MS));
	expect_revoked(_metadata, &self->used.uuid);
	expect_call_fails(_metadata, &self->used);
}

TEST_F(used, ioctl_that_waits_for_memory_is_not_waited_for)
{
	ASSERT_EQ(0, call_start(&self->used.call, &(struct call){
		.run = call_info, .user = &self->used.user,
		.data = self->used.missing.memory,
	}));
	ASSERT_TRUE(missing_wait(&self->used.missing, SOON_MS));
	expect_revoked(_metadata, &self->used.uuid);
	expect_call_fails(_metadata, &self->used);
}

/* The header is present, the number of the eventfd is missing */
TEST_F(used, eventfd_that_waits_for_memory_is_not_waited_for)
{
	char *end = (char *)self->used.missing.memory + self->used.page;
	struct vfio_irq_set *set = (void *)(end - sizeof(*set));

	ASSERT_EQ(0, missing_bring(&self->used.missing, self->used.page));
	set->argsz = sizeof(*set) + sizeof(int);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = vfio_request_index(self->used.user.device);
	set->count = 1;
	ASSERT_EQ(0, call_start(&self->used.call, &(struct call){
		.run = call_set_irqs, .user = &self->used.user, .data = set,
	}));
	ASSERT_TRUE(missing_wait(&self->used.missing, SOON_MS));
	expect_revoked(_metadata, &self->used.uuid);
	expect_call_fails(_metadata, &self->used);
}

TEST_F(used, call_that_waits_for_memory_goes_on_with_the_device)
{
	ASSERT_EQ(0, call_start(&self->used.call, &(struct call){
		.run = call_read, .user = &self->used.user,
		.data = self->used.missing.memory, .len = 4,
		.at = self->used.at,
	}));
	ASSERT_TRUE(missing_wait(&self->used.missing, SOON_MS));
	EXPECT_EQ(0, missing_bring(&self->used.missing, self->used.size));
	EXPECT_EQ(4, call_end(&self->used.call, SOON_MS));
	EXPECT_NE(0, *(__u32 *)self->used.missing.memory);
}

struct setter {
	int device;
	int index;
	int fd;
	int over;
	int ret;
};

static void *run_setter(void *arg)
{
	struct setter *setter = arg;

	do {
		setter->ret = vfio_set_eventfd(setter->device, setter->index,
					       setter->fd);
		if (!setter->ret)
			setter->ret = vfio_set_eventfd(setter->device,
						       setter->index, -1);
	} while (!setter->ret && !__atomic_load_n(&setter->over,
						  __ATOMIC_RELAXED));
	return NULL;
}

TEST_F(used, eventfds_set_meanwhile_are_dropped)
{
	struct setter setter = {
		.device = self->used.user.device,
		.index = vfio_request_index(self->used.user.device),
		.fd = eventfd_new(),
	};
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, run_setter, &setter));
	usleep(50000);
	expect_revoked(_metadata, &self->used.uuid);
	pthread_join(thread, NULL);
	EXPECT_EQ(-ENODEV, setter.ret);
	eventfd_take(setter.fd);
	EXPECT_FALSE(eventfd_wait(setter.fd, 100));
	close(setter.fd);
	/* The contexts are freed while the shell is still open */
	EXPECT_TRUE(eventfd_ids_back_to(self->used.eventfd_id));
}

/* The same with mdev_relay, which accesses guest memory */
FIXTURE(guest)
{
	struct used used;
};

FIXTURE_SETUP(guest)
{
	if (!parent_exists("mdev_relay.0"))
		SKIP(return, "no parent mdev_relay.0");
	set_up_used(_metadata, &self->used, "mdev_relay.0", RELAY_TYPE);
}

FIXTURE_TEARDOWN(guest)
{
	tear_down_used(_metadata, &self->used);
}

/* The call is in the parent driver, inside the gate */
TEST_F(guest, call_in_the_parent_driver_is_waited_for)
{
	__s64 start = now_ms();

	ASSERT_EQ(0, call_start(&self->used.call, &(struct call){
		.run = call_sleep, .user = &self->used.user, .len = 1500,
	}));
	ASSERT_TRUE(call_is_stuck(&self->used.call, SOON_MS));
	expect_revoked(_metadata, &self->used.uuid);
	EXPECT_LE(1500, now_ms() - start);
	EXPECT_EQ((long)sizeof(__u32), call_end(&self->used.call, SOON_MS));
}

TEST_F(guest, call_that_takes_long_is_told_of)
{
	pid_t pid;

	ASSERT_EQ(0, call_start(&self->used.call, &(struct call){
		.run = call_sleep, .user = &self->used.user, .len = 11000,
	}));
	ASSERT_TRUE(call_is_stuck(&self->used.call, SOON_MS));
	pid = revoker_start(&self->used.uuid);
	EXPECT_TRUE(kmsg_wait(self->used.log, 12000, self->used.uuid.text,
			      LOG_CALL_WAITS, NULL));
	EXPECT_EQ(0, child_wait(pid, SOON_MS));
	EXPECT_EQ((long)sizeof(__u32), call_end(&self->used.call, SOON_MS));
}

#define MISSING_IOVA	0x10000000ULL

/* The device accesses missing memory of the holder, and VFIO holds its lock meanwhile */
static void start_stuck_access(struct __test_metadata *_metadata,
			       struct used *used)
{
	ASSERT_EQ(0, vfio_map(&used->user, used->missing.memory, MISSING_IOVA,
			      used->size));
	ASSERT_EQ(0, call_start(&used->call, &(struct call){
		.run = call_read, .user = &used->user, .data = used->memory,
		.len = 64, .at = MISSING_IOVA,
	}));
	ASSERT_TRUE(missing_wait(&used->missing, SOON_MS));
}

TEST_F(guest, access_to_guest_memory_is_not_waited_for)
{
	start_stuck_access(_metadata, &self->used);
	expect_revoked(_metadata, &self->used.uuid);
	expect_call_fails(_metadata, &self->used);
}

TEST_F(guest, pin_of_guest_memory_is_not_waited_for)
{
	start_stuck_access(_metadata, &self->used);
	ASSERT_EQ(0, call_start(&self->used.second, &(struct call){
		.run = call_pin, .user = &self->used.user, .at = IOVA, .len = 4,
	}));
	ASSERT_TRUE(call_is_stuck(&self->used.second, SOON_MS));
	expect_revoked(_metadata, &self->used.uuid);
	EXPECT_EQ(-ETIMEDOUT, call_end(&self->used.second, 100));
	expect_call_fails(_metadata, &self->used);
	EXPECT_EQ(-ENODEV, call_end(&self->used.second, SOON_MS));
	EXPECT_TRUE(relay_counter_becomes("pinned_all", 0));
	EXPECT_TRUE(pages_pinned_become(self->used.pinned));
	EXPECT_EQ(0, vfio_unmap(&self->used.user, IOVA, self->used.size));
}

/* Type 1 does not wait for such a page. This test also covers a kernel that does */
TEST_F(guest, pin_of_memory_that_is_missing_leaves_nothing)
{
	ASSERT_EQ(0, vfio_map(&self->used.user, self->used.missing.memory,
			      MISSING_IOVA, self->used.size));
	ASSERT_EQ(0, call_start(&self->used.second, &(struct call){
		.run = call_pin, .user = &self->used.user, .at = MISSING_IOVA,
		.len = 4,
	}));
	if (missing_wait(&self->used.missing, 500)) {
		expect_revoked(_metadata, &self->used.uuid);
		EXPECT_EQ(0, missing_bring(&self->used.missing,
					   self->used.size));
		EXPECT_EQ(-ENODEV, call_end(&self->used.second, SOON_MS));
	} else {
		EXPECT_EQ(-EFAULT, call_end(&self->used.second, SOON_MS));
	}
	EXPECT_TRUE(pages_pinned_become(self->used.pinned));
}

TEST_F(guest, pages_are_unpinned)
{
	ASSERT_EQ(0, relay_pin(self->used.user.device, MDEV_RELAY_PIN, IOVA,
			       PAGES));
	ASSERT_EQ(0, relay_pin(self->used.user.device, MDEV_RELAY_PIN, IOVA,
			       2));
	EXPECT_EQ(self->used.pinned + PAGES, pages_pinned());
	expect_revoked(_metadata, &self->used.uuid);
	/* The shell is still open */
	EXPECT_TRUE(pages_pinned_become(self->used.pinned));
	EXPECT_EQ(0, vfio_unmap(&self->used.user, IOVA, self->used.size));
}

/* The revocation ends. The pages are unpinned once VFIO's lock is free */
TEST_F(guest, pages_are_unpinned_when_that_can_be)
{
	ASSERT_EQ(0, relay_pin(self->used.user.device, MDEV_RELAY_PIN, IOVA,
			       PAGES));
	start_stuck_access(_metadata, &self->used);
	expect_revoked(_metadata, &self->used.uuid);
	EXPECT_EQ(self->used.pinned + PAGES, pages_pinned());
	/* The holder unmaps its memory meanwhile */
	ASSERT_EQ(0, call_start(&self->used.second, &(struct call){
		.run = call_unmap, .user = &self->used.user, .at = IOVA,
		.len = self->used.size,
	}));
	EXPECT_EQ(-ETIMEDOUT, call_end(&self->used.second, 100));
	expect_call_fails(_metadata, &self->used);
	EXPECT_EQ(0, call_end(&self->used.second, SOON_MS));
	EXPECT_TRUE(pages_pinned_become(self->used.pinned));
}

static int run_stuck_user(void *arg)
{
	struct vfio_user user;
	struct missing missing;
	struct call call, what = {
		.run = call_read, .user = &user, .len = 64, .at = MISSING_IOVA,
	};

	what.data = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (what.data == MAP_FAILED || missing_new(&missing, 65536) ||
	    vfio_open(&user, arg) || vfio_map(&user, what.data, IOVA, 65536) ||
	    vfio_map(&user, missing.memory, MISSING_IOVA, 65536) ||
	    relay_pin(user.device, MDEV_RELAY_PIN, IOVA, 16) ||
	    call_start(&call, &what) || !missing_wait(&missing, SOON_MS))
		return 1;
	prctl(PR_SET_NAME, "stuck");
	pause();
	return 0;
}

static bool name_becomes(pid_t pid, const char *name)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	return soon(file_read(path, text, sizeof(text)) > 0 &&
		    !strcmp(text, name));
}

TEST_F(guest, user_stuck_in_a_call_can_be_killed)
{
	pid_t pid;

	vfio_close(&self->used.user);
	pid = child_start(run_stuck_user, &self->used.uuid, -1, -1);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(name_becomes(pid, "stuck"));
	expect_revoked(_metadata, &self->used.uuid);
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_wait(pid, SOON_MS));
	EXPECT_TRUE(said(self->used.log, &self->used.uuid, LOG_CLOSED));
	EXPECT_TRUE(pages_pinned_become(self->used.pinned));
}

/* Pins race with the revocation: each one fails or is undone */
TEST_F_TIMEOUT(guest, pages_pinned_meanwhile_are_unpinned, 120)
{
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, call_start(&self->used.call, &(struct call){
			.run = call_pin, .user = &self->used.user, .at = IOVA,
			.len = PAGES,
		}));
		ASSERT_EQ(0, call_start(&self->used.second, &(struct call){
			.run = call_unmap, .user = &self->used.user, .at = IOVA,
			.len = self->used.size,
		}));
		expect_revoked(_metadata, &self->used.uuid);
		EXPECT_NE(-ETIMEDOUT, call_end(&self->used.call, SOON_MS));
		EXPECT_EQ(0, call_end(&self->used.second, SOON_MS));
		EXPECT_TRUE(relay_counter_becomes("pinned_all", 0));
		EXPECT_TRUE(pages_pinned_become(self->used.pinned));
		vfio_close(&self->used.user);
		ASSERT_EQ(0, mdev_create("mdev_relay.0", RELAY_TYPE,
					 &self->used.uuid));
		ASSERT_EQ(0, vfio_open(&self->used.user, &self->used.uuid));
		ASSERT_EQ(0, vfio_map(&self->used.user, self->used.memory, IOVA,
				      self->used.size));
	}
}

TEST_F_TIMEOUT(guest, dma_unmap_meanwhile_finds_nothing_pinned, 120)
{
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, relay_pin(self->used.user.device, MDEV_RELAY_PIN,
				       IOVA, PAGES));
		ASSERT_EQ(0, call_start(&self->used.second, &(struct call){
			.run = call_unmap, .user = &self->used.user, .at = IOVA,
			.len = self->used.size,
		}));
		expect_revoked(_metadata, &self->used.uuid);
		EXPECT_EQ(0, call_end(&self->used.second, SOON_MS));
		EXPECT_TRUE(pages_pinned_become(self->used.pinned));
		vfio_close(&self->used.user);
		ASSERT_EQ(0, mdev_create("mdev_relay.0", RELAY_TYPE,
					 &self->used.uuid));
		ASSERT_EQ(0, vfio_open(&self->used.user, &self->used.uuid));
		ASSERT_EQ(0, vfio_map(&self->used.user, self->used.memory, IOVA,
				      self->used.size));
	}
}

/* Opens another device's group, if there are groups, in the same container */
static int vfio_join(struct vfio_user *user, const struct vfio_user *first,
		     const struct uuid *uuid)
{
	*user = (struct vfio_user)VFIO_USER_NONE;
	if (vfio_way() == VFIO_WAY_CDEV) {
		user->container = dup(first->container);
		user->ioas = first->ioas;
		return user->container < 0 ? -errno : 0;
	}
	user->group = vfio_open_group(uuid, first->container);
	return user->group < 0 ? user->group : 0;
}

/* Opens the other device in the same container, too */
static int vfio_open_in(struct vfio_user *user, const struct vfio_user *first,
			const struct uuid *uuid)
{
	int err = vfio_join(user, first, uuid);

	if (err)
		return err;
	user->device = vfio_get_device(user, uuid);
	return user->device < 0 ? user->device : 0;
}

TEST_F(guest, device_in_the_container_of_one_that_is_stuck_can_be_revoked)
{
	struct uuid uuid = uuid_new();
	struct vfio_device_info info;
	struct vfio_user other;
	unsigned char data[64];

	ASSERT_EQ(0, mdev_create("mdev_relay.1", RELAY_TYPE, &uuid));
	ASSERT_EQ(0, vfio_open_in(&other, &self->used.user, &uuid));
	ASSERT_EQ(0, relay_pin(other.device, MDEV_RELAY_PIN, IOVA, 4));
	ASSERT_EQ(0, relay_pin(self->used.user.device, MDEV_RELAY_PIN, IOVA,
			       2));
	start_stuck_access(_metadata, &self->used);
	EXPECT_EQ(0, revoke_in_child(&uuid));
	EXPECT_FALSE(mdev_exists(&uuid));
	EXPECT_EQ(-ENODEV, vfio_info(other.device, &info));
	/* The device that is stuck still works */
	EXPECT_TRUE(mdev_exists(&self->used.uuid));
	EXPECT_EQ(0, vfio_info(self->used.user.device, &info));
	EXPECT_EQ(0, missing_bring(&self->used.missing, self->used.size));
	EXPECT_EQ(64, call_end(&self->used.call, SOON_MS));
	EXPECT_TRUE(relay_counter_becomes("pinned_all", 2));
	EXPECT_EQ(64, pread(self->used.user.device, data, sizeof(data), IOVA));
	vfio_close(&other);
	EXPECT_EQ(64, pread(self->used.user.device, data, sizeof(data), IOVA));
	EXPECT_EQ(0, vfio_unmap(&self->used.user, IOVA, self->used.size));
}

TEST_F(guest, device_that_is_stuck_leaves_the_others_of_its_container)
{
	struct uuid uuid = uuid_new();
	struct vfio_user other;
	unsigned char data[64];

	ASSERT_EQ(0, mdev_create("mdev_relay.1", RELAY_TYPE, &uuid));
	ASSERT_EQ(0, vfio_open_in(&other, &self->used.user, &uuid));
	ASSERT_EQ(0, relay_pin(other.device, MDEV_RELAY_PIN, IOVA, 4));
	start_stuck_access(_metadata, &self->used);
	expect_revoked(_metadata, &self->used.uuid);
	expect_call_fails(_metadata, &self->used);
	EXPECT_EQ(64, pread(other.device, data, sizeof(data), IOVA));
	EXPECT_EQ(self->used.pinned + 4, pages_pinned());
	/* VFIO asks the shell to unpin, too */
	EXPECT_EQ(0, vfio_unmap(&self->used.user, IOVA, self->used.size));
	vfio_close(&other);
	EXPECT_EQ(0, mdev_remove(&uuid));
}

/* An open that is stuck in VFIO before it reaches mdev.ko, and then continues */
static long call_open(struct call *call)
{
	int fd = vfio_get_device(call->user, call->data);
	struct vfio_device_info info;
	int ret;

	if (fd < 0)
		return fd;
	/* On older kernels it gets stuck later, and opens a shell */
	ret = vfio_info(fd, &info);
	close(fd);
	return ret;
}

TEST_F(guest, device_that_is_being_opened_can_be_revoked)
{
	struct uuid uuid = uuid_new();
	struct vfio_user other;

	if (vfio_way() == VFIO_WAY_CDEV)
		SKIP(return, WITHOUT_GROUP);
	ASSERT_EQ(0, mdev_create("mdev_relay.1", RELAY_TYPE, &uuid));
	ASSERT_EQ(0, vfio_join(&other, &self->used.user, &uuid));
	start_stuck_access(_metadata, &self->used);
	ASSERT_EQ(0, call_start(&self->used.second, &(struct call){
		.run = call_open, .user = &other, .data = &uuid,
	}));
	ASSERT_TRUE(call_is_stuck(&self->used.second, SOON_MS));
	EXPECT_EQ(0, revoke_in_child(&uuid));
	EXPECT_FALSE(mdev_exists(&uuid));
	EXPECT_EQ(0, missing_bring(&self->used.missing, self->used.size));
	EXPECT_EQ(64, call_end(&self->used.call, SOON_MS));
	EXPECT_EQ(-ENODEV, call_end(&self->used.second, SOON_MS));
	vfio_close(&other);
}

/* Opens and closes the device. The parent driver may be slow at both */
static int run_opener(void *arg)
{
	struct vfio_device_info info;
	struct vfio_user user;
	int ret = vfio_open(&user, arg);

	if (ret)
		return -ret;
	ret = vfio_info(user.device, &info);
	vfio_close(&user);
	return -ret;
}

TEST_F(guest, open_under_way_is_waited_for)
{
	long revokes = relay_counter("revokes");
	long opens;
	pid_t pid;

	vfio_close(&self->used.user);
	opens = relay_counter("opens");
	ASSERT_EQ(0, relay_set("open_ms", 1000));
	pid = child_start(run_opener, &self->used.uuid, -1, -1);
	EXPECT_TRUE(relay_counter_becomes("opens", opens + 1));
	EXPECT_EQ(0, revoke_in_child(&self->used.uuid));
	EXPECT_EQ(0, relay_set("open_ms", 0));
	EXPECT_EQ(ENODEV, child_wait(pid, SOON_MS));
	EXPECT_EQ(revokes + 1, relay_counter("revokes"));
}

TEST_F(guest, close_under_way_is_waited_for)
{
	long revokes = relay_counter("revokes");
	long releases;
	pid_t pid;

	vfio_close(&self->used.user);
	releases = relay_counter("releases");
	ASSERT_EQ(0, relay_set("release_ms", 1000));
	pid = child_start(run_opener, &self->used.uuid, -1, -1);
	EXPECT_TRUE(relay_counter_becomes("releases", releases + 1));
	EXPECT_EQ(0, revoke_in_child(&self->used.uuid));
	EXPECT_EQ(0, relay_set("release_ms", 0));
	EXPECT_EQ(0, child_wait(pid, SOON_MS));
	/* The device was released, so there was nothing to revoke */
	EXPECT_EQ(revokes, relay_counter("revokes"));
	EXPECT_FALSE(kmsg_wait(self->used.log, 0, self->used.uuid.text,
			       LOG_REVOKED, NULL));
}

TEST_F(guest, release_is_not_called_after_a_revocation)
{
	long releases = relay_counter("releases");
	long revokes = relay_counter("revokes");

	expect_revoked(_metadata, &self->used.uuid);
	vfio_close(&self->used.user);
	EXPECT_TRUE(said(self->used.log, &self->used.uuid, LOG_CLOSED));
	EXPECT_EQ(revokes + 1, relay_counter("revokes"));
	EXPECT_EQ(releases, relay_counter("releases"));
}

/* The revocation takes a while: calls made meanwhile find the gate closed */
TEST_F(guest, calls_during_a_revocation_fail)
{
	struct vfio_device_info info;
	struct uuid uuid = self->used.uuid;
	pid_t pid, other;
	int ret;

	ASSERT_EQ(0, relay_set("revoke_ms", 2000));
	pid = revoker_start(&self->used.uuid);
	while (!(ret = vfio_info(self->used.user.device, &info)))
		usleep(1000);
	EXPECT_EQ(-ENODEV, ret);
	EXPECT_EQ(-ETIMEDOUT, child_wait(pid, 0));
	/* The device is being removed. Until the end its UUID is in use */
	EXPECT_EQ(-ENODEV, mdev_revoke(&uuid));
	EXPECT_EQ(-ENODEV, mdev_remove(&uuid));
	EXPECT_EQ(-EEXIST, mdev_create("mdev_relay.0", RELAY_TYPE, &uuid));
	/* A close does not wait for the revocation */
	other = child_start(run_opener, &uuid, -1, -1);
	ret = child_wait(other, SOON_MS);
	EXPECT_TRUE(ret == ENODEV || ret == EBUSY || ret == ENOENT ||
		    ret == -vfio_further(-ENODEV)) {
		TH_LOG("the open ended with %d", ret);
	}
	EXPECT_EQ(0, child_wait(pid, SOON_MS));
	EXPECT_EQ(0, relay_set("revoke_ms", 0));
}

/* Mappings */
FIXTURE(mapped)
{
	struct uuid uuid;
	struct vfio_user user;
	size_t page;
	int log;
	int can;
};

FIXTURE_SETUP(mapped)
{
	if (!parent_exists("mdev_relay.0"))
		SKIP(return, "no parent mdev_relay.0");
	self->page = sysconf(_SC_PAGESIZE);
	self->log = kmsg_open();
	self->can = vfio_mappings_can_be_taken();
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create("mdev_relay.0", RELAY_TYPE, &self->uuid));
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
}

FIXTURE_TEARDOWN(mapped)
{
	vfio_close(&self->user);
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	close(self->log);
}

static sigjmp_buf after_signal;

static void jump(int number)
{
	siglongjmp(after_signal, number);
}

/* Returns the signal that an access raises, or 0 */
static int touch(unsigned char *at, bool write)
{
	struct sigaction action = { .sa_handler = jump }, old_bus, old_segv;
	int number;

	sigaction(SIGBUS, &action, &old_bus);
	sigaction(SIGSEGV, &action, &old_segv);
	number = sigsetjmp(after_signal, 1);
	if (!number) {
		if (write)
			__atomic_store_n(at, 1, __ATOMIC_RELAXED);
		else
			__atomic_load_n(at, __ATOMIC_RELAXED);
	}
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return number;
}

TEST_F(mapped, mapping_gives_sigbus)
{
	unsigned char *memory;

	if (!self->can)
		SKIP(return, KEEPS_MAPPINGS);
	memory = relay_map(self->user.device, MDEV_RELAY_FAULT_REGION);
	ASSERT_NE(NULL, memory);
	memory[0] = 0x12;
	EXPECT_EQ(0x12, memory[0]);
	expect_revoked(_metadata, &self->uuid);
	EXPECT_EQ(SIGBUS, touch(memory, false));
	EXPECT_EQ(SIGBUS, touch(memory, true));
	/* Neither the page nor the mapping is of the next device */
	EXPECT_EQ(0, mdev_create("mdev_relay.0", RELAY_TYPE, &self->uuid));
	EXPECT_EQ(SIGBUS, touch(memory, false));
	munmap(memory, self->page);
}

TEST_F(mapped, mapping_not_touched_before_gives_sigbus)
{
	unsigned char *memory;

	if (!self->can)
		SKIP(return, KEEPS_MAPPINGS);
	memory = relay_map(self->user.device, MDEV_RELAY_FAULT_REGION);
	ASSERT_NE(NULL, memory);
	expect_revoked(_metadata, &self->uuid);
	EXPECT_EQ(SIGBUS, touch(memory, false));
	munmap(memory, self->page);
}

/* System calls with an address in the mapping return EFAULT */
TEST_F(mapped, mapping_is_no_memory_for_the_kernel_either)
{
	unsigned char *memory;
	int pipes[2];

	if (!self->can)
		SKIP(return, KEEPS_MAPPINGS);
	memory = relay_map(self->user.device, MDEV_RELAY_FAULT_REGION);
	ASSERT_NE(NULL, memory);
	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(4, write(pipes[1], memory, 4));
	EXPECT_EQ(4, read(pipes[0], memory, 4));
	expect_revoked(_metadata, &self->uuid);
	EXPECT_EQ(-1, write(pipes[1], memory, 4));
	EXPECT_EQ(EFAULT, errno);
	close(pipes[0]);
	close(pipes[1]);
	munmap(memory, self->page);
}

TEST_F(mapped, mapping_alone_keeps_the_shell)
{
	unsigned char *memory;

	if (!self->can)
		SKIP(return, KEEPS_MAPPINGS);
	memory = relay_map(self->user.device, MDEV_RELAY_FAULT_REGION);
	ASSERT_NE(NULL, memory);
	EXPECT_EQ(0, touch(memory, true));
	vfio_close(&self->user);
	expect_revoked(_metadata, &self->uuid);
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text, LOG_REVOKED,
			      NULL));
	EXPECT_EQ(SIGBUS, touch(memory, false));
	EXPECT_FALSE(kmsg_wait(self->log, 100, self->uuid.text, LOG_CLOSED,
			       NULL));
	munmap(memory, self->page);
	EXPECT_TRUE(said(self->log, &self->uuid, LOG_CLOSED));
}

struct mapping {
	unsigned char *memory;
	int ready;
	int go;
};

static int run_mapping_child(struct mapping *mapping)
{
	__u64 one = 1;
	int before = touch(mapping->memory, true);

	if (write(mapping->ready, &one, sizeof(one)) != sizeof(one) ||
	    !eventfd_wait(mapping->go, 3 * SOON_MS))
		return 100;
	return before ? 101 : touch(mapping->memory, false);
}

TEST_F(mapped, inherited_mapping_gives_sigbus)
{
	struct mapping mapping = {
		.ready = eventfd_new(),
		.go = eventfd_new(),
	};
	__u64 one = 1;
	pid_t pid;

	if (!self->can)
		SKIP(return, KEEPS_MAPPINGS);
	mapping.memory = relay_map(self->user.device,
				   MDEV_RELAY_FAULT_REGION);
	ASSERT_NE(NULL, mapping.memory);
	if (madvise(mapping.memory, self->page, MADV_DOFORK)) {
		munmap(mapping.memory, self->page);
		SKIP(return, "children do not inherit a device's mapping in this kernel");
	}
	EXPECT_EQ(0, touch(mapping.memory, true));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(run_mapping_child(&mapping));
	madvise(mapping.memory, self->page, MADV_DONTFORK);
	EXPECT_TRUE(eventfd_wait(mapping.ready, SOON_MS));
	expect_revoked(_metadata, &self->uuid);
	EXPECT_EQ(SIGBUS, touch(mapping.memory, false));
	EXPECT_EQ(sizeof(one), write(mapping.go, &one, sizeof(one)));
	EXPECT_EQ(SIGBUS, child_wait(pid, SOON_MS));
	munmap(mapping.memory, self->page);
	close(mapping.ready);
	close(mapping.go);
}

/* Faults race with the revocation */
static void *run_toucher(void *arg)
{
	while (!touch(arg, true))
		madvise(arg, sysconf(_SC_PAGESIZE), MADV_DONTNEED);
	return NULL;
}

TEST_F(mapped, mapping_touched_meanwhile_gives_sigbus)
{
	unsigned char *memory;
	pthread_t thread;
	int i;

	if (!self->can)
		SKIP(return, KEEPS_MAPPINGS);
	memory = relay_map(self->user.device, MDEV_RELAY_FAULT_REGION);
	for (i = 0; i < 20; i++) {
		ASSERT_NE(NULL, memory);
		ASSERT_EQ(0, pthread_create(&thread, NULL, run_toucher,
					    memory));
		usleep(5000 * (i % 5));
		expect_revoked(_metadata, &self->uuid);
		/* The thread ends by the signal */
		pthread_join(thread, NULL);
		EXPECT_EQ(SIGBUS, touch(memory, false));
		munmap(memory, self->page);
		vfio_close(&self->user);
		ASSERT_EQ(0, mdev_create("mdev_relay.0", RELAY_TYPE,
					 &self->uuid));
		ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
		memory = relay_map(self->user.device,
				   MDEV_RELAY_FAULT_REGION);
	}
	munmap(memory, self->page);
}

/* A device cannot be revoked while the region is mapped */
static void expect_not_revocable(struct __test_metadata *_metadata,
				 FIXTURE_DATA(mapped) *self, int region)
{
	unsigned char *memory = relay_map(self->user.device, region);
	struct vfio_device_info info;
	int again = kmsg_open();

	ASSERT_NE(NULL, memory);
	EXPECT_EQ(0, touch(memory, true));
	EXPECT_EQ(EBUSY, revoke_in_child(&self->uuid));
	EXPECT_TRUE(said(self->log, &self->uuid, LOG_MAPPED));
	/* The line is logged once, and nothing has changed */
	EXPECT_EQ(EBUSY, revoke_in_child(&self->uuid));
	EXPECT_EQ(1, kmsg_count(again, self->uuid.text, LOG_MAPPED));
	close(again);
	EXPECT_TRUE(mdev_exists(&self->uuid));
	EXPECT_EQ(0, vfio_info(self->user.device, &info));
	EXPECT_EQ(0, touch(memory, true));
	EXPECT_EQ(0, mdev_number(&self->uuid, "request"));
	munmap(memory, self->page);
	expect_revoked(_metadata, &self->uuid);
	EXPECT_EQ(-ENODEV, vfio_info(self->user.device, &info));
}

TEST_F(mapped, mapping_that_mmap_populated_cannot_be_taken)
{
	expect_not_revocable(_metadata, self, MDEV_RELAY_POPULATED_REGION);
}

TEST_F(mapped, mapping_cannot_be_taken_by_an_old_kernel)
{
	if (self->can)
		SKIP(return, "this kernel can take a mapping away");
	expect_not_revocable(_metadata, self, MDEV_RELAY_FAULT_REGION);
}

/* A parent driver without a revoke callback */
FIXTURE(unrevocable)
{
	struct held held;
};

FIXTURE_VARIANT(unrevocable)
{
	const char *parent;
	const char *type;
};

FIXTURE_VARIANT_ADD(unrevocable, relay)
{
	.parent = "mdev_relay.2", .type = "mdev_relay-relay",
};

FIXTURE_VARIANT_ADD(unrevocable, legacy)
{
	.parent = "mdev_legacy.0", .type = "mdev_legacy-page",
};

FIXTURE_SETUP(unrevocable)
{
	if (!parent_exists(variant->parent))
		SKIP(return, "no parent %s", variant->parent);
	if (!set_up_held(_metadata, &self->held, variant->parent,
			 variant->type))
		SKIP(return, ASKS_NOBODY);
}

FIXTURE_TEARDOWN(unrevocable)
{
	tear_down_held(_metadata, &self->held);
}

TEST_F(unrevocable, device_that_is_held_stays)
{
	int again = kmsg_open();

	ASSERT_EQ(0, holder_start(&self->held.holder, &self->held.uuid));
	EXPECT_EQ(EOPNOTSUPP, revoke_in_child(&self->held.uuid));
	EXPECT_EQ(EOPNOTSUPP, revoke_in_child(&self->held.uuid));
	EXPECT_TRUE(said(self->held.log, &self->held.uuid, LOG_NO_REVOKE));
	EXPECT_EQ(1, kmsg_count(again, self->held.uuid.text, LOG_NO_REVOKE));
	close(again);
	EXPECT_TRUE(mdev_exists(&self->held.uuid));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request"));
	EXPECT_EQ(0, eventfd_take(self->held.holder.eventfd));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
}

TEST_F(unrevocable, device_that_is_not_in_use_is_removed)
{
	EXPECT_EQ(0, revoke_in_child(&self->held.uuid));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
}

TEST_HARNESS_MAIN
