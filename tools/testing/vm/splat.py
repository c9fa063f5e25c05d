# SPDX-License-Identifier: GPL-2.0
"""Finds in the kernel's log what must not be there."""

import re

_SPLAT = re.compile("|".join((
    r"\bBUG: ", r"\bWARNING: ", r"\bOops\b", r"-\[ cut here \]-", r"\bKASAN: ", r"\bUBSAN: ", r"\bKCSAN: ",
    r"\bkernel BUG at ", r"Kernel panic", r"general protection fault", r"unable to handle", r"\brefcount_t: ",
    r"list_(add|del) corruption", r"blocked for more than", r"scheduling while atomic", r"sleeping function called",
    r"rcu: INFO: ", r"rcu_(sched|preempt) .*stall", r"detected stall", r"soft lockup", r"hard LOCKUP", r"Call Trace:",
    r"possible (circular|recursive) locking", r"suspicious RCU usage", r"bad unlock balance", r"kmemleak: ",
    r"Poison overwritten", r"Redzone overwritten", r"Object already free", r"remaining in .* on __kmem_cache_shutdown",
    r"sysfs: cannot create duplicate", r"kobject_add_internal failed", r"double free", r"page allocation failure",
    r"Out of memory: ",
)))


def find(lines):
    """The first line that is a splat: what follows it belongs to it."""
    return next((line for line in lines if _SPLAT.search(line)), None)
