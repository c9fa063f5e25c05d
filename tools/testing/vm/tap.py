# SPDX-License-Identifier: GPL-2.0
"""Reads a test program's TAP in the format of the kernel's selftests, and finds errors in it."""

import re

from report import FAILED, PASSED, SKIPPED

_RESULT = re.compile(r"(not ok|ok) (\d+)(?: -)?(?: ([^#]*))?(?:# ?(\w+)\b:? ?(.*))?$")
_PLAN = re.compile(r"1\.\.(\d+)(?: # ?SKIP\b:? ?(.*))?$")


class Tap:
    def __init__(self):
        self._planned = None
        self._seen = 0
        self._failed = False
        self._notes = []
        self._problems = []

    def line(self, line):
        """Returns (name, status, text) if the line is a result."""
        if match := _PLAN.match(line):
            if self._planned is not None:
                self._problems.append("the TAP plan comes twice")
            self._planned = int(match[1])
            if match[2] is not None:
                return "(all)", SKIPPED, match[2] or "no reason given"
            if not self._planned:
                self._failed = True
                return "(all)", FAILED, "the program has no check, or none of the name that was asked for"
        elif match := _RESULT.match(line):
            return self._result(*match.groups())
        elif line.startswith("#"):
            # The harness prints the reason before the failed result.
            self._notes.append(line[1:].strip())
        return None

    def _result(self, verdict, number, name, directive, reason):
        self._seen += 1
        if int(number) != self._seen:
            self._problems.append(f"TAP result {number} comes where {self._seen} is due")
        notes, self._notes = self._notes, []
        name = (name or "").strip() or f"number {number}"
        directive = (directive or "").upper()
        if verdict == "not ok" and directive != "TODO":
            self._failed = True
            said = [note for note in notes if not note.startswith(("RUN ", "FAIL ", "Starting "))]
            return name, FAILED, " / ".join(said[-3:])
        if directive == "SKIP":
            return name, SKIPPED, reason or "no reason given"
        return name, PASSED, ""

    def running(self):
        """The harness's name of the check that has begun and has no result; or an empty text."""
        begun = [note.split()[1] for note in self._notes if re.match(r"RUN +\S", note)]
        return begun[-1] if begun else ""

    def problems(self, exit_status):
        """Errors of the whole output: the plan, no results, an exit code that no result explains."""
        found = list(self._problems)
        if self._planned is None and not self._seen:
            found.append("the program reported nothing")
        elif self._planned is None:
            found.append("there is no TAP plan")
        elif self._planned != self._seen:
            found.append(f"the TAP plan says {self._planned} results, {self._seen} came")
        # The harness exits with 4 if all checks were skipped.
        if exit_status not in ("0", "4") and not self._failed:
            found.append(f"the program ended with {exit_status or 'no status'}, but no result failed")
        return found
