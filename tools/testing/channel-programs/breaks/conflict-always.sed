# SPDX-License-Identifier: GPL-2.0-only
# A CCW that only a status modifier leads to conflicts with all other CCWs.
/^static bool cp_conflicts(/,/^}/ s/return .*;/return true;/
