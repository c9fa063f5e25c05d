#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vfio_ops.sh VFIO.H KNOWN…: the members of its struct vfio_device_ops that are
# not among the known ones. Fails if it finds no such struct.
set -eu
header=$1
shift

awk -v known=" $* " '
function member(text)
{
	if (text !~ /[A-Za-z0-9_]/)
		return
	members++
	# An operation, or else what stands last, before an array or a width
	if (match(text, /\([ \t\n]*\*[ \t\n]*[A-Za-z0-9_]+[ \t\n]*\)/)) {
		text = substr(text, RSTART, RLENGTH)
	} else {
		sub(/[ \t\n]*[[(:].*/, "", text)
		sub(/.*[^A-Za-z0-9_]/, "", text)
	}
	gsub(/[^A-Za-z0-9_]/, "", text)
	if (!index(known, " " text " "))
		print text
}

{ text = text $0 "\n" }

END {
	while (start = index(text, "/*")) {
		rest = substr(text, start + 2)
		end = index(rest, "*/")
		text = substr(text, 1, start - 1) " " (end ? substr(rest, end + 2) : "")
	}
	gsub(/\/\/[^\n]*/, "", text)
	gsub(/\n[ \t]*#[^\n]*/, "\n", text)

	if (match(text, /struct[ \t\n]+vfio_device_ops[ \t\n]*[{]/))
		depth = 1
	text = substr(text, RSTART + RLENGTH)
	# Members of a struct or union in there count, too
	while (depth && match(text, /[{};]/)) {
		sign = substr(text, RSTART, 1)
		before = substr(text, 1, RSTART - 1)
		text = substr(text, RSTART + 1)
		if (sign == ";")
			member(before)
		depth += (sign == "{") - (sign == "}")
	}
	exit depth || !members
}' "$header"
