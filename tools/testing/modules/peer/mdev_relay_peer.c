// SPDX-License-Identifier: GPL-2.0-only
/*
 * What mdev_relay is for our framework, this is for the kernel's own: a driver
 * that relays requests to release a device, and nothing else. The benchmark
 * compares the two.
 */
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

#define RELAY_NAME "mdev_relay_peer"
#define RELAY_IRQ VFIO_CCW_REQ_IRQ_INDEX

struct relay {
	struct vfio_device vdev;
	/* Protects request */
	struct mutex lock;
	struct eventfd_ctx *request;
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

static int relay_open(struct vfio_device *vdev)
{
	return 0;
}

static void relay_close(struct vfio_device *vdev)
{
	relay_replace(to_relay(vdev), NULL);
}

static void relay_request(struct vfio_device *vdev, unsigned int count)
{
	struct relay *relay = to_relay(vdev);

	mutex_lock(&relay->lock);
	if (relay->request) {
		if (!(count % 10))
			dev_notice(vdev->dev, "request #%u\n", count);
		eventfd_signal(relay->request);
	}
	mutex_unlock(&relay->lock);
}

static void relay_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
}

static long relay_ioctl(struct vfio_device *vdev, unsigned int cmd,
			unsigned long arg)
{
	struct {
		struct vfio_irq_set hdr;
		s32 fd;
	} set;
	struct eventfd_ctx *ctx;

	if (cmd != VFIO_DEVICE_SET_IRQS)
		return -ENOTTY;
	if (copy_from_user(&set, (void __user *)arg,
			   offsetofend(typeof(set), fd)))
		return -EFAULT;
	if (set.hdr.index != RELAY_IRQ)
		return -EINVAL;
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
};

static int relay_probe(struct mdev_device *mdev)
{
	struct relay *relay;
	int ret;

	relay = vfio_alloc_device(relay, vdev, &mdev->dev, &relay_ops);
	if (IS_ERR(relay))
		return PTR_ERR(relay);
	mutex_init(&relay->lock);
	dev_set_drvdata(&mdev->dev, relay);
	ret = vfio_register_emulated_iommu_dev(&relay->vdev);
	if (ret)
		vfio_put_device(&relay->vdev);
	return ret;
}

static void relay_remove(struct mdev_device *mdev)
{
	struct relay *relay = dev_get_drvdata(&mdev->dev);

	vfio_unregister_group_dev(&relay->vdev);
	vfio_put_device(&relay->vdev);
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
				   &relay_driver, relay_types, 1);
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
