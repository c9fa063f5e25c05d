# SPDX-License-Identifier: GPL-2.0-only
# Chained data is pinned only for the device to read it.
/^static int cp_follow(/,/^}/ s/as = kind;/as = AS_OUTPUT;/
