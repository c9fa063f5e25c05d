/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls that describe a device. Each one fills in a structure that begins
 * with argsz. All devices must handle argsz and the memory in the same way.
 */
#ifndef SELFTESTS_MDEV_QUERIES_H
#define SELFTESTS_MDEV_QUERIES_H

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib.h"

#define QUERY_JUNK	0xa5

static const struct query {
	const char *name;
	unsigned long cmd;
	size_t minsz;
} queries[] = {
	{
		"VFIO_DEVICE_GET_INFO", VFIO_DEVICE_GET_INFO,
		offsetof(struct vfio_device_info, num_irqs) + sizeof(__u32),
	}, {
		"VFIO_DEVICE_GET_REGION_INFO", VFIO_DEVICE_GET_REGION_INFO,
		offsetof(struct vfio_region_info, offset) + sizeof(__u64),
	}, {
		"VFIO_DEVICE_GET_IRQ_INFO", VFIO_DEVICE_GET_IRQ_INFO,
		offsetof(struct vfio_irq_info, count) + sizeof(__u32),
	},
};

#define for_each_query(query)						\
	for (query = queries; query < queries + ARRAY_SIZE(queries); query++)

/* Fills in the argument, for the first region and the first interrupt */
static inline void query_fill(char *arg, size_t size, __u32 argsz)
{
	memset(arg, 0, size);
	memcpy(arg, &argsz, sizeof(argsz));
}

static inline void
expect_short_queries_fail(struct __test_metadata *_metadata, int device)
{
	const struct query *query;
	char before[64];
	char arg[64];
	__u32 argsz;

	for_each_query(query) {
		for (argsz = 0; argsz < query->minsz; argsz++) {
			query_fill(arg, sizeof(arg), argsz);
			memcpy(before, arg, sizeof(arg));
			EXPECT_EQ(-EINVAL, vfio_ioctl(device, query->cmd, arg)) {
				TH_LOG("%s, argsz %u", query->name, argsz);
			}
			EXPECT_EQ(0, memcmp(before, arg, sizeof(arg)));
		}
	}
}

/* @end: the end of mapped memory */
static inline void expect_exact_queries(struct __test_metadata *_metadata,
					int device, char *end)
{
	const struct query *query;

	for_each_query(query) {
		query_fill(end - query->minsz, query->minsz, query->minsz);
		EXPECT_EQ(0, vfio_ioctl(device, query->cmd,
					end - query->minsz)) {
			TH_LOG("%s", query->name);
		}
	}
}

static inline void expect_long_query(struct __test_metadata *_metadata,
				     int device, const struct query *query,
				     int fill, __u32 argsz)
{
	unsigned char arg[256];
	size_t i;

	memset(arg, fill, sizeof(arg));
	query_fill((char *)arg, query->minsz, argsz);
	EXPECT_EQ(0, vfio_ioctl(device, query->cmd, arg)) {
		TH_LOG("%s, argsz %u", query->name, argsz);
	}
	for (i = query->minsz; i < sizeof(arg); i++) {
		EXPECT_EQ(fill, arg[i]) {
			TH_LOG("%s, argsz %u, byte %zu", query->name, argsz, i);
		}
	}
}

static inline void expect_long_queries(struct __test_metadata *_metadata,
				       int device)
{
	const struct query *query;

	for_each_query(query) {
		expect_long_query(_metadata, device, query, 0,
				  query->minsz + 8);
		expect_long_query(_metadata, device, query, QUERY_JUNK,
				  query->minsz + 8);
		expect_long_query(_metadata, device, query, 0, 256);
		expect_long_query(_metadata, device, query, QUERY_JUNK, ~0U);
	}
}

/* @page: a page. The page after it is not mapped */
static inline void
expect_misplaced_queries_fail(struct __test_metadata *_metadata, int device,
			      char *page)
{
	const size_t page_size = sysconf(_SC_PAGESIZE);
	char *end = page + page_size;
	const struct query *query;

	for_each_query(query) {
		char *arg = end - query->minsz / 2;

		EXPECT_EQ(-EFAULT, vfio_ioctl(device, query->cmd, NULL));
		EXPECT_EQ(-EFAULT, vfio_ioctl(device, query->cmd,
					      bad_address()));
		EXPECT_EQ(-EFAULT, vfio_ioctl(device, query->cmd, end));
		EXPECT_EQ(-EFAULT, vfio_ioctl(device, query->cmd, (void *)-1L));
		/* Half of the argument is mapped */
		query_fill(arg, query->minsz / 2, query->minsz);
		EXPECT_EQ(-EFAULT, vfio_ioctl(device, query->cmd, arg));
		/* The argument is read-only */
		arg = end - query->minsz;
		query_fill(arg, query->minsz, query->minsz);
		ASSERT_EQ(0, mprotect(page, page_size, PROT_READ));
		EXPECT_EQ(-EFAULT, vfio_ioctl(device, query->cmd, arg)) {
			TH_LOG("%s", query->name);
		}
		ASSERT_EQ(0, mprotect(page, page_size, PROT_READ | PROT_WRITE));
	}
}

#endif /* SELFTESTS_MDEV_QUERIES_H */
