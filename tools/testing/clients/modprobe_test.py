# SPDX-License-Identifier: GPL-2.0
"""
Which mdev.ko does modprobe load? /states has a /lib/modules for each way of installation, and one for each state after
its removal. The errors of modprobe here are those that Documentation/admin-guide/installation.rst explains.
"""

import ctypes
import os
import pathlib
import sys

from harness import check, command, read, refused, run, write
from loaded import LOADED, MODULES, check_loaded, file_of, unload

libc = ctypes.CDLL(None)
MS_BIND = 4096

STATES = pathlib.Path("/states")

WAYS = ("package", "dkms", "make")
UNDONE = ("purged", "undone")

Z = os.uname().machine == "s390x"
OURS = ["mdev", "mtty", *(["vfio_ccw"] if Z else [])]


def use(way):
    """Mounts the /lib/modules of this way over the disk's own."""
    if os.path.ismount(MODULES):
        check(not libc.umount2(os.fsencode(MODULES), 0), "umount2(2) failed")
    check(not libc.mount(os.fsencode(STATES / way), os.fsencode(MODULES), None, MS_BIND, None), "mount(2) failed")


def kernels_own():
    """The kernel's own mdev. DKMS 3.2 moves it away while ours is installed."""
    undone = next(name for name in UNDONE if (STATES / name).exists())
    return file_of("mdev", STATES / undone / os.uname().release / "kernel")


def check_gvt():
    """Debian's GVT-g is built for the kernel's own mdev.ko, and uses the one that is loaded."""
    command("modprobe", "kvmgt")
    check("kvmgt" in os.listdir(LOADED / "mdev/holders"), "kvmgt does not use mdev")
    check(os.path.isdir("/sys/bus/mdev/drivers/intel_vgpu_mdev"), "kvmgt has registered no driver")


def loads_ours(way):
    def test():
        use(way)
        try:
            for name in OURS:
                command("modprobe", name)
                check_loaded(name, file_of(name, "updates"))
            if not Z:
                other = command("modinfo", "--field", "srcversion", kernels_own())
                check(read(LOADED / "mdev/srcversion") != other, "the kernel's own mdev has the same source")
                refused("modprobe", "vfio_ccw")
                check_gvt()
            check(os.path.isdir("/sys/kernel/tracing/events/mdev"), "the mdev that is loaded has no tracepoints")
            check(os.path.isdir("/sys/class/mdev_bus/mtty"), "mtty is no parent")
            # VFIO itself requests vfio_iommu_type1; no file for modprobe does.
            check((LOADED / "vfio_iommu_type1").exists(), "vfio_iommu_type1 is not loaded")
        finally:
            unload()
    test.__name__ = f"{way}_loads_ours"
    return test


def loads_the_kernels_own(way):
    def test():
        use(way)
        try:
            if Z:
                said = refused("modprobe", "mdev")
                check("not found" in said, said)
            else:
                command("modprobe", "mdev")
                check_loaded("mdev", file_of("mdev", "kernel"))
                check(not os.path.exists("/sys/kernel/tracing/events/mdev"), "the mdev that is loaded has tracepoints")
                check_gvt()
            for name in OURS[1:]:
                said = refused("modprobe", name)
                check(f"Module {name} not found" in said, said)
        finally:
            unload()
    test.__name__ = f"{way}_loads_the_kernels_own"
    return test


def package_has_qemu_asked_for_a_kernels_sample():
    """QEMU holds a device of the kernel's mdpy, which has no requests, and releases the device when it is removed."""
    use("package")
    try:
        command("modprobe", "mdev")
        check_loaded("mdev", file_of("mdev", "updates"))
        command("insmod", "/modules/kernel/mdpy.ko")
        said = command("/tests/selftests/qemu/mdpy_client_test", "-r", "client.agreeing.removal_has_qemu_let_go")
        check("\nok " in said and "SKIP" not in said, said)
    finally:
        unload()


def the_kernels_own_in_the_way_is_told():
    use("package")
    try:
        command("insmod", kernels_own())
        # modprobe succeeds, because a module of this name is loaded.
        command("modprobe", "mdev")
        check_loaded("mdev", kernels_own())
        said = refused("insmod", file_of("mdev", "updates"))
        check("File exists" in said, said)
        said = refused("modprobe", "mtty")
        check("Unknown symbol in module" in said, said)
    finally:
        unload()


def signatures_are_demanded():
    """With enforced signatures, as with Secure Boot. This cannot be undone, so this test is the last one."""
    use("package")
    command("modprobe", "vfio")
    try:
        write(LOADED / "module/parameters/sig_enforce", "1")
        said = refused("modprobe", "mdev")
        check("Key was rejected by service" in said, said)
    finally:
        unload()


ways = sorted(path.name for path in STATES.iterdir())
TESTS = [loads_ours(way) for way in WAYS if way in ways]
TESTS += [loads_the_kernels_own(way) for way in UNDONE if way in ways]
if not Z:
    TESTS += [package_has_qemu_asked_for_a_kernels_sample]
    TESTS += [the_kernels_own_in_the_way_is_told, signatures_are_demanded]
sys.exit(run(TESTS))
