# SPDX-License-Identifier: GPL-2.0
"""The parent that the tests of programs use, and its state and that of its devices in sysfs."""

import os
import pathlib

from harness import command, until, write

BUS = pathlib.Path("/sys/class/mdev_bus")
DEVICES = pathlib.Path("/sys/bus/mdev/devices")


class Mtty:
    name, type, holder, instances = "mtty", "mtty-1", "/tests/demo/vfio_hold", 24

    def register(self):
        command("insmod", "/modules/mtty.ko")

    def unregister(self):
        command("rmmod", "mtty")

    def give_back(self):
        pass


class Subchannel:
    type, holder, instances = "vfio_ccw-io", "/tests/demo/ccw_hold", 1

    def __init__(self):
        self._device = pathlib.Path("/sys/bus/ccw/devices/0.0.1234")
        self._path = self._device.resolve().parent
        self.name = self._path.name
        write(self._path / "driver_override", "vfio_ccw")
        write(self._path / "driver/unbind", self.name)
        self.register()

    def register(self):
        write("/sys/bus/css/drivers_probe", self.name)

    def unregister(self):
        write("/sys/bus/css/drivers/vfio_ccw/unbind", self.name)

    def give_back(self):
        self.unregister()
        write(self._path / "driver_override", "\n")
        self.register()
        until(self._device.exists, "the kernel has the device again")


parent = Subchannel() if os.uname().machine == "s390x" else Mtty()


def types_path():
    return BUS / parent.name / "mdev_supported_types" / parent.type


def active():
    """The devices that sysfs has, as {parent: {UUID: its type}}."""
    found = {}
    for path in DEVICES.iterdir():
        found.setdefault(path.resolve().parent.name, {})[path.name] = (path / "mdev_type").resolve().name
    return found
