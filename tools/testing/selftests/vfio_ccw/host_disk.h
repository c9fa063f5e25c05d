/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's own driver of a disk, dasd_eckd, and a holder of vfio_ccw's device
 * hand the subchannel to each other.
 */
#ifndef SELFTESTS_VFIO_CCW_HOST_DISK_H
#define SELFTESTS_VFIO_CCW_HOST_DISK_H

#include "disk.h"

#define DISK_DRIVER	"/sys/bus/ccw/devices/" DISK "/driver"
#define DISK_ONLINE	"/sys/bus/ccw/devices/" DISK "/online"
#define DISK_NODE	"/dev/dasda"

/* Loads modules that stay loaded: they keep references to themselves */
static inline int host_driver_load(void)
{
	static const char *const modules[] = { "dasd_mod", "dasd_eckd_mod" };
	int err = 0;
	size_t i;

	for (i = 0; !err && i < ARRAY_SIZE(modules); i++) {
		err = module_load(modules[i]);
		if (err == -EEXIST)
			err = 0;
	}
	return err;
}

/* Opens the disk by vfio_ccw. Returns false if there is none */
static inline bool host_disk_set_up(struct __test_metadata *_metadata,
				    struct life *life)
{
	ASSERT_EQ(0, host_driver_load());
	if (!life_set_up(_metadata, life, DISK))
		return false;
	ASSERT_EQ(0, ccw_open(&life->ccw));
	return true;
}

static inline void host_takes_disk(struct __test_metadata *_metadata,
				   struct ccw *ccw)
{
	ccw_close(ccw);
	ASSERT_EQ(0, ccw_unbind(ccw));
	/* The device appears first, and then its driver */
	ASSERT_TRUE(soon(file_exists(DISK_DRIVER)));
	ASSERT_EQ(0, file_puts(DISK_ONLINE, "1"));
	ASSERT_TRUE(soon(file_exists(DISK_NODE)));
}

static inline void user_takes_disk(struct __test_metadata *_metadata,
				   struct ccw *ccw)
{
	ASSERT_EQ(0, file_puts(DISK_ONLINE, "0"));
	ASSERT_EQ(0, ccw_bind(ccw));
	ASSERT_EQ(0, ccw_create(ccw));
	ASSERT_EQ(0, ccw_open(ccw));
}

#endif /* SELFTESTS_VFIO_CCW_HOST_DISK_H */
