// SPDX-License-Identifier: GPL-2.0-only
/* A process that holds a device and obeys orders. See lib.h. */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib.h"
#include "private.h"

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
	/* The holder must end with its test */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = vfio_open(&user, &life->uuid);
	while (send(life->socket, &ret, sizeof(ret), MSG_NOSIGNAL) > 0 &&
	       recv(life->socket, &order, sizeof(order), 0) == sizeof(order))
		ret = holder_obey(&user, life, order);
	return 0;
}

static int holder_answer(struct holder *holder)
{
	__s64 left = SOON_MS;
	int ret;

	if (!wait_input(holder->socket, &left))
		return -ETIMEDOUT;
	if (recv(holder->socket, &ret, sizeof(ret), 0) != sizeof(ret))
		return -EPIPE;
	return ret;
}

/* Returns when the holder has tried to open the device, with the result */
int holder_start(struct holder *holder, const struct uuid *uuid)
{
	struct holder_life life = { .uuid = *uuid };
	int sockets[2];

	/* The test reaps the children that a holder leaves behind */
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

/* Kills the holder like kill -9. The device is closed when this returns */
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
