/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory of a device: pages that are being pinned, ranges that are being
 * unmapped, and pages that were given back and are not unpinned yet.
 */
#ifndef _MDEV_DMA_H
#define _MDEV_DMA_H

#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct mdev_pin;
struct mdev_use;
struct mdev_vfio;

/* How many records are kept for the next pages that are pinned */
#define MDEV_DMA_SPARES		16

/**
 * struct mdev_dma - a device's guest memory
 * @lock: protects the lists and counts; nothing is taken inside
 * @pins: a record of what is pinned, is being pinned, or was given back and is
 *	not unpinned yet
 * @nr_spares: counts @spares
 * @spares: empty records; freed with the device's use
 * @first_pin: mdev_unmap_now() when the first page was about to be pinned, or 0
 * @last_pin: the same for the page that was pinned last, or is being pinned
 * @bars: ranges that are being unmapped: no page of them can be pinned
 * @unpins: pages that were given back, the oldest first
 * @queued: counts the entries that were added to @unpins
 * @done: counts the entries that were unpinned
 * @closed: the device was closed, and all pages are unpinned: none can be given
 *	back any more
 * @wq: of works that unpin for callers that must not wait; NULL until there is
 *	one
 * @wait: threads that wait for a change of @pins or @done
 */
struct mdev_dma {
	spinlock_t lock; /* all but @wq and @wait */
	struct rb_root_cached pins;
	unsigned int nr_spares;
	struct mdev_pin *spares[MDEV_DMA_SPARES];
	u64 first_pin;
	u64 last_pin;
	struct list_head bars;
	struct list_head unpins;
	unsigned long queued;
	unsigned long done;
	bool closed;
	struct workqueue_struct *wq;
	wait_queue_head_t wait;
};

void mdev_dma_init(struct mdev_dma *dma);
void mdev_dma_free(struct mdev_dma *dma);
void mdev_dma_unmap(struct mdev_vfio *vmdev, u64 iova, u64 length);
void mdev_dma_flush(struct mdev_use *use);
void mdev_dma_kick(struct mdev_use *use);
void mdev_dma_closed(struct mdev_use *use);
bool mdev_dma_wait(struct mdev_use *use, long timeout);
int mdev_dma_init_module(void);
void mdev_dma_exit_module(void);

/* Were pages given back that are not unpinned yet? */
static inline bool mdev_dma_has_unpins(const struct mdev_dma *dma)
{
	return READ_ONCE(dma->queued) != READ_ONCE(dma->done);
}

#endif /* _MDEV_DMA_H */
