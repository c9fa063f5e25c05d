// SPDX-License-Identifier: GPL-2.0-only
/* Eventfds, and the end of their contexts. See lib.h. */
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

/* Returns the number of signals since the last call */
__u64 eventfd_take(int fd)
{
	__u64 count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/*
 * Returns the id of the next eventfd context, or -ENOENT if the kernel does not
 * show ids. The id is the lowest free one, so a leaked context raises it.
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
 * Returns whether the ids of freed contexts are free again, which may take a
 * grace period. The next id may even be below @id: RCU may not have freed older
 * contexts when @id was read.
 */
bool eventfd_ids_back_to(int id)
{
	return soon(eventfd_next_id() <= id);
}
