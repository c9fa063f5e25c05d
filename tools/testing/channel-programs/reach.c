// SPDX-License-Identifier: GPL-2.0-only
/* Follows a program along all paths on which a device can lead the channel */
#include "reach.h"

/* Ways to reach a CCW: as a command, or as chained data of a kind of command */
#define WAY_COMMAND	0x01
#define WAY_INPUT	0x02
#define WAY_BACKWARD	0x04
#define WAY_CONTROL	0x08	/* the device reads memory */
#define WAY_SEARCH	0x10	/* same, may end with status modifier */

/* Uses of the data */
#define USE_NONE	0x01
#define USE_READ	0x02	/* by the device */
#define USE_WRITE	0x04
#define USE_DOWNWARDS	0x08
#define USE_DROP	0x10
#define USE_DROP_DOWN	0x20

static enum model_direction direction_of(unsigned int way, uint8_t code)
{
	switch (way) {
	case WAY_COMMAND:
		return model_direction_of(code);
	case WAY_INPUT:
		return MODEL_INPUT;
	case WAY_BACKWARD:
		return MODEL_BACKWARD;
	}
	return MODEL_OUTPUT;
}

static unsigned int use_of(const struct model_ccw *ccw,
			   enum model_direction dir)
{
	if (!ccw->count || dir == MODEL_NONE || dir == MODEL_INVALID)
		return USE_NONE;
	if (dir == MODEL_OUTPUT)
		return USE_READ;
	if (dir == MODEL_INPUT)
		return ccw->skip ? USE_DROP : USE_WRITE;
	return ccw->skip ? USE_DROP_DOWN : USE_DOWNWARDS;
}

/* Returns false if the first entry of the list is invalid, so that no data moves */
static bool data_begins(const struct reach *reach, const struct model_ccw *ccw,
			unsigned int use)
{
	enum model_direction dir = use & USE_READ ? MODEL_OUTPUT :
				   use & USE_DOWNWARDS ? MODEL_BACKWARD :
				   MODEL_INPUT;
	struct model_midaw midaw;
	uint64_t idaw;

	if (ccw->modified && use != USE_NONE)
		return model_fetch_midaw(reach->orb, reach->mem, ccw->address,
					 dir, true, &midaw);
	if (!ccw->indirect || !(use & (USE_READ | USE_WRITE | USE_DOWNWARDS)))
		return true;
	return model_fetch_idaw(reach->orb, reach->mem, ccw->address, &idaw);
}

static bool is_one(unsigned int bits)
{
	return !(bits & (bits - 1));
}

static struct reach_ccw *find(const struct reach *reach, uint32_t addr)
{
	unsigned int i;

	for (i = 0; i < reach->n; i++)
		if (reach->ccws[i].addr == addr)
			return (struct reach_ccw *)&reach->ccws[i];
	return NULL;
}

/* Returns NULL if the address has no memory, or if there are too many CCWs */
static struct reach_ccw *add(struct reach *reach, uint32_t addr)
{
	struct reach_ccw *node = &reach->ccws[reach->n];
	uint64_t raw;

	if (reach->n == REACH_MAX ||
	    addr >= model_address_limit(reach->orb) ||
	    !reach->mem->fetch(reach->mem->ctx, addr, &raw, sizeof(raw)))
		return NULL;
	*node = (struct reach_ccw){ .addr = addr };
	node->is_ccw = model_fetch_ccw(reach->orb, reach->mem, addr,
				       &node->ccw);
	reach->n++;
	return node;
}

static void walk(struct reach *reach, uint32_t addr, bool sure)
{
	bool after_tic = false, jumped = true;
	unsigned int use, way = WAY_COMMAND;
	enum model_direction dir;
	struct reach_ccw *node;

	for (;; addr += 8) {
		node = find(reach, addr);
		if (!node) {
			node = add(reach, addr);
			if (!node)
				return;
			/* The CCW has not been reached by another path so far */
			reach->parts += jumped;
			jumped = false;
		} else {
			/* The path may leave CCWs that another path has reached */
			jumped = true;
		}
		if (!node->is_ccw || (model_is_tic(&node->ccw) && after_tic))
			return;
		if (node->ways & way)
			return;
		node->ways |= way;

		after_tic = model_is_tic(&node->ccw);
		if (after_tic) {
			/* A program cannot begin with a TIC */
			if (sure && reach->n == 1)
				return;
			addr = node->ccw.address - 8;
			jumped = true;
			continue;
		}

		dir = direction_of(way, node->ccw.code);
		if (way != WAY_COMMAND && !node->ccw.count)
			return;
		use = use_of(&node->ccw, dir);
		node->uses |= use;
		/* A device that wants no data ignores a bad MIDAW, and the program goes on */
		if (data_begins(reach, &node->ccw, use))
			node->sure |= sure ? use : 0;
		else if (!node->ccw.modified || node->ccw.chain_data)
			return;
		if (dir == MODEL_INVALID)
			return;

		if (way == WAY_COMMAND && dir == MODEL_INPUT)
			way = WAY_INPUT;
		else if (way == WAY_COMMAND && dir == MODEL_BACKWARD)
			way = WAY_BACKWARD;
		else if (way == WAY_COMMAND)
			way = (node->ccw.code & 3) == 1 ? WAY_SEARCH
							: WAY_CONTROL;
		if (node->ccw.chain_data) {
			/* A command that moves no data ends without its chained CCWs */
			if (dir == MODEL_NONE)
				return;
			continue;
		}
		if (!node->ccw.chain_command)
			return;
		if (way == WAY_SEARCH && reach->nmodifiers < REACH_MAX)
			reach->modifiers[reach->nmodifiers++] = addr + 16;
		way = WAY_COMMAND;
	}
}

void reach_look(struct reach *reach, const struct model_orb *orb,
		const struct model_mem *mem)
{
	unsigned int i;

	reach->orb = orb;
	reach->mem = mem;
	reach->n = 0;
	reach->parts = 0;
	reach->nmodifiers = 0;
	walk(reach, orb->cpa, true);
	reach->sure_n = reach->n;
	reach->sure_parts = reach->parts;
	/* walk() may add modifiers */
	for (i = 0; i < reach->nmodifiers; i++)
		walk(reach, reach->modifiers[i], false);

	/*
	 * The number of separate parts depends on the order in which they are
	 * reached: count one more for each modifier, and for each CCW reached
	 * in several ways
	 */
	reach->parts += reach->nmodifiers;
	for (i = 0; i < reach->n; i++)
		reach->parts += !is_one(reach->ccws[i].ways);
}

static bool has_conflict(const struct reach_ccw *node)
{
	return node && !is_one(node->uses);
}

bool reach_has_conflict(const struct reach *reach)
{
	unsigned int i;

	for (i = 0; i < reach->n; i++)
		if (has_conflict(&reach->ccws[i]))
			return true;
	return false;
}

/* The CCW that @node chains data to, or NULL */
static const struct reach_ccw *next_data(const struct reach *reach,
					 const struct reach_ccw *node)
{
	const struct reach_ccw *next;

	if (!node->ccw.chain_data)
		return NULL;
	next = find(reach, node->addr + 8);
	if (next && next->is_ccw && model_is_tic(&next->ccw))
		next = find(reach, next->ccw.address);
	return next && next->is_ccw ? next : NULL;
}

bool reach_is_conflict(const struct reach *reach, uint32_t addr, bool chained,
		       enum model_direction dir)
{
	const struct reach_ccw *next, *node = find(reach, addr);

	if (!node || !node->is_ccw)
		return false;
	if (!chained)
		dir = model_direction_of(node->ccw.code);
	if (has_conflict(node) && !(use_of(&node->ccw, dir) & node->sure))
		return true;
	/* If @node needs a status modifier, it may end before the CCW that it chains to */
	next = next_data(reach, node);
	return !node->sure && has_conflict(next) &&
	       !(use_of(&next->ccw, dir) & next->sure);
}

/* An upper limit: whole blocks, and one more address */
static uint32_t list_length(const struct reach_ccw *node)
{
	if (node->ccw.modified)
		return 512 - node->ccw.address % 4096 / 8;
	return node->ccw.indirect ? node->ccw.count / 2048 + 2 : 0;
}

static bool is_program(const struct reach *reach, uint64_t first, uint64_t end)
{
	const struct reach_ccw *node;
	uint64_t list;
	unsigned int i;

	for (i = 0; i < reach->n; i++) {
		node = &reach->ccws[i];
		list = node->ccw.address;
		if ((first < node->addr + 8ULL && node->addr < end) ||
		    (first < list + list_length(node) * 8 && list < end))
			return true;
	}
	return false;
}

/* Counts the MIDAWs that the channel fetches if the device takes all data */
static unsigned int count_midaws(const struct reach *reach,
				 const struct reach_ccw *node)
{
	uint32_t left = node->ccw.count;
	struct model_midaw midaw;
	unsigned int i;

	for (i = 0; left && i < 256; i++) {
		if (!model_fetch_midaw(reach->orb, reach->mem,
				       node->ccw.address + i * 16,
				       node->uses & USE_DOWNWARDS ?
				       MODEL_BACKWARD : MODEL_INPUT, !i,
				       &midaw) || midaw.last ||
		    midaw.count > left)
			return i + 1;
		left -= midaw.count;
	}
	return i;
}

unsigned int reach_midaws(const struct reach *reach, bool sure)
{
	unsigned int i, n = 0;

	for (i = 0; i < reach->n; i++)
		if (reach->ccws[i].ccw.modified &&
		    (!sure || reach->ccws[i].sure))
			n += count_midaws(reach, &reach->ccws[i]);
	return n;
}

static bool midaws_write_program(const struct reach *reach,
				 const struct reach_ccw *node)
{
	struct model_midaw midaw;
	unsigned int i;

	for (i = 0; i < list_length(node) / 2; i++) {
		if (!model_fetch_midaw(reach->orb, reach->mem,
				       node->ccw.address + i * 16,
				       node->uses & USE_DOWNWARDS ?
				       MODEL_BACKWARD : MODEL_INPUT, !i,
				       &midaw))
			return false;
		midaw.address &= ~4095ULL;
		if (!midaw.skip && is_program(reach, midaw.address,
					      midaw.address + 4096))
			return true;
	}
	return false;
}

static bool writes_program(const struct reach *reach,
			   const struct reach_ccw *node)
{
	uint32_t size = reach->orb->fmt2_idaws ? 8 : 4;
	uint64_t place = node->ccw.address;
	unsigned int i;

	if (node->ccw.modified)
		return midaws_write_program(reach, node);
	if (!node->ccw.indirect && node->uses & USE_WRITE &&
	    is_program(reach, place, place + node->ccw.count))
		return true;
	if (!node->ccw.indirect && node->uses & USE_DOWNWARDS)
		return is_program(reach, place < node->ccw.count ? 0 :
				  place - node->ccw.count, place + 1);
	for (i = 0; i < list_length(node); i++) {
		if (!model_fetch_idaw(reach->orb, reach->mem,
				      node->ccw.address + i * size, &place))
			return false;
		place &= ~4095ULL;
		if (is_program(reach, place, place + 4096))
			return true;
	}
	return false;
}

bool reach_writes_itself(const struct reach *reach)
{
	unsigned int i;

	for (i = 0; i < reach->n; i++)
		if (reach->ccws[i].uses & (USE_WRITE | USE_DOWNWARDS) &&
		    writes_program(reach, &reach->ccws[i]))
			return true;
	return false;
}
