// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hostile holders of devices whose driver is one of the kernel's own interface.
 * Such a device cannot be revoked. A removal waits, can be killed, and can be
 * repeated. Nothing else waits for that device.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "stuck.h"

/* The longest time of an operation that waits for no holder */
#define MOMENT_MS	(5000 * time_scale())

/* How long the test watches a removal wait */
#define WAITS_MS	1500

/* The number of devices that mtty has */
#define NR_STUCK	20

FIXTURE(kernel_way_out)
{
	struct stuck stuck;
	unsigned char *memory;
	pid_t child;
};

/* A device, and a device of another driver that has to keep working */
FIXTURE_VARIANT(kernel_way_out)
{
	const char *parent;
	const char *type;
	const char *other;
	const char *other_type;
};

FIXTURE_VARIANT_ADD(kernel_way_out, mtty)
{
	.parent = "mtty", .type = "mtty-1",
	.other = "mdpy", .other_type = "mdpy-vga",
};

FIXTURE_VARIANT_ADD(kernel_way_out, mdpy)
{
	.parent = "mdpy", .type = "mdpy-vga",
	.other = "mtty", .other_type = "mtty-1",
};

FIXTURE_SETUP(kernel_way_out)
{
	size_t size = 4 * sysconf(_SC_PAGESIZE);

	self->stuck = (struct stuck)STUCK_NONE;
	self->child = -1;
	ASSERT_TRUE(parent_exists(variant->parent));
	ASSERT_TRUE(parent_exists(variant->other));
	self->memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	ASSERT_EQ(0, stuck_new(&self->stuck, variant->parent, variant->type,
			       self->memory));
}

FIXTURE_TEARDOWN(kernel_way_out)
{
	child_kill(self->child);
	EXPECT_TRUE(stuck_free(&self->stuck));
	if (mdev_exists(&self->stuck.uuid))
		EXPECT_EQ(0, mdev_remove(&self->stuck.uuid));
}

struct place {
	const char *parent;
	const char *type;
};

static int create_and_remove(void *arg)
{
	const struct place *place = arg;
	struct uuid uuid = uuid_new();
	int ret = mdev_create(place->parent, place->type, &uuid);

	return -(ret ? ret : mdev_remove(&uuid));
}

/* Devices of the other driver and of the same one can be created and removed */
static void
expect_others_go_on(struct __test_metadata *_metadata,
		    const FIXTURE_VARIANT(kernel_way_out) *variant)
{
	struct place others[] = {
		{ variant->other, variant->other_type },
		{ variant->parent, variant->type },
	};
	int i;

	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, child_wait(child_start(create_and_remove,
						    &others[i], -1, -1),
					MOMENT_MS));
}

/* A removal waits. If it is killed, it ends at once and has changed nothing */
static void
expect_removal_can_be_killed(struct __test_metadata *_metadata,
			     FIXTURE_DATA(kernel_way_out) *self,
			     const FIXTURE_VARIANT(kernel_way_out) *variant)
{
	self->child = remover_start(&self->stuck.uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, WAITS_MS));
	expect_others_go_on(_metadata, variant);
	ASSERT_EQ(0, kill(self->child, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_wait(self->child, MOMENT_MS));
	self->child = -1;
	EXPECT_TRUE(mdev_exists(&self->stuck.uuid));
}

static void expect_removal_is_repeated(struct __test_metadata *_metadata,
				       const struct uuid *uuid)
{
	EXPECT_EQ(0, child_wait(remover_start(uuid), MOMENT_MS));
	EXPECT_FALSE(mdev_exists(uuid));
}

/* A thread in VFIO holds the group's lock, and waits for the container's lock */
TEST_F(kernel_way_out, removal_waits_alone_for_a_group_that_is_stuck)
{
	ASSERT_EQ(0, stuck_in_group(&self->stuck));
	expect_removal_can_be_killed(_metadata, self, variant);
	EXPECT_EQ(-EBUSY, mdev_revoke(&self->stuck.uuid));
	EXPECT_TRUE(stuck_free(&self->stuck));
	expect_removal_is_repeated(_metadata, &self->stuck.uuid);
}

/* The group is open, and idle */
TEST_F(kernel_way_out, removal_waits_alone_for_a_group_that_is_open)
{
	stuck_close_device(&self->stuck);
	expect_removal_can_be_killed(_metadata, self, variant);
	EXPECT_EQ(-EBUSY, mdev_revoke(&self->stuck.uuid));
	self->child = remover_start(&self->stuck.uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, WAITS_MS));
	EXPECT_TRUE(stuck_free(&self->stuck));
	EXPECT_EQ(0, child_wait(self->child, MOMENT_MS));
	self->child = -1;
}

/* The device was never opened, and the container's lock is held */
TEST_F(kernel_way_out, removal_waits_alone_for_a_group_without_its_device)
{
	struct vfio_user *user = &self->stuck.user;

	vfio_close(user);
	user->container = vfio_open_container();
	ASSERT_LE(0, user->container);
	user->group = vfio_open_group(&self->stuck.uuid, user->container);
	ASSERT_LE(0, user->group);
	ASSERT_EQ(0, vfio_ioctl(user->container, VFIO_SET_IOMMU,
				(void *)VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, vfio_map(user, self->memory, STUCK_IOVA,
			      4 * sysconf(_SC_PAGESIZE)));
	ASSERT_EQ(0, stuck_lock(&self->stuck));
	expect_removal_can_be_killed(_metadata, self, variant);
	EXPECT_TRUE(stuck_free(&self->stuck));
	expect_removal_is_repeated(_metadata, &self->stuck.uuid);
}

TEST_F(kernel_way_out, removal_waits_alone_for_a_holder_that_is_stuck)
{
	ASSERT_EQ(0, stuck_lock(&self->stuck));
	expect_removal_can_be_killed(_metadata, self, variant);
	EXPECT_EQ(-EOPNOTSUPP, mdev_revoke(&self->stuck.uuid));
	EXPECT_TRUE(stuck_free(&self->stuck));
	expect_removal_is_repeated(_metadata, &self->stuck.uuid);
}

/* The descriptor is in a socket, so no process can release the device */
TEST_F(kernel_way_out, removal_waits_alone_for_a_device_that_no_process_has)
{
	struct stuck *stuck = &self->stuck;
	int sockets[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				sockets));
	ASSERT_EQ(0, fd_send(sockets[0], stuck->user.device));
	stuck_close_device(stuck);
	expect_removal_can_be_killed(_metadata, self, variant);
	close(sockets[0]);
	close(sockets[1]);
	vfio_close(&stuck->user);
	expect_removal_is_repeated(_metadata, &self->stuck.uuid);
}

/* The unbind cannot be killed, but delays nothing else */
TEST_F(kernel_way_out, unbind_waits_alone_for_a_group_that_is_stuck)
{
	ASSERT_EQ(0, stuck_in_group(&self->stuck));
	self->child = driver_unbinder_start(&self->stuck.uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, WAITS_MS));
	expect_others_go_on(_metadata, variant);
	EXPECT_TRUE(stuck_free(&self->stuck));
	EXPECT_EQ(0, child_wait(self->child, MOMENT_MS));
	self->child = -1;
}

/* Both wait for the same group, and one of them removes the device */
TEST_F(kernel_way_out, remove_and_unbind_wait_for_one_group)
{
	pid_t unbinder;

	ASSERT_EQ(0, stuck_in_group(&self->stuck));
	unbinder = driver_unbinder_start(&self->stuck.uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(unbinder, WAITS_MS));
	expect_removal_can_be_killed(_metadata, self, variant);
	self->child = remover_start(&self->stuck.uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, WAITS_MS));
	EXPECT_TRUE(stuck_free(&self->stuck));
	EXPECT_EQ(0, child_wait(unbinder, MOMENT_MS));
	EXPECT_EQ(0, child_wait(self->child, MOMENT_MS));
	self->child = -1;
	EXPECT_FALSE(mdev_exists(&self->stuck.uuid));
}

/* For the holder, a removal that is given up changes nothing */
TEST_F(kernel_way_out, group_can_be_used_after_a_removal_that_was_given_up)
{
	stuck_close_device(&self->stuck);
	expect_removal_can_be_killed(_metadata, self, variant);
	self->stuck.user.device = vfio_get_device(&self->stuck.user,
						  &self->stuck.uuid);
	EXPECT_LE(0, self->stuck.user.device);
	stuck_close_device(&self->stuck);
	vfio_close(&self->stuck.user);
	EXPECT_EQ(0, soon_not(-EBUSY, vfio_open(&self->stuck.user,
						&self->stuck.uuid)));
}

/*
 * A slow thread of mdev.ko: it runs at the lowest priority, on a processor with
 * a busy thread. More busy threads make it almost stop.
 */
#define NR_BUSY		40

struct slow {
	pid_t pid;
	pthread_t busy[NR_BUSY];
	int nr_busy;
	int over;
};

static pid_t find_thread(const char *name)
{
	DIR *dir = opendir("/proc");
	char path[300], text[32];
	struct dirent *entry;
	pid_t pid = -1;

	while (dir && pid < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (file_read(path, text, sizeof(text)) > 0 &&
		    !strcmp(text, name))
			pid = atoi(entry->d_name);
	}
	if (dir)
		closedir(dir);
	return pid;
}

static int use_processor(pid_t pid, int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(pid, sizeof(set), &set) ||
	    sched_setscheduler(pid, policy, &param))
		return -errno;
	return 0;
}

static void *be_busy(void *arg)
{
	struct slow *slow = arg;

	use_processor(0, SCHED_OTHER, 0);
	while (!__atomic_load_n(&slow->over, __ATOMIC_RELAXED))
		;
	return NULL;
}

static int slow_add(struct slow *slow)
{
	int err = pthread_create(&slow->busy[slow->nr_busy], NULL, be_busy,
				 slow);

	if (!err)
		slow->nr_busy++;
	return err;
}

/* Makes the thread @name slow */
static int slow_begin(struct slow *slow, const char *name)
{
	int ret;

	*slow = (struct slow){ .pid = find_thread(name) };
	if (slow->pid < 0)
		return -ESRCH;
	ret = use_processor(slow->pid, SCHED_IDLE, 0);
	return ret ? ret : -slow_add(slow);
}

static void slow_end(struct slow *slow)
{
	__atomic_store_n(&slow->over, 1, __ATOMIC_RELAXED);
	while (slow->nr_busy)
		pthread_join(slow->busy[--slow->nr_busy], NULL);
}

static bool slow_is_in(const struct slow *slow, const char *function)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/stack", slow->pid);
	return file_read(path, text, sizeof(text)) > 0 &&
	       strstr(text, function);
}

/* Waits until the thread is in @function, and almost stops it there; or until it ends */
static void slow_gets_to(struct slow *slow, const char *function,
			 int timeout_ms)
{
	__s64 end = now_ms() + timeout_ms;

	while (!slow_is_in(slow, function)) {
		if (kill(slow->pid, 0) || now_ms() >= end)
			return;
		usleep(2000);
	}
	while (slow->nr_busy < NR_BUSY)
		if (slow_add(slow))
			return;
}

/*
 * The thread that waits for the group gives up, and wakes all threads that wait
 * for a device. The other removal preempts it. Then busy threads keep it from
 * running, while the driver is unloaded. The driver's unload must not depend on
 * that thread.
 */
TEST_F_TIMEOUT(kernel_way_out,
	       driver_is_unloaded_after_a_removal_that_was_given_up,
	       120 * SLOWER)
{
	struct stuck other = STUCK_NONE;
	struct slow slow;
	char module[32];
	pid_t hurry;

	ASSERT_EQ(0, stuck_new(&other, variant->other, variant->other_type,
			       self->memory));
	stuck_close_device(&self->stuck);
	self->child = remover_start(&self->stuck.uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, WAITS_MS));
	hurry = remover_start(&other.uuid);
	ASSERT_TRUE(soon(mdev_number(&other.uuid, "request") == 1));
	ASSERT_EQ(0, use_processor(hurry, SCHED_FIFO, 1));
	ASSERT_EQ(0, slow_begin(&slow, "mdev-group"));
	ASSERT_EQ(0, kill(self->child, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_wait(self->child, MOMENT_MS));
	self->child = -1;
	/* Without preemption in the kernel the thread may end instead, which is fine */
	slow_gets_to(&slow, "__wake_up", 60000);
	vfio_close(&self->stuck.user);
	EXPECT_EQ(0, module_unload(variant->parent));
	slow_end(&slow);
	EXPECT_TRUE(soon(find_thread("mdev-group") < 0));
	snprintf(module, sizeof(module), "kernel/%s", variant->parent);
	EXPECT_EQ(0, module_load(module));
	child_kill(hurry);
	vfio_close(&other.user);
	EXPECT_EQ(0, mdev_remove(&other.uuid));
}

/* A removal does not wait for the holders of other devices */
TEST_F_TIMEOUT(kernel_way_out, many_that_are_stuck_keep_nobody, 120 * SLOWER)
{
	struct stuck many[NR_STUCK];
	pid_t removers[NR_STUCK];
	int i;

	if (strcmp(variant->parent, "mtty"))
		SKIP(return, "this parent has only four instances");
	for (i = 0; i < NR_STUCK; i++)
		many[i] = (struct stuck)STUCK_NONE;
	for (i = 0; i < NR_STUCK; i++) {
		ASSERT_EQ(0, stuck_new(&many[i], variant->parent, variant->type,
				       self->memory));
		ASSERT_EQ(0, stuck_in_group(&many[i]));
		removers[i] = remover_start(&many[i].uuid);
	}
	expect_others_go_on(_metadata, variant);
	/* The holder of this device releases it */
	self->child = remover_start(&self->stuck.uuid);
	ASSERT_TRUE(soon(mdev_number(&self->stuck.uuid, "request") == 1));
	vfio_close(&self->stuck.user);
	EXPECT_EQ(0, child_wait(self->child, MOMENT_MS));
	self->child = -1;
	for (i = 0; i < NR_STUCK; i++) {
		EXPECT_TRUE(stuck_free(&many[i]));
		EXPECT_EQ(0, child_wait(removers[i], MOMENT_MS));
	}
}

TEST_HARNESS_MAIN
