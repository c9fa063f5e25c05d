// SPDX-License-Identifier: GPL-2.0-only
/* What the tests of mediated devices share; see lib.h. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/userfaultfd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "lib.h"

#define MDEV_DEVICES	"/sys/bus/mdev/devices"
#define MDEV_PARENTS	"/sys/class/mdev_bus"

__s64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/*
 * How much slower than Debian's kernels the one is that this runs on: what this
 * was built for, or TEST_TIME_SCALE in the environment.
 */
int time_scale(void)
{
	const char *text = getenv("TEST_TIME_SCALE");
	int scale = text ? atoi(text) : SLOWER;

	return scale > 0 ? scale : SLOWER;
}

/* Waits for input until the deadline: false where none comes */
static bool wait_input(int fd, __s64 deadline)
{
	for (;;) {
		struct pollfd poller = { .fd = fd, .events = POLLIN };
		__s64 left = deadline - now_ms();
		int ret = poll(&poller, 1, left > 0 ? left : 0);

		if (ret > 0)
			return true;
		if (ret < 0 && errno == EINTR)
			continue;
		return false;
	}
}

static struct path path_format(const char *format, ...)
{
	struct path path;
	va_list args;

	va_start(args, format);
	vsnprintf(path.text, sizeof(path.text), format, args);
	va_end(args);
	return path;
}

/* One write(2), as an administrator's echo does */
int file_write(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret;
	int err;

	if (fd < 0)
		return -errno;
	ret = write(fd, data, len);
	err = ret < 0 ? -errno : 0;
	if (ret >= 0 && (size_t)ret != len)
		err = -EIO;
	close(fd);
	return err;
}

int file_puts(const char *path, const char *text)
{
	return file_write(path, text, strlen(text));
}

/* Reads a short file as text, without its last newline */
ssize_t file_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;
	int err;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	err = errno;
	close(fd);
	if (len < 0)
		return -err;
	if (len > 0 && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	return len;
}

long file_number(const char *path)
{
	char text[64];
	ssize_t len = file_read(path, text, sizeof(text));
	char *end;
	long number;

	if (len < 0)
		return len;
	number = strtol(text, &end, 10);
	return len == 0 || *end ? -EINVAL : number;
}

int file_mode(const char *path)
{
	struct stat status;

	if (stat(path, &status))
		return -errno;
	return status.st_mode & 07777;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

int grace_set(unsigned int seconds)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", seconds);
	return file_puts(GRACE_FILE, text);
}

/* The last part of what a link points to */
int file_link_name(const char *path, char *name, size_t size)
{
	char target[512];
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	char *last;

	if (len < 0)
		return -errno;
	target[len] = '\0';
	last = strrchr(target, '/');
	snprintf(name, size, "%s", last ? last + 1 : target);
	return 0;
}

/* A UUID that no other test, process or run has used */
struct uuid uuid_new(void)
{
	static __u32 count;
	struct uuid uuid;
	__u64 random;

	if (getentropy(&random, sizeof(random)))
		random = now_ms() * 1000003;
	snprintf(uuid.text, sizeof(uuid.text), "%08x-%04x-4%03x-8%03x-%012llx",
		 (__u32)getpid(), __atomic_fetch_add(&count, 1,
							__ATOMIC_RELAXED) & 0xffff,
		 (__u32)(random & 0xfff), (__u32)(random >> 12 & 0xfff),
		 (unsigned long long)(random >> 24 & 0xffffffffffULL));
	return uuid;
}

struct path mdev_path(const struct uuid *uuid, const char *attr)
{
	return path_format(MDEV_DEVICES "/%s/%s", uuid->text, attr);
}

struct path parent_path(const char *parent, const char *file)
{
	return path_format(MDEV_PARENTS "/%s/%s", parent, file);
}

struct path type_path(const char *parent, const char *type, const char *attr)
{
	return path_format(MDEV_PARENTS "/%s/mdev_supported_types/%s/%s",
			   parent, type, attr);
}

bool parent_exists(const char *parent)
{
	return file_exists(parent_path(parent, "mdev_supported_types").text);
}

int mdev_create(const char *parent, const char *type, const struct uuid *uuid)
{
	return file_puts(type_path(parent, type, "create").text, uuid->text);
}

int mdev_remove(const struct uuid *uuid)
{
	return file_puts(mdev_path(uuid, "remove").text, "1");
}

int mdev_revoke(const struct uuid *uuid)
{
	return file_puts(mdev_path(uuid, "revoke").text, "1");
}

bool mdev_exists(const struct uuid *uuid)
{
	return file_exists(mdev_path(uuid, "").text);
}

long mdev_number(const struct uuid *uuid, const char *attr)
{
	return file_number(mdev_path(uuid, attr).text);
}

long instances(const char *parent, const char *type)
{
	return file_number(type_path(parent, type, "available_instances").text);
}

/* Whether the mdev is one of the kernel's own mdev.ko, not of ours */
bool mdev_is_kernels_own(const struct uuid *uuid)
{
	return !file_exists(mdev_path(uuid, "holder").text);
}

/* Whether its driver is one of the kernel's own interface, with either mdev.ko */
bool driver_is_kernels_own(const struct uuid *uuid)
{
	char name[64];

	return file_link_name(mdev_path(uuid, "driver").text, name,
			      sizeof(name)) || strcmp(name, "vfio_mdev");
}

/* How many mediated devices there are, over all parents */
int mdev_count(void)
{
	DIR *dir = opendir(MDEV_DEVICES);
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

int vfio_ioctl(int device, unsigned long cmd, void *arg)
{
	int ret = ioctl(device, cmd, arg);

	return ret < 0 ? -errno : ret;
}

/*
 * The interface of iommufd, and of a device's own file, which the headers of the
 * oldest distribution do not have; see linux/iommufd.h and linux/vfio.h.
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

/* The device's own file, which is of no use before it is bound to an iommufd */
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

/* Memory that is mapped by type 1's ioctls is mapped for this, too */
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

/* Opens the device in the present way. On failure, what was opened is closed */
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

int vfio_map(const struct vfio_user *user, void *memory, __u64 iova,
	     __u64 size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory,
		.iova = iova,
		.size = size,
	};

	return vfio_ioctl(user->container, VFIO_IOMMU_MAP_DMA, &map);
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

/* Sets the trigger of an interrupt; -1 takes it away */
int vfio_set_eventfd(int device, __u32 index, int fd)
{
	__s32 data = fd;

	return vfio_set_irqs(device, VFIO_IRQ_SET_DATA_EVENTFD |
			     VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 1, &data,
			     sizeof(data));
}

/* The index of the request interrupt, by the kind of the device */
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

/* How many pages are pinned at the moment, by anybody */
long pages_pinned(void)
{
	long acquired = 0, released = 0;
	char line[128];
	FILE *file;

	/* Counted by each CPU for itself, and put together from time to time */
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

int missing_new(struct missing *missing, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int err;

	missing->size = size;
	missing->memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (missing->memory == MAP_FAILED) {
		missing->memory = NULL;
		return -errno;
	}
	missing->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	area.range.start = (uintptr_t)missing->memory;
	area.range.len = size;
	if (missing->fd < 0 || ioctl(missing->fd, UFFDIO_API, &api) ||
	    ioctl(missing->fd, UFFDIO_REGISTER, &area)) {
		err = -errno;
		missing_free(missing);
		return err;
	}
	return 0;
}

/* Until somebody waits for the memory */
bool missing_wait(struct missing *missing, int timeout_ms)
{
	struct uffd_msg message;

	return wait_input(missing->fd, now_ms() + timeout_ms) &&
	       read(missing->fd, &message, sizeof(message)) ==
		       sizeof(message) &&
	       message.event == UFFD_EVENT_PAGEFAULT;
}

/* The first of it, as zeros; whoever waited for that goes on */
int missing_bring(struct missing *missing, size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t at;

	for (at = 0; at < size; at += page) {
		struct uffdio_zeropage zero = {
			.range.start = (uintptr_t)missing->memory + at,
			.range.len = page,
		};

		if (ioctl(missing->fd, UFFDIO_ZEROPAGE, &zero) &&
		    errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* Whoever still waited goes on as if nothing had been registered */
void missing_free(struct missing *missing)
{
	if (missing->fd >= 0)
		close(missing->fd);
	if (missing->memory)
		munmap(missing->memory, missing->size);
	missing->fd = -1;
	missing->memory = NULL;
}

int eventfd_new(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

bool eventfd_wait(int fd, int timeout_ms)
{
	return wait_input(fd, now_ms() + timeout_ms);
}

/* How often it was signalled since the last time */
__u64 eventfd_take(int fd)
{
	__u64 count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/*
 * The number that the kernel gives to the next eventfd context: the lowest
 * that is free, so a context that is leaked shows. -ENOENT where the kernel
 * doesn't tell.
 */
int eventfd_next_id(void)
{
	int fd = eventfd_new();
	char text[512];
	ssize_t len;
	char *found;

	if (fd < 0)
		return fd;
	len = file_read(path_format("/proc/self/fdinfo/%d", fd).text, text,
			sizeof(text));
	close(fd);
	if (len < 0)
		return len;
	found = strstr(text, "eventfd-id:");
	return found ? atoi(found + strlen("eventfd-id:")) : -ENOENT;
}

/*
 * Whether the contexts that were put are gone, a grace period later at the most.
 * Some of those before may have been on their way when @id was the next one.
 */
bool eventfd_ids_back_to(int id)
{
	return soon(eventfd_next_id() <= id);
}

int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_END);
	return fd;
}

/*
 * Reads on until a line has all three texts in it (NULL: any). With a timeout
 * of 0, whether one has come already.
 */
bool kmsg_wait(int fd, int timeout_ms, const char *first, const char *second,
	       const char *third)
{
	__s64 deadline = now_ms() + timeout_ms;
	char line[8192];

	for (;;) {
		ssize_t len = read(fd, line, sizeof(line) - 1);

		if (len < 0) {
			/* Lines were overwritten before we came: go on */
			if (errno == EPIPE || errno == EINTR)
				continue;
			if (errno != EAGAIN || !wait_input(fd, deadline))
				return false;
			continue;
		}
		line[len] = '\0';
		if ((!first || strstr(line, first)) &&
		    (!second || strstr(line, second)) &&
		    (!third || strstr(line, third)))
			return true;
	}
}

/* How many of the lines that have come have both texts in them */
int kmsg_count(int fd, const char *first, const char *second)
{
	int count = 0;

	while (kmsg_wait(fd, 0, first, second, NULL))
		count++;
	return count;
}

int uevent_open(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1,
	};
	int size = 4 << 20;
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static bool uevent_matches(const char *message, size_t len, const char *action,
			   const char *path, const char *variable)
{
	const char *end = message + len;
	const char *at = strchr(message, '@');
	const char *part;

	if (!at || (size_t)(at - message) != strlen(action) ||
	    strncmp(message, action, at - message) || !strstr(at, path))
		return false;
	if (!variable)
		return true;
	for (part = message; part < end; part += strlen(part) + 1)
		if (!strcmp(part, variable))
			return true;
	return false;
}

/*
 * Reads on until an event of that action comes from a device that has @path in
 * its path, with that variable (NULL: any).
 */
bool uevent_wait(int fd, int timeout_ms, const char *action, const char *path,
		 const char *variable)
{
	__s64 deadline = now_ms() + timeout_ms;
	char message[8192];

	for (;;) {
		ssize_t len = recv(fd, message, sizeof(message) - 1, 0);

		if (len < 0) {
			if (errno == ENOBUFS || errno == EINTR)
				continue;
			if (errno != EAGAIN || !wait_input(fd, deadline))
				return false;
			continue;
		}
		message[len] = '\0';
		if (uevent_matches(message, len, action, path, variable))
			return true;
	}
}

static void close_but(int keep1, int keep2)
{
	int low = keep1 < keep2 ? keep1 : keep2;
	int high = keep1 < keep2 ? keep2 : keep1;
	int from = 3;

	if (low >= from) {
		if (low > from)
			close_range(from, low - 1, 0);
		from = low + 1;
	}
	if (high >= from) {
		if (high > from)
			close_range(from, high - 1, 0);
		from = high + 1;
	}
	close_range(from, ~0U, 0);
}

pid_t child_start(int (*run)(void *arg), void *arg, int keep1, int keep2)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close_but(keep1, keep2);
		_exit(run(arg));
	}
	return pid;
}

/* The exit status, or 128 and the signal; -ETIMEDOUT where it goes on */
int child_wait(pid_t pid, int timeout_ms)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);
	int status;
	bool over;

	if (fd < 0)
		return -errno;
	over = wait_input(fd, now_ms() + timeout_ms);
	close(fd);
	if (!over)
		return -ETIMEDOUT;
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

void child_kill(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int run_remover(void *arg)
{
	return -mdev_remove(arg);
}

pid_t remover_start(const struct uuid *uuid)
{
	return child_start(run_remover, (void *)uuid, -1, -1);
}

static int run_revoker(void *arg)
{
	return -mdev_revoke(arg);
}

pid_t revoker_start(const struct uuid *uuid)
{
	return child_start(run_revoker, (void *)uuid, -1, -1);
}

/* Our test parents: "mdev_relay.0" is bound to the driver "mdev_relay" */
static struct path parent_driver(const char *parent, const char *attr)
{
	return path_format("/sys/bus/platform/drivers/%.*s/%s",
			   (int)strcspn(parent, "."), parent, attr);
}

static int run_unbinder(void *arg)
{
	return -file_puts(parent_driver(arg, "unbind").text, arg);
}

pid_t unbinder_start(const char *parent)
{
	return child_start(run_unbinder, (void *)parent, -1, -1);
}

static int run_driver_unbinder(void *arg)
{
	const struct uuid *uuid = arg;

	return -file_puts(mdev_path(uuid, "driver/unbind").text, uuid->text);
}

/* The mdev loses its driver, not its parent */
pid_t driver_unbinder_start(const struct uuid *uuid)
{
	return child_start(run_driver_unbinder, (void *)uuid, -1, -1);
}

int parent_bind(const char *parent)
{
	return file_puts(parent_driver(parent, "bind").text, parent);
}

int module_load(const char *name)
{
	return module_load_with(name, "");
}

int module_load_with(const char *name, const char *parameters)
{
	int fd = open(path_format("/modules/%s.ko", name).text,
		      O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;
	close(fd);
	return err;
}

/* As rmmod does */
int module_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

long module_users(const char *name)
{
	return file_number(path_format("/sys/module/%s/refcnt", name).text);
}

struct holder_life {
	struct uuid uuid;
	int socket;
	int eventfd;
};

static int holder_obey(struct vfio_user *user, const struct holder_life *life,
		       int order)
{
	struct vfio_device_info info;
	pid_t pid;
	int fd;

	switch (order) {
	case HOLDER_REGISTER:
		return vfio_set_request(user->device, life->eventfd);
	case HOLDER_UNREGISTER:
		return vfio_set_request(user->device, -1);
	case HOLDER_USE:
		return vfio_info(user->device, &info);
	case HOLDER_OPEN_AGAIN:
		fd = vfio_get_device(user, &life->uuid);
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : 0;
	case HOLDER_CLOSE_DEVICE:
		close(user->device);
		user->device = -1;
		return 0;
	case HOLDER_CLOSE:
		vfio_close(user);
		return 0;
	case HOLDER_HAND_OVER:
		pid = fork();
		if (pid < 0)
			return -errno;
		if (pid == 0)
			return getpid();
		_exit(0);
	}
	return -EINVAL;
}

static int run_holder(void *arg)
{
	struct holder_life *life = arg;
	struct vfio_user user;
	int order;
	int ret;

	prctl(PR_SET_NAME, HOLDER_NAME);
	/* A holder whose test has ended is of no use to anybody */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = vfio_open(&user, &life->uuid);
	while (send(life->socket, &ret, sizeof(ret), MSG_NOSIGNAL) > 0 &&
	       recv(life->socket, &order, sizeof(order), 0) == sizeof(order))
		ret = holder_obey(&user, life, order);
	return 0;
}

static int holder_answer(struct holder *holder)
{
	int ret;

	if (!wait_input(holder->socket, now_ms() + SOON_MS))
		return -ETIMEDOUT;
	if (recv(holder->socket, &ret, sizeof(ret), 0) != sizeof(ret))
		return -EPIPE;
	return ret;
}

/* Returns when the device is open; the errno is that of the open */
int holder_start(struct holder *holder, const struct uuid *uuid)
{
	struct holder_life life = { .uuid = *uuid };
	int sockets[2];

	/* Whom the holder leaves behind is ours to wait for */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	holder->pid = -1;
	holder->eventfd = eventfd_new();
	if (holder->eventfd < 0)
		return holder->eventfd;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	life.socket = sockets[1];
	life.eventfd = holder->eventfd;
	holder->socket = sockets[0];
	holder->pid = child_start(run_holder, &life, sockets[1],
				  holder->eventfd);
	close(sockets[1]);
	return holder->pid < 0 ? holder->pid : holder_answer(holder);
}

int holder_order(struct holder *holder, enum holder_order order)
{
	int number = order;
	int ret;

	if (send(holder->socket, &number, sizeof(number), MSG_NOSIGNAL) < 0)
		return -errno;
	ret = holder_answer(holder);
	if (order == HOLDER_HAND_OVER && ret > 0) {
		waitpid(holder->pid, NULL, 0);
		holder->pid = ret;
		return 0;
	}
	return ret;
}

/* As kill -9 does; the device is closed when this returns */
void holder_kill(struct holder *holder)
{
	child_kill(holder->pid);
	if (holder->socket >= 0)
		close(holder->socket);
	if (holder->eventfd >= 0)
		close(holder->eventfd);
	holder->pid = -1;
	holder->socket = -1;
	holder->eventfd = -1;
}

int host_ask(const char *command, char *answer, size_t size)
{
	struct sockaddr_un address = {
		.sun_family = AF_UNIX,
		.sun_path = "/run/host",
	};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char text[4096] = "";
	int err = -EIO;

	if (connect(fd, (void *)&address, sizeof(address)))
		err = -ENOENT;
	else if (send(fd, command, strlen(command), 0) > 0 &&
		 recv(fd, text, sizeof(text) - 1, 0) > 0 &&
		 !strncmp(text, "ok", 2))
		err = 0;
	close(fd);
	if (answer)
		snprintf(answer, size, "%s",
			 text + strcspn(text, " ") + !!strchr(text, ' '));
	return err;
}
