"""Requests scored together get the answers that each gets alone."""

import asyncio
from datetime import timedelta

import pytest

from feed_platform.feed import Exploration, Serving
from feed_platform.learning.bundle import Bundle
from feed_platform.serving.deadline import Pace
from feed_platform.serving.ranking import rank
from feed_platform.serving.schemas import RankRequest, RankResponse
from feed_platform.serving.store import Store
from feed_platform.serving.together import MOST, Together
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

AT = samples.AS_OF + timedelta(minutes=30)
SERVING = Serving(exploration=Exploration(share=0.5, temperature=0.1))
REQUESTS = [
    RankRequest(candidate_ids=[f"p{n}" for n in range(turn, turn + 1 + 2 * turn)], user_id=f"u{turn}")
    for turn in range(2 * MOST + 3)
]


@pytest.fixture
def store(home: Settings) -> Store:
    samples.fill(home)
    found = Store(home)
    found.refresh()
    return found


def together(store: Store, aside: bool, times: int = 1) -> list[RankResponse]:
    """The answers to all requests at once, the last of several times."""

    async def all_at_once() -> list[RankResponse]:
        ranker = Together(store, lambda tier: None, SERVING, aside=aside)
        pace = Pace(60.0)
        for _ in range(times):
            due = pace.due(pace.clock())
            jobs = [ranker.rank(request, f"r{turn}", AT, due) for turn, request in enumerate(REQUESTS)]
            rankings = await asyncio.gather(*jobs)
        return [ranking.response() for ranking in rankings]

    return asyncio.run(all_at_once())


@pytest.mark.parametrize("aside", [False, True])
@pytest.mark.parametrize(("times", "calls_made"), [(1, 1 + 3), (2, 1 + 3 + 3)])
def test_answers_are_those_of_each_request_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch, aside: bool, times: int, calls_made: int
) -> None:
    """What comes when all was quiet is scored at once, alone: nobody knows yet of those behind it."""
    alone = [
        rank(request, f"r{turn}", AT, store.loaded, serving=SERVING).response()
        for turn, request in enumerate(REQUESTS)
    ]
    calls = []
    probabilities = Bundle.probabilities
    monkeypatch.setattr(Bundle, "probabilities", lambda *args: calls.append(1) or probabilities(*args))
    assert together(store, aside, times) == alone
    assert len(calls) == calls_made


@pytest.mark.parametrize("aside", [False, True])
def test_where_the_champion_fails_each_request_finds_its_tier(
    store: Store, monkeypatch: pytest.MonkeyPatch, aside: bool
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(Bundle, "probabilities", broken)
    assert {answer.served_by for answer in together(store, aside)} == {"popularity"}
