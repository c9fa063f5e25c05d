/* SPDX-License-Identifier: GPL-2.0-only */
/* Declarations that ccw_start.S, ccw_guest.lds and ccw_guest.c share. */
#ifndef GUESTS_CCW_GUEST_H
#define GUESTS_CCW_GUEST_H

#include <stdint.h>

/* The lowcore, which the processor uses */
struct psw {
	uint64_t mask;
	uint64_t addr;
};

#define PSW_64BIT	0x0000000180000000ULL

extern struct lowcore {
	uint8_t before[0x8c];
	uint32_t program_code;
	uint8_t between[0x1d0 - 0x90];
	struct psw program_new;
	struct psw machine_check_new;
	struct psw io_new;
} lowcore;

extern const char command_line[];

/* 0 after an I/O interrupt, 1 after a machine check */
int wait_event(void);

/* The interrupt handlers */
void on_io(void);
void on_machine_check(void);
void on_program_check(void);

void program_check(void);
int main(void);

#endif /* GUESTS_CCW_GUEST_H */
