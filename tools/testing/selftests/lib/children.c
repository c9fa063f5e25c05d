// SPDX-License-Identifier: GPL-2.0-only
/* Child processes, also those that remove, revoke and unbind. See lib.h. */
#define _GNU_SOURCE
#include <string.h>

#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib.h"
#include "private.h"

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

/* Returns the exit status, 128 plus the signal, or -ETIMEDOUT if it runs */
int child_wait(pid_t pid, int timeout_ms)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);
	__s64 left = timeout_ms;
	int status;
	bool over;

	if (fd < 0)
		return -errno;
	over = wait_input(fd, &left);
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

/* For the test parents: "mdev_relay.0" is bound to the driver "mdev_relay" */
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

/* Unbinds the mdev from its driver. The parent keeps its driver */
pid_t driver_unbinder_start(const struct uuid *uuid)
{
	return child_start(run_driver_unbinder, (void *)uuid, -1, -1);
}

int parent_bind(const char *parent)
{
	return file_puts(parent_driver(parent, "bind").text, parent);
}
