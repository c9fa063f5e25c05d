/* SPDX-License-Identifier: GPL-2.0-only */
/* The bus and the class of parents, which exist as long as mdev.ko is loaded */
#ifndef _MDEV_MAIN_H
#define _MDEV_MAIN_H

int mdev_bus_init(void);
void mdev_bus_exit(void);
int mdev_parent_init(void);
void mdev_parent_exit(void);

#endif /* _MDEV_MAIN_H */
