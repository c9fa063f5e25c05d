/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest's memory, and where its pages are on the host: apart from each
 * other, in another order, and reached only while they are pinned.
 */
#ifndef CCW_WORLD_H
#define CCW_WORLD_H

#include "model.h"
#include "shim.h"
#include "vfio_ccw_cp.h"

#define WORLD_PAGES	27
#define WORLD_PAGE	4096

/* Guest addresses of interest. What is not named is not mapped */
#define WORLD_LOW	0x0ULL			/* 12 pages from here */
#define WORLD_LOW_END	0xc000ULL
#define WORLD_ISLAND	0xd000ULL		/* 2 pages, nothing around */
#define WORLD_READONLY	0x10000ULL		/* 2 pages, the 1st read only */
#define WORLD_LONG	0x400000ULL		/* 640 times the same page */
#define WORLD_LONG_END	0x680000ULL
#define WORLD_16M	0xffe000ULL		/* 2 pages, up to 16 MiB, and 1 */
#define WORLD_2G	0x7fffe000ULL		/* 2 pages, up to 2 GiB, and 1 */
#define WORLD_HIGH	0x123450000ULL		/* 3 pages above 4 GiB */
#define WORLD_TOP	0xfffffffffffff000ULL	/* the last page there can be */

struct world_page {
	u64 guest, host;
	u64 len;		/* more than a page: it is there several times */
	bool readonly;
	unsigned int pins;
	unsigned int write_pins;
	unsigned int kept;
	u8 *mem;
};

struct world {
	struct world_page pages[WORLD_PAGES];
	u8 (*mem)[WORLD_PAGE];
	unsigned int pin_calls, unpin_calls, pinned, reads;
	unsigned int largest_pin;
	/* With this pin the host's memory is short, or the user's limit reached */
	unsigned int short_at;
	bool is_short;
	/* Called behind each read, with what was read: a guest that interferes */
	void (*interfere)(struct world *world, u64 addr, size_t len);
	void *interfere_ctx;
};

extern const struct ccw_cp_mem_ops world_ops;

void world_init(struct world *world);
void world_free(struct world *world);
/* The memory behind a guest address; NULL where there is none */
u8 *world_at(struct world *world, u64 guest);
void world_put(struct world *world, u64 guest, const void *data, size_t len);
/* Like world_put(), for CCWs in one or the other format */
void world_ccw(struct world *world, bool fmt1, u64 guest, u8 cmd, u8 flags,
	       u16 count, u32 cda);

/* A copy of the guest's memory, for a channel inside the guest */
struct world_copy {
	struct world *world;
	u8 (*program)[WORLD_PAGE];	/* as it was when the copy was made */
	u8 (*data)[WORLD_PAGE];
	bool live;		/* the channel fetches what is there by then */
};

void world_copy_init(struct world_copy *copy, struct world *world);
void world_copy_refresh(struct world_copy *copy);
void world_copy_free(struct world_copy *copy);
/* The first guest address where memory and copy differ; ~0 for none */
u64 world_copy_differs(struct world_copy *copy);

/* The guest's channel works on a copy, the host's on the memory itself */
struct model_mem world_guest_mem(struct world_copy *copy);
struct model_mem world_host_mem(struct world *world);

struct model_orb world_guest_orb(u32 flags, u32 cpa);
struct model_orb world_host_orb(const struct ccw_cp_start *start);

/* Looks at each CCW and IDAW of the host, executed or not; NULL or a finding */
const char *world_inspect(struct world *world, struct ccw_cp *cp);

/* What only the translator knows: see peek.c */
void *peek_host_ccws(struct ccw_cp *cp, unsigned int *n);

#endif /* CCW_WORLD_H */
