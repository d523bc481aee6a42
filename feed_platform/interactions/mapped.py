"""A mapping's files as batches of raw rows."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from feed_platform.feed import FeedError
from feed_platform.interactions.batch import Batch
from feed_platform.interactions.casting import text, timestamp
from feed_platform.interactions.mapping_model import (
    Column,
    Concat,
    Hash,
    ImpressionInput,
    Input,
    InRow,
    Mapping,
)
from feed_platform.interactions.readers import read_csv, read_jsonl, read_parquet
from feed_platform.interactions.schemas import RawTable

SEPARATOR = "\x1f"
INSTANT = pl.Datetime("us")
NO_TIMES = pl.Series([], dtype=INSTANT)
EARLIEST_START = datetime(1990, 1, 1)  # an earlier time is a blank that became 1970 or year 1
NOTHING = ("", "0", "0.0", "false", "f", "no", "n", "nan")
ONCE = ("1", "1.0", "true", "t", "yes", "y")
MEASURED = ("dwell",)

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class MappedLog:
    """The files that a mapping names; `path` is the mapping file's.

    `progress` hears each file and how many of its rows have been read.
    """

    mapping: Mapping
    path: Path
    progress: Progress | None = None

    def batches(self) -> Iterator[Batch]:
        """All rows, table by table, in bounded memory.

        Raises:
            FeedError: a file is missing or isn't what the mapping says.
        """
        for table, place, one in self.mapping.inputs():
            for file in self._files(place, one):
                name = self._name(file)
                for chunk in self._read(place, one, file, _sources(one)):
                    if self.progress is not None:
                        self.progress(name, chunk["_row"][-1])
                    yield self._batch(table, one, name, chunk)

    def times(self) -> Iterator[pl.Series]:
        """The events' own times, chunk by chunk; null where a cell holds none."""
        for table, place, one in self.mapping.inputs():
            if table.time in one.columns:
                column = one.columns[table.time]
                for file in self._files(place, one):
                    for chunk in self._read(place, one, file, _named(column)):
                        yield timestamp(_values(column, chunk))

    def _files(self, place: str, one: Input) -> list[Path]:
        exact = self.path.parent / one.files
        anchor = Path(one.files).anchor
        base, pattern = Path(anchor) if anchor else self.path.parent, one.files.removeprefix(anchor)
        files = [exact] if exact.is_file() else sorted(file for file in base.glob(pattern) if file.is_file())
        if not files:
            raise FeedError(f"{self.path}: {place}.files: no file matches {exact}")
        return files

    def _name(self, file: Path) -> str:
        """A file's name in ids and in quarantine: relative to the mapping, so that both may move."""
        return Path(os.path.relpath(file, self.path.parent)).as_posix()

    def _read(self, place: str, one: Input, file: Path, columns: list[str]) -> Iterator[pl.DataFrame]:
        form = one.format_of(file)
        try:
            if form == "csv":
                yield from read_csv(file, columns, one.delimiter)
            elif form == "jsonl":
                yield from read_jsonl(file, columns)
            elif form == "parquet":
                yield from read_parquet(file, columns)
            else:
                raise FeedError(
                    f"{file}: the extension names no format: give csv, parquet or jsonl as format"
                )
        except FeedError as error:
            raise FeedError(f"{self.path}: {place}: {error}") from error

    def _batch(self, table: RawTable, one: Input, name: str, chunk: pl.DataFrame) -> Batch:
        rows = _raw_rows(one, chunk).with_columns(pl.lit(name).alias("_file"))
        if table.is_event and table.key not in one.given:
            made = _md5([f"{self.mapping.name}{SEPARATOR}{name}{SEPARATOR}{row}" for row in rows["_row"]])
            rows = rows.with_columns(_prefixed(made.alias(table.key), one))
        engagements = _engagements(one, chunk, rows) if isinstance(one, ImpressionInput) else None
        return (
            Batch(**{table.name: rows})
            if engagements is None
            else Batch(impressions=rows, engagements=engagements)
        )


def _sources(one: Input) -> list[str]:
    """The source columns that an input reads, each once."""
    named = [name for column in one.columns.values() for name in _named(column)]
    in_row = [each.column for each in one.engagements_in_row] if isinstance(one, ImpressionInput) else []
    return list(dict.fromkeys(named + in_row))


def _named(column: Column) -> list[str]:
    if isinstance(column, Hash):
        return list(column.hash)
    return list(column.concat) if isinstance(column, Concat) else [column]


def _raw_rows(one: Input, chunk: pl.DataFrame) -> pl.DataFrame:
    filled = [_prefixed(_values(column, chunk).alias(name), one) for name, column in one.columns.items()]
    constants = [pl.lit(str(value)).alias(name) for name, value in one.constants.items()]
    provenance = [name for name in ("_row", "_problem") if name in chunk.columns]
    return chunk.select(*provenance, *filled, *constants)


def _values(column: Column, chunk: pl.DataFrame) -> pl.Series:
    if isinstance(column, str):
        return chunk[column]
    parts = [text(chunk[name]) for name in _named(column)]
    if isinstance(column, Concat):
        return pl.DataFrame(parts).select(pl.concat_str(pl.all(), separator=":")).to_series()
    joined = pl.DataFrame(parts).select(
        pl.when(~pl.all_horizontal(pl.all().is_null())).then(
            pl.concat_str(pl.all().fill_null(""), separator=SEPARATOR)
        )
    )
    return _md5(joined.to_series().to_list())


def _prefixed(values: pl.Series, one: Input) -> pl.Series:
    prefix = one.id_prefix.get(values.name)
    return values if prefix is None else (prefix + text(values)).alias(values.name)


def _md5(words: list[str | None]) -> pl.Series:
    """The MD5 (hex) of each word: a name, not a secret."""
    digests = {word: hashlib.md5(word.encode(), usedforsecurity=False).hexdigest() for word in words if word}
    return pl.Series([digests.get(word) if word else None for word in words], dtype=pl.String)


def _engagements(one: ImpressionInput, chunk: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame | None:
    if not one.engagements_in_row:
        return None
    return pl.concat([_engaged(each, chunk, rows) for each in one.engagements_in_row], how="diagonal_relaxed")


def _engaged(each: InRow, chunk: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose cell says that an engagement happened; what is no yes, no or number is its value."""
    cell = (
        pl.DataFrame({"cell": text(chunk[each.column])}).select(pl.col("cell").str.to_lowercase()).to_series()
    )
    value = pl.when((pl.lit(each.event_type).is_in(MEASURED)) | ~pl.col("value").is_in(ONCE)).then("value")
    kept = [name for name in ("impression_id", "user_id", "post_id", "received_at") if name in rows.columns]
    happened = rows.with_columns(cell.alias("value")).filter(cell.is_not_null() & ~cell.is_in(NOTHING))
    ids: list[str | None] = [
        f"{key}{SEPARATOR}{each.event_type}" for key in text(happened["impression_id"]).to_list()
    ]
    return happened.select(
        *kept,
        pl.col("shown_at").alias("occurred_at"),
        value.alias("value"),
        _md5(ids).alias("engagement_id"),
        pl.lit(each.event_type).alias("event_type"),
        "_file",
        "_row",
        pl.lit(True).alias("_in_row"),
    )


def first_and_last(log: MappedLog, latest: datetime) -> tuple[datetime, datetime] | None:
    """The first and the last time of a log's events; blanks and times after `latest` don't count.

    Gives None where no time is left.
    """
    plausible = (times.filter(times.is_between(EARLIEST_START, latest)) for times in log.times())
    spans = pl.concat(
        [pl.Series([times.min(), times.max()], dtype=INSTANT) for times in plausible] or [NO_TIMES]
    )
    first, last = spans.min(), spans.max()
    return (first, last) if isinstance(first, datetime) and isinstance(last, datetime) else None
