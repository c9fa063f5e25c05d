# SPDX-License-Identifier: GPL-2.0
"""A killed runner leaves no machine running, whichever of its threads has started the machine."""

import os
import pathlib
import select
import signal
import subprocess
import sys

import pytest

VM = pathlib.Path(__file__).parents[1] / "vm"

# Seconds in which a killed process has to end.
SOON = 30

# A runner with one machine. The machine prints "up", and keeps its output open while it lives.
RUNNER = """\
import concurrent.futures, subprocess, sys
sys.path.append(sys.argv[1])
from host import DIES_WITH_RUNNER
with concurrent.futures.ThreadPoolExecutor() as pool:
    pool.submit(subprocess.run, [*DIES_WITH_RUNNER, "sh", "-c", "echo up; exec sleep 600"]).result()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_machine_ends_when_the_runner_gets(how):
    runner = subprocess.Popen([sys.executable, "-B", "-c", RUNNER, VM], stdout=subprocess.PIPE, bufsize=0,
                              start_new_session=True)
    try:
        assert runner.stdout.read(3) == b"up\n"
        runner.send_signal(how)
        assert select.select([runner.stdout], [], [], SOON)[0], "the machine lives"
        assert runner.stdout.read(1) == b""
    finally:
        os.killpg(runner.pid, signal.SIGKILL)
        runner.wait()
