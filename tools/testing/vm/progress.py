# SPDX-License-Identifier: GPL-2.0
"""The progress of a run: a line at the bottom of a terminal, and nothing elsewhere."""

import json
import threading
import time


# The number of the longest jobs to name.
LONGEST = 20


def minutes(seconds):
    return f"{round(seconds)} s" if seconds < 60 else f"{round(seconds / 60)} min"


class Progress:
    """
    Jobs that are expected, run, and end. A file keeps the time that each job took, so that the next run can estimate
    its time. Called from many threads.
    """

    def __init__(self, path, at_once, clock=time.monotonic):
        self._path = path
        self._at_once = at_once
        self._clock = clock
        self._lock = threading.Lock()
        self._took = json.loads(path.read_text()) if path.is_file() else {}
        self._coming = []
        self._waiting = []
        self._running = {}
        self._done = []

    def expect(self, kernels):
        """Expects the jobs that these kernels had in the previous run."""
        with self._lock:
            self._coming = [name for name in self._took if name.partition(" ")[0] in kernels]

    def have_come(self, kernel):
        """All jobs of this kernel are known by job() now; forget the others that were expected."""
        with self._lock:
            self._coming = [name for name in self._coming if name.partition(" ")[0] != kernel]

    def job(self, name, function):
        """Expects a job. Returns a function that runs it, with the same arguments."""
        with self._lock:
            self._waiting.append(name)
            self._coming = [other for other in self._coming if other != name]

        def run(*args):
            with self._lock:
                self._waiting.remove(name)
                self._running[name] = begun = self._clock()
            try:
                result = function(*args)
                self._took[name] = round(self._clock() - begun, 1)
                return result
            finally:
                with self._lock:
                    del self._running[name]
                    self._done.append(name)
        return run

    def _left(self, now):
        """The estimated seconds left, or None if no earlier run is known. A new job counts as an average one."""
        ahead = [*self._coming, *self._waiting]
        known = [took for name in (*ahead, *self._running, *self._done) if (took := self._took.get(name))]
        if not known:
            return None
        mean = sum(known) / len(known)
        left = sum(self._took.get(name, mean) for name in ahead)
        left += sum(max(0, self._took.get(name, mean) - (now - begun)) for name, begun in self._running.items())
        return left / self._at_once

    def line(self, columns):
        with self._lock:
            now = self._clock()
            jobs = len(self._done) + len(self._coming) + len(self._waiting) + len(self._running)
            if not self._waiting and not self._running:
                return ""
            left = self._left(now)
            text = f"{len(self._done)} of {jobs} done" + (f", {minutes(left)} left or so" if left is not None else "")
            text += "".join(f" | {name} {minutes(now - begun)}" for name, begun in self._running.items())
        return text if len(text) < columns else f"{text[:columns - 2]}…"

    def longest(self):
        """The jobs that have ended and took the longest, with their seconds."""
        took = {name: self._took[name] for name in self._done if name in self._took}
        return sorted(took.items(), key=lambda job: -job[1])[:LONGEST]

    def keep(self):
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._took, indent=1, sort_keys=True) + "\n")
