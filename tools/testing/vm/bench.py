# SPDX-License-Identifier: GPL-2.0
"""The benchmark's table: the figures of each program with our modules and with the kernel's own, and their ratio.

A benchmark program prints a line "bench NAME NUMBER" for each figure. The figures of each run are kept in build/bench/,
with a picture of the newest run.
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
    """The sum of these figures, each times its factor; None if one of them was not measured."""
    if isinstance(names, str):
        names = {names: 1}
    if not all(figures.get(name) for name in names):
        return None
    return sum(times * figures[name] for name, times in names.items())


def _ratio(number, other):
    return f"{number / other:.3f}" if number and other else "-"


def _before(who):
    """Our figures of the previous run with this kernel, or nothing."""
    runs = sorted((_KEPT / who).glob("*.json"))
    return json.loads(runs[-1].read_text())["ours"] if runs else {}


def _keep(who, ours, peer, ratios, report):
    """Keeps the figures as JSON, under the time of the run, and draws the ratios."""
    now = datetime.datetime.now(datetime.timezone.utc)
    source = subprocess.run(["git", "-C", TOP, "describe", "--always", "--dirty"], check=False, capture_output=True,
                            text=True).stdout.strip()
    path = _KEPT / who / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"kernel": who, "time": now.isoformat(timespec="seconds"), "source": source,
                                "ours": ours, "peer": peer, "rows": ratios}, indent=1) + "\n")
    picture = _KEPT / f"{who}.svg"
    # matplotlib is Debian's, so Debian's Python has to run this.
    subprocess.run(["/usr/bin/python3", "-B", TOP / "tools/testing/bench/draw.py", path, picture], check=True)
    report.say(who, f"the figures are in {path.relative_to(TOP)}, a picture in {picture.relative_to(TOP)}")


def table(who, ours, peer, rows, report):
    """Prints all figures, and reports the rows of bench.toml. Each row has a limit for the ratio of a figure of ours to
    the peer's figure, or to a sum of other figures of ours.

    A row with "targets" counts only on these targets. The table's last column is the ratio to the previous run.
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
    """Reports each row; returns the ratios of those that were measured."""
    ratios = []
    for row in rows:
        figure = ours.get(row["figure"])
        against = _sum(ours, row["against"]) if "against" in row else peer.get(row["figure"])
        if figure is None or not against and "against" in row:
            report.result(who, row["name"], FAILED, "a figure of this row was not measured")
            continue
        if not against:
            report.result(who, row["name"], SKIPPED,
                          "the kernel's own modules were not measured: see their failures")
            continue
        ratio = figure / against
        ratios.append({"name": row["name"], "ratio": round(ratio, 3), "most": row["most"]})
        report.result(who, row["name"], PASSED if ratio <= row["most"] else FAILED,
                      f"ratio {ratio:.3f}, limit {row['most']}")
    return ratios
