# SPDX-License-Identifier: GPL-2.0
"""Finds error reports in the kernel's log."""

import re

_CUT = r"-\[ cut here \]-"
_SPLAT = re.compile("|".join((
    r"\bBUG: ", r"\bWARNING: ", r"\bOops\b", _CUT, r"\bKASAN: ", r"\bUBSAN: ", r"\bKCSAN: ", r"\bODEBUG: ",
    r"\bkernel BUG at ", r"Kernel panic", r"general protection fault", r"unable to handle", r"\brefcount_t: ",
    r"list_(add|del) corruption", r"blocked for more than", r"scheduling while atomic", r"sleeping function called",
    r"rcu: INFO: ", r"rcu_(sched|preempt) .*stall", r"detected stall", r"soft lockup", r"hard LOCKUP", r"Call Trace:",
    r"possible (circular|recursive) locking", r"suspicious RCU usage", r"bad unlock balance",
    r"trying to register non-static key", r"locking correctness validator",
    r"kmemleak: (?!Kernel memory leak detector initialized)",
    r"Poison overwritten", r"Redzone overwritten", r"Object already free", r"remaining in .* on __kmem_cache_shutdown",
    r"sysfs: cannot create duplicate", r"kobject_add_internal failed .*-EEXIST", r"double free",
    r"page allocation failure", r"Out of memory: ",
)))


# The number of lines of a report to show.
SHOWN = 40


def find(lines, known=()):
    """
    Returns a report from its first line on, with the lines behind it, or an empty list. A first line of "cut here" is
    skipped. Reports that match a known pattern, from the first line to the last, do not count.
    """
    text = "\n".join(lines)
    for pattern in known:
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    lines = text.split("\n")
    found = [i for i, line in enumerate(lines) if _SPLAT.search(line)]
    if not found:
        return []
    first = min(found[0] + bool(re.search(_CUT, lines[found[0]])), len(lines) - 1)
    return lines[first:first + SHOWN]
