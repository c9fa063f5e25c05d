# SPDX-License-Identifier: GPL-2.0
"""The host's side of a test's requests: commands for its QEMU by QMP, or for another program on the host."""

import json
import socket
import subprocess

# Seconds in which QEMU has to answer.
LIMIT = 30

# Precedes a command that runs until it is told to end. The kernel kills the command when the runner ends for any
# reason.
DIES_WITH_RUNNER = ["setpriv", "--pdeathsig", "KILL"]


class _Program:
    """
    A program that is driven by lines, such as s3270. It answers a line with lines that begin with "data: ", a line of
    status, and then "ok" or "error".
    """

    def __init__(self, argv, errors):
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(LIMIT)
        self._lines = self._socket.makefile()
        with theirs:
            self._process = subprocess.Popen([*DIES_WITH_RUNNER, *argv], stdin=theirs, stdout=theirs, stderr=errors)

    def close(self):
        self._lines.close()
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def ask(self, line):
        self._socket.sendall(line.encode() + b"\n")
        data = []
        while said := self._lines.readline():
            said = said.rstrip()
            if said in ("ok", "error"):
                return f"{said} {json.dumps(data)}"
            if said.startswith("data:"):
                data.append(said.removeprefix("data:").removeprefix(" "))
        raise OSError("the program has ended")


class Host:
    def __init__(self, program, errors):
        """program: another program that a test can talk to, by the program's name; or nothing."""
        self._program = _Program(program, errors) if program else None
        self._program_name = program[0] if program else None
        self._socket, self._qemus = socket.socketpair()
        self._socket.settimeout(LIMIT)
        self._lines = None
        self.fds = (self._qemus.fileno(),)
        self.arguments = ["-chardev", f"socket,id=qmp,fd={self._qemus.fileno()}", "-mon", "chardev=qmp,mode=control"]

    def started(self):
        self._qemus.close()

    def close(self):
        self._socket.close()
        if self._program:
            self._program.close()

    def _execute(self, command, arguments):
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while line := self._lines.readline():
            answer = json.loads(line)
            if "return" in answer or "error" in answer:
                return answer
        raise OSError("QEMU has closed its monitor")

    def ask(self, line):
        """Takes "COMMAND KEY=VALUE…" or "PROGRAM LINE"; returns "ok" and the answer, or "error" and a reason."""
        command, *words = line.split()
        arguments = dict(word.partition("=")[::2] for word in words)
        try:
            if command == self._program_name:
                return self._program.ask(line.partition(" ")[2])
            if not self._lines:
                self._lines = self._socket.makefile()
                self._lines.readline()  # the greeting
                self._execute("qmp_capabilities", {})
            answer = self._execute(command, arguments)
        except (OSError, ValueError) as error:
            return f"error {error}"
        if "error" in answer:
            return f"error {answer['error']['desc']}"
        return f"ok {json.dumps(answer['return'])}"
