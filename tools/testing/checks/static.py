# SPDX-License-Identifier: GPL-2.0
"""What can be checked without running the modules. Each check returns the lines that it objects to."""

import os
import re
import subprocess

from build import run_make
from config import BUILD, LOGS, TOP, locked
from report import FAILED, PASSED

# What checkpatch says and is not followed: (type, where, why).
IGNORED = (
    ("OPEN_ENDED_LINE", r"_trace\.h$", "TRACE_EVENT() is laid out so everywhere"),
    ("PARENTHESIS_ALIGNMENT", r"_trace\.h$", "TRACE_EVENT() is laid out so everywhere"),
    ("CONST_STRUCT", r"", "a struct bus_type is registered, and older kernels take no const one"),
    ("COMPLEX_MACRO", r"^compat/", "what stands for members of an initializer takes no parentheses"),
    ("(LINUX_VERSION_CODE|CONSTANT_COMPARISON)", r"^tools/testing/modules/peer/", "it is built without compat/"),
    ("STATIC_CONST_CHAR_ARRAY", r"^tools/", "arrays of names that are filled at run time"),
    ("BIT_MACRO", r"^tools/", "user space has no BIT()"),
    ("PREFER_DEFINED_ATTRIBUTE_MACRO", r"^tools/", "user space has no __printf()"),
    ("VOLATILE", r"^tools/testing/guests/", "what an interrupt or a device changes; there is no READ_ONCE()"),
    ("CAMELCASE", r"^tools/testing/ccw/fuzz\.c$", "libFuzzer names its entry so"),
    ("NAKED_SSCANF", r"^tools/testing/selftests/", "the answer is an argument of ASSERT_EQ() or is compared"),
    ("SSCANF_TO_KSTRTO", r"^tools/", "user space has no kstrto*()"),
    ("BRACES", r"^tools/testing/selftests/", "the harness's EXPECT_*() are more than one statement"),
    ("(MACRO_ARG_REUSE|MACRO_WITH_FLOW_CONTROL|MULTISTATEMENT_MACRO_USE_DO_WHILE)", r"^tools/testing/selftests/",
     "macros around the harness's own, which return from the test"),
)

# Places of one machine, and hosts that packages come from: the first are wrong everywhere else, the second are the
# choice of whoever runs this.
_FOREIGN = re.compile(r"(?<![\w.~-])/(work|home|root|Users)/\w"
                      r"|\b(deb|security|snapshot|ftp\.\w+)\.debian\.org\b|\barchive\.ubuntu\.com\b"
                      r"|\bpypi\.org\b|\bregistry\.npmjs\.org\b|\bcrates\.io\b|\bproxy\.golang\.org\b")


def _files(*endings):
    """The repo's files, those that are not yet committed among them."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, text=True, check=True,
                             stdout=subprocess.PIPE).stdout
    return [name for name in listing.splitlines() if name.endswith(endings) and (TOP / name).is_file()]


def _output(argv, **environment):
    done = subprocess.run(argv, cwd=TOP, env={**os.environ, **environment}, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.stdout.splitlines() if done.returncode else []


def checkpatch(target, kernel):
    lines = _output([kernel.tools / "scripts/checkpatch.pl", "--strict", "--no-tree", "--no-summary", "--terse",
                     "--show-types", "--quiet", "--file", *_files(".c", ".h")])

    def followed(line):
        name, _, _, kind = (line.split(":") + [""] * 4)[:4]
        return not any(re.fullmatch(off, kind) and re.search(where, name) for off, where, _ in IGNORED)

    return [line for line in lines if followed(line)]


def kernel_doc(target, kernel):
    return _output([kernel.tools / "scripts/kernel-doc", "-none", "-Werror",
                    *(name for name in _files(".c", ".h") if not name.startswith("tools/"))])


def documentation(target, kernel):
    with locked(BUILD / "docs"):
        return _output(["sphinx-build", "-q", "-E", "-W", "--keep-going", "Documentation", BUILD / "docs"],
                       KERNEL_SOURCE=str(kernel.tools))


def sparse(target, kernel):
    src = target.dir / "src"
    with locked(target.dir):
        output = run_make(["-C", kernel.headers, f"M={src}", "C=2", "modules"], LOGS / target.name / "sparse.log")
    return [line for line in output.splitlines() if line.startswith(str(src)) and re.search("warning:|error:", line)]


def foreign_names(target, kernel):
    found = []
    for name in _files(""):
        text = (TOP / name).read_text(errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if _FOREIGN.search(line) or str(TOP) in line:
                found.append(f"{name}:{number}: {line.strip()}")
    return found


def versions(target, kernel):
    """The modules, DKMS and the package have to agree on their version; DKMS replaces older modules only."""
    found = {}
    for name, pattern in (("dkms.conf", r'^PACKAGE_VERSION="(.*)"$'), ("debian/changelog", r"^mdev-request \((.*?)\)"),
                          ("include/linux/mdev.h", r'^#define MDEV_VERSION "(.*)"$')):
        match = re.search(pattern, (TOP / name).read_text(), flags=re.M)
        found[name] = match[1] if match else "no version"
    return [] if len(set(found.values())) == 1 else [f"{name}: {version}" for name, version in found.items()]


CHECKS = {"checkpatch --strict": checkpatch, "kernel-doc": kernel_doc, "documentation": documentation, "sparse": sparse,
          "no names of machines or registries": foreign_names, "one version": versions}

# What an architecture's files are needed for: each has some of its own.
OF_AN_ARCH = ("sparse",)


def run(name, target, kernel, report):
    lines = CHECKS[name](target, kernel)
    log = LOGS / target.name / f"check-{CHECKS[name].__name__}.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    text = f"{len(lines)} lines, see {log.relative_to(TOP)}: " + " | ".join(lines[:3]) if lines else ""
    who = f"checks {target.arch.name}" if name in OF_AN_ARCH else "checks"
    report.result(who, name, FAILED if lines else PASSED, text)
