"""What a correction of two numbers would save: the log-odds moved and stretched, by logistic regression."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed_platform.evaluation.errors.rows import Mask
from feed_platform.learning.baselines import row_losses
from feed_platform.learning.calibration import Vector, sigmoid
from feed_platform.learning.dataset import Labels

BINS = 256
STEPS = 25
PRIOR = 1.0  # precision with which both numbers are drawn to "nothing to correct"


@dataclass(frozen=True)
class Correction:
    """`sigmoid(centre + shift + slope * (log-odds - centre))`."""

    shift: float
    slope: float
    centre: float

    def apply(self, probability: Vector) -> Vector:
        """The corrected probabilities, (n,)."""
        return sigmoid(self.centre + self.shift + self.slope * (log_odds(probability) - self.centre))

    def saved(self, label: Labels, probability: Vector) -> Vector:
        """By how much each row's log loss falls, (n,); negative where it rises."""
        return row_losses(label, probability) - row_losses(label, self.apply(probability))


@dataclass(frozen=True)
class Grid:
    """n probabilities in bins of equal size: each row's bin (n,) and the bins' mean log-odds (bins,).

    A correction of any subset is then fitted on a few hundred numbers instead of its rows.
    """

    bin: NDArray[np.int64]
    odds: Vector
    label: Labels

    @classmethod
    def of(cls, label: Labels, probability: Vector) -> "Grid":
        """Sort the probabilities into bins."""
        odds = log_odds(probability)
        edges = np.unique(np.quantile(odds, np.linspace(0, 1, BINS + 1)[1:-1]))
        bins = np.searchsorted(edges, odds, side="left")
        counts = np.bincount(bins, minlength=len(edges) + 1)
        return cls(bins, np.bincount(bins, odds, len(counts)) / np.maximum(counts, 1), label)

    def fit(self, rows: Mask) -> Correction:
        """The correction that fits a subset of the rows best, drawn a little to none."""
        size = len(self.odds)
        counts = np.bincount(self.bin[rows], minlength=size).astype(np.float64)
        positives = np.bincount(self.bin[rows], self.label[rows], size).astype(np.float64)
        return _fit(self.odds, counts, positives)


def log_odds(probability: Vector) -> Vector:
    """ln(p / (1 - p)), probabilities kept off 0 and 1."""
    inside = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.log(inside / (1 - inside))


def saved_by_the_other_half(grid: Grid, probability: Vector, rows: Mask, first: Mask) -> Vector:
    """Log loss that a correction fitted on the other half saves in each row, (n,); 0 outside `rows`."""
    saved = np.zeros(len(probability))
    for here in (rows & first, rows & ~first):
        correction = grid.fit(rows & ~here)
        saved[here] = correction.saved(grid.label[here], probability[here])
    return saved


def _fit(odds: Vector, rows: Vector, positives: Vector) -> Correction:
    """Newton's method on grouped rows, with a normal prior around shift 0 and slope 1."""
    total = rows.sum()
    centre = float(odds @ rows / total) if total else 0.0
    design = np.column_stack([np.ones_like(odds), odds - centre])
    start = np.array([0.0, 1.0])
    found = start.copy()
    for _ in range(STEPS):
        rate = sigmoid(centre + design @ found)
        gradient = design.T @ (positives - rows * rate) - PRIOR * (found - start)
        curvature = (design.T * (rows * rate * (1 - rate))) @ design + PRIOR * np.eye(2)
        step = np.clip(np.linalg.solve(curvature, gradient), -2, 2)
        found = found + step
        if np.abs(step).max() < 1e-9:
            break
    return Correction(float(found[0]), float(found[1]), centre)
