// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that the parent driver has described by tables: the answers to the
 * holder's ioctls (include/uapi/linux/vfio.h). Reads and writes are in
 * mdev_describe.h, mappings in mdev_mmap.c, regions in mdev_region.c.
 */
#include <linux/export.h>
#include <linux/uaccess.h>

#include "mdev_describe.h"
#include "mdev_irqs.h"
#include "mdev_region.h"

/* A bitmap of the indexes is in a long */
#define MAX_IRQS	BITS_PER_LONG

static const char *
mdev_regions_fault(const struct mdev_description *description)
{
	const struct mdev_region *region = description->regions;
	unsigned int i;

	/* The file offset has 63 bits */
	if (description->region_shift > 62 ||
	    description->nr_regions > BIT_ULL(63 - description->region_shift))
		return "the file offset has no room for the regions' index";
	for (i = 0; i < description->nr_regions; i++, region++) {
		if (region->size > BIT_ULL(description->region_shift))
			return "a region is larger than its part of the file offset";
		if (region->mmap && !PAGE_ALIGNED(region->size))
			return "a region that can be mapped does not end with a page";
	}
	return NULL;
}

static const char *
mdev_irqs_fault(const struct mdev_description *description)
{
	const struct mdev_irq *irq = description->irqs;
	unsigned int i, requests = 0;

	if (description->nr_irqs > MAX_IRQS)
		return "too many interrupts";
	for (i = 0; i < description->nr_irqs; i++, irq++) {
		requests += irq->kind == MDEV_TRIGGER_REQUEST;
		if (irq->flags ? irq->unknown :
		    irq->kind || irq->changed || irq->mask)
			return "an interrupt has flags and is unknown, or only other members";
	}
	return requests > 1 ? "more than one request interrupt" : NULL;
}

static const char *
mdev_description_fault(const struct mdev_device *mdev,
		       const struct mdev_description *description)
{
	const struct mdev_parent_ops *ops = mdev_parent(mdev)->ops;

	if (ops->read || ops->write || ops->ioctl || ops->mmap)
		return "its driver also has a read, write, ioctl or mmap callback";
	if (mdev->description)
		return "it has been described before";
	if (ops->migration && !description->reset)
		return "it can be migrated, but has no reset";
	return mdev_regions_fault(description) ?: mdev_irqs_fault(description);
}

/**
 * mdev_describe - describe a mediated device
 * @mdev: the device
 * @description: its tables; they have to stay until the remove callback is
 *	called
 * @triggers: a trigger for each of @description's interrupts. They are part of
 *	the parent driver's state of @mdev, and have to stay as long. This
 *	initialises them
 *
 * Context: the create callback.
 * Return: 0, or -EINVAL if the description contradicts itself or the driver's
 * other callbacks; the log names the contradiction.
 */
int mdev_describe(struct mdev_device *mdev,
		  const struct mdev_description *description,
		  struct mdev_trigger *triggers)
{
	const struct mdev_parent_ops *ops = mdev_parent(mdev)->ops;
	const char *fault = mdev_description_fault(mdev, description);
	bool asks = ops->request;
	unsigned int i;

	if (fault) {
		dev_err(mdev_parent_dev(mdev), "parent driver %s gives an invalid description of a device: %s\n",
			module_name(ops->owner), fault);
		return -EINVAL;
	}
	for (i = 0; i < description->nr_irqs; i++) {
		mdev_trigger_init(&triggers[i], mdev,
				  description->irqs[i].kind);
		triggers[i].index = i;
		asks |= description->irqs[i].kind == MDEV_TRIGGER_REQUEST;
	}
	if (!asks)
		dev_warn_once(mdev_parent_dev(mdev), "parent driver %s describes a device without a request interrupt: its holders cannot be asked to release it\n",
			      module_name(ops->owner));
	mdev->description = description;
	return 0;
}
EXPORT_SYMBOL_GPL(mdev_describe);

static long mdev_describe_info(const struct mdev_description *description,
			       void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;

	info.flags = description->flags;
	if (description->reset)
		info.flags |= VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = description->nr_regions;
	info.num_irqs = description->nr_irqs;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long mdev_describe_irq_info(const struct mdev_description *description,
				   void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_irq_info, count);
	const struct mdev_irq *irq;
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= description->nr_irqs)
		return -EINVAL;
	irq = &description->irqs[array_index_nospec(info.index,
						    description->nr_irqs)];
	if (irq->unknown)
		return -EINVAL;

	info.flags = irq->flags;
	info.count = irq->flags ? 1 : 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static unsigned long
mdev_describe_irqs(const struct mdev_description *description)
{
	unsigned long indexes = 0;
	unsigned int i;

	for (i = 0; i < description->nr_irqs; i++)
		if (description->irqs[i].flags)
			indexes |= BIT(i);
	return indexes;
}

/* Each interrupt has a trigger since mdev_describe() */
static struct mdev_trigger *mdev_irq_trigger(struct mdev_device *mdev,
					     unsigned int index)
{
	struct mdev_trigger *trigger = mdev->triggers;

	while (trigger->index != index)
		trigger = trigger->next;
	return trigger;
}

static int mdev_describe_trigger(struct mdev_device *mdev,
				 const struct mdev_irq *irq,
				 struct mdev_trigger *trigger,
				 const struct mdev_irq_set *set)
{
	int ret = mdev_trigger_set_irqs(trigger, set);

	/* A holder that only signals itself has changed nothing */
	if (!ret && irq->changed &&
	    (!set->count || set->data == VFIO_IRQ_SET_DATA_EVENTFD))
		irq->changed(mdev, set);
	return ret;
}

static long mdev_describe_set_irqs(struct mdev_vfio *vmdev,
				   const void __user *arg)
{
	struct mdev_device *mdev = vmdev->mdev;
	const struct mdev_description *description = mdev->description;
	const struct mdev_irq *irq;
	struct mdev_irq_set set;
	unsigned int index;
	int ret;

	ret = mdev_irq_set_read(&set, arg, mdev_describe_irqs(description));
	if (ret)
		return ret;
	index = array_index_nospec(set.index, description->nr_irqs);
	irq = &description->irqs[index];

	mutex_lock(&vmdev->use->irqs_lock);
	/* A revocation waits for all that want the lock: they need not allocate */
	if (mdev_gate_is_closed(&vmdev->gate))
		ret = -ENODEV;
	else if (set.action == VFIO_IRQ_SET_ACTION_TRIGGER)
		ret = mdev_describe_trigger(mdev, irq,
					    mdev_irq_trigger(mdev, index),
					    &set);
	else
		ret = irq->mask ? irq->mask(mdev, &set) : -EINVAL;
	mutex_unlock(&vmdev->use->irqs_lock);
	return ret;
}

/**
 * mdev_describe_ioctl - an ioctl of the holder of a described device
 * @vmdev: the device
 * @cmd: the ioctl
 * @arg: its argument
 *
 * Context: inside the gate.
 * Return: 0 or a negative errno, or what the driver's own ioctl returns.
 */
long mdev_describe_ioctl(struct mdev_vfio *vmdev, unsigned int cmd,
			 unsigned long arg)
{
	struct mdev_device *mdev = vmdev->mdev;
	const struct mdev_description *description = mdev->description;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return mdev_describe_info(description, uarg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return mdev_region_ioctl(description, uarg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return mdev_describe_irq_info(description, uarg);
	case VFIO_DEVICE_SET_IRQS:
		return mdev_describe_set_irqs(vmdev, uarg);
	case VFIO_DEVICE_RESET:
		return description->reset ? description->reset(mdev) : -ENOTTY;
	default:
		return description->ioctl ?
		       description->ioctl(mdev, cmd, arg) : -ENOTTY;
	}
}
