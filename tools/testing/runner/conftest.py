# SPDX-License-Identifier: GPL-2.0
"""Lets the tests import the runner's parts, and prints the results as TAP, which the runner reads."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[1] / "vm"))

_results = []


def pytest_addoption(parser):
    # The terminal plugin is off: it would mix its own lines with TAP. pytest needs the plugin's option to explain
    # asserts.
    parser.addoption("--details", dest="verbose", type=int, default=0)


def pytest_collection_finish(session):
    print(f"1..{len(session.items)}", flush=True)


def pytest_collectreport(report):
    if report.failed:
        print(f"# {report.nodeid}: {report.longrepr}", flush=True)


def pytest_runtest_logreport(report):
    # A test that fails in its set-up has no result of its call.
    if report.when != "call" and not report.failed:
        return
    _results.append(report.passed)
    if not report.passed:
        print("\n".join(f"# {line}" for line in str(report.longrepr).splitlines()))
    name = report.nodeid.partition("::")[2]
    print(f"{'ok' if report.passed else 'not ok'} {len(_results)} {name}", flush=True)
