/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vfio-ccw: a channel program on its way from the guest to the host: the data
 * that the passes of its translation share. Each pass is a file, see
 * vfio_ccw_cp.c.
 */
#ifndef VFIO_CCW_PROGRAM_H
#define VFIO_CCW_PROGRAM_H

#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/types.h>

#include "vfio_ccw_cp.h"

/* A guest's pages are of 4 KiB, and so are the host's: s390 has no others */
#define PG_SHIFT	12
#define PG_SIZE		4096U

#define CMD_TIC		0x08

#define FLAG_DC		0x80	/* chain data */
#define FLAG_CC		0x40	/* chain command */
#define FLAG_SKIP	0x10
#define FLAG_IDA	0x04
#define FLAG_SUSPEND	0x02
#define FLAG_MIDA	0x01
#define FLAGS_LIST	(FLAG_IDA | FLAG_MIDA)

/* What is known about a CCW */
#define IS_TIC		0x01
#define IS_INVALID	0x02	/* gives a program check when it is reached */
#define IS_OPTIONAL	0x04	/* only a status modifier reaches it */
#define IS_MODIFYING	0x08	/* its status modifier was remembered */
#define IS_COMMAND	0x10	/* valid as a command, not as chained data only */
#define IS_ACCEPTED	0x20	/* valid, in one way at least */

/* The use of its data */
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
	u16 nidaws;		/* of the guest's list; a MIDAW counts as two */
	union {
		u16 idal;	/* index of the first IDAW */
		u16 page;	/* until data without a list gets one: of the
				 * host's address of its lowest page
				 */
	};
};

/* Consecutive pages of guest memory, which one call pins */
struct cp_run {
	u64 pfn;
	u32 n;
	bool write;
	bool holes;		/* some of them could not be pinned */
};

/* CCWs that are consecutive in guest memory, in the slots and on the host */
struct cp_seg {
	u32 guest;
	u16 first;		/* index of the slot */
	u16 n;
	u16 host;		/* index of the host's CCW */
};

/* Bytes of guest memory that have CCWs or lists, up to and without @end */
struct cp_range {
	u32 first;
	u32 end;
};

/* The most: each segment, and a list of each CCW */
#define CP_RANGES	(CCW_CP_MAX_SEGS + CCW_CP_MAX_CCWS)

struct cp_ccw {
	__be32 op;		/* command code, flags and count */
	__be32 cda;
};

/* The most IDAWs of one CCW: 65535 bytes that start in the middle of 2 KiB */
#define IDAL_MAX	33
#define IDAW_CHUNK	(PG_SIZE / sizeof(__be64))
#define IDAW_CHUNKS	DIV_ROUND_UP(CCW_CP_MAX_CCWS, IDAW_CHUNK / IDAL_MAX)

/*
 * An IDAW that no channel accepts: it names neither the first nor the last byte
 * of a block. Only the first IDAW of a list may look like this.
 */
#define BAD_IDAW	(~(u64)2)

/*
 * A MIDAW is two words: flags and count, and the address. No channel accepts
 * one whose count is 0
 */
#define MIDAW_SIZE	16U
#define MIDAW_COUNT	0xffffU
#define MIDAW_LAST	0x800000U
#define MIDAW_SKIP	0x400000U
#define MIDAW_ZERO	0xffffffffff1f0000ULL
#define MIDAW_BAD	0ULL

/* A list of MIDAWs does not leave its page */
#define MIDAWS_MAX	(PG_SIZE / MIDAW_SIZE)

/* In place of the host's address of a page that could not be pinned */
#define BAD_PAGE	(~(u64)0)

/*
 * Invalid CCWs between segments: a CCW behind one that chains, and the one
 * that a status modifier reaches, give a program check there. One more, so
 * that the address behind the last of them is not yet the next segment's.
 */
#define GAP		3U

/* The address of no CCW: it is odd */
#define NO_CCW		1U

/* The worst case: each segment with its gap */
#define HOST_CCWS	(CCW_CP_MAX_CCWS + GAP * CCW_CP_MAX_SEGS)

/*
 * The host's program. Skipped data has a page, too, and the lists lead to it:
 * that costs nothing, and a channel that cannot skip (QEMU's) must not write
 * elsewhere.
 */
struct cp_host {
	struct cp_ccw ccws[HOST_CCWS];
	__be64 up[IDAL_MAX];
	__be64 down[IDAL_MAX];
};

#define HOST_ORDER	1

static_assert(sizeof(struct cp_host) <= PG_SIZE << HOST_ORDER);
static_assert(sizeof(struct cp_ccw) == 8);

/* What fits the narrow fields of a slot and of the segments' order */
static_assert(IDAW_CHUNKS * IDAW_CHUNK <= U16_MAX);
static_assert(CCW_CP_MAX_CCWS * IDAL_MAX <= U16_MAX);
static_assert(sizeof(struct cp_slot) == 16);
static_assert(CCW_CP_MAX_SEGS <= U8_MAX);

struct ccw_cp {
	const struct ccw_cp_mem_ops *ops;
	void *ctx;
	const char *why;

	/* The ORB's settings */
	bool fmt1;
	bool fmt2_idaws;
	bool midaws;
	u32 limit;		/* the address behind the last one */
	u8 shift;		/* of the bytes that an IDAW is for */
	u8 host_shift;		/* the same of the host's */

	/* The program, as it was copied */
	unsigned int nslots;
	unsigned int nsegs;
	unsigned int cur;	/* the segment that was used last */
	struct cp_seg *last;	/* the segment of the last slot */
	u32 grow;		/* the address behind that slot */
	u32 stop;		/* where @grow meets another segment */
	unsigned int nmodifiers;
	u32 modifiers[CCW_CP_MAX_CCWS];	/* targets of status modifiers */
	u8 order[CCW_CP_MAX_SEGS];	/* of the segments in guest memory */
	struct cp_seg segs[CCW_CP_MAX_SEGS];
	struct cp_slot slots[CCW_CP_MAX_CCWS];

	/* The part of the guest's program that was read last */
	u32 chunk_start;
	u32 chunk_len;
	__be32 chunk[PG_SIZE / sizeof(__be32)];
	union {
		__be64 midal[PG_SIZE / sizeof(__be64)];	/* and a list of MIDAWs */
		struct cp_range ranges[CP_RANGES];	/* when all is read */
	};
	unsigned int nranges;

	/* The host's program, in memory that a channel reaches */
	struct cp_host *host;
	u32 host_addr;
	unsigned int nhost;
	void *skipped;		/* the page where data to skip goes */
	u32 skipped_addr;

	/*
	 * IDAWs, in pages that stay. Those of a guest's list hold its addresses
	 * at first, then the number of a page in addrs[] in place of the page,
	 * both in the CPU's order. The second words of MIDAWs do the same.
	 */
	unsigned int nidaws;
	unsigned int room;		/* behind them, in the same page */
	u64 *idaws[IDAW_CHUNKS];
	u32 idaw_addrs[IDAW_CHUNKS];

	/* The data's pages, in runs; and the host's address of each of them */
	unsigned int most_pages;	/* that the program may have */
	unsigned int npages;
	unsigned int nruns;
	unsigned int npinned;		/* of the runs */
	unsigned int max_pages;
	struct cp_run *runs;
	u64 *addrs;
};

static inline int cp_fail(struct ccw_cp *cp, int err, const char *why)
{
	cp->why = why;
	return err;
}

static inline bool cp_is_optional(const struct cp_slot *slot)
{
	return slot->is & IS_OPTIONAL;
}

/*
 * Something is wrong with a CCW that the program may never reach: it gives a
 * program check there instead of failing the program as a whole.
 */
static inline int cp_fail_slot(struct ccw_cp *cp, struct cp_slot *slot,
			       int err, const char *why)
{
	if (!cp_is_optional(slot))
		return cp_fail(cp, err, why);
	slot->is |= IS_INVALID;
	return 0;
}

static inline u64 *cp_idaws(const struct ccw_cp *cp, unsigned int first)
{
	return cp->idaws[first / IDAW_CHUNK] + first % IDAW_CHUNK;
}

static inline u64 *cp_idal(const struct ccw_cp *cp, const struct cp_slot *slot)
{
	return cp_idaws(cp, slot->idal);
}

static inline bool cp_seg_has(const struct cp_seg *seg, u32 addr)
{
	return (addr - seg->guest) / sizeof(struct cp_ccw) < seg->n;
}

static inline int cp_seg_slot(const struct cp_seg *seg, u32 addr)
{
	return seg->first + (addr - seg->guest) / sizeof(struct cp_ccw);
}

/* Skipped data is not in guest memory */
static inline bool cp_has_pages(const struct cp_slot *slot)
{
	return slot->data & (DATA_READ | DATA_WRITE) &&
	       !(slot->is & IS_INVALID);
}

/* The lowest address of data without a list */
static inline u32 cp_direct_first(const struct cp_slot *slot)
{
	if (!(slot->data & DATA_DOWN))
		return slot->cda;
	return slot->cda < slot->count ? 0 : slot->cda - slot->count + 1;
}

/* The highest one: nothing is behind the limit */
static inline u32 cp_direct_last(const struct ccw_cp *cp,
				 const struct cp_slot *slot)
{
	if (slot->data & DATA_DOWN)
		return slot->cda;
	return min(slot->cda + slot->count, cp->limit) - 1;
}

/*
 * How many IDAWs it takes for data that begins at @first, each for 1 << @shift
 * bytes but for the first and the last
 */
static inline unsigned int cp_count_idaws(const struct cp_slot *slot, u64 first,
					  unsigned int shift)
{
	u32 most = (1U << shift) - 1, offset = first & most;

	if (slot->data & DATA_DOWN)
		offset = most - offset;
	return (offset + slot->count + most) >> shift;
}

/* vfio_ccw_cp_copy.c: pass 1 */
int cp_copy_program(struct ccw_cp *cp, u32 flags, u32 cpa);
int cp_new_chunk(struct ccw_cp *cp);

/* Makes room for @n IDAWs: a list does not leave its page */
static inline int cp_make_room(struct ccw_cp *cp, unsigned int n)
{
	return n > cp->room ? cp_new_chunk(cp) : 0;
}

/* The same for @n MIDAWs, which are aligned to their size */
static inline int cp_make_midaw_room(struct ccw_cp *cp, unsigned int n)
{
	unsigned int odd = cp->nidaws & 1;

	if (2 * n + odd > cp->room)
		return cp_new_chunk(cp);
	cp->nidaws += odd;
	cp->room -= odd;
	return 0;
}

/* Makes the next IDAWs those of @slot, for which there is room */
static inline void cp_take_idaws(struct ccw_cp *cp, struct cp_slot *slot,
				 unsigned int n)
{
	slot->idal = cp->nidaws;
	cp->nidaws += n;
	cp->room -= n;
}

/* vfio_ccw_cp_host.c: passes 2 and 4 */
void cp_lay_out(struct ccw_cp *cp);
int cp_write_program(struct ccw_cp *cp);
u32 cp_host_ccw(const struct ccw_cp *cp, u32 guest);

/* vfio_ccw_cp_pin.c: pass 3 */
int cp_pin_program(struct ccw_cp *cp);

#endif /* VFIO_CCW_PROGRAM_H */
