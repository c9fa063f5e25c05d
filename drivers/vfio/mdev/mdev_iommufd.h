/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory of a holder that uses an iommufd in place of a type 1 container.
 */
#ifndef _MDEV_IOMMUFD_H
#define _MDEV_IOMMUFD_H

#include <linux/types.h>
#include <linux/vfio.h>

#include "compat.h"

struct mdev_device;

#if defined(HAVE_VFIO_IOMMUFD_OPS) && IS_ENABLED(CONFIG_IOMMUFD)

/* May be called while the device is open */
static inline bool mdev_iommufd_is_used(const struct vfio_device *vdev)
{
	return vdev->iommufd_access;
}

int mdev_iommufd_pin(struct vfio_device *vdev, dma_addr_t iova, int npage,
		     int prot, struct page **pages);
void mdev_iommufd_unpin(struct vfio_device *vdev, dma_addr_t iova, int npage);
int mdev_iommufd_rw(struct vfio_device *vdev, dma_addr_t iova, void *data,
		    size_t len, bool write);
bool mdev_iommufd_keeps_out(const struct vfio_device *vdev,
			    const struct mdev_device *mdev);

#else

static inline bool mdev_iommufd_is_used(const struct vfio_device *vdev)
{
	return false;
}

static inline int mdev_iommufd_pin(struct vfio_device *vdev, dma_addr_t iova,
				   int npage, int prot, struct page **pages)
{
	return -EOPNOTSUPP;
}

static inline void mdev_iommufd_unpin(struct vfio_device *vdev, dma_addr_t iova,
				      int npage)
{
}

static inline int mdev_iommufd_rw(struct vfio_device *vdev, dma_addr_t iova,
				  void *data, size_t len, bool write)
{
	return -EOPNOTSUPP;
}

static inline bool mdev_iommufd_keeps_out(const struct vfio_device *vdev,
					  const struct mdev_device *mdev)
{
	return false;
}

#endif

#endif /* _MDEV_IOMMUFD_H */
