// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: lays a channel program out for the host, writes it, and finds the
 * guest's CCW for each of its CCWs
 */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/stddef.h>

#include "vfio_ccw_program.h"

static u32 cp_host_addr(const struct ccw_cp *cp, unsigned int index)
{
	return cp->host_addr + index * sizeof(struct cp_ccw);
}

/* Pass 2: neighbours in guest memory are neighbours on the host */
void cp_lay_out(struct ccw_cp *cp)
{
	unsigned int i, gap, host = 0;
	struct cp_seg *seg;
	u32 end = 0;

	for (i = 0; i < cp->nsegs; i++) {
		seg = &cp->segs[cp->order[i]];
		if (i) {
			gap = (seg->guest - end) / sizeof(struct cp_ccw);
			for (gap = min(gap, GAP); gap; gap--)
				cp->host->ccws[host++] = (struct cp_ccw){};
		}
		seg->host = host;
		host += seg->n;
		end = seg->guest + seg->n * sizeof(struct cp_ccw);
	}
	for (gap = GAP; gap; gap--)
		cp->host->ccws[host++] = (struct cp_ccw){};
	cp->nhost = host;
}

/*
 * IDAW number @i has a page that could not be pinned: the list ends there, or
 * the CCW is invalid, or the program fails
 */
static int cp_cut_list(struct ccw_cp *cp, struct cp_slot *slot, __be64 *host,
		       unsigned int i)
{
	host[i] = cpu_to_be64(BAD_IDAW);
	if (i && cp_is_optional(slot))
		return 0;
	return cp_fail_slot(cp, slot, -EINVAL, "data cannot be pinned");
}

/* Turns a list's pages into the host's addresses */
static int cp_write_list(struct ccw_cp *cp, struct cp_slot *slot)
{
	const u64 *idal = cp_idal(cp, slot);
	__be64 *host = (__be64 *)idal;
	unsigned int i;
	u64 addr;

	for (i = 0; i < slot->nidaws; i++) {
		/* The host's channel stops at the same byte as the guest's */
		if (i && idal[i] == BAD_IDAW) {
			host[i] = cpu_to_be64(BAD_IDAW);
			break;
		}
		addr = cp->addrs[idal[i] >> PG_SHIFT];
		if (addr == BAD_PAGE)
			return cp_cut_list(cp, slot, host, i);
		host[i] = cpu_to_be64(addr | (idal[i] & (PG_SIZE - 1)));
	}
	return 0;
}

/* Data that a MIDAW skips has no page; it gets the page for skipped data */
static int cp_write_midal(struct ccw_cp *cp, struct cp_slot *slot)
{
	const u64 *list = cp_idal(cp, slot);
	__be64 *host = (__be64 *)list;
	unsigned int i;
	u64 addr;

	for (i = 0; i < slot->nidaws; i += 2) {
		addr = cp->skipped_addr;
		if (list[i] != MIDAW_BAD && !(list[i] & MIDAW_SKIP))
			addr = cp->addrs[list[i + 1] >> PG_SHIFT];
		if (addr == BAD_PAGE) {
			host[i] = cpu_to_be64(MIDAW_BAD);
			if (i && cp_is_optional(slot))
				break;
			return cp_fail_slot(cp, slot, -EINVAL,
					    "data cannot be pinned");
		}
		host[i] = cpu_to_be64(list[i]);
		host[i + 1] = cpu_to_be64(addr | (list[i + 1] & (PG_SIZE - 1)));
	}
	return 0;
}

/* Makes a list for data that has none in the guest's program */
static int cp_write_direct(struct ccw_cp *cp, struct cp_slot *slot)
{
	u32 page = slot->page - (cp_direct_first(slot) >> PG_SHIFT);
	u32 len, at = slot->cda, left = slot->count;
	u32 most = (1U << cp->host_shift) - 1;
	bool down = slot->data & DATA_DOWN;
	unsigned int i = 0;
	__be64 *host;
	u64 addr;
	int err;

	/* The longest one, so that it need not be counted before */
	err = cp_make_room(cp, IDAL_MAX);
	if (err)
		return err;
	host = (__be64 *)cp_idaws(cp, cp->nidaws);
	for (;; i++) {
		/* Below 0 the address wraps, far beyond the limit */
		if (at >= cp->limit) {
			host[i] = cpu_to_be64(BAD_IDAW);
			break;
		}
		addr = cp->addrs[page + (at >> PG_SHIFT)];
		if (addr == BAD_PAGE) {
			err = cp_cut_list(cp, slot, host, i);
			break;
		}
		host[i] = cpu_to_be64(addr | (at & (PG_SIZE - 1)));
		len = (down ? at & most : ~at & most) + 1;
		if (len >= left)
			break;
		left -= len;
		at = down ? at - len : at + len;
	}
	cp_take_idaws(cp, slot, i + 1);
	return err;
}

/* The host's address of a CCW that was copied */
u32 cp_host_ccw(const struct ccw_cp *cp, u32 guest)
{
	const struct cp_seg *seg = cp->segs;

	while (!cp_seg_has(seg, guest))
		seg++;
	return cp_host_addr(cp, seg->host + cp_seg_slot(seg, guest) -
			    seg->first);
}

/* The data address of the host's CCW: that of the data, or of its list */
static u32 cp_host_data(const struct ccw_cp *cp, const struct cp_slot *slot)
{
	if (slot->data & DATA_SKIP) {
		if (slot->data & DATA_DOWN)
			return cp->host_addr + offsetof(struct cp_host, down);
		return cp->host_addr + offsetof(struct cp_host, up);
	}
	return cp->idaw_addrs[slot->idal / IDAW_CHUNK] +
	       slot->idal % IDAW_CHUNK * sizeof(__be64);
}

/* All data has a list. A CCW without data has one that the channel ignores */
static u32 cp_list_flag(const struct cp_slot *slot)
{
	return slot->flags & FLAG_MIDA && slot->data ? FLAG_MIDA : FLAG_IDA;
}

static int cp_write_ccw(struct ccw_cp *cp, struct cp_slot *slot,
			struct cp_ccw *host)
{
	u32 op, cda = cp->host_addr + offsetof(struct cp_host, up);
	int err;

	if (cp_has_pages(slot)) {
		if (!(slot->flags & FLAGS_LIST))
			err = cp_write_direct(cp, slot);
		else if (slot->flags & FLAG_IDA)
			err = cp_write_list(cp, slot);
		else
			err = cp_write_midal(cp, slot);
		if (err)
			return err;
	}

	/*
	 * Command code and count of 0: invalid as a command and as a data-
	 * chained CCW alike
	 */
	if ((slot->is & (IS_ACCEPTED | IS_INVALID)) != IS_ACCEPTED) {
		*host = (struct cp_ccw){};
		return 0;
	}

	op = (slot->flags & ~FLAGS_LIST) << 16 | slot->count;
	if (slot->count)
		op |= cp_list_flag(slot) << 16;
	/* Its data is pinned for the commands that reach it, not for its own code */
	if (slot->is & IS_COMMAND)
		op |= (u32)slot->cmd << 24;
	if (slot->data)
		cda = cp_host_data(cp, slot);
	if (slot->is & IS_TIC) {
		op = CMD_TIC << 24;
		cda = cp_host_ccw(cp, slot->cda);
	}
	host->op = cpu_to_be32(op);
	host->cda = cpu_to_be32(cda);
	return 0;
}

/* Pass 4 */
int cp_write_program(struct ccw_cp *cp)
{
	struct cp_slot *slot, *end;
	struct cp_ccw *host;
	unsigned int s;
	int err;

	for (s = 0; s < cp->nsegs; s++) {
		slot = &cp->slots[cp->segs[s].first];
		end = slot + cp->segs[s].n;
		host = &cp->host->ccws[cp->segs[s].host];
		for (; slot < end; slot++, host++) {
			err = cp_write_ccw(cp, slot, host);
			if (err)
				return err;
		}
	}
	return 0;
}

/**
 * ccw_cp_guest_cpa - the guest's CCW address of one of the host's
 * @cp: the device's translator
 * @host_cpa: a CCW address from the SCSW
 *
 * The SCSW points behind a CCW, so that an address just past the end of a
 * segment is one of ours, too.
 *
 * Context: any, but no translation at the same time.
 * Return: the address; 0 if @host_cpa is not in the program that was translated
 * last.
 */
u32 ccw_cp_guest_cpa(const struct ccw_cp *cp, u32 host_cpa)
{
	u32 index, offset = host_cpa - cp_host_addr(cp, 0);
	const struct cp_seg *seg;
	unsigned int i;

	index = offset / sizeof(struct cp_ccw);
	if (offset % sizeof(struct cp_ccw) || index >= cp->nhost)
		return 0;

	/* The last segment that is not behind the address */
	for (i = cp->nsegs - 1; cp->segs[cp->order[i]].host > index; i--)
		;
	seg = &cp->segs[cp->order[i]];
	return seg->guest + (index - seg->host) * sizeof(struct cp_ccw);
}
