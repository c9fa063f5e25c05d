/* SPDX-License-Identifier: GPL-2.0-only */
/* The framework's functions for all triggers of a device */
#ifndef _MDEV_TRIGGERS_H
#define _MDEV_TRIGGERS_H

#include <linux/mdev_trigger.h>

void mdev_triggers_drop(struct mdev_device *mdev);
void mdev_triggers_revoke(struct mdev_device *mdev);
int mdev_trigger_set(struct mdev_trigger *trigger, int fd);
void mdev_trigger_clear(struct mdev_trigger *trigger);

#endif /* _MDEV_TRIGGERS_H */
