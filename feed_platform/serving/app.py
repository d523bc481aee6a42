"""The FastAPI app of one replica: raw bodies in, msgspec structs out."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec
import numpy as np
from fastapi import FastAPI, Request
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from feed_platform.serving import operations, pages, records
from feed_platform.serving.answering import answer, as_json, rank_and_log
from feed_platform.serving.backend import RETRY, Backend
from feed_platform.serving.direct import FAULT, Direct
from feed_platform.serving.feed_routes import FeedRoutes
from feed_platform.serving.feedback import judge
from feed_platform.serving.filters import faults
from feed_platform.serving.guard import BEGAN, Guard, read_body
from feed_platform.serving.problems import Problem, parse
from feed_platform.serving.ranking import by_row
from feed_platform.serving.schemas import (
    FeedbackEnvelope,
    FeedbackResponse,
    PredictRequest,
    PredictResponse,
    RankRequest,
)
from feed_platform.serving.stages import Stages
from feed_platform.serving.together import Together
from feed_platform.serving.tokens import Keyring
from feed_platform.serving.upsert_routes import UpsertRoutes

NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
PAGES = frozenset({"/", "/docs", "/report", "/openapi.json"})

_RANK = msgspec.json.Decoder(RankRequest)
_PREDICT = msgspec.json.Decoder(PredictRequest)
_FEEDBACK = msgspec.json.Decoder(FeedbackEnvelope)


def build_app(backend: Backend) -> FastAPI:
    """The app of a replica."""
    title = f"{backend.feed.name}: ranking"
    app = FastAPI(title=title, version="1", docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY)
    together = Together(
        backend.store,
        backend.count_tier_failure,
        backend.feed.serving,
        backend.refuse_if_late,
        backend.has_free_core,
    )
    routes, feeds = Routes(backend, together), FeedRoutes(backend, together)
    changes = UpsertRoutes(backend)
    handlers: dict[operations.Operation, Callable[..., Awaitable[Response]]] = {
        operations.RANK: routes.rank,
        operations.FEED: feeds.feed,
        operations.PREDICT: routes.predict,
        operations.FEEDBACK: routes.feedback,
        operations.POSTS: changes.posts,
        operations.USERS: changes.users,
        operations.HEALTH: routes.healthz,
        operations.READY: routes.readyz,
        operations.METRICS: routes.metrics,
        operations.EXPLORER: routes.explorer,
    }
    for operation, handler in handlers.items():
        app.add_api_route(
            operation.path,
            handler,
            methods=[operation.method],
            summary=operation.summary,
            openapi_extra=operation.openapi(),
        )
    for path, page in (("/", routes.index), ("/docs", routes.docs), ("/report", routes.report)):
        app.add_api_route(path, page, methods=["GET"], include_in_schema=False)
    _use_msgspec_schemas(app)
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_fault)
    hot = {operation.path: handlers[operation] for operation in (operations.RANK, operations.PREDICT)}
    known = frozenset(PAGES | {operation.path for operation in operations.ALL})
    direct = Direct(app.build_middleware_stack(), hot)
    app.middleware_stack = Guard(direct, Keyring(backend.settings), backend.metrics, known)
    return app


class Routes:
    """The handlers, on one replica's state."""

    def __init__(self, backend: Backend, together: Together) -> None:
        self._backend, self._together = backend, together

    async def rank(self, http: Request) -> Response:
        """Rank candidates and log the answer."""
        backend = self._backend
        began = http.scope[BEGAN]
        body = await read_body(http)
        stages = Stages()
        request = parse(body, _RANK)
        backend.refuse_if_late(began)
        at = backend.instant(request.requested_at, "/requested_at")
        if found := faults(request, backend.feed.attributes, backend.feed.serving.moderation):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid", found)
        request_id = request.request_id or records.new_id()
        stages.end("parse")
        ranked = self._together.rank(request, request_id, at, backend.pace.due(began))
        ranking = await rank_and_log(backend, ranked, stages)
        return answer(backend, ranking.response(), stages)

    async def predict(self, http: Request) -> Response:
        """Probabilities for rows of person, post, moment and position."""
        backend = self._backend
        rows = parse(await read_body(http), _PREDICT).rows
        backend.refuse_if_late(http.scope[BEGAN])
        loaded = backend.store.loaded
        if loaded.champion is None or loaded.snapshot is None:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no model is loaded yet", headers=RETRY)
        shown = [backend.instant(row.shown_at, f"/rows/{index}/shown_at") for index, row in enumerate(rows)]
        matrix = loaded.snapshot.matrix(
            [row.user_id for row in rows],
            [row.post_id for row in rows],
            np.array(shown, dtype="datetime64[us]"),
            np.array([row.position for row in rows]),
            [row.context for row in rows],
            loaded.champion.wanted,
        )
        predictions = by_row(loaded.champion.bundle.probabilities(matrix), len(rows))
        return as_json(PredictResponse(loaded.champion.version, predictions))

    async def feedback(self, http: Request) -> Response:
        """Take what people saw and did; answer when it is durable."""
        backend = self._backend
        events = parse(await read_body(http), _FEEDBACK).events
        good, rejected = judge(events, backend.feed.event_types, records.now())
        fresh = {
            event.event_id: event for event in reversed(good) if event.event_id not in backend.known_events
        }
        if fresh:
            await backend.make_durable(list(fresh.values()))
            backend.note(fresh.values())
        for event_id in fresh:
            backend.known_events.add(event_id)
        told = FeedbackResponse(len(fresh), len(good) - len(fresh), rejected)
        backend.count_feedback(told)
        return as_json(told)

    async def healthz(self) -> Response:
        """The process lives."""
        return PlainTextResponse("ok\n")

    async def readyz(self) -> Response:
        """What this replica serves with."""
        readiness = self._backend.readiness()
        return as_json(readiness, HTTPStatus.OK if readiness.ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self) -> Response:
        """Counters in Prometheus' text format."""
        return PlainTextResponse(self._backend.exposition())

    async def docs(self, http: Request) -> Response:
        """The API's documentation."""
        return HTMLResponse(pages.docs(self._backend.feed.name, str(http.base_url)))

    async def index(self) -> Response:
        """The explorer of feeds."""
        page = pages.explorer()
        return HTMLResponse(page.html, headers=page.headers)

    async def explorer(self) -> Response:
        """What the explorer asks for first."""
        return as_json(self._backend.explorer())

    async def report(self) -> Response:
        """The evaluation report of the model in service."""
        path = self._backend.report_path()
        if path is None:
            raise Problem(HTTPStatus.NOT_FOUND, "the model in service has no report")
        return FileResponse(path, media_type="text/html")


def _use_msgspec_schemas(app: FastAPI) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document["components"] = {"schemas": operations.components()}
        return document

    app.openapi = openapi  # type: ignore[method-assign]


async def _answer_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _answer_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return Problem(HTTPStatus(error.status_code), str(error.detail), headers=headers).response()


async def _answer_fault(_: Request, error: Exception) -> Response:
    return FAULT.response()
