/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A subchannel that is passed through for a test: bound to vfio_ccw, with its
 * mediated device, guest memory for channel programs, and eventfds.
 *
 * Unless said otherwise, a function returns 0 (or a length) or a negative
 * errno.
 */
#ifndef SELFTESTS_VFIO_CCW_CCW_H
#define SELFTESTS_VFIO_CCW_CCW_H

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/vfio_ccw.h>
#include <sys/mman.h>

#include "lib.h"

#define CCW_TYPE	"vfio_ccw-io"
#define CSS_DEVICES	"/sys/bus/css/devices/"
#define CCW_DEVICES	"/sys/bus/ccw/devices/"

/* Control-unit types of the virtual machine's devices, as in sysfs */
#define CU_RNG		"3832/04"
#define CU_BLOCK	"3832/02"
#define CU_TERMINAL	"3270/00"

/* The regions, by their indexes */
#define REGION_IO	0
#define REGION_CMD	1
#define REGION_SCHIB	2
#define REGION_CRW	3
#define NR_REGIONS	4

/* Guest memory: all of it can be reached by CCWs of both formats */
#define GUEST_BASE	0x100000U
#define GUEST_SIZE	0x400000U
#define GUEST_END	(GUEST_BASE + GUEST_SIZE)

/* A test's program, lists of addresses and data lie here */
#define PROGRAM		GUEST_BASE
#define LIST		(GUEST_BASE + 0x40000)
#define DATA		(GUEST_BASE + 0x80000)

/* Nothing is mapped there, unless a test does it */
#define NOWHERE		0x800000U

/* How long the host's driver may take for a device that it gets back */
#define BACK_MS		60000

/* Commands */
#define CMD_NOP		0x03
#define CMD_SENSE	0x04
#define CMD_TIC		0x08
#define CMD_READ_INQUIRY 0x0a
#define CMD_SENSE_ID	0xe4

/* Commands of virtio devices */
#define CMD_READ_CONF	0x22
#define CMD_WRITE_STATUS 0x31
#define CMD_VDEV_RESET	0x33
#define CMD_READ_STATUS	0x72
#define CMD_SET_REVISION 0x83

/* Flags of a CCW */
#define CCW_DC		0x80
#define CCW_CC		0x40
#define CCW_SLI		0x20
#define CCW_SKIP	0x10
#define CCW_PCI		0x08
#define CCW_IDA		0x04
#define CCW_SUSPEND	0x02
#define CCW_MIDA	0x01

/* Word 1 of the ORB */
#define ORB_SUSPEND	0x08000000U
#define ORB_FMT1	0x00800000U
#define ORB_PREFETCH	0x00400000U
#define ORB_LIMIT	0x00100000U
#define ORB_TRANSPORT	0x00040000U
#define ORB_IDA64	0x00020000U
#define ORB_IDA2K	0x00010000U
#define ORB_LPM		0x0000ff00U
#define ORB_MIDA	0x00000040U
#define ORB_ZERO	0x0000003eU
#define ORB_EXTENDED	0x00000001U

#define ORB_FORMAT0	(ORB_PREFETCH | ORB_LPM)
#define ORB_FORMAT1	(ORB_FORMAT0 | ORB_FMT1)

/* Word 0 of the SCSW */
#define SCSW_START	0x4000U
#define SCSW_HALT	0x2000U
#define SCSW_CLEAR	0x1000U
#define SCSW_FCTL	0x7000U
#define SCSW_PENDING	0x0001U	/* status */

/* Device status, and subchannel status */
#define DSTAT_ATTENTION	0x80
#define DSTAT_UNITCHECK	0x02
#define DSTAT_END	0x0c	/* of channel and device */
#define CSTAT_LENGTH	0x40
#define CSTAT_PROGRAM	0x20
#define CSTAT_INTERFACE	0x02	/* control check */

/* The response that an interrupt announces */
struct response {
	__u32 fctl;
	__u32 stctl;
	__u32 cpa;
	__u8 dstat;
	__u8 cstat;
	__u16 count;
	__u8 sense;		/* the first byte, if there is sense data */
};

struct ccw {
	char sch[32];		/* the subchannel */
	char device[32];	/* the host's name of its device */
	bool bound;
	struct uuid uuid;
	bool created;
	/* The driver is the kernel's own, which is known to differ */
	bool kernels_own;
	/* mdev.ko is the kernel's own, too */
	bool kernels_mdev;
	struct vfio_user user;
	__u64 offset[NR_REGIONS];
	int io;			/* eventfds */
	int crw;
	__u8 *memory;
	long pinned;
	int eventfd_id;
	struct response response;	/* the last one fetched */
};

static inline struct path css_path(const char *sch, const char *attr)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), CSS_DEVICES "%.32s/%s", sch,
		 attr);
	return path;
}

static inline struct path ccw_path(const char *device, const char *attr)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), CCW_DEVICES "%.32s/%s", device,
		 attr);
	return path;
}

/* Does the device have this name, or this control-unit type? */
static inline bool ccw_matches(const char *device, const char *wanted)
{
	char text[32];

	if (!strcmp(device, wanted))
		return true;
	return file_read(ccw_path(device, "cutype").text, text,
			 sizeof(text)) > 0 && !strcmp(text, wanted);
}

/* Finds a device by its name or its control-unit type. Returns -ENODEV if there is none */
static inline int ccw_find(struct ccw *ccw, const char *wanted)
{
	DIR *dir = opendir(CCW_DEVICES);
	struct dirent *entry;
	char *target, *slash;
	int err = -ENODEV;

	if (!dir)
		return -errno;
	while (err && (entry = readdir(dir))) {
		if (!ccw_matches(entry->d_name, wanted))
			continue;
		/* …/css0/0.0.0001/0.0.1234 */
		target = realpath(ccw_path(entry->d_name, "").text, NULL);
		if (!target)
			continue;
		slash = strrchr(target, '/');
		snprintf(ccw->device, sizeof(ccw->device), "%.31s", slash + 1);
		*slash = '\0';
		slash = strrchr(target, '/');
		snprintf(ccw->sch, sizeof(ccw->sch), "%.31s", slash + 1);
		free(target);
		err = 0;
	}
	closedir(dir);
	return err;
}

static inline int sch_bind(const char *sch, const char *driver)
{
	int err = file_puts(css_path(sch, "driver_override").text, driver);

	return err ? err : file_puts("/sys/bus/css/drivers_probe", sch);
}

static inline int sch_unbind(const char *sch)
{
	return file_puts(css_path(sch, "driver/unbind").text, sch);
}

static inline int run_sch_unbinder(void *arg)
{
	return -sch_unbind(arg);
}

static inline pid_t sch_unbinder_start(const char *sch)
{
	return child_start(run_sch_unbinder, (void *)sch, -1, -1);
}

/* Takes the subchannel from the host's driver, and gives it to vfio_ccw */
static inline int ccw_bind(struct ccw *ccw)
{
	int err = sch_unbind(ccw->sch);

	if (!err)
		err = sch_bind(ccw->sch, "vfio_ccw");
	if (!err && !parent_exists(ccw->sch))
		err = -ENODEV;
	ccw->bound = !err;
	return err;
}

/*
 * The kernel's own virtio_ccw brings a new device online in a thread of its
 * own. That thread may touch the device after it was freed, because
 * virtio_ccw_auto_online() takes no reference. So wait until it has ended.
 * There is no event for that. On a busy machine, a new device may also be
 * missing for a moment.
 */
static inline int ccw_settle(const char *device)
{
	__s64 left = BACK_MS;
	char text[16];
	int ret;

	do {
		ret = -ENODEV;
		if (file_read(ccw_path(device, "cutype").text, text,
			      sizeof(text)) < 0)
			continue;
		if (strncmp(text, "3832", 4) ||
		    !file_exists("/sys/bus/ccw/drivers/virtio_ccw"))
			return 0;
		ret = -ETIMEDOUT;
		if (file_read(ccw_path(device, "online").text, text,
			      sizeof(text)) > 0 && text[0] == '1')
			return 0;
	} while (wait_moment(&left));
	return ret;
}

/* Gives the subchannel back to the host's driver. The device is there again on return */
static inline int ccw_unbind(struct ccw *ccw)
{
	int events = uevent_open();
	int err;

	ccw->bound = false;
	err = sch_unbind(ccw->sch);
	if (!err)
		err = sch_bind(ccw->sch, "\n");
	if (!err && !file_exists(ccw_path(ccw->device, "").text) &&
	    !uevent_wait(events, BACK_MS, "add", ccw->device, NULL))
		err = -ETIMEDOUT;
	close(events);
	return err ? err : ccw_settle(ccw->device);
}

static inline int ccw_create(struct ccw *ccw)
{
	int err;

	ccw->uuid = uuid_new();
	err = mdev_create(ccw->sch, CCW_TYPE, &ccw->uuid);
	if (err)
		return err;
	ccw->created = true;
	ccw->kernels_own = driver_is_kernels_own(&ccw->uuid);
	ccw->kernels_mdev = mdev_is_kernels_own(&ccw->uuid);
	return 0;
}

static inline int ccw_remove(struct ccw *ccw)
{
	ccw->created = false;
	return mdev_remove(&ccw->uuid);
}

/* Opens the device, and gives it memory and eventfds */
static inline int ccw_open(struct ccw *ccw)
{
	struct vfio_region_info info;
	int err, i;

	err = vfio_open(&ccw->user, &ccw->uuid);
	if (err)
		return err;
	for (i = 0; !err && i < NR_REGIONS; i++) {
		err = vfio_region(ccw->user.device, i, &info);
		ccw->offset[i] = info.offset;
	}
	if (!err)
		err = vfio_map(&ccw->user, ccw->memory, GUEST_BASE, GUEST_SIZE);
	if (!err)
		err = vfio_set_eventfd(ccw->user.device, VFIO_CCW_IO_IRQ_INDEX,
				       ccw->io);
	if (!err)
		err = vfio_set_eventfd(ccw->user.device, VFIO_CCW_CRW_IRQ_INDEX,
				       ccw->crw);
	if (err)
		vfio_close(&ccw->user);
	return err;
}

static inline void ccw_close(struct ccw *ccw)
{
	__u32 i;

	/* The kernel's own driver would keep the eventfds for the next holder */
	for (i = 0; ccw->kernels_own && i < VFIO_CCW_NUM_IRQS; i++)
		vfio_set_eventfd(ccw->user.device, i, -1);
	vfio_close(&ccw->user);
	eventfd_take(ccw->io);
	eventfd_take(ccw->crw);
}

/* Binds a device, without opening it. Returns -ENODEV if there is none */
static inline int ccw_grab(struct ccw *ccw, const char *wanted)
{
	int err;

	memset(ccw, 0, sizeof(*ccw));
	ccw->user = (struct vfio_user)VFIO_USER_NONE;
	err = ccw_find(ccw, wanted);
	if (err)
		return err;
	ccw->pinned = pages_pinned();
	ccw->eventfd_id = eventfd_next_id();
	ccw->io = eventfd_new();
	ccw->crw = eventfd_new();
	ccw->memory = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ccw->memory == MAP_FAILED)
		return -errno;
	err = ccw_bind(ccw);
	return err ? err : ccw_create(ccw);
}

/* Undoes ccw_grab(). Returns 0 or the first error */
static inline int ccw_release(struct ccw *ccw)
{
	int err = 0, ret;

	if (!ccw->memory)
		return 0;
	ccw_close(ccw);
	if (ccw->created && mdev_exists(&ccw->uuid))
		err = ccw_remove(ccw);
	/* The device may have been pulled */
	if (ccw->bound && parent_exists(ccw->sch)) {
		ret = ccw_unbind(ccw);
		err = err ? err : ret;
	}
	close(ccw->io);
	close(ccw->crw);
	munmap(ccw->memory, GUEST_SIZE);
	ccw->memory = NULL;
	return err;
}

/* Guest memory */

static inline void *guest(const struct ccw *ccw, __u32 addr)
{
	return ccw->memory + (addr - GUEST_BASE);
}

/* Puts a CCW. Returns the address behind it */
static inline __u32 put_ccw(const struct ccw *ccw, __u32 addr, __u8 cmd,
			    __u8 flags, __u16 count, __u32 data)
{
	__u32 words[2] = {
		htobe32((__u32)cmd << 24 | (__u32)flags << 16 | count),
		htobe32(data),
	};

	memcpy(guest(ccw, addr), words, sizeof(words));
	return addr + sizeof(words);
}

/* Puts a CCW of format 0. Returns the address behind it */
static inline __u32 put_ccw0(const struct ccw *ccw, __u32 addr, __u8 cmd,
			     __u8 flags, __u16 count, __u32 data)
{
	__u32 words[2] = {
		htobe32((__u32)cmd << 24 | data),
		htobe32((__u32)flags << 24 | count),
	};

	memcpy(guest(ccw, addr), words, sizeof(words));
	return addr + sizeof(words);
}

/* Puts a CCW of the format in @orb, word 1 of the ORB */
static inline __u32 put_ccw_of(const struct ccw *ccw, __u32 orb, __u32 addr,
			       __u8 cmd, __u8 flags, __u16 count, __u32 data)
{
	if (orb & ORB_FMT1)
		return put_ccw(ccw, addr, cmd, flags, count, data);
	return put_ccw0(ccw, addr, cmd, flags, count, data);
}

static inline void put_idaw1(const struct ccw *ccw, __u32 list, int index,
			     __u32 data)
{
	__u32 word = htobe32(data);

	memcpy(guest(ccw, list + index * sizeof(word)), &word, sizeof(word));
}

static inline void put_idaw2(const struct ccw *ccw, __u32 list, int index,
			     __u64 data)
{
	__u64 word = htobe64(data);

	memcpy(guest(ccw, list + index * sizeof(word)), &word, sizeof(word));
}

/* Puts an address of the format in @orb, word 1 of the ORB */
static inline void put_idaw(const struct ccw *ccw, __u32 orb, __u32 list,
			    int index, __u64 data)
{
	if (orb & ORB_IDA64)
		put_idaw2(ccw, list, index, data);
	else
		put_idaw1(ccw, list, index, data);
}

/* I/O */

static inline int region_read(const struct ccw *ccw, int region, void *data,
			      size_t size)
{
	ssize_t len = pread(ccw->user.device, data, size, ccw->offset[region]);

	if (len < 0)
		return -errno;
	return (size_t)len == size ? 0 : -EIO;
}

static inline int region_write(const struct ccw *ccw, int region,
			       const void *data, size_t size)
{
	ssize_t len = pwrite(ccw->user.device, data, size, ccw->offset[region]);

	if (len < 0)
		return -errno;
	return (size_t)len == size ? 0 : -EIO;
}

static inline void fill_region(struct ccw_io_region *region, __u32 flags,
			       __u32 program, __u32 scsw)
{
	__u32 orb[ORB_AREA_SIZE / 4] = {
		htobe32(0x12345678), htobe32(flags), htobe32(program),
	};

	memset(region, 0, sizeof(*region));
	memcpy(region->orb_area, orb, sizeof(orb));
	scsw = htobe32(scsw);
	memcpy(region->scsw_area, &scsw, sizeof(scsw));
}

/* Asks for START SUBCHANNEL, as a virtual machine does */
static inline int ccw_start(const struct ccw *ccw, __u32 flags, __u32 program)
{
	struct ccw_io_region region;

	fill_region(&region, flags, program, SCSW_START);
	return region_write(ccw, REGION_IO, &region, sizeof(region));
}

/* Asks for HALT or CLEAR SUBCHANNEL */
static inline int ccw_async(const struct ccw *ccw, __u32 command)
{
	struct ccw_cmd_region region = { .command = command };

	return region_write(ccw, REGION_CMD, &region, sizeof(region));
}

/* Returns the result of the last write to the region */
static inline int ret_code(const struct ccw *ccw, int region)
{
	__u64 offset = ccw->offset[region] +
		       (region == REGION_IO ?
			offsetof(struct ccw_io_region, ret_code) :
			offsetof(struct ccw_cmd_region, ret_code));
	__s32 ret;

	if (pread(ccw->user.device, &ret, sizeof(ret), offset) != sizeof(ret))
		return -EIO;
	return ret;
}

static inline int read_irb(const struct ccw *ccw, struct response *response)
{
	struct ccw_io_region region;
	__u32 scsw[3];
	int err = region_read(ccw, REGION_IO, &region, sizeof(region));

	memset(response, 0, sizeof(*response));
	if (err)
		return err;
	memcpy(scsw, region.irb_area, sizeof(scsw));
	response->fctl = be32toh(scsw[0]) & SCSW_FCTL;
	response->stctl = be32toh(scsw[0]) & 0x1f;
	response->cpa = be32toh(scsw[1]);
	response->dstat = be32toh(scsw[2]) >> 24;
	response->cstat = be32toh(scsw[2]) >> 16;
	response->count = be32toh(scsw[2]);
	response->sense = region.irb_area[32];
	return 0;
}

/* Resets the device. Drops the response for a program that the reset has ended */
static inline int ccw_reset(const struct ccw *ccw)
{
	struct response response;
	int err = vfio_ioctl(ccw->user.device, VFIO_DEVICE_RESET, NULL);

	if (!err)
		err = read_irb(ccw, &response);
	eventfd_take(ccw->io);
	return err;
}

/* Waits for an interrupt, and fetches its response */
static inline int ccw_response(const struct ccw *ccw, struct response *response)
{
	if (!eventfd_wait(ccw->io, SOON_MS))
		return -ETIMEDOUT;
	eventfd_take(ccw->io);
	return read_irb(ccw, response);
}

/* Starts a program, and waits for its end */
static inline int ccw_run(const struct ccw *ccw, __u32 flags, __u32 program,
			  struct response *response)
{
	int err = ccw_start(ccw, flags, program);

	return err ? err : ccw_response(ccw, response);
}

#endif /* SELFTESTS_VFIO_CCW_CCW_H */
