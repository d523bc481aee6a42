"""`PUT /v1/posts` and `PUT /v1/users`: durable first, then known here, then to the other replicas."""

import asyncio
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from feed_platform.features.changes import Owner
from feed_platform.interactions.upsert_log import UpsertLog
from feed_platform.serving import records, upserts
from feed_platform.serving.backend import RETRY, Backend
from feed_platform.serving.guard import read_body
from feed_platform.serving.problems import Problem, parse
from feed_platform.serving.schemas import UpsertResponse

_ENCODER = msgspec.json.Encoder()


class UpsertRoutes:
    """The handlers, on one replica's state."""

    def __init__(self, backend: Backend) -> None:
        self._store = backend.store
        self._log = UpsertLog(backend.settings.logs / "upserts")
        self._decoders = {owner: upserts.decoder(backend.feed, owner) for owner in upserts.KEYS}
        self._one_at_a_time = asyncio.Lock()

    async def posts(self, http: Request) -> Response:
        """Take what is said of posts."""
        return await self._put(http, "posts")

    async def users(self, http: Request) -> Response:
        """Take what is said of users."""
        return await self._put(http, "users")

    async def _put(self, http: Request, owner: Owner) -> Response:
        changes = upserts.said(parse(await read_body(http), self._decoders[owner]), owner, records.now())
        if self._store.changes.is_full:
            detail = f"{upserts.MAX_PENDING} changes wait for the next refresh of the features"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "600"})
        try:
            async with self._one_at_a_time:
                number = await asyncio.to_thread(self._log.append, owner, changes)
        except OSError as error:
            detail = "the changes could not be made durable: send them again"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=RETRY) from error
        await asyncio.to_thread(self._store.take_changes)
        answer = UpsertResponse(len(changes), number)
        return Response(_ENCODER.encode(answer), media_type="application/json")
