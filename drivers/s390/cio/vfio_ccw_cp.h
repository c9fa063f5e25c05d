/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vfio-ccw: channel programs of a guest, translated for the host
 *
 * No channel subsystem, no VFIO and no mdev in here: the same source is
 * compiled in user space by tools/testing/channel-programs.
 * Documentation/driver-api/vfio-ccw-channel-programs.rst says what is
 * supported, and what happens to the rest.
 */
#ifndef VFIO_CCW_CP_H
#define VFIO_CCW_CP_H

#include <linux/types.h>

/* Bounds of one channel program */
#define CCW_CP_MAX_CCWS		512	/* CCWs, each counted once */
#define CCW_CP_MAX_SEGS		128	/* pieces that are apart in guest memory */
#define CCW_CP_MAX_PIN		512	/* pages pinned by one call */

#define CCW_CP_ORB_WORDS	3

/* The ORB's word 1 */
#define CCW_ORB_KEY		0xf0000000U	/* storage key */
#define CCW_ORB_SUSPEND		0x08000000U
#define CCW_ORB_STREAM		0x04000000U
#define CCW_ORB_MODIFY		0x02000000U
#define CCW_ORB_SYNC		0x01000000U
#define CCW_ORB_FMT1		0x00800000U	/* format-1 CCWs */
#define CCW_ORB_PREFETCH	0x00400000U
#define CCW_ORB_INITIAL		0x00200000U	/* initial-status interruption */
#define CCW_ORB_LIMIT		0x00100000U	/* address-limit checking */
#define CCW_ORB_SUPPRESS	0x00080000U	/* no suspended interruption */
#define CCW_ORB_TRANSPORT	0x00040000U
#define CCW_ORB_IDA64		0x00020000U	/* format-2 IDAWs */
#define CCW_ORB_IDA2K		0x00010000U	/* of 2 KiB each */
#define CCW_ORB_LPM		0x0000ff00U	/* logical-path mask */
#define CCW_ORB_ILS		0x00000080U	/* incorrect-length suppression */
#define CCW_ORB_MIDA		0x00000040U	/* MIDAWs */
#define CCW_ORB_ZERO		0x0000003eU
#define CCW_ORB_EXTENDED	0x00000001U

/**
 * struct ccw_cp_mem_ops - the translator's access to guest memory
 * @read: copies @len bytes at guest address @addr to @buf; they lie in one
 *	page. Return 0 or a negative errno
 * @pin: pins @npages consecutive guest pages from number @pfn on, for the
 *	device to read, and to write if @write; stores the host's address of
 *	each page in @host. At most CCW_CP_MAX_PIN pages. Return 0, or a
 *	negative errno with none of them pinned: -ENOMEM if memory is short or
 *	the holder's limit is reached, -EINTR if the memory goes away; these two
 *	end the translation. Any other error is about these pages
 * @unpin: undoes one call of @pin, or a part of it, which starts at @pfn
 * @keep: has the page at the host's address @host, which is pinned, never used
 *	for anything else, not even after it is unpinned. Does not sleep
 *
 * The others may sleep. A guest address that is not mapped is one of these
 * errors.
 */
struct ccw_cp_mem_ops {
	int (*read)(void *ctx, u64 addr, void *buf, size_t len);
	int (*pin)(void *ctx, u64 pfn, unsigned int npages, bool write,
		   u64 *host);
	void (*unpin)(void *ctx, u64 pfn, unsigned int npages);
	void (*keep)(void *ctx, u64 host);
};

/**
 * struct ccw_cp_start - how to start a translated program
 * @flags: word 1 of the host's ORB
 * @cpa: the address of the host's channel program
 */
struct ccw_cp_start {
	u32 flags;
	u32 cpa;
};

struct ccw_cp;

struct ccw_cp *ccw_cp_alloc(const struct ccw_cp_mem_ops *ops, void *ctx);
void ccw_cp_free(struct ccw_cp *cp);
int ccw_cp_translate(struct ccw_cp *cp, const __be32 *orb,
		     struct ccw_cp_start *start);
void ccw_cp_release(struct ccw_cp *cp);
void ccw_cp_keep(const struct ccw_cp *cp);
u32 ccw_cp_guest_cpa(const struct ccw_cp *cp, u32 host_cpa);
bool ccw_cp_uses(const struct ccw_cp *cp, u64 iova, u64 length);
const char *ccw_cp_why(const struct ccw_cp *cp);

#endif /* VFIO_CCW_CP_H */
