# SPDX-License-Identifier: GPL-2.0
# Modules for one kernel: make KDIR=<its headers>. What the headers say about a cross compiler holds here.

KDIR ?= /lib/modules/$(shell uname -r)/build

INSTALLED := drivers/vfio/mdev/mdev drivers/s390/cio/vfio_ccw samples/vfio-mdev/mtty

# Where programs go, below INSTALL_MOD_PATH, too.
PREFIX ?= /usr/local
programs = $(INSTALL_MOD_PATH)$(PREFIX)

# The name that the kernel has for itself: Debian's headers of 6.1 give another one to "make kernelrelease".
kernelrelease = $(shell sed -n 's/.* UTS_RELEASE "\(.*\)"/\1/p' $(KDIR)/include/generated/utsrelease.h)
depmod = depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) $(kernelrelease)

modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

# updates/ goes before the kernel's own modules of the same names.
install: modules
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_DIR=updates modules_install
	$(depmod)
	install -D -m 755 tools/mdevs $(programs)/bin/mdevs
	install -D -m 644 tools/mdevs.8 $(programs)/share/man/man8/mdevs.8

# What install has put there; what DKMS has installed is for DKMS to remove.
uninstall:
	updates=$(INSTALL_MOD_PATH)/lib/modules/$(kernelrelease)/updates && for module in $(INSTALLED); do \
		rm -f $$updates/$$module.ko*; \
		rmdir -p --ignore-fail-on-non-empty $$updates/$${module%/*} 2>/dev/null || :; \
	done
	$(depmod)
	rm -f $(programs)/bin/mdevs $(programs)/share/man/man8/mdevs.8
	rmdir --ignore-fail-on-non-empty $(programs)/share/man/man8 2>/dev/null || :

clean:
	$(MAKE) -C $(KDIR) M=$(CURDIR) clean

# These need no KDIR: the VM runner fetches kernels and headers of its own. ARGS are for it.
check check-all:
	@./run $@ $(ARGS)

compile_commands.json:
	@./run compile-commands $(ARGS)

help:
	@echo 'make KDIR=<headers>          build the modules, each beside its sources'
	@echo 'make KDIR=<headers> install  install them into updates/, and mdevs below PREFIX (/usr/local)'
	@echo 'make KDIR=<headers> uninstall  remove what "install" has installed'
	@echo 'make KDIR=<headers> clean    remove what was built'
	@echo 'make check                   run all tests but the long ones, in VMs: ./run check'
	@echo 'make check-all               those, and what takes longer: ./run check-all'
	@echo 'make compile_commands.json   tell editors how the modules are compiled'
	@./run help

.PHONY: modules install uninstall clean check check-all compile_commands.json help
