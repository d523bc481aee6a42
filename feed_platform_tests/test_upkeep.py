"""A home's upkeep: what goes, what stays, and who is spared."""

import os
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from feed_platform.features.builds import record_build
from feed_platform.interactions.log_import import import_logs
from feed_platform.interactions.segments import SegmentWriter, find_segments
from feed_platform.interactions.upsert_log import UpsertLog
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.resources import RESOURCES
from feed_platform.serving import pointer
from feed_platform.serving.pointer import Deployed, Pointer
from feed_platform.serving.records import now
from feed_platform.settings import Settings
from feed_platform.upkeep import keep_up
from feed_platform.upkeep.schedules import upkeep
from feed_platform_tests.serving import samples

MONTHS_AGO = time.time() - 90 * 86_400


def _segment(settings: Settings, writer: str, imported: bool, age: float, closed: bool = True) -> Path:
    folder = settings.logs / "feedback"
    segments = SegmentWriter(folder, writer)
    segments.append(b"{}")
    segments.close() if closed else segments.sync()
    path = next(path for name, path in find_segments(folder).items() if name.startswith(writer))
    if imported:
        file = path.with_suffix("").relative_to(settings.root).as_posix()
        with Lake.of(settings).write("imported") as con:
            con.execute(
                "insert into serving.segments values (?, ?, 0, now()::timestamp)", [file, path.stat().st_size]
            )
    os.utime(path, (age, age))
    return path


def test_old_imported_segments_go_and_others_stay(home: Settings) -> None:
    gone = [_segment(home, "a", True, MONTHS_AGO), _segment(home, "b", True, MONTHS_AGO, closed=False)]
    kept = [_segment(home, "c", False, MONTHS_AGO), _segment(home, "d", True, time.time())]
    assert keep_up(home).segments == 2
    assert [path.exists() for path in (*gone, *kept)] == [False, False, True, True]
    with Lake.of(home).read() as con:
        assert len(con.sql("from serving.segments")) == 1


def test_upserts_go_when_the_snapshot_holds_them_and_their_numbers_go_on(home: Settings) -> None:
    posts = count()

    def upsert() -> int:
        log = UpsertLog(home.logs / "upserts", rotate_bytes=1)
        return log.append("posts", [(f"p{next(posts)}", {"topic": "art"})])

    def imported() -> int:
        with Lake.of(home).write("import") as con:
            return import_logs(con, home, samples.FEED, now()).upserts.posts.inserted

    samples.publish_snapshot(home)
    as_of = samples.AS_OF.replace(tzinfo=UTC).timestamp()
    assert [upsert() for _ in range(4)] == [1, 2, 3, 4] and imported() == 4
    segments = list(find_segments(home.logs / "upserts").values())
    for path, days in zip(segments, (3, 2, 0, 3), strict=True):
        os.utime(path, (as_of - days * 86_400, as_of - days * 86_400))
    assert keep_up(home, timedelta(0)).segments == 2
    assert [path.exists() for path in segments] == [False, False, True, True]
    assert imported() == 0 and upsert() == 5 and imported() == 1


def test_deployed_bundles_and_the_last_build_stay(home: Settings) -> None:
    current, idle, young = ("a" * 64, "b" * 64, "c" * 64)
    for name in (current, idle, young):
        (home.models / name).mkdir()
        os.utime(home.models / name, (MONTHS_AGO, MONTHS_AGO))
    os.utime(home.models / young)
    pointer.write(home, Pointer(Deployed(current, "1")))
    lake = Lake.of(home)
    with lake.write("built") as con:
        built = version_of(con)
        record_build(con, built, datetime(2026, 1, 2))
    for _ in range(5):
        with lake.write("later") as con:
            con.execute("insert into raw.seals values (timestamp '2026-01-02', now()::timestamp)")
    done = keep_up(home, timedelta(0))
    assert {path.name for path in home.models.iterdir()} == {current, young} and done.bundles == 1
    assert done.spared == (built,) and done.lake.after.versions == 2
    with lake.read(built) as con:
        assert con.execute("select count(*) from raw.seals").fetchone() == (0,)


def test_what_killed_programs_left_goes_after_a_day(home: Settings) -> None:
    old, young = (home.root / "tmp" / f"import-{name}" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (MONTHS_AGO, MONTHS_AGO))
    assert keep_up(home).leftovers == 1
    assert not old.exists() and young.exists()


def test_the_job_runs_and_does_nothing_where_there_is_no_lake(home: Settings, tmp_path: Path) -> None:
    assert upkeep.execute_in_process(resources=RESOURCES).success
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEED_HOME", str(tmp_path / "none"))
        assert upkeep.execute_in_process(resources=RESOURCES).success
