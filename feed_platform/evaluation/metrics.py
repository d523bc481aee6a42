"""Metrics of click probabilities, with weights so that a bootstrap can resample them.

Every function takes labels (0 or 1) and scores of shape (n,), and weights of shape (n,), by
default 1. A metric that its rows don't define (one class alone) is NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Labels

BINS = 10
DEPTH = 10


@dataclass(frozen=True)
class Curve:
    """Rows in falling order of score, ready for areas under curves; `starts` begin runs of equal scores."""

    label: Labels
    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, label: Labels, score: Vector) -> "Curve":
        """Sort once, weigh often."""
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(score) else order
        return cls(label[order], order, starts)

    def counts(self, weight: Vector | None = None) -> tuple[Vector, Vector]:
        """Weighted true and false positives at each distinct threshold, highest first."""
        ranked = np.ones(len(self.label)) if weight is None else weight[self.order]
        positives = np.add.reduceat(ranked * self.label, self.starts)
        negatives = np.add.reduceat(ranked * (1 - self.label), self.starts)
        return np.cumsum(positives), np.cumsum(negatives)


def roc_auc(curve: Curve, weight: Vector | None = None) -> float:
    """Chance that a positive scores above a negative, equal scores counting half.

    Example:
        Of the 4 pairs, 0.8 and 0.4 are above 0.3, 0.8 is above 0.5, 0.4 isn't: 3 of 4.

        >>> roc_auc(Curve.of(np.array([1, 0, 1, 0]), np.array([0.8, 0.5, 0.4, 0.3])))
        0.75
    """
    true, false = curve.counts(weight)
    if not len(true) or true[-1] == 0 or false[-1] == 0:
        return float("nan")
    before = np.r_[0.0, true[:-1]]
    return float(np.sum(np.diff(false, prepend=0.0) * (before + true) / 2) / (true[-1] * false[-1]))


def average_precision(curve: Curve, weight: Vector | None = None) -> float:
    """Area under the precision-recall curve as steps: precision at each gain of recall.

    Example:
        The positives stand at places 1 and 3: (1/1 + 2/3) / 2.

        >>> round(average_precision(Curve.of(np.array([1, 0, 1, 0]), np.array([0.8, 0.5, 0.4, 0.3]))), 4)
        0.8333
    """
    true, false = curve.counts(weight)
    if not len(true) or true[-1] == 0:
        return float("nan")
    flagged = np.maximum(true + false, np.finfo(float).tiny)
    return float(np.sum(np.diff(true, prepend=0.0) * true / flagged) / true[-1])


def row_losses(label: Labels, probability: Vector) -> Vector:
    """Each row's negative log likelihood; its mean is the log loss.

    Example:
        >>> row_losses(np.array([1, 0]), np.array([0.5, 0.2])).round(4).tolist()  # -ln 0.5, -ln 0.8
        [0.6931, 0.2231]
    """
    inside = np.clip(probability, 1e-12, 1 - 1e-12)
    return -np.where(label == 1, np.log(inside), np.log1p(-inside))


def threshold_metrics(label: Labels, flagged: Labels, weight: Vector) -> dict[str, float]:
    """Accuracy, precision, recall and F1 of rows flagged (1) or not (0).

    Example:
        One of the two flagged is a positive, one of the two positives is flagged, 2 of 4 are right.

        >>> threshold_metrics(np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0]), np.ones(4))
        {'accuracy': 0.5, 'precision': 0.5, 'recall': 0.5, 'f1': 0.5}
    """
    hits = float(weight @ (label * flagged))
    positives, claims = float(weight @ label), float(weight @ flagged)
    return {
        "accuracy": _ratio(float(weight @ (label == flagged)), float(weight.sum())),
        "precision": _ratio(hits, claims),
        "recall": _ratio(hits, positives),
        "f1": _ratio(2 * hits, positives + claims),
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


def calibration_error(label: Labels, probability: Vector, bin_of: NDArray[np.int64], weight: Vector) -> float:
    """Expected calibration error: mean distance of predicted and observed rate over the bins.

    Example:
        The bins' means are 0.2 and 0.8, their rates 0.5 and 1: (2 · 0.3 + 2 · 0.2) / 4.

        >>> label, probability = np.array([0, 1, 1, 1]), np.array([0.1, 0.3, 0.8, 0.8])
        >>> round(calibration_error(label, probability, np.array([0, 0, 1, 1]), np.ones(4)), 4)
        0.25
    """
    gap = np.bincount(bin_of, weight * (probability - label))
    return _ratio(float(np.abs(gap).sum()), float(weight.sum()))


def ndcg(
    label: Labels, score: Vector, request: NDArray[np.int64], depth: int = DEPTH
) -> tuple[Vector, Labels]:
    """NDCG at `depth` of each request with both labels, and one of its rows.

    Rows of equal score are put in a random order that depends on nothing.

    Example:
        The request's only positive stands at place 2 of 3: its gain is 1 / log2(3), ideal 1.

        >>> value, row = ndcg(np.array([0, 1, 0]), np.array([0.9, 0.5, 0.1]), np.array([4, 4, 4]))
        >>> value.round(4).tolist(), row.tolist()
        ([0.6309], [0])
    """
    gain = _discounted(label, score, request, depth)
    ideal = _discounted(label, label.astype(float), request, depth)
    _, first, code, size = np.unique(request, return_index=True, return_inverse=True, return_counts=True)
    positives = np.bincount(code, label, len(first))
    mixed = (positives > 0) & (positives < size)
    gains, ideals = np.bincount(code, gain, len(first)), np.bincount(code, ideal, len(first))
    return gains[mixed] / ideals[mixed], first[mixed]


def _discounted(label: Labels, score: Vector, request: NDArray[np.int64], depth: int) -> Vector:
    """Each row's gain at its place within its request."""
    tie = np.random.default_rng(0).random(len(score))
    order = np.lexsort((tie, -score, request))
    ranked = request[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(ranked) else order
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    gain = np.empty(len(order))
    gain[order] = np.where(place < depth, label[order] / np.log2(place + 2), 0.0)
    return gain


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
