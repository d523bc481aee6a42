"""The lake as its users rely on it: atomic, one writer, readers that never block, versions."""

import os
import signal
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from feed_platform.feed import Feed, FeedError
from feed_platform.home import prepare_home
from feed_platform.lake import Lake, as_of, seal
from feed_platform.lake.connection import extension_path, version_of
from feed_platform.lake.contract import VERSION
from feed_platform.lake.seal import move_seal
from feed_platform.settings import Settings

FEED = Feed(start=date(2026, 1, 1))

HOLD_THE_LOCK = """
import sys, time
from feed_platform.lake import Lake
from feed_platform.settings import Settings
with Lake.of(Settings()).write("hold") as con:
    con.execute("insert into raw.seals values (timestamp '2026-01-02', now()::timestamp)")
    print("holding", flush=True)
    time.sleep(60)
"""


def _holder() -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD_THE_LOCK], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    return process


def test_a_failed_write_leaves_nothing(home: Settings) -> None:
    lake = Lake.of(home)
    with pytest.raises(RuntimeError), lake.write("fails") as con:
        move_seal(con, FEED)
        raise RuntimeError
    with lake.read() as con:
        assert seal(con, FEED) == FEED.start_at


def test_an_old_version_stays_readable(home: Settings) -> None:
    lake = Lake.of(home)
    with lake.read() as con:
        before = version_of(con)
    with lake.write("move the seal") as con:
        sealed = move_seal(con, FEED)
    with lake.read() as con, lake.read(before) as old:
        assert (seal(con, FEED), seal(old, FEED)) == (sealed, FEED.start_at)


def test_readers_go_on_and_a_killed_writer_frees_the_lock(home: Settings) -> None:
    lake, holder = Lake.of(home), _holder()
    with lake.read() as con:
        assert seal(con, FEED) == FEED.start_at
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lake.write("after the kill") as con:
        assert seal(con, FEED) == FEED.start_at


def test_a_reader_cannot_write(home: Settings) -> None:
    with Lake.of(home).read() as con, pytest.raises(duckdb.Error):
        con.execute("delete from raw.contract")


def test_an_older_contract_is_brought_up_and_its_rows_stay(home: Settings) -> None:
    lake = Lake.of(home)
    with lake.write("as release 2 left it") as con:
        con.execute("alter table truth.impressions drop column is_bot")
        con.execute("insert into truth.impressions by name select 'i' impression_id, 0.5 click_probability")
        con.execute("update raw.contract set version = 2")
    with lake.write("this release") as con:
        kept = "select impression_id, click_probability, is_bot from truth.impressions"
        assert con.execute(kept).fetchall() == [("i", 0.5, None)]
        assert con.execute("select max(version) from raw.contract").fetchone() == (VERSION,)


def test_a_newer_contract_is_refused(home: Settings) -> None:
    lake = Lake.of(home)
    with lake.write("from the future") as con:
        con.execute("insert into raw.contract values (99, now()::timestamp)")
    with pytest.raises(FeedError, match="upgrade"), lake.read():
        pass


def test_no_lake_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="no lake"), Lake.of(Settings(home=tmp_path)).read():
        pass


def test_works_with_an_unwritable_home_folder(tmp_path: Path) -> None:
    script = "from feed_platform import home, settings; home.prepare_home(settings.Settings())"
    environment = {**os.environ, "HOME": "/proc", "FEED_HOME": str(tmp_path / "home")}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


def test_anyone_can_explore_beside_the_line(home: Settings) -> None:
    holder = _holder()
    shell = Path(sys.executable).parent / "duckdb"
    query = [
        shell,
        "-init",
        home.root / "explore.sql",
        "-csv",
        "-c",
        "select count(*) as n from raw.contract",
    ]
    result = subprocess.run(query, capture_output=True, text=True, check=True)
    holder.kill()
    holder.wait()
    assert result.stdout.split() == ["n", "1"]


def test_preparing_a_home_twice_changes_nothing(home: Settings) -> None:
    with Lake.of(home).read() as con:
        before = version_of(con)
    prepare_home(home)
    with Lake.of(home).read() as con:
        assert version_of(con) == before


def test_as_of_leaves_the_time_that_publishing_takes() -> None:
    assert as_of(datetime(2026, 1, 2, 0, 9, 59), FEED) == datetime(2026, 1, 1, 23)
    assert as_of(datetime(2026, 1, 2, 0, 10), FEED) == datetime(2026, 1, 2)


def test_once_the_lake_is_open_no_forged_extension_comes_in(home: Settings, tmp_path: Path) -> None:
    forged = tmp_path / "forged.duckdb_extension"
    data = bytearray(extension_path("ducklake").read_bytes())
    data[-1] ^= 1
    forged.write_bytes(data)
    with Lake.of(home).read() as con:
        with pytest.raises(duckdb.IOException, match="signature"):
            con.load_extension(str(forged))
        with pytest.raises(duckdb.InvalidInputException):
            con.execute("SET allow_unsigned_extensions = true")
