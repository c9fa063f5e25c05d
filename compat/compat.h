/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The newest kernel's interfaces on older kernels. The code is written for the
 * former; each shim below names the kernel and the commit that changed the
 * interface, and goes when KERNEL_MIN in range.mk passes it.
 */
#ifndef _COMPAT_H
#define _COMPAT_H

#include <linux/device.h>
#include <linux/eventfd.h>
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

/* Whether the holder brought iommufd in place of a type 1 container, since 6.2 */
#ifdef HAVE_VFIO_IOMMUFD_OPS
#define vfio_device_has_iommufd(vdev)	((vdev)->iommufd_access != NULL)
#else
#define vfio_device_has_iommufd(vdev)	((void)(vdev), false)
#endif

/*
 * Linux 6.2, 913447d06f03 ("vfio: Remove vfio_free_device"): the core frees
 * what vfio_alloc_device() allocated
 */
#ifdef HAVE_VFIO_FREE_DEVICE
#define VFIO_DEVICE_FREE_OPS	.release = vfio_free_device,
#else
#define VFIO_DEVICE_FREE_OPS
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
 * How many descriptors of a VFIO device are open, or -1 where a kernel does not
 * tell: in VFIO's words, that is not for drivers
 */
#ifdef HAVE_VFIO_OPEN_COUNT
#define vfio_device_open_count(vdev)	((int)(vdev)->open_count)
#else
#define vfio_device_open_count(vdev)	((void)(vdev), -1)
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
