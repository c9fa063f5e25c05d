// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: translates a guest's channel program for the host
 *
 * A translation is a few passes over flat arrays:
 *
 * 1. Follow the program from the ORB on and copy each CCW that it can reach
 *    into a slot, with its list of IDAWs or MIDAWs if it has one. The later
 *    passes check and use only this copy, never guest memory again
 *    (vfio_ccw_cp_copy.c).
 * 2. Lay the slots out in the order of guest addresses. CCWs that are
 *    neighbours in guest memory are neighbours on the host, so chaining,
 *    status modifiers and the CCW address in the SCSW need no further care
 *    (vfio_ccw_cp_host.c).
 * 3. Pin the data's pages, each run of consecutive ones by one call
 *    (vfio_ccw_cp_pin.c).
 * 4. Write the host's CCWs and IDAWs (vfio_ccw_cp_host.c).
 *
 * These files take no locks: the caller lets one thread at a time use a ccw_cp.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mdev.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "vfio_ccw_program.h"

/* ORB bits that are refused; the rest is used here or passed on */
static const struct {
	u32 bits;
	int err;
	const char *why;
} cp_refused[] = {
	{ CCW_ORB_TRANSPORT, -EOPNOTSUPP, "transport mode is not supported" },
	{ CCW_ORB_SUSPEND, -EOPNOTSUPP, "suspend control is not supported" },
	{ CCW_ORB_LIMIT, -EOPNOTSUPP, "address-limit checking is not supported" },
	{ CCW_ORB_EXTENDED, -EOPNOTSUPP, "an ORB extension is not supported" },
	{ CCW_ORB_ZERO, -EINVAL, "reserved bits are set in the ORB" },
};

#define CCW_ORB_PASSED	(CCW_ORB_KEY | CCW_ORB_STREAM | \
			 CCW_ORB_MODIFY | CCW_ORB_SYNC | \
			 CCW_ORB_PREFETCH | CCW_ORB_INITIAL | \
			 CCW_ORB_SUPPRESS | CCW_ORB_LPM | CCW_ORB_ILS | \
			 CCW_ORB_MIDA)

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
	cp->midaws = flags & CCW_ORB_MIDA;
	cp->shift = cp->fmt2_idaws && !(flags & CCW_ORB_IDA2K) ? 12 : 11;
	/* Until a list of the guest's is found */
	cp->host_shift = 12;
	if (cpa & 7 || cpa >= cp->limit)
		return cp_fail(cp, -EINVAL, "the program's address is not valid");
	return 0;
}

static int cp_translate(struct ccw_cp *cp, u32 flags, u32 cpa)
{
	int err;

	err = cp_take_orb(cp, flags, cpa);
	if (err)
		return err;
	err = cp_copy_program(cp, flags, cpa);
	if (err)
		return err;
	cp_lay_out(cp);
	err = cp_pin_program(cp);
	if (err)
		return err;
	return cp_write_program(cp);
}

/**
 * ccw_cp_translate - translate a guest's channel program
 * @cp: the device's translator. Releases the program that it translated before
 * @orb: the guest's ORB, CCW_CP_ORB_WORDS words
 * @start: how to start the host's program, on success
 *
 * On success the guest's pages stay pinned, and the host's program stays as it
 * is, until ccw_cp_release() or the next translation.
 *
 * Context: may sleep. No other call for @cp at the same time.
 * Return: 0; -EOPNOTSUPP if the program needs a facility that is not supported;
 * -EINVAL for guest memory that cannot be reached, a TIC to a TIC, a program
 * that is too long or an ORB that is wrong; -ENOMEM; -EINTR for guest memory
 * that goes away. After an error no page is pinned, and ccw_cp_why() tells
 * more.
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
	cp->room = 0;
	cp->most_pages = 0;
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
	if (cp->host_shift == 11)
		start->flags |= CCW_ORB_IDA2K;
	/* Format 0 knows of no incorrect length of immediate operations */
	if (!cp->fmt1)
		start->flags |= CCW_ORB_ILS;
	return 0;
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

static void cp_write_skip_lists(struct ccw_cp *cp)
{
	u64 addr = cp->skipped_addr;
	unsigned int i;

	for (i = 0; i < IDAL_MAX; i++) {
		cp->host->up[i] = cpu_to_be64(addr);
		cp->host->down[i] = cpu_to_be64(addr + PG_SIZE - 1);
	}
}

/**
 * ccw_cp_alloc - make a device's translator
 * @ops: access to guest memory
 * @ctx: the argument of @ops
 *
 * Context: may sleep.
 * Return: the translator, or NULL if memory is short.
 */
struct ccw_cp *ccw_cp_alloc(const struct ccw_cp_mem_ops *ops, void *ctx)
{
	struct ccw_cp *cp = kvzalloc(sizeof(*cp), MDEV_GFP_HOLDER);

	if (!cp)
		return NULL;
	cp->ops = ops;
	cp->ctx = ctx;
	cp->host = (void *)__get_free_pages(MDEV_GFP_HOLDER | GFP_DMA,
					    HOST_ORDER);
	cp->skipped = (void *)__get_free_page(MDEV_GFP_HOLDER | GFP_DMA |
					      __GFP_ZERO);
	if (!cp->host || !cp->skipped) {
		ccw_cp_free(cp);
		return NULL;
	}
	cp->host_addr = virt_to_phys(cp->host);
	cp->skipped_addr = virt_to_phys(cp->skipped);
	cp_write_skip_lists(cp);
	return cp;
}

/**
 * ccw_cp_free - undo ccw_cp_alloc()
 * @cp: the device's translator or NULL. Its program is released
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
	kvfree(cp->runs);
	kvfree(cp->addrs);
	free_page((unsigned long)cp->skipped);
	free_pages((unsigned long)cp->host, HOST_ORDER);
	kvfree(cp);
}
