# SPDX-License-Identifier: GPL-2.0-only
# If the first MIDAW of a list is bad, the CCW chained behind it is still reached.
/^static bool cp_moves_nothing(/,/^}/ s/== MIDAW_BAD/== 1/
