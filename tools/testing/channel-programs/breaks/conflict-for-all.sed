# SPDX-License-Identifier: GPL-2.0-only
# A conflict makes the CCW invalid for those, too, that are certain to reach it.
/^static int cp_conflict(/,/^}/ s/if (!from) {/slot->is |= IS_INVALID; if (!from) {/
