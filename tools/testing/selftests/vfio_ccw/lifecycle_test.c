// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a subchannel that is passed through: binding, its one mediated
 * device, open and close, users that die, and removal of each kind while it is
 * in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "ccw.h"

#define RELAYED		"relaying device request to user"
#define BLOCKED		"removal blocked until device is released by its user"

/* The one that the host pulls, and one that it plugs in meanwhile */
#define PULLED		"0.0.1235"
#define PULLED_ID	"rng1"
#define PULLED_DEVNO	"fe.0.1235"
#define OTHER		"0.0.1299"
#define OTHER_ID	"rng9"
#define OTHER_DEVNO	"fe.0.1299"
#define SAME		"0.0.1298"
#define SAME_ID		"rng8"
#define SAME_DEVNO	"fe.0.1298"

FIXTURE(life)
{
	struct ccw ccw;
	struct holder holder;
	pid_t child;
	char name[64];
	int log;
	int events;
	bool pulled;
};

FIXTURE_VARIANT(life)
{
	const char *device;
};

FIXTURE_VARIANT_ADD(life, rng)
{
	.device = CU_RNG,
};

FIXTURE_VARIANT_ADD(life, terminal)
{
	.device = CU_TERMINAL,
};

#define set_up(wanted) do {						\
	int err;							\
									\
	self->holder.pid = -1;						\
	self->holder.socket = -1;					\
	self->holder.eventfd = -1;					\
	self->child = -1;						\
	err = ccw_grab(&self->ccw, wanted);				\
	if (err == -ENODEV)						\
		SKIP(return, "no device " wanted);			\
	ASSERT_EQ(0, err);						\
	self->log = kmsg_open();					\
	self->events = uevent_open();					\
	ASSERT_LE(0, self->events);					\
} while (0)

#define tear_down() do {						\
	child_kill(self->child);					\
	if (self->holder.pid > 0)					\
		holder_kill(&self->holder);				\
	EXPECT_EQ(0, ccw_release(&self->ccw));				\
	close(self->events);						\
	close(self->log);						\
	EXPECT_TRUE(eventfd_ids_back_to(self->ccw.eventfd_id));		\
	EXPECT_EQ(self->ccw.pinned, pages_pinned());			\
} while (0)

FIXTURE_SETUP(life)
{
	if (!strcmp(variant->device, CU_RNG))
		set_up(CU_RNG);
	else
		set_up(CU_TERMINAL);
}

FIXTURE_TEARDOWN(life)
{
	if (self->ccw.memory)
		tear_down();
}

/* A NOP, on any device; unsolicited status may come first */
#define expect_usable() do {						\
	struct response response;					\
									\
	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 0, 0);		\
	EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));	\
	do {								\
		ASSERT_EQ(0, ccw_response(&self->ccw, &response));	\
	} while (!(response.fctl & SCSW_START));			\
	EXPECT_EQ(PROGRAM + 8, response.cpa);				\
} while (0)

TEST_F(life, type_is_what_clients_expect)
{
	char text[64], parent[300];
	char *path;

	EXPECT_LT(0, file_read(type_path(self->ccw.sch, CCW_TYPE,
					 "device_api").text, text,
			       sizeof(text)));
	EXPECT_STREQ("vfio-ccw", text);
	EXPECT_LT(0, file_read(type_path(self->ccw.sch, CCW_TYPE, "name").text,
			       text, sizeof(text)));
	EXPECT_STREQ("I/O subchannel (Non-QDIO)", text);
	EXPECT_EQ(0, file_link_name(css_path(self->ccw.sch, "driver").text,
				    text, sizeof(text)));
	EXPECT_STREQ("vfio_ccw", text);
	/* QEMU takes the folder above the mdev's for the subchannel's */
	path = realpath(mdev_path(&self->ccw.uuid, "..").text, NULL);
	ASSERT_NE(NULL, path);
	snprintf(parent, sizeof(parent), "/sys/devices/css0/%s",
		 self->ccw.sch);
	free(path);
	path = realpath(mdev_path(&self->ccw.uuid, "").text, NULL);
	ASSERT_NE(NULL, path);
	*strrchr(path, '/') = '\0';
	EXPECT_STREQ(parent, path);
	free(path);
}

TEST_F(life, there_is_one_instance)
{
	struct uuid second = uuid_new();

	EXPECT_EQ(0, instances(self->ccw.sch, CCW_TYPE));
	EXPECT_EQ(self->ccw.kernels_own ? -EUSERS : -ENOSPC,
		  mdev_create(self->ccw.sch, CCW_TYPE, &second));
	EXPECT_FALSE(mdev_exists(&second));
	EXPECT_EQ(0, ccw_remove(&self->ccw));
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
	EXPECT_EQ(0, mdev_create(self->ccw.sch, CCW_TYPE, &second));
	EXPECT_EQ(0, instances(self->ccw.sch, CCW_TYPE));
	EXPECT_EQ(0, mdev_remove(&second));
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
}

TEST_F(life, create_of_another_type_fails)
{
	EXPECT_GT(0, mdev_create(self->ccw.sch, "vfio_ccw-none",
				 &self->ccw.uuid));
}

TEST_F_TIMEOUT(life, subchannel_comes_and_goes, 120)
{
	int i;

	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, ccw_unbind(&self->ccw));
		/* Its mediated device goes with it */
		EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
		EXPECT_FALSE(parent_exists(self->ccw.sch));
		ASSERT_EQ(0, ccw_bind(&self->ccw));
		ASSERT_EQ(0, ccw_create(&self->ccw));
	}
	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_usable();
}

TEST_F(life, open_and_close_can_be_repeated)
{
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ccw_open(&self->ccw));
		expect_usable();
		ccw_close(&self->ccw);
		EXPECT_EQ(self->ccw.pinned, pages_pinned());
	}
}

TEST_F(life, second_descriptor_is_of_the_same_device)
{
	int second;

	ASSERT_EQ(0, ccw_open(&self->ccw));
	second = vfio_get_device(&self->ccw.user, &self->ccw.uuid);
	ASSERT_LE(0, second);
	close(self->ccw.user.device);
	self->ccw.user.device = second;
	expect_usable();
}

/* What one user leaves behind, the next one does not find */
TEST_F(life, reopened_device_is_as_new)
{
	struct ccw_io_region region;
	static const struct ccw_io_region none;
	struct ccw_cmd_region cmd;
	struct ccw_crw_region crw;
	int io;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps the regions' contents");
	ASSERT_EQ(0, ccw_open(&self->ccw));
	put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, DATA);
	EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	ASSERT_TRUE(eventfd_wait(self->ccw.io, SOON_MS));
	EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	EXPECT_EQ(-EINVAL, ccw_async(&self->ccw, 77));
	EXPECT_EQ(-EINVAL, ccw_start(&self->ccw, ORB_FORMAT1, NOWHERE));
	ccw_close(&self->ccw);

	io = self->ccw.io;
	self->ccw.io = eventfd_new();
	ASSERT_EQ(0, ccw_open(&self->ccw));
	EXPECT_EQ(0, region_read(&self->ccw, REGION_IO, &region,
				 sizeof(region)));
	EXPECT_EQ(0, memcmp(&region, &none, sizeof(region)));
	EXPECT_EQ(0, region_read(&self->ccw, REGION_CMD, &cmd, sizeof(cmd)));
	EXPECT_EQ(0, cmd.command);
	EXPECT_EQ(0, cmd.ret_code);
	EXPECT_EQ(0, region_read(&self->ccw, REGION_CRW, &crw, sizeof(crw)));
	EXPECT_EQ(0, crw.crw);
	expect_usable();
	/* And the first one's eventfd is nobody's */
	EXPECT_EQ(0, eventfd_take(io));
	close(io);
}

TEST_F(life, reset_device_is_as_new)
{
	struct ccw_io_region region;
	static const struct ccw_io_region none;
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps the regions' contents");
	ASSERT_EQ(0, ccw_open(&self->ccw));
	for (i = 0; i < 5; i++) {
		put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 7, DATA);
		EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
		EXPECT_EQ(0, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
		EXPECT_EQ(0, vfio_ioctl(self->ccw.user.device,
					VFIO_DEVICE_RESET, NULL));
		eventfd_take(self->ccw.io);
		EXPECT_EQ(0, region_read(&self->ccw, REGION_IO, &region,
					 sizeof(region)));
		EXPECT_EQ(0, memcmp(&region, &none, sizeof(region)));
		EXPECT_EQ(0, eventfd_take(self->ccw.io));
		EXPECT_EQ(self->ccw.pinned, pages_pinned());
		expect_usable();
	}
}

TEST_F(life, memory_can_be_taken_away_and_given_back)
{
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own loses the response, and then the device");
	ASSERT_EQ(0, ccw_open(&self->ccw));
	for (i = 0; i < 20; i++) {
		put_ccw(&self->ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0x8000,
			DATA);
		EXPECT_EQ(0, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
		/* Nobody has fetched the response yet */
		EXPECT_EQ(0, vfio_unmap(&self->ccw.user, GUEST_BASE,
					GUEST_SIZE));
		EXPECT_EQ(self->ccw.pinned, pages_pinned());
		ASSERT_TRUE(eventfd_wait(self->ccw.io, SOON_MS));
		eventfd_take(self->ccw.io);
		EXPECT_EQ(-EINVAL, ccw_start(&self->ccw, ORB_FORMAT1,
					     PROGRAM));
		EXPECT_EQ(0, vfio_map(&self->ccw.user, self->ccw.memory,
				      GUEST_BASE, GUEST_SIZE));
		EXPECT_EQ(0, vfio_ioctl(self->ccw.user.device,
					VFIO_DEVICE_RESET, NULL));
		eventfd_take(self->ccw.io);
	}
	expect_usable();
}

/* A user that does nothing but I/O, and says when it has begun */
static int run_user(void *arg)
{
	struct ccw *ccw = arg;
	__u64 one = 1;
	int begun = ccw->crw;
	int i;

	ccw->io = eventfd_new();
	ccw->crw = eventfd_new();
	if (ccw_open(ccw))
		return 1;
	put_ccw(ccw, PROGRAM, CMD_SENSE_ID, CCW_SLI, 0x8000, DATA);
	for (i = 0;; i++) {
		ccw_start(ccw, ORB_FORMAT1, PROGRAM);
		if (i == 10 && write(begun, &one, sizeof(one)) < 0)
			return 1;
	}
}

TEST_F_TIMEOUT(life, killed_user_leaves_nothing_behind, 120)
{
	int i;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps a killed user's eventfds");
	for (i = 0; i < 10; i++) {
		self->child = child_start(run_user, &self->ccw, self->ccw.crw,
					  -1);
		ASSERT_LT(0, self->child);
		ASSERT_TRUE(eventfd_wait(self->ccw.crw, SOON_MS));
		child_kill(self->child);
		self->child = -1;
		eventfd_take(self->ccw.crw);
		EXPECT_EQ(self->ccw.pinned, pages_pinned());
		ASSERT_EQ(0, ccw_open(&self->ccw));
		expect_usable();
		ccw_close(&self->ccw);
	}
}

static void *start_stuck(void *arg)
{
	ccw_start(arg, ORB_FORMAT1, PROGRAM);
	return NULL;
}

/*
 * A user whose memory has its pages brought by somebody who never does, so
 * that the driver gets stuck in the middle of reading a program
 */
static int run_stuck_user(void *arg)
{
	struct ccw *ccw = arg;
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.mode = UFFDIO_REGISTER_MODE_MISSING,
		.range = { .len = GUEST_SIZE },
	};
	struct pollfd poller = { .events = POLLIN };
	int begun = ccw->crw;
	pthread_t thread;
	__u64 one = 1;

	ccw->io = eventfd_new();
	ccw->crw = eventfd_new();
	ccw->memory = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	poller.fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	range.range.start = (unsigned long)ccw->memory;
	if (poller.fd < 0 || ioctl(poller.fd, UFFDIO_API, &api) ||
	    ioctl(poller.fd, UFFDIO_REGISTER, &range))
		return 2;
	if (ccw_open(ccw))
		return 1;
	if (pthread_create(&thread, NULL, start_stuck, ccw))
		return 1;
	if (poll(&poller, 1, SOON_MS) != 1)
		return 3;
	if (write(begun, &one, sizeof(one)) < 0)
		return 1;
	pthread_join(thread, NULL);
	return 4;
}

#define start_stuck_user() do {						\
	self->child = child_start(run_stuck_user, &self->ccw,		\
				  self->ccw.crw, -1);			\
	ASSERT_LT(0, self->child);					\
	ASSERT_TRUE(eventfd_wait(self->ccw.crw, SOON_MS));		\
	eventfd_take(self->ccw.crw);					\
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, 0));		\
} while (0)

TEST_F(life, user_stuck_in_a_start_can_be_killed)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own keeps a killed user's eventfds");
	start_stuck_user();
	child_kill(self->child);
	self->child = -1;
	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_usable();
}

TEST_F(life, removal_waits_for_a_user_stuck_in_a_start)
{
	pid_t remover;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own mdev does not ask for release");
	start_stuck_user();
	remover = remover_start(&self->ccw.uuid);
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->ccw.uuid.text, BLOCKED,
			      NULL));
	EXPECT_EQ(-ETIMEDOUT, child_wait(remover, 0));
	child_kill(self->child);
	self->child = -1;
	EXPECT_EQ(0, child_wait(remover, SOON_MS));
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
}

/* The removal table: of the mediated device, and of the subchannel */

static int run_unbind(void *arg)
{
	return -sch_unbind(arg);
}

#define named()								\
	(snprintf(self->name, sizeof(self->name),			\
		  HOLDER_NAME " (pid %d)", self->holder.pid), self->name)

#define start_holder(with_eventfd) do {					\
	if (self->ccw.kernels_own)					\
		SKIP(return, "the kernel's own mdev does not ask for release"); \
	ASSERT_EQ(0, holder_start(&self->holder, &self->ccw.uuid));	\
	if (with_eventfd)						\
		ASSERT_EQ(0, holder_order(&self->holder, HOLDER_REGISTER)); \
} while (0)

#define expect_asked() do {						\
	EXPECT_TRUE(eventfd_wait(self->holder.eventfd, SOON_MS));	\
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->ccw.uuid.text,	\
			      RELAYED " (#1)", named()));		\
	EXPECT_TRUE(mdev_exists(&self->ccw.uuid));			\
} while (0)

#define expect_blocked() do {						\
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->ccw.uuid.text,	\
			      BLOCKED, named()));			\
	EXPECT_TRUE(mdev_exists(&self->ccw.uuid));			\
} while (0)

/* It goes when the user lets go */
#define expect_released() do {						\
	EXPECT_EQ(-ETIMEDOUT, child_wait(self->child, 0));		\
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_USE));		\
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_CLOSE));	\
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));			\
	self->child = -1;						\
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));			\
} while (0)

TEST_F(life, remove_asks_the_user)
{
	start_holder(true);
	self->child = remover_start(&self->ccw.uuid);
	expect_asked();
	expect_released();
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
}

TEST_F(life, remove_names_who_blocks_it)
{
	start_holder(false);
	self->child = remover_start(&self->ccw.uuid);
	expect_blocked();
	expect_released();
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
}

TEST_F(life, interrupted_remove_leaves_the_device_whole)
{
	start_holder(true);
	self->child = remover_start(&self->ccw.uuid);
	expect_asked();
	child_kill(self->child);
	self->child = -1;
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_USE));
	holder_kill(&self->holder);
	ASSERT_EQ(0, ccw_open(&self->ccw));
	expect_usable();
}

TEST_F(life, unbind_asks_the_user)
{
	start_holder(true);
	self->child = child_start(run_unbind, self->ccw.sch, -1, -1);
	expect_asked();
	expect_released();
	EXPECT_FALSE(parent_exists(self->ccw.sch));
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "vfio_ccw"));
	EXPECT_EQ(1, instances(self->ccw.sch, CCW_TYPE));
}

TEST_F(life, unbind_names_who_blocks_it)
{
	start_holder(false);
	self->child = child_start(run_unbind, self->ccw.sch, -1, -1);
	expect_blocked();
	expect_released();
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "vfio_ccw"));
}

TEST_F(life, unbind_ends_with_a_killed_user)
{
	start_holder(true);
	self->child = child_start(run_unbind, self->ccw.sch, -1, -1);
	expect_asked();
	kill(self->holder.pid, SIGKILL);
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "vfio_ccw"));
}

TEST_F(life, io_goes_on_while_an_unbind_waits)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own mdev does not ask for release");
	ASSERT_EQ(0, ccw_open(&self->ccw));
	self->child = child_start(run_unbind, self->ccw.sch, -1, -1);
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->ccw.uuid.text, BLOCKED,
			      NULL));
	expect_usable();
	EXPECT_EQ(0, vfio_ioctl(self->ccw.user.device, VFIO_DEVICE_RESET,
				NULL));
	expect_usable();
	ccw_close(&self->ccw);
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
	EXPECT_EQ(0, sch_bind(self->ccw.sch, "vfio_ccw"));
}

/* The host pulls the device */

#define host_plug(id, devno)						\
	host_ask("device_add driver=virtio-rng-ccw id=" id " devno=" devno, \
		 NULL, 0)
#define host_pull(id)	host_ask("device_del id=" id, NULL, 0)

FIXTURE(pulled)
{
	struct ccw ccw;
	struct holder holder;
	pid_t child;
	char name[64];
	int log;
	int events;
	bool pulled;
};

FIXTURE_SETUP(pulled)
{
	if (!file_exists("/run/host"))
		SKIP(return, "no host to be asked");
	set_up(PULLED);
}

FIXTURE_TEARDOWN(pulled)
{
	if (!self->ccw.memory)
		return;
	if (self->holder.pid > 0)
		holder_kill(&self->holder);
	ccw_close(&self->ccw);
	if (self->pulled) {
		/* Gone for good, and then it is plugged in again */
		while (file_exists(css_path(self->ccw.sch, "").text) &&
		       uevent_wait(self->events, SOON_MS, "remove",
				   self->ccw.sch, "SUBSYSTEM=css"))
			;
		EXPECT_FALSE(mdev_exists(&self->ccw.uuid));
		EXPECT_EQ(0, host_plug(PULLED_ID, PULLED_DEVNO));
		while (!file_exists(ccw_path(PULLED, "online").text) &&
		       uevent_wait(self->events, SOON_MS, "add", PULLED, NULL))
			;
		EXPECT_EQ(0, ccw_settle(PULLED));
	}
	tear_down();
}

#define pull() do {							\
	ASSERT_EQ(0, host_pull(PULLED_ID));				\
	self->pulled = true;						\
} while (0)

#define expect_gone() do {						\
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "remove",	\
				self->ccw.uuid.text, NULL));		\
	EXPECT_FALSE(mdev_exists(&self->ccw.uuid));			\
} while (0)

TEST_F(pulled, unused_device_goes_at_once)
{
	pull();
	expect_gone();
}

TEST_F(pulled, user_is_asked)
{
	start_holder(true);
	pull();
	expect_asked();
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_USE));
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_CLOSE));
	expect_gone();
}

TEST_F(pulled, user_that_cannot_be_asked_is_named)
{
	start_holder(false);
	pull();
	expect_blocked();
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_CLOSE));
	expect_gone();
}

TEST_F(pulled, killed_user_ends_it)
{
	start_holder(true);
	pull();
	expect_asked();
	kill(self->holder.pid, SIGKILL);
	expect_gone();
}

TEST_F(pulled, device_that_is_gone_says_so)
{
	struct ccw_schib_region schib;

	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own has EIO, or old data");
	ASSERT_EQ(0, ccw_open(&self->ccw));
	put_ccw(&self->ccw, PROGRAM, CMD_NOP, CCW_SLI, 1, DATA);
	pull();
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->ccw.uuid.text, BLOCKED,
			      NULL));
	EXPECT_EQ(-ENODEV, ccw_start(&self->ccw, ORB_FORMAT1, PROGRAM));
	EXPECT_EQ(-ENODEV, ret_code(&self->ccw, REGION_IO));
	EXPECT_EQ(-ENODEV, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_HSCH));
	EXPECT_EQ(-ENODEV, ccw_async(&self->ccw, VFIO_CCW_ASYNC_CMD_CSCH));
	EXPECT_EQ(-ENODEV, region_read(&self->ccw, REGION_SCHIB, &schib,
				       sizeof(schib)));
	EXPECT_EQ(0, vfio_unmap(&self->ccw.user, GUEST_BASE, GUEST_SIZE));
	EXPECT_EQ(self->ccw.pinned, pages_pinned());
	ccw_close(&self->ccw);
	expect_gone();
}

TEST_F(pulled, device_pulled_in_the_middle_of_a_start)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own mdev does not ask for release");
	start_stuck_user();
	pull();
	EXPECT_TRUE(kmsg_wait(self->log, SOON_MS, self->ccw.uuid.text, BLOCKED,
			      NULL));
	child_kill(self->child);
	self->child = -1;
	expect_gone();
}

static bool comes(int events, const char *device)
{
	return file_exists(ccw_path(device, "").text) ||
	       uevent_wait(events, SOON_MS, "add", device, NULL);
}

/*
 * QEMU gives the lowest free subchannel to a new device: the one that was
 * pulled to the first, another one to the second. That comes at once; the first
 * comes when the user has let its subchannel go.
 */
TEST_F(pulled, user_that_holds_on_holds_up_no_other_device)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own waits on the channel subsystem's only work queue");
	start_holder(false);
	pull();
	expect_blocked();
	EXPECT_EQ(0, host_plug(SAME_ID, SAME_DEVNO));
	EXPECT_EQ(0, host_plug(OTHER_ID, OTHER_DEVNO));
	EXPECT_TRUE(comes(self->events, OTHER));
	EXPECT_FALSE(file_exists(ccw_path(SAME, "").text));

	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_CLOSE));
	expect_gone();
	EXPECT_TRUE(comes(self->events, SAME));

	EXPECT_EQ(0, host_pull(SAME_ID));
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "remove", SAME,
				"SUBSYSTEM=ccw"));
	EXPECT_EQ(0, host_pull(OTHER_ID));
	EXPECT_TRUE(uevent_wait(self->events, SOON_MS, "remove", OTHER,
				"SUBSYSTEM=ccw"));
}

TEST_F(pulled, device_pulled_while_an_unbind_waits)
{
	if (self->ccw.kernels_own)
		SKIP(return, "the kernel's own mdev does not ask for release");
	start_holder(false);
	self->child = child_start(run_unbind, self->ccw.sch, -1, -1);
	ASSERT_LT(0, self->child);
	expect_blocked();
	pull();
	EXPECT_EQ(0, holder_order(&self->holder, HOLDER_CLOSE));
	EXPECT_EQ(0, child_wait(self->child, SOON_MS));
	self->child = -1;
	expect_gone();
}

TEST_HARNESS_MAIN
