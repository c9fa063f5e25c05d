// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory of a holder that uses an iommufd in place of a type 1 container.
 *
 * VFIO lets a holder take a group from its iommufd while devices are open. The
 * holder can then give it a type 1 container. VFIO's own functions would pin in
 * this container, which does not know the devices, and gives them no notices. If
 * the holder opened a device again, VFIO would take the device from a container
 * at the end that it was never added to. So pages are pinned where the device
 * was opened, and a device that is open by iommufd is not opened again.
 */
#include "mdev_iommufd.h"

#if defined(HAVE_VFIO_IOMMUFD_OPS) && IS_ENABLED(CONFIG_IOMMUFD)

#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/sched.h>

#include "mdev_device.h"

MODULE_INFO(import_ns, "IOMMUFD");

/**
 * mdev_iommufd_unpin - undo mdev_iommufd_pin()
 * @vdev: VFIO's device, which is open
 * @iova: the address of the first page
 * @npage: how many; zero is none
 *
 * Context: process context; does not wait for user space.
 */
void mdev_iommufd_unpin(struct vfio_device *vdev, dma_addr_t iova, int npage)
{
	/* iommufd unpins what one call has pinned */
	for (; npage > 0; npage--, iova += PAGE_SIZE)
		iommufd_access_unpin_pages(vdev->iommufd_access,
					   iova & PAGE_MASK, PAGE_SIZE);
}

/**
 * mdev_iommufd_pin - pin consecutive pages, each by itself
 * @vdev: VFIO's device, which is open
 * @iova: the address of the first page
 * @npage: how many; at most VFIO_PIN_PAGES_MAX_ENTRIES
 * @prot: IOMMU_READ, IOMMU_WRITE or both
 * @pages: the pages, on success
 *
 * Context: process context, may wait for user space.
 * Return: @npage, or a negative errno: then none is pinned.
 */
int mdev_iommufd_pin(struct vfio_device *vdev, dma_addr_t iova, int npage,
		     int prot, struct page **pages)
{
	unsigned int flags = prot & IOMMU_WRITE ? IOMMUFD_ACCESS_RW_WRITE : 0;
	dma_addr_t at = iova & PAGE_MASK;
	int done, ret;

	if (npage > VFIO_PIN_PAGES_MAX_ENTRIES)
		return -E2BIG;
	for (done = 0; done < npage; done++, at += PAGE_SIZE) {
		ret = iommufd_access_pin_pages(vdev->iommufd_access, at,
					       PAGE_SIZE, pages + done, flags);
		if (ret) {
			mdev_iommufd_unpin(vdev, iova, done);
			return ret;
		}
	}
	return done;
}

/**
 * mdev_iommufd_rw - read or write guest memory by the CPU
 * @vdev: VFIO's device, which is open
 * @iova: the address of the first byte
 * @data: the kernel's buffer
 * @len: how many bytes
 * @write: from @data to the guest, otherwise from the guest to @data
 *
 * Context: process context, may wait for user space.
 * Return: 0 or a negative errno.
 */
int mdev_iommufd_rw(struct vfio_device *vdev, dma_addr_t iova, void *data,
		    size_t len, bool write)
{
	unsigned int flags = write ? IOMMUFD_ACCESS_RW_WRITE : 0;

	if (!data || !len)
		return -EINVAL;
	/* A kernel thread has no memory of user space of its own */
	if (!current->mm)
		flags |= IOMMUFD_ACCESS_RW_KTHREAD;
	return iommufd_access_rw(vdev->iommufd_access, iova, data, len, flags);
}

/**
 * mdev_iommufd_keeps_out - is a second open of a device to be refused?
 * @vdev: VFIO's device
 * @mdev: the mediated device
 *
 * A device that is open by a type 1 container can be opened again: the group
 * keeps its container then. Only one such open at a time is on its way, because
 * VFIO makes it later. By then the holder may have closed the device, and given
 * the group an iommufd. If two were on their way, the first one would open the
 * device by the iommufd, and the second one again, when the group has a
 * container.
 *
 * Context: under VFIO's lock of the group's devices. VFIO takes its reference to
 * the device under it, so no other open can begin: what is on its way can only
 * become less. So that is looked at first.
 *
 * Return: whether the device is open in another way, or being opened.
 */
bool mdev_iommufd_keeps_out(const struct vfio_device *vdev,
			    const struct mdev_device *mdev)
{
	unsigned int refs = refcount_read(&vdev->refcount);
	int opens;

	/* An open on its way has a reference first, and is counted later */
	smp_rmb();
	opens = max(vfio_device_open_count(vdev), 0);
	if (refs > 1 + opens)
		return true;
	if (!opens)
		return false;
	/* It is counted first, and held later */
	smp_rmb();
	if (!mdev_is_held(mdev))
		return true;
	/* It was there before the device was held */
	smp_rmb();
	return READ_ONCE(vdev->iommufd_access);
}

#endif
