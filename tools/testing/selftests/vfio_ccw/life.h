/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the tests of a device's life: a part of each fixture, holders of several
 * kinds, and the host that plugs and pulls devices.
 */
#ifndef SELFTESTS_VFIO_CCW_LIFE_H
#define SELFTESTS_VFIO_CCW_LIFE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "fixture.h"
#include "lib/log.h"

/* The device that the host pulls, and those that it plugs in meanwhile */
#define PULLED		"0.0.1235"
#define PULLED_ID	"rng1"
#define PULLED_DEVNO	"fe.0.1235"
#define OTHER		"0.0.1299"
#define OTHER_ID	"rng9"
#define OTHER_DEVNO	"fe.0.1299"
#define SAME		"0.0.1298"
#define SAME_ID		"rng8"
#define SAME_DEVNO	"fe.0.1298"

struct life {
	struct ccw ccw;
	struct holder holder;
	pid_t child;
	char name[64];		/* the holder's, in the kernel's log */
	int log;
	int events;
};

/* Prepares a device, without opening it. Returns false if there is none */
static inline bool life_set_up(struct __test_metadata *_metadata,
			       struct life *life, const char *wanted)
{
	life->holder.pid = -1;
	life->holder.socket = -1;
	life->holder.eventfd = -1;
	life->child = -1;
	if (!ccw_set_up(_metadata, &life->ccw, wanted))
		return false;
	life->log = kmsg_open();
	life->events = uevent_open();
	ASSERT_LE(0, life->events);
	return true;
}

static inline void life_tear_down(struct __test_metadata *_metadata,
				  struct life *life)
{
	child_kill(life->child);
	if (life->holder.pid > 0)
		holder_kill(&life->holder);
	close(life->events);
	close(life->log);
	ccw_tear_down(_metadata, &life->ccw);
}

/* Runs a NOP, on any device. Unsolicited status may come first */
static inline void expect_usable(struct __test_metadata *_metadata,
				 const struct ccw *ccw)
{
	struct response response;

	put_ccw(ccw, PROGRAM, CMD_NOP, CCW_SLI, 0, 0);
	EXPECT_EQ(0, ccw_start(ccw, ORB_FORMAT1, PROGRAM));
	do {
		ASSERT_EQ(0, ccw_response(ccw, &response));
	} while (!(response.fctl & SCSW_START));
	EXPECT_EQ(PROGRAM + 8, response.cpa);
}

#define SCHIB_SCSW	28

/* Subchannel or device active, in word 0 of the SCSW */
#define SCSW_ACTIVE	0x000000c0U

/* Word 0 of the SCSW, as the SCHIB has it; 0 if that cannot be read */
static inline __u32 schib_scsw(const struct ccw *ccw)
{
	struct ccw_schib_region schib;
	__u32 word;

	if (region_read(ccw, REGION_SCHIB, &schib, sizeof(schib)))
		return 0;
	memcpy(&word, schib.schib_area + SCHIB_SCSW, sizeof(word));
	return be32toh(word);
}

/* A holder that only does I/O. Reports when it has begun */
static inline int run_user(void *arg)
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

static inline void *start_stuck(void *arg)
{
	ccw_start(arg, ORB_FORMAT1, PROGRAM);
	return NULL;
}

/*
 * A holder with memory whose pages a userfaultfd must bring, but never does. So
 * the driver gets stuck while it reads the program
 */
static inline int run_stuck_user(void *arg)
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

static inline void start_stuck_user(struct __test_metadata *_metadata,
				    struct life *life)
{
	life->child = child_start(run_stuck_user, &life->ccw, life->ccw.crw,
				  -1);
	ASSERT_LT(0, life->child);
	ASSERT_TRUE(eventfd_wait(life->ccw.crw, SOON_MS));
	eventfd_take(life->ccw.crw);
	EXPECT_EQ(-ETIMEDOUT, child_wait(life->child, 0));
}

static inline void start_holder(struct __test_metadata *_metadata,
				struct life *life, bool with_eventfd)
{
	ASSERT_EQ(0, holder_start(&life->holder, &life->ccw.uuid));
	if (with_eventfd)
		ASSERT_EQ(0, holder_order(&life->holder, HOLDER_REGISTER));
	snprintf(life->name, sizeof(life->name), HOLDER_NAME " (pid %d)",
		 life->holder.pid);
}

/* The kernel's own driver asks the holder by itself, and logs other words */
static inline void expect_asked(struct __test_metadata *_metadata,
				const struct life *life)
{
	EXPECT_TRUE(eventfd_wait(life->holder.eventfd, SOON_MS));
	EXPECT_TRUE(kmsg_wait(life->log, SOON_MS, life->ccw.uuid.text,
			      life->ccw.kernels_own ? LOG_FORWARDED " (#1)" :
						      LOG_RELAYED " (#1)",
			      life->name));
	EXPECT_TRUE(mdev_exists(&life->ccw.uuid));
}

static inline void expect_blocked(struct __test_metadata *_metadata,
				  const struct life *life)
{
	EXPECT_TRUE(kmsg_wait(life->log, SOON_MS, life->ccw.uuid.text,
			      life->ccw.kernels_own ? LOG_FORWARDED :
						      LOG_BLOCKED,
			      life->name));
	EXPECT_TRUE(mdev_exists(&life->ccw.uuid));
}

#define host_plug(id, devno)						\
	host_ask("device_add driver=virtio-rng-ccw id=" id " devno=" devno, \
		 NULL, 0)
#define host_pull(id)	host_ask("device_del id=" id, NULL, 0)

/* The log names the holder that lost the device */
static inline void expect_taken_from_holder(struct __test_metadata *_metadata,
					    const struct life *life)
{
	EXPECT_TRUE(kmsg_wait(life->log, SOON_MS, life->ccw.uuid.text,
			      LOG_REVOKED, life->name));
}

static inline void expect_holder_lost_it(struct __test_metadata *_metadata,
					 struct life *life)
{
	EXPECT_EQ(-ENODEV, holder_order(&life->holder, HOLDER_USE));
	EXPECT_EQ(0, holder_order(&life->holder, HOLDER_CLOSE));
}

#endif /* SELFTESTS_VFIO_CCW_LIFE_H */
