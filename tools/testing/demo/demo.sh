#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Shows the request path, step by step. Runs in the VM as root, with mdev and mtty loaded.
# shellcheck disable=SC2016,SC2154 # show() expands what it shows, and evaluates the assignments
set -u
cd "$(dirname "$0")" || exit
# shellcheck source=tools/testing/demo/narrate.sh
. ./narrate.sh

title "A parent: mtty, a serial card without hardware; it offers types of mediated devices"
show 'types=/sys/class/mdev_bus/mtty/mdev_supported_types'
show 'ls $types'
show 'cat $types/mtty-1/available_instances'

title "Create a mediated device"
show 'uuid=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001; mdev=/sys/bus/mdev/devices/$uuid'
show 'echo $uuid > $types/mtty-1/create'
show 'ls $mdev'

title "A process holds it, as a virtual machine's monitor would, and can be asked to let go"
show './vfio_hold --request $uuid'
show 'cat $mdev/holder'

title "Remove it: the holder is asked, lets go, and the removal ends"
start=$(now)
show 'echo 1 > $mdev/remove'
printf 'the removal took %s\n' "$(since "$start")"
show 'test ! -e $mdev && echo gone'
show_log

title "The other case: a holder that has registered no request eventfd"
show 'echo $uuid > $types/mtty-1/create'
show './vfio_hold $uuid'

title "The removal has to wait, and says for whom. It can be given up: then nothing has changed"
show '! timeout 2 sh -c "echo 1 > $mdev/remove"'
show 'ls -d $mdev/remove; cat $mdev/holder'
show_log

title "Remove it again, and end the holder: the removal ends at once"
show 'echo 1 > $mdev/remove & remover=$!'
until [ "$(cat "$mdev/request")" = 1 ]; do usleep 10000; done
show 'cat $mdev/request'
start=$(now)
show 'kill $(cut -d " " -f 1 $mdev/holder)'
show 'wait $remover'
printf 'the removal ended %s after the kill\n' "$(since "$start")"
show 'test ! -e $mdev && echo gone'
show_log

title "A holder that does not even run would never answer. The device can be taken from it"
show 'echo $uuid > $types/mtty-1/create'
show './vfio_hold $uuid'
show 'holder=$(cut -d " " -f 1 $mdev/holder); kill -STOP $holder'
start=$(now)
show 'echo 1 > $mdev/revoke'
printf 'taking it took %s\n' "$(since "$start")"
show 'test ! -e $mdev && echo gone'

title "The UUID is free at once, for the next user. The first one still has a descriptor, of nothing"
show 'echo $uuid > $types/mtty-1/create; ls -d $mdev'
show 'kill -CONT $holder'
while readlink "/proc/$holder/exe" > /dev/null; do usleep 10000; done
show 'echo 1 > $mdev/remove'
show_log
