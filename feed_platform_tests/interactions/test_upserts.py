"""Upserts: one numbered order whoever writes, and whole versions in the lake, each once."""

from datetime import UTC, date, datetime
from pathlib import Path
from threading import Thread

from feed_platform.feed import Attributes, Feed
from feed_platform.interactions.log_erasure import erase_from_logs, people_in_logs
from feed_platform.interactions.log_import import LogCounts, import_logs
from feed_platform.interactions.segments import pack
from feed_platform.interactions.upsert_log import UpsertLog, UpsertTail
from feed_platform.lake import Lake
from feed_platform.settings import Settings

FEED = Feed(
    start=date(2026, 1, 1), attributes=Attributes(users={"country": "category"}, posts={"length": "number"})
)


def test_numbers_have_no_gaps_whoever_writes_and_a_torn_tail_is_cut_off(tmp_path: Path) -> None:
    logs = [UpsertLog(tmp_path, rotate_bytes=2_000) for _ in range(3)]

    def write(log: UpsertLog) -> None:
        for number in range(20):
            log.append("posts", [(f"p{number}", {"topic": "art"}), (f"q{number}", {})])

    threads = [Thread(target=write, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    open_segment = max(tmp_path.glob("*.open"))
    with open_segment.open("ab") as file:
        file.write(pack(b"a killed writer's record")[:-3])
    assert logs[0].append("users", [("u1", {"country": None})]) == 121
    records = UpsertTail(tmp_path).read()
    assert [record.number for record in records] == list(range(1, 122))
    times = [record.received_at for record in records]
    assert times == sorted(set(times))
    assert len(list(tmp_path.glob("*.log"))) > 1


def imported(home: Settings) -> LogCounts:
    with Lake.of(home).write("import") as con:
        return import_logs(con, home, FEED, datetime.now(UTC).replace(tzinfo=None))


def test_upserts_become_whole_versions_once(home: Settings) -> None:
    log = UpsertLog(home.logs / "upserts")
    log.append("posts", [("p1", {"author_id": "ann", "topic": "art", "length": 3.0})])
    log.append("users", [("u1", {"country": "de"})])
    assert (imported(home).upserts.posts.inserted, imported(home).upserts.posts.read) == (1, 0)
    log.append("posts", [("p1", {"removed_at": "2026-01-09T00:00:00"}), ("p1", {"topic": None})])
    assert imported(home).upserts.posts.inserted == 2
    with Lake.of(home).read() as con:
        posts = con.execute(
            "select author_id, topic, length, removed_at, received_at = known_at "
            "from raw.posts order by known_at"
        ).fetchall()
        assert con.execute("select user_id, country from raw.users").fetchall() == [("u1", "de")]
    removed = datetime(2026, 1, 9)
    assert posts == [
        ("ann", "art", 3.0, None, True),
        ("ann", "art", 3.0, removed, True),
        ("ann", None, 3.0, removed, True),
    ]


def test_erasure_finds_people_in_upserts(home: Settings) -> None:
    log = UpsertLog(home.logs / "upserts")
    log.append("posts", [("p1", {"author_id": "ann"}), ("p2", {"topic": "art"})])
    log.append("users", [("ann", {"country": "de"}), ("ben", {})])

    assert people_in_logs(home, {"ann", "ben", "cleo"}) == {"ann", "ben"}
    assert erase_from_logs(home, Lake.of(home), {"ann"}) == 2
    kept = [(one.number, one.entity_id) for one in UpsertTail(home.logs / "upserts").read()]
    assert kept == [(2, "p2"), (4, "ben")]
    assert UpsertLog(home.logs / "upserts").append("users", [("ben", {})]) == 5
