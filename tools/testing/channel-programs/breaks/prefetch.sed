# SPDX-License-Identifier: GPL-2.0-only
# The ORB's permission to prefetch is dropped.
/^#define CCW_ORB_PASSED/,/^$/ s/CCW_ORB_PREFETCH | //
