// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile holder: its threads pin and unmap at the same time, and its memory
 * is missing, so that VFIO waits for it while it holds the locks of a container
 * and a group. The host stays intact, no other process waits, and the
 * administrator gets the device back soon.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"
#include "lib.h"
#include "mdev_relay.h"
#include "stall.h"

#define PARENT	"mdev_relay.0"
#define OTHER	"mdev_relay.1"
#define TYPE	"mdev_relay-relay"
#define IOVA	0x100000ULL

/* The longest wait of an administrator, on a busy machine */
#define MOMENT_MS	(5000 * time_scale())

/* The longest time of an unmap: it waits only for its own container */
#define UNMAP_MS	(5000 * time_scale())

/*
 * iommufd does not properly wake a close that waits for an unmap. The close
 * looks again after a minute
 */
#define CLOSE_MS	(SOON_MS + 65000)

/* How long threads race */
#define RACE_MS		3000

#define FAULT_REFUSED	"returns a page instead of inserting it"

FIXTURE(hostile)
{
	struct uuid uuid;
	struct vfio_user user;
	struct stall stall;
	unsigned char *memory;
	size_t page;
	int log;
	pid_t child;
};

/* Until unlock(), a thread holds the container's lock. */
static int lock(FIXTURE_DATA(hostile) *self)
{
	return stall_begin(&self->stall, &self->user, IOVA, 4 * self->page);
}

static void unlock(struct __test_metadata *_metadata,
		   FIXTURE_DATA(hostile) *self)
{
	EXPECT_TRUE(stall_end(&self->stall));
}

FIXTURE_SETUP(hostile)
{
	self->user = (struct vfio_user)VFIO_USER_NONE;
	self->stall = (struct stall)STALL_NONE;
	self->child = -1;
	if (!parent_exists(PARENT) || !parent_exists(OTHER))
		SKIP(return, "no parents of mdev_relay");
	self->page = sysconf(_SC_PAGESIZE);
	self->memory = mmap(NULL, 64 * self->page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	self->log = kmsg_open();
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
}

FIXTURE_TEARDOWN(hostile)
{
	unlock(_metadata, self);
	child_kill(self->child);
	relay_set("unmap_ms", 0);
	relay_set("release_ms", 0);
	relay_set("release_outside", 0);
	relay_set("fault_gives_page", 0);
	grace_set(GRACE_DEFAULT);
	vfio_close(&self->user);
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	/* The last close frees the rest of the device */
	EXPECT_TRUE(pages_pinned_become(0));
	close(self->log);
}

static long call_close_device(struct call *call)
{
	return call_errno(close(call->user->device));
}

static long call_open_device(struct call *call)
{
	return vfio_get_device(call->user, call->data);
}

static void expect_moment(struct __test_metadata *_metadata, pid_t child)
{
	EXPECT_EQ(0, child_wait(child, MOMENT_MS));
}

static int create_and_remove(void *parent)
{
	struct uuid uuid = uuid_new();
	int ret = mdev_create(parent, TYPE, &uuid);

	return -(ret ? ret : mdev_remove(&uuid));
}

/* Other devices can be created and removed */
static void expect_others_go_on(struct __test_metadata *_metadata)
{
	expect_moment(_metadata,
		      child_start(create_and_remove, OTHER, -1, -1));
}

static void expect_revoked(struct __test_metadata *_metadata,
			   const struct uuid *uuid)
{
	expect_moment(_metadata, revoker_start(uuid));
	EXPECT_FALSE(mdev_exists(uuid));
}

/* Threads that run until they are stopped */
struct racer {
	const struct vfio_user *user;
	void *memory;
	__u64 iova;
	size_t size;
	const bool *stop;
	long pinned;
	long rounds;
	__s64 longest;
	int error;
	pthread_t thread;
};

static bool racer_stops(const struct racer *racer)
{
	return __atomic_load_n(racer->stop, __ATOMIC_RELAXED);
}

static void *run_pinner(void *arg)
{
	struct racer *racer = arg;

	while (!racer_stops(racer))
		if (!relay_pin(racer->user->device, MDEV_RELAY_PIN, racer->iova,
			       racer->size / sysconf(_SC_PAGESIZE)))
			racer->pinned++;
	return NULL;
}

/* Maps and unmaps once, and also pins if @pin is set */
static void racer_round(struct racer *racer, bool pin)
{
	__s64 start, took;
	int ret;

	ret = vfio_map(racer->user, racer->memory, racer->iova, racer->size);
	if (!ret && pin &&
	    !relay_pin(racer->user->device, MDEV_RELAY_PIN, racer->iova,
		       racer->size / sysconf(_SC_PAGESIZE)))
		racer->pinned++;
	start = watch_ms();
	if (!ret)
		ret = vfio_unmap(racer->user, racer->iova, racer->size);
	took = watch_ms() - start;
	if (took > racer->longest)
		racer->longest = took;
	if (ret)
		racer->error = ret;
	racer->rounds++;
}

static void *run_mapper(void *arg)
{
	struct racer *racer = arg;

	while (!racer_stops(racer) && !racer->error)
		racer_round(racer, true);
	return NULL;
}

/* The parent driver unpins when the device has already been closed */
TEST_F(hostile, close_while_a_range_is_unmapped)
{
	struct call call, close;

	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, self->page));
	ASSERT_EQ(0, relay_pin(self->user.device, MDEV_RELAY_PIN, IOVA, 1));
	ASSERT_EQ(0, vfio_unmap(&self->user, IOVA, self->page));
	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, self->page));
	ASSERT_EQ(0, relay_pin(self->user.device, MDEV_RELAY_PIN, IOVA, 1));
	ASSERT_EQ(0, call_start(&call, &(struct call){
		.run = call_unmap, .user = &self->user, .at = IOVA,
		.len = self->page,
	}));
	usleep(500000);
	ASSERT_EQ(0, call_start(&close, &(struct call){
		.run = call_close_device, .user = &self->user,
	}));
	EXPECT_EQ(0, call_end(&call, SOON_MS));
	EXPECT_EQ(0, call_end(&close, CLOSE_MS));
	self->user.device = -1;
	EXPECT_TRUE(pages_pinned_become(0));
}

TEST_F(hostile, range_can_be_pinned_while_it_is_unmapped)
{
	struct racer pinners[4], mapper = {
		.user = &self->user, .memory = self->memory, .iova = IOVA,
		.size = 2 * self->page,
	};
	__s64 end = now_ms() + RACE_MS;
	bool stop = false;
	long pinned = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pinners); i++) {
		pinners[i] = (struct racer){
			.user = &self->user, .iova = IOVA,
			.size = 2 * self->page, .stop = &stop,
		};
		ASSERT_EQ(0, pthread_create(&pinners[i].thread, NULL,
					    run_pinner, &pinners[i]));
	}
	while (now_ms() < end && !mapper.error)
		racer_round(&mapper, false);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(pinners); i++) {
		pthread_join(pinners[i].thread, NULL);
		pinned += pinners[i].pinned;
	}
	EXPECT_EQ(0, mapper.error);
	EXPECT_LT(0, mapper.rounds);
	EXPECT_LT(0, pinned);
	EXPECT_GT(UNMAP_MS, mapper.longest);
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

TEST_F(hostile, many_threads_unmap_what_they_pinned)
{
	struct racer mappers[16];
	bool stop = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mappers); i++) {
		mappers[i] = (struct racer){
			.user = &self->user,
			.memory = self->memory + 2 * i * self->page,
			.iova = IOVA + 4 * i * self->page,
			.size = 2 * self->page, .stop = &stop,
		};
		ASSERT_EQ(0, pthread_create(&mappers[i].thread, NULL,
					    run_mapper, &mappers[i]));
	}
	usleep(RACE_MS * 1000);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(mappers); i++) {
		pthread_join(mappers[i].thread, NULL);
		EXPECT_EQ(0, mappers[i].error);
		EXPECT_LT(0, mappers[i].rounds);
		EXPECT_LT(0, mappers[i].pinned);
		EXPECT_GT(UNMAP_MS, mappers[i].longest);
	}
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

/* An unmap waits in the parent driver while the device is closed and removed */
TEST_F_TIMEOUT(hostile, removal_while_a_range_is_unmapped, 120)
{
	struct call call, close;

	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, self->page));
	ASSERT_EQ(0, relay_pin(self->user.device, MDEV_RELAY_PIN, IOVA, 1));
	ASSERT_EQ(0, relay_set("unmap_ms", 1500));
	ASSERT_EQ(0, call_start(&call, &(struct call){
		.run = call_unmap, .user = &self->user, .at = IOVA,
		.len = self->page,
	}));
	usleep(200000);
	self->child = remover_start(&self->uuid);
	/* The child has closed its copies of our descriptors by then */
	EXPECT_TRUE(soon(mdev_number(&self->uuid, "request_count") > 0));
	ASSERT_EQ(0, call_start(&close, &(struct call){
		.run = call_close_device, .user = &self->user,
	}));
	EXPECT_EQ(0, call_end(&call, SOON_MS));
	expect_moment(_metadata, self->child);
	self->child = -1;
	EXPECT_FALSE(mdev_exists(&self->uuid));
	EXPECT_EQ(0, call_end(&close, CLOSE_MS));
	self->user.device = -1;
}

/* Release runs outside of the gate, returns too late, and leaves the pins to revoke */
TEST_F(hostile, revocation_during_release)
{
	long revokes = relay_counter("revokes");
	struct call call;

	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, self->page));
	ASSERT_EQ(0, relay_pin(self->user.device, MDEV_RELAY_PIN, IOVA, 1));
	ASSERT_EQ(0, relay_set("release_outside", 1));
	ASSERT_EQ(0, relay_set("release_ms", 2000));
	ASSERT_EQ(0, call_start(&call, &(struct call){
		.run = call_close_device, .user = &self->user,
	}));
	ASSERT_TRUE(call_is_stuck(&call, SOON_MS));
	expect_revoked(_metadata, &self->uuid);
	EXPECT_EQ(revokes + 1, relay_counter("revokes"));
	EXPECT_EQ(0, call_end(&call, SOON_MS));
	self->user.device = -1;
	EXPECT_TRUE(pages_pinned_become(0));
}

/* Like QEMU: it closes the device first, then its memory, group and container */
TEST_F(hostile, holder_that_was_asked_can_unmap_after_it_has_closed)
{
	__s64 end;

	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, self->page));
	self->child = remover_start(&self->uuid);
	ASSERT_TRUE(soon(mdev_number(&self->uuid, "request") == 1));
	close(self->user.device);
	self->user.device = -1;
	for (end = now_ms() + 300; now_ms() < end; usleep(10000)) {
		ASSERT_EQ(0, vfio_unmap(&self->user, IOVA, self->page));
		ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA,
				      self->page));
	}
	vfio_close(&self->user);
	expect_moment(_metadata, self->child);
	self->child = -1;
}

/* The group is open but not the device, and the container's lock is held */
TEST_F(hostile, container_that_is_locked_keeps_nobody)
{
	if (vfio_way() != VFIO_WAY_TYPE1)
		SKIP(return, WITHOUT_TYPE1);
	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, 4 * self->page));
	close(self->user.device);
	self->user.device = -1;
	ASSERT_EQ(0, lock(self));
	expect_moment(_metadata, remover_start(&self->uuid));
	EXPECT_FALSE(mdev_exists(&self->uuid));
	expect_others_go_on(_metadata);
	/* The UUID can be reused while VFIO still has the old device */
	EXPECT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	unlock(_metadata, self);
}

TEST_F(hostile, close_that_is_stuck_keeps_nobody)
{
	struct call call;

	if (vfio_way() != VFIO_WAY_TYPE1)
		SKIP(return, WITHOUT_TYPE1);
	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, 4 * self->page));
	ASSERT_EQ(0, relay_pin(self->user.device, MDEV_RELAY_PIN, IOVA, 1));
	ASSERT_EQ(0, lock(self));
	ASSERT_EQ(0, call_start(&call, &(struct call){
		.run = call_close_device, .user = &self->user,
	}));
	ASSERT_TRUE(call_is_stuck(&call, SOON_MS));
	/* For the parent driver, the device has been released */
	expect_moment(_metadata, remover_start(&self->uuid));
	EXPECT_FALSE(mdev_exists(&self->uuid));
	expect_others_go_on(_metadata);
	unlock(_metadata, self);
	EXPECT_EQ(0, call_end(&call, SOON_MS));
	self->user.device = -1;
}

TEST_F(hostile, open_that_is_stuck_keeps_nobody)
{
	struct call call;

	if (vfio_way() != VFIO_WAY_TYPE1)
		SKIP(return, WITHOUT_TYPE1);
	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, 4 * self->page));
	close(self->user.device);
	self->user.device = -1;
	ASSERT_EQ(0, lock(self));
	ASSERT_EQ(0, call_start(&call, &(struct call){
		.run = call_open_device, .user = &self->user,
		.data = &self->uuid,
	}));
	ASSERT_TRUE(call_is_stuck(&call, SOON_MS));
	expect_revoked(_metadata, &self->uuid);
	expect_others_go_on(_metadata);
	unlock(_metadata, self);
	EXPECT_NE(-ETIMEDOUT, call_end(&call, SOON_MS));
	if (call.ret >= 0)
		close(call.ret);
}

TEST_F(hostile, locked_container_keeps_no_unbind)
{
	struct call call;

	if (vfio_way() != VFIO_WAY_TYPE1)
		SKIP(return, WITHOUT_TYPE1);
	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, 4 * self->page));
	ASSERT_EQ(0, relay_pin(self->user.device, MDEV_RELAY_PIN, IOVA, 1));
	ASSERT_EQ(0, grace_set(1));
	ASSERT_EQ(0, lock(self));
	ASSERT_EQ(0, call_start(&call, &(struct call){
		.run = call_pin, .user = &self->user, .at = IOVA + self->page,
		.len = 1,
	}));
	ASSERT_TRUE(call_is_stuck(&call, SOON_MS));
	expect_moment(_metadata, unbinder_start(PARENT));
	EXPECT_FALSE(mdev_exists(&self->uuid));
	EXPECT_EQ(0, parent_bind(PARENT));
	unlock(_metadata, self);
	EXPECT_NE(-ETIMEDOUT, call_end(&call, SOON_MS));
}

/* Pages that release unpins stay pinned until the lock is free */
TEST_F(hostile, release_does_not_wait_to_unpin)
{
	struct call call;

	if (vfio_way() != VFIO_WAY_TYPE1)
		SKIP(return, WITHOUT_TYPE1);
	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, 4 * self->page));
	ASSERT_EQ(0, relay_pin(self->user.device, MDEV_RELAY_PIN, IOVA, 4));
	ASSERT_EQ(0, lock(self));
	ASSERT_EQ(0, call_start(&call, &(struct call){
		.run = call_close_device, .user = &self->user,
	}));
	ASSERT_TRUE(call_is_stuck(&call, SOON_MS));
	expect_revoked(_metadata, &self->uuid);
	unlock(_metadata, self);
	EXPECT_EQ(0, call_end(&call, SOON_MS));
	self->user.device = -1;
}

static sigjmp_buf after_signal;

static void jump(int number)
{
	siglongjmp(after_signal, number);
}

/* Returns the signal that a read raises, or 0 */
static int touch(const unsigned char *at)
{
	struct sigaction action = { .sa_handler = jump }, old;
	int number;

	sigaction(SIGBUS, &action, &old);
	number = sigsetjmp(after_signal, 1);
	if (!number)
		__atomic_load_n(at, __ATOMIC_RELAXED);
	sigaction(SIGBUS, &old, NULL);
	return number;
}

TEST_F(hostile, fault_handler_that_returns_pages_is_refused)
{
	unsigned char *memory;

	memory = mmap(NULL, self->page, PROT_READ | PROT_WRITE, MAP_SHARED,
		      self->user.device,
		      (off_t)MDEV_RELAY_FAULT_REGION << MDEV_RELAY_INDEX_SHIFT);
	ASSERT_NE(MAP_FAILED, (void *)memory);
	ASSERT_EQ(0, relay_set("fault_gives_page", 1));
	EXPECT_EQ(SIGBUS, touch(memory));
	EXPECT_EQ(SIGBUS, touch(memory));
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, FAULT_REFUSED, "relay_fault",
			      "mdev_relay"));
	EXPECT_EQ(0, kmsg_count(self->log, FAULT_REFUSED, "relay_fault"));
	ASSERT_EQ(0, relay_set("fault_gives_page", 0));
	EXPECT_EQ(0, touch(memory));
	munmap(memory, self->page);
}

TEST_HARNESS_MAIN
