"""A simulated world of a given density, from raw rows to the product's training table."""

import json
import os
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from benchmarks.headroom import IMPRESSIONS_PER_POST
from feed_platform.features.builds import record_build
from feed_platform.features.invocation import dbt_environment, dbt_vars, environment
from feed_platform.feed import Feed, SimulatorSource, save_feed
from feed_platform.home import prepare_home
from feed_platform.interactions.simulator import SIMULATOR_ATTRIBUTES
from feed_platform.interactions.sources import ingest_sources
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.lake.seal import DAY, move_seal, seal
from feed_platform.learning.dataset import Dataset, load_dataset
from feed_platform.learning.examples import write_examples
from feed_platform.settings import Settings

DAYS, POSITIONS = 30, 10
FEED = Feed(start=date(2026, 3, 1), clock="log", attributes=SIMULATOR_ATTRIBUTES, name="world")
MODELS = ("--select", "+impression_features", "+labels", "--resource-type", "model", "--quiet")


def dataset(
    home: Path, rows: int, density: float, seed: int, per_post: float = IMPRESSIONS_PER_POST
) -> tuple[Dataset, np.ndarray]:
    """A world's training table and the true click probabilities of the test rows.

    Args:
        rows: its impressions.
        density: impressions a user.
        per_post: impressions a post, on average.
    """
    settings = Settings(home=home)
    prepare_home(settings)
    source = SimulatorSource(
        seed=seed,
        days=DAYS,
        users=max(1, round(rows / density)),
        posts_per_day=max(1, round(rows / DAYS / per_post)),
        requests_per_day=max(1, round(rows / DAYS / POSITIONS)),
        positions=POSITIONS,
        interests=8,
        click_rate=0.037,
        slates=False,
    )
    feed = FEED.model_copy(update={"sources": (source,)})
    save_feed(settings, feed)
    lake, end = Lake.of(settings), feed.start_at + DAYS * DAY
    ingest_sources(settings, lake, feed, feed.start_at, end + DAY)
    _build(settings, lake, feed)
    write_examples(lake, feed, feed.start_at, end + DAY)
    data = load_dataset(lake, feed)
    with lake.read() as con:
        con.register("test", data.test.frame.select("impression_id").with_row_index("place"))
        truth = con.execute(
            "select click_probability from test join truth.impressions using (impression_id) order by place"
        ).pl()
    assert len(truth) == len(data.test)
    return data, truth["click_probability"].to_numpy()


def _build(settings: Settings, lake: Lake, feed: Feed) -> None:
    with lake.write("sealed") as con:
        sealed_until = move_seal(con, feed)
    run_vars = json.dumps(dbt_vars(feed, feed.start_at, sealed_until + DAY, sealed_until))
    with environment(dbt_environment(settings)), Path(os.devnull).open("w") as quiet, redirect_stdout(quiet):
        built = dbtRunner().invoke(["build", "--vars", run_vars, *MODELS])
        DuckDBConnectionManager.close_all_connections()  # ends what a dbt process would: the writer lock too
    assert built.success, built.exception
    with lake.write("built") as con:
        record_build(con, version_of(con), seal(con, feed))


def counters(names: tuple[str, ...]) -> list[str]:
    """The plain reference's features among the catalogue's: counters, smoothed rates, ages, position."""
    groups = ("user", "post", "author", "topic", "user_topic", "user_author")
    stored = [
        f"{group}_{measure}_{window}"
        for group in groups
        for window in ("24h", "7d", "28d")
        for measure in ("impressions", "clicks", "dwell_ms", "ctr")
    ]
    return [*stored, *(name for name in names if "age" in name or name == "position")]


def before_test(data: Dataset) -> pl.DataFrame:
    """All rows of which a model may know when the test part begins."""
    return pl.concat([data.train.frame, data.validation.frame, data.calibration.frame])
