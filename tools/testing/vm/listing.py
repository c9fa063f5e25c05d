# SPDX-License-Identifier: GPL-2.0
"""Prints what each test is for: "./run list"."""

import re

from config import TOP, load_target

_TESTING = TOP / "tools/testing"

# The first comment of a program, after its licence, in C, Python or shell.
_HEAD = re.compile(r'\A(?:#![^\n]*\n)?(?:(?://|#) SPDX[^\n]*\n)'
                   r'(?:/\*(.*?)\*/|"""(.*?)"""|((?:# ?[^\n]*\n)+))', re.DOTALL)


def _source(test):
    """The source of the test's program, or of the program that its script calls."""
    for name in [test.program, *(name for name in test.needs if name in test.script)]:
        for path in (_TESTING / name, _TESTING / f"{name}.c"):
            if name and path.is_file():
                return path
    return None


def purpose(test):
    """The purpose in the list of tests, or the first paragraph of the program's first comment."""
    if test.purpose:
        return test.purpose
    if test.expect:
        return "The runner reports: " + " + ".join(test.expect)
    if not (source := _source(test)):
        return ""
    head = _HEAD.match(source.read_text())
    text = next(filter(None, head.groups()), "") if head else ""
    text = re.sub(r"^[ \t]*[*#]?[ \t]?", "", text, flags=re.M).strip()
    return " ".join(text.split("\n\n")[0].split())


def show(tests, targets):
    """Prints the tests that run on one of the targets, with their properties."""
    targets = [load_target(name) for name in targets]
    for test in tests:
        if not (where := [target.name for target in targets if test.runs_on(target)]):
            continue
        long = " (by name, and in check-all)" if test.long else ""
        print(f"{test.name}{long}\n"
              f"    on {', '.join(where)}; boot {test.boot or test.name}; {test.limit} s: {test.reason}\n"
              f"    {purpose(test)}")
