#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Draws the figures that `./run bench` has kept: draw.py RUN.json PICTURE.svg

A bar is a row of bench.toml: the ratio of our figure to the figure it is compared with. The mark at its end is the
limit.
"""

import json
import sys
import textwrap

import matplotlib

matplotlib.use("svg")
# The same figures give the same file, whose text can be searched.
matplotlib.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9})

import matplotlib.pyplot as plt  # noqa: E402 (it reads rcParams)


def draw(run, picture):
    rows = run["rows"][::-1]
    names = ["\n".join(textwrap.wrap(row["name"], 60)) for row in rows]
    figure, axes = plt.subplots(figsize=(10, 1 + 0.42 * len(rows)))
    bars = axes.barh(names, [row["ratio"] for row in rows], height=0.6,
                     color=["#4878a8" if row["ratio"] <= row["most"] else "#c44e52" for row in rows])
    axes.bar_label(bars, [f"{row['ratio']:.3f}" for row in rows], label_type="center", color="white")
    axes.plot([row["most"] for row in rows], range(len(rows)), linestyle="none", marker="|", markersize=16,
              color="black", label="limit")
    axes.axvline(1, linewidth=0.8, linestyle=":", color="grey")
    axes.set_xlim(0, 1.05 * max(max(row["ratio"], row["most"]) for row in rows))
    axes.set_title(f"{run['kernel']}, {run['time'][:10]}: ratios, less is better")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    figure.tight_layout()
    figure.savefig(picture, format="svg", metadata={"Date": None})


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        draw(json.load(file), sys.argv[2])


if __name__ == "__main__":
    main()
