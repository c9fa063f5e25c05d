// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices whose parent drivers describe them by tables. For all of them, the
 * framework handles ioctls, accesses and mappings in the same way, valid and
 * invalid ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/log.h"
#include "queries.h"

FIXTURE(described)
{
	struct uuid uuid;
	struct vfio_user user;
	struct vfio_device_info info;
	/* A page. The page after it is not mapped */
	char *page;
	size_t page_size;
	int log;
	int eventfd_id;
};

FIXTURE_VARIANT(described)
{
	const char *parent;
	const char *type;
};

FIXTURE_VARIANT_ADD(described, mtty_1)
{
	.parent = "mtty", .type = "mtty-1",
};

FIXTURE_VARIANT_ADD(described, mtty_2)
{
	.parent = "mtty", .type = "mtty-2",
};

FIXTURE_VARIANT_ADD(described, mpad)
{
	.parent = "mpad", .type = "mpad-page",
};

FIXTURE_VARIANT_ADD(described, relay)
{
	.parent = "mdev_relay.0", .type = "mdev_relay-relay",
};

FIXTURE_SETUP(described)
{
	if (!parent_exists(variant->parent))
		SKIP(return, "no parent %s", variant->parent);
	self->page_size = sysconf(_SC_PAGESIZE);
	self->page = mmap(NULL, 2 * self->page_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->page);
	ASSERT_EQ(0, munmap(self->page + self->page_size, self->page_size));
	self->eventfd_id = eventfd_next_id();
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(variant->parent, variant->type, &self->uuid));
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	ASSERT_EQ(0, vfio_info(self->user.device, &self->info));
}

FIXTURE_TEARDOWN(described)
{
	vfio_close(&self->user);
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	close(self->log);
	EXPECT_TRUE(eventfd_ids_back_to(self->eventfd_id));
}

TEST_F(described, query_with_short_argsz_fails)
{
	expect_short_queries_fail(_metadata, self->user.device);
}

TEST_F(described, query_with_exact_argsz_touches_nothing_behind)
{
	expect_exact_queries(_metadata, self->user.device,
			     self->page + self->page_size);
}

TEST_F(described, query_with_long_argsz_succeeds)
{
	expect_long_queries(_metadata, self->user.device);
}

TEST_F(described, query_at_bad_address_fails)
{
	expect_misplaced_queries_fail(_metadata, self->user.device,
				      self->page);
}

TEST_F(described, index_beyond_the_last_fails)
{
	const __u32 more[] = { 0, 1, 31, 63, 64, 0x7fffffff, 0x80000000 };
	struct vfio_region_info region;
	struct vfio_irq_info irq;
	size_t i;

	EXPECT_LT(0, self->info.num_regions);
	EXPECT_LT(0, self->info.num_irqs);
	for (i = 0; i < ARRAY_SIZE(more); i++) {
		EXPECT_EQ(-EINVAL, vfio_region(self->user.device,
					       self->info.num_regions + more[i],
					       &region));
		EXPECT_EQ(-EINVAL, vfio_irq(self->user.device,
					    self->info.num_irqs + more[i],
					    &irq));
		EXPECT_EQ(-EINVAL, vfio_set_eventfd(self->user.device,
						    self->info.num_irqs +
						    more[i], -1));
	}
	EXPECT_EQ(-EINVAL, vfio_region(self->user.device, ~0U, &region));
	EXPECT_EQ(-EINVAL, vfio_irq(self->user.device, ~0U, &irq));
}

/* A read that a table's flags allow may still fail on an idle device */
#define for_each_region(self, region)					\
	for (__u32 _i = 0; _i < (self)->info.num_regions &&		\
	     !vfio_region((self)->user.device, _i, &(region)); _i++)

TEST_F(described, regions_do_not_overlap)
{
	struct vfio_region_info region, other;
	__u32 i;

	for_each_region(self, region) {
		for (i = 0; i < region.index; i++) {
			ASSERT_EQ(0, vfio_region(self->user.device, i, &other));
			EXPECT_LE(other.offset + other.size, region.offset);
		}
	}
}

TEST_F(described, access_that_the_flags_do_not_allow_fails)
{
	struct vfio_region_info region;
	char byte = 0;

	for_each_region(self, region) {
		if (!(region.flags & VFIO_REGION_INFO_FLAG_READ)) {
			EXPECT_EQ(-1, pread(self->user.device, &byte, 1,
					    region.offset));
			EXPECT_EQ(EINVAL, errno);
		}
		if (!(region.flags & VFIO_REGION_INFO_FLAG_WRITE)) {
			EXPECT_EQ(-1, pwrite(self->user.device, &byte, 1,
					     region.offset));
			EXPECT_EQ(EINVAL, errno);
		}
		if (!(region.flags & VFIO_REGION_INFO_FLAG_MMAP)) {
			EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page_size,
						   PROT_READ, MAP_SHARED,
						   self->user.device,
						   region.offset));
			EXPECT_EQ(EINVAL, errno);
		}
	}
}

TEST_F(described, region_without_a_size_has_no_flags)
{
	struct vfio_region_info region;

	for_each_region(self, region)
		if (!region.size)
			EXPECT_EQ(0, region.flags);
}

/* A region may end before its part of the descriptor's offsets does */
TEST_F(described, access_behind_a_region_fails)
{
	const __u64 behind[] = { 0, 1, 8, 255, 4096, 1 << 20 };
	struct vfio_region_info region, next;
	char byte = 0;
	size_t i;

	for_each_region(self, region) {
		if (!vfio_region(self->user.device, region.index + 1, &next) &&
		    next.offset == region.offset + region.size)
			continue;
		for (i = 0; i < ARRAY_SIZE(behind); i++) {
			__u64 at = region.offset + region.size + behind[i];

			EXPECT_EQ(-1, pread(self->user.device, &byte, 1, at));
			EXPECT_EQ(EINVAL, errno);
			EXPECT_EQ(-1, pwrite(self->user.device, &byte, 1, at));
			EXPECT_EQ(EINVAL, errno);
		}
	}
	EXPECT_EQ(-1, pread(self->user.device, &byte, 1, 0x7fffffffffffffff));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(described, access_of_nothing_does_nothing)
{
	struct vfio_region_info region;

	for_each_region(self, region) {
		EXPECT_EQ(0, pread(self->user.device, NULL, 0, region.offset));
		EXPECT_EQ(0, pwrite(self->user.device, NULL, 0, region.offset));
	}
}

/* For PCI devices only: a read of others may cost more than a page of memory */
TEST_F(described, access_ends_at_the_end_of_its_region)
{
	struct vfio_region_info region;
	char data[64];

	if (!(self->info.flags & VFIO_DEVICE_FLAGS_PCI))
		SKIP(return, "the regions of this device are not memory");
	for_each_region(self, region) {
		if (!(region.flags & VFIO_REGION_INFO_FLAG_READ))
			continue;
		EXPECT_EQ(4, pread(self->user.device, data, sizeof(data),
				   region.offset + region.size - 4));
		EXPECT_EQ(4, pwrite(self->user.device, data, sizeof(data),
				    region.offset + region.size - 4));
	}
}

TEST_F(described, mapping_beyond_a_region_fails)
{
	struct vfio_region_info region;

	for_each_region(self, region) {
		if (!(region.flags & VFIO_REGION_INFO_FLAG_MMAP))
			continue;
		EXPECT_EQ(MAP_FAILED, mmap(NULL, region.size + self->page_size,
					   PROT_READ, MAP_SHARED,
					   self->user.device, region.offset));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page_size, PROT_READ,
					   MAP_SHARED, self->user.device,
					   region.offset + region.size));
		EXPECT_EQ(EINVAL, errno);
	}
}

/* A private mapping would have copies of the pages */
TEST_F(described, private_mapping_fails)
{
	struct vfio_region_info region;

	for_each_region(self, region) {
		if (!(region.flags & VFIO_REGION_INFO_FLAG_MMAP))
			continue;
		EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page_size,
					   PROT_READ | PROT_WRITE, MAP_PRIVATE,
					   self->user.device, region.offset));
		EXPECT_EQ(EINVAL, errno);
	}
}

#define for_each_irq(self, irq)						\
	for ((irq).index = 0; (irq).index < (self)->info.num_irqs;	\
	     (irq).index++)

/* An absent interrupt refuses all actions, a present one accepts a trigger */
TEST_F(described, interrupts_take_what_they_say)
{
	struct vfio_irq_info irq = {};
	int fd = eventfd_new();
	int count;

	ASSERT_LE(0, fd);
	for_each_irq(self, irq) {
		count = vfio_irq(self->user.device, irq.index, &irq) ?
			0 : irq.count;
		EXPECT_EQ(count ? 0 : -EINVAL,
			  vfio_set_eventfd(self->user.device, irq.index, fd)) {
			TH_LOG("interrupt %u", irq.index);
		}
		EXPECT_EQ(count ? 0 : -EINVAL,
			  vfio_set_irqs(self->user.device,
					VFIO_IRQ_SET_DATA_NONE |
					VFIO_IRQ_SET_ACTION_TRIGGER,
					irq.index, 0, 1, NULL, 0));
		EXPECT_EQ(count, eventfd_take(fd));
		EXPECT_EQ(count ? 0 : -EINVAL,
			  vfio_set_eventfd(self->user.device, irq.index, -1));
	}
	close(fd);
}

TEST_F(described, interrupt_that_cannot_be_masked_refuses)
{
	struct vfio_irq_info irq = {};

	for_each_irq(self, irq) {
		if (vfio_irq(self->user.device, irq.index, &irq) ||
		    irq.flags & VFIO_IRQ_INFO_MASKABLE)
			continue;
		EXPECT_GT(0, vfio_set_irqs(self->user.device,
					   VFIO_IRQ_SET_DATA_NONE |
					   VFIO_IRQ_SET_ACTION_MASK,
					   irq.index, 0, 1, NULL, 0));
		EXPECT_GT(0, vfio_set_irqs(self->user.device,
					   VFIO_IRQ_SET_DATA_NONE |
					   VFIO_IRQ_SET_ACTION_UNMASK,
					   irq.index, 0, 1, NULL, 0));
	}
}

/* The drivers have no request callback */
TEST_F(described, holder_is_asked_without_a_callback)
{
	int fd = eventfd_new();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vfio_set_request(self->user.device, fd));
	EXPECT_EQ(0, file_puts(mdev_path(&self->uuid, "request").text, "1"));
	EXPECT_TRUE(eventfd_wait(fd, SOON_MS));
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text,
			      LOG_RELAYED " (#1)", NULL));
	close(fd);
}

TEST_F(described, ioctl_that_nobody_knows_fails)
{
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->user.device, 0, NULL));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->user.device,
				      VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
				      NULL));
	EXPECT_EQ(self->info.flags & VFIO_DEVICE_FLAGS_RESET ? 0 : -ENOTTY,
		  vfio_ioctl(self->user.device, VFIO_DEVICE_RESET, NULL));
}

TEST_F(described, revoked_device_has_nothing_left)
{
	char byte;

	EXPECT_EQ(0, mdev_revoke(&self->uuid));
	EXPECT_EQ(-1, pread(self->user.device, &byte, 1, 0));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-ENODEV, vfio_info(self->user.device, &self->info));
}

TEST_HARNESS_MAIN
