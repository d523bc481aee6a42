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
import polars as pl
import pytest

from feed_platform.erasure import erase, pending, plan
from feed_platform.features.keys import key, pair_keys
from feed_platform.features.online import current_snapshot
from feed_platform.feed import Attributes, FeedError, SimulatorSource
from feed_platform.home import prepare_home
from feed_platform.interactions.batch import Batch
from feed_platform.interactions.ingest import ingest
from feed_platform.interactions.log_import import import_logs
from feed_platform.interactions.segments import find_segments, read_from
from feed_platform.interactions.simulator import simulated_slates, store_slates
from feed_platform.lake import Lake
from feed_platform.lake.erased import suppress, suppression
from feed_platform.lake.erasure import find
from feed_platform.settings import Settings
from feed_platform_tests import erasure_world as world
from feed_platform_tests.erasure_world import CANARY, FEED, OTHERS

SUMS = """
select entity_group, entity_key, known_hour, impressions, clicks, dwell_ms
from features.hourly_sums order by all
"""
EXAMPLES = "select * from training.examples where user_id <> ? order by impression_id"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with the canary's traces, built once; tests copy it."""
    settings = Settings(home=tmp_path_factory.mktemp("filled") / "home")
    prepare_home(settings)
    world.fill(settings)
    return settings


def _copied(filled: Settings, folder: Path) -> Settings:
    """The filled home at another path."""
    subprocess.run(["cp", "-r", filled.root, folder / "home"], check=True)
    settings = Settings(home=folder / "home")
    with closing(sqlite3.connect(settings.catalog)) as con, con:
        con.execute("update ducklake_metadata set value = ? where key = 'data_path'", [settings.data + "/"])
    return settings


@pytest.fixture
def home(filled: Settings, tmp_path: Path) -> Settings:
    """A filled home of the test's own."""
    return _copied(filled, tmp_path)


@pytest.fixture(scope="module")
def erased(filled: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home from which the canary was erased, only read by tests."""
    settings = _copied(filled, tmp_path_factory.mktemp("erased"))
    erase(settings, [CANARY])
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


def _pairs(users: list[str], others: list[str]) -> list[int]:
    """The keys of each user with each other entity."""
    products = [(key(user), key(other)) for user in users for other in others]
    first, second = np.array(products, dtype=np.uint64).T
    return [int(one) for one in pair_keys(first, second)]


def _without_canary(rows: list[tuple[object, ...]], pseudonym: str) -> list[tuple[object, ...]]:
    """What is left of all sums: the canary's own go; where it is an author, its pseudonym takes its place."""
    own = {("user", key(CANARY))}
    own |= {("user_topic", pair) for pair in _pairs([CANARY], world.TOPICS)}
    own |= {("user_author", pair) for pair in _pairs([CANARY], [CANARY, pseudonym, *world.AUTHORS])}
    new = {("author", key(CANARY)): key(pseudonym)}
    for old, renamed in zip(_pairs(OTHERS, [CANARY]), _pairs(OTHERS, [pseudonym]), strict=True):
        new["user_author", old] = renamed
    left = [(row[0], new.get(row[:2], row[1]), *row[2:]) for row in rows if row[:2] not in own]
    return sorted(left, key=str)


@pytest.mark.slow
def test_no_trace_is_left_and_sums_stay_through_a_rebuild(home: Settings) -> None:
    sums, examples = _rows(home, SUMS), _rows(home, EXAMPLES, CANARY)
    assert _traces(home) and examples
    report = erase(home, [CANARY])
    assert _traces(home) == [] and report.left == () and not report.needs_build
    assert pending.read(home) is None
    with Lake.of(home).read() as con:
        pseudonym = suppression(con).pseudonym(CANARY)
    expected = _without_canary(sums, pseudonym)
    assert 100 < len(expected) < len(sums) and sorted(_rows(home, SUMS), key=str) == expected
    world.build(home)
    assert sorted(_rows(home, SUMS), key=str) == expected
    assert _rows(home, "select count(*) from marts.impression_features where user_id is null") == [(0,)]
    # As text: NaN is not equal to itself.
    assert str(_rows(home, EXAMPLES, "nobody")) == str(examples).replace(CANARY, pseudonym)
    assert _traces(home) == []


def test_logs_keep_the_others_and_how_far_they_are_imported(erased: Settings) -> None:
    offsets = dict(_rows(erased, "select file, imported_bytes from serving.segments"))
    assert len(offsets) == 4
    for kind in ("requests", "feedback"):
        for path in find_segments(erased.logs / kind).values():
            read = read_from(path)
            imported = offsets[path.with_suffix("").relative_to(erased.root).as_posix()]
            assert read.torn_bytes == 0 and len(read.payloads) == 20
            assert len(read_from(path, imported).payloads) in (6, 7)


def test_the_snapshot_forgets_the_person_and_old_ones_go(filled: Settings, erased: Settings) -> None:
    before, after = current_snapshot(filled), current_snapshot(erased)
    assert before is not None and after is not None
    assert [path for path in erased.online.iterdir() if path.is_dir()] == [
        after
    ] and after.name != before.name
    for name in ("user.keys", "users.keys"):
        assert key(CANARY) in np.load(before / f"{name}.npy")
        keys = np.load(after / f"{name}.npy")
        assert key(CANARY) not in keys and key(OTHERS[0]) in keys


def test_what_was_erased_is_recorded_without_saying_who(erased: Settings) -> None:
    people, deleted, anonymized, readable = _rows(
        erased, "select people, rows_deleted, rows_anonymized, readable_from from training.erasures"
    )[0]
    assert people == 1 and deleted > 100 and anonymized > 100
    assert _rows(erased, "select lake_version from features.builds") == [(readable,)]
    with Lake.of(erased).read(readable) as con:
        assert con.execute("select count(*) from training.examples").fetchone() != (0,)


def test_neither_a_file_nor_the_service_brings_them_back(home: Settings) -> None:
    erase(home, [CANARY])
    _import_again(home)
    with Lake.of(home).write("import logs") as con:
        counts = import_logs(con, home, FEED, world.SEAL)
    assert counts.requests == 13  # those of the others that waited
    with Lake.of(home).read() as con:
        assert find(con, [CANARY], suppression(con)).is_empty
        pseudonym = suppression(con).pseudonym(CANARY)
    assert _rows(home, "select author_id from raw.posts where post_id = 'again'") == [(pseudonym,)]
    assert _rows(home, "select user_id from raw.impressions where impression_id like 'again%'") == [
        (OTHERS[0],)
    ]
    assert _rows(home, "select reason, record from quarantine.impressions where source = 'again'") == [
        ("names someone who was erased", None)
    ]
    assert _rows(home, "select invited_by from raw.users where source = 'again'") == [(pseudonym,)]


def test_a_simulated_log_keeps_no_requests_of_the_erased(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    prepare_home(settings)
    slates = simulated_slates(SimulatorSource(days=1, users=5, requests_per_day=40), FEED.start, 0)
    asked = slates.requests["user_id"].value_counts(sort=True).rows()
    with Lake.of(settings).write("slates") as con:
        suppress(con, [asked[0][0]])
        assert store_slates(con, slates, world.SEAL) == 40 - asked[0][1]


def _import_again(settings: Settings) -> None:
    """A file with the canary's rows, a bad one among them, and somebody else's who tell of them; a post."""
    at = world.SEAL + world.DAY
    seen = {
        "impression_id": [f"again{n}" for n in range(4)],
        "user_id": [CANARY, OTHERS[0], CANARY, OTHERS[1]],
    }
    told = {"post_id": ["again"] * 4, "context": [None, None, None, f'{{"friends": ["{CANARY}"]}}']}
    shown = pl.DataFrame(seen | told | {"shown_at": [at, at, None, None]})
    posts = pl.DataFrame({"post_id": ["again"], "author_id": [CANARY]})
    users = pl.DataFrame({"user_id": ["newcomer"], "invited_by": [CANARY]})
    feed = FEED.model_copy(update={"attributes": Attributes(users={"invited_by": "category"})})
    batch = Batch(users=users, impressions=shown, posts=posts)
    ingest(Lake.of(settings), feed, [batch], mode="history", source="again", imported_at=at + world.DAY)


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


@pytest.mark.slow
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


@pytest.mark.slow
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


def _feed(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line on a home."""
    environment = {**os.environ, "FEED_HOME": str(settings.root)}
    command = [sys.executable, "-m", "feed_platform.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_command_says_what_it_did_and_exits_accordingly(home: Settings, tmp_path: Path) -> None:
    unknown = _feed(home, "erase-user", "stranger-0000")
    assert unknown.returncode == 2 and "unknown to this home: stranger-0000" in unknown.stderr
    nobody = _feed(home, "erase-user")
    assert nobody.returncode == 2 and "no erasure is under way" in nobody.stderr
    people = tmp_path / "leavers.txt"
    people.write_text(f"{CANARY}\n\n{OTHERS[5]}\n")
    planned = _feed(home, "erase-user", "--file", str(people), "--dry-run")
    assert planned.returncode == 0 and "raw.impressions" in planned.stdout
    (home.models / "weights").write_bytes(b"\xff\0" + CANARY.encode())
    left = _feed(home, "erase-user", "--file", str(people))
    assert left.returncode == 1 and f"still in {home.models / 'weights'}" in left.stdout
    (home.models / "weights").unlink()
    done = _feed(home, "erase-user")
    assert done.returncode == 0 and "no file of the home holds an erased id" in done.stdout
    assert _traces(home) == []
