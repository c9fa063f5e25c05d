// SPDX-License-Identifier: GPL-2.0-only
/*
 * A model of VFIO's type 1, whose thread unmaps all ranges, and of a holder that
 * makes any move between VFIO's looks. VFIO stops the machine if it finds pages
 * of a mapping at the same address too often. drivers/vfio/mdev/mdev_unmap.c has
 * to see to it that this does not happen, and that a holder that means no harm
 * is never stopped.
 */
#include <string.h>

#include "mdev_unmap.h"
#include "state_test.h"

#define DEVICES		24
#define RANGES		40
#define RUNS		20000
#define MAX_RETRIES	10

struct pid this_thread;

/* What a holder does, as bits */
enum {
	REPLACE		= 1,	/* maps another range at the same address */
	REOPEN		= 2,	/* closes a device, and opens it again */
	JOIN		= 4,	/* opens one more device */
	PIN		= 8,	/* pins any page */
	SLOW		= 16,	/* its pages are not unpinned in time */
	VANISH		= 32,	/* unpins by itself just before a notice */
};

struct device {
	bool open;
	/* The order of opens: VFIO notifies the device opened last first */
	int order;
	u64 first_pin;
	u64 last_pin;
	/* The stamp of each range's page, or 0 */
	u64 pins[RANGES];
	/* The bar */
	struct mdev_unmap_seen seen;
	int notice;
	bool barred[RANGES];
};

struct model {
	struct mdev_unmap *unmap;
	struct device devices[DEVICES];
	/* The address of each range's mapping, or 0; and those that are free */
	int mapped[RANGES];
	int free[RANGES];
	int nr_free;
	int opens;
	int moves;
};

enum outcome { FINISHED, STOPPED, NEVER_ENDS };

static unsigned int seed;

static unsigned int pick(unsigned int below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % below;
}

static void map(struct model *m, int range)
{
	m->mapped[range] = m->free[--m->nr_free];
}

static void unmap(struct model *m, int range)
{
	m->free[m->nr_free++] = m->mapped[range];
	m->mapped[range] = 0;
}

static void open_device(struct model *m, int i)
{
	m->devices[i] = (struct device){ .open = true, .order = ++m->opens,
					 .notice = -1 };
}

static void pin(struct device *device, int range)
{
	if (!device->open)
		return;
	device->last_pin = mdev_unmap_now();
	if (!device->first_pin)
		device->first_pin = device->last_pin;
	if (!device->barred[range])
		device->pins[range] = mdev_unmap_now();
}

static bool is_pinned(const struct model *m, int range)
{
	int i;

	for (i = 0; i < DEVICES; i++)
		if (m->devices[i].open && m->devices[i].pins[range])
			return true;
	return false;
}

static void unpin_all(struct model *m, int range)
{
	int i;

	for (i = 0; i < DEVICES; i++)
		m->devices[i].pins[range] = 0;
}

/* Maps a range that is not mapped, at the address that was freed last */
static void replace(struct model *m, int range)
{
	int other = pick(RANGES);

	unpin_all(m, range);
	unmap(m, range);
	while (m->mapped[other])
		other = (other + 1) % RANGES;
	map(m, other);
	pin(&m->devices[pick(DEVICES)], other);
	pin(&m->devices[0], other);
}

/* What the holder does about @range; @listed: VFIO has its list locked */
static void move(struct model *m, int habits, int range, bool listed)
{
	int i = pick(DEVICES);

	if (habits & PIN && m->mapped[range])
		pin(&m->devices[i], pick(2) ? range : (int)pick(RANGES));
	if (habits & REPLACE && m->mapped[range] && pick(4))
		replace(m, range);
	if (listed)
		return;
	if (habits & REOPEN && pick(4)) {
		i = pick(2);
		open_device(m, i);
		if (m->mapped[range])
			pin(&m->devices[i], range);
	}
	if (habits & JOIN && pick(4)) {
		/* The others go, so that only the new one can be notified */
		if (pick(2))
			m->devices[pick(DEVICES)].open = false;
		open_device(m, i);
		if (m->mapped[range])
			pin(&m->devices[i], range);
	}
}

static enum mdev_unmap_range range_of(const struct model *m,
				      const struct device *device, int range)
{
	u64 since = m->unmap->since;

	if (!device->seen.round)
		return device->first_pin >= since ? MDEV_UNMAP_JOINED :
						    MDEV_UNMAP_FIRST;
	if (device->notice == range)
		return MDEV_UNMAP_SAME;
	if (device->pins[range] && device->pins[range] < since)
		return MDEV_UNMAP_OLD;
	return device->last_pin >= since ? MDEV_UNMAP_NEW : MDEV_UNMAP_IDLE;
}

/* Returns whether VFIO can go on */
static bool notify(struct model *m, int habits, struct device *device, int range)
{
	bool may_look;

	if (habits & VANISH && !pick(2))
		device->pins[range] = 0;
	may_look = mdev_unmap_count(m->unmap, &device->seen,
				    range_of(m, device, range));
	device->notice = range;
	device->barred[range] = true;
	if (device->seen.still)
		memset(device->barred, true, sizeof(device->barred));
	move(m, habits, range, true);
	if (!(habits & SLOW) || mdev_unmap_is_last(m->unmap) || pick(2))
		device->pins[range] = 0;
	return may_look;
}

/* The device that VFIO notifies after the one whose order is @order */
static struct device *next_device(struct model *m, int order)
{
	struct device *next = NULL;
	int i;

	for (i = 0; i < DEVICES; i++) {
		struct device *device = &m->devices[i];

		if (device->open && device->order < order &&
		    (!next || device->order > next->order))
			next = device;
	}
	return next;
}

static bool notify_all(struct model *m, int habits, int range)
{
	int order = m->opens + 1;
	struct device *device;

	while ((device = next_device(m, order))) {
		if (!notify(m, habits, device, range))
			return false;
		order = device->order;
	}
	return true;
}

/* VFIO's system call, over all ranges */
static enum outcome unmap_all(struct model *m, int habits)
{
	int range, last = 0, retries = 0;

	for (range = 0; range < RANGES; range++) {
		if (!m->mapped[range])
			continue;
		if (!is_pinned(m, range)) {
			unmap(m, range);
			continue;
		}
		if (m->mapped[range] == last) {
			if (++retries > MAX_RETRIES)
				return STOPPED;
		} else {
			last = m->mapped[range];
			retries = 0;
		}
		if (!m->unmap) {
			if (!pick(4))
				move(m, habits, range, true);
			m->unmap = mdev_unmap_new();
		}
		if (!notify_all(m, habits, range))
			return NEVER_ENDS;
		move(m, habits, range, false);
		/* It begins again at the first range */
		range = -1;
	}
	return FINISHED;
}

static enum outcome run(int habits, int mappings)
{
	struct model m = {};
	enum outcome outcome;
	int i;

	for (i = RANGES; i > 0; i--)
		m.free[m.nr_free++] = i;
	for (i = 0; i < 3; i++)
		open_device(&m, i);
	for (i = 0; i < mappings; i++) {
		map(&m, i);
		if (pick(2))
			pin(&m.devices[pick(3)], i);
	}
	pin(&m.devices[0], 0);
	outcome = unmap_all(&m, habits);
	if (m.unmap)
		mdev_unmap_free(m.unmap);
	return outcome;
}

static void try(const char *what, int habits, bool may_stop)
{
	int i, bad = 0, longest = 0;

	for (i = 0; i < RUNS; i++) {
		int mappings = 1 + pick(habits & REPLACE ? 3 : RANGES);
		enum outcome outcome = run(habits, mappings);

		bad += outcome == STOPPED;
		longest += outcome == NEVER_ENDS;
	}
	result(!bad && (may_stop || !longest), what,
	       may_stop ? "its_12_looks" : "bounded_time",
	       bad + longest, 0);
}

void visit_unmaps(void)
{
	seed = 1;
	try("unmap_with_replaced_mappings", REPLACE | PIN | VANISH, true);
	try("unmap_with_reopened_devices", REOPEN | PIN | SLOW, true);
	try("unmap_with_new_devices", JOIN | PIN | VANISH, true);
	try("unmap_with_all_of_that",
	    REPLACE | REOPEN | JOIN | PIN | SLOW | VANISH, true);
	try("unmap_of_a_busy_guest", PIN, false);
	try("unmap_of_a_busy_guest_on_a_slow_host", PIN | SLOW, false);
}
