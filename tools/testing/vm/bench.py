# SPDX-License-Identifier: GPL-2.0
"""The benchmark's table: what each program measured with our modules and with the kernel's own, and the ratio.

A benchmark program prints a line "bench NAME NUMBER" for each thing that it measures. The figures of each run are kept
in build/bench/, with a picture of the newest.
"""

import datetime
import json
import re
import subprocess

from config import BUILD, TOP
from report import FAILED, PASSED, SKIPPED

_KEPT = BUILD / "bench"
_FIGURE = re.compile(r"bench (\S+) (\d+)$")


def _figures(outputs):
    found = {}
    for lines in outputs.values():
        for line in lines:
            if match := _FIGURE.match(line):
                found[match[1]] = int(match[2])
    return found


def _sum(figures, names):
    """Of the figures that a row is held against, each with how often it counts; None if one was not measured."""
    if isinstance(names, str):
        names = {names: 1}
    if not all(figures.get(name) for name in names):
        return None
    return sum(times * figures[name] for name, times in names.items())


def _ratio(number, other):
    return f"{number / other:.3f}" if number and other else "-"


def _before(who):
    """Our figures of the run before, of the same kernel; none if there was no run."""
    runs = sorted((_KEPT / who).glob("*.json"))
    return json.loads(runs[-1].read_text())["ours"] if runs else {}


def _keep(who, ours, peer, ratios, report):
    """For people and for programs: the figures as JSON, under the time of the run, and the ratios as a picture."""
    now = datetime.datetime.now(datetime.timezone.utc)
    source = subprocess.run(["git", "-C", TOP, "describe", "--always", "--dirty"], check=False, capture_output=True,
                            text=True).stdout.strip()
    path = _KEPT / who / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"kernel": who, "time": now.isoformat(timespec="seconds"), "source": source,
                                "ours": ours, "peer": peer, "rows": ratios}, indent=1) + "\n")
    picture = _KEPT / f"{who}.svg"
    # Debian's Python has Debian's library.
    subprocess.run(["/usr/bin/python3", "-B", TOP / "tools/testing/bench/draw.py", path, picture], check=True)
    report.say(who, f"the figures are in {path.relative_to(TOP)}, a picture in {picture.relative_to(TOP)}")


def table(who, ours, peer, rows, report):
    """A row of bench.toml holds a figure of ours against the peer's, or against another of ours or a sum of them.

    With "targets" it is held on these only. The last column is what a figure of ours is of the same one a run ago.
    """
    rows = [row for row in rows if row["test"] in ours and who in row.get("targets", [who])]
    ours, peer, before = _figures(ours), _figures(peer), _before(who)
    print(f"\n{who:28} {'ours':>14} {'peer':>14} {'ratio':>7} {'of last':>7}")
    for name in {**ours, **peer}:
        number, other = ours.get(name), peer.get(name)
        print(f"{name:28} {number or '-':>14} {other or '-':>14} {_ratio(number, other):>7} "
              f"{_ratio(number, before.get(name)):>7}")
    print(flush=True)
    ratios = _hold(who, ours, peer, rows, report)
    if ratios:
        _keep(who, ours, peer, ratios, report)


def _hold(who, ours, peer, rows, report):
    """Reports each row; returns those that were measured."""
    ratios = []
    for row in rows:
        figure = ours.get(row["figure"])
        against = _sum(ours, row["against"]) if "against" in row else peer.get(row["figure"])
        if figure is None or not against and "against" in row:
            report.result(who, row["name"], FAILED, "it was not measured")
            continue
        if not against:
            report.result(who, row["name"], SKIPPED,
                          "the kernel's own modules were not measured: see what they fail at")
            continue
        ratio = figure / against
        ratios.append({"name": row["name"], "ratio": round(ratio, 3), "most": row["most"]})
        report.result(who, row["name"], PASSED if ratio <= row["most"] else FAILED,
                      f"ratio {ratio:.3f}, to reach: {row['most']}")
    return ratios
