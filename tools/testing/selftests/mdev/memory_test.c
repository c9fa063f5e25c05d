// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access to guest memory through a mediated device: mdev_dma_rw(),
 * mdev_pin_pages(), mdev_unpin_pages() and the dma_unmap callback, with a type
 * 1 container. The regions of mdev_relay's devices call these functions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"
#include "lib.h"
#include "mdev_relay.h"

#define PARENT	"mdev_relay.0"
#define TYPE	"mdev_relay-relay"
#define PAGES	16
#define IOVA	0x100000ULL

FIXTURE(memory)
{
	struct uuid uuid;
	struct vfio_user user;
	unsigned char *memory;
	size_t page;
	size_t size;
};

FIXTURE_SETUP(memory)
{
	size_t i;

	if (!parent_exists(PARENT))
		SKIP(return, "no parent " PARENT);
	self->page = sysconf(_SC_PAGESIZE);
	self->size = PAGES * self->page;
	self->memory = mmap(NULL, self->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	for (i = 0; i < self->size; i++)
		self->memory[i] = i * 7 + i / self->page;
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, self->size));
}

FIXTURE_TEARDOWN(memory)
{
	vfio_close(&self->user);
	EXPECT_EQ(0, relay_pinned(&self->uuid));
	EXPECT_EQ(0, mdev_remove(&self->uuid));
}

static ssize_t dma_read(int device, void *data, size_t len, __u64 iova)
{
	ssize_t ret = pread(device, data, len, iova);

	return ret < 0 ? -errno : ret;
}

static ssize_t dma_write(int device, const void *data, size_t len, __u64 iova)
{
	ssize_t ret = pwrite(device, data, len, iova);

	return ret < 0 ? -errno : ret;
}

static int pin_pages(const FIXTURE_DATA(memory) *self, __u64 iova, __u32 npage)
{
	return relay_pin(self->user.device, MDEV_RELAY_PIN, iova, npage);
}

static int unpin_pages(const FIXTURE_DATA(memory) *self, __u64 iova,
		       __u32 npage)
{
	return relay_pin(self->user.device, MDEV_RELAY_UNPIN, iova, npage);
}

/* No signal ends a call in the parent, so the fuzzer's random times must be refused */
TEST_F(memory, the_parent_of_the_tests_sleeps_no_longer_than_it_may)
{
	struct call call = { .user = &self->user };

	call.len = 1;
	EXPECT_EQ(sizeof(__u32), call_sleep(&call));
	call.len = RELAY_SLEEP_MAX_MS + 1;
	EXPECT_EQ(-EINVAL, call_sleep(&call));
	call.len = (__u32)-1;
	EXPECT_EQ(-EINVAL, call_sleep(&call));
}

TEST_F(memory, read_gives_what_the_user_mapped)
{
	unsigned char data[256];

	EXPECT_EQ((ssize_t)sizeof(data),
		  dma_read(self->user.device, data, sizeof(data), IOVA));
	EXPECT_EQ(0, memcmp(data, self->memory, sizeof(data)));
	EXPECT_EQ(1, dma_read(self->user.device, data, 1,
			      IOVA + self->size - 1));
	EXPECT_EQ(self->memory[self->size - 1], data[0]);
}

TEST_F(memory, read_crosses_pages)
{
	unsigned char *data = malloc(self->size);
	size_t len = 3 * self->page;

	EXPECT_EQ((ssize_t)len, dma_read(self->user.device, data, len,
					 IOVA + self->page / 2 + 1));
	EXPECT_EQ(0, memcmp(data, self->memory + self->page / 2 + 1, len));
	EXPECT_EQ((ssize_t)self->size, dma_read(self->user.device, data,
						self->size, IOVA));
	EXPECT_EQ(0, memcmp(data, self->memory, self->size));
	free(data);
}

TEST_F(memory, write_changes_what_the_user_mapped)
{
	unsigned char data[64];
	size_t at = 2 * self->page - 32;
	unsigned char before = self->memory[at - 1];
	unsigned char after = self->memory[at + sizeof(data)];

	memset(data, 0xa5, sizeof(data));
	EXPECT_EQ((ssize_t)sizeof(data),
		  dma_write(self->user.device, data, sizeof(data), IOVA + at));
	EXPECT_EQ(0, memcmp(self->memory + at, data, sizeof(data)));
	EXPECT_EQ(before, self->memory[at - 1]);
	EXPECT_EQ(after, self->memory[at + sizeof(data)]);
}

TEST_F(memory, access_to_what_is_not_mapped_fails)
{
	unsigned char data[64] = {};

	EXPECT_EQ(-EINVAL, dma_read(self->user.device, data, sizeof(data), 0));
	EXPECT_EQ(-EINVAL, dma_read(self->user.device, data, sizeof(data),
				    IOVA - sizeof(data)));
	EXPECT_EQ(-EINVAL, dma_read(self->user.device, data, sizeof(data),
				    IOVA + self->size));
	EXPECT_EQ(-EINVAL, dma_write(self->user.device, data, sizeof(data),
				     IOVA + self->size));
	EXPECT_EQ(-EINVAL, dma_read(self->user.device, data, sizeof(data),
				    (1ULL << MDEV_RELAY_INDEX_SHIFT) - 64));
}

TEST_F(memory, access_across_the_end_of_a_mapping_fails)
{
	unsigned char data[64] = {};

	EXPECT_EQ(-EINVAL, dma_read(self->user.device, data, sizeof(data),
				    IOVA + self->size - 32));
}

TEST_F(memory, write_to_read_only_mapping_fails)
{
	const __u64 iova = IOVA + 2 * self->size;
	unsigned char data[64] = {};

	ASSERT_EQ(0, vfio_map_to_read(&self->user, self->memory, iova,
				      self->page));
	EXPECT_EQ((ssize_t)sizeof(data),
		  dma_read(self->user.device, data, sizeof(data), iova));
	EXPECT_EQ(-EPERM, dma_write(self->user.device, data, sizeof(data),
				    iova));
	EXPECT_EQ(-EPERM, pin_pages(self, iova, 1));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

TEST_F(memory, access_after_unmap_fails)
{
	unsigned char data[64];

	ASSERT_EQ(0, vfio_unmap(&self->user, IOVA, self->size));
	EXPECT_EQ(-EINVAL, dma_read(self->user.device, data, sizeof(data),
				    IOVA));
	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, self->size));
	EXPECT_EQ((ssize_t)sizeof(data),
		  dma_read(self->user.device, data, sizeof(data), IOVA));
}

TEST_F(memory, access_from_bad_address_fails)
{
	EXPECT_EQ(-EFAULT, dma_read(self->user.device, bad_address(), 64,
				    IOVA));
	EXPECT_EQ(-EFAULT, dma_write(self->user.device, bad_address(), 64,
				     IOVA));
	EXPECT_EQ(0, dma_read(self->user.device, bad_address(), 0, IOVA));
}

TEST_F(memory, pages_are_pinned_and_unpinned)
{
	EXPECT_EQ(0, pin_pages(self, IOVA, 1));
	EXPECT_EQ(1, relay_pinned(&self->uuid));
	EXPECT_EQ(0, pin_pages(self, IOVA + 2 * self->page, 4));
	EXPECT_EQ(5, relay_pinned(&self->uuid));
	EXPECT_EQ(0, unpin_pages(self, IOVA, 1));
	EXPECT_EQ(4, relay_pinned(&self->uuid));
	EXPECT_EQ(-ENOENT, unpin_pages(self, IOVA, 1));
	EXPECT_EQ(0, unpin_pages(self, IOVA + 2 * self->page, 4));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

TEST_F(memory, page_can_be_pinned_twice)
{
	EXPECT_EQ(0, pin_pages(self, IOVA, 1));
	EXPECT_EQ(0, pin_pages(self, IOVA, 1));
	EXPECT_EQ(2, relay_pinned(&self->uuid));
	EXPECT_EQ(0, unpin_pages(self, IOVA, 1));
	EXPECT_EQ(0, unpin_pages(self, IOVA, 1));
}

TEST_F(memory, pin_of_what_is_not_mapped_fails)
{
	EXPECT_GT(0, pin_pages(self, 0, 1));
	EXPECT_GT(0, pin_pages(self, IOVA + self->size, 1));
	EXPECT_GT(0, pin_pages(self, ~0ULL & ~(self->page - 1), 1));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

TEST_F(memory, pin_across_the_end_of_a_mapping_leaves_nothing)
{
	EXPECT_GT(0, pin_pages(self, IOVA + self->size - self->page, 2));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
	/* The container has no pinned pages, either */
	EXPECT_EQ(0, vfio_unmap(&self->user, IOVA, self->size));
}

TEST_F(memory, pin_of_too_many_pages_fails)
{
	/* The VFIO core's limit is a page full of pointers */
	EXPECT_EQ(-E2BIG, pin_pages(self, IOVA, self->page / sizeof(long) + 1));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

TEST_F(memory, unmap_unpins)
{
	EXPECT_EQ(0, pin_pages(self, IOVA, 2));
	EXPECT_EQ(0, pin_pages(self, IOVA + 8 * self->page, 2));
	EXPECT_EQ(4, relay_pinned(&self->uuid));
	EXPECT_EQ(0, vfio_unmap(&self->user, IOVA, self->size));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

TEST_F(memory, unmap_of_another_range_unpins_nothing)
{
	unsigned char *other = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u64 iova = IOVA + 4 * self->size;

	ASSERT_NE(MAP_FAILED, (void *)other);
	ASSERT_EQ(0, vfio_map(&self->user, other, iova, self->page));
	EXPECT_EQ(0, pin_pages(self, iova, 1));
	EXPECT_EQ(0, pin_pages(self, IOVA, 1));
	EXPECT_EQ(0, vfio_unmap(&self->user, iova, self->page));
	EXPECT_EQ(1, relay_pinned(&self->uuid));
}

/*
 * VFIO holds its list of devices while the first unmap waits for the parent.
 * The second unmap waits for that list, and holds the lock that unpinning
 * takes.
 */
TEST_F(memory, unmaps_at_once_end)
{
	unsigned char *other = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u64 iova = IOVA + 4 * self->size;
	struct call first, second;

	ASSERT_NE(MAP_FAILED, (void *)other);
	ASSERT_EQ(0, vfio_map(&self->user, other, iova, self->page));
	ASSERT_EQ(0, pin_pages(self, iova, 1));
	ASSERT_EQ(0, pin_pages(self, IOVA, 1));
	ASSERT_EQ(0, relay_set("unmap_ms", 500));
	ASSERT_EQ(0, call_start(&first, &(struct call){
		.run = call_unmap, .user = &self->user, .at = iova,
		.len = self->page,
	}));
	usleep(100000);
	ASSERT_EQ(0, call_start(&second, &(struct call){
		.run = call_unmap, .user = &self->user, .at = IOVA,
		.len = self->size,
	}));
	EXPECT_EQ(0, call_end(&first, SOON_MS));
	EXPECT_EQ(0, call_end(&second, SOON_MS));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
	EXPECT_EQ(0, relay_set("unmap_ms", 0));
}

/*
 * The container notifies each open device. One of them was revoked, and its
 * driver was unloaded: the framework must not call that driver.
 */
TEST_F(memory, unmap_after_another_devices_driver_is_gone)
{
	struct vfio_user other = VFIO_USER_NONE;
	struct uuid uuid = uuid_new();

	if (vfio_way() == VFIO_WAY_CDEV)
		SKIP(return, WITHOUT_GROUP);
	ASSERT_EQ(0, mdev_create("mtty", "mtty-1", &uuid));
	other.container = self->user.container;
	other.group = vfio_open_group(&uuid, other.container);
	ASSERT_LE(0, other.group);
	other.device = vfio_get_device(&other, &uuid);
	ASSERT_LE(0, other.device);
	EXPECT_EQ(0, pin_pages(self, IOVA, 1));
	EXPECT_EQ(0, mdev_revoke(&uuid));
	EXPECT_EQ(0, module_unload("mtty"));
	EXPECT_EQ(0, vfio_unmap(&self->user, IOVA, self->size));
	EXPECT_EQ(0, relay_pinned(&self->uuid));
	close(other.device);
	close(other.group);
	EXPECT_EQ(0, module_load("mtty"));
}

TEST_F(memory, unmap_of_all_unpins)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = VFIO_DMA_UNMAP_FLAG_ALL,
	};

	EXPECT_EQ(0, pin_pages(self, IOVA, PAGES));
	EXPECT_EQ(0, vfio_ioctl(self->user.container, VFIO_IOMMU_UNMAP_DMA,
				&unmap));
	EXPECT_EQ(self->size, unmap.size);
	EXPECT_EQ(0, relay_pinned(&self->uuid));
}

TEST_F(memory, close_unpins)
{
	EXPECT_EQ(0, pin_pages(self, IOVA, PAGES));
	vfio_close(&self->user);
	EXPECT_EQ(0, relay_pinned(&self->uuid));
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));
	EXPECT_EQ(-EINVAL, dma_read(self->user.device, self->memory, 1, IOVA));
}

struct death {
	struct uuid uuid;
	int done;
};

static int run_pin_and_wait(void *arg)
{
	struct death *death = arg;
	size_t page = sysconf(_SC_PAGESIZE);
	struct vfio_user user;
	void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__u64 one = 1;

	if (vfio_open(&user, &death->uuid) ||
	    vfio_map(&user, memory, IOVA, page) ||
	    relay_pin(user.device, MDEV_RELAY_PIN, IOVA, 1) ||
	    write(death->done, &one, sizeof(one)) != sizeof(one))
		return 1;
	pause();
	return 0;
}

TEST_F(memory, death_unpins)
{
	struct death death = { .uuid = self->uuid };
	pid_t pid;

	vfio_close(&self->user);
	death.done = eventfd_new();
	ASSERT_LE(0, death.done);
	pid = child_start(run_pin_and_wait, &death, death.done, -1);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(eventfd_wait(death.done, SOON_MS));
	EXPECT_EQ(1, relay_pinned(&self->uuid));
	child_kill(pid);
	EXPECT_EQ(0, relay_pinned(&self->uuid));
	close(death.done);
	EXPECT_EQ(0, vfio_open(&self->user, &self->uuid));
}

TEST_F(memory, pinned_page_does_not_block_the_removal)
{
	pid_t remover;

	EXPECT_EQ(0, pin_pages(self, IOVA, PAGES));
	remover = remover_start(&self->uuid);
	vfio_close(&self->user);
	EXPECT_EQ(0, child_wait(remover, SOON_MS));
	EXPECT_FALSE(mdev_exists(&self->uuid));
	/* For the teardown */
	EXPECT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
}

/* Forgotten pages are found when the device is closed, after the driver is gone */
TEST_F(memory, pages_that_the_driver_has_forgotten_are_unpinned)
{
	EXPECT_EQ(0, pin_pages(self, IOVA, 2));
	EXPECT_LE(2, pages_pinned());
	EXPECT_EQ(0, relay_set("forgets_pins", 1));
	EXPECT_EQ(0, mdev_revoke(&self->uuid));
	EXPECT_LE(2, pages_pinned());
	EXPECT_EQ(0, module_unload("mdev_relay"));
	vfio_close(&self->user);
	EXPECT_TRUE(pages_pinned_become(0));
	EXPECT_EQ(0, module_load("mdev_relay"));
	/* For the teardown */
	EXPECT_EQ(0, mdev_create(PARENT, TYPE, &self->uuid));
}

TEST_HARNESS_MAIN
