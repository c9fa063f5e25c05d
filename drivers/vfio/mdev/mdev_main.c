// SPDX-License-Identifier: GPL-2.0-only
/* mdev.ko: how it is loaded and unloaded */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/rcupdate.h>

#include "mdev_device.h"
#include "mdev_dma.h"
#include "mdev_group.h"
#include "mdev_main.h"
#include "mdev_revoke.h"
#include "mdev_shell.h"
#include "mdev_vfio.h"
#include "mdev_watch.h"

/*
 * Two frameworks can't share the bus. The module loader keeps out a second
 * module of this name or with these symbols. This finds any other module.
 */
static bool mdev_bus_is_taken(void)
{
	struct path path;

	if (kern_path("/sys/bus/mdev", 0, &path))
		return false;
	path_put(&path);
	return true;
}

/* In this order, and undone in the reverse one */
static const struct {
	int (*init)(void);
	void (*exit)(void);
} mdev_parts[] = {
	{ mdev_group_init_module, mdev_group_exit_module },
	{ mdev_watch_init_module, mdev_watch_exit_module },
	{ mdev_dma_init_module, mdev_dma_exit_module },
	{ mdev_shell_init_module, mdev_shell_exit_module },
	{ mdev_revoke_init_module, mdev_revoke_exit_module },
	{ mdev_device_init, mdev_device_exit },
	{ mdev_bus_init, mdev_bus_exit },
	{ mdev_parent_init, mdev_parent_exit },
};

static void mdev_parts_exit(unsigned int n)
{
	while (n--)
		mdev_parts[n].exit();
}

static int __init mdev_init(void)
{
	unsigned int n;
	int ret;

	if (mdev_bus_is_taken()) {
		pr_err("cannot load: another module, such as the kernel's own mdev.ko, has the bus \"mdev\"; unload that module first\n");
		return -EEXIST;
	}

	for (n = 0; n < ARRAY_SIZE(mdev_parts); n++) {
		ret = mdev_parts[n].init();
		if (ret)
			goto exit_parts;
	}
	ret = mdev_register_driver(&mdev_vfio_driver, THIS_MODULE);
	if (ret)
		goto exit_parts;
	return 0;

exit_parts:
	mdev_parts_exit(n);
	return ret;
}

/* The parents' modules use this one: by now they and their mdevs are gone */
static void __exit mdev_exit(void)
{
	mdev_unregister_driver(&mdev_vfio_driver);
	mdev_parts_exit(ARRAY_SIZE(mdev_parts));
	/* Code of this module frees what was dropped last, as eventfds */
	rcu_barrier();
	/* The last write to "remove" may still return through it: see there */
	synchronize_rcu_tasks();
}

module_init(mdev_init)
module_exit(mdev_exit)

MODULE_DESCRIPTION("Mediated devices whose holders can be asked to release them");
MODULE_LICENSE("GPL");
MODULE_VERSION(MDEV_VERSION);
MODULE_ALIAS("vfio_mdev");
