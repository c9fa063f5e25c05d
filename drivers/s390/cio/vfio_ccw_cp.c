// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: translates a guest's channel program for the host
 *
 * A translation is a few passes over flat arrays:
 *
 * 1. Follow the program from the ORB on and copy each CCW that it can reach
 *    into a slot, with the addresses of its data as guest IDAWs. Whatever is
 *    judged or used later is this copy, never guest memory again.
 * 2. Lay the slots out in the order of guest addresses. CCWs that are
 *    neighbours in guest memory are neighbours on the host, so chaining,
 *    status modifiers and the CCW address in the SCSW need no further care.
 * 3. Pin the data's pages, each run of consecutive ones by one call.
 * 4. Write the host's CCWs and IDAWs.
 *
 * Nothing here locks: the caller lets one thread at a time at a ccw_cp.
 */
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/stddef.h>

#include "vfio_ccw_cp.h"

/* A guest's pages are of 4 KiB, and so are the host's: s390 has no others */
#define PG_SHIFT	12
#define PG_SIZE		4096U

#define CMD_NOP		0x03
#define CMD_TIC		0x08

#define FLAG_DC		0x80	/* chain data */
#define FLAG_CC		0x40	/* chain command */
#define FLAG_SKIP	0x10
#define FLAG_IDA	0x04
#define FLAG_SUSPEND	0x02
#define FLAG_MIDA	0x01

/*
 * How a CCW is reached: as a command, or chained as data of a command of some
 * kind. One CCW can be reached in several ways.
 */
#define AS_COMMAND	0x01
#define AS_INPUT	0x02	/* the device writes memory */
#define AS_OUTPUT	0x04	/* the device reads memory */
#define AS_BACKWARD	0x08	/* the device writes memory, downwards */
#define AS_NODATA	0x10	/* a kind of command only: it chains no data */
#define AS_SEARCH	0x20	/* as output, and may end with status modifier */

/* What is known about a CCW */
#define IS_TIC		0x01
#define IS_INVALID	0x02	/* gives a program check when it is reached */
#define IS_OPTIONAL	0x04	/* reached by nothing but a status modifier */
#define IS_MODIFYING	0x08	/* a status modifier there was seen to */
#define IS_DATA_ONLY	0x10	/* invalid as a command, see cp_conflict() */
#define IS_CUT		0x20	/* invalid, but only here */
#define IS_ACCEPTED	0x40	/* valid, in one way at least */

/* What becomes of its data */
#define DATA_READ	0x01	/* the device reads it */
#define DATA_WRITE	0x02
#define DATA_DOWN	0x04	/* from the last byte to the first */
#define DATA_SKIP	0x08	/* the device's data is dropped */

struct cp_slot {
	u8 cmd;
	u8 flags;
	u16 count;
	u32 cda;
	u8 as;
	u8 is;
	u8 data;
	u8 nidaws;
	u16 idal;		/* index of the first IDAW */
};

/* CCWs that are consecutive in guest memory, in the slots and on the host */
struct cp_seg {
	u32 guest;
	u16 first;		/* index of the slot */
	u16 n;
	u16 host;		/* index of the host's CCW */
};

struct cp_ccw {
	__be32 op;		/* command code, flags and count */
	__be32 cda;
};

/* The most IDAWs of one CCW: 65535 bytes that start in the middle of 2 KiB */
#define IDAL_MAX	33
#define IDAW_CHUNK	(PG_SIZE / sizeof(__be64))
#define IDAW_CHUNKS	DIV_ROUND_UP(CCW_CP_MAX_CCWS, IDAW_CHUNK / IDAL_MAX)
#define PAGES_MAX	(CCW_CP_MAX_CCWS * IDAL_MAX)

/*
 * An IDAW that no channel accepts: in a list it is neither the first nor the
 * last byte of a block. Only the first IDAW of a list may look like this.
 */
#define BAD_IDAW	(~(u64)2)

/* In place of a page that could not be pinned */
#define BAD_PAGE	(~(u64)0)

/*
 * Invalid CCWs between segments: a CCW behind one that chains, and the one
 * that a status modifier reaches, give a program check there. One more, so
 * that the address behind the last of them is not yet the next segment's.
 */
#define GAP		3U

/* The address of no CCW: it is odd */
#define NO_CCW		1U

#define HOST_ORDER	1
#define HOST_CCWS	((PG_SIZE << HOST_ORDER) / sizeof(struct cp_ccw))

/* The worst case: each segment with its gap */
static_assert(CCW_CP_MAX_CCWS + GAP * CCW_CP_MAX_SEGS <= HOST_CCWS);
static_assert(sizeof(struct cp_ccw) == 8);

/* What fits the narrow fields of a slot and of the segments' order */
static_assert(IDAW_CHUNKS * IDAW_CHUNK <= U16_MAX);
static_assert(CCW_CP_MAX_SEGS <= U8_MAX);

/*
 * Data to skip has a place nevertheless: it costs nothing, and a channel that
 * does not know about skipping (QEMU's) must not write elsewhere.
 */
struct cp_sink {
	u8 data[PG_SIZE];
	__be64 up[IDAL_MAX];
	__be64 down[IDAL_MAX];
};

struct ccw_cp {
	const struct ccw_cp_mem_ops *ops;
	void *ctx;
	const char *why;

	/* The ORB's settings */
	bool fmt1;
	bool fmt2_idaws;
	u32 limit;		/* the address behind the last one */
	u32 block;		/* bytes an IDAW */

	/* The program, as it was copied */
	unsigned int nslots;
	unsigned int nsegs;
	unsigned int cur;	/* the segment that was used last */
	struct cp_seg *last;	/* the segment of the last slot */
	u32 grow;		/* the address behind that slot */
	u32 stop;		/* where @grow meets another segment */
	unsigned int nmodifiers;
	u32 modifiers[CCW_CP_MAX_CCWS];	/* where status modifiers lead */
	u8 order[CCW_CP_MAX_SEGS];	/* of the segments in guest memory */
	struct cp_seg segs[CCW_CP_MAX_SEGS];
	struct cp_slot slots[CCW_CP_MAX_CCWS];

	/* What was read last of the guest's program */
	u32 chunk_start;
	u32 chunk_len;
	__be32 chunk[PG_SIZE / sizeof(__be32)];

	/* The host's program, in memory that a channel reaches */
	struct cp_ccw *host;
	u32 host_addr;
	unsigned int nhost;
	struct cp_sink *sink;
	u32 sink_addr;

	/*
	 * IDAWs, in pages that stay. Until the pages are pinned, each holds the
	 * guest's address, then the number of a page in pfns[] in its place,
	 * both in the CPU's order.
	 */
	unsigned int nidaws;
	u64 *idaws[IDAW_CHUNKS];
	u32 idaw_addrs[IDAW_CHUNKS];

	/* Pages: number times 2, plus 1 to write; and the host's addresses */
	unsigned int npages;
	unsigned int npinned;
	unsigned int max_pages;
	u64 *pfns;
	u64 *addrs;
};

static int cp_fail(struct ccw_cp *cp, int err, const char *why)
{
	cp->why = why;
	return err;
}

static bool cp_is_optional(const struct cp_slot *slot)
{
	return slot->is & IS_OPTIONAL;
}

/*
 * Something is wrong with a CCW that the program may never reach: it gives a
 * program check there instead of failing the program as a whole.
 */
static int cp_fail_slot(struct ccw_cp *cp, struct cp_slot *slot, int err,
			const char *why)
{
	if (!cp_is_optional(slot))
		return cp_fail(cp, err, why);
	slot->is |= IS_INVALID;
	return 0;
}

/* Step 1: copy the program */

static void cp_parse_tic(struct ccw_cp *cp, struct cp_slot *slot, u32 high)
{
	slot->is |= IS_TIC;
	/* Format 0 looks at four bits of the code and the address, no more */
	if ((cp->fmt1 && high != CMD_TIC << 24) || slot->cda & 7)
		slot->is |= IS_INVALID;
}

/* What the Principles of Operation call an invalid CCW is left to the host */
static void cp_parse(struct ccw_cp *cp, struct cp_slot *slot, u32 high, u32 low)
{
	*slot = (struct cp_slot){ .cmd = high >> 24 };

	if (cp->fmt1) {
		slot->flags = high >> 16;
		slot->count = high;
		slot->cda = low;
		if (low >> 31)
			slot->is = IS_INVALID;
	} else {
		slot->flags = low >> 24;
		slot->count = low;
		slot->cda = high & 0xffffff;
	}

	if ((slot->cmd & 0x0f) == CMD_TIC)
		cp_parse_tic(cp, slot, high);
	else if (!slot->count && (!cp->fmt1 || slot->flags & FLAG_DC))
		slot->is = IS_INVALID;
}

/* Reads up to the end of the page: a program may end there */
static int cp_read_chunk(struct ccw_cp *cp, u32 addr)
{
	u32 len = PG_SIZE - (addr & (PG_SIZE - 1));
	int err;

	cp->chunk_len = 0;
	if (addr >= cp->limit)
		return cp_fail(cp, -EINVAL, "a CCW's address is too high");
	err = cp->ops->read(cp->ctx, addr, cp->chunk, len);
	if (err)
		return cp_fail(cp, -EINVAL, "a CCW cannot be read");
	cp->chunk_start = addr;
	cp->chunk_len = len;
	return 0;
}

/* Copies the CCW at @addr behind the last slot. Inline, as that is most of it */
static inline int cp_append(struct ccw_cp *cp, u32 addr, bool optional)
{
	struct cp_slot *slot;
	const __be32 *words;
	int err;

	if (cp->nslots == CCW_CP_MAX_CCWS)
		return cp_fail(cp, -EINVAL, "too many CCWs");
	if (addr - cp->chunk_start >= cp->chunk_len) {
		err = cp_read_chunk(cp, addr);
		if (err)
			return err;
	}

	words = &cp->chunk[(addr - cp->chunk_start) / sizeof(*words)];
	slot = &cp->slots[cp->nslots];
	cp_parse(cp, slot, be32_to_cpu(words[0]), be32_to_cpu(words[1]));
	if (optional)
		slot->is |= IS_OPTIONAL;
	return cp->nslots++;
}

/* Begins a segment at @addr, which is in none so far */
static int cp_new_segment(struct ccw_cp *cp, u32 addr, bool optional)
{
	struct cp_seg *seg = &cp->segs[cp->nsegs];
	unsigned int i;
	int slot;

	if (cp->nsegs == CCW_CP_MAX_SEGS)
		return cp_fail(cp, -EINVAL, "too many TICs");
	slot = cp_append(cp, addr, optional);
	if (slot < 0)
		return slot;

	seg->guest = addr;
	seg->first = slot;
	seg->n = 1;

	cp->last = seg;
	cp->grow = addr + sizeof(struct cp_ccw);
	cp->stop = NO_CCW;
	for (i = cp->nsegs; i && cp->segs[cp->order[i - 1]].guest > addr; i--) {
		cp->order[i] = cp->order[i - 1];
		cp->stop = cp->segs[cp->order[i]].guest;
	}
	cp->order[i] = cp->nsegs;
	cp->cur = cp->nsegs++;
	if (cp->grow == cp->stop)
		cp->grow = NO_CCW;
	return slot;
}

static bool cp_seg_has(const struct cp_seg *seg, u32 addr)
{
	return (addr - seg->guest) / sizeof(struct cp_ccw) < seg->n;
}

static int cp_seg_slot(const struct cp_seg *seg, u32 addr)
{
	return seg->first + (addr - seg->guest) / sizeof(struct cp_ccw);
}

/* Where it is not simply the next CCW */
static int cp_find_slot(struct ccw_cp *cp, u32 addr, bool optional)
{
	unsigned int i;

	if (cp->nsegs && cp_seg_has(&cp->segs[cp->cur], addr))
		return cp_seg_slot(&cp->segs[cp->cur], addr);

	for (i = 0; i < cp->nsegs; i++) {
		if (cp_seg_has(&cp->segs[i], addr)) {
			cp->cur = i;
			return cp_seg_slot(&cp->segs[i], addr);
		}
	}
	return cp_new_segment(cp, addr, optional);
}

/* The slot of the CCW at @addr, which is copied where that was not yet done */
static int cp_slot_at(struct ccw_cp *cp, u32 addr, bool optional)
{
	int slot;

	if (addr != cp->grow)
		return cp_find_slot(cp, addr, optional);

	slot = cp_append(cp, addr, optional);
	if (slot < 0)
		return slot;
	cp->last->n++;
	cp->grow += sizeof(struct cp_ccw);
	if (cp->grow == cp->stop)
		cp->grow = NO_CCW;
	return slot;
}

/*
 * What a command does with data; 0 for an invalid one. Those that search, and
 * those that poll, are write commands for the channel.
 */
static u8 cp_kind(u8 cmd)
{
	static const u8 kinds[] = {
		[0x01] = AS_SEARCH, [0x05] = AS_SEARCH,		/* write */
		[0x09] = AS_SEARCH, [0x0d] = AS_SEARCH,
		[0x02] = AS_INPUT, [0x06] = AS_INPUT,		/* read */
		[0x0a] = AS_INPUT, [0x0e] = AS_INPUT,
		[0x03] = AS_OUTPUT, [0x07] = AS_OUTPUT,		/* control */
		[0x0b] = AS_OUTPUT, [0x0f] = AS_OUTPUT,
		[0x04] = AS_INPUT,				/* sense */
		[0x0c] = AS_BACKWARD,
	};

	return cmd == CMD_NOP ? AS_NODATA : kinds[cmd & 0x0f];
}

static u64 *cp_idal(const struct ccw_cp *cp, const struct cp_slot *slot)
{
	return cp->idaws[slot->idal / IDAW_CHUNK] + slot->idal % IDAW_CHUNK;
}

/* A list does not leave its page, so each page keeps its place for good */
static int cp_alloc_idal(struct ccw_cp *cp, struct cp_slot *slot,
			 unsigned int n)
{
	unsigned int chunk;

	if (cp->nidaws % IDAW_CHUNK + n > IDAW_CHUNK)
		cp->nidaws += IDAW_CHUNK - cp->nidaws % IDAW_CHUNK;
	chunk = cp->nidaws / IDAW_CHUNK;
	if (!cp->idaws[chunk]) {
		cp->idaws[chunk] = (u64 *)__get_free_page(GFP_KERNEL_ACCOUNT |
							  GFP_DMA);
		if (!cp->idaws[chunk])
			return cp_fail(cp, -ENOMEM, "no memory for IDAWs");
		cp->idaw_addrs[chunk] = virt_to_phys(cp->idaws[chunk]);
	}
	slot->idal = cp->nidaws;
	slot->nidaws = n;
	cp->nidaws += n;
	return 0;
}

/* How many IDAWs it takes, if the first one is @first */
static unsigned int cp_count_idaws(const struct ccw_cp *cp,
				   const struct cp_slot *slot, u64 first)
{
	u32 offset = first & (cp->block - 1);

	if (slot->data & DATA_DOWN)
		offset = cp->block - 1 - offset;
	return DIV_ROUND_UP(offset + slot->count, cp->block);
}

/* Makes IDAWs of a data address */
static int cp_copy_direct(struct ccw_cp *cp, struct cp_slot *slot)
{
	unsigned int i, n = cp_count_idaws(cp, slot, slot->cda);
	u64 addr = slot->cda;
	u64 *idal;
	int err;

	err = cp_alloc_idal(cp, slot, n);
	if (err)
		return err;

	idal = cp_idal(cp, slot);
	if (slot->data & DATA_DOWN) {
		for (i = 0; i < n; i++) {
			/* Below 0 the address wraps, far beyond the limit */
			idal[i] = addr < cp->limit ? addr : BAD_IDAW;
			addr = (addr & ~(u64)(cp->block - 1)) - 1;
		}
	} else {
		for (i = 0; i < n; i++) {
			idal[i] = addr < cp->limit ? addr : BAD_IDAW;
			addr = (addr | (cp->block - 1)) + 1;
		}
	}
	return 0;
}

/* Returns how many of @n words of an IDAL, from number @from on, can be read */
static unsigned int cp_read_idaws(struct ccw_cp *cp, const struct cp_slot *slot,
				  void *buf, unsigned int from, unsigned int n)
{
	unsigned int size = cp->fmt2_idaws ? sizeof(__be64) : sizeof(__be32);
	u32 addr = slot->cda + from * size;
	unsigned int part, done = 0;

	while (done < n && addr < cp->limit) {
		part = (PG_SIZE - (addr & (PG_SIZE - 1))) / size;
		part = min(part, n - done);
		if (cp->ops->read(cp->ctx, addr, buf + done * size,
				  part * size))
			break;
		done += part;
		addr += part * size;
	}
	return done;
}

static bool cp_idaw_is_valid(const struct ccw_cp *cp,
			     const struct cp_slot *slot, u64 idaw,
			     unsigned int index)
{
	u64 offset = idaw & (cp->block - 1);

	if (!cp->fmt2_idaws && idaw >> 31)
		return false;
	if (!index)
		return true;
	return offset == (slot->data & DATA_DOWN ? cp->block - 1 : 0);
}

static int cp_copy_idal(struct ccw_cp *cp, struct cp_slot *slot)
{
	unsigned int i, n, sure = DIV_ROUND_UP(slot->count, cp->block);
	union {
		__be32 fmt1[IDAL_MAX];
		__be64 fmt2[IDAL_MAX];
	} words;
	unsigned int have;
	u64 *idal;
	u64 idaw;
	int err;

	if (slot->cda & (cp->fmt2_idaws ? 7 : 3)) {
		slot->is |= IS_INVALID;
		return 0;
	}

	/*
	 * The first word tells whether there is one more than this, which
	 * must not be read if not: the list may end in the last bytes of
	 * memory.
	 */
	have = cp_read_idaws(cp, slot, &words, 0, sure);
	n = sure;
	if (have == sure) {
		idaw = cp->fmt2_idaws ? be64_to_cpu(words.fmt2[0]) :
					be32_to_cpu(words.fmt1[0]);
		n = cp_count_idaws(cp, slot, idaw);
		if (n > sure)
			have += cp_read_idaws(cp, slot, cp->fmt2_idaws ?
					      (void *)&words.fmt2[sure] :
					      (void *)&words.fmt1[sure],
					      sure, n - sure);
	}
	if (have < n) {
		if (!have || !cp_is_optional(slot))
			return cp_fail_slot(cp, slot, -EINVAL,
					    "an IDAW cannot be read");
	}

	err = cp_alloc_idal(cp, slot, n);
	if (err)
		return err;

	idal = cp_idal(cp, slot);
	for (i = 0; i < have; i++) {
		idaw = cp->fmt2_idaws ? be64_to_cpu(words.fmt2[i]) :
					be32_to_cpu(words.fmt1[i]);
		if (!cp_idaw_is_valid(cp, slot, idaw, i))
			break;
		idal[i] = idaw;
	}
	if (!i)
		slot->is |= IS_INVALID;
	/* The host's channel stops at the same byte as the guest's would */
	for (; i < n; i++)
		idal[i] = BAD_IDAW;
	return 0;
}

/* What becomes of the data of a CCW that is reached as @kind */
static u8 cp_data_of(const struct cp_slot *slot, u8 kind)
{
	u8 input = slot->flags & FLAG_SKIP ? DATA_SKIP : DATA_WRITE;

	if (!slot->count)
		return 0;
	switch (kind) {
	case AS_OUTPUT:
	case AS_SEARCH:
		return DATA_READ; /* which knows of no skipping */
	case AS_INPUT:
		return input;
	case AS_BACKWARD:
		return input | DATA_DOWN;
	}
	return 0;
}

/* Takes over where the data of a CCW is */
static int cp_copy_data(struct ccw_cp *cp, struct cp_slot *slot, u8 data)
{
	if (!data)
		return 0;
	if (slot->data) {
		/* One list of host addresses cannot serve both ways */
		if ((slot->data ^ data) & (DATA_SKIP | DATA_DOWN))
			return cp_fail(cp, -EINVAL, "data in two directions");
		slot->data |= data;
		return 0;
	}

	slot->data = data;
	if (data & DATA_SKIP)
		return 0;
	if (slot->flags & FLAG_IDA)
		return cp_copy_idal(cp, slot);
	return cp_copy_direct(cp, slot);
}

/*
 * Whether a CCW that a status modifier leads to cannot be reached that way,
 * because its data has another use already, or has none. What is certain to be
 * reached must not suffer from what hardly ever is: it keeps the permissions
 * to memory that it has alone.
 */
static bool cp_conflicts(const struct cp_slot *slot, u8 data)
{
	if (!data)
		return false;
	if (slot->data && (slot->data ^ data) & (DATA_SKIP | DATA_DOWN))
		return true;
	return !cp_is_optional(slot) && data & ~slot->data;
}

/*
 * Makes the way to @slot that is in conflict give a program check. @from is
 * the CCW that chains data to it, or NULL where it is reached as a command.
 */
static int cp_conflict(struct ccw_cp *cp, struct cp_slot *slot,
		       struct cp_slot *from)
{
	if (!from) {
		/* Otherwise it is chained data, whose code is ignored */
		slot->is |= IS_DATA_ONLY;
		return 0;
	}
	if (!cp_is_optional(from))
		return cp_fail(cp, -EINVAL, "data in two directions");
	from->is |= IS_INVALID | IS_CUT;
	return 0;
}

/* Remembers where a status modifier leads, if it is anywhere */
static void cp_add_modifier(struct ccw_cp *cp, u32 addr)
{
	if (addr != NO_CCW)
		cp->modifiers[cp->nmodifiers++] = addr;
}

/* Takes over a CCW's data. *@from is the CCW that chains data to it, or NULL */
static int cp_follow_data(struct ccw_cp *cp, struct cp_slot *slot, u8 kind,
			  bool optional, struct cp_slot *from)
{
	u8 data = cp_data_of(slot, kind);

	if (optional && cp_conflicts(slot, data))
		return cp_conflict(cp, slot, from) ?: 1;
	return cp_copy_data(cp, slot, data);
}

/*
 * Follows the program from @addr on. It has no forks: where status modifiers
 * lead is remembered for later. Ends where the program does, or where it was
 * already.
 */
static int cp_follow(struct ccw_cp *cp, u32 addr, bool optional)
{
	struct cp_slot *slot, *tic = NULL, *from = NULL;
	u32 modifier = NO_CCW;
	u8 as = AS_COMMAND;
	int ret = 0;
	u8 kind;

	for (;; addr += sizeof(struct cp_ccw)) {
		ret = cp_slot_at(cp, addr, optional);
		if (ret < 0) {
			if (!optional)
				return ret;
			/* Where it would have been is an invalid CCW */
			if (tic)
				tic->is |= IS_INVALID;
			break;
		}
		slot = &cp->slots[ret];

		if (slot->is & IS_TIC && tic) {
			if (optional)
				break;
			return cp_fail(cp, -EINVAL, "a TIC to a TIC");
		}
		tic = NULL;

		if (slot->as & as)
			break;
		slot->as |= as;
		if (slot->is & IS_INVALID)
			break;
		if (slot->is & IS_TIC) {
			slot->is |= IS_ACCEPTED;
			tic = slot;
			addr = slot->cda - sizeof(struct cp_ccw);
			cp_add_modifier(cp, modifier);
			modifier = NO_CCW;
			continue;
		}

		kind = as == AS_COMMAND ? cp_kind(slot->cmd) : as;
		if (!kind || (as != AS_COMMAND && !slot->count))
			break;
		if (slot->flags & (FLAG_SUSPEND | FLAG_MIDA)) {
			ret = cp_fail_slot(cp, slot, -EOPNOTSUPP,
					   slot->flags & FLAG_SUSPEND ?
					   "a CCW that suspends" :
					   "a CCW with MIDAWs");
			if (ret)
				return ret;
			break;
		}

		slot->is |= IS_ACCEPTED;
		if (kind != AS_NODATA && slot->count) {
			ret = cp_follow_data(cp, slot, kind, optional, from);
			if (ret < 0)
				return ret;
			if (ret || slot->is & IS_INVALID)
				break;
		}

		if (slot->flags & FLAG_DC) {
			if (kind == AS_NODATA)
				break;
			cp_add_modifier(cp, modifier);
			modifier = NO_CCW;
			as = kind;
			from = slot;
			continue;
		}
		if (!(slot->flags & FLAG_CC))
			break;
		/* What is chained to this one is where the last one's leads */
		modifier = NO_CCW;
		if (kind == AS_SEARCH && !(slot->is & IS_MODIFYING)) {
			slot->is |= IS_MODIFYING;
			modifier = addr + 2 * sizeof(struct cp_ccw);
		}
		as = AS_COMMAND;
		from = NULL;
	}
	cp_add_modifier(cp, modifier);
	return 0;
}

/*
 * Where a command ends with status modifier, the program goes on behind the
 * next CCW. Which commands do that is up to the device: a write command may, and
 * no other one.
 */
static int cp_follow_modifiers(struct ccw_cp *cp)
{
	unsigned int i;
	int err;

	/* More can come meanwhile */
	for (i = 0; i < cp->nmodifiers; i++) {
		err = cp_follow(cp, cp->modifiers[i], true);
		if (err)
			return err;
	}
	return 0;
}

static bool cp_overlaps(u64 first, u64 len, u64 other, u64 other_len)
{
	return first < other + other_len && other < first + len;
}

/* Are there CCWs of the program, or lists of IDAWs, in these bytes? */
static bool cp_is_program(const struct ccw_cp *cp, u64 first, u64 len)
{
	u32 size = cp->fmt2_idaws ? sizeof(__be64) : sizeof(__be32);
	const struct cp_slot *slot;
	unsigned int i;

	for (i = 0; i < cp->nsegs; i++)
		if (cp_overlaps(first, len, cp->segs[i].guest,
				cp->segs[i].n * sizeof(struct cp_ccw)))
			return true;
	for (i = 0; i < cp->nslots; i++) {
		slot = &cp->slots[i];
		if (slot->flags & FLAG_IDA &&
		    cp_overlaps(first, len, slot->cda, slot->nidaws * size))
			return true;
	}
	return false;
}

/* Does the device write there, with this CCW? */
static bool cp_writes_program(const struct ccw_cp *cp,
			      const struct cp_slot *slot)
{
	const u64 *idal = cp_idal(cp, slot);
	u32 offset, len, left = slot->count;
	unsigned int i;
	u64 first;

	for (i = 0; i < slot->nidaws && !(i && idal[i] == BAD_IDAW); i++) {
		offset = idal[i] & (cp->block - 1);
		len = slot->data & DATA_DOWN ? offset + 1 : cp->block - offset;
		len = min(len, left);
		first = slot->data & DATA_DOWN ? idal[i] - len + 1 : idal[i];
		if (cp_is_program(cp, first, len))
			return true;
		left -= len;
	}
	return false;
}

/*
 * Without permission to prefetch, a channel fetches each CCW when its turn has
 * come, and what the program reads may be more of the program. It was copied as
 * it was before: so that is not supported.
 */
static int cp_check_prefetch(struct ccw_cp *cp)
{
	const struct cp_slot *slot = cp->slots;
	unsigned int s;

	for (s = 0; s < cp->nslots; s++, slot++)
		if (slot->data & DATA_WRITE && slot->nidaws &&
		    cp_writes_program(cp, slot))
			return cp_fail(cp, -EOPNOTSUPP,
				       "a program that reads over itself, without prefetching");
	return 0;
}

/* Step 2: lay it out */

static void cp_lay_out(struct ccw_cp *cp)
{
	unsigned int i, gap, host = 0;
	struct cp_seg *seg;
	u32 end = 0;

	for (i = 0; i < cp->nsegs; i++) {
		seg = &cp->segs[cp->order[i]];
		if (i) {
			gap = (seg->guest - end) / sizeof(struct cp_ccw);
			for (gap = min(gap, GAP); gap; gap--)
				cp->host[host++] = (struct cp_ccw){};
		}
		seg->host = host;
		host += seg->n;
		end = seg->guest + seg->n * sizeof(struct cp_ccw);
	}
	for (gap = GAP; gap; gap--)
		cp->host[host++] = (struct cp_ccw){};
	cp->nhost = host;
}

/* Step 3: pin its data */

/* Only what is not skipped has a list */
static bool cp_has_idal(const struct cp_slot *slot)
{
	return slot->nidaws && !(slot->is & IS_INVALID);
}

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

/* Step 4: write the host's program */

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

static u32 cp_host_addr(const struct ccw_cp *cp, unsigned int index)
{
	return cp->host_addr + index * sizeof(struct cp_ccw);
}

/* The host's address of a CCW that was copied */
static u32 cp_host_ccw(const struct ccw_cp *cp, u32 guest)
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
			return cp->sink_addr + offsetof(struct cp_sink, down);
		return cp->sink_addr + offsetof(struct cp_sink, up);
	}
	return cp->idaw_addrs[slot->idal / IDAW_CHUNK] +
	       slot->idal % IDAW_CHUNK * sizeof(__be64);
}

static int cp_write_ccw(struct ccw_cp *cp, struct cp_slot *slot,
			struct cp_ccw *host)
{
	u32 op, cda = cp->sink_addr + offsetof(struct cp_sink, up);
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

static int cp_write_ccws(struct ccw_cp *cp)
{
	unsigned int s, i;
	int err;

	for (s = 0; s < cp->nsegs; s++) {
		const struct cp_seg *seg = &cp->segs[s];

		for (i = 0; i < seg->n; i++) {
			err = cp_write_ccw(cp, &cp->slots[seg->first + i],
					   &cp->host[seg->host + i]);
			if (err)
				return err;
		}
	}
	return 0;
}

/* ORB bits that are refused; the rest is used here or passed on */
static const struct {
	u32 bits;
	int err;
	const char *why;
} cp_refused[] = {
	{ CCW_ORB_TRANSPORT, -EOPNOTSUPP, "transport mode" },
	{ CCW_ORB_SUSPEND, -EOPNOTSUPP, "suspend control" },
	{ CCW_ORB_LIMIT, -EOPNOTSUPP, "address-limit checking" },
	{ CCW_ORB_MIDA, -EOPNOTSUPP, "MIDAWs" },
	{ CCW_ORB_EXTENDED, -EOPNOTSUPP, "an ORB extension" },
	{ CCW_ORB_ZERO, -EINVAL, "reserved bits in the ORB" },
};

#define CCW_ORB_PASSED	(CCW_ORB_KEY | CCW_ORB_STREAM | \
			 CCW_ORB_MODIFY | CCW_ORB_SYNC | \
			 CCW_ORB_PREFETCH | CCW_ORB_INITIAL | \
			 CCW_ORB_SUPPRESS | CCW_ORB_LPM | CCW_ORB_ILS)

static int cp_take_orb(struct ccw_cp *cp, u32 flags, u32 cpa)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cp_refused); i++)
		if (flags & cp_refused[i].bits)
			return cp_fail(cp, cp_refused[i].err,
				       cp_refused[i].why);

	cp->fmt1 = flags & CCW_ORB_FMT1;
	cp->limit = cp->fmt1 ? 1U << 31 : 1U << 24;
	cp->fmt2_idaws = flags & CCW_ORB_IDA64;
	cp->block = cp->fmt2_idaws && !(flags & CCW_ORB_IDA2K) ? 4096 : 2048;
	if (cpa & 7 || cpa >= cp->limit)
		return cp_fail(cp, -EINVAL, "the program's address");
	return 0;
}

static int cp_copy_program(struct ccw_cp *cp, u32 cpa)
{
	int first, err;

	first = cp_slot_at(cp, cpa, false);
	if (first < 0)
		return first;
	/* No program begins with a TIC. One that does ends there */
	if (cp->slots[first].is & IS_TIC) {
		cp->slots[first].is |= IS_INVALID;
		return 0;
	}

	err = cp_follow(cp, cpa, false);
	if (err)
		return err;
	return cp_follow_modifiers(cp);
}

static int cp_translate(struct ccw_cp *cp, u32 flags, u32 cpa)
{
	int err;

	err = cp_take_orb(cp, flags, cpa);
	if (err)
		return err;
	err = cp_copy_program(cp, cpa);
	if (err)
		return err;
	if (!(flags & CCW_ORB_PREFETCH)) {
		err = cp_check_prefetch(cp);
		if (err)
			return err;
	}
	err = cp_grow_pages(cp);
	if (err)
		return err;
	cp_lay_out(cp);
	if (cp->nidaws) {
		cp_list_pages(cp);
		err = cp_pin_pages(cp);
		if (err)
			return err;
	}
	return cp_write_ccws(cp);
}

/**
 * ccw_cp_translate - translate a guest's channel program
 * @cp: the device's translator. What it translated before is released
 * @orb: the guest's ORB, CCW_CP_ORB_WORDS words
 * @start: how to start the host's program, on success
 *
 * On success the guest's pages stay pinned, and the host's program is there,
 * until ccw_cp_release() or the next translation.
 *
 * Context: may sleep. No other call for @cp at the same time.
 * Return: 0; -EOPNOTSUPP for what is not supported; -EINVAL for guest memory
 * that cannot be reached, a TIC to a TIC, a program that is too long or an
 * ORB that is wrong; -ENOMEM; -EINTR for guest memory that goes away. Nothing
 * is pinned then, and ccw_cp_why() tells more.
 */
int ccw_cp_translate(struct ccw_cp *cp, const __be32 *orb,
		     struct ccw_cp_start *start)
{
	u32 flags = be32_to_cpu(orb[1]);
	u32 cpa = be32_to_cpu(orb[2]);
	int err;

	ccw_cp_release(cp);
	cp->nslots = 0;
	cp->nsegs = 0;
	cp->cur = 0;
	cp->nmodifiers = 0;
	cp->nidaws = 0;
	cp->nhost = 0;
	cp->chunk_len = 0;
	cp->grow = NO_CCW;

	err = cp_translate(cp, flags, cpa);
	if (err) {
		ccw_cp_release(cp);
		cp->nhost = 0;
		return err;
	}

	cp->why = NULL;
	start->cpa = cp_host_ccw(cp, cpa);
	start->flags = (flags & CCW_ORB_PASSED) | CCW_ORB_FMT1 | CCW_ORB_IDA64;
	if (cp->block == 2048)
		start->flags |= CCW_ORB_IDA2K;
	/* Format 0 knows of no incorrect length of immediate operations */
	if (!cp->fmt1)
		start->flags |= CCW_ORB_ILS;
	return 0;
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

/**
 * ccw_cp_why - why the last translation failed
 * @cp: the device's translator
 *
 * Context: any, but no translation at the same time.
 * Return: a few words for the log, or NULL if it did not fail.
 */
const char *ccw_cp_why(const struct ccw_cp *cp)
{
	return cp->why;
}

static struct cp_sink *cp_alloc_sink(void)
{
	unsigned int order = get_order(sizeof(struct cp_sink));
	struct cp_sink *sink;
	unsigned int i;

	sink = (void *)__get_free_pages(GFP_KERNEL_ACCOUNT | GFP_DMA |
					__GFP_ZERO, order);
	if (!sink)
		return NULL;
	for (i = 0; i < IDAL_MAX; i++) {
		sink->up[i] = cpu_to_be64(virt_to_phys(sink->data));
		sink->down[i] = cpu_to_be64(virt_to_phys(sink->data) +
					    PG_SIZE - 1);
	}
	return sink;
}

/**
 * ccw_cp_alloc - make a device's translator
 * @ops: access to guest memory
 * @ctx: what @ops is called with
 *
 * Context: may sleep.
 * Return: the translator, or NULL where memory is short.
 */
struct ccw_cp *ccw_cp_alloc(const struct ccw_cp_mem_ops *ops, void *ctx)
{
	struct ccw_cp *cp = kvzalloc(sizeof(*cp), GFP_KERNEL_ACCOUNT);

	if (!cp)
		return NULL;
	cp->ops = ops;
	cp->ctx = ctx;
	cp->host = (void *)__get_free_pages(GFP_KERNEL_ACCOUNT | GFP_DMA,
					    HOST_ORDER);
	cp->sink = cp_alloc_sink();
	if (!cp->host || !cp->sink) {
		ccw_cp_free(cp);
		return NULL;
	}
	cp->host_addr = virt_to_phys(cp->host);
	cp->sink_addr = virt_to_phys(cp->sink);
	return cp;
}

/**
 * ccw_cp_free - undo ccw_cp_alloc()
 * @cp: the device's translator or NULL. What it translated is released
 *
 * Context: may sleep.
 */
void ccw_cp_free(struct ccw_cp *cp)
{
	unsigned int i;

	if (!cp)
		return;
	ccw_cp_release(cp);
	for (i = 0; i < IDAW_CHUNKS; i++)
		free_page((unsigned long)cp->idaws[i]);
	kvfree(cp->pfns);
	kvfree(cp->addrs);
	free_pages((unsigned long)cp->sink, get_order(sizeof(*cp->sink)));
	free_pages((unsigned long)cp->host, HOST_ORDER);
	kvfree(cp);
}
