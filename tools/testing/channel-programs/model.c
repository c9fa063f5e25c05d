// SPDX-License-Identifier: GPL-2.0-only
/*
 * A model of a channel. It fetches CCWs one by one, and moves the data block by
 * block. It is slow and simple, and never looks ahead.
 */
#include <string.h>

#include "model.h"

const char *const model_end_names[] = {
	"normal end", "unit check", "incorrect length", "program check",
	"still running",
};

struct channel {
	const struct model_orb *orb;
	const struct model_mem *mem;
	struct model_result result;
	unsigned int fetches;

	/* The current CCW, and its address */
	struct model_ccw ccw;
	uint32_t at;

	/* The current position in its data */
	uint64_t place;
	uint32_t idaw;		/* the address of the next IDAW */
	bool exhausted;		/* @place is at the end of its block */
	uint32_t next_midaw;	/* the address of the next MIDAW */
	struct model_midaw midaw;	/* the rest of the current MIDAW */
	uint32_t midaws_for;	/* bytes left for further MIDAWs */
};

/* The device's behaviour for one command */
struct action {
	uint32_t wants;		/* bytes */
	bool takes_all;		/* wants exactly the count */
	bool immediate;
	bool modifier;
	bool check;
};

static void see(struct channel *ch, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint64_t view = ch->result.view;

	while (len--)
		view = (view ^ *bytes++) * 0x100000001b3ULL;
	ch->result.view = view;
}

static uint32_t big_endian(const uint8_t *bytes, int n)
{
	uint32_t value = 0;

	while (n--)
		value = value << 8 | *bytes++;
	return value;
}

static struct action model_device_next(struct model_device *device)
{
	static const uint32_t sizes[] = {
		1, 2, 7, 80, 2047, 2048, 2049, 4095, 4096, 4097, 6000, 8192,
		12288, 16384, 40000, 65536,
	};
	struct action action = { .takes_all = true };
	uint8_t what;

	if (device->pos >= device->len)
		return action;
	what = device->script[device->pos++];
	action.takes_all = !(what & 0x07);
	action.immediate = (what & 0x07) == 1;
	action.modifier = (what & 0x18) == 0x18;
	action.check = (what & 0x07) == 7;
	if (!action.takes_all && !action.immediate)
		action.wants = sizes[what >> 4];
	return action;
}

uint32_t model_address_limit(const struct model_orb *orb)
{
	return orb->fmt1 ? 0x80000000U : 0x01000000U;
}

bool model_is_tic(const struct model_ccw *ccw)
{
	return (ccw->code & 0x0f) == 8;
}

bool model_fetch_ccw(const struct model_orb *orb, const struct model_mem *mem,
		     uint32_t addr, struct model_ccw *ccw)
{
	uint8_t raw[8], flags;

	if (addr >= model_address_limit(orb) ||
	    !mem->fetch(mem->ctx, addr, raw, sizeof(raw)))
		return false;

	*ccw = (struct model_ccw){};
	ccw->code = raw[0];
	if (orb->fmt1) {
		flags = raw[1];
		ccw->count = big_endian(raw + 2, 2);
		ccw->address = big_endian(raw + 4, 4);
	} else {
		flags = raw[4];
		ccw->count = big_endian(raw + 6, 2);
		ccw->address = big_endian(raw + 1, 3);
	}

	if (model_is_tic(ccw)) {
		/* Format 0 ignores everything but the address */
		if (orb->fmt1 &&
		    (ccw->code != 8 || flags || ccw->count ||
		     ccw->address >> 31))
			return false;
		return !(ccw->address % 8);
	}

	ccw->chain_data = flags >> 7 & 1;
	ccw->chain_command = flags >> 6 & 1 && !ccw->chain_data;
	ccw->suppress_length = flags >> 5 & 1;
	ccw->skip = flags >> 4 & 1;
	ccw->interrupt = flags >> 3 & 1;
	ccw->indirect = flags >> 2 & 1;
	ccw->modified = flags & 1;
	/* No ORB of the tests allows to suspend; some allow MIDAWs */
	if (flags & 2 || (ccw->modified && !orb->modified))
		return false;
	/* A MIDAW has its own skip flag */
	if (ccw->modified && (ccw->indirect || ccw->skip))
		return false;
	if (ccw->address >> 31)
		return false;
	if (!ccw->count && (!orb->fmt1 || ccw->chain_data))
		return false;
	return true;
}

/* Fetches the CCW at @addr. Returns false for a program check */
static bool fetch_ccw(struct channel *ch, uint32_t addr, struct model_ccw *ccw)
{
	ch->fetches++;
	return model_fetch_ccw(ch->orb, ch->mem, addr, ccw);
}

/* Makes the CCW at @addr, or the target of a TIC there, the current CCW */
static bool next_ccw(struct channel *ch, uint32_t addr, bool tic_allowed)
{
	uint32_t tic;

	ch->at = addr;
	if (!fetch_ccw(ch, addr, &ch->ccw))
		return false;
	if (!model_is_tic(&ch->ccw))
		return true;
	if (!tic_allowed)
		return false;

	tic = addr;
	addr = ch->ccw.address;
	/* If the TIC leads to no memory, the SCSW has the address of the TIC */
	if (addr >= model_address_limit(ch->orb) ||
	    !ch->mem->fetch(ch->mem->ctx, addr, &(uint64_t){0}, 8)) {
		ch->at = tic;
		return false;
	}
	ch->at = addr;
	return fetch_ccw(ch, addr, &ch->ccw) && !model_is_tic(&ch->ccw);
}

enum model_direction model_direction_of(uint8_t code)
{
	if (code == 3)
		return MODEL_NONE;
	switch (code & 15) {
	case 0:
	case 8:
		return MODEL_INVALID;
	case 4:
		return MODEL_INPUT;
	case 12:
		return MODEL_BACKWARD;
	}
	return (code & 3) == 2 ? MODEL_INPUT : MODEL_OUTPUT;
}

static uint32_t block_size(const struct model_orb *orb)
{
	return orb->fmt2_idaws && !orb->idaws_2k ? 4096 : 2048;
}

bool model_fetch_idaw(const struct model_orb *orb, const struct model_mem *mem,
		      uint32_t addr, uint64_t *idaw)
{
	uint32_t size = orb->fmt2_idaws ? 8 : 4;
	uint8_t raw[8];

	if (addr % size || addr >= model_address_limit(orb) ||
	    !mem->fetch(mem->ctx, addr, raw, size))
		return false;
	*idaw = big_endian(raw, 4);
	if (size == 4)
		return !(*idaw >> 31);
	*idaw = *idaw << 32 | big_endian(raw + 4, 4);
	return true;
}

static bool next_idaw(struct channel *ch, bool first, bool backward)
{
	uint32_t within;

	if (!model_fetch_idaw(ch->orb, ch->mem, ch->idaw, &ch->place))
		return false;
	ch->idaw += ch->orb->fmt2_idaws ? 8 : 4;
	within = ch->place % block_size(ch->orb);
	return first || within == (backward ? block_size(ch->orb) - 1 : 0);
}

bool model_fetch_midaw(const struct model_orb *orb, const struct model_mem *mem,
		       uint32_t addr, enum model_direction dir, bool first,
		       struct model_midaw *midaw)
{
	uint8_t raw[16];
	uint32_t within;

	if (addr % 16 || (!first && addr % 4096 == 0) ||
	    addr >= model_address_limit(orb) ||
	    !mem->fetch(mem->ctx, addr, raw, 16))
		return false;
	if (raw[0] || raw[1] || raw[2] || raw[3] || raw[4] || raw[5] & 0x1f)
		return false;
	midaw->last = raw[5] >> 7;
	midaw->skip = raw[5] >> 6 & 1;
	midaw->count = big_endian(raw + 6, 2);
	midaw->address = (uint64_t)big_endian(raw + 8, 4) << 32 |
			 big_endian(raw + 12, 4);
	if (!midaw->count)
		return false;
	/* Output cannot be skipped */
	if (midaw->skip)
		return dir != MODEL_OUTPUT;
	within = midaw->address % 4096;
	return midaw->count <= (dir == MODEL_BACKWARD ? within + 1
						      : 4096 - within);
}

/* Makes the next MIDAW the current one. Returns false for a program check */
static bool next_midaw(struct channel *ch, bool first, enum model_direction dir)
{
	if (!first && ch->midaw.last)
		return false;
	if (!model_fetch_midaw(ch->orb, ch->mem, ch->next_midaw, dir, first,
			       &ch->midaw) ||
	    ch->midaw.count > ch->midaws_for)
		return false;
	ch->next_midaw += 16;
	ch->midaws_for -= ch->midaw.count;
	ch->place = ch->midaw.address;
	return true;
}

static uint8_t *place_data(struct channel *ch, bool write)
{
	if (!ch->ccw.indirect && !ch->ccw.modified &&
	    ch->place >= model_address_limit(ch->orb))
		return NULL;
	return ch->mem->data(ch->mem->ctx, ch->place, write);
}

static bool uses_memory(struct channel *ch, enum model_direction dir)
{
	if (!ch->ccw.count || dir == MODEL_NONE)
		return false;
	return dir == MODEL_OUTPUT || !ch->ccw.skip;
}

/* Goes to the start of the current CCW's data. Returns false for a program check */
static bool begin_data(struct channel *ch, enum model_direction dir)
{
	ch->exhausted = false;
	if (!uses_memory(ch, dir))
		return true;
	if (ch->ccw.modified) {
		ch->next_midaw = ch->ccw.address;
		ch->midaws_for = ch->ccw.count;
		return next_midaw(ch, true, dir) &&
		       (ch->midaw.skip || place_data(ch, dir != MODEL_OUTPUT));
	}
	if (ch->ccw.indirect) {
		ch->idaw = ch->ccw.address;
		if (!next_idaw(ch, true, dir == MODEL_BACKWARD))
			return false;
	} else {
		ch->place = ch->ccw.address;
	}
	return place_data(ch, dir != MODEL_OUTPUT);
}

/* The byte that the device sends as number @n of its command number @command */
static uint8_t device_byte(uint32_t command, uint64_t n)
{
	return (n * 0x9e3779b1U + command * 0x85ebca6bU) >> 13;
}

/* The device reads or writes @len bytes at @mem, upwards or downwards */
static void transfer(struct channel *ch, enum model_direction dir, uint8_t *mem,
		     uint32_t len, uint64_t *sent)
{
	uint32_t i;

	for (i = 0; i < len; i++) {
		if (dir == MODEL_OUTPUT)
			see(ch, mem + i, 1);
		else if (dir == MODEL_INPUT)
			mem[i] = device_byte(ch->result.commands, (*sent)++);
		else
			*(mem - i) = device_byte(ch->result.commands,
						 (*sent)++);
	}
}

/* move() for a CCW with MIDAWs. The data of a MIDAW stays in one page */
static bool move_modified(struct channel *ch, enum model_direction dir,
			  uint32_t len, uint64_t *sent, uint32_t *moved)
{
	uint32_t part;
	uint8_t *mem;

	for (; *moved < len; *moved += part) {
		if (!ch->midaw.count && !next_midaw(ch, false, dir))
			return false;
		part = len - *moved;
		if (part > ch->midaw.count)
			part = ch->midaw.count;
		ch->midaw.count -= part;
		ch->result.bytes += part;
		if (ch->midaw.skip) {
			*sent += part;
			continue;
		}
		mem = place_data(ch, dir != MODEL_OUTPUT);
		if (!mem)
			return false;
		transfer(ch, dir, mem, part, sent);
		ch->place += dir == MODEL_BACKWARD ? -(uint64_t)part : part;
	}
	return true;
}

/* Moves @len bytes of the current CCW. Returns false for a program check */
static bool move(struct channel *ch, enum model_direction dir, uint32_t len,
		 uint64_t *sent, uint32_t *moved)
{
	uint32_t block = block_size(ch->orb);
	uint32_t within, part;
	uint8_t *mem;

	*moved = 0;
	if (!uses_memory(ch, dir)) {
		*moved = len;
		*sent += len;
		return true;
	}
	if (ch->ccw.modified)
		return move_modified(ch, dir, len, sent, moved);
	while (*moved < len) {
		if (ch->exhausted) {
			ch->exhausted = false;
			if (ch->ccw.indirect &&
			    !next_idaw(ch, false, dir == MODEL_BACKWARD))
				return false;
		}
		mem = place_data(ch, dir != MODEL_OUTPUT);
		if (!mem)
			return false;
		within = ch->place % block;
		part = dir == MODEL_BACKWARD ? within + 1 : block - within;
		if (part == (dir == MODEL_BACKWARD ? within + 1 : block - within) &&
		    part <= len - *moved)
			ch->exhausted = true;
		else
			part = len - *moved;

		transfer(ch, dir, mem, part, sent);
		ch->place += dir == MODEL_BACKWARD ? -(uint64_t)part : part;
		*moved += part;
		ch->result.bytes += part;
	}
	return true;
}

static struct model_result finish(struct channel *ch, enum model_end end,
				  uint32_t residual)
{
	ch->result.end = end;
	ch->result.cpa = ch->at + 8;
	ch->result.residual = residual;
	return ch->result;
}

struct model_result model_run(const struct model_orb *orb,
			      const struct model_mem *mem,
			      struct model_device *device)
{
	struct channel ch = {
		.orb = orb,
		.mem = mem,
		.result.view = 0xcbf29ce484222325ULL,
	};
	uint32_t addr = orb->cpa;
	bool first = true;

	for (;; first = false) {
		enum model_direction dir;
		struct action act;
		uint64_t sent = 0;
		uint32_t moved, len;
		bool wrong;

		ch.result.chained = false;
		if (!next_ccw(&ch, addr, !first))
			return finish(&ch, MODEL_PROGRAM_CHECK, 0);
		dir = model_direction_of(ch.ccw.code);
		ch.result.dir = dir;
		if (dir == MODEL_INVALID || !begin_data(&ch, dir))
			return finish(&ch, MODEL_PROGRAM_CHECK, 0);

		see(&ch, &ch.ccw.code, 1);
		act = model_device_next(device);
		if (dir == MODEL_NONE)
			act.immediate = true;
		/* Only search and poll commands have a status modifier. Both are write commands */
		if ((ch.ccw.code & 3) != 1 && !device->unruly)
			act.modifier = false;

		for (;;) {
			ch.result.interrupts += ch.ccw.interrupt;
			len = ch.ccw.count;
			if (act.immediate)
				len = 0;
			else if (!act.takes_all && act.wants < len)
				len = act.wants;
			if (!move(&ch, dir, len, &sent, &moved))
				return finish(&ch, MODEL_PROGRAM_CHECK,
					      ch.ccw.count - moved);
			if (!act.takes_all)
				act.wants -= len;
			if (ch.fetches > MODEL_MAX_FETCHES ||
			    ch.result.bytes > MODEL_MAX_BYTES)
				return finish(&ch, MODEL_RUNNING, 0);

			if (!ch.ccw.chain_data || act.immediate ||
			    (!act.takes_all && !act.wants))
				break;
			/* The command code of a chained CCW is ignored */
			ch.result.chained = true;
			if (!next_ccw(&ch, ch.at + 8, true) || !ch.ccw.count ||
			    !begin_data(&ch, dir))
				return finish(&ch, MODEL_PROGRAM_CHECK, 0);
		}
		see(&ch, &sent, sizeof(sent));
		ch.result.commands++;

		if (act.check)
			return finish(&ch, MODEL_UNIT_CHECK,
				      ch.ccw.count - len);
		if (act.immediate)
			wrong = ch.ccw.count && orb->fmt1 && !orb->ils;
		else
			wrong = !act.takes_all && (act.wants ||
						   len < ch.ccw.count);
		if (wrong && (!ch.ccw.suppress_length || ch.ccw.chain_data))
			return finish(&ch, MODEL_LENGTH, ch.ccw.count - len);
		if (!ch.ccw.chain_command)
			return finish(&ch, MODEL_NORMAL, ch.ccw.count - len);
		addr = ch.at + (act.modifier ? 16 : 8);
	}
}
