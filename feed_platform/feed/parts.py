"""What `feed.toml` consists of: every part but the sources."""

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]


class FeedError(Exception):
    """Something a user can mend; the message says what and how."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is spelt most alike, as the end of a message; empty where none is."""
    alike = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {alike[0]!r}?" if alike else ""


class Part(BaseModel):
    """Base of every part of `feed.toml`: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Objective(Part):
    """An event type that the ranker predicts, and what one is worth; below 0 for what isn't wanted."""

    event: str
    weight: float = Field(1.0, allow_inf_nan=False)


AttributeKind = Literal["category", "number", "list"]
ContextKind = Literal["category", "number"]


class Attributes(Part):
    """Declared attributes: columns of raw.users and raw.posts, keys of an impression's `context`.

    A `list` holds several categories (genres, hashtags). `time_zone` names the users' attribute that
    holds their IANA time zone.
    """

    users: dict[str, AttributeKind] = {}
    posts: dict[str, AttributeKind] = {}
    context: dict[str, ContextKind] = {}
    time_zone: str | None = None


def _owner(text: str) -> str:
    if not re.fullmatch(r"team:\S+|[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise ValueError(f"{text!r} is neither team:NAME nor an email address")
    return text


Owner = Annotated[str, AfterValidator(_owner)]


class SliceFloor(Part):
    """Rows on which a new model may not lose: `where` is a condition in SQL over the training table.

    `floor` is the worsening that is let pass, as a share of the champion's log loss on the slice.
    """

    name: str = Field(min_length=1)
    where: str
    floor: float = Field(0.02, ge=0)


class Budgets(Part):
    """What a model may cost where it scores."""

    latency_ms: float = Field(50.0, gt=0, description="95th percentile for 200 candidates, one thread.")
    memory_mb: float = Field(512.0, gt=0, description="What loading and scoring add to the process.")
    trees: int = Field(5_000, ge=1, description="Over all objectives.")


SLICES = (
    SliceFloor(name="new users", where="user_impressions_7d = 0"),
    SliceFloor(name="new posts", where="post_age_hours < 24"),
)


class Promotion(Part):
    """What a model must show before it serves: docs/promotion.md explains each number."""

    mode: Literal["automatic", "approval"] = Field(
        "automatic", description="approval: what passes waits for feed approve."
    )
    margin: float = Field(
        0.05, ge=0, le=1, description="What a refresh may lose of the champion's gain over the constant."
    )
    improvement: float = Field(
        0.01, ge=0, le=1, description="What a change must add to that gain; another seed adds less."
    )
    calibration: float = Field(
        0.1, gt=0, description="Calibration error that is let pass, as a share of the event's rate."
    )
    feature_auc: float = Field(
        0.85, gt=0.5, le=1, description="A single feature that ranks this well by itself is taken for a leak."
    )
    off_policy: float = Field(
        0.1,
        ge=0,
        le=1,
        description="What a model may earn less than the log's policy, where the log can tell.",
    )
    slices: tuple[SliceFloor, ...] = SLICES
    budgets: Budgets = Budgets()

    @model_validator(mode="after")
    def _distinct_slices(self) -> Self:
        names = [one.name for one in self.slices]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two slices are called {repeated.pop()!r}: give each a name of its own")
        return self


class Exploration(Part):
    """How much chance there is in rankings: docs/ranking.md says what each number does."""

    experiment: str = Field("exploration", min_length=1, max_length=64, description="Name in the logs.")
    share: Share = Field(0.0, description="Share of the requests that explore.")
    temperature: float = Field(
        0.05, ge=1e-6, le=1e6, description="In units of the score: the smaller, the greedier."
    )
    new_post_share: float = Field(
        0.0, ge=0, lt=1, description="Least chance of each place, until one is shown, to be a new post's."
    )
    new_post_hours: float = Field(24.0, gt=0, description="For how long a post is new.")


class Moderation(Part):
    """Posts that no answer shows: those with one of the values `hide` in the posts' attribute `attribute`."""

    attribute: str | None = None
    hide: tuple[str, ...] = ()


class FeedSettings(Part):
    """What `/v1/feed` shows: docs/feed.md."""

    candidates: int = Field(500, ge=1, le=2_000, description="Posts that are ranked for a request.")
    author_share: float = Field(0.2, gt=0, le=1, description="Most of an answer that one author has.")
    topic_share: float = Field(0.5, gt=0, le=1, description="Most of an answer that one topic has.")
    seen_days: float = Field(7, ge=0, le=28, description="For how long a post that was seen stays away.")


class Serving(Part):
    """What the ranking service does beyond scoring."""

    exploration: Exploration = Exploration()
    moderation: Moderation = Moderation()
    feed: FeedSettings = FeedSettings()


Segment = Literal["user", "author", "topic", "user_topic", "user_author"]


class Ranker(Part):
    """How models are made from this feed's examples: docs/ranker.md."""

    segment: Segment = Field("user_topic", description="Whose counters the baseline segment looks at.")
    monotone: dict[str, Literal[-1, 1]] = Field(
        {}, description="The direction in which a feature may move the ranker's probabilities."
    )
