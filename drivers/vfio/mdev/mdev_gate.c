// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gate between VFIO and the parent driver: the parts that are not on the
 * way of each call. They close the gate, and fault in user memory that is not
 * present.
 */
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/wait.h>

#include "mdev_gate.h"
#include "mdev_vfio.h"

/* The log says every so many seconds that a call has not returned */
#define NOTICE		10

/*
 * How often memory is faulted in for one call: a page at first, then eight times
 * as much each time. A holder may offer a gigabyte for a register of 4 bytes.
 */
#define MAX_TRIES	8
#define TRY_SHIFT	3

/* No argument of VFIO's ioctls is larger */
#define MAX_ARG_SIZE	SZ_64K

/* Threads that wait until no call is inside of a gate, or until it is quiet */
static DECLARE_WAIT_QUEUE_HEAD(mdev_gate_wait);

void mdev_gate_init(struct mdev_gate *gate, struct module *owner,
		    bool revocable)
{
	static struct lock_class_key __maybe_unused key;

	atomic64_set(&gate->calls, 0);
	lockdep_init_map(&gate->map, "mdev_gate", &key, 0);
	gate->owner = owner;
	gate->revocable = revocable;
}

/*
 * The gate is closed, and a call has just left. The last one finds the gate
 * quiet. It does no harm if others find that as well.
 */
void mdev_gate_left(struct mdev_gate *gate)
{
	int held = GATE_HOLDS_NOTHING;

	if (mdev_gate_is_quiet(gate))
		held = atomic_xchg(&gate->held, GATE_HOLDS_NOTHING);
	/* Pairs with try_module_get() in mdev_gate_close() */
	if (held == GATE_HOLDS_OWNER)
		module_put(gate->owner);
	/* Pairs with atomic_inc() in mdev_gate_settle() */
	if (held == GATE_HOLDS_PLACE)
		mdev_parent_place_put(gate->place);
	wake_up_all(&mdev_gate_wait);
}

/* Is a call inside? Calls that have gone outside do not count */
static bool mdev_gate_has_calls(const struct mdev_gate *gate)
{
	return lower_32_bits(atomic64_read(&gate->calls));
}

/**
 * mdev_gate_close - let no call in any more, and wait for those inside
 * @gate: the gate
 * @dev: for the log
 *
 * The caller counts as outside from here to mdev_gate_settle(). The calls that
 * have gone outside will return through the code of the parent driver.
 *
 * Context: process context, once for each gate. Waits for callbacks of the
 * parent driver, which wait for no holder.
 */
void mdev_gate_close(struct mdev_gate *gate, struct device *dev)
{
	if (try_module_get(gate->owner))
		atomic_set(&gate->held, GATE_HOLDS_OWNER);
	rwsem_acquire(&gate->map, 0, 0, _THIS_IP_);
	atomic64_add(GATE_CLOSED + GATE_OUTSIDE, &gate->calls);
	while (!wait_event_idle_timeout(mdev_gate_wait,
					!mdev_gate_has_calls(gate),
					NOTICE * HZ))
		dev_warn(dev, "cannot take the device out of VFIO yet: a callback of the parent driver has not returned\n");
	rwsem_release(&gate->map, _THIS_IP_);
}

/**
 * mdev_gate_settle - the device was taken back from the parent driver's side
 * @gate: the gate, closed
 * @dev: for the log
 * @parent: its parent, in which the device has a place
 *
 * Calls may still be outside. They return through the code of the parent
 * driver. If that driver is being unloaded, its unregistration waits for them.
 */
void mdev_gate_settle(struct mdev_gate *gate, struct device *dev,
		      struct mdev_parent *parent)
{
	bool unloading = atomic_read(&gate->held) == GATE_HOLDS_NOTHING;

	if (unloading) {
		atomic_inc(&parent->nr_mdevs);
		gate->place = parent;
		atomic_set(&gate->held, GATE_HOLDS_PLACE);
	}
	/* The last call to leave sees all of this */
	atomic64_sub_return(GATE_OUTSIDE, &gate->calls);
	if (unloading && !mdev_gate_is_quiet(gate))
		dev_warn(dev, "cannot unload the parent driver yet: the former holder of this device is still in a system call of the driver\n");
	mdev_gate_left(gate);
}

/* Is the gate closed, and every call over, also those that went outside? */
bool mdev_gate_is_quiet(const struct mdev_gate *gate)
{
	return atomic64_read(&gate->calls) == GATE_CLOSED;
}

void mdev_gate_wait_quiet(const struct mdev_gate *gate)
{
	wait_event_idle(mdev_gate_wait, mdev_gate_is_quiet(gate));
}

/**
 * mdev_gate_fault_in - fault in the memory for which a call gave -EFAULT
 * @gate: the gate
 * @addr: the holder's memory
 * @size: how much of it
 * @write: it is to be written
 * @tries: counts the calls
 *
 * Outside of the gate: this may wait for user space.
 *
 * Return: whether the call should be made once more.
 */
bool mdev_gate_fault_in(const struct mdev_gate *gate, const void __user *addr,
			size_t size, bool write, unsigned int *tries)
{
	size_t left;

	if (!gate->revocable || *tries == MAX_TRIES ||
	    fatal_signal_pending(current))
		return false;
	size = min(size, PAGE_SIZE << (TRY_SHIFT * *tries));
	++*tries;
	left = write ? fault_in_safe_writeable(addr, size) :
		       fault_in_readable(addr, size);
	/* The parent driver may want less than the holder has offered */
	return left < size;
}

/**
 * mdev_gate_fault_in_arg - the same for the argument of an ioctl
 * @gate: the gate
 * @arg: the argument
 * @tries: counts the calls
 *
 * Return: whether the call should be made once more.
 */
bool mdev_gate_fault_in_arg(const struct mdev_gate *gate, unsigned long arg,
			    unsigned int *tries)
{
	void __user *uarg = (void __user *)arg;
	u32 size;

	/* Each of VFIO's arguments begins with its size; 8 bytes at least */
	if (!gate->revocable || get_user(size, (u32 __user *)uarg))
		return false;
	size = clamp_t(u32, size, 8, MAX_ARG_SIZE);
	if (!mdev_gate_fault_in(gate, uarg, size, false, tries))
		return false;
	/* This may fail: an argument that is only read need not be writable */
	fault_in_safe_writeable(uarg, size);
	return true;
}

/**
 * mdev_wait_begin - a callback is about to wait for user space
 * @mdev: the device
 *
 * For the read, write, ioctl, reset, dma_unmap and release callbacks of drivers
 * that have a revoke callback. Called before an action that may wait for the
 * holder: to pin guest memory, or to take a lock that is held meanwhile. Such a
 * wait does not delay a revocation: the device may be revoked and removed, and
 * its parent unregistered, before mdev_wait_end() returns. In between, and
 * after
 * -ENODEV from there, the driver uses only its own data of this call, data that
 * the call holds a reference to, mdev_pin_pages(), mdev_unpin_pages() and
 * mdev_dma_rw(). Page faults are disabled in these callbacks, but enabled in
 * between.
 *
 * Context: one of the callbacks named.
 */
void mdev_wait_begin(struct mdev_device *mdev)
{
	struct mdev_gate *gate = &mdev->vmdev->gate;

	if (!gate->revocable)
		return;
	pagefault_enable();
	rwsem_release(&gate->map, _THIS_IP_);
	if (atomic64_add_negative(GATE_OUTSIDE - 1, &gate->calls))
		mdev_gate_left(gate);
}
EXPORT_SYMBOL_GPL(mdev_wait_begin);

/* Is it this thread that is in the release callback, and not another one? */
static bool mdev_gate_in_release(const struct mdev_vfio *vmdev)
{
	const struct mdev_use *use;
	bool in_release;

	rcu_read_lock();
	use = READ_ONCE(vmdev->use);
	in_release = use && READ_ONCE(use->closer) == current;
	rcu_read_unlock();
	return in_release;
}

/**
 * mdev_wait_end - a callback goes on after a wait for user space
 * @mdev: the device
 *
 * Context: after mdev_wait_begin().
 * Return: 0; -ENODEV if the device was revoked meanwhile: then the callback has
 * to return, and must not use anything that the revoke and remove callbacks
 * free.
 */
int mdev_wait_end(struct mdev_device *mdev)
{
	/* The shell clears it when all calls are over, this one included */
	struct mdev_vfio *vmdev = mdev->vmdev;
	struct mdev_gate *gate = &vmdev->gate;
	bool closed;

	if (!gate->revocable)
		return 0;
	closed = atomic64_add_negative(1 - GATE_OUTSIDE, &gate->calls);
	rwsem_acquire_read(&gate->map, 0, 1, _THIS_IP_);
	pagefault_disable();
	if (unlikely(closed) && mdev_gate_in_release(vmdev))
		vmdev->use->cut_short = true;
	return closed ? -ENODEV : 0;
}
EXPORT_SYMBOL_GPL(mdev_wait_end);
