"""What an import takes and gives: a batch of raw rows, and the counts of what became of them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

Mode = Literal["history", "live"]
RAW_TABLES = ("users", "posts", "impressions", "engagements")


@dataclass(frozen=True)
class Batch:
    """Rows of one stretch of the input, one frame per table, with the raw tables' columns.

    Optional columns may be missing (null). `_file` and `_row` (1-based) say where a row came
    from; without them the file is the import's source and the row its place in the batch.
    `known_at` is set by the import; only users and posts of a history may bring their own.
    An engagement that stands inside its impression's row says so in `_in_row` and is rejected
    with it; `_problem` says why a row could not be read at all. `truth` has columns of
    `truth.impressions`: what a simulator knows of its impressions.
    """

    users: pl.DataFrame | None = None
    posts: pl.DataFrame | None = None
    impressions: pl.DataFrame | None = None
    engagements: pl.DataFrame | None = None
    truth: pl.DataFrame | None = None

    def table(self, name: str) -> pl.DataFrame | None:
        """The frame of one raw table, or None where the batch has none of its rows."""
        frame: pl.DataFrame | None = getattr(self, name)
        return frame


@dataclass(frozen=True)
class Relation:
    """Rows of one raw table as SQL that DuckDB runs: no row passes through Python.

    Attributes:
        table: the raw table: users, posts, impressions or engagements.
        sql: a SELECT of the raw table's columns that it fills (VARCHAR where the file holds text,
            else any type), `_file` (VARCHAR) and `_row` (BIGINT, 1-based, header and blank lines
            apart; without it the row's place in the result); optionally `_problem` (VARCHAR, why a
            row can't be read) and `_in_row` (BOOLEAN, an engagement that stands inside its
            impression's row). It may run more than once, always with the same rows.
        strict: a faster SELECT of the same rows that fails on a file with any fault; tried first.
        setup: statements to run before it on the import's connection.
        place: what an error of the SQL names, such as the mapping's input and file.
    """

    table: str
    sql: str
    setup: tuple[str, ...] = ()
    place: str = ""
    strict: str | None = None


@dataclass
class TableCounts:
    """What became of the rows of one table; `reasons` counts the rules that bad rows broke."""

    read: int = 0
    inserted: int = 0
    known: int = 0
    quarantined: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.read:,} read, {self.inserted:,} inserted, {self.known:,} known or repeated, "
            f"{self.quarantined:,} quarantined"
        )


@dataclass
class Counts:
    """What an import did, by table; printable. `excluded` counts the rows that each rule left out."""

    users: TableCounts = field(default_factory=TableCounts)
    posts: TableCounts = field(default_factory=TableCounts)
    impressions: TableCounts = field(default_factory=TableCounts)
    engagements: TableCounts = field(default_factory=TableCounts)
    excluded: Counter[str] = field(default_factory=Counter, init=False)

    def table(self, name: str) -> TableCounts:
        """The counts of one raw table."""
        counts: TableCounts = getattr(self, name)
        return counts

    def __str__(self) -> str:
        lines = []
        for name in RAW_TABLES:
            counts = self.table(name)
            if counts.read:
                lines.append(f"{name:12} {counts}")
                lines += [f"{'':12} {n:>7,} x {reason}" for reason, n in counts.reasons.most_common()]
        lines += [f"{'excluded':12} {n:>7,} x {rule}" for rule, n in self.excluded.most_common()]
        return "\n".join(lines) or "no rows"
