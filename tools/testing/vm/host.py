# SPDX-License-Identifier: GPL-2.0
"""What a test in the guest asks of the host: commands for the guest's own QEMU, over QMP."""

import json
import socket

# Seconds that QEMU has for an answer.
LIMIT = 30


class Host:
    def __init__(self):
        self._socket, self._qemus = socket.socketpair()
        self._socket.settimeout(LIMIT)
        self._lines = None
        self.fds = (self._qemus.fileno(),)
        self.arguments = ["-chardev", f"socket,id=qmp,fd={self._qemus.fileno()}", "-mon", "chardev=qmp,mode=control"]

    def started(self):
        self._qemus.close()

    def close(self):
        self._socket.close()

    def _execute(self, command, arguments):
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while line := self._lines.readline():
            answer = json.loads(line)
            if "return" in answer or "error" in answer:
                return answer
        raise OSError("QEMU has closed its monitor")

    def ask(self, line):
        """Takes "COMMAND KEY=VALUE…", returns "ok" with what QEMU returned, or "error" with a reason."""
        command, *words = line.split()
        arguments = dict(word.partition("=")[::2] for word in words)
        try:
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
