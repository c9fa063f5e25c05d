# SPDX-License-Identifier: GPL-2.0
"""
Is vfio_ccw built if the kernel's private types of the channel subsystem are laid out as it expects, and refused
otherwise? The cases edit vfio_ccw's own declarations, which stands in for another kernel.
"""

import shutil

import build
import config
import toolchain
from config import BUILD, LOGS, TOP
from report import FAILED, PASSED, SKIPPED, Failure

WHO = "build"
PLACE = BUILD / "layout"
HEADER = "drivers/s390/cio/cio_private.h"
VFIO_CCW = "drivers/s390/cio/vfio_ccw.ko"
OTHERS = ("drivers/vfio/mdev/mdev.ko", "samples/vfio-mdev/mtty.ko")

# Result, text in the header, its replacement, more arguments for make, the reason of the refusal
CASES = (
    ("a kernel's type with one more field is no hindrance", "\tu64 dma_mask;\n", "", (), ""),
    ("a field of another size is named", "\t__u8 opm;", "\t__u16 opm;", (),
     "struct subchannel differs (<: the kernel's, >: ours; field, offset, size):\n< opm "),
    ("a type that has our storage has to be as large as the kernel's", "\tint (*settle)(void);\n", "", (),
     "struct css_driver differs"),
    ("another prototype of a callback is named", "\tint (*settle)(void);", "\tvoid (*settle)(void);", (),
     "css_driver differs (<: the kernel's, >: ours):\n< int (*settle)(void);"),
    ("another number of an enumeration is named", "\tSCH_TODO_EVAL,\n", "", (), "sch_todo differs"),
    ("another prototype of a function is named", "int chp_ssd_get_mask(", "u8 chp_ssd_get_mask(", (),
     "a function differs (<: the kernel's, >: ours):\n< int chp_ssd_get_mask("),
    ("without the kernel's types it is not built", "", "", ("btf=none",), "none is missing"),
)


def make(target, kernel, name, *more):
    """Returns whether the build succeeded, and the output of make."""
    log = LOGS / f"layout-{name}.log"
    try:
        build.run_make(["-C", kernel.headers, f"M={PLACE}", *more, "modules"], log, kernel.toolchain)
    except Failure:
        return False, log.read_text()
    return True, log.read_text()


def try_case(target, kernel, number, was, becomes, more, reason):
    text = (TOP / HEADER).read_text()
    if text.count(was) != 1 and was:
        raise Failure(f"{HEADER} has {text.count(was)} times {was.strip()!r}")
    (PLACE / HEADER).unlink()
    (PLACE / HEADER).write_text(text.replace(was, becomes) if was else text)
    (PLACE / VFIO_CCW).unlink(missing_ok=True)
    built, said = make(target, kernel, number, *more)
    if built == bool(reason) or reason not in said:
        raise Failure(f"vfio_ccw is {'built' if built else 'refused'}; see {LOGS.relative_to(TOP)}/layout-{number}.log")
    if not reason and not (PLACE / VFIO_CCW).exists():
        raise Failure("there is no vfio_ccw.ko")


def others_alone(target, kernel):
    shutil.rmtree(PLACE)
    build.link_sources(PLACE)
    built, _ = make(target, kernel, "others", "VFIO_CCW=n", "btf=none")
    there = [name for name in (*OTHERS, VFIO_CCW) if (PLACE / name).exists()]
    if not built or there != list(OTHERS):
        raise Failure(f"the build made {there}; see {LOGS.relative_to(TOP)}/layout-others.log")


def run(args, report):
    LOGS.mkdir(parents=True, exist_ok=True)
    targets = [config.load_target(name) for name in args.target or config.target_names()]
    targets = [target for target in targets if target.arch.name == "s390x" and target.headers and not target.like]
    if not targets:
        report.result(WHO, "types of the channel subsystem", SKIPPED, "there is no kernel for s390x among these")
        return
    target = targets[0]
    kernel = toolchain.fetch_kernel(target, report, args.refresh)

    def result(name, test, *more):
        try:
            test(target, kernel, *more)
        except Failure as failure:
            report.result(WHO, name, FAILED, str(failure))
        else:
            report.result(WHO, name, PASSED)

    with config.locked(PLACE):
        shutil.rmtree(PLACE, ignore_errors=True)
        build.link_sources(PLACE)
        for number, (name, *case) in enumerate(CASES):
            result(name, try_case, number, *case)
        result("the other modules are built without it", others_alone)
