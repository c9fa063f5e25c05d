#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# layout_check.sh OBJECT HEADER VMLINUX: are the types of cio_private.h, as
# compiled into OBJECT, and the functions, as HEADER declares them, those of the
# kernel, as VMLINUX tells them? A wrong one would be silent corruption.
# Names what differs. Not compared: the numbers of the CHP_ events, which the
# kernel has no type for, and what the functions do.
set -eu
object=$1
header=$2
vmlinux=$3

die() {
	echo "layout_check: $*" >&2
	echo "layout_check: the other modules are built without vfio_ccw by: make VFIO_CCW=n" >&2
	exit 1
}

# fields TYPE FILE: name, offset and size of each field, one a line
fields() {
	pahole -C "$1" "$2" 2>/dev/null | sed -nE '
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

# The parts of a type that are text, without layout: prototypes, enumerators
text() {
	pahole -C "$1" "$2" 2>/dev/null | sed -nE '
		s/ *\/\*.*//
		s/^\t(.*\(\*\w+\)\(.*\);|[A-Z_]+ += [0-9]+,)$/\1/p' | tr -s ' '
}

# Declarations, without the names of parameters, of which not each has one
prototypes() {
	sed -E 's/(struct|union|enum) (\w)/\1~\2/g
		s/(\w[ *]+)\w+([,)])/\1\2/g; s/ *\* */ */g; s/ +([,)])/\1/g
		s/~/ /g'
}

compare() {
	[ -s "$tmp/kernel" ] || die "$vmlinux does not know $1"
	diff "$tmp/kernel" "$tmp/ours" >"$tmp/diff" ||
		die "$1 differs (<: the kernel's, >: ours$2):
$(grep '^[<>]' "$tmp/diff")"
}

command -v pahole >/dev/null || die "pahole is missing, it is in the package of that name"
[ -e "$vmlinux" ] || die "$vmlinux is missing, so struct subchannel cannot be compared with the kernel's"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# These have our storage: all of them has to be as in the kernel
for type in io_subchannel_private css_driver; do
	fields $type "$object" >"$tmp/ours"
	fields $type "$vmlinux" >"$tmp/kernel"
	compare "struct $type" "; field, offset, size"
done

# These are the kernel's: it may have more fields than we know
for type in subchannel schib pmcw schib_config chsc_ssd_info chp_link; do
	fields $type "$object" | grep -v '^(the whole)' >"$tmp/ours"
	fields $type "$vmlinux" >"$tmp/all"
	cut -d' ' -f1 "$tmp/ours" >"$tmp/names"
	awk 'NR == FNR { known[$1]; next } $1 in known' "$tmp/names" "$tmp/all" >"$tmp/kernel"
	compare "struct $type" "; field, offset, size"
done

for type in css_driver sch_todo; do
	text $type "$object" >"$tmp/ours"
	text $type "$vmlinux" >"$tmp/kernel"
	compare $type ""
done

sed -nE 's/^(\w+ \w+\(.*\);)$/\1/p' "$header" | prototypes >"$tmp/ours"
# By its BTF, or if it has none by what its debugger reads
pfunct --format_path=btf,dwarf --prototypes "$vmlinux" >"$tmp/all" 2>/dev/null || :
sed 's/(.*//; s/.* //' "$tmp/ours" | while read -r name; do
	grep -m 1 "[ *]$name(" "$tmp/all" || :
done | prototypes >"$tmp/kernel"
compare "a function" ""
