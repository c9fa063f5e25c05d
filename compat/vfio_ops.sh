#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# vfio_ops.sh VFIO.H: the members of its struct vfio_device_ops, one a line.
set -eu

tr '\n' ' ' < "$1" |
	sed -e 's,/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/, ,g' \
	    -e 's/.*struct vfio_device_ops {\([^}]*\)}.*/\1/' |
	tr ';' '\n' |
	sed -n -e 's/.*(\*\([a-z0-9_]*\))[[:space:]]*(.*/\1/p' -e t \
	       -e 's/.*[^a-z0-9_]\([a-z0-9_]\+\)[[:space:]]*$/\1/p'
