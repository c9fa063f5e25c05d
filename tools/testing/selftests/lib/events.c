// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's log, and uevents. See lib.h. */
#include <fcntl.h>
#include <string.h>

#include <linux/netlink.h>
#include <sys/socket.h>

#include "lib.h"
#include "private.h"

int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_END);
	return fd;
}

/*
 * Reads lines until one has all three texts (NULL matches any). With a timeout
 * of 0, only looks at lines that have come already.
 */
bool kmsg_wait(int fd, int timeout_ms, const char *first, const char *second,
	       const char *third)
{
	__s64 left = timeout_ms;
	char line[8192];

	for (;;) {
		ssize_t len = read(fd, line, sizeof(line) - 1);

		if (len < 0) {
			/* Lines were overwritten before this read: go on */
			if (errno == EPIPE || errno == EINTR)
				continue;
			if (errno != EAGAIN || !wait_input(fd, &left))
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

/* Returns the number of lines so far that have both texts */
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
 * Reads until an event has that action, a device path with @path in it, and
 * that variable (NULL matches any).
 */
bool uevent_wait(int fd, int timeout_ms, const char *action, const char *path,
		 const char *variable)
{
	__s64 left = timeout_ms;
	char message[8192];

	for (;;) {
		ssize_t len = recv(fd, message, sizeof(message) - 1, 0);

		if (len < 0) {
			if (errno == ENOBUFS || errno == EINTR)
				continue;
			if (errno != EAGAIN || !wait_input(fd, &left))
				return false;
			continue;
		}
		message[len] = '\0';
		if (uevent_matches(message, len, action, path, variable))
			return true;
	}
}
