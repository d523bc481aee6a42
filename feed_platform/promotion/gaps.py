"""Paired differences of row values with one-sided bounds, by resampling users."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import SEED
from feed_platform.learning.calibration import Vector

REPLICATES = 1_000
SIDE = 0.05  # what lies beyond each bound: 95 % one-sided
DETECTABLE = 1.645 + 0.842  # standard errors: shown at 95 % one-sided, four times in five

Users = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Gap:
    """A mean over rows, its one-sided 95 % bounds (90 % between them) and its standard error."""

    value: float
    low: float
    high: float
    error: float
    n: int

    @property
    def is_below(self) -> bool:
        """Whether the mean is shown to be below 0."""
        return self.high < 0

    @property
    def is_above(self) -> bool:
        """Whether the mean is shown to be above 0."""
        return self.low > 0

    @property
    def in_errors(self) -> float:
        """The mean in standard errors from 0; 0 where nothing varies."""
        return self.value / self.error if self.error > 0 else 0.0

    @property
    def detectable(self) -> float:
        """The least true difference that rows like these would show four times in five."""
        return DETECTABLE * self.error


def gaps(values: Mapping[str, tuple[Vector, Mask]], user: Users) -> dict[str, Gap]:
    """The mean of each set of values over its rows, all resampled with the same draws of users.

    The Poisson bootstrap of users (Chamandy et al. 2012), as in the evaluation: a user's rows go
    together, so that dependence among them widens the bounds.

    Args:
        values: by name, each row's value (n,) and which rows count (n,).
        user: number of each row's user, (n,), counted from 0.
    """
    users = int(user.max()) + 1 if len(user) else 0
    tops = [np.bincount(user, value * mask, users) for value, mask in values.values()]
    bottoms = [np.bincount(user, mask, users) for _, mask in values.values()]
    sums = np.column_stack([*tops, *bottoms]) if values else np.empty((users, 0))
    drawn = np.array([_means(draw @ sums) for draw in _draws(users)])
    means = _means(sums.sum(axis=0))
    rows = [int(mask.sum()) for _, mask in values.values()]
    return {name: _gap(means[place], drawn[:, place], rows[place]) for place, name in enumerate(values)}


def _draws(users: int) -> Iterator[Vector]:
    """How often each user is drawn in each replicate, one replicate at a time: users may be many."""
    rng = np.random.default_rng(SEED)
    return (rng.poisson(1.0, users).astype(np.float64) for _ in range(REPLICATES))


def _means(sums: Vector) -> Vector:
    top, bottom = np.split(sums, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return top / bottom


def _gap(value: float, drawn: Vector, rows: int) -> Gap:
    finite = drawn[np.isfinite(drawn)]
    if len(finite) * 2 < len(drawn):
        nothing = float("nan")
        return Gap(float(value), nothing, nothing, nothing, rows)
    low, high = np.quantile(finite, [SIDE, 1 - SIDE])
    return Gap(float(value), float(low), float(high), float(finite.std()), rows)
