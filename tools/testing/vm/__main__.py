# SPDX-License-Identifier: GPL-2.0
"""The command line of the VM runner, which ./run calls."""

import argparse
import difflib
import errno
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tomllib

import bench
import breaks
import build
import config
import disk
import initramfs
import kernel as kernels
import listing
import standstill
import toolchain
from boot import Boot, Setup
from config import BENCH, BUILD, DEMO, LOGS, TOP
from load import busy
from pool import GUESTS, WAITING_GUESTS, threads
from progress import Progress
from report import FAILED, PASSED, Failure, Report

sys.path.append(str(TOP / "tools/testing/checks"))
import commits  # noqa: E402
import install  # noqa: E402
import layout  # noqa: E402
import newer  # noqa: E402
import rebuild  # noqa: E402
import static  # noqa: E402 (they are in another folder)
import userspace  # noqa: E402

# GB of disk space that a first ./run check takes: as README.md says.
ROOM = 8


def prepare(name, tests, report, args, ours, peer):
    """Fetches, builds and packs all that a target's boots need. Returns setups for our modules and the peer."""
    target = config.load_target(name)
    kernel = toolchain.fetch_kernel(target, report, args.refresh)
    logs = LOGS / name
    here = [test for test in tests if test.runs_on(target)]
    # Compile the benchmarks with all other programs, so that an error in them is found before they are run.
    built = here + [test for test in config.load_tests(BENCH) if test.runs_on(target)]
    programs = {"vm/guest/supervise"}.union(*([test.program, *test.needs] for test in built))
    programs = {program for program in programs if program and not program.endswith(".py")}
    setups = []
    with config.locked(target.dir):
        if target.config:
            kernels.build(target, kernel, logs, report)
        disks = {name: disk.named(target, name, report, args.refresh)
                 for name in sorted({test.disk for test in here if test.disk})}
        disks |= {wanted: disk.root(target, wanted, report, args.refresh)
                  for wanted in {test.root for test in here if test.root}}
        report.say(name, f"building modules and tests for {kernel.release}")
        programs = build.build_programs(target, kernel, programs, logs)
        for wanted, make in ((ours, build.build_modules), (peer and target.peer, build.build_peer)):
            if wanted:
                is_peer = make is build.build_peer
                modules = make(target, kernel, logs)
                if not is_peer:
                    modules |= build.kernel_drivers(target, kernel, logs, here)
                archive = initramfs.base_archive(target, kernel, modules, programs, is_peer)
                setups.append(Setup(target, kernel, archive, disks, peer=is_peer, kvm=args.kvm, modules=modules,
                                    cases=args.case))
    if not setups:
        raise Failure("the kernel's own modules are not tested here")
    return setups


def boots_of(setup, tests, report, repeat):
    """Groups tests with the same flags into one boot, in the order of the list. Repeats all boots as often as told."""
    groups = {}
    for test in tests:
        if test.runs_on(setup.target) and (test.runs_on(setup.target, peer=True) or not setup.peer):
            key = (test.boot, tuple(test.qemu), test.cmdline, test.disk, test.root, tuple(test.host))
            groups.setdefault(key, []).append(test)
    numbers = range(1, repeat + 1) if repeat > 1 else [0]
    return [Boot(setup, group, report, number) for number in numbers for group in groups.values()]


def run_tests(tests, report, args, ours=True, peer=False, checks=(), folders=()):
    """Returns {(target, peer): {test: its output}}."""
    outputs = {}
    jobs = []
    timed = report.progress.job
    checked_archs = set()
    with busy(args.load), threads(GUESTS) as pool, threads(WAITING_GUESTS) as waiting:
        for folder in folders:
            jobs.append((None, pool.submit(timed(folder.rpartition("/")[2], userspace.run), folder, report)))
        for name in args.target:
            try:
                # The guests of one target run while the next target is built.
                setups = timed(f"{name} build", prepare)(name, tests, report, args, ours, peer)
            except Failure as failure:
                report.result(name, "build", FAILED, str(failure))
                report.progress.have_come(name)
                continue
            if ours:
                report.result(name, "build with W=1, no warning", PASSED)
            for setup in setups:
                for boot in boots_of(setup, tests, report, args.repeat):
                    jobs.append(((name, setup.peer),
                                 (waiting if boot.waits else pool).submit(timed(boot.name, boot.run))))
            target = setups[0].target
            # The static checks are written for the tools in the source of a primary kernel.
            for check in checks if not target.toolchain else ():
                if static.is_due(check, target.arch.name, checked_archs):
                    jobs.append((None, pool.submit(timed(f"{name} {check}", static.run), check, target,
                                                   setups[0].kernel, report)))
            if not target.toolchain:
                checked_archs.add(target.arch.name)
            report.progress.have_come(name)
        for key, job in jobs:
            try:
                if output := job.result():
                    outputs.setdefault(key, {}).update(output)
            except Failure as failure:
                report.result("run", "job", FAILED, str(failure))
    return outputs


def chosen(names, *lists, long=False):
    tests = [test for path in lists for test in config.load_tests(path)]
    if missing := set(names) - {test.name for test in tests}:
        known = [test.name for test in tests]
        alike = sorted({name for wanted in missing for name in difflib.get_close_matches(wanted, known)})
        raise Failure(f"no test {' '.join(sorted(missing))}" + (f"; similar: {' '.join(alike)}" if alike else "") +
                      "; ./run list shows all tests; a new test needs an entry in a tests.toml, see CONTRIBUTING.md")
    if names or long:
        return [test for test in tests if not names or test.name in names]
    return [test.short() for test in tests if not test.long]


def kernels_of(tests, args, long=False):
    """The kernels on which the tests run. Each test that was asked for by name must run on at least one of them."""
    names = args.target or config.target_names(long)
    if not args.test:
        return names
    targets = [config.load_target(name) for name in names]
    for test in tests:
        if not any(test.runs_on(target) for target in targets):
            others = [name for name in config.target_names(long=True) if test.runs_on(config.load_target(name))]
            raise Failure(f"{test.name} does not run on {', '.join(names)}; its kernels, for --target: " +
                          ", ".join(others))
    return [target.name for target in targets if any(test.runs_on(target) for test in tests)]


def tell_of_room(report):
    """Before a first run ends half-way. A later one finds most of what it needs."""
    free = shutil.disk_usage(TOP).free / 1e9
    if not (BUILD / "packages").exists() and free < ROOM:
        report.say("run", f"only {free:.1f} GB of disk space are free; all tests together need {ROOM} GB")


def check(args, report, long=False):
    tell_of_room(report)
    tests = chosen(args.test, *config.test_lists(), long=long)
    args.target = kernels_of(tests, args, long)
    if not args.test:
        report.progress.expect(args.target)
    run_tests(tests, report, args, peer=long and any(test.peer for test in tests),
              checks=() if args.test else static.CHECKS, folders=() if args.test else userspace.FOLDERS)
    if not args.test:
        report.progress.keep()
    if long and not args.test:
        build_test(args, report)
        install_test(args, report)
        breaks.run([], config.test_lists(), args, report)


def demo(args, report):
    args.target = args.target or config.primary_targets()
    run_tests(chosen(args.test, DEMO), report, args)


def benchmark(args, report):
    tests = chosen(args.test, BENCH)
    args.target = kernels_of(tests, args)
    outputs = run_tests(tests, report, args, peer=True)
    rows = tomllib.loads(BENCH.read_text())["row"]
    for name in sorted({name for name, _ in outputs}):
        bench.table(name, outputs.get((name, False), {}), outputs.get((name, True), {}), rows, report)


def shell(args, report):
    """Boots a guest with a shell for the user. It has the demo's programs, and the devices of one test, if any."""
    tests = chosen(args.test, *config.every_list()) if args.test else []
    if len(tests) > 1:
        raise Failure("a shell has the devices of one test")
    files = [pathlib.Path(os.environ.get("RUN_FROM", "."), name) for name in args.files]
    if missing := [str(path) for path in files if not path.is_file()]:
        raise Failure(f"there is no file {' '.join(missing)}")
    names = args.target or [name for name in config.target_names(long=True)
                            if all(test.runs_on(config.load_target(name)) for test in tests)]
    setup = prepare(names[0], [*tests, *chosen([], DEMO)], report, args, not args.peer, args.peer)[0]
    return Boot(setup, tests, report).shell(files, args.gdb)


def check_sources(args, report):
    """Runs the static checks that one architecture needs. Some of them check the built modules."""
    if unknown := [text for text in args.test if not any(text in name for name in static.CHECKS)]:
        raise Failure(f"no check has {' '.join(unknown)} in its name; there are: {', '.join(static.CHECKS)}")
    target, kernel = any_kernel(args, report)
    wanted = [name for name in static.CHECKS if not args.test or any(text in name for text in args.test)]
    due = [name for name in wanted if static.is_due(name, target.arch.name, set())]
    if any(name in static.OF_AN_ARCH for name in due):
        report.say("checks", f"building the modules for {kernel.release}")
        with config.locked(target.dir):
            build.build_modules(target, kernel, LOGS / target.name)
    for name in due:
        static.run(name, target, kernel, report)


def vm(args, report):
    if args.shell or args.gdb or args.files:
        return shell(args, report)
    tests = chosen(args.test, *config.every_list(), long=True)
    args.target = kernels_of(tests, args)
    run_tests(tests, report, args, not args.peer, args.peer)
    return None


def list_tests(args, report):
    listing.show(chosen(args.test, *config.every_list(), long=True), args.target or config.target_names(long=True))
    return 0


def docs(args, report):
    static.run("documentation", *any_kernel(args, report), report)
    report.say("docs", f"the first page is {(BUILD / 'docs/index.html').relative_to(TOP)}")


def any_kernel(args, report):
    """The first target, or the named one, with the tools of the kernel's source."""
    target = config.load_target((args.target or config.target_names())[0])
    return target, toolchain.fetch_kernel(target, report, args.refresh)


def hooks(args, report):
    any_kernel(args, report)
    commits.install()
    print(f"git runs {commits.HOOKS}/ from now on; \"git config --unset core.hooksPath\" ends that")
    return 0


def staged(args, report):
    commits.refuse(commits.staged(any_kernel(args, report)[1]))
    return 0


def message(args, report):
    commits.refuse(commits.wrong_in_message(pathlib.Path(args.file).read_text()))
    return 0


def compile_commands(args, report):
    """Writes compile_commands.json for editors: the command that compiles each file of the modules, for one kernel."""
    target, kernel = any_kernel(args, report)
    with config.locked(target.dir):
        build.build_modules(target, kernel, LOGS / target.name)
        subprocess.run([sys.executable, "-B", kernel.tools / "scripts/clang-tools/gen_compile_commands.py", "-d",
                        kernel.headers, "-o", TOP / "compile_commands.json", target.dir / "src"], check=True)
    print(f"compile_commands.json is for {kernel.release}")
    return 0


def run_breaks(args, report):
    breaks.run(args.names, config.test_lists(), args, report)


def build_test(args, report):
    rebuild.run(args, report)
    newer.run(args, report)
    layout.run(args, report)


def install_test(args, report):
    install.run(args, report)


def count(text):
    """Parses a positive number."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


# Options that commands share. Each command offers the options that it uses; the others have their defaults.
OPTIONS = {
    "target": {"action": "append", "default": None, "help": "only this kernel; may be repeated", "metavar": "NAME"},
    "test": {"action": "append", "default": [], "help": "only this test; may be repeated", "metavar": "NAME"},
    "case": {"action": "append", "default": [], "metavar": "NAME",
             "help": "only this check of a kselftest, without its fixture; may be repeated"},
    "refresh": {"action": "store_true", "default": False, "help": "fetch the newest packages again"},
    "kvm": {"action": "store_true", "default": False, "help": "use /dev/kvm instead of emulation"},
    "repeat": {"type": count, "default": 1, "help": "boot and run the tests so many times", "metavar": "N"},
    "load": {"type": count, "default": 0, "help": "keep processors busy meanwhile, with N loops", "metavar": "N"},
}

COMMANDS = (
    (check, "check", "run all tests", "target test refresh kvm repeat load"),
    (functools.partial(check, long=True), "check-all", "run all tests, and what takes longer",
     "target test refresh kvm repeat load"),
    (demo, "demo", "show the request path, step by step", "target test refresh kvm repeat load"),
    (benchmark, "bench", "measure against the kernel's own modules", "target test refresh"),
    (vm, "vm", "run chosen tests, or a shell", "target test case refresh kvm repeat load"),
    (check_sources, "static", "check the sources", "target test refresh"),
    (list_tests, "list", "show what each test is for", "target test"),
    (docs, "docs", "make pages of the documentation", "target refresh"),
    (hooks, "hooks", "let git check what is committed", "target refresh"),
    (staged, "staged", "check what is staged, for git's hook", "target refresh"),
    (message, "message", "check the text of a commit, for git's hook", ""),
    (compile_commands, "compile-commands", "write compile_commands.json for editors", "target refresh"),
    (run_breaks, "breaks", "check that tests notice deliberate breaks of the sources", "kvm"),
    (build_test, "build-test", "build for two kernels in turn, and for a newer one", "target refresh"),
    (install_test, "install-test", "install the modules in all ways, below build/", "target refresh kvm"),
)


def add_options(command, function, names):
    for name, option in OPTIONS.items():
        if name not in names:
            command.set_defaults(**{name: option["default"]})
        elif name == "test" and function is check_sources:
            command.add_argument("--test", **{**option, "help": "only the checks with this text in their names; "
                                                                "may be repeated"})
        else:
            command.add_argument(f"--{name}", **option)
    if function is run_breaks:
        command.add_argument("names", nargs="*", help="only these breaks", metavar="NAME")
    if function is message:
        command.add_argument("file", help="has the text", metavar="FILE")
    if function is vm:
        command.add_argument("--peer", action="store_true", help="load the kernel's own modules instead of ours")
        command.add_argument("--shell", action="store_true",
                             help="an interactive guest; with the devices of the test, if one is named")
        command.add_argument("--with", dest="files", nargs="+", default=[], metavar="FILE",
                             help="a shell that has these files, modules or programs, in /with")
        command.add_argument("--gdb", action="store_true",
                             help="a shell, and a debugger can be attached to the guest")


def main():
    parser = argparse.ArgumentParser(prog="./run")
    commands = parser.add_subparsers(required=True)
    for function, name, text, options in COMMANDS:
        command = commands.add_parser(name, help=text)
        command.set_defaults(function=function)
        add_options(command, function, options.split())
    args = parser.parse_args()
    report = Report(Progress(BUILD / "took.json", GUESTS))
    standstill.watch(report)
    try:
        code = args.function(args, report)
        if code is not None:
            return code
        report.write_junit(BUILD / "report.xml")
        return report.finish(BUILD / "summary.txt")
    except Failure as failure:
        print(f"run: {failure}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader, such as "head" or a pager, has closed the pipe. Python would flush stdout once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"run: {error}; README.md says how much space a first run takes", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("run: interrupted", file=sys.stderr)
        return 130


sys.exit(main())
