/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU as the user of a mediated device: started by a test, driven by QMP, with
 * a guest that tells on its console what it does.
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

/* Emulation within emulation: for what takes QEMU a second on bare metal */
#define QEMU_MS		(60000 * SLOWER)
#define QEMU_TEST_S	(600 * SLOWER)

#define QEMU_MAX_ARGS	40
#define QEMU_OUR_ARGS	8

/* What Debian's QEMU has, and the guests that the runner has built */
#define QEMU_FILES	"/usr/share/qemu"
#define GUEST_PROGRAM(name) "/tests/guests/" name

/* Why a test is skipped without Debian's QEMU */
#define NO_QEMU		"no QEMU in this guest"

#define STREAM_PIECE	4096	/* less than half of what is kept */

/* Those of struct qemu that come from QEMU by sockets of their own */
#define QEMU_STREAMS	3

/* Text that comes from QEMU, and how much of it was looked at */
struct stream {
	const char *name;	/* what it is called in the test's output */
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
	struct stream console;	/* the guest's */
	struct stream errors;	/* what QEMU itself has to say */
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

/* Keeps the text; if there is no room, without the oldest */
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

/* Whether there is such a text that was not looked at; looks beyond it */
static inline bool stream_find(struct stream *stream, const char *text)
{
	char *found = strstr(stream->text + stream->seen, text);

	if (found)
		stream->seen = found + strlen(text) - stream->text;
	return found;
}

/* Copies whole lines to the test's output, with the name before each */
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
 * Takes what QEMU has to say, wherever it says it: one that waits for somebody
 * to read its console answers nobody. Returns false if nothing has come in that
 * time, or if nothing can come any more.
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

/* Whether QEMU's guest, or QEMU itself, says that, after what it said before */
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

/* Forgets what was said up to now; one that never stops is not waited for */
static inline void qemu_hush(struct qemu *qemu)
{
	__s64 deadline = now_ms() + 1000;

	while (now_ms() < deadline && qemu_listen_for(qemu, 0))
		;
	qemu->console.seen = qemu->console.len;
	qemu->errors.seen = qemu->errors.len;
}

/*
 * QMP: a line is an event or an answer. The next one, or NULL where none comes
 * until the deadline; it is there until the next call. Events are kept, too.
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

/* -EIO: QEMU refuses; -EPIPE: QEMU is no more; -ETIMEDOUT: no answer */
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
 * VFIO_WAY says how QEMU has the device: through its group and a container, or
 * through its own file and an iommufd, which is an object of QEMU's.
 */
#define QEMU_IOMMUFD	"iommu"

static inline bool qemu_has_iommufd(void)
{
	return vfio_way() == VFIO_WAY_CDEV;
}

/* Both are what an administrator does; this id is also that of qemu_start()'s */
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
 * Starts QEMU with these arguments, the first of which is the program, and the
 * device. The guest's console has to go to the character device "console".
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
		/* One whose test has ended is of no use to anybody */
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

/* The end of its greeting; QEMU has opened the device before */
static inline int qemu_greet(struct qemu *qemu)
{
	if (!qmp_line(qemu, now_ms() + QEMU_MS))
		return -EPIPE;
	return qmp(qemu, "{'execute': 'qmp_capabilities'}");
}

/* How it ended, like child_wait(); what it said last is shown */
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

/* Returns when it has stopped */
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
 * The kernel's VFIO frees the IOMMU of a container with the last group in it,
 * whatever ioctl of the container is under way (vfio_fops_unl_ioctl() takes no
 * lock). When a device is removed as soon as QEMU has closed it, that is while
 * QEMU still unmaps its memory, and the kernel crashes now and then. Another
 * group in QEMU's container keeps it: that of a device that is nobody's. An
 * iommufd does not go with its devices.
 */
struct anchor {
	struct uuid uuid;
	int container;
	int group;
};

#define ANCHOR_NONE	{ .container = -1, .group = -1 }

/* A descriptor of QEMU's container */
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

/* What the tests share: each has a fixture "client" with such a member */
struct client {
	struct qemu qemu;
	struct anchor anchor;
	pid_t child;			/* removes the device, or unbinds it */
	int log;
	const struct uuid *uuid;	/* the device's */
	int (*start)(struct qemu *qemu, const struct uuid *uuid,
		     const char *command_line);
	/*
	 * The guest's, and what it says as long as it works: one that has "io"
	 * works all the time, any other is idle
	 */
	const char *command_line;
	const char *at_work;
};

#define client_test(name)						\
	TEST_F_TIMEOUT(client, name, QEMU_TEST_S)

/* @uuid may be that of a device which does not exist yet */
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

/* QEMU has the device when this returns; its guest has only begun */
static inline void start_qemu(struct __test_metadata *_metadata,
			      struct client *client)
{
	ASSERT_EQ(0, client->start(&client->qemu, client->uuid,
				   client->command_line));
	ASSERT_EQ(0, qemu_greet(&client->qemu));
}

/* The guest goes on; one that is idle says nothing */
static inline void expect_still_at_work(struct __test_metadata *_metadata,
					struct client *client)
{
	if (!strstr(client->command_line, "io"))
		return;
	qemu_hush(&client->qemu);
	ASSERT_TRUE(qemu_says(&client->qemu, client->at_work));
	ASSERT_TRUE(qemu_says(&client->qemu, client->at_work));
}

/* In QEMU's words, and which of its files it could not have */
#define REFUSED	(qemu_has_iommufd() ? "error bind device" : "busy")

/* The first one is not disturbed */
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

/* In the words of the kernel's log */
static inline void expect_relayed(struct __test_metadata *_metadata,
				  const struct client *client)
{
	EXPECT_TRUE(kmsg_wait(client->log, SOON_MS, client->uuid->text,
			      LOG_RELAYED " (#1)", client->qemu.comm));
}

/* A QEMU that runs may have let go when it is asked for the last time */
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
