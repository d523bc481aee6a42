"""What rankings and feeds have in common: counted, logged, timed."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from feed_platform.serving.backend import Backend
from feed_platform.serving.ranking import Ranking
from feed_platform.serving.stages import Stages

JSON = "application/json"
_ENCODER = msgspec.json.Encoder()


async def rank_and_log(backend: Backend, ranked: Awaitable[Ranking], stages: Stages) -> Ranking:
    """Await a ranking; count its tier, and log it when the answer is on its way."""
    ranking = await ranked
    stages.end("rank")
    backend.metrics.served.labels(ranking.scored.served_by).inc()
    asyncio.get_running_loop().call_soon(backend.log, ranking)
    return ranking


def answer(backend: Backend, response: msgspec.Struct, stages: Stages) -> Response:
    """An answer that says where its time went."""
    body = _ENCODER.encode(response)
    stages.end("answer")
    stages.count(backend.metrics)
    return Response(body, headers={"Server-Timing": stages.told()}, media_type=JSON)


def as_json(response: msgspec.Struct, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A struct as the answer's body."""
    return Response(_ENCODER.encode(response), status, media_type=JSON)
