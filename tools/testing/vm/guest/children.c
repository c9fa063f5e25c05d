// SPDX-License-Identifier: GPL-2.0
/* Ends the processes of a test. */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise.h"

/* How long a killed process may take to end, before it counts as stuck in the kernel. */
#define KILL_LIMIT_MS	5000

/* Reports the kernel stack of a process that was killed and does not end. */
static void report_stuck(pid_t pid)
{
	char path[64], line[256];
	FILE *file;

	dprintf(CHANNEL, "@problem process %d does not end although it was killed\n", pid);
	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		dprintf(CHANNEL, "@note %s", line);
	if (file)
		fclose(file);
}

/* Kills a child; returns whether it ended. */
bool end_child(pid_t pid, int *status)
{
	struct pollfd fd = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	bool gone;

	kill(pid, SIGKILL);
	gone = poll(&fd, 1, KILL_LIMIT_MS) > 0;
	close(fd.fd);
	if (gone)
		waitpid(pid, status, 0);
	else
		report_stuck(pid);
	return gone;
}

/* Kills processes that the test has left running. We are its reaper, so these are our children. */
void end_leftovers(bool over_limit)
{
	char path[64], command[128];
	pid_t pid;

	while (!waitpid(-1, NULL, WNOHANG)) {
		FILE *file = fopen("/proc/thread-self/children", "r");
		bool found = file && fscanf(file, "%d", &pid) == 1;

		if (file)
			fclose(file);
		if (!found)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		file = fopen(path, "r");
		if (!file || fscanf(file, "%127[^\n]", command) != 1)
			snprintf(command, sizeof(command), "?");
		if (file)
			fclose(file);
		if (!over_limit)
			dprintf(CHANNEL, "@leak process %d (%s) was left running\n", pid, command);
		if (!end_child(pid, NULL))
			return;
	}
}
