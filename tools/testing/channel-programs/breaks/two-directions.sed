# SPDX-License-Identifier: GPL-2.0-only
# Data that is used twice is used in two directions.
/^static int cp_copy_data(/,/^}/ s/if (cp_is_other_way(slot, data))/if (true)/
