/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The regions of the devices of mdev_relay.
 */
#ifndef MDEV_RELAY_H
#define MDEV_RELAY_H

#include <linux/types.h>

/* The region's index in the offset of a device descriptor */
#define MDEV_RELAY_INDEX_SHIFT	40

/* Reads and writes the memory that is mapped at the IOVA that is the offset */
#define MDEV_RELAY_MEMORY_REGION	0

/* Takes a struct mdev_relay_pin at any offset */
#define MDEV_RELAY_PIN_REGION		1

/*
 * Takes a __u32 at any offset, and sleeps so many milliseconds, which no signal
 * ends: a parent driver that waits for its hardware. More than the module's
 * parameter sleep_max_ms is refused: nothing can end a call that a parent keeps
 */
#define MDEV_RELAY_SLEEP_REGION		2

/*
 * Can be mapped: a page of memory of the device. In the first it comes by a
 * fault, the second is populated by mmap(2) itself
 */
#define MDEV_RELAY_FAULT_REGION		3
#define MDEV_RELAY_POPULATED_REGION	4

/* What that page is filled with when the device was removed */
#define MDEV_RELAY_REMOVED		0xdd

#define MDEV_RELAY_NUM_REGIONS		5

/* The version of the state in migration data: the first page that was mapped */
#define MDEV_RELAY_VERSION		3

/* The module's parameter migration_fails: which steps fail */
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
 * @iova: the first page's; of MDEV_RELAY_UNPIN the one that was pinned
 * @npage: how many; of MDEV_RELAY_UNPIN the number that was pinned
 * @action: one of enum mdev_relay_pin_action
 */
struct mdev_relay_pin {
	__u64 iova;
	__u32 npage;
	__u32 action;
};

#endif /* MDEV_RELAY_H */
