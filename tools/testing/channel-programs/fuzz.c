// SPDX-License-Identifier: GPL-2.0-only
/*
 * Builds channel programs from a fuzzer's bytes. Most are valid and use all
 * features, so that a mutation of the bytes gives another program, and rarely
 * just another invalid one.
 */
#include <stdio.h>

#include "proof.h"

struct input {
	const u8 *data;
	size_t len;
};

static u8 take(struct input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->data++;
}

static u32 take16(struct input *in)
{
	u32 high = take(in);

	return high << 8 | take(in);
}

struct builder {
	struct input *in;
	struct world *world;
	bool fmt1, fmt2_idaws, midaws;
	u32 at;			/* of the next CCW */
	u32 lists;		/* of the next IDAL */
	u32 seen[64];		/* CCWs so far, as targets of TICs */
	unsigned int nseen;
};

/* An address of data, most often in existing memory */
static u64 take_address(struct builder *b)
{
	static const u64 bases[] = {
		WORLD_LOW + 0x4000, WORLD_LOW + 0x5000, WORLD_LONG,
		WORLD_LOW + 0x8000, WORLD_LOW_END - 0x1000, WORLD_ISLAND,
		WORLD_READONLY, WORLD_READONLY + 0x1000, WORLD_16M,
		WORLD_16M + 0x1000, WORLD_2G, WORLD_2G + 0x1000, WORLD_HIGH,
		WORLD_HIGH + 0x2000, WORLD_TOP, 0x20000,
	};
	u8 what = take(b->in);
	u64 addr = bases[what & 15];

	switch (what >> 4 & 7) {
	case 0:
		return addr;
	case 1:
		return addr + 0x800;
	case 2:
		return addr + 0xfff;
	case 3:
		return addr + 0x7ff;
	default:
		return addr + take16(b->in) % 0x1000;
	}
}

static u32 take_count(struct builder *b)
{
	static const u16 counts[] = {
		0, 1, 2, 8, 80, 2047, 2048, 2049, 4095, 4096, 4097, 8192,
		12288, 16384, 65535,
	};
	u8 what = take(b->in);

	if ((what & 15) == 15)
		return take16(b->in);
	return counts[what & 15];
}

/* Writes a list of IDAWs, mostly a valid one. Returns its address */
static u32 put_list(struct builder *b, u32 count, bool backward)
{
	u8 what = take(b->in);
	u32 n = 1 + count / 2048, i, at;
	u32 size = b->fmt2_idaws ? 8 : 4;

	if (n > 34)
		n = 34;
	switch (what & 7) {
	case 0: /* at the end of memory */
		at = WORLD_LOW_END - n * size;
		break;
	case 1: /* misaligned */
		at = b->lists | 2;
		break;
	case 2: /* across pages */
		at = 0x3000 - size * (what >> 4);
		break;
	default:
		at = b->lists;
		b->lists += n * size + (what & 8);
	}

	for (i = 0; i < n; i++) {
		u64 addr = take_address(b);
		u8 raw[8] = { addr >> 56, addr >> 48, addr >> 40, addr >> 32,
			      addr >> 24, addr >> 16, addr >> 8, addr };

		/* One IDAW in 16 keeps its address, aligned or not */
		if (i && (take(b->in) & 15)) {
			raw[6] &= 0xf8;
			raw[7] = 0;
			if (backward) {
				raw[6] |= 0x07;
				raw[7] = 0xff;
			}
		}
		world_put(b->world, at + i * size, raw + 8 - size, size);
		/* A long list repeats its start */
		if (!b->in->len && i > 2)
			break;
	}
	return at;
}

/* Writes a list of MIDAWs, mostly a valid one. Returns its address */
static u32 put_midaws(struct builder *b, u32 count, bool backward)
{
	u8 what = take(b->in);
	u32 at = b->lists + 15 & ~15, most, part;
	unsigned int i;

	if ((what & 15) == 1)
		at |= 8;
	if ((what & 15) == 2) /* close to the end of the page */
		at = 0x3000 - 16 * (1 + (what >> 4));
	for (i = 0; i < 40 && count; i++) {
		u64 addr = take_address(b);
		u8 how = take(b->in);
		u8 raw[16] = { [8] = addr >> 56, addr >> 48, addr >> 40,
			       addr >> 32, addr >> 24, addr >> 16, addr >> 8,
			       addr };

		most = backward ? addr % 4096 + 1 : 4096 - addr % 4096;
		part = how & 8 ? 1 + take16(b->in) % most : most;
		if ((how & 7) == 1)
			raw[5] = 0x40;
		if (part > count)
			part = count;
		if (part == count && how & 0x10)
			raw[5] |= 0x80;
		/* Rare, because each of these ends the program */
		if (how == 0xf7)
			raw[take(b->in) % 8] ^= take(b->in);
		if (how == 0xe7)
			raw[5] |= 0x80;
		raw[6] = part >> 8;
		raw[7] = part;
		if (how == 0xd7)
			raw[7] ^= 0xff;
		world_put(b->world, at + i * 16, raw, 16);
		count -= part;
	}
	if (at == (b->lists + 15 & ~15))
		b->lists = at + i * 16;
	return at;
}

static void put_ccw(struct builder *b, u8 cmd, u8 flags, u16 count, u32 cda)
{
	world_ccw(b->world, b->fmt1, b->at, cmd, flags, count, cda);
	b->seen[b->nseen++ % ARRAY_SIZE(b->seen)] = b->at;
	b->at += 8;
}

static void put_command(struct builder *b, u8 what)
{
	static const u8 cmds[] = {
		0x02, 0x01, 0x03, 0x04, 0x0c, 0x07, 0x31, 0x86, 0x85, 0xe4,
		0x14, 0x8c, 0x00, 0x40, 0x18, 0xff,
	};
	static const u8 flags[] = {
		0x40, 0x60, 0x80, 0xa0, 0x50, 0x48, 0x20, 0x00,
		0x44, 0x64, 0x84, 0xa4, 0x54, 0x94, 0x24, 0xc4,
	};
	u8 cmd = cmds[what & 15];
	u8 flag = flags[take(b->in) & 15];
	u32 count = take_count(b);
	u32 cda;

	if (b->midaws && flag & 4 && take(b->in) & 3) {
		flag ^= 5;
		if (what & 0x20)
			flag &= ~0x10;
		cda = put_midaws(b, count, (cmd & 15) == 0x0c);
	} else if (flag & 4) {
		cda = put_list(b, count, (cmd & 15) == 0x0c);
	} else {
		cda = take_address(b);
	}
	if (what == 0x5f) /* rare: it ends most programs */
		flag |= take(b->in);
	put_ccw(b, cmd, flag, count, cda);
}

static void put_tic(struct builder *b)
{
	u8 what = take(b->in);
	u32 target = b->at + 8;

	if (what & 0x80) /* to an earlier CCW */
		target = b->seen[what % ARRAY_SIZE(b->seen)];
	else if (what & 0x40) /* forward, maybe beyond the end */
		target += (what & 0x3f) * 8;
	else if (what & 0x20) /* to the previous CCW, like a search loop */
		target = b->at - 8;
	else
		target = take_address(b) & ~(u64)7;
	if (what == 0x7f)
		target |= 4;
	put_ccw(b, b->fmt1 ? 8 : 8 | (what & 0xf0), 0, 0, target);
}

/* Writes parts that are not adjacent. Each ends with a TIC to the next part */
static void put_ladder(struct builder *b, u32 n, u8 what)
{
	u32 step = what & 0x20 ? 0x28 : 0x18;

	for (; n; n--) {
		put_ccw(b, 3, 0x40, 1, 0);
		put_ccw(b, 8, 0, 0, b->at - 8 + step);
		b->at += step - 16;
	}
}

static void put_program(struct builder *b)
{
	static const u32 places[] = {
		0x1000, 0x1100, 0x2000 - 16, WORLD_LOW_END - 16,
		WORLD_LOW_END - 0x1000, WORLD_ISLAND, WORLD_16M + 0x1ff0,
		WORLD_2G + 0x1ff0,
	};
	u8 raw[8], what;
	u32 i, n;

	while (b->in->len) {
		what = take(b->in);
		switch (what >> 5) {
		default:
			put_command(b, what);
			break;
		case 3:
			put_tic(b);
			break;
		case 4: /* continue at another address, maybe after a TIC */
			n = places[what & 7];
			if (what & 0x10)
				put_ccw(b, 8, 0, 0, n);
			b->at = n;
			break;
		case 5: /* many equal CCWs */
			n = 1 + (what & 0x1f) * 20;
			what = take(b->in);
			if (what & 0x10) {
				put_ladder(b, n / 4, what);
				break;
			}
			if (what & 0x20) {
				/* Far more pages than one call pins */
				for (i = 0; i < n; i++)
					put_ccw(b, 2, 0x40, 0xf000, WORLD_LONG +
						i % 42 * 0xf000);
				break;
			}
			for (i = 0; i < n; i++)
				put_ccw(b, what & 1 ? 3 : 2,
					what & 2 ? 0x40 : 0xc0,
					what & 4 ? 0x800 : 1,
					0x4000 + (what & 8 ? i * 0x800 % 0x8000
							   : 0));
			break;
		case 6: /* random bytes */
			for (i = 0; i < sizeof(raw); i++)
				raw[i] = take(b->in);
			world_put(b->world, b->at, raw, sizeof(raw));
			b->at += 8;
			break;
		}
	}
	/* The last CCW is followed by whatever the memory holds */
}

/* Changes memory that was just read, as a guest does that wins a race */
static void interfere(struct world *world, u64 addr, size_t len)
{
	struct input *in = world->interfere_ctx;
	u8 *mem = world_at(world, addr);
	unsigned int i;

	for (i = 0; i < 4; i++)
		mem[take16(in) % len] ^= take(in);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct proof proof;
	struct input in = { data, size };
	struct input race;
	struct builder b = { .in = &in, .world = &proof.world };
	u32 flags = CCW_ORB_LPM | CCW_ORB_PREFETCH;
	const char *finding;
	const u8 *script;
	size_t len;
	u32 cpa;
	u8 what, pin;

	if (size < 4)
		return -1;
	if (!proof.cp) {
		proof_init(&proof);
	} else {
		/* As on a device, keep the translator of earlier programs */
		world_free(&proof.world);
		world_init(&proof.world);
	}

	what = take(&in);
	if (what & 1)
		flags |= CCW_ORB_FMT1;
	if (what & 2)
		flags |= CCW_ORB_IDA64;
	if (what & 4)
		flags |= CCW_ORB_IDA2K;
	if (what & 8)
		flags |= CCW_ORB_ILS;
	b.fmt1 = what & 1;
	b.fmt2_idaws = what & 2;
	b.at = what & 0x10 ? WORLD_ISLAND + 0x1f00 : 0x1000;
	b.lists = 0x2000;
	cpa = b.at;

	/* The script is first, so that a growing program does not change it */
	len = take(&in);
	if (len & 0x20)
		flags |= CCW_ORB_KEY & 0x90000000;
	if (len & 0x40)
		flags ^= CCW_ORB_PREFETCH | CCW_ORB_SYNC;
	if (len & 0x80)
		flags ^= CCW_ORB_LPM & 0x5a00;
	len &= 31;
	if (len > in.len)
		len = in.len;
	script = in.data;
	in.data += len;
	in.len -= len;

	/* The race also uses the bytes of the program */
	if ((what & 0xe0) == 0xe0) {
		race = in;
		proof.world.interfere = interfere;
		proof.world.interfere_ctx = &race;
	}

	if ((what & 0xe0) == 0xa0) {
		pin = take(&in);
		proof.world.short_at = 1 + (pin & 0x7f);
		/* The memory is unmapped meanwhile */
		if (pin & 0x80)
			proof.world.short_error = -EINTR;
	}

	if ((what & 0xe0) == 0x60) {
		flags |= CCW_ORB_MIDA;
		b.midaws = true;
	}

	/* An ORB with random bits changed */
	if ((what & 0xe0) == 0xc0) {
		flags ^= take16(&in) << 16;
		flags ^= take16(&in);
		cpa ^= (u32)take(&in) << (take(&in) & 31);
	}

	put_program(&b);
	finding = proof_run(&proof, flags, cpa, script, len);
	if (finding) {
		fprintf(stderr, "# %s\n", finding);
		abort();
	}
	return 0;
}
