"""`feed.toml`: what a feed is. Written by the first import, validated at every read."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomlkit
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from feed_platform.settings import Settings

HIDING = ("hide", "report")
EVENT_TYPES = ("click", "like", "comment", "share", "hide", "report", "dwell", "follow")


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


class Outage(Part):
    """Hours in which nothing arrives: from `hour` of day `day` (0 is the feed's first), for `hours`."""

    day: int = Field(ge=0)
    hour: float = Field(ge=0, lt=24)
    hours: float = Field(gt=0, le=240)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = value.split(":")
        if len(parts) != len(cls.model_fields):
            raise ValueError(f"{value!r} is not DAY:HOUR:HOURS, for example 12:9:6")
        return dict(zip(cls.model_fields, parts, strict=True))


Share = Annotated[float, Field(ge=0, le=1)]
MOST_CANDIDATES_KEPT = 5_000_000
LogPolicy = Literal["popularity", "softmax", "uniform"]


class SimulatorSource(Part):
    """Raw interactions with known truth: docs/simulator.md says what each option does to it."""

    kind: Literal["simulator"] = "simulator"
    seed: int = Field(7, ge=0, description="Another seed is another world.")
    mode: Literal["history", "live"] = Field(
        "history", description="history: events count from their own time; live: from when they arrive."
    )
    days: int = Field(30, ge=1, description="Days that the log covers.")
    users: int = Field(2_000, ge=1, description="People, bots included.")
    founders: Share = Field(0.85, description="Share of the users who are there at the start.")
    posts_per_day: int = Field(40, ge=1, description="New posts a day.")
    requests_per_day: int = Field(1_000, ge=1, description="Times a day that someone opens the feed.")
    positions: int = Field(10, ge=1, description="Posts that a request shows.")
    candidates: int = Field(50, ge=1, description="Posts that the policy ranks for a request.")
    policy: LogPolicy = Field("popularity", description="How the log's slates were ranked.")
    temperature: float = Field(1.0, gt=0, description="Of the policy: small is greedy, large is uniform.")
    exploration: Share = Field(0.3, description="Share of uniform choice mixed into the policy.")
    slates: bool | None = Field(
        None, description="Keep requests with all candidates; default: up to 5 million candidates."
    )
    click_rate: float | None = Field(
        None, gt=0, lt=1, description="Clicks per impression of people, e.g. 0.037; default: about 0.1."
    )
    interests: int = Field(0, ge=0, description="Dimensions of latent interests beyond the topics.")
    position_bias: float = Field(0.3, ge=0, description="Position k is looked at with probability k^-bias.")
    freshness_decay: float = Field(0.35, ge=0, description="What a post's click logit loses in a day.")
    author_spread: float = Field(0.4, ge=0, description="Deviation of the authors' quality, in logits.")
    post_spread: float = Field(0.5, ge=0, description="Deviation of posts around their author, in logits.")
    day_cycle: float = Field(0.15, ge=0, description="Amplitude of the click logit over the day.")
    week_cycle: float = Field(0.0, ge=0, lt=1, description="Amplitude of logit and requests over the week.")
    viral_share: Share = Field(0.0, description="Share of the posts that go viral.")
    bot_share: Share = Field(0.0, description="Share of the users who are bots.")
    duplicate_share: Share = Field(0.0, description="Share of the events that are delivered twice.")
    late_share: Share = Field(0.0, description="Share of the events that arrive late; needs mode live.")
    late_hours: float = Field(12.0, gt=0, description="Mean delay of late events; none is over 3 days.")
    outages: tuple[Outage, ...] = Field((), description="DAY:HOUR:HOURS without arrivals; needs mode live.")
    concept_drift_day: int | None = Field(None, ge=0, description="Day from which tastes are others.")
    concept_drift: Share = Field(0.5, description="Share of each taste that moves to another topic.")
    data_drift_day: int | None = Field(None, ge=0, description="Day from which users and posts are others.")
    data_drift: Share = Field(0.5, description="Strength of the data drift.")

    @property
    def keeps_slates(self) -> bool:
        """Whether whole rankings belong to the log."""
        ranked = self.days * self.requests_per_day * self.candidates
        return ranked <= MOST_CANDIDATES_KEPT if self.slates is None else self.slates

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.candidates < self.positions:
            raise ValueError(f"candidates is {self.candidates}: give at least positions, {self.positions}")
        if self.mode == "history" and (self.late_share or self.outages):
            raise ValueError("late_share and outages need mode = 'live': a history has no time of arrival")
        return self


class MappingSource(Part):
    """The user's own log, described by a mapping file.

    `excluded` counts the rows that each rule of the mapping left out; `sampled_negatives` says how
    impressions were made for a log without any.
    """

    kind: Literal["mapping"] = "mapping"
    path: str
    mode: Literal["history", "live"] = "live"
    excluded: dict[str, int] | None = None
    sampled_negatives: dict[str, int] | None = None


Source = Annotated[SimulatorSource | MappingSource, Field(discriminator="kind")]
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


class Feed(Part):
    """What one feed is: owners, start, clock, event types, objectives, label window."""

    name: str = "feed"
    owners: tuple[Owner, ...] = ("team:feed",)
    start: date
    clock: Literal["live", "log"] = "live"
    feature_delay_minutes: int = Field(10, ge=0)
    label_window_seconds: int = Field(86_400, ge=1)
    label_delay_seconds: int = Field(3_600, ge=0)
    event_types: tuple[str, ...] = EVENT_TYPES
    objectives: tuple[Objective, ...] = (Objective(event="click"),)
    attributes: Attributes = Attributes()
    promotion: Promotion = Promotion()
    serving: Serving = Serving()
    ranker: Ranker = Ranker()
    sources: tuple[Source, ...] = ()

    @field_validator("objectives")
    @classmethod
    def _sound_objectives(
        cls, objectives: tuple[Objective, ...], info: ValidationInfo
    ) -> tuple[Objective, ...]:
        events = [objective.event for objective in objectives]
        known = info.data.get("event_types", events)
        for event in events:
            if event not in known:
                raise ValueError(
                    f"{event!r} is none of event_types ({', '.join(known)}){nearest(event, known)}; "
                    "one that the log's rows alone name must be listed there"
                )
        if repeated := {event for event in events if events.count(event) > 1}:
            raise ValueError(f"{sorted(repeated)[0]!r} is there twice: give each event one objective")
        if not any(objective.weight for objective in objectives):
            raise ValueError("every weight is 0, so nothing could be ranked: give one objective another")
        return objectives

    @model_validator(mode="after")
    def _a_tree_each(self) -> Self:
        trees, objectives = self.promotion.budgets.trees, len(self.objectives)
        if trees < objectives:
            raise ValueError(
                f"promotion.budgets.trees is {trees} for {objectives} objectives: give at least one tree each"
            )
        return self

    @property
    def feature_delay(self) -> timedelta:
        """The time that publishing features may take."""
        return timedelta(minutes=self.feature_delay_minutes)

    @property
    def wanted_events(self) -> tuple[str, ...]:
        """The event types that say that a person wants more such posts: objectives worth more than 0."""
        return tuple(objective.event for objective in self.objectives if objective.weight > 0)

    @property
    def hiding_events(self) -> tuple[str, ...]:
        """The event types that keep a post away from a person: hides, reports, objectives worth less."""
        unwanted = {objective.event for objective in self.objectives if objective.weight < 0}
        return tuple(event for event in self.event_types if event in {*HIDING, *unwanted})

    @property
    def start_at(self) -> datetime:
        """The feed's first instant (UTC)."""
        return datetime.combine(self.start, datetime.min.time())

    @model_validator(mode="after")
    def _moderated_by_what_is_declared(self) -> Self:
        name = self.serving.moderation.attribute
        if name is not None and self.attributes.posts.get(name, "number") == "number":
            raise ValueError(
                f"serving.moderation.attribute is {name!r}: "
                "declare it under [attributes.posts] as a list or a category"
            )
        return self


def feed_path(settings: Settings) -> Path:
    """Where the home's `feed.toml` lies."""
    return settings.root / "feed.toml"


def load_feed(settings: Settings) -> Feed:
    """Read and validate the home's `feed.toml`.

    Raises:
        FeedError: there is none, or it isn't valid; names the file and the key at fault.
    """
    path = feed_path(settings)
    if not path.exists():
        raise FeedError(f"{path} does not exist: import a log (feed import MAPPING) or run make demo first")
    try:
        return Feed.model_validate(tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise FeedError(f"{path} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise FeedError(f"{path}: {first_mistake(error)}") from error


def first_mistake(error: ValidationError) -> str:
    """The first thing that is wrong, after the key that it stands at."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def find_feed(settings: Settings) -> Feed | None:
    """As `load_feed`; None before the first import."""
    return load_feed(settings) if feed_path(settings).exists() else None


def save_feed(settings: Settings, feed: Feed) -> None:
    """Write `feed.toml` atomically."""
    path = feed_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, tomlkit.dumps(feed.model_dump(mode="json", exclude_none=True)))


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step: a reader sees the old text or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    os.replace(draft, path)
