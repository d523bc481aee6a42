"""What every request passes: who may ask, how large a body may be, how long it took."""

import time
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as HttpScope

from feed_platform.serving.deadline import Turn
from feed_platform.serving.metrics import Metrics
from feed_platform.serving.problems import Problem
from feed_platform.serving.tokens import Keyring, Scope
from feed_platform.settings import LOOPBACK

MAX_BODY = 2 * 1024**2
BEGAN = "feed.began"  # in a request's scope: when the turn that answers it began
FREE = frozenset({"/", "/healthz", "/readyz"})  # the page holds no data, and asks for a token itself
ADMIN = frozenset({"/metrics", "/report"})
FEEDBACK = "/v1/feedback"


class Guard:
    """ASGI middleware: checks the bearer token and its scope, and counts the answer.

    Without a token the service is for this machine alone, so that a web page that reaches
    loopback through a name of its own (DNS rebinding) is turned away by its Host header.
    """

    def __init__(self, app: ASGIApp, keyring: Keyring, metrics: Metrics, routes: frozenset[str]) -> None:
        self._app, self._metrics, self._routes, self._turn = app, metrics, routes, Turn()
        self._keyring = keyring

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        scope[BEGAN] = self._turn.began()

        async def count(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        refusal = self._refusal(scope)
        try:
            await (refusal.response() if refusal else self._app)(scope, receive, count)
        finally:
            route = scope["path"] if scope["path"] in self._routes else "other"
            self._metrics.answered(route, status).observe(time.perf_counter() - began)

    def _refusal(self, scope: HttpScope) -> Problem | None:
        headers = Headers(scope=scope)
        if not self._keyring.is_needed:
            if _host_name(headers.get("host", "localhost")) in LOOPBACK:
                return None
            return Problem(HTTPStatus.MISDIRECTED_REQUEST, "without a token only this machine is served")
        if scope["path"] in FREE:
            return None
        scopes, wanted = self._keyring.scopes(headers.get("authorization", "")), _wanted(scope)
        if scopes is None:
            return Problem(
                HTTPStatus.UNAUTHORIZED, "a bearer token is needed", headers={"WWW-Authenticate": "Bearer"}
            )
        if wanted in scopes or "admin" in scopes:
            return None
        return Problem(HTTPStatus.FORBIDDEN, f"a token with the scope {wanted} is needed")


async def read_body(request: Request) -> bytes:
    """A JSON request's body.

    Raises:
        Problem: 415 unless it is declared as JSON (a web page can't do that to another site
            unasked), 413 where it is too large.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        detail = "send the header Content-Type: application/json"
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MAX_BODY} bytes")
    return bytes(body)


def _wanted(scope: HttpScope) -> Scope:
    """What a request needs: reading the feed is `rank`, changing what is served is `admin`."""
    if scope["path"] == FEEDBACK:
        return "feedback"
    return "admin" if scope["path"] in ADMIN or scope["method"] in {"PUT", "DELETE", "PATCH"} else "rank"


def _host_name(host: str) -> str:
    """The name in a Host header, without its port.

    Example:
        >>> _host_name("localhost:8000"), _host_name("[::1]:8000"), _host_name("::1")
        ('localhost', '::1', '::1')
    """
    if host.startswith("["):
        return host[1 : host.find("]")]
    return host if host.count(":") > 1 else host.partition(":")[0]
