"""Maintenance: growth is bounded, spared versions and open readers aren't disturbed."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from feed_platform.feed import FeedError
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.lake.maintenance import Retention, footprint, maintain
from feed_platform.settings import Settings

COMMITS, ROWS = 60, 30
AT_ONCE = Retention(versions=timedelta(0), file_days=0)
INSERT = """
insert into raw.users (user_id, known_at)
select 'u' || ($n * 1000 + i), now()::timestamp from range($rows) t(i)
"""


def _commit(lake: Lake, number: int) -> int:
    """One small commit that adds rows and takes some away; the lake's version after it."""
    with lake.write(f"commit {number}") as con:
        con.execute(INSERT, {"n": number, "rows": ROWS})
        con.execute("delete from raw.users where user_id = ?", [f"u{number * 1000}"])
    with lake.read() as con:
        return version_of(con)


def _rows(lake: Lake, version: int | None = None) -> int:
    with lake.read(version) as con:
        return len(con.sql("from raw.users"))


def test_growth_is_bounded_and_a_spared_version_stays(home: Settings) -> None:
    lake = Lake.of(home)
    versions = [_commit(lake, number) for number in range(COMMITS)]
    done = maintain(lake, [versions[9]], AT_ONCE)
    assert done.before.files >= COMMITS and done.before.versions > COMMITS
    assert done.after.files <= 25 and done.after.versions == 2  # the spared version has 20 files of its own
    assert (_rows(lake), _rows(lake, versions[9])) == (COMMITS * (ROWS - 1), 10 * (ROWS - 1))
    with pytest.raises(FeedError, match=f"version {versions[8]} is gone"):
        _rows(lake, versions[8])
    again = maintain(lake, [versions[9]], AT_ONCE)
    assert again.after.files <= done.after.files and again.after.versions == 2
    assert _rows(lake, versions[9]) == 10 * (ROWS - 1)


def test_young_versions_and_readers_of_the_latest_go_on(home: Settings) -> None:
    lake = Lake.of(home)
    versions = [_commit(lake, number) for number in range(8)]
    with lake.read() as reader:
        reader.begin()
        first = reader.execute("select count(*), min(user_id) from raw.users").fetchone()
        assert maintain(lake).expired == 0
        assert reader.execute("select count(*), min(user_id) from raw.users").fetchone() == first
    assert [_rows(lake, version) for version in versions] == [(n + 1) * (ROWS - 1) for n in range(8)]


def test_only_old_files_without_a_version_are_removed(home: Settings) -> None:
    lake = Lake.of(home)
    _commit(lake, 0)
    young, old = (Path(lake.data) / "raw" / "users" / f"{name}.parquet" for name in ("young", "old"))
    young.write_bytes(b"being written")
    old.write_bytes(b"left by a writer that was killed")
    long_ago = time.time() - 5 * 86_400
    os.utime(old, (long_ago, long_ago))
    maintain(lake, retention=AT_ONCE)
    assert young.exists() and not old.exists()
    with lake.read() as con:
        assert footprint(con, lake).files >= 1
