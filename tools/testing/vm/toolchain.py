# SPDX-License-Identifier: GPL-2.0
"""
A compiler of another suite, with make and all programs that kbuild runs: Debian packages, unpacked below build/, in
which make is run. A kernel's modules need the compiler with which the kernel was built, and the host may not have that
version.
"""

import hashlib
import os
import shutil
import subprocess

from config import BUILD, TOP, locked
from packages import MERGED, Apt, fetch, host_architecture, run
from report import Failure

# The packages that kbuild needs, beside the compiler. apt takes some of them for installed, so they are named.
PACKAGES = ["base-files", "bash", "coreutils", "dash", "diffutils", "findutils", "grep", "gzip", "libc6", "libelf1t64",
            "make", "mawk", "pahole", "perl-base", "sed", "tar", "xz-utils", "zlib1g"]

# Links that the packages' scripts would make: those into /usr, and awk, which is one of several programs.
LINKS = {**{name: f"usr/{name}" for name in MERGED}, "usr/bin/awk": "mawk"}

# $0 is the folder of the packages. $1 is the tree, whose path inside is the same. objtool reads /proc. The PATH of a
# user who is not root may lack chroot.
_ENTER = """\
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$0$1" "$0/dev" "$0/proc" "$0/tmp" && mount --rbind "$1" "$0$1" && mount --rbind /dev "$0/dev" &&
mount -t proc proc "$0/proc" && shift && exec chroot "$0" "$@"
"""

# The host's locale is not there, and perl warns of that. kbuild itself unsets LC_ALL.
_LOCALE = ["LANG=C", "LC_CTYPE=C", "LC_MESSAGES=C"]


class Toolchain:
    def __init__(self, root):
        self._root = root

    def command(self, argv):
        """Returns a command that runs argv in the toolchain. A user who is not root needs a user namespace for that."""
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        return ["unshare", *user, "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _ENTER, self._root, TOP,
                "/usr/bin/env", "PATH=/usr/sbin:/usr/bin", *_LOCALE, *map(str, argv)]


def _check(toolchain):
    done = subprocess.run(toolchain.command(["true"]), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Failure("a compiler of another suite cannot be run; does this host allow user namespaces "
                      f"(kernel.unprivileged_userns_clone, user.max_user_namespaces)? {done.stdout.strip()}")


def _fetch_toolchain(target, report, refresh):
    """The target's toolchain, or None if the host's compiler is used."""
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
            report.say(target.name, f"fetching {len(closure)} packages: {' '.join(target.toolchain)}, make, and "
                       "their dependencies")
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
    """The kernel of a target, as packages.fetch() returns it, with its toolchain."""
    kernel = fetch(target, report, refresh)
    kernel.toolchain = _fetch_toolchain(target, report, refresh)
    return kernel
