// SPDX-License-Identifier: GPL-2.0-only
/*
 * A holder that closes a device while a thread unmaps its memory, opens it again
 * and pins the memory, again and again, each time before VFIO looks whether the
 * memory is still pinned. VFIO would stop the machine at the 12th look. The
 * thread that unmaps stays in the kernel for good, so mdev cannot be unloaded
 * afterwards. If all is well, the program restarts the machine.
 *
 * The thread that unmaps comes late because a thread of a higher priority keeps
 * its processor, and because another one waits for VFIO's lock before it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/log.h"
#include "stall.h"

#define PARENT	"mdev_relay.0"
#define TYPE	"mdev_relay-relay"
#define IOVA	0x1000000ULL

/* What a notice takes, and what the holder does meanwhile, in milliseconds */
#define NOTICE_MS	(1000 * time_scale())
#define STEP_MS		(200 * time_scale())

/* The processor of the thread that unmaps; all others have another one */
#define SLOW_CPU	1
#define FAST_CPU	0

/* VFIO's last look */
#define LOOKS		12

struct attack {
	struct vfio_user user;
	struct uuid uuid;
	size_t page;
	void *memory;
	/* Keeps the processor while it is set */
	bool spin;
};

static int run_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus) ? -errno : 0;
}

static void *spinner(void *arg)
{
	struct sched_param param = { .sched_priority = 50 };
	struct attack *attack = arg;

	if (run_on(SLOW_CPU) ||
	    pthread_setschedparam(pthread_self(), SCHED_FIFO, &param))
		return arg;
	for (;;)
		if (!__atomic_load_n(&attack->spin, __ATOMIC_RELAXED))
			usleep(1000);
	return NULL;
}

static void spin(struct attack *attack, bool on)
{
	__atomic_store_n(&attack->spin, on, __ATOMIC_RELAXED);
	usleep(20000);
}

static long call_slow_unmap(struct call *call)
{
	return run_on(SLOW_CPU) ?: call_unmap(call);
}

static long call_slow_close(struct call *call)
{
	return run_on(SLOW_CPU) ?: call_errno(close(call->len));
}

static int pin(const struct attack *attack)
{
	return relay_pin(attack->user.device, MDEV_RELAY_PIN, IOVA, 1);
}

/*
 * During a notice: VFIO's lock goes from the close to a thread that copies to
 * missing memory, and from there to the open and the pin.
 */
static int reopen(struct attack *attack)
{
	struct call closing, copying;
	struct missing bitmap;
	int ret;

	ret = missing_new(&bitmap, attack->page);
	if (!ret)
		ret = call_start(&closing, &(struct call){
			.run = call_slow_close, .len = attack->user.device });
	if (ret)
		return ret;
	usleep(STEP_MS * 1000);
	ret = call_start(&copying, &(struct call){
		.run = call_get_bitmap, .user = &attack->user,
		.data = bitmap.memory, .at = IOVA, .len = attack->page });
	if (ret)
		return ret;
	if (!missing_wait(&bitmap, 3 * NOTICE_MS))
		return -ETIMEDOUT;
	usleep(STEP_MS * 1000);
	spin(attack, true);
	missing_free(&bitmap);
	ret = call_end(&copying, SOON_MS) == -ETIMEDOUT ||
	      call_end(&closing, SOON_MS) == -ETIMEDOUT ? -ETIMEDOUT : 0;
	if (!ret) {
		attack->user.device = vfio_get_device(&attack->user,
						      &attack->uuid);
		ret = attack->user.device < 0 ? attack->user.device :
						pin(attack);
	}
	spin(attack, false);
	return ret;
}

/* Returns how often the device was opened again, or a negative errno */
static int do_harm(struct attack *attack)
{
	struct call unmapping;
	pthread_t thread;
	int ret, i;

	ret = run_on(FAST_CPU) ?: vfio_open(&attack->user, &attack->uuid);
	if (!ret)
		ret = stall_track_writes(&attack->user);
	if (!ret)
		ret = vfio_map(&attack->user, attack->memory, IOVA,
			       attack->page);
	if (!ret)
		ret = pin(attack);
	if (!ret)
		ret = -pthread_create(&thread, NULL, spinner, attack);
	if (!ret)
		ret = call_start(&unmapping, &(struct call){
			.run = call_slow_unmap, .user = &attack->user,
			.at = IOVA, .len = attack->page });
	if (ret)
		return ret;

	for (i = 0; i < LOOKS + 1; i++) {
		ret = relay_wait_for_notice(attack->user.device, IOVA,
					    3 * NOTICE_MS) ?: reopen(attack);
		if (ret)
			break;
	}
	return ret == -ETIMEDOUT ? i : ret;
}

FIXTURE(reopen)
{
	struct attack attack;
	int log;
	pid_t holder;
	int pipe[2];
};

FIXTURE_SETUP(reopen)
{
	struct attack *attack = &self->attack;

	attack->user = (struct vfio_user)VFIO_USER_NONE;
	self->holder = -1;
	attack->page = sysconf(_SC_PAGESIZE);
	attack->memory = mmap(NULL, attack->page, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
			      0);
	ASSERT_NE(MAP_FAILED, attack->memory);
	attack->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &attack->uuid));
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
	ASSERT_EQ(0, file_puts("/proc/sys/kernel/sched_rt_runtime_us", "-1"));
	ASSERT_EQ(0, relay_set("unmap_ms", NOTICE_MS));
	ASSERT_EQ(0, pipe(self->pipe));
}

FIXTURE_TEARDOWN(reopen)
{
	if (self->holder > 0)
		kill(self->holder, SIGKILL);
	relay_set("unmap_ms", 0);
	close(self->log);
}

TEST_F_TIMEOUT(reopen, machine_goes_on, 300)
{
	struct uuid other = uuid_new();
	int rounds = 0;

	self->holder = fork();
	ASSERT_LE(0, self->holder);
	if (!self->holder) {
		rounds = do_harm(&self->attack);
		if (write(self->pipe[1], &rounds, sizeof(rounds)) < 0)
			_exit(1);
		pause();
		_exit(0);
	}
	ASSERT_EQ(sizeof(rounds), read(self->pipe[0], &rounds, sizeof(rounds)));
	EXPECT_LT(2, rounds);
	EXPECT_GT(LOOKS - 1, rounds);
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->attack.uuid.text,
			      LOG_UNMAP_DOES_NOT_END, NULL));

	/* Nobody else is kept, and the device can be taken away */
	EXPECT_EQ(0, mdev_create(PARENT, TYPE, &other));
	EXPECT_EQ(0, child_wait(remover_start(&other), SOON_MS));
	EXPECT_EQ(0, mdev_revoke(&self->attack.uuid));
	EXPECT_FALSE(mdev_exists(&self->attack.uuid));
	if (_metadata->exit_code == KSFT_PASS)
		reboot(RB_AUTOBOOT);
}

TEST_HARNESS_MAIN
