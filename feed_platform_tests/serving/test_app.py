"""The API of one replica, without Ray."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from feed_platform.interactions.records import decode_feedback, decode_request
from feed_platform.interactions.segments import SegmentWriter, read_from
from feed_platform.serving.app import build_app
from feed_platform.serving.backend import Backend
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

CANDIDATES = [f"p{n}" for n in range(12)]
AT = "2026-01-10T09:30:00Z"


def connect(settings: Settings) -> tuple[TestClient, Backend]:
    patient = settings.model_copy(update={"deadline_ms": 60_000})
    backend = Backend.open(patient, samples.FEED)
    return TestClient(build_app(backend), base_url="http://localhost"), backend


@pytest.fixture
def client(home: Settings) -> Iterator[TestClient]:
    samples.fill(home)
    found, backend = connect(home)
    yield found
    backend.close()


def payloads(folder: Path) -> list[bytes]:
    return [payload for path in sorted(folder.glob("*.*")) for payload in read_from(path).payloads]


def awaited(folder: Path, count: int) -> list[bytes]:
    deadline = time.monotonic() + 10
    while len(found := payloads(folder)) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def ranking(client: TestClient, **fields: object) -> dict:
    answer = client.post("/v1/rank", json={"candidate_ids": CANDIDATES, "requested_at": AT, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_ranking_is_complete_ordered_and_says_what_made_it(client: TestClient) -> None:
    answer = ranking(client, user_id="u1", candidate_ids=[*CANDIDATES, "p1", "unknown"], request_id="r1")
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert [item["rank"] for item in answer["items"]] == list(range(1, len(scores) + 1))
    assert {item["post_id"] for item in answer["items"]} == {*CANDIDATES, "unknown"} - {samples.REMOVED}
    assert answer["excluded"] == [{"post_id": samples.REMOVED, "reason": "removed"}]
    assert (answer["request_id"], answer["model_version"], answer["served_by"]) == ("r1", "1", "champion")
    assert answer["features_as_of"] == "2026-01-10T09:00:00Z"
    assert all(
        item["propensity"] == 1.0 and np.isclose(item["probabilities"]["click"], item["score"])
        for item in answer["items"]
    )


def shown(answer: dict) -> list[tuple[str, float]]:
    return [(item["post_id"], item["score"]) for item in answer["items"]]


def test_the_same_request_has_the_same_answer_whatever_the_candidates_order(client: TestClient) -> None:
    known = {"user_id": "u1", "request_id": "r1", "candidate_ids": ["x1", "x2", "x3", *CANDIDATES]}
    first = ranking(client, **known)
    assert ranking(client, **known) == first
    turned = ranking(client, **{**known, "candidate_ids": known["candidate_ids"][::-1]})
    assert shown(turned) == shown(first)
    orders = {
        tuple(
            item["post_id"]
            for item in ranking(client, candidate_ids=["x1", "x2", "x3"], request_id=f"r{n}")["items"]
        )
        for n in range(20)
    }
    assert len(orders) > 1  # ties fall differently for each request


def test_limit_shortens_the_answer_and_an_unknown_person_is_served(client: TestClient) -> None:
    whole, short = ranking(client, request_id="r"), ranking(client, request_id="r", limit=3)
    assert short["items"] == whole["items"][:3]
    assert ranking(client, user_id="nobody")["served_by"] == "champion"
    assert ranking(client, candidate_ids=[samples.REMOVED])["items"] == []


def test_probabilities_are_those_of_position_1(client: TestClient) -> None:
    item = ranking(client, user_id="u1")["items"][0]
    row = {"user_id": "u1", "post_id": item["post_id"], "shown_at": AT}
    answer = client.post("/v1/predict", json={"rows": [row, {**row, "position": 9}]}).json()
    assert answer["model_version"] == "1"
    first, ninth = answer["predictions"]
    assert np.isclose(first["click"], item["probabilities"]["click"], atol=1e-6)
    assert first != ninth


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ('{"candidate_ids": []}', 422, "/candidate_ids"),
        ('{"user_id": "u1"}', 422, "/candidate_ids"),
        ('{"candidate_ids": ["p1", 7]}', 422, "/candidate_ids/1"),
        ('{"candidate_ids": ["p1", ""]}', 422, "/candidate_ids/1"),
        (json.dumps({"candidate_ids": ["x" * 65]}), 422, "/candidate_ids/0"),
        (json.dumps({"candidate_ids": [str(n) for n in range(2001)]}), 422, "/candidate_ids"),
        ('{"candidate_ids": ["p1"], "explore": "maybe"}', 422, "/explore"),
        ('{"candidate_ids": ["p1"], "explore": {"temperature": 0}}', 422, "/explore/temperature"),
        ('{"candidate_ids": ["p1"], "explain_all": true}', 422, "/explain_all"),
        ('{"candidate_ids": ["p1"], "filters": {"flags": ["spam"]}}', 422, "/filters/flags"),
        (
            '{"candidate_ids": ["p1"], "filters": {"attributes": [{"attribute": "x"}]}}',
            422,
            "/filters/attributes/0/attribute",
        ),
        (
            '{"candidate_ids": ["p1"], "pinned": [{"post_id": "p2", "position": 1}]}',
            422,
            "/pinned/0/post_id",
        ),
        ('{"candidate_ids": ["p1"], "limit": 0}', 422, "/limit"),
        ('{"candidate_ids": ["p1"], "requested_at": "2026-01-10T09:30:00"}', 422, "/requested_at"),
        ('{"candidate_ids": ["p1"], "requested_at": "2999-01-01T00:00:00Z"}', 422, "/requested_at"),
        ('{"candidate_ids": ["p1"], "context": {"a": {"b": 1}}}', 422, "/context"),
        ('{"candidate_ids": ["p1"], "context": {"a": NaN}}', 400, None),
        ('{"candidate_ids": ["\\ud800"]}', 400, None),
        ('{"candidate_ids": ["p1"', 400, None),
        ('{"context": ' + "[" * 50_000, 422, "/context"),
        ("", 400, None),
    ],
)
def test_a_bad_request_is_told_what_is_wrong_where(
    client: TestClient, body: str, status: int, pointer: str | None
) -> None:
    answer = client.post("/v1/rank", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], [error["pointer"] for error in problem.get("errors", [])]) == (
        status,
        [pointer] if pointer else [],
    )


def test_other_refusals_are_problems_too(client: TestClient) -> None:
    json_type = {"Content-Type": "application/json"}
    refused = {
        413: client.post("/v1/rank", content=b" " * (2 * 1024**2 + 1), headers=json_type),
        415: client.post("/v1/rank", content='{"candidate_ids": ["p1"]}'),
        404: client.get("/v1/nothing"),
        405: client.get("/v1/rank"),
        421: client.get("/readyz", headers={"Host": "evil.example"}),
    }
    for status, answer in refused.items():
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert answer.headers["content-type"] == "application/problem+json"


def test_an_answer_is_logged_with_every_candidate_and_a_probe_is_not(
    home: Settings, client: TestClient
) -> None:
    ranking(client, surface="_probe")
    answer = ranking(client, user_id="u1", request_id="r1", limit=2, context={"device": "tv"})
    (payload,) = awaited(home.logs / "requests", 1)
    record = decode_request(payload)
    assert (record.request_id, record.limit, record.policy) == ("r1", 2, "greedy")
    assert record.context == {"device": "tv"} and record.model_version == "1"
    assert record.features_as_of == samples.AS_OF
    assert record.ranked.post_ids[:2] == [item["post_id"] for item in answer["items"]]
    assert record.ranked.scores[:2] == [item["score"] for item in answer["items"]]
    assert len(record.ranked.post_ids) == len(record.ranked.scores) == len(CANDIDATES) - 1
    assert record.matrix is not None and record.vector_names is not None
    assert record.matrix.shape == (len(record.ranked.post_ids), len(record.vector_names))


def event(event_id: str, **fields: object) -> dict[str, object]:
    known = {"event_id": event_id, "event_type": "click", "post_id": "p1", "user_id": "u1", "occurred_at": AT}
    return {**known, **fields}


def test_each_feedback_event_is_judged_by_itself_and_durable(home: Settings, client: TestClient) -> None:
    events = [
        event("e1"),
        event("e2", event_type="impression", request_id="r1", position=2),
        event("e3", event_type="impression", position=2),
        event("e4", event_type="teleport"),
        event("e5", occurred_at="2999-01-01T00:00:00Z"),
        {"event_id": "e6"},
        event("e1"),
        event("e7", event_type="dwell", value=1200),
        event("e8", surprise=1),
    ]
    answer = client.post("/v1/feedback", json={"events": events}).json()
    assert (answer["accepted"], answer["duplicates"]) == (3, 1)
    reasons = {one["index"]: one["reason"].split(":")[0] for one in answer["rejected"]}
    assert reasons == {
        2: "/request_id",
        3: "/event_type",
        4: "/occurred_at",
        5: "/event_type",
        8: "/surprise",
    }
    logged = {record.event_id: record for record in map(decode_feedback, payloads(home.logs / "feedback"))}
    assert set(logged) == {"e1", "e2", "e7"}
    assert logged["e2"].position == 2 and logged["e7"].value == 1200
    again = client.post("/v1/feedback", json={"events": events[:1]}).json()
    assert again == {"accepted": 0, "duplicates": 1, "rejected": []}


def test_feedback_that_cannot_be_made_durable_is_not_acknowledged(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(self: SegmentWriter) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(SegmentWriter, "sync", full_disk)
        refused = client.post("/v1/feedback", json={"events": [event("e1")]})
        assert ranking(client)["items"]
    assert refused.status_code == 503 and "Retry-After" in refused.headers
    assert client.post("/v1/feedback", json={"events": [event("e1")]}).json()["accepted"] == 1


@pytest.mark.parametrize("path", ["/v1/rank", "/v1/feedback"])
def test_a_fault_of_ours_is_a_problem_that_says_nothing_of_the_inside(
    home: Settings, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("a secret path")

    samples.fill(home)
    _, backend = connect(home)
    client = TestClient(build_app(backend), base_url="http://localhost", raise_server_exceptions=False)
    monkeypatch.setattr("feed_platform.serving.app.parse", broken)
    answer = client.post(path, json={"candidate_ids": ["p1"]})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["detail"] == "the request could not be answered"
    assert f'feed_request_seconds_count{{route="{path}",status="500"}} 1.0' in client.get("/metrics").text
    backend.close()


def test_without_a_model_or_a_snapshot_a_lower_tier_answers(home: Settings) -> None:
    client, backend = connect(home)
    assert client.get("/readyz").status_code == 503
    assert ranking(client)["served_by"] == "recency"
    assert client.post("/v1/predict", json={"rows": [{"post_id": "p1"}]}).status_code == 503
    samples.publish_snapshot(home)
    backend.store.refresh()
    assert ranking(client)["served_by"] == "popularity"
    samples.point_at(home, samples.make_bundle(1), "1")
    backend.store.refresh()
    assert (client.get("/readyz").status_code, ranking(client)["served_by"]) == (200, "champion")
    backend.close()


def test_the_feed_of_an_old_log_answers_as_of_its_own_time(home: Settings) -> None:
    feed = samples.FEED.model_copy(update={"clock": "log"})
    samples.fill(home, feed)
    backend = Backend.open(home, feed)
    assert backend.instant(None, "") == samples.AS_OF + feed.feature_delay
    backend.close()


def test_with_a_token_only_its_bearers_are_served(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_API_TOKEN", "secret")
    samples.fill(home)
    client, backend = connect(Settings())
    right, wrong = {"Authorization": "Bearer secret"}, {"Authorization": "Bearer secreT"}
    for headers, status in ((right, 200), (wrong, 401), ({}, 401)):
        assert client.post("/v1/rank", json={"candidate_ids": ["p1"]}, headers=headers).status_code == status
        assert client.get("/metrics", headers=headers).status_code == status
        assert client.get("/docs", headers=headers).status_code == status
        assert client.get("/healthz", headers=headers).status_code == 200
    backend.close()


def test_pages_need_nothing_from_elsewhere_and_the_document_is_whole(client: TestClient) -> None:
    for path in ("/", "/docs"):
        page = client.get(path)
        assert page.status_code == 200
        assert "//" not in page.text.replace("http://localhost", ""), f"{path} loads from elsewhere"
    assert "curl http://localhost/v1/rank -H" in client.get("/docs").text
    document = client.get("/openapi.json").json()
    assert {"/v1/rank", "/v1/predict", "/v1/feedback", "/readyz"} <= set(document["paths"])
    referenced = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert referenced <= set(document["components"]["schemas"])
    assert client.get("/report").status_code == 404


def test_metrics_count_what_was_served(client: TestClient) -> None:
    ranking(client)
    timed = client.post("/v1/rank", json={"candidate_ids": CANDIDATES}).headers["Server-Timing"]
    assert [stage.split(";")[0] for stage in timed.split(", ")] == ["parse", "rank", "answer"]
    client.get("/some/made/up/path")
    text = client.get("/metrics").text
    assert 'feed_rankings_total{served_by="champion"} 2.0' in text
    assert 'feed_request_seconds_count{route="/v1/rank",status="200"} 2.0' in text
    assert 'feed_rank_stage_seconds_count{stage="rank"} 2.0' in text
    assert 'route="other",status="404"' in text and "made/up" not in text
