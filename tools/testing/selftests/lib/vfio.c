// SPDX-License-Identifier: GPL-2.0-only
/* A device as its holder uses it: VFIO, opened in one of its ways. See lib.h. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>

#include "lib.h"
#include "private.h"

int vfio_ioctl(int device, unsigned long cmd, void *arg)
{
	int ret = ioctl(device, cmd, arg);

	return ret < 0 ? -errno : ret;
}

/*
 * The interfaces of iommufd and of a device's own file. The headers of the
 * oldest distribution lack them; see linux/iommufd.h and linux/vfio.h.
 */
struct iommufd_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};

struct iommufd_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 reserved;
};

struct vfio_bind {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};

struct vfio_attach {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
};

struct vfio_detach {
	__u32 argsz;
	__u32 flags;
};

#define IOMMUFD_IOAS_ALLOC	_IO(';', 0x81)
#define IOMMUFD_VFIO_IOAS	_IO(';', 0x88)
#define IOMMUFD_VFIO_IOAS_SET	1
#define VFIO_BIND		_IO(VFIO_TYPE, VFIO_BASE + 18)
#define VFIO_ATTACH		_IO(VFIO_TYPE, VFIO_BASE + 19)
#define VFIO_DETACH		_IO(VFIO_TYPE, VFIO_BASE + 20)

enum vfio_way vfio_way(void)
{
	const char *way = getenv("VFIO_WAY");

	if (!way || !strcmp(way, "type1"))
		return VFIO_WAY_TYPE1;
	if (!strcmp(way, "iommufd"))
		return VFIO_WAY_IOMMUFD;
	if (!strcmp(way, "cdev"))
		return VFIO_WAY_CDEV;
	fprintf(stderr, "VFIO_WAY is %s\n", way);
	exit(1);
}

int vfio_open_container(void)
{
	int fd = open(vfio_way() == VFIO_WAY_TYPE1 ? "/dev/vfio/vfio" :
		      "/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Opens the device's own file. It needs to be bound to an iommufd before use */
int vfio_open_unbound(const struct uuid *uuid)
{
	struct path folder = mdev_path(uuid, "vfio-dev");
	DIR *dir = opendir(folder.text);
	struct dirent *entry;
	int fd = -ENOENT;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		fd = open(path_format("/dev/vfio/devices/%s",
				      entry->d_name).text, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	closedir(dir);
	return fd;
}

/* Makes an I/O address space. Memory mapped by type 1's ioctls is mapped in it, too */
int vfio_new_ioas(struct vfio_user *user)
{
	struct iommufd_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommufd_vfio_ioas ioas = {
		.size = sizeof(ioas),
		.op = IOMMUFD_VFIO_IOAS_SET,
	};
	int err = vfio_ioctl(user->container, IOMMUFD_IOAS_ALLOC, &alloc);

	if (err)
		return err;
	user->ioas = alloc.out_ioas_id;
	ioas.ioas_id = alloc.out_ioas_id;
	return vfio_ioctl(user->container, IOMMUFD_VFIO_IOAS, &ioas);
}

int vfio_cdev_bind(int device, int iommufd)
{
	struct vfio_bind bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};

	return vfio_ioctl(device, VFIO_BIND, &bind);
}

int vfio_cdev_attach(int device, __u32 ioas)
{
	struct vfio_attach attach = {
		.argsz = sizeof(attach),
		.pt_id = ioas,
	};

	return vfio_ioctl(device, VFIO_ATTACH, &attach);
}

int vfio_cdev_detach(int device)
{
	struct vfio_detach detach = { .argsz = sizeof(detach) };

	return vfio_ioctl(device, VFIO_DETACH, &detach);
}

static int vfio_open_cdev(const struct vfio_user *user,
			  const struct uuid *uuid)
{
	int fd = vfio_open_unbound(uuid);
	int err;

	if (fd < 0)
		return fd;
	err = vfio_cdev_bind(fd, user->container) ?:
	      vfio_cdev_attach(fd, user->ioas);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* Opens the device's group, and puts it into the container */
int vfio_open_group(const struct uuid *uuid, int container)
{
	char number[32];
	int err, group;

	err = file_link_name(mdev_path(uuid, "iommu_group").text, number,
			     sizeof(number));
	if (err)
		return err;
	group = open(path_format("/dev/vfio/%s", number).text,
		     O_RDWR | O_CLOEXEC);
	if (group < 0)
		return -errno;
	err = vfio_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container);
	if (err) {
		close(group);
		return err;
	}
	return group;
}

static int vfio_prepare_group(struct vfio_user *user, const struct uuid *uuid)
{
	user->group = vfio_open_group(uuid, user->container);
	if (user->group < 0)
		return user->group;
	return vfio_ioctl(user->container, VFIO_SET_IOMMU,
			  (void *)VFIO_TYPE1v2_IOMMU);
}

/* Opens the device in the current way. On failure, closes what it has opened */
int vfio_open(struct vfio_user *user, const struct uuid *uuid)
{
	int err;

	user->group = -1;
	user->device = -1;
	user->container = vfio_open_container();
	if (user->container < 0)
		return user->container;
	err = vfio_way() == VFIO_WAY_CDEV ? vfio_new_ioas(user) :
	      vfio_prepare_group(user, uuid);
	if (err)
		goto err_close;
	user->device = vfio_get_device(user, uuid);
	if (user->device < 0) {
		err = user->device;
		goto err_close;
	}
	return 0;

err_close:
	vfio_close(user);
	return err;
}

int vfio_get_device(const struct vfio_user *user, const struct uuid *uuid)
{
	if (vfio_way() == VFIO_WAY_CDEV)
		return vfio_open_cdev(user, uuid);
	return vfio_ioctl(user->group, VFIO_GROUP_GET_DEVICE_FD,
			  (void *)uuid->text);
}

void vfio_close(struct vfio_user *user)
{
	if (user->device >= 0)
		close(user->device);
	if (user->group >= 0)
		close(user->group);
	if (user->container >= 0)
		close(user->container);
	user->device = -1;
	user->group = -1;
	user->container = -1;
}

static int map_as(const struct vfio_user *user, __u32 flags, void *memory,
		  __u64 iova, __u64 size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = (uintptr_t)memory,
		.iova = iova,
		.size = size,
	};

	return vfio_ioctl(user->container, VFIO_IOMMU_MAP_DMA, &map);
}

int vfio_map(const struct vfio_user *user, void *memory, __u64 iova,
	     __u64 size)
{
	return map_as(user, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		      memory, iova, size);
}

/* The device must not write there */
int vfio_map_to_read(const struct vfio_user *user, void *memory, __u64 iova,
		     __u64 size)
{
	return map_as(user, VFIO_DMA_MAP_FLAG_READ, memory, iova, size);
}

int vfio_unmap(const struct vfio_user *user, __u64 iova, __u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};

	return vfio_ioctl(user->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

int vfio_info(int device, struct vfio_device_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	return vfio_ioctl(device, VFIO_DEVICE_GET_INFO, info);
}

int vfio_region(int device, __u32 index, struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return vfio_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info);
}

int vfio_irq(int device, __u32 index, struct vfio_irq_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return vfio_ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, info);
}

int vfio_set_irqs(int device, __u32 flags, __u32 index, __u32 start,
		  __u32 count, const void *data, size_t len)
{
	union {
		struct vfio_irq_set set;
		__u8 bytes[sizeof(struct vfio_irq_set) + 64];
	} arg = {
		.set = {
			.argsz = sizeof(struct vfio_irq_set) + len,
			.flags = flags,
			.index = index,
			.start = start,
			.count = count,
		},
	};

	if (len > 64)
		return -E2BIG;
	if (len)
		memcpy(arg.set.data, data, len);
	return vfio_ioctl(device, VFIO_DEVICE_SET_IRQS, &arg);
}

/* Sets the trigger of an interrupt; -1 removes it */
int vfio_set_eventfd(int device, __u32 index, int fd)
{
	__s32 data = fd;

	return vfio_set_irqs(device, VFIO_IRQ_SET_DATA_EVENTFD |
			     VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 1, &data,
			     sizeof(data));
}

/* Returns the index of the request interrupt for this kind of device */
int vfio_request_index(int device)
{
	struct vfio_device_info info;
	int err = vfio_info(device, &info);

	if (err)
		return err;
	if (info.flags & VFIO_DEVICE_FLAGS_PCI)
		return VFIO_PCI_REQ_IRQ_INDEX;
	if (info.flags & VFIO_DEVICE_FLAGS_CCW)
		return VFIO_CCW_REQ_IRQ_INDEX;
	return -ENOTTY;
}

int vfio_set_request(int device, int fd)
{
	int index = vfio_request_index(device);

	return index < 0 ? index : vfio_set_eventfd(device, index, fd);
}

/* Returns the number of pages that are pinned at the moment, by any process */
long pages_pinned(void)
{
	long acquired = 0, released = 0;
	char line[128];
	FILE *file;

	/* Each CPU has its own counters; this adds them up */
	file_puts("/proc/sys/vm/stat_refresh", "1");
	file = fopen("/proc/vmstat", "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "nr_foll_pin_acquired %ld", &acquired) == 1)
			continue;
		if (sscanf(line, "nr_foll_pin_released %ld", &released) == 1)
			break;
	}
	fclose(file);
	return acquired - released;
}

void *bad_address(void)
{
	return (void *)8;
}

static bool kernel_is_at_least(int wanted, int wanted_minor)
{
	struct utsname name;
	int major, minor;

	return !uname(&name) &&
	       sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
	       (major > wanted || (major == wanted && minor >= wanted_minor));
}

bool vfio_mappings_can_be_taken(void)
{
	return kernel_is_at_least(6, 10);
}

bool vfio_shows_path(void)
{
	return kernel_is_at_least(7, 0);
}
