/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of the kernel that vfio_ccw_drv.c, vfio_ccw_io.c, vfio_ccw_fsm.c and
 * vfio_ccw_crw.c use, for user space. Included before everything else. There is
 * only one thread. Each lock knows whether it is held, and a wait lets the
 * simulated time pass.
 */
#ifndef SUBCHANNEL_KERNEL_H
#define SUBCHANNEL_KERNEL_H

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

#define u8		__u8
#define u16		__u16
#define u32		__u32
#define u64		__u64
#define s16		__s16
#define dma32_t		u32
#define dma64_t		u64
#define dma_addr_t	u64

#define U64_MAX		UINT64_MAX
#define __force
#define __rcu
#define __packed	__attribute__((packed))
#define __aligned(n)	__attribute__((aligned(n)))
#define likely(x)	(x)
#define unlikely(x)	(x)
#define READ_ONCE(x)	(x)
#define BUILD_BUG_ON(x)	static_assert(!(x), #x)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define min(a, b)	({ __auto_type _a = (a); __auto_type _b = (b); \
			   _a < _b ? _a : _b; })
#define IS_ERR(p)	((unsigned long)(p) > -4096UL)
#define ERR_PTR(err)	((void *)(long)(err))
#define be32_to_cpu	be32toh

#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))
#define WARN_ON(x)	((void)(x))

#define GFP_KERNEL		0
#define MDEV_GFP_HOLDER	1
/* How many allocations were not charged to the holder */
extern unsigned int unaccounted;
#define kfree(p)		free(p)

static inline void *kzalloc(size_t size, int gfp)
{
	unaccounted += gfp != MDEV_GFP_HOLDER;
	return calloc(1, size);
}

/* An address below 2 GiB; only passed on, never used */
#define virt_to_phys(p)		((unsigned long)(p) & 0x7ffffff8UL)

/* Time, in ms */
#define HZ		1000
#define USEC_PER_MSEC	1000
extern unsigned long jiffies;
#define time_after(a, b)	((long)((b) - (a)) < 0)
#define time_before(a, b)	time_after(b, a)
void time_passes(unsigned long ms);
#define fsleep(us)	time_passes(((us) + 999) / 1000)

struct lock {
	bool held;
};

void lock_take(bool *held);
void lock_drop(bool *held);
#define spinlock_t		struct lock
#define spin_lock_init(l)	((l)->held = false)
#define spin_lock_irq(l)	lock_take(&(l)->held)
#define spin_unlock_irq(l)	lock_drop(&(l)->held)
#define spin_lock_irqsave(l, flags) \
	({ (flags) = 0; lock_take(&(l)->held); })
#define spin_unlock_irqrestore(l, flags) \
	({ (void)(flags); lock_drop(&(l)->held); })
#define lockdep_assert_held(l)	assert((l)->held)

struct mutex {
	bool held;
};

#define mutex_init(m)		((m)->held = false)
#define mutex_destroy(m)	assert(!(m)->held)
#define mutex_lock(m)		lock_take(&(m)->held)
#define mutex_unlock(m)		lock_drop(&(m)->held)

static inline bool mutex_trylock(struct mutex *mutex)
{
	if (mutex->held)
		return false;
	lock_take(&mutex->held);
	return true;
}

struct refcount {
	int refs;
};

#define refcount_t		struct refcount
#define refcount_set(r, n)	((r)->refs = (n))

static inline void refcount_inc(struct refcount *count)
{
	assert(count->refs > 0);
	count->refs++;
}

static inline bool refcount_dec_and_test(struct refcount *count)
{
	assert(count->refs > 0);
	return !--count->refs;
}

static inline void refcount_dec(struct refcount *count)
{
	bool last = refcount_dec_and_test(count);

	assert(!last);
}

struct wait_queue {
	int unused;
};

#define wait_queue_head_t	struct wait_queue
#define init_waitqueue_head(queue)	((void)(queue))
#define wq_has_sleeper(queue)	((void)(queue), true)
#define wake_up_all(queue)	((void)(queue))
#define wait_event_timeout(queue, condition, timeout) do {		\
	unsigned long until_ = jiffies + (timeout);			\
									\
	(void)(queue);							\
	while (!(condition) && !time_after(jiffies, until_))		\
		time_passes(1);						\
} while (0)

struct atomic {
	int counter;
};

#define atomic_t		struct atomic
#define atomic_set(a, n)	((a)->counter = (n))

/* A work runs when it is flushed */
struct work_struct {
	void (*func)(struct work_struct *work);
	bool pending;
};

struct workqueue_struct { int unused; };
#define WQ_UNBOUND		0

static inline struct workqueue_struct *alloc_workqueue(const char *name,
						       int flags, int most)
{
	return kzalloc(sizeof(struct workqueue_struct), GFP_KERNEL);
}

#define destroy_workqueue(wq)	free(wq)
#define INIT_WORK(work, f)	(*(work) = (struct work_struct){ .func = (f) })
#define queue_work(wq, work)	((void)(wq), (work)->pending = true)
#define work_pending(work)	((work)->pending)

static inline void flush_work(struct work_struct *work)
{
	if (!work->pending)
		return;
	work->pending = false;
	work->func(work);
}

struct completion {
	bool done;
};

#define init_completion(c)	((c)->done = false)
#define complete(c)		((c)->done = true)
#define wait_for_completion(c)	assert((c)->done)

struct device {
	void *drvdata;
	bool registered;
	int refs;
};

#define dev_get_drvdata(dev)		((dev)->drvdata)
#define dev_set_drvdata(dev, data)	((dev)->drvdata = (data))
#define device_is_registered(dev)	((dev)->registered)
#define get_device(dev)			((dev)->refs++)
#define put_device(dev)			((dev)->refs--)

struct device_driver {
	const char *name;
	void *owner;
};

#define THIS_MODULE		NULL
#define driver_for_each_device(driver, start, data, f) \
	((void)(driver), (void)(start), (f)(NULL, data))
#define __init
#define __exit
#define module_init(f)		void driver_init(int *err) { *err = f(); }
#define module_exit(f)		void driver_exit(void) { f(); }
#define MDEV_VERSION		""
#define MODULE_DEVICE_TABLE(type, table) static_assert(sizeof(table), #type)
#define MODULE_DESCRIPTION(text)	static_assert(sizeof(text))
#define MODULE_LICENSE(text)		static_assert(sizeof(text))
#define MODULE_VERSION(text)		static_assert(sizeof(text))

struct css_device_id {
	u8 match_flags;
	u8 type;
};

#define VFIO_CCW_ISC		4
#define isc_register(isc)	((void)(isc))
#define isc_unregister(isc)	((void)(isc))
enum { IRQIO_CIO, NR_IRQ_STATS };
extern unsigned int irq_stats[NR_IRQ_STATS];
#define inc_irq_stat(column)	(irq_stats[column]++)
#define this_cpu_ptr(p)		(p)

struct list_head { int unused; };
struct ratelimit_state { int unused; };
struct ccw_device { int online; };
#define DEFAULT_RATELIMIT_INTERVAL	5
#define DEFAULT_RATELIMIT_BURST		10
#define ratelimit_state_init(state, interval, burst) \
	((void)(state), (void)(interval), (void)(burst))
#define __ratelimit(state)	((void)(state), true)
#define dev_err(dev, ...)	((void)(dev))
#define dev_warn(dev, ...)	((void)(dev))
#define dev_info(dev, ...) \
	({ (void)(dev); snprintf(NULL, 0, __VA_ARGS__); })
#define DECLARE_PER_CPU_ALIGNED(type, name)	extern type name
#define cpu_relax()

struct mdev_device { int unused; };
struct mdev_parent_ops { int unused; };
enum mdev_trigger_kind { MDEV_TRIGGER_INTERRUPT };
struct mdev_trigger { unsigned int signals; };
bool mdev_trigger_signal(struct mdev_trigger *trigger);
void mdev_wait_begin(struct mdev_device *mdev);
int mdev_wait_end(struct mdev_device *mdev);
int mdev_register_device(struct device *dev, const struct mdev_parent_ops *ops);
void mdev_unregister_device(struct device *dev);
void mdev_unregister_begin(struct device *dev);
void mdev_parent_gone(struct device *dev);

#endif /* SUBCHANNEL_KERNEL_H */
