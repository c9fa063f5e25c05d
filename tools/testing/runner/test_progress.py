# SPDX-License-Identifier: GPL-2.0
"""The line that tells how far a run is."""

import pytest
from progress import Progress


@pytest.fixture(name="clock")
def clock_fixture():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now
    return Clock()


def test_nothing_is_said_where_nothing_runs(tmp_path, clock):
    assert Progress(tmp_path / "took", 2, clock).line(80) == ""


def test_what_runs_is_named_and_counted(tmp_path, clock):
    progress = Progress(tmp_path / "took", 2, clock)
    said = []

    def work():
        clock.now += 90
        said.append(progress.line(80))

    first, second = progress.job("one", work), progress.job("two", work)
    first()
    second()
    assert said == ["0 of 2 done | one 2 min", "1 of 2 done, 0 s left or so | two 2 min"]
    assert progress.line(80) == ""


def test_next_run_knows_what_jobs_took(tmp_path, clock):
    def work():
        clock.now += 100

    progress = Progress(tmp_path / "took", 2, clock)
    progress.job("one", work)()
    progress.keep()
    progress = Progress(tmp_path / "took", 2, clock)
    for name in "one", "new":
        progress.job(name, work)
    assert progress.line(80) == "0 of 2 done, 2 min left or so"


def test_jobs_of_kernels_that_are_not_built_yet_count(tmp_path, clock):
    def work():
        clock.now += 100

    progress = Progress(tmp_path / "took", 2, clock)
    for name in "amd64-6.12 build", "amd64-6.12 one", "amd64-6.1 one", "s390x-6.12 one":
        progress.job(name, work)()
    progress.keep()
    progress = Progress(tmp_path / "took", 2, clock)
    progress.expect(["amd64-6.12", "amd64-6.1"])
    progress.job("amd64-6.12 build", work)
    assert progress.line(80) == "0 of 3 done, 2 min left or so"
    # The kernel has one more boot now.
    progress.job("amd64-6.12 new", work)
    progress.have_come("amd64-6.12")
    assert progress.line(80) == "0 of 3 done, 2 min left or so"


def test_job_that_fails_has_ended_and_is_not_remembered(tmp_path, clock):
    progress = Progress(tmp_path / "took", 2, clock)
    with pytest.raises(ZeroDivisionError):
        progress.job("one", lambda: 1 / 0)()
    progress.keep()
    assert (tmp_path / "took").read_text() == "{}\n"
    assert progress.line(80) == ""


def test_line_fits_into_the_terminal(tmp_path, clock):
    progress = Progress(tmp_path / "took", 1, clock)
    progress.job("a name that is long", lambda: None)
    lines = []
    progress.job("another name that is long", lambda: lines.append(progress.line(40)))()
    assert len(lines[0]) < 40 and lines[0].endswith("…")
