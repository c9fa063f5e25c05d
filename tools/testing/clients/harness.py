# SPDX-License-Identifier: GPL-2.0
"""What the tests of programs share: TAP, commands, and waiting. They run in the guest, in the disk's root."""

import os
import pathlib
import subprocess
import time

# Of all waits: emulated, each program takes some tenths of a second to start, and libvirtd some ten seconds to answer
# for the first time. The rest is for a loaded machine, on which that was seen to take a minute.
LIMIT = 180

os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
# udevadm does nothing in a chroot, unless it is told that this is all right.
os.environ["SYSTEMD_IGNORE_CHROOT"] = "1"


class Wrong(Exception):
    """The test's expectation is not met; its text says which."""


def check(met, text):
    if not met:
        raise Wrong(text)


def same(found, expected, what):
    check(found == expected, f"{what}: {found!r} instead of {expected!r}")


def attempt(*argv):
    """Runs a command to its end, whatever that is: (exit code, output)."""
    done = subprocess.run(argv, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=LIMIT)
    return done.returncode, done.stdout.strip()


def command(*argv):
    """Runs a command that has to succeed; returns its output."""
    code, output = attempt(*argv)
    check(code == 0, f"{' '.join(argv)} ended with {code}: {output}")
    return output


def refused(*argv):
    """Runs a command that has to fail by itself; returns its output."""
    code, output = attempt(*argv)
    check(code > 0, f"{' '.join(argv)} ended with {code}: {output}")
    return output


def until(condition, text):
    deadline = time.monotonic() + LIMIT
    while not condition():
        check(time.monotonic() < deadline, f"after {LIMIT} s still not so: {text}")
        time.sleep(0.05)


def read(path):
    return pathlib.Path(path).read_text().strip()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def run(tests):
    """One result for each function, by its name; returns the exit code."""
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
