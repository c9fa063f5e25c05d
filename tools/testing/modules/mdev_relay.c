// SPDX-License-Identifier: GPL-2.0-only
/*
 * A parent driver that does only this for its devices: it relays requests to
 * their holders, accesses guest memory, and lets a page of each device be
 * mapped. So tests and benchmarks see the framework's own work.
 *
 * A call that may wait for the holder leaves the gate while it waits (see
 * mdev_wait_begin()). Outside of the gate it uses a relay with a reference of
 * its own, because the device can be revoked and removed meanwhile.
 */
#include <linux/bits.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mdev.h>
#include <linux/mdev_describe.h>
#include <linux/mdev_migration.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "compat.h"
#include "mdev_relay.h"

#define RELAY_NAME		"mdev_relay"
#define RELAY_MAX_DEVICES	16
/* More than the VFIO core takes at once, so that a test sees its refusal */
#define RELAY_MAX_PAGES		2048

/* This parent's devices cannot be revoked */
#define RELAY_UNREVOCABLE	2

static unsigned int devices = 3;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "Number of parent devices (1 to 16, default 3)");

static unsigned int open_ms;
module_param(open_ms, uint, 0644);
MODULE_PARM_DESC(open_ms, "How long an open takes, in milliseconds (default 0)");

static unsigned int release_ms;
module_param(release_ms, uint, 0644);
MODULE_PARM_DESC(release_ms, "How long a release takes, in milliseconds (default 0)");

static bool release_outside;
module_param(release_outside, bool, 0644);
MODULE_PARM_DESC(release_outside, "Whether a release takes its time outside of the gate (default no)");

static bool fault_gives_page;
module_param(fault_gives_page, bool, 0644);
MODULE_PARM_DESC(fault_gives_page, "Whether a fault leaves it to the kernel to insert the page, which a driver with a revoke callback must not do (default no)");

static unsigned int unmap_ms;
module_param(unmap_ms, uint, 0644);
MODULE_PARM_DESC(unmap_ms, "How long a DMA unmap takes before it unpins, in milliseconds (default 0)");

static unsigned int sleep_max_ms = 12000;
module_param(sleep_max_ms, uint, 0644);
MODULE_PARM_DESC(sleep_max_ms, "The longest sleep that a holder may ask for, in milliseconds (default 12000)");

static unsigned int revoke_ms;
module_param(revoke_ms, uint, 0644);
MODULE_PARM_DESC(revoke_ms, "How long a revocation takes, in milliseconds (default 0)");

static bool forgets_pins;
module_param(forgets_pins, bool, 0644);
MODULE_PARM_DESC(forgets_pins, "Whether what is given back stays pinned, which a driver must not do (default no)");

static unsigned int migration_fails;
module_param(migration_fails, uint, 0644);
MODULE_PARM_DESC(migration_fails, "Which steps of a migration fail: the sum of the values in mdev_relay.h (default 0)");

static struct platform_device *relay_devices[RELAY_MAX_DEVICES];

/* Counters of events since the module was loaded, and of existing objects, for all parents */
static atomic_t relay_opens;
static atomic_t relay_releases;
static atomic_t relay_revokes;
static atomic_t relay_relays;
static atomic_t relay_pinned;

/* The run level of the device that was opened last, or whose level was set last */
static atomic_t relay_level;

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

/**
 * struct relay - one device
 * @ref: one from create to remove, one for each call that goes outside of the
 *	gate
 * @mdev: the mediated device, valid as long as this
 * @type: the device's type
 * @page: the page that can be mapped; allocated by the first mmap or load
 * @triggers: the last one is that of the request
 * @lock: protects @pins to @revoked, and the allocation of @page. No thread holds
 *	it while it waits for the holder. If a DMA unmap comes before newly pinned
 *	pages are in @pins, it is called again for them
 * @pins: the pinned ranges
 * @pinned: the number of pinned pages
 * @revoked: a revocation has emptied @pins; they stay empty until the next open
 */
struct relay {
	struct kref ref;
	struct mdev_device *mdev;
	enum relay_type type;
	struct page *page;
	struct mdev_trigger triggers[VFIO_CCW_NUM_IRQS];
	struct mutex lock; /* protects @pins: see above */
	struct list_head pins;
	unsigned int pinned;
	bool revoked;
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

static void relay_free(struct kref *ref)
{
	struct relay *relay = container_of(ref, struct relay, ref);

	mutex_destroy(&relay->lock);
	kfree(relay);
	atomic_dec(&relay_relays);
}

static void relay_put(struct relay *relay)
{
	kref_put(&relay->ref, relay_free);
}

/* Moves the pins off the list, so that no other thread unpins them */
static void relay_take_pins(struct relay *relay, u64 iova, u64 length,
			    struct list_head *taken)
{
	struct relay_pin *pin, *next;

	lockdep_assert_held(&relay->lock);

	list_for_each_entry_safe(pin, next, &relay->pins, node) {
		if (pin->iova > iova + (length - 1) ||
		    iova > pin->iova + (u64)pin->npage * PAGE_SIZE - 1)
			continue;
		relay->pinned -= pin->npage;
		list_move(&pin->node, taken);
	}
}

static void relay_unpin(struct relay *relay, struct relay_pin *pin)
{
	if (!READ_ONCE(forgets_pins))
		mdev_unpin_pages(relay->mdev, pin->iova, pin->npage);
	atomic_sub(pin->npage, &relay_pinned);
	kfree(pin);
}

static void relay_unpin_all(struct relay *relay, struct list_head *taken)
{
	struct relay_pin *pin, *next;

	list_for_each_entry_safe(pin, next, taken, node) {
		list_del(&pin->node);
		relay_unpin(relay, pin);
	}
}

/* msleep(0) would sleep for a tick */
static void relay_sleep(unsigned int ms)
{
	if (ms)
		msleep(ms);
}

static void relay_dma_unmap(struct mdev_device *mdev, u64 iova, u64 length)
{
	struct relay *relay = mdev_get_drvdata(mdev);
	unsigned int ms = READ_ONCE(unmap_ms);
	LIST_HEAD(taken);

	kref_get(&relay->ref);
	if (ms) {
		mdev_wait_begin(mdev);
		relay_sleep(ms);
		/* The revocation unpins them */
		if (mdev_wait_end(mdev))
			goto put_relay;
	}
	mutex_lock(&relay->lock);
	relay_take_pins(relay, iova, length, &taken);
	mutex_unlock(&relay->lock);
	relay_unpin_all(relay, &taken);
put_relay:
	relay_put(relay);
}

static int relay_open(struct mdev_device *mdev)
{
	struct relay *relay = mdev_get_drvdata(mdev);

	atomic_inc(&relay_opens);
	relay_sleep(READ_ONCE(open_ms));
	/* All calls of the former holder have left the gate */
	relay->revoked = false;
	atomic_set(&relay_level, MDEV_RUN_FULL);
	return 0;
}

/* Unpins all pages of the holder. No call is inside the gate */
static void relay_drop_pins(struct relay *relay)
{
	LIST_HEAD(taken);

	mutex_lock(&relay->lock);
	relay->revoked = true;
	relay_take_pins(relay, 0, U64_MAX, &taken);
	mutex_unlock(&relay->lock);
	relay_unpin_all(relay, &taken);
}

static void relay_release(struct mdev_device *mdev)
{
	bool outside = READ_ONCE(release_outside);

	atomic_inc(&relay_releases);
	if (outside)
		mdev_wait_begin(mdev);
	relay_sleep(READ_ONCE(release_ms));
	/* If the device was revoked, the revocation has dropped the pins */
	if (outside && mdev_wait_end(mdev))
		return;
	relay_drop_pins(mdev_get_drvdata(mdev));
}

static void relay_revoke(struct mdev_device *mdev)
{
	atomic_inc(&relay_revokes);
	relay_sleep(READ_ONCE(revoke_ms));
	relay_drop_pins(mdev_get_drvdata(mdev));
}

/* Runs outside of the gate. Consumes @pin */
static int relay_pin_outside(struct relay *relay, struct relay_pin *pin,
			     struct page **pages)
{
	int ret;

	ret = mdev_pin_pages(relay->mdev, pin->iova, pin->npage,
			     IOMMU_READ | IOMMU_WRITE, pages);
	if (ret <= 0) {
		kfree(pin);
		return ret;
	}

	atomic_add(ret, &relay_pinned);
	pin->npage = ret;
	ret = 0;
	mutex_lock(&relay->lock);
	if (relay->revoked) {
		ret = -ENODEV;
	} else {
		relay->pinned += pin->npage;
		list_add(&pin->node, &relay->pins);
	}
	mutex_unlock(&relay->lock);
	/* @pin was not on the list when the revocation emptied it */
	if (ret)
		relay_unpin(relay, pin);
	return ret;
}

static int relay_pin(struct relay *relay, const struct mdev_relay_pin *arg)
{
	struct relay_pin *pin;
	struct page **pages;
	int ret;

	if (!arg->npage || arg->npage > RELAY_MAX_PAGES)
		return -EINVAL;
	pages = kcalloc(arg->npage, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	pin = kzalloc(sizeof(*pin), GFP_KERNEL);
	if (!pin) {
		ret = -ENOMEM;
		goto free_pages;
	}
	pin->iova = arg->iova;
	pin->npage = arg->npage;

	mdev_wait_begin(relay->mdev);
	ret = relay_pin_outside(relay, pin, pages);
	if (mdev_wait_end(relay->mdev))
		ret = -ENODEV;
free_pages:
	kfree(pages);
	return ret;
}

/* Removes the pin from the list. Returns NULL if it is not on the list */
static struct relay_pin *relay_find_pin(struct relay *relay,
					const struct mdev_relay_pin *arg)
{
	struct relay_pin *pin;

	lockdep_assert_held(&relay->lock);

	list_for_each_entry(pin, &relay->pins, node) {
		if (pin->iova == arg->iova && pin->npage == arg->npage) {
			relay->pinned -= pin->npage;
			list_del(&pin->node);
			return pin;
		}
	}
	return NULL;
}

static int relay_unpin_one(struct relay *relay, const struct mdev_relay_pin *arg)
{
	struct relay_pin *pin;

	mdev_wait_begin(relay->mdev);
	mutex_lock(&relay->lock);
	pin = relay_find_pin(relay, arg);
	mutex_unlock(&relay->lock);
	if (pin)
		relay_unpin(relay, pin);
	if (mdev_wait_end(relay->mdev))
		return -ENODEV;
	return pin ? 0 : -ENOENT;
}

static ssize_t relay_write_pin(struct mdev_device *mdev, unsigned int index,
			       const char __user *buf, size_t count, u64 pos)
{
	struct relay *relay = mdev_get_drvdata(mdev);
	struct mdev_relay_pin arg;
	int ret;

	if (count != sizeof(arg))
		return -EINVAL;
	if (copy_from_user(&arg, buf, sizeof(arg)))
		return -EFAULT;

	kref_get(&relay->ref);
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
	relay_put(relay);
	return ret ? ret : count;
}

static ssize_t relay_write_sleep(struct mdev_device *mdev, unsigned int index,
				 const char __user *buf, size_t count, u64 pos)
{
	u32 ms;

	if (count != sizeof(ms))
		return -EINVAL;
	if (copy_from_user(&ms, buf, sizeof(ms)))
		return -EFAULT;
	if (ms > READ_ONCE(sleep_max_ms))
		return -EINVAL;
	relay_sleep(ms);
	return count;
}

/* Uses nothing of the relay; @data belongs to the call */
static int relay_dma_rw(struct mdev_device *mdev, u64 iova, void *data,
			size_t count, bool write)
{
	int ret;

	mdev_wait_begin(mdev);
	ret = mdev_dma_rw(mdev, iova, data, count, write);
	return mdev_wait_end(mdev) ? -ENODEV : ret;
}

static ssize_t relay_read_memory(struct mdev_device *mdev, unsigned int index,
				 char __user *buf, size_t count, u64 iova)
{
	void *data;
	int ret;

	count = min_t(size_t, count, SZ_64K);
	data = kvzalloc(count, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	ret = relay_dma_rw(mdev, iova, data, count, false);
	if (!ret && copy_to_user(buf, data, count))
		ret = -EFAULT;
	kvfree(data);
	return ret ? ret : count;
}

static ssize_t relay_write_memory(struct mdev_device *mdev, unsigned int index,
				  const char __user *buf, size_t count,
				  u64 iova)
{
	void *data;
	int ret;

	count = min_t(size_t, count, SZ_64K);
	data = vmemdup_user(buf, count);
	if (IS_ERR(data))
		return PTR_ERR(data);
	ret = relay_dma_rw(mdev, iova, data, count, true);
	kvfree(data);
	return ret ? ret : count;
}

static vm_fault_t relay_fault(struct vm_fault *vmf)
{
	struct page *page = vmf->vma->vm_private_data;

	if (READ_ONCE(fault_gives_page)) {
		get_page(page);
		vmf->page = page;
		return 0;
	}
	return vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(page));
}

static const struct vm_operations_struct relay_vm_ops = {
	.fault = relay_fault,
};

static struct page *relay_page(struct relay *relay)
{
	mutex_lock(&relay->lock);
	if (!relay->page)
		relay->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	mutex_unlock(&relay->lock);
	return relay->page;
}

/* The region is one page, and VFIO allows no larger mapping */
static struct page *relay_page_to_map(struct mdev_device *mdev)
{
	struct page *page = relay_page(mdev_get_drvdata(mdev));

	return page ? page : ERR_PTR(-ENOMEM);
}

/* In a parent whose devices can be revoked, the fault handler inserts the page */
static int relay_mmap_fault(struct mdev_device *mdev, unsigned int index,
			    struct vm_area_struct *vma)
{
	struct page *page = relay_page_to_map(mdev);

	if (IS_ERR(page))
		return PTR_ERR(page);
	vma->vm_private_data = page;
	vma->vm_ops = &relay_vm_ops;
	vm_flags_set(vma, VM_PFNMAP);
	return 0;
}

static int relay_mmap_populated(struct mdev_device *mdev, unsigned int index,
				struct vm_area_struct *vma)
{
	struct page *page = relay_page_to_map(mdev);

	if (IS_ERR(page))
		return PTR_ERR(page);
	return remap_pfn_range(vma, vma->vm_start, page_to_pfn(page), PAGE_SIZE,
			       vma->vm_page_prot);
}

static bool relay_migration_fails(unsigned int what)
{
	return READ_ONCE(migration_fails) & what;
}

static int relay_run(struct mdev_device *mdev, enum mdev_run run)
{
	if (relay_migration_fails(run == MDEV_RUN_STOPPED ?
				  MDEV_RELAY_STOP_FAILS :
				  MDEV_RELAY_START_FAILS))
		return -EIO;
	atomic_set(&relay_level, run);
	return 0;
}

/* The state is the page. A device without a page saves nothing */
static ssize_t relay_save(struct mdev_device *mdev, void *state)
{
	struct relay *relay = mdev_get_drvdata(mdev);
	unsigned int i;
	u8 *to = state;
	u8 *page;

	if (relay_migration_fails(MDEV_RELAY_SAVE_FAILS)) {
		memset(state, 0xff, PAGE_SIZE);
		return -EIO;
	}
	if (relay_migration_fails(MDEV_RELAY_SAVES_TOO_MUCH))
		return PAGE_SIZE + 1;
	if (!relay->page)
		return 0;
	/* Like many drivers, write no zeroes: the framework has to clear @state */
	page = page_address(relay->page);
	for (i = 0; i < PAGE_SIZE; i++)
		if (page[i])
			to[i] = page[i];
	return PAGE_SIZE;
}

/* In older versions of the state, each byte is inverted */
static int relay_load(struct mdev_device *mdev, u32 version, const void *state,
		      size_t size)
{
	struct relay *relay = mdev_get_drvdata(mdev);
	const u8 *from = state;
	unsigned int i;
	u8 *page;

	if (relay_migration_fails(MDEV_RELAY_LOAD_FAILS))
		return -EIO;
	if (size && size != PAGE_SIZE)
		return -EINVAL;
	if (!relay_page(relay))
		return -ENOMEM;
	page = page_address(relay->page);
	memset(page, 0, PAGE_SIZE);
	for (i = 0; i < size; i++)
		page[i] = version == MDEV_RELAY_VERSION ? from[i] : ~from[i];
	return 0;
}

static const struct mdev_migration relay_migration = {
	.flags = VFIO_MIGRATION_PRE_COPY,
	.version = MDEV_RELAY_VERSION,
	.max_size = PAGE_SIZE,
	.run = relay_run,
	.save = relay_save,
	.load = relay_load,
};

#define RELAY_SPACE	BIT_ULL(MDEV_RELAY_INDEX_SHIFT)

static const struct mdev_region relay_regions[MDEV_RELAY_NUM_REGIONS] = {
	[MDEV_RELAY_MEMORY_REGION] = {
		.size = RELAY_SPACE,
		.read = relay_read_memory,
		.write = relay_write_memory,
	},
	[MDEV_RELAY_PIN_REGION] = {
		.size = RELAY_SPACE,
		.write = relay_write_pin,
	},
	[MDEV_RELAY_SLEEP_REGION] = {
		.size = RELAY_SPACE,
		.write = relay_write_sleep,
	},
	[MDEV_RELAY_FAULT_REGION] = {
		.size = PAGE_SIZE,
		.mmap = relay_mmap_fault,
	},
	[MDEV_RELAY_POPULATED_REGION] = {
		.size = PAGE_SIZE,
		.mmap = relay_mmap_populated,
	},
};

static const struct mdev_irq relay_irqs[VFIO_CCW_NUM_IRQS] = {
	[VFIO_CCW_REQ_IRQ_INDEX] = {
		.flags = VFIO_IRQ_INFO_EVENTFD,
		.kind = MDEV_TRIGGER_REQUEST,
	},
};

/* Nothing to reset. The framework starts the device again */
static int relay_reset(struct mdev_device *mdev)
{
	return 0;
}

static const struct mdev_description relay_description = {
	.flags = VFIO_DEVICE_FLAGS_CCW,
	.region_shift = MDEV_RELAY_INDEX_SHIFT,
	.nr_regions = MDEV_RELAY_NUM_REGIONS,
	.regions = relay_regions,
	.nr_irqs = VFIO_CCW_NUM_IRQS,
	.irqs = relay_irqs,
	.reset = relay_reset,
};

static struct relay *relay_alloc(struct mdev_device *mdev, enum relay_type type)
{
	struct relay *relay;

	relay = kzalloc(sizeof(*relay), GFP_KERNEL);
	if (!relay)
		return ERR_PTR(-ENOMEM);
	atomic_inc(&relay_relays);
	kref_init(&relay->ref);
	relay->mdev = mdev;
	relay->type = type;
	mutex_init(&relay->lock);
	INIT_LIST_HEAD(&relay->pins);
	return relay;
}

static int relay_create(struct kobject *kobj, struct mdev_device *mdev)
{
	struct relay_parent *parent = relay_parent(mdev_parent_dev(mdev));
	enum relay_type type = relay_type(kobj);
	struct relay *relay;
	int ret;

	if (type == RELAY_FAILING)
		return -EIO;
	if (type == RELAY_LIMITED && atomic_dec_if_positive(&parent->limited) < 0)
		return -ENOSPC;

	relay = relay_alloc(mdev, type);
	if (IS_ERR(relay)) {
		ret = PTR_ERR(relay);
		goto give_back;
	}
	ret = mdev_describe(mdev, &relay_description, relay->triggers);
	if (ret)
		goto put_relay;
	mdev_set_drvdata(mdev, relay);
	return 0;

put_relay:
	relay_put(relay);
give_back:
	if (type == RELAY_LIMITED)
		atomic_inc(&parent->limited);
	return ret;
}

static int relay_remove(struct mdev_device *mdev)
{
	struct relay_parent *parent = relay_parent(mdev_parent_dev(mdev));
	struct relay *relay = mdev_get_drvdata(mdev);

	if (relay->type == RELAY_LIMITED)
		atomic_inc(&parent->limited);
	if (relay->page) {
		/* A process that still maps the page reads this */
		memset(page_address(relay->page), MDEV_RELAY_REMOVED, PAGE_SIZE);
		put_page(relay->page);
	}
	relay_put(relay);
	return 0;
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

/* As if the driver had found its hardware gone */
static ssize_t gone_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t count)
{
	mdev_parent_gone(dev);
	return count;
}
static DEVICE_ATTR_WO(gone);

static struct attribute *relay_dev_attrs[] = {
	&dev_attr_gone.attr,
	NULL,
};

static const struct attribute_group relay_dev_group = {
	.name = "relay",
	.attrs = relay_dev_attrs,
};

static const struct attribute_group *relay_dev_groups[] = {
	&relay_dev_group,
	NULL,
};

/* Counters of the driver: they still exist when a device or its parent is gone */
#define RELAY_COUNTER(name)						\
static ssize_t name##_show(struct device_driver *drv, char *buf)	\
{									\
	return sysfs_emit(buf, "%d\n", atomic_read(&relay_##name));	\
}									\
static DRIVER_ATTR_RO(name)

RELAY_COUNTER(opens);
RELAY_COUNTER(releases);
RELAY_COUNTER(revokes);
RELAY_COUNTER(relays);
RELAY_COUNTER(level);

/* "pinned" is the device attribute of one device */
static ssize_t pinned_all_show(struct device_driver *drv, char *buf)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&relay_pinned));
}
static DRIVER_ATTR_RO(pinned_all);

static struct attribute *relay_driver_attrs[] = {
	&driver_attr_opens.attr,
	&driver_attr_releases.attr,
	&driver_attr_revokes.attr,
	&driver_attr_relays.attr,
	&driver_attr_level.attr,
	&driver_attr_pinned_all.attr,
	NULL,
};
ATTRIBUTE_GROUPS(relay_driver);

#define RELAY_OPS							\
	.owner = THIS_MODULE,						\
	.dev_attr_groups = relay_dev_groups,				\
	.mdev_attr_groups = relay_mdev_groups,				\
	.supported_type_groups = relay_types,				\
	.create = relay_create,						\
	.remove = relay_remove,						\
	.open = relay_open,						\
	.release = relay_release,					\
	.dma_unmap = relay_dma_unmap,					\
	.migration = &relay_migration

static const struct mdev_parent_ops relay_ops = {
	RELAY_OPS,
	.revoke = relay_revoke,
};

static const struct mdev_parent_ops relay_unrevocable_ops = {
	RELAY_OPS,
};

/*
 * devres unregisters the parent: the return type of a platform driver's remove
 * callback differs between the kernels that we support.
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

	ret = mdev_register_device(&pdev->dev, pdev->id == RELAY_UNREVOCABLE ?
				   &relay_unrevocable_ops : &relay_ops);
	if (ret)
		return ret;
	return devm_add_action_or_reset(&pdev->dev, relay_unregister,
					&pdev->dev);
}

static struct platform_driver relay_driver = {
	.probe = relay_probe,
	.driver = {
		.name = RELAY_NAME,
		.groups = relay_driver_groups,
	},
};

static void relay_remove_devices(unsigned int count)
{
	unsigned int i;

	/* Begin all at once, so that the grace of all holders runs at the same time */
	for (i = 0; i < count; i++)
		mdev_unregister_begin(&relay_devices[i]->dev);
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
