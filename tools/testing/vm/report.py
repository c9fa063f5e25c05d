# SPDX-License-Identifier: GPL-2.0
"""The output for the user: progress, results, and their sum."""

import shutil
import sys
import threading
import time
import xml.etree.ElementTree as xml

from progress import minutes

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_LABEL = {PASSED: "ok", FAILED: "FAILED", SKIPPED: "skip"}

# Seconds between two updates of the line at the bottom of a terminal.
REFRESH = 1

# The number of logs that the sum shows again.
LOGS_SHOWN = 5

# The suffix of a target's name for boots with the kernel's own modules.
PEER = " peer"


class Failure(Exception):
    """An error to show to the user, whose text needs no traceback."""


class Report:
    """Collects results and prints them. Many threads call it, so a lock protects both."""

    def __init__(self, progress=None):
        """progress: provides the line at the bottom of the terminal."""
        self.progress = progress
        self._lock = threading.Lock()
        # A test holds this while its output is shown at once.
        self.stage = threading.Lock()
        self._start = time.monotonic()
        self._results = []
        self._logs = []
        self._has_line = progress and sys.stdout.isatty()
        self._drawn = ""
        if self._has_line:
            threading.Thread(target=self._refresh, daemon=True).start()

    def _refresh(self):
        while True:
            time.sleep(REFRESH)
            with self._lock:
                self._draw()

    def _draw(self):
        """Draws the line at the bottom. The next output overwrites it."""
        line = self.progress.line(shutil.get_terminal_size().columns) if self._has_line else ""
        if line or self._drawn:
            print(f"\r{line}\x1b[K\r", end="", flush=True)
        self._drawn = line

    def show(self, text):
        """Prints a line unchanged."""
        with self._lock:
            print(f"{text}\x1b[K" if self._drawn else text, flush=True)
            self._draw()

    def say(self, who, text):
        self.show(f"{time.monotonic() - self._start:6.1f}s [{who}] {text}")

    def more(self, who, lines):
        """Shows and keeps log lines that follow a reported line: the log file may not exist when the report is read."""
        with self._lock:
            self._logs.append((who, lines))
        for line in lines:
            self.say(who, f"       {line.rstrip()}")

    def result(self, who, name, status, text=""):
        # A failure with the kernel's own modules is a difference to know of, not a failure of ours.
        if status == FAILED and who.endswith(PEER):
            status, text = SKIPPED, f"fails with the kernel's own modules: {text}"
        with self._lock:
            self._results.append((who, name, status, text))
        self.say(who, f"{_LABEL[status]:6} {name}" + (f": {text}" if text else ""))

    def count(self, status):
        return sum(1 for result in self._results if result[2] == status)

    def write_junit(self, path):
        """Writes the results as JUnit's XML, which CI systems read. Each reporter is a suite."""
        suites = xml.Element("testsuites")
        for who in dict.fromkeys(result[0] for result in self._results):
            results = [result[1:] for result in self._results if result[0] == who]
            suite = xml.SubElement(suites, "testsuite", name=who, tests=str(len(results)),
                                   **{key: str(sum(result[1] == status for result in results))
                                      for key, status in (("failures", FAILED), ("skipped", SKIPPED))})
            for name, status, text in results:
                case = xml.SubElement(suite, "testcase", classname=who, name=name)
                if status != PASSED:
                    # XML cannot represent most control characters.
                    text = "".join(char if char.isprintable() else " " for char in text)
                    xml.SubElement(case, "failure" if status == FAILED else "skipped", message=text)
        path.parent.mkdir(parents=True, exist_ok=True)
        xml.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)

    def _summary(self):
        """The lines at the end of a run, which are often all that is read: failures again, with their logs."""
        lines = []
        if failed := [result for result in self._results if result[2] == FAILED]:
            lines += ["", "What failed:", *(f"  [{who}] {name}: {text}" for who, name, _, text in failed)]
            for who, log in self._logs[:LOGS_SHOWN]:
                lines += ["", f"The log of {who}:", *(f"  {line.rstrip()}" for line in log)]
        return [*lines, f"{self.count(PASSED)} passed, {len(failed)} failed, {self.count(SKIPPED)} skipped"]

    def finish(self, path):
        """Prints the sum, writes it to a file, and returns the exit code. A run without results has not passed."""
        with self._lock:
            self._draw()
        lines = self._summary()
        print("\n".join(lines), flush=True)
        took = [f"{minutes(seconds):>8} {name}" for name, seconds in self.progress.longest()] if self.progress else []
        path.write_text("\n".join([*lines, "", "What took longest:", *took]) + "\n")
        return 0 if self.count(PASSED) and not self.count(FAILED) else 1
