"""Upserts reach every replica, hold until a snapshot has them, and are logged with each answer."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient

from feed_platform.features.changes import Change
from feed_platform.features.online import OnlineSnapshot
from feed_platform.interactions.records import decode_request
from feed_platform.serving.app import build_app
from feed_platform.serving.backend import Backend
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples
from feed_platform_tests.serving.test_app import awaited

CANDIDATES = ["p1", "p2", "new"]


def replica(home: Settings) -> tuple[TestClient, Backend]:
    backend = Backend.open(home, samples.FEED)
    return TestClient(build_app(backend), base_url="http://localhost"), backend


def rank(client: TestClient, **fields: object) -> dict:
    answer = client.post("/v1/rank", json={"candidate_ids": CANDIDATES, "user_id": "u1", **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_removal_reaches_every_replica_and_outlives_a_restart(home: Settings) -> None:
    samples.fill(home)
    (client, first), (other, second) = replica(home), replica(home)
    removed = {"posts": [{"post_id": "p1", "removed_at": samples.now_text()}]}
    assert client.put("/v1/posts", json=removed).json() == {"accepted": 1, "number": 1}
    assert rank(client, request_id="r1")["excluded"] == [{"post_id": "p1", "reason": "removed"}]
    deadline = time.monotonic() + 5
    while not rank(other)["excluded"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert rank(other)["excluded"]
    assert (
        other.put("/v1/posts", json={"posts": [{"post_id": "p1", "removed_at": None}]}).json()["number"] == 2
    )
    assert not rank(other)["excluded"]
    logged = [decode_request(payload) for payload in awaited(home.logs / "requests", 1)]
    assert {one.upserts_seen for one in logged if one.request_id == "r1"} == {1}
    for backend in (first, second):
        backend.close()
    again, third = replica(home)
    assert not rank(again)["excluded"] and third.store.loaded.snapshot.upserts_seen == 2
    third.close()


def test_a_new_snapshot_takes_the_place_of_what_was_received_before_it(home: Settings) -> None:
    samples.fill(home)
    client, backend = replica(home)
    client.put("/v1/posts", json={"posts": [{"post_id": "p1", "removed_at": samples.now_text()}]})
    backend.store.close()
    hour = datetime.now(UTC).replace(tzinfo=None, minute=0, second=0, microsecond=0)
    samples.publish_snapshot(home, as_of=hour)
    backend.store.refresh()
    assert rank(client)["excluded"], "received after the hour: still to be applied"
    assert len(backend.store.changes.since(hour + timedelta(days=2))) == 0
    backend.close()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"posts": [{"topic": "art"}]}, "/posts/0/post_id"),
        ({"posts": [{"post_id": "p1", "colour": "red"}]}, "/posts/0/colour"),
        ({"posts": [{"post_id": "p1", "created_at": "2999-01-01T00:00:00Z"}]}, "/posts/0/created_at"),
        ({"posts": []}, "/posts"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_taken(home: Settings, body: dict, pointer: str) -> None:
    samples.fill(home)
    client, backend = replica(home)
    answer = client.put("/v1/posts", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not list((home.logs / "upserts").glob("*.open"))
    backend.close()


def test_features_follow_an_upsert(home: Settings) -> None:
    base = OnlineSnapshot.open(samples.publish_snapshot(home))
    at = samples.AS_OF + timedelta(hours=2)
    log_at = samples.AS_OF + timedelta(hours=1)
    moved = base.with_changes([Change(1, "posts", "p0", log_at, {"topic": "sport", "author_id": "ben"})])
    twin = next(post for post in base.posts if base.topics(base.find([post])) == ["sport"])
    assert moved.topics(moved.find(["p0", twin])) == ["sport", "sport"]
    assert base.topics(base.find(["p0"])) == ["art"]
    names = [place for place, name in enumerate(base.names) if name.startswith(("topic_", "user_topic_"))]
    found = moved.matrix(["u1"], ["p0", twin], at, 1)[:, names]
    np.testing.assert_array_equal(found[0], found[1])
    created = base.with_changes(
        [Change(1, "posts", "new", log_at, {"created_at": log_at, "topic": "cooking"})]
    )
    age = base.names.index("post_age_hours")
    assert created.matrix([None], ["new"], at, 1)[0, age] == 1.0
    assert created.topics(created.find(["new", "p1"])) == ["cooking", "sport"]
    np.testing.assert_array_equal(
        created.matrix(["u1"], ["p1", "p2"], at, 1), base.matrix(["u1"], ["p1", "p2"], at, 1)
    )
