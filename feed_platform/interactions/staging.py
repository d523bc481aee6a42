"""Checked rows as Parquet until the whole import is known: memory stays bounded, the lock is held briefly."""

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
from feed_platform.interactions.checking import checked_sql
from feed_platform.interactions.schemas import RAW, Column, described, literal

CLOCK_SKEW = timedelta(hours=1)
ABANDONED_SECONDS = 86_400
PREFIX = "import-"
QUICK = "format parquet, compression lz4_raw, dictionary_size_limit 1"  # half of what dictionaries cost
FRAME = "staged_frame"


@dataclass
class Staging:
    """A folder with one Parquet file for each relation, `<table>/<part>.parquet`, good rows and bad.

    `con` casts and checks; `read` counts the rows of each table.
    """

    con: duckdb.DuckDBPyConnection
    folder: Path
    columns: dict[str, tuple[Column, ...]]
    source: str
    read: dict[str, int] = field(default_factory=dict)
    parts: int = 0

    def files(self, name: str) -> str | None:
        """The glob of a table's files, or None where there are none."""
        found = next((self.folder / name).glob("*.parquet"), None)
        return None if found is None else str(self.folder / name / "*.parquet")

    def add(self, batch: Batch | Relation) -> None:
        """Cast and check rows, and keep them.

        Raises:
            FeedError: a relation's SQL fails, or a column is undeclared.
        """
        if isinstance(batch, Relation):
            self._add_relation(batch)
            return
        for table in RAW_TABLES:
            frame = batch.table(table)
            if frame is not None and len(frame):
                self._add_frame(table, frame)
        if batch.truth is not None and len(batch.truth):
            batch.truth.write_parquet(self._next("truth"))

    def _add_relation(self, relation: Relation) -> None:
        try:
            for statement in relation.setup:
                self.con.execute(statement)
            if relation.strict is not None and self._tried(relation.table, relation.strict):
                return
            self._write(relation.table, relation.sql)
        except duckdb.Error as error:
            message = " ".join(str(error).split())
            raise FeedError(f"{relation.place or relation.table}: {message}") from error

    def _tried(self, table: str, sql: str) -> bool:
        """Whether rows without fault have been kept; a faulty file leaves nothing behind."""
        try:
            self._write(table, sql)
        except duckdb.Error:
            return False
        return True

    def _add_frame(self, table: str, frame: pl.DataFrame) -> None:
        """Rows of a frame; where it brings no `_row`, its place in the import."""
        if "_row" not in frame.columns:
            frame = frame.with_row_index("_row", self.read.get(table, 0) + 1)
        self.con.register(FRAME, frame)
        self._write(table, f"from {FRAME}")
        self.con.unregister(FRAME)

    def _write(self, table: str, sql: str) -> None:
        types = {name: kind for name, kind, *_ in self.con.execute(f"describe {sql}").fetchall()}
        file = self._next(table)
        checked = checked_sql(sql, types, RAW[table], self.columns[table], self.parts, self.source)
        draft = file.with_suffix(".draft")
        row = self.con.execute(f"copy ({checked}) to {literal(str(draft))} ({QUICK})").fetchone()
        draft.rename(file)
        self.read[table] = self.read.get(table, 0) + (row[0] if row else 0)

    def _next(self, table: str) -> Path:
        self.parts += 1
        folder = self.folder / table
        folder.mkdir(exist_ok=True)
        return folder / f"{self.parts:06}.parquet"


def stage(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    feed: Feed,
    batches: Iterable[Batch | Relation],
    *,
    mode: Mode,
    source: str,
    imported_at: datetime,
) -> Staging:
    """Check all batches on a connection, and keep their rows in a folder.

    Raises:
        FeedError: a relation's SQL fails, or a column is undeclared.
    """
    con.execute("set TimeZone = 'UTC'")
    earliest = feed.start_at if mode == "history" else None
    columns = {table: described(RAW[table], feed, imported_at + CLOCK_SKEW, earliest) for table in RAW_TABLES}
    staging = Staging(con, folder, columns, source)
    for batch in batches:
        staging.add(batch)
    return staging


@contextmanager
def staging_folder(temp: Path) -> Iterator[Path]:
    """A folder for staged rows that goes away with the block."""
    temp.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(temp)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=temp) as name:
        yield Path(name)


def _remove_abandoned(folder: Path) -> None:
    """A killed import leaves its folder behind."""
    for old in folder.glob(f"{PREFIX}*"):
        if time.time() - old.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
