// SPDX-License-Identifier: GPL-2.0-only
/* Allocates memory, as the kernel does for the translator */
#include <stdio.h>

#include "shim.h"

#define DMA_BASE	0x10000000U
#define DMA_MAX		128
/* A gap behind each allocation, so that an access beyond its end fails */
#define DMA_STEP	0x10000U

unsigned int shim_allocs, shim_live, shim_fail_at;

static struct {
	void *mem;
	size_t size;
} dma[DMA_MAX];

static bool fails(gfp_t gfp)
{
	/* The holder's cgroup is charged for it */
	if (!(gfp & MDEV_GFP_HOLDER))
		abort();
	shim_allocs++;
	return shim_fail_at && !--shim_fail_at;
}

unsigned long __get_free_pages(gfp_t gfp, unsigned int order)
{
	size_t size = 4096UL << order;
	int i = 0;

	if (fails(gfp))
		return 0;
	/* The channel reaches only memory that is allocated with GFP_DMA */
	if (!(gfp & GFP_DMA))
		abort();
	while (dma[i].mem)
		if (++i == DMA_MAX)
			abort();
	dma[i].mem = aligned_alloc(4096, size);
	if (!dma[i].mem)
		abort();
	dma[i].size = size;
	memset(dma[i].mem, gfp & __GFP_ZERO ? 0 : 0xa5, size);
	shim_live++;
	return (unsigned long)dma[i].mem;
}

void free_pages(unsigned long addr, unsigned int order)
{
	int i = 0;

	if (!addr)
		return;
	while (dma[i].mem != (void *)addr)
		if (++i == DMA_MAX)
			abort();
	if (dma[i].size != 4096UL << order)
		abort();
	free(dma[i].mem);
	dma[i].mem = NULL;
	shim_live--;
}

u32 virt_to_phys(const void *mem)
{
	int i;

	for (i = 0; i < DMA_MAX; i++)
		if (dma[i].mem && (uintptr_t)mem - (uintptr_t)dma[i].mem <
				  dma[i].size)
			return DMA_BASE + i * DMA_STEP +
			       ((uintptr_t)mem - (uintptr_t)dma[i].mem);
	abort();
}

void *shim_dma(u32 addr, size_t len)
{
	u32 i = (addr - DMA_BASE) / DMA_STEP;
	u32 offset = (addr - DMA_BASE) % DMA_STEP;

	if (addr < DMA_BASE || i >= DMA_MAX || !dma[i].mem ||
	    offset + len > dma[i].size)
		return NULL;
	return (u8 *)dma[i].mem + offset;
}

void *kvzalloc(size_t size, gfp_t gfp)
{
	if (fails(gfp))
		return NULL;
	shim_live++;
	return calloc(1, size);
}

void *kvmalloc_array(size_t n, size_t size, gfp_t gfp)
{
	if (fails(gfp))
		return NULL;
	shim_live++;
	return malloc(n * size);
}

void kvfree(const void *mem)
{
	if (!mem)
		return;
	shim_live--;
	free((void *)mem);
}
