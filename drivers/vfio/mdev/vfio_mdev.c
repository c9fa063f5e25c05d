// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_mdev: the driver that makes a VFIO device of each mediated device.
 *
 * Between create and remove, this is where the parent driver is called (for a
 * mapping's faults, mdev_mmap.c is). What VFIO calls is forwarded from here, one
 * function an operation, through the gate that vfio_mdev.h describes.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/vfio.h>

#include "compat.h"
#include "mdev_trace.h"
#include "vfio_mdev.h"

/*
 * What VFIO takes for the physical device. VFIO looks at its driver at each
 * open, close and ioctl, and a mediated device has none any more when it was
 * revoked: this one always has.
 */
static struct device vfio_mdev_device = {
	.init_name	= "vfio_mdev",
	.driver		= &vfio_mdev_driver.driver,
};

static int vfio_mdev_find_group(const void *vdev, struct file *file,
				unsigned int fd)
{
	if (!vfio_file_has_dev(file, (struct vfio_device *)vdev))
		return 0;
	to_vfio_mdev((struct vfio_device *)vdev)->group_file = get_file(file);
	return 1;
}

/*
 * The last part of open, for the first descriptor. A module whose devices can
 * be revoked may be unloaded while one is open: that revokes it. Any other stays
 * from here to the end of close.
 */
static int vfio_mdev_open(struct vfio_device *vdev)
{
	struct vfio_mdev *vmdev = to_vfio_mdev(vdev);
	struct mdev_device *mdev = vmdev->mdev;
	int ret = -ENODEV;

	if (!READ_ONCE(vmdev->settled) || !mdev_gate_enter(vmdev))
		goto out;

	ret = mdev_use_begin(mdev);
	if (ret)
		goto leave_gate;

	vmdev->owner_held = !vmdev->revocable || !mdev_grace();
	if (vmdev->owner_held && !try_module_get(vmdev->ops->owner)) {
		ret = -ENODEV;
		goto end_use;
	}

	if (vmdev->ops->open)
		ret = vmdev->ops->open(mdev);
	if (ret)
		goto put_owner;

	/* VFIO does not tell whose it is, but it is the caller's */
	if (vmdev->revocable)
		iterate_fd(current->files, 0, vfio_mdev_find_group, vdev);
	mdev_use_held(mdev);
	goto leave_gate;

put_owner:
	if (vmdev->owner_held)
		module_put(vmdev->ops->owner);
end_use:
	mdev_use_end(mdev);
leave_gate:
	mdev_gate_leave(vmdev);
out:
	trace_mdev_open(&mdev->uuid, ret);
	return ret;
}

static void vfio_mdev_close(struct vfio_device *vdev)
{
	struct vfio_mdev *vmdev = to_vfio_mdev(vdev);
	struct mdev_device *mdev = vmdev->mdev;
	struct file *group_file;
	struct module *owner;

	trace_mdev_close(&mdev->uuid);
	if (!mdev_call_begin(vmdev))
		goto revoked;

	owner = vmdev->owner_held ? vmdev->ops->owner : NULL;
	mdev_use_closing(mdev);
	if (vmdev->ops->release)
		vmdev->ops->release(mdev);
	/* It may have waited for user space, and come back too late */
	if (!mdev_use_is_closing(mdev)) {
		mdev_call_end(vmdev);
		goto revoked;
	}
	mdev_triggers_drop(mdev);
	/* Pairs with vfio_mdev_find_group(). VFIO has a reference still */
	group_file = vmdev->group_file;
	vmdev->group_file = NULL;
	if (group_file)
		fput(group_file);
	/* Whoever waits for the device goes on; VFIO still holds it for us */
	mdev_use_end(mdev);
	mdev_call_end(vmdev);
	mdev_unmap_wait(vmdev, MAX_JIFFY_OFFSET);
	/* Pairs with try_module_get() in vfio_mdev_open() */
	module_put(owner);
	return;

revoked:
	/*
	 * VFIO unpins pages only while the device is open, and calls the shell's
	 * thread back only where that is there first.
	 */
	wait_for_completion(&vmdev->shell->unpinned);
	wait_for_completion(&vmdev->shell->off_sysfs);
	mdev_unmap_wait(vmdev, MAX_JIFFY_OFFSET);
}

/*
 * Read, write and ioctl: each is one call inside the gate, most often. Where the
 * user's memory was not there it is brought in, outside, and the call made
 * again; that is apart, so that the others do not pay for it.
 */

static inline ssize_t vfio_mdev_call_read(struct vfio_mdev *vmdev,
					  char __user *buf, size_t count,
					  loff_t *ppos)
{
	ssize_t ret = -EINVAL;

	if (!mdev_call_begin(vmdev))
		return -ENODEV;
	if (vmdev->ops->read)
		ret = vmdev->ops->read(vmdev->mdev, buf, count, ppos);
	mdev_call_end(vmdev);
	return ret;
}

static noinline ssize_t vfio_mdev_read_again(struct vfio_mdev *vmdev,
					     char __user *buf, size_t count,
					     loff_t *ppos)
{
	unsigned int tries = 0;
	ssize_t ret = -EFAULT;

	while (ret == -EFAULT &&
	       mdev_gate_bring_in(vmdev, buf, count, true, &tries))
		ret = vfio_mdev_call_read(vmdev, buf, count, ppos);
	return ret;
}

static ssize_t vfio_mdev_read(struct vfio_device *vdev, char __user *buf,
			      size_t count, loff_t *ppos)
{
	struct vfio_mdev *vmdev = to_vfio_mdev(vdev);
	ssize_t ret;

	ret = vfio_mdev_call_read(vmdev, buf, count, ppos);
	return likely(ret != -EFAULT) ?
	       ret : vfio_mdev_read_again(vmdev, buf, count, ppos);
}

static inline ssize_t vfio_mdev_call_write(struct vfio_mdev *vmdev,
					   const char __user *buf,
					   size_t count, loff_t *ppos)
{
	ssize_t ret = -EINVAL;

	if (!mdev_call_begin(vmdev))
		return -ENODEV;
	if (vmdev->ops->write)
		ret = vmdev->ops->write(vmdev->mdev, buf, count, ppos);
	mdev_call_end(vmdev);
	return ret;
}

static noinline ssize_t vfio_mdev_write_again(struct vfio_mdev *vmdev,
					      const char __user *buf,
					      size_t count, loff_t *ppos)
{
	unsigned int tries = 0;
	ssize_t ret = -EFAULT;

	while (ret == -EFAULT &&
	       mdev_gate_bring_in(vmdev, buf, count, false, &tries))
		ret = vfio_mdev_call_write(vmdev, buf, count, ppos);
	return ret;
}

static ssize_t vfio_mdev_write(struct vfio_device *vdev,
			       const char __user *buf, size_t count,
			       loff_t *ppos)
{
	struct vfio_mdev *vmdev = to_vfio_mdev(vdev);
	ssize_t ret;

	ret = vfio_mdev_call_write(vmdev, buf, count, ppos);
	return likely(ret != -EFAULT) ?
	       ret : vfio_mdev_write_again(vmdev, buf, count, ppos);
}

static inline long vfio_mdev_call_ioctl(struct vfio_mdev *vmdev,
					unsigned int cmd, unsigned long arg)
{
	long ret = -EINVAL;

	if (!mdev_call_begin(vmdev))
		return -ENODEV;
	if (vmdev->ops->ioctl)
		ret = vmdev->ops->ioctl(vmdev->mdev, cmd, arg);
	mdev_call_end(vmdev);
	return ret;
}

static long vfio_mdev_ioctl(struct vfio_device *vdev, unsigned int cmd,
			    unsigned long arg)
{
	struct vfio_mdev *vmdev = to_vfio_mdev(vdev);
	unsigned int tries = 0;
	long ret;

	do {
		ret = vfio_mdev_call_ioctl(vmdev, cmd, arg);
	} while (ret == -EFAULT && mdev_gate_bring_in_arg(vmdev, arg, &tries));
	return ret;
}

/* VFIO_DEVICE_FEATURE, of which VFIO knows none for a mediated device */
static int vfio_mdev_feature(struct vfio_device *vdev, u32 flags,
			     void __user *arg, size_t size)
{
	return READ_ONCE(to_vfio_mdev(vdev)->shell) ? -ENODEV : -ENOTTY;
}

static int vfio_mdev_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct vfio_mdev *vmdev = to_vfio_mdev(vdev);
	int ret;

	if (!mdev_gate_enter(vmdev))
		return -ENODEV;
	ret = mdev_map(vmdev, vma);
	mdev_gate_leave(vmdev);
	return ret;
}

static void vfio_mdev_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct vfio_mdev *vmdev = to_vfio_mdev(vdev);

	if (!mdev_unmap_begin(vmdev))
		return;
	if (mdev_call_begin(vmdev)) {
		if (vmdev->ops->dma_unmap)
			vmdev->ops->dma_unmap(vmdev->mdev, iova, length);
		mdev_call_end(vmdev);
		mdev_unmap_end(vmdev);
	} else {
		mdev_unmap_end(vmdev);
		mdev_shell_wait_quiet(vmdev, UNMAP_WAIT);
	}
}

/*
 * The parent has the callback. Called with the mdev's lock held, and in use: so
 * neither release nor revoke has been called, and the parent is there.
 */
void vfio_mdev_request(struct mdev_device *mdev, unsigned int count)
{
	mdev_parent(mdev)->ops->request(mdev, count);
}

/*
 * VFIO waits for who still refers to a device that is being unregistered: for a
 * shell, its user. Otherwise that comes after our own wait, so it is most often
 * a close on its way out; what stays longer is a descriptor of a kernel with
 * CONFIG_VFIO_DEVICE_CDEV that was opened, but not bound to an IOMMU.
 */
static void vfio_mdev_last_request(struct vfio_device *vdev, unsigned int count)
{
	struct vfio_mdev *vmdev = to_vfio_mdev(vdev);

	if (vmdev->shell) {
		complete_all(&vmdev->shell->off_sysfs);
		mdev_shell_outlive_group(vmdev);
		return;
	}
	mdev_request_once(vmdev->mdev);
	/* After ten seconds */
	if (count == 1)
		dev_warn(&vmdev->mdev->dev, "removal waits for a file descriptor of the device to be closed\n");
}

/*
 * Open by name, which is each descriptor's first step. This keeps a second one
 * out too, while a removal waits for the first; vfio_mdev_open() only sees the
 * first, and decides under the lock.
 */
static int vfio_mdev_match(struct vfio_device *vdev, char *name)
{
	struct vfio_mdev *vmdev = to_vfio_mdev(vdev);

	if (strcmp(dev_name(&vmdev->mdev->dev), name) ||
	    !READ_ONCE(vmdev->settled) || READ_ONCE(vmdev->shell))
		return 0;
	return READ_ONCE(vmdev->mdev->evictors) ? -EBUSY : 1;
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
	.device_feature	= vfio_mdev_feature,
	VFIO_EMULATED_IOMMUFD_OPS
	VFIO_DEVICE_FREE_OPS
};

static int vfio_mdev_probe(struct device *dev)
{
	struct mdev_device *mdev = to_mdev_device(dev);
	struct vfio_mdev *vmdev;
	int ret;

	if (READ_ONCE(mdev->vmdev)) {
		dev_warn(dev, "not bound to vfio_mdev again before the user that it was revoked from has closed it\n");
		return -EBUSY;
	}

	vmdev = vfio_alloc_device(vfio_mdev, vdev, dev, &vfio_mdev_device_ops);
	if (IS_ERR(vmdev))
		return PTR_ERR(vmdev);
	vmdev->mdev = mdev;
	vmdev->ops = mdev_parent(mdev)->ops;
	vmdev->revocable = vmdev->ops->revoke;
	mdev_gate_init(vmdev);
	mdev->vmdev = vmdev;

	/*
	 * Else the registration does that, but takes no notice of a failure:
	 * the first user would find no set.
	 */
	ret = vfio_assign_device_set(&vmdev->vdev, &vmdev->vdev);
	if (ret)
		goto put_vmdev;

	mdev_live(mdev, true);
	ret = vfio_register_emulated_iommu_dev(&vmdev->vdev);
	if (ret)
		goto not_live;

	/*
	 * The registration needed the mediated device, for sysfs. Whatever comes
	 * after it needs one that has a driver; nobody could open it yet.
	 */
	mutex_lock(&vmdev->vdev.dev_set->lock);
	vmdev->vdev.dev = &vfio_mdev_device;
	WRITE_ONCE(vmdev->settled, true);
	mutex_unlock(&vmdev->vdev.dev_set->lock);
	return 0;

not_live:
	mdev_live(mdev, false);
put_vmdev:
	mdev->vmdev = NULL;
	vfio_put_device(&vmdev->vdev);
	return ret;
}

/* Until nobody uses it; takes it from who does when the time is over */
static void vfio_mdev_wait_for_release(struct mdev_device *mdev)
{
	unsigned long since = jiffies;

	while (READ_ONCE(mdev->use) != MDEV_FREE) {
		if (mdev_grace_is_over(since) && !mdev_revoke(mdev, false))
			break;
		wait_event_idle_timeout(mdev_parent(mdev)->wait,
					READ_ONCE(mdev->use) == MDEV_FREE, HZ);
	}
}

/*
 * Does VFIO still have a reference for somebody? An open that has got stuck
 * before it came to us has one. A member of VFIO's own, but only looked at.
 */
static bool vfio_mdev_is_referenced(struct vfio_mdev *vmdev)
{
	return refcount_read(&vmdev->vdev.refcount) > 1;
}

static void vfio_mdev_unregister(struct vfio_mdev *vmdev)
{
	struct device *dev = &vmdev->mdev->dev;
	sigset_t all, old;

	/*
	 * What VFIO waits for now is a close on its way out. A signal that is
	 * pending would not end that wait, but make it say that the device is
	 * in use.
	 */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	vfio_unregister_group_dev(&vmdev->vdev);
	sigprocmask(SIG_SETMASK, &old, NULL);
	/* VFIO added it, and looks for it in vfio_mdev_device */
	iommu_group_remove_device(dev);
	/* Pairs with vfio_alloc_device() in vfio_mdev_probe() */
	vfio_put_device(&vmdev->vdev);
}

static void vfio_mdev_remove(struct device *dev)
{
	struct mdev_device *mdev = to_mdev_device(dev);
	struct vfio_mdev *vmdev = mdev->vmdev;
	bool shell;

	/* At once in a teardown, which has no user; an unbind has to wait */
	mdev_evict_begin(mdev);
	vfio_mdev_wait_for_release(mdev);
	/* Who waits for the user anyway may do so in VFIO, too */
	if (!mdev->removing && vfio_mdev_is_referenced(vmdev))
		mdev_revoke(mdev, false);

	mutex_lock(&mdev->lock);
	shell = vmdev->shell;
	if (!shell)
		mdev->vmdev = NULL;
	mutex_unlock(&mdev->lock);
	if (shell)
		mdev_shell_detach(vmdev);
	else
		vfio_mdev_unregister(vmdev);
	mdev_evict_end(mdev);
}

struct mdev_driver vfio_mdev_driver = {
	.name	= "vfio_mdev",
	.probe	= vfio_mdev_probe,
	.remove	= vfio_mdev_remove,
};
