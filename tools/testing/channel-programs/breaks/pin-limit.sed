# SPDX-License-Identifier: GPL-2.0-only
# There is no limit to the pages of a call.
/^static inline unsigned int cp_add_pages(/,/^}/ s/before + n > CCW_CP_MAX_PIN/false/
