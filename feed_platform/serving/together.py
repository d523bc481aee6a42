"""Requests that wait at the same time are scored in one call; none waits for others to come."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from feed_platform.feed import FeedSettings, Serving
from feed_platform.serving.challenger import rank_by_challenger
from feed_platform.serving.deadline import Due
from feed_platform.serving.problems import Problem
from feed_platform.serving.ranking import Asked, Ranking, rank_together
from feed_platform.serving.schemas import RankRequest, Tier
from feed_platform.serving.store import Store

MOST = 8  # requests in one call: beyond them the first waits longer than the call is cheaper
MOST_ROWS = 2_000

Arrived = tuple[RankRequest, str, datetime, Due, FeedSettings | None]
Waiting = tuple[Arrived, asyncio.Future[Ranking]]


class Together:
    """Ranks what one turn of the event loop has brought, with one state of the store; the first of a turn
    after a turn that brought one alone, at once.

    Args:
        refuse: raises a Problem for a request that has waited too long since it began.
        aside: as `rank_together` says.
    """

    def __init__(
        self,
        store: Store,
        on_failure: Callable[[Tier], None],
        serving: Serving,
        refuse: Callable[[float], None] = lambda began: None,
        aside: bool = False,
    ) -> None:
        self._refuse = refuse
        self._store, self._on_failure, self._serving = store, on_failure, serving
        self._aside = aside
        self._waiting: list[Waiting] = []
        self._runner: asyncio.Task[None] | None = None
        self._new = 0  # requests that this turn of the event loop has brought
        self._is_quiet = True  # the last one that brought any brought one alone

    async def rank(
        self,
        request: RankRequest,
        request_id: str,
        at: datetime,
        due: Due,
        caps: FeedSettings | None = None,
    ) -> Ranking:
        """As `ranking.rank`, beside others; what asks for the challenger, in a thread of its own."""
        if request.model == "challenger":
            given = (self._store.loaded, request, request_id, at, self._serving, caps)
            return await asyncio.to_thread(rank_by_challenger, *given)
        loop, arrived = asyncio.get_running_loop(), (request, request_id, at, due, caps)
        self._count(loop)
        if self._new == 1 and self._is_quiet and self._runner is None:
            (ranking,) = await self._ranked([arrived])
            return ranking
        done: asyncio.Future[Ranking] = loop.create_future()
        self._waiting.append((arrived, done))
        if self._runner is None:
            self._runner = loop.create_task(self._rank_waiting())
        return await done

    def _count(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._new:
            loop.call_soon(self._end_turn)
        self._new += 1

    def _end_turn(self) -> None:
        self._is_quiet, self._new = self._new == 1, 0

    async def _rank_waiting(self) -> None:
        """One batch after another: what waits too long meanwhile is refused, and answers go out between."""
        try:
            while self._waiting:
                await self._rank(self._take())
                if self._waiting:
                    await asyncio.sleep(0)
        finally:
            self._runner = None

    async def _rank(self, waiting: Sequence[Waiting]) -> None:
        taken = [one for one in waiting if self._is_in_time(one)]
        try:
            rankings = await self._ranked([arrived for arrived, _ in taken])
        except Exception as error:  # the callers are told; the loop has nobody to tell
            for _, done in taken:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), ranking in zip(taken, rankings, strict=True):
            if not done.done():  # a client may be gone
                done.set_result(ranking)

    async def _ranked(self, arrived: Sequence[Arrived]) -> list[Ranking]:
        loaded = self._store.loaded
        asked = [
            (Asked.of(request, request_id, at, loaded.snapshot, self._serving, caps), due)
            for request, request_id, at, due, caps in arrived
        ]
        return await rank_together(asked, loaded, self._on_failure, self._serving, self._aside)

    def _is_in_time(self, one: Waiting) -> bool:
        (*_, due, _), done = one
        try:
            self._refuse(due.began)
        except Problem as refusal:
            if not done.done():
                done.set_exception(refusal)
            return False
        return True

    def _take(self) -> list[Waiting]:
        rows = count = 0
        for (request, *_), _ in self._waiting[:MOST]:
            rows += len(request.candidate_ids)
            if count and rows > MOST_ROWS:
                break
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken
