// SPDX-License-Identifier: GPL-2.0
/* Passes the kernel's log on to the host. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervise.h"

#define LOG_POSITION	"/run/log-position"

/* A record is "level,sequence,time,flags;text", then lines of details that start with a blank. */
int pass_log(void)
{
	unsigned long long sequence, usec, next = 0;
	char record[8192];
	FILE *position;
	ssize_t len;
	int fd;

	position = fopen(LOG_POSITION, "r");
	if (position) {
		if (fscanf(position, "%llu", &next) != 1)
			die(LOG_POSITION);
		fclose(position);
	}
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		die("/dev/kmsg");
	while ((len = read(fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		char *text;

		/* Records were overwritten. The next read returns the oldest that remains. */
		if (len < 0)
			continue;
		record[len] = 0;
		text = strchr(record, ';');
		if (!text || sscanf(record, "%*[^,],%llu,%llu", &sequence, &usec) != 2)
			continue;
		if (sequence < next)
			continue;
		if (next && sequence > next)
			dprintf(CHANNEL, "@problem %llu lines of the kernel log are lost\n",
				sequence - next);
		next = sequence + 1;
		dprintf(CHANNEL, "@log [%5llu.%06llu] %.*s\n", usec / 1000000, usec % 1000000,
			(int)strcspn(text + 1, "\n"), text + 1);
	}
	close(fd);
	position = fopen(LOG_POSITION, "w");
	if (!position || fprintf(position, "%llu", next) < 0 || fclose(position))
		die(LOG_POSITION);
	return 0;
}
