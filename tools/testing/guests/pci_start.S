/* SPDX-License-Identifier: GPL-2.0-only */
/* How pci_guest begins, and where its interrupts come in. */

#define ASSEMBLY
#include "pci_guest.h"

#define MULTIBOOT	0x1badb002

	.section .start, "ax"
	/* By this a loader knows what it has */
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
	/* The C function takes the number of the interrupt. */
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

	/* Of the processor: nothing of it is expected */
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
