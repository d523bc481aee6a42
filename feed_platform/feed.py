"""`feed.toml`: what a feed is. Written by the first import, validated at every read."""

import os
import tomllib
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feed_platform.settings import Settings

EVENT_TYPES = ("click", "like", "comment", "share", "hide", "report", "dwell", "follow")


class FeedError(Exception):
    """Something a user can mend; the message says what and how."""


class Part(BaseModel):
    """Base of every part of `feed.toml`: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Objective(Part):
    """An event type that the ranker predicts, and what one is worth."""

    event: str
    weight: float = 1.0


class SimulatorSource(Part):
    """Raw interactions with known truth, from `feed_platform.interactions.simulator`."""

    kind: Literal["simulator"] = "simulator"
    seed: int = 7
    days: int = Field(30, ge=1)
    users: int = Field(2_000, ge=1)
    posts_per_day: int = Field(40, ge=1)
    requests_per_day: int = Field(1_000, ge=1)


class MappingSource(Part):
    """The user's own log, described by a mapping file."""

    kind: Literal["mapping"] = "mapping"
    path: str
    mode: Literal["history", "live"] = "live"


Source = Annotated[SimulatorSource | MappingSource, Field(discriminator="kind")]
AttributeKind = Literal["category", "number", "list"]
ContextKind = Literal["category", "number"]


class Attributes(Part):
    """Declared attributes: columns of raw.users and raw.posts, keys of an impression's `context`.

    A `list` holds several categories (genres, hashtags).
    """

    users: dict[str, AttributeKind] = {}
    posts: dict[str, AttributeKind] = {}
    context: dict[str, ContextKind] = {}


class Feed(Part):
    """What one feed is: start, clock, event types, objectives, label window."""

    name: str = "feed"
    start: date
    clock: Literal["live", "log"] = "live"
    feature_delay_minutes: int = Field(10, ge=0)
    label_window_seconds: int = Field(86_400, ge=1)
    label_delay_seconds: int = Field(3_600, ge=0)
    event_types: tuple[str, ...] = EVENT_TYPES
    objectives: tuple[Objective, ...] = (Objective(event="click"),)
    attributes: Attributes = Attributes()
    sources: tuple[Source, ...] = ()

    @property
    def feature_delay(self) -> timedelta:
        """The time that publishing features may take."""
        return timedelta(minutes=self.feature_delay_minutes)

    @property
    def start_at(self) -> datetime:
        """The feed's first instant (UTC)."""
        return datetime.combine(self.start, datetime.min.time())


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
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FeedError(f"{path}: {where}: {first['msg']}") from error


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
