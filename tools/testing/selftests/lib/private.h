/* SPDX-License-Identifier: GPL-2.0-only */
/* Declarations that the files of the library share. */
#ifndef SELFTESTS_LIB_PRIVATE_H
#define SELFTESTS_LIB_PRIVATE_H

#include "lib.h"

bool wait_input(int fd, __s64 *left);
struct path __attribute__((format(printf, 1, 2)))
path_format(const char *format, ...);

#endif /* SELFTESTS_LIB_PRIVATE_H */
