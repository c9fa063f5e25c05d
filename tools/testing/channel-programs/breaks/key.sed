# SPDX-License-Identifier: GPL-2.0-only
# The ORB's storage key is dropped.
/^#define CCW_ORB_PASSED/,/^$/ s/CCW_ORB_KEY | //
