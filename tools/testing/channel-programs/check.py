# SPDX-License-Identifier: GPL-2.0-only
"""Runs the unit tests, the fuzzer on its corpus and on some mutations, and each break on the corpus: as TAP.

Usage: check.py <folder of the programs>
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
BREAKS = sorted(path.stem for path in (HERE / "breaks").glob("*.sed"))
# The same mutations each time, so that the same sources give the same result. "make fuzz" runs others.
FUZZ = ["-seed=1", "-runs=3000"]

results = []


def report(name, passed, notes=()):
    results.append(passed)
    for note in notes:
        print(f"# {note}")
    print(f"{'' if passed else 'not '}ok {len(results)} {name}", flush=True)


def notes_of(output, found):
    """The notes that a program prints, and the paths of the inputs that it kept."""
    lines = [line[2:] for line in output.splitlines() if line.startswith("# ")]
    lines += [line for line in output.splitlines() if re.search(r"runtime error:|SUMMARY:|^#\d+ +DONE", line)]
    return lines + [f"input kept as {path}" for path in found]


def fuzz(program, limits, keep=None):
    """Runs the corpus, then mutations of it up to the limits; returns (whether nothing was found, notes)."""
    with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
        artifacts = keep or pathlib.Path(scratch)
        artifacts.mkdir(exist_ok=True)
        before = set(artifacts.iterdir())
        argv = [program, *limits, "-max_len=1024", "-rss_limit_mb=1024", "-timeout=60",
                "-print_final_stats=0", f"-artifact_prefix={artifacts}/", pathlib.Path(scratch, "new"), CORPUS]
        argv[-2].mkdir()
        done = subprocess.run(argv, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        found = sorted(set(artifacts.iterdir()) - before - {argv[-2]}) if keep else ()
        return done.returncode == 0, notes_of(done.stdout, found)


def main(folder):
    print("TAP version 13")
    unit = subprocess.run([folder / "unit"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    notes, planned = [], 0
    for line in unit.stdout.splitlines():
        plan = re.match(r"1\.\.(\d+)$", line)
        result = re.match(r"(not )?ok \d+ (\S+)$", line)
        if plan:
            planned = int(plan[1])
        elif result:
            report(result[2], not result[1], notes)
            notes = []
        elif line != "TAP version 13":
            notes.append(line.removeprefix("# "))
    report("unit_tests_run_to_their_end", planned == len(results) > 0 and unit.returncode in (0, 1), notes)

    report("fuzzer_finds_nothing", *fuzz(folder / "fuzz", FUZZ, folder / "found"))
    for name in BREAKS:
        # No mutations: they would find a break only after a random time.
        fine, notes = fuzz(folder / f"fuzz-{name}", ["-runs=0"])
        report(f"broken_{name.replace('-', '_')}_is_found", not fine and bool(notes), notes)
    print(f"1..{len(results)}")
    return not all(results)


if __name__ == "__main__":
    os.environ.pop("ASAN_OPTIONS", None)
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
