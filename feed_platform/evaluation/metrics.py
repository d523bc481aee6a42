"""Metrics of probabilities, from sums and counts so that a bootstrap can weigh rows and add up again.

Labels (0 or 1) and scores have shape (n,). A metric that its rows don't define (one class
alone) is NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Labels

BINS = 10


@dataclass(frozen=True)
class Curve:
    """Rows in falling order of score, ready for areas under curves; `starts` begin runs of equal scores."""

    label: Vector
    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, label: Labels, score: Vector) -> "Curve":
        """Sort once, weigh often."""
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(score) else order
        return cls(label[order].astype(np.float64), order, starts)

    def counts(self, weight: Vector | None = None) -> tuple[Vector, Vector]:
        """Weighted true and false positives at each distinct threshold, highest first.

        Args:
            weight: of the rows in the curve's own order, (n,).
        """
        ranked = np.ones(len(self.label)) if weight is None else weight
        true = np.add.reduceat(ranked * self.label, self.starts).cumsum()
        return true, np.add.reduceat(ranked, self.starts).cumsum() - true


def roc_auc(true: Vector, false: Vector) -> float:
    """Chance that a positive scores above a negative, equal scores counting half; from a curve's counts.

    Example:
        Of the 4 pairs, 0.8 and 0.4 are above 0.3, 0.8 is above 0.5, 0.4 isn't: 3 of 4.

        >>> roc_auc(*Curve.of(np.array([1, 0, 1, 0]), np.array([0.8, 0.5, 0.4, 0.3])).counts())
        0.75
    """
    if not len(true) or true[-1] == 0 or false[-1] == 0:
        return float("nan")
    return float(np.trapezoid(np.r_[0.0, true], np.r_[0.0, false]) / (true[-1] * false[-1]))


def average_precision(true: Vector, false: Vector) -> float:
    """Area under the precision-recall curve as steps, precision at each gain of recall; from counts.

    Example:
        The positives stand at places 1 and 3: (1/1 + 2/3) / 2.

        >>> curve = Curve.of(np.array([1, 0, 1, 0]), np.array([0.8, 0.5, 0.4, 0.3]))
        >>> round(average_precision(*curve.counts()), 4)
        0.8333
    """
    if not len(true) or true[-1] == 0:
        return float("nan")
    flagged = np.maximum(true + false, np.finfo(float).tiny)
    return float(np.sum(np.diff(true, prepend=0.0) * true / flagged) / true[-1])


def threshold_metrics(
    rows: float, right: float, hits: float, claims: float, positives: float
) -> dict[str, float]:
    """Accuracy, precision, recall and F1.

    From counts of rows: all, judged right, flagged positives (`hits`), flagged (`claims`), positives.

    Example:
        Of 10 rows 7 are judged right; 4 are flagged, 2 of them among the 3 positives.

        >>> found = threshold_metrics(rows=10, right=7, hits=2, claims=4, positives=3)
        >>> {name: round(value, 4) for name, value in found.items()}
        {'accuracy': 0.7, 'precision': 0.5, 'recall': 0.6667, 'f1': 0.5714}
    """
    return {
        "accuracy": ratio(right, rows),
        "precision": ratio(hits, claims),
        "recall": ratio(hits, positives),
        "f1": ratio(2 * hits, positives + claims),
    }


def best_threshold(label: Labels, probability: Vector) -> float:
    """The probability from which on flagging gives the greatest F1; 0.5 without positives.

    Example:
        >>> best_threshold(np.array([1, 0, 1, 0]), np.array([0.8, 0.5, 0.4, 0.3]))  # F1 4/5, else 2/3
        0.4
    """
    if not label.any():
        return 0.5
    curve = Curve.of(label, probability)
    true, false = curve.counts()
    best = int(np.argmax(2 * true / (true + false + true[-1])))
    return float(probability[curve.order[curve.starts[best]]])


def calibration_bins(probability: Vector, bins: int = BINS) -> NDArray[np.int64]:
    """Each row's bin: of equal size, equal probabilities together."""
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, probability, side="left")


def calibration_error(excess: Vector, rows: float) -> float:
    """Expected calibration error: mean distance of predicted and observed rate over the bins.

    Args:
        excess: each bin's sum of predictions less its positives, (bins,).
        rows: rows in all bins.

    Example:
        Two bins of 2 rows, means 0.2 and 0.8, rates 0.5 and 1: (2 · 0.3 + 2 · 0.2) / 4.

        >>> round(calibration_error(np.array([2 * (0.2 - 0.5), 2 * (0.8 - 1)]), 4), 4)
        0.25
    """
    return ratio(float(np.abs(excess).sum()), rows)


def ratio(part: float, whole: float) -> float:
    """A part of a whole, NaN of nothing."""
    return part / whole if whole else float("nan")
