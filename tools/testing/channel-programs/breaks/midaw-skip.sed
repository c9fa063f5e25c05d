# SPDX-License-Identifier: GPL-2.0-only
# A MIDAW that skips is treated as if it had a page.
/^static int cp_write_midal(/,/^}/ s/ && !(list\[i\] & MIDAW_SKIP)//
