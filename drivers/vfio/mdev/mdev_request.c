// SPDX-License-Identifier: GPL-2.0-only
/*
 * The holder of a mediated device, and how it is asked to release the device.
 *
 * A request is pending as long as a thread or an administrator wants the device
 * back. It ends when the holder has closed the device (met), or when nobody
 * wants it any more (cancelled). Two kinds of callers make a request. Evictors
 * wait for the release, and keep new holders out meanwhile: a removal, the
 * parent's unregistration, an unbind from vfio_mdev. For them the holder is
 * asked again and again. The others ask once: a write to "request", and a
 * revocation, which does not wait for the answer.
 */
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/kobject.h>
#include <linux/mdev_trigger.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include <uapi/linux/vfio_mdev.h>

#include "mdev_request.h"
#include "mdev_trace.h"
#include "mdev_vfio.h"
#include "mdev_watch.h"

/* The log has one line for so many relayed requests, at the first of them */
#define RELAYS_PER_LINE		10

#define INTERVAL		(MDEV_REQUEST_INTERVAL * HZ)

/*
 * If waits are given up and repeated, they ask one holder at most so often in
 * each INTERVAL. The next ask comes when the interval is over.
 */
#define ASKS_PER_INTERVAL	5

/* Room for a command, a PID and the text around them */
#define HOLDER_NAME_LEN		(TASK_COMM_LEN + 32)

/* Why the holder cannot be asked; follows its name in the log */
#define NO_EVENTFD	" has registered no request eventfd"
#define NO_CALLBACK	"; the parent driver has no way to ask"
#define NOT_SETTLED	" is still opening or closing it"

DECLARE_WAIT_QUEUE_HEAD(mdev_wait_queue);

/* A process can name itself as it likes, but the log and sysfs have lines */
static void mdev_make_printable(char *comm)
{
	for (; *comm; comm++)
		if (!isascii(*comm) || !isprint(*comm))
			*comm = '?';
}

/* If it has exited, its PID is not shown: it may be another process's by now */
static bool mdev_pid_exited(struct pid *pid)
{
	struct task_struct *task;
	bool exited;

	rcu_read_lock();
	task = pid_task(pid, PIDTYPE_TGID);
	exited = !task || !atomic_read(&task->signal->live);
	rcu_read_unlock();
	return exited;
}

/* The record of the holder, or NULL if no process can have the device open */
static struct mdev_holder *mdev_holder_of(struct mdev_device *mdev)
{
	if (mdev_is_kernels(mdev))
		return &mdev->watch->holder;
	return mdev->vmdev && mdev->vmdev->use ?
	       &mdev->vmdev->use->holder : NULL;
}

/* @pid NULL: there is no holder any more */
static void mdev_holder_replace(struct mdev_device *mdev, struct pid *pid,
				const char *comm)
{
	struct mdev_holder *holder = mdev_holder_of(mdev);
	struct pid *old;

	spin_lock(&holder->lock);
	old = holder->pid;
	holder->pid = pid;
	strscpy(holder->comm, comm, sizeof(holder->comm));
	spin_unlock(&holder->lock);
	put_pid(old);
}

/**
 * mdev_holder_set - the calling process is the holder from now on
 * @mdev: the device, which is being opened or in use
 *
 * The process that opens a device may pass the descriptor on. The one that
 * sets the request eventfd is the one that can be asked.
 *
 * Context: process context; with the device's lock or without.
 */
void mdev_holder_set(struct mdev_device *mdev)
{
	char comm[TASK_COMM_LEN];

	get_task_comm(comm, current->group_leader);
	mdev_make_printable(comm);
	/* Pairs with put_pid() in mdev_holder_replace() */
	mdev_holder_replace(mdev, get_pid(task_tgid(current)), comm);
}

/* A copy with a reference to the PID, or false if there is no holder */
static bool mdev_holder_get(struct mdev_device *mdev, struct pid **pid,
			    char *comm)
{
	struct mdev_holder *holder = mdev_holder_of(mdev);

	lockdep_assert_held(&mdev->lock);

	*pid = NULL;
	if (!holder)
		return false;
	spin_lock(&holder->lock);
	*pid = get_pid(holder->pid);
	strscpy(comm, holder->comm, TASK_COMM_LEN);
	spin_unlock(&holder->lock);
	return *pid;
}

static const char *mdev_holder_name(struct mdev_device *mdev, char *buf)
{
	char comm[TASK_COMM_LEN];
	struct pid *pid;

	if (!mdev_holder_get(mdev, &pid, comm))
		snprintf(buf, HOLDER_NAME_LEN, "nobody");
	else if (mdev_pid_exited(pid))
		snprintf(buf, HOLDER_NAME_LEN, "%s (pid 0, exited)", comm);
	else
		snprintf(buf, HOLDER_NAME_LEN, "%s (pid %d)", comm,
			 pid_nr(pid));
	put_pid(pid);
	return buf;
}

static pid_t mdev_holder_nr(struct mdev_device *mdev)
{
	char comm[TASK_COMM_LEN];
	struct pid *pid;
	pid_t nr;

	mdev_holder_get(mdev, &pid, comm);
	nr = pid_nr(pid);
	put_pid(pid);
	return nr;
}

/**
 * mdev_holder_show - the holder, as "holder" in sysfs shows it
 * @mdev: the device
 * @buf: a page
 *
 * Return: the length; 0 if the device is not in use.
 */
int mdev_holder_show(struct mdev_device *mdev, char *buf)
{
	char comm[TASK_COMM_LEN];
	struct pid *pid;
	bool held;
	int len;

	mutex_lock(&mdev->lock);
	held = mdev_holder_get(mdev, &pid, comm);
	mutex_unlock(&mdev->lock);
	if (!held)
		return 0;
	if (mdev_pid_exited(pid))
		len = sysfs_emit(buf, "0 %s (exited)\n", comm);
	else
		len = sysfs_emit(buf, "%d %s\n", pid_vnr(pid), comm);
	put_pid(pid);
	return len;
}

static void mdev_request_uevent(struct mdev_device *mdev, char *event)
{
	kobject_uevent_env(&mdev->dev.kobj, KOBJ_CHANGE,
			   (char *[]){ event, NULL });
}

/*
 * Is @time in the near future? A time that passed long ago can look like one in
 * the far future, but no line is put off for longer than this.
 */
static bool mdev_time_is_near(u32 time)
{
	return time - (u32)jiffies - 1 < MDEV_BLOCKED_INTERVAL * HZ;
}

static bool mdev_line_is_due(struct mdev_device *mdev, unsigned int seconds)
{
	struct mdev_request *request = &mdev->request;

	if (!request->announce && mdev_time_is_near(request->next_line))
		return false;
	request->announce = false;
	request->next_line = (u32)jiffies + seconds * HZ;
	return true;
}

/* A holder may set its eventfd again and again, and each time it is asked */
static bool mdev_asked_line_is_due(struct mdev_device *mdev, unsigned int count)
{
	return (mdev->request.announce || count % RELAYS_PER_LINE == 0) &&
	       mdev_line_is_due(mdev, MDEV_REQUEST_INTERVAL);
}

/* Say at once, and then every minute, why the holder cannot be asked */
static void mdev_say_blocked(struct mdev_device *mdev, const char *why)
{
	char holder[HOLDER_NAME_LEN];

	if (!mdev_line_is_due(mdev, MDEV_BLOCKED_INTERVAL))
		return;

	mdev_holder_name(mdev, holder);
	if (mdev->request.evictors)
		dev_warn(&mdev->dev, "removal blocked until device is released by its holder: %s%s\n",
			 holder, why);
	else
		dev_warn(&mdev->dev, "cannot ask the holder to release the device: %s%s\n",
			 holder, why);
}

/**
 * mdev_request_relay - ask a mediated device's holder to release it
 * @trigger: the device's request trigger
 * @count: as given to the request callback
 *
 * Signals the holder's eventfd, and says so in the log at the first and then at
 * every tenth time. If the holder registered none, the log says that the
 * removal is blocked until the holder releases the device, and names the
 * holder.
 *
 * Context: the request callback; or called in its place.
 */
void mdev_request_relay(struct mdev_trigger *trigger, unsigned int count)
{
	struct mdev_device *mdev = trigger->mdev;
	struct mdev_request *request = &mdev->request;
	char holder[HOLDER_NAME_LEN];

	lockdep_assert_held(&mdev->lock);

	if (mdev_trigger_signal(trigger)) {
		request->relayed = true;
		if (mdev_asked_line_is_due(mdev, count))
			dev_notice(&mdev->dev, "relaying device request to holder (#%u): %s\n",
				   count + 1, mdev_holder_name(mdev, holder));
	} else if (request->relayed && !request->announce) {
		/*
		 * The holder took its eventfd away. Most holders close the
		 * device right after that. If this one does not, the log names
		 * it the next time.
		 */
		request->relayed = false;
		request->next_line = jiffies;
	} else {
		mdev_say_blocked(mdev, NO_EVENTFD);
	}
}
EXPORT_SYMBOL_GPL(mdev_request_relay);

/* The request trigger of a described device, or NULL */
static struct mdev_trigger *mdev_request_trigger(struct mdev_device *mdev)
{
	struct mdev_trigger *trigger;

	if (!mdev->description)
		return NULL;
	for (trigger = mdev->triggers; trigger; trigger = trigger->next)
		if (trigger->kind == MDEV_TRIGGER_REQUEST)
			return trigger;
	return NULL;
}

/* Can holders of this device be asked at all? */
static bool mdev_has_request(struct mdev_device *mdev)
{
	return (mdev_parent(mdev)->ops->request && !mdev->mute) ||
	       mdev_request_trigger(mdev);
}

/**
 * mdev_request_forward - say that the driver of a device asks its holder itself
 * @mdev: the device
 * @count: as given to the request callback
 *
 * Context: the request callback.
 */
void mdev_request_forward(struct mdev_device *mdev, unsigned int count)
{
	char holder[HOLDER_NAME_LEN];

	if (mdev_asked_line_is_due(mdev, count))
		dev_notice(&mdev->dev, "relaying device request to driver (#%u), for holder: %s\n",
			   count + 1, mdev_holder_name(mdev, holder));
}

static void mdev_ask(struct mdev_device *mdev)
{
	const struct mdev_parent_ops *ops = mdev_parent(mdev)->ops;
	struct mdev_request *request = &mdev->request;

	lockdep_assert_held(&mdev->lock);

	/* Held: neither release nor revoke was called, so the parent exists */
	if (mdev_phase_is_held(mdev->state.phase)) {
		unsigned int count = request->count;

		/* A process that is woken by the request finds it counted */
		WRITE_ONCE(request->count, count + 1);
		trace_mdev_request(&mdev->uuid, count, mdev_holder_nr(mdev));
		if (!mdev_has_request(mdev))
			mdev_say_blocked(mdev, NO_CALLBACK);
		else if (ops->request)
			ops->request(mdev, count);
		else
			mdev_request_relay(mdev_request_trigger(mdev), count);
	}
	if (request->evictors)
		mod_delayed_work(system_unbound_wq, &request->ask, INTERVAL);
}

static bool mdev_request_is_pending(const struct mdev_device *mdev)
{
	return READ_ONCE(mdev->state.request) != MDEV_REQ_NONE;
}

/* In use, but not held: there is no holder to ask, and that may last */
static bool mdev_is_settling(const struct mdev_device *mdev)
{
	switch (mdev->state.phase) {
	case MDEV_OPENING:
	case MDEV_CLOSING:
	case MDEV_GOING_OPENING:
	case MDEV_GOING_CLOSING:
		return true;
	default:
		return false;
	}
}

static void mdev_ask_work(struct work_struct *work)
{
	struct mdev_device *mdev =
		container_of(work, struct mdev_device, request.ask.work);
	bool trigger_set;

	mutex_lock(&mdev->lock);
	/* A trigger that is set from here on is signalled below, too */
	trigger_set = xchg(&mdev->request.trigger_set, false);
	if (mdev_request_is_pending(mdev) &&
	    (mdev->request.evictors || trigger_set)) {
		if (mdev_is_settling(mdev))
			mdev_say_blocked(mdev, NOT_SETTLED);
		mdev_ask(mdev);
	}
	mutex_unlock(&mdev->lock);
}

static void mdev_request_ask_now(struct mdev_device *mdev)
{
	mdev->request.announce = true;
	mdev_ask(mdev);
}

/* @event wants the device back. Returns whether no other one did before */
static bool mdev_request_begin(struct mdev_device *mdev,
			       enum mdev_request_event event)
{
	bool first = !mdev_request_is_pending(mdev);

	lockdep_assert_held(&mdev->lock);

	if (first) {
		WRITE_ONCE(mdev->request.since, ktime_get_real_seconds());
		mdev->request.relayed = false;
	}
	WARN_ON_ONCE(mdev_state_request(&mdev->state, event));
	/*
	 * Full barrier: if a request trigger is being set now, either the ask
	 * that follows sees it, or its setter sees that a request is pending.
	 */
	smp_mb();
	return first;
}

/* Ask at once, no matter how often the holder was asked before */
static void mdev_request_make(struct mdev_device *mdev,
			      enum mdev_request_event event)
{
	bool first = mdev_request_begin(mdev, event);

	mdev_request_ask_now(mdev);
	if (first)
		mdev_request_uevent(mdev, MDEV_UEVENT_REQUEST_PENDING);
}

static bool mdev_may_ask_now(struct mdev_request *request)
{
	u32 now = jiffies;

	if (now - request->interval_start >= INTERVAL) {
		request->interval_start = now;
		request->asks = 0;
	}
	if (request->asks == ASKS_PER_INTERVAL)
		return false;
	request->asks++;
	return true;
}

/* The same for a wait, which may have been given up and repeated just now */
static void mdev_request_make_limited(struct mdev_device *mdev)
{
	bool first = mdev_request_begin(mdev, MDEV_REQ_EV_WAIT);

	if (mdev_may_ask_now(&mdev->request))
		mdev_request_ask_now(mdev);
	else
		queue_delayed_work(system_unbound_wq, &mdev->request.ask,
				   INTERVAL);
	if (first)
		mdev_request_uevent(mdev, MDEV_UEVENT_REQUEST_PENDING);
}

/**
 * mdev_request_last - ask a last time, for a revocation
 * @mdev: the device
 *
 * If a request is pending already, this causes no more lines than that.
 *
 * Context: under the device's lock.
 */
void mdev_request_last(struct mdev_device *mdev)
{
	if (!mdev_request_is_pending(mdev)) {
		mdev_request_make(mdev, MDEV_REQ_EV_REVOKE);
		return;
	}
	mdev_request_begin(mdev, MDEV_REQ_EV_REVOKE);
	mdev_ask(mdev);
}

/* @uevent NULL: none is sent */
static void mdev_request_over(struct mdev_device *mdev, char *uevent)
{
	struct mdev_request *request = &mdev->request;

	WRITE_ONCE(request->count, 0);
	WRITE_ONCE(request->since, 0);
	cancel_delayed_work(&request->ask);
	if (uevent)
		mdev_request_uevent(mdev, uevent);
}

static void mdev_request_end(struct mdev_device *mdev, char *uevent)
{
	bool was_pending = mdev_request_is_pending(mdev);

	lockdep_assert_held(&mdev->lock);

	WARN_ON_ONCE(mdev_state_request(&mdev->state, MDEV_REQ_EV_END));
	if (was_pending)
		mdev_request_over(mdev, uevent);
}

/* Apply @event; the request may stay pending for another reason */
static int mdev_request_withdraw(struct mdev_device *mdev,
				 enum mdev_request_event event)
{
	bool was_pending = mdev_request_is_pending(mdev);
	int ret;

	lockdep_assert_held(&mdev->lock);

	ret = mdev_state_request(&mdev->state, event);
	if (!ret && was_pending && !mdev_request_is_pending(mdev))
		mdev_request_over(mdev, MDEV_UEVENT_REQUEST_CANCELLED);
	return ret;
}

/**
 * mdev_request_trigger_set - a request trigger was set
 * @mdev: the device
 *
 * If a request is pending, the trigger is signalled at once.
 *
 * Context: process context. Without the device's lock, which the caller may be
 * unable to take: the parent's request callback, called under it, may need the
 * locks that the caller holds.
 */
void mdev_request_trigger_set(struct mdev_device *mdev)
{
	mdev_holder_set(mdev);
	if (!mdev_request_is_pending(mdev))
		return;
	WRITE_ONCE(mdev->request.trigger_set, true);
	mod_delayed_work(system_unbound_wq, &mdev->request.ask, 0);
}

/**
 * mdev_request_once - ask the holder once to release the device
 * @mdev: the device
 *
 * The request stays pending until it is met or cancelled.
 *
 * Return: 0, also if it has no holder; -EOPNOTSUPP if the parent driver cannot
 * ask.
 */
int mdev_request_once(struct mdev_device *mdev)
{
	int ret = 0;

	mutex_lock(&mdev->lock);
	if (!mdev_is_in_use(mdev)) {
		/* Released already */
	} else if (mdev_has_request(mdev)) {
		mdev_request_make(mdev, MDEV_REQ_EV_ASK);
	} else {
		mdev->request.announce = true;
		mdev_say_blocked(mdev, NO_CALLBACK);
		ret = -EOPNOTSUPP;
	}
	mutex_unlock(&mdev->lock);
	return ret;
}

/**
 * mdev_request_cancel - withdraw the request of mdev_request_once()
 * @mdev: the device
 *
 * Return: 0, or -EBUSY while a thread waits for the release, or has begun to
 * revoke the device.
 */
int mdev_request_cancel(struct mdev_device *mdev)
{
	int ret;

	mutex_lock(&mdev->lock);
	ret = mdev_request_withdraw(mdev, MDEV_REQ_EV_CANCEL);
	mutex_unlock(&mdev->lock);
	return ret;
}

void mdev_request_init(struct mdev_device *mdev)
{
	mutex_init(&mdev->lock);
	INIT_DELAYED_WORK(&mdev->request.ask, mdev_ask_work);
}

/* No request can be made any more; waits for one that is being made */
void mdev_request_stop(struct mdev_device *mdev)
{
	cancel_delayed_work_sync(&mdev->request.ask);
}

/**
 * mdev_use_begin - a process begins to open the device
 * @mdev: the device
 *
 * Return: 0; -EBUSY while a removal is pending; -ENODEV when it is gone.
 */
int mdev_use_begin(struct mdev_device *mdev)
{
	int ret = -EBUSY;

	mutex_lock(&mdev->lock);
	if (!mdev->request.evictors || mdev_is_going(mdev))
		ret = mdev_state_event(&mdev->state, MDEV_EV_OPEN);
	if (!ret) {
		mdev->request.interval_start = (u32)jiffies - INTERVAL;
		mdev_holder_set(mdev);
	}
	mutex_unlock(&mdev->lock);
	return ret;
}

/* The device is open: pass on a request that was made meanwhile */
void mdev_use_held(struct mdev_device *mdev)
{
	mutex_lock(&mdev->lock);
	mdev_event(mdev, MDEV_EV_OPENED);
	if (mdev_request_is_pending(mdev))
		mdev_ask(mdev);
	mutex_unlock(&mdev->lock);
}

/* The holder's last descriptor was closed: do not ask it any more */
void mdev_use_closing(struct mdev_device *mdev)
{
	mutex_lock(&mdev->lock);
	mdev_event(mdev, MDEV_EV_CLOSE);
	mutex_unlock(&mdev->lock);
}

static void mdev_use_end_locked(struct mdev_device *mdev,
				enum mdev_event event, char *uevent)
{
	mdev_request_end(mdev, uevent);
	mdev_holder_replace(mdev, NULL, "");
	mdev_event(mdev, event);
}

/* If a thread waits, a removal or an unbind follows at once, with its uevent */
static void mdev_use_over(struct mdev_device *mdev, enum mdev_event event)
{
	mutex_lock(&mdev->lock);
	mdev_use_end_locked(mdev, event, mdev->request.evictors ?
			    NULL : MDEV_UEVENT_REQUEST_MET);
	mutex_unlock(&mdev->lock);
	mdev_parent_wake(mdev_parent(mdev));
}

/* Open has failed */
void mdev_use_failed(struct mdev_device *mdev)
{
	mdev_use_over(mdev, MDEV_EV_OPEN_FAILED);
}

/* Close is done with the device */
void mdev_use_end(struct mdev_device *mdev)
{
	mdev_use_over(mdev, MDEV_EV_CLOSED);
}

/**
 * mdev_use_revoking - the gate is closed: begin to take the device back
 * @mdev: the device
 *
 * If the device is being closed, the parent's release callback can be outside
 * of the gate: mdev_wait_end() tells it that the device was revoked.
 *
 * Return: whether there is a holder to take it from; it is not asked any more.
 */
bool mdev_use_revoking(struct mdev_device *mdev)
{
	int ret;

	mutex_lock(&mdev->lock);
	ret = mdev_state_event(&mdev->state, MDEV_EV_REVOKE);
	mutex_unlock(&mdev->lock);
	WARN_ON_ONCE(ret && ret != -ENODEV);
	return !ret;
}

/* Revocation is done with the device */
void mdev_use_revoked(struct mdev_device *mdev)
{
	char holder[HOLDER_NAME_LEN];

	mutex_lock(&mdev->lock);
	dev_warn(&mdev->dev, "revoked from its holder: %s; mdev.ko stays loaded until the holder closes the device\n",
		 mdev_holder_name(mdev, holder));
	trace_mdev_revoke(&mdev->uuid, mdev_holder_nr(mdev));
	mdev_use_end_locked(mdev, MDEV_EV_REVOKED, MDEV_UEVENT_REQUEST_REVOKED);
	mutex_unlock(&mdev->lock);
	mdev_parent_wake(mdev_parent(mdev));
}

static void mdev_evict_begin_locked(struct mdev_device *mdev)
{
	struct mdev_request *request = &mdev->request;

	WRITE_ONCE(request->evictors, request->evictors + 1);
	if (mdev_is_in_use(mdev))
		mdev_request_make_limited(mdev);
}

static void mdev_evict_end_locked(struct mdev_device *mdev)
{
	struct mdev_request *request = &mdev->request;

	WRITE_ONCE(request->evictors, request->evictors - 1);
	if (!request->evictors)
		mdev_request_withdraw(mdev, MDEV_REQ_EV_GIVE_UP);
}

/**
 * mdev_evict_begin - keep new holders out, and ask the present one to release
 * @mdev: the device
 *
 * Does not wait. Undone by mdev_evict_end().
 */
void mdev_evict_begin(struct mdev_device *mdev)
{
	mutex_lock(&mdev->lock);
	mdev_evict_begin_locked(mdev);
	mutex_unlock(&mdev->lock);
}

void mdev_evict_end(struct mdev_device *mdev)
{
	mutex_lock(&mdev->lock);
	mdev_evict_end_locked(mdev);
	mutex_unlock(&mdev->lock);
}

/**
 * mdev_claim - become the thread that tears a device down
 * @mdev: the device
 * @event: MDEV_EV_CLAIM, or MDEV_EV_ABANDON for its creator
 *
 * Return: 0 for exactly one caller; -EAGAIN while it is being created; -EBUSY
 * while it is in use; -ENODEV if another thread has claimed it.
 */
int mdev_claim(struct mdev_device *mdev, enum mdev_event event)
{
	int ret;

	mutex_lock(&mdev->lock);
	ret = mdev_state_event(&mdev->state, event);
	mutex_unlock(&mdev->lock);
	if (!ret)
		mdev_parent_wake(mdev_parent(mdev));
	return ret;
}

/**
 * mdev_may_claim - can a thread still claim a device?
 * @mdev: the device
 *
 * Context: under the device's lock.
 * Return: 0; -EAGAIN while the device is being created; -ENODEV if a thread has
 * claimed it.
 */
int mdev_may_claim(struct mdev_device *mdev)
{
	lockdep_assert_held(&mdev->lock);

	if (mdev->state.phase == MDEV_NEW)
		return -EAGAIN;
	return mdev_is_going(mdev) ? -ENODEV : 0;
}

/**
 * mdev_removal_begin - keep new holders out, and ask the present one, for a writer
 * @mdev: the device
 *
 * Does not wait. Undone by mdev_removal_cancel(), if the device is not claimed.
 *
 * Return: 0; -EBUSY while another writer waits; -EAGAIN while the device is being
 * created; -ENODEV if a thread has claimed it.
 */
int mdev_removal_begin(struct mdev_device *mdev)
{
	int ret;

	mutex_lock(&mdev->lock);
	ret = mdev_may_claim(mdev);
	if (!ret && mdev->request.removing)
		ret = -EBUSY;
	if (!ret) {
		mdev->request.removing = true;
		mdev_evict_begin_locked(mdev);
	}
	mutex_unlock(&mdev->lock);
	return ret;
}

/* The writer gives up: undo mdev_removal_begin() */
void mdev_removal_cancel(struct mdev_device *mdev)
{
	mutex_lock(&mdev->lock);
	mdev->request.removing = false;
	mdev_evict_end_locked(mdev);
	mutex_unlock(&mdev->lock);
}
