/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate between VFIO and the parent driver, as drm_dev_enter(),
 * drm_dev_exit() and drm_dev_unplug() are for a graphics driver.
 *
 * Each call of the parent driver on behalf of the holder is inside the gate
 * from its begin to its end. Detaching closes the gate, for good, and waits
 * until no call is inside; from then on the parent driver owes the holder
 * nothing:
 *
 *	open ----------> closing ---------> closed ----------> quiet
 *	     mdev_gate_    the last call      the last call that
 *	     close()       inside left        was outside is over
 *
 * A call inside never waits for user space. Reads, writes and ioctls are made
 * with page faults disabled. If memory is not present, it is faulted in outside
 * of the gate, and the call is made once more. If a call has to wait all the
 * same, it goes outside for that time, by mdev_wait_begin() and
 * mdev_wait_end().
 */
#ifndef _MDEV_GATE_H
#define _MDEV_GATE_H

#include <linux/atomic.h>
#include <linux/instruction_pointer.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/uaccess.h>

struct device;
struct mdev_parent;
struct module;

/* The gate's counter: the lower half counts calls inside, the upper half calls
 * that are outside and will come back; the sign is set when it is closed
 */
#define GATE_OUTSIDE	0x100000000LL
#define GATE_CLOSED	S64_MIN

/* See struct mdev_gate */
enum {
	GATE_HOLDS_NOTHING,
	GATE_HOLDS_OWNER,
	GATE_HOLDS_PLACE,
};

/**
 * struct mdev_gate - the gate of one VFIO device
 * @calls: see above
 * @owner: the parent driver's module, up to mdev_gate_settle(): the holder's
 *	reference to it, if there was one, is put by then
 * @place: the parent, from mdev_gate_settle() on, if @owner is being unloaded:
 *	its unregistration waits
 * @held: what is held for calls that have gone outside: a reference to @owner,
 *	or a place in @place. The last call to leave the closed gate puts it
 * @revocable: calls inside never wait for user space; constant
 * @map: makes the gate a lock, in lockdep's eyes
 *
 * VFIO gives up the device when each of its calls has returned, and the gate is
 * freed after that: the last call to leave may touch it.
 */
struct mdev_gate {
	atomic64_t calls;
	union {
		struct module *owner;
		struct mdev_parent *place;
	};
	atomic_t held;
	bool revocable;
	struct lockdep_map map;
};

void mdev_gate_init(struct mdev_gate *gate, struct module *owner,
		    bool revocable);
void mdev_gate_left(struct mdev_gate *gate);
void mdev_gate_close(struct mdev_gate *gate, struct device *dev);
void mdev_gate_settle(struct mdev_gate *gate, struct device *dev,
		      struct mdev_parent *parent);
bool mdev_gate_is_quiet(const struct mdev_gate *gate);
void mdev_gate_wait_quiet(const struct mdev_gate *gate);
bool mdev_gate_fault_in(const struct mdev_gate *gate, const void __user *addr,
			size_t size, bool write, unsigned int *tries);
bool mdev_gate_fault_in_arg(const struct mdev_gate *gate, unsigned long arg,
			    unsigned int *tries);

/* Out of the gate; a closer may be waiting for this */
static inline void mdev_gate_leave(struct mdev_gate *gate)
{
	rwsem_release(&gate->map, _THIS_IP_);
	if (unlikely(atomic64_add_negative(-1, &gate->calls)))
		mdev_gate_left(gate);
}

static inline bool mdev_gate_is_closed(const struct mdev_gate *gate)
{
	return atomic64_read(&gate->calls) < 0;
}

/*
 * Into the gate, unless it is closed. Does not wait, as a trylock. The closer waits
 * for every call that is counted, so a call that comes later is not: of hundreds of
 * threads that repeat refused calls, some are always preempted between the counter's
 * increment and its decrement.
 */
static inline bool mdev_gate_enter(struct mdev_gate *gate)
{
	bool closed;

	if (unlikely(mdev_gate_is_closed(gate)))
		return false;
	closed = atomic64_add_negative(1, &gate->calls);
	rwsem_acquire_read(&gate->map, 0, 1, _THIS_IP_);
	if (likely(!closed))
		return true;
	mdev_gate_leave(gate);
	return false;
}

/* The same around a callback that may access user memory */
static inline bool mdev_call_begin(struct mdev_gate *gate)
{
	if (!mdev_gate_enter(gate))
		return false;
	if (likely(gate->revocable))
		pagefault_disable();
	return true;
}

static inline void mdev_call_end(struct mdev_gate *gate)
{
	if (likely(gate->revocable))
		pagefault_enable();
	mdev_gate_leave(gate);
}

#endif /* _MDEV_GATE_H */
