/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs channel programs without vfio-ccw, on any enabled subchannel: the
 * interface between raw_ccw.ko and its test. Mapping the device node gives the
 * memory for the programs and their data.
 */
#ifndef RAW_CCW_H
#define RAW_CCW_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define RAW_CCW_NODE		"/dev/raw_ccw"
#define RAW_CCW_SIZE		0x10000
#define RAW_CCW_ORB_WORDS	8
#define RAW_CCW_IRB_SIZE	96

/**
 * struct raw_ccw_run - a run of a channel program
 * @subchannel: the identification word of the subchannel
 * @orb: the operation-request block
 * @irb: the last interruption-response block
 * @responses: the number of interruption-response blocks
 */
struct raw_ccw_run {
	__u32 subchannel;
	__u32 orb[RAW_CCW_ORB_WORDS];
	__u8 irb[RAW_CCW_IRB_SIZE];
	__u32 responses;
};

/* The real address of the memory */
#define RAW_CCW_ADDRESS		_IOR('R', 0, __u64)
/* EBUSY; ENODEV; or ETIMEDOUT if the program did not end and was cleared */
#define RAW_CCW_RUN		_IOWR('R', 1, struct raw_ccw_run)

#endif /* RAW_CCW_H */
