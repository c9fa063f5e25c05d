# SPDX-License-Identifier: GPL-2.0
"""The modules that modprobe loads: their files in /lib/modules, and what the kernel says of them."""

import os
import pathlib

from harness import check, command, read, same

MODULES = pathlib.Path("/lib/modules")
LOADED = pathlib.Path("/sys/module")

# The modules that were loaded before; they stay.
BASE = set(os.listdir(LOADED))


def file_of(name, *folders, release=os.uname().release):
    """The only file of a module, in these folders of /lib/modules/RELEASE."""
    found = [path for folder in folders for path in (MODULES / release / folder).rglob(f"{name}.ko*")]
    same(len(found), 1, f"files of {name} in {folders}")
    return str(found[0])


def check_loaded(name, file):
    """Checks that the loaded module is from that file. srcversion is a checksum of the source."""
    for field in ("version", "srcversion"):
        same(read(LOADED / name / field), command("modinfo", "--field", field, file),
             f"{field} of the {name} that is loaded")


def unload():
    """Unloads our modules, users first."""
    while there := [name for name in os.listdir(LOADED) if name not in BASE]:
        idle = [name for name in there if not os.listdir(LOADED / name / "holders")]
        check(idle, f"{there} cannot be unloaded")
        command("rmmod", idle[0])
