// SPDX-License-Identifier: GPL-2.0-only
#include <linux/device.h>

int probe(struct class_compat *cls, struct device *dev);
int probe(struct class_compat *cls, struct device *dev)
{
	class_compat_remove_link(cls, dev);
	return class_compat_create_link(cls, dev);
}
