// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mediated devices under load: many devices, and processes that create, open
 * and remove them, and are killed at any point. At the end nothing is lost or
 * left. The number of rounds limits the work, not the time.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/membarrier.h>

#include "kselftest_harness.h"
#include "lib.h"

#define MANY		1000
#define WORKERS		3
#define ROUNDS		40
#define SHARED		3	/* UUIDs that all workers use */

static const struct target {
	const char *parent;
	const char *type;
} targets[] = {
	{ "mdev_relay.0", "mdev_relay-relay" },
	{ "mdev_relay.1", "mdev_relay-limited" },
	{ "mtty", "mtty-1" },
	{ "mtty", "mtty-2" },
};

/* Counts that must be the same at the end */
struct inventory {
	int mdevs;
	int eventfd_id;
	long instances[ARRAY_SIZE(targets)];
};

static void take_inventory(struct inventory *inventory)
{
	size_t i;

	inventory->mdevs = mdev_count();
	inventory->eventfd_id = eventfd_next_id();
	for (i = 0; i < ARRAY_SIZE(targets); i++)
		inventory->instances[i] = instances(targets[i].parent,
						    targets[i].type);
}

static void check_inventory(struct __test_metadata *_metadata,
			    const struct inventory *before)
{
	size_t i;

	EXPECT_EQ(before->mdevs, mdev_count());
	EXPECT_TRUE(eventfd_ids_back_to(before->eventfd_id));
	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		EXPECT_EQ(before->instances[i],
			  instances(targets[i].parent, targets[i].type)) {
			TH_LOG("%s", targets[i].type);
		}
	}
}

FIXTURE(many)
{
	struct uuid uuids[MANY];
	struct inventory before;
};

FIXTURE_SETUP(many)
{
	int i;

	if (!parent_exists("mdev_relay.0"))
		SKIP(return, "no parent mdev_relay.0");
	take_inventory(&self->before);
	for (i = 0; i < MANY; i++)
		self->uuids[i] = uuid_new();
}

FIXTURE_TEARDOWN(many)
{
	int i;

	for (i = 0; i < MANY; i++) {
		if (mdev_exists(&self->uuids[i]))
			EXPECT_EQ(0, mdev_remove(&self->uuids[i]));
	}
	check_inventory(_metadata, &self->before);
}

static int create_many(const struct uuid *uuids)
{
	int failed = 0;
	int i;

	for (i = 0; i < MANY; i++)
		failed += !!mdev_create("mdev_relay.0", "mdev_relay-relay",
					&uuids[i]);
	return failed;
}

static int remove_many(const struct uuid *uuids)
{
	int failed = 0;
	int i;

	for (i = 0; i < MANY; i++)
		failed += !!mdev_remove(&uuids[i]);
	return failed;
}

TEST_F_TIMEOUT(many, devices_exist_at_once, 120 * SLOWER)
{
	int i;

	ASSERT_EQ(0, create_many(self->uuids));
	EXPECT_EQ(self->before.mdevs + MANY, mdev_count());
	for (i = 0; i < MANY; i += 100)
		EXPECT_EQ(-EEXIST, mdev_create("mdev_relay.1",
					       "mdev_relay-limited",
					       &self->uuids[i]));
	/* Remove the oldest device first */
	EXPECT_EQ(0, remove_many(self->uuids));
}

TEST_F_TIMEOUT(many, devices_go_with_their_parent, 120 * SLOWER)
{
	int i;

	ASSERT_EQ(0, create_many(self->uuids));
	EXPECT_EQ(0, child_wait(unbinder_start("mdev_relay.0"), 60000 * SLOWER));
	for (i = 0; i < MANY; i++)
		EXPECT_FALSE(mdev_exists(&self->uuids[i]));
	EXPECT_EQ(0, parent_bind("mdev_relay.0"));
}

/* KASAN keeps freed objects for a while, unless their cache is shrunk */
static void shrink_slab(void)
{
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *entry;
	char path[512];

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink",
			 entry->d_name);
		if (entry->d_name[0] != '.')
			file_puts(path, "1");
	}
	if (dir)
		closedir(dir);
}

/* Returns the kilobytes of slab memory that cannot be reclaimed */
static long unreclaimable(void)
{
	char text[8192];
	char *found;

	/* After this, objects that waited for a grace period are freed */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	shrink_slab();
	if (file_read("/proc/meminfo", text, sizeof(text)) < 0)
		return -1;
	found = strstr(text, "SUnreclaim:");
	return found ? atol(found + strlen("SUnreclaim:")) : -1;
}

/*
 * Leaks are measured after a warm-up. Other work of the kernel changes the
 * figure, too, so the test only finds leaks of 256 bytes and more for each
 * device. The leak scan finds smaller ones.
 */
#define LEAK_DEVICES	250
#define LEAK_ROUNDS	4
#define LEAK_KIB	(LEAK_ROUNDS * LEAK_DEVICES * 256 / 1024)

static int one_round(const struct uuid *uuids)
{
	struct vfio_user user;
	int failed = 0;
	int i;

	for (i = 0; i < LEAK_DEVICES; i++) {
		failed += !!mdev_create("mdev_relay.0", "mdev_relay-relay",
					&uuids[i]);
		if (i % 10 == 0) {
			int fd = eventfd_new();

			failed += !!vfio_open(&user, &uuids[i]);
			failed += !!vfio_set_request(user.device, fd);
			vfio_close(&user);
			close(fd);
		}
		failed += !!mdev_remove(&uuids[i]);
	}
	return failed;
}

TEST_F_TIMEOUT(many, devices_leave_no_memory_behind, 240 * SLOWER)
{
	long before, after;
	int i;

	ASSERT_EQ(0, one_round(self->uuids));
	before = unreclaimable();
	if (before < 0)
		SKIP(return, "/proc/meminfo does not show slab memory");
	for (i = 0; i < LEAK_ROUNDS; i++)
		ASSERT_EQ(0, one_round(self->uuids));
	after = unreclaimable();
	TH_LOG("slab memory grew by %ld KiB over %d devices", after - before,
	       LEAK_ROUNDS * LEAK_DEVICES);
	EXPECT_GT(before + LEAK_KIB, after);
}

/* A random number generator for each process, so that a run can be repeated */
static unsigned int next_random(unsigned int *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 16 & 0x7fff;
}

struct work {
	struct uuid uuids[SHARED];
	unsigned int random;
};

/* Uses a device until it is killed */
static int run_victim(void *arg)
{
	struct work *work = arg;
	const struct uuid *uuid = &work->uuids[next_random(&work->random) %
					       SHARED];
	struct vfio_device_info info;
	struct vfio_user user;
	int fd = eventfd_new();
	int i;

	/* Not for ever: if the test fails, this process must end */
	for (i = 0; i < 2000; i++) {
		if (vfio_open(&user, uuid)) {
			sched_yield();
			continue;
		}
		vfio_set_request(user.device, fd);
		vfio_info(user.device, &info);
		if (next_random(&work->random) % 2)
			vfio_set_request(user.device, -1);
		if (eventfd_take(fd) || next_random(&work->random) % 3 == 0)
			vfio_close(&user);
		else
			pause();
	}
	return 0;
}

static int run_shared_remover(void *arg)
{
	struct work *work = arg;

	return -mdev_remove(&work->uuids[next_random(&work->random) % SHARED]);
}

/* Creates devices, lets children use and remove them, and kills the children */
static int run_worker(void *arg)
{
	struct work *work = arg;
	int round;
	int i;

	for (round = 0; round < ROUNDS; round++) {
		const struct target *target =
			&targets[next_random(&work->random) %
				 ARRAY_SIZE(targets)];
		const struct uuid *uuid =
			&work->uuids[next_random(&work->random) % SHARED];
		pid_t victim, remover;

		mdev_create(target->parent, target->type, uuid);
		victim = child_start(run_victim, work, -1, -1);
		remover = child_start(run_shared_remover, work, -1, -1);
		for (i = next_random(&work->random) % 50; i; i--)
			sched_yield();
		if (next_random(&work->random) % 2) {
			child_kill(remover);
			child_kill(victim);
		} else {
			child_kill(victim);
			child_kill(remover);
		}
	}
	return 0;
}

FIXTURE(workers)
{
	struct work work;
	struct inventory before;
};

FIXTURE_SETUP(workers)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		if (!parent_exists(targets[i].parent))
			SKIP(return, "no parent %s", targets[i].parent);
	}
	take_inventory(&self->before);
	for (i = 0; i < SHARED; i++)
		self->work.uuids[i] = uuid_new();
}

FIXTURE_TEARDOWN(workers)
{
	int i;

	for (i = 0; i < SHARED; i++) {
		if (mdev_exists(&self->work.uuids[i]))
			EXPECT_EQ(0, mdev_remove(&self->work.uuids[i]));
	}
	check_inventory(_metadata, &self->before);
}

TEST_F_TIMEOUT(workers, killed_at_any_point_lose_nothing, 240 * SLOWER)
{
	pid_t pids[WORKERS];
	int i;

	for (i = 0; i < WORKERS; i++) {
		self->work.random = 4711 + i;
		pids[i] = child_start(run_worker, &self->work, -1, -1);
		ASSERT_LT(0, pids[i]);
	}
	for (i = 0; i < WORKERS; i++)
		EXPECT_EQ(0, child_wait(pids[i], 200000 * SLOWER));
	/* Each device still works, or is gone */
	for (i = 0; i < SHARED; i++) {
		struct vfio_user user;

		if (!mdev_exists(&self->work.uuids[i]))
			continue;
		EXPECT_EQ(0, vfio_open(&user, &self->work.uuids[i]));
		vfio_close(&user);
		EXPECT_EQ(0, mdev_number(&self->work.uuids[i], "request"));
	}
}

TEST_F_TIMEOUT(workers, killed_while_the_parent_comes_and_goes, 240 * SLOWER)
{
	pid_t pids[WORKERS];
	int i;

	for (i = 0; i < WORKERS; i++) {
		self->work.random = 815 + i;
		pids[i] = child_start(run_worker, &self->work, -1, -1);
		ASSERT_LT(0, pids[i]);
	}
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(0, child_wait(unbinder_start("mdev_relay.1"), 60000 * SLOWER));
		EXPECT_EQ(0, parent_bind("mdev_relay.1"));
	}
	for (i = 0; i < WORKERS; i++)
		EXPECT_EQ(0, child_wait(pids[i], 200000 * SLOWER));
}

TEST_HARNESS_MAIN
