// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_mdev: the driver that makes a VFIO device of each mediated device.
 *
 * It forwards the calls of VFIO to the parent driver, one function an
 * operation, through the gate that mdev_gate.h describes. Other files call the
 * parent driver between create and remove, too: mdev_describe.[ch] for a
 * described device, mdev_mmap.c for mappings, mdev_dma.c for guest memory that
 * goes away, mdev_request.c for a request, mdev_migration.c to migrate, and
 * mdev_revoke.c to revoke.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/vfio.h>

#include "compat.h"
#include "mdev_describe.h"
#include "mdev_group.h"
#include "mdev_iommufd.h"
#include "mdev_irqs.h"
#include "mdev_migration.h"
#include "mdev_mmap.h"
#include "mdev_phys.h"
#include "mdev_region.h"
#include "mdev_request.h"
#include "mdev_revoke.h"
#include "mdev_trace.h"
#include "mdev_triggers.h"
#include "mdev_vfio.h"

/* VFIO opens and closes one at a time */
static int mdev_vfio_new_use(struct mdev_vfio *vmdev)
{
	struct mdev_use *use = kzalloc(sizeof(*use), MDEV_GFP_HOLDER);

	if (!use)
		return -ENOMEM;
	refcount_set(&use->refs, 1);
	use->vmdev = vmdev;
	mdev_dma_init(&use->dma);
	spin_lock_init(&use->holder.lock);
	mutex_init(&use->irqs_lock);
	mdev_migration_init(&use->migrating, vmdev->ops->migration);

	mutex_lock(&vmdev->mdev->lock);
	vmdev->use = use;
	mutex_unlock(&vmdev->mdev->lock);
	return 0;
}

static void mdev_vfio_end_use(struct mdev_vfio *vmdev)
{
	struct mdev_use *use = vmdev->use;

	mutex_lock(&vmdev->mdev->lock);
	WRITE_ONCE(vmdev->use, NULL);
	mutex_unlock(&vmdev->mdev->lock);
	mdev_migration_end(&use->migrating);
	/* Pairs with refcount_set() in mdev_vfio_new_use() */
	mdev_use_put(use);
}

/* The last part of open, for the first descriptor */
static int mdev_vfio_open(struct vfio_device *vdev)
{
	struct mdev_vfio *vmdev = to_mdev_vfio(vdev);
	struct mdev_device *mdev = vmdev->mdev;
	int ret = -ENODEV;

	if (!READ_ONCE(vmdev->settled) || !mdev_gate_enter(&vmdev->gate))
		goto out;

	ret = mdev_vfio_new_use(vmdev);
	if (ret)
		goto leave_gate;

	ret = mdev_use_begin(mdev);
	if (ret)
		goto end_use_of_vmdev;

	ret = mdev_owner_get(vmdev);
	if (ret)
		goto end_use;

	if (vmdev->ops->open)
		ret = vmdev->ops->open(mdev);
	if (ret)
		goto put_owner;

	mdev_use_held(mdev);
	goto leave_gate;

put_owner:
	mdev_owner_put(vmdev);
end_use:
	mdev_use_failed(mdev);
end_use_of_vmdev:
	mdev_vfio_end_use(vmdev);
leave_gate:
	mdev_gate_leave(&vmdev->gate);
out:
	trace_mdev_open(&mdev->uuid, ret);
	return ret;
}

/*
 * Inside the gate. Returns whether release has done its work. If release was
 * outside when the gate was closed, it has not: then revoke does this work.
 */
static bool mdev_vfio_release(struct mdev_vfio *vmdev)
{
	mdev_use_closing(vmdev->mdev);
	if (!vmdev->ops->release)
		return true;

	WRITE_ONCE(vmdev->use->closer, current);
	vmdev->ops->release(vmdev->mdev);
	WRITE_ONCE(vmdev->use->closer, NULL);
	return !vmdev->use->cut_short;
}

/* Until this returns, VFIO keeps the device, and pages can be unpinned */
static void mdev_vfio_close(struct vfio_device *vdev)
{
	struct mdev_vfio *vmdev = to_mdev_vfio(vdev);
	struct mdev_device *mdev = vmdev->mdev;

	trace_mdev_close(&mdev->uuid);
	if (mdev_call_begin(&vmdev->gate)) {
		if (mdev_vfio_release(vmdev)) {
			mdev_triggers_drop(mdev);
			mdev_owner_put(vmdev);
			mdev_use_end(mdev);
		}
		mdev_call_end(&vmdev->gate);
	}
	/* Revoke gives back pages, too, and then names the holder */
	if (mdev_gate_is_closed(&vmdev->gate))
		mdev_gate_wait_quiet(&vmdev->gate);
	mdev_dma_closed(vmdev->use);
	mdev_wait_timeout(!mdev_is_in_use(mdev), TASK_IDLE,
			  MAX_SCHEDULE_TIMEOUT);
	mdev_vfio_end_use(vmdev);
	if (mdev_iommufd_is_used(vdev))
		mdev_group_released(mdev->shell.group_id);
}

/*
 * Read, write and ioctl: most often, each is one call inside the gate. If the
 * holder's memory was not present, it is faulted in outside of the gate, and
 * the call is made again. This is apart, so that other calls do not pay for it.
 * Pages that the call has given back are unpinned outside as well.
 */

static inline void mdev_vfio_call_end(struct mdev_vfio *vmdev)
{
	mdev_call_end(&vmdev->gate);
	if (unlikely(mdev_dma_has_unpins(&vmdev->use->dma)))
		mdev_dma_flush(vmdev->use);
}

static inline ssize_t mdev_vfio_call_read(struct mdev_vfio *vmdev,
					  char __user *buf, size_t count,
					  loff_t *ppos)
{
	ssize_t ret = -EINVAL;

	if (!mdev_call_begin(&vmdev->gate))
		return -ENODEV;
	if (vmdev->mdev->description)
		ret = mdev_describe_read(vmdev->mdev, buf, count, ppos);
	else if (vmdev->ops->read)
		ret = vmdev->ops->read(vmdev->mdev, buf, count, ppos);
	mdev_vfio_call_end(vmdev);
	return ret;
}

static noinline ssize_t mdev_vfio_read_again(struct mdev_vfio *vmdev,
					     char __user *buf, size_t count,
					     loff_t *ppos)
{
	unsigned int tries = 0;
	ssize_t ret = -EFAULT;

	while (ret == -EFAULT &&
	       mdev_gate_fault_in(&vmdev->gate, buf, count, true, &tries))
		ret = mdev_vfio_call_read(vmdev, buf, count, ppos);
	return ret;
}

static ssize_t mdev_vfio_read(struct vfio_device *vdev, char __user *buf,
			      size_t count, loff_t *ppos)
{
	struct mdev_vfio *vmdev = to_mdev_vfio(vdev);
	ssize_t ret;

	ret = mdev_vfio_call_read(vmdev, buf, count, ppos);
	return likely(ret != -EFAULT) ?
	       ret : mdev_vfio_read_again(vmdev, buf, count, ppos);
}

static inline ssize_t mdev_vfio_call_write(struct mdev_vfio *vmdev,
					   const char __user *buf,
					   size_t count, loff_t *ppos)
{
	ssize_t ret = -EINVAL;

	if (!mdev_call_begin(&vmdev->gate))
		return -ENODEV;
	if (vmdev->mdev->description)
		ret = mdev_describe_write(vmdev->mdev, buf, count, ppos);
	else if (vmdev->ops->write)
		ret = vmdev->ops->write(vmdev->mdev, buf, count, ppos);
	mdev_vfio_call_end(vmdev);
	return ret;
}

static noinline ssize_t mdev_vfio_write_again(struct mdev_vfio *vmdev,
					      const char __user *buf,
					      size_t count, loff_t *ppos)
{
	unsigned int tries = 0;
	ssize_t ret = -EFAULT;

	while (ret == -EFAULT &&
	       mdev_gate_fault_in(&vmdev->gate, buf, count, false, &tries))
		ret = mdev_vfio_call_write(vmdev, buf, count, ppos);
	return ret;
}

static ssize_t mdev_vfio_write(struct vfio_device *vdev,
			       const char __user *buf, size_t count,
			       loff_t *ppos)
{
	struct mdev_vfio *vmdev = to_mdev_vfio(vdev);
	ssize_t ret;

	ret = mdev_vfio_call_write(vmdev, buf, count, ppos);
	return likely(ret != -EFAULT) ?
	       ret : mdev_vfio_write_again(vmdev, buf, count, ppos);
}

static inline long mdev_vfio_call_ioctl(struct mdev_vfio *vmdev,
					unsigned int cmd, unsigned long arg)
{
	long ret = -EINVAL;

	if (!mdev_call_begin(&vmdev->gate))
		return -ENODEV;
	if (vmdev->mdev->description)
		ret = mdev_describe_ioctl(vmdev, cmd, arg);
	else if (vmdev->ops->ioctl)
		ret = vmdev->ops->ioctl(vmdev->mdev, cmd, arg);
	/* If the call was outside, ops may be gone: check the gate before */
	if (cmd == VFIO_DEVICE_RESET && !ret &&
	    !mdev_gate_is_closed(&vmdev->gate) && vmdev->ops->migration)
		ret = mdev_migration_was_reset(vmdev);
	mdev_vfio_call_end(vmdev);
	return ret;
}

static long mdev_vfio_ioctl(struct vfio_device *vdev, unsigned int cmd,
			    unsigned long arg)
{
	struct mdev_vfio *vmdev = to_mdev_vfio(vdev);
	unsigned int tries = 0;
	long ret;

	do {
		ret = mdev_vfio_call_ioctl(vmdev, cmd, arg);
	} while (ret == -EFAULT &&
		 mdev_gate_fault_in_arg(&vmdev->gate, arg, &tries));
	/* A revoked device has no interrupts any more */
	if (ret == -ENODEV && cmd == VFIO_DEVICE_SET_IRQS &&
	    mdev_gate_is_closed(&vmdev->gate) &&
	    mdev_irqs_are_taken_away((void __user *)arg))
		return 0;
	return ret;
}

/* For a driver that answers the ioctl itself; see mdev_region.c */
static int mdev_vfio_region_ioctl(struct vfio_device *vdev,
				  struct vfio_region_info *info)
{
	void __user *arg = mdev_region_arg(info);
	long ret;

	if (!arg)
		return -EINVAL;
	ret = mdev_vfio_ioctl(vdev, VFIO_DEVICE_GET_REGION_INFO,
			      (unsigned long)arg);
	return ret ?: mdev_region_read_back(info, arg);
}

/* Newer kernels' VFIO reads and writes the holder's memory itself */
static int __maybe_unused
mdev_vfio_get_region_info_caps(struct vfio_device *vdev,
			       struct vfio_region_info *info,
			       struct vfio_info_cap *caps)
{
	struct mdev_vfio *vmdev = to_mdev_vfio(vdev);
	int ret;

	if (!vmdev->mdev->description)
		return mdev_vfio_region_ioctl(vdev, info);
	if (!mdev_call_begin(&vmdev->gate))
		return -ENODEV;
	ret = mdev_region_describe(vmdev->mdev->description, info, caps);
	mdev_vfio_call_end(vmdev);
	return ret;
}

/* VFIO_DEVICE_FEATURE: VFIO answers migration itself, and there is no other */
static int mdev_vfio_feature(struct vfio_device *vdev, u32 flags,
			     void __user *arg, size_t size)
{
	return mdev_gate_is_closed(&to_mdev_vfio(vdev)->gate) ?
	       -ENODEV : -ENOTTY;
}

static struct file *
mdev_vfio_set_migration_state(struct vfio_device *vdev,
			      enum vfio_device_mig_state state)
{
	struct mdev_vfio *vmdev = to_mdev_vfio(vdev);
	struct file *spare = mdev_migration_prepare(vmdev, state);
	struct file *file = ERR_PTR(-ENODEV);

	if (mdev_call_begin(&vmdev->gate)) {
		file = mdev_migration_set_state(vmdev, state, &spare);
		mdev_vfio_call_end(vmdev);
	}
	if (!IS_ERR_OR_NULL(spare))
		fput(spare);
	if (file != ERR_PTR(-ENODEV) || !mdev_gate_is_closed(&vmdev->gate))
		return file;
	/* The last calls and the parent driver's revoke may be under way */
	mdev_wait_timeout(!mdev_is_in_use(vmdev->mdev), TASK_IDLE,
			  MAX_SCHEDULE_TIMEOUT);
	return ERR_PTR(mdev_migration_set_revoked(vmdev, state));
}

static int mdev_vfio_get_migration_state(struct vfio_device *vdev,
					 enum vfio_device_mig_state *state)
{
	*state = mdev_migration_state(to_mdev_vfio(vdev));
	return 0;
}

static int __maybe_unused
mdev_vfio_get_migration_size(struct vfio_device *vdev, unsigned long *size)
{
	*size = mdev_migration_size(to_mdev_vfio(vdev));
	return 0;
}

static const struct vfio_migration_ops mdev_vfio_migration_ops = {
	.migration_set_state = mdev_vfio_set_migration_state,
	.migration_get_state = mdev_vfio_get_migration_state,
	VFIO_MIGRATION_SIZE_OP(mdev_vfio_get_migration_size)
};

static int mdev_vfio_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct mdev_vfio *vmdev = to_mdev_vfio(vdev);
	int ret;

	if (!mdev_gate_enter(&vmdev->gate))
		return -ENODEV;
	ret = mdev_mmap(vmdev, vma);
	mdev_gate_leave(&vmdev->gate);
	return ret;
}

static void mdev_vfio_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	mdev_dma_unmap(to_mdev_vfio(vdev), iova, length);
}

/* VFIO calls this while it unregisters a device that is referenced */
static void mdev_vfio_request(struct vfio_device *vdev, unsigned int count)
{
	mdev_shell_waits(to_mdev_vfio(vdev));
}

/*
 * Open by name, the first step of each descriptor. While a removal waits for
 * the first descriptor, this keeps out a second one, too. mdev_vfio_open() is
 * called for the first one only, and decides under the lock.
 */
static int mdev_vfio_match(struct vfio_device *vdev, char *name)
{
	struct mdev_vfio *vmdev = to_mdev_vfio(vdev);

	if (strcmp(dev_name(&vmdev->mdev->dev), name) ||
	    !READ_ONCE(vmdev->settled) || READ_ONCE(vmdev->closing))
		return 0;
	if (READ_ONCE(vmdev->mdev->request.evictors) ||
	    mdev_iommufd_keeps_out(vdev, vmdev->mdev))
		return -EBUSY;
	return 1;
}

/* VFIO looks at the operations until its device is freed */
static int mdev_vfio_init(struct vfio_device *vdev)
{
	/* Pairs with module_put() in mdev_vfio_free() */
	__module_get(THIS_MODULE);
	return 0;
}

/* The unload waits until no thread is on its way out of here: see mdev_exit() */
static void mdev_vfio_free(struct vfio_device *vdev)
{
	vfio_release_memory(vdev);
	module_put(THIS_MODULE);
}

static const struct vfio_device_ops mdev_vfio_ops = {
	.name		= "vfio-mdev",
	.init		= mdev_vfio_init,
	.release	= mdev_vfio_free,
	.open_device	= mdev_vfio_open,
	.close_device	= mdev_vfio_close,
	.read		= mdev_vfio_read,
	.write		= mdev_vfio_write,
	.ioctl		= mdev_vfio_ioctl,
	VFIO_REGION_INFO_OPS(mdev_vfio_get_region_info_caps)
	.mmap		= mdev_vfio_mmap,
	.request	= mdev_vfio_request,
	.match		= mdev_vfio_match,
	.dma_unmap	= mdev_vfio_dma_unmap,
	.device_feature	= mdev_vfio_feature,
	VFIO_EMULATED_IOMMUFD_OPS
};

static int mdev_vfio_probe(struct device *dev)
{
	struct mdev_device *mdev = to_mdev_device(dev);
	struct mdev_vfio *vmdev;
	struct device *phys;
	int ret;

	if (READ_ONCE(mdev->vmdev)) {
		dev_warn(dev, "cannot rebind to vfio_mdev: the former holder still has the device or its VFIO group open\n");
		return -EBUSY;
	}

	phys = mdev_phys_new(mdev, dev->driver);
	if (!phys)
		return -ENOMEM;
	vmdev = vfio_alloc_device(mdev_vfio, vdev, dev, &mdev_vfio_ops);
	if (IS_ERR(vmdev)) {
		ret = PTR_ERR(vmdev);
		goto free_phys;
	}
	vmdev->mdev = mdev;
	vmdev->ops = mdev_parent(mdev)->ops;
	vmdev->pins = vmdev->ops->dma_unmap;
	mdev_gate_init(&vmdev->gate, vmdev->ops->owner, vmdev->ops->revoke);
	if (vmdev->ops->migration) {
		vmdev->vdev.mig_ops = &mdev_vfio_migration_ops;
		vmdev->vdev.migration_flags =
			mdev_migration_flags(vmdev->ops->migration);
	}

	/*
	 * The registration would do that, too, but it ignores a failure: the
	 * first holder would find no set.
	 */
	ret = vfio_assign_device_set(&vmdev->vdev, &vmdev->vdev);
	if (ret)
		goto put_vmdev;

	ret = vfio_register_emulated_iommu_dev(&vmdev->vdev);
	if (ret)
		goto put_vmdev;

	/*
	 * The registration needed the mediated device, for sysfs. The calls
	 * that follow need a device that has a driver: exchange it before
	 * any process can open it.
	 */
	mdev->revoked = false;
	mdev_shell_init(mdev);
	mutex_lock(&mdev->lock);
	mdev->vmdev = vmdev;
	mutex_unlock(&mdev->lock);
	mutex_lock(&vmdev->vdev.dev_set->lock);
	vmdev->vdev.dev = phys;
	WRITE_ONCE(vmdev->settled, true);
	mutex_unlock(&vmdev->vdev.dev_set->lock);
	return 0;

put_vmdev:
	vfio_put_device(&vmdev->vdev);
free_phys:
	mdev_phys_free(phys);
	return ret;
}

static void mdev_vfio_remove(struct device *dev)
{
	mdev_detach(to_mdev_device(dev)->vmdev);
}

struct mdev_driver mdev_vfio_driver = {
	.name	= "vfio_mdev",
	.probe	= mdev_vfio_probe,
	.remove	= mdev_vfio_remove,
};
