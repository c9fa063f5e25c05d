/* SPDX-License-Identifier: GPL-2.0-only */
/* Revocation, the time that holders have before it, and the way out of VFIO */
#ifndef _MDEV_REVOKE_H
#define _MDEV_REVOKE_H

#include <linux/types.h>

struct mdev_device;
struct mdev_vfio;

u64 mdev_grace(void);
long mdev_grace_left(u64 since);
int mdev_grace_changes(void);
int mdev_owner_get(struct mdev_vfio *vmdev);
void mdev_owner_put(struct mdev_vfio *vmdev);
int mdev_revoke(struct mdev_device *mdev, bool claim);
int mdev_claim_released(struct mdev_device *mdev);
void mdev_wait_for_release(struct mdev_device *mdev);
void mdev_wait_for_group(struct mdev_device *mdev);
void mdev_detach(struct mdev_vfio *vmdev);
int mdev_revoke_init_module(void);
void mdev_revoke_exit_module(void);

#endif /* _MDEV_REVOKE_H */
