"""A booster's predictions by oneDAL, which walks its trees about twice as fast on one core as XGBoost does.

`scikit-learn-intelex` brings oneDAL, for x86-64 alone. Where it isn't installed, can't take a booster, or
answers otherwise, XGBoost predicts.
"""

import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xgboost

TOLERANCE = 1e-6
BLOCK = 80  # rows that oneDAL walks side by side; the others take it three times as long each
WORTH_FILLING = 32

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
log = logging.getLogger(__name__)


def quick_predict(booster: "xgboost.Booster", rows: NDArray[np.float32]) -> Predict:
    """What gives a booster's probabilities (n,) for a (n, features) matrix, missing NaN, soonest.

    Args:
        booster: of the objective `binary:logistic`.
        rows: oneDAL must answer them (n, features), and one of which nothing is known, as XGBoost does.
    """
    try:
        quick = _by_onedal(booster)
    except Exception as error:
        log.warning("oneDAL can't predict, XGBoost does: %s", error)
        return booster.inplace_predict
    proof = np.vstack([rows, np.full_like(rows[:1], np.nan)])
    if not np.allclose(quick(proof), booster.inplace_predict(proof), rtol=0, atol=TOLERANCE):
        log.warning("oneDAL answers otherwise than XGBoost, which predicts")
        return booster.inplace_predict
    return quick


def _by_onedal(booster: "xgboost.Booster") -> Predict:
    onedal = _onedal()
    model = _converted(onedal, booster)

    def predict(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        algorithm = onedal.gbt_classification_prediction(
            nClasses=2, fptype="double", resultsToEvaluate="computeClassProbabilities"
        )
        # It adds up whole blocks of rows and what remains in different ways. In double, and rounded, equal
        # rows stay equal wherever they stand.
        found: NDArray[np.float64] = algorithm.compute(_in_blocks(matrix), model).probabilities
        return found[: len(matrix), 1].astype(np.float32)

    return predict


def _in_blocks(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """A matrix (n, k) in double, (m, k): rows of nothing fill its last block where that is sooner done."""
    missing = -len(matrix) % BLOCK
    if missing > BLOCK - WORTH_FILLING:
        missing = 0
    filled = np.empty((len(matrix) + missing, matrix.shape[1]))
    filled[: len(matrix)], filled[len(matrix) :] = matrix, 0
    return filled


@cache
def _onedal() -> Any:
    """The library, on one thread: replicas use the cores beside each other."""
    import daal4py

    daal4py.daalinit(nthreads=1)
    return daal4py


def _converted(onedal: Any, booster: "xgboost.Booster") -> Any:
    """A booster as oneDAL's model.

    As `daal4py.mb.convert_model`, which takes three times as long: requests wait for Python's lock meanwhile.
    """
    names = booster.feature_names or [f"f{number}" for number in range(booster.num_features())]
    numbers = {name: number for number, name in enumerate(names)}
    trees = booster.get_dump(dump_format="json")
    builder = onedal.gbt_clf_model_builder(n_features=len(names), n_iterations=len(trees), n_classes=2)
    for tree in trees:
        _add_tree(builder, tree, numbers)
    return builder.model(base_score=_base_score(booster))


def _add_tree(builder: Any, tree: str, numbers: Mapping[str, int]) -> None:
    """A node's parent goes before it. XGBoost goes left below a threshold, oneDAL up to one."""
    tree_id = builder.create_tree(n_nodes=tree.count('"nodeid"'), class_label=0)
    waiting: deque[tuple[dict[str, Any], dict[str, int]]] = deque([(json.loads(tree), {})])
    while waiting:
        node, place = waiting.popleft()
        if "leaf" in node:
            builder.add_leaf(tree_id=tree_id, response=node["leaf"], cover=0.0, **place)
            continue
        parent = builder.add_split(
            tree_id=tree_id,
            feature_index=numbers[node["split"]],
            feature_value=np.nextafter(np.float32(node["split_condition"]), np.float32(-np.inf)),
            default_left=node["missing"] == node["yes"],
            cover=0.0,
            **place,
        )
        for position, child in enumerate(node["children"]):
            waiting.append((child, {"parent_id": parent, "position": position}))


def _base_score(booster: "xgboost.Booster") -> float:
    learner = json.loads(booster.save_config())["learner"]
    if learner["learner_train_param"]["objective"] != "binary:logistic":
        raise ValueError("the booster isn't of binary:logistic")
    (score,) = json.loads(learner["learner_model_param"]["base_score"])
    return float(score)
