"""A training frame with known click probabilities, in the shape that the features give."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from feed_platform.features.builds import record_build
from feed_platform.features.catalogue import feature_names
from feed_platform.features.frame import label_names
from feed_platform.feed import Feed
from feed_platform.lake import Lake
from feed_platform.learning.examples import append_examples
from feed_platform.settings import Settings

START = datetime(2026, 1, 1)
FEED = Feed(start=date(2026, 1, 1))


def synthetic_frame(
    rows: int = 6_000, days: float = 30, rate: float = -1.5, seed: int = 7, feed: Feed = FEED
) -> pl.DataFrame:
    """Impressions in order of time; `truth` is the click probability that made `label_click`.

    The click depends on the user's taste for the topic, the post's rate and the position.
    """
    rng = np.random.default_rng(seed)
    features = {name: _feature(name, rows, rng) for name in feature_names(feed)}
    odds = rate + 12 * (features["post_ctr_28d"] - 0.2) + 8 * (features["user_topic_ctr_28d"] - 0.2)
    truth = 1 / (1 + np.exp(-(odds - 0.4 * (features["position"] - 1))))
    shown = [START + timedelta(seconds=float(s)) for s in np.sort(rng.uniform(0, days * 86_400, rows))]
    facts = {
        "impression_id": [f"i{n}" for n in range(rows)],
        "user_id": [f"u{n}" for n in rng.integers(0, 200, rows)],
        "post_id": [f"p{n}" for n in rng.integers(0, 300, rows)],
        "topic": rng.choice(["art", "news", "sport"], rows),
        "request_id": [f"r{n // 6}" for n in range(rows)],
        "shown_at": shown,
        "as_of": [at.replace(minute=0, second=0, microsecond=0) for at in shown],
        "matured_at": [at + timedelta(hours=26) for at in shown],
        "propensity": np.full(rows, 1.0),
        "policy": ["greedy"] * rows,
    }
    labels = {name: np.zeros(rows, dtype=np.int32) for name in label_names(feed)}
    labels["label_click"] = (rng.random(rows) < truth).astype(np.int32)
    frame = pl.DataFrame({**facts, **labels, **features})
    times = pl.col("shown_at", "as_of", "matured_at").cast(pl.Datetime("us"))
    return frame.with_columns(times, truth=pl.Series(truth))


def fill_lake(settings: Settings, frame: pl.DataFrame, feed: Feed = FEED) -> None:
    """Write the frame's examples, and their truth, into the home's lake."""
    lake = Lake.of(settings)
    append_examples(lake, feed, frame.drop("truth"), 1)
    with lake.write("a build") as con:
        record_build(con, 1, feed.start_at)
    with lake.write("truth") as con:
        known = frame.select("impression_id", click_probability="truth")
        con.register("known", known.to_arrow())
        con.execute("insert into truth.impressions by name from known")


def _feature(name: str, rows: int, rng: np.random.Generator) -> np.ndarray:
    match name.rsplit("_", 2)[-2:]:
        case ["ctr", _]:
            values = rng.beta(2, 8, rows)
        case [_, "1h" | "24h"]:
            values = rng.integers(0, 5, rows)
        case [_, "7d" | "28d"]:
            values = rng.integers(5, 50, rows)
        case ["is", "cold"]:
            values = rng.integers(0, 2, rows)
        case _:
            values = rng.integers(1, 7, rows)
    return values.astype(np.float32)
