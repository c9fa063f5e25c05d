// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests vfio_ccw's side of the channel subsystem: probe and remove, and the
 * events of the subchannel, of its paths and of the machine. The test takes the
 * places of the channel subsystem and of mdev.
 */
#include "simulator.h"

unsigned int irq_stats[NR_IRQ_STATS], unaccounted;
struct irb cio_irb;
const struct mdev_parent_ops vfio_ccw_mdev_ops;

static struct css_driver *driver;
static struct vfio_ccw *vc;

/* The channel subsystem */

static enum sch_todo todo;
static unsigned int reprobes;

static void remove_driver(void);

int css_driver_register(struct css_driver *registered)
{
	driver = registered;
	return 0;
}

/* How many holders mdev_unregister_begin() has asked */
static unsigned int asked;

void css_driver_unregister(struct css_driver *registered)
{
	CHECK(registered == driver && asked);
	remove_driver();
	driver = NULL;
}

void css_sched_sch_todo(struct subchannel *sch, enum sch_todo wanted)
{
	CHECK(sch->lock.held);
	todo = wanted;
}

void css_schedule_reprobe(void)
{
	reprobes++;
}

u8 chp_get_sch_opm(struct subchannel *sch)
{
	/* An event after this waits for the lock, and finds the driver data */
	CHECK(sch->lock.held && dev_get_drvdata(&sch->dev));
	return 0xc0;
}

/* The path's number is its mask */
int chp_ssd_get_mask(struct chsc_ssd_info *ssd, struct chp_link *link)
{
	return link->chpid.id;
}

static void take_interrupt(const struct irb *irb)
{
	cio_irb = *irb;
	driver->irq(&sim_sch);
}

/* The work of the channel subsystem that css_sched_sch_todo() asked for */
static void unregister_subchannel(void)
{
	CHECK(todo == SCH_TODO_UNREG);
	driver->remove(&sim_sch);
	sim_sch.dev.registered = false;
}

/* The same, but only when the driver has asked for it */
static void unregister_after_all_else(void)
{
	if (todo == SCH_TODO_UNREG)
		unregister_subchannel();
	else
		sim_asleep = unregister_after_all_else;
}

static int event(void)
{
	return driver->sch_event(&sim_sch, 1);
}

static void path_event(u8 path, int what)
{
	struct chp_link link = { .chpid = { .id = path } };

	spin_lock_irq(&sim_sch.lock);
	CHECK(!driver->chp_event(&sim_sch, &link, what));
	spin_unlock_irq(&sim_sch.lock);
}

/* mdev */

static bool is_parent, parent_is_gone;
/* Called while a probe registers the parent, or a removal waits for the holder */
static void (*mdev_meanwhile)(void);

static void call_meanwhile(void)
{
	void (*meanwhile)(void) = mdev_meanwhile;

	mdev_meanwhile = NULL;
	if (meanwhile)
		meanwhile();
}

int mdev_register_device(struct device *dev, const struct mdev_parent_ops *ops)
{
	is_parent = true;
	call_meanwhile();
	return 0;
}

void mdev_unregister_device(struct device *dev)
{
	CHECK(is_parent);
	call_meanwhile();
	if (vc->user)
		vfio_ccw_revoke(vc);
	is_parent = false;
}

void mdev_unregister_begin(struct device *dev)
{
	asked++;
}

void mdev_parent_gone(struct device *dev)
{
	parent_is_gone = true;
}

/* What a holder and an administrator do */

static void set_up(void)
{
	int err = 0;

	sim_reset();
	sim_irq = take_interrupt;
	sim_sch.dev.registered = true;
	todo = SCH_TODO_NOTHING;
	reprobes = 0;
	mdev_meanwhile = NULL;
	parent_is_gone = false;
	asked = 0;
	if (!driver)
		driver_init(&err);
	CHECK(!err);
}

static void probe(void)
{
	CHECK(!driver->probe(&sim_sch));
	vc = dev_get_drvdata(&sim_sch.dev);
	vc->mdev = &sim_mdev;
}

static void begin(void)
{
	set_up();
	probe();
}

static int start(u8 paths)
{
	u32 flags = CCW_ORB_PREFETCH | CCW_ORB_FMT1 | paths << 8;
	u32 orb[] = { 0, htobe32(flags), htobe32(GUEST_PROGRAM) };
	struct cmd_scsw scsw = { .fctl = SCSW_FCTL_START_FUNC };
	struct vfio_ccw_user *user = vfio_ccw_user_lock(vc);
	int ret;

	memcpy(user->region.orb_area, orb, sizeof(orb));
	memcpy(user->region.scsw_area, &scsw, sizeof(scsw));
	ret = vfio_ccw_start(vc, user);
	vfio_ccw_user_unlock(user);
	return ret;
}

static u8 paths_of_start(void)
{
	return sim.orb_flags >> 8;
}

static bool fetch(struct irb *irb)
{
	struct vfio_ccw_user *user = vfio_ccw_user_lock(vc);
	int count = vfio_ccw_show_response(vc, user);

	memcpy(irb, user->region.irb_area, sizeof(*irb));
	if (count > 0)
		vfio_ccw_take_response(vc);
	vfio_ccw_user_unlock(user);
	return count > 0;
}

static void begin_program(void)
{
	begin();
	CHECK(!vfio_ccw_open(vc));
	sim.ending = SIM_NEVER;
	CHECK(!start(0));
	time_passes(10);
	CHECK(sim.runs);
}

static void remove_driver(void)
{
	driver->remove(&sim_sch);
	CHECK(!is_parent);
	CHECK(!dev_get_drvdata(&sim_sch.dev));
}

/* The tests */

/* cio's purge takes the driver data of any driver for its own type */
static void cio_finds_a_device_that_is_online(void)
{
	const struct io_subchannel_private *cio;

	begin();
	cio = dev_get_drvdata(&sim_sch.dev);
	CHECK(cio->cdev && cio->cdev->online);
	remove_driver();
}

static void probe_forgets_who_had_it_before(void)
{
	set_up();
	sim_sch.config.mme = 2;
	sim_sch.config.mbi = 77;
	sim_sch.opm = 0;
	probe();
	CHECK(sim_sch.config.csense);
	CHECK(!sim_sch.config.mme && !sim_sch.config.mbi);
	CHECK(sim_sch.opm == 0xc0 && sim_sch.lpm == 0xc0);
	remove_driver();
	CHECK(todo == SCH_TODO_NOTHING);
}

static void qdio_is_refused(void)
{
	set_up();
	sim.qdio = true;
	cio_update_schib(&sim_sch);
	CHECK(driver->probe(&sim_sch) == -ENODEV);
	CHECK(!dev_get_drvdata(&sim_sch.dev) && !is_parent);
}

/* A subchannel that was given up can be bound again, if it answers */
static void what_was_given_up_is_not_taken_for_pulled(void)
{
	begin_program();
	sim.deaf = true;
	vfio_ccw_close(vc);
	CHECK(vc->state == VFIO_CCW_NOT_OPER && sim.enabled);
	/* The hardware recovers, and carries out the clear */
	sim.deaf = false;
	sim.runs = false;
	time_passes(10);
	remove_driver();
	CHECK(todo == SCH_TODO_NOTHING);
	CHECK(!sim.enabled);
	probe();
	CHECK(!vfio_ccw_open(vc));
	sim.ending = SIM_AT_ONCE;
	CHECK(!start(0));
	time_passes(10);
	vfio_ccw_close(vc);
	remove_driver();
}

static void go(void)
{
	sim.gone = true;
	sim.runs = false;
}

static void change(void)
{
	sim.changed = true;
}

static void become_qdio(void)
{
	sim.qdio = true;
}

static void what_takes_its_place_is_nobodys(void)
{
	static void (*const hows[])(void) = { go, change, become_qdio };
	struct vfio_ccw *pulled;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hows); i++) {
		begin();
		pulled = vc;
		CHECK(!vfio_ccw_open(vc));
		CHECK(!event());
		CHECK(!work_pending(&vc->pulled_work));
		hows[i]();
		CHECK(!event());
		CHECK(vc->state == VFIO_CCW_NOT_OPER);
		CHECK(start(0) == -ENODEV);
		CHECK(work_pending(&pulled->pulled_work));
		/* Another event meanwhile: the device is pulled only once */
		CHECK(!event());
		sim_asleep = unregister_subchannel;
		flush_work(&pulled->pulled_work);
		CHECK(!sim_asleep);
		CHECK(parent_is_gone && !is_parent);
		CHECK(!dev_get_drvdata(&sim_sch.dev));
		/* The host scans if there is another device */
		CHECK(reprobes == !sim.gone);
		CHECK(!sim_sch.dev.refs);
	}
}

static void expect_waiting_event(void)
{
	CHECK(event() == -EAGAIN);
}

static void change_while_probed(void)
{
	change();
	expect_waiting_event();
}

/* The channel subsystem repeats an event after -EAGAIN, so none is lost */
static void events_wait_for_what_is_under_way(void)
{
	set_up();
	expect_waiting_event();
	mdev_meanwhile = change_while_probed;
	probe();
	CHECK(vc->state == VFIO_CCW_STANDBY);
	CHECK(!work_pending(&vc->pulled_work));

	sim_sch.todo_work.pending = true;
	expect_waiting_event();
	sim_sch.todo_work.pending = false;
	sim_sch.dev.registered = false;
	expect_waiting_event();
	CHECK(!work_pending(&vc->pulled_work));
	sim_sch.dev.registered = true;
	CHECK(!event());
	CHECK(work_pending(&vc->pulled_work));
	sim_asleep = unregister_subchannel;
	flush_work(&vc->pulled_work);
}

static void pull(void)
{
	go();
	CHECK(!event());
}

static void removal_that_waits_hears_that_it_was_pulled(void)
{
	begin();
	CHECK(!vfio_ccw_open(vc));
	mdev_meanwhile = pull;
	remove_driver();
	CHECK(parent_is_gone);
	CHECK(todo == SCH_TODO_UNREG);
	CHECK(!sim_sch.dev.refs);
	CHECK(event() == -EAGAIN);
}

/* The host's copy of the SCHIB has the last path of an earlier program */
static void vary_off_ends_what_uses_the_path_and_no_other(void)
{
	struct irb irb;

	begin_program();
	sim_sch.schib.pmcw.lpum = 0x80;
	sim.lpum = 0x40;
	path_event(0x80, CHP_VARY_OFF);
	time_passes(10);
	CHECK(sim.runs && !sim.clears);

	path_event(0x40, CHP_VARY_OFF);
	time_passes(10);
	CHECK(!sim.runs);
	/* The holder did not clear it, so it gets the end of a start */
	CHECK(fetch(&irb));
	CHECK(irb.scsw.cmd.fctl == SCSW_FCTL_START_FUNC);
	CHECK(irb.scsw.cmd.cstat == SCHN_STAT_INTF_CTRL_CHK);
	CHECK(!vfio_ccw_crw_show(vc));
	vfio_ccw_close(vc);
	remove_driver();
}

static void paths_that_are_varied_off_are_not_used(void)
{
	struct irb irb;

	begin();
	CHECK(!vfio_ccw_open(vc));
	CHECK(!start(0xff));
	CHECK(paths_of_start() == 0xc0);
	time_passes(10);
	CHECK(fetch(&irb));

	path_event(0x80, CHP_VARY_OFF);
	CHECK(start(0x80) == -EACCES);
	CHECK(!start(0xff));
	CHECK(paths_of_start() == 0x40);
	time_passes(10);
	CHECK(fetch(&irb));
	/* A holder that names no path gets those of the host */
	CHECK(!start(0));
	CHECK(paths_of_start() == 0x40);
	time_passes(10);
	CHECK(fetch(&irb));

	path_event(0x80, CHP_VARY_ON);
	CHECK(!start(0x80));
	CHECK(paths_of_start() == 0x80);
	time_passes(10);
	/* The named path is not operational */
	sim.start_cc = 3;
	CHECK(start(0x80) == -EACCES);
	sim.start_cc = 3;
	CHECK(start(0xff) == -ENODEV);
	vfio_ccw_close(vc);
	remove_driver();
}

static void paths_of_the_hardware_are_reported(void)
{
	struct crw crw;
	u32 word;

	begin();
	CHECK(!vfio_ccw_open(vc));
	path_event(0x40, CHP_OFFLINE);
	path_event(0x40, CHP_ONLINE);
	word = vfio_ccw_crw_show(vc);
	memcpy(&crw, &word, sizeof(crw));
	CHECK(crw.erc == CRW_ERC_PERRN && crw.rsid == 0x40);
	vfio_ccw_crw_take(vc);
	word = vfio_ccw_crw_show(vc);
	memcpy(&crw, &word, sizeof(crw));
	CHECK(crw.erc == CRW_ERC_INIT && crw.rsid == 0x40);
	/* A path of another subchannel */
	path_event(0, CHP_OFFLINE);
	vfio_ccw_crw_take(vc);
	CHECK(!vfio_ccw_crw_show(vc));
	vfio_ccw_close(vc);
	remove_driver();
}

static void interrupts_are_counted(void)
{
	unsigned int before = irq_stats[IRQIO_CIO];
	struct irb irb;

	begin();
	CHECK(!vfio_ccw_open(vc));
	CHECK(!start(0));
	time_passes(10);
	CHECK(irq_stats[IRQIO_CIO] == before + 1);
	CHECK(fetch(&irb));
	vfio_ccw_close(vc);
	remove_driver();
	/* An interrupt that was late */
	spin_lock_irq(&sim_sch.lock);
	driver->irq(&sim_sch);
	spin_unlock_irq(&sim_sch.lock);
	CHECK(irq_stats[IRQIO_CIO] == before + 2);
}

static void shutdown_ends_what_runs(void)
{
	begin_program();
	driver->shutdown(&sim_sch);
	CHECK(!sim.runs && !sim.enabled);
	vfio_ccw_close(vc);
	remove_driver();
	driver->shutdown(&sim_sch);
}

/* All holders have the same time to release their devices */
static void unload_asks_all_holders_before_it_waits_for_one(void)
{
	begin();
	CHECK(!vfio_ccw_open(vc));
	driver_exit();
	CHECK(!driver && !is_parent);
}

static void open_is_on_the_holders_account(void)
{
	unsigned int before;

	begin();
	before = unaccounted;
	CHECK(!vfio_ccw_open(vc));
	CHECK(unaccounted == before);
	vfio_ccw_close(vc);
	remove_driver();
}

/* The memory of its program stays until the program has ended */
static void program_of_a_device_that_changes_is_ended_first(void)
{
	struct vfio_ccw_user *user;
	struct irb irb;

	begin_program();
	user = vc->user;
	change();
	CHECK(!event());
	CHECK(start(0) == -ENODEV);
	CHECK(!fetch(&irb));
	CHECK(sim.runs && ccw_cp_uses(user->cp, 0, U64_MAX));
	/* A second event changes nothing */
	CHECK(!event());
	time_passes(10);
	CHECK(!sim.runs && vc->state == VFIO_CCW_NOT_OPER);
	/* The holder did not clear it, so it gets the end of a start */
	CHECK(fetch(&irb));
	CHECK(irb.scsw.cmd.cstat == SCHN_STAT_INTF_CTRL_CHK);
	CHECK(!ccw_cp_uses(user->cp, 0, U64_MAX));
	sim_asleep = unregister_subchannel;
	flush_work(&vc->pulled_work);

	/* Nor does a revocation release it before that */
	begin_program();
	change();
	CHECK(!event());
	CHECK(sim.runs);
	sim_asleep = unregister_after_all_else;
	flush_work(&vc->pulled_work);
	CHECK(!sim.runs && !sim_sch.dev.refs);
}

/* Detached, and attached again: the new subchannel has the same numbers */
static void replace(void)
{
	sim.fctl = 0;
	sim.actl = 0;
	sim.runs = false;
	sim.enabled = false;
	sim.intparm = 0;
}

static void expect_no_change(void)
{
	CHECK(!event());
	CHECK(!work_pending(&vc->pulled_work));
}

static int reset(void)
{
	struct vfio_ccw_user *user = vfio_ccw_user_lock(vc);
	int ret = vfio_ccw_reset(vc, user);

	vfio_ccw_user_unlock(user);
	return ret;
}

/* The subchannel is not the holder's any more, and is pulled */
static void expect_pulled(void)
{
	CHECK(vc->state == VFIO_CCW_NOT_OPER);
	CHECK(start(0) == -ENODEV);
	CHECK(reset() == -ENODEV);
	CHECK(!sim.enabled);
	CHECK(!event());
	CHECK(work_pending(&vc->pulled_work));
	sim_asleep = unregister_subchannel;
	flush_work(&vc->pulled_work);
	CHECK(!sim.enabled && !sim_sch.dev.refs);
}

static void device_that_was_attached_again_is_not_the_holders(void)
{
	/* The channel subsystem sees it */
	begin();
	CHECK(!vfio_ccw_open(vc));
	replace();
	CHECK(!event());
	expect_pulled();

	/* Each of the two signs is enough */
	begin();
	CHECK(!vfio_ccw_open(vc));
	sim.enabled = false;
	CHECK(!event());
	expect_pulled();
	begin();
	CHECK(!vfio_ccw_open(vc));
	sim.intparm = 0;
	CHECK(!event());
	expect_pulled();

	/* Under a program */
	begin_program();
	replace();
	CHECK(!event());
	expect_pulled();

	/* A reset sees it first, and has the channel subsystem look */
	begin();
	CHECK(!vfio_ccw_open(vc));
	replace();
	CHECK(reset() == -ENODEV);
	CHECK(todo == SCH_TODO_EVAL);
	expect_pulled();

	/* While a reset has it disabled, and unpins the program's pages */
	begin_program();
	sim_outside = replace;
	CHECK(reset() == -ENODEV);
	CHECK(!sim_outside && todo == SCH_TODO_EVAL);
	expect_pulled();

	/* The close sees it */
	begin();
	CHECK(!vfio_ccw_open(vc));
	replace();
	vfio_ccw_close(vc);
	CHECK(todo == SCH_TODO_EVAL);
	CHECK(vfio_ccw_open(vc) == -ENODEV);
	CHECK(!sim.enabled);
	/* The host's drivers get it */
	remove_driver();
	CHECK(todo == SCH_TODO_UNREG && reprobes == 1);
}

/* The driver disables it itself, and an event comes meanwhile */
static void subchannel_that_the_driver_disables_has_not_changed(void)
{
	begin();
	expect_no_change();
	CHECK(!vfio_ccw_open(vc));
	expect_no_change();
	sim.refusal = -EAGAIN;
	sim.refusals = 3;
	sim_asleep = expect_no_change;
	CHECK(!reset());
	CHECK(!sim_asleep);
	expect_no_change();

	sim.ending = SIM_NEVER;
	CHECK(!start(0));
	time_passes(10);
	/* Between the end of the program and the time when it is enabled again */
	sim_outside = expect_no_change;
	CHECK(!reset());
	CHECK(!sim_outside);

	sim.refusals = 3;
	sim_asleep = expect_no_change;
	vfio_ccw_close(vc);
	CHECK(!sim_asleep);
	expect_no_change();
	CHECK(!vfio_ccw_open(vc));
	driver->shutdown(&sim_sch);
	expect_no_change();
	vfio_ccw_close(vc);
	expect_no_change();
	CHECK(todo == SCH_TODO_NOTHING);
	remove_driver();
}

/* The parameter of a late interrupt is the address of the subchannel's struct */
static void subchannel_that_stays_enabled_is_never_freed(void)
{
	struct vfio_ccw *pulled;

	begin();
	CHECK(!vfio_ccw_open(vc));
	sim.never_disabled = true;
	vfio_ccw_close(vc);
	remove_driver();
	CHECK(sim.enabled && sim_sch.dev.refs == 1);

	/* The same if another device has the subchannel's number */
	begin();
	CHECK(!vfio_ccw_open(vc));
	sim.never_disabled = true;
	change();
	CHECK(!event());
	pulled = vc;
	sim_asleep = unregister_after_all_else;
	flush_work(&pulled->pulled_work);
	CHECK(sim.enabled && sim_sch.dev.refs == 1);
}

/* The end of the device does not replace that of the channel */
static void channel_end_stays_when_the_ring_is_full(void)
{
	unsigned int ends = 0, i;
	struct irb irb = {};

	begin();
	CHECK(!vfio_ccw_open(vc));
	for (i = 0; i < VFIO_CCW_RESPONSES - 1; i++) {
		sim_attention();
		time_passes(2);
	}
	sim.ending = SIM_DEVICE_LATER;
	CHECK(!start(0));
	time_passes(50);
	while (fetch(&irb))
		ends += irb.scsw.cmd.dstat == 0x08;
	CHECK(ends == 1);
	CHECK(irb.scsw.cmd.dstat == 0x04);
	vfio_ccw_close(vc);
	remove_driver();
}

/* Each program has two responses, and there is room for eight of them */
static void channel_ends_stay_when_each_response_ends_something(void)
{
	unsigned int ends = 0, i;
	struct irb irb = {};

	begin();
	CHECK(!vfio_ccw_open(vc));
	sim.ending = SIM_DEVICE_LATER;
	for (i = 0; i < 10; i++) {
		CHECK(!start(0));
		time_passes(50);
	}
	while (fetch(&irb))
		ends += irb.scsw.cmd.dstat == 0x08;
	CHECK(ends == 10);
	vfio_ccw_close(vc);
	remove_driver();
}

const struct test driver_tests[] = {
	TEST(cio_finds_a_device_that_is_online),
	TEST(probe_forgets_who_had_it_before),
	TEST(qdio_is_refused),
	TEST(what_was_given_up_is_not_taken_for_pulled),
	TEST(what_takes_its_place_is_nobodys),
	TEST(events_wait_for_what_is_under_way),
	TEST(removal_that_waits_hears_that_it_was_pulled),
	TEST(vary_off_ends_what_uses_the_path_and_no_other),
	TEST(paths_that_are_varied_off_are_not_used),
	TEST(paths_of_the_hardware_are_reported),
	TEST(interrupts_are_counted),
	TEST(shutdown_ends_what_runs),
	TEST(unload_asks_all_holders_before_it_waits_for_one),
	TEST(open_is_on_the_holders_account),
	TEST(program_of_a_device_that_changes_is_ended_first),
	TEST(device_that_was_attached_again_is_not_the_holders),
	TEST(subchannel_that_the_driver_disables_has_not_changed),
	TEST(subchannel_that_stays_enabled_is_never_freed),
	TEST(channel_end_stays_when_the_ring_is_full),
	TEST(channel_ends_stay_when_each_response_ends_something),
	{}
};
