# SPDX-License-Identifier: GPL-2.0
"""mdevctl, as Debian has it: what it prints agrees with sysfs, and it does what it is asked to do."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

from harness import attempt, check, command, read, refused, run, same, until, write
from parents import BUS, DEVICES, Subchannel, active, parent, types_path
from udev import udevd

DEFINITIONS = pathlib.Path("/etc/mdevctl.d")

UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
OTHER = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"

# Seconds. A wait for a holder lasts until the holder ends, so a command that ends sooner did not wait.
WAIT = 2


def listed(*options):
    """mdevctl's list as {parent: {UUID: its fields}}."""
    found = json.loads(command("mdevctl", "list", "--dumpjson", *options))
    return {name: {uuid: fields for entry in entries for uuid, fields in entry.items()}
            for part in found for name, entries in part.items()}


def check_lists():
    same({name: {uuid: fields["mdev_type"] for uuid, fields in entries.items()}
          for name, entries in listed().items()}, active(), "mdevctl's list and sysfs")


@contextlib.contextmanager
def defined(uuid=UUID, *options, on=None, type=None):
    """Defines a device. At the end the definition and the device are removed, even if the test fails."""
    on = on or parent.name
    command("mdevctl", "define", "--uuid", uuid, "--parent", on, "--type", type or parent.type, *options)
    try:
        yield
    finally:
        if (DEVICES / uuid).exists():
            write(DEVICES / uuid / "remove", "1")
        (DEFINITIONS / on / uuid).unlink(missing_ok=True)


@contextlib.contextmanager
def started(*options):
    with defined(UUID, *options):
        command("mdevctl", "start", "--uuid", UUID)
        yield


@contextlib.contextmanager
def held(*options):
    """A holder of the device; yields its PID. The holder goes into the background once it has the device."""
    # A pipe would stay open in the holder.
    same(subprocess.call([parent.holder, *options, UUID], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL), 0,
         parent.holder)
    pid = int(read(DEVICES / UUID / "holder").split()[0])
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def types_are_those_of_sysfs():
    found = {}
    for path in BUS.iterdir():
        for kind in (path / "mdev_supported_types").iterdir():
            fields = {name: read(kind / name) for name in ("available_instances", "device_api", "name", "description")
                      if (kind / name).exists()}
            fields["available_instances"] = int(fields["available_instances"])
            found.setdefault(path.name, {})[kind.name] = fields
    said = {name: {kind: fields for entry in entries for kind, fields in entry.items()}
            for part in json.loads(command("mdevctl", "types", "--dumpjson")) for name, entries in part.items()}
    same(said, found, "mdevctl's types and sysfs's")
    same(found[parent.name][parent.type]["available_instances"], parent.instances, "instances")
    text = command("mdevctl", "types", "--parent", parent.name)
    same(text.split()[:2], [parent.name, parent.type], "mdevctl types")


def define_starts_nothing():
    with defined(UUID, "--auto"):
        same(command("mdevctl", "list"), "", "mdevctl list")
        same(command("mdevctl", "list", "--defined"), f"{UUID} {parent.name} {parent.type} auto",
             "mdevctl list --defined")
        same(active(), {}, "sysfs")


def start_creates_the_device():
    with started("--auto"):
        same(active(), {parent.name: {UUID: parent.type}}, "sysfs")
        same(command("mdevctl", "list"), f"{UUID} {parent.name} {parent.type} auto (defined)", "mdevctl list")
        check_lists()
        same(int(read(types_path() / "available_instances")), parent.instances - 1, "available_instances")
        said = re.search(r"Available instances: (\d+)", command("mdevctl", "types", "--parent", parent.name))
        same(int(said[1]), parent.instances - 1, "mdevctl types")


def start_without_definition_creates_the_device():
    command("mdevctl", "start", "--uuid", UUID, "--parent", parent.name, "--type", parent.type)
    same(command("mdevctl", "list"), f"{UUID} {parent.name} {parent.type} manual", "mdevctl list")
    check_lists()
    command("mdevctl", "stop", "--uuid", UUID)
    same(active(), {}, "sysfs")


def start_twice_fails_and_changes_nothing():
    with started():
        refused("mdevctl", "start", "--uuid", UUID)
        check_lists()
        same(active(), {parent.name: {UUID: parent.type}}, "sysfs")


def start_of_an_unknown_type_fails():
    refused("mdevctl", "start", "--uuid", UUID, "--parent", parent.name, "--type", "no-such-type")
    same(active(), {}, "sysfs")


def stop_removes_the_device():
    with started():
        command("mdevctl", "stop", "--uuid", UUID)
        same(active(), {}, "sysfs")
        same(command("mdevctl", "list"), "", "mdevctl list")
        same(list(listed("--defined")), [parent.name], "parents with a definition")
        refused("mdevctl", "stop", "--uuid", UUID)


def stop_of_a_held_device_asks_its_holder():
    with started(), held("--request") as pid:
        command("mdevctl", "stop", "--uuid", UUID)
        check(not (DEVICES / UUID).exists(), "the device is still there")
        # The holder has no parent that reaps it, so it stays a zombie.
        until(lambda: ") Z " in read(f"/proc/{pid}/stat"), "the holder has ended by itself")


def stop_that_waits_can_be_given_up_and_repeated():
    with started(), held() as pid:
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen(["mdevctl", "stop", "--uuid", UUID], stdin=subprocess.DEVNULL) as stop:
                until(lambda: read(DEVICES / UUID / "request") == "1", "the removal waits")
                time.sleep(WAIT)
                same(stop.poll(), None, "mdevctl stop while the device is held")
                stop.send_signal(number)
                same(stop.wait(WAIT), -number, "mdevctl stop, after the signal")
            same(read(DEVICES / UUID / "holder").split()[0], str(pid), "the holder")
            same(read(DEVICES / UUID / "request"), "0", "request")
            check_lists()
            same(active(), {parent.name: {UUID: parent.type}}, "sysfs")
        with subprocess.Popen(["mdevctl", "stop", "--uuid", UUID], stdin=subprocess.DEVNULL) as stop:
            until(lambda: read(DEVICES / UUID / "request") == "1", "the removal waits")
            os.kill(pid, signal.SIGKILL)
            same(stop.wait(WAIT), 0, "mdevctl stop, after the holder's end")
        same(active(), {}, "sysfs")


def a_stopped_device_starts_again():
    with started():
        with held("--request"):
            command("mdevctl", "stop", "--uuid", UUID)
        command("mdevctl", "start", "--uuid", UUID)
        check_lists()
        same(active(), {parent.name: {UUID: parent.type}}, "sysfs")


def attributes_are_written_at_the_start():
    legacy = next(path.name for path in BUS.iterdir() if path.name.startswith("mdev_legacy"))
    kind = sorted(path.name for path in (BUS / legacy / "mdev_supported_types").iterdir())[0]
    with defined(OTHER, on=legacy, type=kind):
        command("mdevctl", "modify", "--uuid", OTHER, "--addattr", "legacy/iommu_device", "--value", "parent")
        command("mdevctl", "start", "--uuid", OTHER)
        same(read(DEVICES / OTHER / "legacy/iommu_device"), legacy, "the attribute")
        same(listed("--defined")[legacy][OTHER]["attrs"], [{"legacy/iommu_device": "parent"}], "mdevctl's attributes")


def a_refused_attribute_undoes_the_start():
    with defined():
        command("mdevctl", "modify", "--uuid", UUID, "--addattr", "request", "--value", "5")
        refused("mdevctl", "start", "--uuid", UUID)
        same(active(), {}, "sysfs")
        command("mdevctl", "modify", "--uuid", UUID, "--delattr", "--index", "0")
        command("mdevctl", "start", "--uuid", UUID)


def registration_starts_what_is_defined_so():
    with defined(UUID, "--auto"), defined(OTHER), udevd():
        parent.unregister()
        check(not (BUS / parent.name).exists(), "the parent is still registered")
        parent.register()
        until(lambda: (DEVICES / UUID).exists(), "the device was started")
        # udevd may be too busy to answer at once.
        until(lambda: attempt("udevadm", "settle")[0] == 0, "udev is done with its events")
        same(active(), {parent.name: {UUID: parent.type}}, "sysfs")
        same(command("mdevctl", "list"), f"{UUID} {parent.name} {parent.type} auto (defined)", "mdevctl list")


def unregistration_leaves_the_definition():
    with started("--auto"):
        parent.unregister()
        same(active(), {}, "sysfs")
        same(command("mdevctl", "list"), "", "mdevctl list")
        same(list(listed("--defined")), [parent.name], "parents with a definition")
        refused("mdevctl", "start", "--uuid", UUID)
        parent.register()
        command("mdevctl", "start", "--uuid", UUID)


def undefine_forgets_the_definition():
    with started():
        command("mdevctl", "undefine", "--uuid", UUID)
        same(command("mdevctl", "list", "--defined"), "", "mdevctl list --defined")
        same(command("mdevctl", "list"), f"{UUID} {parent.name} {parent.type} manual", "mdevctl list")
        command("mdevctl", "stop", "--uuid", UUID)
        refused("mdevctl", "start", "--uuid", UUID)


def lscss_lists_the_subchannel():
    with started():
        lines = [line.split() for line in command("lscss", "--vfio").splitlines()]
        found = [line for line in lines if UUID in line]
        check(len(found) == 1, f"lscss --vfio: {lines}")
        check(parent.name in found[0], f"lscss --vfio: {found[0]}, and the subchannel is {parent.name}")
    check(UUID not in command("lscss", "--vfio"), "lscss --vfio still lists a device that is gone")


TESTS = [types_are_those_of_sysfs, define_starts_nothing, start_creates_the_device,
         start_without_definition_creates_the_device, start_twice_fails_and_changes_nothing,
         start_of_an_unknown_type_fails, stop_removes_the_device, stop_of_a_held_device_asks_its_holder,
         stop_that_waits_can_be_given_up_and_repeated, a_stopped_device_starts_again,
         attributes_are_written_at_the_start, a_refused_attribute_undoes_the_start,
         registration_starts_what_is_defined_so, unregistration_leaves_the_definition,
         undefine_forgets_the_definition]
if isinstance(parent, Subchannel):
    TESTS.append(lscss_lists_the_subchannel)

code = run(TESTS)
parent.give_back()
sys.exit(code)
