/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The newest kernel's interfaces on older kernels. The code is written for the
 * former; each shim below names the kernel and the commit that changed the
 * interface, and goes when KERNEL_MIN in range.mk passes it.
 */
#ifndef _COMPAT_H
#define _COMPAT_H

#include <linux/bits.h>
#include <linux/device.h>
#include <linux/eventfd.h>
#include <linux/fs_struct.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vfio.h>

#include "features.h"

/* Linux 6.8, 3652117f8548 ("eventfd: simplify eventfd_signal()") */
#ifndef HAVE_EVENTFD_SIGNAL_WITHOUT_COUNT
#define eventfd_signal(ctx) eventfd_signal(ctx, 1)
#endif

/* Linux 6.4, 1aaba11da9aa ("driver core: class: remove module * from class_create()") */
#ifndef HAVE_CLASS_CREATE_WITHOUT_OWNER
#undef class_create
#define class_create(name)						\
({									\
	static struct lock_class_key __key;				\
									\
	__class_create(THIS_MODULE, name, &__key);			\
})
#endif

/* Linux 6.14, "driver core: class: remove class_compat_link()'s device_link" */
#ifndef HAVE_CLASS_COMPAT_WITHOUT_ATTR
#define class_compat_create_link(cls, dev)				\
	class_compat_create_link(cls, dev, NULL)
#define class_compat_remove_link(cls, dev)				\
	class_compat_remove_link(cls, dev, NULL)
#endif

/* For what a kernel has no operation */
#define VFIO_NO_OPS(...)

/*
 * Linux 6.19, "vfio: Provide a get_region_info op", and what follows it: VFIO
 * answers VFIO_DEVICE_GET_REGION_INFO by itself
 */
#ifdef HAVE_GET_REGION_INFO_CAPS
#define VFIO_REGION_INFO_OPS(function)	.get_region_info_caps = function,
/* Nor does anything else tell that these kernels' VFIO shows a device's path */
#define vfio_shows_path		true
#else
#define VFIO_REGION_INFO_OPS(function)	VFIO_NO_OPS(function)
#define vfio_shows_path		false
#endif

/* Linux 6.18, "workqueue: Add new WQ_PERCPU flag": before, that goes without saying */
#ifndef HAVE_WQ_PERCPU
#define WQ_PERCPU 0
#endif

/*
 * Since Linux 7.1 a kernel thread has an empty file system, and says that it
 * wants that of user space; before, it has nothing else
 */
#ifndef HAVE_SCOPED_WITH_INIT_FS
#define scoped_with_init_fs()
#endif

/*
 * Linux 6.11, d69d80484598 ("driver core: have match() callback in struct
 * bus_type take a const *")
 */
#ifdef HAVE_BUS_MATCH_CONST_DRIVER
#define bus_match_driver const struct device_driver
#else
#define bus_match_driver struct device_driver
#endif

/*
 * Linux 6.2, 4741f2e94129 ("vfio-iommufd: Support iommufd for emulated VFIO
 * devices"), and Linux 6.6, 8cfa71860233 ("vfio-iommufd: Add detach_ioas
 * support for emulated VFIO devices")
 */
#ifdef HAVE_VFIO_IOMMUFD_OPS
#define VFIO_EMULATED_IOMMUFD_BIND_OPS					\
	.bind_iommufd	= vfio_iommufd_emulated_bind,			\
	.unbind_iommufd	= vfio_iommufd_emulated_unbind,			\
	.attach_ioas	= vfio_iommufd_emulated_attach_ioas,
#else
#define VFIO_EMULATED_IOMMUFD_BIND_OPS
#endif
#ifdef HAVE_VFIO_DETACH_IOAS
#define VFIO_EMULATED_IOMMUFD_DETACH_OPS				\
	.detach_ioas	= vfio_iommufd_emulated_detach_ioas,
#else
#define VFIO_EMULATED_IOMMUFD_DETACH_OPS
#endif
#define VFIO_EMULATED_IOMMUFD_OPS					\
	VFIO_EMULATED_IOMMUFD_BIND_OPS					\
	VFIO_EMULATED_IOMMUFD_DETACH_OPS

/*
 * Linux 6.2, 913447d06f03 ("vfio: Remove vfio_free_device"): the core frees
 * what vfio_alloc_device() allocated
 */
#ifdef HAVE_VFIO_FREE_DEVICE
#define vfio_release_memory(vdev)	vfio_free_device(vdev)
#else
#define vfio_release_memory(vdev)	((void)(vdev))
#endif

/*
 * Linux 6.10, b7c5e64fecfa ("vfio: Create vfio_fs_type with inode per device"):
 * where the mappings of one VFIO device are, or NULL: among those of others
 */
#ifdef HAVE_VFIO_DEVICE_INODE
#define vfio_device_mapping(vdev)	((vdev)->inode->i_mapping)
#else
#define vfio_device_mapping(vdev)	((void)(vdev), (struct address_space *)NULL)
#endif

/*
 * Linux 6.2, 4db52602a607 ("vfio: Extend the device migration protocol with
 * PRE_COPY"): before, there is no pre-copy, and nobody can ask for it
 */
#ifndef VFIO_MIGRATION_PRE_COPY
#define VFIO_MIGRATION_PRE_COPY		BIT(2)
#define VFIO_DEVICE_STATE_PRE_COPY	6
#define VFIO_DEVICE_STATE_PRE_COPY_P2P	7
#define VFIO_MIG_GET_PRECOPY_INFO	_IO(VFIO_TYPE, VFIO_BASE + 21)
struct vfio_precopy_info {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};

#define vfio_has_precopy	false
#else
#define vfio_has_precopy	true
#endif

/*
 * Linux 6.2, 4e016f969529 ("vfio: Add an option to get migration data size")
 */
#ifdef HAVE_VFIO_MIGRATION_SIZE
#define VFIO_MIGRATION_SIZE_OP(function)				\
	.migration_get_data_size = function,
#else
#define VFIO_MIGRATION_SIZE_OP(function)	VFIO_NO_OPS(function)
#endif

/*
 * How many descriptors of a VFIO device are open, or -1 where a kernel does not
 * tell: in VFIO's words, that is not for drivers
 */
#ifdef HAVE_VFIO_OPEN_COUNT
#define vfio_device_open_count(vdev)	((int)(vdev)->open_count)
#else
#define vfio_device_open_count(vdev)	((void)(vdev), -1)
#endif

/*
 * Linux 6.6, 8b6f173a4ce4 ("vfio: Add cdev for vfio_device"): if the kernel is so
 * configured, a VFIO device has a file of its own, else NULL
 */
#ifdef CONFIG_VFIO_DEVICE_CDEV
#define vfio_device_cdev(vdev)	(&(vdev)->cdev)
#else
#define vfio_device_cdev(vdev)	((void)(vdev), (struct cdev *)NULL)
#endif

/*
 * Linux 6.3, bc292ab00f6c ("mm: introduce vma->vm_flags wrapper functions")
 */
#ifndef HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

#endif /* _COMPAT_H */
