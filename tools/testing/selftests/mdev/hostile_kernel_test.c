// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holders that mean harm, of devices whose driver is one of the kernel's own
 * interface. Such a driver cannot take a device from its holder: a removal waits,
 * can be killed, and can be repeated; and nobody waits but for that device.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "stuck.h"

/* The longest time that something takes which waits for no holder */
#define MOMENT_MS	(5000 * time_scale())

/* How long a removal is seen to wait */
#define WAITS_MS	1500

/* As many as mtty has */
#define NR_STUCK	20

FIXTURE(kernel_way_out)
{
	struct held held;
	unsigned char *memory;
	pid_t child;
};

/* A device, and one of another driver that has to go on meanwhile */
FIXTURE_VARIANT(kernel_way_out)
{
	const char *parent;
	const char *type;
	const char *other;
	const char *other_type;
};

FIXTURE_VARIANT_ADD(kernel_way_out, mtty)
{
	.parent = "mtty", .type = "mtty-1",
	.other = "mdpy", .other_type = "mdpy-vga",
};

FIXTURE_VARIANT_ADD(kernel_way_out, mdpy)
{
	.parent = "mdpy", .type = "mdpy-vga",
	.other = "mtty", .other_type = "mtty-1",
};

FIXTURE_SETUP(kernel_way_out)
{
	size_t size = 4 * sysconf(_SC_PAGESIZE);

	self->held = (struct held)HELD_NONE;
	self->child = -1;
	ASSERT_TRUE(parent_exists(variant->parent));
	ASSERT_TRUE(parent_exists(variant->other));
	self->memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->memory);
	ASSERT_EQ(0, held_new(&self->held, variant->parent, variant->type,
			      self->memory));
}

FIXTURE_TEARDOWN(kernel_way_out)
{
	child_kill(self->child);
	EXPECT_TRUE(held_free(&self->held));
	if (mdev_exists(&self->held.uuid))
		EXPECT_EQ(0, mdev_remove(&self->held.uuid));
}

struct place {
	const char *parent;
	const char *type;
};

static int create_and_remove(void *arg)
{
	const struct place *place = arg;
	struct uuid uuid = uuid_new();
	int ret = mdev_create(place->parent, place->type, &uuid);

	return -(ret ? ret : mdev_remove(&uuid));
}

/* Of the other driver, and of the same one */
#define expect_others_go_on() do {					\
	struct place others[] = {					\
		{ variant->other, variant->other_type },		\
		{ variant->parent, variant->type },			\
	};								\
	int other;							\
									\
	for (other = 0; other < 2; other++)				\
		EXPECT_EQ(0, child_wait(child_start(create_and_remove,	\
						    &others[other], -1, -1), \
					MOMENT_MS));			\
} while (0)

/* A removal waits; one that is killed is over, and has changed nothing */
#define expect_removal_waits_and_can_be_killed() do {			\
	self->child = remover_start(&self->held.uuid);			\
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, WAITS_MS));	\
	expect_others_go_on();						\
	ASSERT_EQ(0, kill(self->child, SIGKILL));			\
	EXPECT_EQ(128 + SIGKILL, child_wait(self->child, MOMENT_MS));	\
	self->child = -1;						\
	EXPECT_TRUE(mdev_exists(&self->held.uuid));			\
} while (0)

#define expect_removal_is_repeated() do {				\
	EXPECT_EQ(0, child_wait(remover_start(&self->held.uuid),	\
				MOMENT_MS));				\
	EXPECT_FALSE(mdev_exists(&self->held.uuid));			\
} while (0)

/* A thread is in VFIO with the group's lock, and waits for the container's */
TEST_F(kernel_way_out, removal_waits_alone_for_a_group_that_is_stuck)
{
	ASSERT_EQ(0, held_stick_group(&self->held));
	expect_removal_waits_and_can_be_killed();
	EXPECT_EQ(-EBUSY, mdev_revoke(&self->held.uuid));
	EXPECT_TRUE(held_free(&self->held));
	expect_removal_is_repeated();
}

/* It is open, and nothing is being done with it */
TEST_F(kernel_way_out, removal_waits_alone_for_a_group_that_is_open)
{
	held_close_device(&self->held);
	expect_removal_waits_and_can_be_killed();
	EXPECT_EQ(-EBUSY, mdev_revoke(&self->held.uuid));
	self->child = remover_start(&self->held.uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, WAITS_MS));
	EXPECT_TRUE(held_free(&self->held));
	EXPECT_EQ(0, child_wait(self->child, MOMENT_MS));
	self->child = -1;
}

/* Nobody has ever opened the device, and the container waits */
TEST_F(kernel_way_out, removal_waits_alone_for_a_group_without_its_device)
{
	struct vfio_user *user = &self->held.user;

	vfio_close(user);
	user->container = vfio_open_container();
	ASSERT_LE(0, user->container);
	user->group = vfio_open_group(&self->held.uuid, user->container);
	ASSERT_LE(0, user->group);
	ASSERT_EQ(0, vfio_ioctl(user->container, VFIO_SET_IOMMU,
				(void *)VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, vfio_map(user, self->memory, HELD_IOVA,
			      4 * sysconf(_SC_PAGESIZE)));
	ASSERT_EQ(0, held_lock(&self->held));
	expect_removal_waits_and_can_be_killed();
	EXPECT_TRUE(held_free(&self->held));
	expect_removal_is_repeated();
}

TEST_F(kernel_way_out, removal_waits_alone_for_a_holder_that_is_stuck)
{
	ASSERT_EQ(0, held_lock(&self->held));
	expect_removal_waits_and_can_be_killed();
	EXPECT_EQ(-EOPNOTSUPP, mdev_revoke(&self->held.uuid));
	EXPECT_TRUE(held_free(&self->held));
	expect_removal_is_repeated();
}

/* It lies in a socket, and nobody can release it */
TEST_F(kernel_way_out, removal_waits_alone_for_a_device_that_no_process_has)
{
	struct held *held = &self->held;
	int sockets[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				sockets));
	ASSERT_EQ(0, fd_send(sockets[0], held->user.device));
	held_close_device(held);
	expect_removal_waits_and_can_be_killed();
	close(sockets[0]);
	close(sockets[1]);
	vfio_close(&held->user);
	expect_removal_is_repeated();
}

/* It cannot be killed, and holds up nobody else */
TEST_F(kernel_way_out, unbind_waits_alone_for_a_group_that_is_stuck)
{
	ASSERT_EQ(0, held_stick_group(&self->held));
	self->child = driver_unbinder_start(&self->held.uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, WAITS_MS));
	expect_others_go_on();
	EXPECT_TRUE(held_free(&self->held));
	EXPECT_EQ(0, child_wait(self->child, MOMENT_MS));
	self->child = -1;
}

/* Both want the group, and one of them gets the device */
TEST_F(kernel_way_out, remove_and_unbind_wait_for_one_group)
{
	pid_t unbinder;

	ASSERT_EQ(0, held_stick_group(&self->held));
	unbinder = driver_unbinder_start(&self->held.uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(unbinder, WAITS_MS));
	expect_removal_waits_and_can_be_killed();
	self->child = remover_start(&self->held.uuid);
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, WAITS_MS));
	EXPECT_TRUE(held_free(&self->held));
	EXPECT_EQ(0, child_wait(unbinder, MOMENT_MS));
	EXPECT_EQ(0, child_wait(self->child, MOMENT_MS));
	self->child = -1;
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
}

/* Nothing changes for the holder when the removal is given up */
TEST_F(kernel_way_out, group_can_be_used_after_a_removal_that_was_given_up)
{
	held_close_device(&self->held);
	expect_removal_waits_and_can_be_killed();
	self->held.user.device = vfio_get_device(&self->held.user,
						 &self->held.uuid);
	EXPECT_LE(0, self->held.user.device);
	held_close_device(&self->held);
	vfio_close(&self->held.user);
	EXPECT_EQ(0, soon_not(-EBUSY, vfio_open(&self->held.user,
						&self->held.uuid)));
}

/* What one holder keeps waiting is not what another one's removal needs */
TEST_F_TIMEOUT(kernel_way_out, many_that_are_stuck_keep_nobody, 120 * SLOWER)
{
	struct held many[NR_STUCK];
	pid_t removers[NR_STUCK];
	int i;

	if (strcmp(variant->parent, "mtty"))
		SKIP(return, "it has four instances");
	for (i = 0; i < NR_STUCK; i++)
		many[i] = (struct held)HELD_NONE;
	for (i = 0; i < NR_STUCK; i++) {
		ASSERT_EQ(0, held_new(&many[i], variant->parent, variant->type,
				      self->memory));
		ASSERT_EQ(0, held_stick_group(&many[i]));
		removers[i] = remover_start(&many[i].uuid);
	}
	expect_others_go_on();
	/* This one's holder does as it is asked */
	self->child = remover_start(&self->held.uuid);
	ASSERT_TRUE(soon(mdev_number(&self->held.uuid, "request") == 1));
	vfio_close(&self->held.user);
	EXPECT_EQ(0, child_wait(self->child, MOMENT_MS));
	self->child = -1;
	for (i = 0; i < NR_STUCK; i++) {
		EXPECT_TRUE(held_free(&many[i]));
		EXPECT_EQ(0, child_wait(removers[i], MOMENT_MS));
	}
}

TEST_HARNESS_MAIN
