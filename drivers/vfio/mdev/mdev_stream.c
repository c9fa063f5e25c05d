// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migration data; see mdev_stream.h. A session (mdev_migration.c) saves a state
 * into a stream, or takes one out of it, and ends it. The holder reads and writes
 * the stream's file.
 */
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/ratelimit.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uuid.h>
#include <linux/wait.h>

#include "compat.h"
#include "mdev_stream.h"

#define STREAM_FORMAT	1

static const u8 stream_magic[8] = "mdev-mig";

/* The size of the data in pre-copy: the header up to the size of the state */
#define IDENTITY_SIZE	offsetof(struct mdev_stream_header, size)

/**
 * struct mdev_stream_data - the header, and the state
 * @refs: that of the stream until the session is over, and one of each read or
 *	write under way
 * @bytes: the header, and the state behind it
 */
struct mdev_stream_data {
	refcount_t refs;
	u8 bytes[] __aligned(sizeof(u64));
};

/**
 * struct mdev_stream - the data of one session
 * @refs: that of the file, and that of the session, put by mdev_stream_end()
 * @io: one read or write of the file at a time; held over accesses to the
 *	holder's memory, so only the file's own calls take it
 * @lock: protects @filled, @final, @refused, and the pointer @data
 * @wait: for poll()
 * @saving: the file is read; else it is written. Constant
 * @filled: how many bytes of @data are complete. They never change; a write
 *	fills in the bytes behind them, and then raises this
 * @pos: how many of them were read; under @io
 * @final: no more come: all of the state has been saved
 * @finished: no more are taken: the session is about to load the state
 * @refused: the data written cannot become a stream of this device
 * @expected: the header of a stream of this device, but for the size
 * @name: the device's
 * @max_size: the largest state
 * @data: NULL when the session is over
 *
 * If no session has begun, the file's release frees all of it.
 */
struct mdev_stream {
	refcount_t refs;
	struct mutex io; /* reads and writes of the file: see above */
	spinlock_t lock; /* see above */
	wait_queue_head_t wait;
	bool saving;
	bool final;
	bool finished;
	bool refused;
	size_t filled;
	size_t pos;
	struct mdev_stream_header expected;
	char name[UUID_STRING_LEN + 1];
	u32 max_size;
	struct mdev_stream_data *data;
};

static size_t mdev_stream_size(const struct mdev_stream *stream)
{
	return sizeof(struct mdev_stream_header) + stream->max_size;
}

static void mdev_stream_put_data(struct mdev_stream_data *data)
{
	if (refcount_dec_and_test(&data->refs))
		kvfree(data);
}

static void mdev_stream_put(struct mdev_stream *stream)
{
	if (!refcount_dec_and_test(&stream->refs))
		return;
	if (stream->data)
		mdev_stream_put_data(stream->data);
	kfree(stream);
}

/* For a call of the file: NULL if the session is over, or takes no more data */
static struct mdev_stream_data *mdev_stream_get_data(struct mdev_stream *stream)
{
	struct mdev_stream_data *data;

	spin_lock(&stream->lock);
	data = stream->finished ? NULL : stream->data;
	if (data)
		refcount_inc(&data->refs);
	spin_unlock(&stream->lock);
	return data;
}

static struct mdev_stream_data *
mdev_stream_new_data(const struct mdev_stream_source *source)
{
	struct mdev_stream_data *data;

	data = kvzalloc(struct_size(data, bytes,
				    sizeof(struct mdev_stream_header) +
				    source->max_size), GFP_KERNEL_ACCOUNT);
	if (data)
		refcount_set(&data->refs, 1);
	return data;
}

/* For a call of the session: its data stays until mdev_stream_end() */
static struct mdev_stream_header *
mdev_stream_header(const struct mdev_stream *stream)
{
	return (struct mdev_stream_header *)stream->data->bytes;
}

/* The one reference is its file's */
static struct mdev_stream *
mdev_stream_alloc(const struct mdev_stream_source *source, bool saving)
{
	struct mdev_stream *stream;

	stream = kzalloc(sizeof(*stream), GFP_KERNEL_ACCOUNT);
	if (!stream)
		return NULL;
	stream->data = mdev_stream_new_data(source);
	if (!stream->data) {
		kfree(stream);
		return NULL;
	}
	refcount_set(&stream->refs, 1);
	mutex_init(&stream->io);
	spin_lock_init(&stream->lock);
	init_waitqueue_head(&stream->wait);
	stream->saving = saving;
	stream->max_size = source->max_size;
	strscpy(stream->name, source->name, sizeof(stream->name));

	memcpy(stream->expected.magic, stream_magic, sizeof(stream_magic));
	stream->expected.format = cpu_to_le32(STREAM_FORMAT);
	stream->expected.version = cpu_to_le32(source->version);
	strscpy(stream->expected.type, source->type,
		sizeof(stream->expected.type));
	if (saving) {
		memcpy(stream->data->bytes, &stream->expected, IDENTITY_SIZE);
		stream->filled = IDENTITY_SIZE;
	}
	return stream;
}

/* The room into which the state is saved, before mdev_stream_saved() */
void *mdev_stream_room(struct mdev_stream *stream)
{
	return mdev_stream_header(stream) + 1;
}

/**
 * mdev_stream_saved - the state is complete
 * @stream: the stream
 * @size: how many bytes are in its room
 */
void mdev_stream_saved(struct mdev_stream *stream, size_t size)
{
	struct mdev_stream_header *header = mdev_stream_header(stream);

	header->size = cpu_to_le32(size);
	spin_lock(&stream->lock);
	stream->filled = sizeof(*header) + size;
	stream->final = true;
	spin_unlock(&stream->lock);
	wake_up_poll(&stream->wait, EPOLLIN | EPOLLRDNORM);
}

static void mdev_stream_refuse(const struct mdev_stream *stream,
			       const char *why)
{
	pr_warn_ratelimited("mdev: %s: migration data refused: %s (needed: type %s, version %u or older)\n",
			    stream->name, why, stream->expected.type,
			    le32_to_cpu(stream->expected.version));
}

/**
 * mdev_stream_finish - no more is written
 * @stream: the stream, which was written
 *
 * Return: 0 if it has a state of this device's type, which is not checked
 * itself;
 * -EINVAL if it is not complete, or was refused when it was written.
 */
int mdev_stream_finish(struct mdev_stream *stream)
{
	const struct mdev_stream_header *header = mdev_stream_header(stream);
	size_t filled;
	bool refused;

	spin_lock(&stream->lock);
	stream->finished = true;
	filled = stream->filled;
	refused = stream->refused;
	spin_unlock(&stream->lock);
	if (refused)
		return -EINVAL;
	if (filled >= sizeof(*header) &&
	    filled - sizeof(*header) == le32_to_cpu(header->size))
		return 0;
	mdev_stream_refuse(stream, "it is not complete");
	return -EINVAL;
}

/**
 * mdev_stream_state - the state that has been written
 * @stream: the stream, for which mdev_stream_finish() has returned 0
 * @version: of the state; at most the driver's
 * @size: of the state, in bytes
 *
 * Return: the state, until mdev_stream_end().
 */
const void *mdev_stream_state(const struct mdev_stream *stream, u32 *version,
			      size_t *size)
{
	const struct mdev_stream_header *header = mdev_stream_header(stream);

	*version = le32_to_cpu(header->version);
	*size = le32_to_cpu(header->size);
	return header + 1;
}

/**
 * mdev_stream_end - the session is over
 * @stream: the stream, which the caller may not use any more
 *
 * Its file may still be open. This does not wait for a read or write that is
 * under way; the next one fails.
 */
void mdev_stream_end(struct mdev_stream *stream)
{
	struct mdev_stream_data *data;

	spin_lock(&stream->lock);
	data = stream->data;
	stream->data = NULL;
	spin_unlock(&stream->lock);
	wake_up_poll(&stream->wait, EPOLLHUP | EPOLLERR);
	mdev_stream_put_data(data);
	mdev_stream_put(stream);
}

/*
 * A read or write begins: it may use the stream's data until
 * mdev_stream_done(). Returns an ERR_PTR() if a signal came, or the session is
 * over.
 */
static struct mdev_stream_data *mdev_stream_begin(struct mdev_stream *stream)
{
	struct mdev_stream_data *data;

	if (mutex_lock_interruptible(&stream->io))
		return ERR_PTR(-ERESTARTSYS);
	data = mdev_stream_get_data(stream);
	if (data)
		return data;
	mutex_unlock(&stream->io);
	return ERR_PTR(-ENODEV);
}

static void mdev_stream_done(struct mdev_stream *stream,
			     struct mdev_stream_data *data)
{
	mdev_stream_put_data(data);
	mutex_unlock(&stream->io);
}

static ssize_t mdev_stream_read_data(struct mdev_stream *stream,
				     const struct mdev_stream_data *data,
				     char __user *buf, size_t count)
{
	size_t filled;
	bool final;

	spin_lock(&stream->lock);
	filled = stream->filled;
	final = stream->final;
	spin_unlock(&stream->lock);
	if (stream->pos == filled)
		return final ? 0 : -ENOMSG;

	count = min(count, filled - stream->pos);
	if (copy_to_user(buf, data->bytes + stream->pos, count))
		return -EFAULT;
	WRITE_ONCE(stream->pos, stream->pos + count);
	return count;
}

static ssize_t mdev_stream_read(struct file *file, char __user *buf,
				size_t count, loff_t *ppos)
{
	struct mdev_stream *stream = file->private_data;
	struct mdev_stream_data *data;
	ssize_t ret;

	if (!count)
		return 0;
	data = mdev_stream_begin(stream);
	if (IS_ERR(data))
		return PTR_ERR(data);
	ret = mdev_stream_read_data(stream, data, buf, count);
	mdev_stream_done(stream, data);
	return ret;
}

/* The fault of the first @filled bytes, for the log, or NULL */
static const char *mdev_stream_fault(const struct mdev_stream *stream,
				     const struct mdev_stream_header *header,
				     size_t filled)
{
	const struct mdev_stream_header *expected = &stream->expected;

	if (filled < IDENTITY_SIZE)
		return NULL;
	if (memcmp(header->magic, expected->magic, sizeof(header->magic)))
		return "it is not from a mediated device";
	if (header->format != expected->format)
		return "its format is unknown";
	if (memcmp(header->type, expected->type, sizeof(header->type)))
		return "it is of another type";
	if (le32_to_cpu(header->version) > le32_to_cpu(expected->version))
		return "it is of a newer version";
	if (filled < sizeof(*header))
		return NULL;
	if (le32_to_cpu(header->size) > stream->max_size)
		return "it is larger than that of a device";
	if (header->reserved)
		return "its format is unknown";
	if (filled - sizeof(*header) > le32_to_cpu(header->size))
		return "it goes on behind the state";
	return NULL;
}

/* Check as early as possible: the guest may still run at the source */
static int mdev_stream_check(const struct mdev_stream *stream,
			     const struct mdev_stream_data *data, size_t filled)
{
	const void *header = data->bytes;
	const char *fault = mdev_stream_fault(stream, header, filled);

	if (!fault)
		return 0;
	mdev_stream_refuse(stream, fault);
	return -EINVAL;
}

/*
 * Take the first @filled bytes: they do not change any more. If the session is
 * over, they are not taken.
 */
static ssize_t mdev_stream_take(struct mdev_stream *stream, size_t filled,
				bool refused)
{
	ssize_t ret = filled - stream->filled;

	spin_lock(&stream->lock);
	if (!stream->data || stream->finished)
		ret = -ENODEV;
	else if (refused)
		stream->refused = true;
	else
		stream->filled = filled;
	spin_unlock(&stream->lock);
	return ret;
}

static ssize_t mdev_stream_write_data(struct mdev_stream *stream,
				      struct mdev_stream_data *data,
				      const char __user *buf, size_t count)
{
	size_t room = mdev_stream_size(stream) - stream->filled;
	size_t filled;
	ssize_t ret;
	int err;

	if (stream->refused)
		return -EINVAL;
	if (count > room) {
		mdev_stream_refuse(stream, "it is larger than that of a device");
		mdev_stream_take(stream, stream->filled, true);
		return -EINVAL;
	}
	if (copy_from_user(data->bytes + stream->filled, buf, count))
		return -EFAULT;
	filled = stream->filled + count;
	err = mdev_stream_check(stream, data, filled);
	ret = mdev_stream_take(stream, filled, err);
	return ret < 0 ? ret : err ?: ret;
}

static ssize_t mdev_stream_write(struct file *file, const char __user *buf,
				 size_t count, loff_t *ppos)
{
	struct mdev_stream *stream = file->private_data;
	struct mdev_stream_data *data;
	ssize_t ret;

	if (!count)
		return 0;
	data = mdev_stream_begin(stream);
	if (IS_ERR(data))
		return PTR_ERR(data);
	ret = mdev_stream_write_data(stream, data, buf, count);
	mdev_stream_done(stream, data);
	return ret;
}

/* How many bytes can be read before the device has to be stopped */
static int mdev_stream_precopy(struct mdev_stream *stream, u64 *left)
{
	bool precopy;

	if (mutex_lock_interruptible(&stream->io))
		return -ERESTARTSYS;
	spin_lock(&stream->lock);
	precopy = stream->data && stream->saving && !stream->final;
	*left = stream->filled - stream->pos;
	spin_unlock(&stream->lock);
	mutex_unlock(&stream->io);
	return precopy ? 0 : -EINVAL;
}

static long mdev_stream_ioctl(struct file *file, unsigned int cmd,
			      unsigned long arg)
{
	const size_t minsz = offsetofend(struct vfio_precopy_info, dirty_bytes);
	void __user *uarg = (void __user *)arg;
	struct vfio_precopy_info info;
	u64 left;
	int ret;

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (copy_from_user(&info, uarg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	ret = mdev_stream_precopy(file->private_data, &left);
	if (ret)
		return ret;

	info.flags = 0;
	info.initial_bytes = left;
	info.dirty_bytes = 0;
	return copy_to_user(uarg, &info, minsz) ? -EFAULT : 0;
}

static __poll_t mdev_stream_poll(struct file *file, poll_table *table)
{
	struct mdev_stream *stream = file->private_data;
	__poll_t events = 0;

	poll_wait(file, &stream->wait, table);
	spin_lock(&stream->lock);
	if (!stream->data)
		events = EPOLLHUP | EPOLLERR | EPOLLIN | EPOLLRDNORM;
	else if (!stream->saving)
		events = EPOLLOUT | EPOLLWRNORM;
	else if (stream->final || READ_ONCE(stream->pos) < stream->filled)
		events = EPOLLIN | EPOLLRDNORM;
	spin_unlock(&stream->lock);
	return events;
}

static int mdev_stream_release(struct inode *inode, struct file *file)
{
	/* Pairs with mdev_stream_alloc() */
	mdev_stream_put(file->private_data);
	return 0;
}

static const struct file_operations mdev_stream_save_fops = {
	.owner		= THIS_MODULE,
	.read		= mdev_stream_read,
	.poll		= mdev_stream_poll,
	.unlocked_ioctl	= mdev_stream_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.release	= mdev_stream_release,
};

static const struct file_operations mdev_stream_load_fops = {
	.owner		= THIS_MODULE,
	.write		= mdev_stream_write,
	.poll		= mdev_stream_poll,
	.unlocked_ioctl	= mdev_stream_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.release	= mdev_stream_release,
};

/**
 * mdev_stream_new - the file of a session that may begin
 * @source: the device
 * @saving: its state will be saved; else one will be loaded
 *
 * Return: the file, for mdev_stream_of() if the session begins; or an ERR_PTR().
 */
struct file *mdev_stream_new(const struct mdev_stream_source *source,
			     bool saving)
{
	struct mdev_stream *stream = mdev_stream_alloc(source, saving);
	struct file *file;

	if (!stream)
		return ERR_PTR(-ENOMEM);
	file = anon_inode_getfile("[mdev-migration]",
				  saving ? &mdev_stream_save_fops :
					   &mdev_stream_load_fops,
				  stream, saving ? O_RDONLY : O_WRONLY);
	if (IS_ERR(file))
		mdev_stream_put(stream);
	else
		stream_open(file_inode(file), file);
	return file;
}

/**
 * mdev_stream_of - the session begins
 * @file: its file, from mdev_stream_new()
 *
 * Return: the stream, for mdev_stream_end().
 */
struct mdev_stream *mdev_stream_of(struct file *file)
{
	struct mdev_stream *stream = file->private_data;

	refcount_inc(&stream->refs);
	return stream;
}
