/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vfio-ccw: guest memory, as the translator of channel programs sees it
 */
#ifndef VFIO_CCW_PAGES_H
#define VFIO_CCW_PAGES_H

#include <linux/types.h>

struct ccw_cp_mem_ops;
struct mdev_device;
struct vfio_ccw_pages;

/* Their context is a struct vfio_ccw_pages */
extern const struct ccw_cp_mem_ops vfio_ccw_pages_ops;

struct vfio_ccw_pages *vfio_ccw_pages_alloc(struct mdev_device *mdev);
void vfio_ccw_pages_begin(struct vfio_ccw_pages *pages);
bool vfio_ccw_pages_are_unmapped(struct vfio_ccw_pages *pages);
void vfio_ccw_pages_unmap(struct vfio_ccw_pages *pages, u64 iova, u64 length);
void vfio_ccw_pages_free(struct vfio_ccw_pages *pages);

#endif /* VFIO_CCW_PAGES_H */
