// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of a device that can be revoked. A mapping outlives the gate, and
 * the memory management calls the parent driver's operations of it directly. So
 * these operations are wrapped, and pass the gate, too. A fault handler inserts
 * its page itself, inside the gate.
 *
 * Pages that a fault has inserted can be taken away again, if the kernel keeps
 * the mappings of one VFIO device apart from all others. Pages that the mmap
 * callback itself inserts cannot be found at first: the memory management does
 * its own part of mmap(2) after the callback. While such a mapping exists, or
 * on an older kernel any mapping, the device cannot be revoked.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/refcount.h>
#include <linux/slab.h>

#include "compat.h"
#include "mdev_describe.h"
#include "mdev_mmap.h"

/**
 * struct mdev_mapping - shared by the VMAs that stem from one mmap(2)
 * @ops: their operations
 * @parent_ops: the parent driver's, valid inside the gate; or NULL
 * @vmdev: the device; the VMAs' file keeps it
 * @vmas: how many VMAs there are; a split or a fork makes more
 * @stuck: the kernel cannot take it away: it counts in the device's mappings
 */
struct mdev_mapping {
	struct vm_operations_struct ops;
	const struct vm_operations_struct *parent_ops;
	struct mdev_vfio *vmdev;
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
	/* No thread can look at the operations of a VMA that is being closed */
	kfree(mapping);
}

static void mdev_vma_open(struct vm_area_struct *vma)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vma);

	refcount_inc(&mapping->vmas);
	if (!mapping->parent_ops || !mdev_gate_enter(&mapping->vmdev->gate))
		return;
	if (mapping->parent_ops->open)
		mapping->parent_ops->open(vma);
	mdev_gate_leave(&mapping->vmdev->gate);
}

static void mdev_vma_close(struct vm_area_struct *vma)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vma);

	if (mapping->parent_ops && mdev_gate_enter(&mapping->vmdev->gate)) {
		if (mapping->parent_ops->close)
			mapping->parent_ops->close(vma);
		mdev_gate_leave(&mapping->vmdev->gate);
	}
	if (refcount_dec_and_test(&mapping->vmas))
		mdev_mapping_free(mapping);
}

/*
 * If a handler returns a page, the memory management inserts it: outside of the
 * gate, so that a revocation may not find it. Give it back.
 */
static vm_fault_t mdev_vma_refuse_page(struct mdev_mapping *mapping,
				       struct vm_fault *vmf, vm_fault_t ret)
{
	pr_warn_once("mdev: fault handler %ps returns a page instead of inserting it: a parent driver with a revoke callback has to insert it\n",
		     mapping->parent_ops->fault);
	if (!vmf->page)
		return VM_FAULT_SIGBUS;
	if (ret & VM_FAULT_LOCKED)
		unlock_page(vmf->page);
	put_page(vmf->page);
	vmf->page = NULL;
	return VM_FAULT_SIGBUS;
}

/*
 * Allocates the page tables for the page that the handler will insert. They are
 * charged to the process's cgroup, and the kernel may wait until it has killed
 * other processes of that cgroup.
 */
static bool mdev_vma_has_tables(const struct vm_fault *vmf)
{
	return !apply_to_page_range(vmf->vma->vm_mm, vmf->address & PAGE_MASK,
				    PAGE_SIZE, NULL, NULL);
}

static vm_fault_t mdev_vma_fault(struct vm_fault *vmf)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vmf->vma);
	vm_fault_t ret;

	if (!mdev_vma_has_tables(vmf))
		return VM_FAULT_OOM;
	if (!mdev_gate_enter(&mapping->vmdev->gate))
		return VM_FAULT_SIGBUS;
	ret = mapping->parent_ops->fault(vmf);
	if (unlikely(!(ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE |
			      VM_FAULT_RETRY))))
		ret = mdev_vma_refuse_page(mapping, vmf, ret);
	mdev_gate_leave(&mapping->vmdev->gate);
	return ret;
}

static vm_fault_t mdev_vma_page_mkwrite(struct vm_fault *vmf)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vmf->vma);
	vm_fault_t ret;

	if (!mdev_gate_enter(&mapping->vmdev->gate))
		return VM_FAULT_SIGBUS;
	ret = mapping->parent_ops->page_mkwrite(vmf);
	mdev_gate_leave(&mapping->vmdev->gate);
	return ret;
}

static vm_fault_t mdev_vma_pfn_mkwrite(struct vm_fault *vmf)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vmf->vma);
	vm_fault_t ret;

	if (!mdev_gate_enter(&mapping->vmdev->gate))
		return VM_FAULT_SIGBUS;
	ret = mapping->parent_ops->pfn_mkwrite(vmf);
	mdev_gate_leave(&mapping->vmdev->gate);
	return ret;
}

/* Another process, such as a debugger, accesses the mapped memory */
static int mdev_vma_access(struct vm_area_struct *vma, unsigned long addr,
			   void *buf, int len, int write)
{
	struct mdev_mapping *mapping = mdev_mapping_of(vma);
	int ret;

	if (!mdev_gate_enter(&mapping->vmdev->gate))
		return -EIO;
	ret = mapping->parent_ops->access(vma, addr, buf, len, write);
	mdev_gate_leave(&mapping->vmdev->gate);
	return ret;
}

/*
 * Some operations are not passed on, since none of them is needed: the name,
 * and those that make one larger or earlier fault of many, which may never
 * return.
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
static bool mdev_vma_can_be_taken(struct mdev_vfio *vmdev,
				  const struct vm_area_struct *vma)
{
	return vma->vm_ops && vma->vm_ops->fault &&
	       vfio_device_mapping(&vmdev->vdev);
}

/* The parent driver's mmap has succeeded, but the rest of mmap(2) has not */
static void mdev_mapping_undo(struct vm_area_struct *vma)
{
	if (vma->vm_ops && vma->vm_ops->close)
		vma->vm_ops->close(vma);
}

/*
 * With another file it would not keep the device, and not be found by a zap. If
 * it is not of PFNs, its pages can be pinned, and used after the zap.
 */
static int mdev_mapping_check(struct mdev_vfio *vmdev,
			      struct mdev_mapping *mapping,
			      const struct vm_area_struct *vma,
			      const struct file *file)
{
	if (vma->vm_file != file)
		return -EINVAL;
	if (!(vma->vm_flags & VM_PFNMAP)) {
		dev_warn_once(&vmdev->mdev->dev, "the parent driver %s maps pages without VM_PFNMAP: refused\n",
			      module_name(vmdev->ops->owner));
		return -EINVAL;
	}
	if (mdev_vma_can_be_taken(vmdev, vma))
		return 0;
	/* Negative if a revocation has begun, which waits for this call */
	if (!atomic_inc_unless_negative(&vmdev->mappings))
		return -ENODEV;
	mapping->stuck = true;
	if (!vma->vm_ops || !vma->vm_ops->fault)
		dev_warn_once(&vmdev->mdev->dev, "the parent driver %s maps pages without a fault handler: the device cannot be revoked while they are mapped\n",
			      module_name(vmdev->ops->owner));
	return 0;
}

/* All of a mapping has to be in one region */
static int mdev_mmap_region(struct mdev_device *mdev,
			    struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	const struct mdev_region *region;
	unsigned int index;
	u64 pos;

	region = mdev_region_at(mdev->description, offset, &index, &pos);
	if (!region || !region->mmap || pos >= region->size ||
	    vma->vm_end - vma->vm_start > region->size - pos)
		return -EINVAL;
	/* Nor may it grow out of the region */
	vm_flags_set(vma, VM_DONTEXPAND);
	return region->mmap(mdev, index, vma);
}

static int mdev_mmap_by_driver(struct mdev_vfio *vmdev,
			       struct vm_area_struct *vma)
{
	if (vmdev->mdev->description)
		return mdev_mmap_region(vmdev->mdev, vma);
	return vmdev->ops->mmap ? vmdev->ops->mmap(vmdev->mdev, vma) : -EINVAL;
}

/*
 * A private mapping would have copies of the pages. A fault handler that inserts
 * PFNs into one that can be written crashes the host.
 */
static bool mdev_may_be_private(const struct mdev_vfio *vmdev)
{
	return !vmdev->gate.revocable && !vmdev->mdev->description;
}

/**
 * mdev_mmap - mmap(2)
 * @vmdev: the device
 * @vma: the mapping to be
 *
 * Context: inside the gate.
 * Return: 0 or a negative errno.
 */
int mdev_mmap(struct mdev_vfio *vmdev, struct vm_area_struct *vma)
{
	struct file *file = vma->vm_file;
	struct mdev_mapping *mapping;
	int ret;

	if (!(vma->vm_flags & VM_MAYSHARE) && !mdev_may_be_private(vmdev))
		return -EINVAL;
	if (!vmdev->gate.revocable)
		return mdev_mmap_by_driver(vmdev, vma);

	mapping = kzalloc(sizeof(*mapping), MDEV_GFP_HOLDER);
	if (!mapping)
		return -ENOMEM;

	ret = mdev_mmap_by_driver(vmdev, vma);
	if (ret)
		goto free_mapping;
	ret = mdev_mapping_check(vmdev, mapping, vma, file);
	if (ret)
		goto undo_mmap;

	mapping->vmdev = vmdev;
	refcount_set(&mapping->vmas, 1);
	mdev_mapping_wrap(mapping, vma);
	return 0;

undo_mmap:
	mdev_mapping_undo(vma);
free_mapping:
	kfree(mapping);
	return ret;
}

/**
 * mdev_mappings_end - allow no new mapping that cannot be taken away
 * @vmdev: the device, about to be revoked
 *
 * Return: false if there is one already.
 */
bool mdev_mappings_end(struct mdev_vfio *vmdev)
{
	int old = atomic_cmpxchg(&vmdev->mappings, 0, INT_MIN);

	return old <= 0;
}

/* Take all mappings away. The gate is closed: no fault brings one back */
void mdev_mappings_zap(struct mdev_vfio *vmdev)
{
	struct address_space *mapping = vfio_device_mapping(&vmdev->vdev);

	if (mapping)
		unmap_mapping_range(mapping, 0, 0, 1);
}
