# SPDX-License-Identifier: GPL-2.0-only
# Nothing follows MIDAWs that are for less than the count.
/^static unsigned int cp_parse_midaws(/,/^}/ s/return n + 1;/return n;/
