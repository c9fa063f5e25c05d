// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: reads and pins guest memory
 *
 * All of the driver's dealings with guest memory are in here, so that a cache
 * of pinned pages has one place to go. Which pages a program has pinned is
 * what ccw_cp_uses() knows.
 */
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/mdev.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "vfio_ccw_cp.h"
#include "vfio_ccw_pages.h"

/* Used by one call at a time: those that the translator's caller lets in */
struct vfio_ccw_pages {
	struct mdev_device *mdev;
	const atomic_t *unmaps;
	int seen;
	struct page *pages[CCW_CP_MAX_PIN];
};

/* Since the translation began, memory has gone away that it may have pinned */
static bool vfio_ccw_pages_are_unmapped(const struct vfio_ccw_pages *pages)
{
	return atomic_read(pages->unmaps) != pages->seen;
}

static int vfio_ccw_pages_read(void *ctx, u64 addr, void *buf, size_t len)
{
	struct vfio_ccw_pages *pages = ctx;

	if (vfio_ccw_pages_are_unmapped(pages))
		return -EINTR;
	return mdev_dma_rw(pages->mdev, addr, buf, len, false);
}

static int vfio_ccw_pages_pin(void *ctx, u64 pfn, unsigned int npages,
			      bool write, u64 *host)
{
	int prot = IOMMU_READ | (write ? IOMMU_WRITE : 0);
	struct vfio_ccw_pages *pages = ctx;
	int i, n;

	if (vfio_ccw_pages_are_unmapped(pages))
		return -EINTR;
	n = mdev_pin_pages(pages->mdev, pfn << PAGE_SHIFT, npages, prot,
			   pages->pages);
	if (n < 0)
		return n;
	if (n != npages) {
		if (n)
			mdev_unpin_pages(pages->mdev, pfn << PAGE_SHIFT, n);
		return -EFAULT;
	}
	for (i = 0; i < n; i++)
		host[i] = page_to_phys(pages->pages[i]);
	return 0;
}

static void vfio_ccw_pages_unpin(void *ctx, u64 pfn, unsigned int npages)
{
	struct vfio_ccw_pages *pages = ctx;

	mdev_unpin_pages(pages->mdev, pfn << PAGE_SHIFT, npages);
}

const struct ccw_cp_mem_ops vfio_ccw_pages_ops = {
	.read	= vfio_ccw_pages_read,
	.pin	= vfio_ccw_pages_pin,
	.unpin	= vfio_ccw_pages_unpin,
};

/**
 * vfio_ccw_pages_alloc - make the way to a device's guest memory
 * @mdev: the device; it has to be open while &vfio_ccw_pages_ops are called
 * @unmaps: when it changes, memory is going away, and the calls fail until
 *	vfio_ccw_pages_begin()
 *
 * Context: may sleep.
 * Return: the context of &vfio_ccw_pages_ops, or NULL if memory is short.
 */
struct vfio_ccw_pages *vfio_ccw_pages_alloc(struct mdev_device *mdev,
					    const atomic_t *unmaps)
{
	struct vfio_ccw_pages *pages = kzalloc(sizeof(*pages), GFP_KERNEL);

	if (pages) {
		pages->mdev = mdev;
		pages->unmaps = unmaps;
	}
	return pages;
}

/**
 * vfio_ccw_pages_begin - a translation begins
 * @pages: the context
 */
void vfio_ccw_pages_begin(struct vfio_ccw_pages *pages)
{
	pages->seen = atomic_read(pages->unmaps);
}

/**
 * vfio_ccw_pages_free - undo vfio_ccw_pages_alloc()
 * @pages: the context or NULL; no page is pinned through it any more
 *
 * Context: any.
 */
void vfio_ccw_pages_free(struct vfio_ccw_pages *pages)
{
	kfree(pages);
}
