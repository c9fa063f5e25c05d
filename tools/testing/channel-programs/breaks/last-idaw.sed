# SPDX-License-Identifier: GPL-2.0-only
# The first IDAW of a list is taken for the start of its block.
/^static int cp_copy_idal(/,/^}/ s/n = cp_count_idaws(slot, idaw, /n = cp_count_idaws(slot, idaw \& ~0xfffULL, /
