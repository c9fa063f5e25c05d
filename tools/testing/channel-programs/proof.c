// SPDX-License-Identifier: GPL-2.0-only
/* Runs a guest's program and its translation, and compares the results */
#include <stdarg.h>
#include <stdio.h>

#include "proof.h"

void proof_init(struct proof *proof)
{
	memset(proof, 0, sizeof(*proof));
	world_init(&proof->world);
	world_copy_init(&proof->copy, &proof->world);
	proof->cp = ccw_cp_alloc(&world_ops, &proof->world);
}

void proof_free(struct proof *proof)
{
	ccw_cp_free(proof->cp);
	world_copy_free(&proof->copy);
	world_free(&proof->world);
}

int proof_translate(struct proof *proof, u32 flags, u32 cpa)
{
	__be32 orb[] = { cpu_to_be32(0x12345678), cpu_to_be32(flags),
			 cpu_to_be32(cpa) };
	unsigned int before = proof->world.pin_calls;

	memset(&proof->start, 0, sizeof(proof->start));
	proof->err = ccw_cp_translate(proof->cp, orb, &proof->start);
	proof->pin_calls = proof->world.pin_calls - before;
	proof->pinned = proof->world.pinned;
	return proof->err;
}

static const char *__attribute__((format(printf, 2, 3)))
find(struct proof *proof, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(proof->finding, sizeof(proof->finding), format, args);
	va_end(args);
	return proof->finding;
}

/* The translator may refuse what exceeds its own bounds, which no channel has */
static bool is_too_much(struct proof *proof, const struct model_orb *orb,
			const struct model_mem *mem, const char *why)
{
	reach_look(&proof->reach, orb, mem);
	if (!strcmp(why, "too many CCWs"))
		return proof->reach.sure_n > CCW_CP_MAX_CCWS;
	if (!strcmp(why, "too many TICs"))
		return proof->reach.sure_parts > CCW_CP_MAX_SEGS;
	if (!strcmp(why, "too many MIDAWs"))
		return reach_midaws(&proof->reach, true) > REACH_MANY_MIDAWS;
	if (!strcmp(why, "data in two directions"))
		return reach_has_conflict(&proof->reach);
	if (strstr(why, "without prefetching"))
		return proof->copy.live && reach_writes_itself(&proof->reach);
	return false;
}

/*
 * A program may end early on the host only, if a status modifier leads to CCWs
 * beyond the translator's bounds, or to a CCW whose data the guest's program
 * also uses in another way.
 */
static bool is_cut(struct proof *proof, const struct model_orb *orb,
		   const struct model_mem *mem, const struct model_result *host)
{
	u32 cpa = ccw_cp_guest_cpa(proof->cp, host->cpa);

	if (host->end != MODEL_PROGRAM_CHECK)
		return false;
	reach_look(&proof->reach, orb, mem);
	return proof->reach.n > CCW_CP_MAX_CCWS ||
	       proof->reach.parts > CCW_CP_MAX_SEGS ||
	       reach_midaws(&proof->reach, false) > REACH_MANY_MIDAWS ||
	       reach_is_conflict(&proof->reach, cpa - 8, host->chained,
				 host->dir);
}

static const char *check_refusal(struct proof *proof, u32 flags, u32 cpa)
{
	struct model_orb orb = world_guest_orb(flags, cpa);
	struct model_mem mem = world_guest_mem(&proof->copy);
	struct model_device device = { 0 };
	const char *why = ccw_cp_why(proof->cp);

	if (!why)
		return find(proof, "error %d without a reason", proof->err);
	if (proof->world.pinned)
		return find(proof, "pages pinned after error %d, %s",
			    proof->err, why);
	if (proof->world.is_short &&
	    proof->err != (proof->world.short_error ?: -ENOMEM))
		return find(proof, "error %d, %s, when memory is short",
			    proof->err, why);
	if (proof->world.interfere || proof->world.is_short)
		return NULL;
	if (flags & (CCW_ORB_TRANSPORT | CCW_ORB_SUSPEND | CCW_ORB_LIMIT |
		     CCW_ORB_EXTENDED | CCW_ORB_ZERO) ||
	    cpa % 8 || cpa >= (flags & CCW_ORB_FMT1 ? 1U << 31 : 1U << 24))
		return NULL;
	if (is_too_much(proof, &orb, &mem, why))
		return NULL;
	/* An incorrect length of a NOP must not end the program early */
	orb.ils = true;
	proof->guest = model_run(&orb, &mem, &device);
	/* The model may have stopped this program before its program check */
	if (proof->guest.end == MODEL_RUNNING &&
	    proof->guest.bytes > MODEL_MAX_BYTES)
		return NULL;
	if (proof->guest.end != MODEL_PROGRAM_CHECK)
		return find(proof, "error %d, %s, for a program with %s",
			    proof->err, why,
			    model_end_names[proof->guest.end]);
	return NULL;
}

static const char *check_cpas(struct proof *proof)
{
	unsigned int n;
	u32 addr;

	peek_host_ccws(proof->cp, &n);
	/* Just outside of the program, where no address belongs to it */
	for (addr = proof->start.cpa & ~7U; shim_dma(addr, 1); addr -= 8)
		;
	if (ccw_cp_guest_cpa(proof->cp, addr) ||
	    ccw_cp_guest_cpa(proof->cp, addr + 8 + n * 8) ||
	    ccw_cp_guest_cpa(proof->cp, proof->start.cpa + 4) ||
	    ccw_cp_guest_cpa(proof->cp, 0) ||
	    ccw_cp_guest_cpa(proof->cp, ~0U))
		return "a guest's address for what is not in the program";
	return NULL;
}

static const char *check_uses(struct proof *proof)
{
	unsigned int i;

	for (i = 0; i < WORLD_PAGES; i++) {
		const struct world_page *page = &proof->world.pages[i];

		if (ccw_cp_uses(proof->cp, page->guest, page->len) !=
		    !!page->pins)
			return find(proof, "wrong about the use of %#llx",
				    (unsigned long long)page->guest);
	}
	return NULL;
}

static const char *compare(struct proof *proof,
			   const struct model_result *guest,
			   const struct model_result *host)
{
	u32 cpa = ccw_cp_guest_cpa(proof->cp, host->cpa);
	u64 addr;

	if (guest->end != host->end)
		return find(proof, "the guest's: %s at %#x, the host's: %s at %#x",
			    model_end_names[guest->end], guest->cpa,
			    model_end_names[host->end], cpa);
	if (guest->commands != host->commands || guest->view != host->view)
		return find(proof, "the device sees something else");
	addr = world_copy_differs(&proof->copy);
	if (addr != ~0ULL)
		return find(proof, "memory differs at %#llx",
			    (unsigned long long)addr);
	if (guest->residual != host->residual)
		return find(proof, "residual count %u, not %u", host->residual,
			    guest->residual);
	if (guest->interrupts != host->interrupts)
		return find(proof, "%u interrupts, not %u", host->interrupts,
			    guest->interrupts);
	/* If the model stopped the program, the address does not matter */
	if (guest->end != MODEL_RUNNING && cpa != guest->cpa)
		return find(proof, "CCW address %#x, not %#x", cpa, guest->cpa);
	return NULL;
}

static const char *check_translation(struct proof *proof, u32 flags, u32 cpa,
				     const u8 *script, size_t len)
{
	struct model_orb guest_orb = world_guest_orb(flags, cpa);
	struct model_orb host_orb = world_host_orb(&proof->start);
	struct model_mem guest_mem = world_guest_mem(&proof->copy);
	struct model_mem host_mem = world_host_mem(&proof->world);
	struct model_device guest_device = { .script = script, .len = len };
	struct model_device host_device = { .script = script, .len = len };
	struct model_device unruly_device = {
		.script = script, .len = len, .unruly = true,
	};
	struct model_result host;
	const char *finding;

	/* The host's ORB has the guest's settings, except for the formats */
	if ((proof->start.flags ^ flags) & ~(CCW_ORB_FMT1 | CCW_ORB_IDA64 |
					     CCW_ORB_IDA2K | CCW_ORB_ILS))
		return find(proof, "an ORB with %#x, not %#x",
			    proof->start.flags, flags);
	finding = world_inspect(&proof->world, proof->cp);
	if (finding)
		return finding;
	finding = check_cpas(proof);
	if (finding)
		return finding;
	finding = check_uses(proof);
	if (finding)
		return finding;

	/* A format-0 program always suppresses the length check of immediate operations */
	if (!guest_orb.fmt1)
		guest_orb.ils = true;
	host = model_run(&host_orb, &host_mem, &host_device);
	if (!proof->world.interfere) {
		proof->guest = model_run(&guest_orb, &guest_mem, &guest_device);
		finding = compare(proof, &proof->guest, &host);
	}
	/* The host's program is harmless whatever the device does */
	model_run(&host_orb, &host_mem, &unruly_device);
	if (proof->world.interfere)
		return NULL;
	if (finding && is_cut(proof, &guest_orb, &guest_mem, &host))
		return NULL;
	return finding;
}

const char *proof_run(struct proof *proof, u32 flags, u32 cpa,
		      const u8 *script, size_t len)
{
	const char *finding;

	world_copy_refresh(&proof->copy);
	proof->copy.live = !(flags & CCW_ORB_PREFETCH);
	if (proof_translate(proof, flags, cpa))
		return check_refusal(proof, flags, cpa);
	finding = check_translation(proof, flags, cpa, script, len);
	ccw_cp_release(proof->cp);
	if (!finding && proof->world.pinned)
		finding = "pages are pinned after the release";
	ccw_cp_release(proof->cp);
	return finding;
}
