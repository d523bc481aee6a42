"""Checked rows on disk until the whole import is known: memory stays bounded, the lock is held briefly."""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from feed_platform.feed import Feed, FeedError
from feed_platform.interactions.batch import RAW_TABLES, Batch, Mode, Relation
from feed_platform.interactions.checking import check
from feed_platform.interactions.schemas import RAW, row_schema

CLOCK_SKEW = timedelta(hours=1)
ABANDONED_SECONDS = 86_400
CHUNK_ROWS = 100_000
PREFIX = "import-"


@dataclass
class Staging:
    """A folder with one Parquet file for each table, kind (good, bad, truth) and batch."""

    folder: Path
    offsets: dict[str, int] = field(default_factory=dict)

    def files(self, name: str, kind: str) -> str | None:
        """The glob of a table's files of one kind, or None where there are none."""
        found = next((self.folder / name).glob(f"{kind}-*.parquet"), None)
        return None if found is None else str(self.folder / name / f"{kind}-*.parquet")

    def add(self, name: str, kind: str, frame: pl.DataFrame) -> None:
        """Keep a frame; an empty one needs no file."""
        if len(frame):
            folder = self.folder / name
            folder.mkdir(exist_ok=True)
            frame.write_parquet(folder / f"{kind}-{len(list(folder.iterdir())):06}.parquet")

    def numbered(self, name: str, frame: pl.DataFrame, source: str) -> pl.DataFrame:
        """The frame with `_file` and `_row`; where it brings none, its place in the import."""
        offset = self.offsets.get(name, 0) + 1
        self.offsets[name] = offset + len(frame) - 1
        if "_file" not in frame.columns:
            frame = frame.with_columns(pl.lit(source).alias("_file"))
        if "_row" not in frame.columns:
            frame = frame.with_row_index("_row", offset)
        return frame.with_columns(pl.col("_row").cast(pl.Int64))


@contextmanager
def staged(
    folder: Path,
    feed: Feed,
    batches: Iterable[Batch | Relation],
    mode: Mode,
    source: str,
    imported_at: datetime,
) -> Iterator[Staging]:
    """Check all batches and hold their rows in a folder that goes away with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder) as name:
        staging = Staging(Path(name))
        earliest = feed.start_at if mode == "history" else None
        schemas = {
            table: row_schema(RAW[table], feed, imported_at + CLOCK_SKEW, earliest) for table in RAW_TABLES
        }
        for batch in _frames(batches):
            for table, schema in schemas.items():
                frame = batch.table(table)
                if frame is not None:
                    checked = check(staging.numbered(table, frame, source), RAW[table], feed, schema)
                    staging.add(table, "good", checked.good)
                    staging.add(table, "bad", checked.bad)
            if batch.truth is not None:
                staging.add("truth", "truth", batch.truth)
        yield staging


def _frames(batches: Iterable[Batch | Relation]) -> Iterator[Batch]:
    for batch in batches:
        if isinstance(batch, Batch):
            yield batch
        else:
            yield from _chunks(batch)


def _chunks(relation: Relation) -> Iterator[Batch]:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        try:
            for statement in relation.setup:
                con.execute(statement)
            for rows in con.execute(relation.sql).fetch_record_batch(CHUNK_ROWS):
                yield Batch(**{relation.table: pl.DataFrame(pl.from_arrow(rows))})
        except duckdb.Error as error:
            raise FeedError(f"{relation.place or relation.table}: {error}") from error


def _remove_abandoned(folder: Path) -> None:
    """A killed import leaves its folder behind."""
    for old in folder.glob(f"{PREFIX}*"):
        if time.time() - old.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
