/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU as the holder of a mediated device. A test starts QEMU, controls it by
 * QMP, and reads the guest's reports from its console.
 *
 * Unless said otherwise, a function returns 0 or a negative errno.
 */
#ifndef SELFTESTS_QEMU_QEMU_H
#define SELFTESTS_QEMU_QEMU_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "lib.h"
#include "lib/log.h"

/* Emulation within emulation: limits for steps that take a second on bare metal */
#define QEMU_MS		(60000 * SLOWER)
#define QEMU_TEST_S	(600 * SLOWER)

#define QEMU_MAX_ARGS	40
#define QEMU_OUR_ARGS	8

/* Files of Debian's QEMU, and the guests that the runner has built */
#define QEMU_FILES	"/usr/share/qemu"
#define GUEST_PROGRAM(name) "/tests/guests/" name

/* The reason to skip a test without Debian's QEMU */
#define NO_QEMU		"no QEMU in this guest"

#define STREAM_PIECE	4096	/* less than half of a stream's text */

/* The streams of struct qemu that have a socket of their own */
#define QEMU_STREAMS	3

/* Text from QEMU, and how much of it has been searched and shown */
struct stream {
	const char *name;	/* its name in the test's output */
	int fd;
	bool ended;
	char text[32768];
	size_t len;
	size_t seen;
	size_t shown;
};

struct qemu {
	pid_t pid;
	char comm[64];		/* as the kernel's log has it: "NAME (pid N)" */
	struct stream console;	/* of the guest */
	struct stream errors;	/* of QEMU itself */
	struct stream answers;	/* of QMP */
	struct stream events;	/* of QMP; has no descriptor of its own */
};

static inline void stream_init(struct stream *stream, const char *name, int fd)
{
	stream->name = name;
	stream->fd = fd;
	stream->ended = false;
	stream->len = 0;
	stream->seen = 0;
	stream->shown = 0;
	stream->text[0] = '\0';
}

/* Appends text. If there is no room, drops the older half of the old text */
static inline void stream_add(struct stream *stream, const char *text,
			      size_t len)
{
	size_t room = sizeof(stream->text) - 1 - stream->len;
	size_t drop = len > room ? stream->len / 2 : 0;

	stream->len -= drop;
	stream->seen -= drop < stream->seen ? drop : stream->seen;
	stream->shown -= drop < stream->shown ? drop : stream->shown;
	memmove(stream->text, stream->text + drop, stream->len);
	memcpy(stream->text + stream->len, text, len);
	stream->len += len;
	stream->text[stream->len] = '\0';
}

/* Searches text that was not searched yet, and continues behind it */
static inline bool stream_find(struct stream *stream, const char *text)
{
	char *found = strstr(stream->text + stream->seen, text);

	if (found)
		stream->seen = found + strlen(text) - stream->text;
	return found;
}

/* Prints complete lines to the test's output, with the stream's name before each */
static inline void stream_show(struct stream *stream)
{
	const char *line, *end;

	for (;;) {
		line = stream->text + stream->shown;
		end = memchr(line, '\n', stream->len - stream->shown);
		if (!end)
			break;
		printf("%s: %.*s\n", stream->name, (int)(end - line), line);
		stream->shown = end + 1 - stream->text;
	}
	fflush(stdout);
}

static inline void stream_take(struct stream *stream)
{
	char text[STREAM_PIECE];
	ssize_t len;

	len = recv(stream->fd, text, sizeof(text), MSG_DONTWAIT);
	if (len == 0)
		stream->ended = true;
	if (len <= 0)
		return;
	stream_add(stream, text, len);
	stream_show(stream);
}

static inline void stream_close(struct stream *stream)
{
	close(stream->fd);
	stream->ended = true;
}

/*
 * Reads all streams of QEMU. It has to, because a QEMU that waits for a reader
 * of its console does not answer on QMP. Returns false if no text comes in that
 * time, or if all streams have ended.
 */
static inline bool qemu_listen_for(struct qemu *qemu, int timeout_ms)
{
	struct stream *streams[] = {
		&qemu->console, &qemu->errors, &qemu->answers,
	};
	struct pollfd pollers[QEMU_STREAMS];
	bool ended = true;
	int i;

	for (i = 0; i < QEMU_STREAMS; i++) {
		pollers[i].fd = streams[i]->ended ? -1 : streams[i]->fd;
		pollers[i].events = POLLIN;
		ended &= streams[i]->ended;
	}
	if (ended || poll(pollers, QEMU_STREAMS, timeout_ms) <= 0)
		return false;
	for (i = 0; i < QEMU_STREAMS; i++)
		if (pollers[i].revents)
			stream_take(streams[i]);
	return true;
}

static inline bool qemu_listen(struct qemu *qemu, __s64 deadline)
{
	__s64 left = deadline - now_ms();

	return left > 0 && qemu_listen_for(qemu, left);
}

/* Returns whether the guest or QEMU itself prints @text, behind text that was searched before */
static inline bool qemu_says_in(struct qemu *qemu, int timeout_ms,
				const char *text)
{
	__s64 deadline = now_ms() + timeout_ms;

	while (!stream_find(&qemu->console, text) &&
	       !stream_find(&qemu->errors, text))
		if (!qemu_listen(qemu, deadline))
			return false;
	return true;
}

static inline bool qemu_says(struct qemu *qemu, const char *text)
{
	return qemu_says_in(qemu, QEMU_MS, text);
}

/* Skips all text up to now. Reads for at most a second, for a guest that never stops */
static inline void qemu_hush(struct qemu *qemu)
{
	__s64 deadline = now_ms() + 1000;

	while (now_ms() < deadline && qemu_listen_for(qemu, 0))
		;
	qemu->console.seen = qemu->console.len;
	qemu->errors.seen = qemu->errors.len;
}

/*
 * Returns the next line of QMP, an event or an answer, or NULL if none comes
 * before the deadline. The line is valid until the next call. Events are also
 * kept.
 */
static inline const char *qmp_line(struct qemu *qemu, __s64 deadline)
{
	struct stream *answers = &qemu->answers;
	char *line, *end;

	do {
		line = answers->text + answers->seen;
		end = strchr(line, '\n');
	} while (!end && qemu_listen(qemu, deadline));
	if (!end)
		return NULL;
	answers->seen = end + 1 - answers->text;
	*end = '\0';
	if (strstr(line, "\"event\":"))
		stream_add(&qemu->events, line, strlen(line));
	return line;
}

/* Returns -EIO if QEMU refuses, -EPIPE if it has ended, -ETIMEDOUT if it does not answer */
static inline int __attribute__((format(printf, 2, 3)))
qmp(struct qemu *qemu, const char *format, ...)
{
	__s64 deadline = now_ms() + QEMU_MS;
	char command[512];
	const char *line;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(command, sizeof(command) - 1, format, args);
	va_end(args);
	command[len++] = '\n';
	if (send(qemu->answers.fd, command, len, MSG_NOSIGNAL) != len)
		return -EPIPE;
	do {
		line = qmp_line(qemu, deadline);
		if (!line)
			return now_ms() < deadline ? -EPIPE : -ETIMEDOUT;
		if (strstr(line, "\"return\":"))
			return 0;
	} while (!strstr(line, "\"error\":"));
	return -EIO;
}

static inline bool qmp_event(struct qemu *qemu, const char *name)
{
	__s64 deadline = now_ms() + QEMU_MS;

	while (!stream_find(&qemu->events, name))
		if (!qmp_line(qemu, deadline))
			return false;
	return true;
}

/*
 * By VFIO_WAY, QEMU opens the device through its group and a container, or
 * through the device's own file and an iommufd, which is an object of QEMU.
 */
#define QEMU_IOMMUFD	"iommu"

static inline bool qemu_has_iommufd(void)
{
	return vfio_way() == VFIO_WAY_CDEV;
}

/* These plug and unplug as an administrator does. qemu_start() uses this id, too */
#define QEMU_DEVICE	"held"

static inline int qemu_plug_as(struct qemu *qemu, const char *id,
			       const char *driver, const struct uuid *uuid)
{
	return qmp(qemu,
		   "{'execute': 'device_add', 'arguments': {'driver': '%s', 'id': '%s', 'sysfsdev': '%s'%s}}",
		   driver, id, mdev_path(uuid, "").text,
		   qemu_has_iommufd() ?
		   ", 'iommufd': '" QEMU_IOMMUFD "'" : "");
}

static inline int qemu_plug(struct qemu *qemu, const char *driver,
			    const struct uuid *uuid)
{
	return qemu_plug_as(qemu, QEMU_DEVICE, driver, uuid);
}

static inline int qemu_unplug(struct qemu *qemu)
{
	return qmp(qemu,
		   "{'execute': 'device_del', 'arguments': {'id': '%s'}}",
		   QEMU_DEVICE);
}

static inline int qemu_quit(struct qemu *qemu)
{
	return qmp(qemu, "{'execute': 'quit'}");
}

/*
 * Starts QEMU with these arguments, of which the first is the program, and with
 * the device. The guest's console must be the character device "console".
 */
static inline int qemu_start(struct qemu *qemu, const char * const *argv,
			     const char *driver, const struct uuid *uuid)
{
	char device[512], monitor[64];
	const char * const more[QEMU_OUR_ARGS] = {
		"-device", device, "-chardev", monitor,
		"-mon", "chardev=qmp,mode=control",
		qemu_has_iommufd() ? "-object" : NULL,
		"iommufd,id=" QEMU_IOMMUFD,
	};
	const char *args[QEMU_MAX_ARGS];
	int output[2], errors[2], sockets[2];
	size_t i, nr = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, output) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, errors) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	snprintf(device, sizeof(device), "%s,id=" QEMU_DEVICE ",sysfsdev=%s%s",
		 driver, mdev_path(uuid, "").text,
		 qemu_has_iommufd() ? ",iommufd=" QEMU_IOMMUFD : "");
	snprintf(monitor, sizeof(monitor), "socket,id=qmp,fd=%d", sockets[1]);
	while (*argv && nr < QEMU_MAX_ARGS - QEMU_OUR_ARGS - 1)
		args[nr++] = *argv++;
	for (i = 0; i < QEMU_OUR_ARGS && more[i]; i++)
		args[nr++] = more[i];
	args[nr] = NULL;
	qemu->pid = fork();
	if (qemu->pid < 0)
		return -errno;
	if (qemu->pid == 0) {
		/* QEMU must end with its test */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fcntl(sockets[1], F_SETFD, 0);
		dup2(output[1], STDOUT_FILENO);
		dup2(errors[1], STDERR_FILENO);
		execv(args[0], (char **)args);
		perror(args[0]);
		_exit(127);
	}
	close(output[1]);
	close(errors[1]);
	close(sockets[1]);
	stream_init(&qemu->console, "console", output[0]);
	stream_init(&qemu->errors, "qemu", errors[0]);
	stream_init(&qemu->answers, "qmp", sockets[0]);
	stream_init(&qemu->events, "events", -1);
	/* The kernel keeps 15 characters of the name */
	snprintf(qemu->comm, sizeof(qemu->comm), "%.15s (pid %d)",
		 strrchr(args[0], '/') + 1, qemu->pid);
	return 0;
}

/* Waits for QEMU's greeting, which comes after it has opened the device */
static inline int qemu_greet(struct qemu *qemu)
{
	if (!qmp_line(qemu, now_ms() + QEMU_MS))
		return -EPIPE;
	return qmp(qemu, "{'execute': 'qmp_capabilities'}");
}

/* Waits for the end of QEMU like child_wait(), and shows its last text */
static inline int qemu_wait(struct qemu *qemu, int timeout_ms)
{
	int ret = child_wait(qemu->pid, timeout_ms);

	if (ret == -ETIMEDOUT)
		return ret;
	while (qemu_listen_for(qemu, 0))
		;
	stream_close(&qemu->console);
	stream_close(&qemu->errors);
	stream_close(&qemu->answers);
	qemu->pid = -1;
	return ret;
}

static inline void qemu_kill(struct qemu *qemu)
{
	if (qemu->pid <= 0)
		return;
	kill(qemu->pid, SIGKILL);
	qemu_wait(qemu, QEMU_MS);
}

/* Stops QEMU. Returns when it has stopped */
static inline int qemu_stop(struct qemu *qemu)
{
	int status;

	kill(qemu->pid, SIGSTOP);
	if (waitpid(qemu->pid, &status, WUNTRACED) != qemu->pid)
		return -errno;
	return WIFSTOPPED(status) ? 0 : -ESRCH;
}

static inline void qemu_continue(struct qemu *qemu)
{
	kill(qemu->pid, SIGCONT);
}

/*
 * Keeps the IOMMU of QEMU's container. The kernel's VFIO frees it with the last
 * group in the container, even if an ioctl of the container is under way,
 * because vfio_fops_unl_ioctl() takes no lock. If a device is removed as soon
 * as QEMU has closed it, QEMU is still unmapping its memory, and the kernel
 * crashes now and then. So put the group of another device into the container.
 * An iommufd does not need this: it does not depend on its devices.
 */
struct anchor {
	struct uuid uuid;
	int container;
	int group;
};

#define ANCHOR_NONE	{ .container = -1, .group = -1 }

/* Returns a descriptor of QEMU's container */
static inline int qemu_container(const struct qemu *qemu)
{
	char path[320], target[32];
	struct dirent *entry;
	int container = -ENOENT;
	int pidfd, fd;
	ssize_t len;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", qemu->pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	pidfd = syscall(SYS_pidfd_open, qemu->pid, 0);
	while (container < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", qemu->pid,
			 entry->d_name);
		len = readlink(path, target, sizeof(target));
		if (len != (ssize_t)strlen("/dev/vfio/vfio") ||
		    strncmp(target, "/dev/vfio/vfio", len))
			continue;
		fd = syscall(SYS_pidfd_getfd, pidfd, atoi(entry->d_name), 0);
		container = fd < 0 ? -errno : fd;
	}
	close(pidfd);
	closedir(dir);
	return container;
}

static inline int anchor_set(struct anchor *anchor, const struct qemu *qemu,
			     const char *parent, const char *type)
{
	int err;

	if (qemu_has_iommufd())
		return 0;
	anchor->uuid = uuid_new();
	err = mdev_create(parent, type, &anchor->uuid);
	if (err)
		return err;
	anchor->container = qemu_container(qemu);
	if (anchor->container < 0)
		return anchor->container;
	anchor->group = vfio_open_group(&anchor->uuid, anchor->container);
	return anchor->group < 0 ? anchor->group : 0;
}

static inline int anchor_raise(struct anchor *anchor)
{
	if (anchor->group >= 0)
		close(anchor->group);
	if (anchor->container >= 0)
		close(anchor->container);
	return anchor->uuid.text[0] ? mdev_remove(&anchor->uuid) : 0;
}

/* State that the tests share: each one has a fixture "client" with a member of this type */
struct client {
	struct qemu qemu;
	struct anchor anchor;
	pid_t child;			/* removes or unbinds the device */
	int log;
	const struct uuid *uuid;	/* of the device */
	int (*start)(struct qemu *qemu, const struct uuid *uuid,
		     const char *command_line);
	/*
	 * Of the guest, and what it prints while it works. A guest with "io"
	 * works all the time; any other one is idle after its start
	 */
	const char *command_line;
	const char *at_work;
};

#define client_test(name)						\
	TEST_F_TIMEOUT(client, name, QEMU_TEST_S)

/* The device of @uuid need not exist yet */
static inline void set_up_client(struct client *client, const struct uuid *uuid,
				 const char *command_line)
{
	client->uuid = uuid;
	client->command_line = command_line;
	client->child = -1;
	client->qemu.pid = -1;
	client->anchor = (struct anchor)ANCHOR_NONE;
	client->log = -1;
}

static inline void tear_down_client(struct __test_metadata *_metadata,
				    struct client *client)
{
	child_kill(client->child);
	qemu_kill(&client->qemu);
	EXPECT_EQ(0, anchor_raise(&client->anchor));
}

/* Returns when QEMU has opened the device. Its guest may still be starting */
static inline void start_qemu(struct __test_metadata *_metadata,
			      struct client *client)
{
	ASSERT_EQ(0, client->start(&client->qemu, client->uuid,
				   client->command_line));
	ASSERT_EQ(0, qemu_greet(&client->qemu));
}

/* The guest still works. An idle guest prints nothing, so do not wait for it */
static inline void expect_still_at_work(struct __test_metadata *_metadata,
					struct client *client)
{
	if (!strstr(client->command_line, "io"))
		return;
	qemu_hush(&client->qemu);
	ASSERT_TRUE(qemu_says(&client->qemu, client->at_work));
	ASSERT_TRUE(qemu_says(&client->qemu, client->at_work));
}

/* Part of QEMU's message if it cannot open the device */
#define REFUSED	(qemu_has_iommufd() ? "error bind device" : "busy")

/* A second QEMU is refused, and the first one is not disturbed */
static inline void expect_second_qemu_refused(struct __test_metadata *_metadata,
					      struct client *client)
{
	struct qemu *second = malloc(sizeof(*second));

	ASSERT_NE(NULL, second);
	EXPECT_EQ(0, client->start(second, client->uuid, ""));
	EXPECT_TRUE(qemu_says(second, REFUSED));
	EXPECT_EQ(1, qemu_wait(second, QEMU_MS));
	free(second);
	expect_still_at_work(_metadata, client);
}

/* The kernel's log has the line about the relayed request */
static inline void expect_relayed(struct __test_metadata *_metadata,
				  const struct client *client)
{
	EXPECT_TRUE(kmsg_wait(client->log, SOON_MS, client->uuid->text,
			      LOG_RELAYED " (#1)", client->qemu.comm));
}

/* Revokes the device. A running QEMU is asked a last time, and may release it instead */
static inline void revoke_from_qemu(struct __test_metadata *_metadata,
				    const struct client *client)
{
	EXPECT_EQ(0, mdev_revoke(client->uuid));
	EXPECT_FALSE(mdev_exists(client->uuid));
}

static inline void expect_child_done(struct __test_metadata *_metadata,
				     struct client *client)
{
	EXPECT_EQ(0, child_wait(client->child, QEMU_MS));
	client->child = -1;
}

static inline void expect_child_waiting(struct __test_metadata *_metadata,
					const struct client *client)
{
	EXPECT_EQ(-ETIMEDOUT, child_wait(client->child, 1000));
	EXPECT_TRUE(mdev_exists(client->uuid));
}

static inline void interrupt_child(struct __test_metadata *_metadata,
				   struct client *client)
{
	kill(client->child, SIGINT);
	EXPECT_EQ(128 + SIGINT, child_wait(client->child, SOON_MS));
	client->child = -1;
	EXPECT_TRUE(mdev_exists(client->uuid));
}

#endif /* SELFTESTS_QEMU_QEMU_H */
