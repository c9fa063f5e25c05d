// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory, for parent drivers: pinned by VFIO, or read and written by it.
 *
 * VFIO's type 1 IOMMU pins and unpins under the lock of the container. The
 * holder can keep this lock for as long as it likes. To unmap a range, type 1
 * drops the lock, locks its list of devices, and gives each device a notice.
 * Then it takes the lock again, and looks whether pages are still pinned. If
 * they are for the 12th time, it stops the machine. So
 *
 * - no page of the range can be pinned from the first notice on, until the
 *   system call that unmaps has returned; a pin under way is undone;
 * - each pin is on record, from before it is made until it is undone. A notice
 *   waits until there is no record of the range. It cannot unpin by itself:
 *   another thread that unmaps may have the lock and wait for the list. Works
 *   unpin, one for each piece. All of them stand in line for the lock before
 *   the notice returns, so they get it before VFIO looks again;
 * - a notice that takes too long returns, so that the other thread goes on.
 *   Later ones wait longer, and the last one waits for ever: see mdev_unmap.c.
 *   So no holder and no parent driver can stop the machine.
 *
 * iommufd holds no lock while it gives a notice, and gives only one when the
 * holder detaches the device. So no notice of iommufd's returns before the
 * range is settled. iommufd unpins exactly the pages that one call has pinned.
 * So pages are pinned one at a time, and a parent driver may give back any of
 * them.
 */
#include <linux/anon_inodes.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/interval_tree_generic.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "mdev_iommufd.h"
#include "mdev_unmap.h"
#include "mdev_vfio.h"

/* How often a parent driver is asked again for pages that are still pinned */
#define ASK_AGAIN	(HZ / 500 ?: 1)

/* How many records of a range are searched for a page that was pinned long ago */
#define MAX_SEARCHED	64

/* How many works of one device may stand in line for VFIO's lock */
#define MAX_WORKS	256

/**
 * struct mdev_pin - consecutive pages that are pinned, or are being pinned
 * @rb: in the device's tree, by address; a page that was pinned twice is in two
 * @start: the first address
 * @last: the last one
 * @subtree_last: the tree's
 * @stamp: mdev_unmap_now() when they were pinned
 * @busy: it belongs to the thread that pins, which may still undo it
 */
struct mdev_pin {
	struct rb_node rb;
	u64 start;
	u64 last;
	u64 subtree_last;
	u64 stamp;
	bool busy;
};

#define PIN_START(pin)	((pin)->start)
#define PIN_LAST(pin)	((pin)->last)

INTERVAL_TREE_DEFINE(struct mdev_pin, rb, u64, subtree_last, PIN_START,
		     PIN_LAST, static, mdev_pin_tree)

/**
 * struct mdev_unpin - pages that were given back
 * @node: in the device's list, until a thread or a work takes it
 * @work: unpins it
 * @use: of the device
 * @iova: the first page's address
 * @npage: how many
 */
struct mdev_unpin {
	struct list_head node;
	struct work_struct work;
	struct mdev_use *use;
	dma_addr_t iova;
	int npage;
};

/**
 * struct mdev_bar - no page of a range can be pinned: a system call unmaps it
 * @node: in the device's list, under its lock
 * @unmap: the system call
 * @unmap_node: in its list
 * @use: of the device; a reference is held
 * @iova: the first address, and
 * @last: the last one, of all ranges that notices named: all of them are within
 *	the range that the caller unmaps; or of all memory
 * @notice_iova: the range of the latest notice, and
 * @notice_last: its last address
 * @seen: see mdev_unmap_count()
 */
struct mdev_bar {
	struct list_head node;
	struct mdev_unmap *unmap;
	struct list_head unmap_node;
	struct mdev_use *use;
	u64 iova;
	u64 last;
	u64 notice_iova;
	u64 notice_last;
	struct mdev_unmap_seen seen;
};

/* For devices that have no queue of their own, because memory was short */
static struct workqueue_struct *mdev_dma_wq;

static bool mdev_dma_is_barred(const struct mdev_dma *dma, u64 start, u64 last)
{
	const struct mdev_bar *bar;

	list_for_each_entry(bar, &dma->bars, node)
		if (start <= bar->last && bar->iova <= last)
			return true;
	return false;
}

/* The record is empty: keep it for other pages, or free it */
static void mdev_pin_put(struct mdev_dma *dma, struct mdev_pin *pin)
{
	lockdep_assert_held(&dma->lock);

	if (dma->nr_spares < MDEV_DMA_SPARES)
		dma->spares[dma->nr_spares++] = pin;
	else
		kfree(pin);
}

/* Put on record that a range is being pinned, unless it is being unmapped */
static struct mdev_pin *mdev_pin_begin(struct mdev_dma *dma, u64 start,
				       u64 last)
{
	struct mdev_pin *pin;

	spin_lock(&dma->lock);
	if (dma->nr_spares) {
		pin = dma->spares[--dma->nr_spares];
	} else {
		spin_unlock(&dma->lock);
		pin = kmalloc(sizeof(*pin), MDEV_GFP_HOLDER);
		if (!pin)
			return ERR_PTR(-ENOMEM);
		spin_lock(&dma->lock);
	}
	pin->start = start;
	pin->last = last;
	pin->busy = true;
	dma->last_pin = mdev_unmap_now();
	if (!dma->first_pin)
		dma->first_pin = dma->last_pin;
	if (mdev_dma_is_barred(dma, start, last)) {
		mdev_pin_put(dma, pin);
		pin = ERR_PTR(-EINVAL);
	} else {
		mdev_pin_tree_insert(pin, &dma->pins);
	}
	spin_unlock(&dma->lock);
	return pin;
}

/* @npage were pinned. Returns whether the caller has to unpin them */
static bool mdev_pin_end(struct mdev_dma *dma, struct mdev_pin *pin, int npage)
{
	u64 last = pin->start + (u64)npage * PAGE_SIZE - 1;
	bool barred;

	spin_lock(&dma->lock);
	if (last != pin->last) {
		mdev_pin_tree_remove(pin, &dma->pins);
		pin->last = last;
		mdev_pin_tree_insert(pin, &dma->pins);
	}
	barred = mdev_dma_is_barred(dma, pin->start, pin->last);
	pin->busy = barred;
	pin->stamp = mdev_unmap_now();
	dma->last_pin = pin->stamp;
	spin_unlock(&dma->lock);
	return barred;
}

/* No page of the record is pinned any more */
static void mdev_pin_drop(struct mdev_dma *dma, struct mdev_pin *pin)
{
	bool wake;

	spin_lock(&dma->lock);
	mdev_pin_tree_remove(pin, &dma->pins);
	mdev_pin_put(dma, pin);
	wake = !list_empty(&dma->bars);
	spin_unlock(&dma->lock);
	if (wake)
		wake_up_all(&dma->wait);
}

/* The first record in the range whose pages may be given back */
static struct mdev_pin *mdev_pin_find(struct mdev_dma *dma, u64 start, u64 last)
{
	struct mdev_pin *pin = mdev_pin_tree_iter_first(&dma->pins, start, last);

	while (pin && pin->busy)
		pin = mdev_pin_tree_iter_next(pin, start, last);
	return pin;
}

/* Does a part of @pin stay on either side of the range? */
static bool mdev_pin_is_split(const struct mdev_pin *pin, u64 start, u64 last)
{
	return pin->start < start && last < pin->last;
}

/*
 * Take a range out of @pin; @rest is for the part behind it if @pin is split.
 * Returns whether that was used.
 */
static bool mdev_pin_cut(struct mdev_dma *dma, struct mdev_pin *pin, u64 start,
			 u64 last, struct mdev_pin *rest)
{
	bool split = mdev_pin_is_split(pin, start, last);

	mdev_pin_tree_remove(pin, &dma->pins);
	if (pin->start >= start && pin->last <= last) {
		mdev_pin_put(dma, pin);
		return false;
	}
	if (split) {
		rest->start = last + 1;
		rest->last = pin->last;
		rest->stamp = pin->stamp;
		rest->busy = false;
		mdev_pin_tree_insert(rest, &dma->pins);
	}
	if (pin->start < start)
		pin->last = start - 1;
	else
		pin->start = last + 1;
	mdev_pin_tree_insert(pin, &dma->pins);
	return split;
}

/* The range was unpinned once: take each of its pages out of one record */
static void mdev_pin_forget(struct mdev_dma *dma, u64 start, u64 last)
{
	struct mdev_pin *pin, *rest = NULL;
	bool wake;
	u64 end;

	spin_lock(&dma->lock);
	while ((pin = mdev_pin_find(dma, start, last))) {
		if (!rest && mdev_pin_is_split(pin, start, last)) {
			spin_unlock(&dma->lock);
			rest = kmalloc(sizeof(*rest), GFP_KERNEL | __GFP_NOFAIL);
			spin_lock(&dma->lock);
			continue;
		}
		start = max(start, pin->start);
		end = min(last, pin->last);
		if (mdev_pin_cut(dma, pin, start, end, rest))
			rest = NULL;
		if (end == last)
			break;
		start = end + 1;
	}
	wake = !list_empty(&dma->bars);
	spin_unlock(&dma->lock);
	kfree(rest);
	if (wake)
		wake_up_all(&dma->wait);
}

/* If a range is not mapped, iommufd gives another error than type 1 */
static int mdev_dma_errno(int ret)
{
	return ret == -ENOENT ? -EINVAL : ret;
}

/* At most VFIO_PIN_PAGES_MAX_ENTRIES */
static void mdev_vfio_unpin(struct vfio_device *vdev, dma_addr_t iova,
			    int npage)
{
	if (mdev_iommufd_is_used(vdev))
		mdev_iommufd_unpin(vdev, iova, npage);
	else
		vfio_unpin_pages(vdev, iova, npage);
}

static int mdev_vfio_pin(struct vfio_device *vdev, dma_addr_t iova, int npage,
			 int prot, struct page **pages)
{
	if (mdev_iommufd_is_used(vdev))
		return mdev_dma_errno(mdev_iommufd_pin(vdev, iova, npage, prot,
						       pages));
	return vfio_pin_pages(vdev, iova, npage, prot, pages);
}

static int mdev_vfio_rw(struct vfio_device *vdev, dma_addr_t iova, void *data,
			size_t len, bool write)
{
	if (mdev_iommufd_is_used(vdev))
		return mdev_dma_errno(mdev_iommufd_rw(vdev, iova, data, len,
						      write));
	return vfio_dma_rw(vdev, iova, data, len, write);
}

/* The first and the last address of some pages */
static int mdev_dma_range(dma_addr_t iova, int npage, u64 *start, u64 *last)
{
	*start = iova;
	if (npage <= 0 || check_add_overflow(*start, (u64)npage * PAGE_SIZE - 1,
					     last))
		return -EINVAL;
	return 0;
}

/**
 * mdev_pin_pages - pin consecutive pages of guest memory
 * @mdev: the device, which is open
 * @iova: the address of the first page, as the holder mapped it
 * @npage: how many; at most VFIO_PIN_PAGES_MAX_ENTRIES
 * @prot: IOMMU_READ, IOMMU_WRITE or both: what the device does to them
 * @pages: the pages, on success
 *
 * Context: process context, may sleep, and wait for user space: see
 * mdev_wait_begin(). Between the return of the open callback and the call of
 * the release or revoke callback.
 * Return: @npage, or less if only that many could be pinned, or a negative
 * errno: -EOPNOTSUPP if the parent driver has no dma_unmap callback, -ENODEV
 * if the device is not open, -EINVAL if a page is not mapped or is being
 * unmapped, or what else vfio_pin_pages() gives.
 */
int mdev_pin_pages(struct mdev_device *mdev, dma_addr_t iova, int npage,
		   int prot, struct page **pages)
{
	struct mdev_vfio *vmdev = mdev->vmdev;
	struct mdev_pin *pin;
	struct mdev_dma *dma;
	u64 start, last;
	int ret;

	if (!vmdev || !mdev_is_held(mdev))
		return -ENODEV;
	/* Without dma_unmap it would not hear that the range goes away */
	if (!vmdev->pins)
		return -EOPNOTSUPP;
	ret = mdev_dma_range(iova, npage, &start, &last);
	if (ret)
		return ret;
	dma = &vmdev->use->dma;
	pin = mdev_pin_begin(dma, start, last);
	if (IS_ERR(pin))
		return PTR_ERR(pin);

	ret = mdev_vfio_pin(&vmdev->vdev, iova, npage, prot, pages);
	if (ret > 0 && mdev_pin_end(dma, pin, ret)) {
		mdev_vfio_unpin(&vmdev->vdev, iova, ret);
		ret = -EINVAL;
	}
	if (ret <= 0)
		mdev_pin_drop(dma, pin);
	return ret;
}
EXPORT_SYMBOL_GPL(mdev_pin_pages);

static void mdev_unpin_now(struct mdev_use *use, dma_addr_t iova, int npage)
{
	int n;

	for (; npage > 0; npage -= n, iova += (dma_addr_t)n * PAGE_SIZE) {
		n = min_t(int, npage, VFIO_PIN_PAGES_MAX_ENTRIES);
		mdev_vfio_unpin(&use->vmdev->vdev, iova, n);
		mdev_pin_forget(&use->dma, iova,
				iova + (u64)n * PAGE_SIZE - 1);
	}
}

/* Add the pages to those that were given back just before, if they adjoin */
static bool mdev_unpin_merge(struct mdev_dma *dma, dma_addr_t iova, int npage)
{
	struct mdev_unpin *prev;

	if (list_empty(&dma->unpins))
		return false;
	prev = list_last_entry(&dma->unpins, struct mdev_unpin, node);
	if (prev->iova + (dma_addr_t)prev->npage * PAGE_SIZE != iova ||
	    npage > VFIO_PIN_PAGES_MAX_ENTRIES - prev->npage)
		return false;
	prev->npage += npage;
	return true;
}

static void mdev_unpin_done(struct mdev_unpin *unpin)
{
	struct mdev_use *use = unpin->use;
	struct mdev_dma *dma = &use->dma;

	mdev_unpin_now(use, unpin->iova, unpin->npage);
	kfree(unpin);
	/* Wake under the lock: the device may be gone when it is dropped */
	spin_lock(&dma->lock);
	WRITE_ONCE(dma->done, dma->done + 1);
	wake_up_all(&dma->wait);
	spin_unlock(&dma->lock);
}

static void mdev_unpin_work(struct work_struct *work)
{
	mdev_unpin_done(container_of(work, struct mdev_unpin, work));
}

static void mdev_unpin_later(struct mdev_use *use, dma_addr_t iova, int npage)
{
	struct mdev_dma *dma = &use->dma;
	struct mdev_unpin *unpin;

	/* No failure: else the holder's page would stay pinned */
	unpin = kmalloc(sizeof(*unpin), GFP_KERNEL | __GFP_NOFAIL);
	INIT_WORK(&unpin->work, mdev_unpin_work);
	unpin->use = use;
	unpin->iova = iova;
	unpin->npage = npage;

	spin_lock(&dma->lock);
	if (dma->closed || mdev_unpin_merge(dma, iova, npage)) {
		spin_unlock(&dma->lock);
		kfree(unpin);
		return;
	}
	list_add_tail(&unpin->node, &dma->unpins);
	WRITE_ONCE(dma->queued, dma->queued + 1);
	spin_unlock(&dma->lock);
}

static struct mdev_unpin *mdev_unpin_first(struct mdev_dma *dma)
{
	struct mdev_unpin *unpin;

	spin_lock(&dma->lock);
	unpin = list_first_entry_or_null(&dma->unpins, struct mdev_unpin, node);
	if (unpin)
		list_del(&unpin->node);
	spin_unlock(&dma->lock);
	return unpin;
}

/**
 * mdev_dma_flush - unpin what was given back
 * @use: of the device, which is open
 *
 * Context: outside of the gate: VFIO may let it wait for the holder.
 */
void mdev_dma_flush(struct mdev_use *use)
{
	struct mdev_unpin *unpin;

	while ((unpin = mdev_unpin_first(&use->dma)))
		mdev_unpin_done(unpin);
}

/* A queue of the device's own: its holder can make only this one wait */
static struct workqueue_struct *mdev_dma_queue(struct mdev_dma *dma)
{
	struct workqueue_struct *wq = READ_ONCE(dma->wq);

	if (wq)
		return wq;
	wq = alloc_workqueue("mdev_unpin", WQ_UNBOUND, MAX_WORKS);
	if (!wq)
		return mdev_dma_wq;
	if (!cmpxchg(&dma->wq, NULL, wq))
		return wq;
	destroy_workqueue(wq);
	return READ_ONCE(dma->wq);
}

/**
 * mdev_dma_kick - have works unpin what was given back
 * @use: of the device, which is open
 *
 * Context: process context; does not wait for the holder.
 */
void mdev_dma_kick(struct mdev_use *use)
{
	struct mdev_unpin *unpin;

	while ((unpin = mdev_unpin_first(&use->dma)))
		queue_work(mdev_dma_queue(&use->dma), &unpin->work);
}

/**
 * mdev_unpin_pages - undo mdev_pin_pages()
 * @mdev: the device
 * @iova: the address of the first page
 * @npage: how many
 *
 * Does nothing if the device is not open: then no page is pinned. In the read,
 * write, ioctl, dma_unmap, release and revoke callbacks it does not wait: the
 * pages are unpinned when the callback has returned. Elsewhere, and between
 * mdev_wait_begin() and mdev_wait_end(), it may wait for user space. So the
 * release and revoke callbacks must not wait for a thread of the parent
 * driver's that calls it.
 *
 * Context: as for mdev_pin_pages(), in the release and revoke callbacks, and in
 * a call that was revoked.
 */
void mdev_unpin_pages(struct mdev_device *mdev, dma_addr_t iova, int npage)
{
	struct mdev_vfio *vmdev = mdev->vmdev;
	bool revokes, unmaps;
	struct mdev_use *use;
	u64 start, last;

	/* The device is still open for a call that was revoked */
	if (!vmdev || (!READ_ONCE(vmdev->closing) && !mdev_is_in_use(mdev)) ||
	    WARN_ON_ONCE(mdev_dma_range(iova, npage, &start, &last)))
		return;

	use = vmdev->use;
	if (!use)
		return;
	revokes = READ_ONCE(use->revoker) == current;
	unmaps = !list_empty_careful(&use->dma.bars);
	if (!revokes && !unmaps && !pagefault_disabled()) {
		mdev_unpin_now(use, iova, npage);
		return;
	}
	mdev_unpin_later(use, iova, npage);
	/* The framework does this after a callback; here there is none */
	if (!revokes && !pagefault_disabled())
		mdev_dma_kick(use);
}
EXPORT_SYMBOL_GPL(mdev_unpin_pages);

/**
 * mdev_dma_wait - wait until all that was given back is unpinned
 * @use: of the device
 * @timeout: how long at most, in jiffies
 *
 * Return: whether it is.
 */
bool mdev_dma_wait(struct mdev_use *use, long timeout)
{
	struct mdev_dma *dma = &use->dma;

	return wait_event_idle_timeout(dma->wait, !mdev_dma_has_unpins(dma),
				       timeout);
}

/* A reference to @unmap is given back. The last one lifts its bars */
static void mdev_bars_put(struct mdev_unmap *unmap)
{
	struct mdev_bar *bar, *next;

	if (!mdev_unmap_put(unmap))
		return;
	list_for_each_entry_safe(bar, next, &unmap->bars, unmap_node) {
		spin_lock(&bar->use->dma.lock);
		list_del(&bar->node);
		spin_unlock(&bar->use->dma.lock);
		/* Pairs with refcount_inc() in mdev_bar_new() */
		mdev_use_put(bar->use);
		kfree(bar);
	}
	mdev_unmap_free(unmap);
}

static int mdev_bars_release(struct inode *inode, struct file *file)
{
	mdev_bars_put(file->private_data);
	return 0;
}

static const struct file_operations mdev_bars_fops = {
	.owner		= THIS_MODULE,
	.release	= mdev_bars_release,
};

static struct file *mdev_bars_file(struct mdev_unmap *unmap)
{
	return anon_inode_getfile("[mdev-unmap]", &mdev_bars_fops, unmap,
				  O_RDONLY);
}

struct mdev_file_job {
	struct work_struct work;
	struct mdev_unmap *unmap;
	struct file *file;
};

static void mdev_file_work(struct work_struct *work)
{
	struct mdev_file_job *job = container_of(work, struct mdev_file_job,
						 work);

	job->file = mdev_bars_file(job->unmap);
}

/* The limits of the holder's memory and files do not hold for a work */
static struct file *mdev_bars_file_by_work(struct mdev_unmap *unmap)
{
	struct mdev_file_job job = { .unmap = unmap };

	INIT_WORK_ONSTACK(&job.work, mdev_file_work);
	queue_work(system_unbound_wq, &job.work);
	flush_work(&job.work);
	destroy_work_on_stack(&job.work);
	return job.file;
}

/*
 * Lift the bars of @unmap when this thread returns to user space: the kernel
 * closes files then. VFIO does not tell when it has unmapped the range. No
 * failure: else its pages could be pinned, or never be pinned again.
 */
static void mdev_bars_lift_at_exit(struct mdev_unmap *unmap)
{
	struct file *file = mdev_bars_file(unmap);

	while (IS_ERR(file)) {
		file = mdev_bars_file_by_work(unmap);
		if (IS_ERR(file))
			schedule_timeout_idle(1);
	}
	fput(file);
}

/* The record of this thread's system call, with a reference */
static struct mdev_unmap *mdev_bars_get(void)
{
	struct mdev_unmap *unmap = mdev_unmap_find();

	if (unmap)
		return unmap;
	unmap = mdev_unmap_new();
	mdev_bars_lift_at_exit(unmap);
	return unmap;
}

static struct mdev_bar *mdev_bar_new(struct mdev_unmap *unmap,
				     struct mdev_use *use, u64 iova, u64 last)
{
	struct mdev_bar *bar = kzalloc(sizeof(*bar), GFP_KERNEL | __GFP_NOFAIL);

	refcount_inc(&use->refs);
	bar->use = use;
	bar->unmap = unmap;
	bar->iova = iova;
	bar->last = last;
	list_add(&bar->unmap_node, &unmap->bars);
	return bar;
}

static struct mdev_bar *mdev_bar_find(struct mdev_dma *dma,
				      const struct mdev_unmap *unmap)
{
	struct mdev_bar *bar;

	lockdep_assert_held(&dma->lock);

	list_for_each_entry(bar, &dma->bars, node)
		if (bar->unmap == unmap)
			return bar;
	return NULL;
}

/* Was a page of the range pinned before @time, and still is? */
static bool mdev_dma_has_old_pin(struct mdev_dma *dma, u64 start, u64 last,
				 u64 time)
{
	struct mdev_pin *pin = mdev_pin_tree_iter_first(&dma->pins, start, last);
	int i;

	lockdep_assert_held(&dma->lock);

	for (i = 0; pin && i < MAX_SEARCHED; i++) {
		if (!pin->busy && pin->stamp < time)
			return true;
		pin = mdev_pin_tree_iter_next(pin, start, last);
	}
	return false;
}

/* What a notice of @bar's device says of its range */
static enum mdev_unmap_range mdev_bar_range(struct mdev_dma *dma,
					    const struct mdev_bar *bar,
					    u64 iova, u64 last)
{
	u64 since = bar->unmap->since;

	if (!bar->seen.round)
		return dma->first_pin >= since ? MDEV_UNMAP_JOINED :
						 MDEV_UNMAP_FIRST;
	if (bar->notice_iova == iova && bar->notice_last == last)
		return MDEV_UNMAP_SAME;
	if (mdev_dma_has_old_pin(dma, iova, last, since))
		return MDEV_UNMAP_OLD;
	return dma->last_pin >= since ? MDEV_UNMAP_NEW : MDEV_UNMAP_IDLE;
}

/*
 * A notice: from here on no page of the range can be pinned. Returns whether
 * VFIO can be let look again.
 */
static bool mdev_bar_take_notice(struct mdev_dma *dma, struct mdev_bar *bar,
				 u64 iova, u64 last)
{
	enum mdev_unmap_range range = mdev_bar_range(dma, bar, iova, last);
	bool may_look = mdev_unmap_count(bar->unmap, &bar->seen, range);

	lockdep_assert_held(&dma->lock);

	bar->notice_iova = iova;
	bar->notice_last = last;
	bar->iova = bar->seen.still ? 0 : min(bar->iova, iova);
	bar->last = bar->seen.still ? U64_MAX : max(bar->last, last);
	return may_look;
}

/* The bar of a device that is given notice; see mdev_bar_take_notice() */
static struct mdev_bar *mdev_bar_get(struct mdev_unmap *unmap,
				     struct mdev_use *use, u64 iova, u64 last,
				     bool *may_look)
{
	struct mdev_dma *dma = &use->dma;
	struct mdev_bar *bar;

	spin_lock(&dma->lock);
	bar = mdev_bar_find(dma, unmap);
	if (!bar) {
		spin_unlock(&dma->lock);
		bar = mdev_bar_new(unmap, use, iova, last);
		spin_lock(&dma->lock);
		list_add(&bar->node, &dma->bars);
	}
	*may_look = mdev_bar_take_notice(dma, bar, iova, last);
	spin_unlock(&dma->lock);
	return bar;
}

static struct mdev_pin *mdev_pin_first(struct mdev_dma *dma)
{
	struct mdev_pin *pin;

	spin_lock(&dma->lock);
	pin = mdev_pin_tree_iter_first(&dma->pins, 0, U64_MAX);
	spin_unlock(&dma->lock);
	return pin;
}

/*
 * Unpin the pages that the parent driver has forgotten: there is no other
 * record of them. Its module may be gone by now. The log names the device's
 * type, whose name begins with the driver's.
 */
static void mdev_dma_unpin_left(struct mdev_use *use)
{
	struct mdev_pin *pin = mdev_pin_first(&use->dma);
	struct mdev_device *mdev = use->vmdev->mdev;

	if (!pin)
		return;
	dev_warn_once(&mdev->dev, "the parent driver of type %s has not unpinned all guest pages; mdev.ko unpins them\n",
		      kobject_name(&mdev->type->kobj));
	for (; pin; pin = mdev_pin_first(&use->dma))
		mdev_unpin_now(use, pin->start,
			       (pin->last - pin->start + 1) >> PAGE_SHIFT);
}

/*
 * A notice of VFIO's may still be under way. The queue is destroyed after this,
 * so pages that the parent driver gives back from here on are not queued.
 * Returns false if pages were given back before.
 */
static bool mdev_dma_close(struct mdev_dma *dma)
{
	spin_lock(&dma->lock);
	dma->closed = !mdev_dma_has_unpins(dma);
	spin_unlock(&dma->lock);
	return dma->closed;
}

/**
 * mdev_dma_closed - the device was closed
 * @use: of the device
 *
 * All pages that were given back are unpinned when this returns: VFIO unpins
 * for open devices only.
 */
void mdev_dma_closed(struct mdev_use *use)
{
	struct mdev_dma *dma = &use->dma;

	do {
		mdev_dma_flush(use);
		mdev_dma_wait(use, MAX_SCHEDULE_TIMEOUT);
	} while (!mdev_dma_close(dma));
	/* Works may still be about to return; all pages are unpinned */
	if (dma->wq)
		destroy_workqueue(dma->wq);
	mdev_dma_unpin_left(use);
}

/* Is there no record of the range that VFIO gave notice of? */
static bool mdev_bar_is_settled(struct mdev_dma *dma,
				const struct mdev_bar *bar)
{
	bool settled;

	spin_lock(&dma->lock);
	settled = !mdev_pin_tree_iter_first(&dma->pins, bar->notice_iova,
					    bar->notice_last);
	spin_unlock(&dma->lock);
	return settled;
}

/* Have the parent driver give back the pages that it has pinned */
static void mdev_bar_notify(struct mdev_vfio *vmdev, const struct mdev_bar *bar)
{
	if (!mdev_call_begin(&vmdev->gate))
		return;
	vmdev->ops->dma_unmap(vmdev->mdev, bar->notice_iova,
			      bar->notice_last - bar->notice_iova + 1);
	mdev_call_end(&vmdev->gate);
	mdev_dma_kick(bar->use);
}

/*
 * Wait until the range is settled, or too much time has passed. A parent driver
 * is asked again: it may not know yet of a page that it has just pinned, or
 * cannot reach it. After a revocation it is not asked: works unpin the pages
 * that the revoke callback gave back.
 */
static void mdev_bar_settle(struct mdev_vfio *vmdev, const struct mdev_bar *bar)
{
	bool is_last = mdev_unmap_is_last(bar->unmap) ||
		       mdev_iommufd_is_used(&vmdev->vdev);
	unsigned long end = jiffies + mdev_unmap_patience(bar->unmap);
	struct mdev_dma *dma = &bar->use->dma;

	for (;;) {
		mdev_bar_notify(vmdev, bar);
		if (wait_event_idle_timeout(dma->wait,
					    mdev_bar_is_settled(dma, bar),
					    ASK_AGAIN))
			return;
		if (!is_last && time_after(jiffies, end))
			return;
	}
}

/*
 * If this returned, VFIO could find pages again, and stop the machine. The
 * holder keeps this thread, its container and their devices until the machine
 * goes down.
 */
static void mdev_bar_never_return(struct mdev_vfio *vmdev)
{
	dev_warn(&vmdev->mdev->dev, "%s (pid %d) cannot finish an unmap of guest memory: devices are opened again and again to pin it, and VFIO would stop the machine\n",
		 current->comm, task_tgid_nr(current));
	for (;;)
		schedule_timeout_idle(MAX_SCHEDULE_TIMEOUT);
}

/**
 * mdev_dma_unmap - VFIO tells that a range of guest memory goes away
 * @vmdev: the device
 * @iova: the first address
 * @length: how many bytes
 *
 * Context: process context, type 1's list of devices is locked.
 */
void mdev_dma_unmap(struct mdev_vfio *vmdev, u64 iova, u64 length)
{
	struct mdev_unmap *unmap;
	struct mdev_use *use;
	struct mdev_bar *bar;
	bool may_look;

	/*
	 * No page is pinned if the parent driver cannot pin, or if the device
	 * is not open. After a revocation VFIO still gives notices, and the
	 * driver may be gone
	 */
	if (!vmdev->pins)
		return;
	use = mdev_use_get(vmdev);
	if (!use)
		return;
	unmap = mdev_bars_get();
	bar = mdev_bar_get(unmap, use, iova, iova + (length - 1), &may_look);
	mdev_bar_settle(vmdev, bar);
	if (!may_look)
		mdev_bar_never_return(vmdev);
	mdev_bars_put(unmap);
	mdev_use_put(use);
}

/**
 * mdev_dma_rw - read or write guest memory by the CPU
 * @mdev: the device, which is open
 * @iova: the address of the first byte, as the holder mapped it
 * @data: the kernel's buffer
 * @len: how many bytes
 * @write: from @data to the guest, otherwise from the guest to @data
 *
 * Context: as for mdev_pin_pages().
 * Return: 0 or a negative errno: -ENODEV if the device is not open, or what
 * vfio_dma_rw() gives.
 */
int mdev_dma_rw(struct mdev_device *mdev, dma_addr_t iova, void *data,
		size_t len, bool write)
{
	struct mdev_vfio *vmdev = mdev->vmdev;

	if (!vmdev || !mdev_is_held(mdev))
		return -ENODEV;
	return mdev_vfio_rw(&vmdev->vdev, iova, data, len, write);
}
EXPORT_SYMBOL_GPL(mdev_dma_rw);

void mdev_dma_init(struct mdev_dma *dma)
{
	spin_lock_init(&dma->lock);
	dma->pins = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&dma->bars);
	INIT_LIST_HEAD(&dma->unpins);
	init_waitqueue_head(&dma->wait);
}

void mdev_dma_free(struct mdev_dma *dma)
{
	while (dma->nr_spares)
		kfree(dma->spares[--dma->nr_spares]);
}

int mdev_dma_init_module(void)
{
	mdev_dma_wq = alloc_workqueue("mdev_unpin", WQ_UNBOUND | WQ_MEM_RECLAIM,
				      WQ_UNBOUND_MAX_ACTIVE);
	return mdev_dma_wq ? 0 : -ENOMEM;
}

void mdev_dma_exit_module(void)
{
	destroy_workqueue(mdev_dma_wq);
}
