"""What a table holds at a glance: its rows, its rows by day, a few of them without anything personal."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from math import isnan
from typing import Any

import duckdb

SAMPLE_ROWS = 3
SAMPLE_COLUMNS = 12
MOST_EXACT = 2**53  # a browser's numbers are doubles
PERSONAL = frozenset({"context", "vector", "names"})

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Column:
    """A column as people meet it: name, SQL type, meaning."""

    name: str
    type: str
    description: str | None = None


@dataclass(frozen=True)
class Profile:
    """A table at a glance.

    Attributes:
        rows: how many it has.
        by_day: rows by UTC day, in order; empty for a table without a day.
        sample: a few rows of the newest day, without ids.
    """

    rows: int
    by_day: dict[date, int]
    sample: list[dict[str, Cell]]


def profile(
    con: duckdb.DuckDBPyConnection, table: str, day: str | None, hidden: Collection[str] = ()
) -> Profile:
    """Look at a table with two queries: one reads the column `day`, the other a few rows.

    Args:
        table: `<schema>.<table>`.
        day: the DATE or TIMESTAMP column (UTC) that says to which day a row belongs, if it has one.
        hidden: columns that no sample may show, beside ids and what may hold anything.
    """
    if day is None:
        row = con.execute(f"select count(*) from {table}").fetchone()
        return Profile(row[0] if row else 0, {}, _sample(con, f"select * from {table}", hidden))
    query = f"select cast({day} as date), count(*) from {table} group by 1 order by 1"
    counts = con.execute(query).fetchall()
    by_day = {known: rows for known, rows in counts if known is not None}
    newest = f"select * from {table} where {day} >= date '{max(by_day)}'" if by_day else ""
    return Profile(sum(rows for _, rows in counts), by_day, _sample(con, newest, hidden))


def is_shown(column: str, hidden: Collection[str] = ()) -> bool:
    """Whether a sample may show a column: no ids, nor the keys made of them, which an erasure takes out of
    the lake but not out of Dagster's log; no free text.

    Example:
        >>> is_shown("position"), is_shown("user_id"), is_shown("user_key"), is_shown("context")
        (True, False, False, False)
    """
    return not column.endswith(("_id", "_key")) and column not in PERSONAL and column not in hidden


def _sample(con: duckdb.DuckDBPyConnection, query: str, hidden: Collection[str]) -> list[dict[str, Cell]]:
    if not query:
        return []
    found = con.execute(f"{query} limit {SAMPLE_ROWS}")
    names = [column[0] for column in found.description or ()]
    shown = [name for name in names if is_shown(name, hidden)][:SAMPLE_COLUMNS]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [{name: _cell(row[name]) for name in shown} for row in rows]


def _cell(value: Any) -> Cell:
    """A value as a browser shows it, short: NaN is missing, an instant or a 64-bit number is text."""
    if isinstance(value, float):
        return None if isnan(value) else float(f"{value:.6g}")
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    is_exact = isinstance(value, int) and abs(value) <= MOST_EXACT
    return value if value is None or isinstance(value, str) or is_exact else str(value)
