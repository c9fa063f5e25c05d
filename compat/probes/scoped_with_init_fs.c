// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fs.h>
#include <linux/fs_struct.h>

struct file *probe(void);
struct file *probe(void)
{
	struct file *file = NULL;

	scoped_with_init_fs()
		file = filp_open("/", O_RDONLY, 0);
	return file;
}
