# SPDX-License-Identifier: GPL-2.0-only
# The kernels that this is built and tested for: the one place that says so. A
# newer one is built for if all is known that VFIO may ask of a driver there.
KERNEL_MIN := 6.1
KERNEL_MAX := 7.3

# The members of struct vfio_device_ops that are known. By another one VFIO may
# ask a driver for what it asked for in another way before: look at it first.
VFIO_OPS := name init release \
	    bind_iommufd unbind_iommufd attach_ioas detach_ioas \
	    pasid_attach_ioas pasid_detach_ioas \
	    open_device close_device read write ioctl get_region_info_caps mmap \
	    request match match_token_uuid dma_unmap device_feature

compat := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
kernel_number = $(shell echo $(subst ., ,$(1)) | { read v p; echo $$((v * 1000 + p)); })
kernel_this := $(VERSION).$(PATCHLEVEL)
kernel_is_newer :=

ifneq ($(shell test $(call kernel_number,$(kernel_this)) -lt $(call kernel_number,$(KERNEL_MIN)) && echo y),)
$(error Linux $(kernel_this) is older than $(KERNEL_MIN), the oldest kernel supported: its VFIO core lacks what mdev needs)
endif
ifneq ($(shell test $(call kernel_number,$(kernel_this)) -gt $(call kernel_number,$(KERNEL_MAX)) && echo y),)
kernel_is_newer := y
endif

vfio_header := $(wildcard $(srctree)/include/linux/vfio.h)
ifneq ($(vfio_header),)
vfio_unknown := $(shell sh $(compat)/vfio_ops.sh $(vfio_header) $(VFIO_OPS))
ifneq ($(.SHELLSTATUS),0)
$(error Linux $(kernel_this) is not supported: no struct vfio_device_ops was found in its linux/vfio.h)
endif
ifneq ($(vfio_unknown),)
$(error Linux $(kernel_this) is not supported: its struct vfio_device_ops has what is not known here: $(vfio_unknown))
endif
ifneq ($(kernel_is_newer),)
$(info note: Linux $(kernel_this) is newer than $(KERNEL_MAX), the newest kernel tested; its VFIO has no operation that is not known)
endif
else ifneq ($(kernel_is_newer),)
$(error Linux $(kernel_this) is newer than $(KERNEL_MAX), the newest kernel tested, and its headers have no linux/vfio.h to compare)
endif
