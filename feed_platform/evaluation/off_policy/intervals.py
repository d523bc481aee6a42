"""Confidence intervals for weighted sums of rare rewards.

Normal, bootstrap and empirical-likelihood intervals take the spread from the rewards that happened. If those
of the greatest weights are the rare ones, a log without them has a low estimate, a small spread, and looks
sure of it. Here the spread is that of the rewards that could have happened: how probable a reward is at each
weight is fitted to the whole log, and is never less than what was seen. The estimate's variance and skewness
follow, and the interval is that of a Poisson count of the same three moments, shifted and scaled: Garwood's
(1936) for equal weights (with the mid-P correction of Lancaster 1961), and near the gamma interval of Fay and
Feuer (1997) for others, whose upper bound takes every reward to come at the greatest weight. The normal
interval is the limit for many rewards.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import LEVEL, Measure
from feed_platform.evaluation.off_policy.weights import Matrix, Vector

LEAST_OCTAVE = -6
NEARLY_NORMAL = 1e5
STEPS, LONGEST_STEP = 50, 2.0
PRIOR_HITS = 1.0


@dataclass(frozen=True)
class Hits:
    """When and how rewards come: the chance of one, (n, places), and its size's first three moments."""

    chance: Matrix
    sizes: tuple[float, float, float]


@dataclass(frozen=True)
class Linear:
    """An estimator as a mean of n numbers `constant + Σ factor · reward`: (n,) and (n, places).

    `is_average` says that it can't be negative where no reward is.
    """

    constant: Vector
    factor: Matrix
    is_average: bool = False

    def of(self, reward: Matrix) -> Vector:
        """The numbers, (n,)."""
        return self.constant + (self.factor * reward).sum(axis=1)

    def less(self, other: "Linear") -> "Linear":
        """The difference of two estimators."""
        return Linear(self.constant - other.constant, self.factor - other.factor)


def hits_of(weight: Matrix, reward: Matrix) -> Hits:
    """How probable a reward is at each weight, place by place, and how large.

    Weights count by octave. An octave's chance is its own share of rewards, or a share drawn to the trend
    over all octaves with the force of one reward where that is more.
    """
    happened = (reward != 0).astype(np.float64)
    pairs = zip(weight.T, happened.T, strict=True)
    sizes = reward[reward != 0] if happened.any() else np.ones(1)
    moments = tuple(float((sizes**power).mean()) for power in (1, 2, 3))
    return Hits(np.column_stack([_chances(*pair) for pair in pairs]), moments)  # type: ignore[arg-type]


def mean_interval(estimator: Linear, reward: Matrix, hits: Hits, unit: NDArray[np.int64]) -> Measure:
    """An estimator's value with its 95 % interval.

    Args:
        reward: what each place earned, (n, places).
        hits: what it could have earned.
        unit: number of each request's user, (n,), from 0: what is expected of a user's requests goes
            together, the rewards that come by chance don't.

    Example:
        >>> clicks = np.repeat([1.0, 0.0], [5, 95])[:, None]
        >>> alike = np.ones_like(clicks)
        >>> rate, hits = Linear(np.zeros(100), alike), hits_of(alike, clicks)
        >>> found = mean_interval(rate, clicks, hits, np.arange(100))
        >>> found.value, round(found.low, 3), round(found.high, 3)
        (0.05, 0.019, 0.107)
    """
    count = len(reward)
    variance, third = _moments(estimator, hits, unit)
    low, high = _poisson_offsets(variance, third)
    value = float(estimator.of(reward).mean())
    floor = 0.0 if estimator.is_average and (reward >= 0).all() else -np.inf
    return Measure(value, max(value + low / count, floor), value + high / count, count)


def rate_interval(hits: int, rows: int) -> Measure:
    """A rate and its 95 % interval, from a number of hits among independent rows."""
    rate = hits / rows
    spread = max(rate, PRIOR_HITS / rows) * (1 - rate) * rows
    low, high = _poisson_offsets(spread, spread * (1 - 2 * rate))
    return Measure(rate, max(rate + low / rows, 0.0), rate + high / rows, rows)


def _chances(weight: Vector, happened: Vector) -> Vector:
    octave = np.floor(np.log2(np.maximum(weight, 2.0**LEAST_OCTAVE))).astype(np.int64)
    octave -= octave.min()
    rows = np.bincount(octave).astype(np.float64)
    hits = np.bincount(octave, happened).astype(np.float64)
    known = rows > 0
    trend = np.zeros(len(rows))
    trend[known] = _trend(np.flatnonzero(known).astype(np.float64), rows[known], hits[known])
    drawn = np.divide(hits + PRIOR_HITS, rows + PRIOR_HITS / np.where(known, trend, 1.0))
    own = np.divide(hits, rows, out=np.zeros_like(rows), where=known)
    return np.minimum(np.maximum(drawn, own), 1.0)[octave]


def _trend(octave: Vector, rows: Vector, hits: Vector) -> Vector:
    """Poisson regression of the chance of a reward on the octave, its slope drawn to 0; Newton steps."""
    centred = octave - np.average(octave, weights=rows)
    level, slope = np.log(max(hits.sum(), 0.5) / rows.sum()), 0.0
    design = np.column_stack([np.ones_like(centred), centred])
    for _ in range(STEPS if hits.any() else 0):
        expected = rows * np.exp(np.minimum(level + slope * centred, 0))
        gradient = design.T @ (hits - expected) - [0.0, slope]
        step = np.linalg.solve(design.T @ (design * expected[:, None]) + np.diag([1e-9, 1.0]), gradient)
        level, slope = np.array([level, slope]) + np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        if np.abs(step).max() < 1e-9:
            break
    return np.exp(np.minimum(level + slope * centred, 0))


def _moments(estimator: Linear, hits: Hits, unit: NDArray[np.int64]) -> tuple[float, float]:
    """Variance and third central moment of the sum over requests."""
    first, second, third = (hits.chance * size for size in hits.sizes)
    variance = second - first**2
    skewness = third - 3 * first * second + 2 * first**3
    centred = estimator.of(first)
    of_unit = np.bincount(unit, centred - centred.mean())
    spread = np.bincount(unit, (estimator.factor**2 * variance).sum(axis=1))
    skewed = (of_unit**3).sum() + 3 * of_unit @ spread + (estimator.factor**3 * skewness).sum()
    return float(of_unit @ of_unit + spread.sum()), float(skewed)


def _poisson_offsets(variance: float, third: float) -> tuple[float, float]:
    """How far below and above a sum its mean may lie: that of a Poisson count of the same moments."""
    from scipy.stats import gamma, norm

    tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if variance**3 >= NEARLY_NORMAL * third**2:
        low, high = norm.ppf(tails) * variance**0.5
        return float(low), float(high)
    count, scale = variance**3 / third**2, third / variance
    low, high = np.sort((gamma.ppf(tails, count + 0.5) - count) * scale)
    return float(low), float(high)
