// SPDX-License-Identifier: GPL-2.0-only
/* Eventfds, and whether their contexts are gone. See lib.h. */
#include <stdlib.h>
#include <string.h>

#include <sys/eventfd.h>

#include "lib.h"
#include "private.h"

int eventfd_new(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

bool eventfd_wait(int fd, int timeout_ms)
{
	__s64 left = timeout_ms;

	return wait_input(fd, &left);
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
