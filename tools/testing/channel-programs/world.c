// SPDX-License-Identifier: GPL-2.0-only
/* The memory of a guest and of the host, and the checks of each access to it */
#include <stdarg.h>
#include <stdio.h>

#include "world.h"

static void __attribute__((noreturn, format(printf, 1, 2)))
broken(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("# ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

static const struct {
	u64 start;
	unsigned int n;
} ranges[] = {
	{ WORLD_LOW, 12 }, { WORLD_ISLAND, 2 }, { WORLD_READONLY, 2 },
	{ WORLD_16M, 3 }, { WORLD_2G, 3 }, { WORLD_HIGH, 3 }, { WORLD_TOP, 1 },
	{ WORLD_LONG, 1 },
};

static u32 template[WORLD_PAGES * WORLD_PAGE / 4];

void world_init(struct world *world)
{
	unsigned int r, i, n = 0;

	if (!template[1])
		for (i = 0; i < ARRAY_SIZE(template); i++)
			template[i] = i * 2654435769U ^ i << 7;

	memset(world, 0, sizeof(*world));
	world->mem = aligned_alloc(WORLD_PAGE, sizeof(template));
	if (!world->mem)
		abort();
	memcpy(world->mem, template, sizeof(template));
	for (r = 0; r < ARRAY_SIZE(ranges); r++) {
		for (i = 0; i < ranges[r].n; i++, n++) {
			struct world_page *page = &world->pages[n];

			page->guest = ranges[r].start + i * WORLD_PAGE;
			page->len = WORLD_PAGE;
			if (page->guest == WORLD_LONG)
				page->len = WORLD_LONG_END - WORLD_LONG;
			/* 7 is prime to 27: each address is used once, none are adjacent */
			page->host = n * 7 % WORLD_PAGES * 0x3000ULL;
			page->host += n & 1 ? 0x40000000ULL : 0x9000000000ULL;
			page->readonly = page->guest == WORLD_READONLY;
			page->mem = world->mem[n];
		}
	}
	if (n != WORLD_PAGES)
		broken("%u pages", n);
}

void world_free(struct world *world)
{
	free(world->mem);
}

static struct world_page *page_at(struct world *world, u64 guest)
{
	unsigned int i;

	for (i = 0; i < WORLD_PAGES; i++)
		if (guest - world->pages[i].guest < world->pages[i].len)
			return &world->pages[i];
	return NULL;
}

u8 *world_at(struct world *world, u64 guest)
{
	struct world_page *page = page_at(world, guest);

	return page ? page->mem + guest % WORLD_PAGE : NULL;
}

void world_put(struct world *world, u64 guest, const void *data, size_t len)
{
	const u8 *bytes = data;
	u8 *mem;

	for (; len; len--, guest++, bytes++) {
		mem = world_at(world, guest);
		if (mem)
			*mem = *bytes;
	}
}

void world_ccw(struct world *world, bool fmt1, u64 guest, u8 cmd, u8 flags,
	       u16 count, u32 cda)
{
	u8 one[] = { cmd, flags, count >> 8, count,
		     cda >> 24, cda >> 16, cda >> 8, cda };
	u8 zero[] = { cmd, cda >> 16, cda >> 8, cda,
		      flags, 0x5a, count >> 8, count };

	world_put(world, guest, fmt1 ? one : zero, 8);
}

static int world_read(void *ctx, u64 addr, void *buf, size_t len)
{
	struct world *world = ctx;
	u8 *mem = world_at(world, addr);

	if (!len || addr % WORLD_PAGE + len > WORLD_PAGE)
		broken("a read of %zu bytes at %#llx leaves its page", len,
		       (unsigned long long)addr);
	world->reads++;
	if (!mem)
		return -EFAULT;
	memcpy(buf, mem, len);
	if (world->interfere)
		world->interfere(world, addr, len);
	return 0;
}

static int world_pin(void *ctx, u64 pfn, unsigned int npages, bool write,
		     u64 *host)
{
	struct world *world = ctx;
	struct world_page *page;
	unsigned int i;

	if (!npages || npages > CCW_CP_MAX_PIN)
		broken("%u pages in one call", npages);
	if (world->is_short)
		broken("more is pinned when memory is short already");
	if (world->short_at && !--world->short_at) {
		world->is_short = true;
		return world->short_error ?: -ENOMEM;
	}
	for (i = 0; i < npages; i++) {
		page = page_at(world, (pfn + i) << 12);
		if (pfn + i >= 1ULL << 52 || !page || (write && page->readonly))
			return -EFAULT;
	}
	world->pin_calls++;
	if (npages > world->largest_pin)
		world->largest_pin = npages;
	for (i = 0; i < npages; i++) {
		page = page_at(world, (pfn + i) << 12);
		page->pins++;
		page->write_pins += write;
		world->pinned++;
		host[i] = page->host;
	}
	return 0;
}

static void world_unpin(void *ctx, u64 pfn, unsigned int npages)
{
	struct world *world = ctx;
	struct world_page *page;
	unsigned int i;

	if (!npages)
		broken("nothing unpinned");
	world->unpin_calls++;
	for (i = 0; i < npages; i++) {
		page = page_at(world, (pfn + i) << 12);
		if (!page || !page->pins)
			broken("page %#llx unpinned, which is not pinned",
			       (unsigned long long)pfn + i);
		page->pins--;
		world->pinned--;
		/* A page is released with its last pin. unpin() does not say which pin it ends */
		if (!page->pins)
			page->write_pins = 0;
	}
}

static void world_keep(void *ctx, u64 host)
{
	struct world *world = ctx;
	unsigned int i;

	for (i = 0; i < WORLD_PAGES; i++)
		if (world->pages[i].host == host && world->pages[i].pins) {
			world->pages[i].kept++;
			return;
		}
	broken("page at %#llx kept, which is not pinned",
	       (unsigned long long)host);
}

const struct ccw_cp_mem_ops world_ops = {
	.read	= world_read,
	.pin	= world_pin,
	.unpin	= world_unpin,
	.keep	= world_keep,
};

void world_copy_init(struct world_copy *copy, struct world *world)
{
	copy->world = world;
	copy->program = malloc(sizeof(template));
	copy->data = malloc(sizeof(template));
	if (!copy->program || !copy->data)
		abort();
	world_copy_refresh(copy);
}

void world_copy_refresh(struct world_copy *copy)
{
	memcpy(copy->program, copy->world->mem, sizeof(template));
	memcpy(copy->data, copy->world->mem, sizeof(template));
}

void world_copy_free(struct world_copy *copy)
{
	free(copy->program);
	free(copy->data);
}

u64 world_copy_differs(struct world_copy *copy)
{
	unsigned int i, k;

	for (i = 0; i < WORLD_PAGES; i++) {
		if (!memcmp(copy->data[i], copy->world->mem[i], WORLD_PAGE))
			continue;
		for (k = 0; copy->data[i][k] == copy->world->mem[i][k]; k++)
			;
		return copy->world->pages[i].guest + k;
	}
	return ~0ULL;
}

/* If the channel may prefetch, a program that changes itself runs as it was at its start */
static bool guest_fetch(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct world_copy *copy = ctx;
	struct world_page *page = page_at(copy->world, addr);

	if (!page)
		return false;
	memcpy(buf, &(copy->live ? copy->data : copy->program)
	       [page - copy->world->pages][addr % WORLD_PAGE], len);
	return true;
}

static uint8_t *guest_data(void *ctx, uint64_t addr, bool write)
{
	struct world_copy *copy = ctx;
	struct world_page *page = page_at(copy->world, addr);

	if (!page || (write && page->readonly))
		return NULL;
	return &copy->data[page - copy->world->pages][addr % WORLD_PAGE];
}

static bool host_fetch(void *ctx, uint64_t addr, void *buf, size_t len)
{
	void *mem = addr >> 32 ? NULL : shim_dma(addr, len);

	(void)ctx;
	if (!mem)
		broken("the host's program leads to %#llx",
		       (unsigned long long)addr);
	memcpy(buf, mem, len);
	return true;
}

static struct world_page *host_page(struct world *world, u64 addr)
{
	unsigned int i;

	for (i = 0; i < WORLD_PAGES; i++)
		if (world->pages[i].host == (addr & ~0xfffULL))
			return &world->pages[i];
	return NULL;
}

static uint8_t *host_data(void *ctx, uint64_t addr, bool write)
{
	struct world_page *page = host_page(ctx, addr);

	if (!page || !page->pins || (write && !page->write_pins))
		broken("the channel %s %#llx, which is not pinned for that",
		       write ? "writes" : "reads", (unsigned long long)addr);
	return page->mem + addr % WORLD_PAGE;
}

struct model_mem world_guest_mem(struct world_copy *copy)
{
	return (struct model_mem){ guest_fetch, guest_data, copy };
}

struct model_mem world_host_mem(struct world *world)
{
	return (struct model_mem){ host_fetch, host_data, world };
}

struct model_orb world_guest_orb(u32 flags, u32 cpa)
{
	return (struct model_orb){
		.fmt1 = flags >> 23 & 1,
		.fmt2_idaws = flags >> 17 & 1,
		.idaws_2k = flags >> 16 & 1,
		.modified = flags >> 6 & 1,
		.ils = flags >> 7 & 1,
		.cpa = cpa,
	};
}

struct model_orb world_host_orb(const struct ccw_cp_start *start)
{
	if (!(start->flags >> 23 & 1))
		broken("the host's program is of format 0");
	return world_guest_orb(start->flags, start->cpa);
}

static u32 get32(const u8 *bytes)
{
	return (u32)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

/* An IDAW that stops the channel: aligned to neither end of a block */
static bool stops(u64 idaw)
{
	return idaw % 2048 && idaw % 2048 != 2047;
}

/* An address in a host's list must be that of a pinned page, or of our memory */
static bool is_known(struct world *world, u64 addr)
{
	struct world_page *page = host_page(world, addr);

	if (page)
		return page->pins;
	return !(addr >> 31) && shim_dma(addr, 1);
}

static const char *inspect_midaws(struct world *world, u32 addr, u32 count)
{
	const u8 *raw;
	u32 part;

	for (; count; count -= part, addr += 16) {
		raw = shim_dma(addr, 16);
		if (!raw)
			return "a list of MIDAWs that is cut off";
		part = raw[6] << 8 | raw[7];
		/* A MIDAW with a count of 0 stops any channel */
		if (!part)
			return NULL;
		if (!is_known(world, (u64)get32(raw + 8) << 32 |
			      get32(raw + 12)))
			return "a MIDAW of somebody else's page";
		if (part > count)
			part = count;
	}
	return NULL;
}

const char *world_inspect(struct world *world, struct ccw_cp *cp)
{
	unsigned int n, i, k;
	const u8 *ccw = peek_host_ccws(cp, &n);
	const char *why;

	for (i = 0; i < n; i++, ccw += 8) {
		u32 count = ccw[2] << 8 | ccw[3];
		u32 addr = get32(ccw + 4);

		if (addr % 4 || (addr && !shim_dma(addr, 8)))
			return "a CCW with an address of somebody else";
		if (ccw[0] == 8 || !addr)
			continue;
		if (!count)
			continue;
		if (ccw[1] & 1) {
			why = inspect_midaws(world, addr, count);
			if (why)
				return why;
			continue;
		}
		if (!(ccw[1] & 4))
			return "data without an IDAL";
		for (k = 0; k < DIV_ROUND_UP(count, 4096); k++) {
			struct world_page *page;
			const u8 *raw = shim_dma(addr + k * 8, 8);
			u64 idaw;

			if (!raw)
				return "an IDAL that is cut off";
			idaw = (u64)get32(raw) << 32 | get32(raw + 4);
			if (k && stops(idaw))
				break;
			page = host_page(world, idaw);
			if (page && page->pins)
				continue;
			if (page || idaw >> 31 || !shim_dma(idaw, 1))
				return "an IDAW of somebody else's page";
		}
	}
	return NULL;
}
