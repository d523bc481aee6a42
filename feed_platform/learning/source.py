"""Where training rows come from: a frame in memory, or the lake, read in slices of time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Protocol

import duckdb
import polars as pl

from feed_platform.lake import Lake
from feed_platform.learning.examples import TABLE
from feed_platform.learning.splits import Window

BATCH_ROWS = 100_000
HOUR = timedelta(hours=1)
HOURS = f"select date_trunc('hour', shown_at), count(*) from {TABLE} group by 1 order by 1"


class Source(Protocol):
    """Rows of the training table, read as often as wanted, always in order of (shown_at, impression_id)."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns that the rows have."""

    @property
    def scratch(self) -> Path | None:
        """A folder for what doesn't fit into memory; None: the system's."""

    def batches(self, columns: Sequence[str] | None = None, ordered: bool = True) -> Iterator[pl.DataFrame]:
        """The rows, some `BATCH_ROWS` at a time, with the named columns (all if None).

        A column that the rows lack is null. Rows come in any order where `ordered` is false.
        """

    def within(self, window: Window) -> "Source":
        """The rows that were shown in the window."""


@dataclass(frozen=True)
class Held:
    """Rows of a frame in memory, in the frame's order."""

    frame: pl.DataFrame
    scratch: Path | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the frame's columns."""
        return tuple(self.frame.columns)

    def batches(self, columns: Sequence[str] | None = None, ordered: bool = True) -> Iterator[pl.DataFrame]:
        """Slices of the frame."""
        chosen = self.columns if columns is None else columns
        known = pl.col(name for name in chosen if name in self.columns)
        unknown = [pl.lit(None, pl.Float32).alias(name) for name in chosen if name not in self.columns]
        return self.frame.select(known).with_columns(unknown).select(chosen).iter_slices(BATCH_ROWS)

    def within(self, window: Window) -> "Held":
        """The frame's rows that were shown in the window."""
        return replace(self, frame=window.rows(self.frame))


@dataclass(frozen=True)
class Stored:
    """Rows of `training.examples` at one version of the lake.

    They are read in slices of whole hours with some `BATCH_ROWS` rows, each sorted by itself: memory
    stays bounded, and the lake's files and row groups outside a slice's hours aren't read. More rows
    within one hour are sorted at once, on disk if they must.
    """

    lake: Lake
    version: int
    columns: tuple[str, ...]
    hours: tuple[tuple[datetime, int], ...]
    window: Window

    @classmethod
    def open(cls, lake: Lake, version: int) -> "Stored":
        """All rows of the table, which must have some."""
        with lake.read(version) as con:
            columns = tuple(con.table(TABLE).columns)
            hours = tuple(con.sql(HOURS).fetchall())
        return cls(lake, version, columns, hours, Window(hours[0][0], hours[-1][0] + HOUR))

    @property
    def scratch(self) -> Path:
        """The home's folder for temporary files."""
        return self.lake.temp

    def within(self, window: Window) -> "Stored":
        """The same table, less of its time."""
        start, end = max(self.window.start, window.start), min(self.window.end, window.end)
        return replace(self, window=Window(start, end))

    def batches(self, columns: Sequence[str] | None = None, ordered: bool = True) -> Iterator[pl.DataFrame]:
        """Slices of the table, streamed as Arrow batches from one connection.

        Raises:
            FeedError: the lake's version is gone.
        """
        query = self._query(self.columns if columns is None else columns, ordered)
        with self.lake.read(self.version) as con:
            for part in self._slices:
                yield from _stream(con, query, part)

    @cached_property
    def _slices(self) -> tuple[Window, ...]:
        """The window cut into runs of hours with up to `BATCH_ROWS` rows, or a single hour with more."""
        starts, rows = [], BATCH_ROWS
        for hour, count in self.hours:
            if not self.window.start - HOUR < hour < self.window.end:
                continue
            if rows + count > BATCH_ROWS:
                starts.append(max(hour, self.window.start))
                rows = 0
            rows += count
        ends = [*starts[1:], self.window.end]
        return tuple(Window(start, end) for start, end in zip(starts, ends, strict=True) if start < end)

    def _query(self, columns: Sequence[str], ordered: bool) -> str:
        chosen = [
            f'"{name}"' if name in self.columns else f'null::float as "{name}"'
            for name in dict.fromkeys(columns)
        ]
        order = "order by shown_at, impression_id" if ordered else ""
        return f"select {', '.join(chosen)} from {TABLE} where shown_at >= $start and shown_at < $end {order}"


def _stream(con: duckdb.DuckDBPyConnection, query: str, part: Window) -> Iterator[pl.DataFrame]:
    reader = con.execute(query, {"start": part.start, "end": part.end}).fetch_record_batch(BATCH_ROWS)
    for batch in reader:
        read = pl.from_arrow(batch)
        assert isinstance(read, pl.DataFrame)
        if len(read):
            yield read
