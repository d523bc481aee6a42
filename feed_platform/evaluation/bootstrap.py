"""Intervals by resampling users: rows of one user aren't independent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from feed_platform.evaluation.metrics import (
    BINS,
    Curve,
    average_precision,
    calibration_bins,
    calibration_error,
    ratio,
    roc_auc,
    threshold_metrics,
)
from feed_platform.evaluation.ranking import by_request
from feed_platform.learning.baselines import row_losses
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Labels

REPLICATES = 200
LEVEL = 0.95
DETECTABLE = 1.96 + 0.842  # standard errors
SEED = 7
COLUMNS = ("rows", "loss", "right", "hits", "claims", "positives")


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

    def ranked(self) -> tuple[dict[str, Vector], Labels]:
        """The ranking metrics of each request with both labels and one of its rows; none without requests."""
        rows = np.flatnonzero(self.request >= 0)
        if self.rank_score is None or not len(rows):
            return {}, rows[:0]
        values, first = by_request(self.label[rows], self.rank_score[rows], self.request[rows])
        return values, rows[first]


@dataclass(frozen=True)
class Tally:
    """A model's rows added up by user, so that one draw of users costs one product.

    `sums` is (users, columns): those of `COLUMNS`, then each calibration bin's excess.
    """

    curve: Curve
    ranked_user: NDArray[np.int64]
    sums: Vector

    @classmethod
    def of(cls, scored: Scored, user: NDArray[np.int64], users: int) -> "Tally":
        """Add up the rows of n predictions, `user` (n,) being numbers below `users`."""
        label, probability = scored.label, scored.probability
        flagged = (probability >= scored.threshold).astype(np.int64)
        bin_of = calibration_bins(probability)
        excess = np.bincount(user * BINS + bin_of, probability - label, users * BINS).reshape(users, BINS)
        per_row = (row_losses(label, probability), label == flagged, label * flagged, flagged, label)
        columns = [
            np.bincount(user, minlength=users),
            *(np.bincount(user, values, users) for values in per_row),
        ]
        curve = Curve.of(label, probability)
        return cls(curve, user[curve.order], np.column_stack([*columns, excess]))

    def at(self, draw: Vector) -> dict[str, float]:
        """Every metric when user i counts `draw[i]` times, (users,)."""
        added = draw @ self.sums
        total = dict(zip(COLUMNS, map(float, added), strict=False))
        true, false = self.curve.counts(draw[self.ranked_user])
        judged = {name: total[name] for name in ("rows", "right", "hits", "claims", "positives")}
        return {
            "log_loss": ratio(total["loss"], total["rows"]),
            "roc_auc": roc_auc(true, false),
            "pr_auc": average_precision(true, false),
            "calibration_error": calibration_error(added[len(COLUMNS) :], total["rows"]),
            **threshold_metrics(**judged),
        }


@dataclass(frozen=True)
class Resampled:
    """A model's metrics on the rows as they are and on every replicate, (replicates,) each."""

    values: dict[str, float]
    replicates: dict[str, Vector]
    n: dict[str, int]

    def measure(self, metric: str) -> Measure:
        """A metric with its interval."""
        return interval(self.values[metric], self.replicates[metric], self.n[metric])

    def joined(self, other: "Resampled") -> "Resampled":
        """These metrics and those of another set of the same users."""
        return Resampled(self.values | other.values, self.replicates | other.replicates, self.n | other.n)

    def find(self, metric: str) -> Measure | None:
        """A metric with its interval; None where the model has no such metric."""
        return self.measure(metric) if metric in self.values else None

    def measures(self) -> dict[str, Measure]:
        """All metrics with their intervals."""
        return {metric: self.measure(metric) for metric in self.values}


def totals(columns: Sequence[Vector], user: NDArray[np.int64], users: int) -> Vector:
    """Sums of columns (n,) over the rows as they are and over every replicate, (1 + replicates, columns)."""
    sums = np.column_stack([np.bincount(user, values, users) for values in columns])
    return np.array([sums.sum(axis=0), *(draw.astype(np.float64) @ sums for draw in draws_of(users))])


@lru_cache(1)
def draws_of(users: int) -> NDArray[np.uint8]:
    """How often each user is drawn in each replicate, (replicates, users): the Poisson bootstrap.

    The same users give the same draws, so that models are compared on the same replicates.
    """
    rng = np.random.default_rng(SEED)
    drawn = np.stack([rng.poisson(1.0, users).astype(np.uint8) for _ in range(REPLICATES)])
    drawn.flags.writeable = False
    return drawn


def resample(scored: Scored, user: NDArray[np.int64]) -> Resampled:
    """Every metric on the rows and on each replicate of their users.

    Args:
        scored: the model's predictions.
        user: number of each row's user, (n,), counted from 0.
    """
    users = int(user.max()) + 1
    tally = Tally.of(scored, user, users)
    values = tally.at(np.ones(users))
    drawn = [tally.at(draw.astype(np.float64)) for draw in draws_of(users)]
    replicates = {name: np.array([found[name] for found in drawn]) for name in values}
    found = Resampled(values, replicates, dict.fromkeys(values, len(user)))
    ranked, rows = scored.ranked()
    return found.joined(means(ranked, user[rows], users))


def means(values: Mapping[str, Vector], user: NDArray[np.int64], users: int) -> Resampled:
    """The mean of each set of values over its rows, (n,) each, of users numbered below `users`; none
    without rows."""
    ones = np.ones(len(user))
    return ratios({name: (top, ones) for name, top in values.items()} if len(user) else {}, user, users)


def ratios(parts: Mapping[str, tuple[Vector, Vector]], user: NDArray[np.int64], users: int) -> Resampled:
    """Sums of one set of values over sums of another, by name.

    Args:
        parts: each row's part of the top and of the bottom, (n,) each.
        user: number of each row's user, (n,).
        users: how many there are, so that the draws are those of other metrics.
    """
    if not parts:
        return Resampled({}, {}, {})
    drawn = totals([values for pair in parts.values() for values in pair], user, users)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = drawn[:, 0::2] / drawn[:, 1::2]
    return Resampled(
        {name: float(found[0, place]) for place, name in enumerate(parts)},
        {name: found[1:, place] for place, name in enumerate(parts)},
        {name: int(np.count_nonzero(bottom)) for name, (_, bottom) in parts.items()},
    )


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


def detectable(gap: Vector) -> float:
    """The least true difference that such rows would show four times in five (two-sided, 95 %).

    Args:
        gap: the difference's replicates, (replicates,).
    """
    finite = gap[np.isfinite(gap)]
    return DETECTABLE * float(finite.std()) if len(finite) * 2 >= len(gap) else float("nan")


def interval(value: float, replicates: Vector, n: int) -> Measure:
    """The middle 95 % of the replicates; NaN where fewer than half of them are defined."""
    finite = replicates[np.isfinite(replicates)]
    if len(finite) * 2 < len(replicates):
        return Measure(value, float("nan"), float("nan"), n)
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Measure(value, float(low), float(high), n)
