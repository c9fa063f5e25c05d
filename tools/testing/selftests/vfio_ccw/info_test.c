// SPDX-License-Identifier: GPL-2.0-only
/* What vfio_ccw reports about itself, and how it handles bad arguments */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "kselftest_harness.h"
#include "fixture.h"

#define INFO_MIN	offsetofend(struct vfio_device_info, num_irqs)
#define REGION_MIN	offsetofend(struct vfio_region_info, offset)
#define IRQ_MIN		offsetofend(struct vfio_irq_info, count)
#define SET_MIN		offsetofend(struct vfio_irq_set, count)

#define offsetofend(type, member) \
	(offsetof(type, member) + sizeof(((type *)0)->member))

#define SPACING		1024	/* between the regions */

static const __u32 sizes[NR_REGIONS] = { 124, 8, 52, 8 };
static const bool writable[NR_REGIONS] = { true, true, false, false };

FIXTURE(info)
{
	struct ccw ccw;
	int device;
};

FIXTURE_SETUP(info)
{
	if (!ccw_set_up(_metadata, &self->ccw, CU_RNG))
		SKIP(return, "no device %s", CU_RNG);
	ASSERT_EQ(0, ccw_open(&self->ccw));
	self->device = self->ccw.user.device;
}

FIXTURE_TEARDOWN(info)
{
	ccw_tear_down(_metadata, &self->ccw);
}

/* The device works, whatever the arguments were */
static void expect_usable(struct __test_metadata *_metadata,
			  const struct ccw *ccw)
{
	struct response response;

	put_ccw(ccw, PROGRAM, CMD_NOP, CCW_SLI, 0, 0);
	EXPECT_EQ(0, ccw_run(ccw, ORB_FORMAT1, PROGRAM, &response));
	EXPECT_EQ(DSTAT_END, response.dstat);
	EXPECT_EQ(0, response.cstat);
}

TEST_F(info, device_is_a_ccw_device)
{
	struct vfio_device_info info;

	ASSERT_EQ(0, vfio_info(self->device, &info));
	EXPECT_EQ(VFIO_DEVICE_FLAGS_CCW | VFIO_DEVICE_FLAGS_RESET, info.flags);
	EXPECT_EQ(NR_REGIONS, info.num_regions);
	EXPECT_EQ(VFIO_CCW_NUM_IRQS, info.num_irqs);
}

TEST_F(info, device_info_wants_its_argsz)
{
	struct {
		struct vfio_device_info info;
		__u8 more[64];
	} arg;
	size_t argsz;

	for (argsz = 0; argsz < sizeof(arg); argsz++) {
		memset(&arg, 0xa5, sizeof(arg));
		arg.info.argsz = argsz;
		EXPECT_EQ(argsz < INFO_MIN ? -EINVAL : 0,
			  vfio_ioctl(self->device, VFIO_DEVICE_GET_INFO, &arg));
		/* Bytes behind the known fields are not written */
		EXPECT_EQ(0xa5, arg.more[0]);
	}
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->device, VFIO_DEVICE_GET_INFO,
				      bad_address()));
}

TEST_F(info, regions_have_the_sizes_of_the_uapi)
{
	struct vfio_region_info info;
	int i;

	EXPECT_EQ(124, sizeof(struct ccw_io_region));
	EXPECT_EQ(8, sizeof(struct ccw_cmd_region));
	EXPECT_EQ(52, sizeof(struct ccw_schib_region));
	EXPECT_EQ(8, sizeof(struct ccw_crw_region));
	for (i = 0; i < NR_REGIONS; i++) {
		ASSERT_EQ(0, vfio_region(self->device, i, &info));
		EXPECT_EQ(sizes[i], info.size);
		EXPECT_TRUE(info.flags & VFIO_REGION_INFO_FLAG_READ);
		EXPECT_EQ(writable[i],
			  !!(info.flags & VFIO_REGION_INFO_FLAG_WRITE));
		EXPECT_FALSE(info.flags & VFIO_REGION_INFO_FLAG_MMAP);
		EXPECT_EQ(i > 0, !!(info.flags & VFIO_REGION_INFO_FLAG_CAPS));
	}
}

TEST_F(info, region_beyond_the_last_fails)
{
	static const __u32 indexes[] = { NR_REGIONS, NR_REGIONS + 1, 64, 255,
		0x7fffffff, 0x80000000, 0xffffffff };
	struct vfio_region_info info;
	unsigned int i;

	for (i = 0; i < sizeof(indexes) / sizeof(*indexes); i++)
		EXPECT_EQ(-EINVAL,
			  vfio_region(self->device, indexes[i], &info));
}

struct region_arg {
	struct vfio_region_info info;
	struct vfio_region_info_cap_type type;
	__u8 more[32];
};

TEST_F(info, regions_name_their_types)
{
	static const __u32 subtypes[NR_REGIONS] = {
		[REGION_CMD] = VFIO_REGION_SUBTYPE_CCW_ASYNC_CMD,
		[REGION_SCHIB] = VFIO_REGION_SUBTYPE_CCW_SCHIB,
		[REGION_CRW] = VFIO_REGION_SUBTYPE_CCW_CRW,
	};
	struct region_arg arg;
	int i;

	for (i = 1; i < NR_REGIONS; i++) {
		memset(&arg, 0xa5, sizeof(arg));
		arg.info.argsz = sizeof(arg);
		arg.info.index = i;
		ASSERT_EQ(0, vfio_ioctl(self->device,
					VFIO_DEVICE_GET_REGION_INFO, &arg));
		ASSERT_EQ(sizeof(arg.info), arg.info.cap_offset);
		EXPECT_EQ(VFIO_REGION_INFO_CAP_TYPE, arg.type.header.id);
		EXPECT_EQ(1, arg.type.header.version);
		EXPECT_EQ(0, arg.type.header.next);
		EXPECT_EQ(VFIO_REGION_TYPE_CCW, arg.type.type);
		EXPECT_EQ(subtypes[i], arg.type.subtype);
		EXPECT_EQ(0xa5, arg.more[0]);
	}
	/* The first region needs no capability */
	memset(&arg, 0, sizeof(arg));
	arg.info.argsz = sizeof(arg);
	ASSERT_EQ(0, vfio_ioctl(self->device, VFIO_DEVICE_GET_REGION_INFO,
				&arg));
	EXPECT_EQ(0, arg.info.cap_offset);
}

TEST_F(info, region_info_wants_its_argsz)
{
	const size_t whole = sizeof(struct vfio_region_info) +
			     sizeof(struct vfio_region_info_cap_type);
	struct region_arg arg;
	size_t argsz;

	for (argsz = 0; argsz <= sizeof(arg); argsz++) {
		memset(&arg, 0xa5, sizeof(arg));
		arg.info.argsz = argsz;
		arg.info.index = REGION_SCHIB;
		EXPECT_EQ(argsz < REGION_MIN ? -EINVAL : 0,
			  vfio_ioctl(self->device, VFIO_DEVICE_GET_REGION_INFO,
				     &arg));
		if (argsz < REGION_MIN)
			continue;
		/* Without room for the capability, argsz is what both need */
		EXPECT_EQ(argsz < whole ? whole : argsz, arg.info.argsz);
		EXPECT_EQ(argsz < whole ? 0 : sizeof(arg.info),
			  arg.info.cap_offset);
		if (argsz < whole)
			EXPECT_EQ(0xa5a5a5a5, arg.type.type);
	}
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->device, VFIO_DEVICE_GET_REGION_INFO,
				      bad_address()));
}

TEST_F(info, each_interrupt_is_one_eventfd)
{
	struct vfio_irq_info info;
	__u32 i;

	for (i = 0; i < VFIO_CCW_NUM_IRQS; i++) {
		ASSERT_EQ(0, vfio_irq(self->device, i, &info));
		EXPECT_EQ(1, info.count);
		EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD, info.flags);
	}
	EXPECT_EQ(-EINVAL, vfio_irq(self->device, i, &info));
	EXPECT_EQ(-EINVAL, vfio_irq(self->device, 0xffffffff, &info));
}

TEST_F(info, irq_info_wants_its_argsz)
{
	struct {
		struct vfio_irq_info info;
		__u8 more[16];
	} arg;
	size_t argsz;

	for (argsz = 0; argsz < sizeof(arg); argsz++) {
		memset(&arg, 0xa5, sizeof(arg));
		arg.info.argsz = argsz;
		arg.info.index = VFIO_CCW_CRW_IRQ_INDEX;
		EXPECT_EQ(argsz < IRQ_MIN ? -EINVAL : 0,
			  vfio_ioctl(self->device, VFIO_DEVICE_GET_IRQ_INFO,
				     &arg));
		EXPECT_EQ(0xa5, arg.more[0]);
	}
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->device, VFIO_DEVICE_GET_IRQ_INFO,
				      bad_address()));
}

#define TRIGGER	VFIO_IRQ_SET_ACTION_TRIGGER
#define NONE	VFIO_IRQ_SET_DATA_NONE
#define BOOL	VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD	VFIO_IRQ_SET_DATA_EVENTFD

TEST_F(info, interrupts_refuse_what_is_wrong)
{
	static const struct {
		__u32 flags, start, count;
		int len;
		int err;
	} cases[] = {
		{ TRIGGER | NONE, 0, 0, 0, 0 },
		{ TRIGGER | NONE, 0, 1, 0, 0 },
		{ TRIGGER | NONE, 0, 2, 0, -EINVAL },
		{ TRIGGER | NONE, 1, 0, 0, -EINVAL },
		{ TRIGGER | NONE, 1, 1, 0, -EINVAL },
		{ TRIGGER | NONE, 0xffffffff, 1, 0, -EINVAL },
		{ TRIGGER | NONE, 1, 0xffffffff, 0, -EINVAL },
		{ TRIGGER | NONE, 0, 0xffffffff, 0, -EINVAL },
		{ TRIGGER | BOOL, 0, 1, 1, 0 },
		{ TRIGGER | BOOL, 0, 1, 0, -EINVAL },
		{ TRIGGER | EVENTFD, 0, 1, 3, -EINVAL },
		{ TRIGGER | EVENTFD, 0, 1, 0, -EINVAL },
		{ TRIGGER | EVENTFD, 0, 2, 8, -EINVAL },
		{ TRIGGER | EVENTFD, 1, 1, 4, -EINVAL },
		{ TRIGGER | EVENTFD | BOOL, 0, 1, 4, -EINVAL },
		{ TRIGGER | NONE | BOOL, 0, 1, 1, -EINVAL },
		{ TRIGGER, 0, 1, 0, -EINVAL },
		{ TRIGGER | NONE | 0x40, 0, 1, 0, -EINVAL },
		{ TRIGGER | NONE | 0x80000000, 0, 1, 0, -EINVAL },
		{ NONE, 0, 1, 0, -EINVAL },
		{ VFIO_IRQ_SET_ACTION_MASK | NONE, 0, 1, 0, -EINVAL },
		{ VFIO_IRQ_SET_ACTION_UNMASK | NONE, 0, 1, 0, -EINVAL },
		{ VFIO_IRQ_SET_ACTION_UNMASK | EVENTFD, 0, 1, 4, -EINVAL },
		{ 0, 0, 0, 0, -EINVAL },
	};
	static const __u8 zeros[8];
	unsigned int i;
	__u32 index;

	for (index = 0; index < VFIO_CCW_NUM_IRQS; index++) {
		for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			EXPECT_EQ(cases[i].err,
				  vfio_set_irqs(self->device, cases[i].flags,
						index, cases[i].start,
						cases[i].count, zeros,
						cases[i].len)) {
				TH_LOG("interrupt %u, case %u", index, i);
			}
		}
	}
	for (index = VFIO_CCW_NUM_IRQS; index; index *= 2)
		EXPECT_EQ(-EINVAL, vfio_set_irqs(self->device, TRIGGER | NONE,
						 index, 0, 1, NULL, 0));
	EXPECT_EQ(-EINVAL, vfio_set_irqs(self->device, TRIGGER | NONE,
					 0xffffffff, 0, 1, NULL, 0));
	/* Some of the calls are valid, and signal the eventfd or remove it */
	EXPECT_EQ(0, vfio_set_eventfd(self->device, VFIO_CCW_IO_IRQ_INDEX,
				      self->ccw.io));
	eventfd_take(self->ccw.io);
	expect_usable(_metadata, &self->ccw);
}

TEST_F(info, interrupts_refuse_two_actions)
{
	__u32 index;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own looks at one bit only");
	for (index = 0; index < VFIO_CCW_NUM_IRQS; index++)
		EXPECT_EQ(-EINVAL,
			  vfio_set_irqs(self->device, TRIGGER | NONE |
					VFIO_IRQ_SET_ACTION_MASK, index, 0, 1,
					NULL, 0));
}

TEST_F(info, empty_set_takes_the_trigger_away)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own signals the eventfd instead");
	EXPECT_EQ(0, vfio_set_irqs(self->device, TRIGGER | NONE,
				   VFIO_CCW_IO_IRQ_INDEX, 0, 0, NULL, 0));
	EXPECT_EQ(0, vfio_set_irqs(self->device, TRIGGER | NONE,
				   VFIO_CCW_IO_IRQ_INDEX, 0, 1, NULL, 0));
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
	EXPECT_EQ(-EINVAL, vfio_set_irqs(self->device, TRIGGER | EVENTFD,
					 VFIO_CCW_IO_IRQ_INDEX, 0, 0, NULL,
					 0));
	EXPECT_EQ(-EINVAL, vfio_set_irqs(self->device, TRIGGER | BOOL,
					 VFIO_CCW_IO_IRQ_INDEX, 0, 0, NULL,
					 0));
}

TEST_F(info, set_irqs_wants_its_argsz)
{
	struct {
		struct vfio_irq_set set;
		__s32 fd;
		__u8 more[16];
	} arg;
	size_t argsz;

	for (argsz = 0; argsz <= sizeof(arg); argsz++) {
		memset(&arg, 0, sizeof(arg));
		arg.set.argsz = argsz;
		arg.set.flags = TRIGGER | EVENTFD;
		arg.set.index = VFIO_CCW_IO_IRQ_INDEX;
		arg.set.count = 1;
		arg.fd = self->ccw.io;
		EXPECT_EQ(argsz < SET_MIN + sizeof(arg.fd) ? -EINVAL : 0,
			  vfio_ioctl(self->device, VFIO_DEVICE_SET_IRQS, &arg));
	}
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->device, VFIO_DEVICE_SET_IRQS,
				      bad_address()));
}

TEST_F(info, trigger_must_be_an_eventfd)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	__u32 index;

	for (index = 0; index < VFIO_CCW_NUM_IRQS; index++) {
		EXPECT_EQ(-EINVAL, vfio_set_eventfd(self->device, index, null));
		EXPECT_EQ(-EBADF, vfio_set_eventfd(self->device, index, 1000));
		EXPECT_GT(0, vfio_set_eventfd(self->device, index, -2));
	}
	close(null);
	/* The eventfds are still set */
	expect_usable(_metadata, &self->ccw);
}

TEST_F(info, triggers_can_be_tried_set_replaced_and_taken)
{
	int fds[2] = { eventfd_new(), eventfd_new() };
	__u8 yes = 1, no = 0;
	__u32 index;

	for (index = 0; index < VFIO_CCW_NUM_IRQS; index++) {
		EXPECT_EQ(0, vfio_set_eventfd(self->device, index, fds[0]));
		EXPECT_EQ(0, vfio_set_irqs(self->device, TRIGGER | NONE, index,
					   0, 1, NULL, 0));
		EXPECT_EQ(1, eventfd_take(fds[0]));
		EXPECT_EQ(0, vfio_set_irqs(self->device, TRIGGER | BOOL, index,
					   0, 1, &yes, 1));
		EXPECT_EQ(1, eventfd_take(fds[0]));
		EXPECT_EQ(0, vfio_set_irqs(self->device, TRIGGER | BOOL, index,
					   0, 1, &no, 1));
		EXPECT_EQ(0, eventfd_take(fds[0]));
		EXPECT_EQ(0, vfio_set_eventfd(self->device, index, fds[1]));
		EXPECT_EQ(0, vfio_set_irqs(self->device, TRIGGER | NONE, index,
					   0, 1, NULL, 0));
		EXPECT_EQ(0, eventfd_take(fds[0]));
		EXPECT_EQ(1, eventfd_take(fds[1]));
		EXPECT_EQ(0, vfio_set_eventfd(self->device, index, -1));
		EXPECT_EQ(0, vfio_set_eventfd(self->device, index, -1));
		EXPECT_EQ(0, vfio_set_irqs(self->device, TRIGGER | NONE, index,
					   0, 1, NULL, 0));
		EXPECT_EQ(0, eventfd_take(fds[1]));
	}
	close(fds[0]);
	close(fds[1]);
}

TEST_F(info, io_without_a_trigger_runs)
{
	struct response response;

	EXPECT_EQ(0, vfio_set_eventfd(self->device, VFIO_CCW_IO_IRQ_INDEX, -1));
	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 0, 0);
	EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
	EXPECT_EQ(0, vfio_set_eventfd(self->device, VFIO_CCW_IO_IRQ_INDEX,
				      self->ccw.io));
	/* The next read fetches the response */
	do {
		EXPECT_EQ(0, read_irb(&self->ccw, &response));
	} while (!response.dstat);
	EXPECT_EQ(DSTAT_END, response.dstat);
	eventfd_take(self->ccw.io);
	expect_usable(_metadata, &self->ccw);
}

TEST_F(info, unknown_ioctls_fail)
{
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
	};
	unsigned int i;

	for (i = 0; i < 256; i++) {
		switch (_IO(VFIO_TYPE, i)) {
		case VFIO_DEVICE_GET_INFO:
		case VFIO_DEVICE_GET_REGION_INFO:
		case VFIO_DEVICE_GET_IRQ_INFO:
		case VFIO_DEVICE_SET_IRQS:
		case VFIO_DEVICE_RESET:
		case VFIO_DEVICE_FEATURE:
			continue;
		}
		EXPECT_EQ(-ENOTTY, vfio_ioctl(self->device, _IO(VFIO_TYPE, i),
					      bad_address())) {
			TH_LOG("number %u", i);
		}
	}
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->device, VFIO_DEVICE_FEATURE,
				      &feature));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->device, _IO('x', 0),
				      bad_address()));
}

TEST_F(info, reset_of_an_idle_device_succeeds)
{
	int i;

	for (i = 0; i < 20; i++)
		EXPECT_EQ(0, vfio_ioctl(self->device, VFIO_DEVICE_RESET, NULL));
	expect_usable(_metadata, &self->ccw);
}

static int access_read(int device, __u64 offset, void *data, size_t size)
{
	ssize_t len = pread(device, data, size, offset);

	return len < 0 ? -errno : len;
}

static int access_write(int device, __u64 offset, const void *data, size_t size)
{
	ssize_t len = pwrite(device, data, size, offset);

	return len < 0 ? -errno : len;
}

TEST_F_TIMEOUT(info, reads_stay_within_their_region, 120)
{
	__u8 data[SPACING + 16];
	size_t offset, len;
	int i, bad = 0;

	for (i = 0; i < NR_REGIONS; i++) {
		for (offset = 0; offset < sizes[i] + 10; offset++) {
			for (len = 0; len < sizes[i] + 10; len++) {
				int want = offset + len <= sizes[i] ?
					   (int)len : -EINVAL;
				int ret;

				/* Beyond the region's end, a read of 0 bytes may succeed */
				if (!len && offset > sizes[i])
					continue;
				data[len] = 0xa5;
				ret = access_read(self->device,
						  self->ccw.offset[i] + offset,
						  data, len);
				if (ret != want || data[len] != 0xa5)
					bad++;
			}
		}
		/* From the gap into the next region, and from one to another */
		EXPECT_EQ(-EINVAL, access_read(self->device,
					       self->ccw.offset[i] + SPACING - 4,
					       data, 8));
		EXPECT_EQ(-EINVAL, access_read(self->device,
					       self->ccw.offset[i], data,
					       SPACING + 4));
	}
	EXPECT_EQ(0, bad);
	expect_usable(_metadata, &self->ccw);
}

TEST_F(info, regions_beyond_the_last_are_not_there)
{
	static const __u64 offsets[] = { NR_REGIONS * SPACING,
		NR_REGIONS * SPACING + 1, 64 * SPACING, 1ULL << 31,
		1ULL << 32, 1ULL << 41, 1ULL << 42, (1ULL << 42) + 1024,
		1ULL << 62, (1ULL << 63) - 1024, (1ULL << 63) - 8 };
	__u8 data[8] = {};
	unsigned int i;

	for (i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		/* The kernel's own driver uses 32 bits of the index, those of region 0 */
		if (self->ccw.kernels_own && offsets[i] >> 42)
			continue;
		EXPECT_EQ(-EINVAL, access_read(self->device, offsets[i], data,
					       sizeof(data)));
		EXPECT_EQ(-EINVAL, access_write(self->device, offsets[i], data,
						sizeof(data)));
	}
}

TEST_F(info, reads_of_nothing_are_nothing)
{
	int i;

	for (i = 0; i < NR_REGIONS; i++) {
		EXPECT_EQ(0, access_read(self->device, self->ccw.offset[i],
					 bad_address(), 0));
		EXPECT_EQ(0, access_read(self->device,
					 self->ccw.offset[i] + sizes[i],
					 bad_address(), 0));
	}
}

TEST_F(info, writes_of_nothing_do_nothing)
{
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own starts a program");
	for (i = 0; i < NR_REGIONS; i++)
		EXPECT_EQ(0, access_write(self->device, self->ccw.offset[i],
					  bad_address(), 0));
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
}

TEST_F(info, huge_accesses_fail)
{
	const size_t size = 1UL << 30;
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int i;

	ASSERT_NE(MAP_FAILED, data);
	for (i = 0; i < NR_REGIONS; i++) {
		EXPECT_EQ(-EINVAL, access_read(self->device,
					       self->ccw.offset[i], data,
					       size));
		EXPECT_EQ(-EINVAL, access_write(self->device,
						self->ccw.offset[i], data,
						size));
	}
	munmap(data, size);
	expect_usable(_metadata, &self->ccw);
}

/* Only a read that succeeds takes a response, whatever is read in between */
TEST_F(info, response_that_could_not_be_read_is_the_next)
{
	struct response response;
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps only the last response");
	EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	ASSERT_TRUE(eventfd_wait(self->ccw.io, SOON_MS));
	ASSERT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_HSCH));
	EXPECT_EQ(-EFAULT, access_read(self->device, self->ccw.offset[REGION_IO],
				       bad_address(), sizes[REGION_IO]));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, ret_code(&self->ccw, REGION_IO));
	ASSERT_EQ(0, ccw_response(&self->ccw, &response));
	EXPECT_EQ(SCSW_CLEAR, response.fctl);
	ASSERT_EQ(0, ccw_response(&self->ccw, &response));
	EXPECT_EQ(SCSW_HALT, response.fctl & SCSW_HALT);
}

TEST_F(info, bad_addresses_fail)
{
	struct response response;
	int i;

	for (i = 0; i < NR_REGIONS; i++) {
		EXPECT_EQ(-EFAULT, access_read(self->device,
					       self->ccw.offset[i],
					       bad_address(), sizes[i]));
		EXPECT_EQ(writable[i] ? -EFAULT : -EINVAL,
			  access_write(self->device, self->ccw.offset[i],
				       bad_address(), sizes[i]));
	}
	/* Half of a region starts nothing */
	EXPECT_EQ(0, eventfd_take(self->ccw.io));
	EXPECT_EQ(0, read_irb(&self->ccw, &response));
	EXPECT_EQ(0, response.dstat);
	expect_usable(_metadata, &self->ccw);
}

TEST_F(info, regions_that_can_only_be_read_refuse_writes)
{
	__u8 data[SPACING] = {};
	__u32 offset, len;
	int i;

	for (i = 0; i < NR_REGIONS; i++) {
		if (writable[i])
			continue;
		for (offset = 0; offset < sizes[i] + 4; offset += 3)
			for (len = 1; len < sizes[i] + 4; len += 3)
				EXPECT_EQ(-EINVAL,
					  access_write(self->device,
						       self->ccw.offset[i] +
						       offset, data, len));
	}
	expect_usable(_metadata, &self->ccw);
}

TEST_F(info, request_of_no_function_fails)
{
	struct ccw_io_region region = {};

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own reports success");
	EXPECT_EQ(-EIO, region_write(&self->ccw, REGION_IO, &region,
				     sizeof(region)));
	EXPECT_EQ(-EIO, ret_code(&self->ccw, REGION_IO));
	expect_usable(_metadata, &self->ccw);
}

/* The errnos of Documentation/arch/s390/vfio-ccw.rst */
static bool is_defined(int ret)
{
	switch (ret) {
	case -EOPNOTSUPP:
	case -EIO:
	case -EBUSY:
	case -EACCES:
	case -ENODEV:
	case -EINVAL:
		return true;
	}
	return ret > 0;
}

TEST_F_TIMEOUT(info, junk_ends_in_a_defined_errno, 240)
{
	unsigned int seed = 1;
	__u8 data[256];
	__u32 offset, len;
	size_t b;
	int i, bad = 0;

	for (i = 0; i < 2; i++) {
		for (offset = 0; offset < sizes[i] + 4; offset++) {
			for (len = 1; len < sizes[i] + 4; len++) {
				bool in = offset + len <= sizes[i];
				int ret;

				for (b = 0; b < len; b++)
					data[b] = rand_r(&seed) >> 7;
				ret = access_write(self->device,
						   self->ccw.offset[i] + offset,
						   data, len);
				if (in ? !is_defined(ret) : ret != -EINVAL) {
					TH_LOG("region %d, %u bytes at %u: %d",
					       i, len, offset, ret);
					bad++;
				}
			}
		}
	}
	EXPECT_EQ(0, bad);
	/* End what the junk may have started or halted */
	EXPECT_EQ(0, ccw_reset(&self->ccw));
	expect_usable(_metadata, &self->ccw);
}

TEST_HARNESS_MAIN
