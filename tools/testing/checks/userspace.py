# SPDX-License-Identifier: GPL-2.0
"""Tests that need no VM: folders whose Makefile has a target "check" that prints TAP."""

import os
import subprocess

from config import BUILD, LOGS, TOP
from report import FAILED, PASSED
from tap import Tap

FOLDERS = ("tools/testing/channel-programs", "tools/testing/runner", "tools/testing/state", "tools/testing/subchannel")


def run(folder, report):
    who = folder.rpartition("/")[2]
    tap = Tap()
    LOGS.mkdir(parents=True, exist_ok=True)
    report.say(who, "building and running what needs no VM")
    argv = ["make", "-s", "-C", TOP / folder, "check", f"OUTPUT={BUILD / who}"]
    with subprocess.Popen(argv, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "LC_ALL": "C", "MAKEFLAGS": ""}) as process, \
            open(LOGS / f"{who}.log", "w") as log:
        for line in process.stdout:
            log.write(line)
            if result := tap.line(line.rstrip("\n")):
                report.result(who, *result)
    problems = tap.problems(str(process.returncode))
    text = f"{'; '.join(problems)}, see {(LOGS / who).relative_to(TOP)}.log" if problems else ""
    report.result(who, "ran to its end", FAILED if problems else PASSED, text)
