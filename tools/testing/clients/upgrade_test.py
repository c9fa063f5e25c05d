# SPDX-License-Identifier: GPL-2.0
"""
A newer kernel is installed while a program holds a device, and then boots. The package mdev-request-dkms is installed.
The program runs in two guests that have one disk, first with the argument "install", then with "boot".
"""

import os
import pathlib
import subprocess
import sys

from harness import check, command, read, run, same, until
from loaded import LOADED, check_loaded, file_of, unload
from parents import DEVICES, parent

UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"

# The packages of the newer kernel, on the disk
PACKAGES = pathlib.Path("/upgrade")

# Seconds. An emulated guest unpacks a kernel and builds the modules for it.
INSTALL_LIMIT = 5400

IN_BOTH_KERNELS = ("mdev", "mtty")


def hold():
    """Starts a holder that can be asked. It goes into the background once it has the device. Returns its PID."""
    # A pipe would stay open in the holder.
    same(subprocess.call([parent.holder, "--request", UUID], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL), 0,
         parent.holder)
    return int(read(DEVICES / UUID / "holder").split()[0])


def check_ours():
    for name in IN_BOTH_KERNELS:
        check_loaded(name, file_of(name, "updates/dkms"))


def check_held(pid):
    same(read(DEVICES / UUID / "holder").split()[0], str(pid), "the holder")
    same(read(DEVICES / UUID / "request"), "0", "the request")


def the_holder_is_asked():
    (DEVICES / UUID / "remove").write_text("1")
    until(lambda: not (DEVICES / UUID).exists(), "the device is gone")


def device_is_defined_and_held():
    command("modprobe", "mtty")
    check_ours()
    command("mdevctl", "define", "--auto", "--uuid", UUID, "--parent", parent.name, "--type", parent.type)
    command("mdevctl", "start", "--uuid", UUID)
    check_held(hold())


def newer_kernel_is_installed_meanwhile():
    holder = read(DEVICES / UUID / "holder")
    sources = {name: read(LOADED / name / "srcversion") for name in IN_BOTH_KERNELS}
    said = command("env", "INITRD=No", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/", "dpkg", "--install",
                   *map(str, sorted(PACKAGES.glob("*.deb"))), limit=INSTALL_LIMIT)
    newer, = {path.name for path in pathlib.Path("/lib/modules").iterdir()} - {os.uname().release}
    for name in IN_BOTH_KERNELS:
        same(command("modinfo", "--field", "vermagic", file_of(name, "updates/dkms", release=newer)).split()[0], newer,
             f"the kernel of {name}, after: {said[-500:]}")
        same(read(LOADED / name / "srcversion"), sources[name], f"the {name} that is loaded")
    same(read(DEVICES / UUID / "holder"), holder, "the holder")


def older_kernel_goes_on():
    pid = int(read(DEVICES / UUID / "holder").split()[0])
    check_held(pid)
    the_holder_is_asked()
    unload()
    command("modprobe", "mtty")
    check_ours()
    unload()


def newer_kernel_has_its_modules():
    command("modprobe", "mtty")
    check_ours()


def device_is_there_again():
    """udev runs this command when a parent comes."""
    command("mdevctl", "start-parent-mdevs", parent.name)
    check((DEVICES / UUID).exists(), "mdevctl did not start the device")
    same((DEVICES / UUID / "mdev_type").resolve().name, parent.type, "its type")


def newer_kernel_asks():
    pid = hold()
    check_held(pid)
    the_holder_is_asked()
    unload()


GUESTS = {
    "install": [device_is_defined_and_held, newer_kernel_is_installed_meanwhile, older_kernel_goes_on],
    "boot": [newer_kernel_has_its_modules, device_is_there_again, newer_kernel_asks],
}
# The disk is written to before the guest ends.
result = run(GUESTS[sys.argv[1]])
os.sync()
sys.exit(result)
