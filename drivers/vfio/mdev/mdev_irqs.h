/* SPDX-License-Identifier: GPL-2.0-only */
/* The argument of VFIO_DEVICE_SET_IRQS */
#ifndef _MDEV_IRQS_H
#define _MDEV_IRQS_H

#include <linux/compiler_types.h>
#include <linux/types.h>

bool mdev_irqs_are_taken_away(const void __user *arg);

#endif /* _MDEV_IRQS_H */
