/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes calls of a device in threads of their own, because a call may get
 * stuck. Also reads what mdev_relay reports about its devices.
 */
#ifndef SELFTESTS_MDEV_CALL_H
#define SELFTESTS_MDEV_CALL_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib.h"
#include "mdev_relay.h"

struct call {
	/* The function and its arguments */
	long (*run)(struct call *call);
	const struct vfio_user *user;
	void *data;
	size_t len;
	__u64 at;
	/* The result, or a negative errno */
	long ret;
	int done;
	pid_t tid;
	pthread_t thread;
};

static inline long call_errno(long ret)
{
	return ret < 0 ? -errno : ret;
}

static inline long call_read(struct call *call)
{
	return call_errno(pread(call->user->device, call->data, call->len,
				call->at));
}

static inline long call_write(struct call *call)
{
	return call_errno(pwrite(call->user->device, call->data, call->len,
				 call->at));
}

/* The argument is in memory at @data; it is not filled in here */
static inline long call_info(struct call *call)
{
	return vfio_ioctl(call->user->device, VFIO_DEVICE_GET_INFO, call->data);
}

static inline long call_set_irqs(struct call *call)
{
	return vfio_ioctl(call->user->device, VFIO_DEVICE_SET_IRQS, call->data);
}

static inline int relay_pin(int device, __u32 action, __u64 iova, __u32 npage)
{
	struct mdev_relay_pin arg = {
		.iova = iova,
		.npage = npage,
		.action = action,
	};
	ssize_t ret = pwrite(device, &arg, sizeof(arg),
			     (off_t)MDEV_RELAY_PIN_REGION <<
			     MDEV_RELAY_INDEX_SHIFT);

	return ret < 0 ? -errno : 0;
}

/*
 * Waits for a notice of the page at @iova: it cannot be pinned any more. It
 * stays pinned as often as it was.
 */
static inline int relay_wait_for_notice(int device, __u64 iova, int timeout_ms)
{
	__s64 end = watch_ms() + timeout_ms;
	int ret;

	while (!(ret = relay_pin(device, MDEV_RELAY_PIN, iova, 1))) {
		/* It may come in between, and take the pin */
		ret = relay_pin(device, MDEV_RELAY_UNPIN, iova, 1);
		if (ret)
			return ret == -ENOENT ? 0 : ret;
		if (watch_ms() > end)
			return -ETIMEDOUT;
		/* Leave VFIO's lock to the thread that unmaps */
		usleep(5000);
	}
	return ret == -EINVAL ? 0 : ret;
}

/* Pins @len pages at the IOVA @at */
static inline long call_pin(struct call *call)
{
	return relay_pin(call->user->device, MDEV_RELAY_PIN, call->at,
			 call->len);
}

/* Sleeps @len milliseconds in the parent driver */
static inline long call_sleep(struct call *call)
{
	__u32 ms = call->len;

	return call_errno(pwrite(call->user->device, &ms, sizeof(ms),
				 (off_t)MDEV_RELAY_SLEEP_REGION <<
				 MDEV_RELAY_INDEX_SHIFT));
}

/* Unmaps @len bytes at the IOVA @at */
static inline long call_unmap(struct call *call)
{
	return vfio_unmap(call->user, call->at, call->len);
}

static inline void *call_thread(void *arg)
{
	struct call *call = arg;
	__u64 one = 1;

	__atomic_store_n(&call->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	call->ret = call->run(call);
	if (write(call->done, &one, sizeof(one)) != sizeof(one))
		perror("eventfd");
	return NULL;
}

static inline int call_start(struct call *call, const struct call *what)
{
	*call = *what;
	call->done = eventfd_new();
	if (call->done < 0)
		return call->done;
	return -pthread_create(&call->thread, NULL, call_thread, call);
}

/* Returns the result, or -ETIMEDOUT if the call has not returned. It goes on then */
static inline long call_end(struct call *call, int timeout_ms)
{
	if (!eventfd_wait(call->done, timeout_ms))
		return -ETIMEDOUT;
	pthread_join(call->thread, NULL);
	close(call->done);
	call->done = -1;
	return call->ret;
}

/* Is the call's thread in this state in /proc? */
static inline bool call_is_in(const struct call *call, char wanted,
			      int timeout_ms)
{
	__s64 left = timeout_ms;
	char path[64], text[512];
	char *state;
	pid_t tid;

	while (wait_moment(&left)) {
		tid = __atomic_load_n(&call->tid, __ATOMIC_ACQUIRE);
		if (!tid)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
		if (file_read(path, text, sizeof(text)) < 0)
			continue;
		state = strrchr(text, ')');
		if (state && state[2] == wanted)
			return true;
	}
	return false;
}

/* Does the thread wait for a lock of the kernel, which no signal can interrupt? */
static inline bool call_is_stuck(const struct call *call, int timeout_ms)
{
	return call_is_in(call, 'D', timeout_ms);
}

/* Is the thread in a wait that a signal can interrupt? */
static inline bool call_sleeps(const struct call *call, int timeout_ms)
{
	return call_is_in(call, 'S', timeout_ms);
}

/* Returns one of mdev_relay's counters, over all its devices */
static inline long relay_counter(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path),
		 "/sys/bus/platform/drivers/mdev_relay/%s", name);
	return file_number(path);
}

/* Waits for a counter: a change may need a grace period, or the end of a call */
static inline bool relay_counter_becomes(const char *name, long value)
{
	return soon(relay_counter(name) == value);
}

/* Returns the number of pages that one device has pinned */
static inline long relay_pinned(const struct uuid *uuid)
{
	return mdev_number(uuid, "relay/pinned");
}

/* References to mdev.ko are dropped some time after the last close */
static inline bool mdev_users_become(long users)
{
	return soon(module_users("mdev") == users);
}

/* The default limit of a sleep in mdev_relay */
#define RELAY_SLEEP_MAX_MS	12000

static inline int relay_set(const char *parameter, unsigned int value)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), "/sys/module/mdev_relay/parameters/%s",
		 parameter);
	snprintf(text, sizeof(text), "%u", value);
	return file_puts(path, text);
}

/* Maps a page of a device. Children do not inherit it, so they do not hold the device */
static inline unsigned char *relay_map(int device, int region)
{
	size_t page = sysconf(_SC_PAGESIZE);
	unsigned char *memory = mmap(NULL, page, PROT_READ | PROT_WRITE,
				     MAP_SHARED, device,
				     (off_t)region << MDEV_RELAY_INDEX_SHIFT);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, page, MADV_DONTFORK);
	return memory;
}

static inline bool pages_pinned_become(long value)
{
	return soon(pages_pinned() == value);
}

#endif /* SELFTESTS_MDEV_CALL_H */
