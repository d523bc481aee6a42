"""Logging policies: slates happen as often as their propensities say, and may be evaluated off-policy."""

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from feed_platform.feed import LogPolicy, SimulatorSource
from feed_platform.interactions.batch import Batch
from feed_platform.interactions.simulator import simulate_day, simulated_slates, store_slates
from feed_platform.interactions.simulator.days import world_of
from feed_platform.interactions.simulator.policy import draw_slates, rank, retrieve
from feed_platform.lake import Lake
from feed_platform.settings import Settings

START = date(2026, 3, 1)
DRAWS = 100_000
SMALL = SimulatorSource(seed=3, days=3, users=120, posts_per_day=8, requests_per_day=150)


@pytest.mark.parametrize("chances", [[0.4, 0.3, 0.2, 0.1], [0.97, 0.01, 0.01, 0.01], [0.25] * 4])
def test_orders_follow_their_propensities(chances: list[float]) -> None:
    order, propensity = rank(np.random.default_rng(1), np.tile(chances, (DRAWS, 1)))
    assert np.allclose(propensity[:, -1], 1.0)
    for places in (1, 2, 3):
        _, first, counts = np.unique(order[:, :places], axis=0, return_index=True, return_counts=True)
        _assert_as_often(counts, propensity[first, :places].prod(axis=1))


@pytest.mark.parametrize("policy", ["uniform", "popularity", "softmax"])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_each_position_is_filled_as_the_log_says(policy: LogPolicy, temperature: float) -> None:
    """One person asks again and again in one hour; propensities depend on who stands above."""
    source = SMALL.model_copy(
        update={"policy": policy, "temperature": temperature, "posts_per_day": 2, "interests": 3}
    )
    world, day = world_of(source, START), 1
    posts, asked_at = world.stock(day), np.full(DRAWS, world.midnight(day) + np.timedelta64(750, "m"))
    slates = draw_slates(world, day, posts, np.full(DRAWS, 17), asked_at)
    assert slates.post.shape[1] >= 5
    for places in (1, 2, 3):
        _, first, counts = np.unique(slates.post[:, :places], axis=0, return_index=True, return_counts=True)
        claimed = slates.propensity[first, :places].prod(axis=1)
        assert claimed.sum() == pytest.approx(1.0)
        _assert_as_often(counts, claimed)


def test_retrieval_is_uniform_over_sets_of_eligible_posts() -> None:
    world = world_of(SMALL.model_copy(update={"posts_per_day": 2}), START)
    posts, hour = world.stock(1), np.full(DRAWS, world.midnight(1) + np.timedelta64(6, "h"))
    age = (hour[0] - posts.created_at) / np.timedelta64(1, "h")
    eligible = np.flatnonzero((age > 0) & (age <= 72))
    pool = np.sort(retrieve(np.random.default_rng(2), posts, hour, 3), axis=1)
    sets, counts = np.unique(pool, axis=0, return_counts=True)
    assert set(np.unique(sets)) == set(eligible)
    expected = len(eligible) * (len(eligible) - 1) * (len(eligible) - 2) // 6
    assert len(sets) == expected
    _assert_as_often(counts, np.full(expected, 1 / expected))


def test_a_greedy_policy_keeps_every_propensity_positive() -> None:
    source = SMALL.model_copy(update={"exploration": 0.0, "temperature": 0.001})
    propensity = simulate_day(source, START, 0).impressions["propensity"]  # type: ignore[index]
    assert propensity.is_between(0, 1, closed="right").all()


def test_a_higher_temperature_is_closer_to_uniform() -> None:
    means = [
        simulated_slates(SMALL.model_copy(update={"temperature": t, "exploration": 0.0}), START, 1)
        .candidates["score"]
        .max()
        for t in (0.2, 1.0, 5.0)
    ]
    assert means == sorted(means, reverse=True)


@pytest.mark.parametrize("policy", ["popularity", "softmax"])
def test_the_uniform_policys_clicks_can_be_estimated_from_another_log(policy: LogPolicy) -> None:
    """Inverse propensity scoring at position 1, against the truth of the same world under `uniform`."""
    source = SimulatorSource(days=1, requests_per_day=40_000, candidates=10)
    logged = _first_clicks(simulate_day(source.model_copy(update={"policy": policy}), START, 0))
    truth = _first_clicks(simulate_day(source.model_copy(update={"policy": "uniform"}), START, 0))
    weighted = logged["click_probability"] * 0.1 / logged["propensity"]
    error = np.hypot(weighted.std(), truth["click_probability"].std()) / np.sqrt(len(logged))  # type: ignore[call-overload]
    assert abs(logged["click_probability"].mean() - truth["click_probability"].mean()) > 8 * error  # type: ignore[operator]
    assert abs(weighted.mean() - truth["click_probability"].mean()) < 3.5 * error  # type: ignore[operator]


def test_slates_hold_what_was_shown_and_all_that_it_was_chosen_from() -> None:
    impressions = simulate_day(SMALL, START, 1).impressions
    slates = simulated_slates(SMALL, START, 1)
    assert impressions is not None
    keys = ["request_id", "post_id", "position"]
    shown = slates.candidates.filter(pl.col("rank") <= 10).select(
        "request_id", "post_id", "rank", "propensity"
    )
    assert (
        shown.rename({"rank": "position"})
        .sort(keys)
        .equals(impressions.select("request_id", "post_id", "position", "propensity").sort(keys))
    )
    assert set(slates.requests["request_id"]) == set(impressions["request_id"])
    ranked = slates.candidates.sort("request_id", "rank")
    above = ranked.select((pl.col("score").cum_sum() - pl.col("score")).over("request_id")).to_series()
    last = pl.col("rank").max().over("request_id") == pl.col("rank")
    compared = ranked.with_columns(expected=ranked["score"] / (1 - above)).filter(~last)
    np.testing.assert_allclose(compared["propensity"], compared["expected"], rtol=1e-8)
    sums = ranked.group_by("request_id").agg(pl.col("score").sum())["score"]
    np.testing.assert_allclose(sums, 1.0)


def test_slates_are_stored_once(home: Settings) -> None:
    lake = Lake.of(home)
    slates = simulated_slates(SMALL, START, 1)
    noon, midnight = datetime(2026, 3, 2, 12), datetime(2026, 3, 3)
    morning = int((slates.requests["requested_at"] < noon).sum())
    for until, expected in ((noon, morning), (noon, 0), (midnight, 150 - morning)):
        with lake.write("slates") as con:
            assert store_slates(con, slates, until) == expected
    with lake.read() as con:
        stored = con.sql(
            "select count(*), count(distinct request_id), min(known_at = requested_at), "
            "(select count(*) from serving.candidates semi join serving.requests using (request_id)) "
            "from serving.requests"
        ).fetchone()
    assert stored == (150, 150, True, len(slates.candidates))


def _first_clicks(batch: Batch) -> pl.DataFrame:
    assert batch.impressions is not None
    assert batch.truth is not None
    return batch.impressions.filter(position=1).join(batch.truth, on="impression_id")


def _assert_as_often(counts: np.ndarray, claimed: np.ndarray) -> None:
    expected = DRAWS * claimed
    assert (np.abs(counts - expected) < 4.5 * np.sqrt(expected * (1 - claimed)) + 1).all()
