# SPDX-License-Identifier: GPL-2.0
"""Boots a guest, runs tests in it, and turns the lines from the channel into results."""

import contextlib
import dataclasses
import functools
import re
import selectors
import shlex
import time

import splat
from config import LOGS, TOP, locked
from hercules import Hercules
from initramfs import Cpio, closure, kernel_module
from qemu import Qemu
from report import FAILED, PASSED, PEER
from tap import Tap

# Seconds that the guest has for the leak scan, for unloading modules, and to obey a time limit.
GRACE = 90

# The interpreter of a program, by the end of the program's name. Python cannot be linked statically, so it is in a disk
# of packages.
_INTERPRETERS = {"sh": ["/bin/sh"], "py": ["/bin/chroot", "/disk", "/usr/bin/python3", "-B"]}

# The emulators, by the name that a target has for them. They have the same methods.
MACHINES = {"qemu": Qemu, "hercules": Hercules}

# The longest answer to the guest, in characters. The guest's buffer is twice as large.
ANSWER = 2000


@dataclasses.dataclass
class Setup:
    """The data that the boots of one target share."""
    target: object
    kernel: object
    archive: bytes
    disks: dict             # images, by name or by Test.root
    _: dataclasses.KW_ONLY
    peer: bool = False
    kvm: bool = False
    modules: dict = dataclasses.field(default_factory=dict)     # modules built here: {name: file}
    cases: list = dataclasses.field(default_factory=list)       # names of checks; if empty, all checks run
    keeps: bool = False     # what the guest changes on its root disk stays


# Differences between before and after a test.
_CHANGES = {"leak": "left behind", "lost": "gone"}


class _Run:
    """The state of one test of a boot."""

    def __init__(self, test, who, report):
        self.test = test
        self._who = who
        self._report = report
        self._tap = Tap() if test.output == "tap" else None
        self._results = []
        self._kernel = []
        self._exit = None
        self.output = []
        self.began = False

    def begin(self):
        if self.test.output == "stream":
            self._report.stage.acquire()
        self._report.say(self._who, f"run    {self.test.name}")
        self.began = True

    def _result(self, name, status, text=""):
        self._results.append((status, text))
        if not self.test.expect:
            self._report.result(self._who, name, status, text)

    def fail(self, text):
        self._result(self.test.name, FAILED, text)

    def program_line(self, line):
        self.output.append(line)
        if self.test.output == "stream":
            self._report.show(line)
        elif result := self._tap and self._tap.line(line):
            name, status, text = result
            self._result(f"{self.test.name}: {name}", status, text)

    def channel_line(self, word, rest):
        if word == "log":
            self._kernel.append(rest)
        elif word in _CHANGES and not any(re.match(text, rest) for text in self.test.left):
            self.fail(f"{_CHANGES[word]}: {rest}")
        elif word == "problem":
            self.fail(rest)
        elif word == "limit":
            check = self._tap and self._tap.running()
            self.fail((f"{check} goes on, and " if check else "") +
                      f"the time limit of {self.test.limit} s is over ({self.test.reason})")
        elif word == "exit":
            self._exit = rest

    def finish(self):
        """The guest has finished this test, or is lost."""
        if found := splat.find(self._kernel, self.test.known):
            self.fail(f"kernel log: {found[0]}")
            if not self.test.expect:
                self._report.more(self._who, found[1:])
        if self._exit is not None and self._tap:
            problems = self._tap.problems(self._exit)
        elif self._exit not in (None, "0"):
            problems = [f"the program ended with {self._exit}"]
        else:
            problems = []
        for problem in problems:
            self.fail(problem + (f"; its last line: {self.output[-1]}" if self.output else ""))
        if self.test.expect:
            failures = [text for status, text in self._results if status == FAILED]
            missing = [text for text in self.test.expect if not any(re.search(text, said) for said in failures)]
            if not missing:
                self._report.result(self._who, self.test.name, PASSED, "the runner reports: " + " + ".join(failures))
            else:
                self._report.result(self._who, self.test.name, FAILED,
                                    f"the runner should report {missing}, but: {failures or 'nothing'}")
        elif not self._results:
            # The program has no TAP, or its end was never reported. It passes only with an exit code of 0.
            self._result(self.test.name, PASSED if self._exit == "0" else FAILED,
                         "" if self._exit == "0" else "it never ended")
        if self.test.output == "stream" and self.began:
            self._report.stage.release()


class Boot:
    def __init__(self, setup, tests, report, number=0):
        """number: of this repetition, or 0 if the boots are not repeated."""
        self._setup = setup
        self._report = report
        slower, boot_limit = setup.target.slower, setup.target.boot_limit or setup.target.arch.boot_limit
        self._tests = [dataclasses.replace(test, limit=test.limit * slower,
                                           boot_limit=(test.boot_limit or boot_limit) * slower) for test in tests]
        self._grace = GRACE * slower
        self._who = setup.target.name + (f"#{number}" if number else "") + (PEER if setup.peer else "")
        self._root = setup.disks[tests[0].root] if tests and tests[0].root else None
        self.waits = all(test.waits for test in tests)
        name = (tests[0].boot or tests[0].name) if tests else "shell"
        name += ("-peer" if setup.peer else "") + (f".{number}" if number else "")
        self.name = f"{setup.target.name} {name}"
        self._logs = LOGS / setup.target.name / name

    def _modules(self, test):
        return self._setup.peer and test.peer_modules or [*test.modules, *self._drivers(test)]

    def _program(self, test):
        if test.script:
            program = ["/bin/sh", "-c", test.script]
        else:
            program = [*_INTERPRETERS.get(test.program.rpartition(".")[2], []), "/tests/" + test.program,
                       *test.arguments, *(word for case in self._setup.cases for word in ("-t", case))]
        if test.environment:
            program = ["/bin/env", *(f"{key}={value}" for key, value in test.environment.items()), *program]
        return program

    def _begin(self, machine):
        """The guest's steps before its first test: see _plan()."""
        disk_modules = []
        if self._root or self._disk():
            disk_modules = closure(self._setup.kernel, self._setup.target.disk_modules)
        lines = [shlex.join(["start", machine.channel, *machine.channel_modules])]
        if self._root:
            lines.append(shlex.join(["mount_root", *disk_modules]))
        lines.append(shlex.join(["load_base", *self._base_modules]))
        if disk := self._disk():
            lines.append(shlex.join(["mount_image", disk, *image] if (image := self._image_modules()) else
                                    ["mount_disk", disk, *disk_modules]))
        return lines

    def _plan(self, machine):
        """The plan of guest/init: calls of its functions, in order."""
        return [*self._begin(machine), *(shlex.join(["run_test", test.name, " ".join(self._modules(test)),
                                                     *self._program(test)]) for test in self._tests), "all_clean"]

    def _shell_plan(self, machine, gdb):
        """The same steps up to the shell. If there is a test, the user can run it there."""
        test = self._tests[0] if self._tests else None
        modules = self._modules(test) if test else ["mdev", "mtty"]
        lines = [*self._begin(machine),
                 shlex.join(["try_out", " ".join(modules), *(self._program(test) if test else [])])]
        if gdb:
            lines += [shlex.join(["symbols", name.rpartition("/")[2], str(path)])
                      for name, path in self._setup.modules.items() if name in modules]
            lines.append(shlex.join(["echo", "The debugger, in another terminal:", machine.gdb_command()]))
        return [*lines, "person"]

    @functools.cached_property
    def _base_modules(self):
        return closure(self._setup.kernel, self._setup.target.modules)

    def _drivers(self, test):
        """Debian's modules that the test needs."""
        return closure(self._setup.kernel, test.drivers, [*self._base_modules, *test.modules])

    def _disk(self):
        return self._tests[0].disk if self._tests else ""

    def _image_modules(self):
        """Modules with which the guest mounts a file of the initramfs as its disk; none if the machine has the disk."""
        machine = MACHINES[self._setup.target.machine]
        return closure(self._setup.kernel, machine.image_modules, self._base_modules) if self._disk() else []

    @contextlib.contextmanager
    def _initrd(self, lines, files=()):
        """The archive of the target's boots, followed by one with the plan and further files. Deletes it at the end."""
        plan = Cpio()
        plan.folder("vm")
        plan.file("vm/plan", "".join(f"{line}\n" for line in lines).encode(), 0o644)
        for path in files:
            plan.file(f"with/{path.name}", path.read_bytes())
        image = self._image_modules()
        if image:
            plan.folder("disks")
            plan.file(f"disks/{self._disk()}", self._setup.disks[self._disk()].read_bytes(), 0o644)
        for name in sorted({*image, *(name for test in self._tests for name in self._drivers(test))}):
            plan.file(f"modules/{name}.ko", kernel_module(self._setup.kernel, name), 0o644)
        initrd = self._logs / "initramfs"
        try:
            initrd.write_bytes(self._setup.archive + plan.bytes())
            yield initrd
        finally:
            initrd.unlink(missing_ok=True)

    def _machine(self):
        return MACHINES[self._setup.target.machine](self._setup, self._tests[0] if self._tests else None, self._logs)

    def shell(self, files=(), gdb=False):
        """Runs an interactive guest, with the modules loaded and the user's files. Returns the exit code."""
        with locked(self._logs):
            machine = self._machine()
            with self._initrd(self._shell_plan(machine, gdb), files) as initrd:
                return machine.shell(initrd, gdb)

    def run(self):
        """Returns the output of each test that began: {name: lines}."""
        outputs = self._run(may_fail=True)
        if outputs is None:
            # Under emulation, about one boot in a hundred fails: the kernel patches its code while another CPU runs it.
            # The kernel may also wait for ever if this machine stands still while the kernel measures its timer.
            self._report.say(self._who, "the guest did not reach its first test; booting it again")
            outputs = self._run(may_fail=False)
        return outputs

    def _run(self, may_fail):
        self._report.say(self._who, f"booting {self._setup.kernel.release} for "
                         f"{', '.join(test.name for test in self._tests)}; logs in {self._logs.relative_to(TOP)}")
        with locked(self._logs), open(self._logs / "channel.log", "wb") as record:
            machine = self._machine()
            with self._initrd(self._plan(machine)) as initrd, machine.running(initrd) as pipe:
                return self._follow(machine, _Lines(pipe, machine, record), may_fail)

    def _follow(self, machine, lines, may_fail):
        """
        Reads the channel up to the verdict. Each wait has a limit, and is reported if it reaches that. Returns None if
        the kernel has sent nothing, and may_fail allows for that.
        """
        runs = [_Run(test, self._who, self._report) for test in self._tests]
        waiting = list(runs)
        current = None
        between = []        # kernel log lines outside of tests
        why = None          # why the guest is lost
        stopping = False    # a time limit is over, and the guest was told
        deadline = time.monotonic() + self._tests[0].boot_limit
        while True:
            line = lines.next(deadline)
            if line is None:
                if not lines.any and may_fail:
                    return None
                if lines.ended:
                    why = "the guest went down"
                elif current and not stopping:
                    stopping = True
                    deadline = time.monotonic() + self._grace
                    machine.send(f"{current.test.name}\n")
                    continue
                else:
                    why = "the guest does not answer any more" if lines.any else "the guest did not start"
                break
            if line.startswith("|") and current:
                current.program_line(line[1:])
                continue
            word, _, rest = line[1:].partition(" ")
            if word == "begin":
                current = waiting.pop(0)
                stopping = False
                current.begin()
                deadline = time.monotonic() + current.test.limit
            elif word == "end":
                current.finish()
                current = None
                deadline = time.monotonic() + self._grace
            elif word == "verdict":
                if rest != "clean":
                    why = rest
                break
            elif word == "host":
                machine.send(f"host {machine.ask(rest)[:ANSWER]}\n")
            elif current:
                current.channel_line(word, rest)
                if word in ("exit", "limit"):
                    stopping = True
                    deadline = time.monotonic() + self._grace
            elif word == "log":
                between.append(rest)
            elif word == "problem":
                self._report.result(self._who, "boot", FAILED, rest)

        if why:
            # The kernel's last lines are on the console only.
            text = machine.console.read_text(errors="replace") if machine.console.exists() else ""
            after = text.rpartition("vm: begin ")[2]
            if found := splat.find(after.splitlines()):
                why += f": {found[0].strip()}"
                if not (current and current.test.expect):
                    self._report.more(self._who, found[1:])
            if current:
                current.fail(why)
                current.finish()
            elif not waiting:
                self._report.result(self._who, "boot", FAILED, f"no verdict: {why}")
        if found := splat.find(between):
            self._report.result(self._who, "boot", FAILED, f"kernel log: {found[0]}")
            self._report.more(self._who, found[1:])
        for run in waiting:
            run.fail(f"not run: {why}")
            run.finish()
        return {run.test.name: run.output for run in runs}


class _Lines:
    """Lines of the guest's channel, each awaited up to a deadline. All data is also written to a record."""

    def __init__(self, pipe, machine, record):
        self._pipe = pipe
        self._machine = machine
        self._record = record
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ)
        self._buffer = b""
        self.ended = False
        self.any = False

    def next(self, deadline):
        while b"\n" not in self._buffer:
            if not self._selector.select(max(0, deadline - time.monotonic())):
                return None
            data = self._machine.received(self._pipe.read(65536))
            if data is None:
                self.ended = True
                return None
            self.any = self.any or bool(data)
            self._record.write(data)
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")
