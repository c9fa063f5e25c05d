# SPDX-License-Identifier: GPL-2.0
"""
Installs a newer kernel while a device is held, and boots it. The guest's root is a whole Debian with the package, so
DKMS builds the modules for the newer kernel in the guest, as on a user's machine.
"""

import dataclasses

import build
import config
import disk
import initramfs
import packages
import toolchain
from boot import Boot, Setup
from config import LOGS
from report import FAILED, SKIPPED
from system import AS_ROOT, PLACE, System, check, result

# The folder of the guest's root with the newer kernel's packages
FOLDER = "upgrade"

# Free space on the disk for the newer kernel, in KiB
SPARE = 3 << 20

HOLDER = "demo/vfio_hold"


def without_modules(target):
    """The target, for guests whose modprobe loads the kernel's own modules: init loads none."""
    return dataclasses.replace(target, modules=[])


def _names(kernel):
    return {packages.run(["dpkg-deb", "--field", deb, "Package"]).strip() for deb in kernel.debs}


def _arrange(system, older, newer, deb):
    """Has the system with the package, and without the newer kernel."""
    added = sorted(_names(newer) - _names(older))
    system.run("dpkg", "--purge", *added)
    system.run("apt-get", "install", "--yes", deb)
    found = sorted(path.name for path in (system.root / "lib/modules").iterdir())
    check(found == [older.release], f"the kernels that are left: {found}")
    for name in disk.MOUNT_POINTS:
        system.run("mkdir", "-p", f"/{name}")
    packages.run([*AS_ROOT, "mkdir", system.root / FOLDER])
    packages.run([*AS_ROOT, "cp", *newer.debs, system.root / FOLDER])


def make_disk(system, kernels, deb, report):
    """
    A disk with the oldest of these kernels, the package, and the newest kernel's packages. None if there is but one
    kernel.
    """
    if len(kernels) < 2:
        report.result(system.who, "upgrade", SKIPPED, "there is but one kernel of the host's architecture for it")
        return None
    (_, older), *_, (_, newer) = sorted(kernels, key=lambda found: found[0].version)
    place = PLACE / system.debian.suites[0]
    copy, image = System(place / "copy", system.debian), place / "upgrade.ext4"
    with result(report, system, f"upgrade: a disk with {older.release}"):
        packages.run([*AS_ROOT, "rm", "-rf", "--one-file-system", copy.root])
        packages.run([*AS_ROOT, "cp", "-a", system.root, copy.root])
        _arrange(copy, older, newer, deb)
        used = int(packages.run([*AS_ROOT, "du", "-s", "--block-size=1K", copy.root]).split()[0])
        image.unlink(missing_ok=True)
        disk.make_image(copy.root, image, used * 5 // 4 + SPARE, AS_ROOT)
        packages.run([*AS_ROOT, "rm", "-rf", "--one-file-system", copy.root])
        return image
    return None


def _boot(target, step, image, report, args):
    bare = without_modules(target)
    kernel = toolchain.fetch_kernel(target, report)
    test = config.Test(name=f"upgrade-{step}", limit=7200, program="clients/upgrade_test.py", arguments=[step],
                       reason="some minutes to unpack a kernel and to build the modules, emulated", packages=[FOLDER])
    with config.locked(target.dir):
        programs = build.build_programs(target, kernel, {"vm/guest/supervise", HOLDER}, LOGS / target.name)
        archive = initramfs.base_archive(bare, kernel, {}, programs, False)
    Boot(Setup(bare, kernel, archive, {test.root: image}, kvm=args.kvm, keeps=True), [test], report).run()


def run(kernels, image, report, args):
    targets = sorted((target for target, _ in kernels), key=lambda target: target.version)
    failures = report.count(FAILED)
    _boot(targets[0], "install", image, report, args)
    if report.count(FAILED) == failures:
        _boot(targets[-1], "boot", image, report, args)
    image.unlink()
