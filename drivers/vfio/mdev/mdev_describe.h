/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices that the parent driver has described */
#ifndef _MDEV_DESCRIBE_H
#define _MDEV_DESCRIBE_H

#include <linux/mdev_describe.h>
#include <linux/nospec.h>

#include "mdev_vfio.h"

/*
 * The region that an offset of the device's file belongs to, or NULL if there is
 * none; and the position in it, which may be behind its end
 */
static inline const struct mdev_region *
mdev_region_at(const struct mdev_description *description, loff_t offset,
	       unsigned int *index, u64 *pos)
{
	const unsigned int shift = description->region_shift;
	u64 nr = (u64)offset >> shift;

	if (nr >= description->nr_regions)
		return NULL;
	*pos = offset - (nr << shift);
	*index = nr;
	*index = array_index_nospec(*index, description->nr_regions);
	return &description->regions[*index];
}

/*
 * The same for an access of *@count bytes; cuts *@count at the end of the
 * region. NULL if the access is refused. A count is at most MAX_RW_COUNT, and
 * @pos is below 1 << 62: nothing overflows.
 */
static inline const struct mdev_region *
mdev_access_at(const struct mdev_description *description, loff_t offset,
	       size_t *count, unsigned int *index, u64 *pos)
{
	const struct mdev_region *region =
		mdev_region_at(description, offset, index, pos);

	if (!region || likely(*pos + *count <= region->size))
		return region;
	if (description->exact || *pos >= region->size)
		return NULL;
	*count = region->size - *pos;
	return region;
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
	region = mdev_access_at(mdev->description, *ppos, &count, &index, &pos);
	if (!region || !region->read)
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
	region = mdev_access_at(mdev->description, *ppos, &count, &index, &pos);
	if (!region || !region->write)
		return -EINVAL;
	ret = region->write(mdev, index, buf, count, pos);
	if (ret > 0)
		*ppos += ret;
	return ret;
}

long mdev_describe_ioctl(struct mdev_vfio *vmdev, unsigned int cmd,
			 unsigned long arg);

#endif /* _MDEV_DESCRIBE_H */
