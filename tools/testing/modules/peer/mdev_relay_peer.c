// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does for the kernel's own mdev framework what mdev_relay does for ours:
 * relays requests to release a device, and nothing else. The benchmark compares
 * the two. With our framework it is a driver of the kernel's own interface that
 * asks holders itself. Its parameters make it a driver for which the framework
 * can do less.
 */
#include <linux/completion.h>
#include <linux/eventfd.h>
#include <linux/mdev.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/vfio.h>

/* Linux 6.8, 3652117f8548 ("eventfd: simplify eventfd_signal()") */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define eventfd_signal(ctx) eventfd_signal(ctx, 1)
#endif

/* Linux 6.2, 913447d06f03 ("vfio: Remove vfio_free_device") */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
static void vfio_free_device(struct vfio_device *vdev)
{
}
#endif

/* Linux 6.6, 9048c7341c4d ("vfio-iommufd: Add detach_ioas support for emulated VFIO devices") */
#if IS_ENABLED(CONFIG_IOMMUFD) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define RELAY_IOMMUFD_OPS						\
	.bind_iommufd = vfio_iommufd_emulated_bind,			\
	.unbind_iommufd = vfio_iommufd_emulated_unbind,			\
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,		\
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
#else
#define RELAY_IOMMUFD_OPS
#endif

static bool mute;
module_param(mute, bool, 0644);
MODULE_PARM_DESC(mute, "New devices cannot ask their holders");

static bool unseen;
module_param(unseen, bool, 0644);
MODULE_PARM_DESC(unseen, "New devices get no VFIO device");

static bool opened;
module_param(opened, bool, 0644);
MODULE_PARM_DESC(opened, "New devices are open when they are bound");

static bool locked;
module_param(locked, bool, 0644);
MODULE_PARM_DESC(locked, "Info is copied with a lock of all devices held that a request needs, as vfio_ap of Linux 7.3 does");

static bool waits;
module_param(waits, bool, 0644);
MODULE_PARM_DESC(waits, "The driver waits for the release of its VFIO devices, as vfio_ccw of Linux 6.1 does");

static bool typeless;
module_param(typeless, bool, 0444);
MODULE_PARM_DESC(typeless, "The parent has no types");

#define RELAY_NAME "mdev_relay_peer"
#define RELAY_IRQ VFIO_CCW_REQ_IRQ_INDEX

struct relay {
	struct vfio_device vdev;
	bool opened;
	/* Protects request */
	struct mutex lock;
	struct eventfd_ctx *request;
	/* For the thread that waits for the release, if one does */
	struct completion *released;
};

static struct platform_device *relay_pdev;
static struct mdev_parent relay_parent;

static struct mdev_type relay_type = {
	.sysfs_name = "relay",
	.pretty_name = "relay",
};

static struct mdev_type *relay_types[] = { &relay_type };

static struct relay *to_relay(struct vfio_device *vdev)
{
	return container_of(vdev, struct relay, vdev);
}

static void relay_replace(struct relay *relay, struct eventfd_ctx *ctx)
{
	mutex_lock(&relay->lock);
	swap(relay->request, ctx);
	mutex_unlock(&relay->lock);
	if (ctx)
		eventfd_ctx_put(ctx);
}

static void relay_release(struct vfio_device *vdev)
{
	struct relay *relay = to_relay(vdev);

	if (relay->released)
		complete(relay->released);
	vfio_free_device(vdev);
}

static int relay_open(struct vfio_device *vdev)
{
	return 0;
}

static void relay_close(struct vfio_device *vdev)
{
	relay_replace(to_relay(vdev), NULL);
}

/* Held over all of a request, and over info if "locked" says so */
static DEFINE_MUTEX(relay_all);

static void relay_request(struct vfio_device *vdev, unsigned int count)
{
	struct relay *relay = to_relay(vdev);

	mutex_lock(&relay_all);
	mutex_lock(&relay->lock);
	if (relay->request) {
		if (!(count % 10))
			dev_notice(vdev->dev, "request #%u\n", count);
		eventfd_signal(relay->request);
	}
	mutex_unlock(&relay->lock);
	mutex_unlock(&relay_all);
}

static void relay_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
}

static long relay_info(void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_CCW;
	info.num_regions = 0;
	info.num_irqs = RELAY_IRQ + 1;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long relay_info_locked(void __user *arg)
{
	long ret;

	mutex_lock(&relay_all);
	ret = relay_info(arg);
	mutex_unlock(&relay_all);
	return ret;
}

static long relay_ioctl(struct vfio_device *vdev, unsigned int cmd,
			unsigned long arg)
{
	struct {
		struct vfio_irq_set hdr;
		s32 fd;
	} set;
	struct eventfd_ctx *ctx;

	if (cmd == VFIO_DEVICE_GET_INFO)
		return locked ? relay_info_locked((void __user *)arg) :
				relay_info((void __user *)arg);
	if (cmd != VFIO_DEVICE_SET_IRQS)
		return -ENOTTY;
	if (copy_from_user(&set, (void __user *)arg,
			   offsetofend(typeof(set), fd)))
		return -EFAULT;
	if (set.hdr.index != RELAY_IRQ)
		return -EINVAL;
	if (set.fd == -1) {
		relay_replace(to_relay(vdev), NULL);
		return 0;
	}
	ctx = eventfd_ctx_fdget(set.fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	relay_replace(to_relay(vdev), ctx);
	return 0;
}

static const struct vfio_device_ops relay_ops = {
	.name = RELAY_NAME,
	.open_device = relay_open,
	.close_device = relay_close,
	.request = relay_request,
	.dma_unmap = relay_dma_unmap,
	.ioctl = relay_ioctl,
	RELAY_IOMMUFD_OPS
	.release = relay_release,
};

static const struct vfio_device_ops relay_mute_ops = {
	.name = RELAY_NAME,
	.open_device = relay_open,
	.close_device = relay_close,
	.dma_unmap = relay_dma_unmap,
	.ioctl = relay_ioctl,
	RELAY_IOMMUFD_OPS
	.release = relay_release,
};

/* VFIO opens the device with the first descriptor, and closes it with the last */
static void relay_set_opened(struct relay *relay, bool opened)
{
	if (opened == relay->opened)
		return;
	mutex_lock(&relay->vdev.dev_set->lock);
	relay->vdev.open_count += opened ? 1 : -1;
	mutex_unlock(&relay->vdev.dev_set->lock);
	relay->opened = opened;
}

static int relay_probe(struct mdev_device *mdev)
{
	struct relay *relay;
	int ret;

	if (unseen)
		return 0;
	relay = vfio_alloc_device(relay, vdev, &mdev->dev,
				  mute ? &relay_mute_ops : &relay_ops);
	if (IS_ERR(relay))
		return PTR_ERR(relay);
	mutex_init(&relay->lock);
	dev_set_drvdata(&mdev->dev, relay);
	ret = vfio_register_emulated_iommu_dev(&relay->vdev);
	if (ret)
		vfio_put_device(&relay->vdev);
	else
		relay_set_opened(relay, opened);
	return ret;
}

static void relay_remove(struct mdev_device *mdev)
{
	struct relay *relay = dev_get_drvdata(&mdev->dev);
	DECLARE_COMPLETION_ONSTACK(released);
	bool wait = waits;

	if (!relay)
		return;
	relay_set_opened(relay, false);
	vfio_unregister_group_dev(&relay->vdev);
	if (wait)
		relay->released = &released;
	vfio_put_device(&relay->vdev);
	if (wait)
		wait_for_completion(&released);
}

static unsigned int relay_available(struct mdev_type *type)
{
	return INT_MAX;
}

static struct mdev_driver relay_driver = {
	.device_api = VFIO_DEVICE_API_CCW_STRING,
	.probe = relay_probe,
	.remove = relay_remove,
	.get_available = relay_available,
	.driver = {
		.name = RELAY_NAME,
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
	},
};

static int __init relay_init(void)
{
	int ret;

	ret = mdev_register_driver(&relay_driver);
	if (ret)
		return ret;

	relay_pdev = platform_device_register_simple(RELAY_NAME, 0, NULL, 0);
	if (IS_ERR(relay_pdev)) {
		ret = PTR_ERR(relay_pdev);
		goto unregister_driver;
	}

	ret = mdev_register_parent(&relay_parent, &relay_pdev->dev,
				   &relay_driver, relay_types,
				   typeless ? 0 : ARRAY_SIZE(relay_types));
	if (ret)
		goto unregister_device;
	return 0;

unregister_device:
	platform_device_unregister(relay_pdev);
unregister_driver:
	mdev_unregister_driver(&relay_driver);
	return ret;
}

static void __exit relay_exit(void)
{
	mdev_unregister_parent(&relay_parent);
	platform_device_unregister(relay_pdev);
	mdev_unregister_driver(&relay_driver);
}

module_init(relay_init);
module_exit(relay_exit);

MODULE_DESCRIPTION("Relays requests of the kernel's own mediated devices");
MODULE_LICENSE("GPL");
