/* SPDX-License-Identifier: GPL-2.0-only */
/* Starts QEMU with a PCI device, and our own program guests/pci_guest.c as its guest */
#ifndef SELFTESTS_QEMU_PCI_CLIENT_H
#define SELFTESTS_QEMU_PCI_CLIENT_H

#include "qemu.h"

#define DRIVER		"vfio-pci"

/* If @incoming is an address, the guest comes from there; otherwise it starts */
static inline int start_pci(struct qemu *qemu, const char *driver,
			    const struct uuid *uuid, const char *command_line,
			    const char *incoming)
{
	const char * const argv[] = {
		"/usr/bin/qemu-system-x86_64",
		"-M", "pc", "-accel", "tcg", "-m", "32",
		"-nodefaults", "-display", "none",
		"-chardev", "stdio,id=console,signal=off",
		"-device", "isa-debugcon,chardev=console,iobase=0xe9",
		"-kernel", GUEST_PROGRAM("pci_guest"), "-append", command_line,
		incoming ? "-incoming" : NULL, incoming,
		NULL,
	};

	return qemu_start(qemu, argv, driver, uuid);
}

static inline int start(struct qemu *qemu, const struct uuid *uuid,
			const char *command_line)
{
	return start_pci(qemu, DRIVER, uuid, command_line, NULL);
}

/* QEMU has closed the device, and its guest has noticed that */
static inline void expect_unplugged(struct __test_metadata *_metadata,
				    struct qemu *qemu)
{
	EXPECT_TRUE(qmp_event(qemu, "DEVICE_DELETED"));
	EXPECT_TRUE(qemu_says(qemu, "the card is gone\n"));
}

#endif /* SELFTESTS_QEMU_PCI_CLIENT_H */
