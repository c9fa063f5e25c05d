# SPDX-License-Identifier: GPL-2.0
"""Reads what is data: architectures, targets (kernels), and the lists of tests."""

import contextlib
import dataclasses
import fcntl
import pathlib
import re
import tomllib

from report import Failure

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[2]
BUILD = TOP / "build"
LOGS = BUILD / "logs"


@dataclasses.dataclass
class Arch:
    name: str
    kernel_name: str        # what the kernel's Makefile calls it
    cross_compile: str
    image_suffix: str
    qemu: list
    cmdline: str
    channel: str
    channel_modules: list
    disk_device: str        # QEMU's device for a disk
    boot_limit: int


@dataclasses.dataclass
class Disk:
    """Debian packages that a guest finds mounted."""
    package: str            # with all that it depends on
    suites: list
    keep: list              # files and folders of all these packages; the rest is left out


@dataclasses.dataclass
class Target:
    name: str
    arch: Arch
    suites: list
    source: str
    tools: str
    compiler: str
    packages: list
    modules: list
    programs: list = dataclasses.field(default_factory=list)    # static ones of the packages, beside busybox
    image: str = ""         # Debian's image and headers, or
    headers: str = ""
    config: list = dataclasses.field(default_factory=list)  # files in targets/: options to build the source with
    # Packages of the suites with the compiler that the kernel was built with, where the host has none
    toolchain: list = dataclasses.field(default_factory=list)
    # Modules that Debian does not build, to measure against, and their folders in the source. None: no peer at all.
    peer: dict = dataclasses.field(default_factory=dict)
    # Drivers of the kernel's own interface, which tests have run on our mdev.ko, and their folders in the source
    drivers: dict = dataclasses.field(default_factory=dict)
    qemu: list = dataclasses.field(default_factory=list)        # more than the architecture's
    cmdline: str = ""
    slower: int = 1         # how often the time that another kernel's guest takes: time limits are as much longer
    long: bool = False      # only where it is asked for, and in the long set
    like: str = ""          # the target whose kernel it has, and all else that it does not say
    machine: str = "qemu"   # see MACHINES in boot.py; on another one only what names the target runs
    boot_limit: int = 0     # instead of the architecture's
    disk_modules: list = dataclasses.field(default_factory=list)    # what a guest needs to mount a disk
    disks: dict = dataclasses.field(default_factory=dict)           # {name: what is on it}; see Disk

    @property
    def dir(self):
        return BUILD / (self.like or self.name)

    @property
    def version(self):
        """The kernel's: (6, 12), say."""
        return tuple(map(int, self.name.split("-")[1].split(".")))


@dataclasses.dataclass
class Test:
    name: str
    limit: int              # seconds of the user's time
    reason: str             # why that limit
    program: str = ""       # a built program's or a script's path below tools/testing, or
    script: str = ""        # the text of a script for the guest's shell
    arguments: list = dataclasses.field(default_factory=list)   # of the program
    purpose: str = ""       # where no program says it in its first comment
    needs: list = dataclasses.field(default_factory=list)       # other built files, which the program uses
    disk: str = ""          # one of the target's disks, mounted while the boot lasts
    packages: list = dataclasses.field(default_factory=list)    # Debian packages that it runs in
    suites: list = dataclasses.field(default_factory=list)      # where these come from, beside the target's suites
    # Built here: ours by their names, those of the kernel's source (a target's drivers) as kernel/NAME
    modules: list = dataclasses.field(default_factory=list)
    drivers: list = dataclasses.field(default_factory=list)     # Debian's modules, loaded then with all that they need
    peer_modules: list = dataclasses.field(default_factory=list)    # where others stand in with the kernel's own mdev
    targets: list = dataclasses.field(default_factory=list)     # kernels or architectures; none: all
    peer: list = dataclasses.field(default_factory=list)        # where it can run with the kernel's own modules
    output: str = "tap"     # or "plain": its exit code is the result, or "stream": that, and shown as it comes
    qemu: list = dataclasses.field(default_factory=list)
    host: list = dataclasses.field(default_factory=list)        # a program on the host, which the test can talk to
    cmdline: str = ""
    environment: dict = dataclasses.field(default_factory=dict)     # of the program
    boot: str = ""          # tests with the same name here (and flags) share one boot
    boot_limit: int = 0     # instead of the architecture's
    waits: bool = False     # most of the time: other guests can have the CPU
    long: bool = False      # only where it is asked for, and in the long set
    long_on: list = dataclasses.field(default_factory=list)     # kernels on which it is so
    known: list = dataclasses.field(default_factory=list)       # reports in the kernel's log that are not about us
    left: list = dataclasses.field(default_factory=list)        # what others' modules leave behind
    expect: list = dataclasses.field(default_factory=list)      # tests of the runner: the failures to report

    @property
    def root(self):
        """Which disk of packages it runs in, if any: the packages, and the suites beside the target's."""
        return (tuple(self.packages), tuple(self.suites)) if self.packages else None

    def short(self):
        """The test, without the kernels where it is in the long set only."""
        if not self.long_on:
            return self
        return dataclasses.replace(self, targets=[name for name in target_names(long=True) if name not in self.long_on
                                                  and self.runs_on(load_target(name))])

    def runs_on(self, target, peer=False):
        wanted = self.peer if peer else self.targets
        if target.machine != "qemu":
            return target.name in wanted
        return not wanted and not peer or target.name in wanted or target.arch.name in wanted


@contextlib.contextmanager
def locked(folder):
    """Keeps other threads and other runs out of a folder below build/."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(kind, path, **more):
    try:
        return kind(**{**more, **tomllib.loads(path.read_text())})
    except (OSError, TypeError, tomllib.TOMLDecodeError) as error:
        raise Failure(f"{path.relative_to(TOP)}: {error}") from error


def target_names(long=False):
    """
    The first one of an architecture is its primary one: the newest kernel that the host's compiler builds for. Those of
    the long set are the last.
    """
    targets = [load_target(path.stem) for path in (HERE / "targets").glob("*.toml")]
    targets.sort(key=lambda target: (target.long, bool(target.toolchain),
                                     [-part for part in target.version], target.name))
    return [target.name for target in targets if long or not target.long]


def kernel_range():
    """The oldest and the newest kernel of compat/range.mk: ((6, 1), (7, 3)), say."""
    limits = dict(re.findall(r"^(KERNEL_M..) := (\S+)$", (TOP / "compat/range.mk").read_text(), flags=re.M))
    return tuple(tuple(map(int, limits[name].split("."))) for name in ("KERNEL_MIN", "KERNEL_MAX"))


def primary_targets():
    """The first kernel of each architecture."""
    found = {}
    for name in target_names():
        found.setdefault(name.split("-")[0], name)
    return list(found.values())


def load_target(name):
    path = HERE / "targets" / f"{name}.toml"
    if not path.exists():
        raise Failure(f"no target {name}; there are: {', '.join(target_names(long=True))}")
    entry = tomllib.loads(path.read_text())
    base = tomllib.loads((HERE / "targets" / f"{entry['like']}.toml").read_text()) if "like" in entry else {}
    arch_name = entry.get("arch", base.get("arch"))
    arch = _read(Arch, HERE / "arch" / f"{arch_name}.toml", name=arch_name)
    target = _read(Target, path, **{**base, "name": name})
    try:
        disks = {name: Disk(**entry) for name, entry in target.disks.items()}
    except TypeError as error:
        raise Failure(f"{path.relative_to(TOP)}: {error}") from error
    return dataclasses.replace(target, arch=arch, disks=disks)


# What is run by its own command, and not among the tests
DEMO = TOP / "tools/testing/demo/demo.toml"
BENCH = TOP / "tools/testing/bench/bench.toml"


def test_lists():
    """The lists of tests: each is beside what it is about."""
    return sorted((TOP / "tools/testing").rglob("*tests.toml"))


def every_list():
    return [*test_lists(), DEMO, BENCH]


def load_tests(path):
    """A list of tests: [defaults], then one [[test]] each."""
    where = path.relative_to(TOP) if path.is_relative_to(TOP) else path
    data = tomllib.loads(path.read_text())
    known = {field.name for field in dataclasses.fields(Test)}
    tests = []
    for entry in data["test"]:
        entry = {**data.get("defaults", {}), **entry}
        name = entry.get("name", "an entry without a name")
        if unknown := sorted(entry.keys() - known):
            raise Failure(f"{where}: {name} has {', '.join(unknown)}, which no test has")
        if missing := sorted({"name", "limit", "reason"} - entry.keys()):
            raise Failure(f"{where}: {name} has no {', '.join(missing)}")
        tests.append(Test(**entry))
    for test in tests:
        if test.output not in ("tap", "plain", "stream"):
            raise Failure(f"{where}: {test.name} has the output {test.output!r}")
        if bool(test.program) == bool(test.script):
            raise Failure(f"{where}: {test.name} needs a program or a script")
        if test.script and test.arguments:
            raise Failure(f"{where}: {test.name} has a script, and arguments of a program")
        if test.script and test.packages:
            raise Failure(f"{where}: {test.name} has a script, which runs in busybox, and packages")
        if test.suites and not test.packages:
            raise Failure(f"{where}: {test.name} has suites, and no packages of them")
        if not isinstance(test.peer, list) or [other.name for other in tests].count(test.name) > 1:
            raise Failure(f"{where}: {test.name} is there twice, or its peer is no list of targets")
    return tests
