# SPDX-License-Identifier: GPL-2.0
"""Disks for guests: Debian packages with all that they depend on, unpacked into ext4 images."""

import hashlib
import os
import pathlib
import shutil
import tempfile

from config import BUILD, locked
from packages import MERGED, Apt, run
from report import Failure

# What is mounted on a disk that is the guest's root: its own file systems, and what the host put into the initramfs.
MOUNT_POINTS = ("dev", "proc", "sys", "run", "tmp", "modules", "states", "tests", "vm", "lib/modules")

# The kind of those; there may be several.
ROOT = "root"

# Room for what tests write, beside the packages.
SPARE = 64 << 20


def _image(target, kind, wanted, suites, names, arrange, report, refresh):
    """
    The image of these packages. @wanted: what makes another image of that kind. @arrange: makes the disk's tree of an
    unpacked one, both folders. Uses the network only where the image is not there yet, or to refresh.
    """
    key = hashlib.sha256(repr(wanted).encode()).hexdigest()[:8]
    file = target.dir / f"disk-{kind}-{key}.ext4"
    if file.exists() and not refresh:
        return file
    with locked(BUILD / "packages"), tempfile.TemporaryDirectory(dir=target.dir) as folder:
        folder = pathlib.Path(folder)
        unpacked, tree, made = folder / "unpacked", folder / "tree", folder / "image"
        unpacked.mkdir()
        apt = Apt(target.arch.name, suites)
        apt.update()
        closure = apt.closure(names)
        report.say(target.name, f"fetching {len(closure)} packages: {' '.join(names)}, and what they depend on")
        for deb in apt.download(closure):
            apt.unpack(deb, unpacked)
        for name in MERGED:
            if (unpacked / "usr" / name).exists() and not (unpacked / name).exists():
                (unpacked / name).symlink_to(f"usr/{name}")
        arrange(unpacked, tree)
        size = sum(path.lstat().st_size + 4096 for path in tree.rglob("*")) * 5 // 4 + SPARE
        # mke2fs stands where only root's PATH leads to.
        run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-d", tree, made,
             f"{size // 1024}k"], env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})
        if kind != ROOT:
            for old in target.dir.glob(f"disk-{kind}-*.ext4"):
                old.unlink()
        made.rename(file)
    return file


def root(target, wanted, report, refresh=False):
    """A disk that is the guest's root: see Test.root."""
    names, more = wanted
    suites = [*target.suites, *(suite for suite in more if suite not in target.suites)]

    def arrange(unpacked, tree):
        # Nobody reads it in there.
        shutil.rmtree(unpacked / "usr/share/doc", ignore_errors=True)
        for name in MOUNT_POINTS:
            (unpacked / name).mkdir(parents=True, exist_ok=True)
        unpacked.rename(tree)

    return _image(target, ROOT, (suites, sorted(names), MOUNT_POINTS, MERGED), suites, names, arrange, report,
                  refresh)


def named(target, name, report, refresh=False):
    """One of the target's disks; a guest mounts it beside its initramfs."""
    disk = target.disks.get(name)
    if not disk:
        raise Failure(f"the target {target.name} has no disk {name}")

    def arrange(unpacked, tree):
        for kept in disk.keep:
            if not (unpacked / kept).exists():
                raise Failure(f"none of the packages for the disk {name} has {kept}")
            (tree / kept).parent.mkdir(parents=True, exist_ok=True)
            (unpacked / kept).rename(tree / kept)

    return _image(target, name, (disk.suites, disk.package, disk.keep, MERGED), disk.suites, [disk.package], arrange,
                  report, refresh)
