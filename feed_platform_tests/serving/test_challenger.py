"""The challenger beside the champion: a look that leaves no record and disturbs nobody."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from feed_platform.learning.bundle import Bundle
from feed_platform.serving import pointer
from feed_platform.serving.app import build_app
from feed_platform.serving.backend import Backend
from feed_platform.serving.pointer import Deployed
from feed_platform.serving.store import Store
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples
from feed_platform_tests.serving.test_app import CANDIDATES, awaited, connect, payloads, ranking


def point_challenger_at(settings: Settings, bundle: Bundle, version: str) -> None:
    """Export a bundle and name it as the challenger."""
    pointer.write_challenger(settings, Deployed(bundle.save(settings.models), version))


@pytest.fixture
def backend(home: Settings) -> Iterator[Backend]:
    samples.fill(home)
    point_challenger_at(home, samples.make_bundle(2), "2")
    _, found = connect(home)
    yield found
    found.close()


def ask(backend: Backend) -> TestClient:
    return TestClient(build_app(backend), base_url="http://localhost")


def test_the_challenger_answers_where_it_is_asked_for_and_leaves_no_record(backend: Backend) -> None:
    client = ask(backend)
    look = ranking(client, user_id="u1", request_id="r1", model="challenger")
    feed = client.get("/v1/feed?user_id=u1&model=challenger").json()
    champion = ranking(client, user_id="u1", request_id="r1")
    assert (look["served_by"], look["model_version"]) == ("challenger", "2")
    assert (feed["served_by"], feed["model_version"]) == ("challenger", "2")
    assert (champion["served_by"], champion["model_version"]) == ("champion", "1")
    assert [item["score"] for item in look["items"]] != [item["score"] for item in champion["items"]]
    assert len(awaited(backend.settings.logs / "requests", 1)) == 1
    backend.requests.close()
    assert len(payloads(backend.settings.logs / "requests")) == 1  # the champion's alone


def test_the_same_bundle_as_challenger_ranks_as_the_champion_does(home: Settings) -> None:
    samples.fill(home)
    point_challenger_at(home, samples.make_bundle(1), "1")
    client, backend = connect(home)
    fields = {"user_id": "u1", "request_id": "r1", "explain": True, "explore": {"temperature": 0.1}}
    assert ranking(client, **fields, model="challenger")["items"] == ranking(client, **fields)["items"]
    backend.close()


def test_without_a_challenger_the_answer_says_so(home: Settings) -> None:
    samples.fill(home)
    client, backend = connect(home)
    answer = client.post("/v1/rank", json={"candidate_ids": CANDIDATES, "model": "challenger"})
    assert answer.status_code == 409 and "no challenger" in answer.json()["detail"]
    assert client.get("/v1/feed?model=challenger").status_code == 409
    assert client.get("/v1/feed?model=other").status_code == 422
    backend.close()


def test_it_goes_when_its_pointer_does(home: Settings) -> None:
    samples.fill(home)
    point_challenger_at(home, samples.make_bundle(2), "2")
    store = Store(home)
    store.refresh()
    assert store.loaded.challenger and store.loaded.challenger.version == "2"
    pointer.write_challenger(home, None)
    store.refresh()
    assert store.loaded.challenger is None and store.loaded.champion is not None


@pytest.mark.parametrize("fault", ["no bundle", "a torn file", "not JSON"])
def test_a_broken_challenger_disturbs_nobody(home: Settings, fault: str) -> None:
    samples.fill(home)
    bundle = samples.make_bundle(2)
    point_challenger_at(home, bundle, "2")
    model = home.models / bundle.version / bundle.heads[0].file
    if fault == "no bundle":
        pointer.write_challenger(home, Deployed("0" * 64, "2"))
    elif fault == "a torn file":
        model.write_bytes(model.read_bytes()[:-5])
    else:
        pointer.challenger_path(home).write_text("{")
    client, backend = connect(home)
    ready = client.get("/readyz")
    assert ready.status_code == 200 and ready.json()["errors"].keys() == {"challenger"}
    assert ranking(client)["served_by"] == "champion"
    samples.point_at(home, samples.make_bundle(3), "3")
    backend.store.refresh()
    assert ranking(client)["model_version"] == "3"
    assert client.get("/readyz").json()["errors"].keys() == {"challenger"}
    backend.close()


def test_a_challenger_that_lacks_a_feature_is_told_and_left_out(home: Settings) -> None:
    samples.fill(home)
    bundle = samples.make_bundle(2)
    wide = samples.make_bundle_of((*bundle.features[:-1], "unheard_of"), 2)
    point_challenger_at(home, wide, "2")
    store = Store(home)
    store.refresh()
    assert store.loaded.challenger is None and "unheard_of" in store.errors["challenger"]
    assert store.loaded.champion is not None
