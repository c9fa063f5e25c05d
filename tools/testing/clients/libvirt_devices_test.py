# SPDX-License-Identifier: GPL-2.0
"""libvirt's node devices, as Debian has them: virsh lists the devices of sysfs, and does what it is asked to do."""

import os
import sys

from harness import read, refused, run, same, until
from libvirt_devices import (another, check_list, check_list_follows, create, created, defined, described, destroy,
                             in_sysfs, info, listed, node, parent_node)
from libvirt_host import libvirt, reap_orphans, virsh
from libvirt_logs import logs_have_nothing_unexpected
from parents import DEVICES, parent, types_path

UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
OTHER = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"

ROUNDS = int(os.environ.get("LIBVIRT_ROUNDS", "3"))


def parents_and_types_are_those_of_sysfs():
    for kind in described(parent_node()).iterfind("capability/capability/type"):
        folder = types_path().parent / kind.get("id")
        same(kind.findtext("name"), read(folder / "name"), "the type's name")
        same(kind.findtext("deviceAPI"), read(folder / "device_api"), "the type's API")
        same(kind.findtext("availableInstances"), read(folder / "available_instances"), "the type's instances")


def define_starts_nothing():
    with defined(UUID):
        same(in_sysfs(), set(), "sysfs")
        same(listed(), set(), "nodedev-list")
        same(listed("--inactive"), {node(UUID)}, "nodedev-list --inactive")
        same(info(UUID), {"Name": node(UUID), "Parent": parent_node(), "Active": "no", "Persistent": "yes",
                          "Autostart": "no"}, "nodedev-info")


def start_creates_the_device():
    with defined(UUID):
        virsh("nodedev-start", node(UUID))
        same(in_sysfs(), {node(UUID)}, "sysfs")
        check_list()
        same(listed("--inactive"), set(), "nodedev-list --inactive")
        same(info(UUID)["Active"], "yes", "active")
        destroy(UUID)
        same(in_sysfs(), set(), "sysfs")
        check_list_follows()
        same(listed("--inactive"), {node(UUID)}, "nodedev-list --inactive")


def undefine_forgets_the_definition():
    with defined(UUID):
        virsh("nodedev-undefine", node(UUID))
        same(listed("--all"), set(), "nodedev-list --all")
        refused("virsh", "nodedev-start", node(UUID))


def autostart_comes_with_the_parent():
    with defined(UUID):
        virsh("nodedev-autostart", node(UUID))
        same(info(UUID)["Autostart"], "yes", "autostart")
        parent.unregister()
        until(lambda: not virsh("nodedev-list", "--cap", "mdev_types"), "libvirt has no parent any more")
        parent.register()
        until(lambda: (DEVICES / UUID).exists(), "the device was started")
        until(lambda: listed() == {node(UUID)}, "libvirt lists the device")


def description_is_that_of_sysfs():
    with created(UUID):
        device = DEVICES / UUID
        found = described(node(UUID))
        same(found.findtext("path"), str(device.resolve()), "path")
        same(found.findtext("parent"), parent_node(), "parent")
        same(found.findtext("driver/name"), (device / "driver").resolve().name, "driver")
        same(found.findtext("capability/uuid"), UUID, "UUID")
        same(found.find("capability/type").get("id"), (device / "mdev_type").resolve().name, "type")
        same(found.find("capability/iommuGroup").get("number"), (device / "iommu_group").resolve().name, "IOMMU group")
        instances = described(parent_node()).findtext(f".//type[@id='{parent.type}']/availableInstances")
        same(int(instances), parent.instances - 1, "instances that are left")


def devices_are_listed_until_they_are_destroyed():
    """Each round creates a new device with the same UUID."""
    with another(OTHER):
        others = in_sysfs()
        for number in range(ROUNDS):
            create(UUID)
            same(in_sysfs(), {node(UUID), *others}, f"sysfs in round {number}")
            check_list()
            destroy(UUID)
            same(in_sysfs(), others, f"sysfs in round {number}")
            check_list_follows()


TESTS = [parents_and_types_are_those_of_sysfs, define_starts_nothing, start_creates_the_device,
         undefine_forgets_the_definition, autostart_comes_with_the_parent, description_is_that_of_sysfs,
         devices_are_listed_until_they_are_destroyed, logs_have_nothing_unexpected]

reap_orphans()
with libvirt():
    code = run(TESTS)
parent.give_back()
sys.exit(code)
