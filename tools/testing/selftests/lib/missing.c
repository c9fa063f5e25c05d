// SPDX-License-Identifier: GPL-2.0-only
/* Memory that is not present until a test provides it. See lib.h. */
#include <fcntl.h>

#include <linux/userfaultfd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "lib.h"
#include "private.h"

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

/* Waits until a thread accesses the memory */
bool missing_wait(struct missing *missing, int timeout_ms)
{
	__s64 left = timeout_ms;
	struct uffd_msg message;

	return wait_input(missing->fd, &left) &&
	       read(missing->fd, &message, sizeof(message)) ==
		       sizeof(message) &&
	       message.event == UFFD_EVENT_PAGEFAULT;
}

/* Provides the first @size bytes as zeros. Threads that wait for it go on */
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

/* Unregisters the memory. Threads that still wait for it go on */
void missing_free(struct missing *missing)
{
	if (missing->fd >= 0)
		close(missing->fd);
	if (missing->memory)
		munmap(missing->memory, missing->size);
	missing->fd = -1;
	missing->memory = NULL;
}
