"""`python -m benchmarks.learning.training`: what training from the lake costs, and how it grows."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.learning.wide import write_examples, write_parquet
from feed_platform.settings import Settings

PEERS = ("ours", "parquet", "memory")
COMPARISON = "      rows objectives contender   wall s    CPU s  peak MiB  wall ratio  CPU ratio  log loss"
GROWTH = "      rows  missing  wall s    CPU s  peak MiB"


def main() -> None:
    """Print two tables: the fit step beside plain XGBoost, in turns; and the fit step by rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning.training", description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--objectives", type=int, nargs="*", default=[1, 3])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--growth", type=int, nargs="*", default=[1_000_000, 3_000_000, 30_000_000])
    parser.add_argument("--growth-rounds", type=int, default=5)
    parser.add_argument("--missing", type=float, default=0.0, help="share of null cells in the second table")
    options = parser.parse_args()
    if options.objectives:
        tell([COMPARISON])
        with examples(options.rows, 0.0) as home:
            write_parquet(Settings(home=home))
            for objectives in options.objectives:
                tell(compared(home, options, objectives))
    if options.growth:
        tell([GROWTH])
    for rows in options.growth:
        with examples(rows, options.missing) as home:
            found = run(home, "ours_refitted", 1, options.growth_rounds)
        figures = f"{found['seconds']:8.1f} {found['cpu']:8.1f} {found['peak_mib']:9,.0f}"
        tell([f"{rows:10,} {options.missing:8.0%} {figures}"])


def compared(home: Path, options: argparse.Namespace, objectives: int) -> Iterator[str]:
    """A line for each contender: medians of the runs, ratios of ours to each peer run by run."""
    runs = [
        {name: run(home, name, objectives, options.rounds) for name in PEERS} for _ in range(options.runs)
    ]
    for name in PEERS:
        middle = {key: statistics.median(one[name][key] for one in runs) for key in ("seconds", "cpu")}
        ratios = [
            statistics.median(one["ours"][key] / one[name][key] for one in runs) for key in ("seconds", "cpu")
        ]
        peak = max(one[name]["peak_mib"] for one in runs)
        loss = statistics.mean(runs[0][name]["losses"].values())
        yield (
            f"{options.rows:10,} {objectives:10} {name:9} {middle['seconds']:8.1f} {middle['cpu']:8.1f} "
            f"{peak:9,.0f} {ratios[0]:11.2f} {ratios[1]:10.2f} {loss:9.5f}"
        )


def run(home: Path, contender: str, objectives: int, rounds: int) -> dict[str, Any]:
    """A contender's figures, from a process of its own."""
    asked = [contender, "--objectives", str(objectives), "--rounds", str(rounds)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.learning.fits", *asked],
        env={**os.environ, "FEED_HOME": str(home)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(f"{contender} {objectives} {figures} load {os.getloadavg()[0]:.1f}\n")
    return figures


@contextmanager
def examples(rows: int, missing: float) -> Iterator[Path]:
    """A home with a training table, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-training-") as name:
        write_examples(Settings(home=Path(name)), rows, missing)
        yield Path(name)


def tell(lines: Iterable[str]) -> None:
    """Print lines as they come."""
    for line in lines:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
