/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The regions of the devices of mdev_relay.
 */
#ifndef MDEV_RELAY_H
#define MDEV_RELAY_H

#include <linux/types.h>

/* The region's index in the offset of a device descriptor */
#define MDEV_RELAY_INDEX_SHIFT	40

/* Reads and writes guest memory at the IOVA given by the offset */
#define MDEV_RELAY_MEMORY_REGION	0

/* Write a struct mdev_relay_pin at any offset */
#define MDEV_RELAY_PIN_REGION		1

/*
 * Write a __u32 at any offset: the call sleeps for so many milliseconds,
 * without being interrupted by signals. It stands for a parent driver that
 * waits for its hardware. A value above the module's parameter sleep_max_ms is
 * refused, because nothing could end such a call
 */
#define MDEV_RELAY_SLEEP_REGION		2

/*
 * A page of the device's memory, which can be mapped. In the first region a
 * fault inserts the page, in the second one mmap(2) does
 */
#define MDEV_RELAY_FAULT_REGION		3
#define MDEV_RELAY_POPULATED_REGION	4

/* The byte that fills the page after the device was removed */
#define MDEV_RELAY_REMOVED		0xdd

#define MDEV_RELAY_NUM_REGIONS		5

/* The version of the state in migration data: the contents of the page */
#define MDEV_RELAY_VERSION		3

/* Bits of the module's parameter migration_fails: the steps that fail */
#define MDEV_RELAY_STOP_FAILS		1
#define MDEV_RELAY_START_FAILS		2
#define MDEV_RELAY_SAVE_FAILS		4
#define MDEV_RELAY_LOAD_FAILS		8
#define MDEV_RELAY_SAVES_TOO_MUCH	16

enum mdev_relay_pin_action {
	MDEV_RELAY_PIN,
	MDEV_RELAY_UNPIN,
};

/**
 * struct mdev_relay_pin - pins guest memory, or unpins it
 * @iova: of the first page; for MDEV_RELAY_UNPIN that of the pin
 * @npage: number of pages; for MDEV_RELAY_UNPIN that of the pin
 * @action: one of enum mdev_relay_pin_action
 */
struct mdev_relay_pin {
	__u64 iova;
	__u32 npage;
	__u32 action;
};

#endif /* MDEV_RELAY_H */
