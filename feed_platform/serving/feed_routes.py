"""`GET /v1/feed`: the platform's own candidates, ranked as `/v1/rank` ranks those of others."""

from datetime import UTC
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from feed_platform.features.candidates.lists import Candidates
from feed_platform.features.online import OnlineSnapshot
from feed_platform.serving import records
from feed_platform.serving.answering import answer, rank_and_log
from feed_platform.serving.backend import RETRY, Backend
from feed_platform.serving.gathering import gather
from feed_platform.serving.guard import BEGAN
from feed_platform.serving.problems import Problem, fault
from feed_platform.serving.ranking import Ranking
from feed_platform.serving.schemas import (
    FeedItem,
    FeedQuery,
    FeedResponse,
    FieldError,
    RankRequest,
    Source,
)
from feed_platform.serving.stages import Stages
from feed_platform.serving.together import Together

NOT_TEXT = ("limit", "explain")

T = TypeVar("T")


class FeedRoutes:
    """The handler, on one replica's state."""

    def __init__(self, backend: Backend, together: Together) -> None:
        self._backend, self._together = backend, together

    async def feed(self, http: Request) -> Response:
        """Find candidates, rank them, log the answer."""
        backend, began, stages = self._backend, http.scope[BEGAN], Stages()
        query = read_query(http.query_params)
        backend.refuse_if_late(began)
        snapshot, known = self._candidates()
        at = backend.instant(_given(query.requested_at), "/requested_at")
        user_id, settings = _given(query.user_id), backend.feed.serving.feed
        stages.end("parse")
        found = gather(snapshot, known, user_id, backend.history.left_out(user_id), settings.candidates)
        request = RankRequest(
            candidate_ids=list(found),
            user_id=user_id,
            limit=query.limit,
            surface=query.surface,
            explain=query.explain,
            model=query.model,
        )
        request_id = _given(query.request_id) or records.new_id()
        due = backend.pace.due(began)
        ranking = await rank_and_log(
            backend, self._together.rank(request, request_id, at, due, settings), stages
        )
        return answer(backend, feed_response(ranking, found), stages)

    def _candidates(self) -> tuple[OnlineSnapshot, Candidates]:
        snapshot = self._backend.store.loaded.snapshot
        if snapshot is None:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no snapshot is loaded yet", headers=RETRY)
        if snapshot.candidates is None:
            detail = "the snapshot has no candidates: materialize features/online_snapshot anew"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "600"})
        return snapshot, snapshot.candidates


def read_query(parameters: QueryParams) -> FeedQuery:
    """A feed's parameters.

    Raises:
        Problem: 422, one is wrong, unknown or given twice; names it.
    """
    given: dict[str, Any] = {}
    for name, text in parameters.multi_items():
        if name in given:
            raise _refusal(FieldError("is given twice", f"/{name}"))
        given[name] = _literal(text) if name in NOT_TEXT else text
    try:
        return msgspec.convert(given, FeedQuery)
    except msgspec.ValidationError as error:
        raise _refusal(fault(error)) from error


def feed_response(ranking: Ranking, found: dict[str, list[Source]]) -> FeedResponse:
    """The HTTP answer: a ranking's, and what is known of its posts."""
    ranked, snapshot = ranking.response(), ranking.snapshot
    assert snapshot is not None
    posts = snapshot.find([item.post_id for item in ranked.items])
    facts = zip(
        ranked.items,
        snapshot.topics(posts),
        snapshot.author_ids(posts),
        snapshot.created_at(posts).tolist(),
        strict=True,
    )
    items = [
        FeedItem(
            *msgspec.structs.astuple(item),
            sources=found[item.post_id],
            topic=topic,
            author_id=author_id,
            created_at=created_at and created_at.replace(tzinfo=UTC),
        )
        for item, topic, author_id, created_at in facts
    ]
    return FeedResponse(
        ranked.request_id,
        ranked.model_version,
        ranked.features_as_of,
        ranked.served_by,
        items,
        ranked.excluded,
    )


def _given(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value


def _literal(text: str) -> object:
    """A number or a truth value; any other text as it is, for the schema to refuse."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _refusal(error: FieldError) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid", [error])
