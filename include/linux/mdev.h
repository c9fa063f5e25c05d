/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mediated devices: the interface for parent drivers.
 *
 * A parent driver registers a device and a struct mdev_parent_ops. For each
 * of the types that it supports, an administrator creates mediated devices
 * through sysfs, and user space opens them through VFIO. The interface is
 * source compatible with the one of Linux 5.10; what goes beyond it is marked
 * as an addition. A driver that describes its devices, by mdev_describe() in its
 * create callback, has no read, write, ioctl and mmap here, and needs no request:
 * <linux/mdev_describe.h>.
 */
#ifndef _LINUX_MDEV_H
#define _LINUX_MDEV_H

#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/types.h>
#include <linux/uuid.h>

/* Of all modules of this project: /sys/module/mdev/version. The kernel's own mdev.ko says 0.1. */
#define MDEV_VERSION "1.0"

/*
 * For memory that a callback allocates for the holder: it is charged to the
 * holder's cgroup. If the cgroup has no more after one reclaim, the allocation
 * fails. With GFP_KERNEL_ACCOUNT the kernel would kill one process of the cgroup
 * after the other until there is some, and wait two seconds for each that cannot
 * end; and a revocation waits for the callback. With __GFP_RETRY_MAYFAIL it would
 * reclaim as long as other threads of the holder take what it has reclaimed.
 */
#define MDEV_GFP_HOLDER	\
	(GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN)

struct mdev_device;
struct mdev_migration;
struct page;
struct vm_area_struct;

/**
 * struct mdev_parent_ops - what a parent driver does for its mediated devices
 * @owner: the parent driver's module. It stays loaded while a device is open;
 *	if it has @revoke, and the module parameter "revoke_after" is not 0, it
 *	can be unloaded: that asks the holders, and then revokes
 * @dev_attr_groups: attributes added to the parent device (optional)
 * @mdev_attr_groups: attributes of each mediated device (optional)
 * @supported_type_groups: NULL-terminated; each group is one supported type,
 *	its name the second half of the type's name in sysfs
 *	(``<driver>-<group>``), its attributes made with MDEV_TYPE_ATTR()
 *	(mandatory, at least one)
 * @create: a device is created; @kobj is its type's kobject, whose name tells
 *	the type. It is called once for each device, before the device can be
 *	seen. Return 0 or a negative errno, which ends the creation (mandatory)
 * @remove: undoes @create, exactly once for each @create that succeeded, after
 *	the device has left sysfs and has no holder. An error is logged and
 *	otherwise ignored (mandatory)
 * @open: a process opens the device, its holder from then on. Called for the
 *	first file descriptor only; the next @open comes after @release has
 *	returned. No guest memory can be pinned yet
 * @release: the holder's last file descriptor was closed, or the holder died.
 *	All interrupt and request triggers are dropped when it returns
 * @read: read(2) of the device; -EINVAL if it is missing
 * @write: write(2) of the device; -EINVAL if it is missing
 * @ioctl: the VFIO_DEVICE_* ioctls; -EINVAL if it is missing
 * @mmap: mmap(2) of the device; -EINVAL if it is missing
 * @request: addition: the device's release is requested; ask the holder, usually
 *	with mdev_request_relay() and nothing else. @count rises from 0 with
 *	each time that this request is made again. Called between the return of
 *	@open and the call of @release, one call at a time, in process context.
 *	It must not wait for the holder, nor take a lock that the driver holds
 *	around @open or @release. If it is missing, the framework calls
 *	mdev_request_relay() for the request trigger of a described device; of
 *	another device nobody can be asked, and the log says so
 * @revoke: addition: takes the device from a holder that does not release it.
 *	Called instead of @release, or while @release is waiting, when no call of
 *	@open, @read, @write, @ioctl, @mmap, @dma_unmap or of a mapping's vm_ops
 *	is under way, but for those between mdev_wait_begin() and
 *	mdev_wait_end(); and none comes before the next @open. Stop the hardware
 *	in a time that does not depend on the holder, and unpin all pages: by
 *	mdev_unpin_pages(), which does not wait there. The framework drops the
 *	triggers; @remove follows, most often at once. A driver that has it
 *	makes promises: see below. If it is missing, and while there is a
 *	mapping that the kernel cannot take away, a holder that does not release
 *	the device is waited for
 * @dma_unmap: addition: the IOVA range that starts at @iova and is @length
 *	bytes long goes away; unpin every page of it before returning. From here
 *	on no page of it can be pinned. May be called at any time between
 *	@create and @remove, also while the device is not open, by several
 *	threads one after the other, and again for the same range. A driver that
 *	pins pages must have it
 * @migration: addition: how the devices are migrated; they are not if it is
 *	missing. See <linux/mdev_migration.h>
 *
 * All calls are made in process context and may sleep. @open, @release and
 * @dma_unmap are made with locks of the VFIO core held, and so may be @request.
 *
 * With @revoke, no callback waits for user space, nor allocates memory on the
 * account of the holder but with MDEV_GFP_HOLDER; except between mdev_wait_begin()
 * and mdev_wait_end(). @read, @write, @ioctl, @dma_unmap and @release are called
 * with page faults disabled: copying from or to memory of the holder's that is
 * not present fails. A callback that then returns -EFAULT is called again when the
 * memory has been faulted in, so until then it must not have changed anything.
 * @mmap sets VM_PFNMAP and inserts no pages. Its vm_ops' fault does, a page table
 * entry each time, and returns VM_FAULT_NOPAGE: what @mmap or the memory
 * management inserted could not be taken away, and what is no PFN could be pinned.
 */
struct mdev_parent_ops {
	struct module *owner;
	const struct attribute_group **dev_attr_groups;
	const struct attribute_group **mdev_attr_groups;
	struct attribute_group **supported_type_groups;

	int (*create)(struct kobject *kobj, struct mdev_device *mdev);
	int (*remove)(struct mdev_device *mdev);
	int (*open)(struct mdev_device *mdev);
	void (*release)(struct mdev_device *mdev);
	ssize_t (*read)(struct mdev_device *mdev, char __user *buf,
			size_t count, loff_t *ppos);
	ssize_t (*write)(struct mdev_device *mdev, const char __user *buf,
			 size_t count, loff_t *ppos);
	long (*ioctl)(struct mdev_device *mdev, unsigned int cmd,
		      unsigned long arg);
	int (*mmap)(struct mdev_device *mdev, struct vm_area_struct *vma);
	void (*request)(struct mdev_device *mdev, unsigned int count);
	void (*revoke)(struct mdev_device *mdev);
	void (*dma_unmap)(struct mdev_device *mdev, u64 iova, u64 length);
	const struct mdev_migration *migration;
};

/**
 * struct mdev_type_attribute - an attribute of a supported type
 * @attr: the sysfs attribute
 * @show: @kobj is the type's kobject, @dev the parent device
 * @store: see @show
 */
struct mdev_type_attribute {
	struct attribute attr;
	ssize_t (*show)(struct kobject *kobj, struct device *dev, char *buf);
	ssize_t (*store)(struct kobject *kobj, struct device *dev,
			 const char *buf, size_t count);
};

#define MDEV_TYPE_ATTR(_name, _mode, _show, _store)			\
	struct mdev_type_attribute mdev_type_attr_##_name =		\
		__ATTR(_name, _mode, _show, _store)
#define MDEV_TYPE_ATTR_RW(_name)					\
	struct mdev_type_attribute mdev_type_attr_##_name = __ATTR_RW(_name)
#define MDEV_TYPE_ATTR_RO(_name)					\
	struct mdev_type_attribute mdev_type_attr_##_name = __ATTR_RO(_name)
#define MDEV_TYPE_ATTR_WO(_name)					\
	struct mdev_type_attribute mdev_type_attr_##_name = __ATTR_WO(_name)

/**
 * struct mdev_driver - a driver on the mdev bus
 * @name: the driver's name in sysfs
 * @probe: binds the driver to a mediated device
 * @remove: unbinds it
 * @driver: the driver core's part; filled in by mdev_register_driver()
 *
 * mdev.ko brings the one that nearly everybody wants, vfio_mdev, which makes a
 * VFIO device of each mediated device.
 */
struct mdev_driver {
	const char *name;
	int (*probe)(struct device *dev);
	void (*remove)(struct device *dev);
	struct device_driver driver;
};

#define to_mdev_driver(drv) container_of(drv, struct mdev_driver, driver)

extern struct bus_type mdev_bus_type;

int mdev_register_device(struct device *dev, const struct mdev_parent_ops *ops);
void mdev_unregister_device(struct device *dev);

/* Additions: what an unregistration may be preceded by */
void mdev_unregister_begin(struct device *dev);
void mdev_parent_gone(struct device *dev);

int mdev_driver_register(struct mdev_driver *drv, struct module *owner);
void mdev_driver_unregister(struct mdev_driver *drv);

/**
 * mdev_register_driver - register a driver for mediated devices
 * @drv: the driver; its @name, @probe and @remove are filled in
 * @owner: the module that it lives in
 *
 * New mediated devices are bound to vfio_mdev; another driver gets those that
 * were unbound from it through sysfs. The symbol of this name is that of the
 * kernel's own interface, which takes another argument.
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative errno.
 */
static inline int mdev_register_driver(struct mdev_driver *drv,
				       struct module *owner)
{
	return mdev_driver_register(drv, owner);
}

/**
 * mdev_unregister_driver - undo mdev_register_driver()
 * @drv: the driver; it is unbound from its devices when this returns
 *
 * Context: process context, may sleep.
 */
static inline void mdev_unregister_driver(struct mdev_driver *drv)
{
	mdev_driver_unregister(drv);
}

void *mdev_get_drvdata(struct mdev_device *mdev);
void mdev_set_drvdata(struct mdev_device *mdev, void *data);
const guid_t *mdev_uuid(struct mdev_device *mdev);
struct device *mdev_dev(struct mdev_device *mdev);
struct device *mdev_parent_dev(struct mdev_device *mdev);
struct mdev_device *mdev_from_dev(struct device *dev);

int mdev_set_iommu_device(struct device *dev, struct device *iommu_device);
struct device *mdev_get_iommu_device(struct device *dev);

/* Additions: how a callback waits for user space; see @revoke */
void mdev_wait_begin(struct mdev_device *mdev);
int mdev_wait_end(struct mdev_device *mdev);

/* Additions: guest memory, for a device that is open */
int mdev_pin_pages(struct mdev_device *mdev, dma_addr_t iova, int npage,
		   int prot, struct page **pages);
void mdev_unpin_pages(struct mdev_device *mdev, dma_addr_t iova, int npage);
int mdev_dma_rw(struct mdev_device *mdev, dma_addr_t iova, void *data,
		size_t len, bool write);

#endif /* _LINUX_MDEV_H */
