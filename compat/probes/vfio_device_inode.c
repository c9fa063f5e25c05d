// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fs.h>
#include <linux/vfio.h>

struct address_space *probe(struct vfio_device *vdev);

struct address_space *probe(struct vfio_device *vdev)
{
	return vdev->inode->i_mapping;
}
