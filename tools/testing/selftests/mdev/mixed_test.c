// SPDX-License-Identifier: GPL-2.0-only
/*
 * A group whose iommufd the holder takes away while a device is open, to give it
 * a type 1 container. VFIO lets it, and takes the device for one of the
 * container's. The device must not pin pages there, nor be opened again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"

#define IOVA	0x100000ULL

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

TEST_HARNESS_MAIN
