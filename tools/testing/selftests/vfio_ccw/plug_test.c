// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that are attached and detached by the operator of Hercules, and
 * attention: what becomes of who has them, whatever that is doing. A free
 * subchannel is what the next device gets.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "kselftest_harness.h"
#include "life.h"

/*
 * Card readers: one that goes and comes again, and another. A console goes while
 * it is active, and does not come again: Hercules goes on with the program of a
 * device that is detached, so this one waits for ever and touches no memory.
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
	LIFE;
	struct response response;
};

static bool is_there(const char *device)
{
	return file_exists(ccw_path(device, "cutype").text);
}

FIXTURE_SETUP(plug)
{
	/* The test before may have left it away */
	if (!is_there(READER)) {
		ASSERT_EQ(0, attach(READER_DEVNO));
		ASSERT_TRUE(soon(is_there(READER)));
	}
	set_up(READER);
}

FIXTURE_TEARDOWN(plug)
{
	if (!self->ccw.memory)
		return;
	if (is_there(NEXT)) {
		EXPECT_EQ(0, detach(NEXT_DEVNO));
		EXPECT_TRUE(soon(!is_there(NEXT)));
	}
	tear_down();
}

#define expect_gone() do {						\
	EXPECT_TRUE(soon(!mdev_exists(&self->ccw.uuid)));		\
	EXPECT_TRUE(soon(!parent_exists(self->ccw.sch)));		\
	/* The subchannel too, or it is the next device's */		\
	EXPECT_TRUE(soon(!is_there(self->ccw.device)));		\
	EXPECT_TRUE(soon(!file_exists(css_path(self->ccw.sch,		\
					       "driver").text) ||	\
			 is_there(NEXT)));				\
	self->ccw.created = false;					\
	self->ccw.bound = false;					\
} while (0)

TEST_F(plug, unused_device_goes_at_once)
{
	EXPECT_EQ(0, detach(READER_DEVNO));
	expect_gone();
	/* And comes again, to the host */
	EXPECT_EQ(0, attach(READER_DEVNO));
	EXPECT_TRUE(soon(is_there(READER)));
}

TEST_F(plug, user_is_told_and_loses_it)
{
	start_holder(true);
	EXPECT_EQ(0, detach(READER_DEVNO));
	EXPECT_TRUE(eventfd_wait(self->holder.eventfd, SOON_MS));
	expect_taken_from_holder();
	expect_gone();
	expect_holder_lost_it();
}

TEST_F(plug, stopped_user_holds_up_nothing)
{
	start_holder(true);
	ASSERT_EQ(0, kill(self->holder.pid, SIGSTOP));
	EXPECT_EQ(0, detach(READER_DEVNO));
	expect_gone();
	EXPECT_EQ(0, attach(NEXT_DEVNO));
	EXPECT_TRUE(soon(is_there(NEXT)));
	ASSERT_EQ(0, kill(self->holder.pid, SIGCONT));
	expect_holder_lost_it();
}

/* Nobody gave it to the user */
TEST_F(plug, another_device_with_the_same_number_is_the_hosts)
{
	char sch[32];

	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_usable();
	snprintf(sch, sizeof(sch), "%s", self->ccw.sch);
	EXPECT_EQ(0, detach(READER_DEVNO));
	EXPECT_EQ(0, attach(NEXT_DEVNO));
	expect_gone();
	EXPECT_EQ(-ENODEV, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	ccw_close(&self->ccw);
	EXPECT_TRUE(soon(is_there(NEXT)));
	ASSERT_EQ(0, ccw_find(&self->ccw, NEXT));
	EXPECT_STREQ(sch, self->ccw.sch);
}

TEST_F(plug, attention_is_told)
{
	ASSERT_EQ(0, ccw_open(&self->ccw));
	EXPECT_EQ(0, host_ask("i " READER_DEVNO, NULL, 0));
	ASSERT_EQ(0, ccw_response(&self->ccw, &self->response));
	EXPECT_EQ(DSTAT_ATTENTION, self->response.dstat);
	EXPECT_EQ(0, self->response.fctl);
	/* It is no program's */
	EXPECT_EQ(0, self->response.cpa);
	expect_usable();
}

FIXTURE(plug_active)
{
	LIFE;
};

FIXTURE_SETUP(plug_active)
{
	set_up(ACTIVE);
}

FIXTURE_TEARDOWN(plug_active)
{
	if (self->ccw.memory)
		tear_down();
}

TEST_F(plug_active, device_goes_under_io)
{
	ASSERT_EQ(0, ccw_open(&self->ccw));
	put_ccw(&self->ccw, PROGRAM, CMD_READ_INQUIRY, CCW_SLI, 80, DATA);
	ASSERT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	ASSERT_TRUE(soon(schib_scsw(&self->ccw) & SCSW_ACTIVE));
	EXPECT_LT(self->ccw.pinned, pages_pinned());
	EXPECT_EQ(0, detach(ACTIVE_DEVNO));
	expect_gone();
	EXPECT_EQ(-ENODEV, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_EQ(0, vfio_unmap(&self->ccw.user, GUEST_BASE, GUEST_SIZE));
	EXPECT_EQ(self->ccw.pinned, pages_pinned());
}

TEST_HARNESS_MAIN
