// SPDX-License-Identifier: GPL-2.0-only
/*
 * A holder whose cgroup has no memory left: the kernel kills one process of it
 * after the other, and waits two seconds for each that cannot end. A call of the
 * device that needs memory may wait so long, but a revocation does not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"
#include "stall.h"

#define PARENT	"mdev_relay.0"
#define TYPE	"mdev_relay-relay"
#define IOVA	0x1000000ULL

#define CGROUPS	"/tmp/cgroups"
#define CGROUP	CGROUPS "/holder"

/* Processes that cannot end: the kernel waits for each, so for longer than SOON_MS in all */
#define STUCK	16
/* Processes that call the device until there is no memory, and go on */
#define CALLERS	6

/* What the stuck ones share: the kernel kills large processes first */
#define SIZE	(8UL << 20)
/* What the callers can have */
#define ROOM	(512UL << 10)

/* Far enough apart that each page has a page table of its own */
#define STRIDE	(4UL << 20)
#define PLACES	512

FIXTURE(cgroup)
{
	struct uuid uuid;
	struct vfio_user user;
	struct stall stall;
	pid_t stuck[STUCK];
	pid_t callers[CALLERS];
	void *memory;
	size_t page;
	int file;
	bool mounted;
};

static int cgroup_join(void)
{
	return file_puts(CGROUP "/cgroup.procs", "0");
}

static int run_stuck(void *arg)
{
	FIXTURE_DATA(cgroup) *self = arg;
	char *shared;
	size_t at;

	shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      self->file, 0);
	if (cgroup_join() || shared == MAP_FAILED)
		return 1;
	for (at = 0; at < SIZE; at += self->page)
		shared[at] = 1;
	/* It waits for the container's lock, and no signal ends that */
	vfio_map(&self->user, self->memory, IOVA + SIZE, self->page);
	return 0;
}

/* Takes what there is */
static int run_taker(void *arg)
{
	FIXTURE_DATA(cgroup) *self = arg;
	unsigned char *place;
	size_t at;

	place = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (cgroup_join() || place == MAP_FAILED)
		return 1;
	raise(SIGSTOP);
	for (at = 0; at < SIZE; at += self->page)
		__atomic_store_n(place + at, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Needs no more and more memory, but takers leave none for it */
static int run_setter(void *arg)
{
	FIXTURE_DATA(cgroup) *self = arg;
	int eventfd = eventfd_new();
	int ret = 0;

	if (cgroup_join() || eventfd < 0)
		return 1;
	raise(SIGSTOP);
	while (!ret || ret == -ENOMEM)
		ret = vfio_set_request(self->user.device, eventfd);
	return 0;
}

/* Touches pages of the device that have a page table each */
static int run_toucher(void *arg)
{
	FIXTURE_DATA(cgroup) *self = arg;
	unsigned char *place;
	size_t at;

	place = mmap(NULL, PLACES * STRIDE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cgroup_join() || place == MAP_FAILED)
		return 1;
	for (at = 0; at < PLACES * STRIDE; at += STRIDE)
		if (mmap(place + at, self->page, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, self->user.device,
			 (off_t)MDEV_RELAY_FAULT_REGION <<
			 MDEV_RELAY_INDEX_SHIFT) == MAP_FAILED)
			return 1;
	raise(SIGSTOP);
	for (at = 0; at < PLACES * STRIDE; at += STRIDE)
		(void)__atomic_load_n(place + at, __ATOMIC_RELAXED);
	return 0;
}

/* Returns how often the kernel has counted this event of the cgroup, or -1 */
static long cgroup_events(const char *name)
{
	char text[512], *at;

	if (file_read(CGROUP "/memory.events", text, sizeof(text)) < 0)
		return -1;
	for (at = strtok(text, "\n"); at; at = strtok(NULL, "\n"))
		if (!strncmp(at, name, strlen(name)) && at[strlen(name)] == ' ')
			return atol(at + strlen(name));
	return -1;
}

static int cgroup_mount(void)
{
	if (mkdir(CGROUPS, 0755) && errno != EEXIST)
		return -errno;
	return mount("cgroups", CGROUPS, "cgroup2", 0, NULL) ? -errno : 0;
}

/* Returns whether the kernel accounts memory to cgroups */
static bool cgroup_has_memory(void)
{
	char text[512];

	return file_read(CGROUPS "/cgroup.controllers", text,
			 sizeof(text)) >= 0 && strstr(text, "memory");
}

FIXTURE_VARIANT(cgroup)
{
	/* Each second caller runs the other function */
	int (*callers[2])(void *arg);
	bool maps;
};

FIXTURE_VARIANT_ADD(cgroup, set_irqs)
{
	.callers = { run_taker, run_setter },
};

FIXTURE_VARIANT_ADD(cgroup, fault)
{
	.callers = { run_toucher, run_toucher }, .maps = true,
};

FIXTURE_SETUP(cgroup)
{
	int i;

	self->user = (struct vfio_user)VFIO_USER_NONE;
	self->stall = (struct stall)STALL_NONE;
	self->file = -1;
	if (!parent_exists(PARENT))
		SKIP(return, "no parent %s", PARENT);
	if (variant->maps && !vfio_mappings_can_be_taken())
		SKIP(return, KEEPS_MAPPINGS);
	ASSERT_EQ(0, cgroup_mount());
	self->mounted = true;
	if (!cgroup_has_memory())
		SKIP(return, "the kernel accounts no memory to cgroups");
	ASSERT_EQ(0, file_puts(CGROUPS "/cgroup.subtree_control", "+memory"));
	ASSERT_EQ(0, mkdir(CGROUP, 0755));
	self->page = sysconf(_SC_PAGESIZE);
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	self->memory = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->memory);
	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, self->page));
	self->file = memfd_create("shared", 0);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, ftruncate(self->file, SIZE));
	ASSERT_EQ(0, stall_begin(&self->stall, &self->user, IOVA, self->page));
	for (i = 0; i < STUCK; i++) {
		self->stuck[i] = child_start(run_stuck, self, self->file,
					     self->user.container);
		ASSERT_LT(0, self->stuck[i]);
	}
}

FIXTURE_TEARDOWN(cgroup)
{
	int i;

	file_puts(CGROUP "/memory.max", "max");
	for (i = 0; i < CALLERS; i++)
		child_kill(self->callers[i]);
	EXPECT_TRUE(stall_end(&self->stall));
	for (i = 0; i < STUCK; i++)
		child_kill(self->stuck[i]);
	vfio_close(&self->user);
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	if (self->mounted) {
		rmdir(CGROUP);
		umount(CGROUPS);
	}
	rmdir(CGROUPS);
	close(self->file);
}

/* Are all of these processes in this state in /proc? */
static bool all_are(const pid_t *pids, int count, char wanted)
{
	char path[64], text[512], *state;
	int i;

	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/proc/%d/stat", pids[i]);
		if (file_read(path, text, sizeof(text)) < 0)
			return false;
		state = strrchr(text, ')');
		if (!state || state[2] != wanted)
			return false;
	}
	return true;
}

TEST_F_TIMEOUT(cgroup, revocation_does_not_wait_for_memory, 120)
{
	char limit[32];
	__s64 start;
	int i;

	ASSERT_TRUE(soon(all_are(self->stuck, STUCK, 'D')));
	for (i = 0; i < CALLERS; i++) {
		self->callers[i] = child_start(variant->callers[i % 2], self,
					       self->user.device, -1);
		ASSERT_LT(0, self->callers[i]);
	}
	ASSERT_TRUE(soon(all_are(self->callers, CALLERS, 'T')));
	snprintf(limit, sizeof(limit), "%lu",
		 file_number(CGROUP "/memory.current") + ROOM);
	ASSERT_EQ(0, file_puts(CGROUP "/memory.max", limit));
	for (i = 0; i < CALLERS; i++)
		ASSERT_EQ(0, kill(self->callers[i], SIGCONT));
	/* The kernel has waited for the first one, so all callers wait by now */
	ASSERT_TRUE(soon(cgroup_events("oom_kill") > 1));

	start = watch_ms();
	EXPECT_EQ(0, mdev_revoke(&self->uuid));
	EXPECT_GT(SOON_MS, watch_ms() - start);
}

TEST_HARNESS_MAIN
