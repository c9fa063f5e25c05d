# SPDX-License-Identifier: GPL-2.0
"""Builds modules and test programs for a target, all below build/<target>/. The source tree does not change."""

import os
import re
import shutil
import subprocess

from config import TOP
from report import Failure

# The parts of the tree that kbuild needs.
MODULE_PARTS = ("Kbuild", "compat", "drivers", "include", "samples", "tools/testing/modules")

# Test modules that are built for the kernel's own mdev interface.
_PEER_MODULES = "tools/testing/modules/peer"

_SOURCES = re.compile(r"(Kbuild|Kconfig|Makefile|.*\.(c|h|S|mk|sh))$")

# Files that kbuild generates in the tree. They differ between kernels, so they are not linked.
_GENERATED = re.compile(r"(/compat/features\.h|\.mod\.c|/\.module-common\.c)$")

# Lines that kbuild must not print with W=1. Remarks without a file name are about the host, such as those about another
# patch level of the compiler.
_WARNING = re.compile(r"^WARNING: |: warning: |: error: ")


def run_make(argv, log, toolchain=None):
    """Runs make, in the toolchain if there is one. Writes the output to a log file, and returns it."""
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
    """Makes a farm of symbolic links: kbuild writes the objects for one kernel next to links, not next to sources."""
    wanted = {}
    for part in parts:
        for path in [top / part, *(top / part).rglob("*")]:
            if path.is_file() and _SOURCES.match(path.name) and not _GENERATED.search(str(path)):
                wanted[into / path.relative_to(top)] = path
    # Also replace a link that leads elsewhere: this folder may be a copy from another clone.
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
    """Builds the project's modules and those for tests; returns {name: file}. edit: changes the farm first."""
    src = src or target.dir / "src"
    link_sources(src, top=top)
    if edit:
        edit()
    _kbuild(kernel, src, logs / "build-modules.log", "MPAD=m")
    tests = src / "tools/testing/modules"
    if (tests / "Kbuild").exists():
        # kbuild does not notice changed symbols of another tree.
        (tests / "Module.symvers").unlink(missing_ok=True)
        _kbuild(kernel, tests, logs / "build-test-modules.log", f"KBUILD_EXTRA_SYMBOLS={src / 'Module.symvers'}")
    return {path.stem: path for path in src.rglob("*.ko") if "peer" not in path.parts}


def build_source(kernel, folder, name, into, symbols, log):
    """Builds an unchanged module of the kernel's source. symbols: files like Module.symvers of other modules."""
    into.mkdir(parents=True, exist_ok=True)
    for path in (kernel.source / folder).iterdir():
        if _SOURCES.match(path.name):
            shutil.copy2(path, into)
    # kbuild does not notice changed symbols of another tree.
    (into / "Module.symvers").unlink(missing_ok=True)
    # Use the folder's own rules, but build only this module.
    (into / "Kbuild").write_text(f"include $(src)/Makefile\nobj-y :=\nobj-m := {name}.o\n")
    # The kernel's code may cause warnings, so they are not failures.
    run_make(["-C", kernel.headers, f"M={into}", f"KBUILD_EXTRA_SYMBOLS={' '.join(map(str, symbols))}", "modules"], log,
             kernel.toolchain)


def build_peer(target, kernel, logs):
    """Builds the kernel's modules that Debian does not build, and the test modules for the kernel's own mdev."""
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
    The file with mdev's symbols for a driver of the kernel's own interface, with the kernel's versions of them: the
    kernel's list, or that of the kernel's own source. Our list is used only if the kernel has no versions.
    """
    if "mdev" in target.peer:
        into = target.dir / "peer/mdev"
        build_source(kernel, target.peer["mdev"], "mdev", into, [], logs / "build-peer-mdev.log")
        return [into / "Module.symvers"]
    if re.search(r"\tmdev_register_parent\t", (kernel.headers / "Module.symvers").read_text()):
        return []
    return [target.dir / "src/Module.symvers"]


def kernel_drivers(target, kernel, logs, tests):
    """Builds unchanged drivers of the kernel's source that tests run on our mdev.ko: {kernel/NAME: file}."""
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
    Builds programs, which are named by their paths below tools/testing. If the outermost folder has a Makefile, make
    builds them. Otherwise each C file of a program's folder is built. All are static, because the guest has no
    libraries. Returns the folder with the programs.
    """
    out = target.dir / "programs"
    compiler = f"{target.arch.cross_compile}{target.compiler}"
    # make compares times only. Build everything again for another compiler, harness or time factor.
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
    """Compiles each file into a program. If a header has the program's name, all files are parts of this program."""
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
