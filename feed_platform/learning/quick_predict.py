"""A booster's predictions as a server wants them: soon, for people and posts that come again.

Numba compiles what reads the trees; what it can't take, or answers otherwise, XGBoost predicts.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from feed_platform.learning.bit_vectors import NO_TREES, Trees, memory_of, trees_of

if TYPE_CHECKING:
    import xgboost

TOLERANCE = 1e-6

Matrix = NDArray[np.float32]
Predict = Callable[[Matrix], Matrix]
log = logging.getLogger(__name__)


def compile_now() -> None:
    """Have Numba compile while nobody waits: it takes seconds, in which other threads stand still."""
    try:
        _by_bit_vectors(NO_TREES)(np.zeros((1, 1), dtype=np.float32))
    except Exception as error:
        log.warning("Numba can't compile what reads trees, XGBoost predicts: %s", error)


def quick_predict(booster: "xgboost.Booster", rows: Matrix, groups: Sequence[Sequence[int]] = ()) -> Predict:
    """What gives a booster's probabilities (n,) for a (n, features) matrix, missing NaN, soonest.

    Args:
        booster: of the objective `binary:logistic`.
        rows: these (n, features), and one of which nothing is known, must be answered as XGBoost does.
        groups: columns whose values come again together, first those that differ least from row to row.
    """
    try:
        quick = _by_bit_vectors(trees_of(booster), groups)
        proof = np.vstack([rows, np.full_like(rows[:1], np.nan)])
        is_same = np.allclose(booster.inplace_predict(proof), quick(proof), rtol=0, atol=TOLERANCE)
    except Exception as error:
        log.warning("the trees can't be read as bit vectors, XGBoost predicts: %s", error)
        return booster.inplace_predict
    if not is_same:
        log.warning("bit vectors answer otherwise than XGBoost, which predicts")
        return booster.inplace_predict
    return quick


def _by_bit_vectors(trees: Trees, groups: Sequence[Sequence[int]] = ()) -> Predict:
    from feed_platform.learning.bit_kernels import probabilities

    memory, lock = memory_of(trees, groups), threading.Lock()
    width, most = len(trees.first_cut) - 1, memory.words.shape[1]

    def predict(matrix: Matrix) -> Matrix:
        if matrix.shape[1] != width:
            raise ValueError(f"the trees are of {width} features, not {matrix.shape[1]}")
        if not matrix.flags.carray or matrix.dtype != np.float32:  # else Numba would compile all anew
            matrix = np.array(matrix, dtype=np.float32, order="C")
        found = np.empty(len(matrix), dtype=np.float32)
        with lock:
            for begin in range(0, len(matrix), most):
                rows = matrix[begin : begin + most]
                probabilities(rows, rows.view(np.uint32), trees, memory, found[begin : begin + most])
        return found

    return predict
