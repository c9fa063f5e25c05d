/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest's memory, and the addresses of its pages on the host. These are not
 * adjacent, and in another order. The channel may use a page only while it is
 * pinned.
 */
#ifndef CCW_WORLD_H
#define CCW_WORLD_H

#include "model.h"
#include "shim.h"
#include "vfio_ccw_cp.h"

#define WORLD_PAGES	27
#define WORLD_PAGE	4096

/* Guest addresses. All other addresses are not mapped */
#define WORLD_LOW	0x0ULL			/* 12 pages from here */
#define WORLD_LOW_END	0xc000ULL
#define WORLD_ISLAND	0xd000ULL		/* 2 pages without neighbours */
#define WORLD_READONLY	0x10000ULL		/* 2 pages, the 1st read only */
#define WORLD_LONG	0x400000ULL		/* one page, mapped 640 times */
#define WORLD_LONG_END	0x680000ULL
#define WORLD_16M	0xffe000ULL		/* 2 pages, up to 16 MiB, and 1 */
#define WORLD_2G	0x7fffe000ULL		/* 2 pages, up to 2 GiB, and 1 */
#define WORLD_HIGH	0x123450000ULL		/* 3 pages above 4 GiB */
#define WORLD_TOP	0xfffffffffffff000ULL	/* the last possible page */

struct world_page {
	u64 guest, host;
	u64 len;		/* above one page: mapped several times */
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
	/* The number of the pin call that fails because of low memory or RLIMIT_MEMLOCK */
	unsigned int short_at;
	/* Its error, -ENOMEM if this is 0. -EINTR: the memory is unmapped */
	int short_error;
	bool is_short;
	/* Called after each read with its address: lets a guest change the memory */
	void (*interfere)(struct world *world, u64 addr, size_t len);
	void *interfere_ctx;
};

extern const struct ccw_cp_mem_ops world_ops;

void world_init(struct world *world);
void world_free(struct world *world);
/* The memory at a guest address, or NULL */
u8 *world_at(struct world *world, u64 guest);
void world_put(struct world *world, u64 guest, const void *data, size_t len);
/* Writes a CCW in format 0 or 1 */
void world_ccw(struct world *world, bool fmt1, u64 guest, u8 cmd, u8 flags,
	       u16 count, u32 cda);

/* A copy of the guest's memory, used by a channel inside the guest */
struct world_copy {
	struct world *world;
	u8 (*program)[WORLD_PAGE];	/* unchanged since the copy was made */
	u8 (*data)[WORLD_PAGE];
	bool live;		/* the channel fetches from @data */
};

void world_copy_init(struct world_copy *copy, struct world *world);
void world_copy_refresh(struct world_copy *copy);
void world_copy_free(struct world_copy *copy);
/* The first guest address at which memory and copy differ, or ~0 */
u64 world_copy_differs(struct world_copy *copy);

/* The guest's channel uses the copy, the host's channel uses the memory itself */
struct model_mem world_guest_mem(struct world_copy *copy);
struct model_mem world_host_mem(struct world *world);

struct model_orb world_guest_orb(u32 flags, u32 cpa);
struct model_orb world_host_orb(const struct ccw_cp_start *start);

/* Checks each CCW and IDAW of the host, executed or not. Returns NULL or a finding */
const char *world_inspect(struct world *world, struct ccw_cp *cp);

/* Private data of the translator: see peek.c */
void *peek_host_ccws(struct ccw_cp *cp, unsigned int *n);

#endif /* CCW_WORLD_H */
