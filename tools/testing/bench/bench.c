// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures the cost of mediated devices, from user space to user space. If the
 * guest's clock counts instructions (QEMU's -icount shift=0,sleep=off), a
 * nanosecond is one instruction.
 *
 * Prints a line for each figure: "bench NAME VALUE". The same program runs with
 * our modules and with the kernel's own.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "bench.h"

#define FEW		100
#define MANY		10000
#define SAMPLE		100
#define ROUNDS		50
#define CALLS		2000

/* The relay parents have their request eventfd at this index */
#define RELAY_REQUEST_INDEX	2

static void uuid_of(char *buf, unsigned int number)
{
	sprintf(buf, "%08x-5a5a-4000-8000-0123456789ab", number);
}

/* The folder of the type whose name ends in @suffix, of any parent */
static const char *type_path(const char *suffix)
{
	char pattern[256];
	glob_t found;

	snprintf(pattern, sizeof(pattern),
		 "/sys/class/mdev_bus/*/mdev_supported_types/*-%s", suffix);
	return glob(pattern, 0, NULL, &found) ? NULL : found.gl_pathv[0];
}

static int open_create(const char *type)
{
	char path[512];
	int fd;

	if (!type)
		errx(1, "no parent has a type that is needed");
	snprintf(path, sizeof(path), "%s/create", type);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static uint64_t create(int fd, unsigned int number)
{
	char uuid[40];
	uint64_t start;

	uuid_of(uuid, number);
	start = now();
	if (pwrite(fd, uuid, 36, 0) != 36)
		err(1, "%s", uuid);
	return now() - start;
}

static int open_remove(unsigned int number)
{
	char uuid[40], path[128];
	int fd;

	uuid_of(uuid, number);
	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/remove", uuid);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static uint64_t remove_mdev(unsigned int number)
{
	int fd = open_remove(number);
	uint64_t start = now(), end;

	if (write(fd, "1", 1) != 1)
		err(1, "remove %u", number);
	end = now();
	close(fd);
	return end - start;
}

static unsigned long slab_kib(void)
{
	unsigned long kib = 0;
	char line[128];
	FILE *f;

	/* Memory that RCU frees counts until its callback and the work behind that have run */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	usleep(100000);
	f = fopen("/proc/meminfo", "r");
	if (!f)
		err(1, "/proc/meminfo");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Slab: %lu", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

static void bench_floor(void)
{
	static uint64_t samples[CALLS];
	int zero = open("/dev/zero", O_RDONLY);
	char c;
	int i;

	for (i = 0; i < CALLS; i++) {
		uint64_t start = now();

		syscall(SYS_getppid);
		samples[i] = now() - start;
	}
	report("floor-getppid", samples, CALLS);
	for (i = 0; i < CALLS; i++) {
		uint64_t start = now();

		if (pread(zero, &c, 1, 0) != 1)
			err(1, "/dev/zero");
		samples[i] = now() - start;
	}
	report("floor-pread", samples, CALLS);
	close(zero);
}

/*
 * Measures the framework's own part of creating a device: the parent driver's
 * create callback fails at once. mdev_relay has a type for this.
 */
static void bench_refused(const char *type, const char *name)
{
	static uint64_t samples[SAMPLE];
	char uuid[40];
	int fd, i;

	if (!type)
		return;
	fd = open_create(type);
	uuid_of(uuid, 3 * MANY);
	for (i = 0; i < SAMPLE; i++) {
		uint64_t start = now();

		if (pwrite(fd, uuid, 36, 0) >= 0)
			errx(1, "%s creates", type);
		samples[i] = now() - start;
	}
	report(name, samples, SAMPLE);
	close(fd);
}

static void bench_number(const char *type, const char *failing)
{
	static uint64_t samples[MANY];
	int fd = open_create(type);
	unsigned long slab = 0;
	uint64_t start = now();
	int i;

	for (i = 0; i < MANY; i++) {
		if (i == FEW) {
			slab = slab_kib();
			bench_refused(failing, "create-refused-at-100");
		}
		samples[i] = create(fd, i);
	}
	printf("bench create-10000-in-all %llu\n",
	       (unsigned long long)(now() - start));
	bench_refused(failing, "create-refused-at-10000");
	printf("bench memory-bytes %lu\n",
	       (slab_kib() - slab) * 1024 / (MANY - FEW));
	report("create-at-10000", samples + MANY - SAMPLE, SAMPLE);
	/* The first devices are left out: they warm caches and tables */
	report("create-at-100", samples + FEW, SAMPLE);

	for (i = 0; i < SAMPLE; i++)
		samples[i] = remove_mdev(i);
	report("remove-oldest-of-10000", samples, SAMPLE);
	for (; i < MANY; i++)
		samples[i] = remove_mdev(i);
	report("remove-at-100", samples + MANY - SAMPLE, SAMPLE);
	close(fd);
}

struct holder {
	unsigned int number;
	int container, group, device, request;
	pid_t tid;
	uint64_t asked;
	pthread_barrier_t ready;
};

static void hold(struct holder *holder, int index)
{
	struct {
		struct vfio_irq_set hdr;
		int fd;
	} set = {
		.hdr.argsz = sizeof(set),
		.hdr.flags = VFIO_IRQ_SET_DATA_EVENTFD |
			     VFIO_IRQ_SET_ACTION_TRIGGER,
		.hdr.index = index,
		.hdr.count = 1,
	};
	char uuid[40], path[128], link[128];
	ssize_t len;

	uuid_of(uuid, holder->number);
	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/iommu_group",
		 uuid);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		err(1, "%s", path);
	link[len] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);

	holder->container = open("/dev/vfio/vfio", O_RDWR);
	holder->group = open(path, O_RDWR);
	if (holder->container < 0 || holder->group < 0 ||
	    ioctl(holder->group, VFIO_GROUP_SET_CONTAINER, &holder->container) ||
	    ioctl(holder->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		err(1, "%s", path);
	holder->device = ioctl(holder->group, VFIO_GROUP_GET_DEVICE_FD, uuid);
	holder->request = eventfd(0, EFD_CLOEXEC);
	set.fd = holder->request;
	if (holder->device < 0 ||
	    (index >= 0 && ioctl(holder->device, VFIO_DEVICE_SET_IRQS, &set)))
		err(1, "open %s", uuid);
}

static void let_go(struct holder *holder)
{
	close(holder->device);
	close(holder->group);
	close(holder->container);
	close(holder->request);
}

static void *answer(void *arg)
{
	struct holder *holder = arg;
	uint64_t count;

	holder->tid = gettid();
	pthread_barrier_wait(&holder->ready);
	if (read(holder->request, &count, sizeof(count)) != sizeof(count))
		err(1, "eventfd");
	holder->asked = now();
	let_go(holder);
	return NULL;
}

/* Returns when the thread sleeps, which is when it waits for a request */
static void wait_asleep(pid_t tid)
{
	char path[64], stat[256];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	do {
		fd = open(path, O_RDONLY);
		len = fd < 0 ? -1 : read(fd, stat, sizeof(stat) - 1);
		if (len < 0)
			err(1, "%s", path);
		stat[len] = 0;
		close(fd);
	} while (!strstr(stat, ") S "));
}

static void bench_request(const char *type)
{
	static uint64_t asked[ROUNDS], done[ROUNDS];
	int fd = open_create(type);
	int i;

	for (i = 0; i < ROUNDS; i++) {
		struct holder holder = { .number = MANY + i };
		pthread_t thread;
		uint64_t start;
		int remove;

		create(fd, holder.number);
		hold(&holder, RELAY_REQUEST_INDEX);
		pthread_barrier_init(&holder.ready, NULL, 2);
		pthread_create(&thread, NULL, answer, &holder);
		pthread_barrier_wait(&holder.ready);
		wait_asleep(holder.tid);

		remove = open_remove(holder.number);
		start = now();
		if (write(remove, "1", 1) != 1)
			err(1, "remove");
		done[i] = now() - start;
		close(remove);
		pthread_join(thread, NULL);
		asked[i] = holder.asked - start;
	}
	report("request-to-wake-up", asked, ROUNDS);
	report("request-to-removed", done, ROUNDS);
	close(fd);
}

static uint64_t region_offset(int device, uint32_t index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info))
		err(1, "region %u", index);
	return info.offset;
}

static void bench_mtty(void)
{
	static uint64_t samples[CALLS];
	struct holder holder = { .number = 2 * MANY };
	int fd = open_create(type_path("1"));
	uint64_t config, uart;
	char buf[252];
	int i;

	create(fd, holder.number);
	hold(&holder, -1);
	config = region_offset(holder.device, VFIO_PCI_CONFIG_REGION_INDEX);
	uart = region_offset(holder.device, VFIO_PCI_BAR0_REGION_INDEX);

	for (i = 0; i < CALLS; i++) {
		uint64_t start = now();

		if (pread(holder.device, buf, 4, config) != 4)
			err(1, "configuration space");
		samples[i] = now() - start;
	}
	report("mtty-config-4", samples, CALLS);
	for (i = 0; i < CALLS; i++) {
		uint64_t start = now();

		if (pread(holder.device, buf, sizeof(buf), config) !=
		    sizeof(buf))
			err(1, "configuration space");
		samples[i] = now() - start;
	}
	report("mtty-config-252", samples, CALLS);
	for (i = 0; i < CALLS; i++) {
		uint64_t start = now();
		char out = i, in = ~i;

		if (pwrite(holder.device, &out, 1, uart) != 1 ||
		    pread(holder.device, &in, 1, uart) != 1)
			err(1, "UART");
		samples[i] = now() - start;
		if (in != out)
			errx(1, "the UART gave %#x for %#x", in, out);
	}
	report("mtty-byte", samples, CALLS);

	let_go(&holder);
	remove_mdev(holder.number);
	close(fd);
}

/*
 * Measures a sample of the kernel's, on our mdev.ko or the kernel's own. No
 * other parent is loaded
 */
static void bench_sample(const char *type)
{
	static uint64_t created[SAMPLE], removed[SAMPLE], samples[CALLS];
	struct holder holder = { .number = 0 };
	int fd = open_create(type);
	uint64_t config;
	char buf[4];
	int i;

	/* Warm caches and tables */
	for (i = 0; i < FEW; i++) {
		create(fd, i);
		remove_mdev(i);
	}
	for (i = 0; i < SAMPLE; i++) {
		created[i] = create(fd, i);
		removed[i] = remove_mdev(i);
	}
	report("sample-create", created, SAMPLE);
	report("sample-remove", removed, SAMPLE);

	create(fd, holder.number);
	hold(&holder, -1);
	config = region_offset(holder.device, VFIO_PCI_CONFIG_REGION_INDEX);
	for (i = 0; i < CALLS; i++) {
		uint64_t start = now();

		if (pread(holder.device, buf, 4, config) != 4)
			err(1, "configuration space");
		samples[i] = now() - start;
	}
	report("sample-config-4", samples, CALLS);
	let_go(&holder);
	remove_mdev(holder.number);
	close(fd);
}

int main(void)
{
	const char *relay = type_path("relay");

	if (!relay) {
		bench_sample(type_path("1"));
		return 0;
	}
	bench_floor();
	bench_request(relay);
	bench_number(relay, type_path("failing"));
	bench_mtty();
	return 0;
}
