# SPDX-License-Identifier: GPL-2.0
"""The busy loops run while the block runs, and end with it, however it ends."""

import os
import pathlib
import time

import load

# Seconds in which a started process has to become the loop.
SOON = 30


def children():
    """The loops that this process has started and that run."""
    listing = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in listing if "while" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()]


def test_loops_run_as_long_as_they_should():
    with load.busy(2):
        end = time.monotonic() + SOON
        # Read the command lines at once: a process may have none for a moment while it becomes the loop.
        while len(found := children()) != 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert len(found) == 2
    assert not children()


def test_loops_end_with_a_failure():
    try:
        with load.busy(1):
            raise KeyError
    except KeyError:
        pass
    assert not children()


def test_no_loops_are_none():
    with load.busy(0):
        assert not children()
