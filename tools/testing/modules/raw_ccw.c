// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a channel program without translation, by START SUBCHANNEL and TEST
 * SUBCHANNEL, on a subchannel that another driver has enabled. That driver does
 * not notice: interrupts are disabled from the start of the program to its end,
 * and the machine has one processor.
 *
 * The memory has the same address for the channel and in the test's programs,
 * so addresses in a program are valid. A program that uses addresses outside of
 * this memory is an error of the test.
 */
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/timex.h>
#include <linux/uaccess.h>

#include "raw_ccw.h"

/*
 * Limits in microseconds for a program, and for a clear after it, on a machine
 * whose host is busy
 */
#define RUN_LIMIT	5000000
#define CLEAR_LIMIT	1000000

#define SCHIB_WORDS	13

/* Status control, in word 0 of the SCSW */
#define STCTL_SECONDARY	0x02
#define STCTL_ALERT	0x10

static void *memory;
static DEFINE_MUTEX(memory_lock); /* serialises uses of memory and subchannel */

static int start_subchannel(u32 id, const u32 *orb)
{
	int cc;

	asm volatile("	lgr	1,%[id]\n"
		     "	ssch	0(%[orb])\n"
		     "	ipm	%[cc]\n"
		     "	srl	%[cc],28\n"
		     : [cc] "=d" (cc)
		     : [id] "d" ((unsigned long)id), [orb] "a" (orb)
		     : "1", "cc", "memory");
	return cc;
}

static int clear_subchannel(u32 id)
{
	int cc;

	asm volatile("	lgr	1,%[id]\n"
		     "	csch\n"
		     "	ipm	%[cc]\n"
		     "	srl	%[cc],28\n"
		     : [cc] "=d" (cc)
		     : [id] "d" ((unsigned long)id)
		     : "1", "cc", "memory");
	return cc;
}

static int test_subchannel(u32 id, void *irb)
{
	int cc;

	asm volatile("	lgr	1,%[id]\n"
		     "	tsch	0(%[irb])\n"
		     "	ipm	%[cc]\n"
		     "	srl	%[cc],28\n"
		     : [cc] "=d" (cc)
		     : [id] "d" ((unsigned long)id), [irb] "a" (irb)
		     : "1", "cc", "memory");
	return cc;
}

static int store_subchannel(u32 id, u32 *schib)
{
	int cc;

	asm volatile("	lgr	1,%[id]\n"
		     "	stsch	0(%[schib])\n"
		     "	ipm	%[cc]\n"
		     "	srl	%[cc],28\n"
		     : [cc] "=d" (cc)
		     : [id] "d" ((unsigned long)id), [schib] "a" (schib)
		     : "1", "cc", "memory");
	return cc;
}

/* Returns whether the status is the last one of its program: the device end, or an alert */
static bool is_last(const u32 *irb)
{
	return irb[0] & (STCTL_SECONDARY | STCTL_ALERT);
}

/* Returns the number of responses including the last one, or -ETIMEDOUT */
static int wait_for_end(u32 id, void *irb, u64 limit)
{
	u64 end = get_tod_clock_fast() + (limit << 12);
	int responses = 0;

	while (get_tod_clock_fast() < end) {
		if (test_subchannel(id, irb))
			continue;
		responses++;
		if (is_last(irb))
			return responses;
	}
	return -ETIMEDOUT;
}

static int run(struct raw_ccw_run *arg)
{
	u32 irb[RAW_CCW_IRB_SIZE / sizeof(u32)] = { }, none[ARRAY_SIZE(irb)];
	u32 orb[RAW_CCW_ORB_WORDS] __aligned(8);
	u32 schib[SCHIB_WORDS] __aligned(8);
	unsigned long flags;
	int cc, ret;

	memcpy(orb, arg->orb, sizeof(orb));
	local_irq_save(flags);
	/* The start makes this the subchannel's parameter, so leave that as it is */
	if (!store_subchannel(arg->subchannel, schib))
		orb[0] = schib[0];
	cc = start_subchannel(arg->subchannel, orb);
	if (cc) {
		ret = cc == 3 ? -ENODEV : -EBUSY;
	} else {
		ret = wait_for_end(arg->subchannel, irb, RUN_LIMIT);
		if (ret < 0 && !clear_subchannel(arg->subchannel))
			wait_for_end(arg->subchannel, none, CLEAR_LIMIT);
	}
	local_irq_restore(flags);
	if (ret < 0)
		return ret;
	memcpy(arg->irb, irb, sizeof(arg->irb));
	arg->responses = ret;
	return 0;
}

static long raw_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	u64 address = virt_to_phys(memory);
	struct raw_ccw_run request;
	long ret;

	switch (cmd) {
	case RAW_CCW_ADDRESS:
		return copy_to_user((void __user *)arg, &address,
				    sizeof(address)) ? -EFAULT : 0;
	case RAW_CCW_RUN:
		if (copy_from_user(&request, (void __user *)arg,
				   sizeof(request)))
			return -EFAULT;
		mutex_lock(&memory_lock);
		ret = run(&request);
		mutex_unlock(&memory_lock);
		if (!ret && copy_to_user((void __user *)arg, &request,
					 sizeof(request)))
			ret = -EFAULT;
		return ret;
	default:
		return -ENOTTY;
	}
}

static ssize_t raw_read(struct file *file, char __user *to, size_t size,
			loff_t *pos)
{
	return simple_read_from_buffer(to, size, pos, memory, RAW_CCW_SIZE);
}

static ssize_t raw_write(struct file *file, const char __user *from,
			 size_t size, loff_t *pos)
{
	return simple_write_to_buffer(memory, RAW_CCW_SIZE, pos, from, size);
}

static const struct file_operations raw_fops = {
	.owner		= THIS_MODULE,
	.read		= raw_read,
	.write		= raw_write,
	.unlocked_ioctl	= raw_ioctl,
	.llseek		= default_llseek,
};

static struct miscdevice raw = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "raw_ccw",
	.fops	= &raw_fops,
};

static int __init raw_init(void)
{
	int ret;

	/* Another processor would take the interrupts */
	if (num_online_cpus() > 1)
		return -EINVAL;
	/* CCWs have 31-bit addresses */
	memory = (void *)__get_free_pages(GFP_DMA | __GFP_ZERO,
					  get_order(RAW_CCW_SIZE));
	if (!memory)
		return -ENOMEM;
	ret = misc_register(&raw);
	if (ret)
		free_pages((unsigned long)memory, get_order(RAW_CCW_SIZE));
	return ret;
}

static void __exit raw_exit(void)
{
	misc_deregister(&raw);
	free_pages((unsigned long)memory, get_order(RAW_CCW_SIZE));
}

module_init(raw_init)
module_exit(raw_exit)

MODULE_DESCRIPTION("Channel programs without translation, for tests of vfio-ccw");
MODULE_LICENSE("GPL");
