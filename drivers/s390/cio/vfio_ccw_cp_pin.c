// SPDX-License-Identifier: GPL-2.0-only
/* vfio-ccw: pins the pages of a channel program's data, and lists them */
#include <linux/errno.h>
#include <linux/mdev.h>
#include <linux/minmax.h>
#include <linux/slab.h>

#include "vfio_ccw_program.h"

static int cp_grow_pages(struct ccw_cp *cp)
{
	unsigned int max = max(64U, cp->max_pages);

	if (cp->most_pages <= cp->max_pages)
		return 0;
	while (max < cp->most_pages)
		max *= 2;
	kvfree(cp->runs);
	kvfree(cp->addrs);
	cp->max_pages = 0;
	cp->runs = kvmalloc_array(max, sizeof(*cp->runs), MDEV_GFP_HOLDER);
	cp->addrs = kvmalloc_array(max, sizeof(*cp->addrs), MDEV_GFP_HOLDER);
	if (!cp->runs || !cp->addrs)
		return cp_fail(cp, -ENOMEM, "no memory for pages");
	cp->max_pages = max;
	return 0;
}

static unsigned int cp_new_run(struct ccw_cp *cp, u64 pfn, unsigned int n,
			       bool write)
{
	unsigned int first = cp->npages;

	cp->runs[cp->nruns++] = (struct cp_run){
		.pfn = pfn, .n = n, .write = write,
	};
	cp->npages += n;
	return first;
}

/*
 * Lists @n pages from number @pfn on, and returns the first one's number in
 * addrs[]. The last run takes the pages if it has them, or if they adjoin it.
 * Inline, as that is most of it.
 */
static inline unsigned int cp_add_pages(struct ccw_cp *cp, u64 pfn,
					unsigned int n, bool write)
{
	unsigned int first;
	struct cp_run *run;
	u64 before;

	if (!cp->nruns)
		return cp_new_run(cp, pfn, n, write);
	run = &cp->runs[cp->nruns - 1];
	before = pfn - run->pfn;
	if (run->write != write || before > run->n ||
	    before + n > CCW_CP_MAX_PIN)
		return cp_new_run(cp, pfn, n, write);
	first = cp->npages - run->n + before;
	if (before + n > run->n) {
		run->n = before + n;
		cp->npages = first + n;
	}
	return first;
}

/* Puts the number of its page in addrs[] in place of the page of each IDAW */
static void cp_list_idal(struct ccw_cp *cp, const struct cp_slot *slot)
{
	bool write = slot->data & DATA_WRITE;
	u64 *idal = cp_idal(cp, slot);
	unsigned int i, k, page;

	for (k = 0; k < slot->nidaws; k++) {
		/* Upwards, so that consecutive pages are seen */
		i = k;
		if (slot->data & DATA_DOWN)
			i = slot->nidaws - 1 - k;
		if (i && idal[i] == BAD_IDAW)
			continue;
		page = cp_add_pages(cp, idal[i] >> PG_SHIFT, 1, write);
		idal[i] &= PG_SIZE - 1;
		idal[i] |= (u64)page << PG_SHIFT;
	}
}

/* The same for the second word of each MIDAW that does not skip */
static void cp_list_midal(struct ccw_cp *cp, const struct cp_slot *slot)
{
	bool write = slot->data & DATA_WRITE;
	u64 *list = cp_idal(cp, slot);
	unsigned int i, page;

	for (i = 0; i < slot->nidaws && list[i] != MIDAW_BAD; i += 2) {
		if (list[i] & MIDAW_SKIP)
			continue;
		page = cp_add_pages(cp, list[i + 1] >> PG_SHIFT, 1, write);
		list[i + 1] &= PG_SIZE - 1;
		list[i + 1] |= (u64)page << PG_SHIFT;
	}
}

static void cp_list_direct(struct ccw_cp *cp, struct cp_slot *slot)
{
	u32 first = cp_direct_first(slot) >> PG_SHIFT;
	u32 last = cp_direct_last(cp, slot) >> PG_SHIFT;

	slot->page = cp_add_pages(cp, first, last - first + 1,
				  slot->data & DATA_WRITE);
}

static void cp_list_pages(struct ccw_cp *cp)
{
	struct cp_slot *slot = cp->slots;
	unsigned int s;

	for (s = 0; s < cp->nslots; s++, slot++) {
		if (!cp_has_pages(slot))
			continue;
		if (!(slot->flags & FLAGS_LIST))
			cp_list_direct(cp, slot);
		else if (slot->flags & FLAG_IDA)
			cp_list_idal(cp, slot);
		else
			cp_list_midal(cp, slot);
	}
}

/* An error that is not about the pages: others would fare no better */
static int cp_fail_pin(struct ccw_cp *cp, int err)
{
	switch (err) {
	case -ENOMEM:
		return cp_fail(cp, err,
			       "memory is short, or RLIMIT_MEMLOCK is reached");
	case -EINTR:
		return cp_fail(cp, err, "guest memory is being unmapped");
	}
	return 0;
}

/* Which page was it that could not be pinned? It must not harm the others */
static int cp_pin_each(struct ccw_cp *cp, const struct cp_run *run, u64 *addrs)
{
	unsigned int i;
	int err;

	for (i = 0; i < run->n; i++)
		addrs[i] = BAD_PAGE;
	for (i = 0; i < run->n; i++) {
		err = cp->ops->pin(cp->ctx, run->pfn + i, 1, run->write,
				   &addrs[i]);
		if (!err)
			continue;
		addrs[i] = BAD_PAGE;
		if (cp_fail_pin(cp, err))
			return err;
	}
	return 0;
}

static int cp_pin_runs(struct ccw_cp *cp)
{
	struct cp_run *run = cp->runs;
	u64 *addrs = cp->addrs;
	int err;

	for (; cp->npinned < cp->nruns; run++) {
		err = cp->ops->pin(cp->ctx, run->pfn, run->n, run->write,
				   addrs);
		if (cp_fail_pin(cp, err))
			return err;
		run->holes = err;
		cp->npinned++;
		if (run->holes) {
			err = cp_pin_each(cp, run, addrs);
			if (err)
				return err;
		}
		addrs += run->n;
	}
	return 0;
}

/* Pass 3. If it fails, ccw_cp_release() unpins the pages that were pinned */
int cp_pin_program(struct ccw_cp *cp)
{
	int err;

	if (!cp->most_pages)
		return 0;
	err = cp_grow_pages(cp);
	if (err)
		return err;
	cp_list_pages(cp);
	return cp_pin_runs(cp);
}

/* A page of its own is a call of its own: holes are rare */
static void cp_unpin_each(struct ccw_cp *cp, const struct cp_run *run,
			  const u64 *addrs)
{
	unsigned int i;

	for (i = 0; i < run->n; i++)
		if (addrs[i] != BAD_PAGE)
			cp->ops->unpin(cp->ctx, run->pfn + i, 1);
}

/**
 * ccw_cp_release - let go of the guest's pages
 * @cp: the device's translator; its program must not be running
 *
 * Does nothing if no page is pinned. CCW addresses of the program can still
 * be turned into the guest's: status may come after the end of the program.
 *
 * Context: may sleep. No other call for @cp at the same time.
 */
void ccw_cp_release(struct ccw_cp *cp)
{
	const struct cp_run *run = cp->runs;
	const u64 *addrs = cp->addrs;

	for (; cp->npinned; cp->npinned--, run++) {
		if (run->holes)
			cp_unpin_each(cp, run, addrs);
		else
			cp->ops->unpin(cp->ctx, run->pfn, run->n);
		addrs += run->n;
	}
	cp->npages = 0;
	cp->nruns = 0;
}

/**
 * ccw_cp_keep - the program's pages are never used for anything else
 * @cp: the device's translator
 *
 * For a program that cannot be stopped: the channel may store into its pages for
 * ever, and they can be released only if no other memory comes to be there.
 *
 * Context: any, but no translation and no release at the same time.
 */
void ccw_cp_keep(const struct ccw_cp *cp)
{
	const struct cp_run *run = cp->runs;
	const u64 *addrs = cp->addrs;
	unsigned int i, k;

	for (i = 0; i < cp->npinned; i++, run++)
		for (k = 0; k < run->n; k++, addrs++)
			if (*addrs != BAD_PAGE)
				cp->ops->keep(cp->ctx, *addrs);
}

/* Is one of the pages with these numbers pinned? */
static bool cp_run_uses(const struct cp_run *run, const u64 *addrs, u64 first,
			u64 last)
{
	unsigned int i;

	if (run->pfn > last || run->pfn + run->n - 1 < first)
		return false;
	if (!run->holes)
		return true;
	for (i = 0; i < run->n; i++)
		if (addrs[i] != BAD_PAGE && run->pfn + i >= first &&
		    run->pfn + i <= last)
			return true;
	return false;
}

/**
 * ccw_cp_uses - whether pages are pinned in a range of guest memory
 * @cp: the device's translator
 * @iova: the range's first address
 * @length: its length in bytes
 *
 * Context: any, but no translation and no release at the same time.
 */
bool ccw_cp_uses(const struct ccw_cp *cp, u64 iova, u64 length)
{
	const struct cp_run *run = cp->runs;
	const u64 *addrs = cp->addrs;
	u64 first, last;
	unsigned int i;

	if (!length)
		return false;
	first = iova >> PG_SHIFT;
	/* The range may end at the very end of the address space, not beyond */
	last = (iova + min(length - 1, ~iova)) >> PG_SHIFT;

	for (i = 0; i < cp->npinned; i++, run++) {
		if (cp_run_uses(run, addrs, first, last))
			return true;
		addrs += run->n;
	}
	return false;
}
