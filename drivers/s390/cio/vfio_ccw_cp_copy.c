// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: copies those parts of a guest's channel program that a channel can
 * reach, with its lists of IDAWs and MIDAWs
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mdev.h>
#include <linux/minmax.h>
#include <linux/sort.h>

#include "vfio_ccw_program.h"

#define CMD_NOP		0x03

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

static void cp_parse_tic(struct ccw_cp *cp, struct cp_slot *slot, u32 high)
{
	slot->is |= IS_TIC;
	/* Format 0 uses only the address, and four bits of the code */
	if ((cp->fmt1 && high != CMD_TIC << 24) || slot->cda & 7)
		slot->is |= IS_INVALID;
}

/* The host's channel rejects what the Principles of Operation call invalid */
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

/*
 * Copies the CCW at @addr behind the last slot. Returns NULL if it cannot; that
 * is always -EINVAL. Inline, as that is most of it.
 */
static inline struct cp_slot *cp_append(struct ccw_cp *cp, u32 addr,
					bool optional)
{
	struct cp_slot *slot = &cp->slots[cp->nslots];
	const __be32 *words;

	if (cp->nslots == CCW_CP_MAX_CCWS) {
		cp->why = "too many CCWs";
		return NULL;
	}
	if (addr - cp->chunk_start >= cp->chunk_len && cp_read_chunk(cp, addr))
		return NULL;

	words = &cp->chunk[(addr - cp->chunk_start) / sizeof(*words)];
	cp_parse(cp, slot, be32_to_cpu(words[0]), be32_to_cpu(words[1]));
	if (optional)
		slot->is |= IS_OPTIONAL;
	cp->nslots++;
	return slot;
}

/* Begins a segment at @addr, which is in none so far */
static struct cp_slot *cp_new_segment(struct ccw_cp *cp, u32 addr,
				      bool optional)
{
	struct cp_seg *seg = &cp->segs[cp->nsegs];
	struct cp_slot *slot;
	unsigned int i;

	if (cp->nsegs == CCW_CP_MAX_SEGS) {
		cp->why = "too many TICs";
		return NULL;
	}
	slot = cp_append(cp, addr, optional);
	if (!slot)
		return NULL;

	seg->guest = addr;
	seg->first = cp->nslots - 1;
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

/* If it is not simply the next CCW */
static struct cp_slot *cp_find_slot(struct ccw_cp *cp, u32 addr, bool optional)
{
	const struct cp_seg *seg = &cp->segs[cp->cur];
	unsigned int i;

	if (cp->nsegs && cp_seg_has(seg, addr))
		return &cp->slots[cp_seg_slot(seg, addr)];

	for (i = 0; i < cp->nsegs; i++) {
		if (cp_seg_has(&cp->segs[i], addr)) {
			cp->cur = i;
			return &cp->slots[cp_seg_slot(&cp->segs[i], addr)];
		}
	}
	return cp_new_segment(cp, addr, optional);
}

/*
 * Returns the slot of the CCW at @addr. Copies the CCW if it was not copied
 * yet. NULL as from cp_append()
 */
static struct cp_slot *cp_slot_at(struct ccw_cp *cp, u32 addr, bool optional)
{
	struct cp_slot *slot;

	if (addr != cp->grow)
		return cp_find_slot(cp, addr, optional);

	slot = cp_append(cp, addr, optional);
	if (!slot)
		return NULL;
	cp->last->n++;
	cp->grow += sizeof(struct cp_ccw);
	if (cp->grow == cp->stop)
		cp->grow = NO_CCW;
	return slot;
}

/*
 * The direction of a command's data; 0 for an invalid command. A channel treats
 * commands that search or poll as write commands.
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

/* A list has no room in the last page of IDAWs. Each page is kept for good */
int cp_new_chunk(struct ccw_cp *cp)
{
	unsigned int chunk = DIV_ROUND_UP(cp->nidaws, IDAW_CHUNK);

	/* There are enough for IDAWs alone */
	if (chunk == IDAW_CHUNKS)
		return cp_fail(cp, -EINVAL, "too many MIDAWs");
	if (!cp->idaws[chunk]) {
		cp->idaws[chunk] = (u64 *)__get_free_page(MDEV_GFP_HOLDER |
							  GFP_DMA);
		if (!cp->idaws[chunk])
			return cp_fail(cp, -ENOMEM, "no memory for IDAWs");
		cp->idaw_addrs[chunk] = virt_to_phys(cp->idaws[chunk]);
	}
	cp->nidaws = chunk * IDAW_CHUNK;
	cp->room = IDAW_CHUNK;
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
	u64 most = (1U << cp->shift) - 1, offset = idaw & most;

	if (!cp->fmt2_idaws && idaw >> 31)
		return false;
	if (!index)
		return true;
	return offset == (slot->data & DATA_DOWN ? most : 0);
}

static int cp_copy_idal(struct ccw_cp *cp, struct cp_slot *slot)
{
	unsigned int i, n, sure = DIV_ROUND_UP(slot->count, 1U << cp->shift);
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
	 * The first word tells whether there is one more than this. If not,
	 * that one must not be read: the list may end in the last bytes of
	 * memory.
	 */
	have = cp_read_idaws(cp, slot, &words, 0, sure);
	n = sure;
	if (have == sure) {
		idaw = cp->fmt2_idaws ? be64_to_cpu(words.fmt2[0]) :
					be32_to_cpu(words.fmt1[0]);
		n = cp_count_idaws(slot, idaw, cp->shift);
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

	err = cp_make_room(cp, n);
	if (err)
		return err;
	cp_take_idaws(cp, slot, n);
	slot->nidaws = n;
	cp->most_pages += n;
	cp->host_shift = cp->shift;

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

static bool cp_midaw_is_valid(const struct cp_slot *slot, u64 control, u64 addr)
{
	u32 count = control & MIDAW_COUNT, offset = addr & (PG_SIZE - 1);

	if (control & MIDAW_ZERO || !count)
		return false;
	if (control & MIDAW_SKIP)
		return true;
	if (slot->data & DATA_DOWN)
		return count <= offset + 1;
	return offset + count <= PG_SIZE;
}

/*
 * Copies the MIDAWs that a channel can reach from the list that was read, up to
 * one that it would not accept. If they are for less than the CCW's count, a bad
 * one follows: no channel goes on behind it. Returns their number, which is one
 * too many if there is no room for the bad one.
 */
static unsigned int cp_parse_midaws(struct ccw_cp *cp, struct cp_slot *slot,
				    unsigned int have)
{
	u32 count, left = slot->count;
	bool ends = false;
	unsigned int n;
	u64 control;

	for (n = 0; n < have && left && !ends; n++) {
		control = be64_to_cpu(cp->midal[2 * n]);
		if (!cp_midaw_is_valid(slot, control,
				       be64_to_cpu(cp->midal[2 * n + 1])))
			break;
		count = control & MIDAW_COUNT;
		ends = control & MIDAW_LAST || count > left;
		left -= min(count, left);
	}
	if (!left)
		return n;
	if (n < MIDAWS_MAX)
		cp->midal[2 * n] = cpu_to_be64(MIDAW_BAD);
	return n + 1;
}

/*
 * It is not defined what a device gets for output that is skipped. The program
 * fails, or ends there if nothing but a status modifier leads to it. *@n: as
 * cp_parse_midaws() returned it.
 */
static int cp_refuse_skips(struct ccw_cp *cp, struct cp_slot *slot,
			   unsigned int *n)
{
	unsigned int i, most = min(*n, MIDAWS_MAX);

	if (!(slot->data & DATA_READ))
		return 0;
	for (i = 0; i < most; i++) {
		if (!(be64_to_cpu(cp->midal[2 * i]) & MIDAW_SKIP))
			continue;
		if (!i || !cp_is_optional(slot))
			return cp_fail_slot(cp, slot, -EOPNOTSUPP,
					    "MIDAWs that skip output");
		cp->midal[2 * i] = cpu_to_be64(MIDAW_BAD);
		*n = i + 1;
		break;
	}
	return 0;
}

static int cp_copy_midal(struct ccw_cp *cp, struct cp_slot *slot)
{
	unsigned int i, n, have = slot->cda & (PG_SIZE - 1);
	u64 *list;
	int err;

	if (slot->cda & (MIDAW_SIZE - 1)) {
		slot->is |= IS_INVALID;
		return 0;
	}
	have = min((PG_SIZE - have) / MIDAW_SIZE, (unsigned int)slot->count);
	if (slot->cda >= cp->limit ||
	    cp->ops->read(cp->ctx, slot->cda, cp->midal, have * MIDAW_SIZE))
		return cp_fail_slot(cp, slot, -EINVAL, "a MIDAW cannot be read");
	n = cp_parse_midaws(cp, slot, have);
	err = cp_refuse_skips(cp, slot, &n);
	if (err || slot->is & IS_INVALID)
		return err;
	if (n > MIDAWS_MAX)
		return cp_fail_slot(cp, slot, -EINVAL,
				    "a list of MIDAWs that leaves its page");

	err = cp_make_midaw_room(cp, n);
	if (err)
		return err == -EINVAL ?
		       cp_fail_slot(cp, slot, err, cp->why) : err;
	cp_take_idaws(cp, slot, 2 * n);
	slot->nidaws = 2 * n;
	cp->most_pages += n;
	list = cp_idal(cp, slot);
	for (i = 0; i < 2 * n; i++)
		list[i] = be64_to_cpu(cp->midal[i]);
	return 0;
}

/* Data is never chained behind a list whose first MIDAW is bad */
static bool cp_moves_nothing(const struct ccw_cp *cp,
			     const struct cp_slot *slot)
{
	return slot->flags & FLAG_MIDA && slot->nidaws &&
	       *cp_idal(cp, slot) == MIDAW_BAD;
}

/* The use of the data of a CCW that is reached as @kind */
static u8 cp_data_of(const struct cp_slot *slot, u8 kind)
{
	u8 data;

	if (!slot->count || kind & AS_NODATA)
		return 0;
	if (kind & (AS_OUTPUT | AS_SEARCH))
		return DATA_READ; /* it cannot skip */
	data = slot->flags & FLAG_SKIP ? DATA_SKIP : DATA_WRITE;
	return kind & AS_BACKWARD ? data | DATA_DOWN : data;
}

/* One list of host addresses, with what it skips, cannot serve both ways */
static bool cp_is_other_way(const struct cp_slot *slot, u8 data)
{
	u8 ways = DATA_SKIP | DATA_DOWN;

	if (slot->flags & FLAG_MIDA)
		ways |= DATA_READ | DATA_WRITE;
	return slot->data && (slot->data ^ data) & ways;
}

/* Takes over the addresses of a CCW's data */
static int cp_copy_data(struct ccw_cp *cp, struct cp_slot *slot, u8 data)
{
	if (!data)
		return 0;
	if (slot->data) {
		if (cp_is_other_way(slot, data))
			return cp_fail(cp, -EINVAL, "data in two directions");
		slot->data |= data;
		return 0;
	}

	slot->data = data;
	if (data & DATA_SKIP)
		return 0;
	if (slot->flags & FLAGS_LIST)
		return slot->flags & FLAG_IDA ? cp_copy_idal(cp, slot) :
						cp_copy_midal(cp, slot);
	cp->most_pages += slot->count / PG_SIZE + 2;
	return 0;
}

/*
 * Does the data of a CCW have another use already, or no use, so that a status
 * modifier cannot lead to it? The status modifier hardly ever comes, and the
 * other way to the CCW is certain: that way keeps the permissions to memory
 * that it would have alone.
 */
static bool cp_conflicts(const struct cp_slot *slot, u8 data)
{
	if (!data)
		return false;
	if (cp_is_other_way(slot, data))
		return true;
	return !cp_is_optional(slot) && data & ~slot->data;
}

/*
 * Makes the conflicting way to a CCW give a program check. @from is the CCW that
 * chains data to it, or NULL if it is reached as a command.
 */
static int cp_conflict(struct ccw_cp *cp, struct cp_slot *from)
{
	/* It stays chained data, and gets no command code */
	if (!from)
		return 0;
	if (!cp_is_optional(from))
		return cp_fail(cp, -EINVAL, "data in two directions");
	from->is |= IS_INVALID;
	return 0;
}

/* Remembers the CCW that a status modifier leads to, if there is one */
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
		return cp_conflict(cp, from) ?: 1;
	return cp_copy_data(cp, slot, data);
}

/* Does a CCW have flags that are not supported? ccw_cp_why() names them */
static bool cp_refuse_flags(struct ccw_cp *cp, const struct cp_slot *slot)
{
	if (slot->flags & FLAG_SUSPEND)
		cp->why = "a CCW that suspends";
	else if (!cp->midaws)
		cp->why = "a CCW with MIDAWs that the ORB does not allow for";
	else if (slot->flags & (FLAG_IDA | FLAG_SKIP))
		cp->why = "a CCW with MIDAWs and IDAWs, or one that skips";
	else
		return false;
	return true;
}

/*
 * Follows the program from @addr on. There are no forks: the CCWs that status
 * modifiers lead to are remembered for later. Ends where the program ends, or
 * at a CCW that was followed already.
 */
static int cp_follow(struct ccw_cp *cp, u32 addr, bool optional)
{
	struct cp_slot *slot, *tic = NULL, *from = NULL;
	u32 modifier = NO_CCW;
	u8 as = AS_COMMAND;
	int ret = 0;
	u8 kind;

	for (;; addr += sizeof(struct cp_ccw)) {
		slot = cp_slot_at(cp, addr, optional);
		if (!slot) {
			if (!optional)
				return -EINVAL;
			/* Where it would have been is an invalid CCW */
			if (tic)
				tic->is |= IS_INVALID;
			break;
		}
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
		if (slot->flags & (FLAG_SUSPEND | FLAG_MIDA) &&
		    cp_refuse_flags(cp, slot)) {
			ret = cp_fail_slot(cp, slot, -EOPNOTSUPP, cp->why);
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
		if (as == AS_COMMAND)
			slot->is |= IS_COMMAND;

		if (slot->flags & FLAG_DC) {
			if (kind == AS_NODATA || cp_moves_nothing(cp, slot))
				break;
			cp_add_modifier(cp, modifier);
			modifier = NO_CCW;
			as = kind;
			from = slot;
			continue;
		}
		if (!(slot->flags & FLAG_CC))
			break;
		/* The last modifier leads to the CCW that is chained to this */
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
 * If a command ends with status modifier, the program goes on behind the next
 * CCW. The device decides which commands end so: it can only be write commands.
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

static void cp_add_range(struct ccw_cp *cp, u32 first, u32 len)
{
	cp->ranges[cp->nranges++] = (struct cp_range){ first, first + len };
}

static int cp_compare_ranges(const void *one, const void *other)
{
	u32 first = ((const struct cp_range *)one)->first;
	u32 second = ((const struct cp_range *)other)->first;

	return first < second ? -1 : first > second;
}

/* Ranges that overlap become one. They are in the order of their addresses */
static void cp_merge_ranges(struct ccw_cp *cp)
{
	struct cp_range *last = cp->ranges;
	unsigned int i;

	for (i = 1; i < cp->nranges; i++) {
		if (cp->ranges[i].first <= last->end)
			last->end = max(last->end, cp->ranges[i].end);
		else
			*++last = cp->ranges[i];
	}
	cp->nranges = last - cp->ranges + 1;
}

/* Finds where the program's CCWs and lists are in guest memory */
static void cp_find_ranges(struct ccw_cp *cp)
{
	u32 size = cp->fmt2_idaws ? sizeof(__be64) : sizeof(__be32);
	const struct cp_slot *slot;
	unsigned int i;

	cp->nranges = 0;
	for (i = 0; i < cp->nsegs; i++)
		cp_add_range(cp, cp->segs[i].guest,
			     cp->segs[i].n * sizeof(struct cp_ccw));
	for (i = 0; i < cp->nslots; i++) {
		slot = &cp->slots[i];
		if (slot->flags & FLAG_MIDA)
			cp_add_range(cp, slot->cda,
				     slot->nidaws * sizeof(__be64));
		else if (slot->flags & FLAG_IDA)
			cp_add_range(cp, slot->cda, slot->nidaws * size);
	}
	sort(cp->ranges, cp->nranges, sizeof(*cp->ranges), cp_compare_ranges,
	     NULL);
	cp_merge_ranges(cp);
}

/* Are there CCWs of the program, or lists of IDAWs, in these bytes? */
static bool cp_is_program(const struct ccw_cp *cp, u64 first, u64 len)
{
	unsigned int low = 0, high = cp->nranges, middle;

	/* Find the first range that ends behind @first */
	while (low < high) {
		middle = (low + high) / 2;
		if (cp->ranges[middle].end > first)
			high = middle;
		else
			low = middle + 1;
	}
	return low < cp->nranges && cp->ranges[low].first < first + len;
}

/* Does the device write there, with a CCW that has a list of IDAWs? */
static bool cp_list_writes_program(const struct ccw_cp *cp,
				   const struct cp_slot *slot)
{
	const u64 *idal = cp_idal(cp, slot);
	u32 offset, len, left = slot->count, block = 1U << cp->shift;
	unsigned int i;
	u64 first;

	for (i = 0; i < slot->nidaws && !(i && idal[i] == BAD_IDAW); i++) {
		offset = idal[i] & (block - 1);
		len = slot->data & DATA_DOWN ? offset + 1 : block - offset;
		len = min(len, left);
		first = slot->data & DATA_DOWN ? idal[i] - len + 1 : idal[i];
		if (cp_is_program(cp, first, len))
			return true;
		left -= len;
	}
	return false;
}

/* The same for MIDAWs */
static bool cp_midal_writes_program(const struct ccw_cp *cp,
				    const struct cp_slot *slot)
{
	const u64 *list = cp_idal(cp, slot);
	unsigned int i;
	u64 first, len;

	for (i = 0; i < slot->nidaws && list[i] != MIDAW_BAD; i += 2) {
		len = list[i] & MIDAW_COUNT;
		first = slot->data & DATA_DOWN ? list[i + 1] - len + 1 :
						 list[i + 1];
		if (!(list[i] & MIDAW_SKIP) && cp_is_program(cp, first, len))
			return true;
	}
	return false;
}

static bool cp_writes_program(const struct ccw_cp *cp,
			      const struct cp_slot *slot)
{
	u64 first;

	if (slot->flags & FLAG_IDA)
		return cp_list_writes_program(cp, slot);
	if (slot->flags & FLAG_MIDA)
		return cp_midal_writes_program(cp, slot);
	first = cp_direct_first(slot);
	return cp_is_program(cp, first, cp_direct_last(cp, slot) - first + 1);
}

/*
 * Without permission to prefetch, a channel fetches each CCW when its turn has
 * come. So the program may read over its own CCWs. The copy has them as they
 * were before: such a program is not supported. A guest can make this check
 * compare thousands of IDAWs with hundreds of lists, so it sorts the lists.
 */
static int cp_check_prefetch(struct ccw_cp *cp)
{
	const struct cp_slot *slot = cp->slots;
	unsigned int s;

	cp_find_ranges(cp);
	for (s = 0; s < cp->nslots; s++, slot++)
		if (slot->data & DATA_WRITE && cp_has_pages(slot) &&
		    cp_writes_program(cp, slot))
			return cp_fail(cp, -EOPNOTSUPP,
				       "a program that reads over itself, without prefetching");
	return 0;
}

/* Pass 1, the only one that reads the guest's program. @flags: the ORB's */
int cp_copy_program(struct ccw_cp *cp, u32 flags, u32 cpa)
{
	struct cp_slot *first = cp_slot_at(cp, cpa, false);
	int err;

	if (!first)
		return -EINVAL;
	/* No program begins with a TIC. One that does ends there */
	if (first->is & IS_TIC) {
		first->is |= IS_INVALID;
		return 0;
	}

	err = cp_follow(cp, cpa, false);
	if (err)
		return err;
	err = cp_follow_modifiers(cp);
	if (err || flags & CCW_ORB_PREFETCH)
		return err;
	return cp_check_prefetch(cp);
}
