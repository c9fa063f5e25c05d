// SPDX-License-Identifier: GPL-2.0-only
/* Time. See lib.h. */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"
#include "private.h"

__s64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/*
 * Returns the time factor of the running kernel, compared with Debian's
 * kernels: SLOWER, or TEST_TIME_SCALE in the environment.
 */
int time_scale(void)
{
	const char *text = getenv("TEST_TIME_SCALE");
	int scale = text ? atoi(text) : SLOWER;

	return scale > 0 ? scale : SLOWER;
}

/* The step of a wait, and the longest delay of a step on a machine that runs */
#define STEP_MS		200
#define DELAY_MS	2000

/*
 * A clock that stops if the machine stands still. A thread sleeps in steps. A
 * step that takes too long means that the machine stood still, and does not
 * count.
 */
static struct {
	pthread_once_t begun;
	__s64 last;	/* the time at which the last step began */
	__s64 lost;	/* the time in which the machine stood still */
} watch = { .begun = PTHREAD_ONCE_INIT };

static void *watch_run(void *arg)
{
	(void)arg;
	for (;;) {
		__s64 start = now_ms(), late;

		__atomic_store_n(&watch.last, start, __ATOMIC_RELAXED);
		usleep(STEP_MS * 1000);
		late = now_ms() - start - STEP_MS;
		if (late > DELAY_MS)
			__atomic_add_fetch(&watch.lost, late, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void watch_begin(void)
{
	pthread_t thread;

	watch.last = now_ms();
	pthread_create(&thread, NULL, watch_run, NULL);
}

/*
 * Like now_ms(), without the times in which the machine stood still. It can be
 * late by DELAY_MS. A process that was forked after the first call must not
 * call it.
 */
__s64 watch_ms(void)
{
	__s64 now, last;

	pthread_once(&watch.begun, watch_begin);
	now = now_ms();
	last = __atomic_load_n(&watch.last, __ATOMIC_RELAXED);
	if (now - last > STEP_MS + DELAY_MS)
		now = last + STEP_MS;
	return now - __atomic_load_n(&watch.lost, __ATOMIC_RELAXED);
}

/*
 * Counts a step of a wait. If the machine stood still meanwhile, so did the
 * event that is awaited: that time does not count.
 */
static void wait_step(__s64 *left, __s64 step, __s64 took)
{
	*left -= took > step + DELAY_MS ? step : took;
}

/* Waits for input for at most *@left ms, and reduces *@left. Returns false on timeout */
bool wait_input(int fd, __s64 *left)
{
	for (;;) {
		struct pollfd poller = { .fd = fd, .events = POLLIN };
		__s64 step = *left < 0 ? 0 : *left < STEP_MS ? *left : STEP_MS;
		__s64 start = now_ms();
		int ret = poll(&poller, 1, step);

		if (ret < 0 && errno != EINTR)
			return false;
		wait_step(left, step, now_ms() - start);
		if (ret > 0)
			return true;
		if (*left <= 0)
			return false;
	}
}

/* Sleeps for a moment. Returns false if *@left ms are over */
bool wait_moment(__s64 *left)
{
	__s64 start = now_ms();

	usleep(10000);
	wait_step(left, 10, now_ms() - start);
	return *left > 0;
}
