// SPDX-License-Identifier: GPL-2.0-only
/*
 * Revokes devices while their holders use them in many ways: their threads
 * read, write, set interrupts, pin, map, fault and open, or wait for memory
 * that never appears. They are killed before, during or after the revocation.
 * Each round ends without the device, and at the end nothing is lost or left.
 *
 * REVOKE_ROUNDS in the environment is the number of rounds. TEST_TIME_SCALE is
 * the time factor of the kernel, compared with one without debugging.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"
#include "lib.h"
#include "mdev_relay.h"

#define ROUNDS		100	/* the default */
#define WORKERS		2
#define THREADS		4
#define PAGES		16
#define PAGE		4096ULL
#define IOVA		0x100000ULL
#define MISSING_IOVA	0x10000000ULL

/* One day: the runner's time limit ends a test that hangs */
#define NO_LIMIT	86400

#define END_MS		(SOON_MS * time_scale())

static const struct target {
	const char *parent;
	const char *type;
} targets[] = {
	{ "mdev_relay.0", "mdev_relay-relay" },
	{ "mdev_relay.1", "mdev_relay-relay" },
	{ "mtty", "mtty-1" },
	{ "mdev_relay.0", "mdev_relay-relay" },
};

static int rounds(void)
{
	const char *text = getenv("REVOKE_ROUNDS");
	int number = text ? atoi(text) : ROUNDS;

	return number > 0 ? number : 1;
}

/* A random number generator for each thread, so that a run can be repeated */
static unsigned int next_random(unsigned int *state, unsigned int below)
{
	*state = *state * 1103515245 + 12345;
	return (*state >> 16 & 0x7fff) % below;
}

/* A holder: its threads use one device, or two in one container */
struct use {
	struct uuid uuid;
	struct vfio_user user;
	struct missing missing;
	unsigned char *memory;
	int eventfd;
	int index;
	bool can_map;
	unsigned int random;
};

struct user_thread {
	struct use *use;
	unsigned int random;
	pthread_t thread;
};

static __thread sigjmp_buf after_signal;

static void jump(int number)
{
	siglongjmp(after_signal, number);
}

static void touch(unsigned char *memory, int times)
{
	for (; times; times--) {
		__atomic_store_n(memory, 1, __ATOMIC_RELAXED);
		if (times % 3 == 0)
			madvise(memory, PAGE, MADV_DONTNEED);
	}
}

/* Accesses the device's page a few times, or until that raises SIGBUS */
static int do_mmap(struct use *use, unsigned int *random)
{
	unsigned char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				     MAP_SHARED, use->user.device,
				     (off_t)MDEV_RELAY_FAULT_REGION <<
				     MDEV_RELAY_INDEX_SHIFT);

	if (memory == MAP_FAILED)
		return errno == ENODEV ? -ENODEV : 0;
	if (!sigsetjmp(after_signal, 1))
		touch(memory, next_random(random, 20));
	munmap(memory, PAGE);
	return 0;
}

static int do_open(struct use *use)
{
	int fd = vfio_get_device(&use->user, &use->uuid);
	struct vfio_device_info info;
	int ret;

	if (fd < 0)
		return 0;
	ret = vfio_info(fd, &info);
	close(fd);
	return ret;
}

/*
 * Unmaps one range at a time. If two threads unmap pinned memory at once,
 * VFIO's type 1 IOMMU lets them wait for seconds; memory_test checks that this
 * ends.
 */
static int unmap(struct use *use, __u64 iova)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int ret;

	pthread_mutex_lock(&lock);
	ret = vfio_unmap(&use->user, iova, PAGES * PAGE);
	pthread_mutex_unlock(&lock);
	return ret;
}

static int do_map(struct use *use, unsigned int *random)
{
	__u64 iova = IOVA + PAGES * PAGE * (1 + next_random(random, 4));

	vfio_map(&use->user, use->memory, iova, PAGES * PAGE);
	relay_pin(use->user.device, MDEV_RELAY_PIN, iova, 4);
	unmap(use, iova);
	return 0;
}

static int do_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return 0;
}

/* Makes one of many calls. Returns 0, or -ENODEV when the device was revoked */
static int do_something(struct use *use, unsigned int *random)
{
	int device = use->user.device;
	struct vfio_device_info info;
	__u32 npage = 1 + next_random(random, 8);
	unsigned char data[256] = {};
	ssize_t ret = 0;
	__u32 ms;

	switch (next_random(random, 64)) {
	case 0 ... 7:
		ret = pread(device, data, sizeof(data), IOVA);
		break;
	case 8 ... 15:
		ret = pwrite(device, data, sizeof(data), IOVA);
		break;
	case 16 ... 21:
		return vfio_info(device, &info);
	case 22 ... 27:
		ret = vfio_set_eventfd(device, use->index, use->eventfd);
		return ret == -ENODEV ? -ENODEV : 0;
	case 28 ... 31:
		ret = vfio_set_eventfd(device, use->index, -1);
		return ret == -ENODEV ? -ENODEV : 0;
	case 32 ... 41:
		ret = relay_pin(device, MDEV_RELAY_PIN, IOVA, npage);
		return ret == -ENODEV ? -ENODEV : 0;
	case 42 ... 45:
		ret = relay_pin(device, MDEV_RELAY_UNPIN, IOVA, npage);
		return ret == -ENODEV ? -ENODEV : 0;
	case 46 ... 48:
		return do_map(use, random);
	case 49 ... 53:
		/* Otherwise the mapping would prevent the revocation */
		return use->can_map ? do_mmap(use, random) : 0;
	case 54 ... 56:
		return do_open(use);
	case 57 ... 58:
		ms = next_random(random, 5);
		ret = pwrite(device, &ms, sizeof(ms),
			     (off_t)MDEV_RELAY_SLEEP_REGION <<
			     MDEV_RELAY_INDEX_SHIFT);
		break;
	case 59:
		unmap(use, IOVA);
		vfio_map(&use->user, use->memory, IOVA, PAGES * PAGE);
		break;
	case 60:
		ret = pread(device, use->missing.memory, 64, IOVA);
		break;
	case 61:
		ret = pwrite(device, use->missing.memory, 64, IOVA);
		break;
	case 62:
		/* VFIO holds its lock meanwhile, and the other threads wait. So do it rarely */
		if (!next_random(random, 8))
			ret = pread(device, data, 64, MISSING_IOVA);
		break;
	default:
		return do_fork();
	}
	return ret < 0 && errno == ENODEV ? -ENODEV : 0;
}

static void *run_thread(void *arg)
{
	struct user_thread *thread = arg;

	while (do_something(thread->use, &thread->random) != -ENODEV)
		;
	return NULL;
}

static int run_user(void *arg)
{
	struct sigaction action = { .sa_handler = jump };
	struct user_thread threads[THREADS];
	struct use *use = arg;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGBUS, &action, NULL);
	use->can_map = vfio_mappings_can_be_taken();
	use->eventfd = eventfd_new();
	use->memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (missing_new(&use->missing, PAGES * PAGE))
		return 1;
	/* The device may be revoked already */
	if (vfio_open(&use->user, &use->uuid))
		return 0;
	use->index = vfio_request_index(use->user.device);
	vfio_map(&use->user, use->memory, IOVA, PAGES * PAGE);
	vfio_map(&use->user, use->missing.memory, MISSING_IOVA, PAGES * PAGE);
	for (i = 0; i < THREADS; i++) {
		threads[i].use = use;
		threads[i].random = use->random + i;
		if (pthread_create(&threads[i].thread, NULL, run_thread,
				   &threads[i]))
			return 1;
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i].thread, NULL);
	return 0;
}

/* Prints the reason why a round fails */
static int __attribute__((format(printf, 1, 2))) fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("# ", stderr);
	vfprintf(stderr, format, args);
	va_end(args);
	return 1;
}

static void some_time(unsigned int *random)
{
	if (next_random(random, 4))
		usleep(next_random(random, 30000) * time_scale());
}

/* Revokes the device, sometimes with a revoker that is killed */
static int revoke_anyhow(const struct uuid *uuid, unsigned int *random)
{
	pid_t revoker = revoker_start(uuid), other = -1;
	int ret, second;

	if (!next_random(random, 4))
		other = next_random(random, 2) ? revoker_start(uuid) :
						 remover_start(uuid);
	if (!next_random(random, 8))
		kill(revoker, SIGKILL);
	ret = child_wait(revoker, END_MS);
	if (ret && ret != ENODEV && ret != ENOENT && ret != 128 + SIGKILL)
		return fail("the revocation ended with %d\n", ret);
	/* The revoker was killed before it began, or while it waited */
	if (ret == 128 + SIGKILL) {
		ret = child_wait(revoker_start(uuid), END_MS);
		if (ret && ret != ENODEV && ret != ENOENT)
			return fail("the second revocation ended with %d\n",
				    ret);
	}
	if (other < 0)
		return 0;
	second = child_wait(other, END_MS);
	if (second && second != ENODEV && second != ENOENT && second != EBUSY)
		return fail("the other ended with %d\n", second);
	return 0;
}

static bool gone(const struct uuid *uuid)
{
	__s64 deadline = now_ms() + END_MS;

	while (mdev_exists(uuid)) {
		if (now_ms() > deadline)
			return false;
		usleep(1000);
	}
	return true;
}

static int one_round(unsigned int *random)
{
	const struct target *target =
		&targets[next_random(random, ARRAY_SIZE(targets))];
	struct use use = { .uuid = uuid_new(), .random = *random };
	bool stopped = false;
	pid_t user;
	int ret;

	ret = mdev_create(target->parent, target->type, &use.uuid);
	if (ret)
		return fail("create failed: %d\n", ret);
	user = child_start(run_user, &use, -1, -1);
	some_time(random);
	switch (next_random(random, 6)) {
	case 0:
		kill(user, SIGKILL);
		break;
	case 1:
		stopped = true;
		kill(user, SIGSTOP);
		break;
	}
	ret = revoke_anyhow(&use.uuid, random);
	if (ret)
		return ret;
	if (!gone(&use.uuid))
		return fail("%s is still there\n", use.uuid.text);
	/* The UUID can be reused, whatever the holder does */
	if (!next_random(random, 4)) {
		ret = mdev_create(target->parent, target->type, &use.uuid);
		if (ret)
			return fail("create of the same UUID failed: %d\n",
				    ret);
		ret = child_wait(revoker_start(&use.uuid), END_MS);
		if (ret)
			return fail("revocation of the same UUID ended with %d\n",
				    ret);
	}
	if (stopped)
		kill(user, SIGCONT);
	/* The holder ends by itself, or waits for memory that never appears */
	if (next_random(random, 2) && child_wait(user, 20) != -ETIMEDOUT)
		return 0;
	kill(user, SIGKILL);
	if (child_wait(user, END_MS) == -ETIMEDOUT)
		return fail("the user does not end\n");
	return 0;
}

struct work {
	int rounds;
	unsigned int random;
};

static int run_worker(void *arg)
{
	struct work *work = arg;
	int i, ret;

	for (i = 0; i < work->rounds; i++) {
		unsigned int seed = work->random;

		ret = one_round(&work->random);
		if (ret) {
			fprintf(stderr, "# in round %d, seed %u\n", i, seed);
			return ret;
		}
	}
	return 0;
}

/* Counts that must be the same at the end */
FIXTURE(stress)
{
	int mdevs;
	int eventfd_id;
	long users;
	long relays;
	long pinned;
	long ports;
};

FIXTURE_SETUP(stress)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(targets); i++)
		if (!parent_exists(targets[i].parent))
			SKIP(return, "no parent %s", targets[i].parent);
	self->mdevs = mdev_count();
	self->eventfd_id = eventfd_next_id();
	self->users = module_users("mdev");
	self->relays = relay_counter("relays");
	self->pinned = pages_pinned();
	self->ports = instances("mtty", "mtty-1");
}

FIXTURE_TEARDOWN(stress)
{
	EXPECT_EQ(self->mdevs, mdev_count());
	EXPECT_EQ(self->ports, instances("mtty", "mtty-1"));
	EXPECT_EQ(0, relay_counter("pinned_all"));
	EXPECT_TRUE(relay_counter_becomes("relays", self->relays));
	EXPECT_EQ(relay_counter("opens"),
		  relay_counter("releases") + relay_counter("revokes"));
	EXPECT_TRUE(mdev_users_become(self->users));
	EXPECT_TRUE(pages_pinned_become(self->pinned));
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

TEST_F_TIMEOUT(stress, revocation_against_everything, NO_LIMIT)
{
	struct work work[WORKERS];
	pid_t pids[WORKERS];
	int i;

	for (i = 0; i < WORKERS; i++) {
		work[i].rounds = (rounds() + WORKERS - 1) / WORKERS;
		work[i].random = 4711 + i;
		pids[i] = child_start(run_worker, &work[i], -1, -1);
		ASSERT_LT(0, pids[i]);
	}
	for (i = 0; i < WORKERS; i++)
		EXPECT_EQ(0, child_wait(pids[i], NO_LIMIT * 1000));
}

/* A parent whose devices are all held reports that its hardware is gone */
TEST_F_TIMEOUT(stress, parent_that_is_gone_against_everything, NO_LIMIT)
{
	struct use uses[3];
	unsigned int random = 815;
	pid_t pids[3];
	int round, i;

	for (round = 0; round < (rounds() + 4) / 5; round++) {
		for (i = 0; i < 3; i++) {
			uses[i] = (struct use){
				.uuid = uuid_new(), .random = random + i,
			};
			ASSERT_EQ(0, mdev_create("mdev_relay.1",
						 "mdev_relay-relay",
						 &uses[i].uuid));
			pids[i] = child_start(run_user, &uses[i], -1, -1);
		}
		some_time(&random);
		EXPECT_EQ(0, file_puts(parent_path("mdev_relay.1",
						   "relay/gone").text, "1"));
		ASSERT_EQ(0, child_wait(unbinder_start("mdev_relay.1"),
					2 * END_MS));
		for (i = 0; i < 3; i++)
			EXPECT_FALSE(mdev_exists(&uses[i].uuid));
		/* Bind with or without open shells */
		if (next_random(&random, 2))
			EXPECT_EQ(0, parent_bind("mdev_relay.1"));
		for (i = 0; i < 3; i++) {
			kill(pids[i], SIGKILL);
			EXPECT_NE(-ETIMEDOUT, child_wait(pids[i], END_MS));
		}
		if (!parent_exists("mdev_relay.1"))
			EXPECT_EQ(0, parent_bind("mdev_relay.1"));
	}
}

/*
 * More than a workqueue of the kernel runs at once. On a debug kernel each
 * shell holds VFIO's lock for so long that the last one of as many would be
 * reported as blocked.
 */
#define SHELLS	(600 / time_scale())

/* VFIO closes one shell after another. Waits as long as their number decreases */
static bool shells_go(long users)
{
	long left = module_users("mdev");
	int looks = time_scale();

	while (left > users && looks--) {
		if (!soon(module_users("mdev") < left))
			continue;
		left = module_users("mdev");
		looks = time_scale();
	}
	return left == users;
}

TEST_F_TIMEOUT(stress, shells_may_be_many, NO_LIMIT)
{
	struct rlimit limit = { .rlim_cur = 4096, .rlim_max = 4096 };
	const int shells = SHELLS;
	struct vfio_user *users = calloc(shells, sizeof(*users));
	struct uuid uuid = uuid_new();
	struct vfio_device_info info;
	int i, ret;

	ASSERT_NE(NULL, users);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (i = 0; i < shells; i++) {
		ASSERT_EQ(0, mdev_create("mdev_relay.0", "mdev_relay-relay",
					 &uuid));
		ASSERT_EQ(0, vfio_open(&users[i], &uuid));
		ret = child_wait(revoker_start(&uuid), END_MS);
		ASSERT_EQ(0, ret) {
			TH_LOG("the %d. revocation ended with %d", i + 1, ret);
		}
	}
	for (i = 0; i < shells; i++) {
		EXPECT_EQ(-ENODEV, vfio_info(users[i].device, &info));
		vfio_close(&users[i]);
	}
	EXPECT_TRUE(shells_go(self->users));
	free(users);
}

TEST_HARNESS_MAIN
