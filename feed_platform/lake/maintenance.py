"""What keeps a lake small and quick: compaction, retention of old versions, removal of dead files."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

from feed_platform.lake.connection import Lake

DAY = timedelta(days=1)
KEEP = timedelta(days=30)
OLD_ENOUGH = "older_than => now() - interval {} day"
# A file that a transaction is writing belongs to no version yet: only old ones are orphans.
ORPHAN_DAYS = 2

EXPIRABLE = """
select list(snapshot_id order by snapshot_id) from ducklake_snapshots('lake')
where snapshot_id < (select id from lake.current_snapshot())
  and snapshot_time < now() - to_microseconds($kept) and not list_contains($spared, snapshot_id)
"""


@dataclass(frozen=True)
class Retention:
    """How long what is no longer current stays.

    Attributes:
        versions: how long a version can be read after the next one was committed.
        file_days: whole days that a file stays after compaction or expiry gave it up, more than any
            reader takes; 0 removes it at once.
    """

    versions: timedelta = KEEP
    file_days: int = 1


@dataclass(frozen=True)
class Footprint:
    """A lake's size: Parquet files and their bytes where they lie on this machine, versions."""

    files: int
    bytes: int
    versions: int

    def __str__(self) -> str:
        return f"{self.files:,} files, {self.bytes / 1e6:,.1f} MB, {self.versions:,} versions"


@dataclass(frozen=True)
class Maintained:
    """A lake before and after its maintenance, and the number of versions that were expired."""

    before: Footprint
    after: Footprint
    expired: int


def maintain(lake: Lake, spared: Collection[int] = (), retention: Retention | None = None) -> Maintained:
    """Compact the lake, expire old versions, remove the files that no version needs.

    Readers go on: what they may have open stays for `retention.file_days`. Holds the writer lock.

    Args:
        spared: versions that stay readable whatever their age; the current one always does.
        retention: default 30 days for versions, a day for files.
    """
    kept = retention or Retention()
    with lake.exclusive() as con:
        before = footprint(con, lake)
        compact(con)
        versions = expirable(con, kept.versions, spared)
        expire(con, versions)
        remove_dead_files(con, kept.file_days)
        return Maintained(before, footprint(con, lake), len(versions))


def footprint(con: duckdb.DuckDBPyConnection, lake: Lake) -> Footprint:
    """The lake's size now."""
    sizes = [path.stat().st_size for path in Path(lake.data).rglob("*.parquet")]
    row = con.execute("select count(*) from ducklake_snapshots('lake')").fetchone()
    return Footprint(len(sizes), sum(sizes), int(row[0]) if row else 0)


def compact(con: duckdb.DuckDBPyConnection) -> None:
    """Write inlined rows to files, rewrite files of which rows are deleted, merge small ones."""
    con.execute("call ducklake_flush_inlined_data('lake')")
    # From the first deleted row on: only files without any are merged.
    con.execute("call ducklake_rewrite_data_files('lake', delete_threshold => 0)")
    con.execute("call ducklake_merge_adjacent_files('lake')")


def expirable(con: duckdb.DuckDBPyConnection, kept: timedelta, spared: Collection[int] = ()) -> list[int]:
    """The versions older than `kept`, without the current one and those to spare."""
    limits = {"kept": kept // timedelta(microseconds=1), "spared": list(spared)}
    row = con.execute(EXPIRABLE, limits).fetchone()
    return (row[0] if row else None) or []


def expire(con: duckdb.DuckDBPyConnection, versions: list[int]) -> None:
    """Give up versions by name: by time, a SQLite catalog takes the whole calendar day."""
    if versions:
        con.execute(f"call ducklake_expire_snapshots('lake', versions => {versions})")


def remove_dead_files(con: duckdb.DuckDBPyConnection, days: int) -> None:
    """Remove files given up at least `days` whole days ago, and old ones that never belonged to a version."""
    # The catalog compares by calendar day: a day more than wanted is never less than it.
    since = OLD_ENOUGH.format(days + 1) if days else "cleanup_all => true"
    con.execute(f"call ducklake_cleanup_old_files('lake', {since})")
    con.execute(f"call ducklake_delete_orphaned_files('lake', {OLD_ENOUGH.format(ORPHAN_DAYS)})")
