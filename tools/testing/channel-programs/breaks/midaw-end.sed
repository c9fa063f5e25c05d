# SPDX-License-Identifier: GPL-2.0-only
# MIDAWs for less than the count of their CCW end without a bad MIDAW.
/^static unsigned int cp_parse_midaws(/,/^}/ s/return n + 1;/return n;/
