// SPDX-License-Identifier: GPL-2.0-only
/* Mediated devices and their parents. See lib.h. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "lib.h"
#include "private.h"

#define MDEV_DEVICES	"/sys/bus/mdev/devices"
#define MDEV_PARENTS	"/sys/class/mdev_bus"

/* Returns a UUID that no other test, process or run has used */
struct uuid uuid_new(void)
{
	static __u32 count;
	struct uuid uuid;
	__u64 random;

	if (getentropy(&random, sizeof(random)))
		random = now_ms() * 1000003;
	snprintf(uuid.text, sizeof(uuid.text), "%08x-%04x-4%03x-8%03x-%012llx",
		 (__u32)getpid(), __atomic_fetch_add(&count, 1,
							__ATOMIC_RELAXED) & 0xffff,
		 (__u32)(random & 0xfff), (__u32)(random >> 12 & 0xfff),
		 (unsigned long long)(random >> 24 & 0xffffffffffULL));
	return uuid;
}

struct path mdev_path(const struct uuid *uuid, const char *attr)
{
	return path_format(MDEV_DEVICES "/%s/%s", uuid->text, attr);
}

struct path parent_path(const char *parent, const char *file)
{
	return path_format(MDEV_PARENTS "/%s/%s", parent, file);
}

struct path type_path(const char *parent, const char *type, const char *attr)
{
	return path_format(MDEV_PARENTS "/%s/mdev_supported_types/%s/%s",
			   parent, type, attr);
}

bool parent_exists(const char *parent)
{
	return file_exists(parent_path(parent, "mdev_supported_types").text);
}

int mdev_create(const char *parent, const char *type, const struct uuid *uuid)
{
	return file_puts(type_path(parent, type, "create").text, uuid->text);
}

int mdev_remove(const struct uuid *uuid)
{
	return file_puts(mdev_path(uuid, "remove").text, "1");
}

int mdev_revoke(const struct uuid *uuid)
{
	return file_puts(mdev_path(uuid, "revoke").text, "1");
}

bool mdev_exists(const struct uuid *uuid)
{
	return file_exists(mdev_path(uuid, "").text);
}

long mdev_number(const struct uuid *uuid, const char *attr)
{
	return file_number(mdev_path(uuid, attr).text);
}

long instances(const char *parent, const char *type)
{
	return file_number(type_path(parent, type, "available_instances").text);
}

/* Is the mdev.ko that created the device the kernel's own, not ours? */
bool mdev_is_kernels_own(const struct uuid *uuid)
{
	return !file_exists(mdev_path(uuid, "holder").text);
}

/* Is the device's driver one of the kernel's own interface, on either mdev.ko? */
bool driver_is_kernels_own(const struct uuid *uuid)
{
	char name[64];

	return file_link_name(mdev_path(uuid, "driver").text, name,
			      sizeof(name)) || strcmp(name, "vfio_mdev");
}

/* Returns the number of mediated devices, over all parents */
int mdev_count(void)
{
	DIR *dir = opendir(MDEV_DEVICES);
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}
