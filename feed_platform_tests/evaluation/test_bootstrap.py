"""Intervals: wider where users repeat themselves, narrow for paired differences."""

import numpy as np
import pytest

from feed_platform.evaluation.bootstrap import Scored, difference, headroom, interval, resample

RNG = np.random.default_rng(11)
USERS = np.repeat(np.arange(100), 20)
TRUTH = np.clip(RNG.beta(2, 6, 100), 0.02, 0.9)[USERS]
LABEL = (RNG.random(2_000) < TRUTH).astype(np.int64)
NO_REQUEST = np.full(2_000, -1)


def scored(probability: np.ndarray) -> Scored:
    return Scored(LABEL, probability, 0.5, NO_REQUEST)


def width(measure: object) -> float:
    return measure.high - measure.low  # type: ignore[attr-defined]


def test_resampling_users_is_wider_than_resampling_rows() -> None:
    rate = np.full(2_000, 0.25)
    by_user, by_row = resample(scored(rate), USERS), resample(scored(rate), np.arange(2_000))
    assert width(by_user.measure("log_loss")) > 1.5 * width(by_row.measure("log_loss"))


def test_paired_differences_are_narrower_than_either_model() -> None:
    ours, theirs = resample(scored(TRUTH), USERS), resample(scored(np.full(2_000, LABEL.mean())), USERS)
    gap = difference(ours, theirs, "log_loss")
    assert gap.value == pytest.approx(ours.values["log_loss"] - theirs.values["log_loss"])
    assert gap.is_clear
    assert gap.high < 0
    assert width(gap) < width(ours.measure("log_loss"))
    same = difference(ours, resample(scored(TRUTH), USERS), "log_loss")
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert not same.is_clear


def test_headroom_is_none_at_the_floor_and_all_at_the_ceiling() -> None:
    floor, ceiling = resample(scored(np.full(2_000, 0.25)), USERS), resample(scored(TRUTH), USERS)
    assert headroom(floor, floor, ceiling, "log_loss").value == 0
    assert headroom(ceiling, floor, ceiling, "log_loss").value == 1


def test_requests_are_counted_for_ndcg_and_absent_without() -> None:
    with_requests = Scored(LABEL, TRUTH, 0.5, np.arange(2_000) // 8, TRUTH)
    found = resample(with_requests, USERS)
    assert 0 < found.n["ndcg_at_10"] < 250
    assert "ndcg_at_10" not in resample(scored(TRUTH), USERS).values


def test_an_undefined_metric_has_no_interval() -> None:
    assert np.isnan(interval(0.5, np.full(200, np.nan), 10).low)
