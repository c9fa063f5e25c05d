// SPDX-License-Identifier: GPL-2.0
/*
 * Runs one test program in the guest, and reports what it left behind.
 *
 *   supervise NAME PROGRAM [ARGUMENT...]   run a test's program, then look for leaks
 *   supervise --log                        pass on the kernel's log since the last call
 *   host COMMAND [KEY=VALUE...]            pass a command to the host (this program by that name)
 *
 * File descriptor 3 is the channel to the host. Lines of the program are sent behind a "|", so that
 * they differ from ours, which start with "@". A line from the host is the name of a test whose
 * time limit is over, or "host" and the answer to our line "@host COMMAND".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervise.h"

void die(const char *what)
{
	dprintf(CHANNEL, "@problem supervise: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Passes on the program's output; returns false at its end. */
static bool pass_output(int from, bool *at_line_start)
{
	char in[4096], out[2 * sizeof(in)];
	ssize_t got = read(from, in, sizeof(in));
	size_t len = 0;

	if (got <= 0)
		return false;
	for (ssize_t i = 0; i < got; i++) {
		if (*at_line_start)
			out[len++] = '|';
		out[len++] = in[i];
		*at_line_start = in[i] == '\n';
	}
	for (size_t done = 0; done < len;) {
		ssize_t wrote = write(CHANNEL, out + done, len - done);

		if (wrote < 0)
			die("channel");
		done += wrote;
	}
	return true;
}

/*
 * Returns whether the host has named this test. A line with an earlier test's name came too late.
 * Answers of the host go to the client.
 */
static bool told_to_stop(const char *name, int client)
{
	static char said[LINE_LIMIT];
	static size_t len;
	char *line, *end;
	ssize_t got = read(CHANNEL, said + len, sizeof(said) - 1 - len);

	if (got <= 0)
		die("channel");
	len += got;
	said[len] = 0;
	for (line = said; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		if (!strcmp(line, name))
			return true;
		if (!strncmp(line, "host ", 5) && client >= 0)
			send(client, line + 5, strlen(line + 5), MSG_NOSIGNAL);
	}
	len = strlen(line);
	memmove(said, line, len);
	return false;
}

/* Returns true when the program has ended, false when its time is over. */
static bool watch(const char *name, pid_t pid, int output, int listener)
{
	struct pollfd fds[] = {
		{ .fd = output, .events = POLLIN },
		{ .fd = CHANNEL, .events = POLLIN },
		{ .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN },
		{ .fd = listener, .events = POLLIN },
	};
	struct pollfd *host = &fds[3];
	bool at_line_start = true;
	bool in_time = true;
	int client = -1;

	/* Wait for the end of the program, not of its output: a child may hold the pipe. */
	while (!fds[2].revents && in_time) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			die("poll");
		if (fds[0].revents && !pass_output(output, &at_line_start))
			fds[0].fd = -1;
		in_time = !fds[1].revents || !told_to_stop(name, client);
		/* Serve one client at a time: an answer does not say whose it is. */
		if (host->revents && client < 0) {
			client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		} else if (host->revents && !pass_command(client)) {
			close(client);
			client = -1;
		}
		host->fd = client < 0 ? listener : client;
	}
	if (client >= 0)
		close(client);
	fcntl(output, F_SETFL, O_NONBLOCK);
	while (pass_output(output, &at_line_start))
		;
	if (!at_line_start)
		dprintf(CHANNEL, "\n");
	close(fds[2].fd);
	return in_time;
}

static int run(const char *name, char **argv)
{
	struct snapshot before = take_snapshot();
	int listener = listen_for_host();
	int output[2], status;
	bool in_time;
	pid_t pid;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) || pipe2(output, O_CLOEXEC))
		die("set-up");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		close(CHANNEL);
		setsid();
		dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
		dup2(output[1], STDOUT_FILENO);
		dup2(output[1], STDERR_FILENO);
		execv(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(output[1]);
	in_time = watch(name, pid, output[0], listener);
	close(listener);
	if (!in_time) {
		dprintf(CHANNEL, "@limit\n");
		end_child(pid, &status);
	} else if (waitpid(pid, &status, 0) != pid) {
		die("waitpid");
	} else if (WIFSIGNALED(status)) {
		dprintf(CHANNEL, "@exit signal %d (%s)\n", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	} else {
		dprintf(CHANNEL, "@exit %d\n", WEXITSTATUS(status));
	}
	end_leftovers(!in_time);
	look_for_leaks(&before);
	return 0;
}

int main(int argc, char **argv)
{
	if (!strcmp(basename(argv[0]), "host"))
		return ask_host(argv + 1);
	if (argc == 2 && !strcmp(argv[1], "--log"))
		return pass_log();
	if (argc < 3)
		return 1;
	return run(argv[1], argv + 2);
}
