"""`training.examples`: one row per matured impression, written once."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import duckdb
import polars as pl

from feed_platform.features.builds import last_build
from feed_platform.features.frame import training_frame
from feed_platform.feed import Feed
from feed_platform.lake import Lake
from feed_platform.lake.seal import DAY
from feed_platform.lake.tables import columns_of, has_table
from feed_platform.learning.schema import check_examples

TABLE = "training.examples"
SLICE_ROWS = 200_000
BY_DAY = """
select matured_day::timestamp, count(*) from marts.labels
where matured_day >= cast($start as date) and matured_day < cast($end as date) group by all order by all
"""


@dataclass(frozen=True)
class Written:
    """What one run did: matured rows it saw, rows it added, the lake version it read."""

    matured: int
    added: int
    lake_version: int


def write_examples(lake: Lake, feed: Feed, start: datetime, end: datetime) -> Written:
    """Add the impressions whose labels matured on the days [start, end) and aren't there yet.

    Features and labels are read at the last build that ended well, some days at a time, the writer
    lock held for each of these slices.

    Raises:
        FeedError: features were never built, or a row breaks the schema (its slice isn't written).
    """
    with lake.read() as con:
        version = last_build(con).lake_version
    with lake.read(version) as con:
        days = con.execute(BY_DAY, {"start": start, "end": end}).fetchall()
    matured = added = 0
    for first, last in _slices(days):
        with lake.read(version) as con:
            frame = training_frame(con, feed, first, last)
        matured += len(frame)
        added += append_examples(lake, feed, frame, version)
    return Written(matured, added, version)


def has_examples(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the training table has been created."""
    return has_table(con, TABLE)


def _slices(days: list[tuple[datetime, int]]) -> Iterator[tuple[datetime, datetime]]:
    """Ranges of days, each of `SLICE_ROWS` rows or little more, from the days' numbers of rows."""
    rows, first = 0, None
    for day, count in days:
        rows, first = rows + count, first or day
        if rows >= SLICE_ROWS or day == days[-1][0]:
            yield first, day + DAY
            rows, first = 0, None


def append_examples(lake: Lake, feed: Feed, frame: pl.DataFrame, version: int) -> int:
    """Check a training frame and add its rows that aren't in the table; returns their number.

    `version`, the lake version that the frame was read at, is kept with the lake's new version.

    Raises:
        FeedError: a row breaks the schema: none is written.
    """
    checked = check_examples(frame, feed).with_columns(matured_day=pl.col("matured_at").dt.date())
    with lake.read() as con:
        known = _known_ids(con)
    fresh = checked.join(known, on="impression_id", how="anti")
    if fresh.is_empty():
        return 0
    with lake.write("training examples", {"rows": len(fresh), "read_at": version}) as con:
        con.register("fresh", fresh.to_arrow())
        _make_room(con)
        row = con.execute(
            f"insert into {TABLE} by name select * from fresh anti join {TABLE} using (impression_id)"
        ).fetchone()
    return int(row[0]) if row else 0


def _known_ids(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    if not has_examples(con):
        return pl.DataFrame(schema={"impression_id": pl.String})
    return con.sql(f"select impression_id from {TABLE}").pl()


def _make_room(con: duckdb.DuckDBPyConnection) -> None:
    """Create the table, or add the columns that it lacks: null in the rows before."""
    known = columns_of(con, TABLE)
    if not known:
        con.execute(f"create table {TABLE} as select * from fresh limit 0")
        return
    wanted = con.execute("select column_name, column_type from (describe select * from fresh)").fetchall()
    for name, kind in wanted:
        if name not in known:
            con.execute(f'alter table {TABLE} add column "{name}" {kind}')
