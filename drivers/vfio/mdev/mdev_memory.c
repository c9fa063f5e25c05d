// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory, for parent drivers: pinned by VFIO, or read and written by it.
 * VFIO's type 1 IOMMU may make each of these wait for the user's memory to
 * come, or for another thread that does: under one lock for a container.
 */
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "vfio_mdev.h"

/* Pages that a callback has given back which must not wait for VFIO */
struct mdev_unpin {
	struct list_head node;
	dma_addr_t iova;
	int npage;
};

/**
 * struct mdev_unmap - what one call of dma_unmap gives back
 * @vmdev: the device; close waits for @work
 * @task: the caller
 * @unpins: what it gives back
 * @work: unpins that
 *
 * VFIO has its list of devices locked while it calls, and a thread that has the
 * lock for pinning and unpinning may be waiting for that list: to unpin right
 * there is to wait for ever. A work has no lock, and the call does not wait for
 * it for ever.
 */
struct mdev_unmap {
	struct vfio_mdev *vmdev;
	struct task_struct *task;
	struct list_head unpins;
	struct work_struct work;
};

/* Held to look into another thread's struct mdev_unmap, and to let go of one */
static DEFINE_SPINLOCK(mdev_unmap_lock);

/* There is guest memory only while the mdev is in use */
static struct vfio_mdev *vfio_mdev_in_use(struct mdev_device *mdev)
{
	return READ_ONCE(mdev->use) != MDEV_FREE ? mdev->vmdev : NULL;
}

/**
 * mdev_pin_pages - pin consecutive pages of guest memory
 * @mdev: the device, which is open
 * @iova: the address of the first page, as the user mapped it
 * @npage: how many; at most VFIO_PIN_PAGES_MAX_ENTRIES
 * @prot: IOMMU_READ, IOMMU_WRITE or both: what the device does to them
 * @pages: the pages, on success
 *
 * Context: process context, may sleep, and wait for user space: see
 * mdev_wait_begin(). Between the start of the open callback and the return of
 * the release or revoke callback.
 * Return: @npage, or less where only that many could be pinned, or a negative
 * errno: -EOPNOTSUPP where the parent driver has no dma_unmap callback, -ENODEV
 * where the device is not open, or what vfio_pin_pages() gives.
 */
int mdev_pin_pages(struct mdev_device *mdev, dma_addr_t iova, int npage,
		   int prot, struct page **pages)
{
	struct vfio_mdev *vmdev = vfio_mdev_in_use(mdev);

	if (!vmdev)
		return -ENODEV;
	/*
	 * VFIO's type 1 IOMMU stops the machine when a page is still pinned
	 * after it said that the range goes away: somebody has to hear it.
	 */
	if (!vmdev->ops->dma_unmap)
		return -EOPNOTSUPP;
	return vfio_pin_pages(&vmdev->vdev, iova, npage, prot, pages);
}
EXPORT_SYMBOL_GPL(mdev_pin_pages);

/**
 * mdev_unpin_pages - undo mdev_pin_pages()
 * @mdev: the device
 * @iova: the address of the first page
 * @npage: how many
 *
 * Does nothing where the device is not open: then no page is pinned. In the
 * revoke and dma_unmap callbacks it does not wait: what it is called for is done
 * afterwards.
 *
 * Context: as for mdev_pin_pages(), and in a call that was revoked.
 */
void mdev_unpin_pages(struct mdev_device *mdev, dma_addr_t iova, int npage)
{
	struct vfio_mdev *vmdev = mdev->vmdev;
	struct list_head *later = NULL;
	struct mdev_unmap *unmap;
	struct mdev_unpin *unpin;

	/* A call that was revoked still has the device open */
	if (!vmdev || (!vmdev->shell && !vfio_mdev_in_use(mdev)))
		return;
	if (vmdev->shell && vmdev->shell->revoker == current) {
		later = &vmdev->shell->unpins;
	} else if (READ_ONCE(vmdev->unmap)) {
		spin_lock(&mdev_unmap_lock);
		unmap = vmdev->unmap;
		if (unmap && unmap->task == current)
			later = &unmap->unpins;
		spin_unlock(&mdev_unmap_lock);
	}
	if (!later) {
		vfio_unpin_pages(&vmdev->vdev, iova, npage);
		return;
	}
	unpin = kmalloc(sizeof(*unpin), GFP_KERNEL | __GFP_NOFAIL);
	unpin->iova = iova;
	unpin->npage = npage;
	list_add_tail(&unpin->node, later);
}
EXPORT_SYMBOL_GPL(mdev_unpin_pages);

static void mdev_unpin_list(struct vfio_mdev *vmdev, struct list_head *unpins)
{
	struct mdev_unpin *unpin, *next;

	list_for_each_entry_safe(unpin, next, unpins, node) {
		vfio_unpin_pages(&vmdev->vdev, unpin->iova, unpin->npage);
		kfree(unpin);
	}
	INIT_LIST_HEAD(unpins);
}

/* The shell's work: what mdev_unpin_pages() left for later */
void mdev_unpin_deferred(struct mdev_shell *shell)
{
	mdev_unpin_list(shell->vmdev, &shell->unpins);
}

static void mdev_unmap_free(struct mdev_unmap *unmap)
{
	struct vfio_mdev *vmdev = unmap->vmdev;

	spin_lock(&mdev_unmap_lock);
	/* Close goes on, after which there is no @vmdev: see mdev_unmap_wait() */
	smp_store_release(&vmdev->unmap, NULL);
	spin_unlock(&mdev_unmap_lock);
	kfree(unmap);
}

static void mdev_unmap_work(struct work_struct *work)
{
	struct mdev_unmap *unmap = container_of(work, struct mdev_unmap, work);

	mdev_unpin_list(unmap->vmdev, &unmap->unpins);
	mdev_unmap_free(unmap);
}

/* Nobody tells of the end: it is near, but where somebody waits for user space */
void mdev_unmap_wait(struct vfio_mdev *vmdev, unsigned long timeout)
{
	unsigned long end = jiffies + timeout;

	/* Pairs with smp_store_release() in mdev_unmap_free() */
	while (smp_load_acquire(&vmdev->unmap) && time_before(jiffies, end))
		fsleep(USEC_PER_MSEC / 4);
}

/**
 * mdev_unmap_begin - VFIO calls dma_unmap
 * @vmdev: the device
 *
 * Return: whether the callback is to be called: not, while what an earlier call
 * gave back is not unpinned yet. VFIO calls again.
 */
bool mdev_unmap_begin(struct vfio_mdev *vmdev)
{
	struct mdev_unmap *unmap;

	mdev_unmap_wait(vmdev, UNMAP_WAIT);
	unmap = kzalloc(sizeof(*unmap), GFP_KERNEL | __GFP_NOFAIL);
	unmap->vmdev = vmdev;
	unmap->task = current;
	INIT_LIST_HEAD(&unmap->unpins);
	INIT_WORK(&unmap->work, mdev_unmap_work);
	if (!cmpxchg(&vmdev->unmap, NULL, unmap))
		return true;
	kfree(unmap);
	return false;
}

/* The callback has returned: see that what it gave back is unpinned */
void mdev_unmap_end(struct vfio_mdev *vmdev)
{
	struct mdev_unmap *unmap = vmdev->unmap;

	if (list_empty(&unmap->unpins)) {
		mdev_unmap_free(unmap);
		return;
	}
	/* From now on it is the work's */
	spin_lock(&mdev_unmap_lock);
	unmap->task = NULL;
	spin_unlock(&mdev_unmap_lock);
	mdev_shell_queue(&unmap->work);
	mdev_unmap_wait(vmdev, UNMAP_WAIT);
}

/**
 * mdev_dma_rw - read or write guest memory by the CPU
 * @mdev: the device, which is open
 * @iova: the address of the first byte, as the user mapped it
 * @data: the kernel's buffer
 * @len: how many bytes
 * @write: from @data to the guest, otherwise from the guest to @data
 *
 * Context: as for mdev_pin_pages().
 * Return: 0 or a negative errno: -ENODEV where the device is not open, or what
 * vfio_dma_rw() gives.
 */
int mdev_dma_rw(struct mdev_device *mdev, dma_addr_t iova, void *data,
		size_t len, bool write)
{
	struct vfio_mdev *vmdev = vfio_mdev_in_use(mdev);

	if (!vmdev)
		return -ENODEV;
	return vfio_dma_rw(&vmdev->vdev, iova, data, len, write);
}
EXPORT_SYMBOL_GPL(mdev_dma_rw);
