// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests vfio_ccw's state machine and I/O on a simulated subchannel. Named tests
 * repeat faults that once occurred. Then random actions of a holder, an
 * administrator and the hardware are compared with a model of what the holder
 * must see.
 */
#include "simulator.h"

#define STOP_MS		2100U	/* the longest time of a stop */
#define ORB_FLAGS	0x10c20000U	/* key 1, format 1, prefetch, IDAWs */

const char *__asan_default_options(void);

/* Memory that broken hardware may still use is never freed, so do not look for leaks */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static struct vfio_ccw vc;
static struct vfio_ccw_user *user;	/* while the device is open */
static bool failed;

void check(bool met, const char *what, int line)
{
	if (met)
		return;
	failed = true;
	printf("# line %d: not so: %s\n", line, what);
}

/*
 * The model of what the holder must see. It learns from the simulated hardware
 * what ends a program, and from the test who issues a CLEAR.
 */
static struct {
	bool active;		/* a program was started, and is not over */
	bool silent;		/* a reset is under way */
	bool users_own;		/* the holder halted or cleared it */
	bool owed;		/* a function has not been reported as ended */
	unsigned int clears;	/* sim.clears at the last start or end */
	unsigned int count;
	struct {
		struct cmd_scsw scsw;
		bool over;
		bool settles;	/* the first to report the owed end */
	} responses[VFIO_CCW_RESPONSES];
} model;

static bool driver_cleared(void)
{
	return !model.users_own && sim.clears != model.clears;
}

/* The status of a start that the driver itself has ended */
static const struct cmd_scsw lost_start = {
	.fctl = SCSW_FCTL_START_FUNC,
	.stctl = SCSW_STCTL_ALERT_STATUS | SCSW_STCTL_PRIM_STATUS |
		 SCSW_STCTL_SEC_STATUS | SCSW_STCTL_STATUS_PEND,
	.cstat = SCHN_STAT_INTF_CTRL_CHK,
};

static struct cmd_scsw expected(const struct irb *irb, bool of_program,
				bool ends)
{
	struct cmd_scsw scsw = irb->scsw.cmd;

	if (of_program && ends && driver_cleared())
		scsw = lost_start;
	else if (of_program)
		scsw.cpa += GUEST_PROGRAM - HOST_PROGRAM;
	else
		scsw.cpa = 0;
	if (of_program) {
		/* The bits that repeat the ORB show the guest's ORB */
		scsw.key = ORB_FLAGS >> 28;
		scsw.fmt = 1;
		scsw.pfch = 1;
	}
	return scsw;
}

static bool is_worth_less(bool settles, bool over, unsigned int than)
{
	if (model.responses[than].settles)
		return !settles;
	return model.responses[than].over && !over;
}

/*
 * If all places are taken, the holder loses the newest attention. If there is
 * none, it loses the newest end of a device; then the newest end that it waits
 * for.
 */
static void expect_response(const struct irb *irb, bool of_program, bool ends)
{
	bool settles = ends && model.owed;
	unsigned int i, lost = 0;

	if (model.count == VFIO_CCW_RESPONSES) {
		for (i = 1; i < model.count; i++)
			if (!is_worth_less(model.responses[lost].settles,
					   model.responses[lost].over, i))
				lost = i;
		if (is_worth_less(settles, ends, lost))
			return;
		model.count--;
		memmove(&model.responses[lost], &model.responses[lost + 1],
			sizeof(model.responses[0]) * (model.count - lost));
	}
	model.responses[model.count].scsw = expected(irb, of_program, ends);
	model.responses[model.count].over = ends;
	model.responses[model.count++].settles = settles;
}

void test_interrupt(const struct irb *irb, bool ends)
{
	unsigned int signals = vc.triggers[VFIO_CCW_IO_IRQ_INDEX].signals;
	bool of_program = model.active;

	if (vc.state == VFIO_CCW_STANDBY || vc.state == VFIO_CCW_NOT_OPER) {
		vfio_ccw_interrupt(&vc, irb);
		CHECK(vc.triggers[VFIO_CCW_IO_IRQ_INDEX].signals == signals);
		return;
	}
	if (!model.silent)
		expect_response(irb, of_program, ends);
	if (ends) {
		model.active = false;
		model.users_own = false;
		model.clears = sim.clears;
		model.owed &= model.silent;
	}
	vfio_ccw_interrupt(&vc, irb);
	CHECK((vc.triggers[VFIO_CCW_IO_IRQ_INDEX].signals != signals) == !model.silent);
}

void test_signal(const struct mdev_trigger *trigger)
{
	if (trigger != &vc.triggers[VFIO_CCW_IO_IRQ_INDEX])
		return;
	if (model.silent) {
		CHECK(model.owed);
		model.owed = false;
		model.responses[0].scsw = lost_start;
		model.responses[0].over = true;
		model.responses[0].settles = true;
		model.count = 1;
	}
	/* A signal means that there is a response */
	CHECK(model.count);
}

/* Actions of a holder */

static bool enter(void)
{
	struct vfio_ccw_user *locked;

	if (!user)
		return false;
	locked = vfio_ccw_user_lock(&vc);
	if (IS_ERR(locked))
		return false;
	CHECK(locked == user);
	return true;
}

static int start(void)
{
	u32 orb[] = { 0x11111111, htobe32(ORB_FLAGS), htobe32(GUEST_PROGRAM) };
	struct cmd_scsw scsw = { .fctl = SCSW_FCTL_START_FUNC };
	/* The device may be revoked during the start */
	struct vfio_ccw_user *own = user;
	bool active = model.active;
	int ret;

	if (!enter())
		return -ENODEV;
	memset(&own->region, 0, sizeof(own->region));
	memcpy(own->region.orb_area, orb, sizeof(orb));
	memcpy(own->region.scsw_area, &scsw, sizeof(scsw));
	ret = vfio_ccw_start(&vc, own);
	vfio_ccw_user_unlock(own);
	if (ret)
		return ret;
	CHECK(!active);
	model.active = true;
	model.users_own = false;
	model.owed = true;
	model.clears = sim.clears;
	return 0;
}

static int async(u32 command)
{
	int ret;

	if (!enter())
		return -ENODEV;
	ret = vfio_ccw_async(&vc, command);
	vfio_ccw_user_unlock(user);
	if (!ret && model.active)
		model.users_own = true;
	if (!ret)
		model.owed = true;
	return ret;
}

/* Shows a response and takes it. Returns whether there was one */
static bool fetch(void)
{
	struct cmd_scsw scsw;
	struct irb irb;
	int count;

	if (!enter())
		return false;
	count = vfio_ccw_show_response(&vc, user);
	CHECK(count == (int)model.count);
	if (count <= 0) {
		vfio_ccw_user_unlock(user);
		return false;
	}
	memcpy(&irb, user->region.irb_area, sizeof(irb));
	scsw = irb.scsw.cmd;
	CHECK(!memcmp(&scsw, &model.responses[0].scsw, sizeof(scsw)));
	/* No address of the host is shown */
	CHECK(!irb.esw.esw0.faddr[0] && !irb.esw.esw0.erw.fsavf);
	CHECK(!irb.esw.esw0.saddr ||
	      irb.esw.esw0.saddr - GUEST_PROGRAM <= PROGRAM_CCWS * 8);

	memmove(&model.responses[0], &model.responses[1],
		sizeof(model.responses) - sizeof(model.responses[0]));
	model.count--;
	vfio_ccw_take_response(&vc);
	vfio_ccw_user_unlock(user);
	return true;
}

static void forget(void)
{
	model.active = false;
	model.count = 0;
}

/* Checks that a call takes no longer than the hardware has to answer */
#define IN_TIME(call) do {						\
	unsigned long began = jiffies;					\
									\
	call;								\
	CHECK(jiffies - began <= STOP_MS);				\
} while (0)

static int reset(void)
{
	unsigned int signals = vc.triggers[VFIO_CCW_IO_IRQ_INDEX].signals;
	unsigned int i;
	bool owed;
	int ret;

	if (!enter())
		return -ENODEV;
	for (i = 0; i < model.count; i++)
		model.owed |= model.responses[i].settles;
	owed = model.owed;
	model.silent = true;
	model.count = 0;
	IN_TIME(ret = vfio_ccw_reset(&vc, user));
	model.silent = false;
	model.active = false;
	CHECK(vc.triggers[VFIO_CCW_IO_IRQ_INDEX].signals - signals ==
	      (!ret && owed));
	vfio_ccw_user_unlock(user);
	/* Whatever the result, no program runs, unless the device is given up */
	CHECK(!sim.runs || user->broken || sim.gone);
	return ret;
}

static int open_device(void)
{
	int ret;

	forget();
	model.owed = false;
	model.clears = sim.clears;
	ret = vfio_ccw_open(&vc);
	if (!ret)
		user = vc.user;
	return ret;
}

static void close_device(void)
{
	if (!user)
		return;
	user = NULL;
	IN_TIME(vfio_ccw_close(&vc));
	CHECK(!sim.runs || vc.state == VFIO_CCW_NOT_OPER);
	forget();
}

static void revoke(void)
{
	if (!user)
		return;
	user = NULL;
	IN_TIME(vfio_ccw_revoke(&vc));
	CHECK(!vc.user);
	forget();
}

static void unmap(u64 iova)
{
	IN_TIME(vfio_ccw_dma_unmap(&vc, iova, 4096));
}

static void vary_off(void)
{
	spin_lock_irq(&sim_sch.lock);
	vfio_ccw_terminate(&vc);
	spin_unlock_irq(&sim_sch.lock);
}

static void pull(void)
{
	sim.gone = true;
	/* The program is gone with the hardware */
	sim.runs = false;
	sim.pending = false;
	spin_lock_irq(&sim_sch.lock);
	vfio_ccw_gone(&vc);
	spin_unlock_irq(&sim_sch.lock);
}

/* Another device has the number, and the channel still executes the program */
static void change(void)
{
	if (sim.gone)
		return;
	sim.changed = true;
	spin_lock_irq(&sim_sch.lock);
	vfio_ccw_gone(&vc);
	spin_unlock_irq(&sim_sch.lock);
}

static void set_up(void)
{
	sim_reset();
	memset(&model, 0, sizeof(model));
	user = NULL;
	vc = (struct vfio_ccw){
		.sch = &sim_sch, .mdev = &sim_mdev, .devno = 0x1234,
		.state = VFIO_CCW_STANDBY,
	};
}

static void begin(enum sim_ending ending)
{
	set_up();
	CHECK(!open_device());
	sim.ending = ending;
}

/* Named tests */

static void program_ends_and_is_told(void)
{
	enum sim_ending ending;

	for (ending = SIM_AT_ONCE; ending < SIM_NEVER; ending++) {
		begin(ending);
		CHECK(!start());
		/* The guest's key is passed on, and the translator's flags */
		CHECK((sim.orb_flags & ~CCW_ORB_LPM) ==
		      (ORB_FLAGS | CCW_ORB_FMT1 | CCW_ORB_IDA64));
		CHECK(start() == -EBUSY);
		time_passes(20);
		CHECK(!model.active);
		CHECK(fetch());
		while (fetch())
			;
		CHECK(!start());
		close_device();
		CHECK(!sim.enabled);
	}
}

static void device_end_does_not_hold_up_the_next_start(void)
{
	begin(SIM_DEVICE_LATER);
	sim.delay = 3;
	CHECK(!start());
	while (!model.count)
		time_passes(1);
	CHECK(sim.actl & SCSW_ACTL_DEVACT);
	CHECK(!start());
	time_passes(50);
	CHECK(!model.active);
	close_device();
}

static void intermediate_status_ends_nothing(void)
{
	begin(SIM_INTERMEDIATE);
	sim.delay = 5;
	CHECK(!start());
	while (!model.count)
		time_passes(1);
	CHECK(sim.runs);
	CHECK(fetch());
	CHECK(start() == -EBUSY);
	time_passes(50);
	CHECK(fetch());
	close_device();
}

static void halt_that_leaves_the_device_active(void)
{
	begin(SIM_NEVER);
	sim.halt_leaves_active = true;
	CHECK(!start());
	time_passes(10);
	CHECK(!reset());
	CHECK(vc.state == VFIO_CCW_IDLE);
	CHECK(sim.enabled);
	sim.ending = SIM_AT_ONCE;
	CHECK(!start());
	time_passes(10);
	CHECK(fetch());
	close_device();
	CHECK(!open_device());
	close_device();
}

static void intermediate_status_ends_no_halt(void)
{
	begin(SIM_NEVER);
	sim.halt_is_slow = true;
	CHECK(!start());
	time_passes(10);
	CHECK(!async(VFIO_CCW_ASYNC_CMD_HSCH));
	while (!model.count)
		time_passes(1);
	CHECK(sim.runs);
	/* The program's pages stay pinned */
	CHECK(fetch());
	CHECK(start() == -EBUSY);
	time_passes(10);
	CHECK(!sim.runs);
	CHECK(fetch());
	CHECK(!start());
	close_device();
}

static void halt_that_does_nothing_is_followed_by_a_clear(void)
{
	begin(SIM_NEVER);
	sim.deaf_to_halt = true;
	CHECK(!start());
	time_passes(10);
	CHECK(!reset());
	sim.ending = SIM_AT_ONCE;
	CHECK(!start());
	time_passes(10);
	CHECK(fetch());
	close_device();
}

static void hardware_that_does_not_even_clear(void)
{
	begin(SIM_NEVER);
	CHECK(!start());
	time_passes(10);
	sim.deaf = true;
	unmap(GUEST_PAGE);
	CHECK(user->broken);
	/* The device is broken for good: the memory that it may still use is not freed */
	CHECK(start() == -ENODEV);
	close_device();
	CHECK(open_device() == -ENODEV);
	time_passes(10);
	/* The driver tries once more when it releases the subchannel */
	sim.deaf = false;
	sim.actl = 0;
	sim.fctl = 0;
	sim.runs = false;
	vfio_ccw_retire(&vc);
	CHECK(!sim.enabled);
}

/* EAGAIN: the hardware has not taken over the change of the subchannel */
static void subchannel_that_is_disabled_late_is_not_given_up(void)
{
	static const int refusals[] = { -EBUSY, -EAGAIN, -EIO };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refusals); i++) {
		begin(SIM_AT_ONCE);
		sim.refusal = refusals[i];
		sim.refusals = 10;
		CHECK(!reset());
		CHECK(!start());
		time_passes(10);
		CHECK(fetch());
		close_device();
		CHECK(!sim.enabled);
	}
}

static void program_that_ends_late_leaves_time_to_disable(void)
{
	begin(SIM_NEVER);
	CHECK(!start());
	time_passes(10);
	sim.deaf = true;
	/* Shortly before the driver would give up */
	sim.hears_at = jiffies + 1740;
	sim.refusal = -EBUSY;
	sim.refusals = 10;
	close_device();
	CHECK(vc.state == VFIO_CCW_STANDBY);
	CHECK(!sim.enabled);
}

static void deaf_hardware_found_by_a_reset(void)
{
	begin(SIM_NEVER);
	CHECK(!start());
	time_passes(10);
	sim.deaf = true;
	CHECK(reset() < 0);
	close_device();
	time_passes(10);
}

/* A reset reports once, and only if there is an end to report */
static void what_a_reset_stops_is_told(void)
{
	begin(SIM_NEVER);
	CHECK(!start());
	time_passes(10);
	CHECK(!reset());
	CHECK(fetch());
	CHECK(!reset());
	CHECK(!fetch());

	CHECK(!async(VFIO_CCW_ASYNC_CMD_CSCH));
	CHECK(!reset());
	CHECK(fetch());

	/* The program ends by itself. The holder has not fetched the response, then has */
	sim.ending = SIM_AT_ONCE;
	CHECK(!start());
	time_passes(20);
	CHECK(!reset());
	CHECK(fetch());
	CHECK(!start());
	time_passes(20);
	CHECK(fetch());
	CHECK(!reset());
	CHECK(!fetch());

	/* The program has ended with channel end; device end comes later */
	sim.ending = SIM_DEVICE_LATER;
	CHECK(!start());
	while (!model.count)
		time_passes(1);
	CHECK(fetch());
	time_passes(50);
	CHECK(model.count);
	CHECK(!reset());
	CHECK(!fetch());
	close_device();
}

static void responses_wait_and_ends_stay(void)
{
	unsigned int i, ends = 0;

	begin(SIM_AT_ONCE);
	for (i = 0; i < VFIO_CCW_RESPONSES - 1; i++) {
		sim_attention();
		time_passes(2);
	}
	CHECK(!start());
	time_passes(10);
	CHECK(model.count == VFIO_CCW_RESPONSES);
	/* All places are taken: an attention gives way, and never the end */
	sim_attention();
	time_passes(2);
	while (model.count) {
		ends += model.responses[0].settles;
		CHECK(fetch());
	}
	CHECK(ends == 1);
	close_device();
}

static void response_stays_until_it_is_taken(void)
{
	struct ccw_io_region first;

	begin(SIM_AT_ONCE);
	CHECK(!start());
	time_passes(10);
	CHECK(enter());
	CHECK(vfio_ccw_show_response(&vc, user) == 1);
	first = user->region;
	CHECK(vfio_ccw_show_response(&vc, user) == 1);
	CHECK(!memcmp(&first, &user->region, sizeof(first)));
	vfio_ccw_user_unlock(user);
	CHECK(fetch());
	CHECK(!fetch());
	close_device();
}

/* While the holder reads it, an end comes, and all other places are taken by ends */
static void response_that_gives_way_while_it_is_read_is_not_taken(void)
{
	unsigned int i;

	begin(SIM_AT_ONCE);
	sim_attention();
	time_passes(2);
	for (i = 1; i < VFIO_CCW_RESPONSES; i++) {
		CHECK(!start());
		time_passes(10);
	}
	CHECK(!start());
	CHECK(enter());
	CHECK(vfio_ccw_show_response(&vc, user) == VFIO_CCW_RESPONSES);
	time_passes(10);
	vfio_ccw_take_response(&vc);
	vfio_ccw_user_unlock(user);
	for (i = 0; i < VFIO_CCW_RESPONSES; i++)
		CHECK(fetch());
	CHECK(!fetch());
	close_device();
}

static void subchannel_that_is_not_wholly_enabled_is_disabled(void)
{
	set_up();
	sim.half_enabled = true;
	CHECK(open_device() == -EAGAIN);
	CHECK(!sim.enabled);

	begin(SIM_NEVER);
	CHECK(!start());
	time_passes(10);
	sim.half_enabled = true;
	CHECK(reset() == -EAGAIN);
	CHECK(!sim.enabled);
	CHECK(start() == -ENODEV);
	sim.half_enabled = false;
	CHECK(!reset());
	CHECK(fetch());
	CHECK(!start());
	close_device();
}

static void schib_shows_nothing_of_the_host(void)
{
	struct ccw_schib_region region;
	struct schib schib;

	begin(SIM_NEVER);
	CHECK(!start());
	time_passes(10);
	CHECK(enter());
	CHECK(!vfio_ccw_read_schib(&vc, user, &region));
	vfio_ccw_user_unlock(user);
	memcpy(&schib, region.schib_area, sizeof(schib));
	CHECK(!schib.pmcw.intparm);
	CHECK(schib.scsw.cmd.cpa == GUEST_PROGRAM);
	CHECK(schib.scsw.cmd.key == ORB_FLAGS >> 28);
	close_device();
}

static void what_the_driver_clears_ends_as_a_start(void)
{
	begin(SIM_NEVER);
	CHECK(!start());
	time_passes(10);
	vary_off();
	time_passes(10);
	CHECK(model.responses[0].scsw.cstat == SCHN_STAT_INTF_CTRL_CHK);
	CHECK(fetch());

	CHECK(!start());
	time_passes(10);
	unmap(GUEST_PAGE);
	CHECK(model.count == 1);
	CHECK(model.responses[0].scsw.cstat == SCHN_STAT_INTF_CTRL_CHK);
	CHECK(fetch());

	/* A program that the holder clears ends as a clear */
	CHECK(!start());
	time_passes(10);
	CHECK(!async(VFIO_CCW_ASYNC_CMD_CSCH));
	time_passes(10);
	CHECK(model.responses[0].scsw.fctl == SCSW_FCTL_CLEAR_FUNC);
	CHECK(fetch());
	close_device();
}

static void device_that_changes_is_not_the_users(void)
{
	begin(SIM_AT_ONCE);
	close_device();
	sim.changed = true;
	CHECK(open_device() == -ENODEV);
	CHECK(!sim.enabled);

	begin(SIM_AT_ONCE);
	sim.changed = true;
	CHECK(reset() == -ENODEV);
	CHECK(start() == -ENODEV);
	close_device();

	/* A QDIO device would take the guest's addresses for the host's */
	begin(SIM_AT_ONCE);
	close_device();
	sim.qdio = true;
	CHECK(open_device() == -ENODEV);
	CHECK(!sim.enabled);
}

static void machine_that_goes_down_starts_nothing(void)
{
	begin(SIM_NEVER);
	CHECK(!start());
	time_passes(10);
	IN_TIME(vfio_ccw_shutdown(&vc));
	CHECK(!sim.runs && !sim.enabled);
	CHECK(start() == -ENODEV);
	CHECK(reset() == -ENODEV);
	close_device();
}

/* A shutdown takes a second at most, whatever the hardware does */
static void machine_goes_down_in_a_second(void)
{
	unsigned long began;

	begin(SIM_NEVER);
	CHECK(!start());
	time_passes(10);
	sim.deaf = true;
	began = jiffies;
	vfio_ccw_shutdown(&vc);
	CHECK(jiffies - began <= 1100);
	close_device();
}

static void what_is_not_pending_says_nothing(void)
{
	struct irb irb = { .scsw.cmd.fctl = SCSW_FCTL_START_FUNC };

	begin(SIM_NEVER);
	CHECK(!start());
	time_passes(10);
	spin_lock_irq(&sim_sch.lock);
	vfio_ccw_interrupt(&vc, &irb);
	spin_unlock_irq(&sim_sch.lock);
	CHECK(vc.state == VFIO_CCW_PENDING);
	CHECK(!fetch());
	close_device();
}

static void start_is_refused(void)
{
	CHECK(start() == -ENODEV);
}

static void nothing_starts_while_the_machine_goes_down(void)
{
	begin(SIM_AT_ONCE);
	/* Disabling it takes a while, so that the start comes meanwhile */
	sim.never_disabled = true;
	sim_asleep = start_is_refused;
	vfio_ccw_shutdown(&vc);
	CHECK(!sim_asleep);
	close_device();
}

static void condition_codes_have_their_errors(void)
{
	static const struct {
		int cc;
		int err;
	} starts[] = {
		{ 1, -EBUSY }, { 2, -EBUSY }, { 3, -ENODEV },
		{ -EIO, -EOPNOTSUPP },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		begin(SIM_AT_ONCE);
		sim.start_cc = starts[i].cc;
		CHECK(start() == starts[i].err);
		CHECK(vc.state == VFIO_CCW_IDLE);
		/* No page stays pinned */
		CHECK(!ccw_cp_uses(user->cp, 0, U64_MAX));
		CHECK(!start());
		close_device();
	}
}

static void unmap_meanwhile(void)
{
	vfio_ccw_dma_unmap(&vc, GUEST_PAGE, 4096);
}

static void unmap_other_meanwhile(void)
{
	vfio_ccw_dma_unmap(&vc, GUEST_PAGE + 4096, 4096);
}

static void revoke_meanwhile(void)
{
	sim_revoked = true;
	revoke();
}

static void close_gate(void)
{
	sim_revoked = true;
}

static void memory_that_goes_away_meanwhile_is_tried_again(void)
{
	begin(SIM_AT_ONCE);
	sim_meanwhile = unmap_meanwhile;
	CHECK(start() == -EAGAIN);
	CHECK(!ccw_cp_uses(user->cp, 0, U64_MAX));
	sim_meanwhile = unmap_other_meanwhile;
	CHECK(!start());
	time_passes(10);
	CHECK(fetch());
	close_device();
}

static void subchannel_that_goes_meanwhile_starts_nothing(void)
{
	begin(SIM_AT_ONCE);
	sim_meanwhile = pull;
	CHECK(start() == -ENODEV);
	close_device();
}

/*
 * A revocation waits for calls inside the gate. A thread outside of the gate
 * comes back too late and drops its reference. Then a call inside the gate
 * takes io_lock. The late thread must have dropped only its own reference.
 */
static void late_thread_gives_back_its_own_reference_only(void)
{
	struct vfio_ccw_user *own;

	begin(SIM_AT_ONCE);
	own = user;
	sim_meanwhile = close_gate;
	CHECK(start() == -ENODEV);
	CHECK(own->refs.refs == 1);
	CHECK(enter());
	vfio_ccw_user_unlock(own);
	CHECK(vc.user == own && own->refs.refs == 1);
	unmap_meanwhile();
	CHECK(own->refs.refs == 1);
	revoke();
}

/* The table of states, compared with a second description */

static bool is_error(enum vfio_ccw_state state, enum vfio_ccw_event event)
{
	switch (event) {
	case VFIO_CCW_CLOSE:
	case VFIO_CCW_LOST:
	case VFIO_CCW_GONE:
		return false;
	case VFIO_CCW_OPEN:
		return state != VFIO_CCW_STANDBY;
	case VFIO_CCW_START:
	case VFIO_CCW_STARTED:
		return state != VFIO_CCW_IDLE;
	case VFIO_CCW_ASYNC:
		return state != VFIO_CCW_IDLE && state != VFIO_CCW_PENDING;
	default:
		return state == VFIO_CCW_STANDBY || state == VFIO_CCW_NOT_OPER;
	}
}

static enum vfio_ccw_state next_state(enum vfio_ccw_state state,
				      enum vfio_ccw_event event)
{
	if (event == VFIO_CCW_GONE || state == VFIO_CCW_NOT_OPER)
		return VFIO_CCW_NOT_OPER;
	/* Only the end of its program is awaited */
	if (state == VFIO_CCW_CLEARING)
		return event == VFIO_CCW_ENDED || event == VFIO_CCW_CLOSE ?
		       VFIO_CCW_NOT_OPER : state;
	if (event == VFIO_CCW_LOST)
		return state == VFIO_CCW_PENDING ? VFIO_CCW_CLEARING :
						   VFIO_CCW_NOT_OPER;
	if (event == VFIO_CCW_CLOSE)
		return VFIO_CCW_STANDBY;
	if (is_error(state, event))
		return state;
	switch (event) {
	case VFIO_CCW_OPEN:
		return VFIO_CCW_IDLE;
	case VFIO_CCW_STARTED:
		return VFIO_CCW_PENDING;
	case VFIO_CCW_ENDED:
		return state == VFIO_CCW_PENDING ? VFIO_CCW_IDLE : state;
	default:
		return state;
	}
}

static void each_cell_is_as_the_rules_have_it(void)
{
	enum vfio_ccw_state state;
	enum vfio_ccw_event event;

	set_up();
	spin_lock_irq(&sim_sch.lock);
	for (state = 0; state < VFIO_CCW_NR_STATES; state++) {
		for (event = 0; event < VFIO_CCW_NR_EVENTS; event++) {
			vc.state = state;
			CHECK(!!vfio_ccw_fsm(&vc, event) ==
			      is_error(state, event));
			CHECK(vc.state == next_state(state, event));
		}
	}
	spin_unlock_irq(&sim_sch.lock);
}

static void reports_wait_and_the_last_one_tells_of_more(void)
{
	struct chp_id chpid = { .id = 7 };
	struct crw crw;
	unsigned int i;
	u32 word;

	begin(SIM_AT_ONCE);
	for (i = 0; i < VFIO_CCW_CRWS + 3; i++)
		vfio_ccw_crw_add(&vc, CRW_ERC_PERRN, chpid);
	CHECK(vc.triggers[VFIO_CCW_CRW_IRQ_INDEX].signals == i);
	for (i = 0; i < VFIO_CCW_CRWS; i++) {
		word = vfio_ccw_crw_show(&vc);
		memcpy(&crw, &word, sizeof(crw));
		CHECK(crw.rsc == CRW_RSC_CPATH && crw.rsid == 7);
		CHECK(crw.oflw == (i == VFIO_CCW_CRWS - 1));
		vfio_ccw_crw_take(&vc);
	}
	CHECK(!vfio_ccw_crw_show(&vc));
	close_device();
}

/* Random actions */

static u32 seed;

static u32 any(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void random_meanwhile(void)
{
	switch (any(6)) {
	case 0:
		unmap_meanwhile();
		break;
	case 1:
		unmap_other_meanwhile();
		break;
	case 2:
		vary_off();
		break;
	case 3:
		sim_attention();
		time_passes(any(5));
		break;
	case 4:
		if (!any(20))
			revoke_meanwhile();
		break;
	case 5:
		if (!any(50))
			pull();
		break;
	}
}

static void one_step(void)
{
	int err;

	switch (any(16)) {
	case 0:
	case 1:
	case 2:
		sim.ending = any(SIM_NR_ENDINGS);
		sim.delay = any(4);
		sim.start_cc = any(12) ? 0 : any(5);
		if (sim.start_cc == 4)
			sim.start_cc = -EIO;
		sim.halt_leaves_active = !any(3);
		sim.deaf_to_halt = !any(10);
		sim.halt_is_slow = !any(5);
		sim_translate_error = any(10) ? 0 : -EINVAL;
		sim_meanwhile = any(3) ? NULL : random_meanwhile;
		start();
		sim_meanwhile = NULL;
		break;
	case 3:
		async(VFIO_CCW_ASYNC_CMD_HSCH);
		break;
	case 4:
		async(VFIO_CCW_ASYNC_CMD_CSCH);
		break;
	case 5:
	case 6:
	case 7:
		fetch();
		break;
	case 8:
		reset();
		break;
	case 9:
		unmap(any(2) ? GUEST_PAGE : GUEST_PAGE + 4096);
		break;
	case 10:
		vary_off();
		break;
	case 11:
		sim_attention();
		break;
	case 12:
		if (any(4))
			break;
		if (user) {
			close_device();
			break;
		}
		err = open_device();
		CHECK(!err || vc.state == VFIO_CCW_NOT_OPER || sim.gone);
		break;
	case 13:
		if (!any(200))
			sim.deaf = true;
		if (!any(200))
			pull();
		if (!any(100))
			change();
		break;
	default:
		time_passes(any(8));
	}
}

static void whatever_happens_the_user_sees_what_is_right(void)
{
	unsigned int round, i;

	for (round = 0; round < 20000 && !failed; round++) {
		seed = round;
		begin(SIM_AT_ONCE);
		for (i = 0; i < 300 && !failed && !sim_revoked; i++)
			one_step();
		/* The end of a program is reported if nothing prevents the program from ending */
		if (user && model.active && sim.ending != SIM_NEVER &&
		    !sim.gone && !sim.deaf && !sim.deaf_to_halt) {
			time_passes(100);
			CHECK(!model.active);
		}
		while (user && fetch() && !failed)
			;
		close_device();
		CHECK(sim.gone || sim.deaf || sim_revoked || !sim.enabled);
		if (failed)
			printf("# in round %u, step %u\n", round, i);
	}
}

/* Interrupts that come twice or never. Nothing hangs, no freed memory is used */
static void interrupts_that_are_lost_or_come_again_do_no_harm(void)
{
	unsigned int i;

	begin(SIM_AT_ONCE);
	CHECK(!start());
	sim.silent = true;
	time_passes(20);
	CHECK(start() == -EBUSY);
	sim.silent = false;
	CHECK(!reset());
	CHECK(!start());
	time_passes(20);
	CHECK(fetch());

	sim.twice = true;
	for (i = 0; i < 20; i++) {
		CHECK(!start());
		time_passes(20);
		while (fetch())
			;
	}
	close_device();
}

static const struct test tests[] = {
	TEST(each_cell_is_as_the_rules_have_it),
	TEST(program_ends_and_is_told),
	TEST(device_end_does_not_hold_up_the_next_start),
	TEST(intermediate_status_ends_nothing),
	TEST(halt_that_leaves_the_device_active),
	TEST(intermediate_status_ends_no_halt),
	TEST(halt_that_does_nothing_is_followed_by_a_clear),
	TEST(hardware_that_does_not_even_clear),
	TEST(subchannel_that_is_disabled_late_is_not_given_up),
	TEST(program_that_ends_late_leaves_time_to_disable),
	TEST(deaf_hardware_found_by_a_reset),
	TEST(what_a_reset_stops_is_told),
	TEST(responses_wait_and_ends_stay),
	TEST(response_stays_until_it_is_taken),
	TEST(response_that_gives_way_while_it_is_read_is_not_taken),
	TEST(subchannel_that_is_not_wholly_enabled_is_disabled),
	TEST(schib_shows_nothing_of_the_host),
	TEST(what_the_driver_clears_ends_as_a_start),
	TEST(device_that_changes_is_not_the_users),
	TEST(machine_that_goes_down_starts_nothing),
	TEST(machine_goes_down_in_a_second),
	TEST(what_is_not_pending_says_nothing),
	TEST(nothing_starts_while_the_machine_goes_down),
	TEST(condition_codes_have_their_errors),
	TEST(memory_that_goes_away_meanwhile_is_tried_again),
	TEST(subchannel_that_goes_meanwhile_starts_nothing),
	TEST(late_thread_gives_back_its_own_reference_only),
	TEST(reports_wait_and_the_last_one_tells_of_more),
	TEST(interrupts_that_are_lost_or_come_again_do_no_harm),
	TEST(whatever_happens_the_user_sees_what_is_right),
};

static bool run(const struct test *test, unsigned int number)
{
	failed = false;
	test->run();
	printf("%sok %u %s\n", failed ? "not " : "", number, test->name);
	return !failed;
}

int main(void)
{
	unsigned int i, nr = ARRAY_SIZE(tests);
	bool passed = true;

	while (driver_tests[nr - ARRAY_SIZE(tests)].name)
		nr++;
	setbuf(stdout, NULL);
	printf("TAP version 13\n1..%u\n", nr);
	for (i = 0; i < nr; i++)
		passed &= run(i < ARRAY_SIZE(tests) ? &tests[i] :
			      &driver_tests[i - ARRAY_SIZE(tests)], i + 1);
	return !passed;
}
