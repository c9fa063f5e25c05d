// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: lays a channel program out for the host, writes it, and knows which
 * of its CCWs is which of the guest's
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

/* Turns a list's pages into the host's addresses */
static int cp_write_idal(struct ccw_cp *cp, struct cp_slot *slot)
{
	u64 *idal = cp_idal(cp, slot);
	__be64 *host = (__be64 *)idal;
	unsigned int i, page;

	for (i = 0; i < slot->nidaws; i++) {
		if (i && idal[i] == BAD_IDAW)
			break;
		page = idal[i] >> PG_SHIFT;
		if (cp->pfns[page] == BAD_PAGE) {
			if (!i || !cp_is_optional(slot))
				return cp_fail_slot(cp, slot, -EINVAL,
						    "data cannot be pinned");
			break;
		}
		host[i] = cpu_to_be64(cp->addrs[page] |
				      (idal[i] & (PG_SIZE - 1)));
	}
	for (; i < slot->nidaws; i++)
		host[i] = cpu_to_be64(BAD_IDAW);
	return 0;
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

/* Where the host's CCW says that its data, or the list of it, is */
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

static int cp_write_ccw(struct ccw_cp *cp, struct cp_slot *slot,
			struct cp_ccw *host)
{
	u32 op, cda = cp->host_addr + offsetof(struct cp_host, up);
	int err;

	if (slot->nidaws && !(slot->is & IS_INVALID)) {
		err = cp_write_idal(cp, slot);
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

	op = (slot->flags & ~FLAG_IDA) << 16 | slot->count;
	if (slot->count)
		op |= FLAG_IDA << 16;
	if (!(slot->is & IS_DATA_ONLY))
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
	unsigned int s, i;
	int err;

	for (s = 0; s < cp->nsegs; s++) {
		const struct cp_seg *seg = &cp->segs[s];

		for (i = 0; i < seg->n; i++) {
			err = cp_write_ccw(cp, &cp->slots[seg->first + i],
					   &cp->host->ccws[seg->host + i]);
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
 * Return: the address; 0 where @host_cpa is not in the program that was
 * translated last.
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
