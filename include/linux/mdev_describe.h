/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mediated devices that a parent driver describes: it gives tables of regions
 * and interrupts, and the framework answers the holder's ioctls, checks each
 * access, and calls the region's own functions.
 */
#ifndef _LINUX_MDEV_DESCRIBE_H
#define _LINUX_MDEV_DESCRIBE_H

#include <linux/mdev.h>
#include <linux/mdev_trigger.h>
#include <linux/types.h>

/**
 * struct mdev_region - a region of a device
 * @size: in bytes; 0 if the device has no region of this index
 * @type: VFIO_REGION_TYPE_*, for a region beyond those that the device's API
 *	defines; reported if @type or @subtype is not 0
 * @subtype: see @type
 * @read: reads @count bytes at @pos of the region @index into the holder's
 *	@buf; @pos + @count is at most @size, @count is not 0. Return how many
 *	were read, or a negative errno. If it is missing the region cannot be
 *	read
 * @write: the same for writing
 * @mmap: maps the region @index, in which all of @vma is and stays: it cannot be
 *	expanded. The offset in the region is the lower bits of @vma->vm_pgoff.
 *	If it is missing the region cannot be mapped. @size is full pages
 *
 * The framework answers an access of 0 bytes by itself. The rules of
 * struct mdev_parent_ops for its own read, write and mmap hold.
 */
struct mdev_region {
	u64 size;
	u32 type;
	u32 subtype;
	ssize_t (*read)(struct mdev_device *mdev, unsigned int index,
			char __user *buf, size_t count, u64 pos);
	ssize_t (*write)(struct mdev_device *mdev, unsigned int index,
			 const char __user *buf, size_t count, u64 pos);
	int (*mmap)(struct mdev_device *mdev, unsigned int index,
		    struct vm_area_struct *vma);
};

/**
 * struct mdev_irq - an interrupt of a device
 * @flags: VFIO_IRQ_INFO_*; 0 if the device has no interrupt of this index
 * @kind: MDEV_TRIGGER_REQUEST if it is no interrupt but the request to release
 *	the device
 * @unknown: the holder is told that there is no such index, as for one behind
 *	the last
 * @changed: the holder has set the trigger, or has taken it away (optional).
 *	Not called when a close or a revocation drops it
 * @mask: VFIO_IRQ_SET_ACTION_MASK and _UNMASK; return 0 or a negative errno.
 *	-EINVAL if it is missing
 *
 * @changed and @mask are called one at a time for one device, with a lock that
 * each VFIO_DEVICE_SET_IRQS takes: they touch no memory of the holder's, and do
 * not call mdev_wait_begin().
 */
struct mdev_irq {
	u32 flags;
	enum mdev_trigger_kind kind;
	bool unknown;
	void (*changed)(struct mdev_device *mdev,
			const struct mdev_irq_set *set);
	int (*mask)(struct mdev_device *mdev, const struct mdev_irq_set *set);
};

/**
 * struct mdev_description - what a holder can know of a device, and do with it
 * @flags: VFIO_DEVICE_FLAGS_*, but for VFIO_DEVICE_FLAGS_RESET
 * @region_shift: the region's index is in the file offset from this bit on, the
 *	offset in the region is below it
 * @exact: an access that does not end in its region is refused, with -EINVAL;
 *	else it ends at the region's end
 * @nr_regions: how many @regions there are
 * @nr_irqs: how many @irqs there are
 * @regions: by index
 * @irqs: by index; each has one interrupt, or none
 * @reset: VFIO_DEVICE_RESET; -ENOTTY if it is missing
 * @ioctl: any ioctl but VFIO_DEVICE_GET_INFO, _GET_REGION_INFO, _GET_IRQ_INFO,
 *	_SET_IRQS, _RESET and _FEATURE; -ENOTTY if it is missing
 *
 * The rules of struct mdev_parent_ops for its own ioctl hold for @reset, too.
 */
struct mdev_description {
	u32 flags;
	unsigned int region_shift;
	bool exact;
	unsigned int nr_regions;
	unsigned int nr_irqs;
	const struct mdev_region *regions;
	const struct mdev_irq *irqs;
	int (*reset)(struct mdev_device *mdev);
	long (*ioctl)(struct mdev_device *mdev, unsigned int cmd,
		      unsigned long arg);
};

int mdev_describe(struct mdev_device *mdev,
		  const struct mdev_description *description,
		  struct mdev_trigger *triggers);

#endif /* _LINUX_MDEV_DESCRIBE_H */
