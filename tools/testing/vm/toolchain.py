# SPDX-License-Identifier: GPL-2.0
"""
A compiler of another suite, with make and all that kbuild runs: Debian packages, unpacked below build/, which make is
run in. A kernel is built for with the compiler that it was built with, and the host may have none of that version.
"""

import hashlib
import os
import shutil
import subprocess

from config import BUILD, TOP, locked
from packages import MERGED, Apt, fetch, host_architecture, run
from report import Failure

# What kbuild needs beside the compiler. What apt takes for granted is named, too.
PACKAGES = ["base-files", "bash", "coreutils", "dash", "diffutils", "findutils", "grep", "gzip", "libc6", "libelf1t64",
            "make", "mawk", "pahole", "perl-base", "sed", "tar", "xz-utils", "zlib1g"]

# What the packages' scripts would make: the places of old, and the name of what is one of several.
LINKS = {**{name: f"usr/{name}" for name in MERGED}, "usr/bin/awk": "mawk"}

# $0: the packages' folder, $1: the tree, which has the same name in there. objtool reads /proc. The PATH of a user who
# is not root does not lead to chroot.
_ENTER = """\
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$0$1" "$0/dev" "$0/proc" "$0/tmp" && mount --rbind "$1" "$0$1" && mount --rbind /dev "$0/dev" &&
mount -t proc proc "$0/proc" && shift && exec chroot "$0" "$@"
"""


class Toolchain:
    def __init__(self, root):
        self._root = root

    def command(self, argv):
        """What runs a command in there. Only root can do that without a user namespace."""
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        return ["unshare", *user, "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _ENTER, self._root, TOP,
                "/usr/bin/env", "PATH=/usr/sbin:/usr/bin", *map(str, argv)]


def _check(toolchain):
    done = subprocess.run(toolchain.command(["true"]), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Failure("a compiler of another suite cannot be run; does this host allow user namespaces "
                      f"(kernel.unprivileged_userns_clone, user.max_user_namespaces)? {done.stdout.strip()}")


def _fetch_toolchain(target, report, refresh):
    """The target's toolchain, or None where the host's compiler is the right one."""
    if not target.toolchain:
        return None
    names = sorted([*PACKAGES, *target.toolchain])
    root = BUILD / "toolchains" / hashlib.sha256(repr((target.suites, names, LINKS)).encode()).hexdigest()[:8]
    toolchain, stamp = Toolchain(root), root / ".complete"
    with locked(BUILD / "packages"):
        if refresh or not stamp.exists():
            apt = Apt(host_architecture(), target.suites)
            apt.update()
            closure = apt.closure(names)
            report.say(target.name, f"fetching {len(closure)} packages: {' '.join(target.toolchain)}, make, and what "
                       "they depend on")
            debs = apt.download(closure)
            shutil.rmtree(root, ignore_errors=True)
            for name, to in LINKS.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).symlink_to(to)
            for to in set(LINKS.values()):
                if "/" in to:
                    (root / to).mkdir(parents=True, exist_ok=True)
            for deb in debs:
                run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$0" | tar -C "$1" -x --keep-directory-symlink '
                     '--no-same-owner', deb, root])
            _check(toolchain)
            stamp.touch()
    return toolchain


def fetch_kernel(target, report, refresh=False):
    """The kernel of a target, as packages.fetch() has it, with what kbuild is run in."""
    kernel = fetch(target, report, refresh)
    kernel.toolchain = _fetch_toolchain(target, report, refresh)
    return kernel
