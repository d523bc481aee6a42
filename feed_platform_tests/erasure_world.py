"""A home in which one person has left traces everywhere, beside others."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from feed_platform.features.builds import record_build
from feed_platform.features.publishing import publish
from feed_platform.feed import Feed, save_feed
from feed_platform.interactions.records import (
    CandidateColumns,
    FeedbackRecord,
    RequestRecord,
    encode,
)
from feed_platform.interactions.segments import SegmentWriter
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.learning.examples import write_examples
from feed_platform.settings import Settings
from feed_platform_tests.features.lake_builds import (
    DAY,
    Engagement,
    Impression,
    Post,
    World,
    dbt_build,
    insert,
)

CANARY = "canary-0123456789-abcdefghij-ABCDEFGHIJK"
OTHERS = [f"user-{number:05}" for number in range(6)]
PEOPLE = [CANARY, *OTHERS]
TOPICS = ["cats", "dogs"]
AUTHORS = [f"author-{number}" for number in range(3)]
START = datetime(2026, 1, 1)
SEAL = START + 4 * DAY + timedelta(hours=5)
FEED = Feed(start=START.date(), clock="log", label_window_seconds=3600)
IMPORTED, WAITING = 20, 10  # log records


def fill(settings: Settings) -> None:
    """Raw rows, quarantine, requests, truth, logs, three days of features, examples, a snapshot, files."""
    save_feed(settings, FEED)
    insert(settings, _world())
    _other_rows(settings)
    _log(settings)
    build(settings)
    write_examples(Lake.of(settings), FEED, START, SEAL + DAY)
    publish(settings, Lake.of(settings), FEED)
    _files(settings)


def build(settings: Settings) -> None:
    """Build every day anew, the tests of every table included, and note the build."""
    dbt_build(settings, FEED, (START, SEAL + DAY), SEAL, "--exclude-resource-type", "unit_test")
    with Lake.of(settings).write("built") as con:
        record_build(con, version_of(con), SEAL)


def _world() -> World:
    rng = np.random.default_rng(5)
    posts = [
        Post(f"p{n}", CANARY if n in (3, 7) else AUTHORS[n % 3], TOPICS[n % 2], START, START)
        for n in range(8)
    ]
    impressions = []
    for number in range(400):
        at = START + timedelta(seconds=float(rng.uniform(0, 4 * 86_400)))
        user, post = PEOPLE[number % len(PEOPLE)], f"p{rng.integers(8)}"
        name = f"{user}:{post}:{number}" if number % 3 else f"i{number}"
        impressions.append(Impression(name, user, post, at, at, f"r{number}" if number < 60 else None))
    return World(posts, impressions, [each for shown in impressions[::2] for each in _engagements(shown)])


def _engagements(shown: Impression) -> list[Engagement]:
    """A click and some reading; every other one names its impression."""
    at = shown.shown_at + timedelta(seconds=30)
    named = shown.impression_id if shown.request_id else None
    return [
        Engagement(f"{kind}-{shown.impression_id}", named, shown.user_id, shown.post_id, kind, value, at, at)
        for kind, value in (("click", None), ("dwell", 900.0))
    ]


def _other_rows(settings: Settings) -> None:
    """What imports write besides: users, truth, quarantine, requests, candidates, vectors, a context."""
    record = json.dumps({"user_id": CANARY, "post_id": "p1"})
    with Lake.of(settings).write("other rows") as con:
        for user in PEOPLE:
            con.execute("insert into raw.users (user_id, known_at) values (?, ?)", [user, START])
        con.execute(
            "insert into truth.impressions by name "
            "select impression_id, 0.5 as click_probability from raw.impressions"
        )
        con.execute(
            "insert into serving.requests by name select request_id, user_id, 'home' as surface, "
            "shown_at as requested_at, date_trunc('hour', shown_at) - interval 1 hour as features_as_of, "
            "known_at from raw.impressions where request_id is not null"
        )
        con.execute("insert into serving.candidates select request_id, 'p1', 1, 0.5, 1 from serving.requests")
        con.execute("insert into serving.vectors select request_id, 'p1', ['a'], [1] from serving.requests")
        quarantine = (
            "insert into quarantine.impressions values (?, 'log', 'log.csv', ?, ?, ?, now()::timestamp)"
        )
        con.execute(quarantine, ["q1", 7, f"user_id: '{CANARY}' is odd", record])
        con.execute(quarantine, ["q2", 8, "post_id: is missing", json.dumps({"user_id": OTHERS[0]})])
        context = json.dumps({"invited_by": CANARY, "device": "phone"})
        con.execute("update raw.impressions set context = ? where user_id = ?", [context, OTHERS[1]])


def _log(settings: Settings) -> None:
    """Requests and feedback in two segments each; the import has read a part of the first ones."""
    for kind in ("requests", "feedback"):
        for part in range(2):
            writer = SegmentWriter(settings.logs / kind, f"writer{part}")
            for number in range(IMPORTED + WAITING):
                writer.append(encode(_record(kind, part * 100 + number)))
                if number == IMPORTED - 1:
                    writer.sync()
                    _note_offset(settings, kind, f"writer{part}")
            writer.sync()
            if part:
                writer.close()


def _note_offset(settings: Settings, kind: str, writer: str) -> None:
    (path,) = (settings.logs / kind).glob(f"{writer}-*")
    file = path.with_suffix("").relative_to(settings.root).as_posix()
    with Lake.of(settings).write("offset") as con:
        con.execute(
            "insert into serving.segments values (?, ?, 0, now()::timestamp)", [file, path.stat().st_size]
        )


def _record(kind: str, number: int) -> RequestRecord | FeedbackRecord:
    """Every third record is the canary's; their feedback names a request alone now and then."""
    user, at = PEOPLE[number % 3], START + timedelta(minutes=number)
    if kind == "feedback":
        named = user if number % 2 else None
        return FeedbackRecord(
            event_id=f"event{number}",
            event_type="click",
            post_id="p1",
            occurred_at=at,
            received_at=at,
            user_id=named,
            request_id=f"logged{number}",
        )
    return RequestRecord(
        request_id=f"logged{number}",
        user_id=user,
        surface="home",
        context={},
        requested_at=at,
        received_at=at,
        policy="greedy",
        limit=1,
        candidates=CandidateColumns(["p1"], [0.5], [1.0]),
        served_by="champion",
    )


def _files(settings: Settings) -> None:
    """Traces that nobody planned: a log line, a report, a tool's database, what a killed import left."""
    (settings.root / "demo.log").write_text(f'asked for {CANARY}, "\\n{CANARY}", ?user%3D{CANARY}\n')
    (settings.reports / "page.html").write_text(f"<p>{CANARY}</p>")
    with closing(sqlite3.connect(settings.dagster_home / "runs.db")) as con, con:
        con.execute("create table logs (line text)")
        con.execute("insert into logs values (?)", [f"user {CANARY} {OTHERS[0]}"])
        # A database writes one cell right after another.
        con.execute("create table tags (name text, value text)")
        con.execute("insert into tags values ('partition', ?)", [CANARY])
    for folder in (settings.root / "dbt" / "target", settings.root / "tmp" / "import-dead"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "left.txt").write_text(CANARY)


def files(settings: Settings) -> list[Path]:
    """Every file of the home."""
    return [path for path in settings.root.rglob("*") if path.is_file()]
