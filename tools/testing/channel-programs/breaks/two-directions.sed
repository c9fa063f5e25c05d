# SPDX-License-Identifier: GPL-2.0-only
# Any second use of data counts as a use in the other direction.
/^static int cp_copy_data(/,/^}/ s/if (cp_is_other_way(slot, data))/if (true)/
