// SPDX-License-Identifier: GPL-2.0-only
/* The ioctls of an mtty device, with valid and invalid arguments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../mdev/queries.h"
#include "card.h"

#define JUNK QUERY_JUNK

FIXTURE(card)
{
	struct card card;
	/* The end of a page. The page after it is not mapped */
	char *page;
	char *end;
	size_t page_size;
};

FIXTURE_SETUP(card)
{
	if (!parent_exists(CARD_PARENT))
		SKIP(return, "no parent " CARD_PARENT);
	self->page_size = sysconf(_SC_PAGESIZE);
	self->page = mmap(NULL, 2 * self->page_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->page);
	ASSERT_EQ(0, munmap(self->page + self->page_size, self->page_size));
	self->end = self->page + self->page_size;
	ASSERT_EQ(0, card_create(&self->card, "mtty-2"));
}

FIXTURE_TEARDOWN(card)
{
	EXPECT_EQ(0, card_remove(&self->card));
	if (!self->card.kernels_own)
		EXPECT_TRUE(eventfd_ids_back_to(self->card.eventfd_id));
}

TEST_F(card, query_with_short_argsz_fails)
{
	expect_short_queries_fail(_metadata, self->card.user.device);
}

TEST_F(card, query_with_exact_argsz_touches_nothing_behind)
{
	expect_exact_queries(_metadata, self->card.user.device, self->end);
}

TEST_F(card, query_with_long_argsz_succeeds)
{
	expect_long_queries(_metadata, self->card.user.device);
}

TEST_F(card, query_at_bad_address_fails)
{
	expect_misplaced_queries_fail(_metadata, self->card.user.device,
				      self->page);
}

TEST_F(card, info_is_that_of_a_pci_device)
{
	struct vfio_device_info info;

	ASSERT_EQ(0, vfio_info(self->card.user.device, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, info.num_regions);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, info.num_irqs);
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "can reset, but does not say so");
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_RESET);
}

TEST_F(card, regions_are_those_of_two_ports)
{
	struct vfio_region_info info;
	__u32 i;

	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		__u64 size = 0;

		if (i == VFIO_PCI_BAR0_REGION_INDEX ||
		    i == VFIO_PCI_BAR1_REGION_INDEX)
			size = 8;
		else if (i == VFIO_PCI_CONFIG_REGION_INDEX)
			size = self->card.kernels_own ? 255 : 256;
		ASSERT_EQ(0, vfio_region(self->card.user.device, i, &info));
		EXPECT_EQ(size, info.size) {
			TH_LOG("region %u", i);
		}
		if (size)
			EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ |
				  VFIO_REGION_INFO_FLAG_WRITE, info.flags);
	}
}

/* User space follows cap_offset if it is not 0, even if it has set it itself */
TEST_F(card, region_without_capabilities_says_so)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	int device = self->card.user.device;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "leaves the field as it is");
	for (info.index = 0; info.index < VFIO_PCI_NUM_REGIONS; info.index++) {
		memset(&info.cap_offset, JUNK, sizeof(info.cap_offset));
		ASSERT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO,
					&info));
		EXPECT_EQ(0, info.cap_offset) {
			TH_LOG("region %u", info.index);
		}
		EXPECT_EQ(0, info.flags & VFIO_REGION_INFO_FLAG_CAPS);
	}
}

TEST_F(card, region_beyond_the_last_one_fails)
{
	const __u32 indexes[] = {
		VFIO_PCI_NUM_REGIONS, VFIO_PCI_NUM_REGIONS + 1, 64, 0x7fffffff,
		0x80000000, 0xffffffff,
	};
	struct vfio_region_info info;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(indexes); i++) {
		EXPECT_EQ(-EINVAL, vfio_region(self->card.user.device,
					       indexes[i], &info));
	}
}

TEST_F(card, interrupts_are_intx_msi_and_request)
{
	struct vfio_irq_info info;

	ASSERT_EQ(0, vfio_irq(self->card.user.device, VFIO_PCI_INTX_IRQ_INDEX,
			      &info));
	EXPECT_EQ(1, info.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
		  VFIO_IRQ_INFO_AUTOMASKED, info.flags);
	ASSERT_EQ(0, vfio_irq(self->card.user.device, VFIO_PCI_MSI_IRQ_INDEX,
			      &info));
	EXPECT_EQ(1, info.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, info.flags);
	EXPECT_EQ(-EINVAL, vfio_irq(self->card.user.device,
				    VFIO_PCI_ERR_IRQ_INDEX, &info));
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no request interrupt");
	ASSERT_EQ(0, vfio_irq(self->card.user.device, VFIO_PCI_REQ_IRQ_INDEX,
			      &info));
	EXPECT_EQ(1, info.count);
	EXPECT_TRUE(info.flags & VFIO_IRQ_INFO_EVENTFD);
	EXPECT_FALSE(info.flags & VFIO_IRQ_INFO_MASKABLE);
	ASSERT_EQ(0, vfio_irq(self->card.user.device, VFIO_PCI_MSIX_IRQ_INDEX,
			      &info));
	EXPECT_EQ(0, info.count);
}

TEST_F(card, interrupt_beyond_the_last_one_fails)
{
	const __u32 indexes[] = {
		VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_IRQS + 1, 31, 32, 63, 64, 65,
		0x7fffffff, 0x80000000, 0xffffffff,
	};
	struct vfio_irq_info info;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(indexes); i++) {
		EXPECT_EQ(-EINVAL, vfio_irq(self->card.user.device, indexes[i],
					    &info));
		EXPECT_EQ(-EINVAL, card_set_eventfd(&self->card, indexes[i],
						    -1));
	}
}

TEST_F(card, unknown_ioctl_fails)
{
	int device = self->card.user.device;

	EXPECT_EQ(-ENOTTY, vfio_ioctl(device, 0, NULL));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(device, _IO(VFIO_TYPE, VFIO_BASE + 99),
				      NULL));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(device,
				      VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
				      NULL));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE,
				      NULL));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(device, VFIO_DEVICE_IOEVENTFD, NULL));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(device, _IO('x', 1), NULL));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(device, 0xffffffff, bad_address()));
}

TEST_F(card, reset_succeeds_whatever_its_argument)
{
	int device = self->card.user.device;

	EXPECT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, vfio_ioctl(device, VFIO_DEVICE_RESET, bad_address()));
}

/* VFIO_DEVICE_SET_IRQS. The argument is at the end of the page. */
#define SET_MINSZ	((__u32)sizeof(struct vfio_irq_set))

static int set(const FIXTURE_DATA(card) *self, size_t room, __u32 argsz,
	       __u32 flags, __u32 index, __u32 start, __u32 count, __s32 data)
{
	struct vfio_irq_set set = {
		.argsz = argsz,
		.flags = flags,
		.index = index,
		.start = start,
		.count = count,
	};
	char *arg = self->end - SET_MINSZ - room;

	memset(arg, JUNK, SET_MINSZ + room);
	memcpy(arg, &set, SET_MINSZ);
	if (room)
		memcpy(arg + SET_MINSZ, &data,
		       room < sizeof(data) ? room : sizeof(data));
	return vfio_ioctl(self->card.user.device, VFIO_DEVICE_SET_IRQS, arg);
}

#define TRIGGER	VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK	VFIO_IRQ_SET_ACTION_MASK
#define UNMASK	VFIO_IRQ_SET_ACTION_UNMASK
#define NONE	VFIO_IRQ_SET_DATA_NONE
#define BOOL	VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD	VFIO_IRQ_SET_DATA_EVENTFD
#define INTX	VFIO_PCI_INTX_IRQ_INDEX
#define MSI	VFIO_PCI_MSI_IRQ_INDEX
#define REQ	VFIO_PCI_REQ_IRQ_INDEX

TEST_F(card, set_irqs_with_short_argsz_fails)
{
	__u32 argsz;
	int fd = eventfd_new();

	for (argsz = 0; argsz < SET_MINSZ; argsz++) {
		EXPECT_EQ(-EINVAL, set(self, 4, argsz, EVENTFD | TRIGGER, INTX,
				       0, 1, fd));
	}
	/* The structure is complete, its data is not */
	for (; argsz < SET_MINSZ + 4; argsz++) {
		EXPECT_EQ(-EINVAL, set(self, 4, argsz, EVENTFD | TRIGGER, INTX,
				       0, 1, fd));
	}
	EXPECT_EQ(-EINVAL, set(self, 1, SET_MINSZ, BOOL | TRIGGER, INTX, 0, 1,
			       1));
	close(fd);
}

TEST_F(card, set_irqs_with_exact_argsz_touches_nothing_behind)
{
	int fd = eventfd_new();

	if (self->card.crashes)
		SKIP(return, CARD_CRASHES);
	EXPECT_EQ(0, set(self, 4, SET_MINSZ + 4, EVENTFD | TRIGGER, INTX, 0, 1,
			 fd));
	EXPECT_EQ(0, set(self, 1, SET_MINSZ + 1, BOOL | TRIGGER, INTX, 0, 1,
			 1));
	EXPECT_EQ(1, eventfd_take(fd));
	EXPECT_EQ(0, set(self, 0, SET_MINSZ, NONE | UNMASK, INTX, 0, 1, 0));
	EXPECT_EQ(0, set(self, 0, SET_MINSZ, NONE | TRIGGER, INTX, 0, 0, 0));
	close(fd);
}

TEST_F(card, set_irqs_with_long_argsz_succeeds)
{
	int fd = eventfd_new();

	if (self->card.crashes)
		SKIP(return, CARD_CRASHES);
	EXPECT_EQ(0, set(self, 64, SET_MINSZ + 64, EVENTFD | TRIGGER, INTX, 0,
			 1, fd));
	EXPECT_EQ(0, set(self, 64, SET_MINSZ + 64, BOOL | TRIGGER, INTX, 0, 1,
			 1));
	EXPECT_EQ(1, eventfd_take(fd));
	EXPECT_EQ(0, set(self, 64, ~0U, EVENTFD | TRIGGER, INTX, 0, 1, -1));
	close(fd);
}

TEST_F(card, set_irqs_with_bad_flags_fails)
{
	const __u32 flags[] = {
		0, TRIGGER, EVENTFD, NONE, NONE | BOOL | TRIGGER,
		BOOL | EVENTFD | TRIGGER, NONE | MASK | UNMASK,
		NONE | TRIGGER | MASK, EVENTFD | TRIGGER | UNMASK,
		EVENTFD | TRIGGER | (1 << 6), EVENTFD | TRIGGER | (1U << 31),
		~0U,
	};
	int fd;
	size_t i;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "takes combinations of flags");
	fd = eventfd_new();
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_EQ(-EINVAL, set(self, 4, SET_MINSZ + 4, flags[i], INTX,
				       0, 1, fd)) {
			TH_LOG("flags %#x", flags[i]);
		}
	}
	close(fd);
}

TEST_F(card, set_irqs_of_range_beyond_the_last_one_fails)
{
	const struct {
		__u32 start;
		__u32 count;
	} ranges[] = {
		{ 1, 1 }, { 0, 2 }, { 1, 0xffffffff }, { 0xffffffff, 1 },
		{ 0xffffffff, 0xffffffff }, { 0x80000000, 0x80000000 },
		{ 0, 0xffffffff }, { 0, 0x40000001 }, { 0xfffffffe, 2 },
		{ 5, 1 }, { 1, 0 },
	};
	int fd = eventfd_new();
	size_t i;

	if (self->card.crashes)
		SKIP(return, CARD_CRASHES);
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		EXPECT_EQ(-EINVAL, set(self, 4, SET_MINSZ + 4,
				       EVENTFD | TRIGGER, INTX, ranges[i].start,
				       ranges[i].count, fd)) {
			TH_LOG("start %#x count %#x", ranges[i].start,
			       ranges[i].count);
		}
		EXPECT_EQ(-EINVAL, set(self, 0, SET_MINSZ, NONE | MASK, INTX,
				       ranges[i].start, ranges[i].count, 0));
		/* The kernel's own mtty copies the data before this check */
		if (self->card.kernels_own)
			continue;
		EXPECT_EQ(-EINVAL, set(self, 4, ~0U, EVENTFD | TRIGGER, MSI,
				       ranges[i].start, ranges[i].count, fd));
	}
	close(fd);
}

TEST_F(card, set_irqs_of_nothing_means_one_thing_only)
{
	if (self->card.kernels_own)
		SKIP(return,
		     CARD_KERNELS_OWN "refuses this if no eventfd is set");
	EXPECT_EQ(0, set(self, 0, SET_MINSZ, NONE | TRIGGER, INTX, 0, 0, 0));
	EXPECT_EQ(0, set(self, 0, SET_MINSZ, NONE | TRIGGER, MSI, 0, 0, 0));
	EXPECT_EQ(0, set(self, 0, SET_MINSZ, NONE | TRIGGER, REQ, 0, 0, 0));
	EXPECT_EQ(-EINVAL, set(self, 0, SET_MINSZ, NONE | MASK, INTX, 0, 0, 0));
	EXPECT_EQ(-EINVAL, set(self, 0, SET_MINSZ, NONE | UNMASK, INTX, 0, 0,
			       0));
	EXPECT_EQ(-EINVAL, set(self, 4, SET_MINSZ + 4, EVENTFD | TRIGGER, INTX,
			       0, 0, -1));
	EXPECT_EQ(-EINVAL, set(self, 1, SET_MINSZ + 1, BOOL | TRIGGER, INTX, 0,
			       0, 1));
}

TEST_F(card, set_irqs_of_interrupt_that_is_not_there_fails)
{
	int fd;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "answers ENOTTY");
	fd = eventfd_new();
	EXPECT_EQ(-EINVAL, card_set_eventfd(&self->card,
					    VFIO_PCI_MSIX_IRQ_INDEX, fd));
	EXPECT_EQ(-EINVAL, card_set_eventfd(&self->card,
					    VFIO_PCI_ERR_IRQ_INDEX, fd));
	close(fd);
}

TEST_F(card, set_irqs_of_what_cannot_be_masked_fails)
{
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "has no request interrupt");
	EXPECT_EQ(-ENOTTY, card_act(&self->card, MSI, MASK, 1));
	EXPECT_EQ(-ENOTTY, card_act(&self->card, MSI, UNMASK, 1));
	EXPECT_EQ(-ENOTTY, card_act(&self->card, REQ, MASK, 1));
	EXPECT_EQ(-ENOTTY, card_act(&self->card, REQ, UNMASK, 1));
}

TEST_F(card, set_irqs_with_eventfd_that_masks_fails)
{
	int fd;

	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "needs a trigger first");
	fd = eventfd_new();
	EXPECT_EQ(-ENOTTY, set(self, 4, SET_MINSZ + 4, EVENTFD | MASK, INTX, 0,
			       1, fd));
	close(fd);
}

TEST_F(card, set_irqs_with_no_eventfd_fails)
{
	int pipes[2];
	int fd = eventfd_new();
	__u32 i;

	if (self->card.crashes)
		SKIP(return, CARD_CRASHES);
	ASSERT_EQ(0, pipe(pipes));
	for (i = INTX; i <= REQ; i++) {
		if (i != INTX && i != MSI && i != REQ)
			continue;
		if (i == REQ && self->card.kernels_own)
			continue;
		EXPECT_EQ(-EINVAL, card_set_eventfd(&self->card, i, pipes[0]));
		EXPECT_EQ(-EINVAL, card_set_eventfd(&self->card, i,
						    self->card.user.device));
		EXPECT_EQ(-EBADF, card_set_eventfd(&self->card, i, 1 << 20));
		EXPECT_EQ(-EBADF, card_set_eventfd(&self->card, i, 0x7fffffff));
		if (self->card.kernels_own)
			continue;
		EXPECT_EQ(-EBADF, card_set_eventfd(&self->card, i, -2));
		EXPECT_EQ(-EBADF, card_set_eventfd(&self->card, i,
						   -0x7fffffff - 1));
		/* A failed call keeps the trigger */
		EXPECT_EQ(0, card_set_eventfd(&self->card, i, fd));
		EXPECT_EQ(-EINVAL, card_set_eventfd(&self->card, i, pipes[0]));
		EXPECT_EQ(-EBADF, card_set_eventfd(&self->card, i, -2));
		EXPECT_EQ(0, card_act(&self->card, i, TRIGGER, 1));
		EXPECT_EQ(1, eventfd_take(fd));
		EXPECT_EQ(0, card_set_eventfd(&self->card, i, -1));
	}
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

TEST_F(card, set_irqs_at_bad_address_fails)
{
	int device = self->card.user.device;
	int fd = eventfd_new();

	if (self->card.crashes)
		SKIP(return, CARD_CRASHES);
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_SET_IRQS, NULL));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_SET_IRQS,
				      bad_address()));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_SET_IRQS, self->end));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_SET_IRQS,
				      self->end - 8));
	/* All or a part of the data is not mapped */
	EXPECT_EQ(-EFAULT, set(self, 0, SET_MINSZ + 4, EVENTFD | TRIGGER, INTX,
			       0, 1, fd));
	EXPECT_EQ(-EFAULT, set(self, 2, SET_MINSZ + 4, EVENTFD | TRIGGER, INTX,
			       0, 1, fd));
	EXPECT_EQ(-EFAULT, set(self, 0, SET_MINSZ + 1, BOOL | TRIGGER, INTX, 0,
			       1, 1));
	close(fd);
}

/* A holder that has made no ioctl yet: each one is the first */
FIXTURE(fresh)
{
	struct uuid uuid;
	struct vfio_user user;
};

FIXTURE_SETUP(fresh)
{
	if (!parent_exists(CARD_PARENT))
		SKIP(return, "no parent " CARD_PARENT);
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(CARD_PARENT, "mtty-1", &self->uuid));
	if (mdev_is_kernels_own(&self->uuid)) {
		mdev_remove(&self->uuid);
		SKIP(return,
		     CARD_KERNELS_OWN "needs VFIO_DEVICE_GET_INFO first");
	}
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
}

FIXTURE_TEARDOWN(fresh)
{
	vfio_close(&self->user);
	EXPECT_EQ(0, mdev_remove(&self->uuid));
}

TEST_F(fresh, set_irqs_comes_first)
{
	int fd = eventfd_new();

	EXPECT_EQ(0, vfio_set_eventfd(self->user.device, REQ, fd));
	EXPECT_EQ(0, vfio_set_eventfd(self->user.device, MSI, fd));
	EXPECT_EQ(0, vfio_set_eventfd(self->user.device, INTX, fd));
	close(fd);
}

TEST_F(fresh, irq_info_comes_first)
{
	struct vfio_irq_info info;

	EXPECT_EQ(0, vfio_irq(self->user.device, MSI, &info));
	EXPECT_EQ(1, info.count);
}

TEST_F(fresh, mask_and_unmask_come_first)
{
	EXPECT_EQ(0, vfio_set_irqs(self->user.device, NONE | UNMASK, INTX, 0, 1,
				   NULL, 0));
	EXPECT_EQ(0, vfio_set_irqs(self->user.device, NONE | MASK, INTX, 0, 1,
				   NULL, 0));
	EXPECT_EQ(0, vfio_set_irqs(self->user.device, NONE | TRIGGER, INTX, 0,
				   1, NULL, 0));
	EXPECT_EQ(0, vfio_set_irqs(self->user.device, NONE | TRIGGER, MSI, 0, 0,
				   NULL, 0));
}

TEST_F(fresh, reset_comes_first)
{
	EXPECT_EQ(0, vfio_ioctl(self->user.device, VFIO_DEVICE_RESET, NULL));
}

TEST_F(fresh, read_and_write_come_first)
{
	__u64 config = (__u64)VFIO_PCI_CONFIG_REGION_INDEX << 40;
	__u8 byte = 'x';
	__u32 id;

	EXPECT_EQ(1, pwrite(self->user.device, &byte, 1, UART_TX));
	byte = 0;
	EXPECT_EQ(1, pread(self->user.device, &byte, 1, UART_RX));
	EXPECT_EQ('x', byte);
	EXPECT_EQ(4, pread(self->user.device, &id, 4, config));
	EXPECT_EQ(0x32534348, id);
}

TEST_HARNESS_MAIN
