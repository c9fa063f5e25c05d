// SPDX-License-Identifier: GPL-2.0-only
/* Modules. See lib.h. */
#include <fcntl.h>

#include <sys/syscall.h>

#include "lib.h"
#include "private.h"

int module_load(const char *name)
{
	return module_load_with(name, "");
}

int module_load_with(const char *name, const char *parameters)
{
	int fd = open(path_format("/modules/%s.ko", name).text,
		      O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;
	close(fd);
	return err;
}

/* Unloads a module like rmmod */
int module_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

long module_users(const char *name)
{
	return file_number(path_format("/sys/module/%s/refcnt", name).text);
}
