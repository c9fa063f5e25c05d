// SPDX-License-Identifier: GPL-2.0-only
/*
 * A character device between a guest and the VM runner, on a machine that has no
 * serial port: Hercules.
 *
 * What is written goes to Hercules's log, as the text of its command msgnoh by
 * DIAGNOSE 8: "=vm=TEXT=", where a percent sign and two hexadecimal digits stand
 * for whatever is neither a letter nor a digit.
 *
 * What can be read is what the runner has stored in a page of this machine's
 * memory, as an operator may: its address is told first, as "=vm@ADDRESS=". The
 * page is a ring of text. A byte of 0 is free; the reader frees what it has read.
 *
 * It also sees to channel reports. Hercules's machine checks do not say that the
 * vector registers are valid, and the kernel stops at the first of them: so they
 * are masked, and the kernel is made to look for reports again and again.
 */
#include <linux/cpumask.h>
#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include <asm/cpcmd.h>
#include <asm/ctlreg.h>

/* cpcmd() takes 240 bytes; a byte may become three */
#define CHUNK		70
#define COMMAND		"msgnoh * "

/* How often the ring is looked at */
#define LOOK_JIFFIES	(HZ / 50 + 1)

/* Once out of how many looks at the ring the kernel looks for channel reports */
#define REPORT_LOOKS	5

static u8 *ring;
static size_t next;		/* where in the ring to read; under ring_lock */
static DEFINE_MUTEX(ring_lock);
static DECLARE_WAIT_QUEUE_HEAD(wait);

/* What the kernel does at a machine check that announces a channel report */
static void (*handle_channel_report)(void);

static bool readable(void)
{
	return READ_ONCE(ring[READ_ONCE(next)]);
}

static void look(struct timer_list *timer)
{
	static unsigned int looks;

	if (++looks % REPORT_LOOKS == 0)
		handle_channel_report();
	if (readable())
		wake_up_interruptible(&wait);
	mod_timer(timer, jiffies + LOOK_JIFFIES);
}

static DEFINE_TIMER(timer, look);

static ssize_t channel_read(struct file *file, char __user *to, size_t size,
			    loff_t *pos)
{
	size_t len = 0;
	ssize_t ret = 0;

	if (wait_event_interruptible(wait, readable()))
		return -ERESTARTSYS;
	mutex_lock(&ring_lock);
	while (len < size && readable()) {
		if (put_user(ring[next], to + len)) {
			ret = -EFAULT;
			break;
		}
		WRITE_ONCE(ring[next], 0);
		WRITE_ONCE(next, (next + 1) % PAGE_SIZE);
		len++;
	}
	mutex_unlock(&ring_lock);
	return len ?: ret;
}

static ssize_t channel_write(struct file *file, const char __user *from,
			     size_t size, loff_t *pos)
{
	char command[sizeof(COMMAND) + 3 * CHUNK + 16];
	u8 chunk[CHUNK];
	size_t done, len, i;
	int at;

	for (done = 0; done < size; done += len) {
		len = min_t(size_t, size - done, CHUNK);
		if (copy_from_user(chunk, from + done, len))
			return -EFAULT;
		at = sprintf(command, COMMAND "=vm=");
		for (i = 0; i < len; i++)
			at += sprintf(command + at,
				      isascii(chunk[i]) && isalnum(chunk[i]) ?
				      "%c" : "%%%02X", chunk[i]);
		sprintf(command + at, "=");
		cpcmd(command, NULL, 0, NULL);
		cond_resched();
	}
	return size;
}

static __poll_t channel_poll(struct file *file, poll_table *table)
{
	poll_wait(file, &wait, table);
	return EPOLLOUT | EPOLLWRNORM |
	       (readable() ? EPOLLIN | EPOLLRDNORM : 0);
}

static const struct file_operations channel_fops = {
	.owner	= THIS_MODULE,
	.read	= channel_read,
	.write	= channel_write,
	.poll	= channel_poll,
	.llseek	= noop_llseek,
};

static struct miscdevice channel = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "hercules",
	.fops	= &channel_fops,
};

/* The symbol is not exported: a probe that is not kept finds it */
static int __init poll_channel_reports(void)
{
	struct kprobe probe = { .symbol_name = "crw_handle_channel_report" };
	int ret = register_kprobe(&probe);

	if (ret)
		return ret;
	handle_channel_report = (void *)probe.addr;
	unregister_kprobe(&probe);
	/* A control register is a processor's own */
	if (num_online_cpus() > 1)
		return -EINVAL;
	local_ctl_clear_bit(14, CR14_CHANNEL_REPORT_SUBMASK_BIT);
	return 0;
}

static int __init channel_init(void)
{
	char command[64];
	int ret = poll_channel_reports();

	if (ret)
		return ret;
	ring = (u8 *)get_zeroed_page(GFP_KERNEL);
	if (!ring)
		return -ENOMEM;
	snprintf(command, sizeof(command), COMMAND "=vm@%llx=",
		 (unsigned long long)virt_to_phys(ring));
	cpcmd(command, NULL, 0, NULL);
	ret = misc_register(&channel);
	if (ret) {
		free_page((unsigned long)ring);
		return ret;
	}
	mod_timer(&timer, jiffies + LOOK_JIFFIES);
	return 0;
}

/* It stays: the runner may store into the page at any time */
module_init(channel_init)

MODULE_DESCRIPTION("Channel between a guest on Hercules and the VM runner");
MODULE_LICENSE("GPL");
