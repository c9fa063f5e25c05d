// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unchanged drivers of the kernel's own interface: what the framework adds to
 * their devices, and what stays as with the kernel's own mdev. lifecycle_test.c
 * and removal_test.c also run on these drivers.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"
#include "held.h"
#include "lib.h"
#include "lib/log.h"

#define BUS_DRIVER	"/sys/bus/mdev/drivers/"
#define PARAMETERS	"/sys/module/mdev_relay_peer/parameters/"

/* Number of creates, while so many threads try to revoke the device */
#define CREATIONS	100
#define REVOKERS	4

#define PEER		"mdev_relay_peer.0"
#define PEER_TYPE	"platform-relay"

/* A type of a sample, as in the sample's source */
FIXTURE(type)
{
	struct uuid uuids[32];
};

FIXTURE_VARIANT(type)
{
	const char *parent;
	const char *type;
	const char *name;
	const char *description;
	long instances;
	int error;
};

FIXTURE_VARIANT_ADD(type, mtty_1)
{
	.parent = "mtty", .type = "mtty-1", .name = "Single port serial",
	.instances = 24, .error = -ENOSPC,
};

FIXTURE_VARIANT_ADD(type, mtty_2)
{
	.parent = "mtty", .type = "mtty-2", .name = "Dual port serial",
	.instances = 12, .error = -ENOSPC,
};

FIXTURE_VARIANT_ADD(type, mdpy)
{
	.parent = "mdpy", .type = "mdpy-xga", .name = "mdpy-xga",
	.description = "virtual display, 1024x768 framebuffer",
	.instances = 4, .error = -EUSERS,
};

FIXTURE_VARIANT_ADD(type, mbochs)
{
	.parent = "mbochs", .type = "mbochs-large", .name = "mbochs-large",
	.description = "virtual display, 64 MB video memory",
	.instances = 4, .error = -ENOSPC,
};

FIXTURE_SETUP(type)
{
	size_t i;

	ASSERT_TRUE(parent_exists(variant->parent));
	for (i = 0; i < ARRAY_SIZE(self->uuids); i++)
		self->uuids[i] = uuid_new();
}

FIXTURE_TEARDOWN(type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(self->uuids); i++)
		if (mdev_exists(&self->uuids[i]))
			EXPECT_EQ(0, mdev_remove(&self->uuids[i]));
	EXPECT_EQ(variant->instances, instances(variant->parent, variant->type));
}

TEST_F(type, has_the_drivers_attributes)
{
	struct path path = type_path(variant->parent, variant->type, "name");
	char text[128];

	EXPECT_LT(0, file_read(path.text, text, sizeof(text)));
	EXPECT_STREQ(variant->name, text);

	path = type_path(variant->parent, variant->type, "description");
	if (!variant->description) {
		EXPECT_FALSE(file_exists(path.text));
		return;
	}
	EXPECT_EQ(0444, file_mode(path.text));
	EXPECT_LT(0, file_read(path.text, text, sizeof(text)));
	EXPECT_EQ(0, strncmp(variant->description, text,
			     strlen(variant->description))) {
		TH_LOG("the description is: %s", text);
	}
}

TEST_F(type, instances_are_counted_exactly)
{
	int i;

	for (i = 0; i < variant->instances; i++) {
		EXPECT_EQ(variant->instances - i,
			  instances(variant->parent, variant->type));
		ASSERT_EQ(0, mdev_create(variant->parent, variant->type,
					 &self->uuids[i]));
	}
	EXPECT_EQ(0, instances(variant->parent, variant->type));
	EXPECT_EQ(variant->error, mdev_create(variant->parent, variant->type,
					      &self->uuids[i]));
	EXPECT_FALSE(mdev_exists(&self->uuids[i]));
	EXPECT_EQ(0, mdev_remove(&self->uuids[0]));
	EXPECT_EQ(0, mdev_create(variant->parent, variant->type,
				 &self->uuids[i]));
}

/* An open device of the vfio-pci kind */
FIXTURE(sample)
{
	struct held held;
	struct vfio_user user;
};

FIXTURE_VARIANT(sample)
{
	const char *parent;
	const char *type;
};

FIXTURE_VARIANT_ADD(sample, mtty)
{
	.parent = "mtty", .type = "mtty-2",
};

FIXTURE_VARIANT_ADD(sample, mdpy)
{
	.parent = "mdpy", .type = "mdpy-vga",
};

FIXTURE_VARIANT_ADD(sample, mbochs)
{
	.parent = "mbochs", .type = "mbochs-small",
};

FIXTURE_SETUP(sample)
{
	self->user = (struct vfio_user)VFIO_USER_NONE;
	ASSERT_TRUE(parent_exists(variant->parent));
	if (!set_up_held(_metadata, &self->held, variant->parent,
			 variant->type))
		SKIP(return, ASKS_NOBODY);
}

FIXTURE_TEARDOWN(sample)
{
	vfio_close(&self->user);
	tear_down_held(_metadata, &self->held);
}

TEST_F(sample, request_interrupt_is_added)
{
	struct vfio_device_info info;
	struct vfio_irq_info irq;

	ASSERT_EQ(0, vfio_open(&self->user, &self->held.uuid));
	ASSERT_EQ(0, vfio_info(self->user.device, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_EQ(VFIO_PCI_REQ_IRQ_INDEX + 1, info.num_irqs);

	ASSERT_EQ(0, vfio_irq(self->user.device, VFIO_PCI_REQ_IRQ_INDEX, &irq));
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, irq.flags);
	EXPECT_EQ(1, irq.count);
	EXPECT_EQ(VFIO_PCI_REQ_IRQ_INDEX, irq.index);
}

TEST_F(sample, malformed_arguments_are_refused)
{
	struct vfio_irq_info irq = {
		.argsz = offsetof(struct vfio_irq_info, count),
		.index = VFIO_PCI_REQ_IRQ_INDEX,
	};
	const __u32 index = VFIO_PCI_REQ_IRQ_INDEX;
	const __u32 set = VFIO_IRQ_SET_DATA_EVENTFD |
			  VFIO_IRQ_SET_ACTION_TRIGGER;
	int fds[2] = { self->held.events, self->held.log };
	int device;

	ASSERT_EQ(0, vfio_open(&self->user, &self->held.uuid));
	device = self->user.device;
	EXPECT_EQ(-EINVAL, vfio_ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_GET_INFO,
				      bad_address()));
	EXPECT_EQ(-EFAULT, vfio_ioctl(device, VFIO_DEVICE_GET_IRQ_INFO,
				      bad_address()));
	EXPECT_GT(0, vfio_ioctl(device, VFIO_DEVICE_SET_IRQS, bad_address()));
	/* Not an eventfd; two eventfds; beyond the last one; another action */
	EXPECT_GT(0, vfio_set_irqs(device, set, index, 0, 1, fds, 4));
	EXPECT_EQ(-EINVAL, vfio_set_irqs(device, set, index, 0, 2, fds, 8));
	EXPECT_EQ(-EINVAL, vfio_set_irqs(device, set, index, 1, 1, fds, 4));
	EXPECT_EQ(-EINVAL, vfio_set_irqs(device, VFIO_IRQ_SET_DATA_EVENTFD |
					 VFIO_IRQ_SET_ACTION_MASK, index, 0, 1,
					 fds, 4));
	EXPECT_EQ(0, mdev_number(&self->held.uuid, "request"));
}

/* The page behind the argument is not mapped, or its own page is read-only */
TEST_F(sample, argument_at_the_end_of_memory_is_no_hole)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	struct vfio_irq_info *irq;
	char *memory;

	ASSERT_EQ(0, vfio_open(&self->user, &self->held.uuid));
	memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)memory);
	ASSERT_EQ(0, munmap(memory + page, page));
	irq = (void *)(memory + page - offsetof(struct vfio_irq_info, count));
	irq->argsz = sizeof(*irq);
	irq->index = VFIO_PCI_REQ_IRQ_INDEX;
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->user.device,
				      VFIO_DEVICE_GET_IRQ_INFO, irq));
	irq = (void *)memory;
	irq->argsz = sizeof(*irq);
	irq->index = VFIO_PCI_REQ_IRQ_INDEX;
	ASSERT_EQ(0, mprotect(memory, page, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->user.device,
				      VFIO_DEVICE_GET_IRQ_INFO, irq));
	EXPECT_EQ(0, munmap(memory, page));
}

/* The framework passes the driver's own interrupts on to the driver */
TEST_F(sample, other_interrupts_are_the_drivers)
{
	struct vfio_device_info info;
	struct vfio_irq_info irq;
	int fd = eventfd_new();

	ASSERT_EQ(0, vfio_open(&self->user, &self->held.uuid));
	/* The samples have no interrupts before this call */
	ASSERT_EQ(0, vfio_info(self->user.device, &info));
	EXPECT_EQ(0, vfio_irq(self->user.device, VFIO_PCI_INTX_IRQ_INDEX, &irq));
	EXPECT_EQ(VFIO_PCI_INTX_IRQ_INDEX, irq.index);
	if (!strcmp(variant->parent, "mtty")) {
		EXPECT_EQ(1, irq.count);
		EXPECT_EQ(0, vfio_set_eventfd(self->user.device,
					      VFIO_PCI_INTX_IRQ_INDEX, fd));
		EXPECT_EQ(0, mdev_number(&self->held.uuid, "request"));
		/* The kernel's mtty of 6.1 would keep the eventfd */
		EXPECT_EQ(0, vfio_set_irqs(self->user.device,
					   VFIO_IRQ_SET_DATA_NONE |
					   VFIO_IRQ_SET_ACTION_TRIGGER,
					   VFIO_PCI_INTX_IRQ_INDEX, 0, 0, NULL,
					   0));
	}
	close(fd);
}

TEST_F(sample, revocation_is_refused_with_the_reason)
{
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(-EOPNOTSUPP, mdev_revoke(&self->held.uuid));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_KERNELS_OWN, NULL));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_EQ(0, eventfd_take(self->held.holder.eventfd));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	/* Without a holder, the device can be removed */
	EXPECT_EQ(0, mdev_revoke(&self->held.uuid));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
}

/* An unbind waits like a removal; then the device can be bound again */
TEST_F(sample, unbind_asks_and_waits)
{
	struct path bind;
	char text[128];

	snprintf(bind.text, sizeof(bind.text), BUS_DRIVER "%s/bind",
		 variant->parent);
	EXPECT_EQ(0, file_link_name(mdev_path(&self->held.uuid, "driver").text,
				    text, sizeof(text)));
	EXPECT_STREQ(variant->parent, text);

	start_holder(_metadata, &self->held, true);
	self->held.child = driver_unbinder_start(&self->held.uuid);
	ASSERT_LT(0, self->held.child);
	EXPECT_TRUE(eventfd_wait(self->held.holder.eventfd, SOON_MS));
	EXPECT_EQ(-EBUSY, holder_order(&self->held.holder, HOLDER_OPEN_AGAIN));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->held.child, 0));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
	holder_kill(&self->held.holder);

	EXPECT_TRUE(mdev_exists(&self->held.uuid));
	EXPECT_FALSE(file_exists(mdev_path(&self->held.uuid, "driver").text));
	EXPECT_NE(0, vfio_open(&self->user, &self->held.uuid));

	/* Only its own driver binds to the device */
	EXPECT_EQ(-ENODEV, file_puts(MDEV_DRIVER "bind", self->held.uuid.text));
	ASSERT_EQ(0, file_puts(bind.text, self->held.uuid.text));
	start_holder(_metadata, &self->held, true);
	expect_holder_shown(_metadata, &self->held);
	EXPECT_EQ(0, file_puts(mdev_path(&self->held.uuid, "request").text,
			       "1"));
	EXPECT_EQ(1, eventfd_take(self->held.holder.eventfd));
}

/*
 * QEMU unmaps its memory after it has closed the device. And as long as a
 * holder has the group open, the driver's removal of the device could wait for
 * it
 */
TEST_F(sample, holder_that_has_released_it_is_waited_for_to_leave_its_group)
{
	start_holder(_metadata, &self->held, true);
	self->held.child = remover_start(&self->held.uuid);
	ASSERT_TRUE(eventfd_wait(self->held.holder.eventfd, SOON_MS));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE_DEVICE));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_GROUP_OPEN, NULL));
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->held.child, 1000));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
}

struct revoker {
	struct uuid uuid;
	int revoked;
	int over;
};

static void *revoke_at_once(void *arg)
{
	struct revoker *revoker = arg;

	while (!__atomic_load_n(&revoker->over, __ATOMIC_RELAXED))
		if (!mdev_revoke(&revoker->uuid))
			__atomic_fetch_add(&revoker->revoked, 1,
					   __ATOMIC_RELAXED);
	return NULL;
}

/* A revocation must not disturb a create that has not bound the driver yet */
TEST_F(sample, revocation_spoils_no_creation)
{
	struct revoker revoker = { .uuid = uuid_new() };
	pthread_t threads[REVOKERS];
	int i;

	for (i = 0; i < REVOKERS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, revoke_at_once,
					    &revoker));
	for (i = 1; i <= CREATIONS; i++) {
		EXPECT_EQ(0, mdev_create(variant->parent, variant->type,
					 &revoker.uuid));
		if (_metadata->exit_code)
			break;
		EXPECT_TRUE(soon(__atomic_load_n(&revoker.revoked,
						 __ATOMIC_RELAXED) == i));
	}
	__atomic_store_n(&revoker.over, 1, __ATOMIC_RELAXED);
	for (i = 0; i < REVOKERS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_FALSE(mdev_exists(&revoker.uuid));
}

TEST_F(sample, driver_binds_to_no_device_of_another_parent)
{
	struct uuid other = uuid_new();
	struct path bind;

	snprintf(bind.text, sizeof(bind.text), BUS_DRIVER "%s/bind",
		 variant->parent);
	ASSERT_EQ(0, mdev_create("mdev_legacy.0", "mdev_legacy-page", &other));
	EXPECT_EQ(0, file_puts(MDEV_DRIVER "unbind", other.text));
	EXPECT_EQ(-ENODEV, file_puts(bind.text, other.text));
	EXPECT_EQ(0, file_puts(MDEV_DRIVER "bind", other.text));
	EXPECT_EQ(0, mdev_remove(&other));
}

/* Like on the kernel's own mdev, an open device keeps its module in use */
TEST_F(sample, driver_that_is_in_use_stays)
{
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(-EAGAIN, module_unload(variant->parent));
	EXPECT_EQ(0, eventfd_take(self->held.holder.eventfd));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_TRUE(soon(!module_users(variant->parent)));
}

/* A device that is not open is removed when its driver's module is unloaded */
TEST_F(sample, unload_removes_the_devices)
{
	char module[64];

	EXPECT_EQ(0, module_users(variant->parent));
	EXPECT_EQ(0, module_unload(variant->parent));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
	EXPECT_FALSE(parent_exists(variant->parent));
	snprintf(module, sizeof(module), "kernel/%s", variant->parent);
	EXPECT_EQ(0, module_load(module));
	EXPECT_TRUE(parent_exists(variant->parent));
}

/* A driver that asks holders itself, or cannot ask, or hides its device */
FIXTURE(peer)
{
	struct held held;
};

FIXTURE_SETUP(peer)
{
	self->held.holder.pid = -1;
	self->held.child = -1;
	self->held.eventfd_id = eventfd_next_id();
	self->held.count = mdev_count();
	self->held.uuid = uuid_new();
	ASSERT_TRUE(parent_exists(PEER));
	self->held.log = kmsg_open();
	ASSERT_LE(0, self->held.log);
	self->held.events = uevent_open();
	ASSERT_LE(0, self->held.events);
}

FIXTURE_TEARDOWN(peer)
{
	EXPECT_EQ(0, file_puts(PARAMETERS "mute", "0"));
	EXPECT_EQ(0, file_puts(PARAMETERS "unseen", "0"));
	EXPECT_EQ(0, file_puts(PARAMETERS "opened", "0"));
	EXPECT_EQ(0, file_puts(PARAMETERS "locked", "0"));
	EXPECT_EQ(0, file_puts(PARAMETERS "waits", "0"));
	tear_down_held(_metadata, &self->held);
}

TEST_F(peer, driver_asks_the_holder_itself)
{
	ASSERT_EQ(0, mdev_create(PEER, PEER_TYPE, &self->held.uuid));
	start_holder(_metadata, &self->held, true);
	expect_holder_shown(_metadata, &self->held);
	start_remover(_metadata, &self->held);
	EXPECT_TRUE(eventfd_wait(self->held.holder.eventfd, SOON_MS));
	EXPECT_EQ(1, eventfd_take(self->held.holder.eventfd));
	EXPECT_EQ(1, mdev_number(&self->held.uuid, "request_count"));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_FORWARDED " (#1)", self->held.name));
	child_kill(self->held.child);
	EXPECT_TRUE(event(&self->held, MDEV_UEVENT_REQUEST_CANCELLED));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_USE));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_OPEN_AGAIN));
	start_remover(_metadata, &self->held);
	EXPECT_TRUE(eventfd_wait(self->held.holder.eventfd, SOON_MS));
	EXPECT_EQ(1, eventfd_take(self->held.holder.eventfd));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
}

static int read_holder(void *arg)
{
	char text[64];

	return file_read(mdev_path(arg, "holder").text, text, sizeof(text)) <= 0;
}

/* How long to see that a removal goes on waiting */
#define STILL_MS	1000

/* The holder of another device, which keeps the lock that a request needs */
struct other {
	struct missing missing;
	struct uuid uuid;
	struct vfio_user user;
	struct call call;
};

static void other_keeps_the_lock(struct __test_metadata *_metadata,
				 struct other *other)
{
	other->missing = (struct missing)MISSING_NONE;
	other->uuid = uuid_new();
	ASSERT_EQ(0, file_puts(PARAMETERS "locked", "1"));
	ASSERT_EQ(0, mdev_create(PEER, PEER_TYPE, &other->uuid));
	ASSERT_EQ(0, vfio_open(&other->user, &other->uuid));
	ASSERT_EQ(0, missing_new(&other->missing, sysconf(_SC_PAGESIZE)));
	ASSERT_EQ(0, call_start(&other->call, &(struct call){
		.run = call_info, .user = &other->user,
		.data = other->missing.memory,
	}));
	ASSERT_TRUE(missing_wait(&other->missing, SOON_MS));
}

static void other_ends(struct __test_metadata *_metadata, struct other *other)
{
	EXPECT_EQ(0, missing_bring(&other->missing, other->missing.size));
	EXPECT_EQ(-EINVAL, call_end(&other->call, SOON_MS));
	vfio_close(&other->user);
	missing_free(&other->missing);
	EXPECT_EQ(0, mdev_remove(&other->uuid));
}

TEST_F(peer, removal_can_be_killed_while_the_driver_asks)
{
	struct other other;

	ASSERT_EQ(0, mdev_create(PEER, PEER_TYPE, &self->held.uuid));
	start_holder(_metadata, &self->held, true);
	other_keeps_the_lock(_metadata, &other);

	start_remover(_metadata, &self->held);
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_FORWARDED " (#1)", NULL));
	EXPECT_EQ(0, child_wait(child_start(read_holder, &self->held.uuid, -1,
					    -1), SOON_MS));
	/* The driver uses the device until it has asked */
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      "removal blocked until the driver's request",
			      NULL));
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->held.child, STILL_MS));
	EXPECT_EQ(0, kill(self->held.child, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, child_wait(self->held.child, SOON_MS));
	self->held.child = -1;
	other_ends(_metadata, &other);
}

/* The second request is for a holder that the first one was not for */
TEST_F(peer, request_that_comes_while_the_driver_asks_is_not_lost)
{
	struct other other;
	__u64 signals = 0;

	ASSERT_EQ(0, mdev_create(PEER, PEER_TYPE, &self->held.uuid));
	start_holder(_metadata, &self->held, true);
	other_keeps_the_lock(_metadata, &other);

	start_remover(_metadata, &self->held);
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_FORWARDED, NULL));
	child_kill(self->held.child);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_OPEN_AGAIN));
	start_remover(_metadata, &self->held);
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_FORWARDED, NULL));
	other_ends(_metadata, &other);
	/* The driver asks whoever is the holder, so this one hears both */
	EXPECT_TRUE(soon((signals += eventfd_take(self->held.holder.eventfd)) ==
			 2));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
}

/* As vfio_ccw of Linux 6.1: nobody else may have a reference then */
TEST_F(peer, driver_may_wait_for_the_release_of_its_device)
{
	ASSERT_EQ(0, file_puts(PARAMETERS "waits", "1"));
	ASSERT_EQ(0, mdev_create(PEER, PEER_TYPE, &self->held.uuid));
	start_holder(_metadata, &self->held, true);
	start_remover(_metadata, &self->held);
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
}

TEST_F(peer, driver_that_cannot_ask_is_said_to_be_so)
{
	EXPECT_EQ(0, file_puts(PARAMETERS "mute", "1"));
	ASSERT_EQ(0, mdev_create(PEER, PEER_TYPE, &self->held.uuid));
	start_holder(_metadata, &self->held, true);
	EXPECT_EQ(-EOPNOTSUPP, file_puts(mdev_path(&self->held.uuid,
						   "request").text, "1"));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_NO_WAY, self->held.name));
	start_remover(_metadata, &self->held);
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_BLOCKED, self->held.name));
	EXPECT_EQ(0, eventfd_take(self->held.holder.eventfd));
	EXPECT_EQ(0, holder_order(&self->held.holder, HOLDER_CLOSE));
	expect_removed(_metadata, &self->held);
}

/* A device that cannot be watched works as on the kernel's own mdev */
TEST_F(peer, device_that_cannot_be_seen_works)
{
	EXPECT_EQ(0, file_puts(PARAMETERS "unseen", "1"));
	ASSERT_EQ(0, mdev_create(PEER, PEER_TYPE, &self->held.uuid));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_BLIND, "no VFIO device"));
	EXPECT_EQ(-EOPNOTSUPP, mdev_revoke(&self->held.uuid));
	EXPECT_EQ(0, mdev_remove(&self->held.uuid));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
}

TEST_F(peer, device_that_was_opened_too_early_works)
{
	EXPECT_EQ(0, file_puts(PARAMETERS "opened", "1"));
	ASSERT_EQ(0, mdev_create(PEER, PEER_TYPE, &self->held.uuid));
	EXPECT_TRUE(kmsg_wait(self->held.log, SOON_MS, self->held.uuid.text,
			      LOG_BLIND, "opened before it was complete"));
	EXPECT_EQ(-EOPNOTSUPP, mdev_revoke(&self->held.uuid));
	EXPECT_EQ(0, mdev_remove(&self->held.uuid));
	EXPECT_FALSE(mdev_exists(&self->held.uuid));
}

/* The kernel's own mdev accepts a parent without types */
TEST_F(peer, parent_without_types_registers)
{
	ASSERT_EQ(0, module_unload("mdev_relay_peer"));
	EXPECT_EQ(0, module_load_with("kernel/mdev_relay_peer", "typeless=1"));
	EXPECT_TRUE(parent_exists(PEER));
	EXPECT_FALSE(file_exists(type_path(PEER, PEER_TYPE, "").text));
	EXPECT_EQ(0, module_unload("mdev_relay_peer"));
	EXPECT_FALSE(parent_exists(PEER));
	ASSERT_EQ(0, module_load("kernel/mdev_relay_peer"));
}

#define MANY	500
#define MANY_S	(120 * SLOWER)

/* Many devices, removed one by one and with their driver */
TEST_F_TIMEOUT(peer, five_hundred_devices, MANY_S)
{
	static struct uuid uuids[MANY];
	int i;

	for (i = 0; i < MANY; i++) {
		uuids[i] = uuid_new();
		ASSERT_EQ(0, mdev_create(PEER, PEER_TYPE, &uuids[i]));
	}
	EXPECT_EQ(self->held.count + MANY, mdev_count());
	for (i = 0; i < MANY; i += 2)
		EXPECT_EQ(0, mdev_remove(&uuids[i]));
	EXPECT_EQ(self->held.count + MANY / 2, mdev_count());
	EXPECT_EQ(0, module_unload("mdev_relay_peer"));
	EXPECT_EQ(self->held.count, mdev_count());
	EXPECT_EQ(0, module_load("kernel/mdev_relay_peer"));
}

/* The same with a sample, whose memory for devices is a module parameter */
TEST_F_TIMEOUT(peer, five_hundred_devices_of_a_sample, MANY_S)
{
	static struct uuid uuids[MANY];
	int i;

	ASSERT_EQ(0, module_unload("mbochs"));
	ASSERT_EQ(0, module_load_with("kernel/mbochs", "count=2000"));
	EXPECT_EQ(MANY, instances("mbochs", "mbochs-small"));
	for (i = 0; i < MANY; i++) {
		uuids[i] = uuid_new();
		EXPECT_EQ(0, mdev_create("mbochs", "mbochs-small", &uuids[i]));
	}
	EXPECT_EQ(0, instances("mbochs", "mbochs-small"));
	EXPECT_EQ(self->held.count + MANY, mdev_count());
	EXPECT_EQ(0, module_unload("mbochs"));
	EXPECT_EQ(self->held.count, mdev_count());
	EXPECT_EQ(0, module_load("kernel/mbochs"));
}

TEST_HARNESS_MAIN
