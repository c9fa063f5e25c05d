// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hercules' operator attaches and detaches devices, and signals attention. A
 * holder loses a detached device, whatever the holder is doing. The next device
 * gets the free subchannel.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "kselftest_harness.h"
#include "life.h"

/*
 * READER and NEXT are card readers. READER is detached and attached again.
 * ACTIVE is a console. It is detached while it is active, and not attached
 * again: Hercules continues the program of a detached device, so this program
 * waits for ever and touches no memory.
 */
#define READER		"0.0.0010"
#define READER_DEVNO	"0010"
#define ACTIVE		"0.0.000a"
#define ACTIVE_DEVNO	"000a"
#define NEXT		"0.0.0044"
#define NEXT_DEVNO	"0044"

#define attach(devno)	host_ask("attach " devno " 3505 reader.txt ascii trunc", \
				 NULL, 0)
#define detach(devno)	host_ask("detach " devno, NULL, 0)

FIXTURE(plug)
{
	struct life life;
};

static bool is_there(const char *device)
{
	return file_exists(ccw_path(device, "cutype").text);
}

FIXTURE_SETUP(plug)
{
	/* An earlier test may have left it detached */
	if (!is_there(READER)) {
		ASSERT_EQ(0, attach(READER_DEVNO));
		ASSERT_TRUE(soon(is_there(READER)));
	}
	if (!life_set_up(_metadata, &self->life, READER))
		SKIP(return, "no device %s", READER);
}

FIXTURE_TEARDOWN(plug)
{
	if (!self->life.ccw.memory)
		return;
	if (is_there(NEXT)) {
		EXPECT_EQ(0, detach(NEXT_DEVNO));
		EXPECT_TRUE(soon(!is_there(NEXT)));
	}
	life_tear_down(_metadata, &self->life);
}

static void expect_gone(struct __test_metadata *_metadata, struct ccw *ccw)
{
	EXPECT_TRUE(soon(!mdev_exists(&ccw->uuid)));
	EXPECT_TRUE(soon(!parent_exists(ccw->sch)));
	/* The subchannel goes, too, unless the next device has it */
	EXPECT_TRUE(soon(!is_there(ccw->device)));
	EXPECT_TRUE(soon(!file_exists(css_path(ccw->sch, "driver").text) ||
			 is_there(NEXT)));
	ccw->created = false;
	ccw->bound = false;
}

TEST_F(plug, unused_device_goes_at_once)
{
	EXPECT_EQ(0, detach(READER_DEVNO));
	expect_gone(_metadata, &self->life.ccw);
	/* When the device comes again, the host gets it */
	EXPECT_EQ(0, attach(READER_DEVNO));
	EXPECT_TRUE(soon(is_there(READER)));
}

TEST_F(plug, user_is_told_and_loses_it)
{
	if (self->life.ccw.kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, true);
	EXPECT_EQ(0, detach(READER_DEVNO));
	EXPECT_TRUE(eventfd_wait(self->life.holder.eventfd, SOON_MS));
	expect_taken_from_holder(_metadata, &self->life);
	expect_gone(_metadata, &self->life.ccw);
	expect_holder_lost_it(_metadata, &self->life);
}

TEST_F(plug, stopped_user_holds_up_nothing)
{
	if (self->life.ccw.kernels_mdev)
		SKIP(return, ASKS_NOBODY);
	start_holder(_metadata, &self->life, true);
	ASSERT_EQ(0, kill(self->life.holder.pid, SIGSTOP));
	EXPECT_EQ(0, detach(READER_DEVNO));
	expect_gone(_metadata, &self->life.ccw);
	EXPECT_EQ(0, attach(NEXT_DEVNO));
	EXPECT_TRUE(soon(is_there(NEXT)));
	ASSERT_EQ(0, kill(self->life.holder.pid, SIGCONT));
	expect_holder_lost_it(_metadata, &self->life);
}

/* The holder does not get the next device on the same subchannel */
TEST_F(plug, another_device_with_the_same_number_is_the_hosts)
{
	struct ccw *ccw = &self->life.ccw;
	char sch[32];

	ASSERT_EQ(0, ccw_open(ccw));
	expect_usable(_metadata, ccw);
	snprintf(sch, sizeof(sch), "%s", ccw->sch);
	EXPECT_EQ(0, detach(READER_DEVNO));
	EXPECT_EQ(0, attach(NEXT_DEVNO));
	expect_gone(_metadata, ccw);
	EXPECT_EQ(-ENODEV, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
	ccw_close(ccw);
	EXPECT_TRUE(soon(is_there(NEXT)));
	ASSERT_EQ(0, ccw_find(ccw, NEXT));
	EXPECT_STREQ(sch, ccw->sch);
}

TEST_F(plug, attention_is_told)
{
	struct ccw *ccw = &self->life.ccw;

	ASSERT_EQ(0, ccw_open(ccw));
	EXPECT_EQ(0, host_ask("i " READER_DEVNO, NULL, 0));
	ASSERT_EQ(0, ccw_response(ccw, &ccw->response));
	EXPECT_EQ(DSTAT_ATTENTION, ccw->response.dstat);
	EXPECT_EQ(0, ccw->response.fctl);
	/* Attention belongs to no program */
	EXPECT_EQ(0, ccw->response.cpa);
	expect_usable(_metadata, ccw);
}

FIXTURE(plug_active)
{
	struct life life;
};

FIXTURE_SETUP(plug_active)
{
	if (!life_set_up(_metadata, &self->life, ACTIVE))
		SKIP(return, "no device %s", ACTIVE);
}

FIXTURE_TEARDOWN(plug_active)
{
	if (self->life.ccw.memory)
		life_tear_down(_metadata, &self->life);
}

TEST_F(plug_active, device_goes_under_io)
{
	struct ccw *ccw = &self->life.ccw;

	ASSERT_EQ(0, ccw_open(ccw));
	put_ccw(ccw, PROGRAM, CMD_READ_INQUIRY, CCW_SLI, 80, DATA);
	ASSERT_EQ(0, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
	ASSERT_TRUE(soon(schib_scsw(ccw) & SCSW_ACTIVE));
	EXPECT_LT(ccw->pinned, pages_pinned());
	EXPECT_EQ(0, detach(ACTIVE_DEVNO));
	expect_gone(_metadata, ccw);
	EXPECT_EQ(-ENODEV, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_EQ(0, vfio_unmap(&ccw->user, GUEST_BASE, GUEST_SIZE));
	EXPECT_EQ(ccw->pinned, pages_pinned());
}

TEST_HARNESS_MAIN
