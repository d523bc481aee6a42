"""What rows can show is said before a training, from all of them but the test's features."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from feed_platform.features.catalogue import feature_names
from feed_platform.feed import Objective
from feed_platform.learning.dataset import Dataset
from feed_platform.learning.feasibility import _error, feasibility
from feed_platform.learning.splits import split_by_time
from feed_platform_tests.learning.synthetic import FEED, START, synthetic_frame


def data(rows: int) -> Dataset:
    frame = synthetic_frame(rows)
    split = split_by_time(START, frame["shown_at"][-1], timedelta(days=1))
    return Dataset.of(frame, feature_names(FEED), split)


def test_more_rows_show_smaller_differences_and_rare_events_are_named() -> None:
    two = FEED.model_copy(update={"objectives": (Objective(event="click"), Objective(event="like"))})
    few, many = (feasibility(data(rows), two) for rows in (2_000, 8_000))
    assert [one.objective for one in many.detectable] == ["click"]
    assert many.detectable[0].rate < 0.7 * few.detectable[0].rate
    assert sum(one.events for one in many.rates if one.objective == "like") == 0
    assert "have a like" in many.obstacles[0]
    assert set(many.coverage.values()) == {1.0}


def test_a_log_without_request_ids_has_no_requests() -> None:
    known = data(2_000)
    frame = known.source.frame.with_columns(request_id=pl.lit(None, pl.String))  # type: ignore[attr-defined]
    nameless = feasibility(Dataset.of(frame, known.features, known.split), FEED)
    assert (nameless.requests, nameless.users) == (0, feasibility(known, FEED).users)


def test_the_error_of_a_mean_counts_users_not_rows() -> None:
    values = np.repeat(np.random.default_rng(1).normal(size=400), 5)
    user = np.repeat(np.arange(400), 5)
    alone = _error(values, np.arange(2_000))
    assert _error(values, user) == pytest.approx(np.sqrt(5) * alone)
    assert alone == pytest.approx(values.std() / np.sqrt(2_000))
