# SPDX-License-Identifier: GPL-2.0
"""The benchmark's table: what each program measured with our modules and with the kernel's own, and the ratio.

A benchmark program is a test that also prints "# bench NAME: NUMBER UNIT" for each thing that it measures.
"""

import re

from report import FAILED, PASSED

_FIGURE = re.compile(r"# bench ([^:]+): (\d+) ?(.*)$")


def _figures(outputs):
    found = {}
    for lines in outputs.values():
        for line in lines:
            if match := _FIGURE.match(line):
                found[match[1]] = (int(match[2]), match[3])
    return found


def table(who, ours, peer, rows, report):
    """The rows are what the figures are held against: two names, or one of both sides, and the ratio to reach."""
    ours, peer = _figures(ours), _figures(peer)
    lines = [f"{who:44} {'ours':>12} {'peer':>12}"]
    for name, (number, unit) in ours.items():
        other = peer.get(name)
        lines.append(f"{name:44} {number:>12} {other[0] if other else '-':>12} {unit}")
    print("\n" + "\n".join(lines) + "\n", flush=True)
    for row in rows:
        against = (ours if "to_ours" in row else peer).get(row.get("to_ours", row["figure"]))
        figure = ours.get(row["figure"])
        if not figure or not against or not against[0]:
            report.result(who, row["name"], FAILED, "it was not measured")
            continue
        ratio = figure[0] / against[0]
        report.result(who, row["name"], PASSED if ratio <= row["most"] else FAILED,
                      f"ratio {ratio:.3f}, at most {row['most']} is to be reached")
