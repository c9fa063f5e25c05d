# SPDX-License-Identifier: GPL-2.0-only
# Data that is chained is taken for the device to read.
/^static int cp_follow(/,/^}/ s/as = kind;/as = AS_OUTPUT;/
