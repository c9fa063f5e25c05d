# SPDX-License-Identifier: GPL-2.0-only
# The first word's offset is forgotten when the IDAWs are counted.
/^static unsigned int cp_count_idaws/,/^}/ s/DIV_ROUND_UP(offset + slot->count/DIV_ROUND_UP(slot->count/
