"""The features with Polars, a group after the other, from the native file's raw tables to Parquet."""

from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from benchmarks.features.clock import timed
from benchmarks.features.shape import GROUPS, MEASURES, PRIOR_IMPRESSIONS, PRIOR_WINDOW, WINDOWS

HOUR = pl.col("known_at").dt.epoch("us") // 3_600_000_000
AS_OF = (pl.col("known_at").dt.epoch("us") - 600_000_000) // 3_600_000_000
SUMS = {
    "impressions": (pl.col("kind") == "impression").sum(),
    "clicks": (pl.col("kind") == "click").sum(),
    "dwell_ms": pl.col("value").sum(),
}


def by_polars(folder: Path) -> dict[str, Any]:
    """Seconds from the raw tables in memory to `polars.parquet`."""
    with duckdb.connect(folder / "native.duckdb", read_only=True) as con:
        posts = con.execute("select post_id, author_id, topic, known_at from posts").pl()
        shown = con.execute("select impression_id, user_id, post_id, known_at from impressions").pl()
        engaged = con.execute("select user_id, post_id, known_at, event_type, value from engagements").pl()
    with timed() as figures:
        write_features(folder / "polars.parquet", posts, shown, engaged)
    return figures


def write_features(target: Path, posts: pl.DataFrame, shown: pl.DataFrame, engaged: pl.DataFrame) -> None:
    """The wide table from the raw ones."""
    spine = keyed(shown, posts).with_columns(hour=AS_OF)
    events = keyed(
        pl.concat(
            [
                shown.drop("impression_id").with_columns(
                    kind=pl.lit("impression"), value=pl.lit(None, pl.Float64)
                ),
                engaged.rename({"event_type": "kind"}).select(
                    "user_id", "post_id", "known_at", "kind", "value"
                ),
            ]
        ),
        posts,
    ).with_columns(hour=HOUR)
    with_features(spine, events).write_parquet(target)


def keyed(events: pl.DataFrame, posts: pl.DataFrame) -> pl.DataFrame:
    """Events with a 64-bit key of every group, by the post's version known at the time."""
    versions = posts.sort("known_at")
    joined = events.sort("known_at").join_asof(versions, on="known_at", by="post_id", check_sortedness=False)
    key = {
        name: pl.col(f"{name}_id" if name != "topic" else name).hash()
        for name in ("user", "post", "author", "topic")
    }
    return joined.select(
        pl.exclude("user_id", "post_id", "author_id", "topic"),
        global_key=pl.lit(1, pl.UInt64),
        **{f"{name}_key": expression for name, expression in key.items()},
        user_topic_key=pl.struct("user_id", "topic").hash(),
        user_author_key=pl.struct("user_id", "author_id").hash(),
    )


def with_features(spine: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """The spine with every group's features."""
    prior = window_sums("global", {PRIOR_WINDOW: WINDOWS[PRIOR_WINDOW]}, spine, events).select(
        "hour",
        rate=(pl.col(f"clicks_{PRIOR_WINDOW}") + 1)
        / (pl.col(f"impressions_{PRIOR_WINDOW}") + PRIOR_IMPRESSIONS),
    )
    wide = spine
    for group in GROUPS:
        sums = window_sums(group, WINDOWS, spine, events).join(prior, on="hour", how="left")
        features = sums.select(
            f"{group}_key",
            "hour",
            *(pl.col(f"{m}_{w}").alias(f"{group}_{m}_{w}") for w, m in product(WINDOWS, MEASURES)),
            *(smoothed(window).alias(f"{group}_ctr_{window}") for window in WINDOWS),
        )
        wide = wide.join(features, on=[f"{group}_key", "hour"], how="left").drop(f"{group}_key")
    return wide


def smoothed(window: str) -> pl.Expr:
    """The click rate, drawn to the global one."""
    weighted = pl.col(f"clicks_{window}") + PRIOR_IMPRESSIONS * pl.col("rate")
    return (weighted / (pl.col(f"impressions_{window}") + PRIOR_IMPRESSIONS)).cast(pl.Float32)


def window_sums(
    group: str, windows: dict[str, int], spine: pl.DataFrame, events: pl.DataFrame
) -> pl.DataFrame:
    """The sums before each hour that an impression needs; Polars rolls over sorted hours of a key."""
    key = f"{group}_key"
    sums = events.group_by(key, "hour").agg(**SUMS)
    wanted = spine.select(key, "hour").unique()
    timeline = (
        pl.concat([sums, wanted], how="diagonal")
        .group_by(key, "hour")
        .agg(pl.col(MEASURES).sum())
        .sort(key, "hour")
    )
    found = wanted
    for window, hours in windows.items():
        rolled = timeline.rolling("hour", period=f"{hours}i", closed="left", group_by=key).agg(
            *(pl.col(measure).sum().cast(pl.Int64).alias(f"{measure}_{window}") for measure in MEASURES)
        )
        found = found.join(rolled, on=[key, "hour"], how="left")
    return found
