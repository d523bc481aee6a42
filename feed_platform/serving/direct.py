"""The routes that must be fast, answered before FastAPI and its middleware, whose work they don't need."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from feed_platform.serving.problems import Problem

Handler = Callable[[Request], Awaitable[Response]]
FAULT = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the request could not be answered")
log = logging.getLogger(__name__)


class Direct:
    """ASGI middleware: `POST` to a path of `handlers` goes to its handler, all else to the app.

    FastAPI knows these routes too: for its documentation, and to refuse other methods.
    """

    def __init__(self, app: ASGIApp, handlers: Mapping[str, Handler]) -> None:
        self._app, self._handlers = app, handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        handler = self._handlers.get(scope["path"]) if is_post else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        try:
            answer = await handler(Request(scope, receive))
        except Problem as problem:
            answer = problem.response()
        except Exception:
            log.exception("a request to %s could not be answered", scope["path"])
            answer = FAULT.response()
        await answer(scope, receive, send)
