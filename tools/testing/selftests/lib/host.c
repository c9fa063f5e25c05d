// SPDX-License-Identifier: GPL-2.0-only
/* Commands to the host. See lib.h. */
#include <stdio.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "lib.h"

int host_ask(const char *command, char *answer, size_t size)
{
	struct sockaddr_un address = {
		.sun_family = AF_UNIX,
		.sun_path = "/run/host",
	};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char text[4096] = "";
	int err = -EIO;

	if (connect(fd, (void *)&address, sizeof(address)))
		err = -ENOENT;
	else if (send(fd, command, strlen(command), 0) > 0 &&
		 recv(fd, text, sizeof(text) - 1, 0) > 0 &&
		 !strncmp(text, "ok", 2))
		err = 0;
	close(fd);
	if (answer)
		snprintf(answer, size, "%s",
			 text + strcspn(text, " ") + !!strchr(text, ' '));
	return err;
}
