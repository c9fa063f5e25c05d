// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocation failures. Each step in the life of a mediated device is repeated,
 * first with its first allocation failing, then with its second, until all have
 * failed once. Each time the step either fails and changes nothing, or
 * succeeds.
 *
 * The VM runner and kmemleak see leaks by counting objects.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define PARENT		"mdev_relay.0"
#define CARDS		"mtty"
#define CARD_TYPE	"mtty-2"
#define INTX		VFIO_PCI_INTX_IRQ_INDEX
#define MSI		VFIO_PCI_MSI_IRQ_INDEX
#define REQ		VFIO_PCI_REQ_IRQ_INDEX

/* A limit, in case a step never gets all its memory */
#define MAX_NTH		5000

/* A device, and the data of the steps */
struct life {
	struct uuid uuid;
	struct vfio_user user;
	int attr;
	int index;
	__u32 action;
	int eventfd;
	/* A descriptor of this thread's fail-nth */
	int nth;
};

typedef int (*step_fn)(struct life *life);

FIXTURE(fail_nth)
{
	struct life life;
	/* The counts before the test */
	long instances;
	int mdevs;
	int eventfd_id;
};

/* Finds the start of a kernel function, and that of the next function */
static int find_function(const char *name, __u64 *begin, __u64 *end)
{
	FILE *symbols = fopen("/proc/kallsyms", "re");
	unsigned long long address;
	char symbol[512];

	if (!symbols)
		return -errno;
	*begin = 0;
	while (fscanf(symbols, "%llx %*c %511s%*[^\n]", &address, symbol) == 2)
		if (!strcmp(symbol, name))
			*begin = address;
	*end = ~0ULL;
	rewind(symbols);
	while (fscanf(symbols, "%llx%*[^\n]", &address) == 1)
		if (address > *begin && address < *end)
			*end = address;
	fclose(symbols);
	return *begin ? 0 : -ENOENT;
}

static int failslab_set(const char *attr, const char *format, __u64 value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), FAILSLAB "%s", attr);
	snprintf(text, sizeof(text), format, value);
	return file_puts(path, text);
}

/*
 * Lets allocations fail that may sleep, and logs no failure. VFIO in Linux 6.12
 * leaks the IOMMU group, and warns, if it cannot allocate its own group. So
 * allocations below that function never fail here.
 */
static int failslab_set_up(void)
{
	__u64 begin, end;
	int err = find_function("vfio_device_set_group", &begin, &end);

	err = err ?: failslab_set("ignore-gfp-wait", "N", 0);
	err = err ?: failslab_set("verbose", "%llu", 0);
	err = err ?: failslab_set("reject-start", "0x%llx", begin);
	return err ?: failslab_set("reject-end", "0x%llx", end);
}

FIXTURE_SETUP(fail_nth)
{
	self->life.user = (struct vfio_user)VFIO_USER_NONE;
	self->life.attr = -1;
	self->life.eventfd = -1;
	self->life.nth = -1;
	if (failslab_set_up())
		SKIP(return, "this kernel lets no allocation fail on request");
	if (!parent_exists(CARDS) || !parent_exists(PARENT))
		SKIP(return, "no parents " CARDS " and " PARENT);
	self->life.nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->life.nth);
	self->life.uuid = uuid_new();
	self->instances = instances(CARDS, CARD_TYPE);
	self->mdevs = mdev_count();
	self->eventfd_id = eventfd_next_id();
}

FIXTURE_TEARDOWN(fail_nth)
{
	vfio_close(&self->life.user);
	close(self->life.attr);
	close(self->life.eventfd);
	close(self->life.nth);
	failslab_set("reject-start", "%llu", 0);
	failslab_set("reject-end", "%llu", 0);
	if (mdev_exists(&self->life.uuid))
		EXPECT_EQ(0, mdev_remove(&self->life.uuid));
	if (!parent_exists(PARENT))
		EXPECT_EQ(0, parent_bind(PARENT));
	EXPECT_EQ(self->instances, instances(CARDS, CARD_TYPE));
	EXPECT_EQ(self->mdevs, mdev_count());
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

/*
 * Takes a step with its n-th allocation failing. Returns false if the step has
 * fewer allocations, so that all have failed once.
 */
static bool fails(struct life *life, int nth, step_fn step, int *ret)
{
	char text[16] = "";
	int len = snprintf(text, sizeof(text), "%d", nth);

	if (nth > MAX_NTH || pwrite(life->nth, text, len, 0) != len)
		return false;
	*ret = step(life);
	/* The rest of n. It is 0 if an allocation has failed */
	if (pread(life->nth, text, sizeof(text) - 1, 0) <= 0)
		return false;
	return pwrite(life->nth, "0", 1, 0) == 1 && !atoi(text);
}

/* Each allocation has failed once, and none failed the last time */
static void expect_over(struct __test_metadata *_metadata, int nth, int ret)
{
	EXPECT_LT(1, nth);
	EXPECT_GE(MAX_NTH, nth);
	EXPECT_EQ(0, ret);
	TH_LOG("%d allocations", nth - 1);
}

/* The device can be used, whatever failed before */
static int use(struct life *life)
{
	struct vfio_device_info info;
	struct vfio_user user;
	int err = vfio_open(&user, &life->uuid);

	if (err)
		return err;
	err = vfio_info(user.device, &info);
	vfio_close(&user);
	return err;
}

static int step_write_uuid(struct life *life)
{
	ssize_t ret = write(life->attr, life->uuid.text, UUID_LEN);

	return ret < 0 ? -errno : 0;
}

TEST_F_TIMEOUT(fail_nth, create, 600 * SLOWER)
{
	struct life *life = &self->life;
	int ret = 0;
	int nth;

	life->attr = open(type_path(CARDS, CARD_TYPE, "create").text,
			  O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, life->attr);
	for (nth = 1; fails(life, nth, step_write_uuid, &ret); nth++) {
		ASSERT_EQ(!ret, mdev_exists(&life->uuid)) {
			TH_LOG("allocation %d fails, create says %d", nth, ret);
		}
		if (!ret) {
			EXPECT_EQ(0, use(life)) {
				TH_LOG("allocation %d had failed", nth);
			}
			EXPECT_EQ(0, mdev_remove(&life->uuid));
		} else {
			EXPECT_EQ(-ENOMEM, ret);
		}
		ASSERT_EQ(self->instances, instances(CARDS, CARD_TYPE));
	}
	expect_over(_metadata, nth, ret);
}

static int step_write_one(struct life *life)
{
	return write(life->attr, "1", 1) < 0 ? -errno : 0;
}

/* A remove that failed can be repeated */
TEST_F_TIMEOUT(fail_nth, remove, 600 * SLOWER)
{
	struct life *life = &self->life;
	int ret = 0;
	int nth;

	for (nth = 1;; nth++) {
		bool failed;

		ASSERT_EQ(0, mdev_create(CARDS, CARD_TYPE, &life->uuid));
		life->attr = open(mdev_path(&life->uuid, "remove").text,
				  O_WRONLY | O_CLOEXEC);
		failed = fails(life, nth, step_write_one, &ret);
		close(life->attr);
		ASSERT_EQ(!!ret, mdev_exists(&life->uuid)) {
			TH_LOG("allocation %d fails, remove says %d", nth, ret);
		}
		if (ret) {
			EXPECT_EQ(-ENOMEM, ret);
			EXPECT_EQ(0, use(life));
			EXPECT_EQ(0, mdev_remove(&life->uuid));
		}
		ASSERT_EQ(self->instances, instances(CARDS, CARD_TYPE));
		if (!failed)
			break;
	}
	life->attr = -1;
	expect_over(_metadata, nth, ret);
}

static int step_open(struct life *life)
{
	return vfio_open(&life->user, &life->uuid);
}

TEST_F_TIMEOUT(fail_nth, open, 600 * SLOWER)
{
	struct life *life = &self->life;
	int ret = 0;
	int nth;

	ASSERT_EQ(0, mdev_create(CARDS, CARD_TYPE, &life->uuid));
	for (nth = 1; fails(life, nth, step_open, &ret); nth++) {
		if (ret) {
			EXPECT_EQ(-ENOMEM, ret);
		} else {
			vfio_close(&life->user);
		}
		ASSERT_EQ(0, use(life)) {
			TH_LOG("allocation %d fails, open says %d", nth, ret);
		}
	}
	expect_over(_metadata, nth, ret);
}

static int step_set_eventfd(struct life *life)
{
	__s32 fd = life->eventfd;

	return vfio_set_irqs(life->user.device, VFIO_IRQ_SET_DATA_EVENTFD |
			     life->action, life->index, 0, 1, &fd, sizeof(fd));
}

TEST_F_TIMEOUT(fail_nth, set_irqs, 120 * SLOWER)
{
	struct life *life = &self->life;
	const struct {
		int index;
		__u32 action;
	} sets[] = {
		{ INTX, VFIO_IRQ_SET_ACTION_TRIGGER },
		{ INTX, VFIO_IRQ_SET_ACTION_UNMASK },
		{ MSI, VFIO_IRQ_SET_ACTION_TRIGGER },
		{ REQ, VFIO_IRQ_SET_ACTION_TRIGGER },
	};
	int fd = eventfd_new();
	int ret = 0;
	size_t i;
	int nth;

	ASSERT_EQ(0, mdev_create(CARDS, CARD_TYPE, &life->uuid));
	ASSERT_EQ(0, vfio_open(&life->user, &life->uuid));
	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		life->index = sets[i].index;
		life->action = sets[i].action;
		life->eventfd = fd;
		for (nth = 1; fails(life, nth, step_set_eventfd, &ret); nth++) {
			if (ret)
				EXPECT_EQ(-ENOMEM, ret);
			/*
			 * Unlike an unmask eventfd, a trigger can be replaced
			 */
			if (nth % 2 || life->action ==
			    VFIO_IRQ_SET_ACTION_UNMASK) {
				life->eventfd = -1;
				EXPECT_EQ(0, step_set_eventfd(life));
				life->eventfd = fd;
			}
		}
		expect_over(_metadata, nth, ret);
	}
}

/* Either the holder is asked, or the writer gets an error */
TEST_F_TIMEOUT(fail_nth, request, 120 * SLOWER)
{
	struct life *life = &self->life;
	int ret = 0;
	int nth;

	ASSERT_EQ(0, mdev_create(CARDS, CARD_TYPE, &life->uuid));
	ASSERT_EQ(0, vfio_open(&life->user, &life->uuid));
	life->eventfd = eventfd_new();
	ASSERT_EQ(0, vfio_set_request(life->user.device, life->eventfd));
	life->attr = open(mdev_path(&life->uuid, "request").text,
			  O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, life->attr);
	for (nth = 1; fails(life, nth, step_write_one, &ret); nth++) {
		if (ret) {
			EXPECT_EQ(-ENOMEM, ret);
		} else {
			EXPECT_TRUE(eventfd_wait(life->eventfd, SOON_MS));
		}
		eventfd_take(life->eventfd);
		EXPECT_EQ(0, file_puts(mdev_path(&life->uuid, "request").text,
				       "0"));
	}
	expect_over(_metadata, nth, ret);
}

static int step_bind(struct life *life)
{
	(void)life;
	return parent_bind(PARENT);
}

TEST_F_TIMEOUT(fail_nth, register_parent, 600 * SLOWER)
{
	struct life *life = &self->life;
	int ret = 0;
	int nth;

	ASSERT_EQ(0, child_wait(unbinder_start(PARENT), SOON_MS));
	for (nth = 1; fails(life, nth, step_bind, &ret); nth++) {
		ASSERT_EQ(!ret, parent_exists(PARENT)) {
			TH_LOG("allocation %d fails, bind says %d", nth, ret);
		}
		if (ret) {
			EXPECT_EQ(-ENOMEM, ret);
		} else {
			ASSERT_EQ(0, child_wait(unbinder_start(PARENT),
						SOON_MS));
		}
	}
	expect_over(_metadata, nth, ret);
}

TEST_HARNESS_MAIN
