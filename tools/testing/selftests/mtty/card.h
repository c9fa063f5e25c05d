/* SPDX-License-Identifier: GPL-2.0-only */
/* A serial card of mtty. A test creates and opens it. */
#ifndef SELFTESTS_MTTY_CARD_H
#define SELFTESTS_MTTY_CARD_H

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/serial_reg.h>

#include "kselftest_harness.h"
#include "lib.h"

#define CARD_PARENT	"mtty"
#define CARD_MAX_PORTS	2

struct card {
	struct uuid uuid;
	struct vfio_user user;
	/* Offsets of the regions in the descriptor */
	__u64 bar[CARD_MAX_PORTS];
	__u64 config;
	__u64 config_size;
	/* The kernel's own mtty, which lacks some features */
	bool kernels_own;
	/* That of 6.1, which crashes if an interrupt has no trigger */
	bool crashes;
	int eventfd_id;
};

static inline int card_use(struct card *card)
{
	struct vfio_device_info device;
	struct vfio_region_info info;
	struct vfio_irq_info irq;
	int err, i;

	err = vfio_open(&card->user, &card->uuid);
	if (err)
		return err;
	/* The kernel's own mtty refuses interrupts before this call */
	if (card->kernels_own)
		err = vfio_info(card->user.device, &device);
	/* The old mtty claims to have a request interrupt, but has none */
	card->crashes = card->kernels_own &&
			!vfio_irq(card->user.device, VFIO_PCI_REQ_IRQ_INDEX,
				  &irq);
	for (i = 0; !err && i < CARD_MAX_PORTS; i++) {
		err = vfio_region(card->user.device, i, &info);
		card->bar[i] = info.offset;
	}
	if (!err)
		err = vfio_region(card->user.device,
				  VFIO_PCI_CONFIG_REGION_INDEX, &info);
	card->config = info.offset;
	card->config_size = info.size;
	return err;
}

static inline int card_create(struct card *card, const char *type)
{
	int err;

	card->user = (struct vfio_user)VFIO_USER_NONE;
	card->uuid = uuid_new();
	card->eventfd_id = eventfd_next_id();
	err = mdev_create(CARD_PARENT, type, &card->uuid);
	if (err)
		return err;
	card->kernels_own = driver_is_kernels_own(&card->uuid);
	return card_use(card);
}

static inline int card_remove(struct card *card)
{
	vfio_close(&card->user);
	return mdev_remove(&card->uuid);
}

static inline ssize_t card_read(const struct card *card, void *data, size_t len,
				__u64 offset)
{
	ssize_t ret = pread(card->user.device, data, len, offset);

	return ret < 0 ? -errno : ret;
}

static inline ssize_t card_write(const struct card *card, const void *data,
				 size_t len, __u64 offset)
{
	ssize_t ret = pwrite(card->user.device, data, len, offset);

	return ret < 0 ? -errno : ret;
}

/* Returns the value of a port's register, or a negative errno */
static inline int card_in(const struct card *card, int port, int reg)
{
	__u8 value = 0;
	ssize_t ret = card_read(card, &value, 1, card->bar[port] + reg);

	return ret == 1 ? value : ret < 0 ? (int)ret : -EIO;
}

static inline int card_out(const struct card *card, int port, int reg, int val)
{
	__u8 value = val;
	ssize_t ret = card_write(card, &value, 1, card->bar[port] + reg);

	return ret == 1 ? 0 : ret < 0 ? (int)ret : -EIO;
}

static inline void
expect_out(struct __test_metadata *_metadata, const struct card *card, int port,
	   int reg, int val)
{
	EXPECT_EQ(0, card_out(card, port, reg, val));
}

static inline __u32 card_config32(const struct card *card, int reg)
{
	__u32 value = 0;

	card_read(card, &value, sizeof(value), card->config + reg);
	return value;
}

static inline int card_set_config32(const struct card *card, int reg, __u32 val)
{
	ssize_t ret = card_write(card, &val, sizeof(val), card->config + reg);

	return ret == sizeof(val) ? 0 : ret < 0 ? (int)ret : -EIO;
}

static inline int card_set_eventfd(const struct card *card, int index, int fd)
{
	return vfio_set_eventfd(card->user.device, index, fd);
}

static inline void
expect_set_eventfd(struct __test_metadata *_metadata, const struct card *card,
		   int index, int fd)
{
	EXPECT_EQ(0, card_set_eventfd(card, index, fd));
}

/* Makes one of the actions of SET_IRQS, without data */
static inline int card_act(const struct card *card, int index, __u32 action,
			   int count)
{
	return vfio_set_irqs(card->user.device, VFIO_IRQ_SET_DATA_NONE | action,
			     index, 0, count, NULL, 0);
}

static inline int card_act_if(const struct card *card, int index, __u32 action,
			      __u8 value)
{
	return vfio_set_irqs(card->user.device, VFIO_IRQ_SET_DATA_BOOL | action,
			     index, 0, 1, &value, sizeof(value));
}

/* Sets the eventfd that unmasks INTx; -1 removes it */
static inline int card_set_unmask(const struct card *card, int fd)
{
	__s32 data = fd;

	return vfio_set_irqs(card->user.device, VFIO_IRQ_SET_DATA_EVENTFD |
			     VFIO_IRQ_SET_ACTION_UNMASK,
			     VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &data,
			     sizeof(data));
}

/*
 * Returns whether a card listens to an eventfd. A card that listens consumes
 * the written value within the write. Otherwise the value can be read
 * afterwards.
 */
static inline bool eventfd_is_heard(int fd)
{
	__u64 one = 1;

	return write(fd, &one, sizeof(one)) == sizeof(one) &&
	       !eventfd_take(fd);
}

/* The reason to skip a test, followed by what the kernel's own mtty lacks */
#define CARD_KERNELS_OWN	"the kernel's own mtty "
#define CARD_CRASHES		CARD_KERNELS_OWN "crashes here"

#endif /* SELFTESTS_MTTY_CARD_H */
