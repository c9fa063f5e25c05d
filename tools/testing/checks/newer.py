# SPDX-License-Identifier: GPL-2.0
"""
Builds for a kernel that is newer than those tested: the headers are those of a tested kernel, the version is the next
one. With the newest headers, compat/ knows all interfaces. With older headers, at least one interface is not that of
the newest kernel, and the build is refused.
"""

import shutil

import build
import config
import toolchain
from config import BUILD, LOGS, TOP
from report import FAILED, PASSED, SKIPPED, Failure

WHO = "build"
PLACE = BUILD / "newer"


def make(target, kernel, major, minor):
    """Returns whether the build succeeded, and the output of make."""
    farm, log = PLACE / target.name, LOGS / f"newer-{target.name}.log"
    shutil.rmtree(farm, ignore_errors=True)
    build.link_sources(farm)
    try:
        build.run_make(["-C", kernel.headers, f"M={farm}", f"VERSION={major}", f"PATCHLEVEL={minor}", "modules"], log,
                       kernel.toolchain)
    except Failure:
        return False, log.read_text()
    return True, log.read_text()


def newest_is_built(target, kernel, major, minor):
    built, said = make(target, kernel, major, minor + 1)
    if not built or not (PLACE / target.name / "drivers/vfio/mdev/mdev.ko").exists():
        raise Failure(f"the modules are not built; see {LOGS.relative_to(TOP)}/newer-{target.name}.log")
    if f"note: Linux {major}.{minor + 1} is newer than {major}.{minor}" not in said:
        raise Failure("make does not note that the kernel is newer")


def older_is_refused(target, kernel, major, minor):
    built, said = make(target, kernel, major, minor + 1)
    if built or "newer than those tested, and its interface is not known: compat/probes/" not in said:
        raise Failure(f"no probe makes make refuse the kernel; see {LOGS.relative_to(TOP)}/newer-{target.name}.log")


def run(args, report):
    LOGS.mkdir(parents=True, exist_ok=True)
    targets = [config.load_target(name) for name in args.target or config.target_names()]
    targets = [target for target in targets if target.headers and not target.like]
    limit = config.kernel_range()[1]
    newest = [target for target in targets if target.version == limit]
    older = [target for target in targets if target.arch in [new.arch for new in newest] and target not in newest]
    for chosen, name, test in ((newest[:1], "a newer kernel with known interfaces is built", newest_is_built),
                               (older[:1], "a newer kernel with older interfaces is refused", older_is_refused)):
        if not chosen:
            report.result(WHO, name, SKIPPED, "the kernel for that is not among these")
        for target in chosen:
            kernel = toolchain.fetch_kernel(target, report, args.refresh)
            with config.locked(PLACE):
                try:
                    test(target, kernel, *limit)
                except Failure as failure:
                    report.result(WHO, name, FAILED, str(failure))
                else:
                    report.result(WHO, name, PASSED)
