"""CSV, JSON lines and Parquet files in chunks: the asked columns and the row number, nothing guessed."""

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import polars as pl

from feed_platform.feed import FeedError

CHUNK_ROWS = 50_000
MAX_FIELD_BYTES = 16 * 1024 * 1024


def read_csv(path: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[pl.DataFrame]:
    """Chunks of a CSV file with a header: text columns (empty is null), `_row`, `_problem`.

    Rows count from 1, the header and blank lines apart. A row whose fields don't fit the header
    has a `_problem`.

    Raises:
        FeedError: not UTF-8 text, not CSV, or without one of the columns.
    """
    csv.field_size_limit(MAX_FIELD_BYTES)
    try:
        with _open(path, newline="") as file:
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            header = next(rows, [])
            _need(path, columns, header)
            places = [header.index(column) for column in columns]
            filled = (row for row in rows if row)
            yield from _numbered(filled, lambda chunk: _csv_frame(chunk, columns, places, len(header)))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise FeedError(f"{path} is not CSV in UTF-8: {error}") from error


def read_jsonl(path: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Chunks of a file with one JSON object a line: text columns, `_row`, `_problem`.

    Raises:
        FeedError: no line is a JSON object, or a column stands in none of them.
    """
    seen: set[str] = set()
    objects = 0
    try:
        with _open(path) as file:
            lines = (line for line in file if line.strip())
            for frame in _numbered(
                (_object(line) for line in lines), lambda rows: _json_frame(rows, columns)
            ):
                filled = frame.filter(pl.col("_problem").is_null())
                objects += len(filled)
                seen |= {name for names in filled["_names"].unique().to_list() for name in names}
                yield frame.drop("_names")
                if objects == 0:
                    raise FeedError(f"{path} is not JSON lines: its first {len(frame)} lines hold no object")
    except (UnicodeDecodeError, OSError) as error:
        raise FeedError(f"{path} is not JSON lines in UTF-8: {error}") from error
    if objects:
        _need(path, columns, sorted(seen))


def read_parquet(path: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Chunks of a Parquet file: the columns in their own types, and `_row`.

    Raises:
        FeedError: not Parquet, or without one of the columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _need(path, columns, file.schema_arrow.names)
            batches = file.iter_batches(CHUNK_ROWS, columns=list(columns))
            offset = 1
            for batch in batches:
                frame = pl.DataFrame(pl.from_arrow(batch))
                yield frame.with_row_index("_row", offset)
                offset += len(frame)
    except (pa.ArrowException, OSError) as error:
        raise FeedError(f"{path} is not Parquet: {error}") from error


def _open(path: Path, newline: str | None = None) -> IO[str]:
    opener: Callable[..., IO[str]] = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline=newline)


def _need(path: Path, columns: Sequence[str], found: Sequence[str]) -> None:
    missing = [column for column in columns if column not in found]
    if missing:
        raise FeedError(f"{path} has no column {missing[0]!r}; it has {', '.join(found) or 'none'}")


def _numbered(rows: Iterator[Any], to_frame: Callable[[list[Any]], pl.DataFrame]) -> Iterator[pl.DataFrame]:
    offset = 1
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield to_frame(chunk).with_row_index("_row", offset)
        offset += len(chunk)


def _csv_frame(rows: list[list[str]], columns: Sequence[str], places: list[int], width: int) -> pl.DataFrame:
    cells = {
        column: [row[place] or None if place < len(row) else None for row in rows]
        for column, place in zip(columns, places, strict=True)
    }
    fits = f"fields, the header has {width}"
    problems = [None if len(row) == width else f"has {len(row)} {fits}" for row in rows]
    return pl.DataFrame(
        {**cells, "_problem": problems}, schema=dict.fromkeys((*columns, "_problem"), pl.String)
    )


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _json_frame(rows: list[dict[str, Any] | None], columns: Sequence[str]) -> pl.DataFrame:
    cells: dict[str, list[Any]] = {
        column: [None if row is None else _text(row.get(column)) for row in rows] for column in columns
    }
    cells["_problem"] = ["is not a JSON object" if row is None else None for row in rows]
    cells["_names"] = [[] if row is None else list(row) for row in rows]
    types: dict[str, Any] = dict.fromkeys((*columns, "_problem"), pl.String)
    return pl.DataFrame(cells, schema=types | {"_names": pl.List(pl.String)})


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    return json.dumps(value, ensure_ascii=False)
