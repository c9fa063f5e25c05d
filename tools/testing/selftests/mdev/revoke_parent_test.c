// SPDX-License-Identifier: GPL-2.0-only
/*
 * A parent is unregistered, or vfio_mdev is unbound, while devices are held.
 * The holders are asked, and lose the devices after the grace that the module
 * parameter sets. The tests of unloaded modules are last.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "call.h"
#include "lib.h"
#include "lib/log.h"
#include "mdev_relay.h"

#define PARENT		"mdev_relay.1"
#define TYPE		"mdev_relay-relay"
#define DEVICES		5

#define WAITING		LOG_WAITING "; revoking them after "

/* How much longer than the grace it may take: emulation is slow */
#define MORE_MS		(2500 * time_scale())

/* Devices whose holders have stopped */
FIXTURE(parent)
{
	struct uuid uuids[DEVICES];
	struct holder holders[DEVICES];
	pid_t child;
	int log;
	int events;
	int count;
	int eventfd_id;
	long relays;
};

FIXTURE_SETUP(parent)
{
	int i;

	if (!parent_exists(PARENT))
		SKIP(return, "no parent " PARENT);
	self->child = -1;
	self->eventfd_id = eventfd_next_id();
	self->count = mdev_count();
	self->relays = relay_counter("relays");
	self->log = kmsg_open();
	self->events = uevent_open();
	ASSERT_LE(0, self->events);
	for (i = 0; i < DEVICES; i++)
		self->holders[i].pid = -1;
	for (i = 0; i < DEVICES; i++) {
		self->uuids[i] = uuid_new();
		ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuids[i]));
		ASSERT_EQ(0, holder_start(&self->holders[i], &self->uuids[i]));
		ASSERT_EQ(0, holder_order(&self->holders[i], HOLDER_REGISTER));
		ASSERT_EQ(0, kill(self->holders[i].pid, SIGSTOP));
	}
}

FIXTURE_TEARDOWN(parent)
{
	int i;

	for (i = 0; i < DEVICES; i++)
		if (self->holders[i].pid > 0)
			holder_kill(&self->holders[i]);
	if (self->child > 0)
		EXPECT_NE(-ETIMEDOUT, child_wait(self->child, SOON_MS));
	EXPECT_EQ(0, grace_set(GRACE_DEFAULT));
	for (i = 0; i < DEVICES; i++)
		if (mdev_exists(&self->uuids[i]))
			EXPECT_EQ(0, mdev_remove(&self->uuids[i]));
	if (!parent_exists(PARENT))
		EXPECT_EQ(0, parent_bind(PARENT));
	close(self->events);
	close(self->log);
	EXPECT_EQ(self->count, mdev_count());
	EXPECT_TRUE(relay_counter_becomes("relays", self->relays));
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

static bool event(const FIXTURE_DATA(parent) *self, int i, const char *variable)
{
	return uevent_wait(self->events, SOON_MS, "change", self->uuids[i].text,
			   variable);
}

static void start_unbinder(struct __test_metadata *_metadata,
			   FIXTURE_DATA(parent) *self)
{
	self->child = unbinder_start(PARENT);
	ASSERT_LT(0, self->child);
	EXPECT_TRUE(eventfd_wait(self->holders[0].eventfd, SOON_MS));
}

static void expect_unbound(struct __test_metadata *_metadata,
			   FIXTURE_DATA(parent) *self, int timeout_ms)
{
	EXPECT_EQ(0, child_wait(self->child, timeout_ms));
	self->child = -1;
	EXPECT_FALSE(parent_exists(PARENT));
}

static void expect_waits(struct __test_metadata *_metadata,
			 const FIXTURE_DATA(parent) *self, int ms)
{
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, ms));
}

static int order(FIXTURE_DATA(parent) *self, int i, enum holder_order what)
{
	kill(self->holders[i].pid, SIGCONT);
	return holder_order(&self->holders[i], what);
}

TEST_F(parent, users_share_their_time)
{
	__s64 start = now_ms();
	char name[96];
	int i;

	ASSERT_EQ(0, grace_set(2));
	start_unbinder(_metadata, self);
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, PARENT, WAITING "2 s", NULL));
	expect_unbound(_metadata, self, SOON_MS);
	EXPECT_LE(2000, now_ms() - start);
	EXPECT_GE(2000 + MORE_MS, now_ms() - start);
	for (i = 0; i < DEVICES; i++) {
		int log = kmsg_open();

		/* The order of the lines may differ from that of the devices */
		lseek(log, 0, SEEK_SET);
		snprintf(name, sizeof(name),
			 LOG_REVOKED HOLDER_NAME " (pid %d)",
			 self->holders[i].pid);
		EXPECT_TRUE(kmsg_wait(log, 0, self->uuids[i].text, name, NULL));
		close(log);
		EXPECT_FALSE(mdev_exists(&self->uuids[i]));
		EXPECT_EQ(-ENODEV, order(self, i, HOLDER_USE));
		EXPECT_EQ(-ENODEV, order(self, i, HOLDER_OPEN_AGAIN));
		/* Asked by the unbind, asked again by the revocation, and signalled at its end */
		EXPECT_EQ(3, eventfd_take(self->holders[i].eventfd));
	}
	/* The parent can be bound again while all shells still exist */
	EXPECT_EQ(0, parent_bind(PARENT));
	EXPECT_EQ(0, mdev_create(PARENT, TYPE, &self->uuids[0]));
}

TEST_F(parent, user_that_releases_in_time_loses_nothing)
{
	ASSERT_EQ(0, grace_set(3));
	start_unbinder(_metadata, self);
	EXPECT_EQ(0, order(self, 0, HOLDER_USE));
	EXPECT_EQ(0, order(self, 0, HOLDER_CLOSE));
	expect_unbound(_metadata, self, SOON_MS);
	EXPECT_TRUE(event(self, 1, MDEV_UEVENT_REQUEST_REVOKED));
	EXPECT_FALSE(kmsg_wait(self->log, 0, self->uuids[0].text, LOG_REVOKED,
			       NULL));
}

TEST_F(parent, events_tell_of_the_end)
{
	int i;

	ASSERT_EQ(0, grace_set(1));
	start_unbinder(_metadata, self);
	expect_unbound(_metadata, self, SOON_MS);
	/* In the order in which the devices were created */
	for (i = 0; i < DEVICES; i++)
		EXPECT_TRUE(event(self, i, MDEV_UEVENT_REQUEST_REVOKED));
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "change", PARENT,
				MDEV_UEVENT_UNREGISTERED));
}

TEST_F(parent, users_have_as_long_as_they_like_with_no_limit)
{
	int i;

	ASSERT_EQ(0, grace_set(0));
	start_unbinder(_metadata, self);
	expect_waits(_metadata, self, 4000);
	EXPECT_FALSE(kmsg_wait(self->log, 0, PARENT, WAITING, NULL));
	for (i = 0; i < DEVICES; i++) {
		EXPECT_TRUE(mdev_exists(&self->uuids[i]));
		EXPECT_EQ(0, order(self, i, HOLDER_USE));
		EXPECT_EQ(0, order(self, i, HOLDER_CLOSE));
	}
	expect_unbound(_metadata, self, SOON_MS);
}

TEST_F(parent, time_can_be_shortened_meanwhile)
{
	ASSERT_EQ(0, grace_set(0));
	start_unbinder(_metadata, self);
	expect_waits(_metadata, self, 2000);
	/* The grace counts from the start of the wait */
	ASSERT_EQ(0, grace_set(1));
	expect_unbound(_metadata, self, 1000 + MORE_MS);
}

TEST_F(parent, time_can_be_prolonged_meanwhile)
{
	ASSERT_EQ(0, grace_set(3));
	start_unbinder(_metadata, self);
	ASSERT_EQ(0, grace_set(0));
	expect_waits(_metadata, self, 5000);
	EXPECT_EQ(0, order(self, 4, HOLDER_USE));
	/* The longest grace must not count as elapsed */
	ASSERT_EQ(0, grace_set(365 * 24 * 3600));
	expect_waits(_metadata, self, 2000);
	EXPECT_EQ(0, order(self, 4, HOLDER_USE));
	ASSERT_EQ(0, grace_set(1));
	expect_unbound(_metadata, self, 1000 + MORE_MS);
}

TEST_F(parent, revocation_by_hand_ends_the_wait)
{
	int i;

	start_unbinder(_metadata, self);
	for (i = 0; i < DEVICES; i++) {
		expect_waits(_metadata, self, 0);
		EXPECT_EQ(0, child_wait(revoker_start(&self->uuids[i]),
					SOON_MS));
	}
	expect_unbound(_metadata, self, SOON_MS);
}

TEST_F(parent, removal_that_waits_ends_with_enodev)
{
	pid_t remover = remover_start(&self->uuids[1]);

	EXPECT_TRUE(event(self, 1, MDEV_UEVENT_REQUEST_PENDING));
	ASSERT_EQ(0, grace_set(1));
	start_unbinder(_metadata, self);
	expect_unbound(_metadata, self, SOON_MS);
	EXPECT_EQ(ENODEV, child_wait(remover, SOON_MS));
}

TEST_F(parent, parent_that_is_gone_gives_no_time)
{
	__s64 start;

	ASSERT_EQ(0, grace_set(0));
	EXPECT_EQ(0, file_puts(parent_path(PARENT, "relay/gone").text, "1"));
	/* mdev_parent_gone() itself revokes nothing. It only decides how an unbind will end */
	EXPECT_EQ(0, order(self, 0, HOLDER_USE));
	start = now_ms();
	start_unbinder(_metadata, self);
	expect_unbound(_metadata, self, SOON_MS);
	EXPECT_GE(MORE_MS, now_ms() - start);
	EXPECT_EQ(-ENODEV, order(self, 0, HOLDER_USE));
}

TEST_F(parent, parent_that_goes_meanwhile_ends_the_wait)
{
	ASSERT_EQ(0, grace_set(0));
	start_unbinder(_metadata, self);
	expect_waits(_metadata, self, 1500);
	EXPECT_EQ(0, file_puts(parent_path(PARENT, "relay/gone").text, "1"));
	expect_unbound(_metadata, self, MORE_MS);
	EXPECT_EQ(-ENODEV, order(self, 0, HOLDER_USE));
}

/* At the same time, near the end of the grace: either may come first */
TEST_F(parent, revocations_by_hand_and_by_time_race)
{
	pid_t pids[DEVICES];
	int i, ret;

	ASSERT_EQ(0, grace_set(1));
	start_unbinder(_metadata, self);
	usleep(900000);
	for (i = 0; i < DEVICES; i++)
		pids[i] = revoker_start(&self->uuids[i]);
	for (i = 0; i < DEVICES; i++) {
		ret = child_wait(pids[i], SOON_MS);
		EXPECT_TRUE(!ret || ret == ENODEV || ret == ENOENT) {
			TH_LOG("a revocation ended with %d", ret);
		}
	}
	expect_unbound(_metadata, self, SOON_MS);
	for (i = 0; i < DEVICES; i++)
		EXPECT_EQ(-ENODEV, order(self, i, HOLDER_USE));
}

TEST_F(parent, device_loses_its_driver_and_gets_it_back)
{
	struct uuid *uuid = &self->uuids[2];
	struct vfio_user user;
	__s64 start;

	ASSERT_EQ(0, grace_set(2));
	start = now_ms();
	self->child = driver_unbinder_start(uuid);
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
	EXPECT_LE(2000, now_ms() - start);
	EXPECT_TRUE(mdev_exists(uuid));
	EXPECT_FALSE(file_exists(mdev_path(uuid, "driver").text));
	EXPECT_TRUE(event(self, 2, MDEV_UEVENT_REQUEST_REVOKED));
	EXPECT_EQ(0, mdev_number(uuid, "request"));
	/* The driver cannot bind again while the former holder has the device open */
	EXPECT_EQ(-EBUSY, file_puts(MDEV_DRIVER "bind", uuid->text));
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, uuid->text, LOG_NOT_BOUND,
			      NULL));
	EXPECT_EQ(-ENODEV, order(self, 2, HOLDER_USE));
	EXPECT_EQ(-EBUSY, file_puts(MDEV_DRIVER "bind", uuid->text));
	EXPECT_EQ(0, order(self, 2, HOLDER_CLOSE));
	EXPECT_EQ(0, soon_not(-EBUSY, file_puts(MDEV_DRIVER "bind",
						uuid->text)));
	EXPECT_EQ(0, vfio_open(&user, uuid));
	vfio_close(&user);
	/* The other holders are not affected */
	EXPECT_EQ(0, order(self, 3, HOLDER_USE));
}

TEST_F(parent, device_without_its_driver_can_be_removed)
{
	struct uuid *uuid = &self->uuids[2];

	ASSERT_EQ(0, grace_set(1));
	self->child = driver_unbinder_start(uuid);
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
	EXPECT_EQ(0, child_wait(revoker_start(uuid), SOON_MS));
	EXPECT_FALSE(mdev_exists(uuid));
	EXPECT_EQ(0, mdev_create(PARENT, TYPE, uuid));
	EXPECT_EQ(-ENODEV, order(self, 2, HOLDER_USE));
}

TEST_F(parent, unbind_of_the_driver_waits_with_no_limit)
{
	struct uuid *uuid = &self->uuids[2];

	ASSERT_EQ(0, grace_set(0));
	self->child = driver_unbinder_start(uuid);
	expect_waits(_metadata, self, 3000);
	EXPECT_EQ(0, order(self, 2, HOLDER_USE));
	/* A revocation by hand does not wait for the unbind */
	EXPECT_EQ(0, child_wait(revoker_start(uuid), SOON_MS));
	EXPECT_FALSE(mdev_exists(uuid));
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
}

/* An unbind waits for a device that cannot be revoked */
TEST_F(parent, mapping_that_cannot_be_taken_is_waited_for)
{
	struct uuid uuid = uuid_new();
	struct vfio_user user;
	void *memory;

	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &uuid));
	ASSERT_EQ(0, vfio_open(&user, &uuid));
	memory = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, user.device,
		      (off_t)MDEV_RELAY_POPULATED_REGION <<
		      MDEV_RELAY_INDEX_SHIFT);
	ASSERT_NE(MAP_FAILED, memory);
	madvise(memory, getpagesize(), MADV_DONTFORK);
	ASSERT_EQ(0, grace_set(1));
	start_unbinder(_metadata, self);
	expect_waits(_metadata, self, 4000);
	/* The other devices were revoked in time */
	EXPECT_FALSE(mdev_exists(&self->uuids[0]));
	EXPECT_FALSE(mdev_exists(&self->uuids[4]));
	EXPECT_TRUE(mdev_exists(&uuid));
	munmap(memory, getpagesize());
	/* Without the mapping, the device can be revoked, and is */
	expect_unbound(_metadata, self, MORE_MS);
	vfio_close(&user);
}

/* A parent driver without a revoke callback */
FIXTURE(unrevocable)
{
	struct uuid uuid;
	struct holder holder;
	int log;
};

#define UNREVOCABLE	"mdev_relay.2"

FIXTURE_SETUP(unrevocable)
{
	if (!parent_exists(UNREVOCABLE))
		SKIP(return, "no parent " UNREVOCABLE);
	self->uuid = uuid_new();
	self->log = kmsg_open();
	ASSERT_EQ(0, mdev_create(UNREVOCABLE, TYPE, &self->uuid));
	ASSERT_EQ(0, holder_start(&self->holder, &self->uuid));
	ASSERT_EQ(0, holder_order(&self->holder, HOLDER_REGISTER));
}

FIXTURE_TEARDOWN(unrevocable)
{
	holder_kill(&self->holder);
	EXPECT_EQ(0, grace_set(GRACE_DEFAULT));
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	if (!parent_exists(UNREVOCABLE))
		EXPECT_EQ(0, parent_bind(UNREVOCABLE));
	close(self->log);
}

TEST_F(unrevocable, user_is_waited_for)
{
	pid_t pid;

	ASSERT_EQ(0, grace_set(1));
	pid = unbinder_start(UNREVOCABLE);
	EXPECT_TRUE(eventfd_wait(self->holder.eventfd, SOON_MS));
	EXPECT_EQ(-ETIMEDOUT, child_wait(pid, 4000));
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text,
			      LOG_NO_REVOKE, NULL));
	/* The line does not come once a second */
	EXPECT_EQ(0, kmsg_count(self->log, self->uuid.text, LOG_NO_REVOKE));
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_USE));
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(pid, SOON_MS));
}

/* The teardown loads all of these modules again */
static const char * const modules[] = {
	"mdev", "mtty", "mpad", "mdev_relay", "mdev_legacy",
};

#define NR_MODULES	((int)ARRAY_SIZE(modules))

static bool module_is_loaded(const char *name)
{
	return module_users(name) != -ENOENT;
}

FIXTURE(module)
{
	struct uuid uuid;
	struct holder holder;
	pid_t child;
	int log;
};

FIXTURE_SETUP(module)
{
	if (!parent_exists("mtty") || !parent_exists(PARENT) ||
	    !file_exists("/modules/mtty.ko"))
		SKIP(return, "not in a guest with all modules");
	self->child = -1;
	self->uuid = uuid_new();
	self->log = kmsg_open();
	ASSERT_EQ(0, mdev_create("mtty", "mtty-2", &self->uuid));
	ASSERT_EQ(0, holder_start(&self->holder, &self->uuid));
	ASSERT_EQ(0, holder_order(&self->holder, HOLDER_REGISTER));
	ASSERT_EQ(0, kill(self->holder.pid, SIGSTOP));
}

FIXTURE_TEARDOWN(module)
{
	int i;

	holder_kill(&self->holder);
	if (self->child > 0)
		EXPECT_NE(-ETIMEDOUT, child_wait(self->child, SOON_MS));
	for (i = 0; i < NR_MODULES; i++)
		if (!module_is_loaded(modules[i]))
			EXPECT_EQ(0, module_load(modules[i]));
	EXPECT_EQ(0, grace_set(GRACE_DEFAULT));
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	close(self->log);
}

static int run_unloader(void *arg)
{
	return -module_unload(arg);
}

TEST_F(module, driver_with_a_user_is_unloaded_after_its_time)
{
	__s64 start = now_ms();

	ASSERT_EQ(0, grace_set(2));
	self->child = child_start(run_unloader, (void *)modules[1], -1, -1);
	EXPECT_TRUE(eventfd_wait(self->holder.eventfd, SOON_MS));
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
	EXPECT_LE(2000, now_ms() - start);
	EXPECT_GE(2000 + MORE_MS, now_ms() - start);
	EXPECT_FALSE(module_is_loaded("mtty"));
	/* The module can be loaded again, and the device created again */
	EXPECT_EQ(0, module_load("mtty"));
	EXPECT_EQ(0, mdev_create("mtty", "mtty-2", &self->uuid));
	EXPECT_EQ(0, kill(self->holder.pid, SIGCONT));
	EXPECT_EQ(-ENODEV, holder_order(&self->holder, HOLDER_USE));
}

TEST_F(module, driver_whose_user_releases_is_unloaded)
{
	self->child = child_start(run_unloader, (void *)modules[1], -1, -1);
	EXPECT_TRUE(eventfd_wait(self->holder.eventfd, SOON_MS));
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, 1000));
	EXPECT_EQ(0, kill(self->holder.pid, SIGCONT));
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_USE));
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
}

/* An open while the grace is unlimited holds the module. The current value counts */
TEST_F(module, driver_with_a_user_stays_with_no_limit)
{
	ASSERT_EQ(0, grace_set(0));
	holder_kill(&self->holder);
	ASSERT_EQ(0, holder_start(&self->holder, &self->uuid));
	EXPECT_EQ(-EAGAIN, module_unload("mtty"));
	EXPECT_TRUE(mdev_exists(&self->uuid));
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_USE));
	ASSERT_EQ(0, grace_set(1));
	EXPECT_EQ(0, module_unload("mtty"));
	EXPECT_FALSE(mdev_exists(&self->uuid));
}

TEST_F(module, driver_that_cannot_revoke_stays)
{
	struct uuid uuid = uuid_new();
	struct vfio_user user;

	ASSERT_EQ(0, grace_set(1));
	ASSERT_EQ(0, mdev_create("mdev_legacy.0", "mdev_legacy-page", &uuid));
	ASSERT_EQ(0, vfio_open(&user, &uuid));
	EXPECT_EQ(-EAGAIN, module_unload("mdev_legacy"));
	vfio_close(&user);
	EXPECT_EQ(0, mdev_remove(&uuid));
}

/* A device of mdev_relay, and a call outside of the gate that waits for its holder's memory */
struct outside {
	struct uuid uuid;
	struct vfio_user user;
	struct missing missing;
	struct call call;
	char data[64];
};

static void start_call_outside(struct __test_metadata *_metadata,
			       struct outside *outside)
{
	outside->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &outside->uuid));
	ASSERT_EQ(0, vfio_open(&outside->user, &outside->uuid));
	ASSERT_EQ(0, missing_new(&outside->missing, 65536));
	ASSERT_EQ(0, vfio_map(&outside->user, outside->missing.memory, 0,
			      65536));
	ASSERT_EQ(0, call_start(&outside->call, &(struct call){
		.run = call_read, .user = &outside->user,
		.data = outside->data, .len = sizeof(outside->data),
	}));
	ASSERT_TRUE(missing_wait(&outside->missing, SOON_MS));
}

/* The memory appears, but the device is gone */
static void expect_call_outside_fails(struct __test_metadata *_metadata,
				      struct outside *outside)
{
	EXPECT_EQ(0, missing_bring(&outside->missing, 65536));
	EXPECT_EQ(-ENODEV, call_end(&outside->call, SOON_MS));
}

TEST_F(module, driver_with_a_call_outside_stays)
{
	struct outside outside;

	ASSERT_EQ(0, grace_set(1));
	start_call_outside(_metadata, &outside);
	EXPECT_EQ(0, child_wait(revoker_start(&outside.uuid), SOON_MS));
	/* The call returns through the module's code */
	EXPECT_EQ(-EAGAIN, module_unload("mdev_relay"));
	expect_call_outside_fails(_metadata, &outside);
	EXPECT_EQ(0, module_unload("mdev_relay"));
	vfio_close(&outside.user);
	missing_free(&outside.missing);
}

/* Only the unload has to wait for the call */
TEST_F_TIMEOUT(module, revocation_while_unloading_waits_for_no_call_outside, 60)
{
	struct outside outside;
	pid_t unloader, revoker;

	ASSERT_EQ(0, grace_set(60));
	start_call_outside(_metadata, &outside);
	unloader = child_start(run_unloader, "mdev_relay", -1, -1);
	ASSERT_LT(0, unloader);
	ASSERT_TRUE(soon(mdev_number(&outside.uuid, "request") == 1));
	revoker = revoker_start(&outside.uuid);
	EXPECT_EQ(0, child_wait(revoker, SOON_MS));
	EXPECT_EQ(-ETIMEDOUT, child_wait(unloader, 0));
	expect_call_outside_fails(_metadata, &outside);
	EXPECT_EQ(0, child_wait(unloader, SOON_MS));
	vfio_close(&outside.user);
	missing_free(&outside.missing);
}

/* The unload revokes the device, but then has to wait until the call has returned */
TEST_F_TIMEOUT(module, unloading_waits_for_a_call_outside, 60)
{
	struct outside outside;
	pid_t pid;

	ASSERT_EQ(0, grace_set(1));
	start_call_outside(_metadata, &outside);
	pid = child_start(run_unloader, "mdev_relay", -1, -1);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(kmsg_wait(self->log, REPEAT_MS, outside.uuid.text,
			      LOG_UNLOAD_WAITS, NULL));
	EXPECT_EQ(-ETIMEDOUT, child_wait(pid, 0));
	expect_call_outside_fails(_metadata, &outside);
	EXPECT_EQ(0, child_wait(pid, SOON_MS));
	vfio_close(&outside.user);
	missing_free(&outside.missing);
}

TEST_F(module, framework_stays_until_the_shell_is_closed)
{
	int i;

	EXPECT_EQ(0, child_wait(revoker_start(&self->uuid), SOON_MS));
	for (i = NR_MODULES - 1; i > 0; i--)
		EXPECT_EQ(0, module_unload(modules[i])) {
			TH_LOG("%s", modules[i]);
		}
	EXPECT_EQ(-EAGAIN, module_unload("mdev"));
	EXPECT_EQ(0, kill(self->holder.pid, SIGCONT));
	EXPECT_EQ(-ENODEV, holder_order(&self->holder, HOLDER_USE));
	EXPECT_EQ(-EAGAIN, module_unload("mdev"));
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_CLOSE));
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text, LOG_CLOSED,
			      NULL));
	EXPECT_EQ(0, soon_not(-EAGAIN, module_unload("mdev")));
}

TEST_HARNESS_MAIN
