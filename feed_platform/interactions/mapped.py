"""A mapping's files as relations of raw rows."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from feed_platform.feed import Feed, FeedError
from feed_platform.interactions.batch import Relation
from feed_platform.interactions.casting_sql import timestamp_sql
from feed_platform.interactions.mapped_cells import instant_sql, sources
from feed_platform.interactions.mapped_rows import FileRows
from feed_platform.interactions.mapping_model import ImpressionInput, Input, Mapping
from feed_platform.interactions.negatives import with_negatives
from feed_platform.interactions.readers import FORMS, TEXT, Reader, literal, one_line
from feed_platform.interactions.schemas import RawTable

EARLIEST_START = datetime(1990, 1, 1)  # an earlier time is a blank that became 1970 or year 1
MAX_RELATIONS = 64


@dataclass(frozen=True)
class MappedLog:
    """The files that a mapping names; `path` is the mapping file's, `scratch` takes unpacked copies."""

    mapping: Mapping
    path: Path
    scratch: Path
    _read: dict[str, tuple[str, int]] = field(default_factory=dict)

    def size_of(self, relation: Relation) -> tuple[str, int]:
        """What a relation reads, as the mapping names it, and its bytes."""
        return self._read.get(relation.place, (relation.place, 0))

    def relations(self, feed: Feed) -> list[Relation]:
        """All rows, table by table.

        Raises:
            FeedError: a file is missing or isn't what the mapping says.
        """
        found: list[Relation] = []
        for table, place, one in self.mapping.inputs():
            files = list(self._rows(table, place, one, feed))
            found += self._grouped(place, table.name, [(rows, [rows.rows()]) for rows in files])
            if isinstance(one, ImpressionInput) and one.in_row_types:
                found += self._grouped(place, "engagements", [(rows, rows.engagements()) for rows in files])
        if self.mapping.sampled_negatives is not None:
            found = with_negatives(
                found, self.mapping.name, self.mapping.sampled_negatives, feed, self._types
            )
        for relation in found:
            self._types(relation.sql, self.size_of(relation)[0])  # finds a bad pattern before writing
        return found

    def excluded(self, feed: Feed) -> Counter[str]:
        """How many rows each rule of `exclude` leaves out."""
        counts: Counter[str] = Counter()
        for table, place, one in self.mapping.inputs():
            if one.exclude:
                for rows in self._rows(table, place, one, feed):
                    counts.update(self._excluded(place, rows))
        return counts

    def first_and_last(self, feed: Feed, latest: datetime) -> tuple[datetime, datetime] | None:
        """The first and the last time of the log's events; blanks and times after `latest` don't count.

        Gives None where no time is left.
        """
        plausible = f"t between timestamp '{EARLIEST_START}' and timestamp '{latest}'"
        spans = [
            self._run(f"select min(t), max(t) from ({times}) where {plausible}", where)[0]
            for where, times in self._times(feed)
        ]
        known = [span for span in spans if span[0] is not None]
        return (min(first for first, _ in known), max(last for _, last in known)) if known else None

    def _times(self, feed: Feed) -> Iterator[tuple[str, str]]:
        """For each file its name and a SELECT of its events' times."""
        for table, place, one in self.mapping.inputs():
            if table.time in one.constants:
                time = timestamp_sql(literal(one.constants[table.time]), TEXT)
                yield place, f"select {time} as t"
            elif table.time in one.columns:
                column = one.columns[table.time]
                for rows in self._rows(table, place, one, feed):
                    instant = instant_sql(column, rows.scan.columns, one)
                    yield f"{place}: {rows.name}", f"select {instant} as t from ({rows.kept()})"

    def _excluded(self, place: str, rows: FileRows) -> dict[str, int]:
        rules = [f"{place} {rule}" for rule in rows.one.exclude]
        return {
            rules[number]: n
            for number, n in self._run(rows.excluded(), f"{place}: {rows.name}")
            if number is not None
        }

    def _run(self, sql: str, where: str) -> list[tuple[Any, ...]]:
        with duckdb.connect() as con:
            try:
                con.execute("set TimeZone = 'UTC'")
                return con.execute(sql).fetchall()
            except duckdb.Error as error:
                raise FeedError(f"{self.path}: {where}: {one_line(error)}") from error

    def _rows(self, table: RawTable, place: str, one: Input, feed: Feed) -> Iterator[FileRows]:
        lists = self._lists(place, one)
        reader = Reader(one, self.scratch)
        for file in self._files(place, one):
            try:
                scan = reader.scan(file, sources(one))
            except FeedError as error:
                raise FeedError(f"{self.path}: {place}: {error}") from error
            yield FileRows(table, one, feed, self.mapping.name, self._name(file), scan, lists)

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

    def _lists(self, place: str, one: Input) -> dict[str, str]:
        """The files of `in_file` conditions, as relations with one column `w`."""
        named = [each.in_file for each in (*one.where, *one.exclude) if each.in_file is not None]
        for name in named:
            if not (self.path.parent / name).is_file():
                raise FeedError(f"{self.path}: {place}: in_file: {self.path.parent / name} is not a file")
        return {name: _words(self.path.parent / name) for name in named}

    def _grouped(
        self, place: str, table: str, selects: list[tuple[FileRows, list[str]]]
    ) -> Iterator[Relation]:
        """One relation a file; where there are many, files with the same columns together."""
        size = -(-len(selects) // MAX_RELATIONS)
        for _, same in groupby(selects, key=lambda pair: tuple(pair[0].types.items())):
            alike = list(same)
            for start in range(0, len(alike), size):
                group = alike[start : start + size]
                sql = " union all by name ".join(one for _, several in group for one in several)
                strict = group[0][0].strict() if table == group[0][0].table.name and len(group) == 1 else None
                place_of = self._place(place, [rows for rows, _ in group])
                yield Relation(table, sql, place=place_of, strict=strict)

    def _place(self, place: str, group: list[FileRows]) -> str:
        """What an error in the midst of files names, remembered with their size."""
        one = group[0].one
        name = group[0].name if len(group) == 1 else one.files
        file = self.path.parent / name
        form = FORMS[one.format_of(file) or "csv"]
        said = f"{self.path}: {place}: {file} is not {form} in {one.encoding.upper()}"
        size = sum((self.path.parent / rows.name).stat().st_size for rows in group)
        self._read[said] = (name, size)
        return said

    def _types(self, sql: str, where: str = "engagements") -> dict[str, str]:
        """The columns of a SELECT and their DuckDB types."""
        return {name: kind for name, kind, *_ in self._run(f"describe {sql}", where)}


def _words(file: Path) -> str:
    return f"""(select trim(w) as w from read_csv({literal(file)}, columns = {{'w': 'VARCHAR'}},
        auto_detect = false, header = false, delim = '\x01', quote = '', escape = ''))"""
