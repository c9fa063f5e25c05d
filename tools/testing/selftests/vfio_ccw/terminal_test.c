// SPDX-License-Identifier: GPL-2.0-only
/*
 * A 3270 terminal through vfio_ccw: output by every form of address, input, and
 * unsolicited status. The test itself is the operator, at the other end of a
 * virtio-serial port that is called "operator".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "kselftest_harness.h"
#include "fixture.h"

#define PORTS		"/sys/class/virtio-ports/"

#define CMD_ERASE_WRITE	0x05
#define CMD_READ_MODIFIED 0x06

/* Codes of telnet */
#define IAC		"\xff"
#define IAC_EOR		IAC "\xef"
#define IAC_SB		IAC "\xfa"
#define IAC_SE		IAC "\xf0"

/* QEMU takes output in pieces of this size; see goes_on() in io_test.c */
#define PIECE		1024

/* The key Enter, the cursor's address, and the typed text */
#define TYPED		"\x7d\x40\x40\xc8\x85\x93\x93\x96"
#define TYPED_SIZE	(sizeof(TYPED) - 1)

FIXTURE(terminal)
{
	struct ccw ccw;
	int port;
};

FIXTURE_VARIANT(terminal)
{
	__u32 flags;
	__u32 block;
	bool list;
};

FIXTURE_VARIANT_ADD(terminal, direct)
{
	.flags = ORB_FORMAT1, .block = 2048,
};

FIXTURE_VARIANT_ADD(terminal, format_1)
{
	.flags = ORB_FORMAT1, .block = 2048, .list = true,
};

FIXTURE_VARIANT_ADD(terminal, format_2_of_2k)
{
	.flags = ORB_FORMAT1 | ORB_IDA64 | ORB_IDA2K, .block = 2048,
	.list = true,
};

FIXTURE_VARIANT_ADD(terminal, format_2_of_4k)
{
	.flags = ORB_FORMAT1 | ORB_IDA64, .block = 4096, .list = true,
};

FIXTURE_VARIANT_ADD(terminal, format_0)
{
	.flags = ORB_FORMAT0, .block = 2048, .list = true,
};

static int open_port(void)
{
	DIR *dir = opendir(PORTS);
	struct path path;
	struct dirent *entry;
	char name[32];
	int fd = -ENODEV;

	if (!dir)
		return -errno;
	while (fd < 0 && (entry = readdir(dir))) {
		snprintf(path.text, sizeof(path.text), PORTS "%.32s/name",
			 entry->d_name);
		if (file_read(path.text, name, sizeof(name)) <= 0 ||
		    strcmp(name, "operator"))
			continue;
		snprintf(path.text, sizeof(path.text), "/dev/%.32s",
			 entry->d_name);
		fd = open(path.text, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	closedir(dir);
	return fd;
}

/* Reads what the terminal shows: @size bytes, or less when the time is over */
static size_t port_read(int port, void *data, size_t size, int timeout_ms)
{
	struct pollfd poller = { .fd = port, .events = POLLIN };
	size_t got = 0;

	while (got < size && poll(&poller, 1, timeout_ms) == 1) {
		ssize_t len = read(port, data + got, size - got);

		if (len <= 0)
			break;
		got += len;
	}
	return got;
}

/* Puts a program of one CCW */
static void put(const struct ccw *ccw, __u32 orb, __u8 cmd, __u8 flags,
		__u16 count, __u32 data)
{
	put_ccw_of(ccw, orb, PROGRAM, cmd, flags, count, data);
}

static void operator_sends(struct __test_metadata *_metadata, int port,
			   const char *text, size_t size)
{
	ASSERT_EQ((ssize_t)size, write(port, text, size));
}

static void operator_types(struct __test_metadata *_metadata, int port)
{
	static const char text[] = TYPED IAC_EOR;

	operator_sends(_metadata, port, text, sizeof(text) - 1);
}

/* Tells QEMU the terminal's type, once in this boot */
static void shake_hands(struct __test_metadata *_metadata,
			FIXTURE_DATA(terminal) *self,
			const FIXTURE_VARIANT(terminal) *variant)
{
	static const char type[] = IAC_SB "\x18\0IBM-3279-2" IAC_SE;
	__u8 shown;

	put(&self->ccw, variant->flags, CMD_ERASE_WRITE, CCW_SLI, 1, DATA);
	ASSERT_EQ(0, ccw_run(&self->ccw, variant->flags, PROGRAM,
			     &self->ccw.response));
	if (self->ccw.response.dstat & DSTAT_UNITCHECK) {
		operator_sends(_metadata, self->port, type, sizeof(type) - 1);
		ASSERT_EQ(0, ccw_response(&self->ccw, &self->ccw.response));
		EXPECT_EQ(0, self->ccw.response.fctl);
		/* The kernel's own driver reports an address of the host */
		if (!self->ccw.kernels_own)
			EXPECT_EQ(0, self->ccw.response.cpa);
		ASSERT_EQ(0, ccw_run(&self->ccw, variant->flags, PROGRAM,
				     &self->ccw.response));
	}
	EXPECT_EQ(DSTAT_END, self->ccw.response.dstat);
	/* Skip earlier output, up to the end of this write */
	do {
		ASSERT_EQ(1, port_read(self->port, &shown, 1, SOON_MS));
	} while (shown != 0xef);
}

FIXTURE_SETUP(terminal)
{
	self->port = open_port();
	if (self->port == -ENODEV || self->port == -ENOENT)
		SKIP(return, "no port for a terminal's operator");
	ASSERT_LE(0, self->port);
	if (!ccw_set_up(_metadata, &self->ccw, CU_TERMINAL))
		SKIP(return, "no device %s", CU_TERMINAL);
	ASSERT_EQ(0, ccw_open(&self->ccw));
	shake_hands(_metadata, self, variant);
}

FIXTURE_TEARDOWN(terminal)
{
	close(self->port);
	ccw_tear_down(_metadata, &self->ccw);
}

/* Returns the byte at an offset of the output. It is never an IAC */
static __u8 pattern(int offset)
{
	return (offset * 7 + offset / 251) % 241;
}

/*
 * The output begins in the middle of a block, and its blocks are in no order.
 * The operator must get the bytes in order.
 */
TEST_F(terminal, output_is_what_was_written)
{
	const int size = 5 * variant->block + PIECE;
	__u8 *shown = malloc(size + 3);
	int offset, block = 0;
	__u32 addr;

	ASSERT_NE(NULL, shown);
	addr = DATA + variant->block - PIECE;
	if (variant->list)
		put_idaw(&self->ccw, variant->flags, LIST, 0, addr);
	for (offset = 0; offset < size; offset++) {
		*(__u8 *)guest(&self->ccw, addr++) = pattern(offset);
		if (variant->list && !(addr & (variant->block - 1))) {
			block++;
			addr = DATA + 0x20000 - 2 * block * variant->block;
			put_idaw(&self->ccw, variant->flags, LIST, block,
				 addr);
		}
	}
	put(&self->ccw, variant->flags, CMD_ERASE_WRITE,
	    CCW_SLI | (variant->list ? CCW_IDA : 0), size,
	    variant->list ? LIST : DATA + variant->block - PIECE);
	EXPECT_EQ(0, ccw_run(&self->ccw, variant->flags, PROGRAM,
			     &self->ccw.response));
	EXPECT_EQ(DSTAT_END, self->ccw.response.dstat);
	EXPECT_EQ(0, self->ccw.response.cstat);
	EXPECT_EQ(PROGRAM + 8, self->ccw.response.cpa);

	/* The command comes before it, the end of the record behind it */
	ASSERT_EQ((size_t)size + 3, port_read(self->port, shown, size + 3,
					      SOON_MS));
	EXPECT_EQ(CMD_ERASE_WRITE, shown[0]);
	for (offset = 0; offset < size; offset++)
		if (shown[1 + offset] != pattern(offset))
			break;
	EXPECT_EQ(size, offset);
	EXPECT_EQ(0, memcmp(shown + 1 + size, IAC_EOR, 2));
	free(shown);
}

TEST_F(terminal, input_is_what_was_typed)
{
	__u32 data = DATA + variant->block - TYPED_SIZE - 1;
	int i;

	for (i = 0; i < 3; i++) {
		operator_types(_metadata, self->port);
		/* This status is unsolicited */
		ASSERT_EQ(0, ccw_response(&self->ccw, &self->ccw.response));
		EXPECT_EQ(0, self->ccw.response.fctl);
		EXPECT_EQ(DSTAT_ATTENTION, self->ccw.response.dstat);
		if (!self->ccw.kernels_own)
			EXPECT_EQ(0, self->ccw.response.cpa);

		memset(guest(&self->ccw, DATA), 0xa5, 0x3000);
		if (variant->list)
			put_idaw(&self->ccw, variant->flags, LIST, 0, data);
		put_idaw(&self->ccw, variant->flags, LIST, 1, DATA + 0x2000);
		put(&self->ccw, variant->flags, CMD_READ_MODIFIED,
		    CCW_SLI | (variant->list ? CCW_IDA : 0), 200,
		    variant->list ? LIST : data);
		EXPECT_EQ(0, ccw_run(&self->ccw, variant->flags, PROGRAM,
				     &self->ccw.response));
		EXPECT_EQ(SCSW_START, self->ccw.response.fctl);
		EXPECT_EQ(DSTAT_END, self->ccw.response.dstat);
		EXPECT_EQ(200 - TYPED_SIZE, self->ccw.response.count);
		EXPECT_EQ(PROGRAM + 8, self->ccw.response.cpa);
		EXPECT_EQ(0, memcmp(guest(&self->ccw, data), TYPED,
				    TYPED_SIZE));
		EXPECT_EQ(0xa5, *(__u8 *)guest(&self->ccw, data - 1));
		EXPECT_EQ(0xa5, *(__u8 *)guest(&self->ccw, data + TYPED_SIZE));
	}
}

/* If an end and an attention come before a fetch, they are two responses */
TEST_F(terminal, attention_does_not_hide_the_end)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps only the last response");
	put(&self->ccw, variant->flags, CMD_NOP, CCW_SLI, 1, DATA);
	EXPECT_EQ(0, ccw_start(&self->ccw, variant->flags, PROGRAM));
	ASSERT_TRUE(eventfd_wait(self->ccw.io, SOON_MS));
	eventfd_take(self->ccw.io);
	operator_types(_metadata, self->port);
	ASSERT_TRUE(eventfd_wait(self->ccw.io, SOON_MS));

	EXPECT_EQ(0, ccw_response(&self->ccw, &self->ccw.response));
	EXPECT_EQ(SCSW_START, self->ccw.response.fctl);
	EXPECT_EQ(PROGRAM + 8, self->ccw.response.cpa);
	EXPECT_EQ(0, ccw_response(&self->ccw, &self->ccw.response));
	EXPECT_EQ(0, self->ccw.response.fctl);
	EXPECT_EQ(DSTAT_ATTENTION, self->ccw.response.dstat);
	EXPECT_EQ(0, self->ccw.response.cpa);
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
	/* Read the input, so that the next test finds none */
	put(&self->ccw, variant->flags, CMD_READ_MODIFIED, CCW_SLI, 200, DATA);
	EXPECT_EQ(0, ccw_run(&self->ccw, variant->flags, PROGRAM,
			     &self->ccw.response));
}

TEST_HARNESS_MAIN
