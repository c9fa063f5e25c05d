/* SPDX-License-Identifier: GPL-2.0-only */
/* What drivers/vfio/mdev/mdev_unmap.c needs of the kernel, for one thread */
#ifndef STATE_KERNEL_H
#define STATE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define u64	uint64_t

#define GFP_KERNEL	0
#define __GFP_NOFAIL	0
#define HZ		1000

static inline unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

#define atomic64_t		struct { u64 counter; }
#define ATOMIC64_INIT(value)	{ value }
#define atomic64_read(a)	((a)->counter)
#define atomic64_inc_return(a)	(++(a)->counter)

struct list_head {
	struct list_head *next, *prev;
};

#define INIT_LIST_HEAD(list)	((list)->next = (list)->prev = (list))

struct hlist_node {
	struct hlist_node *next;
};

#define DEFINE_HASHTABLE(name, bits)	struct hlist_node *name
#define hash_add(table, entry, key)	((void)(key), (table) = (entry))
#define hash_del(entry)			((void)(entry))
#define hash_for_each_possible(table, object, member, key) \
	for (object = ((void)(key), (void)(table), NULL); object; object = NULL)

#define refcount_t		int
#define refcount_set(refs, value)	(*(refs) = (value))
#define refcount_inc(refs)		(++*(refs))
#define refcount_dec_and_test(refs)	(!--*(refs))

#define DEFINE_SPINLOCK(name)	int name
#define spin_lock(lock)		((void)(lock))
#define spin_unlock(lock)	((void)(lock))

struct pid {
	int nr;
};

extern struct pid this_thread;
#define current			NULL
#define task_pid(task)		((void)(task), &this_thread)
#define get_pid(pid)		(pid)
#define put_pid(pid)		((void)(pid))

#define kzalloc(size, flags)	calloc(1, size)
#define kfree(memory)		free(memory)

#endif /* STATE_KERNEL_H */
