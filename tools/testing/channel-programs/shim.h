/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of the kernel that the translator uses, for user space. Included
 * before everything else. The <linux/...> headers that user space lacks are
 * empty.
 */
#ifndef CCW_SHIM_H
#define CCW_SHIM_H

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/const.h>
#include <linux/types.h>

#define u8		__u8
#define u16		__u16
#define u32		__u32
#define u64		__u64
#define gfp_t		unsigned int

#define U8_MAX		UINT8_MAX
#define U16_MAX		UINT16_MAX

#define cpu_to_be16	htobe16
#define cpu_to_be32	htobe32
#define cpu_to_be64	htobe64
#define be16_to_cpu	be16toh
#define be32_to_cpu	be32toh
#define be64_to_cpu	be64toh

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP	__KERNEL_DIV_ROUND_UP
#define min(a, b)	({ __auto_type _a = (a); __auto_type _b = (b); \
			   _a < _b ? _a : _b; })
#define max(a, b)	({ __auto_type _a = (a); __auto_type _b = (b); \
			   _a > _b ? _a : _b; })

#define hweight8(x)	__builtin_popcount((u8)(x))

#define GFP_KERNEL	0U
#define MDEV_GFP_HOLDER	1U
#define GFP_DMA		2U
#define __GFP_ZERO	4U

static inline void sort(void *base, size_t n, size_t size,
			int (*compare)(const void *one, const void *other),
			void (*swap)(void *one, void *other, int len))
{
	(void)swap;
	qsort(base, n, size, compare);
}

/* Memory that a channel can reach has made-up addresses below 2 GiB */
unsigned long __get_free_pages(gfp_t gfp, unsigned int order);
void free_pages(unsigned long addr, unsigned int order);
u32 virt_to_phys(const void *mem);
#define __get_free_page(gfp) __get_free_pages(gfp, 0)
#define free_page(addr)	free_pages(addr, 0)

void *kvzalloc(size_t size, gfp_t gfp);
void *kvmalloc_array(size_t n, size_t size, gfp_t gfp);
void kvfree(const void *mem);

/* For the tests: the memory at the channel's address @addr, or NULL */
void *shim_dma(u32 addr, size_t len);
/* The numbers of allocations so far, and of those not yet freed */
extern unsigned int shim_allocs, shim_live;
/* The number, from 1 on, of the allocation that fails; 0 for none */
extern unsigned int shim_fail_at;

#endif /* CCW_SHIM_H */
