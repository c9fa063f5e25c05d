# SPDX-License-Identifier: GPL-2.0
"""Loops that only keep the host's processors busy, beside the guests."""

import contextlib
import subprocess

from host import DIES_WITH_RUNNER


@contextlib.contextmanager
def busy(loops):
    processes = [subprocess.Popen([*DIES_WITH_RUNNER, "sh", "-c", "while :; do :; done"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
