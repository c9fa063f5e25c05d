# SPDX-License-Identifier: GPL-2.0
"""The runner's parts can be imported by the tests, and the results are TAP, which the runner reads."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[1] / "vm"))

_results = []


def pytest_addoption(parser):
    # The terminal plugin would mix its own lines with TAP's; what explains a failed assert asks for its option.
    parser.addoption("--details", dest="verbose", type=int, default=0)


def pytest_collection_finish(session):
    print(f"1..{len(session.items)}", flush=True)


def pytest_collectreport(report):
    if report.failed:
        print(f"# {report.nodeid}: {report.longrepr}", flush=True)


def pytest_runtest_logreport(report):
    # One that fails before it is called has no result of its own.
    if report.when != "call" and not report.failed:
        return
    _results.append(report.passed)
    if not report.passed:
        print("\n".join(f"# {line}" for line in str(report.longrepr).splitlines()))
    name = report.nodeid.partition("::")[2]
    print(f"{'ok' if report.passed else 'not ok'} {len(_results)} {name}", flush=True)
