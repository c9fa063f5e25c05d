#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
# The first process of a Linux guest. It reports which serial card the kernel's own driver has bound, and passes bytes
# through the card's ports, in rounds, until the card is unplugged. Then it waits for another card. It reports each step
# in a line on the console.

# The shell finds busybox's other programs by itself once /proc is mounted.
/bin/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
stty -opost
echo "hello"

# interrupts IRQ: the number of interrupts so far
interrupts() {
	awk -v irq="$1:" '$1 == irq { print $2 }' /proc/interrupts
}

# pass TTY IRQ: the card loops back the bytes. A kernel that gets no interrupts would poll and still pass the bytes, so
# count the interrupts.
pass() {
	stty raw -echo <&4
	before=$(interrupts "$2")
	head -c 256 /dev/urandom >/sent
	cat /sent >&4
	timeout 20 head -c 256 <&4 >/came
	count=$(($(interrupts "$2") - ${before:-0}))
	if ! cmp -s /sent /came; then
		echo "${1##*/}: what came back is not what was sent"
		return 1
	fi
	echo "${1##*/}: 256 bytes, $count interrupts"
	[ "$count" -gt 0 ]
}

# QEMU's messages may garble a line, so each round prints all lines again.
while sleep 1; do
	card=$(echo /sys/bus/pci/drivers/serial/0000:*)
	if ! read -r irq <"$card/irq"; then
		echo "no card"
		continue
	fi 2>/dev/null
	echo "card $(cat "$card/vendor") $(cat "$card/device"), driver $(basename "$(readlink "$card/driver")")"
	good=0
	# The driver registers as many ports as such a card can have. Type 4, a 16550A, marks the ports that it found.
	# shellcheck disable=SC2044 # sysfs has no names with blanks
	for tty in $(find "$card/" -name 'ttyS*'); do
		[ "$(cat "$tty/type")" = 4 ] || continue
		pass "$tty" "$irq" 4<>"/dev/${tty##*/}" && good=$((good + 1))
	done
	echo "ports that pass bytes by interrupts: $good"
done
