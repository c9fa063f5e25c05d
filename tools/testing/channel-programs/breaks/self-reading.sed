# SPDX-License-Identifier: GPL-2.0-only
# A program that reads over itself runs as it was, also without prefetching.
/^static int cp_check_prefetch(/,/^}/ s/-EOPNOTSUPP/0/
