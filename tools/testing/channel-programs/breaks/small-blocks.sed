# SPDX-License-Identifier: GPL-2.0-only
# A list of the guest's with small blocks does not make the host's small.
/^static int cp_copy_idal(/,/^}/ s/cp->host_shift = cp->shift;//
