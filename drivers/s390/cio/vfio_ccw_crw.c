// SPDX-License-Identifier: GPL-2.0-only
/* vfio-ccw: channel reports about the subchannel's paths, for the CRW region */
#include <linux/string.h>

#include "vfio_ccw.h"

/**
 * vfio_ccw_crw_add - report an event of a channel path
 * @vc: the subchannel
 * @erc: the error-recovery code, CRW_ERC_*
 * @chpid: the channel path
 *
 * If the holder does not fetch its reports, the last one says that more came
 * (Principles of Operation, "Channel-Report Word": overflow).
 *
 * Context: under the subchannel's lock.
 */
void vfio_ccw_crw_add(struct vfio_ccw *vc, unsigned int erc,
		      struct chp_id chpid)
{
	unsigned long flags;
	struct crw *crw;

	spin_lock_irqsave(&vc->crw_lock, flags);
	if (vc->crw_count == VFIO_CCW_CRWS) {
		crw = &vc->crws[(vc->crw_first + vc->crw_count - 1) %
				VFIO_CCW_CRWS];
		crw->oflw = 1;
	} else {
		crw = &vc->crws[(vc->crw_first + vc->crw_count) %
				VFIO_CCW_CRWS];
		vc->crw_count++;
		memset(crw, 0, sizeof(*crw));
		crw->rsc = CRW_RSC_CPATH;
		crw->erc = erc;
		crw->rsid = chpid.cssid << 8 | chpid.id;
	}
	spin_unlock_irqrestore(&vc->crw_lock, flags);
	mdev_trigger_signal(&vc->triggers[VFIO_CCW_CRW_IRQ_INDEX]);
}

/**
 * vfio_ccw_crw_show - the oldest channel report
 * @vc: the subchannel
 *
 * Return: the report, or 0 if there is none.
 */
u32 vfio_ccw_crw_show(struct vfio_ccw *vc)
{
	u32 word = 0;

	BUILD_BUG_ON(sizeof(struct crw) != sizeof(word));

	spin_lock_irq(&vc->crw_lock);
	if (vc->crw_count)
		memcpy(&word, &vc->crws[vc->crw_first], sizeof(word));
	spin_unlock_irq(&vc->crw_lock);
	return word;
}

/**
 * vfio_ccw_crw_take - the holder has the report that vfio_ccw_crw_show() gave
 * @vc: the subchannel
 *
 * Context: under io_lock, which was not dropped since.
 */
void vfio_ccw_crw_take(struct vfio_ccw *vc)
{
	spin_lock_irq(&vc->crw_lock);
	vc->crw_first = (vc->crw_first + 1) % VFIO_CCW_CRWS;
	vc->crw_count--;
	spin_unlock_irq(&vc->crw_lock);
}

/* The next holder gets none of this one's reports */
void vfio_ccw_crw_drop(struct vfio_ccw *vc)
{
	spin_lock_irq(&vc->crw_lock);
	vc->crw_count = 0;
	spin_unlock_irq(&vc->crw_lock);
}
