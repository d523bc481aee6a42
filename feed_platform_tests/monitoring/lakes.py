"""A small lake with training examples, recent impressions and logged requests."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from feed_platform.features.catalogue import GROUPS, feature_names, stored_names
from feed_platform.features.on_demand import category_codes
from feed_platform.feed import Attributes, Feed, save_feed
from feed_platform.lake import Lake
from feed_platform.learning.bundle import Bundle, Head
from feed_platform.learning.calibration import Identity
from feed_platform.learning.scorers import Popularity
from feed_platform.learning.splits import Window
from feed_platform.monitoring.windows import Reference
from feed_platform.settings import Settings
from feed_platform_tests.learning.synthetic import fill_lake, synthetic_frame

FEED = Feed(start=date(2026, 1, 1), attributes=Attributes(users={"country": "category"}))
TRAINED = Window(datetime(2026, 1, 1), datetime(2026, 1, 19))
TODAY = datetime(2026, 1, 31)
COUNTRIES = ["de", "fr", "pt", None]
USERS = [f"u{n}" for n in range(200)]
STORED = [name for group in GROUPS for name in stored_names(group, FEED)]
FACTS = ["impression_id", "user_id", "post_id", "position", "shown_at"]


def reference() -> Reference:
    """A champion that was fitted to the first 18 of 30 days."""
    names = feature_names(FEED)
    counters = names.index("post_clicks_28d"), names.index("post_impressions_28d")
    bundle = Bundle.build(
        kind="popularity",
        features=names,
        heads=(Head("click", 1.0, Popularity(*counters, 0.2, 20.0), Identity()),),
        lake_version=1,
        reference={},
        rows=np.zeros((1, len(names)), dtype=np.float32),
    )
    return Reference("3", TRAINED, bundle)


def add_examples(settings: Settings, rows: int = 5_000) -> None:
    """Thirty days of training examples of users whose country is known."""
    save_feed(settings, FEED)
    with Lake.of(settings).write("users") as con:
        con.execute("alter table raw.users add column country varchar")
        con.register("users", pl.DataFrame({"user_id": USERS, "country": _countries(USERS)}).to_arrow())
        con.execute("insert into raw.users by name select *, timestamp '2026-01-01' as known_at from users")
    fill_lake(settings, _frame(rows, days=30, seed=7), FEED)


def add_impressions(
    settings: Settings, rows: int, add: dict[str, float] | None = None, seed: int = 8
) -> None:
    """Impressions of one day, `TODAY`, like the examples but for what is added to some features."""
    frame = _frame(rows, days=1, seed=seed).with_columns(
        pl.lit(TODAY.date()).alias("known_day"),
        pl.col("shown_at").add(TODAY - datetime(2026, 1, 1)),
        *(pl.col(name) + more for name, more in (add or {}).items()),
    )
    age = pl.duration(hours=pl.col("post_age_hours"))
    frame = frame.with_columns(
        decided_at=pl.col("shown_at"), attributes_at=pl.col("shown_at"), created_at=pl.col("shown_at") - age
    )
    columns = [*FACTS, "known_day", "decided_at", "attributes_at", "created_at", *STORED]
    with Lake.of(settings).write("impressions") as con:
        con.register("frame", frame.select(columns).to_arrow())
        con.execute("create table if not exists marts.impression_features as from frame limit 0")
        con.execute("insert into marts.impression_features by name from frame")


def add_requests(settings: Settings, days_ago: int, requests: int, higher: float = 0.0) -> None:
    """Requests of one day with 10 candidates each, scored by version 3 of the model."""
    at = TODAY - timedelta(days=days_ago)
    rng = np.random.default_rng(days_ago)
    ids = [f"{at:%d}-{n}" for n in range(requests) for _ in range(10)]
    candidates = pl.DataFrame(
        {
            "request_id": ids,
            "post_id": [f"p{n % 10}" for n in range(len(ids))],
            "score": rng.beta(2, 8, len(ids)) + higher,
        }
    )
    with Lake.of(settings).write("requests") as con:
        con.register("candidates", candidates.to_arrow())
        con.execute("insert into serving.candidates by name from candidates")
        con.execute(
            "insert into serving.requests by name select distinct request_id, ? as requested_at, "
            "'3' as model_version, 'champion' as served_by from candidates",
            [at],
        )


def _frame(rows: int, days: float, seed: int) -> pl.DataFrame:
    frame = synthetic_frame(rows, days=days, seed=seed, feed=FEED)
    return frame.with_columns(
        pl.Series("user_attr_country", category_codes(_countries(frame["user_id"].to_list()))),
        pl.format("{}-{}", "impression_id", pl.lit(seed)).alias("impression_id"),
    )


def _countries(user_ids: list[str]) -> list[str | None]:
    return [COUNTRIES[int(user_id[1:]) % len(COUNTRIES)] for user_id in user_ids]
