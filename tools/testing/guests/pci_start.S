/* SPDX-License-Identifier: GPL-2.0-only */
/* The entry point of pci_guest, and the entries of its interrupts. */

#define ASSEMBLY
#include "pci_guest.h"

#define MULTIBOOT	0x1badb002

	.section .start, "ax"
	/* The header by which a loader recognises a Multiboot program */
	.long	MULTIBOOT, 0, -MULTIBOOT

	.globl	_start
_start:
	mov	$stack_end, %esp
	lgdt	gdt_pointer
	ljmp	$8, $1f
1:	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	push	%ebx
	call	main
2:	cli
	hlt
	jmp	2b

	.text
	/* interrupt() takes the number of the interrupt's kind. */
	.macro	entry name, number
	.globl	\name
\name:
	pushal
	cld
	push	$\number
	call	interrupt
	add	$4, %esp
	popal
	iret
	.endm

	entry	on_timer, BY_TIMER
	entry	on_intx, BY_INTX
	entry	on_msi, BY_MSI
	entry	on_spurious, SPURIOUS
	entry	on_spurious2, SPURIOUS2

	/* Exceptions are errors */
	.globl	on_exception
on_exception:
	call	unexpected
	jmp	2b

	.data
	.balign	8
gdt:
	.quad	0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.bss
	.balign	16
	.space	8192
stack_end:
