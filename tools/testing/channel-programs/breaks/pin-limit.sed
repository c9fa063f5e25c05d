# SPDX-License-Identifier: GPL-2.0-only
# One call pins any number of pages.
/^static inline unsigned int cp_add_pages(/,/^}/ s/before + n > CCW_CP_MAX_PIN/false/
