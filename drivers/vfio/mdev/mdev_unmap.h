/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls that unmap guest memory, and how often VFIO has looked in them
 * whether pages are still pinned.
 */
#ifndef _MDEV_UNMAP_H
#define _MDEV_UNMAP_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>

struct pid;

/**
 * struct mdev_unmap - a system call that unmaps
 * @node: in the list of all of them, under its lock
 * @refs: that of the system call, given back at its end, and that of a notice
 *	under way
 * @thread: the caller; a reference is held
 * @bars: of the devices that were given notice; only notices of the caller's
 *	add to it
 * @since: the time of the first notice
 * @round: counts the rounds: in each one VFIO gives each device one notice
 * @looks: counts them, too, but from the beginning for another mapping
 * @moves: how many of @looks there would not have been without a page that was
 *	pinned after @since
 * @moved: the round that was counted in @moves last
 * @still: the devices that are given notice can pin nothing any more
 */
struct mdev_unmap {
	struct hlist_node node;
	refcount_t refs;
	struct pid *thread;
	struct list_head bars;
	u64 since;
	unsigned int round;
	unsigned int looks;
	unsigned int moves;
	unsigned int moved;
	bool still;
};

/**
 * struct mdev_unmap_seen - a device's part of the record
 * @round: the round of its latest notice, zero before the first one
 * @still: it can pin nothing until the system call ends
 */
struct mdev_unmap_seen {
	unsigned int round;
	bool still;
};

/**
 * enum mdev_unmap_range - the range of a notice, as its device sees it
 * @MDEV_UNMAP_SAME: the range of the device's notice before
 * @MDEV_UNMAP_OLD: another one, of which a page was pinned before
 *	&mdev_unmap.since, and still is
 * @MDEV_UNMAP_NEW: another one, without such a page, and the device has pinned
 *	something after that time
 * @MDEV_UNMAP_IDLE: another one, and the device has not
 * @MDEV_UNMAP_FIRST: it is the device's first notice
 * @MDEV_UNMAP_JOINED: the same, and the device has pinned its first page after
 *	&mdev_unmap.since
 */
enum mdev_unmap_range {
	MDEV_UNMAP_SAME,
	MDEV_UNMAP_OLD,
	MDEV_UNMAP_NEW,
	MDEV_UNMAP_IDLE,
	MDEV_UNMAP_FIRST,
	MDEV_UNMAP_JOINED,
};

u64 mdev_unmap_now(void);
struct mdev_unmap *mdev_unmap_find(void);
struct mdev_unmap *mdev_unmap_new(void);
bool mdev_unmap_put(struct mdev_unmap *unmap);
void mdev_unmap_free(struct mdev_unmap *unmap);
bool mdev_unmap_count(struct mdev_unmap *unmap, struct mdev_unmap_seen *seen,
		      enum mdev_unmap_range range);
unsigned long mdev_unmap_patience(const struct mdev_unmap *unmap);
bool mdev_unmap_is_last(const struct mdev_unmap *unmap);

#endif /* _MDEV_UNMAP_H */
