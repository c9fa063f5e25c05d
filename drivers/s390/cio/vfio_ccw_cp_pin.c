// SPDX-License-Identifier: GPL-2.0-only
/* vfio-ccw: pins the pages of a channel program's data, and knows them */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/slab.h>

#include "vfio_ccw_program.h"

static int cp_grow_pages(struct ccw_cp *cp)
{
	unsigned int max = max(64U, cp->max_pages);

	if (cp->nidaws <= cp->max_pages)
		return 0;
	while (max < cp->nidaws)
		max *= 2;
	kvfree(cp->pfns);
	kvfree(cp->addrs);
	cp->max_pages = 0;
	cp->pfns = kvmalloc_array(max, sizeof(*cp->pfns), GFP_KERNEL_ACCOUNT);
	cp->addrs = kvmalloc_array(max, sizeof(*cp->addrs), GFP_KERNEL_ACCOUNT);
	if (!cp->pfns || !cp->addrs)
		return cp_fail(cp, -ENOMEM, "no memory for pages");
	cp->max_pages = max;
	return 0;
}

/* Lists the pages, and puts a page's number in this list into each IDAW */
static void cp_list_pages(struct ccw_cp *cp)
{
	u64 page, last = BAD_PAGE;
	unsigned int s, i, k;

	for (s = 0; s < cp->nslots; s++) {
		struct cp_slot *slot = &cp->slots[s];
		bool write = slot->data & DATA_WRITE;
		u64 *idal;

		if (!cp_has_idal(slot))
			continue;
		idal = cp_idal(cp, slot);
		for (k = 0; k < slot->nidaws; k++) {
			/* Upwards, so that consecutive pages are seen */
			i = k;
			if (slot->data & DATA_DOWN)
				i = slot->nidaws - 1 - k;
			if (i && idal[i] == BAD_IDAW)
				continue;
			page = idal[i] >> PG_SHIFT << 1 | write;
			if (page != last)
				cp->pfns[cp->npages++] = page;
			last = page;
			idal[i] &= PG_SIZE - 1;
			idal[i] |= (u64)(cp->npages - 1) << PG_SHIFT;
		}
	}
}

/* How many pages from number @i on one call pins or unpins */
static unsigned int cp_run(const struct ccw_cp *cp, unsigned int i,
			   unsigned int end)
{
	unsigned int n = 1;

	if (cp->pfns[i] == BAD_PAGE)
		return 1;
	end = min(end, i + CCW_CP_MAX_PIN);
	while (i + n < end && cp->pfns[i + n] == cp->pfns[i] + 2 * n)
		n++;
	return n;
}

static int cp_pin_run(struct ccw_cp *cp, unsigned int i, unsigned int n)
{
	u64 page = cp->pfns[i];

	return cp->ops->pin(cp->ctx, page >> 1, n, page & 1, &cp->addrs[i]);
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

static int cp_pin_pages(struct ccw_cp *cp)
{
	unsigned int n, alone = 0;
	int err;

	while (cp->npinned < cp->npages) {
		n = alone ? 1 : cp_run(cp, cp->npinned, cp->npages);
		err = cp_pin_run(cp, cp->npinned, n);
		if (cp_fail_pin(cp, err))
			return err;
		if (err && !alone) {
			/* Which one was it? It must not harm the others */
			alone = n;
			continue;
		}
		if (err)
			cp->pfns[cp->npinned] = BAD_PAGE;
		cp->npinned += n;
		if (alone)
			alone--;
	}
	return 0;
}

/* Pass 3. What was pinned when it fails is for ccw_cp_release() */
int cp_pin_program(struct ccw_cp *cp)
{
	int err;

	if (!cp->nidaws)
		return 0;
	err = cp_grow_pages(cp);
	if (err)
		return err;
	cp_list_pages(cp);
	return cp_pin_pages(cp);
}

/**
 * ccw_cp_release - let go of the guest's pages
 * @cp: the device's translator; its program must not be running
 *
 * Does nothing where no page is pinned. CCW addresses of the program can still
 * be turned into the guest's: status may come after the end of the program.
 *
 * Context: may sleep. No other call for @cp at the same time.
 */
void ccw_cp_release(struct ccw_cp *cp)
{
	unsigned int i, n;

	for (i = 0; i < cp->npinned; i += n) {
		n = cp_run(cp, i, cp->npinned);
		if (cp->pfns[i] != BAD_PAGE)
			cp->ops->unpin(cp->ctx, cp->pfns[i] >> 1, n);
	}
	cp->npages = 0;
	cp->npinned = 0;
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
	u64 first, last;
	unsigned int i;

	if (!length)
		return false;
	first = iova >> PG_SHIFT;
	/* The range may end at the very end of the address space, not beyond */
	last = (iova + min(length - 1, ~iova)) >> PG_SHIFT;

	for (i = 0; i < cp->npinned; i++) {
		if (cp->pfns[i] == BAD_PAGE)
			continue;
		if (cp->pfns[i] >> 1 >= first && cp->pfns[i] >> 1 <= last)
			return true;
	}
	return false;
}
