/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's log lines about mediated devices and their holders. */
#ifndef SELFTESTS_LIB_LOG_H
#define SELFTESTS_LIB_LOG_H

/* A request */
#define LOG_RELAYED	"relaying device request to holder"
#define LOG_FORWARDED	"relaying device request to driver"
#define LOG_CANNOT_ASK	"cannot ask the holder to release the device"
#define LOG_NO_EVENTFD	"registered no request eventfd"
#define LOG_NO_WAY	"no way to ask"
#define LOG_BLIND	"cannot see or ask the holder of this device: "

/* A removal that waits for the holder */
#define LOG_BLOCKED	"removal blocked until device is released by its holder"
#define LOG_GROUP_OPEN	"removal blocked until its VFIO group is closed"
#define LOG_DEVICE_OPEN	"removal blocked until its VFIO device is closed"
#define LOG_WAITING	"waiting for mediated devices to be released"
#define LOG_CALL_WAITS	"cannot take the device out of VFIO yet: a callback of the parent driver has not returned"
#define LOG_UNLOAD_WAITS \
	"cannot unload the parent driver yet: the former holder of this device is still in a system call of the driver"

/* Revocations, and the reasons that prevent one */
#define LOG_REVOKED	"revoked from its holder: "
#define LOG_STAYS	"; mdev.ko stays loaded until the holder closes the device"
#define LOG_CLOSED	"former holder closed the revoked device"
#define LOG_NOT_BOUND	"cannot rebind to vfio_mdev: the former holder still has the device or its VFIO group open"
#define LOG_NO_REVOKE	"cannot be revoked: the parent driver has no revoke callback"
#define LOG_KERNELS_OWN	"cannot be revoked: its driver uses the kernel's own mdev interface"
#define LOG_UNMAP_DOES_NOT_END \
	"cannot finish an unmap of guest memory: devices are opened again and again to pin it"
#define LOG_MAPPED	"cannot be revoked: it is mapped, and the kernel cannot take the mapping away"

#endif /* SELFTESTS_LIB_LOG_H */
