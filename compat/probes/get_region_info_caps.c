// SPDX-License-Identifier: GPL-2.0-only
#include <linux/vfio.h>

static int get_region_info_caps(struct vfio_device *vdev,
				struct vfio_region_info *info,
				struct vfio_info_cap *caps)
{
	return 0;
}

const struct vfio_device_ops probe = {
	.get_region_info_caps = get_region_info_caps,
};
