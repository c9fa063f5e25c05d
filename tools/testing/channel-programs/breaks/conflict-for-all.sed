# SPDX-License-Identifier: GPL-2.0-only
# A conflict makes the CCW invalid also for the CCWs that lead to it without a status modifier.
/^static int cp_follow_data(/,/^}/ s/return cp_conflict(cp, from) ?: 1;/return slot->is |= IS_INVALID, cp_conflict(cp, from) ?: 1;/
