"""CSV, JSON lines and Parquet files as SQL: the asked columns and the row number, nothing guessed."""

import bz2
import codecs
import csv
import gzip
import hashlib
import lzma
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import unquote

import duckdb

from feed_platform.feed import FeedError
from feed_platform.interactions.mapping_file import meant
from feed_platform.interactions.mapping_model import Input
from feed_platform.interactions.merge import quoted

MAX_LINE_BYTES = 16 * 1024 * 1024
EXCESS_FIELDS = 9
SHOWN_COLUMNS = 20
SAMPLED_LINES = 1_000
NEVER = "\x1b\x1b"  # as null string: empty cells stay apart from missing ones
NATIVE_ENCODINGS = {"utf-8": "utf-8", "iso8859-1": "latin-1", "utf-16": "utf-16"}
NATIVE_COMPRESSION = ("", ".gz", ".zst")
ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar")
FORMS = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}
TEXT = "VARCHAR"


@dataclass(frozen=True)
class Scan:
    """One file as SQL.

    Attributes:
        sql: a SELECT of the asked columns as c0, c1, …, of `_row` (from 1, header and blank lines
            apart) and of `_problem` (why a row can't be read).
        columns: the SQL name and the DuckDB type of each asked column.
        strict: a faster SELECT of the same rows without `_row`, which fails on a file with any fault.
    """

    sql: str
    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    strict: str | None = None


@dataclass(frozen=True)
class Reader:
    """Reads the files of one input; `scratch` takes what has to be unpacked or recoded first."""

    one: Input
    scratch: Path

    def scan(self, file: Path, columns: Sequence[str]) -> Scan:
        """A file as SQL.

        A column is found by its name, by the part before a `:` of a typed header (`user_id:token`), or
        among the keys of a partitioned folder (`day=2024-05-01/`).

        Raises:
            FeedError: the file isn't of its format, or is without one of the columns.
        """
        form = self.one.format_of(file)
        if file.suffix.lower() in ARCHIVES:
            raise FeedError(f"{file} is an archive: unpack it and name the files inside")
        if form is None:
            raise FeedError(f"{file}: the extension names no format: give csv, parquet or jsonl as format")
        scans: dict[str, Callable[[Path, Sequence[str]], Scan]] = {
            "csv": self._csv,
            "jsonl": self._jsonl,
            "parquet": _parquet,
        }
        keys = partition_keys(file)
        found = scans[form](file, [name for name in columns if name not in keys])
        return _with_keys(found, {name: keys[name] for name in columns if name in keys})

    def header(self, file: Path) -> list[str]:
        """The names of a CSV file's columns, as its header or the mapping gives them."""
        lines = self._first_lines(file)
        if isinstance(self.one.header, tuple):
            return list(self.one.header)
        first = self._cells(file, lines[0]) if lines else []
        return first if self.one.header else [str(place + 1) for place in range(len(first))]

    def _csv(self, file: Path, columns: Sequence[str]) -> Scan:
        header = self.header(file)
        places = [_find(file, name, header, self._other_delimiter(header)) for name in columns]
        width = len(header)
        excess = " + ".join(f"(x{place} is not null)::int" for place in range(EXCESS_FIELDS))
        filled = " + ".join(f"(f{place} is not null)::int" for place in range(width))
        problem = f"""case when f{width - 1} is null or x0 is not null then
            format('has {{}} fields, the header has {width}', {filled} + {excess}) end"""
        cells = [f"{self._missing(f'f{place}')} as c{number}" for number, place in enumerate(places)]
        padded = self._read_csv(file, width, EXCESS_FIELDS, "null_padding = true, parallel = false")
        sql = f"select {_listed(cells)} row_number() over () as _row, {problem} as _problem from {padded}"
        exact = self._read_csv(file, width, 0, "null_padding = false")
        strict = f"select {_listed(cells)} null::varchar as _problem from {exact}"
        return Scan(sql, {name: (f"c{number}", TEXT) for number, name in enumerate(columns)}, strict)

    def _read_csv(self, file: Path, width: int, excess: int, mode: str) -> str:
        names = [f"f{place}" for place in range(width)] + [f"x{place}" for place in range(excess)]
        types = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
        quote = self.one.quote_of(file)
        options = {
            "delim": self.one.delimiter_of(file),
            "quote": quote,
            "escape": self.one.escape or quote,
            "nullstr": NEVER,
            "encoding": NATIVE_ENCODINGS.get(self._encoding, "utf-8"),
        }
        said = "".join(f", {name} = {literal(value)}" for name, value in options.items())
        skipped = self.one.skip_lines + (self.one.header is True)
        return f"""read_csv({literal(self._native(file))}, columns = {{{types}}}, auto_detect = false,
            header = false, skip = {skipped}, {mode}, max_line_size = {MAX_LINE_BYTES}{said})"""

    def _jsonl(self, file: Path, columns: Sequence[str]) -> Scan:
        is_array = "".join(self._first_lines(file))[:1] == "["
        form = "format = 'array'" if is_array else "format = 'newline_delimited', ignore_errors = true"
        objects = f"read_json_objects({literal(self._native(file))}, {form})"
        paths = _json_paths(file, objects, columns)
        listed = ", ".join(literal(path) for path in paths)
        cells = [f"{self._missing(f'v[{place + 1}]')} as c{place}" for place in range(len(paths))]
        values = f"json_extract_string(json, [{listed}])" if paths else "null"
        sql = f"""select {_listed(cells)} _row, _problem from (
            select {values} as v, row_number() over () as _row,
                   case when json is null or json_type(json) <> 'OBJECT' then 'is not a JSON object' end
                   as _problem from {objects})"""
        return Scan(sql, {name: (f"c{place}", TEXT) for place, name in enumerate(columns)})

    def _missing(self, cell: str) -> str:
        filled = f"nullif({cell}, '')"
        words = ", ".join(literal(word) for word in self.one.null_values)
        return f"case when {cell} not in ({words}) then {filled} end" if words else filled

    @property
    def _encoding(self) -> str:
        try:
            return codecs.lookup(self.one.encoding).name
        except LookupError as error:
            raise FeedError(
                f"encoding {self.one.encoding!r} is unknown: try utf-8, latin-1 or cp1252"
            ) from error

    def _native(self, file: Path) -> Path:
        """The file, or a copy that DuckDB can read."""
        packing = file.suffix.lower() if file.suffix.lower() in OPENERS else ""
        is_readable = self._encoding in NATIVE_ENCODINGS
        if is_readable and packing in NATIVE_COMPRESSION:
            return file
        copy = self.scratch / f"{hashlib.md5(str(file).encode(), usedforsecurity=False).hexdigest()}.txt"
        if not copy.exists():
            self._copy(file, copy, is_readable)
        return copy

    def _copy(self, file: Path, copy: Path, is_readable: bool) -> None:
        self.scratch.mkdir(parents=True, exist_ok=True)
        draft = copy.with_suffix(".draft")
        with _unpacked(file) as source, draft.open("wb") as target:
            if is_readable:
                shutil.copyfileobj(source, target, MAX_LINE_BYTES)
            else:
                recoded = codecs.EncodedFile(target, self._encoding, "utf-8")
                shutil.copyfileobj(source, recoded, MAX_LINE_BYTES)
        os.replace(draft, copy)

    def _first_lines(self, file: Path) -> list[str]:
        """The first lines that count: the header, or where there is none a row."""
        encoding = "utf-8-sig" if self._encoding == "utf-8" else self._encoding
        try:
            with _unpacked(file) as source:
                lines = codecs.getreader(encoding)(cast(Any, source))
                rest = (line for line in islice(lines, self.one.skip_lines, None) if line.strip())
                return [line.rstrip("\r\n") for line in islice(rest, 1)]
        except (OSError, EOFError, UnicodeError, lzma.LZMAError) as error:
            form = FORMS[self.one.format_of(file) or "csv"]
            raise FeedError(f"{file} is not {form} in {self._encoding.upper()}: {error}") from error

    def _cells(self, file: Path, line: str) -> list[str]:
        delimiter, quote = self.one.delimiter_of(file), self.one.quote_of(file)
        if len(delimiter) > 1 or not quote:
            return line.split(delimiter)
        return next(csv.reader([line], delimiter=delimiter, quotechar=quote))

    def _other_delimiter(self, header: list[str]) -> str:
        """A hint for a header that looks like a single column."""
        if len(header) != 1:
            return ""
        other = next((one for one in ("\t", "::", ";", "|", ",") if one in header[0]), None)
        return f"; set delimiter: {other!r}" if other else ""


def _listed(cells: list[str]) -> str:
    return "".join(f"{cell}, " for cell in cells)


def _with_keys(found: Scan, keys: dict[str, str]) -> Scan:
    if not keys:
        return found
    cells = ", ".join(f"{literal(value)} as k{place}" for place, value in enumerate(keys.values()))
    names = {name: (f"k{place}", TEXT) for place, name in enumerate(keys)}
    sql = f"select *, {cells} from ({{}})"
    strict = found.strict and sql.format(found.strict)
    return Scan(sql.format(found.sql), {**found.columns, **names}, strict)


def partition_keys(file: Path) -> dict[str, str]:
    """The keys of a partitioned folder: {"day": "2024-05-01"} for day=2024-05-01/part.parquet."""
    pairs = (part.split("=", 1) for part in file.parent.parts if "=" in part)
    return {name: unquote(value) for name, value in pairs if name}


def _parquet(file: Path, columns: Sequence[str]) -> Scan:
    source = f"read_parquet({literal(file)}, file_row_number = true, hive_partitioning = false)"
    try:
        with duckdb.connect() as con:
            found = con.execute(f"describe select * from {source}").fetchall()
    except duckdb.Error as error:
        raise FeedError(f"{file} is not Parquet: {one_line(error)}") from error
    types = {name: kind for name, kind, *_ in found if name != "file_row_number"}
    cells, names = [], {}
    for place, name in enumerate(columns):
        path, kind = _nested(file, name, types)
        cells.append(f"{path} as c{place}")
        names[name] = (f"c{place}", kind)
    sql = f"""select {_listed(cells)} file_row_number + 1 as _row, null::varchar as _problem from {source}"""
    return Scan(sql, names)


def _nested(file: Path, name: str, types: dict[str, str]) -> tuple[str, str]:
    """A column, or the field of a struct that a dotted name means, and its type."""
    outer, _, inner = name.partition(".")
    if name not in types and inner and types.get(outer, "").startswith("STRUCT"):
        return f"{quoted(outer)}.{quoted(inner)}", TEXT
    column = list(types)[_find(file, name, list(types))]
    return quoted(column), types[column]


def _json_paths(file: Path, objects: str, columns: Sequence[str]) -> list[str]:
    """The JSON path of each column: its name as a key, or as a path through nested objects."""
    with duckdb.connect() as con:
        try:
            seen = _json_keys(con, objects, f"limit {SAMPLED_LINES}")
            if not seen:
                raise FeedError(f"{file} is not JSON lines: its first {SAMPLED_LINES:,} lines hold no object")
            if any(name.split(".")[0] not in seen and name not in seen for name in columns):
                seen = _json_keys(con, objects, "")
        except duckdb.Error as error:
            raise FeedError(f"{file} is not JSON lines: {one_line(error)}") from error
    return [_json_path(file, name, seen) for name in columns]


def _json_keys(con: duckdb.DuckDBPyConnection, objects: str, limit: str) -> list[str]:
    rows = con.execute(
        f"""select distinct unnest(json_keys(json)) from (from {objects} {limit})
            where json_type(json) = 'OBJECT'"""
    ).fetchall()
    return sorted(name for (name,) in rows)


def _json_path(file: Path, name: str, seen: list[str]) -> str:
    first = name.partition(".")[0]
    if name not in seen and first in seen:
        return "$." + ".".join(quoted(part) for part in name.split("."))
    return "$." + quoted(seen[_find(file, name, seen)])


def _find(file: Path, name: str, header: Sequence[str], hint: str = "") -> int:
    """The place of a column; the type after the `:` of `user_id:token` need not be given."""
    if name in header:
        return header.index(name)
    typed = [place for place, found in enumerate(header) if found.split(":")[0].strip() == name]
    if len(typed) == 1:
        return typed[0]
    shown = ", ".join(header[:SHOWN_COLUMNS]) + (", …" if len(header) > SHOWN_COLUMNS else "")
    raise FeedError(f"{file} has no column {name!r}; it has {shown or 'none'}{hint or meant(name, header)}")


@contextmanager
def _unpacked(file: Path) -> Iterator[IO[bytes]]:
    with OPENERS.get(file.suffix.lower(), _plain)(file) as source:
        yield source


def _plain(file: Path) -> IO[bytes]:
    return file.open("rb")


def _zstd(file: Path) -> IO[bytes]:
    import pyarrow as pa

    return cast(IO[bytes], pa.CompressedInputStream(str(file), "zstd"))


OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".zst": _zstd,
    ".zstd": _zstd,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".lzma": lzma.open,
}


def literal(value: object) -> str:
    """A text as SQL writes it."""
    return "'" + str(value).replace("'", "''") + "'"


def one_line(error: Exception) -> str:
    """What DuckDB says, without line breaks and without advice on options that a mapping doesn't have."""
    said = " ".join(str(error).split())
    if "state machine reached an invalid state" in said:
        return "a quote isn't closed, or line endings are mixed: set quote, or give all lines the same ending"
    return said.partition(" Possible ")[0].partition(" file = ")[0]
