# SPDX-License-Identifier: GPL-2.0
"""libvirt's node devices by virsh: the mediated devices and their parents."""

import contextlib
import functools
import os
import pathlib
import time
import xml.etree.ElementTree as ElementTree

from harness import attempt, check, same, until, write
from libvirt_host import virsh
from parents import BUS, DEVICES, active, parent

# How long libvirt's list may lag behind sysfs: in seconds, and in calls of virsh, which are slow on a loaded machine.
# udev also needs its time there. On an idle machine the list does not lag.
LAG, LAG_CALLS = 10, 3

_FILE = pathlib.Path("/tmp/device.xml")


def node(uuid):
    """libvirt's name of a device."""
    return f"mdev_{uuid}_{parent.name}".replace("-", "_").replace(".", "_")


@functools.cache
def parent_node():
    """libvirt's name of the parent: the name of the node device with the parent's path."""
    path = os.path.realpath(BUS / parent.name)
    found = [name for name in virsh("nodedev-list", "--cap", "mdev_types").split()
             if described(name).findtext("path") == path]
    same(len(found), 1, f"node devices of {path}")
    return found[0]


def described(name):
    return ElementTree.fromstring(virsh("nodedev-dumpxml", name))


def info(uuid):
    return {key.strip(): value.strip() for key, _, value in
            (line.partition(":") for line in virsh("nodedev-info", node(uuid)).splitlines()) if value}


def listed(*options):
    return set(virsh("nodedev-list", "--cap", "mdev", *options).split())


def in_sysfs():
    return {node(uuid) for entries in active().values() for uuid in entries}


def check_list():
    same(listed(), in_sysfs(), "libvirt's list and sysfs")


def check_list_follows():
    """Waits until libvirt's list follows a change of sysfs."""
    start = time.monotonic()
    found = listed()
    limit = max(LAG, LAG_CALLS * (time.monotonic() - start))
    begun = start
    while found != in_sysfs():
        begun = time.monotonic()
        check(begun - start < limit, f"libvirt's list is {found} after {limit:.1f} s, sysfs has {in_sysfs()}")
        found = listed()


def _describe(uuid):
    _FILE.write_text(f"<device><parent>{parent_node()}</parent><capability type='mdev'><type id='{parent.type}'/>"
                     f"<uuid>{uuid}</uuid></capability></device>\n")
    return str(_FILE)


def create(uuid):
    virsh("nodedev-create", _describe(uuid))


def destroy(uuid):
    virsh("nodedev-destroy", node(uuid))


@contextlib.contextmanager
def created(uuid):
    """A device without a definition, removed at the end if it still exists."""
    create(uuid)
    try:
        yield
    finally:
        _remove(uuid)


def another(uuid):
    """A second device, if the parent can have two."""
    return created(uuid) if parent.instances > 1 else contextlib.nullcontext()


@contextlib.contextmanager
def defined(uuid):
    virsh("nodedev-define", _describe(uuid))
    try:
        yield
    finally:
        _remove(uuid)
        attempt("virsh", "nodedev-undefine", node(uuid))


def _remove(uuid):
    if (DEVICES / uuid).exists():
        write(DEVICES / uuid / "remove", "1")
    until(lambda: node(uuid) not in listed(), "libvirt's list is without the device")
