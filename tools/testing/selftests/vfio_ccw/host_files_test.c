// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file system that the host makes on a disk's partition. A holder of
 * vfio_ccw's device finds a file by the file system's own structures, reads it
 * and changes it. The host's fsck and its file system must find what they
 * expect.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "host_disk.h"

#define PARTITION	DISK_NODE "1"
#define PARTITION_START	"/sys/class/block/dasda1/start"
#define SECTOR		512

#define MOUNT_POINT	"/tmp/files"
#define FILE_NAME	"records"
#define FILE_BLOCKS	3

/* The volume's table of contents, on track 1. Its records have a key */
#define DISK_WRITE_KD	0x0d
#define DISK_READ_KD	0x0e
#define TABLE_HEAD	1
#define LABEL_SIZE	140
#define LABEL_KIND	44	/* the offset of a label's kind; 0: free */
#define LABEL_EXTENT	105
#define KIND_DATA	0xf1
#define FIRST_HEAD	2	/* of the partition, in cylinder 0 */
#define LAST_CYLINDER	9

/* The output of the last command */
#define SAID		"/tmp/said"

/* fsck's exit codes */
#define FSCK_CLEAN	0
#define FSCK_ERRORS	4

/* Structures of ext2, with blocks of a record each */
#define EXT2_MAGIC	0xef53
#define EXT2_ROOT	2
#define UNUSED_INODE	999

struct ext2_super {
	__u32 inodes;
	__u32 blocks;
	__u32 reserved;
	__u32 free_blocks;
	__u32 free_inodes;
	__u32 first_block;
	__u32 block_size;	/* 1024 << this */
	__u32 fragment_size;
	__u32 blocks_per_group;
	__u32 fragments_per_group;
	__u32 inodes_per_group;
	__u32 times[2];
	__u16 mounts[2];
	__u16 magic;
	__u16 state;
	__u16 more[8];
	__u32 revision;
	__u32 owners;
	__u32 first_inode;
	__u16 inode_size;
};

static_assert(offsetof(struct ext2_super, inode_size) == 88,
	      "the superblock has another layout");

#define SUPER_OFFSET	1024

/* A group of blocks: the size of its description, and the offset of its table of inodes */
#define GROUP_SIZE	32
#define GROUP_INODES	8

#define INODE_BLOCKS	40	/* the numbers of a file's blocks, in its inode */

struct ext2_entry {
	__u32 inode;
	__u16 size;
	__u8 name_size;
	__u8 type;
	char name[];
};

FIXTURE(files)
{
	struct life life;
	int start;		/* the partition's first block, on the disk */
};

FIXTURE_SETUP(files)
{
	if (!host_disk_set_up(_metadata, &self->life))
		SKIP(return, "no device %s", DISK);
	mkdir(MOUNT_POINT, 0755);
}

FIXTURE_TEARDOWN(files)
{
	umount(MOUNT_POINT);
	rmdir(MOUNT_POINT);
	if (self->life.ccw.memory)
		life_tear_down(_metadata, &self->life);
}

/* The host */

static void print_said(struct __test_metadata *_metadata)
{
	char line[200];
	FILE *file = fopen(SAID, "r");

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		TH_LOG("%s", line);
	}
	if (file)
		fclose(file);
}

static void expect_exit(struct __test_metadata *_metadata, int code,
			const char *command)
{
	char line[200];
	int status;

	snprintf(line, sizeof(line), "%s >" SAID " 2>&1 </dev/null", command);
	status = system(line);
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(code, WEXITSTATUS(status));
	if (WEXITSTATUS(status) != code)
		print_said(_metadata);
}

/* Returns how many repairs the last command offered, but did not do */
static int repairs_declined(void)
{
	char line[200];
	FILE *file = fopen(SAID, "r");
	int n = 0;

	while (file && fgets(line, sizeof(line), file))
		n += !!strstr(line, "? no");
	if (file)
		fclose(file);
	return n;
}

/* fsck repairs nothing. Its exit code ignores some errors, but not its offers to repair them */
static void expect_fsck(struct __test_metadata *_metadata, int code)
{
	expect_exit(_metadata, code, "e2fsck.static -f -n " PARTITION);
	EXPECT_EQ(code != FSCK_CLEAN, repairs_declined() > 0);
}

/* Gives the disk to the host, whose driver must find the partition */
static void host_takes_partition(struct __test_metadata *_metadata,
				 FIXTURE_DATA(files) *self)
{
	char text[32];

	host_takes_disk(_metadata, &self->life.ccw);
	ASSERT_TRUE(soon(file_exists(PARTITION)));
	ASSERT_LT(0, file_read(PARTITION_START, text, sizeof(text)));
	self->start = atoi(text) / (RECORD / SECTOR);
}

static void host_mounts(struct __test_metadata *_metadata, bool write)
{
	/* These options start no thread that may still run after the unmount */
	ASSERT_EQ(0, mount(PARTITION, MOUNT_POINT, "ext2",
			   write ? 0 : MS_RDONLY,
			   "noinit_itable,no_prefetch_block_bitmaps"));
}

static void host_unmounts(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, umount(MOUNT_POINT));
}

/* Fills a block of the file */
static void fill_block(__u8 *block, __u8 seed)
{
	int i;

	for (i = 0; i < RECORD; i++)
		block[i] = seed + i * 7 + (i >> 8);
}

static void host_writes_file(struct __test_metadata *_metadata)
{
	int fd = open(MOUNT_POINT "/" FILE_NAME, O_CREAT | O_WRONLY, 0644);
	__u8 block[RECORD];
	int i;

	ASSERT_LE(0, fd);
	for (i = 0; i < FILE_BLOCKS; i++) {
		fill_block(block, i);
		EXPECT_EQ(RECORD, write(fd, block, RECORD));
	}
	EXPECT_EQ(0, fsync(fd));
	close(fd);
}

static void host_expects(struct __test_metadata *_metadata, int index,
			 __u8 seed)
{
	int fd = open(MOUNT_POINT "/" FILE_NAME, O_RDONLY);
	__u8 block[RECORD], wanted[RECORD];

	ASSERT_LE(0, fd);
	fill_block(wanted, seed);
	EXPECT_EQ(RECORD, pread(fd, block, RECORD, index * RECORD));
	EXPECT_EQ(0, memcmp(block, wanted, RECORD));
	close(fd);
}

/* The holder of vfio_ccw's device */

/* Reads a label of the volume's table to DATA, or writes it from there */
static void move_label(struct __test_metadata *_metadata, struct ccw *ccw,
		       bool write, __u8 record)
{
	__u32 at = put_locate(ccw, write ? EXTENT_WRITE : EXTENT_READ,
			      write ? LOCATE_WRITE : LOCATE_READ, 0, TABLE_HEAD,
			      record);

	put16(ccw, PARAMETERS + 16 + 14, LABEL_SIZE);
	put_ccw(ccw, at, write ? DISK_WRITE_KD : DISK_READ_KD, 0, LABEL_SIZE,
		DATA);
	expect_end(_metadata, ccw);
}

/* Makes a partition from the first free track to the last, as fdasd does */
static void user_makes_partition(struct __test_metadata *_metadata,
				 struct ccw *ccw)
{
	__u8 *label = guest(ccw, DATA);
	int record = 0;

	do {
		ASSERT_GT(RECORDS, record++);
		move_label(_metadata, ccw, false, record);
	} while (label[LABEL_KIND]);
	/* The name is spaces */
	memset(label, 0x40, LABEL_KIND);
	label[LABEL_KIND] = KIND_DATA;
	label[LABEL_EXTENT] = 1;
	put16(ccw, DATA + LABEL_EXTENT + 2, 0);
	put16(ccw, DATA + LABEL_EXTENT + 4, FIRST_HEAD);
	put16(ccw, DATA + LABEL_EXTENT + 6, LAST_CYLINDER);
	put16(ccw, DATA + LABEL_EXTENT + 8, HEADS - 1);
	move_label(_metadata, ccw, true, record);
}

/* Numbers of blocks are those of the file system */

static void *read_block(struct __test_metadata *_metadata,
			FIXTURE_DATA(files) *self, int block)
{
	struct ccw *ccw = &self->life.ccw;
	int record = self->start + block, track = record / RECORDS;

	put_read(ccw, track / HEADS, track % HEADS, record % RECORDS + 1, DATA);
	expect_end(_metadata, ccw);
	return guest(ccw, DATA);
}

static void write_block(struct __test_metadata *_metadata,
			FIXTURE_DATA(files) *self, int block)
{
	struct ccw *ccw = &self->life.ccw;
	int record = self->start + block, track = record / RECORDS;

	put_write(ccw, track / HEADS, track % HEADS, record % RECORDS + 1,
		  DATA);
	expect_end(_metadata, ccw);
}

static struct ext2_super *read_super(struct __test_metadata *_metadata,
				     FIXTURE_DATA(files) *self)
{
	return read_block(_metadata, self, 0) + SUPER_OFFSET;
}

static __u32 le32_at(const __u8 *data)
{
	__u32 value;

	memcpy(&value, data, sizeof(value));
	return le32toh(value);
}

/* Returns the number of a block of a file or directory */
static int block_of(struct __test_metadata *_metadata,
		    FIXTURE_DATA(files) *self, __u32 inode, int index)
{
	struct ext2_super super = *read_super(_metadata, self);
	__u32 per_group = le32toh(super.inodes_per_group), group, table, at;
	__u8 *data;

	group = (inode - 1) / per_group;
	data = read_block(_metadata, self, 1);
	table = le32_at(data + group * GROUP_SIZE + GROUP_INODES);
	at = (inode - 1) % per_group * le16toh(super.inode_size);
	data = read_block(_metadata, self, table + at / RECORD);
	return le32_at(data + at % RECORD + INODE_BLOCKS + index * 4);
}

/* Finds a name in the root directory, whose block then is at DATA, or NULL */
static struct ext2_entry *find_name(struct __test_metadata *_metadata,
				    FIXTURE_DATA(files) *self, const char *name)
{
	int block = block_of(_metadata, self, EXT2_ROOT, 0), at = 0;
	__u8 *data = read_block(_metadata, self, block);
	struct ext2_entry *entry;

	while (at < RECORD) {
		entry = (struct ext2_entry *)(data + at);
		if (entry->name_size == strlen(name) &&
		    !memcmp(entry->name, name, entry->name_size))
			return entry;
		if (!entry->size)
			return NULL;
		at += le16toh(entry->size);
	}
	return NULL;
}

static void user_expects(struct __test_metadata *_metadata,
			 FIXTURE_DATA(files) *self, int block, __u8 seed)
{
	__u8 wanted[RECORD];

	fill_block(wanted, seed);
	EXPECT_EQ(0, memcmp(read_block(_metadata, self, block), wanted,
			    RECORD));
}

static void user_finds_file(struct __test_metadata *_metadata,
			    FIXTURE_DATA(files) *self, int *blocks)
{
	struct ext2_super *super = read_super(_metadata, self);
	struct ext2_entry *entry;
	__u32 inode;
	int i;

	ASSERT_EQ(EXT2_MAGIC, le16toh(super->magic));
	ASSERT_EQ(RECORD, 1024 << le32toh(super->block_size));
	entry = find_name(_metadata, self, FILE_NAME);
	ASSERT_NE(NULL, entry);
	inode = le32toh(entry->inode);
	for (i = 0; i < FILE_BLOCKS; i++) {
		blocks[i] = block_of(_metadata, self, inode, i);
		ASSERT_NE(0, blocks[i]);
		user_expects(_metadata, self, blocks[i], i);
	}
}

/* Gives the file an inode that is not in use. fsck must find that */
static void user_damages(struct __test_metadata *_metadata,
			 FIXTURE_DATA(files) *self)
{
	int block = block_of(_metadata, self, EXT2_ROOT, 0);
	struct ext2_entry *entry = find_name(_metadata, self, FILE_NAME);

	ASSERT_NE(NULL, entry);
	entry->inode = htole32(UNUSED_INODE);
	write_block(_metadata, self, block);
}

TEST_F_TIMEOUT(files, user_changes_a_file_that_host_checks, 300)
{
	int blocks[FILE_BLOCKS];

	user_makes_partition(_metadata, &self->life.ccw);
	host_takes_partition(_metadata, self);
	expect_exit(_metadata, 0, "mke2fs -b 4096 " PARTITION);
	host_mounts(_metadata, true);
	host_writes_file(_metadata);
	host_unmounts(_metadata);
	expect_fsck(_metadata, FSCK_CLEAN);

	user_takes_disk(_metadata, &self->life.ccw);
	user_finds_file(_metadata, self, blocks);
	fill_block(guest(&self->life.ccw, DATA), 99);
	write_block(_metadata, self, blocks[1]);
	user_expects(_metadata, self, blocks[1], 99);

	host_takes_partition(_metadata, self);
	expect_fsck(_metadata, FSCK_CLEAN);
	host_mounts(_metadata, false);
	host_expects(_metadata, 0, 0);
	host_expects(_metadata, 1, 99);
	host_expects(_metadata, 2, 2);
	host_unmounts(_metadata);

	user_takes_disk(_metadata, &self->life.ccw);
	user_damages(_metadata, self);
	host_takes_partition(_metadata, self);
	expect_fsck(_metadata, FSCK_ERRORS);
	user_takes_disk(_metadata, &self->life.ccw);
}

TEST_HARNESS_MAIN
