"""Impressions of a feed with latent tastes, with counters like the platform's, made in seconds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.learning.dataset import Dataset
from feed_platform.learning.splits import split_by_time

START, SPAN = datetime(2026, 1, 1), timedelta(days=30)
A_USER, A_POST = 60, 500  # impressions of each, on average
INTERESTS, AUTHORS, TOPICS, NOISES = 8, 50, 12, 10
WINDOWS = {"24h": 0.05, "7d": 0.3, "28d": 1.0}
FACTS = ("impression_id", "user_id", "request_id", "shown_at", "label_click")

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Entities:
    """Users with their log odds by topic, posts with author, topic and quality."""

    likes: Floats
    author: Places
    topic: Places
    quality: Floats
    by_author: Floats


def make_log(rows: int, rate: float, seed: int) -> Dataset:
    """A split log of n impressions over thirty days, with a click rate of about `rate`.

    A click follows the user's taste, the qualities of post and author, position and age. Features are
    counts before the log of post, author, user, and user in the topic, drawn from the truth, and noise.
    """
    rng = np.random.default_rng(seed)
    known = _entities(rng, max(rows // A_USER, 50), max(rows // A_POST, 50))
    who, what = rng.integers(0, len(known.likes), rows), rng.integers(0, len(known.quality), rows)
    position, age = rng.integers(1, 11, rows), rng.exponential(48.0, rows)
    base = np.log(rate / (1 - rate)) - 0.4
    taste = known.likes[who, known.topic[what]]
    odds = base + known.quality[what] + taste - 0.25 * np.log(position) - 0.005 * age
    columns = {
        "position": position,
        "post_age_hours": age,
        **_counters(rng, base, known, who, what),
        **{f"noise_{n}": rng.poisson(3.0, rows) for n in range(NOISES)},
    }
    shown = pl.Series(np.sort(rng.integers(0, int(SPAN.total_seconds()), rows))).cast(pl.Int64) * 1_000_000
    facts = {
        "impression_id": np.arange(rows),
        "user_id": [f"u{n}" for n in who],
        "request_id": np.arange(rows) // 10,
        "shown_at": shown.cast(pl.Duration("us")) + START,
        "label_click": (rng.random(rows) < _sigmoid(odds)).astype(np.int32),
    }
    floats = {name: values.astype(np.float32) for name, values in columns.items()}
    split = split_by_time(START, START + SPAN, timedelta(days=1))
    return Dataset.of(pl.DataFrame({**facts, **floats}), tuple(columns), split)


def _entities(rng: np.random.Generator, users: int, posts: int) -> Entities:
    taste, theme = rng.normal(size=(users, INTERESTS)), rng.normal(size=(TOPICS, INTERESTS))
    author, by_author = rng.integers(0, AUTHORS, posts), 0.4 * rng.normal(size=AUTHORS)
    quality = 0.5 * rng.normal(size=posts) + by_author[author]
    likes = 0.8 * taste @ theme.T / INTERESTS**0.5
    return Entities(likes, author, rng.integers(0, TOPICS, posts), quality, by_author)


def _counters(
    rng: np.random.Generator, base: float, known: Entities, who: Places, what: Places
) -> dict[str, Floats]:
    """A tenth of the users are new: nothing is known of them."""
    users, posts = len(known.likes), len(known.quality)
    active = np.where(rng.random(users) < 0.1, 0, rng.poisson(A_USER, users))
    in_topic = np.repeat(active // 6, TOPICS)
    topic = known.topic[what]
    groups = {
        "post": (known.quality, rng.poisson(A_POST, posts), what),
        "author": (known.by_author, np.full(AUTHORS, 5_000), known.author[what]),
        "user": (known.likes.mean(axis=1), active, who),
        "user_topic": (known.likes.ravel(), in_topic, who * TOPICS + topic),
    }
    return {
        f"{group}_{name}": values
        for group, (odds, shown, of_row) in groups.items()
        for name, values in _windows(rng, base + odds, shown, of_row).items()
    }


def _windows(
    rng: np.random.Generator, odds: Floats, shown: Places, of_row: Places
) -> dict[str, NDArray[Any]]:
    """Impressions, clicks and smoothed rates of entities over each window, by row."""
    columns: dict[str, NDArray[Any]] = {}
    for window, share in WINDOWS.items():
        impressions = rng.poisson(shown * share)
        clicks = rng.binomial(impressions, _sigmoid(odds))
        rates = (clicks + 1) / (impressions + 20)
        for name, values in (("impressions", impressions), ("clicks", clicks), ("ctr", rates)):
            columns[f"{name}_{window}"] = values[of_row]
    return columns


def _sigmoid(odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-odds))
