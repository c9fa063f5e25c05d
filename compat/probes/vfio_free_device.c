// SPDX-License-Identifier: GPL-2.0-only
#include <linux/vfio.h>

const struct vfio_device_ops probe = {
	.release = vfio_free_device,
};
