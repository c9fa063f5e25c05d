# SPDX-License-Identifier: GPL-2.0-only
# Of a list's IDAWs the first is taken to begin with its block.
/^static int cp_copy_idal(/,/^}/ s/n = cp_count_idaws(slot, idaw, /n = cp_count_idaws(slot, idaw \& ~0xfffULL, /
