# SPDX-License-Identifier: GPL-2.0
"""
A guest's machine, emulated by Hercules: a mainframe that runs channel programs beside the processor, with disks, a tape
and unit-record devices.

Hercules reads the operator's commands from a pipe, one a line, as from an external panel. It prints its log, which has
the guest's console in it. tools/testing/modules/hercules_channel.c is the guest's end of the channel. It writes its
text to that log. The runner stores text for it in the guest's memory.
"""

import contextlib
import os
import re
import select
import shutil
import struct
import subprocess
import sys
import time
import urllib.parse

from host import DIES_WITH_RUNNER
from report import Failure

# Addresses of the initramfs and the command line, and those at which the kernel looks for the initramfs.
INITRD = 0x4000000
INITRD_ADDRESS, INITRD_SIZE, CMDLINE = 0x1040c, 0x10414, 0x10480
CMDLINE_LIMIT = 896

MACHINE = """\
ARCHMODE ESAME
CPUMODEL 2097
CPUSERIAL 000001
MAINSIZE 1024
NUMCPU 1
OSTAILOR QUIET
PANRATE 1000
HERCPRIO 0
TODPRIO 0
DEVPRIO 0
CPUPRIO 0
PGMPRDOS LICENSED
DIAG8CMD ENABLE
SHCMDOPT DISABLE NODIAG8
"""

# The tests know these devices by their numbers. With "nosyncio" a disk runs a program after START SUBCHANNEL, not
# within it. There are several card readers, because a test may leave one unusable. The second console is for a test:
# its input would be lines that begin with a percent sign. The last reader has many equal cards, so a test can begin at
# any card.
DEVICES = """\
0009 3215-C / noprompt
000a 3215-C % noprompt
000c 3505 {logs}/reader.txt ascii trunc
0010.20 3505 {logs}/reader.txt ascii trunc
000d 3525 {logs}/punch.bin
0030 3505 {logs}/same.txt ascii trunc
000e 1403 {logs}/printer.txt
0120 3390 {logs}/disk0.cckd nosyncio
0121 3390 {logs}/disk1.cckd
0580 3480 {logs}/tape.aws
"""

# The kernel's console is the 3215. hvc_iucv needs z/VM, which Hercules is not.
CONSOLE = ("conmode=3215 condev=0x0009 initcall_blacklist=hvc_iucv_init nokaslr cryptomgr.notests loglevel=5 "
           "oops=panic log_buf_len=4M")

# Hercules's messages at the end of a guest: a panic ends in a disabled wait, a power-off stops the processor.
_DOWN = re.compile(rb"HHCCP011I|SIGP Stop \(05\)|HHCIN900I")
_FRAME = re.compile(rb"=vm([=@])([0-9A-Za-z%]*)=\n?")

# The size of the page that the guest reads from, and the bytes that one command of the operator stores.
RING = 4096
STORE = 24

SAME_CARDS = 1000000

# Large files that are made for each boot, and do not help to read its logs.
BULKY = ("kernel", "disk0.cckd", "disk1.cckd", "tape.aws", "same.txt")

# Files that devices write, and the length of the end that a test can have.
MADE_BY = ("punch.bin", "printer.txt")
MADE = 400

# Seconds in which Hercules has to answer a command.
LIMIT = 30


class Hercules:
    channel = "/dev/hercules"
    channel_modules = ["hercules_channel"]
    image_modules = ["loop", "crc32c_generic", "ext4"]     # to mount the file of the initramfs that is the disk

    def __init__(self, setup, test, logs):
        """test: the first test of the boot, or None for a shell."""
        if setup.kvm or test and (test.qemu or test.packages or test.host):
            raise Failure(f"{setup.target.name}: {test.name if test else 'this'} needs what Hercules does not have")
        self._setup = setup
        self._test = test
        self._logs = logs
        self._process = None
        self._console = None
        self._ring = None       # address of the guest's page; _position: next byte
        self._position = 0
        self._log = b""         # Hercules's output since the last command
        self._rest = b""
        # Channel text that came while ask() waited for an answer. The guest sends more before it sees that answer, so
        # received() is called again and returns this text.
        self._early = b""
        self._down = False
        self.console = logs / "console.log"

    def _media(self):
        """Makes the disks, the tape and the cards anew. A runner that was killed may have left some."""
        for name in BULKY:
            (self._logs / name).unlink(missing_ok=True)
        for name, volume in (("disk0", "VFIO00"), ("disk1", "VFIO01")):
            self._tool("dasdinit", "-z", "-lfs", "-linux", f"{name}.cckd", "3390", volume, "10")
        self._tool("hetinit", "-d", "-n", "tape.aws")
        (self._logs / "reader.txt").write_text("".join(f"card {i}\n" for i in range(1, 2001)))
        (self._logs / "same.txt").write_text("one of many\n" * SAME_CARDS)
        for name in MADE_BY:
            (self._logs / name).write_bytes(b"")

    def _tool(self, *argv):
        done = subprocess.run(argv, cwd=self._logs, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Failure(f"{' '.join(argv)} failed:\n{done.stdout}")

    def _arrange(self, initrd):
        """Writes all files that Hercules reads. It loads files only from the folder of their list."""
        target, test = self._setup.target, self._test
        cmdline = f"{CONSOLE} {target.cmdline} {test.cmdline if test else ''}".encode() + b"\0"
        if len(cmdline) > CMDLINE_LIMIT:
            raise Failure(f"{target.name}: the kernel's command line is too long")
        self._media()
        shutil.copyfile(self._setup.kernel.image, self._logs / "kernel")
        for name, data in (("address", struct.pack(">I", INITRD)), ("size", struct.pack(">I", initrd.stat().st_size)),
                           ("cmdline", cmdline)):
            (self._logs / name).write_bytes(data)
        (self._logs / "boot.ins").write_text(f"kernel 0x0\naddress {INITRD_ADDRESS:#x}\nsize {INITRD_SIZE:#x}\n"
                                             f"cmdline {CMDLINE:#x}\n{initrd.name} {INITRD:#x}\n")
        (self._logs / "hercules.cnf").write_text(MACHINE + DEVICES.format(logs=self._logs))
        (self._logs / "hercules.rc").write_text(f"ipl {self._logs / 'boot.ins'}\n")

    @contextlib.contextmanager
    def running(self, initrd):
        """Runs the machine within the block. Yields the pipe; pass the data from it to received()."""
        self._arrange(initrd)
        with open(self._logs / "hercules.log", "w") as errors, open(self.console, "wb") as self._console:
            self._process = subprocess.Popen([*DIES_WITH_RUNNER, "hercules", "-d", "-f",
                                              self._logs / "hercules.cnf", "EXTERNALGUI"],
                                             env={**os.environ, "HERCULES_RC": str(self._logs / "hercules.rc")},
                                             cwd=self._logs, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=errors, bufsize=0)
            try:
                yield self._process.stdout
            finally:
                self._process.kill()
                self._process.wait()
                for pipe in (self._process.stdin, self._process.stdout):
                    pipe.close()
                for name in BULKY:
                    (self._logs / name).unlink(missing_ok=True)

    def _command(self, text):
        try:
            self._process.stdin.write(text.encode() + b"\n")
        except OSError:
            self._down = True

    def _split(self, data):
        """Returns the channel's text in Hercules's output. The rest is the guest's console and Hercules's own."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        channel = b""
        for line in lines:
            line += b"\n"
            while frame := _FRAME.search(line):
                if frame[1] == b"@":
                    self._ring = int(frame[2], 16)
                else:
                    channel += urllib.parse.unquote_to_bytes(frame[2])
                line = line[:frame.start()] + line[frame.end():]
            self._console.write(line)
            self._log += line
            self._down = self._down or bool(_DOWN.search(line))
        self._console.flush()
        return channel

    def received(self, data):
        """Returns the data of the guest's channel, or None if the guest is down."""
        if not data:
            return None
        self._log = b""
        channel, self._early = self._early + self._split(data), b""
        return channel or (None if self._down else b"")

    def send(self, text):
        """Sends text to the guest over its channel."""
        data = text.encode()
        while data and self._ring is not None:
            size = min(STORE, len(data), RING - self._position)
            self._command(f"r {self._ring + self._position:x}={data[:size].hex()}")
            self._position = (self._position + size) % RING
            data = data[size:]

    def ask(self, line):
        """
        Runs a command of Hercules, or "made FILE". Returns "ok" and Hercules's output, or the bytes that a device has
        written in hexadecimal; or "error".
        """
        word, _, name = line.partition(" ")
        if word == "made":
            return f"ok {(self._logs / name).read_bytes()[-MADE:].hex()}" if name in MADE_BY else "error no such device"
        mark = f"* answered {time.monotonic_ns()}"
        self._log = b""
        self._command(line)
        self._command(mark)
        deadline = time.monotonic() + LIMIT
        while mark.encode() not in self._log:
            if not select.select([self._process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                return "error Hercules does not answer"
            data = self._process.stdout.read(65536)
            if not data:
                return "error Hercules has ended"
            self._early += self._split(data)
        said = self._log.partition(mark.encode())[0].decode(errors="replace").splitlines()
        failed = any(re.match(r"HHC\w+E ", text) for text in said)
        return f"{'error' if failed else 'ok'} {' / '.join(text for text in said if text != line)}"

    def shell(self, initrd, gdb=False):
        """Gives the user the console. A line that begins with a dot goes to Hercules. Returns the exit code."""
        if gdb:
            raise Failure(f"{self._setup.target.name}: no debugger can reach a guest of Hercules")
        with self.running(initrd) as output:
            sources = [output, sys.stdin]
            while True:
                ready = select.select(sources, [], [])[0]
                if output in ready:
                    data = output.read(65536)
                    self._split(data)
                    sys.stdout.write(self._log.decode(errors="replace"))
                    sys.stdout.flush()
                    self._log = b""
                    if not data or self._down:
                        return 0
                if sys.stdin in ready:
                    line = sys.stdin.readline()
                    if not line:
                        sources.remove(sys.stdin)
                    else:
                        self._command(line[1:-1] if line.startswith(".") else f"/{line[:-1]}")
