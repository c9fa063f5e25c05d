// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the calls of holders. Several threads of several processes make random
 * calls of VFIO and sysfs. Their memory may be missing, read-only or shared, or
 * appear at any time. They also use descriptors that other processes have sent.
 * Meanwhile administrators create, remove, revoke, unbind and kill.
 *
 * The test expects that the kernel's log is silent (the runner checks that);
 * that another device can be created and removed at all times; that each
 * process ends when it is killed; that each device can be removed then; and
 * that nothing is left behind.
 *
 * A holder can crash the kernel's own VFIO. The fuzzer avoids these calls:
 *
 * - The last group leaves a container while an ioctl of the container is under
 *   way. So each worker has one container, which it shares with no other
 *   process, and which one group never leaves.
 * - Two threads unmap the same range of a container with several devices. See
 *   unmap_lock.
 *
 * Environment, with defaults in parentheses:
 *   FUZZ_SECONDS      how long the fuzzer runs (30)
 *   FUZZ_SEED         seed of the random numbers; threads still run in varying
 *                     order (1)
 *   FUZZ_KERNELS_OWN  1 if all parents are of the kernel's own interface (0)
 *   FUZZ_CHANNELS     host's names of channel devices to pass through, with
 *                     spaces between (none)
 *   FUZZ_LOOPS        1 if channel programs may loop, which QEMU cannot run (0)
 *   VFIO_WAY          see lib.h
 *
 * With VFIO_WAY=cdev, calls for a group open a device's own file, calls that
 * set and unset the container bind and detach, and calls that get a device
 * attach.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "lib.h"
#include "migration.h"
#include "../mdev/call.h"
#include "channel.h"
#include "mdev_relay.h"
#include "random.h"

#define WORKERS		3
#define ADMINISTRATORS	3
#define THREADS		4
#define DEVICES		6
#define REVOCABLE	4	/* the first ones of them */
#define SLOTS		4	/* descriptors of each sort, of one worker */
#define PAGES		16	/* of each kind of memory */

/*
 * Limits for create and remove of the watched device, and for the last
 * removals. They grow with the longest overrun of a sleep, because a guest may
 * get little CPU time
 */
#define ANSWER_MS	(3000 * time_scale() + 20 * lateness)
#define LAST_MS		(5000 * time_scale() + 20 * lateness)

/* The longest life of a worker. At its end all descriptors that it has not sent are closed */
#define LIFE_MS		(10000 * time_scale())

/* Kinds of calls: those of holders, and from CREATE on those of administrators */
enum kind {
	OPEN_CONTAINER, SET_IOMMU, OPEN_GROUP, SET_CONTAINER,
	UNSET_CONTAINER, GET_DEVICE, CLOSE, MAP, UNMAP, DIRTY_PAGES,
	CONTAINER_INFO, INFO, REGION_INFO, IRQ_INFO, SET_IRQS, RESET,
	FEATURE, MIGRATE, DATA_READ, DATA_WRITE, DATA_IOCTL, READ, WRITE, PIN,
	UNPIN, MMAP, TOUCH, START, FETCH, HALT, SEND, RECEIVE, JUNK,
	SETUP, CREATE, REMOVE, REVOKE, REQUEST, UNBIND, BIND, REVOKE_AFTER,
	KILL, STOP, UNBIND_CHANNEL, BIND_CHANNEL,
	NR_KINDS
};

/* Kinds of descriptors */
enum sort { CONTAINER, GROUP, DEVICE, EVENTFD, STREAM, NR_SORTS };

static const char *const kind_names[NR_KINDS] = {
	[OPEN_CONTAINER] = "OPEN_CONTAINER",
	[SET_IOMMU] = "SET_IOMMU",
	[OPEN_GROUP] = "OPEN_GROUP",
	[SET_CONTAINER] = "SET_CONTAINER",
	[UNSET_CONTAINER] = "UNSET_CONTAINER",
	[GET_DEVICE] = "GET_DEVICE",
	[CLOSE] = "CLOSE",
	[MAP] = "MAP",
	[UNMAP] = "UNMAP",
	[DIRTY_PAGES] = "DIRTY_PAGES",
	[CONTAINER_INFO] = "CONTAINER_INFO",
	[INFO] = "INFO",
	[REGION_INFO] = "REGION_INFO",
	[IRQ_INFO] = "IRQ_INFO",
	[SET_IRQS] = "SET_IRQS",
	[RESET] = "RESET",
	[FEATURE] = "FEATURE",
	[MIGRATE] = "MIGRATE",
	[DATA_READ] = "DATA_READ",
	[DATA_WRITE] = "DATA_WRITE",
	[DATA_IOCTL] = "DATA_IOCTL",
	[READ] = "READ",
	[WRITE] = "WRITE",
	[PIN] = "PIN",
	[UNPIN] = "UNPIN",
	[MMAP] = "MMAP",
	[TOUCH] = "TOUCH",
	[START] = "START",
	[FETCH] = "FETCH",
	[HALT] = "HALT",
	[SEND] = "SEND",
	[RECEIVE] = "RECEIVE",
	[JUNK] = "JUNK",
	[SETUP] = "SETUP",
	[CREATE] = "CREATE",
	[REMOVE] = "REMOVE",
	[REVOKE] = "REVOKE",
	[REQUEST] = "REQUEST",
	[UNBIND] = "UNBIND",
	[BIND] = "BIND",
	[REVOKE_AFTER] = "REVOKE_AFTER",
	[KILL] = "KILL",
	[STOP] = "STOP",
	[UNBIND_CHANNEL] = "UNBIND_CHANNEL",
	[BIND_CHANNEL] = "BIND_CHANNEL",
};

/*
 * Kinds that may never succeed: calls that are wrong by intent, calls that not
 * every device supports, and calls that SETUP makes, too
 */
static const bool may_fail[NR_KINDS] = {
	[MIGRATE] = true, [DATA_READ] = true, [DATA_WRITE] = true,
	[DATA_IOCTL] = true, [JUNK] = true, [FEATURE] = true, [RESET] = true, [MMAP] = true,
	[TOUCH] = true, [PIN] = true, [UNPIN] = true, [DIRTY_PAGES] = true,
	[SET_IOMMU] = true,
};

/* These kinds may never succeed, either, if no channel device is passed through */
static bool needs_channel(enum kind kind)
{
	return kind == START || kind == FETCH || kind == HALT ||
	       kind == UNBIND_CHANNEL || kind == BIND_CHANNEL;
}

/* After this many calls of a kind, one must have succeeded */
#define ENOUGH_CALLS	2000

/* Shared by all processes */
struct shared {
	bool stop;
	unsigned long calls[NR_KINDS];
	unsigned long successes[NR_KINDS];
	struct uuid uuids[DEVICES];
	struct uuid anchors[WORKERS];
	pid_t workers[WORKERS];
	pid_t administrators[ADMINISTRATORS];
	__s64 longest_answer;
	int answer_error;
	unsigned long answers;
};

static struct shared *shared;

/* The longest overrun of a sleep in the test's first process */
static __s64 lateness;

/* A parent and one of its types */
struct parent {
	char name[64];
	char type[128];
};

struct parents {
	struct parent all[8];
	int nr;
};

/* The parents of random devices, and one whose devices only the watcher uses */
static struct parents revocable, unrevocable;
static struct parent watched;

#define WATCHED		"mdev_relay.2"
#define KERNELS_WATCHED	"mdev_relay_peer.0"
#define UNREVOCABLE	"mdev_legacy"	/* its driver has no revoke callback */

/* All drivers are of the kernel's own interface, which has no revoke callback */
static bool kernels_own;

/* Variables of a worker */
static int slots[NR_SORTS][SLOTS];
static int container;
static __u32 ioas;		/* if the container is an iommufd */
static int post[2];
static unsigned char *memories[5];
static unsigned char *programs;		/* a page of channel programs */
static unsigned char data[2 * 4096];	/* migration data that was read last */
static size_t data_size;
static size_t page;

/*
 * Held during each ioctl that may unmap a range of the worker's container. The
 * kernel's own VFIO drops its lock to notify each device, and reads the range
 * again for each of them: another unmap may have freed it. If the lock is
 * taken, a thread makes another call instead, so that other calls still race
 * with the unmap.
 */
static pthread_mutex_t unmap_lock = PTHREAD_MUTEX_INITIALIZER;

static bool stopping(void)
{
	return __atomic_load_n(&shared->stop, __ATOMIC_RELAXED);
}

static void count(enum kind kind, long ret)
{
	__atomic_add_fetch(&shared->calls[kind], 1, __ATOMIC_RELAXED);
	if (ret >= 0)
		__atomic_add_fetch(&shared->successes[kind], 1,
				   __ATOMIC_RELAXED);
}

/* Sometimes returns a slot of another kind of descriptor */
static int *random_slot(enum sort sort)
{
	if (chance(16))
		sort = below(NR_SORTS);
	return &slots[sort][below(SLOTS)];
}

/* Returns a descriptor, mostly an open one */
static int random_fd(enum sort sort)
{
	int i, fd = -1;

	for (i = 0; fd < 0 && i < 2 * SLOTS; i++)
		fd = __atomic_load_n(random_slot(sort), __ATOMIC_RELAXED);
	return fd;
}

/* Replaces a random descriptor, and closes that. Another thread often is in a call of it */
static void keep(enum sort sort, int fd)
{
	int old;

	if (fd < 0)
		return;
	old = __atomic_exchange_n(random_slot(sort), fd, __ATOMIC_RELAXED);
	if (old >= 0)
		close(old);
}

/* Returns memory of one of the kinds, or an unmapped address */
static void *random_memory(void)
{
	unsigned int which = below(ARRAY_SIZE(memories) + 2);

	if (chance(2))
		which = 0;
	if (which >= ARRAY_SIZE(memories))
		return bad_address();
	return memories[which] + below(PAGES) * page;
}

static __u64 random_iova(void)
{
	if (chance(20))
		return random64();
	return FUZZ_IOVA + below(FUZZ_IOVAS) * page;
}

static __u64 random_size(void)
{
	if (chance(20))
		return random64();
	return (1 + below(4)) * page;
}

static const struct uuid *random_uuid(void)
{
	return &shared->uuids[below(DEVICES)];
}

static int random_int(void)
{
	static const int edges[] = { 0, 1, 2, 3, -1, 5, 8, 16, 4096, 1 << 30 };

	return chance(4) ? (int)random64() : edges[below(ARRAY_SIZE(edges))];
}

static void fuzz_map(void)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = chance(10) ? random_int() : 3,
		.vaddr = (uintptr_t)random_memory(), .iova = random_iova(),
		.size = random_size(),
	};

	count(MAP, ioctl(random_fd(CONTAINER), VFIO_IOMMU_MAP_DMA, &map));
}

static void fuzz_unmap(void)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = random_iova(),
		.size = random_size(),
	};

	if (chance(8)) {
		unmap.flags = VFIO_DMA_UNMAP_FLAG_ALL;
		unmap.iova = 0;
		unmap.size = 0;
	}
	if (pthread_mutex_trylock(&unmap_lock))
		return;
	count(UNMAP, ioctl(random_fd(CONTAINER), VFIO_IOMMU_UNMAP_DMA, &unmap));
	pthread_mutex_unlock(&unmap_lock);
}

static void fuzz_dirty_pages(void)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap bitmap;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} arg = {
		.bitmap.argsz = sizeof(arg), .bitmap.flags = 1 << below(3),
		.get.iova = random_iova(), .get.size = random_size(),
		.get.bitmap.pgsize = page, .get.bitmap.size = 8,
		.get.bitmap.data = random_memory(),
	};

	count(DIRTY_PAGES, ioctl(random_fd(CONTAINER), VFIO_IOMMU_DIRTY_PAGES, &arg));
}

/* Makes an ioctl, sometimes with its argument in one of the kinds of memory */
static void fuzz_ioctl(enum kind kind, enum sort sort, unsigned long cmd)
{
	__u32 arg[16] = { sizeof(arg), random_int(), random_int(),
			  random_int(), below(4), random_int() };

	if (chance(4))
		count(kind, ioctl(random_fd(sort), cmd, random_memory()));
	else
		count(kind, ioctl(random_fd(sort), cmd, arg));
}

static void fuzz_set_irqs(void)
{
	struct {
		struct vfio_irq_set set;
		__s32 fd;
	} arg = {
		.set.argsz = sizeof(arg),
		.set.flags = (1 << below(3)) | (8 << below(3)),
		.set.index = below(6), .set.count = below(3),
		.fd = chance(3) ? -1 : random_fd(EVENTFD),
	};

	if (chance(4))
		keep(EVENTFD, eventfd_new());
	if (chance(20))
		arg.set.flags = random_int();
	count(SET_IRQS, ioctl(random_fd(DEVICE), VFIO_DEVICE_SET_IRQS, &arg));
}

static void fuzz_migrate(void)
{
	int fd, ret;

	ret = mig_set(random_fd(DEVICE), below(MIG_STATES + 1), &fd);
	count(MIGRATE, ret);
	keep(STREAM, fd);
}

/* Mostly returns @length */
static size_t random_length(size_t length)
{
	return chance(4) ? below(sizeof(data)) : length;
}

static void fuzz_data_read(void)
{
	ssize_t ret;

	if (chance(4)) {
		count(DATA_READ, read(random_fd(STREAM), random_memory(),
				      below(sizeof(data))));
		return;
	}
	ret = read(random_fd(STREAM), data, random_length(sizeof(data)));
	count(DATA_READ, ret);
	if (ret > 0)
		data_size = ret;
}

static void fuzz_data_write(void)
{
	void *from = chance(4) ? random_memory() : data;

	if (data_size && chance(3))
		data[below(data_size)] ^= 1 << below(8);
	count(DATA_WRITE, write(random_fd(STREAM), from,
				random_length(data_size)));
}

/* Makes a call with a number of VFIO's, known or not, and an argument that fits none */
static void fuzz_junk(void)
{
	unsigned int cmd = _IO(VFIO_TYPE, below(256));
	bool unmaps = cmd == VFIO_IOMMU_UNMAP_DMA;

	if (unmaps && pthread_mutex_trylock(&unmap_lock))
		return;
	count(JUNK, ioctl(random_fd(below(NR_SORTS)), cmd, random_memory()));
	if (unmaps)
		pthread_mutex_unlock(&unmap_lock);
}

static off_t random_offset(void)
{
	return ((off_t)below(10) << 40) + (chance(3) ? random_int() & 0xffff :
					   below(64));
}

static void fuzz_pin(enum mdev_relay_pin_action action)
{
	count(action == MDEV_RELAY_PIN ? PIN : UNPIN,
	      relay_pin(random_fd(DEVICE), action, random_iova(), 1 + below(4)));
}

static void fuzz_mmap(void)
{
	unsigned char *memory = mmap(NULL, page, PROT_READ | PROT_WRITE,
				     MAP_SHARED, random_fd(DEVICE),
				     (off_t)(3 + below(2)) <<
				     MDEV_RELAY_INDEX_SHIFT);
	int pipes[2];

	count(MMAP, memory == MAP_FAILED ? -1 : 0);
	if (memory == MAP_FAILED)
		return;
	/* Let the kernel access the memory: a SIGBUS would end the worker */
	if (!pipe(pipes)) {
		count(TOUCH, write(pipes[1], memory, 8));
		close(pipes[0]);
		close(pipes[1]);
	}
	munmap(memory, page);
}

/* The device finds its programs only if their page is mapped */
static void map_programs(void)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = 3, .size = page,
		.vaddr = (uintptr_t)programs, .iova = PROGRAM,
	};

	ioctl(random_fd(CONTAINER), VFIO_IOMMU_MAP_DMA, &map);
}

static void fuzz_channel(enum kind kind)
{
	struct response response;
	struct ccw ccw;

	if (!channel_of(&ccw, random_fd(DEVICE), programs))
		return;
	switch (kind) {
	case START:
		if (chance(2))
			map_programs();
		count(kind, start_random(&ccw));
		break;
	case FETCH:
		count(kind, read_irb(&ccw, &response));
		break;
	default:
		count(kind, ccw_async(&ccw, 1 << below(3)));
		break;
	}
}

static bool is_container(int fd)
{
	return ioctl(fd, VFIO_GET_API_VERSION) == VFIO_API_VERSION;
}

static void fuzz_send(void)
{
	char room[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room,
		.msg_controllen = sizeof(room),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	/* Use a duplicate: no other thread can turn that into a container meanwhile */
	int fd = dup(random_fd(GROUP + below(NR_SORTS - GROUP)));

	if (fd >= 0 && !is_container(fd)) {
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
		count(SEND, sendmsg(post[0], &message, MSG_DONTWAIT));
	}
	if (fd >= 0)
		close(fd);
}

static void fuzz_receive(void)
{
	char room[CMSG_SPACE(sizeof(int))] = {}, byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room,
		.msg_controllen = sizeof(room),
	};
	struct cmsghdr *header;
	int fd = -1;

	count(RECEIVE, recvmsg(post[1], &message, MSG_DONTWAIT));
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	keep(below(NR_SORTS), fd);
}

/* Makes all calls that open a device */
static void fuzz_setup(void)
{
	struct vfio_user user = { .container = container, .ioas = ioas };
	const struct uuid *uuid = random_uuid();
	int fd;

	if (vfio_way() == VFIO_WAY_CDEV) {
		fd = vfio_get_device(&user, uuid);
		count(SETUP, fd);
		keep(DEVICE, fd);
		return;
	}
	user.group = vfio_open_group(uuid, container);
	count(SETUP, user.group);
	if (user.group < 0)
		return;
	keep(DEVICE, vfio_get_device(&user, uuid));
	keep(GROUP, user.group);
}

static void fuzz_open_group(void)
{
	char path[128], name[64], node[96];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/iommu_group",
		 random_uuid()->text);
	if (file_link_name(path, name, sizeof(name)) < 0)
		return;
	snprintf(node, sizeof(node), "/dev/vfio/%s", name);
	fd = open(node, O_RDWR | O_CLOEXEC);
	count(OPEN_GROUP, fd);
	keep(GROUP, fd);
}

static void fuzz_group_call(enum kind kind)
{
	int fd, arg;

	switch (kind) {
	case OPEN_GROUP:
		fuzz_open_group();
		break;
	case SET_CONTAINER:
		arg = random_fd(CONTAINER);
		count(kind, ioctl(random_fd(GROUP), VFIO_GROUP_SET_CONTAINER, &arg));
		break;
	case UNSET_CONTAINER:
		count(kind, ioctl(random_fd(GROUP), VFIO_GROUP_UNSET_CONTAINER));
		break;
	default:
		fd = ioctl(random_fd(GROUP), VFIO_GROUP_GET_DEVICE_FD,
			   random_uuid()->text);
		count(kind, fd);
		keep(DEVICE, fd);
		break;
	}
}

static int fuzz_new_ioas(void)
{
	struct vfio_user user = { .container = container };

	return vfio_new_ioas(&user) ? -1 : (int)user.ioas;
}

static void fuzz_cdev_call(enum kind kind)
{
	int fd, err;

	switch (kind) {
	case OPEN_GROUP:
		fd = vfio_open_unbound(random_uuid());
		count(kind, fd);
		keep(DEVICE, fd);
		return;
	case SET_CONTAINER:
		err = vfio_cdev_bind(random_fd(DEVICE), random_fd(CONTAINER));
		break;
	case UNSET_CONTAINER:
		err = vfio_cdev_detach(random_fd(DEVICE));
		break;
	default:
		err = vfio_cdev_attach(random_fd(DEVICE),
				       chance(8) ? random_int() :
				       chance(8) ? fuzz_new_ioas() : (int)ioas);
		break;
	}
	count(kind, err);
}

static void fuzz_call(enum kind kind)
{
	int fd;

	switch (kind) {
	case OPEN_CONTAINER:
		fd = fcntl(container, F_DUPFD_CLOEXEC, 0);
		count(kind, fd);
		keep(CONTAINER, fd);
		break;
	case SET_IOMMU:
		count(kind, ioctl(random_fd(CONTAINER), VFIO_SET_IOMMU,
				  chance(8) ? random_int() :
				  VFIO_TYPE1v2_IOMMU));
		break;
	case OPEN_GROUP:
	case SET_CONTAINER:
	case UNSET_CONTAINER:
	case GET_DEVICE:
		if (vfio_way() == VFIO_WAY_CDEV)
			fuzz_cdev_call(kind);
		else
			fuzz_group_call(kind);
		break;
	case CLOSE:
		fd = __atomic_exchange_n(random_slot(below(NR_SORTS)), -1, __ATOMIC_RELAXED);
		if (fd >= 0)
			count(kind, close(fd));
		break;
	case MAP:
		fuzz_map();
		break;
	case UNMAP:
		fuzz_unmap();
		break;
	case DIRTY_PAGES:
		fuzz_dirty_pages();
		break;
	case CONTAINER_INFO:
		fuzz_ioctl(kind, CONTAINER, VFIO_IOMMU_GET_INFO);
		break;
	case INFO:
		fuzz_ioctl(kind, DEVICE, VFIO_DEVICE_GET_INFO);
		break;
	case REGION_INFO:
		fuzz_ioctl(kind, DEVICE, VFIO_DEVICE_GET_REGION_INFO);
		break;
	case IRQ_INFO:
		fuzz_ioctl(kind, DEVICE, VFIO_DEVICE_GET_IRQ_INFO);
		break;
	case SET_IRQS:
		fuzz_set_irqs();
		break;
	case RESET:
		count(kind, ioctl(random_fd(DEVICE), VFIO_DEVICE_RESET));
		break;
	case FEATURE:
		fuzz_ioctl(kind, DEVICE, VFIO_DEVICE_FEATURE);
		break;
	case MIGRATE:
		fuzz_migrate();
		break;
	case DATA_READ:
		fuzz_data_read();
		break;
	case DATA_WRITE:
		fuzz_data_write();
		break;
	case DATA_IOCTL:
		fuzz_ioctl(kind, STREAM, MIG_PRECOPY);
		break;
	case READ:
		count(kind, pread(random_fd(DEVICE), random_memory(), below(256),
				  random_offset()));
		break;
	case WRITE:
		count(kind, pwrite(random_fd(DEVICE), random_memory(), below(256),
				   random_offset()));
		break;
	case PIN:
		fuzz_pin(MDEV_RELAY_PIN);
		break;
	case UNPIN:
		fuzz_pin(MDEV_RELAY_UNPIN);
		break;
	case MMAP:
		fuzz_mmap();
		break;
	case START:
	case FETCH:
	case HALT:
		fuzz_channel(kind);
		break;
	case SEND:
		fuzz_send();
		break;
	case RECEIVE:
		fuzz_receive();
		break;
	case JUNK:
		fuzz_junk();
		break;
	case SETUP:
		fuzz_setup();
		break;
	default:
		break;
	}
}

/* Kinds of calls that take something away from the others */
static const bool rare[NR_KINDS] = {
	[OPEN_CONTAINER] = true, [OPEN_GROUP] = true, [SET_CONTAINER] = true,
	[UNSET_CONTAINER] = true, [CLOSE] = true, [RECEIVE] = true,
	[HALT] = true,
};

static void *run_thread(void *seed)
{
	enum kind kind;

	state = (uintptr_t)seed;
	while (!stopping()) {
		if (chance(16))
			kind = SETUP;
		else if (nr_channels && chance(2))
			kind = chance(2) ? START : FETCH;
		else
			kind = below(SETUP);
		if (!rare[kind] || chance(16))
			fuzz_call(kind);
	}
	return NULL;
}

/* Provides missing memory at random times */
static void *run_pager(void *arg)
{
	struct missing *missing = arg;

	while (!stopping()) {
		if (!missing_wait(missing, 200))
			continue;
		usleep(below(2) ? 1000 : 400000);
		missing_bring(missing, missing->size);
		/* Remove the memory again */
		madvise(missing->memory, missing->size, MADV_DONTNEED);
	}
	return NULL;
}

static unsigned char *memory_of(int prot, int flags)
{
	unsigned char *memory = mmap(NULL, PAGES * page, prot,
				     flags | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? bad_address() : memory;
}

/* Opens the worker's container, with a group that only this worker uses */
static int open_container(const struct uuid *anchor)
{
	struct vfio_user user = { .container = vfio_open_container() };
	__s64 end = now_ms() + LAST_MS;
	int fd = user.container;

	if (fd < 0)
		return fd;
	if (vfio_way() == VFIO_WAY_CDEV) {
		if (vfio_new_ioas(&user))
			return -1;
		ioas = user.ioas;
		return fd;
	}
	/* The previous worker may still be exiting */
	while (vfio_open_group(anchor, fd) < 0) {
		if (now_ms() > end)
			return -1;
		usleep(10000);
	}
	return ioctl(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) ? -1 : fd;
}

struct start {
	const struct uuid *anchor;
	__u64 seed;
};

static int run_worker(void *arg)
{
	const struct start *start = arg;
	static struct missing missing = MISSING_NONE;
	pthread_t thread;
	unsigned long i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGBUS, SIG_DFL);
	memset(slots, 0xff, sizeof(slots));
	memories[0] = memory_of(PROT_READ | PROT_WRITE, MAP_PRIVATE);
	memories[1] = memory_of(PROT_READ, MAP_PRIVATE);
	memories[2] = memory_of(PROT_NONE, MAP_PRIVATE);
	memories[3] = memory_of(PROT_READ | PROT_WRITE, MAP_SHARED);
	programs = memory_of(PROT_READ | PROT_WRITE, MAP_PRIVATE);
	memories[4] = missing_new(&missing, PAGES * page) ?
		      memories[0] : missing.memory;
	state = start->seed;
	container = open_container(start->anchor);
	if (container < 0)
		return 1;
	if (missing.fd >= 0)
		pthread_create(&thread, NULL, run_pager, &missing);
	for (i = 1; i < THREADS; i++)
		pthread_create(&thread, NULL, run_thread,
			       (void *)(random64() | 1));
	run_thread((void *)(random64() | 1));
	/* As for any killed process, the kernel closes the descriptors */
	raise(SIGKILL);
	return 0;
}

static int create_random(void)
{
	unsigned int i = below(DEVICES);
	const struct parents *parents = i < REVOCABLE && !kernels_own ?
					&revocable : &unrevocable;
	const struct parent *parent = &parents->all[below(parents->nr)];

	return mdev_create(parent->name, parent->type, &shared->uuids[i]);
}

static int run_remover(void *uuid)
{
	return -mdev_remove(uuid);
}

/* Interrupts a removal that waits, so that the administrator does not wait for ever */
static int remove_for(const struct uuid *uuid, int timeout_ms)
{
	pid_t child = child_start(run_remover, (void *)uuid, -1, -1);
	int ret = child_wait(child, timeout_ms);

	if (ret < 0)
		child_kill(child);
	return ret;
}

static void administrate(void)
{
	char path[128];
	const struct uuid *uuid = random_uuid();
	enum kind kind = CREATE + below(NR_KINDS - CREATE);
	pid_t worker = shared->workers[below(WORKERS)];

	/* Mostly create and remove: without devices nothing happens */
	if (chance(2))
		kind = CREATE;
	else if (chance(2))
		kind = chance(2) ? REMOVE : REVOKE;
	switch (kind) {
	case CREATE:
		count(kind, create_random());
		break;
	case REMOVE:
		count(kind, remove_for(uuid, below(1500)) ? -1 : 0);
		break;
	case REVOKE:
		count(kind, mdev_revoke(uuid));
		break;
	case REQUEST:
		count(kind, file_puts(mdev_path(uuid, "request").text,
				      chance(2) ? "1" : "0"));
		break;
	/*
	 * An unbind waits for a holder if the device cannot be revoked.
	 * Meanwhile it holds the driver core's lock of that device, for which
	 * others would wait. So unbind only devices that can be revoked
	 */
	case UNBIND:
	case BIND:
		uuid = &shared->uuids[below(REVOCABLE)];
		snprintf(path, sizeof(path), MDEV_DRIVER "%s",
			 kind == BIND ? "bind" : "unbind");
		count(kind, file_puts(path, uuid->text));
		break;
	case REVOKE_AFTER:
		count(kind, grace_set(1 + below(2)));
		break;
	case KILL:
		count(kind, kill(worker, SIGKILL));
		break;
	case STOP:
		count(kind, kill(worker, SIGSTOP));
		usleep(below(100000));
		kill(worker, SIGCONT);
		break;
	case UNBIND_CHANNEL:
		if (nr_channels)
			count(kind, sch_unbind(random_channel()));
		break;
	case BIND_CHANNEL:
		if (nr_channels)
			count(kind, file_puts("/sys/bus/css/drivers_probe",
					      random_channel()));
		break;
	default:
		break;
	}
	usleep(below(20000));
}

static int run_administrator(void *seed)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	state = (uintptr_t)seed;
	while (!stopping())
		administrate();
	return 0;
}

/* Creates and removes a device of another parent all the time */
static int run_watcher(void *arg)
{
	const struct parent *parent = arg;
	struct uuid uuid = uuid_new();
	__s64 start, took;
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!stopping()) {
		start = now_ms();
		ret = mdev_create(parent->name, parent->type, &uuid);
		if (!ret)
			ret = mdev_remove(&uuid);
		took = now_ms() - start;
		if (ret)
			shared->answer_error = ret;
		if (took > shared->longest_answer)
			shared->longest_answer = took;
		shared->answers++;
		usleep(50000);
	}
	return 0;
}

static pid_t start_worker(int i)
{
	struct start start = {
		.anchor = &shared->anchors[i], .seed = random64() | 1,
	};

	return child_start(run_worker, &start, post[0], post[1]);
}

static void fuzz(__s64 end)
{
	__s64 deaths[WORKERS], before, late;
	int i;

	for (i = 0; i < WORKERS; i++) {
		shared->workers[i] = start_worker(i);
		deaths[i] = now_ms() + LIFE_MS;
	}
	for (i = 0; i < ADMINISTRATORS; i++)
		shared->administrators[i] =
			child_start(run_administrator,
				    (void *)(random64() | 1), -1, -1);
	while (now_ms() < end) {
		before = now_ms();
		usleep(20000);
		late = now_ms() - before - 20;
		lateness = late > lateness ? late : lateness;
		for (i = 0; i < WORKERS; i++) {
			if (now_ms() > deaths[i])
				kill(shared->workers[i], SIGKILL);
			if (waitpid(shared->workers[i], NULL, WNOHANG) > 0) {
				shared->workers[i] = start_worker(i);
				deaths[i] = now_ms() + LIFE_MS;
			}
		}
	}
}

/* Finds a type of the parent with many instances, and whose create does not fail */
static void find_type(struct parent *parent)
{
	struct dirent *entry;
	char path[256];
	DIR *types;

	snprintf(path, sizeof(path),
		 "/sys/class/mdev_bus/%s/mdev_supported_types", parent->name);
	types = opendir(path);
	while (types && (entry = readdir(types)))
		if (entry->d_name[0] != '.' &&
		    !strstr(entry->d_name, "failing") &&
		    !strstr(entry->d_name, "limited"))
			snprintf(parent->type, sizeof(parent->type), "%.120s",
				 entry->d_name);
	if (types)
		closedir(types);
}

static void add_parent(const char *name)
{
	struct parents *parents = kernels_own ||
				  !strncmp(name, UNREVOCABLE,
					   strlen(UNREVOCABLE)) ?
				  &unrevocable : &revocable;
	struct parent *parent = &watched;

	if (strcmp(name, kernels_own ? KERNELS_WATCHED : WATCHED)) {
		if (parents->nr == (int)ARRAY_SIZE(parents->all))
			return;
		parent = &parents->all[parents->nr++];
	}
	snprintf(parent->name, sizeof(parent->name), "%.60s", name);
	find_type(parent);
}

static void find_parents(void)
{
	DIR *all = opendir("/sys/class/mdev_bus");
	struct dirent *entry;

	while (all && (entry = readdir(all)))
		if (entry->d_name[0] != '.')
			add_parent(entry->d_name);
	if (all)
		closedir(all);
}

static long setting(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? atol(text) : otherwise;
}

/* Prints where in the kernel the threads of a process are, if it does not end */
static void say_where(pid_t pid)
{
	char path[300], stack[2048], *line;
	struct dirent *entry;
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	while (threads && (entry = readdir(threads))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stack", pid,
			 entry->d_name);
		if (entry->d_name[0] == '.' ||
		    file_read(path, stack, sizeof(stack)) <= 0)
			continue;
		ksft_print_msg("thread %s:\n", entry->d_name);
		for (line = strtok(stack, "\n"); line; line = strtok(NULL, "\n"))
			ksft_print_msg("  %s\n", line);
	}
	if (threads)
		closedir(threads);
}

static bool process_ends(pid_t pid)
{
	kill(pid, SIGKILL);
	if (child_wait(pid, LAST_MS) != -ETIMEDOUT)
		return true;
	say_where(pid);
	return false;
}

/* Ends the workers first, because an administrator in an unbind may wait for a holder */
static bool processes_end(void)
{
	bool ended = true;
	int i;

	for (i = 0; i < WORKERS; i++)
		ended = process_ends(shared->workers[i]) && ended;
	/* Descriptors that are in the socket are still open */
	close(post[0]);
	close(post[1]);
	for (i = 0; i < ADMINISTRATORS; i++)
		ended = process_ends(shared->administrators[i]) && ended;
	return ended;
}

/* A writer to "remove" whose administrator was killed may still be at work */
static bool device_goes(const struct uuid *uuid)
{
	__s64 end = now_ms() + LAST_MS;

	while (mdev_exists(uuid)) {
		if (!remove_for(uuid, LAST_MS))
			return true;
		if (now_ms() > end)
			return false;
		usleep(10000);
	}
	return true;
}

static bool devices_go(void)
{
	bool gone = true;
	int i;

	for (i = 0; i < DEVICES; i++)
		gone = device_goes(&shared->uuids[i]) && gone;
	for (i = 0; i < WORKERS; i++)
		gone = device_goes(&shared->anchors[i]) && gone;
	return gone;
}

static bool kinds_succeeded(void)
{
	bool channels = getenv("FUZZ_CHANNELS");
	bool all = true;
	int i;

	for (i = 0; i < NR_KINDS; i++) {
		ksft_print_msg("%-16s %8lu calls, %8lu succeeded\n",
			       kind_names[i], shared->calls[i],
			       shared->successes[i]);
		if (shared->calls[i] > ENOUGH_CALLS && !shared->successes[i] &&
		    !may_fail[i] && (channels || !needs_channel(i)))
			all = false;
	}
	return all;
}

int main(void)
{
	__s64 end;
	pid_t watcher;
	int i;

	ksft_print_header();
	page = sysconf(_SC_PAGESIZE);
	kernels_own = setting("FUZZ_KERNELS_OWN", 0);
	programs_may_loop = setting("FUZZ_LOOPS", 0);
	if (channels_take(getenv("FUZZ_CHANNELS")))
		ksft_exit_fail_msg("a channel device is missing\n");
	find_parents();
	if ((!revocable.nr && !kernels_own) || !unrevocable.nr ||
	    !watched.type[0])
		ksft_exit_fail_msg("a parent driver is missing\n");
	ksft_set_plan(5);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, post))
		ksft_exit_fail_msg("no memory, or no socket\n");
	for (i = 0; i < DEVICES; i++)
		shared->uuids[i] = uuid_new();
	for (i = 0; i < WORKERS; i++) {
		shared->anchors[i] = uuid_new();
		if (mdev_create(watched.name, watched.type,
				&shared->anchors[i]))
			ksft_exit_fail_msg("no device for a worker\n");
	}
	state = setting("FUZZ_SEED", 1) | 1;
	end = now_ms() + setting("FUZZ_SECONDS", 30) * 1000;

	/* An unbind waits this long for holders */
	grace_set(1);
	/* Then it waits for calls of the parent. Ignore the error if mdev_relay is not loaded */
	relay_set("sleep_max_ms", 500);
	watcher = child_start(run_watcher, &watched, -1, -1);
	fuzz(end);
	ksft_test_result(processes_end(), "each_process_ends\n");
	ksft_test_result(devices_go(), "each_device_can_be_removed\n");
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELAXED);
	child_wait(watcher, LAST_MS);
	ksft_print_msg("a sleep overran by %lld ms\n", (long long)lateness);
	ksft_print_msg("another device: %lu times, at most %lld ms, error %d\n",
		       shared->answers, (long long)shared->longest_answer,
		       shared->answer_error);
	ksft_test_result(!shared->answer_error && shared->answers &&
			 shared->longest_answer < ANSWER_MS,
			 "another_device_can_be_created_at_all_times\n");
	ksft_test_result(kinds_succeeded(), "calls_of_each_kind_succeed\n");
	ksft_test_result(channels_give_back(), "each_channel_device_goes_back\n");
	relay_set("sleep_max_ms", RELAY_SLEEP_MAX_MS);
	grace_set(GRACE_DEFAULT);
	ksft_finished();
}
