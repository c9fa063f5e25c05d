/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STATE_TEST_H
#define STATE_TEST_H

/* Tells a result, which has the name @event_in_@state */
void result(int ok, const char *event, const char *state, int is, int should);

/* unmap_test.c: how many results it has, and what makes them */
#define UNMAP_RESULTS	6
void visit_unmaps(void);

#endif /* STATE_TEST_H */
