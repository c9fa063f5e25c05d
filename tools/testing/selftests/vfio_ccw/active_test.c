// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channel programs that stay active, on a machine whose channels run beside its
 * processors: all ways to end them, each in time, and what the holder sees
 * meanwhile.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "kselftest_harness.h"
#include "life.h"

/* Card readers do nothing by themselves. A failed test may lose one; the next test takes another */
#define READERS		20
#define FIRST_READER	0x10

/* The driver has a second. The rest is for a slow machine */
#define BOUND_MS	(2000 * SLOWER)

/* Word 1 of the ORB, and word 0 of the SCSW, which has some of its bits */
#define ORB_INITIAL	0x00200000U
#define SCSW_FMT1	0x00800000U

FIXTURE(active)
{
	struct life life;
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
	if (!life_set_up(_metadata, &self->life, self->reader))
		SKIP(return, "no device %s", self->reader);
	ASSERT_EQ(0, ccw_open(&self->life.ccw));
}

FIXTURE_TEARDOWN(active)
{
	struct ccw *ccw = &self->life.ccw;

	if (!ccw->memory)
		return;
	grace_set(GRACE_DEFAULT);
	ccw->bound = parent_exists(ccw->sch);
	life_tear_down(_metadata, &self->life);
}

/* Reads sense data for ever. The program's memory is in use as long as it runs */
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

static void start_looping(struct __test_metadata *_metadata,
			  const struct ccw *ccw)
{
	ASSERT_EQ(0, start_loop(ccw, ORB_FORMAT1));
	ASSERT_TRUE(soon(schib_scsw(ccw) & SCSW_ACTIVE));
	EXPECT_LT(ccw->pinned, pages_pinned());
}

/* Memory is unpinned with the response, or by the call that ends the program */
static void expect_nothing_pinned(struct __test_metadata *_metadata,
				  const struct ccw *ccw)
{
	EXPECT_EQ(ccw->pinned, pages_pinned());
}

/* The driver has ended the program. The response is that of a start */
static void expect_lost_program(struct __test_metadata *_metadata,
				const struct response *response)
{
	EXPECT_EQ(SCSW_START, response->fctl);
	EXPECT_EQ(CSTAT_INTERFACE, response->cstat);
	EXPECT_EQ(0, response->dstat);
	EXPECT_EQ(0, response->cpa);
}

TEST_F(active, second_start_is_busy)
{
	struct ccw *ccw = &self->life.ccw;

	start_looping(_metadata, ccw);
	EXPECT_EQ(-EBUSY, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_EQ(-EBUSY, ret_code(ccw, REGION_IO));
	EXPECT_LT(ccw->pinned, pages_pinned());
	EXPECT_EQ(0, eventfd_take(ccw->io));
	EXPECT_NE(0, schib_scsw(ccw) & SCSW_ACTIVE);
}

TEST_F(active, clear_ends_it)
{
	struct ccw *ccw = &self->life.ccw;
	__s64 begun;

	start_looping(_metadata, ccw);
	EXPECT_EQ(0, ccw_async(ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	begun = now_ms();
	EXPECT_EQ(0, ccw_response(ccw, &ccw->response));
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	EXPECT_EQ(SCSW_CLEAR, ccw->response.fctl);
	expect_nothing_pinned(_metadata, ccw);
	expect_usable(_metadata, ccw);
}

TEST_F(active, halt_ends_it)
{
	struct ccw *ccw = &self->life.ccw;
	__s64 begun;

	start_looping(_metadata, ccw);
	EXPECT_EQ(0, ccw_async(ccw, VFIO_CCW_ASYNC_CMD_HSCH));
	begun = now_ms();
	EXPECT_EQ(0, ccw_response(ccw, &ccw->response));
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	EXPECT_NE(0, ccw->response.fctl & SCSW_HALT);
	EXPECT_EQ(0, ccw_async(ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	begun = now_ms();
	EXPECT_EQ(0, ccw_response(ccw, &ccw->response));
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	expect_nothing_pinned(_metadata, ccw);
	expect_usable(_metadata, ccw);
}

TEST_F(active, next_start_comes_after_a_halt)
{
	struct ccw *ccw = &self->life.ccw;

	start_looping(_metadata, ccw);
	EXPECT_EQ(0, ccw_async(ccw, VFIO_CCW_ASYNC_CMD_HSCH));
	ASSERT_EQ(0, ccw_response(ccw, &ccw->response));
	expect_usable(_metadata, ccw);
}

TEST_F(active, reset_ends_it)
{
	struct ccw *ccw = &self->life.ccw;
	__s64 begun;

	start_looping(_metadata, ccw);
	begun = now_ms();
	EXPECT_EQ(0, vfio_ioctl(ccw->user.device, VFIO_DEVICE_RESET, NULL));
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	expect_nothing_pinned(_metadata, ccw);
	/* Without a response, QEMU would wait for ever */
	ASSERT_EQ(0, ccw_response(ccw, &ccw->response));
	expect_lost_program(_metadata, &ccw->response);
	expect_usable(_metadata, ccw);
}

/* A reset reports a stopped program once */
TEST_F(active, second_reset_signals_nothing)
{
	struct ccw *ccw = &self->life.ccw;
	struct ccw_io_region region;

	start_looping(_metadata, ccw);
	EXPECT_EQ(0, vfio_ioctl(ccw->user.device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(1, eventfd_take(ccw->io));
	ASSERT_EQ(0, region_read(ccw, REGION_IO, &region, sizeof(region)));
	EXPECT_EQ(0, vfio_ioctl(ccw->user.device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, eventfd_take(ccw->io));
	expect_usable(_metadata, ccw);
}

TEST_F(active, unmap_ends_it)
{
	struct ccw *ccw = &self->life.ccw;
	__s64 begun;

	start_looping(_metadata, ccw);
	begun = now_ms();
	EXPECT_EQ(0, vfio_unmap(&ccw->user, GUEST_BASE, GUEST_SIZE));
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	expect_nothing_pinned(_metadata, ccw);
	ASSERT_EQ(0, vfio_map(&ccw->user, ccw->memory, GUEST_BASE, GUEST_SIZE));
	/* The response is not that of a clear, which the holder did not issue */
	ASSERT_EQ(0, ccw_response(ccw, &ccw->response));
	expect_lost_program(_metadata, &ccw->response);
	expect_usable(_metadata, ccw);
}

TEST_F(active, unmap_of_other_memory_does_not)
{
	struct ccw *ccw = &self->life.ccw;
	void *more = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__s64 begun;

	ASSERT_EQ(0, vfio_map(&ccw->user, more, NOWHERE, 0x1000));
	start_looping(_metadata, ccw);
	begun = now_ms();
	EXPECT_EQ(0, vfio_unmap(&ccw->user, NOWHERE, 0x1000));
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	EXPECT_NE(0, schib_scsw(ccw) & SCSW_ACTIVE);
	EXPECT_LT(ccw->pinned, pages_pinned());
	munmap(more, 0x1000);
}

TEST_F(active, close_ends_it)
{
	struct ccw *ccw = &self->life.ccw;
	__s64 begun;

	start_looping(_metadata, ccw);
	begun = now_ms();
	ccw_close(ccw);
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	expect_nothing_pinned(_metadata, ccw);
	ASSERT_EQ(0, ccw_open(ccw));
	expect_usable(_metadata, ccw);
}

/* A holder with an active program. Reports when the program has begun */
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

static void start_looping_user(struct __test_metadata *_metadata,
			       struct life *life)
{
	struct ccw *ccw = &life->ccw;

	ccw_close(ccw);
	life->child = child_start(run_looping_user, ccw, ccw->crw, -1);
	ASSERT_LT(0, life->child);
	ASSERT_TRUE(eventfd_wait(ccw->crw, SOON_MS));
	eventfd_take(ccw->crw);
}

TEST_F(active, kill_ends_it)
{
	struct ccw *ccw = &self->life.ccw;
	__s64 begun;

	start_looping_user(_metadata, &self->life);
	begun = now_ms();
	child_kill(self->life.child);
	self->life.child = -1;
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	expect_nothing_pinned(_metadata, ccw);
	ASSERT_EQ(0, ccw_open(ccw));
	expect_usable(_metadata, ccw);
}

TEST_F(active, revocation_ends_it)
{
	struct ccw *ccw = &self->life.ccw;
	__s64 begun;

	start_looping_user(_metadata, &self->life);
	begun = now_ms();
	EXPECT_EQ(0, mdev_revoke(&ccw->uuid));
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	expect_nothing_pinned(_metadata, ccw);
	EXPECT_FALSE(mdev_exists(&ccw->uuid));
	/* The subchannel can be used again */
	ASSERT_EQ(0, ccw_create(ccw));
	ASSERT_EQ(0, ccw_open(ccw));
	expect_usable(_metadata, ccw);
}

TEST_F(active, revocation_does_not_wait_for_a_stopped_user)
{
	struct ccw *ccw = &self->life.ccw;
	__s64 begun;

	start_looping_user(_metadata, &self->life);
	ASSERT_EQ(0, kill(self->life.child, SIGSTOP));
	begun = now_ms();
	EXPECT_EQ(0, mdev_revoke(&ccw->uuid));
	EXPECT_GE(BOUND_MS, now_ms() - begun);
	ASSERT_EQ(0, ccw_create(ccw));
	ASSERT_EQ(0, ccw_open(ccw));
	expect_usable(_metadata, ccw);
}

TEST_F(active, unbind_ends_it_and_the_host_has_the_device)
{
	struct ccw *ccw = &self->life.ccw;
	__s64 begun;

	start_looping_user(_metadata, &self->life);
	ASSERT_EQ(0, grace_set(1));
	begun = now_ms();
	EXPECT_EQ(0, sch_unbind(ccw->sch));
	EXPECT_GE(1000 + BOUND_MS, now_ms() - begun);
	expect_nothing_pinned(_metadata, ccw);
	EXPECT_TRUE(file_exists(css_path(ccw->sch, "").text));
	EXPECT_EQ(0, sch_bind(ccw->sch, "\n"));
	EXPECT_TRUE(soon(file_exists(ccw_path(self->reader, "cutype").text)));
}

/* What the holder sees of an active program */

TEST_F(active, subchannel_has_the_users_format)
{
	struct ccw *ccw = &self->life.ccw;

	start_looping(_metadata, ccw);
	EXPECT_EQ(SCSW_FMT1, schib_scsw(ccw) & SCSW_FMT1);
	EXPECT_EQ(0, ccw_async(ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	ASSERT_EQ(0, ccw_response(ccw, &ccw->response));

	ASSERT_EQ(0, start_loop(ccw, ORB_FORMAT0));
	ASSERT_TRUE(soon(schib_scsw(ccw) & SCSW_ACTIVE));
	EXPECT_EQ(0, schib_scsw(ccw) & SCSW_FMT1);
}

/* Initial status says that the program runs, and not that it has ended */
TEST_F(active, initial_status_does_not_end_it)
{
	struct ccw *ccw = &self->life.ccw;

	ASSERT_EQ(0, start_loop(ccw, ORB_FORMAT1 | ORB_INITIAL));
	ASSERT_EQ(0, ccw_response(ccw, &ccw->response));
	EXPECT_EQ(SCSW_START, ccw->response.fctl);
	EXPECT_EQ(0, ccw->response.dstat);
	EXPECT_LT(ccw->pinned, pages_pinned());
	EXPECT_EQ(-EBUSY, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_LT(ccw->pinned, pages_pinned());
}

/* There are more responses than are kept. Intermediate ones may be lost, the end may not */
TEST_F(active, responses_come_in_order_and_the_end_is_last)
{
	struct ccw *ccw = &self->life.ccw;
	__u32 at = PROGRAM, last = PROGRAM;
	int i, seen = 0;

	for (i = 0; i < 200; i++)
		at = put_ccw(ccw, at, CMD_NOP, CCW_CC | CCW_SLI | CCW_PCI, 1,
			     0);
	at = put_ccw(ccw, at, CMD_NOP, CCW_SLI, 1, 0);
	ASSERT_EQ(0, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
	/* Fetch the responses late */
	ASSERT_TRUE(soon(!(schib_scsw(ccw) & SCSW_ACTIVE)));
	usleep(200000);
	do {
		ASSERT_EQ(0, ccw_response(ccw, &ccw->response));
		EXPECT_LE(last, ccw->response.cpa);
		last = ccw->response.cpa;
		ASSERT_GT(100, ++seen);
	} while (!(ccw->response.dstat & DSTAT_END));
	EXPECT_EQ(at, last);
	EXPECT_EQ(0, eventfd_take(ccw->io));
	expect_nothing_pinned(_metadata, ccw);
	expect_usable(_metadata, ccw);
}

TEST_HARNESS_MAIN
