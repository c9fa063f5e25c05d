# SPDX-License-Identifier: GPL-2.0
"""udevd, for as long as a test needs it."""

import contextlib
import pathlib
import subprocess

from harness import attempt, until


@contextlib.contextmanager
def udevd():
    """The rules are Debian's. mdevctl's names a place where its package has no mdevctl: give it one."""
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
