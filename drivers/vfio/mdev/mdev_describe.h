/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices that the parent driver has described */
#ifndef _MDEV_DESCRIBE_H
#define _MDEV_DESCRIBE_H

#include <linux/mdev_describe.h>
#include <linux/nospec.h>

#include "mdev_vfio.h"

/*
 * The region that an offset of the device's file is in, or NULL if there is
 * none, or if it has no such place. The rest is set for a region.
 */
static inline const struct mdev_region *
mdev_region_at(const struct mdev_description *description, loff_t offset,
	       unsigned int *index, u64 *pos)
{
	const unsigned int shift = description->region_shift;
	const struct mdev_region *region;
	u64 nr = (u64)offset >> shift;

	if (nr >= description->nr_regions)
		return NULL;
	nr = array_index_nospec(nr, description->nr_regions);
	region = &description->regions[nr];
	*index = nr;
	*pos = offset & (BIT_ULL(shift) - 1);
	return *pos < region->size ? region : NULL;
}

/* How many of @count bytes at @pos may be accessed, which is in the region */
static inline size_t
mdev_access_bound(const struct mdev_description *description,
		  const struct mdev_region *region, u64 pos, size_t count)
{
	u64 left = region->size - pos;

	if (count <= left)
		return count;
	return description->exact ? 0 : left;
}

static inline ssize_t mdev_describe_read(struct mdev_device *mdev,
					 char __user *buf, size_t count,
					 loff_t *ppos)
{
	const struct mdev_region *region;
	unsigned int index;
	ssize_t ret;
	u64 pos;

	if (!count)
		return 0;
	region = mdev_region_at(mdev->description, *ppos, &index, &pos);
	if (!region || !region->read)
		return -EINVAL;
	count = mdev_access_bound(mdev->description, region, pos, count);
	if (!count)
		return -EINVAL;
	ret = region->read(mdev, index, buf, count, pos);
	if (ret > 0)
		*ppos += ret;
	return ret;
}

static inline ssize_t mdev_describe_write(struct mdev_device *mdev,
					  const char __user *buf, size_t count,
					  loff_t *ppos)
{
	const struct mdev_region *region;
	unsigned int index;
	ssize_t ret;
	u64 pos;

	if (!count)
		return 0;
	region = mdev_region_at(mdev->description, *ppos, &index, &pos);
	if (!region || !region->write)
		return -EINVAL;
	count = mdev_access_bound(mdev->description, region, pos, count);
	if (!count)
		return -EINVAL;
	ret = region->write(mdev, index, buf, count, pos);
	if (ret > 0)
		*ppos += ret;
	return ret;
}

long mdev_describe_ioctl(struct mdev_vfio *vmdev, unsigned int cmd,
			 unsigned long arg);

#endif /* _MDEV_DESCRIBE_H */
