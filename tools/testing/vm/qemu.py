# SPDX-License-Identifier: GPL-2.0
"""A guest's machine, emulated by QEMU."""

import contextlib
import subprocess
import tempfile

import packages
from host import DIES_WITH_RUNNER, Host


# The kernel reports a stuck processor after a minute. Its default is 20 seconds, for which the whole host may stand
# still.
PATIENCE = "rcupdate.rcu_cpu_stall_timeout=60 watchdog_thresh=30"


class Qemu:
    image_modules: list = []    # none: the machine has the disks

    def __init__(self, setup, test, logs):
        """test: the first test of the boot, or None for a shell."""
        self._setup = setup
        self._test = test
        self._logs = logs
        self._process = None
        self._host = None
        self.console = logs / "console.log"
        self.channel = setup.target.arch.channel
        self.channel_modules = setup.target.arch.channel_modules

    def _disks(self):
        """
        QEMU's flags for the disks. Each guest has its own changes of the root disk, unless they are kept. The serial
        number of the other disk is its name, by which the guest finds it.
        """
        test, device, flags = self._test, self._setup.target.arch.disk_device, []
        if test and test.root:
            snapshot = "off" if self._setup.keeps else "on"
            flags += ["-drive", f"if=none,id=root,format=raw,snapshot={snapshot},"
                                f"file={self._setup.disks[test.root]}", "-device", f"{device},drive=root"]
        if test and test.disk:
            flags += ["-blockdev", f"file,node-name=disk,read-only=on,filename={self._setup.disks[test.disk]}",
                      "-device", f"{device},drive=disk,serial={test.disk}"]
        return flags

    def _command(self, initrd, console, channel, sockets):
        setup, target, arch, test = self._setup, self._setup.target, self._setup.target.arch, self._test
        more = [word.replace("{sockets}", sockets).replace("{kernel}", str(setup.kernel.image))
                for word in (test.qemu if test else [])]
        return [*DIES_WITH_RUNNER, *arch.qemu, *target.qemu, "-accel", "kvm" if setup.kvm else "tcg",
                "-nodefaults", "-display", "none", "-no-reboot", "-chardev", console, "-chardev", channel,
                "-kernel", str(setup.kernel.image), "-initrd", str(initrd),
                "-append", f"{arch.cmdline} panic=-1 oops=panic log_buf_len=16M {PATIENCE} {target.cmdline} "
                           f"{test.cmdline if test else ''}",
                *self._disks(), *more]

    def shell(self, initrd, gdb=False):
        """Gives the user the console, and lets a debugger attach if gdb is set. Returns the exit code."""
        with tempfile.TemporaryDirectory() as sockets:
            channel = self._logs / "channel.log"
            command = self._command(initrd, "stdio,id=console,signal=off", f"file,id=channel,path={channel}", sockets)
            if gdb:
                command += ["-chardev", f"socket,id=gdb,path={sockets}/gdb,server=on,wait=off", "-gdb", "chardev:gdb"]
                self._write_gdb_script(f"{sockets}/gdb", channel)
            return subprocess.run(command).returncode

    def gdb_command(self):
        """The command that starts the debugger, in another terminal."""
        name = "gdb" if self._setup.target.arch.name == packages.host_architecture() else "gdb-multiarch"
        return f"{name} -x {self._logs / 'gdb-script'}"

    def _write_gdb_script(self, socket, channel):
        """gdb reads regular files only, so the channel is one. The guest reports there where its modules are."""
        symbols = self._logs / "gdb-symbols"
        lines = [f"target remote {socket}", f"shell grep ^add-symbol-file {channel} >{symbols}",
                 f"with pagination off -- source {symbols}"]
        # Debian's vmlinux among the headers has no symbols of functions, but tells gdb the architecture and the byte
        # order.
        if (kernel := self._setup.kernel.headers / "vmlinux").exists():
            lines.insert(0, f"file {kernel}")
        (self._logs / "gdb-script").write_text("".join(f"{line}\n" for line in lines))

    @contextlib.contextmanager
    def running(self, initrd):
        """Runs the machine within the block. Yields the pipe; pass the data from it to received()."""
        # The path of a socket is limited in length.
        with (open(self._logs / "qemu.log", "w") as errors, tempfile.TemporaryDirectory() as sockets,
              contextlib.closing(Host(self._test.host, errors)) as self._host):
            command = self._command(initrd, f"file,id=console,path={self.console}", "stdio,id=channel,signal=off",
                                    sockets)
            self._process = subprocess.Popen(command + self._host.arguments, stdin=subprocess.PIPE,
                                             stdout=subprocess.PIPE, stderr=errors, bufsize=0, pass_fds=self._host.fds)
            self._host.started()
            try:
                yield self._process.stdout
            finally:
                self._process.kill()
                self._process.wait()
                for pipe in (self._process.stdin, self._process.stdout):
                    pipe.close()

    def received(self, data):
        """Returns the data of the guest's channel, or None if the guest is down."""
        return data or None

    def send(self, text):
        """Sends text to the guest over its channel."""
        self._process.stdin.write(text.encode())

    def ask(self, line):
        """Answers a test's command to the host; see Host."""
        return self._host.ask(line)
