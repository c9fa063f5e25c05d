# SPDX-License-Identifier: GPL-2.0-only
# A CCW that is reached in two ways conflicts with itself, even if its data has only one use.
/^static int cp_follow_data(/,/^}/ s/cp_conflicts(slot, data)/(cp_conflicts(slot, data) || hweight8(slot->as) > 1)/
