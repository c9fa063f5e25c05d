// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channel programs that are active, on a machine that runs them beside its
 * processors: how they are ended, in all ways and in time, and what is seen of
 * them meanwhile.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "kselftest_harness.h"
#include "life.h"

/*
 * Card readers: they do nothing by themselves. A test that fails may lose one, so
 * the next takes another
 */
#define READERS		20
#define FIRST_READER	0x10

/* A second is what the driver has; the rest is for a slow machine */
#define BOUND_MS	(2000 * SLOWER)

/* Word 1 of the ORB, and word 0 of the SCSW, which has some of it too */
#define ORB_INITIAL	0x00200000U
#define SCSW_FMT1	0x00800000U

/* How long @call takes is bounded */
#define expect_soon(expected, call) do {				\
	__s64 begun = now_ms();						\
									\
	EXPECT_EQ(expected, call);					\
	EXPECT_GE(BOUND_MS, now_ms() - begun);				\
} while (0)

FIXTURE(active)
{
	LIFE;
	struct response response;
	char reader[16];
};

FIXTURE_SETUP(active)
{
	int i;

	for (i = 0; i < READERS; i++) {
		snprintf(self->reader, sizeof(self->reader), "0.0.%04x",
			 FIRST_READER + i);
		if (file_exists(ccw_path(self->reader, "cutype").text))
			break;
	}
	ASSERT_NE(READERS, i);
	set_up(self->reader);
	ASSERT_EQ(0, ccw_open(&self->ccw));
}

FIXTURE_TEARDOWN(active)
{
	if (!self->ccw.memory)
		return;
	grace_set(GRACE_DEFAULT);
	self->ccw.bound = parent_exists(self->ccw.sch);
	tear_down();
}

/* Sense data and again, for ever; its memory is used as long as it runs */
static int start_loop(const struct ccw *ccw, __u32 flags)
{
	__u32 at;

	if (flags & ORB_FMT1) {
		at = put_ccw(ccw, PROGRAM, CMD_SENSE, CCW_CC | CCW_SLI, 1,
			     DATA);
		at = put_ccw(ccw, at, CMD_NOP, CCW_CC | CCW_SLI, 1, 0);
		put_ccw(ccw, at, CMD_TIC, 0, 0, PROGRAM);
	} else {
		at = put_ccw0(ccw, PROGRAM, CMD_SENSE, CCW_CC | CCW_SLI, 1,
			      DATA);
		at = put_ccw0(ccw, at, CMD_NOP, CCW_CC | CCW_SLI, 1, 0);
		put_ccw0(ccw, at, CMD_TIC, 0, 0, PROGRAM);
	}
	return ccw_start(ccw, flags, PROGRAM);
}

#define start_looping() do {						\
	ASSERT_EQ(0, start_loop(&self->ccw, ORB_FORMAT1));		\
	ASSERT_TRUE(soon(schib_scsw(&self->ccw) & SCSW_ACTIVE));	\
	EXPECT_LT(self->ccw.pinned, pages_pinned());			\
} while (0)

/* Memory is given back with the response, or with what ended the program */
#define expect_nothing_pinned() EXPECT_EQ(self->ccw.pinned, pages_pinned())

/* The driver has ended the program, whose end is that of a start */
#define expect_lost_program() do {					\
	EXPECT_EQ(SCSW_START, self->response.fctl);			\
	EXPECT_EQ(CSTAT_INTERFACE, self->response.cstat);		\
	EXPECT_EQ(0, self->response.dstat);				\
	EXPECT_EQ(0, self->response.cpa);				\
} while (0)

TEST_F(active, second_start_is_busy)
{
	start_looping();
	EXPECT_EQ(-EBUSY, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_EQ(-EBUSY, ret_code(&self->ccw, REGION_IO));
	EXPECT_LT(self->ccw.pinned, pages_pinned());
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
	EXPECT_NE(0, schib_scsw(&self->ccw) & SCSW_ACTIVE);
}

TEST_F(active, clear_ends_it)
{
	start_looping();
	EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	expect_soon(0, ccw_response(&self->ccw, &self->response));
	EXPECT_EQ(SCSW_CLEAR, self->response.fctl);
	expect_nothing_pinned();
	expect_usable();
}

TEST_F(active, halt_ends_it)
{
	start_looping();
	EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_HSCH));
	expect_soon(0, ccw_response(&self->ccw, &self->response));
	EXPECT_NE(0, self->response.fctl & SCSW_HALT);
	EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	expect_soon(0, ccw_response(&self->ccw, &self->response));
	expect_nothing_pinned();
	expect_usable();
}

TEST_F(active, next_start_comes_after_a_halt)
{
	start_looping();
	EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_HSCH));
	ASSERT_EQ(0, ccw_response(&self->ccw, &self->response));
	expect_usable();
}

TEST_F(active, reset_ends_it)
{
	static const struct ccw_io_region none;
	struct ccw_io_region region;

	start_looping();
	expect_soon(0, vfio_ioctl(self->ccw.user.device, VFIO_DEVICE_RESET,
				  NULL));
	expect_nothing_pinned();
	EXPECT_EQ(0, region_read(&self->ccw, REGION_IO, &region,
				 sizeof(region)));
	EXPECT_EQ(0, memcmp(&region, &none, sizeof(region)));
	expect_usable();
}

/* What there is to fetch after a reset is told, and nothing else */
TEST_F(active, reset_signals_nothing)
{
	start_looping();
	EXPECT_EQ(0, vfio_ioctl(self->ccw.user.device, VFIO_DEVICE_RESET,
				NULL));
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
}

TEST_F(active, unmap_ends_it)
{
	start_looping();
	expect_soon(0, vfio_unmap(&self->ccw.user, GUEST_BASE, GUEST_SIZE));
	expect_nothing_pinned();
	ASSERT_EQ(0, vfio_map(&self->ccw.user, self->ccw.memory, GUEST_BASE,
			      GUEST_SIZE));
	/* The user hears of it: not as of a clear, which it did not issue */
	ASSERT_EQ(0, ccw_response(&self->ccw, &self->response));
	expect_lost_program();
	expect_usable();
}

TEST_F(active, unmap_of_other_memory_does_not)
{
	void *more = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_EQ(0, vfio_map(&self->ccw.user, more, NOWHERE, 0x1000));
	start_looping();
	expect_soon(0, vfio_unmap(&self->ccw.user, NOWHERE, 0x1000));
	EXPECT_NE(0, schib_scsw(&self->ccw) & SCSW_ACTIVE);
	EXPECT_LT(self->ccw.pinned, pages_pinned());
	munmap(more, 0x1000);
}

TEST_F(active, close_ends_it)
{
	__s64 begun;

	start_looping();
	begun = now_ms();
	ccw_close(&self->ccw);
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	expect_nothing_pinned();
	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_usable();
}

/* A user with an active program, which says when it has begun */
static int run_looping_user(void *arg)
{
	struct ccw *ccw = arg;
	int begun = ccw->crw;
	__u64 one = 1;

	ccw->io = eventfd_new();
	ccw->crw = eventfd_new();
	if (ccw_open(ccw) || start_loop(ccw, ORB_FORMAT1))
		return 1;
	if (!soon(schib_scsw(ccw) & SCSW_ACTIVE))
		return 2;
	if (write(begun, &one, sizeof(one)) < 0)
		return 3;
	pause();
	return 4;
}

#define start_looping_user() do {					\
	ccw_close(&self->ccw);						\
	self->child = child_start(run_looping_user, &self->ccw,		\
				  self->ccw.crw, -1);			\
	ASSERT_LT(0, self->child);					\
	ASSERT_TRUE(eventfd_wait(self->ccw.crw, SOON_MS));		\
	eventfd_take(self->ccw.crw);					\
} while (0)

TEST_F(active, kill_ends_it)
{
	__s64 begun;

	start_looping_user();
	begun = now_ms();
	child_kill(self->child);
	self->child = -1;
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	expect_nothing_pinned();
	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_usable();
}

TEST_F(active, revocation_ends_it)
{
	start_looping_user();
	expect_soon(0, mdev_revoke(&self->ccw.uuid));
	expect_nothing_pinned();
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
	/* And the subchannel is as good as new */
	ASSERT_EQ(0, ccw_create(&self->ccw));
	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_usable();
}

TEST_F(active, revocation_does_not_wait_for_a_stopped_user)
{
	start_looping_user();
	ASSERT_EQ(0, kill(self->child, SIGSTOP));
	expect_soon(0, mdev_revoke(&self->ccw.uuid));
	ASSERT_EQ(0, ccw_create(&self->ccw));
	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_usable();
}

TEST_F(active, unbind_ends_it_and_the_host_has_the_device)
{
	__s64 begun;

	start_looping_user();
	ASSERT_EQ(0, grace_set(1));
	begun = now_ms();
	EXPECT_EQ(0, sch_unbind(self->ccw.sch));
	EXPECT_GE(1000 + BOUND_MS, now_ms() - begun);
	expect_nothing_pinned();
	EXPECT_TRUE(file_exists(css_path(self->ccw.sch, "").text));
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "\n"));
	EXPECT_TRUE(soon(file_exists(ccw_path(self->reader, "cutype").text)));
}

/* What is seen of it */

TEST_F(active, subchannel_has_the_users_format)
{
	start_looping();
	EXPECT_EQ(SCSW_FMT1, schib_scsw(&self->ccw) & SCSW_FMT1);
	EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	ASSERT_EQ(0, ccw_response(&self->ccw, &self->response));

	ASSERT_EQ(0, start_loop(&self->ccw, ORB_FORMAT0));
	ASSERT_TRUE(soon(schib_scsw(&self->ccw) & SCSW_ACTIVE));
	EXPECT_EQ(0, schib_scsw(&self->ccw) & SCSW_FMT1);
}

/* Initial status says that the program runs, and not that it has ended */
TEST_F(active, initial_status_does_not_end_it)
{
	ASSERT_EQ(0, start_loop(&self->ccw, ORB_FORMAT1 | ORB_INITIAL));
	ASSERT_EQ(0, ccw_response(&self->ccw, &self->response));
	EXPECT_EQ(SCSW_START, self->response.fctl);
	EXPECT_EQ(0, self->response.dstat);
	EXPECT_LT(self->ccw.pinned, pages_pinned());
	EXPECT_EQ(-EBUSY, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_LT(self->ccw.pinned, pages_pinned());
}

/* More of them than are kept: some intermediate ones are lost, the end is not */
TEST_F(active, responses_come_in_order_and_the_end_is_last)
{
	__u32 at = PROGRAM, last = PROGRAM;
	int i, seen = 0;

	for (i = 0; i < 200; i++)
		at = put_ccw(&self->ccw, at, CMD_NOP,
			     CCW_CC | CCW_SLI | CCW_PCI, 1, 0);
	at = put_ccw(&self->ccw, at, CMD_NOP, CCW_SLI, 1, 0);
	ASSERT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	/* Read late */
	ASSERT_TRUE(soon(!(schib_scsw(&self->ccw) & SCSW_ACTIVE)));
	usleep(200000);
	do {
		ASSERT_EQ(0, ccw_response(&self->ccw, &self->response));
		EXPECT_LE(last, self->response.cpa);
		last = self->response.cpa;
		ASSERT_GT(100, ++seen);
	} while (!(self->response.dstat & DSTAT_END));
	EXPECT_EQ(at, last);
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
	expect_nothing_pinned();
	expect_usable();
}

TEST_HARNESS_MAIN
