// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: the subchannel's I/O for the holder: start, halt, clear, responses,
 * and the functions that make the subchannel quiet.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "vfio_ccw.h"

/*
 * How long the channel subsystem may take in all to end a program and to have
 * the subchannel disabled, and when a program that was cancelled or halted is
 * cleared
 */
#define STOP_LIMIT		(2 * HZ)
#define STOP_STEP		(HZ / 4UL)

/* The path mask of the ORB's word 1 */
#define ORB_LPM_SHIFT		8

/*
 * The bits of the ORB's word 1 that the SCSW's word 0 repeats in the same
 * place: the storage key, the format of CCWs, and the control bits for
 * prefetching, suspension and checking
 */
#define SCSW_OF_ORB		0xf8f80000

/* Functions that were requested, and are not complete */
#define SCSW_ACTL_PENDING						\
	(SCSW_ACTL_RESUME_PEND | SCSW_ACTL_START_PEND |			\
	 SCSW_ACTL_HALT_PEND | SCSW_ACTL_CLEAR_PEND)

/* Activity after which the program goes on */
#define SCSW_ACTL_ACTIVE	(SCSW_ACTL_SUSPENDED | SCSW_ACTL_SCHACT)

/* The first number of retries for cio_cancel_halt_clear() */
#define RETRIES			255

/* Drop a reference */
void vfio_ccw_user_put(struct vfio_ccw_user *user)
{
	if (!refcount_dec_and_test(&user->refs))
		return;
	/* Broken hardware may still fetch from the host's copy: never reuse it */
	if (user->broken)
		ccw_cp_release(user->cp);
	else
		ccw_cp_free(user->cp);
	vfio_ccw_pages_free(user->pages);
	mutex_destroy(&user->io_lock);
	kfree(user);
}

static struct vfio_ccw_user *vfio_ccw_user_alloc(struct mdev_device *mdev)
{
	struct vfio_ccw_user *user =
		kzalloc(sizeof(*user), MDEV_GFP_HOLDER);

	if (!user)
		return NULL;

	refcount_set(&user->refs, 1);
	mutex_init(&user->io_lock);
	user->pages = vfio_ccw_pages_alloc(mdev);
	if (user->pages)
		user->cp = ccw_cp_alloc(&vfio_ccw_pages_ops, user->pages);
	if (!user->cp) {
		vfio_ccw_user_put(user);
		return NULL;
	}
	return user;
}

/* A thread of the holder's, with io_lock or waiting for it, goes outside */
static void vfio_ccw_wait_begin(struct vfio_ccw *vc,
				struct vfio_ccw_user *user)
{
	refcount_inc(&user->refs);
	mdev_wait_begin(vc->mdev);
}

/* The thread is back, with io_lock. Uses @mdev, since @vc may be gone */
static int vfio_ccw_wait_end(struct mdev_device *mdev,
			     struct vfio_ccw_user *user)
{
	lockdep_assert_held(&user->io_lock);

	if (unlikely(mdev_wait_end(mdev))) {
		user->revoked = true;
		return -ENODEV;
	}
	/* The reference of the open still exists */
	refcount_dec(&user->refs);
	return 0;
}

/* See vfio_ccw_user_lock(): a thread with io_lock may wait for user space */
struct vfio_ccw_user *vfio_ccw_user_lock_slow(struct vfio_ccw *vc)
{
	struct vfio_ccw_user *user = vc->user;
	struct mdev_device *mdev = vc->mdev;

	vfio_ccw_wait_begin(vc, user);
	mutex_lock(&user->io_lock);
	if (vfio_ccw_wait_end(mdev, user)) {
		vfio_ccw_user_unlock(user);
		return ERR_PTR(-ENODEV);
	}
	return user;
}

static u32 vfio_ccw_guest_address(struct vfio_ccw_user *user, dma32_t host)
{
	return ccw_cp_guest_cpa(user->cp, (__force u32)host);
}

/* The bits of the ORB in an SCSW become those of the guest's ORB */
static void vfio_ccw_map_orb_flags(struct vfio_ccw_user *user, union scsw *scsw)
{
	u32 word;

	memcpy(&word, scsw, sizeof(word));
	word = (word & ~SCSW_OF_ORB) | (user->orb_flags & SCSW_OF_ORB);
	memcpy(scsw, &word, sizeof(word));
}

/*
 * Leave no data of the host in an IRB. Addresses of CCWs become the guest's, or
 * 0 if the program is not the holder's. The bits of the ORB become those of the
 * guest's. The address of storage that could not be accessed is removed.
 */
static void vfio_ccw_map_irb(struct vfio_ccw_user *user, struct irb *irb,
			     bool of_program)
{
	u32 cpa = 0, saddr = 0;

	if (of_program) {
		cpa = vfio_ccw_guest_address(user, irb->scsw.cmd.cpa);
		if (irb->scsw.cmd.eswf && irb->esw.esw0.erw.scavf)
			saddr = vfio_ccw_guest_address(user,
						       irb->esw.esw0.saddr);
		vfio_ccw_map_orb_flags(user, &irb->scsw);
	}
	irb->scsw.cmd.cpa = (__force dma32_t)cpa;
	if (irb->scsw.cmd.eswf) {
		irb->esw.esw0.erw.fsavf = 0;
		irb->esw.esw0.faddr[0] = 0;
		irb->esw.esw0.faddr[1] = 0;
		irb->esw.esw0.saddr = (__force dma32_t)saddr;
	}
}

/* The oldest response is number 0 */
static struct vfio_ccw_response *vfio_ccw_response_at(struct vfio_ccw *vc,
						      unsigned int i)
{
	return &vc->responses[(vc->first + i) % VFIO_CCW_RESPONSES];
}

/* Translate the addresses of new responses, while the program still exists */
static void vfio_ccw_map_responses(struct vfio_ccw *vc,
				   struct vfio_ccw_user *user)
{
	unsigned int i;

	lockdep_assert_held(&user->io_lock);
	lockdep_assert_held(&vc->sch->lock);

	for (i = 0; i < vc->count; i++) {
		struct vfio_ccw_response *response =
			vfio_ccw_response_at(vc, i);

		if (response->mapped)
			continue;
		vfio_ccw_map_irb(user, &response->irb, response->of_program);
		response->mapped = true;
	}
}

/* Release the program, which is not running */
static int vfio_ccw_release(struct vfio_ccw *vc, struct vfio_ccw_user *user)
{
	struct mdev_device *mdev = vc->mdev;

	lockdep_assert_held(&user->io_lock);

	if (!ccw_cp_uses(user->cp, 0, U64_MAX))
		return 0;
	vfio_ccw_wait_begin(vc, user);
	ccw_cp_release(user->cp);
	return vfio_ccw_wait_end(mdev, user);
}

/*
 * Complete the work of the interrupt handler, which cannot sleep: translate the
 * addresses of new responses, and release a program that has ended. Returns
 * -ENODEV if the device was revoked meanwhile.
 */
static int vfio_ccw_settle(struct vfio_ccw *vc, struct vfio_ccw_user *user)
{
	bool active;

	spin_lock_irq(&vc->sch->lock);
	vfio_ccw_map_responses(vc, user);
	active = vfio_ccw_is_active(vc);
	spin_unlock_irq(&vc->sch->lock);
	return active ? 0 : vfio_ccw_release(vc, user);
}

/* Under the subchannel's lock: drop the responses that were not fetched */
static void vfio_ccw_drop_responses(struct vfio_ccw *vc)
{
	lockdep_assert_held(&vc->sch->lock);
	vc->count = 0;
	vc->shown = false;
}

/*
 * Does the channel program end with this status? Then the channel fetches and
 * stores nothing for it any more. The device may still be active: its own end
 * comes later, and the next program need not wait for it. If a halt or a clear
 * is complete, the program has ended, even if the subchannel shows activity. A
 * status that is only intermediate never ends the program, although a halt may
 * have been signalled meanwhile: its own status is to come.
 */
static bool vfio_ccw_ends_program(union scsw *scsw)
{
	u32 ends = SCSW_STCTL_PRIM_STATUS | SCSW_STCTL_SEC_STATUS;

	if (!scsw_is_solicited(scsw) || scsw->cmd.actl & SCSW_ACTL_PENDING)
		return false;
	if (scsw->cmd.stctl & SCSW_STCTL_INTER_STATUS &&
	    !(scsw->cmd.stctl & ends))
		return false;
	return scsw->cmd.fctl & (SCSW_FCTL_HALT_FUNC | SCSW_FCTL_CLEAR_FUNC) ||
	       !(scsw->cmd.actl & SCSW_ACTL_ACTIVE);
}

/*
 * A response that ends nothing is worth least, and the end that the holder
 * waits for is worth most. The end of a device is between them.
 */
static unsigned int vfio_ccw_worth(const struct vfio_ccw_response *response)
{
	return response->over + response->settles;
}

/* The newest of the responses that are worth least */
static unsigned int vfio_ccw_least_response(struct vfio_ccw *vc)
{
	unsigned int least = 0, i;

	for (i = 1; i < vc->count; i++)
		if (vfio_ccw_worth(vfio_ccw_response_at(vc, i)) <=
		    vfio_ccw_worth(vfio_ccw_response_at(vc, least)))
			least = i;
	return least;
}

/*
 * Add a response behind those that wait. If the ring is full, because the
 * holder fetches none, one of them gives way, unless all of them are worth more
 * than the new one.
 */
static void vfio_ccw_add_response(struct vfio_ccw *vc,
				  const struct vfio_ccw_response *response)
{
	unsigned int i;

	lockdep_assert_held(&vc->sch->lock);
	if (vc->count == VFIO_CCW_RESPONSES) {
		i = vfio_ccw_least_response(vc);
		if (vfio_ccw_worth(response) <
		    vfio_ccw_worth(vfio_ccw_response_at(vc, i)))
			return;
		if (!i)
			vc->shown = false;
		for (vc->count--; i < vc->count; i++)
			*vfio_ccw_response_at(vc, i) =
				*vfio_ccw_response_at(vc, i + 1);
	}
	*vfio_ccw_response_at(vc, vc->count++) = *response;
}

/*
 * The driver itself has ended what the holder started. The holder did not issue
 * a clear, so it gets an interface-control check as the end of its start, as if
 * a path had disappeared meanwhile.
 */
static void vfio_ccw_tell_cleared(struct irb *irb)
{
	memset(irb, 0, sizeof(*irb));
	irb->scsw.cmd.fctl = SCSW_FCTL_START_FUNC;
	irb->scsw.cmd.stctl = SCSW_STCTL_ALERT_STATUS |
			      SCSW_STCTL_PRIM_STATUS |
			      SCSW_STCTL_SEC_STATUS | SCSW_STCTL_STATUS_PEND;
	irb->scsw.cmd.cstat = SCHN_STAT_INTF_CTRL_CHK;
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
	bool active = vfio_ccw_is_active(vc);
	struct vfio_ccw_response response;
	union scsw scsw = irb->scsw;
	bool over = vfio_ccw_ends_program(&scsw);

	/* Without this the rest of the IRB means nothing */
	if (!(scsw.cmd.stctl & SCSW_STCTL_STATUS_PEND))
		return;
	if (vfio_ccw_fsm(vc, over ? VFIO_CCW_ENDED : VFIO_CCW_INTERRUPT))
		return;
	if (over && wq_has_sleeper(&vc->wait))
		wake_up_all(&vc->wait);
	if (vc->silent)
		return;

	response = (struct vfio_ccw_response){
		.irb = *irb,
		.of_program = active,
		.over = over,
		.settles = over && vc->owed,
	};
	if (active && over && vc->cleared)
		vfio_ccw_tell_cleared(&response.irb);
	vfio_ccw_add_response(vc, &response);
	if (over)
		vc->owed = false;
	mdev_trigger_signal(&vc->triggers[VFIO_CCW_IO_IRQ_INDEX]);
}

/*
 * Is there an end that was not fetched? A device's own end, after that of the
 * program, is not one.
 */
static bool vfio_ccw_end_waits(struct vfio_ccw *vc)
{
	unsigned int i;

	lockdep_assert_held(&vc->sch->lock);
	for (i = 0; i < vc->count; i++)
		if (vfio_ccw_response_at(vc, i)->settles)
			return true;
	return false;
}

/*
 * The end of what a reset has stopped. QEMU keeps a function pending until it
 * hears of its end: without one, a guest that is rebooted during I/O finds the
 * subchannel busy for good.
 */
static void vfio_ccw_tell_reset(struct vfio_ccw *vc)
{
	struct vfio_ccw_response response = {
		.over = true,
		.mapped = true,
		.settles = true,
	};

	lockdep_assert_held(&vc->sch->lock);
	if (!vc->owed)
		return;

	vfio_ccw_tell_cleared(&response.irb);
	vfio_ccw_add_response(vc, &response);
	vc->owed = false;
	mdev_trigger_signal(&vc->triggers[VFIO_CCW_IO_IRQ_INDEX]);
}

/**
 * vfio_ccw_show_response - make the oldest response that of the I/O region
 * @vc: the subchannel
 * @user: its holder, locked
 *
 * If there is none, the region stays as it is.
 *
 * Return: how many there are; -ENODEV if the device was revoked.
 */
int vfio_ccw_show_response(struct vfio_ccw *vc, struct vfio_ccw_user *user)
{
	bool active;
	int count;

	spin_lock_irq(&vc->sch->lock);
	vfio_ccw_map_responses(vc, user);
	BUILD_BUG_ON(sizeof(struct irb) > IRB_AREA_SIZE);
	count = vc->count;
	vc->shown = count;
	if (count)
		memcpy(user->region.irb_area, &vfio_ccw_response_at(vc, 0)->irb,
		       sizeof(struct irb));
	active = vfio_ccw_is_active(vc);
	spin_unlock_irq(&vc->sch->lock);
	if (!active && vfio_ccw_release(vc, user))
		return -ENODEV;
	return count;
}

/**
 * vfio_ccw_take_response - the holder has read the oldest response
 * @vc: the subchannel
 *
 * One read of the eventfd may stand for several responses: if there are more,
 * the holder is signalled again. If the response has given way to a new one
 * meanwhile, none is taken.
 *
 * Context: under io_lock, which was not dropped since.
 */
void vfio_ccw_take_response(struct vfio_ccw *vc)
{
	bool more;

	spin_lock_irq(&vc->sch->lock);
	if (vc->shown) {
		vc->first = (vc->first + 1) % VFIO_CCW_RESPONSES;
		vc->count--;
	}
	vc->shown = false;
	more = vc->count;
	spin_unlock_irq(&vc->sch->lock);
	if (more)
		mdev_trigger_signal(&vc->triggers[VFIO_CCW_IO_IRQ_INDEX]);
}

/*
 * The channel may still fetch from or store into memory of the program. That
 * memory is never used for anything else: neither the host's program, nor the
 * guest's pages, although VFIO unpins them when they are unmapped. No other
 * thread uses the translator while a program is active.
 */
static void vfio_ccw_give_up(struct vfio_ccw *vc, const char *what)
{
	dev_err(&vc->sch->dev, "%s; giving up the subchannel\n", what);
	spin_lock_irq(&vc->sch->lock);
	if (vc->user) {
		vc->user->broken = true;
		if (vfio_ccw_is_active(vc))
			ccw_cp_keep(vc->user->cp);
	}
	vfio_ccw_fsm(vc, VFIO_CCW_GONE);
	spin_unlock_irq(&vc->sch->lock);
}

/* If the holder has not ended the program; see vfio_ccw_tell_cleared() */
static int vfio_ccw_clear(struct vfio_ccw *vc)
{
	vc->cleared = !vc->users_end;
	return csch(vc->sch->schid);
}

/* One step towards the end of the program; -EBUSY: an interrupt is to come */
static int vfio_ccw_end_program(struct vfio_ccw *vc, bool clear)
{
	int retries = RETRIES;
	int ret;

	lockdep_assert_held(&vc->sch->lock);
	if (!vfio_ccw_is_active(vc))
		return 0;
	if (clear)
		ret = vfio_ccw_clear(vc) ? -ENODEV : -EBUSY;
	else
		ret = cio_cancel_halt_clear(vc->sch, &retries);
	if (!ret)
		vfio_ccw_fsm(vc, VFIO_CCW_ENDED);
	else if (ret == -ENODEV)
		vfio_ccw_fsm(vc, VFIO_CCW_GONE);
	return ret;
}

/*
 * Make the subchannel quiet, by a time in jiffies: cancel or halt the active
 * program, and clear it if it does not end. With @tell the holder gets a
 * response for the end. The program is cleared at once then: if it were
 * cancelled, there would be no response. If the hardware does not even clear,
 * it is broken, and not used any more.
 */
static int vfio_ccw_quiesce(struct vfio_ccw *vc, bool tell,
			    unsigned long deadline)
{
	unsigned long now;
	bool clear = tell;
	int ret;

	for (;;) {
		spin_lock_irq(&vc->sch->lock);
		ret = vfio_ccw_end_program(vc, clear);
		spin_unlock_irq(&vc->sch->lock);
		if (!ret || ret == -ENODEV)
			return ret;
		now = jiffies;
		if (!time_before(now, deadline))
			break;
		wait_event_timeout(vc->wait, !vfio_ccw_is_active(vc),
				   min(STOP_STEP, deadline - now));
		clear = true;
	}

	vfio_ccw_give_up(vc, "channel program does not terminate");
	return -EIO;
}

/**
 * vfio_ccw_gone - the device is gone, or the whole subchannel
 * @vc: the subchannel
 *
 * If the subchannel still answers, the channel may still use the memory of a
 * program: it is cleared, and its memory is released after its end.
 *
 * Context: under the subchannel's lock.
 */
void vfio_ccw_gone(struct vfio_ccw *vc)
{
	bool clearing = vfio_ccw_is_active(vc) && !vfio_ccw_clear(vc);

	vfio_ccw_fsm(vc, clearing ? VFIO_CCW_LOST : VFIO_CCW_GONE);
	wake_up_all(&vc->wait);
}

/* The interrupt handler of cio finds the subchannel by this parameter */
static u32 vfio_ccw_parameter(const struct vfio_ccw *vc)
{
	return virt_to_phys(vc->sch);
}

/*
 * A device that was detached, and attached again, has the same number. But its
 * subchannel was reset meanwhile: it is disabled, and has another parameter.
 * The driver itself disables it for a while in a reset, and leaves the parameter.
 */
static bool vfio_ccw_was_reset(struct vfio_ccw *vc)
{
	const struct pmcw *pmcw = &vc->sch->schib.pmcw;

	return vc->user && (pmcw->intparm != vfio_ccw_parameter(vc) ||
			    (vc->enabled && !pmcw->ena));
}

/**
 * vfio_ccw_has_changed - is the device not the one that was there at probe?
 * @vc: the subchannel
 *
 * A subchannel's number may be used again, for a device that was not given to
 * the holder. With QDIO, that device would even take a guest's addresses for
 * the host's.
 *
 * Context: under the subchannel's lock.
 * Return: true also if the subchannel is not operational. True for good.
 */
bool vfio_ccw_has_changed(struct vfio_ccw *vc)
{
	const struct pmcw *pmcw = &vc->sch->schib.pmcw;

	lockdep_assert_held(&vc->sch->lock);
	if (cio_update_schib(vc->sch) || pmcw->dev != vc->devno || pmcw->qf ||
	    vfio_ccw_was_reset(vc))
		vc->changed = true;
	return vc->changed;
}

/*
 * The driver itself finds that the device has changed: the channel subsystem
 * may not know yet. Have it call vfio_ccw_sch_event().
 */
static bool vfio_ccw_find_change(struct vfio_ccw *vc)
{
	if (!vfio_ccw_has_changed(vc))
		return false;
	vfio_ccw_gone(vc);
	css_sched_sch_todo(vc->sch, SCH_TODO_EVAL);
	return true;
}

/*
 * Disable the subchannel by a time in jiffies. First take away status that is
 * pending, and clear the activity that is left. It may be of the device alone.
 */
static void vfio_ccw_disable(struct vfio_ccw *vc, unsigned long deadline)
{
	unsigned long start = jiffies;
	struct subchannel *sch = vc->sch;
	bool cleared = false;
	int ret;

	for (;;) {
		spin_lock_irq(&sch->lock);
		/* A change cannot be seen while the driver has it disabled */
		if (vc->enabled)
			vfio_ccw_find_change(vc);
		vc->enabled = false;
		ret = cio_disable_subchannel(sch);
		if (ret == -EBUSY && !cleared &&
		    time_after(jiffies, start + STOP_STEP / 2)) {
			csch(sch->schid);
			cleared = true;
		}
		spin_unlock_irq(&sch->lock);
		if (!ret || ret == -ENODEV)
			return;
		if (time_after(jiffies, deadline))
			break;
		fsleep(5 * USEC_PER_MSEC);
	}

	vfio_ccw_give_up(vc, "subchannel cannot be disabled");
}

/*
 * Stop: within @limit jiffies no program is active, and the subchannel is
 * disabled. For @tell see above. This time is for the hardware: no wait for
 * user space may come in between. The last step of it is for disabling alone:
 * activity of the device may be left when the program has ended, and is cleared
 * then.
 */
static int vfio_ccw_stop(struct vfio_ccw *vc, bool tell, unsigned long limit)
{
	unsigned long deadline = jiffies + limit;
	int ret;

	ret = vfio_ccw_quiesce(vc, tell, deadline - STOP_STEP);
	vfio_ccw_disable(vc, deadline);
	return ret;
}

static bool vfio_ccw_is_enabled(struct vfio_ccw *vc)
{
	bool enabled;

	spin_lock_irq(&vc->sch->lock);
	enabled = !cio_update_schib(vc->sch) && vc->sch->schib.pmcw.ena;
	spin_unlock_irq(&vc->sch->lock);
	return enabled;
}

/**
 * vfio_ccw_retire - the driver gives up a subchannel that has no holder
 * @vc: the subchannel
 *
 * If it could not be disabled when its holder closed it, it may have recovered
 * meanwhile. If not, it stays enabled, and no driver gets its interrupts. The
 * interrupt handler of cio still finds the subchannel by the parameter of such
 * an interrupt, which is the address of its struct.
 */
void vfio_ccw_retire(struct vfio_ccw *vc)
{
	if (!vfio_ccw_is_enabled(vc))
		return;
	vfio_ccw_disable(vc, jiffies + STOP_LIMIT);
	if (!vfio_ccw_is_enabled(vc))
		return;

	dev_err(&vc->sch->dev, "subchannel stays enabled; its memory is kept until the next boot\n");
	/* Never put */
	get_device(&vc->sch->dev);
}

static int vfio_ccw_enable(struct vfio_ccw *vc)
{
	struct subchannel *sch = vc->sch;
	int ret = -ENODEV;

	spin_lock_irq(&sch->lock);
	/* Before this, and after: once it is enabled, it looks like the holder's */
	if (!vc->down && !vfio_ccw_find_change(vc)) {
		ret = cio_enable_subchannel(sch, vfio_ccw_parameter(vc));
		if (!ret && vfio_ccw_find_change(vc))
			ret = -ENODEV;
		/* Some errors leave it enabled */
		if (ret)
			cio_disable_subchannel(sch);
	}
	vc->enabled = !ret;
	spin_unlock_irq(&sch->lock);
	return ret;
}

/* The driver's own functions give the holder no response */
static void vfio_ccw_set_silent(struct vfio_ccw *vc, bool silent)
{
	spin_lock_irq(&vc->sch->lock);
	vc->silent = silent;
	spin_unlock_irq(&vc->sch->lock);
}

/* No earlier response is shown to this holder, or to the next one */
static void vfio_ccw_forget(struct vfio_ccw *vc)
{
	spin_lock_irq(&vc->sch->lock);
	vfio_ccw_drop_responses(vc);
	spin_unlock_irq(&vc->sch->lock);
	vfio_ccw_crw_drop(vc);
}

/**
 * vfio_ccw_open - make the subchannel ready for a holder
 * @vc: the subchannel
 *
 * Return: 0 or a negative errno: -ENODEV if it is not operational.
 */
int vfio_ccw_open(struct vfio_ccw *vc)
{
	struct subchannel *sch = vc->sch;
	struct vfio_ccw_user *user;
	int ret;

	user = vfio_ccw_user_alloc(vc->mdev);
	if (!user)
		return -ENOMEM;

	vfio_ccw_forget(vc);
	spin_lock_irq(&sch->lock);
	ret = vfio_ccw_fsm(vc, VFIO_CCW_OPEN);
	vc->owed = false;
	spin_unlock_irq(&sch->lock);
	if (ret)
		goto put_user;

	ret = vfio_ccw_enable(vc);
	if (ret)
		goto close;

	spin_lock_irq(&sch->lock);
	vc->user = user;
	spin_unlock_irq(&sch->lock);
	return 0;

close:
	spin_lock_irq(&sch->lock);
	vfio_ccw_fsm(vc, VFIO_CCW_CLOSE);
	spin_unlock_irq(&sch->lock);
put_user:
	vfio_ccw_user_put(user);
	return ret;
}

/* The subchannel was stopped: it has no holder any more */
static void vfio_ccw_end_use(struct vfio_ccw *vc)
{
	spin_lock_irq(&vc->sch->lock);
	vfio_ccw_fsm(vc, VFIO_CCW_CLOSE);
	vc->user = NULL;
	spin_unlock_irq(&vc->sch->lock);
	vfio_ccw_forget(vc);
}

/**
 * vfio_ccw_close - the holder has closed the device
 * @vc: the subchannel
 *
 * When this returns, the subchannel is quiet and disabled, and no page is
 * pinned; or it was revoked.
 */
void vfio_ccw_close(struct vfio_ccw *vc)
{
	struct vfio_ccw_user *user;

	user = vfio_ccw_user_lock(vc);
	if (IS_ERR(user))
		return;
	vfio_ccw_stop(vc, false, STOP_LIMIT);
	if (vfio_ccw_release(vc, user)) {
		vfio_ccw_user_unlock(user);
		return;
	}
	vfio_ccw_end_use(vc);
	vfio_ccw_user_unlock(user);
	/* Pairs with vfio_ccw_user_alloc() in vfio_ccw_open() */
	vfio_ccw_user_put(user);
}

/**
 * vfio_ccw_revoke - take the subchannel from its holder
 * @vc: the subchannel
 *
 * It is quiet and disabled when this returns. The holder's threads may still
 * wait for user space, one of them with io_lock held: that one releases the
 * program. The program is not running, since no page is pinned or unpinned
 * while one runs.
 */
void vfio_ccw_revoke(struct vfio_ccw *vc)
{
	struct vfio_ccw_user *user = vc->user;

	vfio_ccw_stop(vc, false, STOP_LIMIT);
	vfio_ccw_end_use(vc);
	if (mutex_trylock(&user->io_lock)) {
		ccw_cp_release(user->cp);
		mutex_unlock(&user->io_lock);
	}
	/* Pairs with vfio_ccw_user_alloc() in vfio_ccw_open() */
	vfio_ccw_user_put(user);
}

/**
 * vfio_ccw_reset - VFIO_DEVICE_RESET
 * @vc: the subchannel
 * @user: its holder, locked
 *
 * Responses that were not fetched are dropped. If a program, a halt or a clear
 * was under way, or its end was among them, one response tells that it is over.
 *
 * Return: 0 or a negative errno.
 */
int vfio_ccw_reset(struct vfio_ccw *vc, struct vfio_ccw_user *user)
{
	int ret;

	vfio_ccw_set_silent(vc, true);
	ret = vfio_ccw_stop(vc, false, STOP_LIMIT);
	vfio_ccw_set_silent(vc, false);
	if (vfio_ccw_settle(vc, user))
		return -ENODEV;

	spin_lock_irq(&vc->sch->lock);
	vc->owed |= vfio_ccw_end_waits(vc);
	spin_unlock_irq(&vc->sch->lock);
	vfio_ccw_forget(vc);
	memset(&user->region, 0, sizeof(user->region));
	memset(&user->cmd_region, 0, sizeof(user->cmd_region));
	if (ret)
		return ret;
	if (READ_ONCE(vc->state) == VFIO_CCW_NOT_OPER)
		return -ENODEV;
	ret = vfio_ccw_enable(vc);
	if (ret)
		return ret;

	spin_lock_irq(&vc->sch->lock);
	vfio_ccw_tell_reset(vc);
	spin_unlock_irq(&vc->sch->lock);
	return 0;
}

/* START SUBCHANNEL, for a program that was translated */
static int vfio_ccw_ssch(struct vfio_ccw *vc, const struct ccw_cp_start *start,
			 u8 lpm)
{
	struct subchannel *sch = vc->sch;
	union orb orb = {};
	u8 paths;
	int ret;

	orb.word[0] = (u32)virt_to_phys(sch);
	orb.word[1] = start->flags & ~CCW_ORB_LPM;
	orb.word[2] = start->cpa;

	spin_lock_irq(&sch->lock);
	/* Use no path that the host's administrator has varied off */
	paths = lpm ? lpm & sch->opm : sch->lpm;
	orb.word[1] |= paths << ORB_LPM_SHIFT;
	if (vc->state != VFIO_CCW_IDLE || vc->down) {
		/* Gone while the program was translated */
		ret = -ENODEV;
	} else if (lpm && !paths) {
		ret = -EACCES;
	} else {
		switch (vfio_ccw_start_subchannel(sch->schid, &orb)) {
		case 0:
			vc->users_end = false;
			vc->cleared = false;
			vc->owed = true;
			ret = vfio_ccw_fsm(vc, VFIO_CCW_STARTED);
			break;
		case 1:		/* status pending */
		case 2:		/* busy */
			ret = -EBUSY;
			break;
		case -EIO:	/* it asks for a facility that is missing */
			ret = -EOPNOTSUPP;
			break;
		default:	/* not operational: the paths named, or all */
			ret = lpm && lpm != 0xff ? -EACCES : -ENODEV;
		}
	}
	spin_unlock_irq(&sch->lock);
	return ret;
}

static void vfio_ccw_tell_refusal(struct vfio_ccw *vc, const char *why, int err)
{
	if (__ratelimit(&vc->refusals))
		dev_info(&vc->sch->dev, "channel program not started: %s (error %d)\n",
			 why, err);
}

/**
 * vfio_ccw_start - start the channel program of the I/O region
 * @vc: the subchannel
 * @user: its holder, locked
 *
 * The ORB's and the SCSW's areas of the region say what the holder wants.
 *
 * Return: 0 if it was started, or a negative errno as the uapi has it in
 * Documentation/arch/s390/vfio-ccw.rst of Linux. If nothing was started, no
 * page stays pinned.
 */
int vfio_ccw_start(struct vfio_ccw *vc, struct vfio_ccw_user *user)
{
	__be32 orb[CCW_CP_ORB_WORDS];
	struct ccw_cp_start start;
	struct mdev_device *mdev = vc->mdev;
	struct cmd_scsw scsw;
	int ret;

	BUILD_BUG_ON(sizeof(orb) != ORB_AREA_SIZE);
	BUILD_BUG_ON(sizeof(scsw) != SCSW_AREA_SIZE);
	memcpy(orb, user->region.orb_area, sizeof(orb));
	memcpy(&scsw, user->region.scsw_area, sizeof(scsw));

	if (scsw.fctl & (SCSW_FCTL_HALT_FUNC | SCSW_FCTL_CLEAR_FUNC) &&
	    !(scsw.fctl & SCSW_FCTL_START_FUNC))
		return -EOPNOTSUPP;
	if (!(scsw.fctl & SCSW_FCTL_START_FUNC))
		return -EIO;

	spin_lock_irq(&vc->sch->lock);
	ret = vfio_ccw_fsm(vc, VFIO_CCW_START);
	/* Map all responses of the last program, before this one replaces it */
	if (!ret)
		vfio_ccw_map_responses(vc, user);
	spin_unlock_irq(&vc->sch->lock);
	if (ret)
		return ret;

	vfio_ccw_pages_begin(user->pages);
	vfio_ccw_wait_begin(vc, user);
	ret = ccw_cp_translate(user->cp, orb, &start);
	if (vfio_ccw_wait_end(mdev, user))
		return -ENODEV;
	if (vfio_ccw_pages_are_unmapped(user->pages)) {
		ccw_cp_release(user->cp);
		ret = -EAGAIN;
	} else if (ret) {
		vfio_ccw_tell_refusal(vc, ccw_cp_why(user->cp) ?:
				      "it cannot be translated", ret);
	}
	if (ret)
		return ret;

	user->orb_flags = be32_to_cpu(orb[1]);
	ret = vfio_ccw_ssch(vc, &start,
			    (user->orb_flags & CCW_ORB_LPM) >> ORB_LPM_SHIFT);
	if (ret == -EOPNOTSUPP)
		vfio_ccw_tell_refusal(vc, user->orb_flags & CCW_ORB_MIDA ?
				      "the channel subsystem has no MIDAWs" :
				      "the channel subsystem does not accept its ORB",
				      ret);
	if (ret)
		return vfio_ccw_release(vc, user) ?: ret;
	return 0;
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
			vc->users_end = true;
			vc->cleared = false;
			vc->owed = true;
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
 * @user: its holder, locked
 * @schib: where it is stored
 *
 * Return: 0, or -ENODEV if the subchannel is not operational.
 */
int vfio_ccw_read_schib(struct vfio_ccw *vc, struct vfio_ccw_user *user,
			struct ccw_schib_region *schib)
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
		if (vfio_ccw_is_active(vc))
			cpa = vfio_ccw_guest_address(user,
						     sch->schib.scsw.cmd.cpa);
	}
	spin_unlock_irq(&sch->lock);
	if (ret)
		return ret;

	/* Hide the host's data: its parameter, measurement and program */
	copy->pmcw.intparm = 0;
	copy->pmcw.mbi = 0;
	copy->mba = 0;
	copy->scsw.cmd.cpa = (__force dma32_t)cpa;
	vfio_ccw_map_orb_flags(user, &copy->scsw);
	return 0;
}

/**
 * vfio_ccw_dma_unmap - guest memory goes away
 * @vc: the subchannel
 * @iova: where it begins
 * @length: how many bytes
 *
 * Ends a program that uses it. If another thread has io_lock, this does not
 * wait: that thread may need a lock of VFIO's that is not free before this
 * returns. If that thread translates a program that uses the range, it gives
 * up. The framework calls again while a page of the range is pinned.
 */
void vfio_ccw_dma_unmap(struct vfio_ccw *vc, u64 iova, u64 length)
{
	struct vfio_ccw_user *user;

	/* VFIO may call this at the same time as open and close */
	spin_lock_irq(&vc->sch->lock);
	user = vc->user;
	if (user)
		refcount_inc(&user->refs);
	spin_unlock_irq(&vc->sch->lock);
	if (!user)
		return;

	if (mutex_trylock(&user->io_lock)) {
		if (!vfio_ccw_settle(vc, user) &&
		    ccw_cp_uses(user->cp, iova, length)) {
			vfio_ccw_quiesce(vc, true, jiffies + STOP_LIMIT);
			vfio_ccw_settle(vc, user);
		}
		vfio_ccw_user_unlock(user);
	} else {
		vfio_ccw_pages_unmap(user->pages, iova, length);
	}
	vfio_ccw_user_put(user);
}

/**
 * vfio_ccw_terminate - end the active program, and do not wait for it
 * @vc: the subchannel
 *
 * Context: under the subchannel's lock. The end comes by an interrupt, since
 * the program is cleared, and not cancelled.
 */
void vfio_ccw_terminate(struct vfio_ccw *vc)
{
	if (vc->state == VFIO_CCW_PENDING)
		vfio_ccw_clear(vc);
}

/**
 * vfio_ccw_shutdown - the machine goes down
 * @vc: the subchannel
 *
 * No program is started any more, and an active one is ended: else it might
 * store into the memory of the next kernel.
 */
void vfio_ccw_shutdown(struct vfio_ccw *vc)
{
	spin_lock_irq(&vc->sch->lock);
	vc->down = true;
	spin_unlock_irq(&vc->sch->lock);
	vfio_ccw_stop(vc, true, HZ);
}
