# SPDX-License-Identifier: GPL-2.0
"""A disk for guests: Debian packages with all that they depend on, unpacked into an ext4 image."""

import hashlib
import pathlib
import shutil
import subprocess
import tempfile

from config import BUILD, locked
from packages import Apt
from report import Failure

# What is mounted there in the guest: its own file systems, and what the host put into the initramfs.
MOUNT_POINTS = ("dev", "proc", "sys", "run", "tmp", "modules", "states", "tests", "vm", "lib/modules")

# Room for what tests write, beside the packages.
SPARE = 64 << 20


def _make_image(tree, image):
    size = sum(path.lstat().st_size + 4096 for path in tree.rglob("*"))
    done = subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-d", tree, image,
                           f"{(size * 5 // 4 + SPARE) // 1024}k"],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Failure(f"mke2fs failed:\n{done.stdout}")


def image(target, names, report, refresh=False):
    """The image of these packages. Uses the network only where it is not there yet, or to refresh."""
    key = hashlib.sha256(f"{target.suites} {sorted(names)} {MOUNT_POINTS}".encode()).hexdigest()[:8]
    file = target.dir / f"disk-{key}.ext4"
    if file.exists() and not refresh:
        return file
    with locked(BUILD / "packages"), tempfile.TemporaryDirectory(dir=target.dir) as folder:
        apt = Apt(target.arch.name, target.suites)
        apt.update()
        closure = apt.closure(names)
        report.say(target.name, f"fetching {len(closure)} packages: {' '.join(names)}, and what they depend on")
        tree = pathlib.Path(folder) / "tree"
        for name in MOUNT_POINTS:
            (tree / name).mkdir(parents=True, exist_ok=True)
        for deb in apt.download(closure):
            apt.unpack(deb, tree)
        # Nobody reads it in there.
        shutil.rmtree(tree / "usr/share/doc", ignore_errors=True)
        _make_image(tree, pathlib.Path(folder) / "image")
        (pathlib.Path(folder) / "image").rename(file)
    return file
