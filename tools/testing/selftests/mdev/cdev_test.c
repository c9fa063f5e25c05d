// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that are opened by their own file, without a group: before they are
 * bound to an iommufd, and while they are detached from memory that is pinned.
 * Some of iommufd's warnings would be mdev's fault.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"
#include "lib/log.h"

#define PARENT	"mdev_relay.0"
#define TYPE	"mdev_relay-relay"
#define IOVA	0x100000ULL
#define PAGES	16

/* How long threads race */
#define RACE_MS	5000

/* The limit of a removal that waits for no process, on a busy machine */
#define REMOVE_MS	(SOON_MS * time_scale())

FIXTURE(cdev)
{
	struct uuid uuid;
	struct vfio_user user;
	unsigned char *memory;
	size_t page;
	size_t size;
};

FIXTURE_SETUP(cdev)
{
	self->user = (struct vfio_user)VFIO_USER_NONE;
	if (vfio_way() != VFIO_WAY_CDEV)
		SKIP(return, "VFIO_WAY is not cdev");
	self->page = sysconf(_SC_PAGESIZE);
	self->size = PAGES * self->page;
	self->memory = mmap(NULL, self->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
}

FIXTURE_TEARDOWN(cdev)
{
	vfio_close(&self->user);
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
	EXPECT_TRUE(pages_pinned_become(0));
}

static void open_and_map(struct __test_metadata *_metadata,
			 FIXTURE_DATA(cdev) *self)
{
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, self->size));
}

/* @at: the index of the first page */
static int pin_pages(const FIXTURE_DATA(cdev) *self, int at, int npage)
{
	return relay_pin(self->user.device, MDEV_RELAY_PIN,
			 IOVA + at * self->page, npage);
}

TEST_F(cdev, unbound_descriptor_delays_no_removal)
{
	int fd = vfio_open_unbound(&self->uuid);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, child_wait(remover_start(&self->uuid), REMOVE_MS));
	EXPECT_FALSE(mdev_exists(&self->uuid));
	self->user.container = vfio_open_container();
	ASSERT_LE(0, self->user.container);
	EXPECT_GT(0, vfio_cdev_bind(fd, self->user.container));
	/* The UUID can be reused at once */
	EXPECT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	EXPECT_GT(0, vfio_cdev_bind(fd, self->user.container));
	vfio_close(&self->user);
	EXPECT_EQ(0, vfio_open(&self->user, &self->uuid));
	close(fd);
}

TEST_F(cdev, unbound_descriptors_delay_no_unbind_of_the_parent)
{
	int fd = vfio_open_unbound(&self->uuid);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, child_wait(unbinder_start(PARENT), REMOVE_MS));
	EXPECT_FALSE(mdev_exists(&self->uuid));
	EXPECT_EQ(0, parent_bind(PARENT));
	close(fd);
}

/* Unbinds and binds again. The last holder must not delay that */
TEST_F(cdev, driver_can_be_bound_again_after_the_holder_closes)
{
	pid_t pid;

	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	pid = driver_unbinder_start(&self->uuid);
	ASSERT_LT(0, pid);
	vfio_close(&self->user);
	EXPECT_EQ(0, child_wait(pid, REMOVE_MS));
	EXPECT_EQ(0, file_puts(MDEV_DRIVER "bind", self->uuid.text));
	EXPECT_EQ(0, vfio_open(&self->user, &self->uuid));
}

TEST_F(cdev, former_holder_that_closes_is_noticed_at_once)
{
	int log = kmsg_open();

	ASSERT_LE(0, log);
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	EXPECT_EQ(0, mdev_revoke(&self->uuid));
	usleep(1500000);
	vfio_close(&self->user);
	EXPECT_TRUE(kmsg_wait(log, SOON_MS, self->uuid.text,
			      LOG_CLOSED, NULL));
	close(log);
}

TEST_F(cdev, detach_unpins)
{
	open_and_map(_metadata, self);
	EXPECT_EQ(0, pin_pages(self, 0, 3));
	EXPECT_EQ(0, pin_pages(self, 3, 5));
	EXPECT_EQ(8, relay_pinned(&self->uuid));
	EXPECT_EQ(0, vfio_cdev_detach(self->user.device));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
	EXPECT_EQ(-EINVAL, pin_pages(self, 0, 1));
	EXPECT_EQ(0, vfio_cdev_attach(self->user.device, self->user.ioas));
	EXPECT_EQ(0, pin_pages(self, 0, 1));
}

/* The parent driver takes longer to unpin than type 1 would wait for it */
TEST_F(cdev, detach_waits_for_a_parent_driver_that_is_slow)
{
	open_and_map(_metadata, self);
	EXPECT_EQ(0, pin_pages(self, 0, 3));
	ASSERT_EQ(0, relay_set("unmap_ms", 300));
	EXPECT_EQ(0, vfio_cdev_detach(self->user.device));
	EXPECT_EQ(0, relay_set("unmap_ms", 0));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

TEST_F(cdev, other_memory_replaces_what_is_pinned)
{
	struct vfio_user other = VFIO_USER_NONE;

	open_and_map(_metadata, self);
	EXPECT_EQ(0, pin_pages(self, 0, PAGES));
	other.container = self->user.container;
	ASSERT_EQ(0, vfio_new_ioas(&other));
	EXPECT_EQ(0, vfio_cdev_attach(self->user.device, other.ioas));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
	EXPECT_EQ(-EINVAL, pin_pages(self, 0, 1));
	EXPECT_EQ(0, vfio_map(&other, self->memory, IOVA, self->page));
	EXPECT_EQ(0, pin_pages(self, 0, 1));
}

TEST_F(cdev, unmap_of_many_pieces_unpins_them)
{
	int i;

	open_and_map(_metadata, self);
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(0, pin_pages(self, i, 1));
	EXPECT_EQ(0, pin_pages(self, 0, PAGES));
	EXPECT_EQ(0, vfio_unmap(&self->user, IOVA, self->size));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

TEST_F(cdev, second_holder_is_refused)
{
	int fd = vfio_open_unbound(&self->uuid);
	struct vfio_user other = VFIO_USER_NONE;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	EXPECT_EQ(-EINVAL, vfio_open(&other, &self->uuid));
	EXPECT_EQ(-EINVAL, vfio_cdev_bind(fd, self->user.container));
	close(fd);
}

/* No process can bind while the holder is asked or the device is removed */
TEST_F(cdev, nobody_binds_while_a_removal_waits)
{
	int fd = vfio_open_unbound(&self->uuid);
	int log = kmsg_open();
	pid_t pid;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, log);
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	pid = remover_start(&self->uuid);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(kmsg_wait(log, SOON_MS, self->uuid.text, "removal blocked until",
			      NULL));
	EXPECT_GT(0, vfio_cdev_bind(fd, self->user.container));
	vfio_close(&self->user);
	self->user.container = vfio_open_container();
	EXPECT_GT(0, vfio_cdev_bind(fd, self->user.container));
	EXPECT_EQ(0, child_wait(pid, REMOVE_MS));
	close(fd);
	close(log);
}

/* A thread that makes one kind of call again and again */
struct racer {
	struct call call;
	const bool *stop;
	__u32 ioas;
	int kind;
	long made;
};

enum { PINS, UNPINS, DETACHES, UNMAPS, CLOSES, KINDS };

struct arena {
	struct uuid uuid;
	void *memory;
	size_t size;
};

static void race_once(struct racer *racer)
{
	const struct vfio_user *user = racer->call.user;
	const struct arena *arena = racer->call.data;
	size_t page = sysconf(_SC_PAGESIZE);
	__u64 at = IOVA + racer->made % PAGES * page;
	struct vfio_user other;

	switch (racer->kind) {
	case PINS:
		relay_pin(user->device, MDEV_RELAY_PIN, at,
			  1 + racer->made % 3);
		break;
	case UNPINS:
		relay_pin(user->device, MDEV_RELAY_UNPIN, at,
			  1 + racer->made % 3);
		break;
	case DETACHES:
		vfio_cdev_detach(user->device);
		vfio_cdev_attach(user->device, racer->ioas);
		if (racer->made % 4 == 0)
			vfio_cdev_attach(user->device, user->ioas);
		break;
	case UNMAPS:
		vfio_unmap(user, IOVA, arena->size);
		vfio_map(user, arena->memory, IOVA, arena->size);
		break;
	case CLOSES:
		if (!vfio_open(&other, &arena->uuid))
			vfio_close(&other);
		break;
	}
	racer->made++;
}

static long call_racer(struct call *call)
{
	struct racer *racer = (struct racer *)call;

	while (!__atomic_load_n(racer->stop, __ATOMIC_RELAXED))
		race_once(racer);
	return 0;
}

TEST_F_TIMEOUT(cdev, calls_of_all_kinds_race, 120)
{
	struct vfio_user other = VFIO_USER_NONE;
	struct arena arena = {
		.uuid = self->uuid, .memory = self->memory, .size = self->size,
	};
	struct racer racers[2 * KINDS] = {};
	bool stop = false;
	unsigned int i;

	open_and_map(_metadata, self);
	other.container = self->user.container;
	ASSERT_EQ(0, vfio_new_ioas(&other));
	ASSERT_EQ(0, vfio_map(&other, self->memory, IOVA, self->size));
	for (i = 0; i < 2 * KINDS; i++) {
		racers[i].stop = &stop;
		racers[i].ioas = i % 2 ? other.ioas : self->user.ioas;
		racers[i].kind = i % KINDS;
		ASSERT_EQ(0, call_start(&racers[i].call, &(struct call){
			.run = call_racer, .user = &self->user, .data = &arena,
		}));
	}
	usleep(RACE_MS * 1000);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2 * KINDS; i++) {
		EXPECT_EQ(0, call_end(&racers[i].call, REMOVE_MS));
		EXPECT_LT(0, racers[i].made);
	}
	vfio_close(&self->user);
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

/* With a driver of the kernel's own interface, VFIO makes a removal wait */
FIXTURE(kernel_cdev)
{
	struct uuid uuid;
	int unbound;
	int log;
	pid_t child;
};

#define KERNEL_PARENT	"mdpy"
#define KERNEL_TYPE	"mdpy-vga"

/* How long the test watches a removal wait */
#define WAITS_MS	1500

FIXTURE_SETUP(kernel_cdev)
{
	self->child = -1;
	self->unbound = -1;
	self->log = -1;
	if (vfio_way() != VFIO_WAY_CDEV)
		SKIP(return, "VFIO_WAY is not cdev");
	self->log = kmsg_open();
	ASSERT_LE(0, self->log);
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(KERNEL_PARENT, KERNEL_TYPE, &self->uuid));
	self->unbound = vfio_open_unbound(&self->uuid);
	ASSERT_LE(0, self->unbound);
}

FIXTURE_TEARDOWN(kernel_cdev)
{
	/* A child that waits for this cannot be killed: close it first */
	close(self->unbound);
	child_kill(self->child);
	close(self->log);
	if (mdev_exists(&self->uuid))
		EXPECT_EQ(0, mdev_remove(&self->uuid));
}

static void expect_child_waits(struct __test_metadata *_metadata,
			       const FIXTURE_DATA(kernel_cdev) *self)
{
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->uuid.text,
			      LOG_DEVICE_OPEN, NULL));
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, WAITS_MS));
	EXPECT_TRUE(mdev_exists(&self->uuid));
}

static void expect_child_ends(struct __test_metadata *_metadata,
			      FIXTURE_DATA(kernel_cdev) *self)
{
	EXPECT_EQ(0, child_wait(self->child, REMOVE_MS));
	self->child = -1;
}

static void kill_child(struct __test_metadata *_metadata,
		       FIXTURE_DATA(kernel_cdev) *self)
{
	ASSERT_EQ(0, kill(self->child, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_wait(self->child, REMOVE_MS));
	self->child = -1;
	EXPECT_TRUE(mdev_exists(&self->uuid));
}

static void close_unbound(FIXTURE_DATA(kernel_cdev) *self)
{
	close(self->unbound);
	self->unbound = -1;
}

TEST_F(kernel_cdev, removal_waits_for_an_unbound_descriptor_and_can_be_killed)
{
	self->child = remover_start(&self->uuid);
	expect_child_waits(_metadata, self);
	kill_child(_metadata, self);
	self->child = remover_start(&self->uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, WAITS_MS));
	close_unbound(self);
	expect_child_ends(_metadata, self);
	EXPECT_FALSE(mdev_exists(&self->uuid));
}

/* After the removal was given up, the device can be opened again soon */
TEST_F(kernel_cdev, nobody_opens_it_while_a_removal_waits)
{
	struct vfio_user user = VFIO_USER_NONE;

	self->child = remover_start(&self->uuid);
	expect_child_waits(_metadata, self);
	EXPECT_EQ(-EBUSY, vfio_open_unbound(&self->uuid));
	kill_child(_metadata, self);
	EXPECT_TRUE(soon(!vfio_open(&user, &self->uuid)));
	vfio_close(&user);
}

TEST_F(kernel_cdev, revocation_waits_for_no_unbound_descriptor)
{
	self->child = revoker_start(&self->uuid);
	EXPECT_EQ(EBUSY, child_wait(self->child, REMOVE_MS));
	self->child = -1;
	EXPECT_TRUE(mdev_exists(&self->uuid));
}

/* Nothing is torn down while the unbind waits */
TEST_F(kernel_cdev, unbind_waits_for_an_unbound_descriptor)
{
	self->child = driver_unbinder_start(&self->uuid);
	expect_child_waits(_metadata, self);
	EXPECT_TRUE(file_exists(mdev_path(&self->uuid, "vfio-dev").text));
	close_unbound(self);
	expect_child_ends(_metadata, self);
	EXPECT_FALSE(file_exists(mdev_path(&self->uuid, "vfio-dev").text));
}

TEST_HARNESS_MAIN
