"""Cold starts among the training rows: which rows, of which features, and nowhere else."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_platform.features.catalogue import feature_names
from feed_platform.learning import spool
from feed_platform.learning.cold import Cold, with_cold
from feed_platform.learning.dataset import Dataset, Part
from feed_platform.learning.models import fit_all, fit_head
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.splits import split_by_time
from feed_platform_tests.learning.synthetic import FEED, synthetic_frame

FRAME = synthetic_frame(2_000)
NAMES = feature_names(FEED)
SHARE = 0.3


def matrix_of(cold: Cold) -> np.ndarray:
    return np.concatenate(list(cold.batches()))


def test_rows_are_repeated_with_their_label_and_position_in_place() -> None:
    part = Part.of(FRAME, NAMES)
    cold = Cold(part, FEED, SHARE, 7)
    matrix, label = matrix_of(cold), cold.label("click")
    repeated = np.flatnonzero((np.diff(matrix[:, NAMES.index("position")]) == 0) & (np.diff(label) == 0))
    added = len(matrix) - len(part)
    assert len(matrix) == len(label) and abs(added / len(part) - SHARE) < 0.03 and len(repeated) >= added
    is_copy = np.isnan(matrix[:, NAMES.index("post_age_hours")])
    assert abs(is_copy.sum() / added - 0.75) < 0.05
    places = np.flatnonzero(is_copy)
    kept = [NAMES.index(name) for name in ("position", "hour_of_day", "day_of_week")]
    assert np.array_equal(matrix[places][:, kept], matrix[places - 1][:, kept])
    assert np.array_equal(label[places], label[places - 1])
    assert set(matrix[places, NAMES.index("post_is_cold")]) == {1.0}
    assert not matrix[places][:, NAMES.index("user_topic_impressions_28d")].any()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=12, unique=True))
def test_features_are_known_by_name_and_any_may_be_left_out(names: list[str]) -> None:
    whole = matrix_of(Cold(Part.of(FRAME, NAMES), FEED, SHARE, 7))
    few = matrix_of(Cold(Part.of(FRAME, tuple(names)), FEED, SHARE, 7))
    assert np.array_equal(few, whole[:, [NAMES.index(name) for name in names]], equal_nan=True)


def test_columns_that_the_rows_lack_and_features_of_another_feed_do_no_harm() -> None:
    names = ("position", "post_age_hours", "gone")
    frame = FRAME.select("impression_id", "as_of", "shown_at", "position", "post_age_hours", gone=pl.lit(3.0))
    matrix = matrix_of(Cold(Part.of(frame, names), FEED, 1.0, 7, (("post",),)))
    assert np.isnan(matrix[1::2, 1]).all() and (matrix[:, 2] == 3).all()
    without_prior = Part.of(frame.with_columns(post_ctr_28d=pl.lit(0.1)), ("post_ctr_28d", "post_age_hours"))
    assert len(matrix_of(Cold(without_prior, FEED, 1.0, 7))) == len(frame)


def test_which_rows_depends_on_id_share_and_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part.of(FRAME, NAMES)
    first = matrix_of(Cold(part, FEED, SHARE, 7))
    monkeypatch.setattr(spool, "READ_BYTES", 10_000)
    assert np.array_equal(first, matrix_of(Cold(part, FEED, SHARE, 7)), equal_nan=True)
    assert len(matrix_of(Cold(part, FEED, 0.5, 7))) > len(first)
    assert not np.array_equal(first[:500], matrix_of(Cold(part, FEED, SHARE, 8))[:500], equal_nan=True)
    assert with_cold(part, FEED, RankerConfig(cold_share=0)) is part


def test_stopping_calibration_and_evaluation_see_the_rows_as_they_are() -> None:
    gap = FRAME["matured_at"][0] - FRAME["shown_at"][0]
    split = split_by_time(FRAME["shown_at"][0], FRAME["shown_at"][-1], gap)
    data = Dataset.of(FRAME, NAMES, split)
    before = {name: (part.matrix, part.label("click")) for name, part in data.parts().items()}
    config = RankerConfig(rounds=5, cold_share=SHARE)
    trained = fit_all(data, FEED, config)
    assert trained.losses.keys() == trained.bundles.keys()
    for name, part in data.parts().items():
        assert np.array_equal(np.concatenate(list(part.batches())), before[name][0], equal_nan=True)
        assert np.array_equal(part.label("click"), before[name][1])
    cold, warm = (
        fit_head(data, FEED.objectives[0], FEED, config.model_copy(update={"cold_share": share}))
        for share in (SHARE, 0)
    )
    assert cold.scorer.dumps() == trained.bundles["xgboost"].heads[0].scorer.dumps() != warm.scorer.dumps()
