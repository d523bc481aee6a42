"""Bit vectors answer what XGBoost does, or XGBoost answers."""

from collections.abc import Callable

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_platform.learning import bit_vectors
from feed_platform.learning import quick_predict as module
from feed_platform.learning.bit_vectors import WORD
from feed_platform.learning.quick_predict import TOLERANCE, Predict, compile_now, quick_predict

WIDTH = 7
GROUPS = [[0, 1], [5], [2, 3]]
Matrix = np.ndarray


def counts(rows: int, seed: int) -> Matrix:
    """Small counts with gaps: many lie on a tree's threshold, which is where two readings would part."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 12, (rows, WIDTH)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.2] = np.nan
    return matrix


def one_person(rows: int, seed: int) -> Matrix:
    """As a request's rows: the first columns are the same in all of them, and column 4."""
    matrix = counts(rows, seed)
    matrix[:, [0, 1, 4]] = matrix[0, [0, 1, 4]]
    return matrix


def fitted(matrix: Matrix, rounds: int, **parameters: object) -> xgboost.Booster:
    odds = np.nan_to_num(matrix) @ np.linspace(-0.3, 0.3, WIDTH) - 3
    label = np.random.default_rng(1).random(len(matrix)) < 1 / (1 + np.exp(-odds))
    told = {"objective": "binary:logistic", "base_score": 0.07, "max_bin": 16, **parameters}
    return xgboost.train(told, xgboost.DMatrix(matrix, label=label), rounds)


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    """101 trees on counts, of an event as rare as a click."""
    return fitted(counts(5_000, 0), 101, max_depth=5)


@pytest.fixture(scope="module")
def quick(booster: xgboost.Booster) -> Predict:
    """Its twin; columns 4 and 6 are in no group."""
    return quick_predict(booster, counts(4, 2), GROUPS)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.integers(1, 300),
    seed=st.integers(0, 1_000),
    make=st.sampled_from([counts, one_person]),
    is_strided=st.booleans(),
)
def test_answers_as_xgboost(
    booster: xgboost.Booster,
    quick: Predict,
    rows: int,
    seed: int,
    make: Callable[[int, int], Matrix],
    is_strided: bool,
) -> None:
    matrix = make(rows, seed)
    matrix = np.asfortranarray(matrix) if is_strided else matrix
    expected = booster.inplace_predict(matrix)
    np.testing.assert_allclose(quick(matrix), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("rows", [2, 79, 200, 333, 1_000])
def test_a_row_has_one_score_wherever_it_stands(quick: Predict, rows: int) -> None:
    matrix = counts(rows, 3)
    alone = [quick(matrix[place : place + 1])[0] for place in range(rows)]
    np.testing.assert_array_equal(quick(matrix), alone)
    np.testing.assert_array_equal(quick(matrix[::-1])[::-1], alone)


def test_what_is_remembered_is_forgotten_when_it_is_too_much(
    booster: xgboost.Booster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight values a group, and calls of more rows than that."""
    monkeypatch.setattr(bit_vectors, "MOST_REMEMBERED", 8)
    quick = quick_predict(booster, counts(4, 2), GROUPS)
    for seed, rows in enumerate((5, 3, 8, 9, 50)):
        matrix = counts(rows, seed)
        expected = booster.inplace_predict(matrix)
        np.testing.assert_allclose(quick(matrix), expected, rtol=0, atol=TOLERANCE)


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


@pytest.mark.parametrize("leaves", [WORD, 2 * WORD, 200])
def test_takes_trees_that_fill_words(leaves: int) -> None:
    """Random labels: there is always one more split."""
    rng = np.random.default_rng(0)
    matrix = rng.random((20_000, WIDTH), dtype=np.float32)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    data = xgboost.DMatrix(matrix, label=rng.random(len(matrix)) < 0.5)
    told = {"objective": "binary:logistic", "grow_policy": "lossguide", "max_depth": 0, "max_leaves": leaves}
    booster = xgboost.train(told, data, 20)
    assert max(tree.count("leaf") for tree in booster.get_dump()) == leaves
    quick = quick_predict(booster, matrix[:4], GROUPS)
    assert quick != booster.inplace_predict
    expected = booster.inplace_predict(matrix[:500])
    np.testing.assert_allclose(quick(matrix[:500]), expected, rtol=0, atol=TOLERANCE)


def test_the_answer_outlives_the_next_call(quick: Predict) -> None:
    first = quick(counts(50, 4))
    kept = first.copy()
    quick(counts(50, 5))
    np.testing.assert_array_equal(first, kept)


def test_no_matrix_makes_numba_compile_again(quick: Predict) -> None:
    """It takes seconds, in which a replica would answer nobody."""
    from feed_platform.learning.bit_kernels import probabilities

    compile_now()
    quick(counts(3, 1))
    assert len(probabilities.signatures) == 1
    frozen = counts(3, 1)
    frozen.flags.writeable = False
    for matrix in (frozen, counts(3, 1).astype(float), counts(9, 1)[::3], np.asfortranarray(counts(3, 1))):
        quick(matrix)
    assert len(probabilities.signatures) == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"objective": "reg:squarederror", "base_score": 0.5},
        {"booster": "dart"},
    ],
    ids=["another objective", "another booster"],
)
def test_xgboost_predicts_what_bit_vectors_cannot(
    parameters: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    booster = fitted(counts(3_000, 0), 5, **parameters)
    predict = quick_predict(booster, counts(4, 2), GROUPS)
    np.testing.assert_array_equal(predict(counts(9, 6)), booster.inplace_predict(counts(9, 6)))
    assert "XGBoost predicts" in caplog.text


def test_xgboost_predicts_what_would_take_too_much_memory(
    booster: xgboost.Booster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bit_vectors, "MOST_LINES", 1_000)
    assert quick_predict(booster, counts(4, 2)) == booster.inplace_predict
    assert "splits would take" in caplog.text


def test_another_number_of_features_is_refused(quick: Predict) -> None:
    with pytest.raises(ValueError, match="7 features, not 6"):
        quick(counts(3, 1)[:, :6])


def test_xgboost_predicts_what_bit_vectors_get_wrong(
    booster: xgboost.Booster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_by_bit_vectors", lambda *_: lambda matrix: np.zeros(len(matrix), "f4"))
    predict = quick_predict(booster, counts(4, 2))
    np.testing.assert_array_equal(predict(counts(9, 6)), booster.inplace_predict(counts(9, 6)))
