/* SPDX-License-Identifier: GPL-2.0-only */
/* VFIO's migration interface for a holder. Has definitions that older kernels' headers lack. */
#ifndef SELFTESTS_MIGRATION_H
#define SELFTESTS_MIGRATION_H

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib.h"

/* VFIO's migration states, with VFIO's numbers */
enum mig {
	MIG_ERROR,
	MIG_STOP,
	MIG_RUNNING,
	MIG_STOP_COPY,
	MIG_RESUMING,
	MIG_RUNNING_P2P,
	MIG_PRE_COPY,
	MIG_PRE_COPY_P2P,
	MIG_STATES,
};

#define MIG_FLAG_STOP_COPY	0x1
#define MIG_FLAG_P2P		0x2
#define MIG_FLAG_PRE_COPY	0x4

#define MIG_FEATURE_FLAGS	1
#define MIG_FEATURE_STATE	2
#define MIG_FEATURE_LOGGING	6
#define MIG_FEATURE_SIZE	9

struct mig_precopy {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};

#define MIG_PRECOPY	_IO(VFIO_TYPE, VFIO_BASE + 21)

/* The header of migration data, as mdev.ko writes it */
struct mig_header {
	char magic[8];
	__u32 format;
	__u32 version;
	char type[64];
	__u32 size;
	__u32 reserved;
};

/* The part of the data that can be read before the device is stopped */
#define MIG_IDENTITY_SIZE	offsetof(struct mig_header, size)

static inline int mig_feature(int device, __u32 flags, void *data, size_t size)
{
	struct {
		struct vfio_device_feature feature;
		__u64 data;
	} arg = {
		.feature.argsz = sizeof(arg.feature) + size,
		.feature.flags = flags,
	};
	int ret;

	memcpy(arg.feature.data, data, size);
	ret = vfio_ioctl(device, VFIO_DEVICE_FEATURE, &arg);
	memcpy(data, arg.feature.data, size);
	return ret;
}

/* Returns the device's MIG_FLAG_* flags */
static inline int mig_flags(int device)
{
	__u64 flags = 0;
	int ret = mig_feature(device, VFIO_DEVICE_FEATURE_GET |
			      MIG_FEATURE_FLAGS, &flags, sizeof(flags));

	return ret < 0 ? ret : (int)flags;
}

static inline bool mig_has_precopy(int device)
{
	return mig_flags(device) & MIG_FLAG_PRE_COPY;
}

/* The reason to skip a test that needs pre-copy */
#define NO_PRECOPY	"this kernel's VFIO has no pre-copy"

/* Returns the migration state, or a negative errno */
static inline int mig_get(int device)
{
	struct {
		__u32 state;
		__s32 fd;
	} arg = {};
	int ret = mig_feature(device, VFIO_DEVICE_FEATURE_GET |
			      MIG_FEATURE_STATE, &arg, sizeof(arg));

	return ret < 0 ? ret : (int)arg.state;
}

/* Sets the migration state. *@fd is the descriptor of a new session, or -1 */
static inline int mig_set(int device, __u32 state, int *fd)
{
	struct {
		__u32 state;
		__s32 fd;
	} arg = { .state = state, .fd = -1 };
	int ret = mig_feature(device, VFIO_DEVICE_FEATURE_SET |
			      MIG_FEATURE_STATE, &arg, sizeof(arg));

	*fd = ret < 0 ? -1 : arg.fd;
	return ret;
}

/* Sets a migration state that begins no session */
static inline int mig_go(int device, __u32 state)
{
	int fd, ret = mig_set(device, state, &fd);

	if (fd >= 0)
		close(fd);
	return ret;
}

/* Returns an estimate of the size of the data, or a negative errno */
static inline long mig_size(int device)
{
	__u64 size = 0;
	int ret = mig_feature(device, VFIO_DEVICE_FEATURE_GET |
			      MIG_FEATURE_SIZE, &size, sizeof(size));

	return ret < 0 ? ret : (long)size;
}

static inline int mig_precopy(int fd, struct mig_precopy *info)
{
	info->argsz = sizeof(*info);
	return ioctl(fd, MIG_PRECOPY, info) < 0 ? -errno : 0;
}

static inline ssize_t mig_read(int fd, void *data, size_t size)
{
	ssize_t ret = read(fd, data, size);

	return ret < 0 ? -errno : ret;
}

static inline ssize_t mig_write(int fd, const void *data, size_t size)
{
	ssize_t ret = write(fd, data, size);

	return ret < 0 ? -errno : ret;
}

/* Stops the device and reads all its data. The device remains in STOP_COPY */
static inline ssize_t mig_save(int device, void *data, size_t size)
{
	size_t got = 0;
	ssize_t ret;
	int fd;

	ret = mig_set(device, MIG_STOP_COPY, &fd);
	while (!ret && got < size) {
		ret = mig_read(fd, data + got, size - got);
		if (ret <= 0)
			break;
		got += ret;
		ret = 0;
	}
	close(fd);
	return ret < 0 ? ret : (ssize_t)got;
}

/* Loads data into a device. Its state afterwards is STOP, or ERROR */
static inline int mig_load(int device, const void *data, size_t size)
{
	ssize_t written;
	int fd, ret;

	ret = mig_set(device, MIG_RESUMING, &fd);
	if (ret)
		return ret;
	written = mig_write(fd, data, size);
	ret = mig_go(device, MIG_STOP);
	close(fd);
	return written < 0 ? (int)written : ret;
}

#endif /* SELFTESTS_MIGRATION_H */
