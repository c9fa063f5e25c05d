# SPDX-License-Identifier: GPL-2.0
"""A runner that is killed leaves no machine behind, whichever of its threads has started it."""

import os
import pathlib
import select
import signal
import subprocess
import sys

import pytest

VM = pathlib.Path(__file__).parents[1] / "vm"

# Seconds for a process to end that has been killed.
SOON = 30

# A runner with one machine, which says when it is up, and has its output open as long as it lives.
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
