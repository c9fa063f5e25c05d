// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's own driver of a disk and a holder of vfio_ccw's device take turns
 * on the same subchannel, and read each other's records.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "kselftest_harness.h"
#include "host_disk.h"

FIXTURE(host)
{
	struct life life;
};

FIXTURE_SETUP(host)
{
	if (!host_disk_set_up(_metadata, &self->life))
		SKIP(return, "no device %s", DISK);
}

FIXTURE_TEARDOWN(host)
{
	if (self->life.ccw.memory)
		life_tear_down(_metadata, &self->life);
}

static off_t offset_of(int cylinder, int head, int record)
{
	return ((off_t)(cylinder * HEADS + head) * RECORDS + record - 1) *
	       RECORD;
}

static int host_transfer(int cylinder, int head, int record, void *data,
			 bool write)
{
	int fd = open(DISK_NODE, O_RDWR | O_SYNC);
	off_t offset = offset_of(cylinder, head, record);
	ssize_t len;
	int err = 0;

	if (fd < 0)
		return -errno;
	len = write ? pwrite(fd, data, RECORD, offset) :
		      pread(fd, data, RECORD, offset);
	if (len != RECORD)
		err = len < 0 ? -errno : -EIO;
	close(fd);
	return err;
}

TEST_F_TIMEOUT(host, host_and_user_read_each_others_records, 90)
{
	struct ccw *ccw = &self->life.ccw;
	__u8 record[RECORD];

	fill(ccw, DATA, RECORD, 11);
	put_write(ccw, 7, 4, 3, DATA);
	expect_end(_metadata, ccw);

	host_takes_disk(_metadata, ccw);
	EXPECT_EQ(0, host_transfer(7, 4, 3, record, false));
	EXPECT_EQ(0, memcmp(record, guest(ccw, DATA), RECORD));
	memset(record, 0x5a, sizeof(record));
	EXPECT_EQ(0, host_transfer(7, 4, 9, record, true));

	user_takes_disk(_metadata, ccw);
	put_read(ccw, 7, 4, 9, DATA + 0x10000);
	expect_end(_metadata, ccw);
	EXPECT_EQ(0, memcmp(record, guest(ccw, DATA + 0x10000), RECORD));
}

TEST_HARNESS_MAIN
