"""The API's operations as OpenAPI and the documentation page show them."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode

import msgspec

from feed_platform.serving import schemas
from feed_platform.serving.problems import MEDIA_TYPE

PREFIX = "#/components/schemas/"


@dataclass(frozen=True, eq=False)
class Operation:
    """One route: what it does, what it takes and gives, an example, its errors.

    A GET takes query parameters, other methods a JSON body.
    """

    path: str
    method: str
    summary: str
    answer: type | None = None
    takes: type | None = None
    example: dict[str, Any] | None = None
    media_type: str = "application/json"
    errors: dict[int, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any] | None:
        """The example as a JSON body, where it is one."""
        return None if self.method == "GET" else self.example

    @property
    def target(self) -> str:
        """The path, with the example's query parameters where it has some."""
        if self.method != "GET" or not self.example:
            return self.path
        return f"{self.path}?{urlencode(self.example)}"

    def openapi(self) -> dict[str, Any]:
        """What the operation adds to the document that FastAPI generates."""
        extra: dict[str, Any] = {"responses": {"200": self._success(), **self._failures()}}
        if self.takes and self.method == "GET":
            extra["parameters"] = _parameters(self.takes)
        elif self.takes:
            content = {"schema": _reference(self.takes), "example": self.example}
            extra["requestBody"] = {"required": True, "content": {"application/json": content}}
        return extra

    def _success(self) -> dict[str, Any]:
        schema = _reference(self.answer) if self.answer else {"type": "string"}
        return {"description": "OK", "content": {self.media_type: {"schema": schema}}}

    def _failures(self) -> dict[str, Any]:
        content = {MEDIA_TYPE: {"schema": _reference(schemas.ProblemDetails)}}
        return {str(code): {"description": text, "content": content} for code, text in self.errors.items()}


_READING = {
    400: "The body is not JSON.",
    401: "The bearer token is missing or wrong.",
    403: "The token has not the scope that this needs.",
    413: "The body is too large.",
    415: "The body is not declared as application/json.",
    422: "A field is wrong; `errors` names it by JSON pointer.",
}
_LOOKING = {409: "The challenger is asked for, and there is none."}

RANK = Operation(
    "/v1/rank",
    "POST",
    "Put candidate posts in order for one person.",
    answer=schemas.RankResponse,
    takes=schemas.RankRequest,
    example={
        "user_id": "u-1",
        "candidate_ids": ["p-1", "p-2", "p-3", "p-4"],
        "limit": 3,
        "surface": "home",
        "filters": {"posts": ["p-4"]},
        "pinned": [{"post_id": "p-3", "position": 2}],
        "explore": {"temperature": 0.05},
    },
    errors={**_READING, **_LOOKING, 503: "Too much waits: try again after `Retry-After` seconds."},
)
FEED = Operation(
    "/v1/feed",
    "GET",
    "The platform's own candidates for one person, in order, without what was seen or hidden.",
    answer=schemas.FeedResponse,
    takes=schemas.FeedQuery,
    example={"user_id": "u-1", "limit": 10},
    errors={
        401: _READING[401],
        403: _READING[403],
        **_LOOKING,
        422: "A parameter is wrong; `errors` names it as `/name`.",
        503: "The snapshot has no candidates, or too much waits; the detail says which.",
    },
)
PREDICT = Operation(
    "/v1/predict",
    "POST",
    "Probabilities for pairs of person and post, without ranking.",
    answer=schemas.PredictResponse,
    takes=schemas.PredictRequest,
    example={"rows": [{"user_id": "u-1", "post_id": "p-1", "position": 1}]},
    errors={**_READING, 503: "No model is loaded yet, or too much waits."},
)
FEEDBACK = Operation(
    "/v1/feedback",
    "POST",
    "Report what was seen and done. What is accepted is durable.",
    answer=schemas.FeedbackResponse,
    takes=schemas.FeedbackRequest,
    example={
        "events": [
            {
                "event_id": "e-1",
                "event_type": "impression",
                "user_id": "u-1",
                "post_id": "p-1",
                "request_id": "r-1",
                "position": 1,
                "occurred_at": "2026-01-31T09:00:00Z",
            }
        ]
    },
    errors={**_READING, 503: "The events could not be made durable: send them again."},
)
_PUTTING = {**_READING, 503: "The changes could not be made durable, or too many wait: send them again."}
POSTS = Operation(
    "/v1/posts",
    "PUT",
    "Say what posts are: new ones, changes, removals.",
    answer=schemas.UpsertResponse,
    takes=schemas.PostsRequest,
    example={"posts": [{"post_id": "p-1", "author_id": "a-1", "topic": "travel"}]},
    errors=_PUTTING,
)
USERS = Operation(
    "/v1/users",
    "PUT",
    "Say what users are.",
    answer=schemas.UpsertResponse,
    takes=schemas.UsersRequest,
    example={"users": [{"user_id": "u-1"}]},
    errors=_PUTTING,
)
HEALTH = Operation("/healthz", "GET", "Whether the process lives.", media_type="text/plain")
READY = Operation(
    "/readyz",
    "GET",
    "Whether a model and features are loaded, and which.",
    answer=schemas.Readiness,
    errors={503: "A model or a snapshot is not loaded yet."},
)
METRICS = Operation("/metrics", "GET", "Counters for Prometheus, of one replica.", media_type="text/plain")

EXPLORER = Operation(
    "/v1/explorer",
    "GET",
    "What the page at `/` needs to know of the feed.",
    answer=schemas.Explorer,
    errors={401: _READING[401], 403: _READING[403]},
)

ALL = (RANK, FEED, PREDICT, FEEDBACK, POSTS, USERS, EXPLORER, HEALTH, READY, METRICS)


@cache
def components() -> dict[str, Any]:
    """The schemas of everything read and written."""
    structs = {struct for operation in ALL for struct in (operation.takes, operation.answer) if struct}
    ordered = sorted({*structs, schemas.ProblemDetails}, key=lambda struct: struct.__name__)
    return msgspec.json.schema_components(ordered, ref_template=PREFIX + "{name}")[1]


def _parameters(struct: type) -> list[dict[str, Any]]:
    _, found = msgspec.json.schema_components([struct], ref_template=PREFIX + "{name}")
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in found[struct.__name__]["properties"].items()
    ]


def _reference(struct: type) -> dict[str, str]:
    return {"$ref": f"{PREFIX}{struct.__name__}"}
