/* SPDX-License-Identifier: GPL-2.0 */
/* Functions that the demo's holders share. They hold a mediated device, as a VM's monitor does. */
#ifndef DEMO_HOLD_H
#define DEMO_HOLD_H

#include <err.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct held {
	int container, group, device;
};

static inline int open_group(const char *uuid)
{
	char path[128], link[256];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/iommu_group", uuid);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		errx(1, "there is no device %s with a VFIO group", uuid);
	link[len] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%.32s", basename(link));
	fd = open(path, O_RDWR);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static inline struct held hold(const char *uuid)
{
	struct held held;

	held.container = open("/dev/vfio/vfio", O_RDWR);
	if (held.container < 0)
		err(1, "/dev/vfio/vfio");
	held.group = open_group(uuid);
	if (ioctl(held.group, VFIO_GROUP_SET_CONTAINER, &held.container))
		err(1, "VFIO_GROUP_SET_CONTAINER");
	if (ioctl(held.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		err(1, "VFIO_SET_IOMMU");
	held.device = ioctl(held.group, VFIO_GROUP_GET_DEVICE_FD, uuid);
	if (held.device < 0)
		err(1, "VFIO_GROUP_GET_DEVICE_FD");
	return held;
}

static inline int register_eventfd(int device, int index)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} args = {
		.set = {
			.argsz = sizeof(args),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
			.count = 1,
		},
		.fd = eventfd(0, 0),
	};

	if (args.fd < 0)
		err(1, "eventfd");
	if (ioctl(device, VFIO_DEVICE_SET_IRQS, &args))
		err(1, "VFIO_DEVICE_SET_IRQS");
	return args.fd;
}

static inline void wake_up(int signal)
{
	(void)signal;
}

/*
 * Sleeps until the holder is stopped and continued, then queries the device. Returns if the query
 * fails.
 */
static inline void hold_on(int device)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	signal(SIGCONT, wake_up);
	do
		pause();
	while (!ioctl(device, VFIO_DEVICE_GET_INFO, &info));
}

/*
 * The main function of a holder: NAME [--request[=INDEX]] UUID. Returns once the device is open and
 * @use has returned; the holder goes on in the background. With --request the holder registers the
 * request eventfd, and closes the device on a request. Without it, the holder keeps the device
 * until it is killed or the device was revoked. INDEX is the index of the request interrupt, for
 * devices that define their own.
 */
static inline int hold_main(int argc, char **argv, int request_index,
			    void (*use)(const struct held *held))
{
	bool answers = argc == 3 && !strncmp(argv[1], "--request", 9);
	int ready[2], request = -1;
	struct held held;
	uint64_t count;
	pid_t pid;
	char *end;

	if (answers && argv[1][9]) {
		request_index = strtoul(argv[1] + 10, &end, 0);
		answers = argv[1][9] == '=' && end != argv[1] + 10 && !*end;
	}
	if (argc != 2 && !answers)
		errx(2, "usage: %s [--request[=INDEX]] UUID", argv[0]);
	if (pipe(ready))
		err(1, "pipe");
	/* The child opens the device and stays, so it is the holder that the kernel names. */
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid) {
		close(ready[1]);
		return read(ready[0], &count, 1) == 1 ? 0 : 1;
	}

	held = hold(argv[argc - 1]);
	if (answers)
		request = register_eventfd(held.device, request_index);
	printf("holder (pid %d): I hold the device%s\n", getpid(),
	       answers ? ", and registered a request eventfd" : "; I have no request eventfd");
	if (use)
		use(&held);
	fflush(stdout);
	if (write(ready[1], "", 1) != 1)
		err(1, "pipe");
	close(ready[1]);

	if (!answers) {
		hold_on(held.device);
		printf("holder (pid %d): the device says \"%m\"; closing it\n", getpid());
	} else {
		if (read(request, &count, sizeof(count)) != sizeof(count))
			err(1, "request eventfd");
		printf("holder (pid %d): I am asked to let go; closing the device\n", getpid());
	}
	fflush(stdout);
	close(held.device);
	close(held.group);
	close(held.container);
	return 0;
}

#endif /* DEMO_HOLD_H */
