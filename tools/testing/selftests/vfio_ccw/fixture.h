/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of a fixture that has a subchannel, for the harness. Programs that
 * are not tests use ccw.h alone.
 */
#ifndef SELFTESTS_VFIO_CCW_FIXTURE_H
#define SELFTESTS_VFIO_CCW_FIXTURE_H

#include "kselftest_harness.h"
#include "ccw.h"

/* For a fixture whose tests run with one device of each kind */
#define CCW_VARIANTS(fixture)						\
FIXTURE_VARIANT(fixture)						\
{									\
	const char *device;						\
};									\
									\
FIXTURE_VARIANT_ADD(fixture, rng)					\
{									\
	.device = CU_RNG,						\
};									\
									\
FIXTURE_VARIANT_ADD(fixture, terminal)					\
{									\
	.device = CU_TERMINAL,						\
}

/* Prepares a device, without opening it. Returns false if there is none */
static inline bool ccw_set_up(struct __test_metadata *_metadata,
			      struct ccw *ccw, const char *wanted)
{
	int err = ccw_grab(ccw, wanted);

	if (err == -ENODEV)
		return false;
	ASSERT_EQ(0, err);
	return true;
}

static inline void ccw_tear_down(struct __test_metadata *_metadata,
				 struct ccw *ccw)
{
	EXPECT_EQ(0, ccw_release(ccw));
	EXPECT_TRUE(eventfd_ids_back_to(ccw->eventfd_id));
	EXPECT_EQ(ccw->pinned, pages_pinned());
}

#endif /* SELFTESTS_VFIO_CCW_FIXTURE_H */
