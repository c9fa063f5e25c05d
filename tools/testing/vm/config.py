# SPDX-License-Identifier: GPL-2.0
"""Reads the data files: architectures, targets (kernels), and lists of tests."""

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
    kernel_name: str        # its name in the kernel's Makefile
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
    """Debian packages that a guest mounts as a disk."""
    package: str            # with all its dependencies
    suites: list
    keep: list              # files and folders to keep of all these packages


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
    programs: list = dataclasses.field(default_factory=list)    # static programs of the packages, beside busybox
    image: str = ""         # Debian's image and headers; without them, see config
    headers: str = ""
    config: list = dataclasses.field(default_factory=list)  # files in targets/ with options, to build a kernel
    # Packages of the suites with the compiler that the kernel was built with, if the host has none of that version
    toolchain: list = dataclasses.field(default_factory=list)
    # Modules of the peer that Debian does not build, and their folders in the source. If empty, there is no peer.
    peer: dict = dataclasses.field(default_factory=dict)
    # Drivers of the kernel's own interface that tests run on our mdev.ko, and their folders in the source
    drivers: dict = dataclasses.field(default_factory=dict)
    qemu: list = dataclasses.field(default_factory=list)        # in addition to the architecture's
    cmdline: str = ""
    slower: int = 1         # a factor for all time limits
    long: bool = False      # runs only by name and in the long set
    like: str = ""          # a target that has the kernel, and the defaults of all other fields
    machine: str = "qemu"   # see MACHINES in boot.py; if not QEMU, only tests that name the target run
    boot_limit: int = 0     # overrides the architecture's
    disk_modules: list = dataclasses.field(default_factory=list)    # modules to mount a disk
    disks: dict = dataclasses.field(default_factory=dict)           # {name: contents}; see Disk

    @property
    def dir(self):
        return BUILD / (self.like or self.name)

    @property
    def version(self):
        """The version of the kernel, such as (6, 12)."""
        return tuple(map(int, self.name.split("-")[1].split(".")))


@dataclasses.dataclass
class Test:
    name: str
    limit: int              # seconds
    reason: str             # the reason for the limit
    program: str = ""       # path of a program or script below tools/testing
    script: str = ""        # in place of program: a script for the guest's shell
    arguments: list = dataclasses.field(default_factory=list)   # arguments of the program
    purpose: str = ""       # needed if no program has it as its first comment
    needs: list = dataclasses.field(default_factory=list)       # other files to build for the program
    disk: str = ""          # one of the target's disks, mounted while the boot lasts
    packages: list = dataclasses.field(default_factory=list)    # Debian packages that make up its root
    suites: list = dataclasses.field(default_factory=list)      # suites for these packages, beside the target's
    # Modules that are built here: ours by their names, those of the kernel's source (target's "drivers") as kernel/NAME
    modules: list = dataclasses.field(default_factory=list)
    drivers: list = dataclasses.field(default_factory=list)     # Debian's modules, loaded then with all they need
    peer_modules: list = dataclasses.field(default_factory=list)    # modules with the kernel's own mdev, if others
    targets: list = dataclasses.field(default_factory=list)     # kernels or architectures; if empty, all
    peer: list = dataclasses.field(default_factory=list)        # where it can run with the kernel's own modules
    output: str = "tap"     # "tap"; "plain": the exit code is the result; "stream": plain, and shown at once
    qemu: list = dataclasses.field(default_factory=list)
    host: list = dataclasses.field(default_factory=list)        # a program on the host that the test can talk to
    cmdline: str = ""
    environment: dict = dataclasses.field(default_factory=dict)     # variables of the program
    boot: str = ""          # tests with the same boot and flags share a guest
    boot_limit: int = 0     # overrides the target's and the architecture's
    waits: bool = False     # it mostly waits, so that other guests can use the CPU
    long: bool = False      # runs only by name and in the long set
    long_on: list = dataclasses.field(default_factory=list)     # kernels on which it is long
    known: list = dataclasses.field(default_factory=list)       # reports in the kernel's log that others cause
    left: list = dataclasses.field(default_factory=list)        # left behind by other modules
    expect: list = dataclasses.field(default_factory=list)      # tests of the runner: the failures to report

    @property
    def root(self):
        """The disk of packages that it runs in, if any: the packages, and the suites beside the target's."""
        return (tuple(self.packages), tuple(self.suites)) if self.packages else None

    def short(self):
        """The test, without the kernels on which it is long."""
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
    """Locks out other threads and other runs from a folder below build/."""
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
    The names of all targets. The first one of an architecture is its primary one: the newest kernel for which the
    host's compiler builds. Targets of the long set are last.
    """
    targets = [load_target(path.stem) for path in (HERE / "targets").glob("*.toml")]
    targets.sort(key=lambda target: (target.long, bool(target.toolchain),
                                     [-part for part in target.version], target.name))
    return [target.name for target in targets if long or not target.long]


def kernel_range():
    """The oldest and the newest kernel in compat/range.mk, such as ((6, 1), (7, 3))."""
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


# Lists for commands of their own, which are not among the tests
DEMO = TOP / "tools/testing/demo/demo.toml"
BENCH = TOP / "tools/testing/bench/bench.toml"


def test_lists():
    """The lists of tests: each one is in the folder of its subject."""
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
