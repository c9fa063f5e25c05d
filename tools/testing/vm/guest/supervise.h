/* SPDX-License-Identifier: GPL-2.0 */
/* Declarations that the parts of supervise share. */
#ifndef SUPERVISE_H
#define SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The file descriptor of the channel to the host; see supervise.c */
#define CHANNEL		3
#define LINE_LIMIT	4096
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))

struct item;

/* The objects that exist at one time */
struct snapshot {
	struct item *items;
	size_t nr;
};

void die(const char *what);

/* leaks.c */
struct snapshot take_snapshot(void);
void look_for_leaks(const struct snapshot *before);

/* children.c */
bool end_child(pid_t pid, int *status);
void end_leftovers(bool over_limit);

/* host.c */
int listen_for_host(void);
bool pass_command(int client);
int ask_host(char **words);

/* log.c */
int pass_log(void);

#endif /* SUPERVISE_H */
