"""Intervals by resampling users: rows of one user aren't independent."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from feed_platform.evaluation.metrics import (
    Curve,
    average_precision,
    calibration_bins,
    calibration_error,
    ndcg,
    roc_auc,
    row_losses,
    threshold_metrics,
)
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Labels

REPLICATES = 200
LEVEL = 0.95
SEED = 7


@dataclass(frozen=True)
class Measure:
    """A number with its 95 % interval and the rows (or requests) behind it."""

    value: float
    low: float
    high: float
    n: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Scored:
    """One model's predictions on n rows, shape (n,) each.

    `rank_score` is what it would rank by; `request` groups rows into requests, -1 for none.
    """

    label: Labels
    probability: Vector
    threshold: float
    request: NDArray[np.int64]
    rank_score: Vector | None = None

    def metrics(self) -> "Metrics":
        """Everything that doesn't depend on the weights, computed once."""
        rows = np.flatnonzero(self.request >= 0)
        per_request = (np.empty(0), np.empty(0, dtype=np.int64))
        if self.rank_score is not None and len(rows):
            gains, first = ndcg(self.label[rows], self.rank_score[rows], self.request[rows])
            per_request = (gains, rows[first])
        return Metrics(
            scored=self,
            curve=Curve.of(self.label, self.probability),
            losses=row_losses(self.label, self.probability),
            bin_of=calibration_bins(self.probability),
            flagged=(self.probability >= self.threshold).astype(np.int64),
            gains=per_request[0],
            gain_rows=per_request[1],
        )


@dataclass(frozen=True)
class Metrics:
    """All metrics of one model as a function of the rows' weights."""

    scored: Scored
    curve: Curve
    losses: Vector
    bin_of: NDArray[np.int64]
    flagged: Labels
    gains: Vector
    gain_rows: NDArray[np.int64]

    def at(self, weight: Vector) -> dict[str, float]:
        """Every metric for one weighting of the rows."""
        total = float(weight.sum())
        label, probability = self.scored.label, self.scored.probability
        found = {
            "log_loss": float(weight @ self.losses) / total if total else float("nan"),
            "roc_auc": roc_auc(self.curve, weight),
            "pr_auc": average_precision(self.curve, weight),
            "calibration_error": calibration_error(label, probability, self.bin_of, weight),
            **threshold_metrics(label, self.flagged, weight),
        }
        if len(self.gains):
            chosen = weight[self.gain_rows]
            found["ndcg_at_10"] = (
                float(chosen @ self.gains) / float(chosen.sum()) if chosen.any() else float("nan")
            )
        return found

    def rows(self, metric: str) -> int:
        """How many rows, or requests, a metric is computed from."""
        return len(self.gains) if metric == "ndcg_at_10" else len(self.losses)


@dataclass(frozen=True)
class Resampled:
    """A model's metrics on the rows as they are and on every replicate, (replicates,) each."""

    values: dict[str, float]
    replicates: dict[str, Vector]
    n: dict[str, int] = field(default_factory=dict)

    def measure(self, metric: str) -> Measure:
        """A metric with its interval."""
        return interval(self.values[metric], self.replicates[metric], self.n[metric])

    def find(self, metric: str) -> Measure | None:
        """A metric with its interval; None where the model has no such metric."""
        return self.measure(metric) if metric in self.values else None

    def measures(self) -> dict[str, Measure]:
        """All metrics with their intervals."""
        return {metric: self.measure(metric) for metric in self.values}


def user_weights(cluster: NDArray[np.int64], replicates: int = REPLICATES) -> NDArray[np.uint8]:
    """How often each user is drawn in each replicate, (replicates, users): the Poisson bootstrap.

    The same users give the same draws, so that models are compared on the same replicates.
    """
    users = int(cluster.max()) + 1 if len(cluster) else 0
    return np.random.default_rng(SEED).poisson(1.0, (replicates, users)).astype(np.uint8)


def resample(scored: Scored, cluster: NDArray[np.int64]) -> Resampled:
    """Every metric on the rows and on each replicate of their users.

    Args:
        scored: the model's predictions.
        cluster: number of each row's user, (n,).
    """
    metrics = scored.metrics()
    draws = [metrics.at(weights[cluster].astype(np.float64)) for weights in user_weights(cluster)]
    values = metrics.at(np.ones(len(cluster)))
    replicates = {name: np.array([draw.get(name, np.nan) for draw in draws]) for name in values}
    return Resampled(values, replicates, {name: metrics.rows(name) for name in values})


def difference(ours: Resampled, theirs: Resampled, metric: str) -> Measure:
    """Ours minus theirs, on the same replicates."""
    gap = ours.replicates[metric] - theirs.replicates[metric]
    return interval(ours.values[metric] - theirs.values[metric], gap, ours.n[metric])


def headroom(ours: Resampled, floor: Resampled, ceiling: Resampled, metric: str) -> Measure:
    """The share of the way from `floor` to `ceiling` that ours has gone."""

    def share(our: Vector, low: Vector, high: Vector) -> Vector:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (our - low) / (high - low)

    models = (ours, floor, ceiling)
    value = float(share(*(np.array(model.values[metric]) for model in models)))
    return interval(value, share(*(model.replicates[metric] for model in models)), ours.n[metric])


def interval(value: float, replicates: Vector, n: int) -> Measure:
    """The middle 95 % of the replicates; NaN where fewer than half of them are defined."""
    finite = replicates[np.isfinite(replicates)]
    if len(finite) * 2 < len(replicates):
        return Measure(value, float("nan"), float("nan"), n)
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Measure(value, float(low), float(high), n)
