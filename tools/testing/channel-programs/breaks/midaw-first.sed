# SPDX-License-Identifier: GPL-2.0-only
# A list whose first MIDAW is bad leads to what is chained behind it.
/^static bool cp_moves_nothing(/,/^}/ s/== MIDAW_BAD/== 1/
