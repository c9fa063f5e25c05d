// SPDX-License-Identifier: GPL-2.0-only
/*
 * A parent driver that does nothing for its devices but relay requests to
 * their users, and reach guest memory for them: the framework's own work can
 * be tested and measured with nothing in the way.
 */
#include <linux/bits.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mdev.h>
#include <linux/mdev_trigger.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "mdev_relay.h"

#define RELAY_NAME		"mdev_relay"
#define RELAY_MAX_DEVICES	16
/* More than the VFIO core takes at once, so that its refusal can be seen */
#define RELAY_MAX_PAGES		2048

static unsigned int devices = 2;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "Number of parent devices (1 to 16, default 2)");

static struct platform_device *relay_devices[RELAY_MAX_DEVICES];

enum relay_type {
	RELAY_UNLIMITED,
	RELAY_LIMITED,
	RELAY_FAILING,
};

/* One for each parent device */
struct relay_parent {
	/* How many devices of the limited type can still be created */
	atomic_t limited;
};

struct relay_pin {
	struct list_head node;
	dma_addr_t iova;
	int npage;
};

struct relay {
	struct mdev_device *mdev;
	enum relay_type type;
	struct mdev_trigger request;
	/* Protects pins and pinned */
	struct mutex lock;
	struct list_head pins;
	unsigned int pinned;
};

static struct relay_parent *relay_parent(struct device *dev)
{
	return dev_get_drvdata(dev);
}

static enum relay_type relay_type(struct kobject *kobj)
{
	const char *name = strchr(kobject_name(kobj), '-') + 1;

	if (!strcmp(name, "limited"))
		return RELAY_LIMITED;
	if (!strcmp(name, "failing"))
		return RELAY_FAILING;
	return RELAY_UNLIMITED;
}

static int relay_create(struct kobject *kobj, struct mdev_device *mdev)
{
	struct relay_parent *parent = relay_parent(mdev_parent_dev(mdev));
	enum relay_type type = relay_type(kobj);
	struct relay *relay;

	if (type == RELAY_FAILING)
		return -EIO;
	if (type == RELAY_LIMITED && atomic_dec_if_positive(&parent->limited) < 0)
		return -ENOSPC;

	relay = kzalloc(sizeof(*relay), GFP_KERNEL);
	if (!relay) {
		if (type == RELAY_LIMITED)
			atomic_inc(&parent->limited);
		return -ENOMEM;
	}
	relay->mdev = mdev;
	relay->type = type;
	mdev_trigger_init(&relay->request, mdev, MDEV_TRIGGER_REQUEST);
	mutex_init(&relay->lock);
	INIT_LIST_HEAD(&relay->pins);
	mdev_set_drvdata(mdev, relay);
	return 0;
}

static int relay_remove(struct mdev_device *mdev)
{
	struct relay_parent *parent = relay_parent(mdev_parent_dev(mdev));
	struct relay *relay = mdev_get_drvdata(mdev);

	if (relay->type == RELAY_LIMITED)
		atomic_inc(&parent->limited);
	mutex_destroy(&relay->lock);
	kfree(relay);
	return 0;
}

static void relay_unpin(struct relay *relay, struct relay_pin *pin)
{
	lockdep_assert_held(&relay->lock);

	mdev_unpin_pages(relay->mdev, pin->iova, pin->npage);
	relay->pinned -= pin->npage;
	list_del(&pin->node);
	kfree(pin);
}

static void relay_unpin_range(struct relay *relay, u64 iova, u64 length)
{
	struct relay_pin *pin, *next;

	lockdep_assert_held(&relay->lock);

	list_for_each_entry_safe(pin, next, &relay->pins, node)
		if (pin->iova <= iova + (length - 1) &&
		    iova <= pin->iova + (u64)pin->npage * PAGE_SIZE - 1)
			relay_unpin(relay, pin);
}

/*
 * VFIO calls with its list of devices locked. Who holds our lock may wait for
 * its type 1 IOMMU, to pin or unpin, and who holds that may wait for the list:
 * so this does not wait for ever. Where pages are still pinned VFIO calls
 * again, some ten times, and whoever waits for the list goes on in between.
 */
static void relay_dma_unmap(struct mdev_device *mdev, u64 iova, u64 length)
{
	struct relay *relay = mdev_get_drvdata(mdev);
	unsigned long end = jiffies + HZ;

	while (!mutex_trylock(&relay->lock)) {
		if (time_after(jiffies, end))
			return;
		fsleep(USEC_PER_MSEC);
	}
	relay_unpin_range(relay, iova, length);
	mutex_unlock(&relay->lock);
}

static int relay_open(struct mdev_device *mdev)
{
	return 0;
}

static void relay_release(struct mdev_device *mdev)
{
	struct relay *relay = mdev_get_drvdata(mdev);

	mutex_lock(&relay->lock);
	relay_unpin_range(relay, 0, U64_MAX);
	mutex_unlock(&relay->lock);
}

static void relay_request(struct mdev_device *mdev, unsigned int count)
{
	struct relay *relay = mdev_get_drvdata(mdev);

	mdev_request_relay(&relay->request, count);
}

static int relay_pin(struct relay *relay, const struct mdev_relay_pin *arg)
{
	struct relay_pin *pin;
	struct page **pages;
	int ret;

	if (!arg->npage || arg->npage > RELAY_MAX_PAGES)
		return -EINVAL;
	pin = kzalloc(sizeof(*pin), GFP_KERNEL);
	if (!pin)
		return -ENOMEM;
	pages = kcalloc(arg->npage, sizeof(*pages), GFP_KERNEL);
	if (!pages) {
		kfree(pin);
		return -ENOMEM;
	}

	mutex_lock(&relay->lock);
	ret = mdev_pin_pages(relay->mdev, arg->iova, arg->npage,
			     IOMMU_READ | IOMMU_WRITE, pages);
	if (ret > 0) {
		pin->iova = arg->iova;
		pin->npage = ret;
		relay->pinned += ret;
		list_add(&pin->node, &relay->pins);
	} else {
		kfree(pin);
	}
	mutex_unlock(&relay->lock);
	kfree(pages);
	return ret < 0 ? ret : 0;
}

static int relay_unpin_one(struct relay *relay, const struct mdev_relay_pin *arg)
{
	struct relay_pin *pin;
	int ret = -ENOENT;

	mutex_lock(&relay->lock);
	list_for_each_entry(pin, &relay->pins, node) {
		if (pin->iova == arg->iova && pin->npage == arg->npage) {
			relay_unpin(relay, pin);
			ret = 0;
			break;
		}
	}
	mutex_unlock(&relay->lock);
	return ret;
}

static ssize_t relay_write_pin(struct relay *relay, const char __user *buf,
			       size_t count)
{
	struct mdev_relay_pin arg;
	int ret;

	if (count != sizeof(arg))
		return -EINVAL;
	if (copy_from_user(&arg, buf, sizeof(arg)))
		return -EFAULT;
	switch (arg.action) {
	case MDEV_RELAY_PIN:
		ret = relay_pin(relay, &arg);
		break;
	case MDEV_RELAY_UNPIN:
		ret = relay_unpin_one(relay, &arg);
		break;
	default:
		ret = -EINVAL;
	}
	return ret ? ret : count;
}

static ssize_t relay_read(struct mdev_device *mdev, char __user *buf,
			  size_t count, loff_t *ppos)
{
	u64 iova = *ppos & (BIT_ULL(MDEV_RELAY_INDEX_SHIFT) - 1);
	void *data;
	int ret;

	if (*ppos >> MDEV_RELAY_INDEX_SHIFT != MDEV_RELAY_MEMORY_REGION)
		return -EINVAL;
	if (!count)
		return 0;
	count = min_t(size_t, count, SZ_64K);
	data = kvzalloc(count, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	ret = mdev_dma_rw(mdev, iova, data, count, false);
	if (!ret && copy_to_user(buf, data, count))
		ret = -EFAULT;
	kvfree(data);
	return ret ? ret : count;
}

static ssize_t relay_write(struct mdev_device *mdev, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	u64 iova = *ppos & (BIT_ULL(MDEV_RELAY_INDEX_SHIFT) - 1);
	struct relay *relay = mdev_get_drvdata(mdev);
	void *data;
	int ret;

	if (*ppos >> MDEV_RELAY_INDEX_SHIFT == MDEV_RELAY_PIN_REGION)
		return relay_write_pin(relay, buf, count);
	if (*ppos >> MDEV_RELAY_INDEX_SHIFT != MDEV_RELAY_MEMORY_REGION)
		return -EINVAL;
	if (!count)
		return 0;
	count = min_t(size_t, count, SZ_64K);
	data = vmemdup_user(buf, count);
	if (IS_ERR(data))
		return PTR_ERR(data);
	ret = mdev_dma_rw(mdev, iova, data, count, true);
	kvfree(data);
	return ret ? ret : count;
}

static long relay_get_info(void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info = {};

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_CCW;
	info.num_regions = MDEV_RELAY_NUM_REGIONS;
	info.num_irqs = VFIO_CCW_REQ_IRQ_INDEX + 1;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long relay_get_region_info(void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info = {};

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= MDEV_RELAY_NUM_REGIONS)
		return -EINVAL;
	info.flags = VFIO_REGION_INFO_FLAG_WRITE;
	if (info.index == MDEV_RELAY_MEMORY_REGION)
		info.flags |= VFIO_REGION_INFO_FLAG_READ;
	info.cap_offset = 0;
	info.size = BIT_ULL(MDEV_RELAY_INDEX_SHIFT);
	info.offset = (u64)info.index << MDEV_RELAY_INDEX_SHIFT;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long relay_get_irq_info(void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index > VFIO_CCW_REQ_IRQ_INDEX)
		return -EINVAL;
	info.count = info.index == VFIO_CCW_REQ_IRQ_INDEX;
	info.flags = info.count ? VFIO_IRQ_INFO_EVENTFD : 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long relay_set_irqs(struct relay *relay, const void __user *arg)
{
	struct mdev_irq_set set;
	int ret;

	ret = mdev_irq_set_read(&set, arg, BIT(VFIO_CCW_REQ_IRQ_INDEX));
	return ret ? ret : mdev_trigger_set_irqs(&relay->request, &set);
}

static long relay_ioctl(struct mdev_device *mdev, unsigned int cmd,
			unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return relay_get_info((void __user *)arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return relay_get_region_info((void __user *)arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return relay_get_irq_info((void __user *)arg);
	case VFIO_DEVICE_SET_IRQS:
		return relay_set_irqs(mdev_get_drvdata(mdev),
				      (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static ssize_t name_show(struct kobject *kobj, struct device *dev, char *buf)
{
	return sysfs_emit(buf, "%s\n", strchr(kobject_name(kobj), '-') + 1);
}
static MDEV_TYPE_ATTR_RO(name);

static ssize_t device_api_show(struct kobject *kobj, struct device *dev,
			       char *buf)
{
	return sysfs_emit(buf, "%s\n", VFIO_DEVICE_API_CCW_STRING);
}
static MDEV_TYPE_ATTR_RO(device_api);

static ssize_t available_instances_show(struct kobject *kobj,
					struct device *dev, char *buf)
{
	int count = INT_MAX;

	if (relay_type(kobj) == RELAY_LIMITED)
		count = atomic_read(&relay_parent(dev)->limited);
	return sysfs_emit(buf, "%d\n", count);
}
static MDEV_TYPE_ATTR_RO(available_instances);

static struct attribute *relay_type_attrs[] = {
	&mdev_type_attr_name.attr,
	&mdev_type_attr_device_api.attr,
	&mdev_type_attr_available_instances.attr,
	NULL,
};

static struct attribute_group relay_unlimited_group = {
	.name = "relay",
	.attrs = relay_type_attrs,
};

static struct attribute_group relay_limited_group = {
	.name = "limited",
	.attrs = relay_type_attrs,
};

static struct attribute_group relay_failing_group = {
	.name = "failing",
	.attrs = relay_type_attrs,
};

static struct attribute_group *relay_types[] = {
	&relay_unlimited_group,
	&relay_limited_group,
	&relay_failing_group,
	NULL,
};

static ssize_t pinned_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	struct relay *relay = mdev_get_drvdata(mdev_from_dev(dev));

	return sysfs_emit(buf, "%u\n", READ_ONCE(relay->pinned));
}
static DEVICE_ATTR_RO(pinned);

static struct attribute *relay_mdev_attrs[] = {
	&dev_attr_pinned.attr,
	NULL,
};

static const struct attribute_group relay_mdev_group = {
	.name = "relay",
	.attrs = relay_mdev_attrs,
};

static const struct attribute_group *relay_mdev_groups[] = {
	&relay_mdev_group,
	NULL,
};

static const struct mdev_parent_ops relay_ops = {
	.owner = THIS_MODULE,
	.mdev_attr_groups = relay_mdev_groups,
	.supported_type_groups = relay_types,
	.create = relay_create,
	.remove = relay_remove,
	.open = relay_open,
	.release = relay_release,
	.read = relay_read,
	.write = relay_write,
	.ioctl = relay_ioctl,
	.request = relay_request,
	.dma_unmap = relay_dma_unmap,
};

/*
 * Unbinding is left to devres: what a platform driver's remove callback
 * returns differs among the kernels that we support.
 */
static void relay_unregister(void *dev)
{
	mdev_unregister_device(dev);
}

static int relay_probe(struct platform_device *pdev)
{
	struct relay_parent *parent;
	int ret;

	parent = devm_kzalloc(&pdev->dev, sizeof(*parent), GFP_KERNEL);
	if (!parent)
		return -ENOMEM;
	atomic_set(&parent->limited, 1);
	platform_set_drvdata(pdev, parent);

	ret = mdev_register_device(&pdev->dev, &relay_ops);
	if (ret)
		return ret;
	return devm_add_action_or_reset(&pdev->dev, relay_unregister,
					&pdev->dev);
}

static struct platform_driver relay_driver = {
	.probe = relay_probe,
	.driver = {
		.name = RELAY_NAME,
	},
};

static void relay_remove_devices(unsigned int count)
{
	while (count--)
		platform_device_unregister(relay_devices[count]);
}

static int __init relay_init(void)
{
	unsigned int i;
	int ret;

	if (!devices || devices > RELAY_MAX_DEVICES)
		return -EINVAL;
	ret = platform_driver_register(&relay_driver);
	if (ret)
		return ret;
	for (i = 0; i < devices; i++) {
		relay_devices[i] =
			platform_device_register_simple(RELAY_NAME, i, NULL, 0);
		if (IS_ERR(relay_devices[i])) {
			ret = PTR_ERR(relay_devices[i]);
			relay_remove_devices(i);
			platform_driver_unregister(&relay_driver);
			return ret;
		}
	}
	return 0;
}
module_init(relay_init);

static void __exit relay_exit(void)
{
	relay_remove_devices(devices);
	platform_driver_unregister(&relay_driver);
}
module_exit(relay_exit);

MODULE_DESCRIPTION("Test parent that relays requests of mediated devices");
MODULE_LICENSE("GPL");
