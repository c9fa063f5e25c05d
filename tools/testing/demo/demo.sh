#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The main job, told step by step; runs in the VM as root, with mdev and mtty loaded.
set -u
uuid=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
mdev=/sys/bus/mdev/devices/$uuid
type=/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1
hold=$(dirname "$0")/vfio_hold
log_seen=$(dmesg | wc -l)

title() { printf '\n== %s\n' "$*"; }
tell() { printf '%s\n' "$*"; }
fail() { printf 'demo: this should not be: %s\n' "$*"; exit 1; }

# Show a command, and what it does.
show() {
	printf '   # %s\n' "$*"
	eval "$@" || fail "it ended with $?"
}

# What the kernel logged since the last time.
show_log() {
	dmesg | tail -n +$((log_seen + 1)) | sed 's/^/   kernel: /'
	log_seen=$(dmesg | wc -l)
}

now() { cut -d ' ' -f 1 /proc/uptime; }
since() { awk -v then="$1" '{ printf "%.2f", $1 - then }' /proc/uptime; }

title "A parent: mtty, a serial card without hardware; it offers types of mediated devices"
show "ls $type/.."
show "cat $type/available_instances"

title "Create a mediated device"
show "echo $uuid > $type/create"
show "ls $mdev"

title "A process holds it, as a virtual machine's monitor would, and can be asked"
show "$hold --request $uuid"
show "cat $mdev/holder"

title "Remove it: the holder is asked, lets go, and the removal ends"
start=$(now)
show "echo 1 > $mdev/remove"
tell "   the removal took $(since "$start") s"
show "test ! -e $mdev && echo '   gone'"
show_log

title "The other case: a holder that has registered no request eventfd"
show "echo $uuid > $type/create"
show "$hold $uuid"
holder=$(cut -d ' ' -f 1 "$mdev/holder")

title "The removal has to wait. It says for whom, and can be given up: nothing has changed then"
show "! timeout 2 sh -c 'echo 1 > $mdev/remove'"
show "test -e $mdev/remove && cat $mdev/holder"
show_log

title "Remove it again, and end the holder: the removal ends at once"
printf '   # %s\n' "echo 1 > $mdev/remove &"
echo 1 > "$mdev/remove" &
remover=$!
until [ "$(cat "$mdev/request")" = 1 ]; do usleep 10000; done
show "cat $mdev/request_count"
start=$(now)
show "kill $holder"
show "wait $remover"
tell "   the removal ended $(since "$start") s after the kill"
show "test ! -e $mdev && echo '   gone'"
show_log
