// SPDX-License-Identifier: GPL-2.0-only
/* Time. See lib.h. */
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "lib.h"
#include "private.h"

__s64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/*
 * How much slower than Debian's kernels the one is that this runs on: what this
 * was built for, or TEST_TIME_SCALE in the environment.
 */
int time_scale(void)
{
	const char *text = getenv("TEST_TIME_SCALE");
	int scale = text ? atoi(text) : SLOWER;

	return scale > 0 ? scale : SLOWER;
}

/* Waits for input until the deadline: false where none comes */
bool wait_input(int fd, __s64 deadline)
{
	for (;;) {
		struct pollfd poller = { .fd = fd, .events = POLLIN };
		__s64 left = deadline - now_ms();
		int ret = poll(&poller, 1, left > 0 ? left : 0);

		if (ret > 0)
			return true;
		if (ret < 0 && errno == EINTR)
			continue;
		return false;
	}
}
