"""`make bench-feast`: Feast's historical retrieval of the same features, computed beforehand.

Feast joins features that something else computed; it computes none. So the hand-written script's
window sums go to Parquet, a file per entity group, and Feast joins them to the impressions as of their
hour: the last step of a build, compared with DuckDB's left joins of the same files. It does so with its
DuckDB offline store; the one on Dask joins each impression with every row of its entity first. Feast's
dependencies aren't ours: it lives in an environment of its own in a temporary folder.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import duckdb

from benchmarks.features.__main__ import run
from benchmarks.features.contender import connected
from benchmarks.features.log import DAYS_OF_SIZE
from benchmarks.features.shape import GROUPS, MEASURES, WINDOWS

RETRIEVAL = Path(__file__).with_name("feast_retrieval.py")
HOUR_START = "make_timestamp({}::bigint * 3600000000)"


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features.bench_feast", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[300_000, 1_000_000])
    parser.add_argument("--python", type=Path, help="of an environment that has Feast; default: a new one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-feast-") as name:
        python = options.python or installed(Path(name, "environment"))
        print(f"{'rows':>11}  {'retrieval':12} {'wall s':>8} {'CPU s':>8} {'peak MiB':>9}")
        for rows in options.rows:
            folder = Path(name, str(rows))
            folder.mkdir()
            write_features(folder, rows)
            for contender in ("duckdb", "feast"):
                print(line(python, folder, rows, contender), flush=True)


def installed(folder: Path) -> Path:
    """A new environment with Feast; its Python.

    Raises:
        CalledProcessError: pip could not install it; pip says why.
    """
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "feast[duckdb]"], check=True)
    return python


def write_features(folder: Path, rows: int) -> None:
    """`spine.parquet` and `<group>.parquet`, with signed keys: Feast knows no unsigned ones."""
    run("load_native", folder, rows=rows, end=30)
    run("hand", folder)
    keys = ", ".join(f"({group}_key >> 1)::bigint as {group}_key" for group in GROUPS)
    with connected(folder) as con:
        export(con, folder / "spine.parquet", f"impression_id, {keys}, hour", "spine")
        for group in GROUPS:
            names = ", ".join(f"{m}_{w} as {group}_{m}_{w}" for w in WINDOWS for m in MEASURES)
            columns = f"(key >> 1)::bigint as {group}_key, {names}, hour"
            export(con, folder / f"{group}.parquet", columns, f"{group}_windows")


def export(con: duckdb.DuckDBPyConnection, target: Path, columns: str, table: str) -> None:
    """Some columns of a table, its hour as `event_timestamp`."""
    hour = HOUR_START.format("hour")
    con.execute(
        f"copy (select * exclude (hour), {hour} as event_timestamp from (select {columns} from {table})) "
        f"to '{target}'"
    )


def line(python: Path, folder: Path, rows: int, contender: str) -> str:
    """One contender's figures, from a process of its own."""
    command = [str(python), str(RETRIEVAL), contender, str(folder), *GROUPS]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return f"{rows:11,}  {contender:12} failed (exit code {done.returncode}), see above"
    figures = json.loads(done.stdout.splitlines()[-1])
    expected = rows // DAYS_OF_SIZE * DAYS_OF_SIZE
    if figures["rows"] != expected:
        sys.exit(f"{contender} gave {figures['rows']} rows of {expected}")
    return (
        f"{rows:11,}  {contender:12} {figures['seconds']:8.2f} {figures['cpu']:8.2f} "
        f"{figures['peak_mib']:9,.0f}   sum of all features {figures['total']:.0f}"
    )


if __name__ == "__main__":
    main()
