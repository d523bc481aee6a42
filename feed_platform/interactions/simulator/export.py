"""A simulated log as files: Parquet by day and table, and the mapping that imports them."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from feed_platform.feed import FeedError, SimulatorSource
from feed_platform.interactions.batch import RAW_TABLES, Batch
from feed_platform.interactions.simulator.days import bots, simulate
from feed_platform.interactions.simulator.slates import simulated_slates
from feed_platform.interactions.simulator.world import SIMULATOR_ATTRIBUTES

MAPPING, BOTS = "mapping.yaml", "bots.txt"


def write_log(
    folder: Path,
    source: SimulatorSource,
    start: date,
    progress: Callable[[date, int], None] = lambda day, rows: None,
) -> int:
    """Write `TABLE/DAY.parquet` for each raw table and the truth, `mapping.yaml` and `bots.txt`.

    A source that keeps slates also gives the tables `requests` and `candidates`. Memory is bounded by a day.

    Args:
        folder: new or empty.
        progress: called after each day with the number of impressions so far.

    Returns:
        The number of rows of the impressions.

    Raises:
        FeedError: the folder has files already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FeedError(f"{folder} is not empty: give a new folder")
    rows = 0
    for number, batch in enumerate(simulate(source, start)):
        day = start + timedelta(days=number)
        for name, frame in _tables(batch).items():
            _write(folder, name, day, frame)
        if source.keeps_slates:
            slates = simulated_slates(source, start, number)
            _write(folder, "requests", day, slates.requests)
            _write(folder, "candidates", day, slates.candidates)
        if number == 0:
            write_mapping(folder, source, start, batch)
        rows += len(_tables(batch)["impressions"])
        progress(day, rows)
    return rows


def write_mapping(folder: Path, source: SimulatorSource, start: date, batch: Batch) -> None:
    """Write the mapping of a log that looks like a batch, and the list of its bots.

    Bots stay in; the mapping says in a comment how to leave them out.
    """
    (folder / BOTS).write_text("".join(f"{user}\n" for user in bots(source, start)))
    tables = {name: [_input(name, frame)] for name, frame in _tables(batch).items() if name in RAW_TABLES}
    content = {
        "name": "simulated",
        "mode": source.mode,
        "feed": {"start": start, "attributes": SIMULATOR_ATTRIBUTES.model_dump(exclude_defaults=True)},
    }
    (folder / MAPPING).write_text(
        f"# {source.model_dump_json(exclude_defaults=True)}\n"
        f"# No bots: add `exclude: {{column: user_id, in_file: {BOTS}}}` to impressions and engagements.\n"
        + yaml.safe_dump(content | tables, sort_keys=False)
    )


def _tables(batch: Batch) -> dict[str, pl.DataFrame]:
    names = (*RAW_TABLES, "truth")
    return {name: frame for name in names if (frame := batch.table(name)) is not None}


def _input(name: str, frame: pl.DataFrame) -> dict[str, Any]:
    return {"files": f"{name}/*.parquet", "columns": {column: column for column in frame.columns}}


def _write(folder: Path, name: str, day: date, frame: pl.DataFrame) -> None:
    path = folder / name / f"{day}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path, compression="zstd", compression_level=1)
