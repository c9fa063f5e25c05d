#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# layout_check.sh OBJECT VMLINUX: are the types of cio_private.h, as compiled
# into OBJECT, those of the kernel, as VMLINUX's BTF tells them? A wrong one
# would be silent corruption. Names the fields that differ.
set -eu
object=$1
vmlinux=$2

die() {
	echo "layout_check: $*" >&2
	exit 1
}

# fields TYPE FILE: name, offset and size of each field, one a line
fields() {
	pahole -C "$1" "$2" | sed -nE '
		s/ *__attribute__\(\([^;]*\)\)//
		t next
		:next
		s/^\t.*\(\*(\w+)\)\(.*; *\/\* *([0-9: ]+) \*\/$/\1 \2/p
		t
		s/^\t.*\W(\w+):[0-9]+; *\/\* *([0-9: ]+) \*\/$/\1 \2/p
		t
		s/^\t.*\W(\w+)(\[[0-9]+\])?; *\/\* *([0-9 ]+) \*\/$/\1 \3/p
		t
		s/^\t\/\* size: ([0-9]+),.*/(the whole) 0 \1/p' | tr -s ' '
}

command -v pahole >/dev/null || die "pahole is missing, it is in the package of that name"
[ -e "$vmlinux" ] || die "$vmlinux is missing, so struct subchannel cannot be compared with the kernel's"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for type in subchannel io_subchannel_private css_driver schib pmcw schib_config chsc_ssd_info chp_link; do
	fields $type "$object" >"$tmp/ours"
	fields $type "$vmlinux" >"$tmp/kernel"
	[ "$(wc -l <"$tmp/kernel")" -gt 2 ] || die "$vmlinux does not know struct $type"
	diff "$tmp/kernel" "$tmp/ours" >"$tmp/diff" ||
		die "struct $type differs (field, offset, size; <: the kernel's, >: ours):
$(grep '^[<>]' "$tmp/diff")"
done
