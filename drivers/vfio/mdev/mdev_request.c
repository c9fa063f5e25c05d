// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who uses a mediated device, and how the user is asked to release it.
 *
 * A request is pending from the moment somebody wants the device back until
 * the user has closed it (met) or nobody wants it any more (cancelled). Two
 * kinds of callers make one: those that wait for the release and keep new users
 * out meanwhile, the evictors (a removal, the parent's unregistration, an
 * unbind from vfio_mdev), for whom the user is asked again and again; and those
 * for whom it is asked once: the administrator who writes to "request", and a
 * revocation, which does not wait for the answer.
 */
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/kobject.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include <uapi/linux/vfio_mdev.h>

#include "mdev_private.h"
#include "mdev_trace.h"

/* Every so many relayed requests there is a line in the log */
#define RELAYS_PER_LINE		10

#define INTERVAL		(MDEV_REQUEST_INTERVAL * HZ)

/* Room for a command, a PID and what is around them */
#define USER_NAME_LEN		(TASK_COMM_LEN + 32)

/* Why nobody can be asked; what follows the user's name in the log */
#define NO_EVENTFD	" has registered no request eventfd"
#define NO_CALLBACK	"; the parent driver has no request callback"
#define NOT_SETTLED	" is still opening or closing it"

/*
 * The process that opened the device may be gone while another one, which
 * inherited the descriptor or was sent it, still uses it.
 */
static bool mdev_holder_exited(const struct mdev_device *mdev)
{
	struct task_struct *task;
	bool exited;

	rcu_read_lock();
	task = pid_task(mdev->holder, PIDTYPE_TGID);
	exited = !task || !atomic_read(&task->signal->live);
	rcu_read_unlock();
	return exited;
}

/* A process names itself as it likes; the log and sysfs have lines */
static void mdev_make_printable(char *comm)
{
	for (; *comm; comm++)
		if (!isascii(*comm) || !isprint(*comm))
			*comm = '?';
}

static const char *mdev_user_name(const struct mdev_device *mdev, char *buf)
{
	snprintf(buf, USER_NAME_LEN, "%s (pid %d%s)", mdev->comm,
		 pid_nr(mdev->holder),
		 mdev_holder_exited(mdev) ? ", exited" : "");
	return buf;
}

static void mdev_request_event(struct mdev_device *mdev, char *event)
{
	kobject_uevent_env(&mdev->dev.kobj, KOBJ_CHANGE,
			   (char *[]){ event, NULL });
}

static bool mdev_line_is_due(struct mdev_device *mdev, unsigned int seconds)
{
	if (!mdev->announce && time_before(jiffies, mdev->next_line))
		return false;
	mdev->announce = false;
	mdev->next_line = jiffies + seconds * HZ;
	return true;
}

/* Nobody can be asked, and why: say so at once, and then every minute */
static void mdev_say_blocked(struct mdev_device *mdev, const char *why)
{
	char user[USER_NAME_LEN];

	if (!mdev_line_is_due(mdev, MDEV_BLOCKED_INTERVAL))
		return;

	mdev_user_name(mdev, user);
	if (mdev->evictors)
		dev_warn(&mdev->dev, "removal blocked until device is released by its user: %s%s\n",
			 user, why);
	else
		dev_warn(&mdev->dev, "release cannot be requested of the user: %s%s\n",
			 user, why);
}

/**
 * mdev_request_relay - ask a mediated device's user to release it
 * @trigger: the device's request trigger
 * @count: as given to the request callback
 *
 * Signals the user's eventfd, and says so in the log at the first and then at
 * every tenth time. Where the user registered none, the log says that the
 * removal is blocked until the user releases the device, and who that is.
 *
 * Context: the request callback, and nowhere else.
 */
void mdev_request_relay(struct mdev_trigger *trigger, unsigned int count)
{
	struct mdev_device *mdev = trigger->mdev;
	char user[USER_NAME_LEN];

	lockdep_assert_held(&mdev->lock);

	if (mdev_trigger_signal(trigger)) {
		mdev->relayed = true;
		/* A user may set its eventfd, and so be asked, all the time */
		if ((mdev->announce || count % RELAYS_PER_LINE == 0) &&
		    mdev_line_is_due(mdev, MDEV_REQUEST_INTERVAL))
			dev_notice(&mdev->dev, "relaying device request to user (#%u): %s\n",
				   count + 1, mdev_user_name(mdev, user));
	} else if (mdev->relayed && !mdev->announce) {
		/*
		 * The user took its eventfd away. Most close the device right
		 * after that: one that stays is named the next time.
		 */
		mdev->relayed = false;
		mdev->next_line = jiffies;
	} else {
		mdev_say_blocked(mdev, NO_EVENTFD);
	}
}
EXPORT_SYMBOL_GPL(mdev_request_relay);

static void mdev_ask(struct mdev_device *mdev)
{
	lockdep_assert_held(&mdev->lock);

	if (mdev->use == MDEV_HELD) {
		unsigned int count = mdev->count;

		/* Whoever is woken by the request finds it counted */
		WRITE_ONCE(mdev->count, count + 1);
		trace_mdev_request(&mdev->uuid, count, pid_nr(mdev->holder));
		if (mdev_parent(mdev)->ops->request)
			vfio_mdev_request(mdev, count);
		else
			mdev_say_blocked(mdev, NO_CALLBACK);
	}
	if (mdev->evictors)
		mod_delayed_work(system_unbound_wq, &mdev->ask, INTERVAL);
}

static void mdev_ask_work(struct work_struct *work)
{
	struct mdev_device *mdev =
		container_of(work, struct mdev_device, ask.work);
	bool trigger_set;

	mutex_lock(&mdev->lock);
	/* One that is set from here on is found set below, too */
	trigger_set = xchg(&mdev->trigger_set, false);
	if (mdev->pending && (mdev->evictors || trigger_set)) {
		if (mdev->use != MDEV_HELD && mdev->use != MDEV_REVOKING)
			mdev_say_blocked(mdev, NOT_SETTLED);
		mdev_ask(mdev);
	}
	mutex_unlock(&mdev->lock);
}

/* Somebody wants the device back: ask, now, whatever was asked before */
static void mdev_request_make(struct mdev_device *mdev)
{
	bool first = !mdev->pending;

	lockdep_assert_held(&mdev->lock);

	if (first) {
		WRITE_ONCE(mdev->since, ktime_get_real_seconds());
		mdev->relayed = false;
		/*
		 * Full barrier: either a request trigger that is being set is
		 * seen below, or who sets it sees that a request is pending.
		 */
		smp_store_mb(mdev->pending, true);
	}
	mdev->announce = true;
	mdev_ask(mdev);
	if (first)
		mdev_request_event(mdev, MDEV_UEVENT_REQUEST_PENDING);
}

/*
 * It is about to be revoked: ask a last time, and where that has been going on
 * do not make more lines of it. Under the lock.
 */
void mdev_request_last(struct mdev_device *mdev)
{
	mdev->revoking = true;
	if (mdev->pending)
		mdev_ask(mdev);
	else
		mdev_request_make(mdev);
}

static void mdev_request_end(struct mdev_device *mdev, char *event)
{
	lockdep_assert_held(&mdev->lock);

	if (!mdev->pending)
		return;
	WRITE_ONCE(mdev->pending, false);
	mdev->asked_by_hand = false;
	mdev->revoking = false;
	WRITE_ONCE(mdev->count, 0);
	WRITE_ONCE(mdev->since, 0);
	cancel_delayed_work(&mdev->ask);
	mdev_request_event(mdev, event);
}

/*
 * A request trigger was set: while a request is pending, it is signalled at
 * once. Without the lock, which the caller may be unable to take: the parent's
 * request callback, called under it, may need the locks that the caller holds.
 */
void mdev_request_trigger_set(struct mdev_device *mdev)
{
	if (!READ_ONCE(mdev->pending))
		return;
	WRITE_ONCE(mdev->trigger_set, true);
	mod_delayed_work(system_unbound_wq, &mdev->ask, 0);
}

/**
 * mdev_request_once - ask the user once to release the device
 * @mdev: the device
 *
 * The request stays pending until it is met or cancelled.
 *
 * Return: 0, also when nobody uses it; -EOPNOTSUPP where the parent driver
 * cannot ask.
 */
int mdev_request_once(struct mdev_device *mdev)
{
	int ret = 0;

	mutex_lock(&mdev->lock);
	if (mdev->use == MDEV_FREE) {
		/* Released already */
	} else if (mdev_parent(mdev)->ops->request) {
		mdev->asked_by_hand = true;
		mdev_request_make(mdev);
	} else {
		mdev->announce = true;
		mdev_say_blocked(mdev, NO_CALLBACK);
		ret = -EOPNOTSUPP;
	}
	mutex_unlock(&mdev->lock);
	return ret;
}

/**
 * mdev_request_cancel - take back what mdev_request_once() asked
 * @mdev: the device
 *
 * Return: 0, or -EBUSY while somebody waits for the release, or has begun to
 * revoke the device.
 */
int mdev_request_cancel(struct mdev_device *mdev)
{
	int ret = 0;

	mutex_lock(&mdev->lock);
	if (mdev->evictors || mdev->revoking)
		ret = -EBUSY;
	else
		mdev_request_end(mdev, MDEV_UEVENT_REQUEST_CANCELLED);
	mutex_unlock(&mdev->lock);
	return ret;
}

void mdev_use_init(struct mdev_device *mdev)
{
	mutex_init(&mdev->lock);
	INIT_DELAYED_WORK(&mdev->ask, mdev_ask_work);
	INIT_LIST_HEAD(&mdev->triggers);
}

/**
 * mdev_use_begin - a process begins to open the device
 * @mdev: the device
 *
 * Return: 0; -EBUSY while a removal is pending; -ENODEV when it is gone.
 */
int mdev_use_begin(struct mdev_device *mdev)
{
	int ret = 0;

	mutex_lock(&mdev->lock);
	if (mdev->life != MDEV_LIVE) {
		ret = -ENODEV;
	} else if (mdev->evictors || mdev->use != MDEV_FREE) {
		ret = -EBUSY;
	} else {
		mdev->use = MDEV_OPENING;
		mdev->holder = get_pid(task_tgid(current));
		get_task_comm(mdev->comm, current->group_leader);
		mdev_make_printable(mdev->comm);
	}
	mutex_unlock(&mdev->lock);
	return ret;
}

/* It is open: a request that was made meanwhile is passed on now */
void mdev_use_held(struct mdev_device *mdev)
{
	mutex_lock(&mdev->lock);
	mdev->use = MDEV_HELD;
	if (mdev->pending)
		mdev_ask(mdev);
	mutex_unlock(&mdev->lock);
}

/* The user's last descriptor was closed: from now on nobody is asked */
void mdev_use_closing(struct mdev_device *mdev)
{
	mutex_lock(&mdev->lock);
	mdev->use = MDEV_CLOSING;
	mutex_unlock(&mdev->lock);
}

/* Close is still the one to end the use: see mdev_use_revoking() */
bool mdev_use_is_closing(struct mdev_device *mdev)
{
	bool closing;

	mutex_lock(&mdev->lock);
	closing = mdev->use == MDEV_CLOSING;
	mutex_unlock(&mdev->lock);
	return closing;
}

static void mdev_use_end_locked(struct mdev_device *mdev, char *event)
{
	mdev_request_end(mdev, event);
	/* Pairs with get_pid() in mdev_use_begin() */
	put_pid(mdev->holder);
	mdev->holder = NULL;
	WRITE_ONCE(mdev->use, MDEV_FREE);
}

/* Close is done with the device, or open has failed */
void mdev_use_end(struct mdev_device *mdev)
{
	mutex_lock(&mdev->lock);
	mdev_use_end_locked(mdev, MDEV_UEVENT_REQUEST_MET);
	mutex_unlock(&mdev->lock);
	mdev_changed(mdev);
}

/*
 * The gate is closed: is there still a user? If so, it is asked no more. One
 * that is closing waits for user space, outside: it finds out when it is back.
 */
bool mdev_use_revoking(struct mdev_device *mdev)
{
	bool held;

	mutex_lock(&mdev->lock);
	held = mdev->use == MDEV_HELD || mdev->use == MDEV_CLOSING;
	if (held)
		mdev->use = MDEV_REVOKING;
	mutex_unlock(&mdev->lock);
	return held;
}

/* Revocation is done with the device */
void mdev_use_revoked(struct mdev_device *mdev)
{
	char user[USER_NAME_LEN];

	mutex_lock(&mdev->lock);
	dev_warn(&mdev->dev, "revoked from its user: %s; mdev stays loaded until that closes it\n",
		 mdev_user_name(mdev, user));
	trace_mdev_revoke(&mdev->uuid, pid_nr(mdev->holder));
	mdev_use_end_locked(mdev, MDEV_UEVENT_REQUEST_REVOKED);
	mutex_unlock(&mdev->lock);
	mdev_changed(mdev);
}

int mdev_use_show(struct mdev_device *mdev, char *buf)
{
	int len = 0;

	mutex_lock(&mdev->lock);
	if (mdev->holder)
		len = sysfs_emit(buf, "%d %s\n", pid_vnr(mdev->holder),
				 mdev->comm);
	mutex_unlock(&mdev->lock);
	return len;
}

static void mdev_evict_begin_locked(struct mdev_device *mdev)
{
	WRITE_ONCE(mdev->evictors, mdev->evictors + 1);
	if (mdev->use != MDEV_FREE)
		mdev_request_make(mdev);
}

static void mdev_evict_end_locked(struct mdev_device *mdev)
{
	WRITE_ONCE(mdev->evictors, mdev->evictors - 1);
	if (!mdev->evictors && !mdev->asked_by_hand && !mdev->revoking)
		mdev_request_end(mdev, MDEV_UEVENT_REQUEST_CANCELLED);
}

/**
 * mdev_evict_begin - keep new users out, and ask the present one to release
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

/* To LIVE, and back to NEW where the last step of its creation failed */
void mdev_live(struct mdev_device *mdev, bool live)
{
	mutex_lock(&mdev->lock);
	if (mdev->life != MDEV_GOING)
		mdev->life = live || mdev->complete ? MDEV_LIVE : MDEV_NEW;
	mutex_unlock(&mdev->lock);
}

/* Under the lock: is it there, for somebody to tear it down? */
int mdev_may_claim(const struct mdev_device *mdev)
{
	lockdep_assert_held(&mdev->lock);

	if (mdev->life == MDEV_NEW)
		return -EAGAIN;
	return mdev->life == MDEV_LIVE ? 0 : -ENODEV;
}

/**
 * mdev_claim - become the one who tears an unused device down
 * @mdev: the device; its users must be kept out already, if it is LIVE
 * @from: the state of its life from which the caller may take it
 *
 * Return: whether the caller is the one.
 */
bool mdev_claim(struct mdev_device *mdev, enum mdev_life from)
{
	bool mine;

	mutex_lock(&mdev->lock);
	mine = mdev->life == from && mdev->use == MDEV_FREE;
	if (mine)
		WRITE_ONCE(mdev->life, MDEV_GOING);
	mutex_unlock(&mdev->lock);
	if (mine)
		mdev_changed(mdev);
	return mine;
}

/**
 * mdev_claim_released - get a device from its user, and claim it
 * @mdev: the device
 *
 * Asks the user, waits for the release without a limit, and claims the device
 * for teardown. Nothing has changed when it fails.
 *
 * Return: 0; -EINTR when a signal ended the wait; -EBUSY while another caller
 * waits; -EAGAIN while the device is being created; -ENODEV when somebody else
 * has claimed it.
 */
int mdev_claim_released(struct mdev_device *mdev)
{
	int ret;

	mutex_lock(&mdev->lock);
	ret = mdev_may_claim(mdev);
	if (!ret && mdev->removing)
		ret = -EBUSY;
	if (!ret) {
		mdev->removing = true;
		mdev_evict_begin_locked(mdev);
	}
	mutex_unlock(&mdev->lock);
	if (ret)
		goto out;

	if (wait_event_interruptible(mdev_parent(mdev)->wait,
				     READ_ONCE(mdev->use) == MDEV_FREE ||
				     READ_ONCE(mdev->life) != MDEV_LIVE))
		ret = -EINTR;
	else if (!mdev_claim(mdev, MDEV_LIVE))
		ret = -ENODEV;
	if (!ret)
		return 0;

	mutex_lock(&mdev->lock);
	mdev->removing = false;
	mdev_evict_end_locked(mdev);
	mutex_unlock(&mdev->lock);
out:
	trace_mdev_remove(&mdev->uuid, ret);
	return ret;
}
