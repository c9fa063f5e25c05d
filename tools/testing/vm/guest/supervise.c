// SPDX-License-Identifier: GPL-2.0
/*
 * Runs one test program in the guest, and reports what it left behind.
 *
 *   supervise NAME PROGRAM [ARGUMENT...]   run a test's program, then look for leaks
 *   supervise --log                        pass on what the kernel logged since the last time
 *   host COMMAND [KEY=VALUE...]            have the host do something (this program by that name)
 *
 * File descriptor 3 is the channel to the host. Lines from the program go out behind a "|", so that
 * they can't be taken for ours, which start with "@". A line from the host names the test whose
 * time limit is over, or is "host" and the answer to our line "@host COMMAND".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHANNEL		3
#define LOG_POSITION	"/run/log-position"
#define LINE_LIMIT	4096
#define SLAB		"/sys/kernel/debug/slab"
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))

/* How long a difference may last before it is a leak: frees may wait for RCU's grace period. */
#define SETTLE_LIMIT_S	3
#define SETTLE_PAUSE_US	20000

/* How long a killed process may take to end, before it counts as stuck in the kernel. */
#define KILL_LIMIT_MS	5000

/* The folders in which each entry is an object that a test made. */
static const char * const watched[] = {
	"/sys/bus/mdev/devices",
	"/sys/kernel/iommu_groups",
	"/dev/vfio",
	"/sys/class/mdev_bus",
};

/*
 * Objects of the slab allocator count if one of the modules that the test has loaded allocated
 * them. Their names, with a blank before and after each.
 */
static const char *own_modules(void)
{
	const char *names = getenv("MODULES");

	return names ? names : "";
}

/* One thing that is there: its name, and how many of it. */
struct item {
	char *name;
	long count;
};

struct snapshot {
	struct item *items;
	size_t nr;
};

static void die(const char *what)
{
	dprintf(CHANNEL, "@problem supervise: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct item *find(const struct snapshot *snapshot, const char *name)
{
	for (size_t i = 0; i < snapshot->nr; i++)
		if (!strcmp(snapshot->items[i].name, name))
			return &snapshot->items[i];
	return NULL;
}

static void __attribute__((format(printf, 3, 4)))
add(struct snapshot *snapshot, long count, const char *format, ...)
{
	struct item *item;
	va_list args;
	char *name;

	va_start(args, format);
	if (vasprintf(&name, format, args) < 0)
		die("memory");
	va_end(args);
	item = find(snapshot, name);
	if (item) {
		item->count += count;
		free(name);
		return;
	}
	snapshot->items = realloc(snapshot->items, (snapshot->nr + 1) * sizeof(*item));
	if (!snapshot->items)
		die("memory");
	snapshot->items[snapshot->nr++] = (struct item){ .name = name, .count = count };
}

static void add_folder(struct snapshot *snapshot, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add(snapshot, 1, "%s/%s", path, entry->d_name);
	closedir(dir);
}

static void add_modules(struct snapshot *snapshot)
{
	FILE *file = fopen("/proc/modules", "r");
	char name[64];
	long users;

	if (!file)
		die("/proc/modules");
	while (fscanf(file, "%63s %*s %ld %*[^\n]", name, &users) == 2) {
		add(snapshot, 1, "module %s", name);
		add(snapshot, users, "users of module %s", name);
	}
	fclose(file);
}

/* The kernel gives a new eventfd the lowest free id: a leaked context below it moves it up. */
static void add_eventfds(struct snapshot *snapshot)
{
	int fd = eventfd(0, 0);
	char path[64], line[128];
	FILE *file;
	long id;

	if (fd < 0)
		die("eventfd");
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	if (!file)
		die(path);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "eventfd-id: %ld", &id) == 1)
			add(snapshot, id, "eventfd contexts");
	fclose(file);
	close(fd);
}

/* KASAN keeps what was freed for a while, and the allocator counts it as alive until then. */
static void end_quarantine(const char *cache)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1)
		die(path);
	close(fd);
}

static void add_slab_cache(struct snapshot *snapshot, const char *cache)
{
	char path[512], line[1024], place[256], module[63], name[66];
	FILE *file;
	long count;

	end_quarantine(cache);
	snprintf(path, sizeof(path), SLAB "/%s/alloc_traces", cache);
	file = fopen(path, "r");
	if (!file)
		return;
	/* COUNT FUNCTION [MODULE] ... */
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%ld %255s [%62[^]]]", &count, place, module) != 3)
			continue;
		snprintf(name, sizeof(name), " %s ", module);
		if (strstr(own_modules(), name))
			add(snapshot, count, "%s objects of %s", cache, place);
	}
	fclose(file);
}

/* With slub_debug=U the kernel tells how many objects live, for each place that allocates. */
static void add_slab(struct snapshot *snapshot)
{
	DIR *dir = opendir(SLAB);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "kmalloc-", 8))
			add_slab_cache(snapshot, entry->d_name);
	closedir(dir);
}

static struct snapshot take_snapshot(void)
{
	struct snapshot snapshot = { };

	for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
		add_folder(&snapshot, watched[i]);
	add_modules(&snapshot);
	add_eventfds(&snapshot);
	add_slab(&snapshot);
	return snapshot;
}

static void free_snapshot(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->nr; i++)
		free(snapshot->items[i].name);
	free(snapshot->items);
}

/* Returns whether nothing was left behind and nothing was lost. */
static bool compare(const struct snapshot *before, const struct snapshot *after, bool print)
{
	bool same = true;

	for (size_t i = 0; i < after->nr; i++) {
		const struct item *old = find(before, after->items[i].name);
		long was = old ? old->count : 0;

		if (after->items[i].count == was)
			continue;
		same = false;
		if (print)
			dprintf(CHANNEL, "@leak %s: %ld before, %ld after\n",
				after->items[i].name, was, after->items[i].count);
	}
	for (size_t i = 0; i < before->nr; i++) {
		if (find(after, before->items[i].name))
			continue;
		same = false;
		if (print)
			dprintf(CHANNEL, "@lost %s: %ld before\n",
				before->items[i].name, before->items[i].count);
	}
	return same;
}

static void look_for_leaks(const struct snapshot *before)
{
	struct timespec start, now;
	bool last;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		struct snapshot after = take_snapshot();

		clock_gettime(CLOCK_MONOTONIC, &now);
		last = now.tv_sec - start.tv_sec > SETTLE_LIMIT_S;
		last |= compare(before, &after, last);
		free_snapshot(&after);
		if (last)
			return;
		/* Returns after a grace period; what was freed in it needs a moment more. */
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
		usleep(SETTLE_PAUSE_US);
	}
}

/* Says where in the kernel a process that was killed stays. */
static void report_stuck(pid_t pid)
{
	char path[64], line[256];
	FILE *file;

	dprintf(CHANNEL, "@problem process %d does not end although it was killed\n", pid);
	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		dprintf(CHANNEL, "@note %s", line);
	if (file)
		fclose(file);
}

/* Kills a child; returns whether it went. */
static bool end_child(pid_t pid, int *status)
{
	struct pollfd fd = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	bool gone;

	kill(pid, SIGKILL);
	gone = poll(&fd, 1, KILL_LIMIT_MS) > 0;
	close(fd.fd);
	if (gone)
		waitpid(pid, status, 0);
	else
		report_stuck(pid);
	return gone;
}

/* What the test started and did not wait for. We are its reaper, so these are our children now. */
static void end_leftovers(bool over_limit)
{
	char path[64], command[128];
	pid_t pid;

	while (!waitpid(-1, NULL, WNOHANG)) {
		FILE *file = fopen("/proc/thread-self/children", "r");
		bool found = file && fscanf(file, "%d", &pid) == 1;

		if (file)
			fclose(file);
		if (!found)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		file = fopen(path, "r");
		if (!file || fscanf(file, "%127[^\n]", command) != 1)
			snprintf(command, sizeof(command), "?");
		if (file)
			fclose(file);
		if (!over_limit)
			dprintf(CHANNEL, "@leak process %d (%s) was left running\n", pid, command);
		if (!end_child(pid, NULL))
			return;
	}
}

/* Passes on what the program has written; returns whether more may come. */
static bool pass_output(int from, bool *at_line_start)
{
	char in[4096], out[2 * sizeof(in)];
	ssize_t got = read(from, in, sizeof(in));
	size_t len = 0;

	if (got <= 0)
		return false;
	for (ssize_t i = 0; i < got; i++) {
		if (*at_line_start)
			out[len++] = '|';
		out[len++] = in[i];
		*at_line_start = in[i] == '\n';
	}
	for (size_t done = 0; done < len;) {
		ssize_t wrote = write(CHANNEL, out + done, len - done);

		if (wrote < 0)
			die("channel");
		done += wrote;
	}
	return true;
}

/* Where the test's processes ask the host. A packet is a command, the next one its answer. */
static const struct sockaddr_un host_address = { .sun_family = AF_UNIX, .sun_path = "/run/host" };

static int listen_for_host(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	unlink(host_address.sun_path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&host_address, sizeof(host_address)) ||
	    listen(fd, 8))
		die(host_address.sun_path);
	return fd;
}

/* Returns whether the client is still there. */
static bool pass_command(int client)
{
	char command[LINE_LIMIT];
	ssize_t got = recv(client, command, sizeof(command), 0);

	if (got <= 0)
		return false;
	dprintf(CHANNEL, "@host %.*s\n", (int)got, command);
	return true;
}

static int ask_host(char **words)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	char line[LINE_LIMIT];
	ssize_t got;
	size_t len = 0;

	for (; *words && len < sizeof(line); words++)
		len += snprintf(line + len, sizeof(line) - len, "%s%s", len ? " " : "", *words);
	if (connect(fd, (const struct sockaddr *)&host_address, sizeof(host_address)) ||
	    send(fd, line, strlen(line), 0) < 0) {
		perror(host_address.sun_path);
		return 1;
	}
	got = recv(fd, line, sizeof(line), 0);
	if (got <= 0)
		return 1;
	printf("%.*s\n", (int)got, line);
	return strncmp(line, "ok", 2) ? 1 : 0;
}

/*
 * Returns whether the host has named this test; one that it named before may have ended in time.
 * Its answers go to the client.
 */
static bool told_to_stop(const char *name, int client)
{
	static char said[LINE_LIMIT];
	static size_t len;
	char *line, *end;
	ssize_t got = read(CHANNEL, said + len, sizeof(said) - 1 - len);

	if (got <= 0)
		die("channel");
	len += got;
	said[len] = 0;
	for (line = said; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		if (!strcmp(line, name))
			return true;
		if (!strncmp(line, "host ", 5) && client >= 0)
			send(client, line + 5, strlen(line + 5), MSG_NOSIGNAL);
	}
	len = strlen(line);
	memmove(said, line, len);
	return false;
}

/* Returns when the program has ended, or with false when its time is over. */
static bool watch(const char *name, pid_t pid, int output, int listener)
{
	struct pollfd fds[] = {
		{ .fd = output, .events = POLLIN },
		{ .fd = CHANNEL, .events = POLLIN },
		{ .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN },
		{ .fd = listener, .events = POLLIN },
	};
	struct pollfd *host = &fds[3];
	bool at_line_start = true;
	bool in_time = true;
	int client = -1;

	/* The end of the program, not of its output: what it left behind may hold the pipe. */
	while (!fds[2].revents && in_time) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			die("poll");
		if (fds[0].revents && !pass_output(output, &at_line_start))
			fds[0].fd = -1;
		in_time = !fds[1].revents || !told_to_stop(name, client);
		/* One client after the other: the answers bear no names. */
		if (host->revents && client < 0) {
			client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		} else if (host->revents && !pass_command(client)) {
			close(client);
			client = -1;
		}
		host->fd = client < 0 ? listener : client;
	}
	if (client >= 0)
		close(client);
	fcntl(output, F_SETFL, O_NONBLOCK);
	while (pass_output(output, &at_line_start))
		;
	if (!at_line_start)
		dprintf(CHANNEL, "\n");
	close(fds[2].fd);
	return in_time;
}

static int run(const char *name, char **argv)
{
	struct snapshot before = take_snapshot();
	int listener = listen_for_host();
	int output[2], status;
	bool in_time;
	pid_t pid;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) || pipe2(output, O_CLOEXEC))
		die("set-up");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		close(CHANNEL);
		setsid();
		dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
		dup2(output[1], STDOUT_FILENO);
		dup2(output[1], STDERR_FILENO);
		execv(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(output[1]);
	in_time = watch(name, pid, output[0], listener);
	close(listener);
	if (!in_time) {
		dprintf(CHANNEL, "@limit\n");
		end_child(pid, &status);
	} else if (waitpid(pid, &status, 0) != pid) {
		die("waitpid");
	} else if (WIFSIGNALED(status)) {
		dprintf(CHANNEL, "@exit signal %d (%s)\n", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	} else {
		dprintf(CHANNEL, "@exit %d\n", WEXITSTATUS(status));
	}
	end_leftovers(!in_time);
	look_for_leaks(&before);
	return 0;
}

/* A record is "level,sequence,time,flags;text", and lines of details that start with a blank. */
static int pass_log(void)
{
	unsigned long long sequence, usec, next = 0;
	char record[8192];
	FILE *position;
	ssize_t len;
	int fd;

	position = fopen(LOG_POSITION, "r");
	if (position) {
		if (fscanf(position, "%llu", &next) != 1)
			die(LOG_POSITION);
		fclose(position);
	}
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		die("/dev/kmsg");
	while ((len = read(fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		char *text;

		/* Overwritten before we came: the next read has the oldest that is left. */
		if (len < 0)
			continue;
		record[len] = 0;
		text = strchr(record, ';');
		if (!text || sscanf(record, "%*[^,],%llu,%llu", &sequence, &usec) != 2)
			continue;
		if (sequence < next)
			continue;
		if (next && sequence > next)
			dprintf(CHANNEL, "@problem %llu lines of the kernel log are lost\n",
				sequence - next);
		next = sequence + 1;
		dprintf(CHANNEL, "@log [%5llu.%06llu] %.*s\n", usec / 1000000, usec % 1000000,
			(int)strcspn(text + 1, "\n"), text + 1);
	}
	close(fd);
	position = fopen(LOG_POSITION, "w");
	if (!position || fprintf(position, "%llu", next) < 0 || fclose(position))
		die(LOG_POSITION);
	return 0;
}

int main(int argc, char **argv)
{
	if (!strcmp(basename(argv[0]), "host"))
		return ask_host(argv + 1);
	if (argc == 2 && !strcmp(argv[1], "--log"))
		return pass_log();
	if (argc < 3)
		return 1;
	return run(argv[1], argv + 2);
}
