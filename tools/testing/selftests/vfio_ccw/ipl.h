/* SPDX-License-Identifier: GPL-2.0-only */
/* A guest is loaded from these records of a disk. Each holds the CCWs that read the next ones. */
#ifndef SELFTESTS_VFIO_CCW_IPL_H
#define SELFTESTS_VFIO_CCW_IPL_H

#include "disk.h"

/* A disk whose tracks the tests format. No other test keeps data there */
#define SCRATCH		"0.0.0121"

/* The firmware's programs have format 0. Some allow prefetching */
#define ORB_STRICT	(ORB_LPM | ORB_IDA64)
#define ORB_FIRMWARE	(ORB_STRICT | ORB_PREFETCH)

#define DISK_WRITE_CKD	0x1d
#define LOCATE_FORMAT	0x03

/* The address of record 2 in the guest's memory. Its parameters are behind its CCWs */
#define LIST_OF_LOADER	0x1000
#define LOADER_SEEK	(LIST_OF_LOADER + 0x40)

/* Sizes of the records of track 0, as volumes have them */
#define KEY_SIZE	4
#define IPL1_SIZE	24
#define IPL2_SIZE	144
#define LABEL_SIZE	80

/* The format and the memory for which the CCWs in the records are made */
struct place {
	__u32 orb;
	__u32 base;
};

static const struct place firmware = { ORB_FIRMWARE, 0 };

static inline void put_ccw_at(__u8 *to, const struct place *place, __u8 cmd,
			      __u8 flags, __u16 count, __u32 offset)
{
	__u32 data = place->base + offset;
	__u32 words[2] = { (__u32)cmd << 24 | data, (__u32)flags << 24 | count };

	if (place->orb & ORB_FMT1) {
		words[0] = (__u32)cmd << 24 | (__u32)flags << 16 | count;
		words[1] = data;
	}
	words[0] = htobe32(words[0]);
	words[1] = htobe32(words[1]);
	memcpy(to, words, sizeof(words));
}

/*
 * Puts CCWs that find a record and go on behind them. Their parameters will lie
 * at @seek in the guest's memory. They are written at @parameters
 */
static inline void put_read_record(const struct place *place, __u8 *list,
				   __u8 *parameters, __u32 address, __u32 seek,
				   __u8 head, __u8 record)
{
	put_ccw_at(list, place, DISK_SEEK, CCW_CC, 6, seek);
	put_ccw_at(list + 8, place, DISK_SEARCH_ID, CCW_CC, 5, seek + 8);
	put_ccw_at(list + 16, place, CMD_TIC, 0, 0, address + 8);
	parameters[5] = head;
	parameters[8 + 3] = head;
	parameters[8 + 4] = record;
}

/* Puts a record with its count at @at. Returns the length of both */
static inline __u32 put_record(const struct ccw *ccw, __u32 at, __u16 head,
			       __u8 number, __u8 key, __u16 size,
			       const __u8 *data)
{
	__u8 *count = guest(ccw, at);

	memset(count, 0, 8 + key);
	count[3] = head;
	count[4] = number;
	count[5] = key;
	put16(ccw, at + 6, size);
	memcpy(count + 8 + key, data, size);
	return 8 + key + size;
}

struct piece {
	__u8 key;
	__u16 size;
	const __u8 *data;
};

/* Formats a track of cylinder 0 with these records */
static inline void write_track(struct __test_metadata *_metadata,
			       struct ccw *ccw, __u16 head,
			       const struct piece *pieces, int n)
{
	__u32 at, data = DATA, size;
	int i;

	at = put_locate(ccw, 0, LOCATE_FORMAT, 0, head, 0);
	*(__u8 *)guest(ccw, PARAMETERS + 16 + 3) = n;
	for (i = 0; i < n; i++) {
		size = put_record(ccw, data, head, i + 1, pieces[i].key,
				  pieces[i].size, pieces[i].data);
		at = put_ccw(ccw, at, DISK_WRITE_CKD,
			     i == n - 1 ? 0 : CCW_CC, size, data);
		data += size + 8;
	}
	expect_end(_metadata, ccw);
}

/* Makes record 1: a PSW with the start of the program, and two CCWs that read record 2 */
static inline void make_first(const struct place *place, __u8 *record,
			      const char *psw)
{
	memcpy(record, psw, 8);
	put_ccw_at(record + 8, place, DISK_READ, CCW_CC, IPL2_SIZE,
		   LIST_OF_LOADER);
	put_ccw_at(record + 16, place, CMD_TIC, 0, 0, LIST_OF_LOADER);
}

#endif /* SELFTESTS_VFIO_CCW_IPL_H */
