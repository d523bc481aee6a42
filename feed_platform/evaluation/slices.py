"""Parts of the test rows where a model may be worse than it looks on all of them."""

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.feed import FeedError, SliceFloor

TOPICS = 8
NEW_POST_HOURS = 24
BANDS = {
    "position 1": (1, 1),
    "positions 2-3": (2, 3),
    "positions 4-10": (4, 10),
    "positions 11+": (11, None),
}

Mask = NDArray[np.bool_]


def slices(frame: pl.DataFrame) -> dict[str, Mask]:
    """Name to rows, (n,) each: users and posts without history, bands of positions, the largest topics.

    Slices without a row are left out.
    """
    rules = {
        "new users (not seen in 7 days)": pl.col("user_impressions_7d") == 0,
        "known users": pl.col("user_impressions_7d") > 0,
        f"new posts (under {NEW_POST_HOURS} hours old)": pl.col("post_age_hours") < NEW_POST_HOURS,
        "posts not shown before (in 7 days)": pl.col("post_impressions_7d") == 0,
        **{name: _band(*bounds) for name, bounds in BANDS.items()},
        **{f"topic {topic}": pl.col("topic") == topic for topic in _largest_topics(frame)},
        **_surfaces(frame),
    }
    masks = frame.select(rule.fill_null(False).alias(name) for name, rule in rules.items())
    return {name: mask.to_numpy() for name, mask in masks.to_dict().items() if mask.any()}


def declared(frame: pl.DataFrame, floors: Iterable[SliceFloor]) -> dict[str, Mask]:
    """Name to rows, (n,) each, of the slices that `feed.toml` declares.

    Raises:
        FeedError: a condition can't be evaluated; names the slice.
    """
    return {one.name: _where(frame, one) for one in floors}


def _where(frame: pl.DataFrame, one: SliceFloor) -> Mask:
    try:
        chosen = frame.select(pl.sql_expr(one.where).fill_null(False).alias("in"))["in"]
        if chosen.dtype != pl.Boolean or len(chosen) != len(frame):
            raise ValueError("it is no condition on a row")
    except Exception as error:  # polars has many kinds for what a person may write
        first = str(error).strip().splitlines()[0]
        raise FeedError(
            f"feed.toml: promotion.slices {one.name!r}: where = {one.where!r}: {first}; it is a "
            "condition in SQL over the columns of training.examples"
        ) from error
    return chosen.to_numpy()


def _band(low: int, high: int | None) -> pl.Expr:
    position = pl.col("position").fill_nan(None)
    return position >= low if high is None else position.is_between(low, high)


def _largest_topics(frame: pl.DataFrame) -> list[str]:
    topics = frame.drop_nulls("topic").group_by("topic").len().sort("len", "topic", descending=[True, False])
    return topics["topic"].head(TOPICS).to_list()


def _surfaces(frame: pl.DataFrame) -> dict[str, pl.Expr]:
    names: list[str] = []
    if "surface" in frame.columns:
        names = frame["surface"].drop_nulls().unique().sort().to_list()
    return {f"surface {name}": pl.col("surface") == name for name in names}
