// SPDX-License-Identifier: GPL-2.0-only
/* Threads, and the processors that they run on. See lib.h. */
#define _GNU_SOURCE
#include <sched.h>

#include "lib.h"

int thread_use_processor(pthread_t thread, int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	return -pthread_setaffinity_np(thread, sizeof(set), &set);
}
