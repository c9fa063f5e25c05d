# SPDX-License-Identifier: GPL-2.0
"""The benchmark's table: what each program measured with our modules and with the kernel's own, and the ratio.

A benchmark program prints a line "bench NAME NUMBER" for each thing that it measures.
"""

import re

from report import FAILED, PASSED, SKIPPED

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


def table(who, ours, peer, rows, report):
    """A row of bench.toml holds a figure of ours against the peer's, or against another of ours or a sum of them.

    With "targets" it is held on these only.
    """
    rows = [row for row in rows if row["test"] in ours and who in row.get("targets", [who])]
    ours, peer = _figures(ours), _figures(peer)
    print(f"\n{who:28} {'ours':>14} {'peer':>14} {'ratio':>7}")
    for name in {**ours, **peer}:
        number, other = ours.get(name), peer.get(name)
        ratio = f"{number / other:.3f}" if number and other else "-"
        print(f"{name:28} {number or '-':>14} {other or '-':>14} {ratio:>7}")
    print(flush=True)
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
        report.result(who, row["name"], PASSED if ratio <= row["most"] else FAILED,
                      f"ratio {ratio:.3f}, to reach: {row['most']}")
