# SPDX-License-Identifier: GPL-2.0-only
# Data that is used twice is used in two directions.
/^static int cp_copy_data(/,/^}/ s/if ((slot->data ^ data) & (DATA_SKIP | DATA_DOWN))/if (true)/
