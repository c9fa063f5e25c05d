# SPDX-License-Identifier: GPL-2.0-only
# If the guest's list has 2-KiB blocks, the host's list still has 4-KiB blocks.
/^static int cp_copy_idal(/,/^}/ s/cp->host_shift = cp->shift;//
