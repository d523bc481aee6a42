"""The direct C call answers what XGBoost's own Python does."""

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_platform.learning.dense_predict import dense_predict

WIDTH = 7


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    """40 trees on rows with gaps."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, WIDTH)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    label = rng.random(500) < 0.3
    data = xgboost.DMatrix(rows, label=label)
    return xgboost.train({"objective": "binary:logistic", "max_depth": 5}, data, 40)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 300), seed=st.integers(0, 1_000), is_strided=st.booleans())
def test_equals_inplace_predict(booster: xgboost.Booster, rows: int, seed: int, is_strided: bool) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, WIDTH)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    matrix = np.asfortranarray(matrix) if is_strided else matrix
    np.testing.assert_array_equal(dense_predict(booster, matrix), booster.inplace_predict(matrix))


def test_the_answer_outlives_the_next_call(booster: xgboost.Booster) -> None:
    rows = np.random.default_rng(1).normal(size=(50, WIDTH)).astype(np.float32)
    first = dense_predict(booster, rows)
    kept = first.copy()
    dense_predict(booster, -rows)
    np.testing.assert_array_equal(first, kept)


def test_refuses_another_width(booster: xgboost.Booster) -> None:
    with pytest.raises(xgboost.core.XGBoostError, match="feature"):
        dense_predict(booster, np.zeros((2, WIDTH + 1), dtype=np.float32))
