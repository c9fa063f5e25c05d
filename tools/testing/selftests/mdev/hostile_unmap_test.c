// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several threads unmap, at the same time, ranges with many separate pins. VFIO
 * checks at most eleven times whether a range is unpinned, and the threads
 * compete for the lock that unpinning takes. Each unmap has to end soon, also if
 * the holder maps and pins anew while a notice is under way.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"

#define PARENT	"mdev_relay.0"
#define TYPE	"mdev_relay-relay"
#define IOVA	0x1000000ULL

#define MAX_THREADS	64

/* How long threads race */
#define RACE_MS		10000

/*
 * The longest time of an unmap, on a busy machine. An unmap whose pages are not
 * unpinned in time waits for all its notices, which take ten seconds and more.
 */
#define UNMAP_MS	(8000 * time_scale())

FIXTURE(unmap)
{
	struct uuid uuid;
	struct vfio_user user;
	size_t page;
};

FIXTURE_SETUP(unmap)
{
	self->user = (struct vfio_user)VFIO_USER_NONE;
	if (!parent_exists(PARENT))
		SKIP(return, "no parent %s", PARENT);
	self->page = sysconf(_SC_PAGESIZE);
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
}

FIXTURE_TEARDOWN(unmap)
{
	vfio_close(&self->user);
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	EXPECT_TRUE(pages_pinned_become(0));
}

/* A thread with its own range, of @pins pages that are not adjacent */
struct mapper {
	struct call call;
	const bool *stop;
	void *memory;
	__u64 iova;
	size_t size;
	int pins;
	long rounds;
	__s64 longest;
};

static int mapper_pin(const struct mapper *mapper)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int ret = 0, i;

	for (i = 0; !ret && i < mapper->pins; i++)
		ret = relay_pin(mapper->call.user->device, MDEV_RELAY_PIN,
				mapper->iova + 2 * i * page, 1);
	return ret;
}

static int mapper_round(struct mapper *mapper)
{
	const struct vfio_user *user = mapper->call.user;
	__s64 start, took;
	int ret;

	ret = vfio_map(user, mapper->memory, mapper->iova, mapper->size);
	if (!ret)
		ret = mapper_pin(mapper);
	if (ret)
		return ret;
	start = watch_ms();
	ret = vfio_unmap(user, mapper->iova, mapper->size);
	took = watch_ms() - start;
	if (took > mapper->longest)
		mapper->longest = took;
	mapper->rounds++;
	return ret;
}

static long call_mapper(struct call *call)
{
	struct mapper *mapper = call->data;
	int ret = 0;

	while (!ret && !__atomic_load_n(mapper->stop, __ATOMIC_RELAXED))
		ret = mapper_round(mapper);
	return ret;
}

static int mapper_start(struct mapper *mapper)
{
	struct call call = mapper->call;

	mapper->memory = mmap(NULL, mapper->size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (mapper->memory == MAP_FAILED)
		return -errno;
	call.run = call_mapper;
	call.data = mapper;
	return call_start(&mapper->call, &call);
}

static void race(struct __test_metadata *_metadata, FIXTURE_DATA(unmap) *self,
		 int threads, int pieces)
{
	struct mapper mappers[MAX_THREADS];
	size_t size = 2 * pieces * self->page;
	bool stop = false;
	int i;

	for (i = 0; i < threads; i++) {
		mappers[i] = (struct mapper){
			.call.user = &self->user, .stop = &stop,
			.iova = IOVA + 2 * i * size, .size = size,
			.pins = pieces,
		};
		ASSERT_EQ(0, mapper_start(&mappers[i]));
	}
	usleep(RACE_MS * 1000);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < threads; i++) {
		ASSERT_EQ(0, call_end(&mappers[i].call, SOON_MS));
		EXPECT_LT(0, mappers[i].rounds);
		EXPECT_GT(UNMAP_MS, mappers[i].longest);
		munmap(mappers[i].memory, size);
	}
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

TEST_F_TIMEOUT(unmap, many_threads_with_a_pin_each, 60)
{
	race(_metadata, self, MAX_THREADS, 1);
}

TEST_F_TIMEOUT(unmap, two_threads_with_many_pins_each, 60)
{
	race(_metadata, self, 2, 200);
}

TEST_F_TIMEOUT(unmap, many_threads_with_many_pins_each, 60)
{
	race(_metadata, self, 16, 20);
}

/* How long a notice takes: enough for a thread that acts meanwhile */
#define NOTICE_MS	(300 * time_scale())

/* VFIO stops the machine after so many notices */
#define NOTICES		12

static int pin_page(FIXTURE_DATA(unmap) *self, __u64 iova, __u32 action)
{
	return relay_pin(self->user.device, action, iova, 1);
}

/*
 * Gives back the page of @iova, unmaps it, and maps and pins another page. The
 * kernel's record of the new mapping comes to the same address in its memory.
 */
static int replace_page(FIXTURE_DATA(unmap) *self, void *memory, __u64 iova,
			__u64 other)
{
	int ret = pin_page(self, iova, MDEV_RELAY_UNPIN);

	if (!ret && !pages_pinned_become(0))
		ret = -ETIMEDOUT;
	if (!ret)
		ret = vfio_unmap(&self->user, iova, self->page);
	if (!ret)
		ret = vfio_map(&self->user, memory, other, self->page);
	return ret ?: pin_page(self, other, MDEV_RELAY_PIN);
}

TEST_F_TIMEOUT(unmap, pages_that_take_the_place_of_others_do_not_go_on_for_ever, 120)
{
	__u64 iova = IOVA;
	struct call call;
	void *memory;
	int i, ret;

	memory = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, memory);
	ASSERT_EQ(0, vfio_map(&self->user, memory, iova, self->page));
	ASSERT_EQ(0, pin_page(self, iova, MDEV_RELAY_PIN));
	ASSERT_EQ(0, relay_set("unmap_ms", NOTICE_MS));

	ASSERT_EQ(0, call_start(&call, &(struct call){
		.run = call_unmap, .user = &self->user,
		.at = IOVA, .len = 2 * NOTICES * self->page,
	}));
	ret = relay_wait_for_notice(self->user.device, iova, SOON_MS);
	for (i = 1; !ret && i <= NOTICES; i++) {
		__u64 other = iova + self->page;

		ret = replace_page(self, memory, iova, other);
		if (!ret)
			ret = relay_wait_for_notice(self->user.device, other,
						    SOON_MS);
		iova = other;
	}
	/* It can pin nothing any more, long before VFIO stops the machine */
	EXPECT_EQ(-EINVAL, ret);
	EXPECT_GT(6, i);
	EXPECT_EQ(0, relay_set("unmap_ms", 0));
	EXPECT_EQ(0, call_end(&call, SOON_MS));

	/* The system call has ended */
	vfio_unmap(&self->user, iova, self->page);
	ASSERT_EQ(0, vfio_map(&self->user, memory, IOVA, self->page));
	EXPECT_EQ(0, pin_page(self, IOVA, MDEV_RELAY_PIN));
	EXPECT_EQ(0, pin_page(self, IOVA, MDEV_RELAY_UNPIN));
	EXPECT_EQ(0, vfio_unmap(&self->user, IOVA, self->page));
	munmap(memory, self->page);
}

TEST_HARNESS_MAIN
