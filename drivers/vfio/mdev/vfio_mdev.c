// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_mdev: the driver that makes a VFIO device of each mediated device.
 *
 * Between create and remove, this is the only file that calls the parent
 * driver. What VFIO calls is forwarded from here, one function an operation.
 */
#include <linux/export.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/vfio.h>

#include "compat.h"
#include "mdev_private.h"
#include "mdev_trace.h"

/**
 * struct vfio_mdev - the VFIO device of a mediated device
 * @vdev: VFIO's part; its last reference frees this
 * @mdev: while registered, @vdev holds a reference to its struct device
 */
struct vfio_mdev {
	struct vfio_device vdev;
	struct mdev_device *mdev;
};

static struct mdev_device *vfio_mdev_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct vfio_mdev, vdev)->mdev;
}

static const struct mdev_parent_ops *
vfio_mdev_ops_of(const struct mdev_device *mdev)
{
	return mdev_parent(mdev)->ops;
}

/*
 * The last part of open, for the first descriptor. The parent's module stays
 * from here to the end of close.
 */
static int vfio_mdev_open(struct vfio_device *vdev)
{
	struct mdev_device *mdev = vfio_mdev_of(vdev);
	const struct mdev_parent_ops *ops = vfio_mdev_ops_of(mdev);
	int ret;

	ret = mdev_use_begin(mdev);
	if (ret)
		goto out;

	if (!try_module_get(ops->owner)) {
		ret = -ENODEV;
		goto end_use;
	}

	if (ops->open)
		ret = ops->open(mdev);
	if (ret)
		goto put_module;

	mdev_use_held(mdev);
	goto out;

put_module:
	module_put(ops->owner);
end_use:
	mdev_use_end(mdev);
out:
	trace_mdev_open(&mdev->uuid, ret);
	return ret;
}

static void vfio_mdev_close(struct vfio_device *vdev)
{
	struct mdev_device *mdev = vfio_mdev_of(vdev);
	const struct mdev_parent_ops *ops = vfio_mdev_ops_of(mdev);
	struct module *owner = ops->owner;

	trace_mdev_close(&mdev->uuid);
	mdev_use_closing(mdev);
	if (ops->release)
		ops->release(mdev);
	mdev_triggers_drop(mdev);
	/* Whoever waits for the device goes on; VFIO still holds it for us */
	mdev_use_end(mdev);
	/* Pairs with try_module_get() in vfio_mdev_open() */
	module_put(owner);
}

static ssize_t vfio_mdev_read(struct vfio_device *vdev, char __user *buf,
			      size_t count, loff_t *ppos)
{
	struct mdev_device *mdev = vfio_mdev_of(vdev);
	const struct mdev_parent_ops *ops = vfio_mdev_ops_of(mdev);

	return ops->read ? ops->read(mdev, buf, count, ppos) : -EINVAL;
}

static ssize_t vfio_mdev_write(struct vfio_device *vdev,
			       const char __user *buf, size_t count,
			       loff_t *ppos)
{
	struct mdev_device *mdev = vfio_mdev_of(vdev);
	const struct mdev_parent_ops *ops = vfio_mdev_ops_of(mdev);

	return ops->write ? ops->write(mdev, buf, count, ppos) : -EINVAL;
}

static long vfio_mdev_ioctl(struct vfio_device *vdev, unsigned int cmd,
			    unsigned long arg)
{
	struct mdev_device *mdev = vfio_mdev_of(vdev);
	const struct mdev_parent_ops *ops = vfio_mdev_ops_of(mdev);

	return ops->ioctl ? ops->ioctl(mdev, cmd, arg) : -EINVAL;
}

static int vfio_mdev_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct mdev_device *mdev = vfio_mdev_of(vdev);
	const struct mdev_parent_ops *ops = vfio_mdev_ops_of(mdev);

	return ops->mmap ? ops->mmap(mdev, vma) : -EINVAL;
}

static void vfio_mdev_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct mdev_device *mdev = vfio_mdev_of(vdev);
	const struct mdev_parent_ops *ops = vfio_mdev_ops_of(mdev);

	if (ops->dma_unmap)
		ops->dma_unmap(mdev, iova, length);
}

/* The parent has the callback; called with the mdev's lock held */
void vfio_mdev_request(struct mdev_device *mdev, unsigned int count)
{
	vfio_mdev_ops_of(mdev)->request(mdev, count);
}

/*
 * VFIO waits for who still refers to a device that is being unregistered. That
 * comes after our own wait, so it is most often a close on its way out; what
 * stays longer is a descriptor of a kernel with CONFIG_VFIO_DEVICE_CDEV that
 * was opened, but not bound to an IOMMU.
 */
static void vfio_mdev_last_request(struct vfio_device *vdev, unsigned int count)
{
	mdev_request_once(vfio_mdev_of(vdev));
	/* After ten seconds */
	if (count == 1)
		dev_warn(vdev->dev, "removal waits for a file descriptor of the device to be closed\n");
}

/*
 * Open by name, which is each descriptor's first step. This keeps a second one
 * out too, while a removal waits for the first; vfio_mdev_open() only sees the
 * first, and decides under the lock.
 */
static int vfio_mdev_match(struct vfio_device *vdev, char *name)
{
	if (strcmp(dev_name(vdev->dev), name))
		return 0;
	return READ_ONCE(vfio_mdev_of(vdev)->evictors) ? -EBUSY : 1;
}

static const struct vfio_device_ops vfio_mdev_device_ops = {
	.name		= "vfio-mdev",
	.open_device	= vfio_mdev_open,
	.close_device	= vfio_mdev_close,
	.read		= vfio_mdev_read,
	.write		= vfio_mdev_write,
	.ioctl		= vfio_mdev_ioctl,
	.mmap		= vfio_mdev_mmap,
	.request	= vfio_mdev_last_request,
	.match		= vfio_mdev_match,
	.dma_unmap	= vfio_mdev_dma_unmap,
	VFIO_EMULATED_IOMMUFD_OPS
	VFIO_DEVICE_FREE_OPS
};

static int vfio_mdev_probe(struct device *dev)
{
	struct mdev_device *mdev = to_mdev_device(dev);
	struct vfio_mdev *vmdev;
	int ret;

	vmdev = vfio_alloc_device(vfio_mdev, vdev, dev, &vfio_mdev_device_ops);
	if (IS_ERR(vmdev))
		return PTR_ERR(vmdev);
	vmdev->mdev = mdev;
	mdev->vdev = &vmdev->vdev;

	/*
	 * Else the registration does that, but takes no notice of a failure:
	 * the first user would find no set.
	 */
	ret = vfio_assign_device_set(&vmdev->vdev, &vmdev->vdev);
	if (ret)
		goto put_vmdev;

	/* A user can be there before the registration has returned */
	mdev_live(mdev, true);
	ret = vfio_register_emulated_iommu_dev(&vmdev->vdev);
	if (ret)
		goto not_live;
	return 0;

not_live:
	mdev_live(mdev, false);
put_vmdev:
	mdev->vdev = NULL;
	vfio_put_device(&vmdev->vdev);
	return ret;
}

static void vfio_mdev_remove(struct device *dev)
{
	struct mdev_device *mdev = to_mdev_device(dev);
	struct vfio_device *vdev = mdev->vdev;
	sigset_t all, old;

	/* At once in a teardown, which has no user; an unbind has to wait */
	mdev_evict_begin(mdev);
	wait_event_idle(mdev_parent(mdev)->wait,
			READ_ONCE(mdev->use) == MDEV_FREE);
	/*
	 * What VFIO waits for now is a close on its way out. A signal that is
	 * pending would not end that wait, but make it say that the device is
	 * in use.
	 */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	vfio_unregister_group_dev(vdev);
	sigprocmask(SIG_SETMASK, &old, NULL);
	mdev->vdev = NULL;
	mdev_evict_end(mdev);
	/* Pairs with vfio_alloc_device() in vfio_mdev_probe() */
	vfio_put_device(vdev);
}

struct mdev_driver vfio_mdev_driver = {
	.name	= "vfio_mdev",
	.probe	= vfio_mdev_probe,
	.remove	= vfio_mdev_remove,
};

/* There is guest memory only while the mdev is in use */
static bool vfio_mdev_in_use(struct mdev_device *mdev)
{
	return READ_ONCE(mdev->use) != MDEV_FREE;
}

/**
 * mdev_pin_pages - pin consecutive pages of guest memory
 * @mdev: the device, which is open
 * @iova: the address of the first page, as the user mapped it
 * @npage: how many; at most VFIO_PIN_PAGES_MAX_ENTRIES
 * @prot: IOMMU_READ, IOMMU_WRITE or both: what the device does to them
 * @pages: the pages, on success
 *
 * Context: process context, may sleep. Between the start of the open callback
 * and the return of the release callback.
 * Return: @npage, or less where only that many could be pinned, or a negative
 * errno: -EOPNOTSUPP where the parent driver has no dma_unmap callback, -ENODEV
 * where the device is not open, or what vfio_pin_pages() gives.
 */
int mdev_pin_pages(struct mdev_device *mdev, dma_addr_t iova, int npage,
		   int prot, struct page **pages)
{
	/*
	 * VFIO's type 1 IOMMU stops the machine when a page is still pinned
	 * after it said that the range goes away: somebody has to hear it.
	 */
	if (!vfio_mdev_ops_of(mdev)->dma_unmap)
		return -EOPNOTSUPP;
	if (!vfio_mdev_in_use(mdev))
		return -ENODEV;
	return vfio_pin_pages(mdev->vdev, iova, npage, prot, pages);
}
EXPORT_SYMBOL_GPL(mdev_pin_pages);

/**
 * mdev_unpin_pages - undo mdev_pin_pages()
 * @mdev: the device
 * @iova: the address of the first page
 * @npage: how many
 *
 * Does nothing where the device is not open: then no page is pinned.
 *
 * Context: as for mdev_pin_pages().
 */
void mdev_unpin_pages(struct mdev_device *mdev, dma_addr_t iova, int npage)
{
	if (vfio_mdev_in_use(mdev))
		vfio_unpin_pages(mdev->vdev, iova, npage);
}
EXPORT_SYMBOL_GPL(mdev_unpin_pages);

/**
 * mdev_dma_rw - read or write guest memory by the CPU
 * @mdev: the device, which is open
 * @iova: the address of the first byte, as the user mapped it
 * @data: the kernel's buffer
 * @len: how many bytes
 * @write: from @data to the guest, otherwise from the guest to @data
 *
 * Context: as for mdev_pin_pages().
 * Return: 0 or a negative errno: -ENODEV where the device is not open, or what
 * vfio_dma_rw() gives.
 */
int mdev_dma_rw(struct mdev_device *mdev, dma_addr_t iova, void *data,
		size_t len, bool write)
{
	if (!vfio_mdev_in_use(mdev))
		return -ENODEV;
	return vfio_dma_rw(mdev->vdev, iova, data, len, write);
}
EXPORT_SYMBOL_GPL(mdev_dma_rw);
