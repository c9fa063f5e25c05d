# SPDX-License-Identifier: GPL-2.0
"""Runs libvirt on a disk on which no packages' scripts ran: makes the scripts' files, and starts the daemons."""

import contextlib
import ctypes
import os
import pathlib
import socket
import subprocess
import sys

from harness import attempt, command, until
from udev import udevd

LOG = pathlib.Path("/tmp/libvirtd.log")
HOST = "vm"

PR_SET_CHILD_SUBREAPER = 36

# The files that the packages' scripts and an administrator make. libvirtd logs warnings and errors into a file.
_FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
                   "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin\n",
    "/etc/group": "root:x:0:\nkvm:x:64056:libvirt-qemu\nlibvirt:x:64057:\nlibvirt-qemu:x:64055:libvirt-qemu\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "/etc/hosts": f"127.0.0.1 localhost {HOST}\n",
    "/etc/libvirt/libvirtd.conf": f'log_level = 3\nlog_outputs = "3:file:{LOG}"\n',
    "/etc/libvirt/qemu.conf": "cgroup_controllers = []\nnamespaces = []\n",
}
_LINKS = {"/var/run": "/run", "/dev/fd": "/proc/self/fd", "/dev/stdin": "fd/0", "/dev/stdout": "fd/1",
          "/dev/stderr": "fd/2"}

os.environ["LIBVIRT_DEFAULT_URI"] = "qemu:///system"


def virsh(*argv):
    return command("virsh", "--quiet", *argv)


def reap_orphans():
    """
    Continues in a child. This process reaps orphans, as the first process of a system does. A QEMU is an orphan, and
    libvirt waits until it is reaped.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    while child:
        pid, status = os.wait()
        if pid == child:
            sys.exit(os.waitstatus_to_exitcode(status))


def _make_files():
    for name, text in _FILES.items():
        pathlib.Path(name).write_text(text)
    if not os.path.islink("/var/run"):
        os.rmdir("/var/run")
    for name, to in _LINKS.items():
        if not os.path.lexists(name):
            os.symlink(to, name)
    socket.sethostname(HOST)


@contextlib.contextmanager
def _daemon(*argv):
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


class Libvirtd:
    def __init__(self):
        self._start()

    def _start(self):
        self._process = subprocess.Popen(["libvirtd"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL)
        until(lambda: attempt("virsh", "version")[0] == 0, "libvirtd answers")

    def close(self):
        self._process.terminate()
        self._process.wait()

    def restart(self):
        self.close()
        self._start()


@contextlib.contextmanager
def libvirt():
    """Runs all daemons; yields libvirtd, which a test can restart."""
    _make_files()
    with udevd():
        command("udevadm", "trigger", "--action=add")
        until(lambda: attempt("udevadm", "settle")[0] == 0, "udev is done with its events")
        with _daemon("virtlogd"), contextlib.closing(Libvirtd()) as libvirtd:
            yield libvirtd
