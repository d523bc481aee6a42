"""oneDAL answers what XGBoost does, or XGBoost answers."""

import sys

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_platform.learning.quick_predict import TOLERANCE, Predict, quick_predict

WIDTH = 7
pytest.importorskip("daal4py", reason="oneDAL is for x86-64 alone")


def counts(rows: int, seed: int) -> np.ndarray:
    """Small counts with gaps: many lie on a tree's threshold, which is where two libraries would part."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 12, (rows, WIDTH)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    return matrix


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    """100 trees on counts, of an event as rare as a click."""
    matrix = counts(5_000, 0)
    odds = np.nan_to_num(matrix) @ np.linspace(-0.3, 0.3, WIDTH) - 3
    label = np.random.default_rng(1).random(len(matrix)) < 1 / (1 + np.exp(-odds))
    data = xgboost.DMatrix(matrix, label=label)
    parameters = {"objective": "binary:logistic", "max_depth": 5, "base_score": 0.07, "max_bin": 16}
    return xgboost.train(parameters, data, 100)


@pytest.fixture(scope="module")
def quick(booster: xgboost.Booster) -> Predict:
    """Its twin."""
    return quick_predict(booster, counts(4, 2))


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 300), seed=st.integers(0, 1_000), is_strided=st.booleans())
def test_answers_as_xgboost(
    booster: xgboost.Booster, quick: Predict, rows: int, seed: int, is_strided: bool
) -> None:
    matrix = counts(rows, seed)
    matrix = np.asfortranarray(matrix) if is_strided else matrix
    expected = booster.inplace_predict(matrix)
    np.testing.assert_allclose(quick(matrix), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("rows", [2, 79, 200, 333, 1_000])
def test_a_row_has_one_score_wherever_it_stands(quick: Predict, rows: int) -> None:
    matrix = counts(rows, 3)
    alone = [quick(matrix[place : place + 1])[0] for place in range(rows)]
    np.testing.assert_array_equal(quick(matrix), alone)


@pytest.mark.parametrize("depth", [0, 1])
def test_takes_trees_without_or_with_one_split(depth: int) -> None:
    """Depth 0: a label that no feature tells anything of leaves roots alone."""
    matrix = np.zeros((50, WIDTH), dtype=np.float32)
    matrix[:, 0] = np.arange(50) % 2 * depth
    label = (np.arange(50) % 4 == 1).astype(float)
    data = xgboost.DMatrix(matrix, label=label, feature_names=[f"a{n}" for n in range(WIDTH)])
    stumps = xgboost.train({"objective": "binary:logistic", "max_depth": 1}, data, 3)
    quick = quick_predict(stumps, matrix[:2])
    assert quick != stumps.inplace_predict
    np.testing.assert_allclose(quick(matrix), stumps.inplace_predict(matrix), rtol=0, atol=TOLERANCE)


def test_the_answer_outlives_the_next_call(quick: Predict) -> None:
    first = quick(counts(50, 4))
    kept = first.copy()
    quick(counts(50, 5))
    np.testing.assert_array_equal(first, kept)


def test_xgboost_predicts_without_onedal(
    booster: xgboost.Booster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from feed_platform.learning import quick_predict as module

    module._onedal.cache_clear()
    monkeypatch.setitem(sys.modules, "daal4py", None)
    predict = quick_predict(booster, counts(4, 2))
    module._onedal.cache_clear()
    np.testing.assert_array_equal(predict(counts(9, 6)), booster.inplace_predict(counts(9, 6)))
    assert "XGBoost does" in caplog.text


def test_xgboost_predicts_what_onedal_gets_wrong(
    booster: xgboost.Booster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feed_platform.learning import quick_predict as module

    monkeypatch.setattr(module, "_by_onedal", lambda _: lambda matrix: np.zeros(len(matrix), dtype="f4"))
    predict = quick_predict(booster, counts(4, 2))
    np.testing.assert_array_equal(predict(counts(9, 6)), booster.inplace_predict(counts(9, 6)))
