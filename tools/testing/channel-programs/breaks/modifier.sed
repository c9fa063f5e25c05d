# SPDX-License-Identifier: GPL-2.0-only
# The CCW behind a status modifier is not copied.
/^int cp_copy_program(/,/^}/ s/err = cp_follow_modifiers(cp);/err = 0;/
