"""The import: batches of raw rows into the lake, each row once."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import duckdb

from feed_platform.feed import Feed
from feed_platform.interactions.batch import RAW_TABLES, Batch, Counts, Mode, Relation
from feed_platform.interactions.merge import Days, Merge
from feed_platform.interactions.quarantine import create_rejects
from feed_platform.interactions.schemas import RAW
from feed_platform.interactions.staging import Staging, stage, staging_folder
from feed_platform.lake import Lake

INSERT_TRUTH = """
insert into truth.impressions by name
select distinct on (impression_id) * from read_parquet(?, union_by_name = true)
where impression_id in (select impression_id from raw.impressions)
  and impression_id not in (select impression_id from truth.impressions)
order by impression_id
"""


def ingest(  # noqa: PLR0913
    lake: Lake,
    feed: Feed,
    batches: Iterable[Batch | Relation],
    *,
    mode: Mode,
    source: str,
    imported_at: datetime,
    as_history: bool = False,
    days: Days | None = None,
    watch: Callable[[duckdb.DuckDBPyConnection], None] | None = None,
) -> Counts:
    """Bring batches into the raw tables in one write transaction; the same batches twice change nothing.

    Rows that break a rule, repeat an id or contradict a committed row go to `quarantine.*`.
    `known_at`, once stored, never changes: in a history the event's own time (users and posts: the
    feed's start, or their `known_at`), live the greatest of own time, `received_at` and the seal.

    Args:
        source: names where the rows come from.
        imported_at: the import's time (UTC, naive); live rows without `received_at` were received then.
        as_history: accept a history's rows below the seal.
        days: bring in only events known in [first, end), in UTC.
        watch: gets the connection that reads the batches, to ask it how far it is.

    Raises:
        FeedError: a history reaches below the seal, or a batch has an undeclared column; nothing changed.
    """
    with staging_folder(lake.temp) as folder:
        with duckdb.connect(
            config={"memory_limit": lake.memory_limit, "temp_directory": str(lake.temp)}
        ) as con:
            if watch is not None:
                watch(con)
            staging = stage(con, folder, feed, batches, mode=mode, source=source, imported_at=imported_at)
        with lake.write(f"import {source}", {"mode": mode, "imported_at": imported_at}) as con:
            return _merge_all(Merge(con, feed, mode, source, imported_at, as_history, days), staging)


def ingest_into(
    con: duckdb.DuckDBPyConnection,
    feed: Feed,
    batches: Iterable[Batch | Relation],
    *,
    mode: Mode,
    source: str,
    imported_at: datetime,
) -> Counts:
    """As `ingest`, as part of the caller's write transaction."""
    row = con.execute("select current_setting('temp_directory')").fetchone()
    assert row is not None
    with staging_folder(Path(row[0])) as folder:
        with con.cursor() as cursor:
            staging = stage(cursor, folder, feed, batches, mode=mode, source=source, imported_at=imported_at)
        return _merge_all(Merge(con, feed, mode, source, imported_at), staging)


def _merge_all(merge: Merge, staging: Staging) -> Counts:
    create_rejects(merge.con)
    counts = Counts(**{name: merge.run(RAW[name], staging) for name in RAW_TABLES})
    truth = staging.files("truth")
    if truth is not None:
        merge.con.execute(INSERT_TRUTH, [truth])
    return counts
