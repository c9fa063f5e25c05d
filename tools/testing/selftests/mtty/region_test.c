// SPDX-License-Identifier: GPL-2.0-only
/* Reads and writes of an mtty device's regions, inside and out of bounds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "card.h"

#define GIGABYTE	(1UL << 30)
#define BAR_SIZE	8

FIXTURE(card)
{
	struct card card;
	int ports;
};

FIXTURE_VARIANT(card)
{
	const char *type;
	int ports;
};

FIXTURE_VARIANT_ADD(card, mtty_1)
{
	.type = "mtty-1", .ports = 1,
};

FIXTURE_VARIANT_ADD(card, mtty_2)
{
	.type = "mtty-2", .ports = 2,
};

FIXTURE_SETUP(card)
{
	if (!parent_exists(CARD_PARENT))
		SKIP(return, "no parent " CARD_PARENT);
	ASSERT_EQ(0, card_create(&self->card, variant->type));
}

FIXTURE_TEARDOWN(card)
{
	EXPECT_EQ(0, card_remove(&self->card));
}

static __u64 region(const struct card *card, int index)
{
	struct vfio_region_info info;

	vfio_region(card->user.device, index, &info);
	return info.offset;
}

TEST_F(card, config_space_is_that_of_a_serial_card)
{
	const struct card *card = &self->card;

	EXPECT_EQ(0x32534348, card_config32(card, PCI_VENDOR_ID));
	EXPECT_EQ(0x32534348, card_config32(card, PCI_SUBSYSTEM_VENDOR_ID));
	/* Serial controller, 16550 compatible, revision 0x10 */
	EXPECT_EQ(0x07000210, card_config32(card, PCI_CLASS_REVISION));
	EXPECT_EQ(PCI_HEADER_TYPE_NORMAL,
		  card_config32(card, PCI_CACHE_LINE_SIZE) >> 16 & 0xff);
	/* INTA# */
	EXPECT_EQ(1, card_config32(card, PCI_INTERRUPT_LINE) >> 8 & 0xff);
	EXPECT_EQ(PCI_BASE_ADDRESS_SPACE_IO,
		  card_config32(card, PCI_BASE_ADDRESS_0));
	EXPECT_EQ(variant->ports == 2 ? PCI_BASE_ADDRESS_SPACE_IO : 0,
		  card_config32(card, PCI_BASE_ADDRESS_1));
	EXPECT_EQ(0, card_config32(card, PCI_BASE_ADDRESS_2));
	EXPECT_EQ(0, card_config32(card, PCI_ROM_ADDRESS));
}

TEST_F(card, bars_tell_their_size)
{
	const struct card *card = &self->card;
	int reg;

	for (reg = PCI_BASE_ADDRESS_0; reg <= PCI_BASE_ADDRESS_5; reg += 4) {
		bool there = reg < PCI_BASE_ADDRESS_0 + 4 * variant->ports;

		/* The kernel's own mtty keeps a write to its last BAR */
		if (card->kernels_own && reg == PCI_BASE_ADDRESS_5)
			continue;
		ASSERT_EQ(0, card_set_config32(card, reg, 0xffffffff));
		EXPECT_EQ(there ? (__u32)~(BAR_SIZE - 1) |
				  PCI_BASE_ADDRESS_SPACE_IO : 0,
			  card_config32(card, reg)) {
			TH_LOG("register %#x", reg);
		}
		ASSERT_EQ(0, card_set_config32(card, reg, 0x0000c000));
		EXPECT_EQ(there ? 0xc001 : 0, card_config32(card, reg));
	}
	/* No expansion ROM */
	ASSERT_EQ(0, card_set_config32(card, PCI_ROM_ADDRESS, 0xfffff800));
	EXPECT_EQ(0, card_config32(card, PCI_ROM_ADDRESS));
}

TEST_F(card, config_space_reads_alike_in_any_size)
{
	const struct card *card = &self->card;
	int size = card->config_size;
	__u8 whole[256] = {};
	__u8 part[256];
	int step, i;

	ASSERT_EQ(size, card_read(card, whole, size, card->config));
	for (step = 1; step < 9; step++) {
		memset(part, 0, sizeof(part));
		for (i = 0; i < size; i += step) {
			int len = i + step <= size ? step : size - i;

			ASSERT_EQ(len, card_read(card, part + i, len,
						 card->config + i));
		}
		EXPECT_EQ(0, memcmp(whole, part, size)) {
			TH_LOG("in steps of %d", step);
		}
	}
}

TEST_F(card, identity_cannot_be_written)
{
	const struct card *card = &self->card;
	__u8 ones[64];
	__u8 value;
	int i;

	if (card->kernels_own)
		SKIP(return,
		     CARD_KERNELS_OWN "takes registers at their first byte only");
	memset(ones, 0xff, sizeof(ones));
	ASSERT_EQ((ssize_t)sizeof(ones),
		  card_write(card, ones, sizeof(ones), card->config));
	EXPECT_EQ(0x32534348, card_config32(card, PCI_VENDOR_ID));
	EXPECT_EQ(0x07000210, card_config32(card, PCI_CLASS_REVISION));
	EXPECT_EQ(0x32534348, card_config32(card, PCI_SUBSYSTEM_VENDOR_ID));
	EXPECT_EQ(0, card_config32(card, PCI_BASE_ADDRESS_5));
	EXPECT_EQ(0xff, card_config32(card, PCI_INTERRUPT_LINE) & 0xff);
	EXPECT_EQ(1, card_config32(card, PCI_INTERRUPT_LINE) >> 8 & 0xff);
	/* Behind the header, each byte reads as 0 after a write of ones */
	for (i = 0x80; i < 0x100; i++) {
		ASSERT_EQ(1, card_write(card, ones, 1, card->config + i));
		ASSERT_EQ(1, card_read(card, &value, 1, card->config + i));
		EXPECT_EQ(0, value);
	}
}

TEST_F(card, read_beyond_the_end_fails)
{
	const struct card *card = &self->card;
	const __u64 beyond[] = {
		0, 1, 4, 7, 0xf00, 0x1000, 0x100000, 0xffffffff, 0x100000000,
		(1ULL << 40) - 0x100 - 1,
	};
	__u32 value;
	size_t i;

	if (card->kernels_own)
		SKIP(return, CARD_KERNELS_OWN "answers with kernel memory");
	for (i = 0; i < ARRAY_SIZE(beyond); i++) {
		EXPECT_EQ(-EINVAL, card_read(card, &value, 4, card->config +
					     card->config_size + beyond[i]));
		EXPECT_EQ(-EINVAL, card_read(card, &value, 1, card->config +
					     card->config_size + beyond[i]));
		EXPECT_EQ(-EINVAL, card_read(card, &value, 1, card->bar[0] +
					     BAR_SIZE + beyond[i]));
		EXPECT_EQ(-EINVAL, card_write(card, &value, 4, card->config +
					      card->config_size + beyond[i]));
		EXPECT_EQ(-EINVAL, card_write(card, &value, 1, card->bar[0] +
					      BAR_SIZE + beyond[i]));
	}
}

TEST_F(card, every_read_of_a_page_behind_config_space_fails)
{
	const struct card *card = &self->card;
	__u8 value;
	int i;

	if (card->kernels_own)
		SKIP(return, CARD_KERNELS_OWN "answers with kernel memory");
	for (i = 0x100; i < 0x1000; i++) {
		EXPECT_EQ(-EINVAL, card_read(card, &value, 1,
					     card->config + i));
	}
}

TEST_F(card, region_that_is_not_there_refuses)
{
	const struct card *card = &self->card;
	__u32 value = 0;
	int i;

	if (card->kernels_own)
		SKIP(return,
		     CARD_KERNELS_OWN "accepts accesses to BARs of size 0");
	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		__u64 offset = region(card, i);

		if (i < variant->ports || i == VFIO_PCI_CONFIG_REGION_INDEX)
			continue;
		EXPECT_EQ(-EINVAL, card_read(card, &value, 1, offset)) {
			TH_LOG("region %d", i);
		}
		EXPECT_EQ(-EINVAL, card_read(card, &value, 4, offset + 4));
		EXPECT_EQ(-EINVAL, card_write(card, &value, 1, offset)) {
			TH_LOG("region %d", i);
		}
	}
}

TEST_F(card, offset_beyond_every_region_fails)
{
	const struct card *card = &self->card;
	const __u64 offsets[] = {
		9ULL << 40, 10ULL << 40, 255ULL << 40, 256ULL << 40,
		0x10007ULL << 40, 0x7fffffULL << 40, (1ULL << 63) - 1,
		(1ULL << 63) - 4,
	};
	__u32 value = 0;
	size_t i;

	if (card->kernels_own)
		SKIP(return, CARD_KERNELS_OWN "answers EFAULT");
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		EXPECT_EQ(-EINVAL, card_read(card, &value, 4, offsets[i])) {
			TH_LOG("offset %#llx", offsets[i]);
		}
		EXPECT_EQ(-EINVAL, card_write(card, &value, 4, offsets[i])) {
			TH_LOG("offset %#llx", offsets[i]);
		}
	}
	EXPECT_EQ(-EINVAL, card_read(card, &value, 4, -1));
	EXPECT_EQ(-EINVAL, card_read(card, &value, 4, 1ULL << 63));
}

TEST_F(card, access_ends_with_its_region)
{
	const struct card *card = &self->card;
	__u8 data[32];
	ssize_t i;

	if (card->kernels_own)
		SKIP(return, CARD_KERNELS_OWN "goes on beyond the end");
	memset(data, 0xee, sizeof(data));
	EXPECT_EQ(8, card_read(card, data, sizeof(data), card->config + 0xf8));
	for (i = 8; i < (ssize_t)sizeof(data); i++) {
		EXPECT_EQ(0xee, data[i]);
	}
	EXPECT_EQ(1, card_read(card, data, 4, card->config + 0xff));
	EXPECT_EQ(1, card_read(card, data, 2, card->bar[0] + UART_SCR));
	data[0] = 0x5a;
	EXPECT_EQ(1, card_write(card, data, 2, card->bar[0] + UART_SCR));
	EXPECT_EQ(0x5a, card_in(card, 0, UART_SCR));
	EXPECT_EQ(8, card_write(card, data, sizeof(data), card->config + 0xf8));
	EXPECT_EQ(0x32534348, card_config32(card, PCI_VENDOR_ID));
}

TEST_F(card, access_of_nothing_does_nothing)
{
	const struct card *card = &self->card;

	EXPECT_EQ(0, card_out(card, 0, UART_TX, 'a'));
	EXPECT_EQ(0, card_read(card, bad_address(), 0, card->bar[0]));
	EXPECT_EQ(0, card_write(card, bad_address(), 0, card->bar[0]));
	EXPECT_EQ(0, card_read(card, bad_address(), 0, card->config));
	EXPECT_EQ(0, card_write(card, bad_address(), 0, card->config));
	EXPECT_EQ('a', card_in(card, 0, UART_RX));
}

TEST_F(card, access_of_a_gigabyte_ends_with_its_region)
{
	const struct card *card = &self->card;
	char *data;

	if (card->kernels_own)
		SKIP(return, CARD_KERNELS_OWN "goes on beyond the end");
	/* Only pages that are accessed get allocated */
	data = mmap(NULL, GIGABYTE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)data);
	EXPECT_EQ(BAR_SIZE, card_read(card, data, GIGABYTE, card->bar[0]));
	EXPECT_EQ(256, card_read(card, data, GIGABYTE, card->config));
	EXPECT_EQ(16, card_read(card, data, GIGABYTE, card->config + 0xf0));
	memset(data, 0, 4096);
	EXPECT_EQ(BAR_SIZE, card_write(card, data, GIGABYTE, card->bar[0]));
	EXPECT_EQ(256, card_write(card, data, GIGABYTE, card->config));
	EXPECT_EQ(-EINVAL, card_read(card, data, GIGABYTE, card->config + 256));
	EXPECT_EQ(0x32534348, card_config32(card, PCI_VENDOR_ID));
	EXPECT_EQ(0, munmap(data, GIGABYTE));
}

TEST_F(card, access_at_bad_address_changes_nothing)
{
	const struct card *card = &self->card;

	if (card->kernels_own)
		SKIP(return, CARD_KERNELS_OWN "loses the byte if the read fails");
	EXPECT_EQ(0, card_out(card, 0, UART_TX, 'a'));
	EXPECT_EQ(0, card_out(card, 0, UART_SCR, 0x12));
	EXPECT_EQ(-EFAULT, card_read(card, bad_address(), 1, card->bar[0]));
	EXPECT_EQ(-EFAULT, card_read(card, bad_address(), 4, card->bar[0]));
	EXPECT_EQ(-EFAULT, card_read(card, bad_address(), BAR_SIZE,
				     card->bar[0]));
	EXPECT_EQ(-EFAULT, card_write(card, bad_address(), 1, card->bar[0]));
	EXPECT_EQ(-EFAULT, card_write(card, bad_address(), BAR_SIZE,
				      card->bar[0]));
	EXPECT_EQ(-EFAULT, card_write(card, bad_address(), GIGABYTE,
				      card->bar[0]));
	EXPECT_EQ(-EFAULT, card_read(card, bad_address(), 4, card->config));
	EXPECT_EQ(-EFAULT, card_read(card, bad_address(), 256, card->config));
	EXPECT_EQ(-EFAULT, card_write(card, bad_address(), 4,
				      card->config + PCI_BASE_ADDRESS_0));
	EXPECT_EQ(PCI_BASE_ADDRESS_SPACE_IO,
		  card_config32(card, PCI_BASE_ADDRESS_0));
	EXPECT_EQ(UART_LSR_DR, card_in(card, 0, UART_LSR) & UART_LSR_DR);
	EXPECT_EQ('a', card_in(card, 0, UART_RX));
	EXPECT_EQ(0x12, card_in(card, 0, UART_SCR));
	EXPECT_EQ(0, card_in(card, 0, UART_LSR) & UART_LSR_DR);
}

TEST_F(card, access_half_at_bad_address_fails)
{
	const struct card *card = &self->card;
	size_t page = sysconf(_SC_PAGESIZE);
	char *data = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)data);
	ASSERT_EQ(0, munmap(data + page, page));
	EXPECT_EQ(-EFAULT, card_read(card, data + page - 2, 4, card->config));
	EXPECT_EQ(-EFAULT, card_write(card, data + page - 2, 4,
				      card->config + PCI_BASE_ADDRESS_0));
	EXPECT_EQ(PCI_BASE_ADDRESS_SPACE_IO,
		  card_config32(card, PCI_BASE_ADDRESS_0));
}

TEST_F(card, memory_cannot_be_mapped)
{
	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED,
				   self->card.user.device, self->card.bar[0]));
	if (self->card.kernels_own)
		SKIP(return, CARD_KERNELS_OWN "is not tested for this");
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
