# SPDX-License-Identifier: GPL-2.0
"""What the user sees: progress lines while the work goes on, results, and their sum."""

import sys
import threading
import time
import xml.etree.ElementTree as xml

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_LABEL = {PASSED: "ok", FAILED: "FAILED", SKIPPED: "skip"}

# How many logs are shown once more with the sum.
LOGS_SHOWN = 5

# Ends the name of a target whose boot has the kernel's own modules.
PEER = " peer"


class Failure(Exception):
    """Something that the user has to know about; its text is complete without a traceback."""


class Report:
    """Collects results. Called from the threads of all targets, hence the lock around both."""

    def __init__(self):
        self._lock = threading.Lock()
        # Held by a test while its output is shown as it comes.
        self.stage = threading.Lock()
        self._start = time.monotonic()
        self._results = []
        self._logs = []

    def say(self, who, text):
        with self._lock:
            print(f"{time.monotonic() - self._start:6.1f}s [{who}] {text}", flush=True)

    def more(self, who, lines):
        """What a log says behind the line that a result names: the logs themselves may be gone when it is read."""
        with self._lock:
            self._logs.append((who, lines))
        for line in lines:
            self.say(who, f"       {line.rstrip()}")

    def result(self, who, name, status, text=""):
        # What the kernel's own modules fail at, or go down with, is a difference to know of, and no failure of ours.
        if status == FAILED and who.endswith(PEER):
            status, text = SKIPPED, f"fails with the kernel's own modules: {text}"
        with self._lock:
            self._results.append((who, name, status, text))
        self.say(who, f"{_LABEL[status]:6} {name}" + (f": {text}" if text else ""))

    def count(self, status):
        return sum(1 for result in self._results if result[2] == status)

    def write_junit(self, path):
        """The results as JUnit's XML, which CI systems read: a suite for each of who reported."""
        suites = xml.Element("testsuites")
        for who in dict.fromkeys(result[0] for result in self._results):
            results = [result[1:] for result in self._results if result[0] == who]
            suite = xml.SubElement(suites, "testsuite", name=who, tests=str(len(results)),
                                   **{key: str(sum(result[1] == status for result in results))
                                      for key, status in (("failures", FAILED), ("skipped", SKIPPED))})
            for name, status, text in results:
                case = xml.SubElement(suite, "testcase", classname=who, name=name)
                if status != PASSED:
                    # XML has no way to write most control characters.
                    text = "".join(char if char.isprintable() else " " for char in text)
                    xml.SubElement(case, "failure" if status == FAILED else "skipped", message=text)
        path.parent.mkdir(parents=True, exist_ok=True)
        xml.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)

    def finish(self):
        """Print the sum, and return the exit code: a run that tested nothing has not passed."""
        failed = [result for result in self._results if result[2] == FAILED]
        if failed:
            print("\nWhat failed:")
        for who, name, _, text in failed:
            print(f"  [{who}] {name}: {text}")
        # Often nobody sees more than the end of a run.
        for who, lines in self._logs[:LOGS_SHOWN] if failed else []:
            print(f"\nThe log of {who}:")
            for line in lines:
                print(f"  {line.rstrip()}")
        print(f"{self.count(PASSED)} passed, {len(failed)} failed, {self.count(SKIPPED)} skipped")
        sys.stdout.flush()
        return 0 if self.count(PASSED) and not failed else 1
