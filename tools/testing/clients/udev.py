# SPDX-License-Identifier: GPL-2.0
"""Runs udevd while a test needs it."""

import contextlib
import pathlib
import subprocess

from harness import attempt, until


@contextlib.contextmanager
def udevd():
    """udevd has Debian's rules. mdevctl's rule names a path at which its package has no mdevctl: make a link there."""
    link = pathlib.Path("/usr/sbin/mdevctl")
    if not link.exists():
        link.symlink_to("../bin/mdevctl")
    with subprocess.Popen(["/lib/systemd/systemd-udevd"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: attempt("udevadm", "control", "--ping")[0] == 0, "udevd answers")
            yield
        finally:
            process.terminate()
