# SPDX-License-Identifier: GPL-2.0
"""The checks of the sources, which do not run the modules. Each check returns the lines that it objects to."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from breaks import broken, forget_edits
from breaks import load as load_breaks
from build import build_source, link_sources, run_make
from config import BUILD, LOGS, TOP, kernel_range, locked
from report import FAILED, PASSED, Failure

# Objections of checkpatch that the project does not follow: (type, where, why).
IGNORED = (
    ("OPEN_ENDED_LINE", r"_trace\.h$", "TRACE_EVENT() is laid out so everywhere"),
    ("PARENTHESIS_ALIGNMENT", r"_trace\.h$", "TRACE_EVENT() is laid out so everywhere"),
    ("MACRO_ARG_REUSE", r"mdev_request\.h$", "the macro waits for its argument to be true, as wait_event() does"),
    ("FILE_PATH_CHANGES", r"", "MAINTAINERS names folders, and a staged patch has no new file names"),
    ("(LINE_SPACING|PARENTHESIS_ALIGNMENT)", r"/mtty\.c$", "members of a struct_group_tagged() are declarations"),
    ("CONST_STRUCT", r"", "a struct bus_type is registered, and older kernels take no const one"),
    ("AVOID_EXTERNS", r"mdev_kernel_(parent|driver)\.c$",
     "no header of ours may be included: it would change the versions"),
    ("MACRO_ARG_REUSE", r"mdev_kernel\.c$", "names of members"),
    ("COMPLEX_MACRO", r"^(compat|tools/testing/modules/peer)/",
     "members of an initializer take no parentheses"),
    ("COMPLEX_MACRO", r"^tools/testing/subchannel/kernel\.h$", "it is a declaration"),
    ("MACRO_ARG_(REUSE|PRECEDENCE|UNUSED)", r"^tools/testing/state/kernel\.h$",
     "they stand for the kernel's, and do less, for one thread"),
    ("(LINUX_VERSION_CODE|CONSTANT_COMPARISON)", r"^tools/testing/modules/peer/", "it is built without compat/"),
    ("STATIC_CONST_CHAR_ARRAY", r"^tools/", "arrays of names that are filled at run time"),
    ("BIT_MACRO", r"^tools/", "user space has no BIT()"),
    ("PREFER_DEFINED_ATTRIBUTE_MACRO", r"^tools/", "user space has no __printf()"),
    ("VOLATILE", r"^tools/testing/guests/", "an interrupt or a device changes the variable; there is no READ_ONCE()"),
    ("CAMELCASE", r"^tools/testing/channel-programs/fuzz\.c$", "libFuzzer names its entry so"),
    ("NAKED_SSCANF", r"^tools/testing/selftests/", "the answer is an argument of ASSERT_EQ() or is compared"),
    ("SSCANF_TO_KSTRTO", r"^tools/", "user space has no kstrto*()"),
    ("BRACES", r"^tools/testing/selftests/", "the harness's EXPECT_*() are more than one statement"),
    ("(MACRO_ARG_REUSE|MULTISTATEMENT_MACRO_USE_DO_WHILE)", r"^tools/testing/selftests/",
     "macros that make tests and variants, or that look at an expression again and again"),
)

_TYPES = TOP / "tools/testing/checks/checkpatch-types.txt"

# Paths that exist on one machine only, and hosts of package registries. Paths are wrong on all other machines. Each
# user chooses the hosts.
_FOREIGN = re.compile(r"(?<![\w.~-])/(work|home|root|Users)/\w"
                      r"|\b(deb|security|snapshot|ftp\.\w+)\.debian\.org\b|\barchive\.ubuntu\.com\b"
                      r"|\bpypi\.org\b|\bregistry\.npmjs\.org\b|\bcrates\.io\b|\bproxy\.golang\.org\b")


def _files(*endings):
    """The repo's files, including those that are not yet committed."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, text=True, check=True,
                             stdout=subprocess.PIPE).stdout
    return [name for name in listing.splitlines() if name.endswith(endings) and (TOP / name).is_file()]


def _output(argv, **environment):
    done = subprocess.run(argv, cwd=TOP, env={**os.environ, **environment}, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.stdout.splitlines() if done.returncode else []


def checkpatch_says(kernel, argv, patch=None):
    """The lines that checkpatch objects to, without those in IGNORED."""
    done = subprocess.run([kernel.tools / "scripts/checkpatch.pl", "--strict", "--no-tree", "--no-summary", "--terse",
                           "--show-types", "--quiet", "--typedefsfile", _TYPES, *argv], cwd=TOP, input=patch,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def followed(line):
        name, _, _, kind = (line.split(":") + [""] * 4)[:4]
        return not any(re.fullmatch(off, kind) and re.search(where, name) for off, where, _ in IGNORED)

    lines = done.stdout.decode(errors="replace").splitlines() if done.returncode else []
    return [line for line in lines if followed(line)]


def checkpatch(target, kernel):
    return checkpatch_says(kernel, ["--file", *_files(".c", ".h")])


def _scripts(interpreter):
    """The files that this interpreter runs, whatever their names are."""
    return [name for name in _files("") if re.match(rb"#!.*\b%s\b" % interpreter, (TOP / name).read_bytes())]


def shellcheck(target, kernel):
    scripts = _scripts(b"(ba|da)?sh")
    return _output(["shellcheck", "--external-sources", "--format=gcc", *sorted({*scripts, *_files(".sh")})])


def python(target, kernel):
    """
    flake8 on all files in Python, and mypy on the runner and on mdevs. The runner's modules import each other by their
    plain names. mdevs has to run with the oldest Python that a user may have.
    """
    mypy = ["mypy", "--no-incremental", "--ignore-missing-imports", "--no-error-summary"]
    return (_output(["flake8", "--max-line-length=120", *sorted({*_files(".py"), *_scripts(b"python3")})]) +
            _output([*mypy, TOP / "tools/testing/vm"], MYPYPATH=str(TOP / "tools/testing/vm")) +
            _output([*mypy, "--check-untyped-defs", "--python-version=3.9", TOP / "tools/mdevs"]))


def spelling(target, kernel):
    # The listed words are names, not misspelt words. Compressed or random files are not text.
    texts = [name for name in _files("") if "/corpus/" not in name and name != "COPYING"]
    return _output(["codespell", "--ignore-words-list=debians,filp,nd", *texts])


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
    # Match the whole path: a clone's path may be short, and the beginning of another path.
    here = re.compile(rf"(?<![\w.~/-]){re.escape(str(TOP))}(?![\w.~-])")
    for name in _files(""):
        text = (TOP / name).read_text(errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if _FOREIGN.search(line) or here.search(line):
                found.append(f"{name}:{number}: {line.strip()}")
    return found


def versions(target, kernel):
    """The modules, DKMS and the package must have the same version; DKMS replaces older modules only."""
    found = {}
    for name, pattern in (("dkms.conf", r'^PACKAGE_VERSION="(.*)"$'), ("debian/changelog", r"^mdev-request \((.*?)\)"),
                          ("include/linux/mdev.h", r'^#define MDEV_VERSION "(.*)"$')):
        match = re.search(pattern, (TOP / name).read_text(), flags=re.M)
        found[name] = match[1] if match else "no version"
    return [] if len(set(found.values())) == 1 else [f"{name}: {version}" for name, version in found.items()]


# The definition of a function that other files can call.
_FUNCTION = re.compile(r"^(?!static\b|extern\b|typedef\b)\w[\w \*]*?\b(\w+)\([^;]*?\)\n\{", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def call_circle(folder):
    """The names of files that call each other in a circle, in order, or nothing."""
    texts = {path.name: _COMMENT.sub("", path.read_text()) for path in sorted(folder.glob("*.c"))}
    owners = {name: file for file, text in texts.items() for name in _FUNCTION.findall(text)}
    calls = {file: {owners[name] for name in re.findall(r"\b(\w+)\(", text) if name in owners} - {file}
             for file, text in texts.items()}
    done, way = set(), []

    def visit(file):
        if file in way:
            return [*way[way.index(file):], file]
        if file in done:
            return []
        way.append(file)
        for other in sorted(calls[file]):
            if found := visit(other):
                return found
        done.add(way.pop())
        return []

    for file in calls:
        if found := visit(file):
            return found
    return []


def circles(target, kernel):
    """Files of drivers/vfio/mdev do not call each other in a circle. The check also has to find one that it makes."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        sample = pathlib.Path(name)
        for this, other in ("ab", "bc", "ca"):
            (sample / f"{this}.c").write_text(f"int {this}(int x)\n{{\n\treturn {other}(x);\n}}\n")
        if call_circle(sample) != ["a.c", "b.c", "c.c", "a.c"]:
            found.append("a circle of three files is not seen")
        (sample / "c.c").write_text("static int a(int x)\n{\n\treturn x;\n}\n/* a() is b()'s */\n")
        if call_circle(sample):
            found.append("a circle is seen where there is none")
    if way := call_circle(TOP / "drivers/vfio/mdev"):
        found.append(f"files of drivers/vfio/mdev call each other in a circle: {' -> '.join(way)}")
    return found


# A call that logs, up to its end, if no string in it has a quote; and the guide's headings of log lines, in double
# backquotes.
_LOG_CALL = re.compile(r"""\b(?:dev|pr)_(?:err|warn|notice|info)\w*\(((?:"[^"]*"|[^;"])*);""")
_LITERAL = re.compile(r'"([^"]*)"')
_HEADING = re.compile(r"^``.*``$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"%[-#0-9.]*(?:(?:hh?|ll?|[ztj])?[duxio]|p\w*|s|c)|\\n")
LOGGING = ("drivers/vfio/mdev", "drivers/s390/cio", "samples/vfio-mdev")
GUIDE = "Documentation/admin-guide/mediated-devices.rst"
# Log lines that other documents quote: after "the log has" or "the log says", and in a transcript
_QUOTE = re.compile(r"\bthe log (?:has|says) ``([^`]+)``|^ {4}vfio_mdev \S+: (.+)$", re.MULTILINE)
QUOTING = ("README.md", "Documentation/admin-guide/installation.rst", "Documentation/admin-guide/watching.rst")


def longest_piece(line):
    """The longest part of a log line in a document, without placeholders and parts that other strings may make."""
    return max(re.split(r"…|\b[A-Z]+\b|[()#:;]", line.replace('"', "'")), key=len).strip(" ,")


def unknown_lines(sources, guide):
    """Log lines of the sources that have no heading in the guide, and headings that match no source."""
    headings = re.findall(r"``(.*?)``", " ".join(_HEADING.findall(guide)))
    found, parts = [], []
    for name, text in sources.items():
        text = text.replace('\\"', "'")
        for call in _LOG_CALL.findall(text):
            longest = max(_PLACEHOLDER.split("".join(_LITERAL.findall(call))), key=len).strip(" :;,(#")
            if not any(longest in heading.replace('"', "'") for heading in headings):
                found.append(f"{name}: {GUIDE} has no heading with {longest!r}")
        parts += _LITERAL.findall(text)
    for heading in headings:
        longest = longest_piece(heading)
        if longest and not any(longest in part for part in parts):
            found.append(f"no source logs {longest!r}, which {GUIDE} has as a heading")
    return found


def log_quotes(text):
    """The log lines that a document quotes. A quote may be broken over two lines. A transcript's lines are indented."""
    return ["".join(quote) for quote in _QUOTE.findall(re.sub(r"(?<=\S)\n(?=\S)", " ", text))]


def misquoted_lines(sources, documents):
    """Quotes of the log in documents that match no source. Both arguments are {name: text}."""
    parts = [part for text in sources.values() for part in _LITERAL.findall(text.replace('\\"', "'"))]
    found = []
    for name, text in documents.items():
        for quote in log_quotes(text):
            longest = longest_piece(quote)
            if not any(longest in part for part in parts):
                found.append(f"no source logs {longest!r}, which {name} quotes")
    return found


def log_lines(target, kernel):
    """
    Each log line has a heading in the administrator's guide, and each heading a log line. Other documents quote only
    existing log lines. The check also has to find lines that it makes up.
    """
    sources = {str(path.relative_to(TOP)): path.read_text()
               for folder in LOGGING for path in sorted((TOP / folder).glob("*.c"))}
    guide = (TOP / GUIDE).read_text()
    guide = guide[guide.index("What the log says, and what to do"):]
    found = unknown_lines(sources, guide)
    new = {**sources, "new.c": 'f(x);\n\tdev_warn(dev, "the \\"moon\\" is full: %s\\n", y);'}
    if len(unknown_lines(new, guide)) != len(found) + 1:
        found.append("a new line of the log is not missed in the guide")
    if len(unknown_lines(sources, f"{guide}\n``the moon is full: …``\n\tSleep.\n")) != len(found) + 1:
        found.append("a line of the guide that no source has is not seen")
    documents = {name: (TOP / name).read_text() for name in QUOTING}
    found += misquoted_lines(sources, documents)
    found += [f"{name} has no quote of the log that can be read" for name, text in documents.items()
              if not log_quotes(text)]
    wrong = {"new.rst": "the log\nhas ``the moon\nis full``", "new.md": "    vfio_mdev 83b8f4f2: full moon (pid 1)\n"}
    if len(misquoted_lines(sources, wrong)) != 2:
        found.append("a wrong quote of the log is not seen")
    return found


# A function that a document names; a step of a walk, which is a file and a function in it; a function's definition.
_NAMED = re.compile(r"\b((?:mdev|vfio_ccw|ccw_cp|cp|mtty)_\w+)\(\)")
_STEP = re.compile(r"^``(\w+\.c)``\s+``(\w+)\(\)``", re.MULTILINE)
_DEFINITION = re.compile(r"^(?:\w[\w \*]*?[ \*])?(\w+)\([^;{}]*\)\n\{", re.MULTILINE)
# A function of Linux only. The documents say what replaces it here.
_OF_LINUX = {"mdev_get_type_group_id"}
DEFINED_IN = ("drivers", "samples", "include", "compat", "tools/testing")


def unknown_functions(documents, sources):
    """Functions in documents that do not exist, or not in the file that is named. Both arguments are {name: text}."""
    definitions = {name.rpartition("/")[2]: set(_DEFINITION.findall(_COMMENT.sub("", text)))
                   for name, text in sources.items() if name.endswith(".c")}
    text = "".join(sources.values())
    found = []
    for name, document in documents.items():
        for function in sorted(set(_NAMED.findall(document)) - _OF_LINUX):
            if not re.search(rf"\b{function}\(", text):
                found.append(f"{name}: there is no {function}()")
        for file, function in _STEP.findall(document):
            if function not in definitions.get(file, ()):
                found.append(f"{name}: {file} has no {function}()")
    return found


def named_functions(target, kernel):
    """Functions that the documents name exist. The check also has to find made-up ones, and steps in the walks."""
    sources = {str(path.relative_to(TOP)): path.read_text() for folder in DEFINED_IN
               for path in sorted((TOP / folder).rglob("*.[ch]"))}
    documents = {name: (TOP / name).read_text() for name in _files(".rst", ".md")}
    found = unknown_functions(documents, sources)
    if len(_STEP.findall(documents["Documentation/driver-api/walks.rst"])) < 30:
        found.append("the walks have no steps that can be read")
    wrong = {"new.rst": "mdev_moon()\n``mdev_bus.c``  ``mdev_detach()``\n``mdev_revoke.c``  ``mdev_detach()``\n"}
    if len(unknown_functions(wrong, sources)) != 2:
        found.append("a function that does not exist, or not there, is not seen")
    return found


def farm(target, kernel):
    """The links of a farm lead into the tree of that farm, even if the tree was copied or moved."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        first, second, third = (pathlib.Path(name) / part for part in ("first", "second", "third"))
        (first / "compat").mkdir(parents=True)
        for file in ("Kbuild", "compat/a.c", "compat/features.h", "compat/a.mod.c"):
            (first / file).write_text("")
        link_sources(first / "build", ["Kbuild", "compat"], first)
        shutil.copytree(first, second, symlinks=True)
        # An edited copy in place of a link is replaced by a link.
        (second / "build/Kbuild").unlink()
        (second / "build/Kbuild").write_text("")
        shutil.move(first, third)
        for tree in (second, third):
            link_sources(tree / "build", ["Kbuild", "compat"], tree)
            links = {str(path.relative_to(tree / "build")): path.readlink()
                     for path in (tree / "build").rglob("*") if path.is_symlink()}
            wanted = {file: tree / file for file in ("Kbuild", "compat/a.c")}
            if links != wanted:
                found.append(f"{tree.name}: the links are {links}")
    return found


def vfio_ap(target, kernel):
    """
    vfio_ap links with our symbols: modpost takes their versions from the module that exports them. No emulator can run
    vfio_ap.
    """
    with locked(target.dir):
        src, into = target.dir / "src", target.dir / "vfio_ap"
        try:
            build_source(kernel, "drivers/s390/crypto", "vfio_ap", into, [src / "Module.symvers"],
                         LOGS / target.name / "build-vfio_ap.log")
        except Failure as failure:
            return str(failure).splitlines()
        wanted = set(re.findall(r"\bmdev_(?:un)?register_\w+", (into / "vfio_ap.mod.c").read_text()))
    return [] if len(wanted) == 4 else [f"it uses {' '.join(sorted(wanted))}"]


def symbol_versions(target, kernel):
    """The build compares the versions of the kernel's own symbols with ours, and reports a difference."""
    names = ("mdev_register_parent", "mdev_unregister_parent", "mdev_register_driver", "mdev_unregister_driver")
    found = []

    def run(what, theirs, ours, code, says, takes):
        with tempfile.TemporaryDirectory() as folder:
            symvers, cmds = pathlib.Path(folder) / "Module.symvers", [pathlib.Path(folder) / name for name in "ab"]
            if theirs is not None:
                symvers.write_text("".join(f"{crc}\t{name}\tdrivers/vfio/mdev/mdev\tEXPORT_SYMBOL\t\n"
                                           for name, crc in theirs.items()))
            for cmd, part in zip(cmds, (names[:2], names[2:])):
                cmd.write_text("".join(f"#SYMVER {name} {ours[name]}\n" for name in part if name in ours))
            done = subprocess.run([TOP / "drivers/vfio/mdev/symvers_check.sh", symvers, *cmds], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            # If a name has several lines, the last one counts.
            have = dict(line.split()[1:] for cmd in cmds for line in cmd.read_text().splitlines())
        if done.returncode != code or bool(says) != bool(done.stdout) or says not in done.stdout or have != takes:
            found.append(f"{what}: ended with {done.returncode}, said {done.stdout!r}, took {have}")

    equal = {name: f"0x{number:08x}" for number, name in enumerate(names, 1)}
    other = {**equal, names[3]: "0x00000005"}
    less = {name: equal[name] for name in names[1:]}
    run("equal versions", equal, equal, 0, "", equal)
    run("one that differs", other, equal, 0, f"warning: the version of {names[3]} is", other)
    run("one that is missing", equal, less, 1, f"error: the symbol {names[0]} has no version", less)
    run("a kernel without mdev", {"mdev_other": "0x00000009"}, equal, 0, "", equal)
    run("a kernel without versions", dict.fromkeys(names, "0x00000000"), {}, 0, "", {})
    run("no list of symbols", None, equal, 0, "", equal)
    return found


# New members of struct vfio_device_ops in a future kernel, and the names that the build reports
NEW_OPS = {
    "\tint\t(*frobnicate)(struct vfio_device *vdev /* ; */,\n\t\tint);\n": "frobnicate",
    "\tint\t(*frobnicate)(void (*callback)(int));\n": "frobnicate",
    "#ifdef CONFIG_IOMMUFD\n\tvoid\t(*frobnicate)(void);\n#endif\n": "frobnicate",
    "\tunion {\n\t\tint\t(*frobnicate)(void);\n\t\tint\t(*read)(void);\n\t};\n\tint\t(*defrobnicate)(void);\n":
        "frobnicate defrobnicate",
    "\tconst struct frobnicate *frob_ops;\n\tu8\tfrob[2];\n": "frob_ops frob",
}


def refused_kernels(target, kernel):
    """The build refuses kernels older than the oldest version, and those whose VFIO has unknown operations."""
    (low, minor), (high, newest_minor) = kernel_range()
    older, oldest = f"{low}.{minor - 1}", f"{low}.{minor}"
    newest, newer = f"{high}.{newest_minor}", f"{high}.{newest_minor + 1}"
    header = kernel.source_tree("include/linux/vfio.h").read_text()
    begin = "struct vfio_device_ops {\n"
    found = []

    def run(version, header, code, says):
        with tempfile.TemporaryDirectory() as name:
            # The runner links the files that kbuild needs in the same way.
            link_sources(pathlib.Path(name), ("compat",))
            folder = pathlib.Path(name) / "include/linux"
            folder.mkdir(parents=True)
            if header:
                (folder / "vfio.h").write_text(header)
            major, minor = version.split(".")
            done = subprocess.run(["make", "-f", f"{name}/compat/range.mk", "--eval", "supported:;@:",
                                   f"VERSION={major}", f"PATCHLEVEL={minor}", f"srctree={name}", "supported"],
                                  text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if bool(done.returncode) != code or says not in done.stdout or bool(says) != bool(done.stdout):
            found.append(f"{version} ended with {done.returncode}, and said {done.stdout.strip()!r}")

    if begin not in header:
        found.append("the header has no place for a new operation")
    run(newest, header, False, "")
    run(oldest, header, False, "")
    run(newer, header, False, f"note: Linux {newer} is newer than {newest}, the newest kernel tested")
    for members, names in NEW_OPS.items():
        run(newer, header.replace(begin, begin + members), True, f"has what is not known here: {names}.")
    run(oldest, header.replace(begin, begin + next(iter(NEW_OPS))), True, "has what is not known here: frobnicate.")
    run(newest, header.replace(begin, ""), True, "no struct vfio_device_ops was found")
    run(newer, "", True, "its headers have no linux/vfio.h")
    run(older, header, True, f"is older than {oldest}")
    return found


def edits(target, kernel):
    """Objects that were built from an edited file are built again for the next break; other objects are not."""
    found = []
    for edited, gone in (("compat/compat.h", set()), ("drivers/vfio/mdev/mdev_bus.c", {"mdev_bus.o"}),
                         ("drivers/vfio/mdev/mdev_gate.h", {"mdev_bus.o", "mdev_main.o"})):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name) / "drivers/vfio/mdev"
            folder.mkdir(parents=True)
            (folder / "mdev_main.c").symlink_to(TOP / "drivers/vfio/mdev/mdev_main.c")
            objects = {file: folder / file for file in ("mdev_bus.o", "mdev_main.o")}
            for path in (*objects.values(), pathlib.Path(name) / edited):
                path.parent.mkdir(exist_ok=True)
                path.write_text("")
            forget_edits(pathlib.Path(name))
            if (went := {file for file, path in objects.items() if not path.exists()}) != gone:
                found.append(f"{edited}: {sorted(went)} went, not {sorted(gone)}")
    return found


def breaks(target, kernel):
    """Each deliberate break fits the sources as they are."""
    found = []
    for entry in load_breaks():
        try:
            broken(entry)
        except Failure as failure:
            found.append(f"{entry.name}: {failure}")
    return found


CHECKS = {"checkpatch --strict": checkpatch, "shellcheck": shellcheck, "flake8 and mypy": python,
          "spelling": spelling, "kernel-doc": kernel_doc, "documentation": documentation, "sparse": sparse,
          "no names of machines or registries": foreign_names, "one version": versions, "calls go down": circles,
          "lines of the log stand in the guide": log_lines, "documents name what exists": named_functions,
          "links lead into this tree": farm,
          "breaks can be made": breaks, "breaks leave nothing behind": edits,
          "kernels are refused by what their VFIO has": refused_kernels,
          "versions of symbols are compared": symbol_versions, "vfio_ap links with our symbols": vfio_ap}

# Checks that are run once for each architecture; and those that only one architecture has.
OF_AN_ARCH = ("sparse", "vfio_ap links with our symbols")
OF_ONE_ARCH = {"vfio_ap links with our symbols": "s390x"}


def is_due(check, arch, checked_archs):
    """Most checks need the headers and the source of one kernel; those of OF_AN_ARCH, of one kernel an architecture."""
    if check in OF_ONE_ARCH:
        return arch == OF_ONE_ARCH[check] and arch not in checked_archs
    return not checked_archs or arch not in checked_archs and check in OF_AN_ARCH


def run(name, target, kernel, report):
    lines = CHECKS[name](target, kernel)
    log = LOGS / target.name / f"check-{CHECKS[name].__name__}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(f"{line}\n" for line in lines))
    count = "one line" if len(lines) == 1 else f"{len(lines)} lines"
    text = f"{count}, see {log.relative_to(TOP)}: " + " | ".join(lines[:3]) if lines else ""
    who = f"checks {target.arch.name}" if name in OF_AN_ARCH else "checks"
    report.result(who, name, FAILED if lines else PASSED, text)
