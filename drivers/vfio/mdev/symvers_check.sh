#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# symvers_check.sh SYMVERS CMD…: are the versions of the kernel's own symbols, in the .cmd files of the objects that
# export them, those of the kernel's Module.symvers? An equal version is what proves an equal interface. Where one
# differs, the kernel's is taken all the same, with a warning: of several versions in a .cmd file the last one counts.
set -eu
symvers=$1
shift

[ -f "$symvers" ] || exit 0
status=0
for symbol in mdev_register_parent mdev_unregister_parent mdev_register_driver mdev_unregister_driver; do
	kernel=$(awk -v symbol=$symbol '$2 == symbol { print $1 }' "$symvers")
	# A kernel without mdev, or without versions
	case $kernel in
	'' | 0x00000000) continue ;;
	esac
	ours='' file=''
	for cmd in "$@"; do
		found=$(awk -v symbol=$symbol '$1 == "#SYMVER" && $2 == symbol { print $3 }' "$cmd" | tail -n 1)
		[ -z "$found" ] || { ours=$found file=$cmd; }
	done
	if [ -z "$ours" ]; then
		echo "mdev: error: the symbol $symbol has no version: the kernel would refuse to load mdev.ko" >&2
		status=1
	elif [ "$ours" != "$kernel" ]; then
		echo "mdev: warning: the version of $symbol is $ours, the kernel's is $kernel, which is taken" >&2
		echo "#SYMVER $symbol $kernel" >>"$file"
	fi
done
exit $status
