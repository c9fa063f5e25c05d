# SPDX-License-Identifier: GPL-2.0-only
# A CCW that is chained data as well is no command any more.
/^		if (as == AS_COMMAND)$/,/IS_COMMAND;$/ s/IS_COMMAND;/IS_COMMAND; else slot->is \&= ~IS_COMMAND;/
