/* SPDX-License-Identifier: GPL-2.0-only */
/* Declarations that pci_start.S and pci_guest.c share. */
#ifndef GUESTS_PCI_GUEST_H
#define GUESTS_PCI_GUEST_H

/* The number of an interrupt's kind */
#define BY_TIMER	0
#define BY_INTX		1
#define BY_MSI		2
#define SPURIOUS	3
#define SPURIOUS2	4
#define NR_INTERRUPTS	5

#ifndef ASSEMBLY

#include <stdint.h>

/* The information from the loader: the command line, if there is one */
struct multiboot {
	uint32_t flags;
	uint32_t rest[3];
	const char *command_line;
};

void main(const struct multiboot *multiboot);

/* The interrupt entries, and the function that they call */
void on_timer(void);
void on_intx(void);
void on_msi(void);
void on_spurious(void);
void on_spurious2(void);
void interrupt(int which);

/* The same for exceptions of the processor */
void on_exception(void);
void unexpected(void);

#endif /* ASSEMBLY */

#endif /* GUESTS_PCI_GUEST_H */
