/* SPDX-License-Identifier: GPL-2.0-only */
/* The VFIO group of a device, which its holder opens first and closes last */
#ifndef _MDEV_GROUP_H
#define _MDEV_GROUP_H

struct device;
struct file;

int mdev_group_id(struct device *dev);
struct file *mdev_group_try(int id);
struct file *mdev_group_take(int id, const struct device *dev);
void mdev_group_put(struct file *file);
void mdev_group_released(int id);
struct file *mdev_group_leave(int id);
void mdev_group_left(struct file *file);
int mdev_group_init_module(void);
void mdev_group_exit_module(void);

#endif /* _MDEV_GROUP_H */
