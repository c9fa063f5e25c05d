# SPDX-License-Identifier: GPL-2.0-only
# The kernels that this is built and tested for: the one place that says so.
KERNEL_MIN := 6.1
KERNEL_MAX := 6.12

kernel_number = $(shell echo $(subst ., ,$(1)) | { read v p; echo $$((v * 1000 + p)); })
kernel_this := $(VERSION).$(PATCHLEVEL)

ifneq ($(shell test $(call kernel_number,$(kernel_this)) -lt $(call kernel_number,$(KERNEL_MIN)) && echo y),)
$(error Linux $(kernel_this) is older than $(KERNEL_MIN), the oldest kernel supported: its VFIO core lacks what mdev needs)
endif
ifneq ($(shell test $(call kernel_number,$(kernel_this)) -gt $(call kernel_number,$(KERNEL_MAX)) && echo y),)
$(error Linux $(kernel_this) is newer than $(KERNEL_MAX), the newest kernel tested; add KERNEL_MAX=$(kernel_this) to the command line to try)
endif
