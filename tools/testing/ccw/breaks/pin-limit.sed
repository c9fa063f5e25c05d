# SPDX-License-Identifier: GPL-2.0-only
# There is no limit to the pages of a call.
/^static unsigned int cp_run(/,/^}/ s/end = min(end, i + CCW_CP_MAX_PIN);//
