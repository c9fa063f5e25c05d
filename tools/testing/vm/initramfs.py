# SPDX-License-Identifier: GPL-2.0
"""Writes the guest's initramfs: a cpio archive in the "newc" format, which the kernel unpacks."""

import lzma
import re
import stat

from config import HERE, TOP
from report import Failure

FOLDERS = ("bin", "sbin", "dev", "disk", "modules", "proc", "run", "states", "sys", "tests", "tmp", "vm")


class Cpio:
    def __init__(self):
        self._parts = []
        self._folders = set()
        self._inode = 0

    def _entry(self, name, mode, data=b"", device=(0, 0)):
        self._inode += 1
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        self._parts += [header, b"\0" * (-len(header) % 4), data, b"\0" * (-len(data) % 4)]

    def folder(self, name):
        if name and name not in self._folders:
            self.folder(name.rpartition("/")[0])
            self._folders.add(name)
            self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o755):
        self.folder(name.rpartition("/")[0])
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name, to):
        self._entry(name, stat.S_IFLNK | 0o777, to.encode())

    def device(self, name, major, minor):
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def bytes(self):
        self._entry("TRAILER!!!", 0)
        data = b"".join(self._parts)
        return data + b"\0" * (-len(data) % 512)


def _in_a_file(name):
    """A pattern for file names: in the name of a file a module has dashes or underscores, elsewhere underscores."""
    return re.sub("[-_]", "[-_]", name)


def kernel_module(kernel, name):
    """A module of the kernel's own, as plain ELF."""
    if not (path := next(kernel.modules.rglob(f"{_in_a_file(name)}.ko*"), None)):
        raise Failure(f"{kernel.release} has no module {name}")
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _is_built_in(kernel, name):
    names = kernel.modules / "modules.builtin"
    return names.is_file() and re.search(rf"/{_in_a_file(name)}\.ko$", names.read_text(), re.MULTILINE)


def closure(kernel, names, have=()):
    """
    Modules of the kernel's own with their dependencies, in the order in which they are loaded. Leaves out built-in
    modules and those in have.
    """
    found = []
    for name in names:
        if name in have or name in found or _is_built_in(kernel, name):
            continue
        depends = re.search(rb"\0depends=([^\0]*)\0", kernel_module(kernel, name))[1].decode()
        found += closure(kernel, [other for other in depends.split(",") if other], [*have, *found])
        found.append(name)
    return found


def base_archive(target, kernel, modules, programs, peer):
    """The archive that all boots of a target share. A boot appends a second archive with its plan."""
    cpio = Cpio()
    for name in FOLDERS:
        cpio.folder(name)
    # The kernel opens it for the first process, before any file system is mounted.
    cpio.device("dev/console", 5, 1)
    cpio.file("bin/busybox", next(kernel.root.glob("**/bin/busybox")).read_bytes())
    cpio.link("bin/sh", "busybox")
    for name in target.programs:
        cpio.file(name, next(kernel.root.glob(f"**/{name}")).read_bytes())
    cpio.file("init", (HERE / "guest/init").read_bytes())
    cpio.file("vm/supervise", (programs / "vm/guest/supervise").read_bytes())
    cpio.link("vm/host", "supervise")
    names = closure(kernel, [*target.arch.channel_modules, *target.disk_modules, *target.modules])
    for name in names + (["mdev"] if peer and "mdev" not in modules else []):
        cpio.file(f"modules/{name}.ko", kernel_module(kernel, name), 0o644)
    for name, path in modules.items():
        cpio.file(f"modules/{name}.ko", path.read_bytes(), 0o644)
    for path in sorted(programs.rglob("*")):
        if path.is_file() and path.stat().st_mode & 0o100 and "guest" not in path.parts:
            cpio.file(f"tests/{path.relative_to(programs)}", path.read_bytes())
    for path in sorted([*(TOP / "tools/testing").rglob("*.sh"), *(TOP / "tools/testing/clients").rglob("*.py")]):
        cpio.file(f"tests/{path.relative_to(TOP / 'tools/testing')}", path.read_bytes())
    cpio.file("tests/mdevs", (TOP / "tools/mdevs").read_bytes())
    return cpio.bytes()
