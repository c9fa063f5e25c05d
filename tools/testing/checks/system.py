# SPDX-License-Identifier: GPL-2.0
"""The Debian systems below build/, into which the project is installed as users do it: nothing of the host changes."""

import contextlib
import hashlib
import os
import re
import stat
import subprocess

from config import BUILD, LOGS, TOP
from report import FAILED, PASSED, Failure

WHO = "install"
PLACE = BUILD / "install"

# Where an installation could leave files. DKMS makes its key once and keeps it.
WATCHED = ("boot", "etc", "lib/modules", "lib/udev", "lib/modprobe.d", "lib/depmod.d", "usr/bin",
           "usr/lib/modules-load.d", "usr/local", "usr/sbin", "usr/share/doc", "usr/share/lintian", "usr/share/man",
           "usr/src", "var/lib/dkms")
LEFT_BY_DKMS = ("var/lib/dkms/mok.key", "var/lib/dkms/mok.pub")

# mmdebstrap maps the files to subordinate IDs. A user other than root needs its helper to access them.
AS_ROOT = [] if os.getuid() == 0 else ["mmdebstrap", "--unshare-helper"]


class System:
    """An unpacked Debian. A command in it has no network, and its processes end with it."""

    _ENTER = """mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@" """

    def __init__(self, root, debian):
        self.root = root
        self.debian = debian
        self.who = f"{WHO}, {debian.name}"

    def attempt(self, *argv):
        """(exit code, output)"""
        done = subprocess.run([*AS_ROOT, "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
                               "sh", "-c", self._ENTER, self.root, "/usr/bin/env", "-i",
                               "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/", "INITRD=No",
                               "DEBIAN_FRONTEND=noninteractive", *argv],
                              text=True, errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        with open(LOGS / "install.log", "a") as log:
            log.write(f"# {' '.join(argv)}\n{done.stdout}# ended with {done.returncode}\n\n")
        return done.returncode, done.stdout

    def run(self, *argv):
        code, output = self.attempt(*argv)
        if code:
            raise Failure(f"{' '.join(argv)} ended with {code}: " + " | ".join(output.splitlines()[-5:]))
        return output

    def state(self):
        """The contents of the watched places: {name: what identifies the file's content}."""
        found = {}
        for place in WATCHED:
            for path in sorted((self.root / place).rglob("*")):
                name = str(path.relative_to(self.root))
                info = path.lstat()
                if name in LEFT_BY_DKMS:
                    continue
                if path.is_symlink():
                    found[name] = os.readlink(path)
                elif stat.S_ISDIR(info.st_mode):
                    found[name] = "folder"
                elif re.match(r"lib/modules/[^/]+/modules\.", name):
                    # depmod writes these files anew each time.
                    found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
                else:
                    found[name] = (info.st_size, info.st_mtime_ns, info.st_mode)
        return found


def check(met, text):
    if not met:
        raise Failure(text)


@contextlib.contextmanager
def result(report, system, name):
    """A failure in the block is the failure of this result. The next results still run."""
    report.say(system.who, f"run    {name}")
    try:
        yield
    except Failure as failure:
        report.result(system.who, name, FAILED, f"{failure}; see {(LOGS / 'install.log').relative_to(TOP)}")
    else:
        report.result(system.who, name, PASSED)


@contextlib.contextmanager
def leaves_nothing(system):
    before = system.state()
    yield
    after = system.state()
    differ = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    check(not differ, f"{len(differ)} names differ from before: {' '.join(differ[:8])}")
