/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Migration data: the file that the holder reads a device's state from, or
 * writes it to. It has all data in memory of its own, so that it needs neither
 * the device nor the parent driver: it can outlive both.
 *
 *	 0  magic	"mdev-mig"
 *	 8  format	1
 *	12  version	of the state, the parent driver's
 *	16  type	as in mdev_supported_types, filled up with zeroes
 *	80  size	of the state, in bytes
 *	84  reserved	0
 *	88  state
 *
 * Numbers are little endian. All before @size is known before the device is
 * stopped: in pre-copy, this part can be read.
 */
#ifndef _MDEV_STREAM_H
#define _MDEV_STREAM_H

#include <linux/fs.h>
#include <linux/types.h>

/* With the zero at its end */
#define MDEV_STREAM_TYPE_SIZE	64

/* The part before the state */
struct mdev_stream_header {
	u8 magic[8];
	__le32 format;
	__le32 version;
	char type[MDEV_STREAM_TYPE_SIZE];
	__le32 size;
	__le32 reserved;
};

/**
 * struct mdev_stream_source - the device whose state a stream will have
 * @name: the device's, for the log
 * @type: its type's name
 * @version: the newest version of the state that the driver knows
 * @max_size: the largest state that it knows
 */
struct mdev_stream_source {
	const char *name;
	const char *type;
	u32 version;
	u32 max_size;
};

struct mdev_stream;

struct file *mdev_stream_new(const struct mdev_stream_source *source,
			     bool saving);
struct mdev_stream *mdev_stream_of(struct file *file);
void *mdev_stream_room(struct mdev_stream *stream);
void mdev_stream_saved(struct mdev_stream *stream, size_t size);
int mdev_stream_finish(struct mdev_stream *stream);
const void *mdev_stream_state(const struct mdev_stream *stream, u32 *version,
			      size_t *size);
void mdev_stream_end(struct mdev_stream *stream);

#endif /* _MDEV_STREAM_H */
