"""The simulator: reproducible day by day, honest about its truth and its propensities."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from feed_platform.feed import SimulatorSource
from feed_platform.interactions.batch import Batch
from feed_platform.interactions.simulator import simulate, simulate_day
from feed_platform.interactions.simulator.policy import draw_slates

START = date(2026, 3, 1)
SMALL = SimulatorSource(seed=3, days=3, users=120, posts_per_day=8, requests_per_day=150)
FRAMES = ("users", "posts", "impressions", "engagements", "truth")


@pytest.fixture(scope="module")
def month() -> dict[str, pl.DataFrame]:
    """The default month, one frame per table."""
    return _tables(list(simulate(SimulatorSource(), START)))


def test_any_day_alone_equals_the_day_of_the_whole() -> None:
    for day, batch in enumerate(simulate(SMALL, START)):
        assert _frames(batch).keys() == set(FRAMES)
        alone = _frames(simulate_day(SMALL, START, day))
        assert all(frame.equals(alone[name]) for name, frame in _frames(batch).items())


def test_another_seed_gives_other_rows() -> None:
    other = simulate_day(SMALL.model_copy(update={"seed": 4}), START, 0)
    assert not _frames(other)["impressions"].equals(_frames(simulate_day(SMALL, START, 0))["impressions"])


def test_ids_are_unique_and_refer_to_what_is_known(month: dict[str, pl.DataFrame]) -> None:
    for name, column in (("users", "user_id"), ("posts", "post_id"), ("impressions", "impression_id")):
        assert month[name][column].is_unique().all()
    assert month["engagements"]["engagement_id"].is_unique().all()
    seen = _with_entities(month)
    assert seen.null_count()["joined_at"].item() == seen.null_count()["created_at"].item() == 0
    assert (seen["shown_at"] >= seen["joined_at"]).all()
    assert (seen["shown_at"] > seen["created_at"]).all()
    assert not seen.select("request_id", "post_id").is_duplicated().any()


def test_every_event_lies_within_its_day() -> None:
    for day, batch in enumerate(simulate(SMALL, START)):
        begin = datetime.combine(START, datetime.min.time()) + timedelta(days=day)
        times = {
            "users": "known_at",
            "posts": "known_at",
            "impressions": "shown_at",
            "engagements": "occurred_at",
        }
        for name, column in times.items():
            found = _frames(batch)[name][column]
            assert found.is_between(begin, begin + timedelta(days=1), closed="left").all()


def test_new_users_and_posts_come_every_day(month: dict[str, pl.DataFrame]) -> None:
    for name in ("users", "posts"):
        assert month[name]["known_at"].dt.date().n_unique() == SimulatorSource().days


def test_clicks_happen_as_often_as_the_truth_says(month: dict[str, pl.DataFrame]) -> None:
    bins = (
        _clicked(month)
        .with_columns(bin=pl.col("click_probability").qcut(20, labels=[str(n) for n in range(20)]))
        .group_by("bin")
        .agg(
            pl.len(),
            pl.col("clicked").sum(),
            expected=pl.col("click_probability").sum(),
            spread=(pl.col("click_probability") * (1 - pl.col("click_probability"))).sum().sqrt(),
        )
    )
    deviations = (bins["clicked"] - bins["expected"]) / bins["spread"]
    assert deviations.abs().max() < 4  # type: ignore[operator]


def test_the_default_month_has_a_realistic_signal(month: dict[str, pl.DataFrame]) -> None:
    from sklearn.metrics import roc_auc_score

    clicked = _clicked(month)
    assert 0.08 < clicked["clicked"].mean() < 0.12  # type: ignore[operator]
    assert 0.75 < roc_auc_score(clicked["clicked"], clicked["click_probability"]) < 0.82
    assert len(clicked) == 300_000


def test_slates_follow_their_propensities() -> None:
    chances = np.array([[0.4, 0.3, 0.2, 0.1, 0.0], [0.0, 0.0, 0.1, 0.2, 0.7]])
    hours = np.repeat([0, 1], 100_000)
    chosen, propensity = draw_slates(np.random.default_rng(1), chances, hours)
    assert chosen.shape == (200_000, 3)
    for hour in (0, 1):
        slates, first, counts = np.unique(
            chosen[hours == hour], axis=0, return_index=True, return_counts=True
        )
        claimed = propensity[hours == hour][first].prod(axis=1)
        assert np.isclose(claimed.sum(), 1.0)
        assert (chances[hour, slates] > 0).all()
        assert (np.abs(counts - 100_000 * claimed) < 4.5 * np.sqrt(100_000 * claimed)).all()


def test_a_tiny_source_still_makes_days() -> None:
    tiny = SimulatorSource(days=2, users=1, posts_per_day=1, requests_per_day=2)
    assert all(len(_frames(batch)["impressions"]) > 0 for batch in simulate(tiny, START))


def _frames(batch: Batch) -> dict[str, pl.DataFrame]:
    return {name: frame for name in FRAMES if (frame := batch.table(name)) is not None}


def _tables(batches: list[Batch]) -> dict[str, pl.DataFrame]:
    return {name: pl.concat([_frames(batch)[name] for batch in batches]) for name in FRAMES}


def _with_entities(month: dict[str, pl.DataFrame]) -> pl.DataFrame:
    users = month["users"].select("user_id", joined_at="known_at")
    posts = month["posts"].select("post_id", "created_at")
    return month["impressions"].join(users, on="user_id", how="left").join(posts, on="post_id", how="left")


def _clicked(month: dict[str, pl.DataFrame]) -> pl.DataFrame:
    clicks = month["engagements"].filter(event_type="click").select("impression_id", clicked=1)
    joined = month["truth"].join(clicks, on="impression_id", how="left")
    return joined.with_columns(pl.col("clicked").fill_null(0))
