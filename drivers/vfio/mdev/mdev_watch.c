// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watching the VFIO device that a driver of the kernel's own interface makes.
 *
 * VFIO calls the driver, not us. From the driver's probe until it may unregister
 * its VFIO device, the operations of that are copies of the driver's, except for
 *
 *	match		keeps new holders out while a removal waits
 *	open_device	the first descriptor: there is a holder
 *	close_device	the last one: there is none any more
 *	ioctl		adds a request interrupt, so that a holder can be asked
 *
 * VFIO opens and closes a device under the lock of its device set. The
 * operations are exchanged under that lock, while no process has the device
 * open. If that fails, the device works as with the kernel's own mdev, and the
 * log says so.
 */
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "mdev_cdev.h"
#include "mdev_device.h"
#include "mdev_iommufd.h"
#include "mdev_irqs.h"
#include "mdev_request.h"
#include "mdev_trace.h"
#include "mdev_triggers.h"
#include "mdev_watch.h"

/* How long to try to get VFIO's lock, in jiffies */
#define LOCK_WAIT	HZ

/* The class of VFIO's devices */
#define VFIO_CLASS	"vfio-dev"

#define REQUEST_INDEX	VFIO_PCI_REQ_IRQ_INDEX

static struct mdev_watch *to_watch(struct vfio_device *vdev)
{
	return container_of(vdev->ops, struct mdev_watch, ops);
}

static int mdev_watch_open(struct vfio_device *vdev)
{
	struct mdev_watch *watch = to_watch(vdev);
	struct mdev_device *mdev = watch->mdev;
	int ret;

	ret = mdev_use_begin(mdev);
	if (ret)
		goto out;

	if (watch->driver_ops->open_device)
		ret = watch->driver_ops->open_device(vdev);
	if (ret)
		mdev_use_failed(mdev);
	else
		mdev_use_held(mdev);
out:
	trace_mdev_open(&mdev->uuid, ret);
	return ret;
}

static void mdev_watch_close(struct vfio_device *vdev)
{
	struct mdev_watch *watch = to_watch(vdev);
	struct mdev_device *mdev = watch->mdev;

	trace_mdev_close(&mdev->uuid);
	mdev_use_closing(mdev);
	if (watch->driver_ops->close_device)
		watch->driver_ops->close_device(vdev);
	mdev_triggers_drop(mdev);
	mdev_use_end(mdev);
}

/* As the driver, or VFIO, does it; but -EBUSY if the device is wanted back */
static int mdev_watch_match(struct vfio_device *vdev, char *name)
{
	struct mdev_watch *watch = to_watch(vdev);
	int ret;

	if (watch->driver_ops->match)
		ret = watch->driver_ops->match(vdev, name);
	else
		ret = !strcmp(dev_name(vdev->dev), name);
	if (ret > 0 && READ_ONCE(watch->mdev->request.evictors))
		return -EBUSY;
	if (ret > 0 && mdev_iommufd_keeps_out(vdev, watch->mdev))
		return -EBUSY;
	return ret;
}

/* The driver answers; then there are as many indexes as the request needs */
static long mdev_watch_get_info(struct mdev_watch *watch, unsigned long arg)
{
	struct vfio_device_info __user *info = (void __user *)arg;
	u32 num_irqs;
	long ret;

	ret = watch->driver_ops->ioctl(watch->vdev, VFIO_DEVICE_GET_INFO, arg);
	if (ret)
		return ret;
	if (get_user(num_irqs, &info->num_irqs))
		return -EFAULT;
	if (num_irqs <= REQUEST_INDEX &&
	    put_user(REQUEST_INDEX + 1, &info->num_irqs))
		return -EFAULT;
	return 0;
}

static long mdev_watch_get_irq_info(void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
	info.count = 1;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long mdev_watch_set_irqs(struct mdev_watch *watch, void __user *arg)
{
	struct mdev_irq_set set;
	int ret;

	ret = mdev_irq_set_read(&set, arg, BIT(REQUEST_INDEX));
	return ret ?: mdev_trigger_set_irqs(&watch->request, &set);
}

/* Is the ioctl about the interrupt that the framework adds? */
static bool mdev_watch_is_request(unsigned int cmd, unsigned long arg)
{
	u32 index;

	if (cmd == VFIO_DEVICE_GET_IRQ_INFO)
		return !get_user(index, &((struct vfio_irq_info __user *)arg)->index) &&
		       index == REQUEST_INDEX;
	return cmd == VFIO_DEVICE_SET_IRQS &&
	       !get_user(index, &((struct vfio_irq_set __user *)arg)->index) &&
	       index == REQUEST_INDEX;
}

static long mdev_watch_ioctl(struct vfio_device *vdev, unsigned int cmd,
			     unsigned long arg)
{
	struct mdev_watch *watch = to_watch(vdev);

	if (cmd == VFIO_DEVICE_GET_INFO)
		return mdev_watch_get_info(watch, arg);
	if (!mdev_watch_is_request(cmd, arg))
		return watch->driver_ops->ioctl(vdev, cmd, arg);
	if (cmd == VFIO_DEVICE_GET_IRQ_INFO)
		return mdev_watch_get_irq_info((void __user *)arg);
	return mdev_watch_set_irqs(watch, (void __user *)arg);
}

/* A work may take as long as a holder likes, so no other works are here */
static struct workqueue_struct *mdev_ask_wq;

/*
 * The driver asks, without the device's lock: it may wait for a lock of its own
 * that a holder keeps. No unbind goes on before this is over.
 */
static void mdev_watch_ask(struct work_struct *work)
{
	struct mdev_watch *watch = container_of(work, struct mdev_watch, ask);
	struct mdev_device *mdev = watch->mdev;
	bool again;

	watch->driver_ops->request(watch->vdev, READ_ONCE(watch->count));

	mutex_lock(&mdev->lock);
	again = watch->asks_again;
	watch->asks_again = false;
	if (again)
		queue_work(mdev_ask_wq, &watch->ask);
	else	/* Pairs with smp_load_acquire() in mdev_watch_is_asking() */
		smp_store_release(&watch->asking, false);
	mutex_unlock(&mdev->lock);
	if (again)
		return;
	wake_up_all(&mdev_wait_queue);
	/* Pairs with get_device() in mdev_watch_request() */
	put_device(&mdev->dev);
}

/**
 * mdev_watch_request - the request callback of such a device
 * @mdev: the device
 * @count: as of the callback
 *
 * If the driver has not come back from the last request, it is called again when
 * it has: there may be another holder by then.
 */
void mdev_watch_request(struct mdev_device *mdev, unsigned int count)
{
	struct mdev_watch *watch = mdev->watch;

	if (watch->adds_request) {
		mdev_request_relay(&watch->request, count);
		return;
	}
	lockdep_assert_held(&mdev->lock);

	mdev_request_forward(mdev, count);
	WRITE_ONCE(watch->count, count);
	if (mdev_watch_is_asking(watch)) {
		watch->asks_again = true;
		return;
	}
	WRITE_ONCE(watch->asking, true);
	/* The removal may be over when the work leaves the lock */
	get_device(&mdev->dev);
	queue_work(mdev_ask_wq, &watch->ask);
}

/* For device_for_each_child(): gives a reference to the VFIO device */
static int mdev_watch_find(struct device *dev, void *data)
{
	struct vfio_device **vdev = data;

	if (!dev->class || strcmp(dev->class->name, VFIO_CLASS))
		return 0;
	get_device(dev);
	*vdev = container_of(dev, struct vfio_device, device);
	return 1;
}

/* Under the lock of the device's set; no process has the device open */
static void mdev_watch_exchange(struct mdev_watch *watch,
				struct vfio_device *vdev)
{
	struct vfio_device_ops *ops = &watch->ops;

	watch->vdev = vdev;
	watch->driver_ops = vdev->ops;
	*ops = *vdev->ops;
	ops->match = mdev_watch_match;
	ops->open_device = mdev_watch_open;
	ops->close_device = mdev_watch_close;
	watch->adds_request = watch->is_pci && !ops->request && ops->ioctl;
	if (watch->adds_request)
		ops->ioctl = mdev_watch_ioctl;
	watch->mdev->mute = !ops->request && !watch->adds_request;
	/* VFIO reads ops->match without this lock */
	smp_store_release(&vdev->ops, ops);
}

/*
 * The lock of the device's set. A process that opens the device already may have
 * it, and can keep it, so this thread does not wait for the lock for long.
 */
static bool mdev_watch_lock(struct vfio_device *vdev)
{
	unsigned long end = jiffies + LOCK_WAIT;

	while (!mutex_trylock(&vdev->dev_set->lock)) {
		if (time_after(jiffies, end))
			return false;
		schedule_timeout_idle(1);
	}
	return true;
}

static const char *mdev_watch_lock_and_exchange(struct mdev_watch *watch,
						struct vfio_device *vdev)
{
	const char *why = "the device was opened before it was complete";

	if (!mdev_watch_lock(vdev))
		return why;
	if (vfio_device_open_count(vdev) < 0) {
		why = "the VFIO of this kernel does not tell which devices are open";
	} else if (!vfio_device_open_count(vdev)) {
		mdev_watch_exchange(watch, vdev);
		why = NULL;
	}
	mutex_unlock(&vdev->dev_set->lock);
	return why;
}

static const char *mdev_watch_try(struct mdev_watch *watch)
{
	struct vfio_device *vdev = NULL;
	const char *why;

	device_for_each_child(&watch->mdev->dev, &vdev, mdev_watch_find);
	if (!vdev)
		return "the driver has registered no VFIO device";
	if (!vdev->ops || !vdev->dev_set) {
		put_device(&vdev->device);
		return "the VFIO device is not complete";
	}

	why = mdev_watch_lock_and_exchange(watch, vdev);
	/* If it is watched, mdev_watch_end() puts it */
	if (why)
		put_device(&vdev->device);
	return why;
}

/**
 * mdev_watch_begin - watch the VFIO device that a driver has just made
 * @mdev: the mediated device
 *
 * Context: the end of the driver's probe.
 */
void mdev_watch_begin(struct mdev_device *mdev)
{
	const char *why = mdev_watch_try(mdev->watch);

	mdev->watch->blind = why;
	if (why)
		dev_warn(&mdev->dev, "cannot see or ask the holder of this device: %s\n",
			 why);
}

/**
 * mdev_watch_end - a VFIO device is watched no more
 * @mdev: the mediated device
 *
 * If its file was shut, it stays so.
 *
 * Context: the driver is about to unregister its device from VFIO, and no
 * process has it; or the driver's remove has done that.
 */
void mdev_watch_end(struct mdev_device *mdev)
{
	struct mdev_watch *watch = mdev->watch;
	struct vfio_device *vdev = watch->vdev;

	watch->blind = false;
	if (!vdev)
		return;
	/* VFIO only needs the driver's release callback any more */
	WRITE_ONCE(vdev->ops, watch->driver_ops);
	mutex_lock(&mdev->lock);
	watch->vdev = NULL;
	mutex_unlock(&mdev->lock);
	mdev_cdev_retire(vdev);
	/* Pairs with get_device() in mdev_watch_find() */
	put_device(&vdev->device);
}

/* When a device is created. @mdev's last reference frees this memory */
int mdev_watch_init(struct mdev_device *mdev, bool is_pci)
{
	struct mdev_watch *watch = kzalloc(sizeof(*watch), GFP_KERNEL);

	if (!watch)
		return -ENOMEM;
	watch->mdev = mdev;
	watch->is_pci = is_pci;
	spin_lock_init(&watch->holder.lock);
	mdev_trigger_init(&watch->request, mdev, MDEV_TRIGGER_REQUEST);
	mdev_group_job_init(&watch->group_job, mdev);
	INIT_WORK(&watch->ask, mdev_watch_ask);
	mdev->watch = watch;
	return 0;
}

int mdev_watch_init_module(void)
{
	mdev_ask_wq = alloc_workqueue("mdev_ask", WQ_UNBOUND, WQ_MAX_ACTIVE);
	return mdev_ask_wq ? 0 : -ENOMEM;
}

void mdev_watch_exit_module(void)
{
	destroy_workqueue(mdev_ask_wq);
}
