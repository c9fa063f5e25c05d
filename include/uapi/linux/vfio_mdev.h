/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Mediated devices: what user space meets, beyond <linux/vfio.h>.
 *
 * The grammar, and its limits
 * ===========================
 *
 *   uuid    = 8x "-" 4x "-" 4x "-" 4x "-" 12x     x: a hexadecimal digit of
 *             either case; names in sysfs are in lower case
 *   number  = decimal, octal behind "0", or hexadecimal behind "0x", less
 *             than two to the 32nd (to the 64th on 64-bit machines)
 *   Each may be followed by one newline, and by nothing else.
 *
 * PARENT/mdev_supported_types/TYPE/create  takes a uuid:
 *   EINVAL  it is none
 *   EEXIST  a mediated device of that UUID exists, on whichever parent
 *   ENODEV  the parent is going away
 *   others  are the parent driver's; many give ENOSPC if no instance is left
 *
 * MDEV/remove  takes a number; 0 does nothing, any other asks the holder of the
 * device to release it, waits for that without a limit, and removes the device:
 *   EINVAL  it is no number
 *   EINTR   a signal ended the wait; nothing has changed. After a signal whose
 *          handler has SA_RESTART, or SIGCONT, the wait goes on
 *   EBUSY   another writer is waiting already
 *   EAGAIN  the device is still being created
 *   ENODEV  the device has been removed, by another writer or by its parent
 *
 * MDEV/revoke  (root only) takes a number; 0 does nothing, 1 asks the holder once
 * more, takes the device from it without waiting, and removes the device:
 *   EINVAL      neither 0 nor 1
 *   EOPNOTSUPP  the parent driver cannot take a device from its holder
 *   EBUSY       the holder has a mapping that the kernel cannot take away
 *   EAGAIN      the device is still being created, or the host is too busy to
 *               tell in time whether a device of a kernel's driver is in use
 *   ENODEV      the device has been removed by somebody else
 * The holder's file descriptor stays open, and gives ENODEV for reads, writes,
 * ioctls and new mappings, but 0 for a VFIO_DEVICE_SET_IRQS that takes an
 * interrupt away; what was mapped gives SIGBUS; its request eventfd is signalled
 * a last time, all other eventfds are dropped.
 *
 * MDEV/holder  (root only)  reads as PID " " COMMAND: the process that opened
 * the device, or the last one since then that set its request eventfd; empty
 * while nobody has it open. PID is 0 if the reader's PID namespace does not know
 * the process. If it has ended, while another process still has its descriptor:
 * "0 " COMMAND " (exited)".
 *
 * MDEV/request  reads as 1 while a request to release the device is pending,
 * else 0. Writing 1 asks the holder once, at once, and removes nothing; the
 * request is then pending until it is met or cancelled by writing 0:
 *   EINVAL      neither 0 nor 1
 *   EOPNOTSUPP  the parent driver cannot ask anybody
 *   EBUSY       0 was written, and a removal waits for the release
 * While nobody has the device open there is nothing to ask: success. A holder
 * that has registered no eventfd can't be asked yet: success, a line in the log,
 * and the holder is asked when it registers one.
 *
 * MDEV/request_count  how often the pending request has been made, else 0.
 * MDEV/request_since  when it was first made, in seconds since the Epoch,
 * else 0.
 *
 * While a removal is pending, opening the device gives EBUSY.
 *
 * Events (uevents of action "change", from the mediated device unless said
 * otherwise) carry one of the variables below.
 */
#ifndef _UAPI_LINUX_VFIO_MDEV_H
#define _UAPI_LINUX_VFIO_MDEV_H

#include <linux/vfio.h>

/* From the parent device */
#define MDEV_UEVENT_REGISTERED		"MDEV_STATE=registered"
#define MDEV_UEVENT_UNREGISTERED	"MDEV_STATE=unregistered"

/* A request to release the device became pending; the holder released the
 * device, and nobody waits to remove it; the request was given up; the device
 * was taken from the holder.
 */
#define MDEV_UEVENT_REQUEST_PENDING	"MDEV_REQUEST=pending"
#define MDEV_UEVENT_REQUEST_MET		"MDEV_REQUEST=met"
#define MDEV_UEVENT_REQUEST_CANCELLED	"MDEV_REQUEST=cancelled"
#define MDEV_UEVENT_REQUEST_REVOKED	"MDEV_REQUEST=revoked"

/* While a removal waits, the holder is asked again this often, in seconds */
#define MDEV_REQUEST_INTERVAL		10

/* While nobody can be asked, the log repeats it this often, in seconds */
#define MDEV_BLOCKED_INTERVAL		60

/*
 * The index of vfio-ccw's request interrupt. Headers before Linux 5.11 lack
 * it; in later ones it is an enumerator of the same value, which this hides.
 */
#define VFIO_CCW_REQ_IRQ_INDEX		2

#endif /* _UAPI_LINUX_VFIO_MDEV_H */
