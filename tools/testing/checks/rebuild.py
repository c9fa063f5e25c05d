# SPDX-License-Identifier: GPL-2.0
"""
Builds for two kernels in turn, twice: with make in the tree, and as the runner does, from a farm of links for each
kernel. Neither may disturb the other: the second time gives the same modules, and compiles no file that has not
changed.
"""

import hashlib
import itertools
import shutil
import subprocess

import build
import config
import packages
from config import BUILD, LOGS, TOP
from report import FAILED, PASSED, SKIPPED, Failure

WHO = "build"
PLACE = BUILD / "rebuild"


def copy_tree(into):
    """Copies the files that git knows or would add, as they are now."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=TOP, text=True, check=True,
                             stdout=subprocess.PIPE).stdout
    for name in filter(None, listing.split("\0")):
        if (TOP / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, into / name)


def two_kernels(targets):
    """The first two kernels of one architecture: make in the tree keeps the objects of only one architecture."""
    for _, group in itertools.groupby(sorted(targets, key=lambda target: target.arch.name),
                                      key=lambda target: target.arch.name):
        if len(two := list(group)[:2]) == 2:
            return two
    return []


def times(folder):
    """The time at which each file was built."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns
            for pattern in ("*.o", "*.ko", "features.h") for path in folder.rglob(pattern) if not path.is_symlink()}


def modules(folder, target):
    """A hash of each module without its type information: pahole's threads write that in varying order."""
    found = {}
    for path in folder.rglob("*.ko"):
        copy = path.with_suffix(".without-types")
        packages.run([f"{target.arch.cross_compile}objcopy", "--remove-section=.BTF", path, copy])
        found[str(path.relative_to(folder))] = hashlib.sha256(copy.read_bytes()).hexdigest()
        copy.unlink()
    return found


def differing(before, after):
    return " ".join(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))[:8])


class Builder:
    """A copy of the tree, and a farm for each kernel."""

    def __init__(self, report):
        self._report = report
        self._tree = PLACE / "tree"
        shutil.rmtree(PLACE, ignore_errors=True)
        self._tree.mkdir(parents=True)
        copy_tree(self._tree)

    def in_tree(self, target, kernel):
        build.run_make(["-C", self._tree, f"KDIR={kernel.headers}"], LOGS / f"rebuild-tree-{target.name}.log")
        return self._tree

    def in_farm(self, target, kernel):
        farm = PLACE / target.name
        build.build_modules(target, kernel, LOGS / f"rebuild-farm-{target.name}", farm, top=self._tree)
        return farm

    def result(self, name, differ, what):
        """Reports one result: passed if nothing differs."""
        if differ:
            self._report.result(WHO, name, FAILED, f"{what}: {differ}")
        else:
            self._report.result(WHO, name, PASSED)


def first_round(builder, target, kernel):
    """Returns what the second round has to match: the modules of the tree, and the times of the farm's files."""
    tree, farm = builder.in_tree(target, kernel), builder.in_farm(target, kernel)
    here, there = modules(tree, target), modules(farm, target)
    if len(here) < 2 or len(there) < 2:
        raise Failure(f"{target.name}: only {' '.join(here | there)} were built")
    before = times(tree)
    builder.in_tree(target, kernel)
    builder.result(f"{target.name}: make at once again builds nothing", differing(before, times(tree)), "built again")
    return here, times(farm)


def second_round(builder, target, kernel, here, there):
    tree, farm = builder.in_tree(target, kernel), builder.in_farm(target, kernel)
    builder.result(f"{target.name}: make after another kernel's gives the same modules",
                   differing(here, modules(tree, target)), "other modules")
    builder.result(f"{target.name}: the runner, after make and another kernel, builds nothing",
                   differing(there, times(farm)), "built again")


def rounds(kernels, report):
    builder = Builder(report)
    wanted = {}
    for target, kernel in kernels:
        report.say(WHO, f"for {target.name}, in the tree and in a farm")
        wanted[target.name] = first_round(builder, target, kernel)
    for target, kernel in kernels:
        report.say(WHO, f"for {target.name} again")
        second_round(builder, target, kernel, *wanted[target.name])


def run(args, report):
    LOGS.mkdir(parents=True, exist_ok=True)
    targets = [config.load_target(name) for name in args.target or config.target_names()]
    kernels = two_kernels([target for target in targets if target.headers and not target.toolchain])
    if not kernels:
        report.result(WHO, "two kernels in turn", SKIPPED, "there are no two kernels of one architecture among these")
        return
    kernels = [(target, packages.fetch(target, report, args.refresh)) for target in kernels]
    with config.locked(PLACE):
        try:
            rounds(kernels, report)
        except Failure as failure:
            report.result(WHO, "two kernels in turn", FAILED, str(failure))
