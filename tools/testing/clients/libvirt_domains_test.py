# SPDX-License-Identifier: GPL-2.0
"""libvirt's domains, with QEMU as Debian has it: they get devices, lose them, and keep running without them."""

import contextlib
import signal
import subprocess
import sys

from harness import check, command, read, refused, run, same, until, write
from libvirt_devices import another, check_list, check_list_follows, created, destroy, in_sysfs, info, listed, node
from libvirt_domains import guest, running
from libvirt_host import libvirt, reap_orphans, virsh
from libvirt_logs import logs_have_nothing_unexpected
from parents import DEVICES, parent

UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
OTHER = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"


def waiting():
    """Returns whether a request for the device is pending."""
    return read(DEVICES / UUID / "request") == "1"


def check_held():
    """virsh does not wait for the holder."""
    said = refused("virsh", "nodedev-destroy", node(UUID))
    check("device in use" in said, said)


@contextlib.contextmanager
def removal():
    """Runs mdevctl stop for a device whose guest does not agree. Yields the process once it waits."""
    with subprocess.Popen(["mdevctl", "stop", "--uuid", UUID], stdin=subprocess.DEVNULL) as process:
        try:
            until(waiting, "the removal waits")
            yield process
            same(process.poll(), None, "mdevctl stop while the device is held")
        finally:
            process.send_signal(signal.SIGINT)
    same(process.returncode, -signal.SIGINT, "mdevctl stop, after the signal")


def a_domain_holds_its_device_until_it_is_destroyed():
    with created(UUID):
        with running("holds", UUID) as domain:
            domain.is_at_work()
            domain.check(UUID)
            check("qemu" in read(DEVICES / UUID / "holder"), "QEMU is not the holder")
            check_held()
            domain.check(UUID)
            virsh("destroy", domain.name)
            same(read(DEVICES / UUID / "holder"), "", "the holder")
        destroy(UUID)
        same(in_sysfs(), set(), "sysfs")


def a_device_is_attached_and_detached():
    with created(UUID), running("attached") as domain:
        domain.attach(UUID)
        domain.is_at_work()
        domain.check(UUID)
        domain.detach(UUID)
        domain.says(guest.gone)
        domain.check()
        same(read(DEVICES / UUID / "holder"), "", "the holder")


def removal_takes_the_device_from_a_guest_that_agrees():
    removals = [lambda: write(DEVICES / UUID / "remove", "1"), lambda: command("mdevctl", "stop", "--uuid", UUID)]
    with running("agrees") as domain:
        for remove in removals:
            with created(UUID):
                domain.attach(UUID)
                domain.is_at_work()
                remove()
                same(in_sysfs(), set(), "sysfs")
                check_list_follows()
                domain.says(guest.gone)
                domain.has_lost_its_devices()


def a_removal_that_waits_keeps_nobody_else_and_can_be_repeated():
    with created(UUID), running("refuses", UUID, words=guest.refuses) as domain:
        domain.is_at_work()
        with removal():
            domain.says(guest.refusal)
            check_list()
            same(info(UUID)["Active"], "yes", "active")
            domain.check(UUID)
            with created(OTHER):
                check_list()
                destroy(OTHER)
            check_held()
        same(read(DEVICES / UUID / "request"), "0", "request")
        domain.check(UUID)
        check_list()
        with subprocess.Popen(["mdevctl", "stop", "--uuid", UUID], stdin=subprocess.DEVNULL) as process:
            until(waiting, "the removal waits")
            virsh("destroy", domain.name)
            same(process.wait(), 0, "mdevctl stop, after the domain's end")
        same(in_sysfs(), set(), "sysfs")
        check_list_follows()


def a_revoked_device_leaves_the_domain_running():
    with created(UUID), running("revoked", UUID, words=guest.refuses) as domain:
        domain.is_at_work()
        # Some seconds later virsh reports the device as detached. If the guest refuses, the domain still has the
        # device.
        domain.detach(UUID)
        domain.says(guest.refusal)
        domain.check(UUID)
        write(DEVICES / UUID / "revoke", "1")
        same(in_sysfs(), set(), "sysfs")
        until(lambda: not listed(), "libvirt's list is without the device")
        domain.says(guest.gone)
        domain.detach(UUID)
        domain.check(UUID)
        # The UUID is free in sysfs, but libvirt refuses it for another domain.
        with created(UUID), running("second") as second:
            check_list()
            said = refused("virsh", "attach-device", second.name, second.file(UUID))
            check(f"is in use by driver QEMU, domain {domain.name}" in said, said)
            virsh("destroy", domain.name)
            second.attach(UUID)
            second.is_at_work()
            second.check(UUID)


def a_restarted_libvirtd_has_all():
    with created(UUID), another(OTHER), running("restarted", UUID) as domain:
        domain.is_at_work()
        libvirtd.restart()
        check_list()
        same(virsh("list", "--name"), domain.name, "virsh list")
        domain.check(UUID)
        check_held()
        domain.detach(UUID)
        domain.says(guest.gone)
        domain.check()


TESTS = [a_domain_holds_its_device_until_it_is_destroyed, a_device_is_attached_and_detached,
         removal_takes_the_device_from_a_guest_that_agrees]
if guest.refuses is not None:
    TESTS += [a_removal_that_waits_keeps_nobody_else_and_can_be_repeated, a_revoked_device_leaves_the_domain_running]
TESTS += [a_restarted_libvirtd_has_all, logs_have_nothing_unexpected]

reap_orphans()
with libvirt() as libvirtd:
    code = run(TESTS)
parent.give_back()
sys.exit(code)
