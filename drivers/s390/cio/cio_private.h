/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private types of the kernel's own code in drivers/s390/cio, as far as a
 * driver for I/O subchannels needs them. They are those of the kernel that is
 * built for: the build compares each of them with the kernel's BTF, and stops
 * if a field differs (see layout_check.sh).
 */
#ifndef VFIO_CCW_CIO_PRIVATE_H
#define VFIO_CCW_CIO_PRIVATE_H

#include <linux/device.h>
#include <linux/mod_devicetable.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <asm/chpid.h>
#include <asm/cio.h>
#include <asm/crw.h>
#include <asm/schid.h>
#include <asm/scsw.h>

/* Principles of Operation, "Path-Management-Control Word" */
struct pmcw {
	u32 intparm;
	u32 qf : 1;
	u32 w : 1;
	u32 isc : 3;
	u32 res5 : 3;
	u32 ena : 1;
	u32 lm : 2;
	u32 mme : 2;
	u32 mp : 1;
	u32 tf : 1;
	u32 dnv : 1;
	u32 dev : 16;
	u8 lpm;
	u8 pnom;
	u8 lpum;
	u8 pim;
	u16 mbi;
	u8 pom;
	u8 pam;
	u8 chpid[8];
	u32 unused1 : 8;
	u32 st : 3;
	u32 unused2 : 18;
	u32 mbfc : 1;
	u32 xmwme : 1;
	u32 csense : 1;
} __packed;

/* Principles of Operation, "Subchannel-Information Block" */
struct schib {
	struct pmcw pmcw;
	union scsw scsw;
	__u64 mba;
	__u8 mda[4];
} __packed __aligned(4);

struct schib_config {
	u64 mba;
	u32 intparm;
	u16 mbi;
	u32 isc : 3;
	u32 ena : 1;
	u32 mme : 2;
	u32 mp : 1;
	u32 csense : 1;
	u32 mbfc : 1;
} __packed;

struct chsc_ssd_info {
	u8 path_mask;
	u8 fla_valid_mask;
	struct chp_id chpid[8];
	u16 fla[8];
};

struct chp_link {
	struct chp_id chpid;
	u32 fla_mask;
	u16 fla;
};

enum sch_todo {
	SCH_TODO_NOTHING,
	SCH_TODO_EVAL,
	SCH_TODO_UNREG,
};

struct css_driver;

struct subchannel {
	struct subchannel_id schid;
	spinlock_t lock;	/* taken by the interrupt handler around irq() */
	struct mutex reg_mutex;	/* registration, not ours to take */
	enum {
		SUBCHANNEL_TYPE_IO,
		SUBCHANNEL_TYPE_CHSC,
		SUBCHANNEL_TYPE_MSG,
		SUBCHANNEL_TYPE_ADM,
	} st;
	__u8 vpm;
	__u8 lpm;
	__u8 opm;
	struct schib schib;
	int isc;
	struct chsc_ssd_info ssd_info;
	struct device dev;
	struct css_driver *driver;
	enum sch_todo todo;
	struct work_struct todo_work;
	struct schib_config config;
	u64 dma_mask;
} __aligned(8);

#define to_subchannel(d) container_of(d, struct subchannel, dev)

/* The events of css_driver.chp_event() */
enum {
	CHP_ONLINE,
	CHP_OFFLINE,
	CHP_VARY_ON,
	CHP_VARY_OFF,
};

struct css_driver {
	struct css_device_id *subchannel_type;
	struct device_driver drv;
	void (*irq)(struct subchannel *sch);
	int (*chp_event)(struct subchannel *sch, struct chp_link *link,
			 int event);
	int (*sch_event)(struct subchannel *sch, int slow);
	int (*probe)(struct subchannel *sch);
	void (*remove)(struct subchannel *sch);
	void (*shutdown)(struct subchannel *sch);
	int (*settle)(void);
};

int css_driver_register(struct css_driver *driver);
void css_driver_unregister(struct css_driver *driver);
void css_sched_sch_todo(struct subchannel *sch, enum sch_todo todo);
void css_schedule_reprobe(void);

int cio_enable_subchannel(struct subchannel *sch, u32 intparm);
int cio_disable_subchannel(struct subchannel *sch);
int cio_update_schib(struct subchannel *sch);
int cio_cancel_halt_clear(struct subchannel *sch, int *iretry);
u8 chp_get_sch_opm(struct subchannel *sch);
int chp_ssd_get_mask(struct chsc_ssd_info *ssd, struct chp_link *link);

/* Principles of Operation, "Operation-Request Block", by words */
union orb {
	u32 word[8];
} __packed __aligned(4);

/*
 * cio takes the driver data of every I/O subchannel for this struct, no matter
 * which driver is bound to it: its "purge" looks at @cdev
 */
struct io_subchannel_private {
	union orb orb;
	struct ccw_device *cdev;
	struct {
		unsigned int suspend : 1;
		unsigned int prefetch : 1;
		unsigned int inter : 1;
	} __packed options;
	struct io_subchannel_dma_area *dma_area;
	dma_addr_t dma_area_dma;
} __aligned(8);

/*
 * The instructions; they return the condition code. START SUBCHANNEL is in
 * vfio_ccw_instr.c.
 */
int csch(struct subchannel_id schid);
int hsch(struct subchannel_id schid);

/* Where the interrupt handler stores the IRB before it calls irq() */
DECLARE_PER_CPU_ALIGNED(struct irb, cio_irb);

#endif /* VFIO_CCW_CIO_PRIVATE_H */
