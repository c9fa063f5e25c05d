/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The library of the tests of mediated devices: sysfs, VFIO, the kernel's log,
 * uevents, and processes that hold or remove a device.
 *
 * Unless said otherwise, a function returns 0 (or a descriptor, or a length) or
 * a negative errno.
 */
#ifndef SELFTESTS_LIB_H
#define SELFTESTS_LIB_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/vfio.h>
#include <linux/vfio_mdev.h>

/*
 * Time factor of the kernel that the tests are built for, compared with
 * Debian's kernels. A debug kernel is slow.
 */
#ifndef SLOWER
#define SLOWER		1
#endif
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	(60 * SLOWER)
#endif

/*
 * How long to wait for an immediate event before the test fails. It is shorter
 * than MDEV_REQUEST_INTERVAL, so that a repeated request is not taken for the
 * first one. It cannot be short, because emulation is slow.
 */
#define SOON_MS		(MDEV_REQUEST_INTERVAL * 1000 - 2000)

/* The same for an event that the next repetition brings */
#define REPEAT_MS	(2 * MDEV_REQUEST_INTERVAL * 1000 + SOON_MS)

__s64 now_ms(void);
__s64 watch_ms(void);
int time_scale(void);
bool wait_moment(__s64 *left);

/*
 * Polls @expression, for conditions that have no event. Returns its value once
 * that differs from @value, or after @ms.
 */
#define soon_not_in(ms, value, expression) ({				\
	__s64 soon_left = ms;						\
	__typeof__(expression) soon_value;				\
									\
	while ((soon_value = (expression)) == (value) &&		\
	       wait_moment(&soon_left))					\
		;							\
	soon_value;							\
})

/* The same with the time that the tests usually have */
#define soon_not(value, expression) soon_not_in(SOON_MS, value, expression)

/* Returns whether @condition becomes true in time */
#define soon(condition)	soon_not(false, condition)

/* sysfs */
int file_write(const char *path, const void *data, size_t len);
int file_puts(const char *path, const char *text);
ssize_t file_read(const char *path, char *text, size_t size);
long file_number(const char *path);
int file_mode(const char *path);
bool file_exists(const char *path);
int file_link_name(const char *path, char *name, size_t size);

/* The grace of holders when a parent goes, in seconds; 0 means without end */
#define GRACE_FILE	"/sys/module/mdev/parameters/revoke_after"
#define GRACE_DEFAULT	60

int grace_set(unsigned int seconds);

/* Mediated devices */
#define MDEV_DRIVER	"/sys/bus/mdev/drivers/vfio_mdev/"
#define UUID_LEN	36

struct uuid {
	char text[UUID_LEN + 1];
};

struct path {
	char text[256];
};

struct uuid uuid_new(void);
struct path mdev_path(const struct uuid *uuid, const char *attr);
struct path parent_path(const char *parent, const char *file);
struct path type_path(const char *parent, const char *type, const char *attr);
bool parent_exists(const char *parent);
int mdev_create(const char *parent, const char *type, const struct uuid *uuid);
int mdev_remove(const struct uuid *uuid);
int mdev_revoke(const struct uuid *uuid);
bool mdev_exists(const struct uuid *uuid);
long mdev_number(const struct uuid *uuid, const char *attr);
long instances(const char *parent, const char *type);
bool mdev_is_kernels_own(const struct uuid *uuid);
bool driver_is_kernels_own(const struct uuid *uuid);
int mdev_count(void);

/* The reason to skip a test about requests: see mdev_is_kernels_own() */
#define ASKS_NOBODY	"the kernel's own mdev does not ask for release"

/*
 * The way to open a device with VFIO. VFIO_WAY in the environment is "type1",
 * which is the default; "iommufd", which replaces the container; or "cdev": the
 * device's own file, with iommufd and without a group.
 */
enum vfio_way {
	VFIO_WAY_TYPE1,
	VFIO_WAY_IOMMUFD,
	VFIO_WAY_CDEV,
};

enum vfio_way vfio_way(void);

/* The reason to skip a test of groups with cdev */
#define WITHOUT_GROUP	"this device is opened without a group"

/* The reason to skip a test that opens a device twice */
#define OPENED_ONCE	"a device that an iommufd has is opened only once"

/* The reason to skip a test about type 1 with the other ways */
#define WITHOUT_TYPE1	"this is about a container of type 1"

/*
 * The expected result of opening another descriptor of an open device. @value is
 * that of a device that is open by type 1. With iommufd, such an open is refused
 */
static inline int vfio_further(int value)
{
	if (vfio_way() == VFIO_WAY_CDEV)
		return -EINVAL;
	return vfio_way() == VFIO_WAY_IOMMUFD && !value ? -EBUSY : value;
}

struct vfio_user {
	int container;	/* or the iommufd */
	int group;	/* -1 if the device has no group */
	int device;
	__u32 ioas;	/* of the iommufd, if there is no group */
};

#define VFIO_USER_NONE	{ .container = -1, .group = -1, .device = -1 }

int vfio_open_container(void);
int vfio_open_unbound(const struct uuid *uuid);
int vfio_new_ioas(struct vfio_user *user);
int vfio_cdev_bind(int device, int iommufd);
int vfio_cdev_attach(int device, __u32 ioas);
int vfio_cdev_detach(int device);
int vfio_open_group(const struct uuid *uuid, int container);
int vfio_open(struct vfio_user *user, const struct uuid *uuid);
int vfio_get_device(const struct vfio_user *user, const struct uuid *uuid);
void vfio_close(struct vfio_user *user);
int vfio_map(const struct vfio_user *user, void *memory, __u64 iova,
	     __u64 size);
int vfio_map_to_read(const struct vfio_user *user, void *memory, __u64 iova,
		     __u64 size);
int vfio_unmap(const struct vfio_user *user, __u64 iova, __u64 size);
long pages_pinned(void);

int vfio_ioctl(int device, unsigned long cmd, void *arg);
int vfio_info(int device, struct vfio_device_info *info);
int vfio_region(int device, __u32 index, struct vfio_region_info *info);
int vfio_irq(int device, __u32 index, struct vfio_irq_info *info);
int vfio_set_irqs(int device, __u32 flags, __u32 index, __u32 start,
		  __u32 count, const void *data, size_t len);
int vfio_set_eventfd(int device, __u32 index, int fd);
int vfio_request_index(int device);
int vfio_set_request(int device, int fd);

/* Returns an unmapped address that the compiler does not know */
void *bad_address(void);

/* Can the kernel zap the mappings of a device? It can since Linux 6.10 */
bool vfio_mappings_can_be_taken(void);
/* The reason to skip a test if it cannot */
#define KEEPS_MAPPINGS	"this kernel cannot take a mapping away"

/* Does /proc/PID/fdinfo show the path of a device in sysfs? */
bool vfio_shows_path(void);

/*
 * Memory that is not present until the test provides it. A thread that accesses
 * this memory waits in a page fault, in user space or in the kernel.
 */
struct missing {
	void *memory;
	size_t size;
	int fd;
};

#define MISSING_NONE	{ .memory = NULL, .fd = -1 }

int missing_new(struct missing *missing, size_t size);
bool missing_wait(struct missing *missing, int timeout_ms);
int missing_bring(struct missing *missing, size_t size);
void missing_free(struct missing *missing);

/* Eventfds */
int eventfd_new(void);
bool eventfd_wait(int fd, int timeout_ms);
__u64 eventfd_take(int fd);
int eventfd_next_id(void);
bool eventfd_ids_back_to(int id);

/* The kernel's log, from this call on */
int kmsg_open(void);
int kmsg_count(int fd, const char *first, const char *second);
bool kmsg_wait(int fd, int timeout_ms, const char *first, const char *second,
	       const char *third);

/* Uevents, from this call on */
int uevent_open(void);
bool uevent_wait(int fd, int timeout_ms, const char *action, const char *path,
		 const char *variable);

/*
 * Processes. A child inherits only the descriptors @keep1 and @keep2, because a
 * child with a descriptor of a device would hold the device.
 */
pid_t child_start(int (*run)(void *arg), void *arg, int keep1, int keep2);
int child_wait(pid_t pid, int timeout_ms);
void child_kill(pid_t pid);

/* Restricts the thread to one processor */
int thread_use_processor(pthread_t thread, int processor);

/* Processes that write to "remove", "revoke", "unbind"; they exit with errno */
pid_t remover_start(const struct uuid *uuid);
pid_t revoker_start(const struct uuid *uuid);
pid_t unbinder_start(const char *parent);
pid_t driver_unbinder_start(const struct uuid *uuid);
int parent_bind(const char *parent);

/* Modules, by name. Return 0 or a negative errno */
int module_load(const char *name);
int module_load_with(const char *name, const char *parameters);
int module_unload(const char *name);
long module_users(const char *name);

/* A process that holds a device and obeys orders */
struct holder {
	pid_t pid;
	int socket;
	int eventfd;
};

enum holder_order {
	HOLDER_REGISTER,	/* register the request eventfd */
	HOLDER_UNREGISTER,
	HOLDER_USE,		/* make one ioctl of the device */
	HOLDER_OPEN_AGAIN,	/* open another descriptor */
	HOLDER_CLOSE_DEVICE,	/* keep the group open */
	HOLDER_CLOSE,		/* close all descriptors */
	HOLDER_HAND_OVER,	/* leave the device to a child, and exit */
};

#define HOLDER_NAME	"mdev-holder"

int holder_start(struct holder *holder, const struct uuid *uuid);
int holder_order(struct holder *holder, enum holder_order order);
void holder_kill(struct holder *holder);

/*
 * Lets the host execute a command: "COMMAND KEY=VALUE..." of QEMU's monitor.
 * @answer gets the text behind "ok", or behind "error" if the result is -EIO;
 * it may be NULL. Returns -ENOENT if there is no host to ask.
 */
int host_ask(const char *command, char *answer, size_t size);

#endif /* SELFTESTS_LIB_H */
