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
DAY, HOUR, TICK = np.timedelta64(1, "D"), np.timedelta64(1, "h"), np.timedelta64(1, "us")
STOCK_DAYS = 3
"""Days of posts that exist before the feed starts; also how far back a day's candidates reach."""
USERS_PER_AUTHOR = 20
TASTE_MASS, LOCAL_LIFT = 1.0, 3.0
DEVICE_SHARES, FORMAT_SHARES = (0.65, 0.1, 0.25), np.array([0.3, 0.45, 0.25])
MEDIAN_SECONDS = np.array([45.0, 8.0, 60.0])
ON_TOPIC = 0.8
ACCLAIM_NOISE = 0.5
ACTIVITY_SPREAD = 1.4
BOT_ACTIVITY = 10 * np.exp(ACTIVITY_SPREAD**2 / 2)
"""Ten times the mean of people's."""
DRIFTED_FORMAT_SHARES = np.array([1.0, 0.0, 0.0])
DRIFTED_COUNTRIES, DRIFTED_ACTIVITY = (COUNTRIES.index("IN"), COUNTRIES.index("BR")), 4.0

INTERCEPT = -2.6
"""Of the click logit, where no click rate is asked for."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Users:
    """The people, one row each: `tastes` (n, topics) sum to 1 a row, `interests` (n, dimensions)
    are standard normal, the rest is (n,).

    `activity` is the relative number of requests, `eagerness` moves the click logit.
    """

    tastes: Floats
    interests: Floats
    activity: Floats
    eagerness: Floats
    country: Ints
    device: Ints
    joined_at: Times
    is_bot: Bools


@dataclass(frozen=True)
class Authors:
    """Who writes: one home topic each, a quality and latent interests that their posts share."""

    topic: Ints
    quality: Floats
    interests: Floats


@dataclass(frozen=True)
class Posts:
    """Posts, one row each, oldest first.

    `quality` moves the click logit, `acclaim` is what the logging policy sees of it;
    `controversy` and `offence` (standard normal) move comments and reports.
    """

    number: Ints
    author: Ints
    topic: Ints
    quality: Floats
    author_quality: Floats
    acclaim: Floats
    format: Ints
    length_seconds: Floats
    created_at: Times
    interests: Floats
    controversy: Floats
    offence: Floats
    is_viral: Bools


@dataclass(frozen=True)
class World:
    """What stays the same from day to day, a function of the source and the start alone."""

    source: SimulatorSource
    start: np.datetime64
    users: Users
    authors: Authors
    intercept: float = INTERCEPT

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

    def concept_drift(self, day: int) -> float:
        """The share of each taste that has moved to another topic by a day."""
        return _since(self.source.concept_drift_day, day) * self.source.concept_drift

    def data_drift(self, day: int) -> float:
        """The strength of the data drift on a day."""
        return _since(self.source.data_drift_day, day) * self.source.data_drift

    def activity(self, day: int) -> Floats:
        """Each user's relative number of requests on a day, (users,); 0 before they join."""
        users = self.users
        lifted = np.isin(users.country, DRIFTED_COUNTRIES) & ~users.is_bot
        lift = 1 + (DRIFTED_ACTIVITY - 1) * self.data_drift(day) * lifted
        return np.where(users.joined_at < self.midnight(day + 1), users.activity * lift, 0.0)

    def posts(self, day: int) -> Posts:
        """The posts that are created on a day; days from `-STOCK_DAYS` on."""
        random, count, source = self.random("posts", day), self.source.posts_per_day, self.source
        author = random.integers(len(self.authors.topic), size=count)
        stray = random.integers(len(TOPICS), size=count)
        drift = self.data_drift(day)
        shares = (1 - drift) * FORMAT_SHARES + drift * DRIFTED_FORMAT_SHARES
        form = random.choice(len(FORMATS), size=count, p=shares)
        quality = self.authors.quality[author] + random.normal(0, source.post_spread, count)
        topic = np.where(random.random(count) < ON_TOPIC, self.authors.topic[author], stray)
        acclaim = quality + random.normal(0, ACCLAIM_NOISE, count)
        length_seconds = np.round(MEDIAN_SECONDS[form] * random.lognormal(0, 0.6, count), 1)
        created_at = np.sort(_moments(random, self.midnight(day), count))
        own = random.normal(0, 1, (count, source.interests))
        return Posts(
            number=(day + STOCK_DAYS) * count + np.arange(count),
            author=author,
            topic=topic,
            quality=quality,
            author_quality=self.authors.quality[author],
            acclaim=acclaim,
            format=form,
            length_seconds=length_seconds,
            created_at=created_at,
            interests=(self.authors.interests[author] + own) / np.sqrt(2),
            controversy=random.normal(0, 1, count),
            offence=random.normal(0, 1, count),
            is_viral=random.random(count) < source.viral_share,
        )

    def stock(self, day: int) -> Posts:
        """Every post that may be shown on a day: those of the day and of `STOCK_DAYS` before it."""
        parts = [self.posts(each) for each in range(day - STOCK_DAYS, day + 1)]
        return Posts(*(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Posts)))


def _since(first: int | None, day: int) -> bool:
    return first is not None and day >= first


def _random(source: SimulatorSource, purpose: str, day: int = 0) -> np.random.Generator:
    return np.random.default_rng([source.seed, day + STOCK_DAYS, *purpose.encode()])


def _users(source: SimulatorSource, midnight: np.datetime64) -> Users:
    random, count = _random(source, "users"), source.users
    country = random.integers(len(COUNTRIES), size=count)
    tastes = random.gamma(_local_tastes(random)[country])
    activity = random.lognormal(0, ACTIVITY_SPREAD, count)
    is_bot = _bots(source)
    return Users(
        tastes=tastes / tastes.sum(axis=1, keepdims=True),
        interests=_random(source, "interests").normal(0, 1, (count, source.interests)),
        activity=np.where(is_bot, BOT_ACTIVITY, activity),
        eagerness=random.normal(0, 0.4, count),
        country=country,
        device=random.choice(len(DEVICES), size=count, p=DEVICE_SHARES),
        joined_at=_joined(random, source, midnight),
        is_bot=is_bot,
    )


def _bots(source: SimulatorSource) -> Bools:
    bots = round(source.bot_share * source.users)
    return _random(source, "bots").permutation(source.users) < bots


def _local_tastes(random: np.random.Generator) -> Floats:
    """Dirichlet weights (countries, topics): each country lifts three topics."""
    lifted = np.argsort(random.random((len(COUNTRIES), len(TOPICS))), axis=1) < 3
    weights = np.where(lifted, LOCAL_LIFT, 1.0)
    return TASTE_MASS * weights / weights.sum(axis=1, keepdims=True)


def _joined(random: np.random.Generator, source: SimulatorSource, midnight: np.datetime64) -> Times:
    founders = max(1, int(np.ceil(source.founders * source.users)))
    span = np.sort(random.random(source.users - founders)) * source.days
    late = midnight + (span * (DAY / TICK)).astype("timedelta64[us]")
    return np.concatenate([np.full(founders, midnight), late])


def _authors(source: SimulatorSource) -> Authors:
    random, count = _random(source, "authors"), max(len(TOPICS), source.users // USERS_PER_AUTHOR)
    return Authors(
        topic=random.permutation(count) % len(TOPICS),
        quality=random.normal(0, source.author_spread, count),
        interests=random.normal(0, 1, (count, source.interests)),
    )


def _moments(random: np.random.Generator, midnight: np.datetime64, count: int) -> Times:
    return midnight + random.integers(int(DAY / TICK), size=count).astype("timedelta64[us]")
