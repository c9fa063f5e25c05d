# SPDX-License-Identifier: GPL-2.0-only
# Chained data has a command code.
/^	if (slot->is & IS_COMMAND)$/d
