// SPDX-License-Identifier: GPL-2.0-only
/* Files, mostly of sysfs. See lib.h. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "lib.h"
#include "private.h"

struct path path_format(const char *format, ...)
{
	struct path path;
	va_list args;

	va_start(args, format);
	vsnprintf(path.text, sizeof(path.text), format, args);
	va_end(args);
	return path;
}

/* Makes one write(2), like an administrator's echo */
int file_write(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret;
	int err;

	if (fd < 0)
		return -errno;
	ret = write(fd, data, len);
	err = ret < 0 ? -errno : 0;
	if (ret >= 0 && (size_t)ret != len)
		err = -EIO;
	close(fd);
	return err;
}

int file_puts(const char *path, const char *text)
{
	return file_write(path, text, strlen(text));
}

/* Reads a short file as text, without its last newline */
ssize_t file_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;
	int err;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	err = errno;
	close(fd);
	if (len < 0)
		return -err;
	if (len > 0 && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	return len;
}

long file_number(const char *path)
{
	char text[64];
	ssize_t len = file_read(path, text, sizeof(text));
	char *end;
	long number;

	if (len < 0)
		return len;
	number = strtol(text, &end, 10);
	return len == 0 || *end ? -EINVAL : number;
}

int file_mode(const char *path)
{
	struct stat status;

	if (stat(path, &status))
		return -errno;
	return status.st_mode & 07777;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

int grace_set(unsigned int seconds)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", seconds);
	return file_puts(GRACE_FILE, text);
}

/* Gets the last component of a link's target */
int file_link_name(const char *path, char *name, size_t size)
{
	char target[512];
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	char *last;

	if (len < 0)
		return -errno;
	target[len] = '\0';
	last = strrchr(target, '/');
	snprintf(name, size, "%s", last ? last + 1 : target);
	return 0;
}
