"""What the HTTP API reads and writes: the only schemas, parsed by msgspec, shown by OpenAPI."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

MAX_CANDIDATES = 2_000
MAX_EVENTS = 5_000
PROBE = "_probe"

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 with a time zone.")]
Position = Annotated[int, Meta(ge=1, le=100_000, description="Place in the feed.")]
Label = Annotated[str, Meta(min_length=1, max_length=64)]
Context = dict[Label, str | int | float | bool | None]
MAX_LISTED = 5_000
Text = Annotated[str, Meta(max_length=256)]
Reason = Literal["removed", "moderated", "blocked_post", "blocked_author", "blocked_topic", "attribute"]
Source = Literal["fresh", "trending", "topic", "author", "similar"]
MAX_FEED = 100
Tier = Literal["champion", "previous", "popularity", "recency", "challenger"]
Asked = Literal["champion", "challenger"]


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of what clients send: unknown fields are refused."""


class Explore(Body):
    """Draw the order by chance: the softmax of score / temperature, place by place."""

    temperature: Annotated[
        float,
        Meta(ge=1e-6, le=1e6, description="In units of the score: the smaller, the greedier."),
    ]


class Condition(Body):
    """What a post's attribute must be. A post of which it isn't known meets `none_of` alone."""

    attribute: Label
    any_of: Annotated[list[Text], Meta(max_length=100, description="Has one of these values.")] = []
    none_of: Annotated[list[Text], Meta(max_length=100, description="Has none of these values.")] = []
    at_least: float | None = None
    at_most: float | None = None


class Filters(Body):
    """Candidates to leave out before the order is drawn; the answer lists them under `excluded`."""

    posts: Annotated[list[Id], Meta(max_length=MAX_LISTED, description="Blocked posts.")] = []
    authors: Annotated[list[Id], Meta(max_length=MAX_LISTED, description="Blocked authors.")] = []
    topics: Annotated[list[Text], Meta(max_length=MAX_LISTED, description="Blocked topics.")] = []
    attributes: Annotated[list[Condition], Meta(max_length=20, description="Conditions that all hold.")] = []
    flags: Annotated[
        list[Text], Meta(max_length=100, description="Moderation flags, besides the feed's own.")
    ] = []


class Pin(Body):
    """A candidate that stands at a position, whatever its score."""

    post_id: Id
    position: Position


class RankRequest(Body):
    """Posts to put in order for one person. Requests for the surface `_probe` are not logged."""

    candidate_ids: Annotated[
        list[Id],
        Meta(min_length=1, max_length=MAX_CANDIDATES, description="Posts to rank; duplicates count once."),
    ]
    user_id: Id | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_CANDIDATES, description="How many to return.")] | None = None
    surface: Label = "home"
    request_id: Id | None = None
    requested_at: Instant | None = None
    context: Context = {}
    filters: Filters = field(default_factory=Filters)
    pinned: Annotated[
        list[Pin],
        Meta(max_length=100, description="Candidates with a place of their own; filters come first."),
    ] = []
    explore: Annotated[
        Explore | Literal["on", "off"] | None,
        Meta(description="Null: the feed's share of requests explores; on: at the feed's temperature."),
    ] = None
    explain: Annotated[bool, Meta(description="Say of the first 20 items why they stand there.")] = False
    compare: (
        Annotated[
            list[Id], Meta(min_length=2, max_length=2, description="Two candidates: what tells them apart.")
        ]
        | None
    ) = None
    model: Annotated[
        Asked, Meta(description="Challenger: a look at the version that the gate judges; it is not logged.")
    ] = "champion"


class Contribution(msgspec.Struct, frozen=True):
    """What one reason adds to the log-odds."""

    reason: str
    value: float


class Explanation(msgspec.Struct, frozen=True):
    """Reasons, the weightiest first. They add up to `margin`: the log-odds before calibration."""

    margin: float
    reasons: list[Contribution]


class RankedItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A post in its place, with its chance of that place given those above.

    `probabilities` are those at position 1.
    """

    post_id: str
    rank: int
    score: float
    propensity: float
    probabilities: dict[str, float]
    explanation: Annotated[
        dict[str, Explanation] | None, Meta(description="By objective; where explain asks for it.")
    ] = None


class Excluded(msgspec.Struct, frozen=True):
    """A candidate that may not be shown, whatever the limit, and why."""

    post_id: str
    reason: Reason


class RankResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ranking, best first, and what made it."""

    request_id: str
    model_version: str | None
    features_as_of: Instant | None
    served_by: Tier
    items: list[RankedItem]
    excluded: list[Excluded]
    comparison: Annotated[
        dict[str, Explanation] | None,
        Meta(description="The first post of compare less the second, by objective."),
    ] = None


class FeedQuery(Body):
    """Parameters of a feed, whose candidates the platform finds. Unknown ones are refused."""

    user_id: Annotated[Id, Meta(description="Left out: nobody known.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_FEED, description="How many to return.")] = 20
    surface: Label = "home"
    request_id: Id | UnsetType = UNSET
    requested_at: Instant | UnsetType = UNSET
    explain: Annotated[bool, Meta(description="Say of the first 20 items why they stand there.")] = False
    model: Annotated[Asked, Meta(description="As in RankRequest.")] = "champion"


class FeedItem(RankedItem, frozen=True, kw_only=True, omit_defaults=True):
    """A post in its place, where it came from and what is known of it.

    `sources`: fresh and trending posts; posts of the topics and authors that the person engages with;
    posts whose engaged people are those of the posts that this person engaged with.
    """

    sources: list[Source]
    topic: str | None
    author_id: str | None
    created_at: Instant | None


class FeedResponse(msgspec.Struct, frozen=True):
    """The feed, best first, and what made it. Seen and hidden posts are not in it."""

    request_id: str
    model_version: str | None
    features_as_of: Instant | None
    served_by: Tier
    items: list[FeedItem]
    excluded: Annotated[list[Excluded], Meta(description="Candidates that may not be shown to anyone.")]


class PredictRow(Body):
    """One person, one post, one moment."""

    post_id: Id
    user_id: Id | None = None
    shown_at: Instant | None = None
    position: Position = 1
    context: Context = {}


class PredictRequest(Body):
    """Pairs to score without ranking them."""

    rows: Annotated[list[PredictRow], Meta(min_length=1, max_length=MAX_CANDIDATES)]


class PredictResponse(msgspec.Struct, frozen=True):
    """Calibrated probabilities of each objective, in the rows' order."""

    model_version: str
    predictions: list[dict[str, float]]


class FeedbackEvent(Body):
    """What a person did; an `impression` (a ranked post was seen) needs request_id and position."""

    event_id: Id
    event_type: Label
    post_id: Id
    occurred_at: Instant
    user_id: Id | None = None
    request_id: Id | None = None
    position: Position | None = None
    value: Annotated[float, Meta(ge=0, description="Milliseconds for dwell.")] | None = None


class FeedbackRequest(Body):
    """Events, each accepted or rejected by itself."""

    events: Annotated[list[FeedbackEvent], Meta(min_length=1, max_length=MAX_EVENTS)]


class FeedbackEnvelope(Body):
    """`FeedbackRequest` as it is parsed first: a bad event must not refuse the others."""

    events: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MAX_EVENTS)]


class Rejected(msgspec.Struct, frozen=True):
    """An event that was not taken: its index in the request, and why."""

    index: int
    reason: str


class FeedbackResponse(msgspec.Struct, frozen=True):
    """Accepted events are durable. `duplicates` are those that this replica knows already."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]


class PostUpsert(Body):
    """What is said of a post: fields left out keep their values, null takes one away.

    The attributes that feed.toml declares are fields too.
    """

    post_id: Id
    author_id: Id | UnsetType | None = UNSET
    topic: Label | UnsetType | None = UNSET
    created_at: Instant | UnsetType | None = UNSET
    removed_at: Instant | UnsetType | None = UNSET


class PostsRequest(Body):
    """Posts that are new or have changed."""

    posts: Annotated[list[PostUpsert], Meta(min_length=1, max_length=1_000)]


class UserUpsert(Body):
    """What is said of a user, by the attributes that feed.toml declares; those left out keep their values."""

    user_id: Id


class UsersRequest(Body):
    """Users that are new or have changed."""

    users: Annotated[list[UserUpsert], Meta(min_length=1, max_length=1_000)]


class UpsertResponse(msgspec.Struct, frozen=True):
    """Changes are durable, and known to this replica; `number` is the last one's in the home's order."""

    accepted: int
    number: int


class FieldError(msgspec.Struct, frozen=True):
    """One fault: what, and where as a JSON pointer."""

    detail: str
    pointer: str


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error, RFC 9457."""

    title: str
    status: int
    type: str = "about:blank"
    detail: str = ""
    errors: list[FieldError] = []


class Explorer(msgspec.Struct, frozen=True):
    """What the page at `/` needs to know of a feed.

    `users` are a few of those who engaged most in the week before the snapshot's hour; `challenger` is the
    version that `model` may ask for.
    """

    feed: str
    clock: Literal["live", "log"]
    feature_delay_minutes: int
    event_types: list[str]
    users: list[str]
    model_version: str | None
    challenger: str | None
    features_as_of: Instant | None


class Readiness(msgspec.Struct, frozen=True):
    """What a replica serves with; `errors` says what it could not load, `attempted` what it tried last."""

    ready: bool
    replica: str
    pid: int
    model_version: str | None
    bundle: str | None
    snapshot: str | None
    features_as_of: Instant | None
    attempted: str | None
    errors: dict[str, str]
