// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls that unmap guest memory.
 *
 * Type 1 looks whether pages of a mapping are still pinned. If they are, it
 * gives each device of its list a notice, and looks again. It stops the machine
 * if it finds pages of the same mapping for the 12th time. It knows a mapping by
 * its address in the kernel's memory, and counts up to the end of the system
 * call. Between a notice and the look behind it, a holder can
 *
 * - unmap the range from another thread, and map and pin another range, whose
 *   mapping is at the same address;
 * - close a device and open it again, or open another one, and pin the range.
 *
 * So the rounds of notices are counted here for the system call, as VFIO counts
 * looks, and never lower. A page tells whether VFIO began to count anew: a page
 * that was pinned before the first notice, and still is, has a mapping that was
 * there beside all those that VFIO has looked at. So its address is another one.
 *
 * A round that only a new page can have caused is a move of the holder's. After
 * the second one, or after too many looks, the devices that were given notice
 * can pin nothing until the system call ends. Then only devices are left that
 * the holder opens meanwhile. If it pins by such a device, the notice does not
 * return.
 */
#include <linux/atomic.h>
#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "mdev_unmap.h"

/*
 * VFIO stops the machine at the 12th look. The notice behind LAST_LOOK waits as
 * long as it takes. Behind it, there are three more looks at most that find
 * pages: one for the move after which nothing can be pinned, one for devices
 * that were notified before it in its round, and one that escapes the count. A
 * mapping can be replaced between VFIO's first look and the first notice.
 */
#define LAST_LOOK	7

/* How long a first notice waits; each later one waits four times as long */
#define NOTICE_WAIT	(HZ / 100 ?: 1)

/* A holder that unmaps many ranges during its I/O may seem to make one */
#define MAX_MOVES	1

/* Counts what sets a time; pages are stamped with it */
static atomic64_t mdev_unmap_clock = ATOMIC64_INIT(1);

static DEFINE_SPINLOCK(mdev_unmaps_lock);
static DEFINE_HASHTABLE(mdev_unmaps, 8);

/**
 * mdev_unmap_now - the time, for comparison with those of struct mdev_unmap
 *
 * Return: the time, which is not zero.
 */
u64 mdev_unmap_now(void)
{
	return atomic64_read(&mdev_unmap_clock);
}

static unsigned long mdev_unmap_key(const struct pid *thread)
{
	return (unsigned long)thread;
}

/**
 * mdev_unmap_find - the system call of this thread
 *
 * Return: its record, with a reference for mdev_unmap_put(), or NULL.
 */
struct mdev_unmap *mdev_unmap_find(void)
{
	struct pid *thread = task_pid(current);
	struct mdev_unmap *unmap;

	spin_lock(&mdev_unmaps_lock);
	hash_for_each_possible(mdev_unmaps, unmap, node,
			       mdev_unmap_key(thread)) {
		if (unmap->thread != thread)
			continue;
		refcount_inc(&unmap->refs);
		spin_unlock(&mdev_unmaps_lock);
		return unmap;
	}
	spin_unlock(&mdev_unmaps_lock);
	return NULL;
}

/**
 * mdev_unmap_new - make a record of the system call of this thread
 *
 * Return: the record, with two references for mdev_unmap_put(): that of the
 * system call, and that of the caller.
 */
struct mdev_unmap *mdev_unmap_new(void)
{
	struct mdev_unmap *unmap = kzalloc(sizeof(*unmap),
					   GFP_KERNEL | __GFP_NOFAIL);

	refcount_set(&unmap->refs, 2);
	/* Pairs with put_pid() in mdev_unmap_free() */
	unmap->thread = get_pid(task_pid(current));
	INIT_LIST_HEAD(&unmap->bars);
	unmap->since = atomic64_inc_return(&mdev_unmap_clock);
	spin_lock(&mdev_unmaps_lock);
	hash_add(mdev_unmaps, &unmap->node, mdev_unmap_key(unmap->thread));
	spin_unlock(&mdev_unmaps_lock);
	return unmap;
}

/**
 * mdev_unmap_put - give back a reference
 * @unmap: the record of a system call
 *
 * Return: whether it was the last one: then mdev_unmap_free() has to follow,
 * when the bars are gone.
 */
bool mdev_unmap_put(struct mdev_unmap *unmap)
{
	bool last;

	spin_lock(&mdev_unmaps_lock);
	last = refcount_dec_and_test(&unmap->refs);
	if (last)
		hash_del(&unmap->node);
	spin_unlock(&mdev_unmaps_lock);
	return last;
}

void mdev_unmap_free(struct mdev_unmap *unmap)
{
	put_pid(unmap->thread);
	kfree(unmap);
}

/* Count a move: at most one for each round */
static void mdev_unmap_move(struct mdev_unmap *unmap)
{
	if (unmap->moved == unmap->round)
		return;
	unmap->moved = unmap->round;
	unmap->moves++;
	if (unmap->moves > MAX_MOVES || unmap->looks > LAST_LOOK)
		unmap->still = true;
}

/**
 * mdev_unmap_count - count a notice
 * @unmap: the record of a system call
 * @seen: the device's part of the record, zero before its first notice
 * @range: what is known of the range
 *
 * A round has begun if the device was given notice in the one before, or if it
 * was not yet in VFIO's list then. After this, the device can pin nothing if
 * &mdev_unmap_seen.still is set.
 *
 * Return: whether VFIO can be let look again.
 */
bool mdev_unmap_count(struct mdev_unmap *unmap, struct mdev_unmap_seen *seen,
		      enum mdev_unmap_range range)
{
	bool joined = range == MDEV_UNMAP_JOINED;

	if (joined || seen->round == unmap->round) {
		unmap->round++;
		unmap->looks++;
	}
	if (joined || (range == MDEV_UNMAP_NEW && !seen->still))
		mdev_unmap_move(unmap);
	if (range == MDEV_UNMAP_OLD) {
		unmap->looks = 1;
		unmap->moves = 0;
	}
	seen->round = unmap->round;
	seen->still = unmap->still;
	return !joined || unmap->looks <= LAST_LOOK;
}

/**
 * mdev_unmap_is_last - has VFIO looked often enough?
 * @unmap: the record of a system call
 *
 * Return: whether the notice has to wait as long as it takes.
 */
bool mdev_unmap_is_last(const struct mdev_unmap *unmap)
{
	return unmap->looks >= LAST_LOOK;
}

/**
 * mdev_unmap_patience - how long a notice waits that is not the last one
 * @unmap: the record of a system call
 *
 * Return: the time in jiffies.
 */
unsigned long mdev_unmap_patience(const struct mdev_unmap *unmap)
{
	unsigned long wait = NOTICE_WAIT;
	unsigned int i;

	for (i = 1; i < unmap->looks && i < LAST_LOOK; i++)
		wait *= 4;
	return wait;
}
