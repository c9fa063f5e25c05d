# SPDX-License-Identifier: GPL-2.0
"""
mdevs prints what sysfs says: as a table, as JSON, as metrics, and each change while it watches. KubeVirt finds what it
reads in sysfs, and so does libvirt for OpenStack Nova.
"""

import contextlib
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import threading
import time

from harness import LIMIT, attempt, check, command, read, run, same, until, write
from parents import BUS, DEVICES

MDEVS = "/tests/mdevs"
TYPES = BUS / "mtty/mdev_supported_types"
METRICS = pathlib.Path("/tmp/mdevs.prom")

UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
OTHER = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"

# Seconds between two looks at sysfs. It is so long that mdevs prints a change only because of an event.
NEVER = "3600"

# A user who is not root.
NOBODY = 65534

# Only our mdev.ko has tracepoints, and only it shows holders and requests.
OURS = pathlib.Path("/sys/kernel/tracing/events/mdev").exists()


@contextlib.contextmanager
def made(uuid=UUID, kind="mtty-1"):
    write(TYPES / kind / "create", uuid)
    try:
        yield DEVICES / uuid
    finally:
        if (DEVICES / uuid).exists():
            write(DEVICES / uuid / "remove", "1")


@contextlib.contextmanager
def held(uuid=UUID):
    """A holder that cannot be asked; yields its PID."""
    # A pipe would stay open in the holder.
    same(subprocess.call(["/tests/demo/vfio_hold", uuid], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL), 0,
         "vfio_hold")
    pid = int(read(DEVICES / uuid / "holder").split()[0])
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if (DEVICES / uuid).exists():
            until(lambda: not read(DEVICES / uuid / "holder"), "the device is released")


class Watch:
    """mdevs --watch, and the lines that it prints."""

    def __init__(self, process):
        self._pipe = process.stdout

    def line(self):
        check(select.select([self._pipe], [], [], LIMIT)[0], "mdevs --watch prints nothing")
        line = self._pipe.readline().decode()
        check(line, "mdevs --watch has ended")
        return line

    def line_with(self, text):
        while text not in self.line():
            pass

    def devices(self):
        return json.loads(self.line())["devices"]

    def devices_become(self, wanted):
        """Waits for these devices. mdevs may show a removal in several steps."""
        while self.devices() != wanted:
            pass


@contextlib.contextmanager
def watching(*options):
    # Unbuffered, so that the test can wait for lines on the pipe.
    with subprocess.Popen([MDEVS, "--watch", *options], bufsize=0, stdout=subprocess.PIPE) as process:
        try:
            yield Watch(process)
        finally:
            process.terminate()


def expected(uuid):
    """A device according to sysfs, in the form in which mdevs prints it."""
    device = DEVICES / uuid
    holder = read(device / "holder")
    pid, _, name = holder.partition(" ")
    return {"uuid": uuid, "type": (device / "mdev_type").resolve().name, "parent": device.resolve().parent.name,
            "held": holder != "", "holder": {"pid": int(pid), "name": name, "exited": False} if holder else None,
            "pending": read(device / "request") == "1",
            "pending_since": int(read(device / "request_since")) or None,
            "request_count": int(read(device / "request_count"))}


def types():
    return [{"type": path.name, "parent": "mtty", "devices": len(list((path / "devices").iterdir())),
             "available_instances": int(read(path / "available_instances"))} for path in sorted(TYPES.iterdir())]


def check_all():
    """Compares JSON, table and metrics with sysfs; returns the table's rows."""
    devices = [expected(path.name) for path in sorted(DEVICES.iterdir())]
    same(json.loads(command(MDEVS, "--json")), {"devices": devices, "types": types()}, "mdevs --json")
    rows = [re.split("  +", line) for line in command(MDEVS).splitlines()]
    same(rows[0], ["DEVICE", "TYPE", "PARENT", "HOLDER", "PENDING SINCE", "REQUESTS"], "the table's head")
    same([row[:3] for row in rows[1:]], [[device["uuid"], device["type"], device["parent"]] for device in devices],
         "the table")
    check_metrics(devices, metrics(command(MDEVS, "--prometheus")))
    return rows[1:]


def metrics(text):
    """Parses metrics that promtool accepts: {name: {(labels, …): value}}."""
    done = subprocess.run(["promtool", "check", "metrics"], input=f"{text}\n", text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    same((done.returncode, done.stdout), (0, ""), "promtool")
    found = {}
    for name, labels, value in re.findall(r"^(\w+){(.*)} (\S+)$", text, re.MULTILINE):
        found.setdefault(name, {})[tuple(re.findall(r'(?:^|,)\w+="([^"]*)"', labels))] = int(value)
    return found


def check_metrics(devices, found):
    keys = {device["uuid"]: (device["uuid"], device["parent"], device["type"]) for device in devices}
    same(found["mdev_devices"], {("mtty", kind["type"]): kind["devices"] for kind in types()}, "mdev_devices")
    same(found["mdev_available_instances"],
         {("mtty", kind["type"]): kind["available_instances"] for kind in types()}, "mdev_available_instances")
    same(found.get("mdev_held", {}), {keys[device["uuid"]]: int(device["held"]) for device in devices}, "mdev_held")
    same(found.get("mdev_requests", {}), {keys[device["uuid"]]: device["request_count"] for device in devices},
         "mdev_requests")
    for device in devices:
        seconds = found["mdev_request_pending_seconds"][keys[device["uuid"]]]
        since = device["pending_since"]
        wanted = time.time() - since if since else 0
        check(abs(seconds - wanted) < 30, f"pending for {seconds} s instead of {wanted}")


def without_mdev_it_says_so():
    command("rmmod", "mtty", "mdev")
    try:
        for options in ((), ("--json",), ("--prometheus",), ("--watch",)):
            same(attempt(MDEVS, *options), (1, "mdevs: mdev.ko is not loaded on this host: there is no /sys/bus/mdev"),
                 f"mdevs {options}")
    finally:
        command("insmod", "/modules/mdev.ko")
    same(command(MDEVS), "DEVICE  TYPE  PARENT  HOLDER  PENDING SINCE  REQUESTS", "mdevs without a parent")
    command("insmod", "/modules/mtty.ko")


def a_host_without_devices_has_an_empty_table():
    same(check_all(), [], "the table")


def devices_that_nobody_holds_are_listed():
    with made(), made(OTHER, "mtty-2"):
        rows = check_all()
        same([row[3:] for row in rows], [["none", "none", "0"]] * 2, "holders and requests")


def what_the_kernels_own_mdev_does_not_tell_is_not_made_up():
    with made():
        same(json.loads(command(MDEVS, "--json")),
             {"devices": [{"uuid": UUID, "type": "mtty-1", "parent": "mtty", "held": None, "holder": None,
                           "pending": None, "pending_since": None, "request_count": None}], "types": types()},
             "mdevs --json")
        same(command(MDEVS).splitlines()[1].split(), [UUID, "mtty-1", "mtty", "-", "-", "-"], "the table")
        same(sorted(metrics(command(MDEVS, "--prometheus"))), ["mdev_available_instances", "mdev_devices"], "metrics")


def the_holder_is_named():
    with made(), made(OTHER), held(OTHER) as pid:
        same([row[3] for row in check_all()], ["none", f"vfio_hold ({pid})"], "holders")


def a_pending_request_is_told():
    with made(), held():
        write(DEVICES / UUID / "request", "1")
        since = int(read(DEVICES / UUID / "request_since"))
        row = check_all()[0]
        same(row[4:], [time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since)), "1"], "the request")
        write(DEVICES / UUID / "request", "1")
        same(check_all()[0][5], "2", "requests")
        write(DEVICES / UUID / "request", "0")
        same(check_all()[0][4:], ["none", "0"], "the request, cancelled")


def who_is_not_root_sees_all_but_the_holder():
    with made(), held():
        write(DEVICES / UUID / "request", "1")
        done = subprocess.run([MDEVS, "--json"], user=NOBODY, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        same((done.returncode, done.stderr), (0, "mdevs: only root can see the holders\n"), "mdevs")
        same(json.loads(done.stdout)["devices"], [{**expected(UUID), "held": None, "holder": None}], "the devices")


def watching_shows_what_events_tell():
    with watching(NEVER, "--json") as watch:
        same(watch.devices(), [], "at first")
        with made(), held():
            write(DEVICES / UUID / "request", "1")
            watch.devices_become([expected(UUID)])
            write(DEVICES / UUID / "request", "0")
            watch.devices_become([expected(UUID)])
            write(DEVICES / UUID / "revoke", "1")
            watch.devices_become([])


def watching_looks_at_what_no_event_tells():
    with made(), watching("0.5") as watch:
        watch.line_with(" none ")
        with held() as pid:
            watch.line_with(f" vfio_hold ({pid}) ")


def revocations_are_counted_while_it_watches():
    METRICS.unlink(missing_ok=True)
    with watching(NEVER, "--prometheus", "--output", METRICS):
        until(METRICS.exists, "the file is written")
        for count in (0, 1, 2):
            until(lambda: metrics(METRICS.read_text())["mdev_revocations_total"] == {("mtty",): count},
                  f"{count} revocations are counted")
            with made(), held():
                write(DEVICES / UUID / "revoke", "1")


def devices_that_come_and_go_are_shown_whole_or_not_at_all():
    stop = threading.Event()

    def churn(uuid):
        while not stop.is_set():
            with made(uuid):
                pass

    threads = [threading.Thread(target=churn, args=(uuid,)) for uuid in (UUID, OTHER)]
    for thread in threads:
        thread.start()
    try:
        with watching("0.001", "--json") as watch:
            seen = [watch.devices() for _ in range(100)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    found = [device for devices in seen for device in devices]
    check(found, "no device was seen")
    same([device for device in found if None in (device["held"], device["pending"], device["request_count"])], [],
         "devices that are shown in part")


def kubevirt_finds_types_and_devices():
    """The files that virt-handler reads: the type's name, the parent in the link's text, the group, /dev/vfio/GROUP."""
    for kind in BUS.glob("*/mdev_supported_types/*"):
        check(read(kind / "name").replace(" ", "_"), f"{kind} has no name")
        check(re.fullmatch(r"\d+\n", (kind / "available_instances").read_text()), f"{kind}: available_instances")
    with made():
        link = os.readlink(DEVICES / UUID)
        same(link.split("/")[-2:], ["mtty", UUID], "the end of the device's link")
        check(len(link.split("/")) >= 5, f"the device's link is short: {link}")
        same(read(DEVICES / UUID / "mdev_type/name"), read(TYPES / "mtty-1/name"), "the type's name")
        same(os.path.basename(os.readlink(DEVICES / UUID / "mdev_type")), "mtty-1", "the type")
        group = os.path.basename(os.readlink(DEVICES / UUID / "iommu_group"))
        check(pathlib.Path("/dev/vfio", group).is_char_device(), f"there is no /dev/vfio/{group}")
        write(DEVICES / UUID / "remove", "1")
        until(lambda: not pathlib.Path("/dev/vfio", group).exists(), "the group's file goes with the device")


def libvirt_finds_types_and_devices_for_nova():
    """The files that its node device driver reads: three attributes of a type; type, group and parent of a device."""
    for kind in TYPES.iterdir():
        check(read(kind / "device_api").startswith("vfio-"), f"{kind}: device_api")
        check(read(kind / "name"), f"{kind} has no name")
        check(int(read(kind / "available_instances")) >= 0, f"{kind}: available_instances")
    # Nova writes the UUID without a newline. Cyborg removes the device by the link to it in its type.
    write(BUS / "mtty/mdev_supported_types/mtty-1/create", UUID)
    device = DEVICES / UUID
    same(device.resolve().parent, (BUS / "mtty").resolve(), "the parent")
    same((device / "mdev_type").resolve().name, "mtty-1", "the type")
    check((device / "iommu_group").resolve().name.isdigit(), "the group is no number")
    same((device / "subsystem").resolve().name, "mdev", "the subsystem")
    write(TYPES / "mtty-1/devices" / UUID / "remove", "1")
    check(not device.exists(), "the device is still there")


REQUESTS = [devices_that_nobody_holds_are_listed, the_holder_is_named, a_pending_request_is_told,
            who_is_not_root_sees_all_but_the_holder, watching_shows_what_events_tell,
            watching_looks_at_what_no_event_tells, revocations_are_counted_while_it_watches,
            devices_that_come_and_go_are_shown_whole_or_not_at_all]

sys.exit(run([without_mdev_it_says_so, a_host_without_devices_has_an_empty_table,
              *(REQUESTS if OURS else [what_the_kernels_own_mdev_does_not_tell_is_not_made_up]),
              kubevirt_finds_types_and_devices, libvirt_finds_types_and_devices_for_nova]))
