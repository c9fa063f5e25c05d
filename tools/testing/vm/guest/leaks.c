// SPDX-License-Identifier: GPL-2.0
/* Compares what exists before and after a test. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "supervise.h"

#define SLAB		"/sys/kernel/debug/slab"

/* How long a difference may last before it is a leak: frees may wait for RCU's grace period. */
#define SETTLE_LIMIT_S	3
#define SETTLE_PAUSE_US	20000

/* Folders in which each entry is an object that a test may have made. */
static const char * const watched[] = {
	"/sys/bus/mdev/devices",
	"/sys/kernel/iommu_groups",
	"/dev/vfio",
	"/sys/class/mdev_bus",
};

/*
 * Returns the names of the modules that the test has loaded, with a blank before and after each.
 * Only allocations by these modules count.
 */
static const char *own_modules(void)
{
	const char *names = getenv("MODULES");

	return names ? names : "";
}

/* The name of an object, and how many of it exist. */
struct item {
	char *name;
	long count;
};

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

/* A new eventfd gets the lowest free id. A leaked context has a lower id and so raises it. */
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

/* KASAN keeps freed objects for a while. Until then the allocator counts them as live. */
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

/* With slub_debug=U the kernel reports the live objects of each allocating function. */
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

struct snapshot take_snapshot(void)
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

/* Returns whether the counts are the same. */
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

void look_for_leaks(const struct snapshot *before)
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
		/* Wait for a grace period, and a little longer for RCU's callbacks. */
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
		usleep(SETTLE_PAUSE_US);
	}
}
