# SPDX-License-Identifier: GPL-2.0
"""Deliberate breaks: each is a small edit of a source file, with the test that has to notice the edit.

Their lists are in tools/testing/breaks/, one for each module. The sources do not change: the edit is made in a separate
farm of links below build/.
"""

import dataclasses
import tomllib

import build
import config
import disk
import initramfs
import kernel as kernels
import toolchain
from boot import Boot, Setup
from config import LOGS, TOP
from pool import GUESTS, threads
from report import FAILED, PASSED, Failure, Report

FOLDER = TOP / "tools/testing/breaks"


@dataclasses.dataclass
class Break:
    name: str
    file: str           # the source file
    was: str            # a text that the file has exactly once
    becomes: str        # the text that replaces it
    test: str           # the test that has to fail
    target: str         # the kernel to run it on
    splat: bool = False     # the kernel warns or panics


class _Noticed(Exception):
    """A failure of the test that shows the break: the rest of the test is not run."""


class _Quiet(Report):
    """Keeps the results of a run that has to fail apart from those of the breaks."""

    def __init__(self, splat):
        """splat: what the kernel's log has counts too."""
        super().__init__()
        self._splat = splat

    def say(self, who, text):
        pass

    def result(self, who, name, status, text=""):
        super().result(who, name, status, text)
        if status == FAILED and (self._splat or not _is_splat(text)):
            raise _Noticed(f"{name}: {text}")

    def failures(self):
        return [f"{name}: {text}" for _, name, status, text in self._results if status == FAILED]


def load():
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        data = tomllib.loads(path.read_text())
        try:
            found += [Break(**{**data.get("defaults", {}), **entry}) for entry in data["break"]]
        except TypeError as error:
            raise Failure(f"{path.relative_to(TOP)}: {error}") from error
    names = [entry.name for entry in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise Failure(f"more than one break is named {' '.join(sorted(twice))}")
    return found


def broken(entry):
    """Returns the text of the edited file."""
    path = TOP / entry.file
    text = path.read_text() if path.exists() else ""
    if text.count(entry.was) != 1:
        raise Failure(f"{entry.file} has the text {text.count(entry.was)} times, not once")
    return text.replace(entry.was, entry.becomes)


def _edit(entry, src):
    """Replaces the link by the edited file, and removes objects that were built from it."""
    text = broken(entry)
    link = src / entry.file
    link.unlink()
    link.write_text(text)


def forget_edits(src):
    """
    Removes objects that were built from an edited file, or that include it: the next build would take them for up to
    date. An edited file is not a link. It is still there if its run was killed.
    """
    for file in src.rglob("*.[ch]"):
        if not file.is_symlink() and (TOP / file.relative_to(src)).exists():
            for path in file.parent.glob("*.o" if file.suffix == ".h" else f"{file.stem}.o"):
                path.unlink()


def _run(entry, target, kernel, tests, args, report):
    """Runs the test up to the failure that shows the break, which is raised. Returns its other failures."""
    logs = LOGS / "breaks" / entry.name
    test = dataclasses.replace(tests[entry.test], boot=f"breaks-{entry.name}")
    src = target.dir / "broken"
    with config.locked(target.dir):
        programs = {"vm/guest/supervise", test.program, *test.needs} - {""}
        programs = build.build_programs(target, kernel, {name for name in programs if not name.endswith(".py")}, logs)
        if target.config:
            kernels.build(target, kernel, logs, report)
        disks = {test.disk: disk.named(target, test.disk, report, False)} if test.disk else {}
        if test.root:
            disks[test.root] = disk.root(target, test.root, report, False)
        forget_edits(src)
        modules = build.build_modules(target, kernel, logs, src, lambda: _edit(entry, src))
        modules |= build.kernel_drivers(target, kernel, logs, [test])
        archive = initramfs.base_archive(target, kernel, modules, programs, False)
    quiet = _Quiet(entry.splat)
    Boot(Setup(target, kernel, archive, disks, kvm=args.kvm), [test], quiet).run()
    return quiet.failures()


def _is_splat(text):
    return "kernel log:" in text or "the guest went down" in text


def _make(entry, target, kernel, tests, args, report):
    """Makes one break. Its result passes if the test notices it."""
    report.say("breaks", f"{entry.name}, in {entry.file}")
    try:
        said = _run(entry, target, kernel, tests, args, report)
    except Failure as failure:
        report.result("breaks", entry.name, FAILED, str(failure))
    except _Noticed as noticed:
        report.result("breaks", entry.name, PASSED, f"{entry.test} notices: {str(noticed)[:120]}")
    else:
        report.result("breaks", entry.name, FAILED, f"{entry.test} does not notice it: "
                      f"{said[0][:200] if said else 'it passes'}")


def run(names, lists, args, report):
    """Makes the named breaks, or all. One can be built while the guest of another one runs."""
    tests = {test.name: test for path in lists for test in config.load_tests(path)}
    entries = load()
    if missing := set(names) - {entry.name for entry in entries}:
        raise Failure(f"no break {' '.join(sorted(missing))}; there are: {' '.join(entry.name for entry in entries)}")
    entries = [entry for entry in entries if not names or entry.name in names]
    targets = {name: config.load_target(name) for name in sorted({entry.target for entry in entries})}
    fetched = {name: toolchain.fetch_kernel(target, report) for name, target in targets.items()}
    with threads(GUESTS) as pool:
        for job in [pool.submit(_make, entry, targets[entry.target], fetched[entry.target], tests, args, report)
                    for entry in entries]:
            job.result()
