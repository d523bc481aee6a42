"""What a table's deleted rows leave behind: old versions, files, statistics, the catalog's free pages."""

import sqlite3
import time
from collections.abc import Collection
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import duckdb

from feed_platform.feed import FeedError
from feed_platform.lake.connection import Lake
from feed_platform.lake.maintenance import expirable, expire, remove_dead_files
from feed_platform.lake.traces import forms

READER_SECONDS = 60
STATISTICS = "__ducklake_metadata_lake.ducklake_table_column_stats"


def purge_versions(con: duckdb.DuckDBPyConnection, user_ids: Collection[str]) -> int:
    """Give up every version but the current one, with all files that only they had; how many versions.

    Orphans go whatever their age: the caller holds the writer lock. A column's least and greatest
    values are forgotten where they hold an id.
    """
    versions = expirable(con, timedelta(0))
    expire(con, versions)
    remove_dead_files(con, 0)
    con.execute("call ducklake_delete_orphaned_files('lake', cleanup_all => true)")
    for form in {form for user_id in user_ids for form in forms(user_id)}:
        for column in ("min_value", "max_value"):
            con.execute(f"update {STATISTICS} set {column} = null where contains({column}, ?)", [form])
    return len(versions)


def shrink_catalog(lake: Lake) -> None:
    """Rewrite the catalog's file without its free pages, and empty its write-ahead log.

    Raises:
        FeedError: a reader has held the catalog for a minute.
    """
    vacuum(Path(lake.catalog), READER_SECONDS)


def vacuum(path: Path, patience: float = 5.0) -> None:
    """The same for any SQLite file.

    Raises:
        FeedError: others have used it for all of `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while not _vacuum(path):
        if time.monotonic() > deadline:
            raise FeedError(f"{path} is in use: end what reads it, then run feed erase-user again")
        time.sleep(0.2)


def _vacuum(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as con:
        try:
            con.execute("vacuum")
            return bool(con.execute("pragma wal_checkpoint(truncate)").fetchone()[0] == 0)
        except sqlite3.OperationalError:
            return False
