// SPDX-License-Identifier: GPL-2.0-only
/*
 * mtty: a PCI serial card with no hardware behind it.
 *
 * A sample parent driver for mediated devices. Each device is a conventional
 * PCI card with one or two 16550A ports, as vfio-pci would show it: 256 bytes
 * of configuration space, an I/O BAR of 8 bytes for each port, INTx or one MSI
 * vector. A loop-back plug sits in each port's socket: what is transmitted is
 * received, RTS drives CTS, and DTR drives DSR and DCD.
 *
 * From top to bottom: the UART, the interrupts, configuration space, the
 * accesses to both, the description, migration, the types and the parent.
 */
#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/mdev.h>
#include <linux/mdev_describe.h>
#include <linux/mdev_migration.h>
#include <linux/mdev_trigger.h>
#include <linux/module.h>
#include <linux/pci_ids.h>
#include <linux/pci_regs.h>
#include <linux/sched/mm.h>
#include <linux/serial_reg.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/workqueue.h>

#include "compat.h"

#define MTTY_NAME		"mtty"
#define MTTY_PORTS_TOTAL	24	/* shared by all devices */
#define MTTY_PORTS_MAX		2	/* of one device */

/* How often an eventfd may unmask INTx within a jiffy, before it has to wait */
#define MTTY_UNMASKS_MAX	8

/* The card that Linux's and others' serial drivers know by these IDs */
#define MTTY_PCI_VENDOR		0x4348
#define MTTY_PCI_DEVICE		0x3253
#define MTTY_PCI_REVISION	0x10
#define MTTY_PCI_MSI		0x40	/* where the MSI capability is */

#define MTTY_BAR_SIZE		8
#define MTTY_FIFO_SIZE		16
#define MTTY_IIR_FIFO		0xc0	/* the FIFOs of a 16550A are enabled */
#define MTTY_DIVISOR_9600	12

/* What is kept of the registers; of @events, too, those of interrupt enable */
#define MTTY_IER_BITS	(UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | \
			 UART_IER_MSI)
#define MTTY_FCR_BITS	(UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK)
#define MTTY_MCR_BITS	(UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | \
			 UART_MCR_OUT2 | UART_MCR_LOOP)

/* A region's number is in the upper bits of the file offset, as in vfio-pci */
#define MTTY_REGION_SHIFT	40

/**
 * struct mtty_port - the registers of one 16550A
 * @rx: the receiver's FIFO; a ring
 * @mark: all that reading a register can change
 * @rx_head: where in @rx the oldest byte is
 * @rx_count: how many bytes are in @rx; a count of its own, so that 16 of 16 is
 *	not taken for 0 of 16
 * @msr: modem status
 * @events: the conditions that can interrupt, enabled or not, in the layout of
 *	@ier: UART_IER_RDI while bytes are there, _THRI while the emptied
 *	transmitter was not noticed, _RLSI while an overrun was not noticed,
 *	_MSI while a change of the modem lines was not noticed
 * @ier: interrupt enable
 * @fcr: FIFO control; 0 or the enable bit and the trigger level
 * @lcr: line control
 * @mcr: modem control
 * @scr: scratch
 * @dll: divisor latch, low
 * @dlm: divisor latch, high
 * @asserted: the part of @events that interrupts, as of the last access
 *
 * All are protected by the device's lock.
 */
struct mtty_port {
	u8 rx[MTTY_FIFO_SIZE];
	struct_group_tagged(mtty_port_mark, mark,
		u8 rx_head;
		u8 rx_count;
		u8 msr;
		u8 events;
	);
	u8 ier;
	u8 fcr;
	u8 lcr;
	u8 mcr;
	u8 scr;
	u8 dll;
	u8 dlm;
	u8 asserted;
} __aligned(32);

/**
 * struct mtty - one serial card
 * @lock: protects @ports, @config, @intx_masked, @running, @loaded, and @unmasks and
 *	what follows it. It is taken in process context only, and held while a trigger is
 *	signalled: level and mask of INTx change together with the signal. User
 *	memory is accessed under it only if page faults are disabled
 * @nr_ports: ports, and BARs, that this card has; constant
 * @intx_masked: INTx is masked, by the holder or by having been signalled
 * @running: interrupts are signalled; not while the card is stopped for migration
 * @loaded: its state came from another card, and it has not run since
 * @ports: the UARTs
 * @config: PCI configuration space
 * @triggers: of INTx, the level triggered interrupt, of MSI, and of the request
 * @unmask: unmasks INTx when its eventfd is signalled. The VFIO core clears
 *	it by itself when the eventfd goes away, under a lock of its own. The
 *	framework makes changes of interrupts one at a time: what is being
 *	enabled is not disabled
 * @unmask_later: unmasks INTx when an eventfd has done so too often: a holder
 *	can connect INTx with its own unmask, and so make it signal for ever
 * @unmasks: how often an eventfd has unmasked INTx since @unmasks_since
 * @unmasks_since: in jiffies
 */
struct mtty {
	/* See above: registers, and what follows from them */
	spinlock_t lock;
	unsigned int nr_ports;
	bool intx_masked;
	bool running;
	bool loaded;
	struct mtty_port ports[MTTY_PORTS_MAX];
	u8 config[PCI_CFG_SPACE_SIZE];
	struct mdev_trigger triggers[VFIO_PCI_NUM_IRQS];
	/* See above: interrupts as the holder sets them up */
	struct virqfd *unmask;
	struct delayed_work unmask_later;
	unsigned int unmasks;
	unsigned long unmasks_since;
};

/* Ports that no device has */
static atomic_t mtty_ports_free = ATOMIC_INIT(MTTY_PORTS_TOTAL);

static struct class *mtty_class;
static struct device *mtty_dev;

/*
 * The UART. These functions know the registers of one port, and nothing of
 * PCI or of interrupts beyond the port's own. The device's lock is held.
 *
 * The wire is infinitely fast: a byte is received as it is transmitted, so the
 * transmitter is always empty, and a character timeout is always over. It has
 * no noise: parity, framing and break errors do not exist. The frame's format
 * is kept, but not applied: with LCR as it is after a reset a real UART sends
 * 5 bits, and user space without a serial driver wants its bytes whole.
 */

static void mtty_port_reset(struct mtty_port *port)
{
	memset(port, 0, sizeof(*port));
	port->dll = MTTY_DIVISOR_9600;
}

static bool mtty_port_has_fifo(const struct mtty_port *port)
{
	return port->fcr & UART_FCR_ENABLE_FIFO;
}

static void mtty_port_flush(struct mtty_port *port)
{
	port->rx_count = 0;
	port->events &= ~UART_IER_RDI;
}

static void mtty_port_receive(struct mtty_port *port, u8 byte)
{
	unsigned int room = mtty_port_has_fifo(port) ? MTTY_FIFO_SIZE : 1;

	if (port->rx_count == room) {
		port->events |= UART_IER_RLSI;
		/* A full FIFO loses the new byte, the lone buffer the old one */
		if (room == 1)
			port->rx[port->rx_head] = byte;
		return;
	}

	port->rx[(port->rx_head + port->rx_count) % MTTY_FIFO_SIZE] = byte;
	port->rx_count++;
	port->events |= UART_IER_RDI;
}

static u8 mtty_port_take(struct mtty_port *port)
{
	u8 byte;

	if (!port->rx_count)
		return 0;

	byte = port->rx[port->rx_head];
	port->rx_head = (port->rx_head + 1) % MTTY_FIFO_SIZE;
	if (!--port->rx_count)
		port->events &= ~UART_IER_RDI;
	return byte;
}

static void mtty_port_transmit(struct mtty_port *port, u8 byte)
{
	mtty_port_receive(port, byte);

	/*
	 * The holding register was full for a moment. If this interrupt was
	 * already asserted, it ends and is raised again: with MSI, that is a new
	 * message.
	 */
	port->asserted &= ~UART_IER_THRI;
	port->events |= UART_IER_THRI;
}

static void mtty_port_write_ier(struct mtty_port *port, u8 val)
{
	val &= MTTY_IER_BITS;

	/* Enabling the interrupt of an empty transmitter raises it */
	if (val & ~port->ier & UART_IER_THRI)
		port->events |= UART_IER_THRI;
	port->ier = val;
}

static void mtty_port_write_fcr(struct mtty_port *port, u8 val)
{
	/* The other bits count only if this one is set */
	if (!(val & UART_FCR_ENABLE_FIFO))
		val = 0;

	if ((val & UART_FCR_CLEAR_RCVR) ||
	    ((val ^ port->fcr) & UART_FCR_ENABLE_FIFO))
		mtty_port_flush(port);
	port->fcr = val & MTTY_FCR_BITS;
}

/*
 * The inputs that the outputs of @mcr drive. OUT2 does not gate the interrupt: that
 * is the wiring of ISA cards, PCI cards have none.
 */
static u8 mtty_port_lines(u8 mcr)
{
	u8 lines = 0;

	if (mcr & UART_MCR_RTS)
		lines |= UART_MSR_CTS;
	if (mcr & UART_MCR_DTR)
		lines |= UART_MSR_DSR;
	if (mcr & UART_MCR_LOOP) {
		/* Inside the chip: four outputs, each to one input */
		if (mcr & UART_MCR_OUT1)
			lines |= UART_MSR_RI;
		if (mcr & UART_MCR_OUT2)
			lines |= UART_MSR_DCD;
	} else if (mcr & UART_MCR_DTR) {
		/* The plug: a carrier is present if a partner is */
		lines |= UART_MSR_DCD;
	}
	return lines;
}

static void mtty_port_write_mcr(struct mtty_port *port, u8 val)
{
	u8 lines, changed;

	val &= MTTY_MCR_BITS;
	port->mcr = val;
	lines = mtty_port_lines(val);
	changed = lines ^ port->msr;
	port->msr = lines | (port->msr & UART_MSR_ANY_DELTA);
	if (changed & UART_MSR_CTS)
		port->msr |= UART_MSR_DCTS;
	if (changed & UART_MSR_DSR)
		port->msr |= UART_MSR_DDSR;
	if (changed & UART_MSR_DCD)
		port->msr |= UART_MSR_DDCD;
	if (changed & ~lines & UART_MSR_RI)
		port->msr |= UART_MSR_TERI;
	if (port->msr & UART_MSR_ANY_DELTA)
		port->events |= UART_IER_MSI;
}

static u8 mtty_port_read_iir(struct mtty_port *port)
{
	static const u8 levels[] = { 1, 4, 8, 14 };
	u8 level = levels[UART_FCR_R_TRIG_BITS(port->fcr)];
	u8 fifo = mtty_port_has_fifo(port) ? MTTY_IIR_FIFO : 0;
	u8 pending = port->events & port->ier;

	if (pending & UART_IER_RLSI)
		return fifo | UART_IIR_RLSI;
	if (pending & UART_IER_RDI)
		return fifo | (port->rx_count < level ?
			       UART_IIR_RX_TIMEOUT : UART_IIR_RDI);
	if (pending & UART_IER_THRI) {
		/* Told once */
		port->events &= ~UART_IER_THRI;
		return fifo | UART_IIR_THRI;
	}
	if (pending & UART_IER_MSI)
		return fifo | UART_IIR_MSI;
	return fifo | UART_IIR_NO_INT;
}

static u8 mtty_port_read_lsr(struct mtty_port *port)
{
	u8 lsr = UART_LSR_THRE | UART_LSR_TEMT;

	if (port->rx_count)
		lsr |= UART_LSR_DR;
	if (port->events & UART_IER_RLSI)
		lsr |= UART_LSR_OE;
	port->events &= ~UART_IER_RLSI;
	return lsr;
}

static u8 mtty_port_read_msr(struct mtty_port *port)
{
	u8 msr = port->msr;

	port->msr &= ~UART_MSR_ANY_DELTA;
	port->events &= ~UART_IER_MSI;
	return msr;
}

/*
 * Registers were read, or were not, because the holder's memory was not there:
 * then there are no side effects. A read raises nothing.
 */
static void mtty_port_was_read(struct mtty_port *port,
			       struct mtty_port_mark mark, bool was)
{
	if (likely(was)) {
		port->asserted &= port->events;
		return;
	}
	port->mark = mark;
}

static u8 mtty_port_read(struct mtty_port *port, unsigned int reg)
{
	bool dlab = port->lcr & UART_LCR_DLAB;

	/* Most often */
	if (likely(reg == UART_RX))
		return dlab ? port->dll : mtty_port_take(port);

	switch (reg) {
	case UART_IER:
		return dlab ? port->dlm : port->ier;
	case UART_IIR:
		return mtty_port_read_iir(port);
	case UART_LCR:
		return port->lcr;
	case UART_MCR:
		return port->mcr;
	case UART_LSR:
		return mtty_port_read_lsr(port);
	case UART_MSR:
		return mtty_port_read_msr(port);
	default:
		return port->scr;
	}
}

static void mtty_port_write(struct mtty_port *port, unsigned int reg, u8 val)
{
	bool dlab = port->lcr & UART_LCR_DLAB;

	/* Most often */
	if (likely(reg == UART_TX)) {
		if (dlab)
			port->dll = val;
		else
			mtty_port_transmit(port, val);
		return;
	}

	switch (reg) {
	case UART_IER:
		if (dlab)
			port->dlm = val;
		else
			mtty_port_write_ier(port, val);
		break;
	case UART_FCR:
		mtty_port_write_fcr(port, val);
		break;
	case UART_LCR:
		port->lcr = val;
		break;
	case UART_MCR:
		mtty_port_write_mcr(port, val);
		break;
	case UART_SCR:
		port->scr = val;
		break;
	default:
		/* LSR and MSR are there to be read */
		break;
	}
}

/*
 * Interrupts. The card has one, which all its ports share. It is sent as a
 * message if MSI is in use: if MSI is enabled in configuration space, or if its
 * trigger is set. QEMU does one after the other; other holders do only the second.
 * A card that uses MSI does not signal INTx. Neither needs bus mastering: there is
 * no bus.
 */

static bool mtty_uses_msi(const struct mtty *mtty)
{
	return (mtty->config[MTTY_PCI_MSI + PCI_MSI_FLAGS] &
		PCI_MSI_FLAGS_ENABLE) ||
	       mdev_trigger_is_set(&mtty->triggers[VFIO_PCI_MSI_IRQ_INDEX]);
}

static bool mtty_irq_pending(const struct mtty *mtty)
{
	unsigned int i;

	for (i = 0; i < mtty->nr_ports; i++)
		if (mtty->ports[i].asserted)
			return true;
	return false;
}

static bool mtty_intx_disabled(const struct mtty *mtty)
{
	return mtty->config[PCI_COMMAND + 1] & (PCI_COMMAND_INTX_DISABLE >> 8);
}

static void mtty_intx_signal(struct mtty *mtty)
{
	if (!mtty->intx_masked && !mtty_intx_disabled(mtty))
		mtty->intx_masked =
			mdev_trigger_signal(&mtty->triggers[VFIO_PCI_INTX_IRQ_INDEX]);
}

/*
 * Called whenever something changed that the interrupt depends on. @raised: a
 * message is due, because a condition came that was not there before. INTx
 * needs no such hint: it is a level, and masked from one signal to the unmask.
 */
static void mtty_irq_update(struct mtty *mtty, bool raised)
{
	lockdep_assert_held(&mtty->lock);

	if (!mtty->running)
		return;
	if (mtty_uses_msi(mtty)) {
		if (raised)
			mdev_trigger_signal(&mtty->triggers[VFIO_PCI_MSI_IRQ_INDEX]);
		return;
	}

	if (mtty_irq_pending(mtty))
		mtty_intx_signal(mtty);
}

/* After each access to a port */
static void mtty_port_settle(struct mtty *mtty, struct mtty_port *port)
{
	u8 now = port->events & port->ier;
	u8 raised = now & ~port->asserted;

	port->asserted = now;
	if (raised)
		mtty_irq_update(mtty, true);
}

static void mtty_intx_mask(struct mtty *mtty)
{
	spin_lock(&mtty->lock);
	mtty->intx_masked = true;
	spin_unlock(&mtty->lock);
}

static void mtty_intx_unmask(struct mtty *mtty)
{
	spin_lock(&mtty->lock);
	mtty->intx_masked = false;
	mtty_irq_update(mtty, false);
	spin_unlock(&mtty->lock);
}

static void mtty_intx_unmask_later(struct work_struct *work)
{
	mtty_intx_unmask(container_of(work, struct mtty, unmask_later.work));
}

static bool mtty_intx_unmask_is_due(struct mtty *mtty)
{
	bool due;

	spin_lock(&mtty->lock);
	if (time_after(jiffies, mtty->unmasks_since)) {
		mtty->unmasks_since = jiffies;
		mtty->unmasks = 0;
	}
	due = mtty->unmasks < MTTY_UNMASKS_MAX;
	if (due)
		mtty->unmasks++;
	spin_unlock(&mtty->lock);
	return due;
}

/* The work of an unmask eventfd: a signal may not be sent from its wake-up */
static void mtty_intx_unmask_work(void *data, void *unused)
{
	struct mtty *mtty = data;

	if (mtty_intx_unmask_is_due(mtty))
		mtty_intx_unmask(mtty);
	else
		schedule_delayed_work(&mtty->unmask_later, 1);
}

/* No eventfd unmasks INTx any more; waits for one that does */
static void mtty_intx_unmask_disable(struct mtty *mtty)
{
	vfio_virqfd_disable(&mtty->unmask);
	cancel_delayed_work_sync(&mtty->unmask_later);
}

/* Configuration space */

/* Which bits can be written; BAR1's only with two ports */
static const u8 mtty_config_mask[PCI_CFG_SPACE_SIZE] = {
	[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MASTER |
			PCI_COMMAND_PARITY,
	[PCI_COMMAND + 1] = (PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE) >> 8,
	[PCI_CACHE_LINE_SIZE] = 0xff,
	[PCI_LATENCY_TIMER] = 0xff,
	/* The bits below the size stay 0, which is how the size is found */
	[PCI_BASE_ADDRESS_0] = (u8)~(MTTY_BAR_SIZE - 1),
	[PCI_BASE_ADDRESS_0 + 1 ... PCI_BASE_ADDRESS_0 + 3] = 0xff,
	[PCI_BASE_ADDRESS_1] = (u8)~(MTTY_BAR_SIZE - 1),
	[PCI_BASE_ADDRESS_1 + 1 ... PCI_BASE_ADDRESS_1 + 3] = 0xff,
	[PCI_INTERRUPT_LINE] = 0xff,
	[MTTY_PCI_MSI + PCI_MSI_FLAGS] = PCI_MSI_FLAGS_ENABLE,
	[MTTY_PCI_MSI + PCI_MSI_ADDRESS_LO] = 0xfc,
	[MTTY_PCI_MSI + PCI_MSI_ADDRESS_LO + 1 ...
	 MTTY_PCI_MSI + PCI_MSI_ADDRESS_LO + 3] = 0xff,
	[MTTY_PCI_MSI + PCI_MSI_ADDRESS_HI ...
	 MTTY_PCI_MSI + PCI_MSI_ADDRESS_HI + 3] = 0xff,
	[MTTY_PCI_MSI + PCI_MSI_DATA_64 ...
	 MTTY_PCI_MSI + PCI_MSI_DATA_64 + 1] = 0xff,
};

static void mtty_config_set16(struct mtty *mtty, unsigned int reg, u16 val)
{
	mtty->config[reg] = val & 0xff;
	mtty->config[reg + 1] = val >> 8;
}

static void mtty_config_reset(struct mtty *mtty)
{
	u8 *config = mtty->config;
	unsigned int i;

	memset(config, 0, sizeof(mtty->config));
	mtty_config_set16(mtty, PCI_VENDOR_ID, MTTY_PCI_VENDOR);
	mtty_config_set16(mtty, PCI_DEVICE_ID, MTTY_PCI_DEVICE);
	mtty_config_set16(mtty, PCI_STATUS,
			  PCI_STATUS_CAP_LIST | PCI_STATUS_DEVSEL_MEDIUM);
	config[PCI_REVISION_ID] = MTTY_PCI_REVISION;
	config[PCI_CLASS_PROG] = 0x02;	/* 16550 compatible */
	mtty_config_set16(mtty, PCI_CLASS_DEVICE,
			  PCI_CLASS_COMMUNICATION_SERIAL);
	for (i = 0; i < mtty->nr_ports; i++)
		config[PCI_BASE_ADDRESS_0 + 4 * i] = PCI_BASE_ADDRESS_SPACE_IO;
	mtty_config_set16(mtty, PCI_SUBSYSTEM_VENDOR_ID, MTTY_PCI_VENDOR);
	mtty_config_set16(mtty, PCI_SUBSYSTEM_ID, MTTY_PCI_DEVICE);
	config[PCI_CAPABILITY_LIST] = MTTY_PCI_MSI;
	config[PCI_INTERRUPT_PIN] = 1;	/* INTA# */

	config[MTTY_PCI_MSI + PCI_CAP_LIST_ID] = PCI_CAP_ID_MSI;
	mtty_config_set16(mtty, MTTY_PCI_MSI + PCI_MSI_FLAGS,
			  PCI_MSI_FLAGS_64BIT);
}

static ssize_t mtty_config_read(struct mdev_device *mdev, unsigned int index,
				char __user *buf, size_t count, u64 reg)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);
	const u8 *data = mtty->config + reg;
	int ret = -EFAULT;
	u32 word;

	spin_lock(&mtty->lock);
	/* The card's state before any mask or disable bit, as PCI wants it */
	if (mtty_irq_pending(mtty))
		mtty->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	else
		mtty->config[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
	/* The size that most reads have goes by itself */
	if (count == sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		ret = put_user(word, (u32 __user *)buf);
	} else if (user_write_access_begin(buf, count)) {
		unsafe_copy_to_user(buf, data, count, end_access);
		ret = 0;
end_access:
		user_write_access_end();
	}
	spin_unlock(&mtty->lock);
	return ret ? ret : count;
}

static u8 mtty_config_writable(const struct mtty *mtty, unsigned int reg)
{
	/* Of the BARs, 4 bytes each, those of the ports that are there */
	if (reg >= PCI_BASE_ADDRESS_0 + 4 * mtty->nr_ports &&
	    reg <= PCI_BASE_ADDRESS_5 + 3)
		return 0;
	return mtty_config_mask[reg];
}

static ssize_t mtty_config_write(struct mdev_device *mdev, unsigned int index,
				 const char __user *buf, size_t count, u64 reg)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);
	u8 config[PCI_CFG_SPACE_SIZE];
	bool used_msi;
	size_t i;

	if (copy_from_user(config, buf, count))
		return -EFAULT;

	spin_lock(&mtty->lock);
	used_msi = mtty_uses_msi(mtty);
	for (i = 0; i < count; i++) {
		u8 mask = mtty_config_writable(mtty, reg + i);

		mtty->config[reg + i] = (mtty->config[reg + i] & ~mask) |
					(config[i] & mask);
	}
	/* INTx or MSI may just have been enabled, with an interrupt pending */
	mtty_irq_update(mtty, !used_msi && mtty_irq_pending(mtty));
	spin_unlock(&mtty->lock);
	return count;
}

static void mtty_reset(struct mtty *mtty)
{
	unsigned int i;

	lockdep_assert_held(&mtty->lock);

	mtty->loaded = false;
	mtty_config_reset(mtty);
	for (i = 0; i < mtty->nr_ports; i++)
		mtty_port_reset(&mtty->ports[i]);
}

/*
 * The ports' accesses. User memory is read once, and before anything changes.
 * The BARs answer whatever the command register says, unlike those of hardware:
 * user space without a PCI driver can talk to the port at once, and QEMU maps a
 * BAR for its guest only while the bit is set.
 */

/*
 * Up to 8 registers go to the holder, the first one in the lowest byte of @data. No
 * array, whose bounds would be guarded. Most accesses are of one byte, which goes by
 * itself.
 */
static int mtty_put_bytes(char __user *buf, u64 data, size_t count)
{
	while (put_user((u8)data, (u8 __user *)buf) == 0) {
		if (!--count)
			return 0;
		data >>= 8;
		buf++;
	}
	return -EFAULT;
}

static int mtty_get_bytes(u64 *data, const char __user *buf, size_t count)
{
	unsigned int shift = 0;
	u8 byte;

	*data = 0;
	while (get_user(byte, (const u8 __user *)buf) == 0) {
		*data |= (u64)byte << shift;
		if (!--count)
			return 0;
		shift += 8;
		buf++;
	}
	return -EFAULT;
}

static noinline ssize_t mtty_bar_read_bytes(struct mtty *mtty,
					    struct mtty_port *port,
					    char __user *buf, size_t count,
					    unsigned int reg)
{
	struct mtty_port_mark before;
	u64 data = 0;
	size_t i;
	int ret;

	spin_lock(&mtty->lock);
	before = port->mark;
	for (i = 0; i < count; i++)
		data |= (u64)mtty_port_read(port, reg + i) << (8 * i);
	ret = mtty_put_bytes(buf, data, count);
	mtty_port_was_read(port, before, !ret);
	spin_unlock(&mtty->lock);
	return ret ? ret : count;
}

static ssize_t mtty_bar_read(struct mdev_device *mdev, unsigned int index,
			     char __user *buf, size_t count, u64 reg)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);
	struct mtty_port *port = &mtty->ports[index];
	struct mtty_port_mark before;
	int ret;

	if (unlikely(count != 1))
		return mtty_bar_read_bytes(mtty, port, buf, count, reg);

	spin_lock(&mtty->lock);
	before = port->mark;
	ret = put_user(mtty_port_read(port, reg), (u8 __user *)buf);
	mtty_port_was_read(port, before, !ret);
	spin_unlock(&mtty->lock);
	return ret ? ret : 1;
}

static noinline ssize_t mtty_bar_write_bytes(struct mtty *mtty,
					     struct mtty_port *port,
					     const char __user *buf,
					     size_t count, unsigned int reg)
{
	size_t i;
	u64 data;

	if (mtty_get_bytes(&data, buf, count))
		return -EFAULT;

	spin_lock(&mtty->lock);
	for (i = 0; i < count; i++, data >>= 8) {
		mtty_port_write(port, reg + i, data);
		mtty_port_settle(mtty, port);
	}
	spin_unlock(&mtty->lock);
	return count;
}

static ssize_t mtty_bar_write(struct mdev_device *mdev, unsigned int index,
			      const char __user *buf, size_t count, u64 reg)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);
	struct mtty_port *port = &mtty->ports[index];
	u8 byte;

	if (unlikely(count != 1))
		return mtty_bar_write_bytes(mtty, port, buf, count, reg);
	if (get_user(byte, (const u8 __user *)buf))
		return -EFAULT;

	spin_lock(&mtty->lock);
	mtty_port_write(port, reg, byte);
	mtty_port_settle(mtty, port);
	spin_unlock(&mtty->lock);
	return 1;
}

/* The description */

static void mtty_intx_changed(struct mdev_device *mdev,
			      const struct mdev_irq_set *set)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);
	struct mdev_trigger *intx = &mtty->triggers[VFIO_PCI_INTX_IRQ_INDEX];

	/* Count 0 turns all of the index off */
	if (!set->count)
		mtty_intx_unmask_disable(mtty);

	/*
	 * INTx without a trigger is as new: not masked. What is pending reaches
	 * the new trigger.
	 */
	spin_lock(&mtty->lock);
	if (!mdev_trigger_is_set(intx))
		mtty->intx_masked = false;
	mtty_irq_update(mtty, false);
	spin_unlock(&mtty->lock);
}

/* What is pending reaches the new trigger, or INTx's if that takes over */
static void mtty_msi_changed(struct mdev_device *mdev,
			     const struct mdev_irq_set *set)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);

	spin_lock(&mtty->lock);
	mtty_irq_update(mtty, mtty_irq_pending(mtty));
	spin_unlock(&mtty->lock);
}

/*
 * VFIO allocates with GFP_KERNEL_ACCOUNT, which may wait inside the gate. A
 * device has one such object at a time, so let VFIO have it without a wait.
 */
static int mtty_intx_unmask_enable(struct mtty *mtty, int fd)
{
	unsigned int flags = memalloc_noreclaim_save();
	int ret;

	ret = vfio_virqfd_enable(mtty, NULL, mtty_intx_unmask_work, NULL,
				 &mtty->unmask, fd);
	memalloc_noreclaim_restore(flags);
	return ret;
}

static int mtty_intx_set_mask(struct mdev_device *mdev,
			      const struct mdev_irq_set *set)
{
	bool mask = set->action == VFIO_IRQ_SET_ACTION_MASK;
	struct mtty *mtty = mdev_get_drvdata(mdev);

	if (set->data != VFIO_IRQ_SET_DATA_EVENTFD) {
		if (set->fire && mask)
			mtty_intx_mask(mtty);
		else if (set->fire)
			mtty_intx_unmask(mtty);
		return 0;
	}

	/* As vfio-pci: an eventfd can unmask, but not mask */
	if (mask)
		return -ENOTTY;
	if (set->fd != -1)
		return mtty_intx_unmask_enable(mtty, set->fd);
	mtty_intx_unmask_disable(mtty);
	return 0;
}

/* As vfio-pci: only INTx can be masked */
static int mtty_set_no_mask(struct mdev_device *mdev,
			    const struct mdev_irq_set *set)
{
	return -ENOTTY;
}

/* The registers. Triggers and mask are the holder's: they stay */
static int mtty_device_reset(struct mdev_device *mdev)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);

	spin_lock(&mtty->lock);
	mtty_reset(mtty);
	spin_unlock(&mtty->lock);
	return 0;
}

#define MTTY_CONFIG_REGION {						\
	.size	= PCI_CFG_SPACE_SIZE,					\
	.read	= mtty_config_read,					\
	.write	= mtty_config_write,					\
}

#define MTTY_BAR_REGION {						\
	.size	= MTTY_BAR_SIZE,					\
	.read	= mtty_bar_read,					\
	.write	= mtty_bar_write,					\
}

static const struct mdev_region mtty_1_regions[VFIO_PCI_NUM_REGIONS] = {
	[VFIO_PCI_BAR0_REGION_INDEX]	= MTTY_BAR_REGION,
	[VFIO_PCI_CONFIG_REGION_INDEX]	= MTTY_CONFIG_REGION,
};

static const struct mdev_region mtty_2_regions[VFIO_PCI_NUM_REGIONS] = {
	[VFIO_PCI_BAR0_REGION_INDEX]	= MTTY_BAR_REGION,
	[VFIO_PCI_BAR1_REGION_INDEX]	= MTTY_BAR_REGION,
	[VFIO_PCI_CONFIG_REGION_INDEX]	= MTTY_CONFIG_REGION,
};

static const struct mdev_irq mtty_irqs[VFIO_PCI_NUM_IRQS] = {
	[VFIO_PCI_INTX_IRQ_INDEX] = {
		.flags		= VFIO_IRQ_INFO_EVENTFD |
				  VFIO_IRQ_INFO_MASKABLE |
				  VFIO_IRQ_INFO_AUTOMASKED,
		.changed	= mtty_intx_changed,
		.mask		= mtty_intx_set_mask,
	},
	[VFIO_PCI_MSI_IRQ_INDEX] = {
		.flags		= VFIO_IRQ_INFO_EVENTFD |
				  VFIO_IRQ_INFO_NORESIZE,
		.changed	= mtty_msi_changed,
		.mask		= mtty_set_no_mask,
	},
	/*
	 * Errors are PCI Express: vfio-pci refuses the index for a conventional
	 * card, and QEMU warns of a card that knows it and then has none.
	 */
	[VFIO_PCI_ERR_IRQ_INDEX] = {
		.unknown	= true,
	},
	[VFIO_PCI_REQ_IRQ_INDEX] = {
		.flags		= VFIO_IRQ_INFO_EVENTFD |
				  VFIO_IRQ_INFO_NORESIZE,
		.kind		= MDEV_TRIGGER_REQUEST,
		.mask		= mtty_set_no_mask,
	},
};

#define MTTY_DESCRIPTION(_regions) {					\
	.flags		= VFIO_DEVICE_FLAGS_PCI,			\
	.region_shift	= MTTY_REGION_SHIFT,				\
	.nr_regions	= VFIO_PCI_NUM_REGIONS,				\
	.regions	= _regions,					\
	.nr_irqs	= VFIO_PCI_NUM_IRQS,				\
	.irqs		= mtty_irqs,					\
	.reset		= mtty_device_reset,				\
}

static int mtty_open(struct mdev_device *mdev)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);

	/* As new: nothing of one holder's state reaches the next */
	spin_lock(&mtty->lock);
	mtty_reset(mtty);
	mtty->intx_masked = false;
	mtty->running = true;
	spin_unlock(&mtty->lock);
	return 0;
}

static void mtty_release(struct mdev_device *mdev)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);

	/*
	 * Waits for an unmask that is under way. No VFIO_DEVICE_SET_IRQS can be.
	 * mdev drops the triggers.
	 */
	mtty_intx_unmask_disable(mtty);
}

/*
 * Migration. Triggers and mask are the holder's: the destination sets them up. A
 * pending interrupt is signalled there again, because the signal may have been lost
 * on the way. A serial driver can bear one signal too many, but not one too few.
 */

/*
 * A port in migration data: what is not here follows from it. @rx begins with the
 * oldest byte
 */
struct mtty_port_state {
	u8 rx[MTTY_FIFO_SIZE];
	u8 rx_count;
	u8 ier;
	u8 fcr;
	u8 lcr;
	u8 mcr;
	u8 msr;
	u8 scr;
	u8 dll;
	u8 dlm;
	u8 events;
};

/**
 * struct mtty_state - a card in migration data
 * @config: PCI configuration space
 * @ports: as many as there are
 */
struct mtty_state {
	u8 config[PCI_CFG_SPACE_SIZE];
	struct mtty_port_state ports[];
};

#define MTTY_STATE_VERSION	1

static void mtty_port_save(const struct mtty_port *port,
			   struct mtty_port_state *state)
{
	unsigned int i;

	for (i = 0; i < port->rx_count; i++)
		state->rx[i] = port->rx[(port->rx_head + i) % MTTY_FIFO_SIZE];
	state->rx_count = port->rx_count;
	state->ier = port->ier;
	state->fcr = port->fcr;
	state->lcr = port->lcr;
	state->mcr = port->mcr;
	state->msr = port->msr;
	state->scr = port->scr;
	state->dll = port->dll;
	state->dlm = port->dlm;
	state->events = port->events;
}

/* Can a port come into this state? */
static bool mtty_port_state_is_valid(const struct mtty_port_state *state)
{
	bool has_fifo = state->fcr & UART_FCR_ENABLE_FIFO;
	bool changed = state->msr & UART_MSR_ANY_DELTA;

	return state->rx_count <= (has_fifo ? MTTY_FIFO_SIZE : 1) &&
	       !memchr_inv(state->rx + state->rx_count, 0,
			   MTTY_FIFO_SIZE - state->rx_count) &&
	       !(state->ier & ~MTTY_IER_BITS) &&
	       !(state->fcr & ~(has_fifo ? MTTY_FCR_BITS : 0)) &&
	       !(state->mcr & ~MTTY_MCR_BITS) &&
	       !(state->events & ~MTTY_IER_BITS) &&
	       (state->msr & ~UART_MSR_ANY_DELTA) ==
			mtty_port_lines(state->mcr) &&
	       !!(state->events & UART_IER_MSI) == changed &&
	       !!(state->events & UART_IER_RDI) == !!state->rx_count;
}

static int mtty_port_load(struct mtty_port *port,
			  const struct mtty_port_state *state)
{
	if (!mtty_port_state_is_valid(state))
		return -EINVAL;
	*port = (struct mtty_port) {
		.rx_count = state->rx_count,
		.ier = state->ier,
		.fcr = state->fcr,
		.lcr = state->lcr,
		.mcr = state->mcr,
		.msr = state->msr,
		.scr = state->scr,
		.dll = state->dll,
		.dlm = state->dlm,
		.events = state->events,
		.asserted = state->events & state->ier,
	};
	memcpy(port->rx, state->rx, state->rx_count);
	return 0;
}

/* After a reset: what cannot be written has to be as it is then */
static int mtty_config_load(struct mtty *mtty, const u8 *config)
{
	unsigned int reg;

	for (reg = 0; reg < PCI_CFG_SPACE_SIZE; reg++)
		if ((mtty->config[reg] ^ config[reg]) &
		    ~mtty_config_writable(mtty, reg))
			return -EINVAL;
	memcpy(mtty->config, config, PCI_CFG_SPACE_SIZE);
	return 0;
}

static size_t mtty_state_size(const struct mtty *mtty)
{
	return offsetof(struct mtty_state, ports[mtty->nr_ports]);
}

static ssize_t mtty_save(struct mdev_device *mdev, void *data)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);
	struct mtty_state *state = data;
	unsigned int i;

	spin_lock(&mtty->lock);
	memcpy(state->config, mtty->config, sizeof(state->config));
	/* It follows from the ports' state, whenever it is read */
	state->config[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
	for (i = 0; i < mtty->nr_ports; i++)
		mtty_port_save(&mtty->ports[i], &state->ports[i]);
	spin_unlock(&mtty->lock);
	return mtty_state_size(mtty);
}

static int mtty_load(struct mdev_device *mdev, u32 version, const void *data,
		     size_t size)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);
	const struct mtty_state *state = data;
	unsigned int i;
	int ret;

	if (version != MTTY_STATE_VERSION || size != mtty_state_size(mtty))
		return -EINVAL;

	spin_lock(&mtty->lock);
	mtty_reset(mtty);
	ret = mtty_config_load(mtty, state->config);
	for (i = 0; !ret && i < mtty->nr_ports; i++)
		ret = mtty_port_load(&mtty->ports[i], &state->ports[i]);
	if (ret)
		mtty_reset(mtty);
	else
		mtty->loaded = true;
	spin_unlock(&mtty->lock);
	return ret;
}

/*
 * There is no DMA that could go to another device.
 *
 * The holder may have brought along an INTx that was raised, for a reason that the
 * other card no longer had: QEMU does, and lowers it only after a signal. So there
 * is one, once.
 */
static int mtty_run(struct mdev_device *mdev, enum mdev_run run)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);
	bool starts;

	spin_lock(&mtty->lock);
	starts = !mtty->running;
	mtty->running = run != MDEV_RUN_STOPPED;
	mtty_irq_update(mtty, starts && mtty_irq_pending(mtty));
	if (mtty->running && mtty->loaded) {
		mtty->loaded = false;
		if (!mtty_uses_msi(mtty))
			mtty_intx_signal(mtty);
	}
	spin_unlock(&mtty->lock);
	return 0;
}

static const struct mdev_migration mtty_migration = {
	.flags		= VFIO_MIGRATION_PRE_COPY | VFIO_MIGRATION_P2P,
	.version	= MTTY_STATE_VERSION,
	.max_size	= offsetof(struct mtty_state, ports[MTTY_PORTS_MAX]),
	.run		= mtty_run,
	.save		= mtty_save,
	.load		= mtty_load,
};

/* The types, and the parent */

/**
 * struct mtty_type - what can be created
 * @name: for people
 * @nr_ports: ports that a device of it has
 * @description: what its holder sees
 * @group: its folder; the name is the part behind the driver's
 */
struct mtty_type {
	const char *name;
	unsigned int nr_ports;
	struct mdev_description description;
	struct attribute_group group;
};

static const struct mtty_type *mtty_find_type(struct kobject *kobj,
					      struct device *parent);

static ssize_t name_show(struct kobject *kobj, struct device *dev, char *buf)
{
	const struct mtty_type *type = mtty_find_type(kobj, dev);

	return type ? sysfs_emit(buf, "%s\n", type->name) : -EINVAL;
}
static MDEV_TYPE_ATTR_RO(name);

static ssize_t device_api_show(struct kobject *kobj, struct device *dev,
			       char *buf)
{
	return sysfs_emit(buf, "%s\n", VFIO_DEVICE_API_PCI_STRING);
}
static MDEV_TYPE_ATTR_RO(device_api);

static ssize_t available_instances_show(struct kobject *kobj,
					struct device *dev, char *buf)
{
	const struct mtty_type *type = mtty_find_type(kobj, dev);

	if (!type)
		return -EINVAL;
	return sysfs_emit(buf, "%u\n",
			  atomic_read(&mtty_ports_free) / type->nr_ports);
}
static MDEV_TYPE_ATTR_RO(available_instances);

static struct attribute *mtty_type_attrs[] = {
	&mdev_type_attr_name.attr,
	&mdev_type_attr_device_api.attr,
	&mdev_type_attr_available_instances.attr,
	NULL,
};

static struct mtty_type mtty_types[] = {
	{
		.name = "Single port serial",
		.nr_ports = 1,
		.description = MTTY_DESCRIPTION(mtty_1_regions),
		.group = { .name = "1", .attrs = mtty_type_attrs },
	}, {
		.name = "Dual port serial",
		.nr_ports = 2,
		.description = MTTY_DESCRIPTION(mtty_2_regions),
		.group = { .name = "2", .attrs = mtty_type_attrs },
	},
};

static struct attribute_group *mtty_type_groups[] = {
	&mtty_types[0].group,
	&mtty_types[1].group,
	NULL,
};

/* The type's folder is called <driver>-<group> */
static const struct mtty_type *mtty_find_type(struct kobject *kobj,
					      struct device *parent)
{
	const char *name = kobject_name(kobj);
	size_t len = str_has_prefix(name, dev_driver_string(parent));
	unsigned int i;

	if (!len || name[len] != '-')
		return NULL;

	for (i = 0; i < ARRAY_SIZE(mtty_types); i++)
		if (!strcmp(name + len + 1, mtty_types[i].group.name))
			return &mtty_types[i];
	return NULL;
}

static bool mtty_take_ports(unsigned int nr_ports)
{
	int free = atomic_read(&mtty_ports_free);

	do {
		if (free < (int)nr_ports)
			return false;
	} while (!atomic_try_cmpxchg(&mtty_ports_free, &free,
				     free - (int)nr_ports));
	return true;
}

static void mtty_return_ports(unsigned int nr_ports)
{
	atomic_add(nr_ports, &mtty_ports_free);
}

static int mtty_create(struct kobject *kobj, struct mdev_device *mdev)
{
	const struct mtty_type *type;
	struct mtty *mtty;
	int ret;

	type = mtty_find_type(kobj, mdev_parent_dev(mdev));
	if (!type)
		return -EINVAL;

	if (!mtty_take_ports(type->nr_ports)) {
		dev_warn_ratelimited(mdev_dev(mdev),
				     "cannot create the device: %u of %u serial ports are left, %u are needed\n",
				     atomic_read(&mtty_ports_free),
				     MTTY_PORTS_TOTAL, type->nr_ports);
		return -ENOSPC;
	}

	mtty = kzalloc(sizeof(*mtty), GFP_KERNEL);
	if (!mtty) {
		ret = -ENOMEM;
		goto return_ports;
	}
	ret = mdev_describe(mdev, &type->description, mtty->triggers);
	if (ret)
		goto free_mtty;

	spin_lock_init(&mtty->lock);
	mtty->nr_ports = type->nr_ports;
	mtty->unmasks_since = jiffies;
	INIT_DELAYED_WORK(&mtty->unmask_later, mtty_intx_unmask_later);
	mdev_set_drvdata(mdev, mtty);
	return 0;

free_mtty:
	kfree(mtty);
return_ports:
	mtty_return_ports(type->nr_ports);
	return ret;
}

static int mtty_remove(struct mdev_device *mdev)
{
	struct mtty *mtty = mdev_get_drvdata(mdev);

	mdev_set_drvdata(mdev, NULL);
	mtty_return_ports(mtty->nr_ports);
	kfree(mtty);
	return 0;
}

/* Attributes that show where a parent driver's own ones appear */

static ssize_t sample_mtty_dev_show(struct device *dev,
				    struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "This is phy device\n");
}
static DEVICE_ATTR_RO(sample_mtty_dev);

static struct attribute *mtty_dev_attrs[] = {
	&dev_attr_sample_mtty_dev.attr,
	NULL,
};

static const struct attribute_group mtty_dev_group = {
	.name = "mtty_dev",
	.attrs = mtty_dev_attrs,
};

static const struct attribute_group *mtty_dev_groups[] = {
	&mtty_dev_group,
	NULL,
};

static ssize_t sample_mdev_dev_show(struct device *dev,
				    struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "This is MDEV %s\n", dev_name(dev));
}
static DEVICE_ATTR_RO(sample_mdev_dev);

static struct attribute *mtty_mdev_attrs[] = {
	&dev_attr_sample_mdev_dev.attr,
	NULL,
};

static const struct attribute_group mtty_mdev_group = {
	.name = "vendor",
	.attrs = mtty_mdev_attrs,
};

static const struct attribute_group *mtty_mdev_groups[] = {
	&mtty_mdev_group,
	NULL,
};

static const struct mdev_parent_ops mtty_ops = {
	.owner = THIS_MODULE,
	.dev_attr_groups = mtty_dev_groups,
	.mdev_attr_groups = mtty_mdev_groups,
	.supported_type_groups = mtty_type_groups,
	.create = mtty_create,
	.remove = mtty_remove,
	.open = mtty_open,
	.release = mtty_release,
	/* There is nothing to take back but what a release gives back */
	.revoke = mtty_release,
	.migration = &mtty_migration,
};

static int __init mtty_init(void)
{
	int ret;

	mtty_class = class_create(MTTY_NAME);
	if (IS_ERR(mtty_class))
		return PTR_ERR(mtty_class);

	mtty_dev = device_create(mtty_class, NULL, 0, NULL, MTTY_NAME);
	if (IS_ERR(mtty_dev)) {
		ret = PTR_ERR(mtty_dev);
		goto err_destroy_class;
	}

	ret = mdev_register_device(mtty_dev, &mtty_ops);
	if (ret)
		goto err_unregister_dev;
	return 0;

err_unregister_dev:
	device_unregister(mtty_dev);
err_destroy_class:
	class_destroy(mtty_class);
	return ret;
}
module_init(mtty_init);

static void __exit mtty_exit(void)
{
	mdev_unregister_device(mtty_dev);
	device_unregister(mtty_dev);
	class_destroy(mtty_class);
}
module_exit(mtty_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(MDEV_VERSION);
MODULE_DESCRIPTION("Mediated PCI serial card, a sample without hardware");
