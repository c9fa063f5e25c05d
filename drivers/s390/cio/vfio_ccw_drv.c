// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-ccw: the driver that gives I/O subchannels to user space. This is its
 * side of the channel subsystem: probe and remove, interrupts, and the events
 * of the subchannel and its paths.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <asm/ccwdev.h>
#include <asm/irq.h>
#include <asm/isc.h>

#include "vfio_ccw.h"

/*
 * The channel subsystem may call in at any time between the end of probe and
 * the end of remove, under the subchannel's lock: that lock protects the
 * pointer from the subchannel to its struct vfio_ccw.
 */
static struct vfio_ccw *vfio_ccw_of_sch(struct subchannel *sch)
{
	lockdep_assert_held(&sch->lock);
	return dev_get_drvdata(&sch->dev);
}

/* Runs vfio_ccw.pulled_work, which may wait for the hardware */
static struct workqueue_struct *vfio_ccw_wq;

static void vfio_ccw_free(struct vfio_ccw *vc)
{
	kfree(vc);
}

/*
 * The mediated device is removed once: by the caller that gets true. That is
 * the driver's remove, or the work for a subchannel that was pulled before.
 */
static bool vfio_ccw_begin_leaving(struct vfio_ccw *vc)
{
	bool first = !vc->leaving;

	lockdep_assert_held(&vc->sch->lock);
	vc->leaving = true;
	return first;
}

/*
 * The subchannel was pulled: there is nothing to wait for any more. The channel
 * subsystem unregisters it, but its only work queue must not wait for a holder.
 * So this work removes the mediated device first. Meanwhile another device may
 * have appeared behind the same subchannel: it is found when this one's
 * mediated device is gone. The scan delays others for a second, so it is made
 * only if there is such a device.
 */
static void vfio_ccw_pulled(struct work_struct *work)
{
	struct vfio_ccw *vc = container_of(work, struct vfio_ccw, pulled_work);
	struct subchannel *sch = vc->sch;
	bool another;

	mdev_parent_gone(&sch->dev);
	if (!vc->pulled_leaves) {
		/* Remove does it, and waits for this work */
		put_device(&sch->dev);
		return;
	}

	mdev_unregister_device(&sch->dev);
	vfio_ccw_retire(vc);
	spin_lock_irq(&sch->lock);
	css_sched_sch_todo(sch, SCH_TODO_UNREG);
	spin_unlock_irq(&sch->lock);
	complete(&vc->left);

	/* Remove, which comes before, does not use @vc after its own wait */
	while (device_is_registered(&sch->dev))
		fsleep(10 * USEC_PER_MSEC);
	spin_lock_irq(&sch->lock);
	another = !cio_update_schib(sch);
	spin_unlock_irq(&sch->lock);
	if (another)
		css_schedule_reprobe();

	/* Pairs with get_device() in vfio_ccw_sch_event() */
	put_device(&sch->dev);
	vfio_ccw_free(vc);
}

/*
 * Give up the subchannel. The holder is asked, and loses the device: after a
 * time, and from here; or at once, and from the work, if the subchannel was
 * pulled.
 */
static void vfio_ccw_leave(struct vfio_ccw *vc)
{
	struct subchannel *sch = vc->sch;
	bool first, pulled, another = false;

	spin_lock_irq(&sch->lock);
	first = vfio_ccw_begin_leaving(vc);
	spin_unlock_irq(&sch->lock);

	if (first) {
		mdev_unregister_device(&sch->dev);
		vfio_ccw_retire(vc);
	} else {
		wait_for_completion(&vc->left);
	}

	spin_lock_irq(&sch->lock);
	dev_set_drvdata(&sch->dev, NULL);
	/* Pulled while this waited: it is not being unregistered yet */
	if (first && vfio_ccw_has_changed(vc)) {
		css_sched_sch_todo(sch, SCH_TODO_UNREG);
		another = !cio_update_schib(sch);
	}
	pulled = vc->pulled;
	spin_unlock_irq(&sch->lock);
	if (another)
		css_schedule_reprobe();

	if (!first)
		return;
	if (pulled)
		flush_work(&vc->pulled_work);
	vfio_ccw_free(vc);
}

/*
 * The device that cio finds behind the subchannel. It is online, so a purge of
 * unused devices leaves it alone.
 */
static struct ccw_device vfio_ccw_cdev = {
	.online	= 1,
};

static int vfio_ccw_sch_probe(struct subchannel *sch)
{
	struct vfio_ccw *vc;
	int ret;

	if (sch->schib.pmcw.qf) {
		dev_warn(&sch->dev, "a QDIO subchannel cannot be passed through\n");
		return -ENODEV;
	}

	vc = kzalloc(sizeof(*vc), GFP_KERNEL);
	if (!vc)
		return -ENOMEM;

	/* cio knows the driver data as its own type */
	static_assert(!offsetof(struct vfio_ccw, cio));
	vc->cio.cdev = &vfio_ccw_cdev;
	vc->sch = sch;
	vc->devno = sch->schib.pmcw.dev;
	vc->state = VFIO_CCW_STANDBY;
	atomic_set(&vc->available, 1);
	spin_lock_init(&vc->crw_lock);
	init_waitqueue_head(&vc->wait);
	ratelimit_state_init(&vc->refusals, DEFAULT_RATELIMIT_INTERVAL,
			     DEFAULT_RATELIMIT_BURST);
	INIT_WORK(&vc->pulled_work, vfio_ccw_pulled);
	init_completion(&vc->left);

	sch->isc = VFIO_CCW_ISC;
	spin_lock_irq(&sch->lock);
	/* As the host's own drivers have it, whichever driver had it before */
	memset(&sch->config, 0, sizeof(sch->config));
	sch->config.csense = 1;
	/* A path that is varied off after this is an event for this driver */
	dev_set_drvdata(&sch->dev, vc);
	sch->opm = chp_get_sch_opm(sch);
	sch->lpm = sch->schib.pmcw.pam & sch->opm;
	spin_unlock_irq(&sch->lock);
	ret = mdev_register_device(&sch->dev, &vfio_ccw_mdev_ops);
	if (ret) {
		vfio_ccw_leave(vc);
		return ret;
	}
	spin_lock_irq(&sch->lock);
	vc->probed = true;
	spin_unlock_irq(&sch->lock);
	return 0;
}

static void vfio_ccw_sch_remove(struct subchannel *sch)
{
	vfio_ccw_leave(dev_get_drvdata(&sch->dev));
}

/* The machine goes down: end the active program, and wait for no holder */
static void vfio_ccw_sch_shutdown(struct subchannel *sch)
{
	struct vfio_ccw *vc;

	spin_lock_irq(&sch->lock);
	vc = vfio_ccw_of_sch(sch);
	spin_unlock_irq(&sch->lock);
	/* The driver core keeps remove away */
	if (vc)
		vfio_ccw_shutdown(vc);
}

static void vfio_ccw_sch_irq(struct subchannel *sch)
{
	struct vfio_ccw *vc = vfio_ccw_of_sch(sch);

	/* The column CIO of /proc/interrupts */
	inc_irq_stat(IRQIO_CIO);
	if (vc)
		vfio_ccw_interrupt(vc, this_cpu_ptr(&cio_irb));
}

/* A machine check or a scan: is the device still behind the subchannel? */
static int vfio_ccw_sch_event(struct subchannel *sch, int slow)
{
	struct vfio_ccw *vc;
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&sch->lock, flags);
	/* The channel subsystem calls again when that is over */
	if (!device_is_registered(&sch->dev) || work_pending(&sch->todo_work)) {
		ret = -EAGAIN;
		goto unlock;
	}

	vc = vfio_ccw_of_sch(sch);
	/* It also calls again after a probe or a remove that is under way */
	if (!vc || !vc->probed) {
		ret = -EAGAIN;
		goto unlock;
	}
	if (vfio_ccw_has_changed(vc)) {
		vfio_ccw_gone(vc);
		if (!vc->pulled) {
			vc->pulled = true;
			vc->pulled_leaves = vfio_ccw_begin_leaving(vc);
			get_device(&sch->dev);
			queue_work(vfio_ccw_wq, &vc->pulled_work);
		}
	}
unlock:
	spin_unlock_irqrestore(&sch->lock, flags);
	return ret;
}

/*
 * A channel path appears or disappears. Called under the subchannel's lock. The
 * hardware's changes are reported to the holder. If the host's administrator
 * varies a path, the holder need not know.
 */
static int vfio_ccw_chp_event(struct subchannel *sch, struct chp_link *link,
			      int event)
{
	bool comes = event == CHP_ONLINE || event == CHP_VARY_ON;
	bool varied = event == CHP_VARY_ON || event == CHP_VARY_OFF;
	u8 paths = chp_ssd_get_mask(&sch->ssd_info, link);
	struct vfio_ccw *vc = vfio_ccw_of_sch(sch);

	if (!vc || !paths || event > CHP_VARY_OFF)
		return 0;
	if (cio_update_schib(sch))
		return -ENODEV;

	if (varied)
		sch->opm = comes ? sch->opm | paths : sch->opm & ~paths;
	if (comes)
		sch->lpm |= paths & sch->opm;
	else if (varied)
		sch->lpm &= ~paths;

	if (!comes && sch->schib.pmcw.lpum & paths)
		vfio_ccw_terminate(vc);
	if (!varied)
		vfio_ccw_crw_add(vc, comes ? CRW_ERC_INIT : CRW_ERC_PERRN,
				 link->chpid);
	return 0;
}

static struct css_device_id vfio_ccw_sch_ids[] = {
	{ .match_flags = 0x1, .type = SUBCHANNEL_TYPE_IO, },
	{ }
};
MODULE_DEVICE_TABLE(css, vfio_ccw_sch_ids);

static struct css_driver vfio_ccw_sch_driver = {
	.drv = {
		.name	= "vfio_ccw",
		.owner	= THIS_MODULE,
	},
	.subchannel_type = vfio_ccw_sch_ids,
	.irq		= vfio_ccw_sch_irq,
	.probe		= vfio_ccw_sch_probe,
	.remove		= vfio_ccw_sch_remove,
	.shutdown	= vfio_ccw_sch_shutdown,
	.sch_event	= vfio_ccw_sch_event,
	.chp_event	= vfio_ccw_chp_event,
};

static int __init vfio_ccw_init(void)
{
	int ret;

	vfio_ccw_wq = alloc_workqueue("vfio_ccw", WQ_UNBOUND, 0);
	if (!vfio_ccw_wq)
		return -ENOMEM;

	isc_register(VFIO_CCW_ISC);
	ret = css_driver_register(&vfio_ccw_sch_driver);
	if (ret) {
		isc_unregister(VFIO_CCW_ISC);
		destroy_workqueue(vfio_ccw_wq);
	}
	return ret;
}

/* Ask all holders before waiting for one: they share their time */
static int vfio_ccw_begin_exit(struct device *dev, void *unused)
{
	mdev_unregister_begin(dev);
	return 0;
}

static void __exit vfio_ccw_exit(void)
{
	/* For a subchannel that is bound after this, its own removal asks */
	WARN_ON(driver_for_each_device(&vfio_ccw_sch_driver.drv, NULL, NULL,
				       vfio_ccw_begin_exit));
	css_driver_unregister(&vfio_ccw_sch_driver);
	isc_unregister(VFIO_CCW_ISC);
	destroy_workqueue(vfio_ccw_wq);
}

module_init(vfio_ccw_init)
module_exit(vfio_ccw_exit)

MODULE_DESCRIPTION("Passes I/O subchannels through to guests");
MODULE_LICENSE("GPL");
MODULE_VERSION(MDEV_VERSION);
