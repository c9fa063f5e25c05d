# SPDX-License-Identifier: GPL-2.0
"""Results come from a program's output and the kernel's log. Their sum and the report's file come from the results."""

import xml.etree.ElementTree as xml

import pytest
import splat
from progress import Progress
from report import FAILED, PASSED, PEER, SKIPPED, Report
from tap import Tap


def read(*lines):
    tap = Tap()
    return [result for line in lines if (result := tap.line(line))], tap


def test_tap_results_have_a_name_a_status_and_what_was_said():
    results, tap = read("TAP version 13", "1..3", "# a.c:1:x:Expected 1 == 2", "not ok 1 x", "ok 2 y",
                        "ok 3 z # SKIP no device")
    assert results == [("x", FAILED, "a.c:1:x:Expected 1 == 2"), ("y", PASSED, ""), ("z", SKIPPED, "no device")]
    assert tap.problems("1") == []


@pytest.mark.parametrize("lines, code, says", [
    ([], "0", "the program reported nothing"),
    (["ok 1 a"], "0", "there is no TAP plan"),
    (["1..2", "ok 1 a"], "0", "the TAP plan says 2 results, 1 came"),
    (["1..1", "ok 2 a"], "0", "TAP result 2 comes where 1 is due"),
    (["1..1", "1..1", "ok 1 a"], "0", "the TAP plan comes twice"),
    (["1..1", "ok 1 a"], "3", "the program ended with 3, but no result failed"),
    (["1..1", "ok 1 a"], "", "the program ended with no status, but no result failed"),
])
def test_tap_that_is_no_whole_is_a_problem(lines, code, says):
    assert read(*lines)[1].problems(code) == [says]


def test_check_that_goes_on_is_known():
    assert read("1..2", "#  RUN           a.b ...", "#            OK  a.b", "ok 1 a.b")[1].running() == ""
    assert read("1..2", "ok 1 a.b", "#  RUN           a.c ...", "# a line")[1].running() == "a.c"


def test_skipped_program_may_end_with_its_own_code():
    results, tap = read("1..0 # SKIP not here")
    assert results == [("(all)", SKIPPED, "not here")]
    assert tap.problems("4") == []


def test_program_without_a_check_fails():
    results, _ = read("1..0")
    assert [status for _, status, _ in results] == [FAILED]


def test_splat_is_found_with_what_follows_it():
    lines = ["[1] fine", "[2] ------------[ cut here ]------------", "[3] WARNING: CPU: 0", "[4] more"]
    assert splat.find(lines) == lines[2:]
    assert splat.find(lines[:1]) == []
    assert splat.find(["[1] x"] + ["[2] BUG: y"] * 100) == ["[2] BUG: y"] * splat.SHOWN


def test_known_report_is_no_splat():
    lines = ["[1] WARNING: of another's", "[2] </TASK>", "[3] fine"]
    assert splat.find(lines, ["WARNING: of.*?</TASK>"]) == []
    assert splat.find([*lines, "[4] BUG: ours"], ["WARNING: of.*?</TASK>"]) == ["[4] BUG: ours"]


@pytest.fixture
def report(capsys):
    return Report()


def test_a_run_that_tested_nothing_has_not_passed(report, tmp_path):
    assert report.finish(tmp_path / "summary") == 1
    report.result("a", "skipped", SKIPPED, "no device")
    assert report.finish(tmp_path / "summary") == 1
    report.result("a", "good", PASSED)
    assert report.finish(tmp_path / "summary") == 0
    report.result("a", "bad", FAILED, "why")
    assert report.finish(tmp_path / "summary") == 1


def test_last_line_is_the_sum(report, capsys, tmp_path):
    report.result("a", "good", PASSED)
    report.result("b", "bad", FAILED, "why")
    report.finish(tmp_path / "summary")
    assert capsys.readouterr().out.splitlines()[-2:] == ["  [b] bad: why", "1 passed, 1 failed, 0 skipped"]


def test_logs_are_shown_again_if_something_failed(report, capsys, tmp_path):
    report.more("b", ["first\n", "second"])
    report.result("a", "good", PASSED)
    report.finish(tmp_path / "summary")
    assert "The log" not in capsys.readouterr().out
    report.result("b", "bad", FAILED, "why")
    report.finish(tmp_path / "summary")
    assert capsys.readouterr().out.splitlines()[-4:-1] == ["The log of b:", "  first", "  second"]


def test_what_the_kernels_own_fails_at_is_skipped(report, capsys):
    report.result("a" + PEER, "bad", FAILED, "why")
    assert (report.count(FAILED), report.count(SKIPPED)) == (0, 1)


def test_sum_is_kept_with_what_took_longest(tmp_path):
    progress = Progress(tmp_path / "took", 2)
    progress.job("a boot", lambda: None)()
    report = Report(progress)
    report.result("here", "one", PASSED)
    report.finish(tmp_path / "summary")
    assert (tmp_path / "summary").read_text().split("\n") == [
        "1 passed, 0 failed, 0 skipped", "", "What took longest:", "     0 s a boot", ""]


def test_junit_has_each_result(report, tmp_path):
    report.result("a", "good", PASSED)
    report.result("a", "bad", FAILED, "<why> \x1b[0m & more")
    report.result("b", "left out", SKIPPED, "no device")
    report.write_junit(tmp_path / "new/report.xml")
    suites = xml.parse(tmp_path / "new/report.xml").getroot()
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped"))
            for suite in suites] == [("a", "2", "1", "0"), ("b", "1", "0", "1")]
    assert [case.get("name") for case in suites.iter("testcase")] == ["good", "bad", "left out"]
    assert next(suites.iter("failure")).get("message") == "<why>  [0m & more"
