#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The same as demo.sh with a subchannel of IBM Z, which the kernel drives like a real one. Runs in the VM as root, with
# mdev and vfio_ccw loaded.
# shellcheck disable=SC2016,SC2154 # show() expands what it shows, and evaluates the assignments
set -u
cd "$(dirname "$0")" || exit
# shellcheck source=tools/testing/demo/narrate.sh
. ./narrate.sh

title "A subchannel: behind it is an I/O device, which the kernel drives"
show 'cd /sys/bus/css'
show 'sch=$(basename $(dirname $(realpath /sys/bus/ccw/devices/0.0.1234))); echo $sch'
show 'cat /sys/bus/ccw/devices/0.0.1234/cutype'

title "Give it to vfio_ccw; it becomes a parent, with one mediated device to offer"
show 'echo vfio_ccw > devices/$sch/driver_override'
show 'echo $sch > devices/$sch/driver/unbind'
show 'echo $sch > drivers_probe'
show 'type=devices/$sch/mdev_supported_types/vfio_ccw-io; cat $type/name $type/available_instances'

title "Create the mediated device. A process opens it, and asks the I/O device who it is"
show 'uuid=83b8f4f2-509f-382f-3c1e-e6bfe0fa1002; mdev=/sys/bus/mdev/devices/$uuid'
show 'echo $uuid > $type/create'
show '/tests/demo/ccw_hold --request $uuid'
show 'cat $mdev/holder'

title "Unbind the subchannel: the holder is asked, lets go, and the subchannel is free"
start=$(now)
show 'echo $sch > drivers/vfio_ccw/unbind'
printf 'unbinding took %s\n' "$(since "$start")"
show 'test ! -e $mdev && echo gone'
show_log

title "The other case: a holder that has registered no request eventfd"
show 'echo $sch > drivers_probe; echo $uuid > $type/create'
show '/tests/demo/ccw_hold $uuid'

title "Unbinding has to wait, and says for whom"
show 'echo $sch > drivers/vfio_ccw/unbind & unbinder=$!'
until dmesg | tail -n +$((log_seen + 1)) | grep -q 'blocked'; do usleep 10000; done
show_log
show 'cat $mdev/holder'

title "End the holder: the subchannel is free at once"
start=$(now)
show 'kill $(cut -d " " -f 1 $mdev/holder)'
show 'wait $unbinder'
printf 'unbinding ended %s after the kill\n' "$(since "$start")"
show 'test ! -e $mdev && echo gone'
show_log

title "The worst case: a holder that does not even run, and a device that is pulled out of the machine"
show 'echo $sch > drivers_probe; echo $uuid > $type/create'
show '/tests/demo/ccw_hold $uuid'
show 'holder=$(cut -d " " -f 1 $mdev/holder); kill -STOP $holder'
show '/vm/host device_del id=rng0'
start=$(now)
while [ -e "$mdev" ]; do usleep 10000; done
printf 'the mediated device was gone %s later\n' "$(since "$start")"
show_log

title "Nothing waits for the holder: another device, plugged in now, is there at once"
show '/vm/host device_add driver=virtio-rng-ccw id=rng1 devno=fe.0.1299'
start=$(now)
until [ -e /sys/bus/ccw/devices/0.0.1299 ]; do usleep 10000; done
printf 'it was there %s later\n' "$(since "$start")"
show 'cat /sys/bus/ccw/devices/0.0.1299/cutype'

title "The holder goes on, and finds its descriptor dead"
show 'kill -CONT $holder'
while readlink "/proc/$holder/exe" > /dev/null; do usleep 10000; done
show_log
