"""`python -m benchmarks.features`: what the feature build costs, beside the same by hand and in Polars.

Every step runs in a process of its own; `FEED_MEMORY_LIMIT` (4GB unless set) limits DuckDB on both
sides. Seconds are of the build alone: starting Python and dbt's parse aren't in them, dbt's other work
is. `tests` are the data tests among them. Ratios are to the hand-written script, and of increments to
the build of 30 days; the last one leaves the tests out on both sides.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.features.shape import FEATURES

POLARS_MOST_ROWS = 3_000_000
TOLERANCE = 1e-9  # sums of doubles come in any order
COLUMNS = (
    f"{'rows':>11}  {'step':24} {'wall s':>8} {'CPU s':>8} {'tests s':>8} {'peak MiB':>9} "
    f"{'ratio':>6} {'CPU':>6}  {'less tests':>10}"
)
Figures = dict[str, Any]


def main() -> None:
    """Print a line for each step and size, then how the steps grow."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 3_000_000, 10_000_000])
    parser.add_argument(
        "--runs", type=int, default=1, help="times that the 30 days are built, taken in turns"
    )
    parser.add_argument("--history", type=int, default=60, help="days before the second increment; 0: none")
    parser.add_argument("--models", action="store_true", help="also the seconds of each dbt model")
    options = parser.parse_args()
    print(COLUMNS)
    measured: dict[str, dict[int, Figures]] = defaultdict(dict)
    for rows in options.rows:
        for step, figures in measure(rows, options.runs, options.history):
            measured[step][rows] = figures
            print(line(rows, step, figures), flush=True)
            if options.models and "models" in figures:
                print(profile(figures["models"]), flush=True)
    if len(options.rows) > 1:
        print("growth: in proportion to rows to the power of (wall, CPU)")
        for step, sizes in measured.items():
            powers = [exponent(sizes, clock) for clock in ("seconds", "cpu")] if len(sizes) > 1 else []
            print(f"  {step:24} {' '.join(f'{power:5.2f}' for power in powers) or '    –'}")


def measure(rows: int, runs: int, history: int) -> Iterator[tuple[str, Figures]]:
    """Every step at one size, each with what it is compared to."""
    with tempfile.TemporaryDirectory(prefix="bench-features-") as name:
        native = Path(name, "by-hand")
        native.mkdir()
        run("load_native", native, rows=rows, end=30)
        hand, full = [], []
        for number in range(runs):
            home = Path(name, f"home-{number}")
            run("load", home, rows=rows, end=30)
            hand.append(run("hand", native))
            full.append(run("ours", home, end=30))
        by_hand, ours = (min(side, key=lambda one: one["seconds"]) for side in (hand, full))
        yield "by hand, 30 days", by_hand
        yield "dbt build, 30 days", ours | {"base": by_hand}
        verify(run("sums_ours", home), run("sums_hand", native), "the hand-written script")
        if rows <= POLARS_MOST_ROWS:
            yield "Polars, 30 days", run("polars", native) | {"base": by_hand}
            verify(run("sums_ours", home), run("sums_polars", native), "Polars")
        yield "dbt build, day 31", increment(home, 30, rows) | {"base": ours}
        if history > 31:
            run("load", home, rows=rows, first=31, end=history)
            run("ours", home, first=31, end=history)
            yield f"dbt build, day {history + 1}", increment(home, history, rows) | {"base": ours}
        yield (
            "online snapshot",
            run("ours", home, "--snapshot", first=max(history, 30), end=max(history, 30) + 1),
        )


def increment(home: Path, number: int, rows: int) -> Figures:
    """One more day of raw rows and its features."""
    run("load", home, rows=rows, first=number, end=number + 1)
    return run("ours", home, first=number, end=number + 1)


def run(step: str, folder: Path, *flags: str, **numbers: int) -> Figures:
    """A step's figures, from a process of its own; what it prints is shown if it fails."""
    given = [text for name, value in numbers.items() for text in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.features.contender", step, str(folder), *given, *flags],
        env={"FEED_MEMORY_LIMIT": "4GB", **os.environ},
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{step} failed:\n{done.stdout}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def verify(ours: Figures, theirs: Figures, name: str) -> None:
    """Every feature's sum and the number of rows are the same on both sides.

    Raises:
        SystemExit: they differ; names the columns.
    """
    different = [
        column
        for column in ("rows", *FEATURES)
        if not math.isclose(ours[column], theirs[column], rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    ]
    if different:
        raise SystemExit(f"sums differ from those of {name}: {', '.join(different)}")
    print(f"{'':11}  {len(FEATURES)} features of {ours['rows']:,.0f} rows add up to the same as with {name}")


def line(rows: int, step: str, figures: Figures) -> str:
    """One step's line."""
    seconds, tests, base = figures["seconds"], figures.get("tests", 0.0), figures.get("base")
    text = (
        f"{rows:11,}  {step:24} {seconds:8.2f} {figures['cpu']:8.2f} {tests:8.2f} {figures['peak_mib']:9,.0f}"
    )
    if not base:
        return text
    models = (seconds - tests) / (base["seconds"] - base.get("tests", 0.0))
    return f"{text} {seconds / base['seconds']:6.2f} {figures['cpu'] / base['cpu']:6.2f}  {models:10.2f}"


def profile(models: dict[str, float]) -> str:
    """Each model's seconds, the slowest first."""
    slowest = sorted(models.items(), key=lambda one: -one[1])
    return "\n".join(f"{'':13}{name:28} {seconds:8.2f}" for name, seconds in slowest)


def exponent(sizes: Mapping[int, Figures], clock: str) -> float:
    """The slope of the least-squares line through the logarithms of rows and of a clock's seconds."""
    logs = [(math.log(rows), math.log(figures[clock])) for rows, figures in sizes.items()]
    x, y = (sum(one) / len(logs) for one in zip(*logs, strict=True))
    return sum((a - x) * (b - y) for a, b in logs) / sum((a - x) ** 2 for a, _ in logs)


if __name__ == "__main__":
    main()
