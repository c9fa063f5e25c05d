# SPDX-License-Identifier: GPL-2.0
"""Makes disks for guests: Debian packages with all their dependencies, unpacked into ext4 images."""

import hashlib
import os
import pathlib
import shutil
import tempfile

from config import BUILD, locked
from packages import MERGED, Apt, run
from report import Failure

# Folders of a disk that is the guest's root. The guest mounts its own file systems there, and the host's files in the
# initramfs.
MOUNT_POINTS = ("dev", "proc", "sys", "run", "tmp", "modules", "states", "tests", "vm", "lib/modules")

# The kind of these disks. There may be several.
ROOT = "root"

# Free space for the tests, beside the packages.
SPARE = 64 << 20


def make_image(tree, image, size, wrapper=()):
    """An ext4 image of @size KiB with the files of @tree. @wrapper: a command that can read all of them."""
    # mke2fs is only in root's PATH.
    run([*wrapper, "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-d", tree, image,
         f"{size}k"], env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})


def _image(target, kind, wanted, suites, names, arrange, report, refresh):
    """
    The image of these packages. @wanted: makes one image of this kind differ from another. @arrange: makes the disk's
    tree from the unpacked one; both arguments are folders. Uses the network only if the image does not exist yet, or to
    refresh it.
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
        report.say(target.name, f"fetching {len(closure)} packages: {' '.join(names)}, and their dependencies")
        for deb in apt.download(closure):
            apt.unpack(deb, unpacked)
        for name in MERGED:
            if (unpacked / "usr" / name).exists() and not (unpacked / name).exists():
                (unpacked / name).symlink_to(f"usr/{name}")
        arrange(unpacked, tree)
        size = sum(path.lstat().st_size + 4096 for path in tree.rglob("*")) * 5 // 4 + SPARE
        make_image(tree, made, size // 1024)
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
        # No guest reads the documents.
        shutil.rmtree(unpacked / "usr/share/doc", ignore_errors=True)
        for name in MOUNT_POINTS:
            (unpacked / name).mkdir(parents=True, exist_ok=True)
        unpacked.rename(tree)

    return _image(target, ROOT, (suites, sorted(names), MOUNT_POINTS, MERGED), suites, names, arrange, report,
                  refresh)


def named(target, name, report, refresh=False):
    """One of the target's disks. A guest mounts it beside its initramfs."""
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
