// SPDX-License-Identifier: GPL-2.0-only
/*
 * A group whose iommufd the holder takes away while a device is open, to give it
 * a type 1 container. VFIO lets it, and takes the device for one of the
 * container's. The device must not pin pages there, nor be opened again.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"

#define IOVA	0x100000ULL
#define ROUNDS	40

/*
 * A process that opens the device. Its table of files is full: the kernel makes
 * a larger one, and waits for a grace period, when VFIO has found the device and
 * has not opened it yet.
 */
struct opener {
	pid_t pid;
	int go[2];
	int opened[2];
};

FIXTURE(mixed)
{
	struct uuid uuid;
	struct vfio_user user;
	/* The type 1 container, which has the group */
	int container;
	void *memory;
	size_t page;
};

FIXTURE_VARIANT(mixed)
{
	const char *parent;
	const char *type;
	bool pins;
};

FIXTURE_VARIANT_ADD(mixed, relay)
{
	.parent = "mdev_relay.0",
	.type = "mdev_relay-relay",
	.pins = true,
};

/* A driver of the kernel's own interface */
FIXTURE_VARIANT_ADD(mixed, mdpy)
{
	.parent = "mdpy",
	.type = "mdpy-vga",
};

FIXTURE_SETUP(mixed)
{
	self->user = (struct vfio_user)VFIO_USER_NONE;
	self->container = -1;
	if (vfio_way() != VFIO_WAY_IOMMUFD)
		SKIP(return, "VFIO_WAY is not iommufd");
	self->page = sysconf(_SC_PAGESIZE);
	self->memory = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->memory);
	self->uuid = uuid_new();
	ASSERT_EQ(0, mdev_create(variant->parent, variant->type, &self->uuid));
	ASSERT_EQ(0, vfio_open(&self->user, &self->uuid));

	ASSERT_EQ(0, vfio_ioctl(self->user.group, VFIO_GROUP_UNSET_CONTAINER,
				NULL));
	self->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->container);
	ASSERT_EQ(0, vfio_ioctl(self->user.group, VFIO_GROUP_SET_CONTAINER,
				&self->container));
	ASSERT_EQ(0, vfio_ioctl(self->container, VFIO_SET_IOMMU,
				(void *)VFIO_TYPE1v2_IOMMU));
}

FIXTURE_TEARDOWN(mixed)
{
	vfio_close(&self->user);
	if (self->container >= 0)
		close(self->container);
	EXPECT_EQ(0, mdev_remove(&self->uuid));
	EXPECT_TRUE(pages_pinned_become(0));
}

TEST_F(mixed, device_is_not_opened_again)
{
	EXPECT_EQ(-EBUSY, vfio_get_device(&self->user, &self->uuid));
	close(self->user.device);
	self->user.device = vfio_get_device(&self->user, &self->uuid);
	ASSERT_LE(0, self->user.device);
	/* Now it is one of the container's */
	EXPECT_EQ(-EBUSY, vfio_ioctl(self->user.group,
				     VFIO_GROUP_UNSET_CONTAINER, NULL));
}

TEST_F(mixed, nothing_is_pinned_in_the_container)
{
	struct vfio_user type1 = self->user;

	if (!variant->pins)
		SKIP(return, "the driver pins nothing");
	type1.container = self->container;
	ASSERT_EQ(0, vfio_map(&type1, self->memory, IOVA, self->page));
	EXPECT_EQ(-EINVAL, relay_pin(self->user.device, MDEV_RELAY_PIN, IOVA,
				     1));
	EXPECT_EQ(0, vfio_unmap(&type1, IOVA, self->page));

	ASSERT_EQ(0, vfio_map(&self->user, self->memory, IOVA, self->page));
	EXPECT_EQ(0, relay_pin(self->user.device, MDEV_RELAY_PIN, IOVA, 1));
	EXPECT_EQ(0, relay_pin(self->user.device, MDEV_RELAY_UNPIN, IOVA, 1));
	EXPECT_EQ(0, vfio_unmap(&self->user, IOVA, self->page));
}

static void *thread_sleep(void *arg)
{
	pause();
	return arg;
}

static void opener_run(const struct opener *opener, int group,
		       const struct uuid *uuid)
{
	pthread_t thread;
	char byte;
	int ret;

	/* Only if threads share a table it is exchanged with such a wait */
	pthread_create(&thread, NULL, thread_sleep, NULL);
	while (dup(group) < 63)
		;
	ret = 0;
	if (write(opener->opened[1], &ret, sizeof(ret)) < 0 ||
	    read(opener->go[0], &byte, 1) != 1)
		_exit(1);
	ret = vfio_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, (void *)uuid->text);
	if (write(opener->opened[1], &ret, sizeof(ret)) < 0 ||
	    read(opener->go[0], &byte, 1) != 1)
		_exit(1);
	_exit(0);
}

static void opener_start(struct opener *opener, const struct vfio_user *user,
			 const struct uuid *uuid)
{
	int ready;

	if (pipe(opener->go) || pipe(opener->opened))
		exit(1);
	opener->pid = fork();
	if (!opener->pid) {
		close(user->device);
		opener_run(opener, user->group, uuid);
	}
	close(opener->go[0]);
	/* A read ends if the opener dies */
	close(opener->opened[1]);
	if (read(opener->opened[0], &ready, sizeof(ready)) < 0)
		exit(1);
}

static void opener_go(const struct opener *opener)
{
	if (write(opener->go[1], "", 1) != 1)
		exit(1);
}

static int opener_opened(const struct opener *opener)
{
	int ret;

	return read(opener->opened[0], &ret, sizeof(ret)) == sizeof(ret) ?
	       ret : -EIO;
}

/* It closes the device */
static void opener_end(struct opener *opener)
{
	opener_go(opener);
	waitpid(opener->pid, NULL, 0);
	close(opener->go[1]);
	close(opener->opened[0]);
}

static int group_set(const struct vfio_user *user, int *container)
{
	vfio_ioctl(user->group, VFIO_GROUP_UNSET_CONTAINER, NULL);
	return vfio_ioctl(user->group, VFIO_GROUP_SET_CONTAINER, container);
}

/*
 * Two opens are on their way while the device is open by type 1. It is closed,
 * the first one opens it by the iommufd, and the second one would open it again,
 * when the group has the container. VFIO would take the device from there at the
 * end, to which it was never added.
 */
TEST_F(mixed, opens_on_their_way_do_not_mix)
{
	struct opener first, second;
	int i, given, taken, opened, again, mixed = 0, refused = 0;

	for (i = 0; i < ROUNDS; i++) {
		if (self->user.device >= 0)
			close(self->user.device);
		group_set(&self->user, &self->container);
		vfio_ioctl(self->container, VFIO_SET_IOMMU,
			   (void *)VFIO_TYPE1v2_IOMMU);
		self->user.device = vfio_get_device(&self->user, &self->uuid);
		ASSERT_LE(0, self->user.device);

		opener_start(&first, &self->user, &self->uuid);
		opener_start(&second, &self->user, &self->uuid);
		opener_go(&first);
		usleep(1000 + i % 8 * 1000);
		opener_go(&second);
		usleep(1000);
		close(self->user.device);
		self->user.device = -1;
		given = group_set(&self->user, &self->user.container);
		opened = opener_opened(&first);
		taken = group_set(&self->user, &self->container);
		vfio_ioctl(self->container, VFIO_SET_IOMMU,
			   (void *)VFIO_TYPE1v2_IOMMU);
		again = opener_opened(&second);
		mixed += !given && opened >= 0 && !taken && again >= 0;
		refused += again == -EBUSY;
		opener_end(&first);
		/* The last to close: VFIO has forgotten that it is no container's */
		opener_end(&second);
	}
	EXPECT_EQ(0, mixed);
	/* Else they were not on their way at once */
	EXPECT_LT(0, refused);
}

TEST_HARNESS_MAIN
