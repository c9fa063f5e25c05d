// SPDX-License-Identifier: GPL-2.0-only
/*
 * A holder tries to block the removal of its device: by a group that stays
 * open, by descriptors that no process has, by an open or a close that VFIO
 * does not finish, and by many of them at once. Removal, unbind and unload end
 * soon, and a waiting thread can be killed.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "stuck.h"

#define PARENT	"mdev_relay.0"
#define OTHER	"mdev_relay.1"
#define TYPE	"mdev_relay-relay"

/* The longest time of a removal, on a busy machine */
#define MOMENT_MS	(5000 * time_scale())

/* How long a holder uses its container after it has closed the device */
#define LEAVING_MS	300

/* More work items than a workqueue runs at once on one CPU */
#define NR_STUCK	40

/* Undoes an unload or an unbind of the parent */
static int parent_bring_back(void)
{
	if (module_users("mdev_relay") == -ENOENT)
		return module_load("mdev_relay");
	return parent_exists(PARENT) ? 0 : parent_bind(PARENT);
}

FIXTURE(way_out)
{
	struct stuck stuck;
	unsigned char *memory;
	size_t page;
	pid_t child;
};

FIXTURE_SETUP(way_out)
{
	self->stuck = (struct stuck)STUCK_NONE;
	self->child = -1;
	if (!parent_exists(PARENT) || !parent_exists(OTHER))
		SKIP(return, "no parents of mdev_relay");
	self->page = sysconf(_SC_PAGESIZE);
	self->memory = mmap(NULL, 4 * self->page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	ASSERT_EQ(0, stuck_new(&self->stuck, PARENT, TYPE, self->memory));
}

FIXTURE_TEARDOWN(way_out)
{
	child_kill(self->child);
	EXPECT_TRUE(stuck_free(&self->stuck));
	EXPECT_EQ(0, parent_bring_back());
	EXPECT_EQ(0, grace_set(GRACE_DEFAULT));
	if (mdev_exists(&self->stuck.uuid))
		EXPECT_EQ(0, mdev_remove(&self->stuck.uuid));
	EXPECT_TRUE(pages_pinned_become(0));
}

/* Waits for @child, which must end soon and with @status */
static void expect_ends(struct __test_metadata *_metadata, pid_t child,
			int status)
{
	EXPECT_EQ(status, child_wait(child, MOMENT_MS));
}

static void expect_removed(struct __test_metadata *_metadata,
			   const struct uuid *uuid, pid_t child)
{
	expect_ends(_metadata, child, 0);
	EXPECT_FALSE(mdev_exists(uuid));
}

static int run_unloader(void *arg)
{
	return -module_unload(arg);
}

static int create_and_remove(void *parent)
{
	struct uuid uuid = uuid_new();
	int ret = mdev_create(parent, TYPE, &uuid);

	return -(ret ? ret : mdev_remove(&uuid));
}

static void expect_others_go_on(struct __test_metadata *_metadata)
{
	expect_ends(_metadata, child_start(create_and_remove, OTHER, -1, -1),
		    0);
}

/* Maps and unmaps for a while. Removing the device must not disturb that */
static int use_container(const struct stuck *stuck, void *memory)
{
	__s64 end = now_ms() + LEAVING_MS;
	size_t page = sysconf(_SC_PAGESIZE);
	int ret = 0;

	while (!ret && now_ms() < end) {
		ret = vfio_unmap(&stuck->user, STUCK_IOVA, 4 * page);
		if (!ret)
			ret = vfio_map(&stuck->user, memory, STUCK_IOVA,
				       4 * page);
	}
	return ret;
}

TEST_F(way_out, group_that_stays_open_is_not_waited_for)
{
	self->child = remover_start(&self->stuck.uuid);
	ASSERT_TRUE(soon(mdev_number(&self->stuck.uuid, "request") == 1));
	stuck_close_device(&self->stuck);
	EXPECT_EQ(0, use_container(&self->stuck, self->memory));
	expect_removed(_metadata, &self->stuck.uuid, self->child);
	self->child = -1;
	/* The group has no device. The container's memory still belongs to the holder */
	EXPECT_GT(0, vfio_get_device(&self->stuck.user, &self->stuck.uuid));
	EXPECT_EQ(0, vfio_unmap(&self->stuck.user, STUCK_IOVA, 4 * self->page));
}

/* The group is open and its container's lock is held, but no process has the group */
TEST_F(way_out, descriptors_that_no_process_has_are_not_waited_for)
{
	struct stuck *stuck = &self->stuck;
	int sockets[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				sockets));
	stuck_close_device(stuck);
	ASSERT_EQ(0, stuck_lock(stuck));
	ASSERT_EQ(0, fd_send(sockets[0], stuck->user.group));
	close(stuck->user.group);
	expect_removed(_metadata, &stuck->uuid, remover_start(&stuck->uuid));
	expect_others_go_on(_metadata);
	stuck->user.group = fd_receive(sockets[1]);
	ASSERT_LE(0, stuck->user.group);
	EXPECT_GT(0, vfio_get_device(&stuck->user, &stuck->uuid));
	close(sockets[0]);
	close(sockets[1]);
}

/* The descriptor of the device is in a socket, so no process can release it */
TEST_F(way_out, device_that_no_process_has_can_be_revoked)
{
	struct stuck *stuck = &self->stuck;
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int sockets[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				sockets));
	ASSERT_EQ(0, fd_send(sockets[0], stuck->user.device));
	stuck_close_device(stuck);
	expect_removed(_metadata, &stuck->uuid, revoker_start(&stuck->uuid));
	stuck->user.device = fd_receive(sockets[1]);
	ASSERT_LE(0, stuck->user.device);
	EXPECT_EQ(-ENODEV, vfio_info(stuck->user.device, &info));
	close(sockets[0]);
	close(sockets[1]);
}

TEST_F(way_out, remover_that_waits_for_a_stuck_holder_can_be_killed)
{
	ASSERT_EQ(0, stuck_lock(&self->stuck));
	self->child = remover_start(&self->stuck.uuid);
	ASSERT_TRUE(soon(mdev_number(&self->stuck.uuid, "request") == 1));
	ASSERT_EQ(0, kill(self->child, SIGKILL));
	expect_ends(_metadata, self->child, 128 + SIGKILL);
	self->child = -1;
	EXPECT_TRUE(mdev_exists(&self->stuck.uuid));
	expect_removed(_metadata, &self->stuck.uuid,
		       revoker_start(&self->stuck.uuid));
}

/* The remover may already be past its wait, but must not get stuck */
TEST_F(way_out, remover_of_a_device_whose_group_is_stuck_can_be_killed)
{
	int status;

	stuck_close_device(&self->stuck);
	ASSERT_EQ(0, stuck_lock(&self->stuck));
	self->child = remover_start(&self->stuck.uuid);
	ASSERT_EQ(0, kill(self->child, SIGKILL));
	status = child_wait(self->child, MOMENT_MS);
	EXPECT_TRUE(status == 128 + SIGKILL || !status) {
		TH_LOG("%d", status);
	}
	self->child = -1;
	expect_others_go_on(_metadata);
	if (mdev_exists(&self->stuck.uuid))
		expect_removed(_metadata, &self->stuck.uuid,
			       remover_start(&self->stuck.uuid));
}

TEST_F(way_out, unbind_does_not_wait_for_a_close_that_is_stuck)
{
	ASSERT_EQ(0, relay_pin(self->stuck.user.device, MDEV_RELAY_PIN,
			       STUCK_IOVA, 1));
	ASSERT_EQ(0, grace_set(1));
	ASSERT_EQ(0, stuck_in_close(&self->stuck));
	expect_removed(_metadata, &self->stuck.uuid, unbinder_start(PARENT));
	expect_others_go_on(_metadata);
}

TEST_F(way_out, unbind_does_not_wait_for_an_open_that_is_stuck)
{
	ASSERT_EQ(0, grace_set(1));
	ASSERT_EQ(0, stuck_in_open(&self->stuck));
	expect_removed(_metadata, &self->stuck.uuid, unbinder_start(PARENT));
	expect_others_go_on(_metadata);
}

TEST_F(way_out, unload_does_not_wait_for_a_close_that_is_stuck)
{
	ASSERT_EQ(0, relay_pin(self->stuck.user.device, MDEV_RELAY_PIN,
			       STUCK_IOVA, 1));
	ASSERT_EQ(0, grace_set(1));
	ASSERT_EQ(0, stuck_in_close(&self->stuck));
	expect_removed(_metadata, &self->stuck.uuid,
		       child_start(run_unloader, "mdev_relay", -1, -1));
	EXPECT_EQ(-ENOENT, module_users("mdev_relay"));
}

TEST_F(way_out, unload_does_not_wait_for_an_open_that_is_stuck)
{
	ASSERT_EQ(0, grace_set(1));
	ASSERT_EQ(0, stuck_in_open(&self->stuck));
	expect_removed(_metadata, &self->stuck.uuid,
		       child_start(run_unloader, "mdev_relay", -1, -1));
	EXPECT_EQ(-ENOENT, module_users("mdev_relay"));
}

/* Each device has a container of its own, whose lock is held */
static int many_stick(struct stuck *many, void *memory)
{
	int i, ret = 0;

	for (i = 0; !ret && i < NR_STUCK; i++) {
		ret = stuck_new(&many[i], PARENT, TYPE, memory);
		if (!ret)
			ret = i % 2 ? stuck_in_close(&many[i]) :
				      stuck_in_open(&many[i]);
	}
	return ret;
}

/* A removal does not wait for the holders of other devices */
TEST_F_TIMEOUT(way_out, many_that_are_stuck_keep_nobody, 120)
{
	struct stuck many[NR_STUCK];
	pid_t revokers[NR_STUCK];
	int i;

	for (i = 0; i < NR_STUCK; i++)
		many[i] = (struct stuck)STUCK_NONE;
	ASSERT_EQ(0, many_stick(many, self->memory));
	for (i = 0; i < NR_STUCK; i++)
		revokers[i] = revoker_start(&many[i].uuid);
	for (i = 0; i < NR_STUCK; i++)
		expect_removed(_metadata, &many[i].uuid, revokers[i]);
	expect_others_go_on(_metadata);
	/* The holder of this device releases it */
	self->child = remover_start(&self->stuck.uuid);
	ASSERT_TRUE(soon(mdev_number(&self->stuck.uuid, "request") == 1));
	vfio_close(&self->stuck.user);
	expect_removed(_metadata, &self->stuck.uuid, self->child);
	self->child = -1;
	for (i = 0; i < NR_STUCK; i++)
		EXPECT_TRUE(stuck_free(&many[i]));
}

TEST_HARNESS_MAIN
