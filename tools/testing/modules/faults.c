// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does one thing wrong when it is loaded, for the tests of the VM runner: a
 * debug kernel has to find the fault, and the runner has to report it.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>

static char *kind = "";
module_param(kind, charp, 0444);
MODULE_PARM_DESC(kind, "Name of the error");

/* The compiler must not recognise these faults, or it would warn */

static void use_after_free(void)
{
	u8 *byte = kmalloc(32, GFP_KERNEL);

	kfree(byte);
	OPTIMIZER_HIDE_VAR(byte);
	if (byte)
		READ_ONCE(*byte);
}

static void out_of_bounds(void)
{
	u8 *bytes = kmalloc(32, GFP_KERNEL);
	size_t i = 32;

	OPTIMIZER_HIDE_VAR(i);
	if (bytes)
		READ_ONCE(bytes[i]);
	kfree(bytes);
}

static void leak(void)
{
	int i;

	/*
	 * Leak several objects: a register or a stack may hold the address of
	 * the last one for long
	 */
	for (i = 0; i < 10; i++) {
		void *lost = kmalloc(32, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(lost);
	}
}

static void shift(void)
{
	unsigned int by = 32;
	u32 value = 1;

	OPTIMIZER_HIDE_VAR(by);
	value <<= by;
	OPTIMIZER_HIDE_VAR(value);
}

static void never(struct timer_list *timer)
{
}

static void free_active_timer(void)
{
	struct timer_list *timer = kmalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return;
	timer_setup(timer, never, 0);
	mod_timer(timer, jiffies + 3600 * HZ);
	kfree(timer);
}

static void lock_order(void)
{
	static DEFINE_SPINLOCK(first);
	static DEFINE_SPINLOCK(second);

	spin_lock(&first);
	spin_lock(&second);
	spin_unlock(&second);
	spin_unlock(&first);

	spin_lock(&second);
	spin_lock(&first);
	spin_unlock(&first);
	spin_unlock(&second);
}

static void rcu_without_lock(void)
{
	static int __rcu *pointer;

	rcu_dereference(pointer);
}

static void sleep_in_atomic(void)
{
	preempt_disable();
	might_sleep();
	preempt_enable();
}

static void hang(void)
{
	schedule_timeout_uninterruptible(20 * HZ);
}

static const struct {
	const char *name;
	void (*make)(void);
} faults[] = {
	{ "use_after_free", use_after_free },
	{ "out_of_bounds", out_of_bounds },
	{ "leak", leak },
	{ "shift", shift },
	{ "free_active_timer", free_active_timer },
	{ "lock_order", lock_order },
	{ "rcu_without_lock", rcu_without_lock },
	{ "sleep_in_atomic", sleep_in_atomic },
	{ "hang", hang },
};

static int __init faults_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (strcmp(kind, faults[i].name))
			continue;
		faults[i].make();
		return 0;
	}
	return -EINVAL;
}

static void __exit faults_exit(void)
{
}

module_init(faults_init)
module_exit(faults_exit)

MODULE_DESCRIPTION("Errors that a debug kernel has to find");
MODULE_LICENSE("GPL");
