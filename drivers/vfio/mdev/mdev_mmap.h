/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings of a device */
#ifndef _MDEV_MMAP_H
#define _MDEV_MMAP_H

#include <linux/types.h>

struct mdev_vfio;
struct vm_area_struct;

int mdev_mmap(struct mdev_vfio *vmdev, struct vm_area_struct *vma);
bool mdev_mappings_end(struct mdev_vfio *vmdev);
void mdev_mappings_zap(struct mdev_vfio *vmdev);

#endif /* _MDEV_MMAP_H */
