/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The channel subsystem's types and numbers, after the Principles of Operation.
 * Bit-fields are in the order of a compiler for little-endian machines: each
 * word of the hardware is a number here. Replaces <asm/cio.h> and the headers
 * around it.
 */
#ifndef SUBCHANNEL_HARDWARE_H
#define SUBCHANNEL_HARDWARE_H

struct subchannel_id {
	u32 sch_no;
};

struct chp_id {
	u8 cssid;
	u8 id;
};

struct crw {
	u32 rsid : 16;
	u32 erc : 6;
	u32 unused1 : 2;
	u32 rsc : 4;
	u32 chn : 1;
	u32 oflw : 1;
	u32 slct : 1;
	u32 unused2 : 1;
};

#define CRW_RSC_CPATH	4
#define CRW_ERC_INIT	2
#define CRW_ERC_PERRN	6

struct cmd_scsw {
	u32 stctl : 5;
	u32 actl : 7;
	u32 fctl : 3;
	u32 unused3 : 1;
	u32 pno : 1;
	u32 ectl : 1;
	u32 zcc : 1;
	u32 ssi : 1;
	u32 alcc : 1;
	u32 isic : 1;
	u32 pfch : 1;
	u32 fmt : 1;
	u32 cc : 2;
	u32 eswf : 1;
	u32 sctl : 1;
	u32 key : 4;
	u32 cpa;
	u32 count : 16;
	u32 cstat : 8;
	u32 dstat : 8;
};

union scsw {
	struct cmd_scsw cmd;
};

#define SCSW_FCTL_CLEAR_FUNC	0x1
#define SCSW_FCTL_HALT_FUNC	0x2
#define SCSW_FCTL_START_FUNC	0x4
#define SCSW_ACTL_SUSPENDED	0x1
#define SCSW_ACTL_DEVACT	0x2
#define SCSW_ACTL_SCHACT	0x4
#define SCSW_ACTL_CLEAR_PEND	0x8
#define SCSW_ACTL_HALT_PEND	0x10
#define SCSW_ACTL_START_PEND	0x20
#define SCSW_ACTL_RESUME_PEND	0x40
#define SCSW_STCTL_STATUS_PEND	0x1
#define SCSW_STCTL_SEC_STATUS	0x2
#define SCSW_STCTL_PRIM_STATUS	0x4
#define SCSW_STCTL_INTER_STATUS	0x8
#define SCSW_STCTL_ALERT_STATUS	0x10
#define SCHN_STAT_INTF_CTRL_CHK	0x02

/* Whether the status is the result of a function (start, halt or clear) */
static inline bool scsw_is_solicited(const union scsw *scsw)
{
	return scsw->cmd.cc || scsw->cmd.stctl != (SCSW_STCTL_STATUS_PEND |
						   SCSW_STCTL_ALERT_STATUS);
}

struct erw {
	u32 unused4 : 22;
	u32 fsaf : 1;
	u32 scavf : 1;
	u32 cons : 1;
	u32 fsavf : 1;
	u32 unused5 : 6;
};

struct esw0 {
	u32 sublog;
	struct erw erw;
	u32 faddr[2];
	u32 saddr;
};

struct irb {
	union scsw scsw;
	union {
		struct esw0 esw0;
		u32 words[5];
	} esw;
	u32 ecw[8];
	u32 emw[8];
};

#endif /* SUBCHANNEL_HARDWARE_H */
