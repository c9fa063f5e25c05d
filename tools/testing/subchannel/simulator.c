// SPDX-License-Identifier: GPL-2.0-only
/* Simulates one subchannel in one thread, in steps of a millisecond or less */
#include "simulator.h"

unsigned long jiffies;
struct sim sim;
struct subchannel sim_sch;
struct mdev_device sim_mdev;
int sim_translate_error;
void (*sim_meanwhile)(void);
void (*sim_asleep)(void);
void (*sim_outside)(void);
void (*sim_irq)(const struct irb *irb);
bool sim_revoked;

static unsigned int locks;

void lock_take(bool *held)
{
	assert(!*held);
	*held = true;
	locks++;
}

void lock_drop(bool *held)
{
	assert(*held);
	*held = false;
	locks--;
}

/* The translator */

struct ccw_cp {
	bool pinned;
	bool kept;
	bool freed;		/* kept, so that a later use is found */
};

struct vfio_ccw_pages {
	bool unmapped;
};

const struct ccw_cp_mem_ops vfio_ccw_pages_ops;
static struct ccw_cp *translated;

struct vfio_ccw_pages *vfio_ccw_pages_alloc(struct mdev_device *mdev)
{
	return calloc(1, sizeof(struct vfio_ccw_pages));
}

void vfio_ccw_pages_free(struct vfio_ccw_pages *pages)
{
	free(pages);
}

void vfio_ccw_pages_begin(struct vfio_ccw_pages *pages)
{
	pages->unmapped = false;
}

bool vfio_ccw_pages_are_unmapped(struct vfio_ccw_pages *pages)
{
	return pages->unmapped;
}

void vfio_ccw_pages_unmap(struct vfio_ccw_pages *pages, u64 iova, u64 length)
{
	if (iova <= GUEST_PAGE && GUEST_PAGE - iova < length)
		pages->unmapped = true;
}

struct ccw_cp *ccw_cp_alloc(const struct ccw_cp_mem_ops *ops, void *ctx)
{
	return calloc(1, sizeof(struct ccw_cp));
}

void ccw_cp_free(struct ccw_cp *cp)
{
	if (!cp)
		return;
	assert(!(sim.runs && sim.program == cp));
	cp->freed = true;
	cp->pinned = false;
	if (sim.program != cp)
		free(cp);
}

int ccw_cp_translate(struct ccw_cp *cp, const __be32 *orb,
		     struct ccw_cp_start *start)
{
	void (*meanwhile)(void) = sim_meanwhile;

	ccw_cp_release(cp);
	cp->pinned = true;
	cp->kept = false;
	sim_meanwhile = NULL;
	if (meanwhile)
		meanwhile();
	if (sim_translate_error) {
		ccw_cp_release(cp);
		return sim_translate_error;
	}
	translated = cp;
	start->cpa = HOST_PROGRAM;
	start->flags = be32_to_cpu(orb[1]) | CCW_ORB_FMT1 | CCW_ORB_IDA64;
	return 0;
}

void ccw_cp_release(struct ccw_cp *cp)
{
	/*
	 * A program that the hardware cannot end keeps its memory: the channel
	 * may still store into it
	 */
	assert(!(sim.runs && sim.program == cp) || sim.gone ||
	       (sim.deaf && (cp->kept || !cp->pinned)));
	cp->pinned = false;
}

void ccw_cp_keep(const struct ccw_cp *cp)
{
	assert(cp->pinned);
	((struct ccw_cp *)cp)->kept = true;
}

u32 ccw_cp_guest_cpa(const struct ccw_cp *cp, u32 host_cpa)
{
	u32 offset = host_cpa - HOST_PROGRAM;

	return offset <= PROGRAM_CCWS * 8 ? GUEST_PROGRAM + offset : 0;
}

bool ccw_cp_uses(const struct ccw_cp *cp, u64 iova, u64 length)
{
	return cp->pinned && iova <= GUEST_PAGE && GUEST_PAGE - iova < length;
}

const char *ccw_cp_why(const struct ccw_cp *cp)
{
	return NULL;
}

/* The framework */

bool mdev_trigger_signal(struct mdev_trigger *trigger)
{
	trigger->signals++;
	test_signal(trigger);
	return true;
}

/* No spin lock may be held here */
void mdev_wait_begin(struct mdev_device *mdev)
{
	void (*outside)(void) = sim_outside;

	assert(!sim_sch.lock.held);
	sim_outside = NULL;
	if (outside)
		outside();
}

int mdev_wait_end(struct mdev_device *mdev)
{
	return sim_revoked ? -ENODEV : 0;
}

/* The channel subsystem */

static void step_after(unsigned int steps)
{
	sim.left = sim.delay * steps;
}

static void tell(u32 stctl, u8 dstat, bool ends)
{
	sim.pending = true;
	sim.ends = ends;
	sim.irb = (struct irb){};
	sim.irb.scsw.cmd.key = sim.orb_flags >> 28;
	sim.irb.scsw.cmd.fctl = sim.fctl;
	sim.irb.scsw.cmd.actl = sim.actl;
	sim.irb.scsw.cmd.stctl = stctl | SCSW_STCTL_STATUS_PEND;
	sim.irb.scsw.cmd.cpa = sim.cpa;
	sim.irb.scsw.cmd.dstat = dstat;
	sim.irb.scsw.cmd.fmt = 1;
	sim.irb.scsw.cmd.eswf = 1;
	sim.irb.esw.esw0.erw.fsavf = 1;
	sim.irb.esw.esw0.erw.scavf = 1;
	sim.irb.esw.esw0.faddr[0] = 0x12345678;
	sim.irb.esw.esw0.saddr = HOST_PROGRAM + 8;
}

void sim_attention(void)
{
	if (sim.pending || sim.fctl || sim.gone || !sim.enabled)
		return;
	/* The CCW address is a leftover of the last program */
	sim.cpa = HOST_PROGRAM + 16;
	tell(SCSW_STCTL_ALERT_STATUS, 0x80, false);
}

static void end_program(void)
{
	sim.told++;
	switch (sim.ending) {
	case SIM_NEVER:
		sim.left = 1;
		return;
	case SIM_INTERMEDIATE:
		if (sim.told == 1) {
			tell(SCSW_STCTL_INTER_STATUS, 0, false);
			/* Some devices show no activity in this status */
			if (sim.delay & 1)
				sim.irb.scsw.cmd.actl = 0;
			step_after(1);
			return;
		}
		break;
	case SIM_DEVICE_LATER:
		sim.runs = false;
		sim.actl = SCSW_ACTL_DEVACT;
		sim.device_end_comes = true;
		sim.cpa = HOST_PROGRAM + 24;
		tell(SCSW_STCTL_PRIM_STATUS, 0x08, true);
		step_after(1);
		return;
	default:
		break;
	}
	sim.runs = false;
	sim.actl = 0;
	sim.cpa = HOST_PROGRAM + PROGRAM_CCWS * 8;
	tell(SCSW_STCTL_PRIM_STATUS | SCSW_STCTL_SEC_STATUS |
	     (sim.ending == SIM_CHECK ? SCSW_STCTL_ALERT_STATUS : 0),
	     sim.ending == SIM_CHECK ? 0x0e : 0x0c, true);
}

/* The channel uses the program, so all of its memory must be pinned */
static void use_program(void)
{
	assert(!sim.program->freed);
	assert(sim.program->pinned || sim.deaf);
}

static void step(void)
{
	if (sim.left && sim.left--)
		return;
	if (sim.actl & SCSW_ACTL_CLEAR_PEND) {
		if (sim.deaf)
			return;
		sim.runs = false;
		sim.device_end_comes = false;
		sim.fctl = SCSW_FCTL_CLEAR_FUNC;
		sim.actl = 0;
		tell(0, 0, true);
	} else if (sim.actl & SCSW_ACTL_HALT_PEND) {
		if (sim.deaf || sim.deaf_to_halt)
			return;
		if (sim.halt_is_slow) {
			/* It is signalled, and the program goes on for a while */
			sim.halt_is_slow = false;
			sim.actl &= ~SCSW_ACTL_HALT_PEND;
			tell(SCSW_STCTL_INTER_STATUS, 0, false);
			sim.actl |= SCSW_ACTL_HALT_PEND;
			step_after(5);
			return;
		}
		sim.runs = false;
		sim.actl = sim.halt_leaves_active ? SCSW_ACTL_DEVACT : 0;
		sim.device_end_comes = false;
		tell(0, 0, true);
	} else if (sim.actl & SCSW_ACTL_START_PEND) {
		sim.actl = SCSW_ACTL_SCHACT | SCSW_ACTL_DEVACT;
		sim.runs = true;
		step_after(1);
	} else if (sim.runs) {
		end_program();
	} else if (sim.device_end_comes) {
		sim.device_end_comes = false;
		sim.actl = 0;
		sim.fctl = SCSW_FCTL_START_FUNC;
		tell(SCSW_STCTL_SEC_STATUS, 0x04, true);
	}
}

/* The interrupt handler, up to TEST SUBCHANNEL */
static void interrupt(void)
{
	struct irb irb = sim.irb;
	bool ends = sim.ends;

	sim.pending = false;
	if (irb.scsw.cmd.stctl !=
	    (SCSW_STCTL_INTER_STATUS | SCSW_STCTL_STATUS_PEND)) {
		if (!(sim.actl & SCSW_ACTL_DEVACT) || ends)
			sim.fctl = 0;
	}
	if (sim.silent)
		return;
	lock_take(&sim_sch.lock.held);
	if (sim_irq)
		sim_irq(&irb);
	else
		test_interrupt(&irb, ends);
	if (sim.twice)
		test_interrupt(&irb, ends);
	lock_drop(&sim_sch.lock.held);
}

void time_passes(unsigned long ms)
{
	void (*asleep)(void) = sim_asleep;

	assert(!sim_sch.lock.held);
	sim_asleep = NULL;
	if (asleep)
		asleep();
	while (ms--) {
		jiffies++;
		if (sim.hears_at && time_after(jiffies, sim.hears_at))
			sim.deaf = false;
		if (sim.gone)
			continue;
		if (sim.runs)
			use_program();
		if (sim.pending)
			interrupt();
		else
			step();
	}
}

int vfio_ccw_start_subchannel(struct subchannel_id schid, const union orb *orb)
{
	int cc = sim.start_cc;

	assert(sim_sch.lock.held);
	sim.start_cc = 0;
	if (sim.gone || !sim.enabled)
		return 3;
	if (cc)
		return cc;
	if (sim.pending)
		return 1;
	if (sim.fctl)
		return 2;
	assert(orb->word[2] == HOST_PROGRAM);
	sim.fctl = SCSW_FCTL_START_FUNC;
	sim.actl = SCSW_ACTL_START_PEND;
	sim.device_end_comes = false;
	if (sim.program && sim.program->freed)
		free(sim.program);
	sim.program = translated;
	sim.orb_flags = orb->word[1];
	sim.cpa = HOST_PROGRAM;
	sim.told = 0;
	step_after(1);
	return 0;
}

int csch(struct subchannel_id schid)
{
	assert(sim_sch.lock.held);
	if (sim.gone || !sim.enabled)
		return 3;
	sim.clears++;
	sim.pending = false;
	sim.fctl = SCSW_FCTL_CLEAR_FUNC;
	sim.actl |= SCSW_ACTL_CLEAR_PEND;
	if (!sim.deaf)
		sim.actl = SCSW_ACTL_CLEAR_PEND;
	step_after(1);
	return 0;
}

int hsch(struct subchannel_id schid)
{
	assert(sim_sch.lock.held);
	if (sim.gone || !sim.enabled)
		return 3;
	if (sim.pending)
		return 1;
	if (sim.fctl & (SCSW_FCTL_HALT_FUNC | SCSW_FCTL_CLEAR_FUNC))
		return 2;
	sim.fctl |= SCSW_FCTL_HALT_FUNC;
	sim.actl |= SCSW_ACTL_HALT_PEND;
	step_after(1);
	return 0;
}

int cio_update_schib(struct subchannel *sch)
{
	struct schib *schib = &sch->schib;

	if (sim.gone)
		return -ENODEV;
	*schib = (struct schib){};
	schib->pmcw.dev = sim.changed ? 0x4321 : 0x1234;
	schib->pmcw.ena = sim.enabled;
	schib->pmcw.qf = sim.qdio;
	schib->pmcw.pam = 0xc0;
	schib->pmcw.lpum = sim.lpum;
	schib->pmcw.intparm = sim.intparm;
	schib->scsw.cmd.fctl = sim.fctl;
	schib->scsw.cmd.actl = sim.actl;
	schib->scsw.cmd.cpa = sim.cpa;
	schib->scsw.cmd.fmt = 1;
	return 0;
}

int cio_enable_subchannel(struct subchannel *sch, u32 intparm)
{
	if (sim.gone)
		return -ENODEV;
	sim.enabled = true;
	sim.intparm = intparm;
	sch->config.intparm = intparm;
	return sim.half_enabled ? -EAGAIN : 0;
}

int cio_disable_subchannel(struct subchannel *sch)
{
	if (sim.gone)
		return -ENODEV;
	/* The instruction takes pending status away */
	if (sim.pending) {
		sim.pending = false;
		if (!(sim.actl & SCSW_ACTL_DEVACT))
			sim.fctl = 0;
	}
	if (sim.fctl || sim.actl || sim.never_disabled)
		return -EBUSY;
	sim.intparm = sch->config.intparm;
	if (sim.refusals) {
		sim.refusals--;
		/* The change that is not taken over is another one */
		if (sim.refusal == -EAGAIN)
			sim.enabled = false;
		return sim.refusal;
	}
	sim.enabled = false;
	return 0;
}

/*
 * As in the kernel: one function a call, HALT first, for as long as retries
 * allow
 */
int cio_cancel_halt_clear(struct subchannel *sch, int *retries)
{
	if (sim.gone)
		return -ENODEV;
	if (!sim.actl)
		return 0;
	if (sim.actl == SCSW_ACTL_START_PEND) {
		/* CANCEL SUBCHANNEL, without an interrupt */
		sim.fctl = 0;
		sim.actl = 0;
		return 0;
	}
	if (!(sim.actl & SCSW_ACTL_CLEAR_PEND) && *retries) {
		--*retries;
		hsch(sch->schid);
		return -EBUSY;
	}
	*retries = 255;
	return csch(sch->schid) ? -ENODEV : -EBUSY;
}

void sim_reset(void)
{
	if (sim.program && sim.program->freed)
		free(sim.program);
	sim = (struct sim){ .delay = 1 };
	sim_sch = (struct subchannel){ .opm = 0x80, .lpm = 0x80 };
	translated = NULL;
	sim_translate_error = 0;
	sim_meanwhile = NULL;
	sim_asleep = NULL;
	sim_outside = NULL;
	sim_irq = NULL;
	sim_revoked = false;
	cio_update_schib(&sim_sch);
}
