// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of a device that can be revoked. A mapping outlives the gate, and
 * the memory management calls the parent driver through it without asking: so
 * the operations of the parent driver's are wrapped, and pass the gate too.
 *
 * Pages that a fault has inserted can be taken away again, where the kernel
 * keeps the mappings of one VFIO device apart from all others. What the mmap
 * callback itself inserts is not found there before the memory management has
 * done its own part of mmap(2), after the callback. Such a mapping, and any on
 * an older kernel, keeps the device from being revoked while it lives.
 */
#include <linux/mm.h>
#include <linux/refcount.h>
#include <linux/slab.h>

#include "compat.h"
#include "vfio_mdev.h"

/**
 * struct mdev_mapping - what the VMAs that stem from one mmap(2) share
 * @ops: their operations
 * @parent_ops: the parent driver's, valid inside the gate; or NULL
 * @vmdev: the device; the VMAs' file keeps it
 * @vmas: how many VMAs there are; a split or a fork makes more
 * @stuck: the kernel cannot take it away: it counts in the device's mappings
 */
struct mdev_mapping {
	struct vm_operations_struct ops;
	const struct vm_operations_struct *parent_ops;
	struct vfio_mdev *vmdev;
	refcount_t vmas;
	bool stuck;
};

static struct mdev_mapping *mdev_mapping_of(const struct vm_area_struct *vma)
{
	return container_of(vma->vm_ops, struct mdev_mapping, ops);
}

static void mdev_mapping_free(struct mdev_mapping *mapping)
{
	if (mapping->stuck)
		atomic_dec(&mapping->vmdev->mappings);
	/* A VMA is closed when nobody can look at its operations any more */
	kfree(mapping);
}

static void mdev_vma_open(struct vm_area_struct *vma)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vma);

	refcount_inc(&mapping->vmas);
	if (!mapping->parent_ops || !mdev_gate_enter(mapping->vmdev))
		return;
	if (mapping->parent_ops->open)
		mapping->parent_ops->open(vma);
	mdev_gate_leave(mapping->vmdev);
}

static void mdev_vma_close(struct vm_area_struct *vma)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vma);

	if (mapping->parent_ops && mdev_gate_enter(mapping->vmdev)) {
		if (mapping->parent_ops->close)
			mapping->parent_ops->close(vma);
		mdev_gate_leave(mapping->vmdev);
	}
	if (refcount_dec_and_test(&mapping->vmas))
		mdev_mapping_free(mapping);
}

static vm_fault_t mdev_vma_fault(struct vm_fault *vmf)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vmf->vma);
	vm_fault_t ret;

	if (!mdev_gate_enter(mapping->vmdev))
		return VM_FAULT_SIGBUS;
	ret = mapping->parent_ops->fault(vmf);
	mdev_gate_leave(mapping->vmdev);
	return ret;
}

static vm_fault_t mdev_vma_page_mkwrite(struct vm_fault *vmf)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vmf->vma);
	vm_fault_t ret;

	if (!mdev_gate_enter(mapping->vmdev))
		return VM_FAULT_SIGBUS;
	ret = mapping->parent_ops->page_mkwrite(vmf);
	mdev_gate_leave(mapping->vmdev);
	return ret;
}

static vm_fault_t mdev_vma_pfn_mkwrite(struct vm_fault *vmf)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vmf->vma);
	vm_fault_t ret;

	if (!mdev_gate_enter(mapping->vmdev))
		return VM_FAULT_SIGBUS;
	ret = mapping->parent_ops->pfn_mkwrite(vmf);
	mdev_gate_leave(mapping->vmdev);
	return ret;
}

/* Another process, a debugger, looks at what is mapped */
static int mdev_vma_access(struct vm_area_struct *vma, unsigned long addr,
			   void *buf, int len, int write)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vma);
	int ret;

	if (!mdev_gate_enter(mapping->vmdev))
		return -EIO;
	ret = mapping->parent_ops->access(vma, addr, buf, len, write);
	mdev_gate_leave(mapping->vmdev);
	return ret;
}

/*
 * Not passed on: what makes larger or earlier faults of many, since there may
 * be one that never comes back, and the name; none of them is needed.
 */
static void mdev_mapping_wrap(struct mdev_mapping *mapping,
			      struct vm_area_struct *vma)
{
	const struct vm_operations_struct *ops = vma->vm_ops;

	mapping->parent_ops = ops;
	mapping->ops.open = mdev_vma_open;
	mapping->ops.close = mdev_vma_close;
	if (ops && ops->fault)
		mapping->ops.fault = mdev_vma_fault;
	if (ops && ops->page_mkwrite)
		mapping->ops.page_mkwrite = mdev_vma_page_mkwrite;
	if (ops && ops->pfn_mkwrite)
		mapping->ops.pfn_mkwrite = mdev_vma_pfn_mkwrite;
	if (ops && ops->access)
		mapping->ops.access = mdev_vma_access;
	vma->vm_ops = &mapping->ops;
}

/* See at the top of this file */
static bool mdev_vma_can_be_taken(struct vfio_mdev *vmdev,
				  const struct vm_area_struct *vma)
{
	return vma->vm_ops && vma->vm_ops->fault &&
	       vfio_device_mapping(&vmdev->vdev);
}

/**
 * mdev_map - mmap(2)
 * @vmdev: the device
 * @vma: the mapping to be
 *
 * Context: inside the gate.
 * Return: 0 or a negative errno.
 */
int mdev_map(struct vfio_mdev *vmdev, struct vm_area_struct *vma)
{
	struct file *file = vma->vm_file;
	struct mdev_mapping *mapping;
	int ret;

	if (!vmdev->ops->mmap)
		return -EINVAL;
	if (!vmdev->revocable)
		return vmdev->ops->mmap(vmdev->mdev, vma);

	mapping = kzalloc(sizeof(*mapping), GFP_KERNEL_ACCOUNT);
	if (!mapping)
		return -ENOMEM;

	ret = vmdev->ops->mmap(vmdev->mdev, vma);
	/* One of another file would not keep the device, nor be found by it */
	if (!ret && vma->vm_file != file)
		ret = -EINVAL;
	mapping->stuck = !ret && !mdev_vma_can_be_taken(vmdev, vma);
	/* Not any more, when a revocation has begun: it waits for this call */
	if (mapping->stuck && !atomic_inc_unless_negative(&vmdev->mappings))
		ret = -ENODEV;
	if (ret) {
		kfree(mapping);
		return ret;
	}

	mapping->vmdev = vmdev;
	refcount_set(&mapping->vmas, 1);
	mdev_mapping_wrap(mapping, vma);
	return 0;
}

/**
 * mdev_mappings_end - from now on no mapping that cannot be taken away
 * @vmdev: the device, about to be revoked
 *
 * Return: false where there is one already.
 */
bool mdev_mappings_end(struct vfio_mdev *vmdev)
{
	int old = atomic_cmpxchg(&vmdev->mappings, 0, INT_MIN);

	return old <= 0;
}

/* Take all mappings away. The gate is closed: no fault brings one back */
void mdev_mappings_zap(struct vfio_mdev *vmdev)
{
	struct address_space *mapping = vfio_device_mapping(&vmdev->vdev);

	if (mapping)
		unmap_mapping_range(mapping, 0, 0, 1);
}
