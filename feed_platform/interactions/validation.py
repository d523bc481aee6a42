"""`feed validate`: the raw tables checked again as they stand, and what the quarantine holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from feed_platform.feed import Feed, load_feed
from feed_platform.interactions.batch import RAW_TABLES
from feed_platform.interactions.checking import stored_problems
from feed_platform.interactions.quarantine import quarantined_rules
from feed_platform.interactions.schemas import RAW, RawTable, described
from feed_platform.interactions.staging import CLOCK_SKEW
from feed_platform.lake import Lake
from feed_platform.lake.erased import is_somebodys
from feed_platform.lake.tables import columns_of
from feed_platform.settings import Settings

GAPS = {
    "impressions": {"user_id": "users", "post_id": "posts"},
    "engagements": {"user_id": "users", "post_id": "posts", "impression_id": "impressions"},
}
GAP = """
select count(*) from raw.{table}
where {column} not in (select {column} from raw.{other}) and exists (select 1 from raw.{other})
"""


@dataclass(frozen=True)
class Issue:
    """Something in the lake that breaks a rule: where, which, how many rows."""

    table: str
    rule: str
    rows: int

    def __str__(self) -> str:
        return f"{self.table:22} {self.rule}: {self.rows:,} row(s)"


def validate(settings: Settings) -> list[Issue]:
    """Check types, ranges, missing values, uniqueness and references of all raw rows; add the quarantine.

    Raises:
        FeedError: the home has no feed yet.
    """
    feed = load_feed(settings)
    with Lake.of(settings).read() as con:
        return [issue for name in RAW_TABLES for issue in _issues(con, RAW[name], feed)]


def reference_gaps(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, int]:
    """For each id of a raw table that refers to another: how many rows refer to nothing there.

    These rows are kept: a user or post may be new, an impression may come later. A table
    without any row isn't part of the feed, and not counted against.
    """
    return {
        column: _count(con, GAP.format(table=table, column=column, other=other))
        for column, other in GAPS.get(table, {}).items()
    }


def _issues(con: duckdb.DuckDBPyConnection, table: RawTable, feed: Feed) -> Iterator[Issue]:
    name = f"raw.{table.name}"
    for rule, rows in _row_rules(con, table, feed).items():
        yield Issue(name, rule, rows)
    if repeated := _repeated(con, table):
        yield Issue(name, f"{table.key}: is not unique", repeated)
    for column, rows in reference_gaps(con, table.name).items():
        if rows:
            yield Issue(name, f"{column}: is not in raw.{GAPS[table.name][column]}", rows)
    for rule, rows in quarantined_rules(con, table.name):
        yield Issue(f"quarantine.{table.name}", rule, rows)


def _row_rules(con: duckdb.DuckDBPyConnection, table: RawTable, feed: Feed) -> dict[str, int]:
    """How many stored rows break each rule of the table's description."""
    stored = columns_of(con, f"raw.{table.name}")
    latest = datetime.now(UTC).replace(tzinfo=None) + CLOCK_SKEW
    columns = (column for column in described(table, feed, latest) if column.name in stored)
    broken = {rule: case for column in columns for rule, case in stored_problems(column).items()}
    counts = ", ".join(f"count(*) filter (where {case})" for case in broken.values())
    row = con.execute(f"select {counts} from raw.{table.name} where {is_somebodys(table.key)}").fetchone()
    assert row is not None
    return {rule: rows for rule, rows in zip(broken, row, strict=True) if rows}


def _repeated(con: duckdb.DuckDBPyConnection, table: RawTable) -> int:
    grain = table.key if table.is_event else f"{table.key}, known_at"
    repeats = f"select 1 from raw.{table.name} group by {grain} having count(*) > 1"
    return _count(con, f"select count(*) from ({repeats})")


def _count(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
