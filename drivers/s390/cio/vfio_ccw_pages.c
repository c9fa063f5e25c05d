// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: reads and pins guest memory
 *
 * All of the driver's accesses to guest memory are in here, so that a cache of
 * pinned pages has one place to go. ccw_cp_uses() knows which pages a program
 * has pinned.
 *
 * Memory may go away while a program is translated. The thread that hears of it
 * does not wait for the translation: it notes the range, and the translation
 * gives up if it has used this memory. Both ranges are from the first to the
 * last address, with all that lies between. So a translation may give up
 * without need; then it is tried again.
 */
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/mdev.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "vfio_ccw_cp.h"
#include "vfio_ccw_pages.h"

/* Addresses; none if @first is behind @last */
struct iova_range {
	u64 first;
	u64 last;
};

static const struct iova_range no_iova_range = { .first = U64_MAX };

/*
 * Used by one call at a time, as the translator's caller sees to. But both
 * threads use @lock and @unmapped, the memory that has gone away since the
 * translation began.
 */
struct vfio_ccw_pages {
	struct mdev_device *mdev;
	spinlock_t lock; /* protects @unmapped */
	struct iova_range unmapped;
	struct iova_range used;
	struct page **pages;	/* CCW_CP_MAX_PIN of them: a page of its own */
};

static void iova_range_add(struct iova_range *range, u64 first, u64 last)
{
	range->first = min(range->first, first);
	range->last = max(range->last, last);
}

/**
 * vfio_ccw_pages_are_unmapped - has memory that a translation used gone away?
 * @pages: the context
 *
 * If so, the translation is of no use, and the pages that it pinned have to be
 * unpinned.
 */
bool vfio_ccw_pages_are_unmapped(struct vfio_ccw_pages *pages)
{
	bool unmapped;

	spin_lock(&pages->lock);
	unmapped = pages->unmapped.first <= pages->used.last &&
		   pages->used.first <= pages->unmapped.last;
	spin_unlock(&pages->lock);
	return unmapped;
}

static bool vfio_ccw_pages_use(struct vfio_ccw_pages *pages, u64 addr,
			       u64 len)
{
	iova_range_add(&pages->used, addr, addr + (len - 1));
	return !vfio_ccw_pages_are_unmapped(pages);
}

static int vfio_ccw_pages_read(void *ctx, u64 addr, void *buf, size_t len)
{
	struct vfio_ccw_pages *pages = ctx;

	if (!vfio_ccw_pages_use(pages, addr, len))
		return -EINTR;
	return mdev_dma_rw(pages->mdev, addr, buf, len, false);
}

static int vfio_ccw_pages_pin(void *ctx, u64 pfn, unsigned int npages,
			      bool write, u64 *host)
{
	int prot = IOMMU_READ | (write ? IOMMU_WRITE : 0);
	struct vfio_ccw_pages *pages = ctx;
	int i, n;

	if (!vfio_ccw_pages_use(pages, pfn << PAGE_SHIFT,
				(u64)npages << PAGE_SHIFT))
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

/* A reference that nobody puts: unpinning leaves the page allocated */
static void vfio_ccw_pages_keep(void *ctx, u64 host)
{
	get_page(pfn_to_page(PHYS_PFN(host)));
}

const struct ccw_cp_mem_ops vfio_ccw_pages_ops = {
	.read	= vfio_ccw_pages_read,
	.pin	= vfio_ccw_pages_pin,
	.unpin	= vfio_ccw_pages_unpin,
	.keep	= vfio_ccw_pages_keep,
};

/**
 * vfio_ccw_pages_alloc - make the context for a device's guest memory
 * @mdev: the device; it has to be open while &vfio_ccw_pages_ops are called
 *
 * Context: may sleep.
 * Return: the context of &vfio_ccw_pages_ops, or NULL if memory is short.
 */
struct vfio_ccw_pages *vfio_ccw_pages_alloc(struct mdev_device *mdev)
{
	struct vfio_ccw_pages *pages =
		kzalloc(sizeof(*pages), MDEV_GFP_HOLDER);

	if (!pages)
		return NULL;
	pages->pages = kcalloc(CCW_CP_MAX_PIN, sizeof(*pages->pages),
			       MDEV_GFP_HOLDER);
	if (!pages->pages) {
		kfree(pages);
		return NULL;
	}
	pages->mdev = mdev;
	spin_lock_init(&pages->lock);
	pages->unmapped = no_iova_range;
	pages->used = no_iova_range;
	return pages;
}

/**
 * vfio_ccw_pages_begin - a translation begins
 * @pages: the context
 */
void vfio_ccw_pages_begin(struct vfio_ccw_pages *pages)
{
	pages->used = no_iova_range;
	spin_lock(&pages->lock);
	pages->unmapped = no_iova_range;
	spin_unlock(&pages->lock);
}

/**
 * vfio_ccw_pages_unmap - guest memory goes away
 * @pages: the context
 * @iova: where it begins
 * @length: how many bytes, which is not 0
 *
 * Context: any thread; does not wait for the one that translates.
 */
void vfio_ccw_pages_unmap(struct vfio_ccw_pages *pages, u64 iova, u64 length)
{
	spin_lock(&pages->lock);
	iova_range_add(&pages->unmapped, iova, iova + (length - 1));
	spin_unlock(&pages->lock);
}

/**
 * vfio_ccw_pages_free - undo vfio_ccw_pages_alloc()
 * @pages: the context or NULL; no page is pinned through it any more
 *
 * Context: any.
 */
void vfio_ccw_pages_free(struct vfio_ccw_pages *pages)
{
	if (!pages)
		return;
	kfree(pages->pages);
	kfree(pages);
}
