/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of a channel and a device, after the Principles of Operation: the
 * effects of a channel program on memory and on the device. It shares no code
 * and no definition with the translator.
 */
#ifndef CCW_MODEL_H
#define CCW_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits that stop an endless program */
#define MODEL_MAX_FETCHES	3000
#define MODEL_MAX_BYTES		(256 << 10)

/* The ORB's settings */
struct model_orb {
	bool fmt1;		/* format-1 CCWs */
	bool fmt2_idaws;
	bool idaws_2k;		/* for format-2 IDAWs */
	bool modified;		/* CCWs may have MIDAWs */
	bool ils;		/* incorrect-length-suppression mode */
	uint32_t cpa;
};

/* Access to memory. false or NULL means that the address does not exist */
struct model_mem {
	/* The program: CCWs and IDAWs */
	bool (*fetch)(void *ctx, uint64_t addr, void *buf, size_t len);
	/* Data within one page. @write: the channel writes it */
	uint8_t *(*data)(void *ctx, uint64_t addr, bool write);
	void *ctx;
};

/* The device follows a script: see model_device_next() */
struct model_device {
	const uint8_t *script;
	size_t len;
	size_t pos;
	bool unruly;		/* any command may end with status modifier */
};

enum model_end {
	MODEL_NORMAL,		/* channel end and device end */
	MODEL_UNIT_CHECK,
	MODEL_LENGTH,		/* incorrect length */
	MODEL_PROGRAM_CHECK,
	MODEL_RUNNING,		/* stopped by a limit of the model */
};

enum model_direction {
	MODEL_NONE, MODEL_INPUT, MODEL_OUTPUT, MODEL_BACKWARD, MODEL_INVALID,
};

struct model_ccw {
	uint8_t code;
	bool chain_data, chain_command, suppress_length, skip;
	bool interrupt, indirect, modified;
	uint32_t count;
	uint32_t address;
};

/* The visible results of a program, except for memory */
struct model_result {
	enum model_end end;
	uint32_t cpa;		/* as in the SCSW */
	uint16_t residual;
	uint32_t interrupts;	/* program-controlled interrupts */
	uint32_t commands;
	uint64_t bytes;
	uint64_t view;		/* a digest of all data that the device received */
	bool chained;		/* the last CCW was reached by data chaining */
	enum model_direction dir;	/* of the last command */
};

extern const char *const model_end_names[];

struct model_result model_run(const struct model_orb *orb,
			      const struct model_mem *mem,
			      struct model_device *device);

/* The channel's interpretation of the guest's words */
uint32_t model_address_limit(const struct model_orb *orb);
/* These return false for a program check */
bool model_fetch_ccw(const struct model_orb *orb, const struct model_mem *mem,
		     uint32_t addr, struct model_ccw *ccw);
bool model_fetch_idaw(const struct model_orb *orb, const struct model_mem *mem,
		      uint32_t addr, uint64_t *idaw);
struct model_midaw {
	bool last, skip;
	uint32_t count;
	uint64_t address;
};

/* @dir: the direction of the data. @first: it is the first one of its list */
bool model_fetch_midaw(const struct model_orb *orb, const struct model_mem *mem,
		       uint32_t addr, enum model_direction dir, bool first,
		       struct model_midaw *midaw);
bool model_is_tic(const struct model_ccw *ccw);
enum model_direction model_direction_of(uint8_t code);

#endif /* CCW_MODEL_H */
