# SPDX-License-Identifier: GPL-2.0
"""Shared parts of the tests of programs: TAP, commands and waits. They run in the guest, in the disk's root."""

import os
import pathlib
import subprocess
import time

# The limit of all waits. In an emulated guest a program takes some tenths of a second to start, and libvirtd some ten
# seconds to answer for the first time. On a loaded machine such a start once took a minute.
LIMIT = 180

os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
# Without this, udevadm does nothing in a chroot.
os.environ["SYSTEMD_IGNORE_CHROOT"] = "1"


class Wrong(Exception):
    """A failed expectation, with a text that names it."""


def check(met, text):
    if not met:
        raise Wrong(text)


def same(found, expected, what):
    check(found == expected, f"{what}: {found!r} instead of {expected!r}")


def attempt(*argv, limit=LIMIT):
    """Runs a command, which may fail: (exit code, output)."""
    done = subprocess.run(argv, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=limit)
    return done.returncode, done.stdout.strip()


def command(*argv, limit=LIMIT):
    """Runs a command that has to succeed; returns its output."""
    code, output = attempt(*argv, limit=limit)
    check(code == 0, f"{' '.join(argv)} ended with {code}: {output}")
    return output


def refused(*argv):
    """Runs a command that has to fail, but not by a signal; returns its output."""
    code, output = attempt(*argv)
    check(code > 0, f"{' '.join(argv)} ended with {code}: {output}")
    return output


def until(condition, text):
    deadline = time.monotonic() + LIMIT
    while not condition():
        check(time.monotonic() < deadline, f"not true after {LIMIT} s: {text}")
        time.sleep(0.05)


def read(path):
    return pathlib.Path(path).read_text().strip()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def run(tests):
    """Prints one result for each function, by its name; returns the exit code."""
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        verdict = "ok"
        try:
            test()
        except (Wrong, OSError, ValueError, LookupError, subprocess.SubprocessError) as error:
            verdict = "not ok"
            failed += 1
            text = "\n".join(filter(None, [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])]))
            print(*(f"# {line}" for line in text.splitlines()), sep="\n")
        print(f"{verdict} {number} {test.__name__}", flush=True)
    return 1 if failed else 0
