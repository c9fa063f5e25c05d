/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of the kernel that vfio_ccw_io.c, vfio_ccw_fsm.c and vfio_ccw_crw.c
 * use, for user space. Included before everything else. There is only one
 * thread. Each lock knows whether it is held, and a wait lets the simulated
 * time pass.
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

#define GFP_KERNEL_ACCOUNT	0
#define kfree(p)		free(p)

static inline void *kzalloc(size_t size, int gfp)
{
	return calloc(1, size);
}

/* An address below 2 GiB; only passed on, never used */
#define virt_to_phys(p)		((unsigned long)(p) & 0x7ffffff8UL)

/* Time, in ms */
#define HZ		1000
#define USEC_PER_MSEC	1000
extern unsigned long jiffies;
#define time_after(a, b)	((long)((b) - (a)) < 0)
void time_passes(unsigned long ms);
#define fsleep(us)	time_passes(((us) + 999) / 1000)

struct lock {
	bool held;
};

void lock_take(bool *held);
void lock_drop(bool *held);
#define spinlock_t		struct lock
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

struct list_head { int unused; };
struct completion { int unused; };
struct work_struct { int unused; };
struct device { int unused; };
struct device_driver { int unused; };
struct css_device_id { int unused; };
struct ratelimit_state { int unused; };
struct ccw_device { int unused; };
#define __ratelimit(state)	((void)(state), true)
#define dev_err(dev, ...)	((void)(dev))
#define dev_info(dev, ...) \
	({ (void)(dev); snprintf(NULL, 0, __VA_ARGS__); })
#define DECLARE_PER_CPU_ALIGNED(type, name)	extern type name
#define cpu_relax()

struct mdev_device { int unused; };
struct mdev_parent_ops;
enum mdev_trigger_kind { MDEV_TRIGGER_INTERRUPT };
struct mdev_trigger { unsigned int signals; };
bool mdev_trigger_signal(struct mdev_trigger *trigger);
void mdev_wait_begin(struct mdev_device *mdev);
int mdev_wait_end(struct mdev_device *mdev);

#endif /* SUBCHANNEL_KERNEL_H */
