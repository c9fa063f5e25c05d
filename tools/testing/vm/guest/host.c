// SPDX-License-Identifier: GPL-2.0
/* Passes commands from a test's processes to the host. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervise.h"

/* The socket for commands to the host. A packet has a command, the next packet has its answer. */
static const struct sockaddr_un host_address = { .sun_family = AF_UNIX, .sun_path = "/run/host" };

int listen_for_host(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	unlink(host_address.sun_path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&host_address, sizeof(host_address)) ||
	    listen(fd, 8))
		die(host_address.sun_path);
	return fd;
}

/* Returns false if the client has closed the socket. */
bool pass_command(int client)
{
	char command[LINE_LIMIT];
	ssize_t got = recv(client, command, sizeof(command), 0);

	if (got <= 0)
		return false;
	dprintf(CHANNEL, "@host %.*s\n", (int)got, command);
	return true;
}

int ask_host(char **words)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	char line[LINE_LIMIT];
	ssize_t got;
	size_t len = 0;

	for (; *words && len < sizeof(line); words++)
		len += snprintf(line + len, sizeof(line) - len, "%s%s", len ? " " : "", *words);
	if (connect(fd, (const struct sockaddr *)&host_address, sizeof(host_address)) ||
	    send(fd, line, strlen(line), 0) < 0) {
		perror(host_address.sun_path);
		return 1;
	}
	got = recv(fd, line, sizeof(line), 0);
	if (got <= 0)
		return 1;
	printf("%.*s\n", (int)got, line);
	return strncmp(line, "ok", 2) ? 1 : 0;
}
