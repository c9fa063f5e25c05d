// SPDX-License-Identifier: GPL-2.0-only
/*
 * Suspends the machine while the unload of a parent driver waits for a holder
 * that does not release its device: the wait must not prevent the suspend. With
 * RESTART in its environment, the program restarts the machine while an unbind
 * waits without a limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "call.h"
#include "lib.h"
#include "lib/log.h"

#define PARENT	"mdev_relay.0"
#define TYPE	"mdev_relay-relay"

static int run_unloader(void *arg)
{
	return -module_unload(arg);
}

/* Creates a device, and stops its holder */
static int start(struct uuid *uuid, struct holder *holder, const char *parent,
		 const char *type)
{
	int ret;

	*uuid = uuid_new();
	ret = mdev_create(parent, type, uuid);
	if (!ret)
		ret = holder_start(holder, uuid);
	if (!ret)
		ret = holder_order(holder, HOLDER_REGISTER);
	return ret ? ret : kill(holder->pid, SIGSTOP);
}

/* The child waits for the holder before and after the suspend, until the holder ends */
static void expect_wait_through_suspend(struct __test_metadata *_metadata,
					const struct uuid *uuid,
					struct holder *holder, pid_t child)
{
	ASSERT_EQ(0, file_puts("/sys/power/pm_test", "freezer"));
	EXPECT_EQ(0, file_puts("/sys/power/state", "freeze"));
	ASSERT_EQ(0, file_puts("/sys/power/pm_test", "none"));
	EXPECT_EQ(-ETIMEDOUT, child_wait(child, 500));
	EXPECT_TRUE(mdev_exists(uuid));
	holder_kill(holder);
	EXPECT_EQ(0, child_wait(child, SOON_MS));
	EXPECT_FALSE(mdev_exists(uuid));
}

TEST(machine_can_be_suspended_while_an_unload_waits)
{
	struct holder holder;
	struct uuid uuid;
	int log = kmsg_open();
	pid_t child;

	if (!file_exists("/sys/power/pm_test"))
		SKIP(return, "this kernel cannot try to suspend");
	ASSERT_EQ(0, start(&uuid, &holder, "mtty", "mtty-2"));
	child = child_start(run_unloader, "mtty", -1, -1);
	ASSERT_TRUE(kmsg_wait(log, SOON_MS, "mtty", LOG_WAITING, NULL));

	expect_wait_through_suspend(_metadata, &uuid, &holder, child);
	EXPECT_EQ(0, module_load("mtty"));
	close(log);
}

/* The freezer wakes waiting threads. That is not a signal that gives the removal up */
TEST(removal_waits_on_after_a_suspend)
{
	struct holder holder;
	struct uuid uuid;
	pid_t child;

	if (!file_exists("/sys/power/pm_test"))
		SKIP(return, "this kernel cannot try to suspend");
	ASSERT_EQ(0, start(&uuid, &holder, "mtty", "mtty-2"));
	child = remover_start(&uuid);
	ASSERT_TRUE(eventfd_wait(holder.eventfd, SOON_MS));

	expect_wait_through_suspend(_metadata, &uuid, &holder, child);
}

/* Restarts the machine; returns only on failure */
static int restart(void)
{
	struct holder holder;
	struct uuid uuid;
	int events = uevent_open();

	if (start(&uuid, &holder, PARENT, TYPE) || grace_set(0))
		return 1;
	unbinder_start(PARENT);
	if (!uevent_wait(events, SOON_MS, "change", uuid.text,
			 MDEV_UEVENT_REQUEST_PENDING))
		return 1;
	usleep(500000);
	return reboot(RB_AUTOBOOT);
}

int main(int argc, char **argv)
{
	return getenv("RESTART") ? restart() : test_harness_run(argc, argv);
}
