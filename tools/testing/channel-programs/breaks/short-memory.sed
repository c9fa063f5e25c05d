# SPDX-License-Identifier: GPL-2.0-only
# -ENOMEM is treated as if the pages could not be pinned.
/^static int cp_fail_pin(/,/^}/ s/case -ENOMEM:/case -EDOM:/
