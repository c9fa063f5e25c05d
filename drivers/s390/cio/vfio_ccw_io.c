// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: the subchannel's I/O for the user: start, halt, clear, responses,
 * and how the subchannel is made quiet.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/string.h>

#include "vfio_ccw.h"

/* How long the channel subsystem may take to end a program that is halted or
 * cleared, in seconds, and when the log says that it is waited for
 */
#define QUIESCE_LIMIT		10
#define QUIESCE_NOTICE		1

/* How long DMA unmap waits for io_lock, in seconds; see there */
#define UNMAP_LIMIT		2

/* The path mask of the ORB's word 1 */
#define ORB_LPM_SHIFT		8

/*
 * What the SCSW's word 0 repeats of the ORB's word 1, in the same place: the
 * storage key, the format of CCWs, and what controls prefetching, suspension
 * and checking
 */
#define SCSW_OF_ORB		0xf8f80000

/* Activity after which more of the program is to come */
#define SCSW_ACTL_ACTIVE						\
	(SCSW_ACTL_SUSPENDED | SCSW_ACTL_DEVACT | SCSW_ACTL_SCHACT)

/* What cio_cancel_halt_clear() wants to begin with, whatever its stage */
#define RETRIES			255

static u32 vfio_ccw_guest_address(struct vfio_ccw *vc, dma32_t host)
{
	return ccw_cp_guest_cpa(vc->cp, (__force u32)host);
}

/*
 * Let the user have nothing of the host in an IRB: addresses of CCWs become
 * the guest's, or 0 where the program is none of this user's; what repeats the
 * ORB repeats the guest's; the address of the storage that could not be
 * accessed is not told.
 */
static void vfio_ccw_map_irb(struct vfio_ccw *vc, struct irb *irb,
			     bool of_program)
{
	u32 cpa = 0, saddr = 0;
	u32 word;

	if (of_program) {
		cpa = vfio_ccw_guest_address(vc, irb->scsw.cmd.cpa);
		if (irb->scsw.cmd.eswf && irb->esw.esw0.erw.scavf)
			saddr = vfio_ccw_guest_address(vc, irb->esw.esw0.saddr);
		memcpy(&word, irb, sizeof(word));
		word = (word & ~SCSW_OF_ORB) | (vc->orb_flags & SCSW_OF_ORB);
		memcpy(irb, &word, sizeof(word));
	}
	irb->scsw.cmd.cpa = (__force dma32_t)cpa;
	if (irb->scsw.cmd.eswf) {
		irb->esw.esw0.erw.fsavf = 0;
		irb->esw.esw0.faddr[0] = 0;
		irb->esw.esw0.faddr[1] = 0;
		irb->esw.esw0.saddr = (__force dma32_t)saddr;
	}
}

/*
 * Do what the interrupt handler could not: translate the addresses of new
 * responses while the program is still there, and release one that has ended.
 */
static void vfio_ccw_settle(struct vfio_ccw *vc)
{
	struct subchannel *sch = vc->sch;
	unsigned int i;
	bool active;

	lockdep_assert_held(&vc->io_lock);

	spin_lock_irq(&sch->lock);
	for (i = 0; i < vc->count; i++) {
		struct vfio_ccw_response *response =
			&vc->responses[(vc->first + i) % VFIO_CCW_RESPONSES];

		if (response->mapped)
			continue;
		vfio_ccw_map_irb(vc, &response->irb, response->of_program);
		response->mapped = true;
	}
	active = vc->state == VFIO_CCW_PENDING;
	spin_unlock_irq(&sch->lock);

	if (!active)
		ccw_cp_release(vc->cp);
}

/* Under the subchannel's lock: forget what the user has not fetched */
static void vfio_ccw_drop_responses(struct vfio_ccw *vc)
{
	lockdep_assert_held(&vc->sch->lock);
	vc->count = 0;
}

/**
 * vfio_ccw_interrupt - the hardware has a response
 * @vc: the subchannel
 * @irb: the response
 *
 * Context: interrupt, under the subchannel's lock.
 */
void vfio_ccw_interrupt(struct vfio_ccw *vc, const struct irb *irb)
{
	bool active = vc->state == VFIO_CCW_PENDING;
	struct vfio_ccw_response *response;
	union scsw scsw = irb->scsw;
	/*
	 * The function control is of no use: fetching any status but an
	 * intermediate one clears it, and the end of the device's part may come
	 * after that of the channel's.
	 */
	bool over = scsw_is_solicited(&scsw) &&
		    !(scsw.cmd.actl & SCSW_ACTL_ACTIVE);

	if (vfio_ccw_fsm(vc, over ? VFIO_CCW_ENDED : VFIO_CCW_INTERRUPT))
		return;

	/* When nobody fetches them, the latest is what counts */
	if (vc->count < VFIO_CCW_RESPONSES)
		vc->count++;
	response = &vc->responses[(vc->first + vc->count - 1) %
				  VFIO_CCW_RESPONSES];
	response->irb = *irb;
	response->of_program = active;
	response->mapped = false;

	if (over)
		wake_up_all(&vc->wait);
	mdev_trigger_signal(&vc->io_trigger);
}

/**
 * vfio_ccw_fetch_response - make the oldest response that of the I/O region
 * @vc: the subchannel
 *
 * Where there is none the region stays as it is. The user may have been told of
 * several by one reading of its eventfd: as long as there are more, the caller
 * has to signal it again.
 *
 * Context: under io_lock.
 * Return: whether there are more.
 */
bool vfio_ccw_fetch_response(struct vfio_ccw *vc)
{
	bool more;

	vfio_ccw_settle(vc);

	spin_lock_irq(&vc->sch->lock);
	/* One that came since has not been translated: its signal is ahead */
	if (vc->count && vc->responses[vc->first].mapped) {
		BUILD_BUG_ON(sizeof(struct irb) > IRB_AREA_SIZE);
		memcpy(vc->region.irb_area, &vc->responses[vc->first].irb,
		       sizeof(struct irb));
		vc->first = (vc->first + 1) % VFIO_CCW_RESPONSES;
		vc->count--;
	}
	more = vc->count;
	spin_unlock_irq(&vc->sch->lock);
	return more;
}

/*
 * Make the subchannel quiet: cancel, halt, then clear what is active, and wait
 * for the end of it. Where @tell is set the user hears of the end by a response
 * of its own: then it is cleared at once, since a program that is cancelled
 * gives none. The hardware has a limited time for all that; a subchannel that
 * takes longer is broken, and not used any more. Then release the program.
 */
static int vfio_ccw_quiesce(struct vfio_ccw *vc, bool tell)
{
	unsigned long start = jiffies;
	struct subchannel *sch = vc->sch;
	int retries = RETRIES;
	bool noticed = false;
	int ret;

	lockdep_assert_held(&vc->io_lock);

	for (;;) {
		spin_lock_irq(&sch->lock);
		if (vc->state != VFIO_CCW_PENDING)
			ret = 0;
		else if (tell)
			ret = csch(sch->schid) == 0 ? -EBUSY : -ENODEV;
		else
			ret = cio_cancel_halt_clear(sch, &retries);
		if (!ret)
			vfio_ccw_fsm(vc, VFIO_CCW_ENDED);
		else if (ret == -ENODEV)
			vfio_ccw_fsm(vc, VFIO_CCW_GONE);
		spin_unlock_irq(&sch->lock);
		if (ret != -EBUSY)
			break;

		if (time_after(jiffies, start + QUIESCE_LIMIT * HZ)) {
			ret = -EIO;
			break;
		}
		if (!noticed && time_after(jiffies, start + QUIESCE_NOTICE * HZ)) {
			dev_warn(&sch->dev, "waiting for the channel subsystem to end a channel program\n");
			noticed = true;
		}
		wait_event_timeout(vc->wait,
				   READ_ONCE(vc->state) != VFIO_CCW_PENDING,
				   HZ / 4);
	}

	if (ret && ret != -ENODEV) {
		dev_err(&sch->dev, "the channel subsystem does not end a channel program: error %d\n",
			ret);
		spin_lock_irq(&sch->lock);
		vfio_ccw_fsm(vc, VFIO_CCW_GONE);
		spin_unlock_irq(&sch->lock);
	}
	vfio_ccw_settle(vc);
	return ret;
}

/* Disable the subchannel. One with status pending has it taken away first */
static void vfio_ccw_disable(struct vfio_ccw *vc)
{
	unsigned long start = jiffies;
	struct subchannel *sch = vc->sch;
	int ret;

	do {
		spin_lock_irq(&sch->lock);
		ret = cio_disable_subchannel(sch);
		spin_unlock_irq(&sch->lock);
		if (ret != -EBUSY)
			break;
		fsleep(10 * USEC_PER_MSEC);
	} while (time_before(jiffies, start + QUIESCE_LIMIT * HZ));

	if (ret && ret != -ENODEV)
		dev_err(&sch->dev, "cannot be disabled: error %d\n", ret);
}

static int vfio_ccw_enable(struct vfio_ccw *vc)
{
	struct subchannel *sch = vc->sch;
	int ret;

	spin_lock_irq(&sch->lock);
	/* The interrupt handler finds the subchannel by this parameter */
	ret = cio_enable_subchannel(sch, (u32)virt_to_phys(sch));
	spin_unlock_irq(&sch->lock);
	return ret;
}

/* As new: nothing of what was before this is shown to the user */
static void vfio_ccw_forget(struct vfio_ccw *vc)
{
	spin_lock_irq(&vc->sch->lock);
	vfio_ccw_drop_responses(vc);
	spin_unlock_irq(&vc->sch->lock);
	vfio_ccw_crw_drop(vc);
	memset(&vc->region, 0, sizeof(vc->region));
	memset(&vc->cmd_region, 0, sizeof(vc->cmd_region));
}

/**
 * vfio_ccw_open - make the subchannel ready for a user
 * @vc: the subchannel
 *
 * Return: 0 or a negative errno: -ENODEV where it is not operational.
 */
int vfio_ccw_open(struct vfio_ccw *vc)
{
	struct subchannel *sch = vc->sch;
	int ret = -ENOMEM;

	mutex_lock(&vc->io_lock);
	vc->pages = vfio_ccw_pages_alloc(vc->mdev, &vc->unmaps);
	if (!vc->pages)
		goto unlock;
	vc->cp = ccw_cp_alloc(&vfio_ccw_pages_ops, vc->pages);
	if (!vc->cp)
		goto free_pages;

	vfio_ccw_forget(vc);
	spin_lock_irq(&sch->lock);
	ret = vfio_ccw_fsm(vc, VFIO_CCW_OPEN);
	spin_unlock_irq(&sch->lock);
	if (ret)
		goto free_cp;

	ret = vfio_ccw_enable(vc);
	if (!ret)
		goto unlock;

	spin_lock_irq(&sch->lock);
	vfio_ccw_fsm(vc, VFIO_CCW_CLOSE);
	spin_unlock_irq(&sch->lock);
free_cp:
	ccw_cp_free(vc->cp);
	vc->cp = NULL;
free_pages:
	vfio_ccw_pages_free(vc->pages);
	vc->pages = NULL;
unlock:
	mutex_unlock(&vc->io_lock);
	return ret;
}

/**
 * vfio_ccw_close - the user has let the subchannel go
 * @vc: the subchannel
 *
 * It is quiet and disabled, and no page is pinned, when this returns.
 */
void vfio_ccw_close(struct vfio_ccw *vc)
{
	int ret;

	mutex_lock(&vc->io_lock);
	ret = vfio_ccw_quiesce(vc, false);
	vfio_ccw_disable(vc);
	spin_lock_irq(&vc->sch->lock);
	vfio_ccw_fsm(vc, VFIO_CCW_CLOSE);
	spin_unlock_irq(&vc->sch->lock);
	vfio_ccw_forget(vc);
	/* Broken hardware may still fetch from the host's copy: never reuse it */
	if (ret != -EIO)
		ccw_cp_free(vc->cp);
	vc->cp = NULL;
	vfio_ccw_pages_free(vc->pages);
	vc->pages = NULL;
	mutex_unlock(&vc->io_lock);
}

/**
 * vfio_ccw_reset - VFIO_DEVICE_RESET
 * @vc: the subchannel
 *
 * Return: 0 or a negative errno.
 */
int vfio_ccw_reset(struct vfio_ccw *vc)
{
	int ret;

	mutex_lock(&vc->io_lock);
	ret = vfio_ccw_quiesce(vc, false);
	if (!ret && READ_ONCE(vc->state) == VFIO_CCW_NOT_OPER)
		ret = -ENODEV;
	if (!ret)
		vfio_ccw_disable(vc);
	vfio_ccw_forget(vc);
	if (!ret)
		ret = vfio_ccw_enable(vc);
	mutex_unlock(&vc->io_lock);
	return ret;
}

/* START SUBCHANNEL, for a program that was translated */
static int vfio_ccw_ssch(struct vfio_ccw *vc, const struct ccw_cp_start *start,
			 u8 lpm)
{
	struct subchannel *sch = vc->sch;
	union orb orb = {};
	int ret;

	orb.word[0] = (u32)virt_to_phys(sch);
	orb.word[1] = start->flags;
	orb.word[2] = start->cpa;
	if (!lpm)
		orb.word[1] |= sch->lpm << ORB_LPM_SHIFT;

	spin_lock_irq(&sch->lock);
	if (vc->state != VFIO_CCW_PROCESSING) {
		/* Gone while the program was translated */
		ret = -ENODEV;
	} else {
		switch (ssch(sch->schid, &orb)) {
		case 0:
			ret = vfio_ccw_fsm(vc, VFIO_CCW_STARTED);
			break;
		case 1:		/* status pending */
		case 2:		/* busy */
			ret = -EBUSY;
			break;
		default:	/* not operational: the paths named, or all */
			ret = lpm && lpm != 0xff ? -EACCES : -ENODEV;
		}
	}
	if (ret)
		vfio_ccw_fsm(vc, VFIO_CCW_REFUSED);
	spin_unlock_irq(&sch->lock);
	return ret;
}

/**
 * vfio_ccw_start - start the channel program of the I/O region
 * @vc: the subchannel
 *
 * The ORB's and the SCSW's areas of the region say what the user wants.
 *
 * Context: under io_lock.
 * Return: 0 when it was started, or a negative errno as the uapi has it in
 * Documentation/arch/s390/vfio-ccw.rst of Linux. Where nothing was started
 * nothing stays pinned.
 */
int vfio_ccw_start(struct vfio_ccw *vc)
{
	__be32 orb[CCW_CP_ORB_WORDS];
	struct ccw_cp_start start;
	struct cmd_scsw scsw;
	int ret;

	BUILD_BUG_ON(sizeof(orb) != ORB_AREA_SIZE);
	BUILD_BUG_ON(sizeof(scsw) != SCSW_AREA_SIZE);
	memcpy(orb, vc->region.orb_area, sizeof(orb));
	memcpy(&scsw, vc->region.scsw_area, sizeof(scsw));

	if (scsw.fctl & (SCSW_FCTL_HALT_FUNC | SCSW_FCTL_CLEAR_FUNC) &&
	    !(scsw.fctl & SCSW_FCTL_START_FUNC))
		return -EOPNOTSUPP;
	if (!(scsw.fctl & SCSW_FCTL_START_FUNC))
		return -EIO;

	spin_lock_irq(&vc->sch->lock);
	ret = vfio_ccw_fsm(vc, VFIO_CCW_START);
	spin_unlock_irq(&vc->sch->lock);
	if (ret)
		return ret;

	/* All responses to the program before, while it can be told from this */
	vfio_ccw_settle(vc);

	ret = ccw_cp_translate(vc->cp, orb, &start);
	if (ret) {
		dev_info_ratelimited(&vc->sch->dev, "channel program not started: %s (error %d)\n",
				     ccw_cp_why(vc->cp) ?: "it cannot be translated",
				     ret);
		spin_lock_irq(&vc->sch->lock);
		vfio_ccw_fsm(vc, VFIO_CCW_REFUSED);
		spin_unlock_irq(&vc->sch->lock);
		return ret;
	}

	vc->orb_flags = be32_to_cpu(orb[1]);
	ret = vfio_ccw_ssch(vc, &start,
			    (vc->orb_flags & CCW_ORB_LPM) >> ORB_LPM_SHIFT);
	if (ret)
		ccw_cp_release(vc->cp);
	return ret;
}

/**
 * vfio_ccw_async - halt or clear
 * @vc: the subchannel
 * @command: VFIO_CCW_ASYNC_CMD_HSCH or _CSCH, and nothing else
 *
 * Context: under io_lock.
 * Return: 0 or a negative errno, -EINVAL for any other command.
 */
int vfio_ccw_async(struct vfio_ccw *vc, u32 command)
{
	struct subchannel *sch = vc->sch;
	int ret;

	if (command != VFIO_CCW_ASYNC_CMD_HSCH &&
	    command != VFIO_CCW_ASYNC_CMD_CSCH)
		return -EINVAL;

	spin_lock_irq(&sch->lock);
	ret = vfio_ccw_fsm(vc, VFIO_CCW_ASYNC);
	if (!ret) {
		switch (command == VFIO_CCW_ASYNC_CMD_HSCH ?
			hsch(sch->schid) : csch(sch->schid)) {
		case 0:
			break;
		case 1:		/* status pending */
		case 2:		/* busy */
			ret = -EBUSY;
			break;
		default:
			ret = -ENODEV;
		}
	}
	spin_unlock_irq(&sch->lock);
	return ret;
}

/**
 * vfio_ccw_read_schib - STORE SUBCHANNEL
 * @vc: the subchannel
 * @schib: where it is stored
 *
 * Context: under io_lock.
 * Return: 0, or -ENODEV where the subchannel is not operational.
 */
int vfio_ccw_read_schib(struct vfio_ccw *vc, struct ccw_schib_region *schib)
{
	struct subchannel *sch = vc->sch;
	struct schib *copy = (struct schib *)schib->schib_area;
	u32 cpa = 0;
	int ret = 0;

	BUILD_BUG_ON(sizeof(sch->schib) != SCHIB_AREA_SIZE);

	spin_lock_irq(&sch->lock);
	if (cio_update_schib(sch)) {
		ret = -ENODEV;
	} else {
		memcpy(schib->schib_area, &sch->schib, sizeof(sch->schib));
		if (vc->state == VFIO_CCW_PENDING)
			cpa = vfio_ccw_guest_address(vc, sch->schib.scsw.cmd.cpa);
	}
	spin_unlock_irq(&sch->lock);
	if (ret)
		return ret;

	/* What is the host's: its parameter, its measurement, its program */
	copy->pmcw.intparm = 0;
	copy->pmcw.mbi = 0;
	copy->mba = 0;
	copy->scsw.cmd.cpa = (__force dma32_t)cpa;
	return 0;
}

/**
 * vfio_ccw_dma_unmap - guest memory goes away
 * @vc: the subchannel
 * @iova: where it begins
 * @length: how many bytes
 *
 * Ends a program that uses it.
 *
 * VFIO calls with its list of devices locked. Who holds io_lock may wait for
 * its type 1 IOMMU, to pin or unpin, and who holds that may wait for the list.
 * So this does not wait for ever: where pages are still pinned when it returns
 * VFIO calls again, and whoever waits for the list goes on in between. It does
 * so some ten times, and then stops the machine. Who holds io_lock therefore
 * never waits for the user; a translation, which may wait for the user's memory
 * to come, gives up when @unmaps is not 0; and what is left, to end a program,
 * takes QUIESCE_LIMIT.
 */
void vfio_ccw_dma_unmap(struct vfio_ccw *vc, u64 iova, u64 length)
{
	unsigned long end = jiffies + UNMAP_LIMIT * HZ;

	atomic_inc(&vc->unmaps);
	while (!mutex_trylock(&vc->io_lock)) {
		if (time_after(jiffies, end)) {
			atomic_dec(&vc->unmaps);
			return;
		}
		fsleep(USEC_PER_MSEC);
	}
	atomic_dec(&vc->unmaps);

	if (vc->cp) {
		vfio_ccw_settle(vc);
		if (ccw_cp_uses(vc->cp, iova, length))
			vfio_ccw_quiesce(vc, true);
	}
	mutex_unlock(&vc->io_lock);
}

/**
 * vfio_ccw_gone - the subchannel is not operational any more
 * @vc: the subchannel
 *
 * Context: under the subchannel's lock.
 */
void vfio_ccw_gone(struct vfio_ccw *vc)
{
	vfio_ccw_fsm(vc, VFIO_CCW_GONE);
	wake_up_all(&vc->wait);
}

/**
 * vfio_ccw_terminate - end what is active, and do not wait for it
 * @vc: the subchannel
 *
 * Context: under the subchannel's lock. The end comes by an interrupt, since
 * the program is cleared, and not cancelled.
 */
void vfio_ccw_terminate(struct vfio_ccw *vc)
{
	if (vc->state == VFIO_CCW_PENDING)
		csch(vc->sch->schid);
}
