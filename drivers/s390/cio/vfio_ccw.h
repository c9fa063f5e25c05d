/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vfio-ccw: shared by the files of vfio_ccw.ko.
 *
 * A subchannel has one struct vfio_ccw from probe to remove; at most one
 * mediated device uses it, with one struct vfio_ccw_user from open to close.
 * Threads come from user space, one after the other under the holder's io_lock,
 * and from the channel subsystem, under the subchannel's lock:
 *
 *	io_lock, then sch->lock, then crw_lock
 *
 * Pinning guest memory may wait for user space. It is done between
 * mdev_wait_begin() and mdev_wait_end(), with io_lock held. So the wait for
 * io_lock itself has to be between these two as well. The device may be revoked
 * meanwhile. A thread that finds this may only use its struct vfio_ccw_user,
 * which the last reference frees.
 *
 * I/O needs no work item. The interrupt handler stores the response, changes
 * the state, and signals the holder. Work that has to sleep (above all,
 * unpinning) is left to the next thread that holds io_lock: the holder's next
 * access, DMA unmap, reset or close.
 */
#ifndef VFIO_CCW_H
#define VFIO_CCW_H

#include <linux/completion.h>
#include <linux/mdev.h>
#include <linux/mdev_trigger.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/vfio.h>
#include <linux/vfio_ccw.h>
#include <linux/wait.h>

#include "cio_private.h"
#include "vfio_ccw_cp.h"
#include "vfio_ccw_pages.h"

/* Interrupts that wait for the holder to fetch them */
#define VFIO_CCW_RESPONSES	16

/* Channel reports that wait for the holder to fetch them */
#define VFIO_CCW_CRWS		16

/**
 * enum vfio_ccw_state - the state of the subchannel, for the holder
 * @VFIO_CCW_NOT_OPER: it is gone, for good
 * @VFIO_CCW_STANDBY: it has no holder, and is disabled
 * @VFIO_CCW_IDLE: the holder has it, and no channel program is active
 * @VFIO_CCW_PENDING: a channel program was started, and has not ended
 * @VFIO_CCW_CLEARING: the device is gone, but the subchannel answers: the
 *	channel program of the holder is being cleared
 * @VFIO_CCW_NR_STATES: how many there are
 */
enum vfio_ccw_state {
	VFIO_CCW_NOT_OPER,
	VFIO_CCW_STANDBY,
	VFIO_CCW_IDLE,
	VFIO_CCW_PENDING,
	VFIO_CCW_CLEARING,
	VFIO_CCW_NR_STATES
};

/**
 * enum vfio_ccw_event - the events that change the state of a subchannel
 * @VFIO_CCW_OPEN: the holder opens the device
 * @VFIO_CCW_CLOSE: the holder has closed the device; it is quiet
 * @VFIO_CCW_START: the holder wants to start a channel program; may it?
 * @VFIO_CCW_STARTED: START SUBCHANNEL was successful
 * @VFIO_CCW_ASYNC: the holder wants to halt or clear
 * @VFIO_CCW_INTERRUPT: a response arrived, and no program ends with it
 * @VFIO_CCW_ENDED: a response arrived that ends the program, if one is active;
 *	or the subchannel was made quiet
 * @VFIO_CCW_LOST: the device is gone, and the active program is being cleared
 * @VFIO_CCW_GONE: the subchannel is not operational any more
 * @VFIO_CCW_NR_EVENTS: how many there are
 */
enum vfio_ccw_event {
	VFIO_CCW_OPEN,
	VFIO_CCW_CLOSE,
	VFIO_CCW_START,
	VFIO_CCW_STARTED,
	VFIO_CCW_ASYNC,
	VFIO_CCW_INTERRUPT,
	VFIO_CCW_ENDED,
	VFIO_CCW_LOST,
	VFIO_CCW_GONE,
	VFIO_CCW_NR_EVENTS
};

/**
 * struct vfio_ccw_response - an interrupt on its way to the holder
 * @irb: as the hardware stored it; with guest addresses if @mapped
 * @of_program: it is about the channel program that is translated in cp
 * @over: a program, a halt or a clear ends with it
 * @mapped: its addresses are the guest's
 * @settles: it is the first that tells the holder of that end
 */
struct vfio_ccw_response {
	struct irb irb;
	bool of_program;
	bool over;
	bool mapped;
	bool settles;
};

/**
 * struct vfio_ccw_user - the data of one holder of the subchannel
 * @refs: one for the open, one for each thread that is waiting for user space,
 *	or has found that the device was revoked
 * @io_lock: serialises the calls of user space; protects all members below
 * @pages: the access of @cp to guest memory
 * @cp: the channel program being translated, or translated and not yet
 *	released
 * @orb_flags: word 1 of the guest's ORB of that program
 * @revoked: the thread that has io_lock, and a reference, found that the device
 *	was revoked
 * @broken: the hardware may still be using @cp; under the subchannel's lock
 * @region: the I/O region
 * @cmd_region: the region of asynchronous commands
 * @crw_region: the region of channel reports
 */
struct vfio_ccw_user {
	refcount_t refs;
	struct mutex io_lock; /* see above */
	struct vfio_ccw_pages *pages;
	struct ccw_cp *cp;
	u32 orb_flags;
	bool revoked;
	bool broken;
	struct ccw_io_region region;
	struct ccw_cmd_region cmd_region;
	struct ccw_crw_region crw_region;
};

/**
 * struct vfio_ccw - a subchannel that is passed through
 * @cio: the first, since cio takes the driver data for its own; constant
 * @sch: the subchannel
 * @devno: the number of the device that was behind it at probe; constant
 * @mdev: its mediated device, NULL while there is none
 * @user: from open to close, else NULL; under the subchannel's lock. Calls of
 *	the holder's, which come in between, need no lock
 * @available: 1 while no mediated device exists, else 0
 * @probed: the probe is over; under the subchannel's lock
 * @leaving: remove or @pulled_work is removing the mediated device; under the
 *	subchannel's lock
 * @pulled: @pulled_work was queued; under the subchannel's lock
 * @pulled_leaves: @pulled_work is the one that removes the mediated device
 * @pulled_work: for a subchannel that was pulled; it holds a reference to the
 *	subchannel's device, and frees this if @pulled_leaves
 * @left: @pulled_work has removed the mediated device
 * @state: under the subchannel's lock
 * @down: the machine goes down: no program is started any more; under the
 *	subchannel's lock
 * @enabled: the driver has enabled the subchannel, and does not disable it yet;
 *	under the subchannel's lock
 * @changed: another device was seen behind the subchannel, or none; under the
 *	subchannel's lock
 * @users_end: the holder has halted or cleared the program that is active;
 *	under the subchannel's lock
 * @cleared: the driver has cleared it, and the holder has not ended it; under
 *	the subchannel's lock
 * @silent: the holder gets no responses and no signals; under the subchannel's
 *	lock
 * @owed: the holder has started, halted or cleared, and there was no response
 *	for the end, or a reset has dropped it; under the subchannel's lock
 * @responses: a ring, under the subchannel's lock
 * @first: the oldest response
 * @count: how many there are
 * @shown: the oldest one is in the I/O region, and not taken yet; under the
 *	subchannel's lock
 * @wait: threads that wait for the program to end
 * @crw_lock: protects the channel reports
 * @crws: a ring
 * @crw_first: the oldest one
 * @crw_count: how many there are
 * @refusals: limits the lines of the log about programs that are refused
 * @triggers: for a response, for a channel report, and for a request to release
 *	the device. By VFIO_CCW_*_IRQ_INDEX
 */
struct vfio_ccw {
	struct io_subchannel_private cio;
	struct subchannel *sch;
	u16 devno;
	struct mdev_device *mdev;
	struct vfio_ccw_user *user;
	atomic_t available;
	bool probed;
	bool leaving;
	bool pulled;
	bool pulled_leaves;
	struct work_struct pulled_work;
	struct completion left;

	enum vfio_ccw_state state;
	bool down;
	bool enabled;
	bool changed;
	bool users_end;
	bool cleared;
	bool silent;
	bool owed;
	struct vfio_ccw_response responses[VFIO_CCW_RESPONSES];
	unsigned int first;
	unsigned int count;
	bool shown;
	wait_queue_head_t wait;

	spinlock_t crw_lock; /* the four below */
	struct crw crws[VFIO_CCW_CRWS];
	unsigned int crw_first;
	unsigned int crw_count;

	struct ratelimit_state refusals;

	struct mdev_trigger triggers[VFIO_CCW_NUM_IRQS];
};

/* The channel may use the memory of a program. With or without sch->lock */
static inline bool vfio_ccw_is_active(const struct vfio_ccw *vc)
{
	enum vfio_ccw_state state = READ_ONCE(vc->state);

	return state == VFIO_CCW_PENDING || state == VFIO_CCW_CLEARING;
}

/* vfio_ccw_fsm.c */
int vfio_ccw_fsm(struct vfio_ccw *vc, enum vfio_ccw_event event);

/* vfio_ccw_io.c */
struct vfio_ccw_user *vfio_ccw_user_lock_slow(struct vfio_ccw *vc);
void vfio_ccw_user_put(struct vfio_ccw_user *user);
int vfio_ccw_open(struct vfio_ccw *vc);
void vfio_ccw_close(struct vfio_ccw *vc);
void vfio_ccw_revoke(struct vfio_ccw *vc);
int vfio_ccw_reset(struct vfio_ccw *vc, struct vfio_ccw_user *user);
int vfio_ccw_start(struct vfio_ccw *vc, struct vfio_ccw_user *user);
int vfio_ccw_async(struct vfio_ccw *vc, u32 command);
int vfio_ccw_read_schib(struct vfio_ccw *vc, struct vfio_ccw_user *user,
			struct ccw_schib_region *schib);
int vfio_ccw_show_response(struct vfio_ccw *vc, struct vfio_ccw_user *user);
void vfio_ccw_take_response(struct vfio_ccw *vc);
void vfio_ccw_dma_unmap(struct vfio_ccw *vc, u64 iova, u64 length);
void vfio_ccw_interrupt(struct vfio_ccw *vc, const struct irb *irb);
void vfio_ccw_gone(struct vfio_ccw *vc);
bool vfio_ccw_has_changed(struct vfio_ccw *vc);
void vfio_ccw_terminate(struct vfio_ccw *vc);
void vfio_ccw_shutdown(struct vfio_ccw *vc);
void vfio_ccw_retire(struct vfio_ccw *vc);

/**
 * vfio_ccw_user_lock - lock out the other threads of the holder
 * @vc: the subchannel, which is open
 *
 * Context: a callback of the holder's, inside the gate.
 * Return: the holder, to be given to vfio_ccw_user_unlock(); an ERR_PTR of
 * -ENODEV if the device was revoked: then nothing else may be used.
 */
static inline struct vfio_ccw_user *vfio_ccw_user_lock(struct vfio_ccw *vc)
{
	struct vfio_ccw_user *user = vc->user;

	return likely(mutex_trylock(&user->io_lock)) ?
	       user : vfio_ccw_user_lock_slow(vc);
}

/* Also when the device was revoked meanwhile */
static inline void vfio_ccw_user_unlock(struct vfio_ccw_user *user)
{
	bool revoked = user->revoked;

	/* The next thread may still be inside the gate, without a reference */
	if (unlikely(revoked))
		user->revoked = false;
	mutex_unlock(&user->io_lock);
	/* Pairs with vfio_ccw_wait_begin() */
	if (unlikely(revoked))
		vfio_ccw_user_put(user);
}

/* vfio_ccw_instr.c */
int vfio_ccw_start_subchannel(struct subchannel_id schid, const union orb *orb);

/* vfio_ccw_crw.c */
void vfio_ccw_crw_add(struct vfio_ccw *vc, unsigned int erc,
		      struct chp_id chpid);
u32 vfio_ccw_crw_show(struct vfio_ccw *vc);
void vfio_ccw_crw_take(struct vfio_ccw *vc);
void vfio_ccw_crw_drop(struct vfio_ccw *vc);

/* vfio_ccw_ops.c */
extern const struct mdev_parent_ops vfio_ccw_mdev_ops;

#endif /* VFIO_CCW_H */
