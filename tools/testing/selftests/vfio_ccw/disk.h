/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs channel programs until device end, and puts those of 3390 disks. */
#ifndef SELFTESTS_VFIO_CCW_DISK_H
#define SELFTESTS_VFIO_CCW_DISK_H

#include "life.h"

#define DISK		"0.0.0120"

#define DSTAT_DEVICE_END 0x04

/* The disk is formatted with records of this size, 12 a track */
#define RECORD		4096
#define RECORDS		12
#define HEADS		15

/* Commands of disks */
#define DISK_WRITE	0x05
#define DISK_READ	0x06
#define DISK_SEEK	0x07
#define DISK_READ_COUNT	0x12
#define DISK_SEARCH_ID	0x31
#define DISK_LOCATE	0x47
#define DISK_EXTENT	0x63
#define DISK_CHARACTERISTICS 0x64
#define DISK_READ_TRACK	0xde
#define DISK_CONFIGURATION 0xfa

/* Parameters of define extent and locate record */
#define EXTENT_READ	0x40
#define EXTENT_WRITE	0x80
#define EXTENT_ECKD	0xc0
#define LOCATE_WRITE	0x01
#define LOCATE_READ	0x06
#define LOCATE_TRACK	0x0c
#define LOCATE_LENGTH	0x80

/* The parameters of commands lie here */
#define PARAMETERS	LIST

/* Runs a program until device end, which may come after channel end */
static inline int run_to_end(const struct ccw *ccw, __u32 flags,
			     struct response *response)
{
	struct response more;
	int err = ccw_run(ccw, flags, PROGRAM, response);

	while (!err && !(response->dstat & DSTAT_DEVICE_END)) {
		err = ccw_response(ccw, &more);
		response->dstat |= more.dstat;
	}
	return err;
}

static inline void expect_status(struct __test_metadata *_metadata,
				 struct ccw *ccw, __u8 status)
{
	EXPECT_EQ(0, run_to_end(ccw, ORB_FORMAT1, &ccw->response));
	EXPECT_EQ(status, ccw->response.dstat);
	EXPECT_EQ(0, ccw->response.cstat);
}

static inline void expect_end(struct __test_metadata *_metadata,
			      struct ccw *ccw)
{
	expect_status(_metadata, ccw, DSTAT_END);
}

static inline void fill(const struct ccw *ccw, __u32 addr, __u32 size, __u8 seed)
{
	__u8 *data = guest(ccw, addr);
	__u32 i;

	for (i = 0; i < size; i++)
		data[i] = seed + i * 7 + (i >> 8);
}

static inline bool filled(const struct ccw *ccw, __u32 addr, __u32 size, __u8 seed)
{
	const __u8 *data = guest(ccw, addr);
	__u32 i;

	for (i = 0; i < size; i++)
		if (data[i] != (__u8)(seed + i * 7 + (i >> 8)))
			return false;
	return true;
}

static inline void put16(const struct ccw *ccw, __u32 addr, __u16 value)
{
	__u16 word = htobe16(value);

	memcpy(guest(ccw, addr), &word, sizeof(word));
}

/* Puts define extent and locate record. Returns the address behind them */
static inline __u32 put_locate(const struct ccw *ccw, __u8 mask, __u8 operation,
			       __u16 cylinder, __u16 head, __u8 record)
{
	const __u32 extent = PARAMETERS, locate = PARAMETERS + 16;
	__u32 at;

	memset(guest(ccw, extent), 0, 32);
	*(__u8 *)guest(ccw, extent) = mask;
	*(__u8 *)guest(ccw, extent + 1) = EXTENT_ECKD;
	put16(ccw, extent + 8, cylinder);
	put16(ccw, extent + 10, head);
	put16(ccw, extent + 12, cylinder);
	put16(ccw, extent + 14, head);
	*(__u8 *)guest(ccw, locate) = operation;
	if (operation != LOCATE_TRACK)
		*(__u8 *)guest(ccw, locate + 1) = LOCATE_LENGTH;
	*(__u8 *)guest(ccw, locate + 3) = 1;
	put16(ccw, locate + 4, cylinder);
	put16(ccw, locate + 6, head);
	put16(ccw, locate + 8, cylinder);
	put16(ccw, locate + 10, head);
	*(__u8 *)guest(ccw, locate + 12) = record;
	*(__u8 *)guest(ccw, locate + 13) = 0xff;
	if (operation != LOCATE_TRACK)
		put16(ccw, locate + 14, RECORD);
	at = put_ccw(ccw, PROGRAM, DISK_EXTENT, CCW_CC, 16, extent);
	return put_ccw(ccw, at, DISK_LOCATE, CCW_CC, 16, locate);
}

static inline void put_write(const struct ccw *ccw, __u16 cylinder, __u16 head,
			     __u8 record, __u32 data)
{
	__u32 at = put_locate(ccw, EXTENT_WRITE, LOCATE_WRITE, cylinder, head,
			      record);

	put_ccw(ccw, at, DISK_WRITE, 0, RECORD, data);
}

static inline void put_read(const struct ccw *ccw, __u16 cylinder, __u16 head,
			    __u8 record, __u32 data)
{
	__u32 at = put_locate(ccw, EXTENT_READ, LOCATE_READ, cylinder, head,
			      record);

	put_ccw(ccw, at, DISK_READ, 0, RECORD, data);
}

#endif /* SELFTESTS_VFIO_CCW_DISK_H */
