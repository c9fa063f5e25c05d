/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface of the kernel's own mdev, in the kernel's own words. Ours has a
 * header of the same name, and comes first: this is the next one.
 */
#include_next <linux/mdev.h>
