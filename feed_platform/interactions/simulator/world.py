"""The simulated world: users with hidden tastes, authors, and the posts of each day."""

from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import numpy.typing as npt

from feed_platform.feed import Attributes, SimulatorSource

TOPICS = (
    "football",
    "cooking",
    "travel",
    "music",
    "politics",
    "gaming",
    "fashion",
    "science",
    "gardening",
    "films",
    "fitness",
    "finance",
)
COUNTRIES = ("DE", "FR", "GB", "IN", "BR", "US")
DEVICES = ("phone", "tablet", "desktop")
FORMATS = ("video", "image", "text")
SIMULATOR_ATTRIBUTES = Attributes(
    users={"country": "category", "device": "category"},
    posts={"format": "category", "length_seconds": "number"},
)
DAY, HOUR = np.timedelta64(1, "D"), np.timedelta64(1, "h")
STOCK_DAYS = 3
"""Days of posts that exist before the feed starts; also how far back a day's candidates reach."""
FOUNDERS = 0.85
"""Share of the users who are there at the start; the others join over the days."""
USERS_PER_AUTHOR = 20
TASTE_MASS, LOCAL_LIFT = 1.0, 3.0
DEVICE_SHARES, FORMAT_SHARES = (0.65, 0.1, 0.25), (0.3, 0.45, 0.25)
MEDIAN_SECONDS = np.array([45.0, 8.0, 60.0])
ON_TOPIC = 0.8
AUTHOR_SPREAD, POST_SPREAD = 0.4, 0.5
ACTIVITY_SPREAD = 1.4

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Users:
    """The people, one row each: `tastes` (n, topics) sum to 1 a row, the rest is (n,).

    `activity` is the relative number of requests, `eagerness` moves the click logit.
    """

    tastes: Floats
    activity: Floats
    eagerness: Floats
    country: Ints
    device: Ints
    joined_at: Times


@dataclass(frozen=True)
class Authors:
    """Who writes: one home topic each, and a quality that their posts share."""

    topic: Ints
    quality: Floats


@dataclass(frozen=True)
class Posts:
    """Posts, one row each, oldest first. `quality` moves the click logit; `acclaim` is what the
    logging policy sees of it."""

    number: Ints
    author: Ints
    topic: Ints
    quality: Floats
    acclaim: Floats
    format: Ints
    length_seconds: Floats
    created_at: Times


@dataclass(frozen=True)
class World:
    """What stays the same from day to day, a function of the source and the start alone."""

    source: SimulatorSource
    start: np.datetime64
    users: Users
    authors: Authors

    @classmethod
    def of(cls, source: SimulatorSource, start: date) -> "World":
        """The world of a source that starts on a day."""
        midnight = np.datetime64(start, "us")
        return cls(source, midnight, _users(source, midnight), _authors(source))

    def midnight(self, day: int) -> np.datetime64:
        """When a day begins; day 0 is the feed's first."""
        return self.start + day * DAY

    def random(self, purpose: str, day: int = 0) -> np.random.Generator:
        """The random numbers of one purpose on one day, whatever else was drawn."""
        return _random(self.source, purpose, day)

    def posts(self, day: int) -> Posts:
        """The posts that are created on a day; days from `-STOCK_DAYS` on."""
        random, count = self.random("posts", day), self.source.posts_per_day
        author = random.integers(len(self.authors.topic), size=count)
        stray = random.integers(len(TOPICS), size=count)
        form = random.choice(len(FORMATS), size=count, p=FORMAT_SHARES)
        quality = self.authors.quality[author] + random.normal(0, POST_SPREAD, count)
        return Posts(
            number=(day + STOCK_DAYS) * count + np.arange(count),
            author=author,
            topic=np.where(random.random(count) < ON_TOPIC, self.authors.topic[author], stray),
            quality=quality,
            acclaim=quality + random.normal(0, 0.5, count),
            format=form,
            length_seconds=np.round(MEDIAN_SECONDS[form] * random.lognormal(0, 0.6, count), 1),
            created_at=np.sort(_moments(random, self.midnight(day), count)),
        )

    def candidates(self, day: int) -> Posts:
        """Every post that may be shown on a day: those of the day and of `STOCK_DAYS` before it."""
        parts = [self.posts(each) for each in range(day - STOCK_DAYS, day + 1)]
        return Posts(*(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Posts)))


def _random(source: SimulatorSource, purpose: str, day: int = 0) -> np.random.Generator:
    return np.random.default_rng([source.seed, day + STOCK_DAYS, *purpose.encode()])


def _users(source: SimulatorSource, midnight: np.datetime64) -> Users:
    random, count = _random(source, "users"), source.users
    country = random.integers(len(COUNTRIES), size=count)
    tastes = random.gamma(_local_tastes(random)[country])
    return Users(
        tastes=tastes / tastes.sum(axis=1, keepdims=True),
        activity=random.lognormal(0, ACTIVITY_SPREAD, count),
        eagerness=random.normal(0, 0.4, count),
        country=country,
        device=random.choice(len(DEVICES), size=count, p=DEVICE_SHARES),
        joined_at=_joined(random, source, midnight),
    )


def _local_tastes(random: np.random.Generator) -> Floats:
    """Dirichlet weights (countries, topics): each country lifts three topics."""
    lifted = np.argsort(random.random((len(COUNTRIES), len(TOPICS))), axis=1) < 3
    weights = np.where(lifted, LOCAL_LIFT, 1.0)
    return TASTE_MASS * weights / weights.sum(axis=1, keepdims=True)


def _joined(random: np.random.Generator, source: SimulatorSource, midnight: np.datetime64) -> Times:
    founders = int(np.ceil(FOUNDERS * source.users))
    span = np.sort(random.random(source.users - founders)) * source.days
    late = midnight + (span * (DAY / np.timedelta64(1, "us"))).astype("timedelta64[us]")
    return np.concatenate([np.full(founders, midnight), late])


def _authors(source: SimulatorSource) -> Authors:
    random, count = _random(source, "authors"), max(len(TOPICS), source.users // USERS_PER_AUTHOR)
    return Authors(
        topic=random.permutation(count) % len(TOPICS), quality=random.normal(0, AUTHOR_SPREAD, count)
    )


def _moments(random: np.random.Generator, midnight: np.datetime64, count: int) -> Times:
    day = int(DAY / np.timedelta64(1, "us"))
    return midnight + random.integers(day, size=count).astype("timedelta64[us]")
