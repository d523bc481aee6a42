"""Erasing a person: no trace in the home, the same sums for posts, everything else as it was."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pytest

from feed_platform.erasure import erase, pending, plan
from feed_platform.features.keys import key
from feed_platform.features.online import current_snapshot
from feed_platform.feed import FeedError
from feed_platform.home import prepare_home
from feed_platform.interactions.segments import find_segments, read_from
from feed_platform.lake import Lake
from feed_platform.lake.erased import erased_author, erased_filter, suppression
from feed_platform.lake.erasure import find
from feed_platform.settings import Settings
from feed_platform_tests import erasure_world as world
from feed_platform_tests.erasure_world import CANARY, OTHERS

SUMS = """
select entity_group, entity_key, known_hour, impressions, clicks, dwell_ms
from features.hourly_sums where {} order by all
"""
OF_POSTS = "entity_group in ('global', 'post', 'topic')"
OF_OTHERS = "entity_group like 'user%'"
EXAMPLES = "select * from training.examples where user_id <> ? order by impression_id"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with the canary's traces, built once; tests copy it."""
    settings = Settings(home=tmp_path_factory.mktemp("filled") / "home")
    prepare_home(settings)
    world.fill(settings)
    return settings


@pytest.fixture
def home(filled: Settings, tmp_path: Path) -> Settings:
    """A copy of the filled home at a path of its own."""
    subprocess.run(["cp", "-r", filled.root, tmp_path / "home"], check=True)
    settings = Settings(home=tmp_path / "home")
    with closing(sqlite3.connect(settings.catalog)) as con, con:
        con.execute("update ducklake_metadata set value = ? where key = 'data_path'", [settings.data + "/"])
    return settings


def _rows(settings: Settings, sql: str, *values: object) -> list[tuple[object, ...]]:
    with Lake.of(settings).read() as con:
        return con.execute(sql, list(values)).fetchall()


def _traces(settings: Settings) -> list[Path]:
    """Files with the id as bytes, its hash, or in a Parquet cell."""
    digest = hashlib.md5(CANARY.encode(), usedforsecurity=False)
    forms = (CANARY.encode(), digest.hexdigest().encode(), CANARY.encode().hex().encode())
    found = [path for path in world.files(settings) if any(form in path.read_bytes() for form in forms)]
    for path in Path(settings.data).rglob("*.parquet"):
        cells = duckdb.sql(f"select count(*) from '{path}' t where contains(t::varchar, '{CANARY}')")
        if cells.fetchall() != [(0,)]:
            found.append(path)
    return found


def test_no_trace_is_left_and_sums_stay_through_a_rebuild(home: Settings) -> None:
    posts, others = _rows(home, SUMS.format(OF_POSTS)), _rows(home, SUMS.format(OF_OTHERS))
    examples = _rows(home, EXAMPLES, CANARY)
    assert _traces(home) and examples
    report = erase(home, [CANARY])
    assert _traces(home) == [] and report.left == () and not report.needs_build
    assert pending.read(home) is None
    assert _rows(home, SUMS.format(OF_POSTS)) == posts
    own = {row[:2] for row in others} - {row[:2] for row in _rows(home, SUMS.format(OF_OTHERS))}
    assert {("user", key(CANARY))} < own and {group for group, _ in own} == {"user", "user_topic"}
    remaining = [row for row in others if row[:2] not in own]
    world.build(home)
    assert _rows(home, SUMS.format(OF_POSTS)) == posts
    assert _rows(home, SUMS.format(OF_OTHERS)) == remaining
    assert _rows(home, "select count(*) from marts.impression_features where user_id is null") == [(0,)]
    assert str(_rows(home, EXAMPLES, "nobody")) == str(examples)  # NaN is not equal to itself
    assert _traces(home) == []


def test_logs_keep_the_others_and_how_far_they_are_imported(home: Settings) -> None:
    erase(home, [CANARY])
    offsets = dict(_rows(home, "select file, imported_bytes from serving.segments"))
    assert len(offsets) == 4
    for kind in ("requests", "feedback"):
        for path in find_segments(home.logs / kind).values():
            read = read_from(path)
            imported = offsets[path.with_suffix("").relative_to(home.root).as_posix()]
            assert read.torn_bytes == 0 and len(read.payloads) == 20
            assert len(read_from(path, imported).payloads) in (6, 7)


def test_the_snapshot_forgets_the_person_and_old_ones_go(home: Settings) -> None:
    before = current_snapshot(home)
    erase(home, [CANARY])
    after = current_snapshot(home)
    assert after is not None and after != before and before is not None and not before.exists()
    for name in ("user.keys", "users.keys"):
        keys = np.load(after / f"{name}.npy")
        assert key(CANARY) not in keys and key(OTHERS[0]) in keys


def test_what_was_erased_is_recorded_without_saying_who(home: Settings) -> None:
    erase(home, [CANARY])
    people, deleted, anonymized, readable = _rows(
        home, "select people, rows_deleted, rows_anonymized, readable_from from training.erasures"
    )[0]
    assert people == 1 and deleted > 100 and anonymized > 100
    assert _rows(home, "select lake_version from features.builds") == [(readable,)]
    with Lake.of(home).read(readable) as con:
        assert con.execute("select count(*) from training.examples").fetchone() != (0,)


def test_an_import_is_told_who_may_not_come_back(home: Settings) -> None:
    rows = f"select * from (values ('{CANARY}'), ('{OTHERS[0]}'), (null)) t(user_id)"
    with Lake.of(home).read() as con:
        assert erased_filter(con) == "true"
    erase(home, [CANARY])
    with Lake.of(home).read() as con:
        kept = con.execute(f"select * from ({rows}) where {erased_filter(con)}").fetchall()
        authors = con.execute(f"select {erased_author(con, 'user_id')} from ({rows})").fetchall()
        pseudonym = suppression(con).pseudonym(CANARY)
        assert kept == [(OTHERS[0],), (None,)]
        assert authors == [(pseudonym,), (OTHERS[0],), (None,)]
        assert con.execute("select count(*) from raw.posts where author_id = ?", [pseudonym]).fetchall() == [
            (1,)
        ]


def test_a_plan_changes_nothing_and_names_every_table(home: Settings) -> None:
    before = {path: path.read_bytes() for path in world.files(home) if path.suffix == ".parquet"}
    planned = plan(home, [CANARY])
    assert {path: path.read_bytes() for path in before} == before
    assert planned.rows.deleted.keys() >= {
        "features.hourly_sums", "features.user_features", "marts.impression_features", "marts.labels",
        "quarantine.impressions", "raw.users", "serving.candidates", "serving.requests", "serving.vectors",
        "training.examples", "truth.impressions",
    }  # fmt: skip
    assert planned.rows.changed.keys() >= {"raw.impressions", "raw.engagements", "raw.posts"}
    assert planned.records == 40 and planned.files
    assert _rows(home, "select count(*) from quarantine.impressions") == [(2,)]


def test_a_short_id_is_erased_where_it_is_a_persons(home: Settings) -> None:
    with Lake.of(home).write("a person named like a post") as con:
        con.execute("insert into raw.users (user_id) values ('p1')")
        con.execute(
            """insert into quarantine.users values ('q3', 's', 'f', 1, 'odd', '{"user_id": "p1"}', null)"""
        )
    planned = plan(home, ["p1"])
    assert planned.rows.deleted == {"raw.users": 1, "quarantine.users": 1} and not planned.rows.changed


def test_an_unknown_person_changes_nothing(home: Settings) -> None:
    with pytest.raises(FeedError, match="stranger-0000; nobody was erased"):
        erase(home, [CANARY, "stranger-0000"])
    assert pending.read(home) is None
    assert _rows(home, "select count(*) from raw.users where user_id = ?", CANARY) == [(1,)]
    erase(home, [CANARY])
    erase(home, [CANARY])


KILLED = """
import os, sys
from pathlib import Path
from feed_platform.erasure import run
from feed_platform.settings import Settings
step = sys.argv[1]
def die(*args, **kwargs):
    os.kill(os.getpid(), 9)
setattr(run, step, die)
run.erase(Settings(home=Path(sys.argv[2])), sys.argv[3:])
"""


@pytest.mark.parametrize(
    "step", ["erase_from_logs", "erase_rows", "purge_versions", "shrink_catalog", "publish"]
)
def test_killed_anywhere_the_next_call_ends_it(home: Settings, step: str) -> None:
    command = [sys.executable, "-c", KILLED, step, str(home.root), CANARY]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert pending.read(home) is not None
    assert erase(home, []).left == ()
    assert _traces(home) == [] and pending.read(home) is None
    assert len(_rows(home, "from training.erasures")) == 1


def test_nothing_is_erased_beside_a_running_program(home: Settings) -> None:
    environment = {**os.environ, "FEED_HOME": str(home.root)}
    running = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", "dagster"], env=environment
    )
    try:
        with pytest.raises(FeedError, match=f"process {running.pid} works on this home"):
            erase(home, [CANARY])
    finally:
        running.kill()
        running.wait()
    with Lake.of(home).read() as con:
        assert not find(con, [CANARY], suppression(con)).is_empty
