# SPDX-License-Identifier: GPL-2.0-only
# A conflict makes the CCW invalid also for the CCWs that lead to it without a status modifier.
/^static int cp_conflict(/,/^}/ s/if (!from) {/slot->is |= IS_INVALID; if (!from) {/
