# SPDX-License-Identifier: GPL-2.0
"""The logs of libvirtd and of the domains. Each line needs an explanation."""

import pathlib
import re

from harness import check
from libvirt_host import LOG

DOMAINS = pathlib.Path("/var/log/libvirt/qemu")

# The expected lines: the log, the line, and the explanation. A domain's log has the domain's name.
KNOWN = (
    ("libvirtd", r": info : ", "libvirtd names itself"),
    ("libvirtd", r"Unable to open /dev/kvm", "these machines have no KVM"),
    ("libvirtd", r"is tainted: custom-argv$", "a guest's console is an argument of QEMU's"),
    (".*", r": Domain id=\d+ is tainted: custom-argv$", "a guest's console is an argument of QEMU's"),
    (".*", r": shutting down, reason=destroyed$", "the tests end domains so"),
    (".*", r"qemu-system-\S+: terminating on signal 15 from pid ", "the tests end domains so"),
    (".*", r"\bgroup ID \d+: KVM VFIO device isn't created yet$", "QEMU says so at each unplug without KVM"),
    ("libvirtd", r": Unable to find address for mdev parent device '",
     "libvirt looks at a parent that is being unregistered"),
    ("libvirtd", r": Unable to destroy 'mdev_\w+': device in use$", "the tests try to destroy held devices"),
    ("libvirtd", r"virMediatedDeviceGetIOMMUGroupNum:\d+ : failed to access '\S+/iommu_group': No such file",
     "the device is removed before libvirt takes it out of the domain"),
    ("libvirtd", r": Failed to restore host device labelling$",
     "the device is removed before libvirt takes it out of the domain"),
    ("libvirtd", r"udevProcessMediatedDevice:\d+ : failed to wait for file '\S+/mdev_type' to appear: No such file",
     "libvirt takes the uevents of a revocation for a new device"),
    ("libvirtd", r"mediated device \S+ is in use by driver QEMU, domain ",
     "the tests try to give a device to two domains"),
    ("revoked", r": vfio_pci_read_config\(\S+ 0x0, 0x4\) failed: No such ", "the guest looks whether its card is back"),
)


def _messages(text):
    """The lines of a domain's log, without QEMU's command. A backslash ends each line of that but the last."""
    command = False
    for line in text.splitlines():
        began = ": starting up libvirt " in line
        if not command and not began:
            yield line
        command = began or command and line.endswith("\\")


def logs_have_nothing_unexpected():
    logs = {"libvirtd": LOG.read_text().splitlines()}
    logs |= {path.stem: list(_messages(path.read_text())) for path in sorted(DOMAINS.glob("*.log"))}
    lines = [f"{name}: {line}" for name, lines in logs.items() for line in lines
             if line and not any(re.fullmatch(log, name) and re.search(known, line) for log, known, _ in KNOWN)]
    check(not lines, "\n".join([f"{len(lines)} lines", *lines[:40]]))
