// SPDX-License-Identifier: GPL-2.0-only
/* What vfio_ccw reports about the subchannel itself: its SCHIB, and channel reports */
#include <errno.h>
#include <string.h>

#include "kselftest_harness.h"
#include "fixture.h"

/* Offsets in the SCHIB; Principles of Operation, "Path-Management-Control Word" */
#define SCHIB_INTPARM	0
#define SCHIB_FLAGS	5
#define FLAG_ENABLED	0x80
#define FLAG_VALID	0x01
#define SCHIB_DEVNO	6
#define SCHIB_LPM	8
#define SCHIB_PIM	11
#define SCHIB_MBI	12
#define SCHIB_PAM	15
#define SCHIB_CHPID	16
#define SCHIB_CPA	32
#define SCHIB_MBA	40

#define CHPS	"/sys/devices/css0/"

FIXTURE(schib)
{
	struct ccw ccw;
	struct ccw_schib_region schib;
};

CCW_VARIANTS(schib);

FIXTURE_SETUP(schib)
{
	if (!ccw_set_up(_metadata, &self->ccw, variant->device))
		SKIP(return, "no device %s", variant->device);
	ASSERT_EQ(0, ccw_open(&self->ccw));
	ASSERT_EQ(0, region_read(&self->ccw, REGION_SCHIB, &self->schib,
				 sizeof(self->schib)));
}

FIXTURE_TEARDOWN(schib)
{
	ccw_tear_down(_metadata, &self->ccw);
}

static __u32 number(const struct ccw_schib_region *schib, int offset, int size)
{
	__u32 value = 0;

	while (size--)
		value = value << 8 | schib->schib_area[offset++];
	return value;
}

static void expect_no_crw(struct __test_metadata *_metadata,
			  const struct ccw *ccw)
{
	struct ccw_crw_region crw = { .crw = 1, .pad = 1 };

	EXPECT_EQ(0, eventfd_take(ccw->crw));
	EXPECT_EQ(0, region_read(ccw, REGION_CRW, &crw, sizeof(crw)));
	EXPECT_EQ(0, crw.crw);
	EXPECT_EQ(0, crw.pad);
}

TEST_F(schib, device_is_valid_enabled_and_itself)
{
	unsigned int devno;

	EXPECT_EQ(FLAG_ENABLED | FLAG_VALID,
		  self->schib.schib_area[SCHIB_FLAGS] &
		  (FLAG_ENABLED | FLAG_VALID));
	/* 0.0.1234 */
	ASSERT_EQ(1, sscanf(strrchr(self->ccw.device, '.') + 1, "%x", &devno));
	EXPECT_EQ(devno, number(&self->schib, SCHIB_DEVNO, 2));
}

TEST_F(schib, paths_are_those_of_sysfs)
{
	unsigned int pim, pam, pom, chpid;
	char text[64];

	ASSERT_LT(0, file_read(css_path(self->ccw.sch, "pimpampom").text, text,
			       sizeof(text)));
	ASSERT_EQ(3, sscanf(text, "%x %x %x", &pim, &pam, &pom));
	EXPECT_EQ(pim, number(&self->schib, SCHIB_PIM, 1));
	EXPECT_EQ(pam, number(&self->schib, SCHIB_PAM, 1));
	ASSERT_LT(0, file_read(css_path(self->ccw.sch, "chpids").text, text,
			       sizeof(text)));
	ASSERT_EQ(1, sscanf(text, "%x", &chpid));
	EXPECT_EQ(chpid, number(&self->schib, SCHIB_CHPID, 1));
}

TEST_F(schib, nothing_of_the_host_is_in_it)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own reports the host's parameter and addresses");
	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 0, 0);
	EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_EQ(0, region_read(&self->ccw, REGION_SCHIB, &self->schib,
				 sizeof(self->schib)));
	EXPECT_EQ(0, number(&self->schib, SCHIB_INTPARM, 4));
	EXPECT_EQ(0, number(&self->schib, SCHIB_MBI, 2));
	EXPECT_EQ(0, number(&self->schib, SCHIB_MBA, 4));
	EXPECT_EQ(0, number(&self->schib, SCHIB_MBA + 4, 4));
	/* The program's address, if there is one, is the guest's */
	EXPECT_TRUE(number(&self->schib, SCHIB_CPA, 4) == 0 ||
		    number(&self->schib, SCHIB_CPA, 4) == PROGRAM + 8);
}

TEST_F(schib, each_part_can_be_read_alone)
{
	__u8 byte;
	int i;

	for (i = 0; i < SCHIB_AREA_SIZE; i++) {
		ASSERT_EQ(1, pread(self->ccw.user.device, &byte, 1,
				   self->ccw.offset[REGION_SCHIB] + i));
		EXPECT_EQ(self->schib.schib_area[i], byte);
	}
}

TEST_F(schib, there_are_no_reports_without_events)
{
	int i;

	for (i = 0; i < 3; i++)
		expect_no_crw(_metadata, &self->ccw);
	EXPECT_EQ(0, vfio_ioctl(self->ccw.user.device, VFIO_DEVICE_RESET,
				NULL));
	expect_no_crw(_metadata, &self->ccw);
}

/* The host varies off a path that is still there. The guest gets no report */
TEST_F(schib, varied_path_gives_no_report)
{
	struct response response;
	struct path status;
	int i;

	/* The virtual machine's other devices need channel path 0 */
	if (!number(&self->schib, SCHIB_CHPID, 1))
		SKIP(return, "other devices need this path");
	snprintf(status.text, sizeof(status.text), CHPS "chp0.%02x/status",
		 number(&self->schib, SCHIB_CHPID, 1));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, file_puts(status.text, "offline"));
		expect_no_crw(_metadata, &self->ccw);
		EXPECT_EQ(0, region_read(&self->ccw, REGION_SCHIB, &self->schib,
					 sizeof(self->schib)));
		EXPECT_EQ(FLAG_VALID, self->schib.schib_area[SCHIB_FLAGS] &
				      FLAG_VALID);
		EXPECT_EQ(0, file_puts(status.text, "online"));
		expect_no_crw(_metadata, &self->ccw);
	}
	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 0, 0);
	EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	do {
		ASSERT_EQ(0, ccw_response(&self->ccw, &response));
	} while (!(response.fctl & SCSW_START));
	EXPECT_EQ(DSTAT_END, response.dstat);
	ccw_close(&self->ccw);
	/* The next holder finds none */
	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_no_crw(_metadata, &self->ccw);
}

TEST_HARNESS_MAIN
