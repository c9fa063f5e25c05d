# SPDX-License-Identifier: GPL-2.0-only
# Memory that is short is taken for pages that cannot be pinned.
/^static int cp_fail_pin(/,/^}/ s/case -ENOMEM:/case -EDOM:/
