# SPDX-License-Identifier: GPL-2.0
"""A libvirt domain with one of our guests, and the guest's messages about its device."""

import contextlib
import os
import pathlib
import xml.etree.ElementTree as ElementTree

from harness import attempt, same, until
from libvirt_host import virsh


class Pci:
    """A guest with a serial card. It agrees to an unplug by ACPI, or refuses."""
    model, program, arch, machine = "vfio-pci", "pci_guest", "x86_64", "pc"
    agrees, refuses = "eject", ""
    found, gone, refusal = "card in slot", "the card is gone", "asked for the card: no"
    features = "<features><acpi/></features>"

    @staticmethod
    def console(file):
        """QEMU's argument for the console, after the devices: libvirt does not support this kind of console."""
        return ("</devices><qemu:commandline><qemu:arg value='-debugcon'/>"
                f"<qemu:arg value='file:{file}'/></qemu:commandline>")


class Ccw:
    """A guest with a channel device. An unplug does not ask this guest."""
    model, program, arch, machine = "vfio-ccw", "ccw_guest", "s390x", "s390-ccw-virtio"
    agrees, refuses = "", None
    found, gone = "SENSE ID", "the device is gone"
    features = ""

    @staticmethod
    def console(file):
        return f"<console type='file'><source path='{file}'/><target type='sclp'/></console></devices>"


guest = Ccw() if os.uname().machine == "s390x" else Pci()


def _hostdev(uuid):
    return (f"<hostdev mode='subsystem' type='mdev' model='{guest.model}'>"
            f"<source><address uuid='{uuid}'/></source></hostdev>")


class Domain:
    def __init__(self, name, words):
        self.name = name
        self._words = words
        self._console = pathlib.Path(f"/tmp/{name}.console")
        self._heard = 0

    def start(self, uuids):
        file = pathlib.Path(f"/tmp/{self.name}.xml")
        file.write_text(
            f"<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>{self.name}</name>"
            f"<memory unit='MiB'>32</memory><os><type arch='{guest.arch}' machine='{guest.machine}'>hvm</type>"
            f"<kernel>/tests/guests/{guest.program}</kernel><cmdline>{self._words}</cmdline></os>{guest.features}"
            f"<devices><controller type='usb' model='none'/><memballoon model='none'/>"
            f"{''.join(map(_hostdev, uuids))}{guest.console(self._console)}</domain>\n")
        virsh("create", str(file))

    def says(self, text):
        """Waits for a message of the guest, after the last one that was waited for."""
        def said():
            output = self._console.read_text(errors="replace") if self._console.exists() else ""
            at = output.find(text, self._heard)
            self._heard = at + len(text) if at >= 0 else self._heard
            return at >= 0

        until(said, f"the guest of {self.name} says {text!r}")

    def is_at_work(self):
        """Waits until the guest has found the device and has used it."""
        self.says(guest.found)
        self.says("idle\n")

    def uuids(self):
        """The domain's devices, according to libvirt."""
        return [address.get("uuid") for address in
                ElementTree.fromstring(virsh("dumpxml", self.name)).iterfind("devices/hostdev/source/address")]

    def check(self, *uuids):
        """Checks that the domain runs and has these devices."""
        same(virsh("domstate", self.name), "running", f"state of {self.name}")
        same(self.uuids(), list(uuids), f"devices of {self.name}")

    def has_lost_its_devices(self):
        until(lambda: not self.uuids(), f"{self.name} has no device any more")
        self.check()

    def file(self, uuid):
        """Writes a device's XML into a file, by which virsh attaches or detaches the device."""
        file = pathlib.Path("/tmp/hostdev.xml")
        file.write_text(_hostdev(uuid))
        return str(file)

    def attach(self, uuid):
        virsh("attach-device", self.name, self.file(uuid))

    def detach(self, uuid):
        virsh("detach-device", self.name, self.file(uuid))


@contextlib.contextmanager
def running(name, *uuids, words=guest.agrees):
    domain = Domain(name, words)
    domain.start(uuids)
    try:
        yield domain
    finally:
        attempt("virsh", "destroy", name)
