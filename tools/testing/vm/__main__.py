# SPDX-License-Identifier: GPL-2.0
"""The VM runner's command line: python3 tools/testing/vm check|demo|bench|vm …"""

import argparse
import concurrent.futures
import sys

import build
import config
import initramfs
import packages
from boot import Boot, Setup
from config import HERE, LOGS
from report import FAILED, Failure, Report

# Two guests at once: one more than two cores makes each slower than its time limits allow for.
GUESTS = 2


def prepare(name, report, args, peer):
    """Fetches, builds and packs what a target's boots need; returns one setup, or two where the peer is wanted."""
    target = config.load_target(name)
    kernel = packages.fetch(target, report, args.refresh)
    logs = LOGS / name
    report.say(name, f"building modules and tests for {kernel.release}")
    programs = build.build_programs(target, kernel, logs)
    setups = []
    if not args.peer:
        modules = build.build_modules(target, kernel, logs)
        setups.append(Setup(target, kernel, initramfs.base_archive(target, kernel, modules, programs, False),
                            False, args.kvm))
    if peer:
        modules = build.build_peer(target, kernel, logs)
        setups.append(Setup(target, kernel, initramfs.base_archive(target, kernel, modules, programs, True),
                            True, args.kvm))
    return setups


def boots_of(setup, tests, report):
    """Tests with the same flags share a boot, in the order of the list."""
    groups = {}
    for test in tests:
        if test.targets and setup.target.name not in test.targets or setup.peer and not test.peer:
            continue
        groups.setdefault((test.boot, tuple(test.qemu), test.cmdline), []).append(test)
    return [Boot(setup, group, report) for group in groups.values()]


def run_tests(tests, names, report, args, peer):
    with concurrent.futures.ThreadPoolExecutor(GUESTS) as pool:
        boots = []
        for name in names:
            # Building is parallel in itself; the guests of one target run while the next one is built.
            try:
                for setup in prepare(name, report, args, peer):
                    boots += [pool.submit(boot.run) for boot in boots_of(setup, tests, report)]
            except Failure as failure:
                report.result(name, "build", FAILED, str(failure))
        for boot in boots:
            boot.result()


def command_vm(args, report):
    names = args.target or config.target_names()
    if args.shell:
        setup = prepare(names[0], report, args, args.peer)[0]
        return Boot(setup, [], report).shell()
    tests = [test for path in ("tests.toml", "demo.toml", "runner-tests.toml")
             for test in config.load_tests(HERE / path)]
    chosen = [test for test in tests if test.name in args.test] if args.test else tests
    if missing := set(args.test) - {test.name for test in tests}:
        raise Failure(f"no test {' '.join(sorted(missing))}; there are: {' '.join(test.name for test in tests)}")
    run_tests(chosen, names, report, args, args.peer)
    return report.finish()


def main():
    parser = argparse.ArgumentParser(prog="./run")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("check", "run all tests"), ("demo", "show what this is about"),
                       ("bench", "measure against the kernel's own modules"), ("vm", "run chosen tests, or a shell")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--target", action="append", help="a kernel; default: all", metavar="NAME")
        command.add_argument("--refresh", action="store_true", help="fetch the newest packages again")
        command.add_argument("--kvm", action="store_true", help="use /dev/kvm instead of emulation")
        command.add_argument("--peer", action="store_true", help="load the kernel's own modules instead of ours")
        command.add_argument("--test", action="append", default=[], help="only this test", metavar="NAME")
        command.add_argument("--shell", action="store_true", help="an interactive guest")
    args = parser.parse_args()
    report = Report()
    try:
        return command_vm(args, report)
    except Failure as failure:
        print(f"run: {failure}", file=sys.stderr)
        return 1


sys.exit(main())
