# SPDX-License-Identifier: GPL-2.0
"""Builds modules and test programs for a target, all below build/<target>/: the source tree stays as it is."""

import os
import re
import shutil
import subprocess

from config import TOP
from report import Failure

# What kbuild needs of the tree.
MODULE_PARTS = ("Kbuild", "compat", "drivers", "include", "samples", "tools/testing/modules")

# Our modules against the kernel's own interface.
_PEER_MODULES = "tools/testing/modules/peer"

_SOURCES = re.compile(r"(Kbuild|Kconfig|Makefile|.*\.(c|h|S|mk|sh))$")

# What kbuild leaves beside them when it is run in the tree: each kernel has its own.
_GENERATED = re.compile(r"(/compat/features\.h|\.mod\.c|/\.module-common\.c)$")

# A line of kbuild that W=1 must not print. Remarks without a file name, such as a compiler's other patch level,
# are about the host.
_WARNING = re.compile(r"^WARNING: |: warning: |: error: ")


def run_make(argv, log, toolchain=None):
    """Runs make, in a toolchain if there is one, with its output in a log file; returns that output."""
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = ["make", f"-j{os.cpu_count()}", *map(str, argv)]
    done = subprocess.run(toolchain.command(argv) if toolchain else argv, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "LC_ALL": "C", "MAKEFLAGS": ""})
    log.write_text(done.stdout)
    if done.returncode:
        lines = done.stdout.splitlines()
        errors = [line for line in lines if _WARNING.search(line)] or lines[-5:]
        raise Failure(f"make failed, see {log.relative_to(TOP)}:\n" + "\n".join(errors[:5]))
    return done.stdout


def warnings(output):
    return [line for line in output.splitlines() if _WARNING.search(line)]


def link_sources(into, parts=MODULE_PARTS, top=TOP):
    """A farm of symbolic links: kbuild's products of one kernel land beside links, not beside sources."""
    wanted = {}
    for part in parts:
        for path in [top / part, *(top / part).rglob("*")]:
            if path.is_file() and _SOURCES.match(path.name) and not _GENERATED.search(str(path)):
                wanted[into / path.relative_to(top)] = path
    # Also one that leads elsewhere: this folder may be a copy of another clone's.
    for link in into.rglob("*"):
        if link.is_symlink() and (link not in wanted or link.readlink() != wanted[link]):
            link.unlink()
    for link, path in wanted.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.unlink(missing_ok=True)
            link.symlink_to(path)


def _kbuild(kernel, folder, log, *more):
    output = run_make(["-C", kernel.headers, f"M={folder}", "W=1", "KCFLAGS=-Werror", *more, "modules"], log,
                      kernel.toolchain)
    if found := warnings(output):
        raise Failure(f"the build warns, see {log.relative_to(TOP)}:\n" + "\n".join(found[:5]))


def build_modules(target, kernel, logs, src=None, edit=None, top=TOP):
    """This project's modules and those that only tests use; returns {name: file}. The farm may be edited."""
    src = src or target.dir / "src"
    link_sources(src, top=top)
    if edit:
        edit()
    _kbuild(kernel, src, logs / "build-modules.log", "MPAD=m")
    tests = src / "tools/testing/modules"
    if (tests / "Kbuild").exists():
        # kbuild does not see that symbols of another tree have changed.
        (tests / "Module.symvers").unlink(missing_ok=True)
        _kbuild(kernel, tests, logs / "build-test-modules.log", f"KBUILD_EXTRA_SYMBOLS={src / 'Module.symvers'}")
    return {path.stem: path for path in src.rglob("*.ko") if "peer" not in path.parts}


def build_source(kernel, folder, name, into, symbols, log):
    """A module of the kernel's source, unchanged, with symbols of others: files like Module.symvers."""
    into.mkdir(parents=True, exist_ok=True)
    for path in (kernel.source / folder).iterdir():
        if _SOURCES.match(path.name):
            shutil.copy2(path, into)
    # kbuild does not see that symbols of another tree have changed.
    (into / "Module.symvers").unlink(missing_ok=True)
    # The folder's own rules, but for what else it would build.
    (into / "Kbuild").write_text(f"include $(src)/Makefile\nobj-y :=\nobj-m := {name}.o\n")
    # Not our code: its warnings are not our failures.
    run_make(["-C", kernel.headers, f"M={into}", f"KBUILD_EXTRA_SYMBOLS={' '.join(map(str, symbols))}", "modules"], log,
             kernel.toolchain)


def build_peer(target, kernel, logs):
    """What the kernel's source has and Debian does not build, and the test modules against the kernel's own mdev."""
    peer = target.dir / "peer"
    symbols = []
    for name, folder in target.peer.items():
        build_source(kernel, folder, name, peer / name, symbols, logs / f"build-peer-{name}.log")
        symbols.append(peer / name / "Module.symvers")
    link_sources(peer / "src", [_PEER_MODULES])
    _kbuild(kernel, peer / "src" / _PEER_MODULES, logs / "build-peer-modules.log",
            f"KBUILD_EXTRA_SYMBOLS={' '.join(map(str, symbols))}")
    return {path.stem: path for path in peer.rglob("*.ko")}


def _mdev_symbols(target, kernel, logs):
    """
    Where a driver of the kernel's own interface finds the symbols of mdev, with the versions that the kernel gives
    them: in the kernel's list, or in that of the kernel's own source; in ours only if the kernel has no versions.
    """
    if "mdev" in target.peer:
        into = target.dir / "peer/mdev"
        build_source(kernel, target.peer["mdev"], "mdev", into, [], logs / "build-peer-mdev.log")
        return [into / "Module.symvers"]
    if re.search(r"\tmdev_register_parent\t", (kernel.headers / "Module.symvers").read_text()):
        return []
    return [target.dir / "src/Module.symvers"]


def kernel_drivers(target, kernel, logs, tests):
    """Drivers of the kernel's source, unchanged, where tests have them run on our mdev.ko: {kernel/NAME: file}."""
    if not any(name.startswith("kernel/") for test in tests for name in test.modules):
        return {}
    folder = target.dir / "kernel"
    symbols = _mdev_symbols(target, kernel, logs)
    for name, source in target.drivers.items():
        build_source(kernel, source, name, folder / name, symbols, logs / f"build-kernel-{name}.log")
    link_sources(folder / "src", [_PEER_MODULES])
    _kbuild(kernel, folder / "src" / _PEER_MODULES, logs / "build-kernel-modules.log",
            f"KBUILD_EXTRA_SYMBOLS={' '.join(map(str, symbols))}")
    return {f"kernel/{path.stem}": path for path in folder.rglob("*.ko")}


def build_programs(target, kernel, programs, logs):
    """
    The programs that are named by their paths below tools/testing: by the Makefile of the outermost folder, or else
    all C files of their folder, each of which is one. All static, so that the guest needs no libraries. Returns the
    folder that holds them.
    """
    out = target.dir / "programs"
    compiler = f"{target.arch.cross_compile}{target.compiler}"
    # make looks at times only; another compiler, harness or factor means another build.
    made_with = out / ".made-with"
    wanted = f"{compiler} {kernel.tools} {target.slower}"
    if not made_with.exists() or made_with.read_text() != wanted:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        made_with.write_text(wanted)
    made = {}
    for program in sorted(programs):
        part = program.partition("/")[0]
        if (TOP / "tools/testing" / part / "Makefile").exists():
            made.setdefault(part, []).append(out / program)
        else:
            _compile_folder(TOP / "tools/testing" / program, (out / program).parent, compiler)
    for part, files in made.items():
        run_make(["-C", TOP / "tools/testing" / part, f"OUTPUT={out / part}",
                  f"CROSS_COMPILE={target.arch.cross_compile}", f"CC={compiler}", f"SLOWER={target.slower}",
                  f"KSELFTEST_DIR={kernel.tools / 'tools/testing/selftests'}", *files], logs / f"build-{part}.log")
    return out


def _compile_folder(program, out, compiler):
    """Each file is a program, or all of them are parts of the one that has a header of its name."""
    out.mkdir(parents=True, exist_ok=True)
    newest = max(path.stat().st_mtime for path in program.parent.glob("*.[ch]"))
    sources = sorted(program.parent.glob("*.c"))
    parts = {program.name: sources} if program.with_suffix(".h").exists() else {path.stem: [path] for path in sources}
    for name, files in parts.items():
        file = out / name
        if file.exists() and file.stat().st_mtime > newest:
            continue
        done = subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-static",
                               "-I", TOP / "include/uapi", "-o", file, *files],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise Failure(f"{name}, in {program.parent.relative_to(TOP)}, does not compile:\n{done.stdout}")
