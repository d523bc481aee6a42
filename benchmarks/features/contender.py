"""One measured step in a process of its own; prints seconds, peak memory and the rest as JSON."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.features.clock import peak_mib, timed
from benchmarks.features.shape import FEATURES, SLICE_ROWS


def ours(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Build some days of the home's features, or the online snapshot."""
    from benchmarks.features import ours

    select = ours.SNAPSHOT if options.snapshot else ours.FEATURES
    return ours.build(folder, options.first, options.end, select)


def load(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Add raw rows to the home's lake."""
    from benchmarks.features import ours

    ours.load(folder, options.first, options.end, options.rows)
    return {}


def load_native(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Write raw rows to a native file."""
    from benchmarks.features.by_hand import RAW
    from benchmarks.features.log import insert_days

    with connected(folder) as con:
        con.execute(RAW)
        insert_days(con, "", options.first, options.end, options.rows)
    return {}


def hand(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the hand-written script."""
    from benchmarks.features.by_hand import by_hand

    with connected(folder) as con, timed() as figures:
        by_hand(con, SLICE_ROWS)
        con.execute("checkpoint")
    return figures


def polars(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The same with Polars, to Parquet."""
    from benchmarks.features.by_polars import by_polars

    return by_polars(folder)


def sums_ours(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Each feature's sum over the product's rows."""
    from feed_platform.lake import Lake
    from feed_platform.settings import Settings

    with Lake.of(Settings(home=folder)).read() as con:
        return sums(con, "marts.impression_features")


def sums_hand(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Each feature's sum over the hand-written script's rows."""
    with connected(folder) as con:
        return sums(con, "wide")


def sums_polars(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Each feature's sum over Polars' rows."""
    with connected(folder) as con:
        return sums(con, f"'{folder / 'polars.parquet'}'")


def sums(con: duckdb.DuckDBPyConnection, relation: str) -> dict[str, float]:
    """The sum of every feature column, and the number of rows."""
    columns = ", ".join(f"sum({name}::double) as {name}" for name in FEATURES)
    found = con.execute(f"select count(*)::double as rows, {columns} from {relation}").pl().to_dicts()
    return dict(found[0])


def connected(folder: Path) -> duckdb.DuckDBPyConnection:
    """The folder's native file, under the same memory limit as the lake."""
    limit = os.environ.get("FEED_MEMORY_LIMIT", "4GB")
    return duckdb.connect(
        folder / "native.duckdb", config={"memory_limit": limit, "temp_directory": str(folder / "tmp")}
    )


STEPS = {
    step.__name__: step for step in (ours, load, load_native, hand, polars, sums_ours, sums_hand, sums_polars)
}


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--end", type=int, default=0)
    parser.add_argument("--snapshot", action="store_true")
    options = parser.parse_args()
    figures = STEPS[options.step](options.folder, options)
    sys.stdout.write("\n" + json.dumps({**figures, "peak_mib": peak_mib()}) + "\n")


if __name__ == "__main__":
    main()
