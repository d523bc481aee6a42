"""Answers come in time: at each tier, and when more is asked for than can be done."""

import asyncio
import time

import httpx
import pytest

from feed_platform.learning.bundle import Bundle
from feed_platform.serving import ranking
from feed_platform.serving.app import build_app
from feed_platform.serving.backend import Backend
from feed_platform.serving.deadline import Breaker, Pace
from feed_platform.serving.ranking import rank
from feed_platform.serving.schemas import RankRequest, Tier
from feed_platform.serving.store import Store
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_breaker_opens_on_slow_attempts_and_closes_on_one_in_time() -> None:
    clock = Hands()
    breaker = Breaker(0.1, clock)
    for seconds in (0.01, 0.5, 0.01, 0.5, 0.5):
        breaker.took(seconds)
    assert not breaker.is_open and breaker.allows(0.2)
    breaker.took(0.5)
    assert breaker.is_open and not breaker.allows(9.0)
    clock.now += 1.0
    assert breaker.allows(0.2)
    breaker.took(0.5)
    clock.now += 1.5
    assert not breaker.allows(9.0)  # it waits twice as long after each attempt in vain
    clock.now += 0.6
    assert breaker.allows(0.2)
    breaker.took(0.01)
    assert not breaker.is_open and breaker.allows(0.2)


def test_each_tier_gives_way_to_a_cheaper_one_and_comes_back(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples.fill(home)
    store, clock = Store(home), Hands()
    store.refresh()
    samples.point_at(home, samples.make_bundle(2), "2")
    store.refresh()
    skipped: list[Tier] = []
    pace = Pace(0.2, skipped.append, clock)
    cost: dict[str, float] = {}
    by_model = ranking.by_model

    def slow(tier: Tier, model: ranking.Model, *given: object) -> ranking.Scored:
        clock.now += cost.get(model.version, 0.0)
        return by_model(tier, model, *given)

    monkeypatch.setattr(ranking, "by_model", slow)

    def served(waited: float = 0.0) -> str:
        request = RankRequest(candidate_ids=["p1", "p2"])
        due = pace.due(clock.now - waited)
        return rank(request, "r", samples.AS_OF, store.loaded, due=due).scored.served_by

    assert served() == "champion"
    assert served(waited=0.3) == "recency" and skipped == ["champion", "previous", "popularity"]
    cost["2"] = 0.15
    assert [served() for _ in range(5)] == ["champion"] * 4 + ["previous"]
    cost["1"] = 0.15
    assert [served() for _ in range(5)] == ["previous"] * 4 + ["popularity"]
    cost.clear()
    clock.now += 30
    assert served() == "champion" and not pace.breaker("champion").is_open


def test_what_would_be_late_is_refused_and_the_rest_is_in_time(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples.fill(home)
    backend = Backend.open(home.model_copy(update={"deadline_ms": 400}), samples.FEED)
    score = Bundle.score

    def slow(self: Bundle, found: dict) -> object:
        time.sleep(0.02)
        return score(self, found)

    monkeypatch.setattr(Bundle, "score", slow)
    transport = httpx.ASGITransport(app=build_app(backend))

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/rank", json={"candidate_ids": ["p1", "p2"]})

    async def flood() -> tuple[list[httpx.Response], httpx.Response]:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await asyncio.gather(*(ask(client) for _ in range(40))), await ask(client)

    answers, afterwards = asyncio.run(flood())
    backend.close()
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 503} and 5 <= statuses.count(200) <= 20
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 503)
    assert afterwards.status_code == 200
