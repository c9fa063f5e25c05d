/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers of each thread. The same seed gives the same numbers */
#ifndef SELFTESTS_FUZZ_RANDOM_H
#define SELFTESTS_FUZZ_RANDOM_H

#include <stdbool.h>

#include <linux/types.h>

/* Starts as the seed, which must not be 0 */
static __thread __u64 state;

static inline __u64 random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static inline unsigned int below(unsigned int limit)
{
	return random64() % limit;
}

static inline bool chance(unsigned int of)
{
	return !below(of);
}

#endif /* SELFTESTS_FUZZ_RANDOM_H */
