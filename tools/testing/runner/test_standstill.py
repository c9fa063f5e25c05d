# SPDX-License-Identifier: GPL-2.0
"""The runner reports that the machine stood still, but not that it was merely busy."""

import pytest
import standstill
from report import Report


class Over(Exception):
    pass


@pytest.mark.parametrize("slept, says", [(standstill.BEAT + 2, ""), (standstill.BEAT + 30, "stood still for 30 s")])
def test_time_that_is_missing_is_told(monkeypatch, capsys, slept, says):
    clock = [0.0]

    def sleep(_):
        if clock[0]:
            raise Over
        clock[0] += slept

    report = Report()
    monkeypatch.setattr(standstill.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(standstill.time, "sleep", sleep)
    with pytest.raises(Over):
        standstill._watch(report)
    out = capsys.readouterr().out
    assert says in out if says else not out
