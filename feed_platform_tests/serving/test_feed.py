"""`/v1/feed`: where posts come from, what stays out, how much of a kind there is, and with which chances."""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from feed_platform.features.online import OnlineSnapshot
from feed_platform.feed import Exploration, FeedSettings, Serving
from feed_platform.interactions.records import decode_request
from feed_platform.interactions.segments import SegmentWriter
from feed_platform.serving import history
from feed_platform.serving.app import build_app
from feed_platform.serving.backend import Backend
from feed_platform.serving.diversity import caps_of
from feed_platform.serving.history import Event, History
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples
from feed_platform_tests.serving.test_app import awaited

AT = "2026-01-10T09:30:00Z"
TEMPERATURE = 0.1
EXPLORING = Serving(exploration=Exploration(share=1, temperature=TEMPERATURE))


def replica(home: Settings, serving: Serving | None = None) -> tuple[TestClient, Backend]:
    feed = samples.FEED.model_copy(update={"serving": serving or Serving()})
    backend = Backend.open(home.model_copy(update={"deadline_ms": 60_000}), feed)
    return TestClient(build_app(backend), base_url="http://localhost"), backend


@pytest.fixture
def client(home: Settings) -> Iterator[TestClient]:
    samples.fill(home)
    found, backend = replica(home)
    yield found
    backend.close()


def feed(client: TestClient, **parameters: object) -> dict:
    answer = client.get("/v1/feed", params={"requested_at": AT, "limit": 100, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def posts(answer: dict) -> set[str]:
    return {item["post_id"] for item in answer["items"]}


def report(client: TestClient, event_type: str, post_id: str, user_id: str = "u1", **more: object) -> None:
    event = {"event_id": f"{event_type}-{post_id}", "event_type": event_type, "post_id": post_id, **more}
    event |= {"user_id": user_id, "occurred_at": AT}
    assert client.post("/v1/feedback", json={"events": [event]}).json()["accepted"] == 1


def test_each_item_says_where_it_came_from_and_what_it_is(client: TestClient) -> None:
    answer = feed(client, user_id="u1", request_id="r1")
    items = {item["post_id"]: item for item in answer["items"]}
    assert answer["served_by"] == "champion" and answer["request_id"] == "r1"
    assert items.keys() == {f"p{n}" for n in range(samples.POSTS)} - {samples.REMOVED}
    assert [item["score"] for item in answer["items"]] == sorted(
        (item["score"] for item in answer["items"]), reverse=True
    )
    assert set(items["p40"]["sources"]) == {"similar", "trending", "fresh"}
    assert set(items["p6"]["sources"]) == {"topic", "author", "fresh"}
    assert items["p5"]["sources"] == ["fresh"]
    facts = ("topic", "author_id", "created_at")
    assert [items["p40"][name] for name in facts] == ["art", "ben", "2026-01-08T16:00:00Z"]
    assert feed(client, user_id="u1", request_id="r1") == answer


def test_nobody_known_gets_what_is_fresh_and_trending(client: TestClient) -> None:
    for answer in (feed(client), feed(client, user_id="nobody")):
        assert {source for item in answer["items"] for source in item["sources"]} == {"fresh", "trending"}
        assert len(answer["items"]) == samples.POSTS - 1


def test_what_was_seen_or_hidden_stays_out(client: TestClient) -> None:
    gone = {*samples.SEEN, samples.HIDDEN}
    assert not gone & posts(feed(client, user_id="u2"))
    assert gone <= posts(feed(client, user_id="u1"))


def test_a_hide_holds_at_once_and_soon_at_the_other_replicas_and_after_a_restart(home: Settings) -> None:
    samples.fill(home)
    (client, first), (other, second) = replica(home), replica(home)
    hidden = {"p7", "p8", "p9"}
    report(client, "hide", "p7")
    report(client, "report", "p8")
    report(client, "impression", "p9", request_id="r1", position=1)
    assert not hidden & posts(feed(client, user_id="u1"))
    assert hidden <= posts(feed(client, user_id="u2"))
    deadline = time.monotonic() + 10
    while hidden & posts(feed(other, user_id="u1")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not hidden & posts(feed(other, user_id="u1"))
    ranked = client.post("/v1/rank", json={"candidate_ids": ["p7"], "user_id": "u1"}).json()
    assert len(ranked["items"]) == 1, "a ranking is of what it is given"
    for backend in (first, second):
        backend.close()
    again, third = replica(home)
    assert not hidden & posts(feed(again, user_id="u1"))
    third.close()


def test_a_post_that_came_in_since_is_fresh_and_a_removed_one_is_gone(client: TestClient) -> None:
    new = {"post_id": "new", "author_id": "zoe", "topic": "music", "created_at": AT}
    client.put("/v1/posts", json={"posts": [new, {"post_id": "p5", "removed_at": AT}]})
    items = {item["post_id"]: item for item in feed(client, user_id="u1")["items"]}
    assert "p5" not in items
    assert items["new"]["sources"] == ["fresh"]
    assert (items["new"]["author_id"], items["new"]["topic"]) == ("zoe", "music")


def test_a_snapshot_without_candidates_still_ranks(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_candidates", lambda *ids: {})
    samples.fill(home)
    client, backend = replica(home)
    answer = client.get("/v1/feed")
    assert answer.status_code == 503 and "features/online_snapshot" in answer.json()["detail"]
    assert client.post("/v1/rank", json={"candidate_ids": ["p1"]}).status_code == 200
    backend.close()


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=ten", "/limit"),
        ("limit=1&limit=2", "/limit"),
        ("user_id=", "/user_id"),
        ("explain=yes", "/explain"),
        ("requested_at=5", "/requested_at"),
        ("requested_at=2999-01-01T00:00:00Z", "/requested_at"),
        ("topic=art", "/topic"),
    ],
)
def test_a_wrong_parameter_is_named(client: TestClient, query: str, pointer: str) -> None:
    answer = client.get(f"/v1/feed?{query}")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_an_answer_is_capped_and_its_logged_chances_are_those_under_the_caps(home: Settings) -> None:
    samples.fill(home)
    serving = EXPLORING.model_copy(update={"feed": FeedSettings(author_share=0.4, topic_share=0.6)})
    client, backend = replica(home, serving)
    answers = {f"r{n}": feed(client, user_id="u1", limit=10, request_id=f"r{n}") for n in range(20)}
    for answer in answers.values():
        assert len(answer["items"]) == 10
        assert max(Counter(item["author_id"] for item in answer["items"]).values()) <= 4
        assert max(Counter(item["topic"] for item in answer["items"]).values()) <= 6
    snapshot = backend.store.loaded.snapshot
    for payload in awaited(home.logs / "requests", len(answers)):
        record = decode_request(payload)
        ids = record.ranked.post_ids
        assert record.policy == "plackett_luce"
        assert set(ids) == {f"p{n}" for n in range(samples.POSTS)} - {samples.REMOVED}
        posts = snapshot.find(ids)
        kinds = list(zip(snapshot.author_ids(posts), snapshot.topics(posts), strict=True))
        expected = chances([score / TEMPERATURE for score in record.ranked.scores], kinds, (4, 6))
        logged = [chance for chance in record.ranked.chances if chance is not None]
        assert logged == pytest.approx(expected, rel=1e-9)
        items = answers[record.request_id]["items"]
        assert [item["propensity"] for item in items] == logged[: len(items)]
    backend.close()


def chances(logits: list[float], kinds: list[tuple[str, str]], most: tuple[int, int]) -> list[float]:
    """By the definition: each place's softmax over what is left and under no full cap."""
    found: list[float] = []
    taken: list[tuple[str, str]] = []

    def may_stand(kind: tuple[str, str]) -> bool:
        return all(sum(one[side] == kind[side] for one in taken) < most[side] for side in range(2))

    for place, kind in enumerate(kinds):
        weights = [math.exp(logits[other]) for other in range(place, len(kinds)) if may_stand(kinds[other])]
        if not may_stand(kind):
            assert not weights, "what a cap left out stands behind all that has a place"
            break
        found.append(math.exp(logits[place]) / sum(weights))
        taken.append(kind)
    return found


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> OnlineSnapshot:
    return samples.open_snapshot(Settings(home=tmp_path_factory.mktemp("caps")), samples.FEED)


@given(
    st.lists(st.sampled_from([f"p{n}" for n in range(samples.POSTS)]), unique=True, min_size=1),
    st.integers(1, 60),
)
def test_caps_leave_room_for_a_full_answer(snapshot: OnlineSnapshot, ids: list[str], limit: int) -> None:
    for cap in caps_of(
        FeedSettings(author_share=0.01, topic_share=0.01), limit, snapshot.find(ids), snapshot
    ):
        kinds = len(set(cap.kinds.tolist()) - {-1})
        assert cap.most * kinds >= limit or not kinds
        assert (cap.most - 1) * kinds < limit or cap.most == 1


def test_history_is_bounded_and_forgets_what_was_seen_long_ago(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "SEEN_KEPT", 10)
    monkeypatch.setattr(history, "HIDDEN_KEPT", 5)
    known = History(home.logs / "feedback", samples.FEED, None)
    now = datetime.now(UTC).replace(tzinfo=None)
    known.take(Event("u1", f"old{n}", "impression", now - timedelta(days=8)) for n in range(3))
    assert not len(known.left_out("u1"))
    known.take(Event(f"u{n % 2}", f"p{n}", "impression", now) for n in range(30))
    known.take(Event("u1", f"p{n}", "hide", now - timedelta(days=900)) for n in range(30))
    assert len(known.left_out("u0")) == 5
    assert len(known.left_out("u1")) == 10
    assert not len(known.left_out(None))


def test_segments_that_the_snapshot_covers_are_not_read(home: Settings) -> None:
    writer = SegmentWriter(home.logs / "feedback", "one")
    now = datetime.now(UTC).replace(tzinfo=None)

    def append(post_id: str) -> None:
        event = {"user_id": "u1", "post_id": post_id, "event_type": "hide", "received_at": now.isoformat()}
        writer.append(json.dumps(event).encode())
        writer.sync()

    append("p1")
    covered = History(home.logs / "feedback", samples.FEED, now + timedelta(hours=1))
    covered.refresh()
    assert not len(covered.left_out("u1"))
    append("p2")
    covered.refresh()
    assert len(covered.left_out("u1")) == 1
    fresh = History(home.logs / "feedback", samples.FEED, now - timedelta(hours=1))
    fresh.refresh()
    fresh.refresh()
    assert len(fresh.left_out("u1")) == 2
    writer.close()
