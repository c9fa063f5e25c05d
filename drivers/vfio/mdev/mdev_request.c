// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who uses a mediated device, and how the user is asked to release it.
 *
 * A request is pending from the moment somebody wants the device back until
 * the user has closed it (met) or nobody wants it any more (cancelled). Two
 * kinds of callers make one: those that wait for the release and keep new users
 * out meanwhile, the evictors (a removal, the parent's unregistration, an
 * unbind from vfio_mdev), for whom the user is asked again and again; and the
 * administrator who writes to "request", for whom it is asked once.
 */
#include <linux/export.h>
#include <linux/kobject.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>

#include <uapi/linux/vfio_mdev.h>

#include "mdev_private.h"
#include "mdev_trace.h"

/* Every so many relayed requests there is a line in the log */
#define RELAYS_PER_NOTICE	10

#define INTERVAL		(MDEV_REQUEST_INTERVAL * HZ)

/* Room for a command, a PID and what is around them */
#define USER_NAME_LEN		(TASK_COMM_LEN + 32)

/* Why nobody can be asked; what follows the user's name in the log */
#define NO_EVENTFD	" has registered no request eventfd"
#define NO_CALLBACK	"; the parent driver has no request callback"

/* Runs mdev_device.ask; flushed before this module goes */
static struct workqueue_struct *mdev_request_wq;

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

/* Nobody can be asked, and why: say so at once, and then every minute */
static void mdev_say_blocked(struct mdev_device *mdev, const char *why)
{
	char user[USER_NAME_LEN];

	if (!mdev->announce && time_before(jiffies, mdev->next_notice))
		return;
	mdev->announce = false;
	mdev->next_notice = jiffies + MDEV_BLOCKED_INTERVAL * HZ;

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

	if (!mdev_trigger_signal(trigger)) {
		mdev_say_blocked(mdev, NO_EVENTFD);
		return;
	}

	/* Should the user take its eventfd away, a line is due at once */
	mdev->next_notice = jiffies;
	if (mdev->announce || count % RELAYS_PER_NOTICE == 0)
		dev_notice(&mdev->dev, "relaying device request to user (#%u): %s\n",
			   count + 1, mdev_user_name(mdev, user));
	mdev->announce = false;
}
EXPORT_SYMBOL_GPL(mdev_request_relay);

static void mdev_ask(struct mdev_device *mdev)
{
	lockdep_assert_held(&mdev->lock);

	if (!mdev->pending || mdev->use != MDEV_HELD)
		return;

	trace_mdev_request(&mdev->uuid, mdev->count, pid_nr(mdev->holder));
	if (mdev_parent(mdev)->ops->request)
		vfio_mdev_request(mdev, mdev->count);
	else
		mdev_say_blocked(mdev, NO_CALLBACK);
	mdev->count++;

	if (mdev->evictors)
		mod_delayed_work(mdev_request_wq, &mdev->ask, INTERVAL);
}

static void mdev_ask_work(struct work_struct *work)
{
	struct mdev_device *mdev =
		container_of(work, struct mdev_device, ask.work);

	mutex_lock(&mdev->lock);
	mdev_ask(mdev);
	mutex_unlock(&mdev->lock);
}

/* Somebody wants the device back: ask, now, whatever was asked before */
static void mdev_request_make(struct mdev_device *mdev)
{
	bool first = !mdev->pending;

	lockdep_assert_held(&mdev->lock);

	if (first) {
		mdev->count = 0;
		mdev->since = ktime_get_real_seconds();
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

static void mdev_request_end(struct mdev_device *mdev, char *event)
{
	lockdep_assert_held(&mdev->lock);

	if (!mdev->pending)
		return;
	WRITE_ONCE(mdev->pending, false);
	mdev->asked_by_hand = false;
	mdev->count = 0;
	mdev->since = 0;
	cancel_delayed_work(&mdev->ask);
	mdev_request_event(mdev, event);
}

/*
 * A request trigger was set or taken away. While a request is pending, a new
 * one is signalled at once. One that was taken away is most often followed by
 * close: leave the user a whole interval for that before the log says that it
 * can't be asked any more.
 *
 * Without the lock, which the caller may be unable to take: the parent's
 * request callback, called under it, may need the locks that the caller holds.
 */
void mdev_request_trigger_changed(struct mdev_device *mdev, bool set)
{
	if (!READ_ONCE(mdev->pending))
		return;
	if (set)
		mod_delayed_work(mdev_request_wq, &mdev->ask, 0);
	else if (READ_ONCE(mdev->evictors))
		mod_delayed_work(mdev_request_wq, &mdev->ask, INTERVAL);
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
 * Return: 0, or -EBUSY while somebody waits for the release.
 */
int mdev_request_cancel(struct mdev_device *mdev)
{
	int ret = 0;

	mutex_lock(&mdev->lock);
	if (mdev->evictors)
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
	}
	mutex_unlock(&mdev->lock);
	return ret;
}

/* It is open: a request that was made meanwhile is passed on now */
void mdev_use_held(struct mdev_device *mdev)
{
	mutex_lock(&mdev->lock);
	mdev->use = MDEV_HELD;
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

/* Close is done with the device, or open has failed */
void mdev_use_end(struct mdev_device *mdev)
{
	mutex_lock(&mdev->lock);
	mdev_request_end(mdev, MDEV_UEVENT_REQUEST_MET);
	/* Pairs with get_pid() in mdev_use_begin() */
	put_pid(mdev->holder);
	mdev->holder = NULL;
	WRITE_ONCE(mdev->use, MDEV_FREE);
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
	if (!mdev->evictors && !mdev->asked_by_hand)
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

/* From NEW to LIVE, or back where the last step failed */
void mdev_live(struct mdev_device *mdev, bool live)
{
	mutex_lock(&mdev->lock);
	if (mdev->life <= MDEV_LIVE)
		mdev->life = live ? MDEV_LIVE : MDEV_NEW;
	mutex_unlock(&mdev->lock);
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
	int ret = 0;

	mutex_lock(&mdev->lock);
	if (mdev->life == MDEV_NEW)
		ret = -EAGAIN;
	else if (mdev->life != MDEV_LIVE)
		ret = -ENODEV;
	else if (mdev->removing)
		ret = -EBUSY;
	if (!ret) {
		mdev->removing = true;
		mdev_evict_begin_locked(mdev);
	}
	mutex_unlock(&mdev->lock);
	if (ret)
		return ret;

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
	return ret;
}

int mdev_request_init(void)
{
	mdev_request_wq = alloc_workqueue("mdev_request", WQ_UNBOUND, 0);
	return mdev_request_wq ? 0 : -ENOMEM;
}

void mdev_request_exit(void)
{
	destroy_workqueue(mdev_request_wq);
}
