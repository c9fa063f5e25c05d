/* SPDX-License-Identifier: GPL-2.0-only */
/* A figure is the median of samples. The guest's clock counts instructions. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static inline int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static inline uint64_t median(uint64_t *samples, int count)
{
	qsort(samples, count, sizeof(*samples), compare);
	return samples[count / 2];
}

static inline void report(const char *name, uint64_t *samples, int count)
{
	printf("bench %s %llu\n", name,
	       (unsigned long long)median(samples, count));
}

#endif /* BENCH_H */
