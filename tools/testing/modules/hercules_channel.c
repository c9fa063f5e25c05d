// SPDX-License-Identifier: GPL-2.0-only
/*
 * A character device between a guest and the VM runner, for Hercules, a machine
 * that has no serial port.
 *
 * A write goes to Hercules's log by DIAGNOSE 8, as the text of its command
 * msgnoh: "=vm=TEXT=". A percent sign and two hexadecimal digits encode each
 * byte that is neither a letter nor a digit.
 *
 * A read returns the text that the runner has stored into a page of the guest's
 * memory, as an operator may. The module first logs the page's address, as
 * "=vm@ADDRESS=". The page is a ring of text. A byte of 0 is free; the reader
 * frees each byte that it has read.
 *
 * The module also polls for channel reports. Hercules's machine checks do not
 * say that the vector registers are valid, so the kernel stops at the first
 * machine check. The module masks the machine checks of channel reports, and
 * has the kernel look for channel reports regularly.
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

/* cpcmd() takes at most 240 bytes; an encoded byte takes three */
#define CHUNK		70
#define COMMAND		"msgnoh * "

/* The interval at which the module looks at the ring */
#define LOOK_JIFFIES	(HZ / 50 + 1)

/* The kernel looks for channel reports at each fifth look at the ring */
#define REPORT_LOOKS	5

static u8 *ring;
static size_t next;		/* of the ring, to be read; under ring_lock */
static DEFINE_MUTEX(ring_lock);
static DECLARE_WAIT_QUEUE_HEAD(wait);

/* The kernel's handler of the machine check that announces a channel report */
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

/* The symbol is not exported, so a temporary probe finds its address */
static int __init poll_channel_reports(void)
{
	struct kprobe probe = { .symbol_name = "crw_handle_channel_report" };
	int ret = register_kprobe(&probe);

	if (ret)
		return ret;
	handle_channel_report = (void *)probe.addr;
	unregister_kprobe(&probe);
	/* Each processor has its own control register */
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

/* There is no exit: the runner may store into the page at any time */
module_init(channel_init)

MODULE_DESCRIPTION("Channel between a guest on Hercules and the VM runner");
MODULE_LICENSE("GPL");
