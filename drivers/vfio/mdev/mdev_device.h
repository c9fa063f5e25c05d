/* SPDX-License-Identifier: GPL-2.0-only */
/* A mediated device: creation and teardown */
#ifndef _MDEV_DEVICE_H
#define _MDEV_DEVICE_H

#include <linux/device.h>
#include <linux/list.h>
#include <linux/mdev.h>
#include <linux/mutex.h>
#include <linux/rhashtable.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>

#include "mdev_group.h"
#include "mdev_parent.h"
#include "mdev_shell.h"
#include "mdev_state.h"

struct mdev_description;
struct mdev_vfio;
struct mdev_watch;

/**
 * struct mdev_request - the request for a device's release
 * @ask: makes the request again while a thread waits, or when @trigger_set
 * @interval_start: when the present interval of @asks began; as in @next_line,
 *	the lower 32 bits of jiffies
 * @next_line: when the next line about the request may be printed
 * @since: when it was first made, seconds since the Epoch; shown without the
 *	device's lock
 * @count: how often the pending request has been made; shown without the lock
 * @evictors: how many threads wait for the release and keep new holders out: a
 *	writer, an unbind, the parent's unregistration. The early check in
 *	mdev_vfio_match() reads it without the lock
 * @asks: how often the holder was asked for waits in the present interval,
 *	however many requests they belong to
 * @trigger_set: a request trigger was set while a request was pending; written
 *	without the lock before @ask is queued for it
 * @announce: the next line about the request is due in any case
 * @relayed: the last time the holder was asked, there was an eventfd for it
 * @removing: a writer of "remove" is waiting
 */
struct mdev_request {
	struct delayed_work ask;
	u32 interval_start;
	u32 next_line;
	time64_t since;
	unsigned int count;
	u8 evictors;
	u8 asks;
	bool trigger_set;
	bool announce : 1;
	bool relayed : 1;
	bool removing : 1;
};

/**
 * struct mdev_device - a mediated device
 * @dev: its place in the driver model; the last reference frees it
 * @uuid: its name, unique over all parents
 * @node: in the table of UUIDs, from before it is created until after it is
 *	removed
 * @type: a reference to its kobject is held until @dev goes
 * @iommu_device: as set by mdev_set_iommu_device()
 * @kernel_type: for a driver of the kernel's own interface, in place of
 *	@iommu_device: the driver's type
 * @active: for such a driver: the device was created
 * @evicted: the parent's unregistration counts in @request.evictors; under the
 *	parent's lock
 * @why_not: the errno of the latest revocation that failed, or 0: the log has
 *	one line for each change of it
 * @revoked: its VFIO device was taken from a holder; the revoker sets it, before
 *	the device is detached
 * @mute: its driver is one of the kernel's own interface, and cannot ask
 * @group_taking: a work or a thread is taking @group, and has a reference to the
 *	device; written under @lock
 * @state: see mdev_state.h; waited for without @lock
 * @driver_data: the parent driver's
 * @watch: for a driver of the kernel's own interface, in place of @driver_data;
 *	see struct mdev_watch
 * @vmdev: its VFIO device, from the probe of vfio_mdev until VFIO has given up
 *	the device and each call of its holder is over; only the shell's thread
 *	clears it. Written under @lock
 * @triggers: the parent driver's triggers, complete before it can be opened
 * @description: from mdev_describe() in the create callback, or NULL; constant
 *	from then on
 * @lock: protects @state, @request and @group, and is held around each call of the
 *	parent's request callback, so that none is under way when the phase
 *	leaves HELD
 * @shell: see struct mdev_shell
 * @group: for a driver of the kernel's own interface, in place of @shell; see
 *	struct mdev_group_use
 * @request: see struct mdev_request
 *
 * A driver of the kernel's own interface takes this struct for the kernel's own
 * struct mdev_device. So @dev, @uuid, @kernel_type and @active are in the same
 * places: mdev_kernel.c compares the two.
 */
struct mdev_device {
	struct device dev;
	guid_t uuid;
	struct rhash_head node;
	struct mdev_type *type;
	union {
		struct device *iommu_device;
		void *kernel_type;
	};
	bool active;
	bool evicted;
	u8 why_not;
	bool revoked;
	bool mute;
	bool group_taking;
	struct mdev_state state;
	union {
		void *driver_data;
		struct mdev_watch *watch;
	};
	struct mdev_vfio *vmdev;
	struct mdev_trigger *triggers;
	const struct mdev_description *description;
	struct mutex lock; /* @state, @request, and more: see above */
	union {
		struct mdev_shell shell;
		struct mdev_group_use group;
	};
	struct mdev_request request;
};

#define to_mdev_device(d) container_of(d, struct mdev_device, dev)

static inline struct mdev_parent *mdev_parent(const struct mdev_device *mdev)
{
	return mdev->type->parent;
}

/* Is its driver one of the kernel's own interface? */
static inline bool mdev_is_kernels(const struct mdev_device *mdev)
{
	return mdev_parent(mdev)->driver;
}

/* Under the lock, for an event that must be possible in the present phase */
#define mdev_event(mdev, event)						\
	WARN_ON_ONCE(mdev_state_event(&(mdev)->state, event))

static inline bool mdev_is_in_use(const struct mdev_device *mdev)
{
	return mdev_phase_is_in_use(READ_ONCE(mdev->state.phase));
}

static inline bool mdev_is_held(const struct mdev_device *mdev)
{
	return mdev_phase_is_held(READ_ONCE(mdev->state.phase));
}

static inline bool mdev_is_going(const struct mdev_device *mdev)
{
	return mdev_phase_is_going(READ_ONCE(mdev->state.phase));
}

int mdev_device_create(struct mdev_type *type, const guid_t *uuid,
		       const struct device_type *device_type);
void mdev_device_teardown(struct mdev_device *mdev);
int mdev_device_init(void);
void mdev_device_exit(void);

#endif /* _MDEV_DEVICE_H */
