// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gate between VFIO and the parent driver: what is not done by each call,
 * but when it is closed, and for user memory that is not there.
 */
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "vfio_mdev.h"

/* How often the log says that a call is waited for, in seconds */
#define NOTICE		10

/*
 * How often memory is brought in for one call: a page at first, then eight times
 * as much each time. A user may offer a gigabyte for a register of 4 bytes.
 */
#define MAX_TRIES	8
#define TRY_SHIFT	3

/* No argument of VFIO's ioctls is larger */
#define MAX_ARG_SIZE	SZ_64K

void mdev_gate_init(struct vfio_mdev *vmdev)
{
	static struct lock_class_key __maybe_unused key;

	atomic64_set(&vmdev->gate, 0);
	lockdep_init_map(&vmdev->gate_map, "mdev_gate", &key, 0);
}

/*
 * The gate is closed, and somebody has just left. Whoever is the last to leave
 * finds the counter at its end; that others find it there as well does no harm.
 */
void mdev_gate_left(struct vfio_mdev *vmdev)
{
	struct mdev_shell *shell = vmdev->shell;
	s64 gate = atomic64_read(&vmdev->gate);

	if (!lower_32_bits(gate))
		complete_all(&shell->drained);
	if (gate != GATE_CLOSED)
		return;
	/* Pairs with mdev_gate_close() */
	if (atomic_xchg(&shell->owner_held, false))
		module_put(shell->owner);
	wake_up_all(&shell->quiet);
}

/*
 * Let nobody in any more, and wait for who is inside; the shell is there. The
 * caller counts as outside from here to mdev_gate_revoked(). Calls that really
 * are outside will return through the code of the parent driver.
 */
void mdev_gate_close(struct vfio_mdev *vmdev)
{
	struct mdev_shell *shell = vmdev->shell;

	atomic_set(&shell->owner_held, try_module_get(shell->owner));
	rwsem_acquire(&vmdev->gate_map, 0, 0, _THIS_IP_);
	atomic64_add(GATE_CLOSED + GATE_OUTSIDE, &vmdev->gate);
	mdev_gate_left(vmdev);
	while (!wait_for_completion_timeout(&shell->drained, NOTICE * HZ))
		dev_warn(&vmdev->mdev->dev, "revocation waits for the end of a call of the parent driver\n");
	rwsem_release(&vmdev->gate_map, _THIS_IP_);
}

/*
 * The revocation is over, but not the calls that are outside. A module that is
 * being unloaded has to wait for them: they return through its code.
 */
void mdev_gate_revoked(struct vfio_mdev *vmdev)
{
	struct mdev_shell *shell = vmdev->shell;
	bool unloading = !atomic_read(&shell->owner_held);

	atomic64_sub(GATE_OUTSIDE, &vmdev->gate);
	mdev_gate_left(vmdev);
	while (unloading &&
	       !wait_event_timeout(shell->quiet, mdev_gate_is_quiet(vmdev),
				   NOTICE * HZ))
		dev_warn(&vmdev->mdev->dev, "unloading the parent driver waits for a call of the user that it was revoked from\n");
}

/* Is the gate closed, and every call over, also those that went outside? */
bool mdev_gate_is_quiet(const struct vfio_mdev *vmdev)
{
	return atomic64_read(&vmdev->gate) == GATE_CLOSED;
}

/**
 * mdev_gate_bring_in - bring in the memory for which a call gave -EFAULT
 * @vmdev: the device
 * @addr: the user's memory
 * @size: how much of it
 * @write: it is to be written
 * @tries: counts the calls
 *
 * Outside of the gate: here user space may be waited for.
 *
 * Return: whether the call should be made once more.
 */
bool mdev_gate_bring_in(const struct vfio_mdev *vmdev, const void __user *addr,
			size_t size, bool write, unsigned int *tries)
{
	size_t left;

	if (!vmdev->revocable || *tries == MAX_TRIES ||
	    fatal_signal_pending(current))
		return false;
	size = min(size, PAGE_SIZE << (TRY_SHIFT * *tries));
	++*tries;
	left = write ? fault_in_safe_writeable(addr, size) :
		       fault_in_readable(addr, size);
	/* The parent driver may want less than the user has offered */
	return left < size;
}

/**
 * mdev_gate_bring_in_arg - the same for the argument of an ioctl
 * @vmdev: the device
 * @arg: the argument
 * @tries: counts the calls
 *
 * Return: whether the call should be made once more.
 */
bool mdev_gate_bring_in_arg(const struct vfio_mdev *vmdev, unsigned long arg,
			    unsigned int *tries)
{
	void __user *uarg = (void __user *)arg;
	u32 size;

	/* Each of VFIO's arguments begins with its size; 8 bytes at least */
	if (!vmdev->revocable || get_user(size, (u32 __user *)uarg))
		return false;
	size = clamp_t(u32, size, 8, MAX_ARG_SIZE);
	if (!mdev_gate_bring_in(vmdev, uarg, size, false, tries))
		return false;
	/* What is only read need not be writable */
	fault_in_safe_writeable(uarg, size);
	return true;
}

/**
 * mdev_wait_begin - a callback is about to wait for user space
 * @mdev: the device
 *
 * For drivers that have a revoke callback, in their read, write, ioctl,
 * dma_unmap and release callbacks: around what may wait for the user, as
 * pinning guest memory does, or taking a lock that is held meanwhile. Such a
 * wait does not hold up a revocation: the device may be revoked, removed and
 * its parent unregistered before mdev_wait_end() returns. In between, and after
 * -ENODEV from there, the driver uses only what this call has to itself or
 * holds a reference to, mdev_pin_pages(), mdev_unpin_pages() and mdev_dma_rw().
 * Page faults, disabled in these callbacks, are enabled in between.
 *
 * Context: one of the callbacks named.
 */
void mdev_wait_begin(struct mdev_device *mdev)
{
	struct vfio_mdev *vmdev = mdev->vmdev;

	if (!vmdev->revocable)
		return;
	pagefault_enable();
	rwsem_release(&vmdev->gate_map, _THIS_IP_);
	if (atomic64_add_negative(GATE_OUTSIDE - 1, &vmdev->gate))
		mdev_gate_left(vmdev);
}
EXPORT_SYMBOL_GPL(mdev_wait_begin);

/**
 * mdev_wait_end - a callback goes on after a wait for user space
 * @mdev: the device
 *
 * Context: after mdev_wait_begin().
 * Return: 0; -ENODEV when the device was revoked meanwhile: nothing that the
 * revoke and remove callbacks free may be used any more, and the callback has
 * to return.
 */
int mdev_wait_end(struct mdev_device *mdev)
{
	struct vfio_mdev *vmdev = mdev->vmdev;
	bool closed;

	if (!vmdev->revocable)
		return 0;
	closed = atomic64_add_negative(1 - GATE_OUTSIDE, &vmdev->gate);
	rwsem_acquire_read(&vmdev->gate_map, 0, 1, _THIS_IP_);
	pagefault_disable();
	return closed ? -ENODEV : 0;
}
EXPORT_SYMBOL_GPL(mdev_wait_end);
