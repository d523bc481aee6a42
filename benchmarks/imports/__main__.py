"""`python -m benchmarks.imports`: what validation costs. `FEED_MEMORY_LIMIT` limits both sides."""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.imports.log import write_log

HEADER = "format          rows   ours s   CTAS s  ratio  ours MiB  CTAS MiB"


def main() -> None:
    """Print a line for each format and size: medians of the runs, taken in turns."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--formats", nargs="+", choices=["csv", "parquet"], default=["parquet", "csv"])
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    sys.stdout.write(HEADER + "\n")
    for rows in options.rows:
        for form in options.formats:
            sys.stdout.write(compared(rows, form, options.runs) + "\n")
            sys.stdout.flush()


def compared(rows: int, form: str, runs: int) -> str:
    """One line: our import and CREATE TABLE AS of the same file."""
    with tempfile.TemporaryDirectory(prefix="bench-imports-") as name:
        folder = Path(name)
        log = write_log(folder, rows, form)
        pairs = [(run("ours", log), run("ctas", log)) for _ in range(runs)]
    ours, ctas = (statistics.median(one["seconds"] for one in side) for side in zip(*pairs, strict=True))
    peaks = (max(one["peak_mib"] for one in side) for side in zip(*pairs, strict=True))
    memory = " ".join(f"{peak:9,.0f}" for peak in peaks)
    return f"{form:8} {rows:11,} {ours:8.2f} {ctas:8.2f} {ours / ctas:6.2f} {memory}"


def run(contender: str, log: Path) -> dict[str, float]:
    """A contender's figures, from a process and a home of its own; NaN where it failed."""
    with tempfile.TemporaryDirectory(prefix="home-", dir=log.parent) as home:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.imports.contender", contender, str(log)],
            env={**os.environ, "FEED_HOME": home},
            stdout=subprocess.PIPE,
            check=False,
            text=True,
        )
    if done.returncode:
        return {"seconds": math.nan, "peak_mib": math.nan}
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
