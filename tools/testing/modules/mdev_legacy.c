// SPDX-License-Identifier: GPL-2.0-only
/*
 * A parent driver as written for Linux 5.10, without anything that this project
 * adds. It proves that such a source compiles and works. It is also a parent
 * without a request callback.
 *
 * Its devices are a page of memory in one region.
 */
#include <linux/fs.h>
#include <linux/mdev.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uuid.h>
#include <linux/vfio.h>

#define LEGACY_NAME		"mdev_legacy"
#define LEGACY_MAX_DEVICES	16
#define LEGACY_MAX_INSTANCES	8

static unsigned int devices = 2;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "Number of parent devices (1 to 16, default 2)");

static struct platform_device *legacy_devices[LEGACY_MAX_DEVICES];

/* How many mediated devices can still be created, over all parents */
static atomic_t legacy_instances = ATOMIC_INIT(LEGACY_MAX_INSTANCES);

struct legacy {
	guid_t uuid;
	struct device *parent;
	char type[16];
	/* Serialises reads and writes of the page */
	struct mutex lock;
	char *page;
	bool open;
};

static int legacy_create(struct kobject *kobj, struct mdev_device *mdev)
{
	struct device *dev = mdev_dev(mdev);
	struct legacy *legacy;

	if (mdev_from_dev(dev) != mdev || dev->parent != mdev_parent_dev(mdev))
		return -EINVAL;
	if (atomic_dec_if_positive(&legacy_instances) < 0)
		return -ENOSPC;

	legacy = kzalloc(sizeof(*legacy), GFP_KERNEL);
	if (!legacy)
		goto err_put_instance;
	legacy->page = (char *)get_zeroed_page(GFP_KERNEL);
	if (!legacy->page)
		goto err_free;

	guid_copy(&legacy->uuid, mdev_uuid(mdev));
	legacy->parent = mdev_parent_dev(mdev);
	snprintf(legacy->type, sizeof(legacy->type), "%s",
		 kobject_name(kobj) + strlen(LEGACY_NAME) + 1);
	mutex_init(&legacy->lock);
	mdev_set_drvdata(mdev, legacy);
	return 0;

err_free:
	kfree(legacy);
err_put_instance:
	atomic_inc(&legacy_instances);
	return -ENOMEM;
}

static int legacy_remove(struct mdev_device *mdev)
{
	struct legacy *legacy = mdev_get_drvdata(mdev);

	if (legacy->open)
		return -EBUSY;
	mdev_set_drvdata(mdev, NULL);
	free_page((unsigned long)legacy->page);
	kfree(legacy);
	atomic_inc(&legacy_instances);
	return 0;
}

static int legacy_open(struct mdev_device *mdev)
{
	struct legacy *legacy = mdev_get_drvdata(mdev);

	legacy->open = true;
	return 0;
}

static void legacy_release(struct mdev_device *mdev)
{
	struct legacy *legacy = mdev_get_drvdata(mdev);

	legacy->open = false;
}

static ssize_t legacy_read(struct mdev_device *mdev, char __user *buf,
			   size_t count, loff_t *ppos)
{
	struct legacy *legacy = mdev_get_drvdata(mdev);
	ssize_t ret;

	mutex_lock(&legacy->lock);
	ret = simple_read_from_buffer(buf, count, ppos, legacy->page, PAGE_SIZE);
	mutex_unlock(&legacy->lock);
	return ret;
}

static ssize_t legacy_write(struct mdev_device *mdev, const char __user *buf,
			    size_t count, loff_t *ppos)
{
	struct legacy *legacy = mdev_get_drvdata(mdev);
	ssize_t ret;

	mutex_lock(&legacy->lock);
	ret = simple_write_to_buffer(legacy->page, PAGE_SIZE, ppos, buf, count);
	mutex_unlock(&legacy->lock);
	return ret;
}

static long legacy_get_info(void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info = {};

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PLATFORM;
	info.num_regions = 1;
	info.num_irqs = 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long legacy_get_region_info(void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info = {};

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index)
		return -EINVAL;
	info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		     VFIO_REGION_INFO_FLAG_MMAP;
	info.cap_offset = 0;
	info.size = PAGE_SIZE;
	info.offset = 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long legacy_ioctl(struct mdev_device *mdev, unsigned int cmd,
			 unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return legacy_get_info((void __user *)arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return legacy_get_region_info((void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static int legacy_mmap(struct mdev_device *mdev, struct vm_area_struct *vma)
{
	struct legacy *legacy = mdev_get_drvdata(mdev);

	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != PAGE_SIZE)
		return -EINVAL;
	/*
	 * The mapping has its own reference to the page, and may outlive the
	 * device
	 */
	return vm_insert_page(vma, vma->vm_start, virt_to_page(legacy->page));
}

static ssize_t name_show(struct kobject *kobj, struct device *dev, char *buf)
{
	return sprintf(buf, "A page of memory\n");
}
static MDEV_TYPE_ATTR_RO(name);

static ssize_t device_api_show(struct kobject *kobj, struct device *dev,
			       char *buf)
{
	return sprintf(buf, "%s\n", VFIO_DEVICE_API_PLATFORM_STRING);
}
static MDEV_TYPE_ATTR_RO(device_api);

static ssize_t available_instances_show(struct kobject *kobj,
					struct device *dev, char *buf)
{
	return sprintf(buf, "%d\n", atomic_read(&legacy_instances));
}
static MDEV_TYPE_ATTR_RO(available_instances);

/* A writable attribute, so that MDEV_TYPE_ATTR_RW is compiled, too */
static char legacy_note[32];

static ssize_t note_show(struct kobject *kobj, struct device *dev, char *buf)
{
	return sprintf(buf, "%s %s\n", dev_name(dev), legacy_note);
}

static ssize_t note_store(struct kobject *kobj, struct device *dev,
			  const char *buf, size_t count)
{
	snprintf(legacy_note, sizeof(legacy_note), "%.*s", (int)count, buf);
	return count;
}
static MDEV_TYPE_ATTR_RW(note);

static struct attribute *legacy_type_attrs[] = {
	&mdev_type_attr_name.attr,
	&mdev_type_attr_device_api.attr,
	&mdev_type_attr_available_instances.attr,
	&mdev_type_attr_note.attr,
	NULL,
};

static struct attribute_group legacy_page_group = {
	.name = "page",
	.attrs = legacy_type_attrs,
};

static struct attribute_group legacy_other_group = {
	.name = "other",
	.attrs = legacy_type_attrs,
};

static struct attribute_group *legacy_types[] = {
	&legacy_page_group,
	&legacy_other_group,
	NULL,
};

static ssize_t version_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sprintf(buf, "5.10\n");
}
static DEVICE_ATTR_RO(version);

static struct attribute *legacy_dev_attrs[] = {
	&dev_attr_version.attr,
	NULL,
};

static const struct attribute_group legacy_dev_group = {
	.name = "legacy",
	.attrs = legacy_dev_attrs,
};

static const struct attribute_group *legacy_dev_groups[] = {
	&legacy_dev_group,
	NULL,
};

static ssize_t identity_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct mdev_device *mdev = mdev_from_dev(dev);
	struct legacy *legacy = mdev_get_drvdata(mdev);

	return sprintf(buf, "%pUl %s %s %s\n", &legacy->uuid, legacy->type,
		       dev_name(legacy->parent), dev->bus == &mdev_bus_type ?
		       "mdev" : "other");
}
static DEVICE_ATTR_RO(identity);

/* mdev_get_iommu_device() must return the device that was set */
static ssize_t iommu_device_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	struct device *iommu = mdev_get_iommu_device(dev);

	return sprintf(buf, "%s\n", iommu ? dev_name(iommu) : "none");
}

static ssize_t iommu_device_store(struct device *dev,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	struct device *iommu = NULL;
	int ret;

	if (sysfs_streq(buf, "parent"))
		iommu = mdev_parent_dev(mdev_from_dev(dev));
	ret = mdev_set_iommu_device(dev, iommu);
	return ret ? ret : count;
}
static DEVICE_ATTR_RW(iommu_device);

static struct attribute *legacy_mdev_attrs[] = {
	&dev_attr_identity.attr,
	&dev_attr_iommu_device.attr,
	NULL,
};

static const struct attribute_group legacy_mdev_group = {
	.name = "legacy",
	.attrs = legacy_mdev_attrs,
};

static const struct attribute_group *legacy_mdev_groups[] = {
	&legacy_mdev_group,
	NULL,
};

static const struct mdev_parent_ops legacy_ops = {
	.owner = THIS_MODULE,
	.dev_attr_groups = legacy_dev_groups,
	.mdev_attr_groups = legacy_mdev_groups,
	.supported_type_groups = legacy_types,
	.create = legacy_create,
	.remove = legacy_remove,
	.open = legacy_open,
	.release = legacy_release,
	.read = legacy_read,
	.write = legacy_write,
	.ioctl = legacy_ioctl,
	.mmap = legacy_mmap,
};

/* A second driver on the mdev bus, to which a test binds a device by hand */
static int legacy_observer_probe(struct device *dev)
{
	dev_info(dev, "observed, a child of %s\n",
		 dev_name(mdev_parent_dev(mdev_from_dev(dev))));
	return 0;
}

static void legacy_observer_remove(struct device *dev)
{
	dev_info(dev, "no longer observed\n");
}

static struct mdev_driver legacy_observer = {
	.name = "mdev_legacy_observer",
	.probe = legacy_observer_probe,
	.remove = legacy_observer_remove,
};

/*
 * By devres: a platform driver's remove callback returns int or void, depending
 * on the kernel
 */
static void legacy_unregister(void *dev)
{
	mdev_unregister_device(dev);
}

static int legacy_probe(struct platform_device *pdev)
{
	int ret = mdev_register_device(&pdev->dev, &legacy_ops);

	if (ret)
		return ret;
	return devm_add_action_or_reset(&pdev->dev, legacy_unregister,
					&pdev->dev);
}

static struct platform_driver legacy_driver = {
	.probe = legacy_probe,
	.driver = {
		.name = LEGACY_NAME,
	},
};

static void legacy_remove_devices(unsigned int count)
{
	while (count--)
		platform_device_unregister(legacy_devices[count]);
}

static int __init legacy_init(void)
{
	unsigned int i;
	int ret;

	if (!devices || devices > LEGACY_MAX_DEVICES)
		return -EINVAL;
	ret = mdev_register_driver(&legacy_observer, THIS_MODULE);
	if (ret)
		return ret;
	ret = platform_driver_register(&legacy_driver);
	if (ret)
		goto err_unregister_observer;
	for (i = 0; i < devices; i++) {
		legacy_devices[i] =
			platform_device_register_simple(LEGACY_NAME, i, NULL, 0);
		if (IS_ERR(legacy_devices[i])) {
			ret = PTR_ERR(legacy_devices[i]);
			goto err_remove_devices;
		}
	}
	return 0;

err_remove_devices:
	legacy_remove_devices(i);
	platform_driver_unregister(&legacy_driver);
err_unregister_observer:
	mdev_unregister_driver(&legacy_observer);
	return ret;
}
module_init(legacy_init);

static void __exit legacy_exit(void)
{
	legacy_remove_devices(devices);
	platform_driver_unregister(&legacy_driver);
	mdev_unregister_driver(&legacy_observer);
}
module_exit(legacy_exit);

MODULE_DESCRIPTION("Test parent, as one was written for Linux 5.10");
MODULE_LICENSE("GPL");
