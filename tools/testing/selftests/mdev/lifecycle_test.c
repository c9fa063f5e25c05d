// SPDX-License-Identifier: GPL-2.0-only
/*
 * Creates and removes mediated devices that are not held: types, attributes,
 * invalid input, the number of instances, uevents.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "lib.h"

#define KERNELS_OWN "the kernel's own mdev does not have this"

#define MEGABYTE (1 << 20)

/* A parent and one of its types */
FIXTURE(mdev)
{
	struct uuid uuid;
	long instances;
	int count;
	bool kernels_own;
};

FIXTURE_VARIANT(mdev)
{
	const char *parent;
	const char *type;
	const char *api;
	/* The number of instances that one device takes */
	int cost;
};

FIXTURE_VARIANT_ADD(mdev, mtty_1)
{
	.parent = "mtty", .type = "mtty-1", .api = "vfio-pci", .cost = 1,
};

FIXTURE_VARIANT_ADD(mdev, mtty_2)
{
	.parent = "mtty", .type = "mtty-2", .api = "vfio-pci", .cost = 1,
};

FIXTURE_VARIANT_ADD(mdev, mpad)
{
	.parent = "mpad", .type = "mpad-page", .api = "vfio-pci", .cost = 1,
};

/* Samples of the kernel */
FIXTURE_VARIANT_ADD(mdev, mdpy)
{
	.parent = "mdpy", .type = "mdpy-vga", .api = "vfio-pci", .cost = 1,
};

FIXTURE_VARIANT_ADD(mdev, mbochs)
{
	.parent = "mbochs", .type = "mbochs-small", .api = "vfio-pci",
	.cost = 1,
};

FIXTURE_VARIANT_ADD(mdev, relay)
{
	.parent = "mdev_relay.0", .type = "mdev_relay-relay",
	.api = "vfio-ccw", .cost = 0,
};

FIXTURE_VARIANT_ADD(mdev, limited)
{
	.parent = "mdev_relay.0", .type = "mdev_relay-limited",
	.api = "vfio-ccw", .cost = 1,
};

FIXTURE_VARIANT_ADD(mdev, legacy)
{
	.parent = "mdev_legacy.0", .type = "mdev_legacy-page",
	.api = "vfio-platform", .cost = 1,
};

FIXTURE_SETUP(mdev)
{
	struct uuid probe = uuid_new();

	if (!parent_exists(variant->parent))
		SKIP(return, "no parent %s", variant->parent);
	self->uuid = uuid_new();
	self->count = mdev_count();
	self->instances = instances(variant->parent, variant->type);
	ASSERT_LE(0, self->count);
	ASSERT_LT(0, self->instances);
	ASSERT_EQ(0, mdev_create(variant->parent, variant->type, &probe));
	self->kernels_own = mdev_is_kernels_own(&probe);
	ASSERT_EQ(0, mdev_remove(&probe));
}

FIXTURE_TEARDOWN(mdev)
{
	/* No test may lose a device or an instance */
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	EXPECT_EQ(self->count, mdev_count());
	EXPECT_EQ(self->instances, instances(variant->parent, variant->type));
}

static int create(const FIXTURE_VARIANT(mdev) *variant, const struct uuid *uuid)
{
	return mdev_create(variant->parent, variant->type, uuid);
}

static int write_create(const FIXTURE_VARIANT(mdev) *variant, const void *data,
			size_t len)
{
	return file_write(type_path(variant->parent, variant->type,
				    "create").text, data, len);
}

static long left(const FIXTURE_VARIANT(mdev) *variant)
{
	return instances(variant->parent, variant->type);
}

TEST_F(mdev, type_has_its_attributes)
{
	const struct {
		const char *name;
		int mode;
	} attrs[] = {
		{ "create", 0200 },
		{ "name", 0444 },
		{ "available_instances", 0444 },
		{ "device_api", 0444 },
	};
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		EXPECT_EQ(attrs[i].mode,
			  file_mode(type_path(variant->parent, variant->type,
					      attrs[i].name).text)) {
			TH_LOG("attribute %s", attrs[i].name);
		}
	}
	EXPECT_LT(0, file_read(type_path(variant->parent, variant->type,
					 "name").text, text, sizeof(text)));
	EXPECT_LT(0, file_read(type_path(variant->parent, variant->type,
					 "device_api").text, text,
			       sizeof(text)));
	EXPECT_STREQ(variant->api, text);
	EXPECT_TRUE(file_exists(type_path(variant->parent, variant->type,
					  "devices").text));
}

TEST_F(mdev, type_name_begins_with_the_parents_driver)
{
	char driver[64];
	int ret;

	ret = file_link_name(parent_path(variant->parent, "driver").text,
			     driver, sizeof(driver));
	/* If the parent has no driver, its bus or class gives the name */
	if (ret == -ENOENT)
		ASSERT_EQ(0, file_link_name(parent_path(variant->parent,
							"subsystem").text,
					    driver, sizeof(driver)));
	EXPECT_EQ(0, strncmp(variant->type, driver, strlen(driver)));
	EXPECT_EQ('-', variant->type[strlen(driver)]);
}

TEST_F(mdev, created_device_is_where_mdevctl_looks)
{
	char type_link[320];
	char text[256];

	ASSERT_EQ(0, create(variant, &self->uuid));
	EXPECT_TRUE(mdev_exists(&self->uuid));
	/* The device is a child of its parent */
	EXPECT_TRUE(file_exists(parent_path(variant->parent,
					    self->uuid.text).text));
	EXPECT_EQ(0, file_link_name(mdev_path(&self->uuid, "mdev_type").text,
				    text, sizeof(text)));
	EXPECT_STREQ(variant->type, text);
	snprintf(type_link, sizeof(type_link), "%s/%s",
		 type_path(variant->parent, variant->type, "devices").text,
		 self->uuid.text);
	EXPECT_EQ(0, file_link_name(type_link, text, sizeof(text)));
	EXPECT_STREQ(self->uuid.text, text);
	EXPECT_EQ(0, file_link_name(mdev_path(&self->uuid, "subsystem").text,
				    text, sizeof(text)));
	EXPECT_STREQ("mdev", text);
	EXPECT_EQ(0, file_link_name(mdev_path(&self->uuid, "driver").text, text,
				    sizeof(text)));
	EXPECT_TRUE(file_exists(mdev_path(&self->uuid, "iommu_group").text));
	EXPECT_EQ(0200, file_mode(mdev_path(&self->uuid, "remove").text));

	EXPECT_EQ(0, mdev_remove(&self->uuid));
	EXPECT_FALSE(mdev_exists(&self->uuid));
	EXPECT_FALSE(file_exists(parent_path(variant->parent,
					     self->uuid.text).text));
	EXPECT_EQ(-1, access(type_link, F_OK));
	EXPECT_EQ(ENOENT, errno);
}

TEST_F(mdev, device_has_the_attributes_of_its_request)
{
	const struct {
		const char *name;
		int mode;
		const char *text;
	} attrs[] = {
		{ "holder", 0400, "" },
		{ "request", 0600, "0" },
		{ "request_count", 0444, "0" },
		{ "request_since", 0444, "0" },
	};
	char text[64];
	size_t i;

	if (self->kernels_own)
		SKIP(return, KERNELS_OWN);
	ASSERT_EQ(0, create(variant, &self->uuid));
	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		struct path path = mdev_path(&self->uuid, attrs[i].name);

		EXPECT_EQ(attrs[i].mode, file_mode(path.text)) {
			TH_LOG("attribute %s", attrs[i].name);
		}
		EXPECT_LE(0, file_read(path.text, text, sizeof(text)));
		EXPECT_STREQ(attrs[i].text, text);
	}
}

TEST_F(mdev, create_takes_a_uuid_with_and_without_newline)
{
	char text[64];

	ASSERT_EQ(0, write_create(variant, self->uuid.text, UUID_LEN));
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	snprintf(text, sizeof(text), "%s\n", self->uuid.text);
	ASSERT_EQ(0, write_create(variant, text, UUID_LEN + 1));
	EXPECT_TRUE(mdev_exists(&self->uuid));
}

TEST_F(mdev, create_of_upper_case_uuid_makes_lower_case_name)
{
	char upper[UUID_LEN + 1];
	int i;

	/* The UUID has at least one letter */
	self->uuid.text[0] = 'c';
	for (i = 0; i <= UUID_LEN; i++)
		upper[i] = toupper(self->uuid.text[i]);
	ASSERT_EQ(0, write_create(variant, upper, UUID_LEN));
	EXPECT_TRUE(mdev_exists(&self->uuid));
	/* The UUID in capitals names the same device */
	EXPECT_EQ(-EEXIST, create(variant, &self->uuid));
}

static void expect_refusal(struct __test_metadata *_metadata,
			   const FIXTURE_VARIANT(mdev) *variant,
			   const char *what, const void *data, size_t len)
{
	int count = mdev_count();
	long before = left(variant);

	EXPECT_EQ(-EINVAL, write_create(variant, data, len)) {
		TH_LOG("create of %s", what);
	}
	EXPECT_EQ(count, mdev_count()) {
		TH_LOG("after create of %s", what);
	}
	EXPECT_EQ(before, left(variant)) {
		TH_LOG("after create of %s", what);
	}
}

TEST_F(mdev, create_of_short_uuid_fails)
{
	int len;

	for (len = 1; len < UUID_LEN; len++)
		expect_refusal(_metadata, variant, "a part of a UUID",
			       self->uuid.text, len);
}

TEST_F(mdev, create_of_long_uuid_fails)
{
	char text[64];

	snprintf(text, sizeof(text), "%s00", self->uuid.text);
	expect_refusal(_metadata, variant, "a UUID and two digits", text,
		       UUID_LEN + 2);
	snprintf(text, sizeof(text), "%s\n\n", self->uuid.text);
	expect_refusal(_metadata, variant, "a UUID and two newlines", text,
		       UUID_LEN + 2);
	snprintf(text, sizeof(text), "%s\nx", self->uuid.text);
	expect_refusal(_metadata, variant, "a UUID, a newline and a letter",
		       text, UUID_LEN + 2);
}

TEST_F(mdev, create_of_uuid_with_one_more_character_fails)
{
	const char more[] = { '0', 'x', ' ', '\t', '\r', '}', '\0', '\xff' };
	char text[64];
	size_t i;

	if (self->kernels_own)
		SKIP(return, "the kernel's own mdev takes any 37th character");
	for (i = 0; i < sizeof(more); i++) {
		snprintf(text, sizeof(text), "%sx", self->uuid.text);
		text[UUID_LEN] = more[i];
		expect_refusal(_metadata, variant, "a UUID and a character",
			       text, UUID_LEN + 1);
		text[UUID_LEN + 1] = '\n';
		expect_refusal(_metadata, variant,
			       "a UUID, a character and a newline", text,
			       UUID_LEN + 2);
	}
}

TEST_F(mdev, create_of_malformed_uuid_fails)
{
	const char *malformed[] = {
		"not a uuid, but as long as one is...",
		"------------------------------------",
		"000000000000000000000000000000000000",
		"00000000-0000-0000-0000-00000000000g",
		"0000000-00000-0000-0000-000000000000",
		"00000000-0000-0000-0000_000000000000",
		"00000000 0000-0000-0000-000000000000",
		"{0000000-0000-0000-0000-00000000000}",
		" 0000000-0000-0000-0000-000000000000",
		"0x000000-0000-0000-0000-000000000000",
		"-0000000-0000-0000-0000-000000000000",
		"../../..-0000-0000-0000-000000000000",
		"%s%s%s%n-0000-0000-0000-000000000000",
		"\n0000000-0000-0000-0000-00000000000",
	};
	char text[UUID_LEN + 1];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(malformed); i++) {
		ASSERT_LE(UUID_LEN - 1, (int)strlen(malformed[i]));
		expect_refusal(_metadata, variant, malformed[i], malformed[i],
			       strlen(malformed[i]));
	}
	for (i = 0; i < UUID_LEN; i++) {
		memcpy(text, self->uuid.text, sizeof(text));
		text[i] = text[i] == '-' ? '0' : '-';
		expect_refusal(_metadata, variant, text, text, UUID_LEN);
		text[i] = '\0';
		expect_refusal(_metadata, variant, "a UUID with a zero byte",
			       text, UUID_LEN);
		text[i] = '\xff';
		expect_refusal(_metadata, variant, "a UUID with a byte of ff",
			       text, UUID_LEN);
	}
}

TEST_F(mdev, create_of_nothing_does_nothing)
{
	EXPECT_EQ(0, write_create(variant, "", 0));
	expect_refusal(_metadata, variant, "a newline", "\n", 1);
	expect_refusal(_metadata, variant, "a zero byte", "", 1);
	expect_refusal(_metadata, variant, "0", "0", 1);
}

TEST_F(mdev, create_of_a_megabyte_fails)
{
	char *data = malloc(MEGABYTE);

	ASSERT_TRUE(data);
	memset(data, 'a', MEGABYTE);
	expect_refusal(_metadata, variant, "a megabyte of a", data, MEGABYTE);
	memset(data, '\n', MEGABYTE);
	memcpy(data, self->uuid.text, UUID_LEN);
	expect_refusal(_metadata, variant, "a UUID and a megabyte of newlines",
		       data, MEGABYTE);
	memset(data, 0, MEGABYTE);
	memcpy(data, self->uuid.text, UUID_LEN);
	expect_refusal(_metadata, variant,
		       "a UUID and a megabyte of zero bytes", data, MEGABYTE);
	free(data);
}

TEST_F(mdev, create_from_bad_address_fails)
{
	int fd = open(type_path(variant->parent, variant->type, "create").text,
		      O_WRONLY);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, write(fd, bad_address(), UUID_LEN));
	EXPECT_EQ(EFAULT, errno);
	close(fd);
}

TEST_F(mdev, create_duplicate_uuid_fails)
{
	ASSERT_EQ(0, create(variant, &self->uuid));
	EXPECT_EQ(self->instances - variant->cost, left(variant));
	EXPECT_EQ(-EEXIST, create(variant, &self->uuid));
	EXPECT_EQ(-EEXIST, create(variant, &self->uuid));
	EXPECT_EQ(self->instances - variant->cost, left(variant));
	EXPECT_TRUE(mdev_exists(&self->uuid));
}

TEST_F(mdev, uuid_can_be_used_again_after_removal)
{
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, create(variant, &self->uuid));
		EXPECT_EQ(self->instances - variant->cost, left(variant));
		ASSERT_EQ(0, mdev_remove(&self->uuid));
		EXPECT_EQ(self->instances, left(variant));
	}
}

TEST_F(mdev, remove_of_zero_does_nothing)
{
	const char *zeros[] = { "0", "0\n", "00", "0x0", "0x00\n" };
	size_t i;

	ASSERT_EQ(0, create(variant, &self->uuid));
	for (i = 0; i < ARRAY_SIZE(zeros); i++)
		EXPECT_EQ(0, file_puts(mdev_path(&self->uuid, "remove").text,
				       zeros[i]));
	EXPECT_EQ(0, file_write(mdev_path(&self->uuid, "remove").text, "", 0));
	EXPECT_TRUE(mdev_exists(&self->uuid));
}

TEST_F(mdev, remove_of_any_other_number_removes)
{
	const char *numbers[] = {
		"1", "1\n", "2", "0x1", "0XfF", "010", "0xffff\n", "4294967295",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		ASSERT_EQ(0, create(variant, &self->uuid));
		EXPECT_EQ(0, file_puts(mdev_path(&self->uuid, "remove").text,
				       numbers[i]));
		EXPECT_FALSE(mdev_exists(&self->uuid)) {
			TH_LOG("remove of %s", numbers[i]);
		}
	}
}

static const char * const no_numbers[] = {
	"x", "yes", "\n", "1x", "1 ", "-1", "-0", "1\n\n", "1 1", "0x", "09",
	"99999999999999999999999999999999", "1\nx", "--1", "0b1", " 1", "\t1",
	"18446744073709551616", "0x10000000000000000",
};

TEST_F(mdev, remove_of_no_number_fails)
{
	size_t i;

	ASSERT_EQ(0, create(variant, &self->uuid));
	for (i = 0; i < ARRAY_SIZE(no_numbers); i++) {
		EXPECT_EQ(-EINVAL,
			  file_puts(mdev_path(&self->uuid, "remove").text,
				    no_numbers[i])) {
			TH_LOG("remove of '%s'", no_numbers[i]);
		}
		ASSERT_TRUE(mdev_exists(&self->uuid));
	}
	EXPECT_EQ(-EINVAL, file_write(mdev_path(&self->uuid, "remove").text,
				      "\0", 1));
}

TEST_F(mdev, remove_of_number_with_plus_sign_fails)
{
	if (self->kernels_own)
		SKIP(return, "the kernel's own mdev takes a plus sign");
	ASSERT_EQ(0, create(variant, &self->uuid));
	EXPECT_EQ(-EINVAL, file_puts(mdev_path(&self->uuid, "remove").text,
				     "+1"));
	EXPECT_TRUE(mdev_exists(&self->uuid));
}

TEST_F(mdev, remove_of_number_and_zero_byte_fails)
{
	if (self->kernels_own)
		SKIP(return, "the kernel's own mdev stops at a zero byte");
	ASSERT_EQ(0, create(variant, &self->uuid));
	EXPECT_EQ(-EINVAL, file_write(mdev_path(&self->uuid, "remove").text,
				      "1\0x", 3));
	EXPECT_TRUE(mdev_exists(&self->uuid));
}

TEST_F(mdev, remove_of_a_megabyte_fails)
{
	char *data = malloc(MEGABYTE);

	ASSERT_TRUE(data);
	memset(data, '1', MEGABYTE);
	ASSERT_EQ(0, create(variant, &self->uuid));
	EXPECT_EQ(-EINVAL, file_write(mdev_path(&self->uuid, "remove").text,
				      data, MEGABYTE));
	EXPECT_TRUE(mdev_exists(&self->uuid));
	free(data);
}

TEST_F(mdev, request_takes_zero_and_one_only)
{
	const char *others[] = {
		"", "2", "-1", "x", "\n", "11", "1 ", "1\n\n", "0x2", "1x",
		"99999999999999999999999999999999",
	};
	struct path path = mdev_path(&self->uuid, "request");
	char *data = malloc(MEGABYTE);
	size_t i;

	if (self->kernels_own)
		SKIP(return, KERNELS_OWN);
	ASSERT_TRUE(data);
	ASSERT_EQ(0, create(variant, &self->uuid));
	EXPECT_EQ(0, file_write(path.text, "", 0));
	for (i = 1; i < ARRAY_SIZE(others); i++) {
		EXPECT_EQ(-EINVAL, file_puts(path.text, others[i])) {
			TH_LOG("request of '%s'", others[i]);
		}
	}
	memset(data, '1', MEGABYTE);
	EXPECT_EQ(-EINVAL, file_write(path.text, data, MEGABYTE));
	free(data);
	/* No process has it open: nobody can be asked, nothing is pending */
	EXPECT_EQ(0, file_puts(path.text, "0"));
	EXPECT_EQ(0, file_puts(path.text, "0\n"));
	if (strcmp(variant->api, "vfio-platform")) {
		EXPECT_EQ(0, file_puts(path.text, "1"));
		EXPECT_EQ(0, file_puts(path.text, "1\n"));
	}
	EXPECT_EQ(0, mdev_number(&self->uuid, "request"));
	EXPECT_EQ(0, mdev_number(&self->uuid, "request_count"));
}

TEST_F(mdev, read_only_attributes_refuse_to_be_written)
{
	const char *attrs[] = { "holder", "request_count", "request_since" };
	char text[64];
	size_t i;

	if (self->kernels_own)
		SKIP(return, KERNELS_OWN);
	ASSERT_EQ(0, create(variant, &self->uuid));
	/* Root may open any file for writing, but sysfs refuses this */
	for (i = 0; i < ARRAY_SIZE(attrs); i++)
		EXPECT_EQ(-EACCES, file_puts(mdev_path(&self->uuid,
						       attrs[i]).text, "0"));
	EXPECT_EQ(-EACCES, file_read(mdev_path(&self->uuid, "remove").text,
				     text, sizeof(text)));
}

TEST_F(mdev, create_and_remove_send_uevents)
{
	int fd = uevent_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, create(variant, &self->uuid));
	EXPECT_TRUE(uevent_wait(fd, SOON_MS, "add", self->uuid.text,
				"SUBSYSTEM=mdev"));
	ASSERT_EQ(0, mdev_remove(&self->uuid));
	EXPECT_TRUE(uevent_wait(fd, SOON_MS, "remove", self->uuid.text,
				"SUBSYSTEM=mdev"));
	close(fd);
}

TEST_F(mdev, removal_without_user_is_no_request)
{
	int fd = uevent_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, create(variant, &self->uuid));
	ASSERT_EQ(0, mdev_remove(&self->uuid));
	/* Events are sent before the write returns, so no more will come */
	EXPECT_FALSE(uevent_wait(fd, 0, "change", self->uuid.text, NULL));
	close(fd);
}

TEST_F(mdev, uevents_of_a_device_can_be_triggered)
{
	int fd = uevent_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, create(variant, &self->uuid));
	EXPECT_EQ(0, file_puts(mdev_path(&self->uuid, "uevent").text, "change"));
	EXPECT_TRUE(uevent_wait(fd, SOON_MS, "change", self->uuid.text, NULL));
	close(fd);
}

TEST_F(mdev, fdinfo_shows_where_the_device_is)
{
	char text[4096], path[PATH_MAX], fdinfo[64], line[PATH_MAX + 64];
	struct vfio_user user;

	if (!vfio_shows_path())
		SKIP(return, "this kernel's VFIO does not show the path");
	ASSERT_EQ(0, create(variant, &self->uuid));
	ASSERT_NE(NULL, realpath(mdev_path(&self->uuid, "").text, path));
	ASSERT_EQ(0, vfio_open(&user, &self->uuid));
	snprintf(fdinfo, sizeof(fdinfo), "/proc/self/fdinfo/%d", user.device);
	EXPECT_LT(0, file_read(fdinfo, text, sizeof(text)));
	snprintf(line, sizeof(line), "vfio-device-syspath: %s\n", path);
	/* file_read() removes the last newline */
	strcat(text, "\n");
	EXPECT_NE(NULL, strstr(text, line)) {
		TH_LOG("%s is not in '%s'", line, text);
	}
	vfio_close(&user);
}

/* mtty: two types share the same ports */
FIXTURE(ports)
{
	struct uuid uuids[24];
	int created;
};

FIXTURE_SETUP(ports)
{
	int i;

	if (!parent_exists("mtty"))
		SKIP(return, "no parent mtty");
	if (instances("mtty", "mtty-1") != 24)
		SKIP(return, "some of the 24 ports are in use");
	for (i = 0; i < 24; i++)
		self->uuids[i] = uuid_new();
}

FIXTURE_TEARDOWN(ports)
{
	int i;

	for (i = 0; i < 24; i++)
		if (mdev_exists(&self->uuids[i]))
			EXPECT_EQ(0, mdev_remove(&self->uuids[i]));
	EXPECT_EQ(24, instances("mtty", "mtty-1"));
	EXPECT_EQ(12, instances("mtty", "mtty-2"));
}

TEST_F(ports, are_counted_exactly)
{
	int i;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, mdev_create("mtty", "mtty-2", &self->uuids[i]));
		EXPECT_EQ(24 - 2 * (i + 1), instances("mtty", "mtty-1"));
		EXPECT_EQ(12 - (i + 1), instances("mtty", "mtty-2"));
	}
	for (i = 8; i < 16; i++) {
		ASSERT_EQ(0, mdev_create("mtty", "mtty-1", &self->uuids[i]));
		EXPECT_EQ(7 - (i - 8), instances("mtty", "mtty-1"));
		EXPECT_EQ((7 - (i - 8)) / 2, instances("mtty", "mtty-2"));
	}
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0, mdev_remove(&self->uuids[i]));
}

TEST_F(ports, create_beyond_the_last_one_fails)
{
	int i;

	for (i = 0; i < 23; i++) {
		ASSERT_EQ(0, mdev_create("mtty", "mtty-1", &self->uuids[i]));
	}
	/* One port is left, but the type needs two */
	EXPECT_EQ(-ENOSPC, mdev_create("mtty", "mtty-2", &self->uuids[23]));
	EXPECT_EQ(1, instances("mtty", "mtty-1"));
	EXPECT_EQ(0, mdev_create("mtty", "mtty-1", &self->uuids[23]));
	EXPECT_EQ(0, instances("mtty", "mtty-1"));
	EXPECT_EQ(0, mdev_remove(&self->uuids[23]));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-ENOSPC, mdev_create("mtty", "mtty-2",
					       &self->uuids[23]));
	EXPECT_EQ(1, instances("mtty", "mtty-1"));
	EXPECT_EQ(0, mdev_create("mtty", "mtty-1", &self->uuids[23]));
	EXPECT_EQ(-EEXIST, mdev_create("mtty", "mtty-1", &self->uuids[23]));
	EXPECT_EQ(0, instances("mtty", "mtty-1"));
}

/* Parents of our test modules: two of one driver, which can be unbound */
FIXTURE(parents)
{
	struct uuid uuid;
	struct uuid other;
	int count;
};

FIXTURE_SETUP(parents)
{
	if (!parent_exists("mdev_relay.0") || !parent_exists("mdev_relay.1"))
		SKIP(return, "no parents mdev_relay.0 and mdev_relay.1");
	self->uuid = uuid_new();
	self->other = uuid_new();
	self->count = mdev_count();
}

#define RELAY_DRIVER "/sys/bus/platform/drivers/mdev_relay/"

FIXTURE_TEARDOWN(parents)
{
	if (!parent_exists("mdev_relay.1"))
		EXPECT_EQ(0, file_puts(RELAY_DRIVER "bind", "mdev_relay.1"));
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	if (mdev_exists(&self->other))
		EXPECT_EQ(0, mdev_remove(&self->other));
	EXPECT_EQ(self->count, mdev_count());
	EXPECT_EQ(1, instances("mdev_relay.0", "mdev_relay-limited"));
	EXPECT_EQ(1, instances("mdev_relay.1", "mdev_relay-limited"));
}

TEST_F(parents, create_duplicate_uuid_on_another_parent_fails)
{
	ASSERT_EQ(0, mdev_create("mdev_relay.0", "mdev_relay-limited",
				 &self->uuid));
	EXPECT_EQ(-EEXIST, mdev_create("mdev_relay.1", "mdev_relay-limited",
				       &self->uuid));
	EXPECT_EQ(1, instances("mdev_relay.1", "mdev_relay-limited"));
	EXPECT_FALSE(file_exists(parent_path("mdev_relay.1",
					     self->uuid.text).text));
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	EXPECT_EQ(0, mdev_create("mdev_relay.1", "mdev_relay-limited",
				 &self->uuid));
}

TEST_F(parents, create_beyond_the_last_instance_fails)
{
	ASSERT_EQ(0, mdev_create("mdev_relay.0", "mdev_relay-limited",
				 &self->uuid));
	EXPECT_EQ(0, instances("mdev_relay.0", "mdev_relay-limited"));
	EXPECT_EQ(-ENOSPC, mdev_create("mdev_relay.0", "mdev_relay-limited",
				       &self->other));
	EXPECT_FALSE(mdev_exists(&self->other));
	/* The UUID of the failed create can be reused */
	EXPECT_EQ(0, mdev_create("mdev_relay.0", "mdev_relay-relay",
				 &self->other));
}

TEST_F(parents, create_that_the_parent_refuses_leaves_nothing)
{
	int i;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EIO, mdev_create("mdev_relay.0",
					    "mdev_relay-failing", &self->uuid));
		EXPECT_FALSE(mdev_exists(&self->uuid));
		EXPECT_FALSE(file_exists(parent_path("mdev_relay.0",
						     self->uuid.text).text));
	}
	EXPECT_EQ(0, mdev_create("mdev_relay.0", "mdev_relay-relay",
				 &self->uuid));
}

TEST_F(parents, refused_create_names_the_device_in_the_log)
{
	int log = kmsg_open();
	bool found = false;
	int tries;

	ASSERT_LE(0, log);
	/* Earlier tests may have used up the rate limit */
	for (tries = 0; tries < 10 && !found; tries++) {
		EXPECT_EQ(-EIO, mdev_create("mdev_relay.0",
					    "mdev_relay-failing", &self->uuid));
		found = kmsg_wait(log, 1000, self->uuid.text, NULL, NULL);
	}
	EXPECT_TRUE(found);
	close(log);
}

TEST_F(parents, own_attributes_are_there_with_the_device)
{
	ASSERT_EQ(0, mdev_create("mdev_relay.0", "mdev_relay-relay",
				 &self->uuid));
	EXPECT_EQ(0, mdev_number(&self->uuid, "relay/pinned"));
}

TEST_F(parents, unbind_and_bind_send_uevents)
{
	int fd = uevent_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, file_puts(RELAY_DRIVER "unbind", "mdev_relay.1"));
	EXPECT_TRUE(uevent_wait(fd, SOON_MS, "change", "mdev_relay.1",
				MDEV_UEVENT_UNREGISTERED));
	EXPECT_FALSE(parent_exists("mdev_relay.1"));
	ASSERT_EQ(0, file_puts(RELAY_DRIVER "bind", "mdev_relay.1"));
	EXPECT_TRUE(uevent_wait(fd, SOON_MS, "change", "mdev_relay.1",
				MDEV_UEVENT_REGISTERED));
	EXPECT_TRUE(parent_exists("mdev_relay.1"));
	close(fd);
}

TEST_F(parents, unbind_removes_the_devices_and_no_others)
{
	ASSERT_EQ(0, mdev_create("mdev_relay.0", "mdev_relay-relay",
				 &self->uuid));
	ASSERT_EQ(0, mdev_create("mdev_relay.1", "mdev_relay-relay",
				 &self->other));
	ASSERT_EQ(0, file_puts(RELAY_DRIVER "unbind", "mdev_relay.1"));
	EXPECT_FALSE(mdev_exists(&self->other));
	EXPECT_TRUE(mdev_exists(&self->uuid));
	ASSERT_EQ(0, file_puts(RELAY_DRIVER "bind", "mdev_relay.1"));
	EXPECT_EQ(0, mdev_create("mdev_relay.1", "mdev_relay-relay",
				 &self->other));
}

TEST_F(parents, create_attribute_held_open_over_unbind_fails)
{
	int fd = open(type_path("mdev_relay.1", "mdev_relay-relay",
				"create").text, O_WRONLY);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, file_puts(RELAY_DRIVER "unbind", "mdev_relay.1"));
	EXPECT_EQ(-1, write(fd, self->uuid.text, UUID_LEN));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_FALSE(mdev_exists(&self->uuid));
	close(fd);
}

TEST_HARNESS_MAIN
