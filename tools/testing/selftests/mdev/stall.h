/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes VFIO wait: a call copies to missing memory, and holds the lock of a
 * container's type 1 IOMMU meanwhile. Also sends descriptors to a socket, so
 * that no process has them.
 */
#ifndef SELFTESTS_MDEV_STALL_H
#define SELFTESTS_MDEV_STALL_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call.h"

struct stall {
	struct missing bitmap;
	struct call call;
	bool held;
};

#define STALL_NONE	{ .bitmap = MISSING_NONE }

/* Makes a GET_BITMAP of @len bytes at the IOVA @at, into @data */
static inline long call_get_bitmap(struct call *call)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap bitmap;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} arg = {
		.bitmap.argsz = sizeof(arg),
		.bitmap.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
		.get.iova = call->at,
		.get.size = call->len,
		.get.bitmap.pgsize = sysconf(_SC_PAGESIZE),
		.get.bitmap.size = 8,
		.get.bitmap.data = call->data,
	};

	return vfio_ioctl(call->user->container, VFIO_IOMMU_DIRTY_PAGES, &arg);
}

static inline int stall_track_writes(const struct vfio_user *user)
{
	struct vfio_iommu_type1_dirty_bitmap arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
	};

	return vfio_ioctl(user->container, VFIO_IOMMU_DIRTY_PAGES, &arg);
}

/*
 * Until stall_end(), a thread holds the lock of @user's container, in which
 * @size bytes are mapped at @iova: up to 64 pages.
 */
static inline int stall_begin(struct stall *stall, const struct vfio_user *user,
			      __u64 iova, size_t size)
{
	int ret = stall_track_writes(user);

	if (!ret)
		ret = missing_new(&stall->bitmap, sysconf(_SC_PAGESIZE));
	if (ret)
		return ret;
	ret = call_start(&stall->call, &(struct call){
		.run = call_get_bitmap, .user = user,
		.data = stall->bitmap.memory, .at = iova, .len = size,
	});
	if (ret) {
		missing_free(&stall->bitmap);
		return ret;
	}
	stall->held = true;
	return missing_wait(&stall->bitmap, SOON_MS) ? 0 : -ETIMEDOUT;
}

/* Ends the stall. Returns whether the lock is free */
static inline bool stall_end(struct stall *stall)
{
	if (!stall->held)
		return true;
	stall->held = false;
	missing_free(&stall->bitmap);
	return call_end(&stall->call, SOON_MS) != -ETIMEDOUT;
}

/* Sends a copy of the descriptor @fd to @socket */
static inline int fd_send(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = {}, byte = 0;
	struct iovec data = { .iov_base = &byte, .iov_len = sizeof(byte) };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0) < 0 ? -errno : 0;
}

/* Receives the next descriptor from @socket */
static inline int fd_receive(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec data = { .iov_base = &byte, .iov_len = sizeof(byte) };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int fd;

	if (recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -errno;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -ENOMSG;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

#endif /* SELFTESTS_MDEV_STALL_H */
