// SPDX-License-Identifier: GPL-2.0-only
/* QEMU's firmware loads a guest from a passed-through disk, and the guest uses the disk. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <linux/elf.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "../vfio_ccw/ipl.h"
#include "qemu.h"

#define DRIVER		"vfio-ccw,bootindex=0"

/* The guest's start address, as in ccw_guest.lds, and the size of its program */
#define PROGRAM_START	0x10000U
#define PROGRAM_HEAD	2
#define PROGRAM_RECORDS	4
#define PSW		"\x00\x08\x00\x00\x80\x01\x00\x00"

/* The first record, which the guest reads, and the second, which it writes */
#define TEXT_HEAD	3
#define TEXT_SIZE	80
#define TEXT		"what was written for the guest"

FIXTURE(boot)
{
	struct ccw ccw;
	struct qemu qemu;
};

/* Channel subsystem 0, at the path where QEMU looks for it, and where this test moves it */
#define CSS		"/sys/devices/css0"
#define CSS_MEANWHILE	"/tmp/css0"

#define CHANNEL_PATHS	8

static int make_path(const char *name, unsigned int chpid)
{
	struct path path;
	int fd, err = 0;

	snprintf(path.text, sizeof(path.text), CSS "/chp0.%02x", chpid);
	if (mkdir(path.text, 0755) && errno != EEXIST)
		return -errno;
	snprintf(path.text, sizeof(path.text), CSS "/chp0.%02x/type", chpid);
	fd = open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, name, strlen(name)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Makes each channel path of the subchannel, with the type of FICON */
static int make_paths(const char *sch)
{
	char text[64], *at = text;
	int err, i;

	err = file_read(css_path(sch, "chpids").text, text, sizeof(text));
	for (i = 0; err >= 0 && i < CHANNEL_PATHS; i++)
		err = make_path("1b", strtoul(at, &at, 16));
	return err < 0 ? err : 0;
}

/*
 * QEMU reads the type of each channel path from sysfs. Hercules reports no
 * channel paths, so sysfs has none. Give QEMU a /sys of its own, with the
 * subchannel and its paths
 */
static int show_paths(const char *sch)
{
	struct path from, to;

	snprintf(from.text, sizeof(from.text), CSS_MEANWHILE "/%.32s", sch);
	snprintf(to.text, sizeof(to.text), CSS "/%.32s", sch);
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/sys", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    (mkdir(CSS_MEANWHILE, 0755) && errno != EEXIST) ||
	    mount(CSS, CSS_MEANWHILE, NULL, MS_BIND, NULL) ||
	    mount("none", CSS, "tmpfs", 0, NULL) || mkdir(to.text, 0755) ||
	    mount(from.text, to.text, NULL, MS_BIND, NULL))
		return -errno;
	return make_paths(sch);
}

static int start(struct qemu *qemu, const struct ccw *ccw)
{
	static const char * const argv[] = {
		"/usr/bin/qemu-system-s390x",
		"-M", "s390-ccw-virtio", "-accel", "tcg", "-m", "32",
		"-nodefaults", "-display", "none",
		"-chardev", "stdio,id=console,signal=off",
		"-device", "sclpconsole,chardev=console", NULL,
	};
	int before = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int err;

	err = show_paths(ccw->sch);
	if (!err)
		err = qemu_start(qemu, argv, DRIVER, &ccw->uuid);
	if (setns(before, CLONE_NEWNS) && !err)
		err = -errno;
	close(before);
	return err;
}

/* Loads the guest's program to memory. Returns -ENOEXEC if it does not fit */
static int load_program(__u8 *memory)
{
	static __u8 file[128 * 1024];
	const struct elf64_hdr *header = (const void *)file;
	const struct elf64_phdr *part;
	int fd = open(GUEST_PROGRAM("ccw_guest"), O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, file, sizeof(file));
	int i;

	close(fd);
	if (len < (ssize_t)sizeof(*header))
		return -ENOEXEC;
	part = (const void *)(file + be64toh(header->e_phoff));
	for (i = 0; i < be16toh(header->e_phnum); i++, part++) {
		__u64 at = be64toh(part->p_vaddr) - PROGRAM_START;
		__u64 size = be64toh(part->p_filesz);

		if (be32toh(part->p_type) != PT_LOAD || !size)
			continue;
		if (at + size > PROGRAM_RECORDS * RECORD ||
		    be64toh(part->p_offset) + size > (__u64)len)
			return -ENOEXEC;
		memcpy(memory + at, file + be64toh(part->p_offset), size);
	}
	return 0;
}

/* Writes record 2: the CCWs that read the program */
static void make_loader(__u8 *record)
{
	__u8 *at = record + 24;
	int i;

	put_read_record(&firmware, record, record + 0x40, LIST_OF_LOADER,
			LOADER_SEEK, PROGRAM_HEAD, 1);
	for (i = 0; i < PROGRAM_RECORDS; i++, at += 8)
		put_ccw_at(at, &firmware, DISK_READ,
			   i == PROGRAM_RECORDS - 1 ? 0 : CCW_CC, RECORD,
			   PROGRAM_START + i * RECORD);
}

static void write_disk(struct __test_metadata *_metadata, struct ccw *ccw)
{
	static __u8 first[IPL1_SIZE], loader[IPL2_SIZE], label[LABEL_SIZE];
	static __u8 program[PROGRAM_RECORDS * RECORD], text[TEXT_SIZE];
	static const __u8 empty[TEXT_SIZE];
	const struct piece ipl[] = {
		{ KEY_SIZE, IPL1_SIZE, first },
		{ KEY_SIZE, IPL2_SIZE, loader },
		{ KEY_SIZE, LABEL_SIZE, label },
	};
	const struct piece texts[] = {
		{ 0, TEXT_SIZE, text }, { 0, TEXT_SIZE, empty },
	};
	struct piece body[PROGRAM_RECORDS];
	int i;

	ASSERT_EQ(0, load_program(program));
	for (i = 0; i < PROGRAM_RECORDS; i++)
		body[i] = (struct piece){ 0, RECORD, program + i * RECORD };
	make_first(&firmware, first, PSW);
	make_loader(loader);
	memcpy(text, TEXT, sizeof(TEXT));
	write_track(_metadata, ccw, 0, ipl, ARRAY_SIZE(ipl));
	write_track(_metadata, ccw, PROGRAM_HEAD, body, ARRAY_SIZE(body));
	write_track(_metadata, ccw, TEXT_HEAD, texts, ARRAY_SIZE(texts));
}

/* Compares the record that the guest writes with @text */
static void expect_written(struct __test_metadata *_metadata, struct ccw *ccw,
			   const char *text)
{
	__u32 at;

	ASSERT_EQ(0, ccw_open(ccw));
	memset(guest(ccw, DATA), 0xff, TEXT_SIZE);
	at = put_locate(ccw, EXTENT_READ, LOCATE_READ, 0, TEXT_HEAD, 2);
	put16(ccw, PARAMETERS + 16 + 14, TEXT_SIZE);
	put_ccw(ccw, at, DISK_READ, 0, TEXT_SIZE, DATA);
	expect_end(_metadata, ccw);
	EXPECT_STREQ(text, guest(ccw, DATA));
	ccw_close(ccw);
}

FIXTURE_SETUP(boot)
{
	self->qemu.pid = -1;
	if (!file_exists(QEMU_FILES))
		SKIP(return, NO_QEMU);
	if (!ccw_set_up(_metadata, &self->ccw, SCRATCH))
		SKIP(return, "no device %s", SCRATCH);
	ASSERT_EQ(0, ccw_open(&self->ccw));
	write_disk(_metadata, &self->ccw);
	ccw_close(&self->ccw);
	expect_written(_metadata, &self->ccw, "");
}

FIXTURE_TEARDOWN(boot)
{
	qemu_kill(&self->qemu);
	if (self->ccw.memory)
		ccw_tear_down(_metadata, &self->ccw);
}

TEST_F_TIMEOUT(boot, guest_is_loaded_and_uses_its_disk, QEMU_TEST_S)
{
	struct qemu *qemu = &self->qemu;

	ASSERT_EQ(0, start(qemu, &self->ccw));
	ASSERT_EQ(0, qemu_greet(qemu));
	EXPECT_TRUE(qemu_says(qemu, "hello\n"));
	EXPECT_TRUE(qemu_says(qemu, " enabled\n"));
	EXPECT_TRUE(qemu_says(qemu, "SENSE ID ff 39 90"));
	EXPECT_TRUE(qemu_says(qemu, "record read: " TEXT "\n"));
	EXPECT_TRUE(qemu_says(qemu, "record written\n"));
	qemu_kill(qemu);
	expect_written(_metadata, &self->ccw, TEXT);
}

TEST_HARNESS_MAIN
