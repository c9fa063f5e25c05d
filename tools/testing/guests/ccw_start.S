/* SPDX-License-Identifier: GPL-2.0-only */
/* The entry point of ccw_guest, and its wait for interrupts. */

	.section .start, "ax"
	.globl	_start
_start:
	/* A PSW on a disk starts the guest with 31-bit addressing */
	sam64
	larl	%r15, stack_end
	aghi	%r15, -160
	brasl	%r14, main
	larl	%r1, stopped
	lpswe	0(%r1)

	/* QEMU writes the command line here, up to 896 characters. */
	.org	0x480
	.globl	command_line
command_line:
	.fill	0x380, 1, 0

	.text

/*
 * int wait_event(void): returns 0 after an I/O interrupt, 1 after a machine check. Interrupts are enabled only during
 * this wait. The handlers keep all registers, so the code after the wait goes on as if the LPSWE had returned.
 */
	.globl	wait_event
wait_event:
	larl	%r1, waiting
	lpswe	0(%r1)
	.globl	on_io
on_io:
	lghi	%r2, 0
	br	%r14
	.globl	on_machine_check
on_machine_check:
	lghi	%r2, 1
	br	%r14

	.globl	on_program_check
on_program_check:
	brasl	%r14, program_check
	larl	%r1, stopped
	lpswe	0(%r1)

	.data
	.balign	8
/* 64-bit addresses; enabled for I/O and machine checks */
waiting:
	.quad	0x0206000180000000, 0
/* All interrupts are disabled: QEMU ends the machine. */
stopped:
	.quad	0x0002000180000000, 0

	.bss
	.balign	4096
	.space	8192
stack_end:
	.space	8
