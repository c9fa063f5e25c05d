# SPDX-License-Identifier: GPL-2.0
"""Builds a kernel from Debian's source with our own options, for a target that names files of options."""

import json
import re
import subprocess

import packages
from build import run_make
from config import HERE
from report import Failure

_OPTION = re.compile(r"^(?:# )?(CONFIG_\w+)(?:=(.*)| is not set)$", re.MULTILINE)


def _options(text):
    """Parses {name: value}. An option that is not set has the value "n"."""
    return {name: value or "n" for name, value in _OPTION.findall(text)}


def _configure(tree, options, logs):
    """Sets the options on top of tinyconfig. kbuild silently drops an option that lacks a dependency."""
    run_make(["-C", tree, "tinyconfig"], logs / "build-kernel-tinyconfig.log")
    with open(tree / ".config", "a") as file:
        file.writelines(f"{name}={value}\n" for name, value in options.items())
    run_make(["-C", tree, "olddefconfig"], logs / "build-kernel-config.log")
    have = _options((tree / ".config").read_text())
    if lost := [f"{name} is {have.get(name, 'n')}, not {value}" for name, value in options.items()
                if have.get(name, "n") != value]:
        raise Failure(f"kbuild has not taken these options: {', '.join(lost)}")


def build(target, kernel, logs, report):
    """Builds the kernel, unless that is done already. The tree is also the kernel's headers."""
    tree = target.dir / "linux"
    options = _options("".join((HERE / "targets" / name).read_text() for name in target.config))
    compiler = f"{target.arch.cross_compile}{target.compiler}"
    version = subprocess.run([compiler, "--version"], text=True, check=True, stdout=subprocess.PIPE).stdout
    # kbuild leaves absolute paths in its files, so the folder counts, too.
    wanted = [str(tree), kernel.source_package.name, version, options]
    stamp = tree / ".built"
    have = json.loads(stamp.read_text()) if stamp.exists() else {}
    if have.get("wanted") != wanted:
        report.say(target.name, f"building a kernel of {kernel.source_package.stem} with {' '.join(target.config)}: "
                   "ten minutes on two cores")
        packages.unpack_source(kernel.source_package, tree)
        stamp.unlink(missing_ok=True)
        # Debian's Makefile reads this file, also for modules.
        (tree / ".kernelvariables").write_text(
            f"ARCH := {target.arch.kernel_name}\nCROSS_COMPILE := {target.arch.cross_compile}\n"
            f"CC := {compiler}\nHOSTCC := {target.compiler}\n")
        _configure(tree, options, logs)
        run_make(["-C", tree, "all"], logs / "build-kernel.log")
        have = {"wanted": wanted}
        for name in ("kernelrelease", "image_name"):
            have[name] = run_make(["-s", "-C", tree, name], logs / f"build-kernel-{name}.log").strip()
        stamp.write_text(json.dumps(have))
    kernel.release = have["kernelrelease"]
    kernel.image = tree / have["image_name"]
    kernel.headers = tree
    # kbuild leaves each module in its folder of the tree.
    kernel.modules = tree / "drivers"
