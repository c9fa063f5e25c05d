# SPDX-License-Identifier: GPL-2.0
"""A runner that is killed leaves no machine behind, whichever of its threads has started it."""

import os
import pathlib
import select
import signal
import subprocess
import sys

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


def machine_ends_with_runner(how):
    runner = subprocess.Popen([sys.executable, "-B", "-c", RUNNER, VM], stdout=subprocess.PIPE, bufsize=0,
                              start_new_session=True)
    try:
        if runner.stdout.read(3) != b"up\n":
            return False
        runner.send_signal(how)
        ended = select.select([runner.stdout], [], [], SOON)[0]
        return bool(ended) and runner.stdout.read(1) == b""
    finally:
        os.killpg(runner.pid, signal.SIGKILL)
        runner.wait()


tests = [signal.SIGKILL, signal.SIGTERM]
print(f"1..{len(tests)}")
failed = 0
for number, how in enumerate(tests, 1):
    good = machine_ends_with_runner(how)
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} machine_ends_when_the_runner_gets_{how.name}", flush=True)
sys.exit(bool(failed))
