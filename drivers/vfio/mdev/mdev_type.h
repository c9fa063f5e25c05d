/* SPDX-License-Identifier: GPL-2.0-only */
/* The types of a parent, and the links between them and their devices */
#ifndef _MDEV_TYPE_H
#define _MDEV_TYPE_H

struct attribute;
struct mdev_device;
struct mdev_parent;

int mdev_types_add(struct mdev_parent *parent, const struct attribute *create);
void mdev_types_remove(struct mdev_parent *parent);
int mdev_links_add(struct mdev_device *mdev);
void mdev_links_remove(struct mdev_device *mdev);

#endif /* _MDEV_TYPE_H */
