"""One world: the reference and the product's ranker on the same rows, their figures as JSON."""

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.headroom.world import FEED, before_test, counters, dataset
from feed_platform.evaluation.metrics import calibration_bins, calibration_error
from feed_platform.feed import Objective
from feed_platform.learning.dataset import Dataset
from feed_platform.learning.models import fit_head
from feed_platform.learning.ranker import RankerConfig

CLICK = "click"
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """Of one model on the test rows; `headroom` is its way from popularity's ROC AUC to Bayes'."""

    auc: float
    log_loss: float
    calibration_error: float
    headroom: float


def main(rows: int, density: float, seed: int, per_post: float) -> None:
    """Print the figures of every model."""
    from sklearn.metrics import log_loss, roc_auc_score

    with tempfile.TemporaryDirectory(prefix="bench-headroom-") as name:
        data, truth = dataset(Path(name), rows, density, seed, per_post)
        label = data.test.label(CLICK).astype(np.float64)
        scored = {
            "popularity": data.test.frame["post_ctr_28d"].to_numpy(),
            "bayes": truth,
            "reference": reference(data),
            "ours": ours(data),
        }
    low, high = (roc_auc_score(label, scored[name]) for name in ("popularity", "bayes"))
    found = {
        name: asdict(
            Figures(
                roc_auc_score(label, probability),
                log_loss(label, probability),
                error_in_bins(label, probability),
                (roc_auc_score(label, probability) - low) / (high - low),
            )
        )
        for name, probability in scored.items()
    }
    sys.stdout.write(json.dumps(found) + "\n")


def reference(data: Dataset) -> Vector:
    """XGBoost as it comes, on counters, smoothed rates and ages, trained on all rows before the test."""
    import xgboost

    names, known = counters(data.features), before_test(data)
    model = xgboost.XGBClassifier(n_jobs=2, random_state=0)
    model.fit(known.select(names).to_numpy(), known[f"label_{CLICK}"].to_numpy())
    return np.asarray(model.predict_proba(data.test.frame.select(names).to_numpy())[:, 1], dtype=np.float64)


def ours(data: Dataset) -> Vector:
    """The product's ranker on all features."""
    return fit_head(data, Objective(event=CLICK), FEED, RankerConfig()).probability(data.test.matrix)


def error_in_bins(label: Vector, probability: Vector) -> float:
    """Calibration error over ten bins of equally many rows."""
    excess = np.asarray(np.bincount(calibration_bins(probability), probability - label), dtype=np.float64)
    return calibration_error(excess, len(label))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
