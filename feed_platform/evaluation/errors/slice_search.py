"""A search for the slices on which a model's probabilities are worst, confirmed on users it didn't look at.

A slice is one condition on a feature, or two. What makes one bad is that correcting its probabilities by
two numbers (`Correction`) would lower its log loss, beyond what the same correction of all rows does: they
are too high, too low, too far apart or too close together there. One half of the users proposes slices,
the other half confirms them: each slice's correction, fitted on the first half, must lower the log loss of
the second one, with the false discovery rate held by Benjamini and Hochberg's procedure (1995). Slices of
bins as in Slice Finder (Chung et al. 2019) and SliceLine (Sagadeeva and Boehm 2021); the evidence is a
score test's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from feed_platform.evaluation.bootstrap import Measure, interval
from feed_platform.evaluation.errors.bins import Binned, Condition
from feed_platform.evaluation.errors.recalibration import Correction, Grid, log_odds
from feed_platform.evaluation.errors.rows import Mask, Users, first_half, sums_by_user, totals
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Labels

FALSE_DISCOVERIES = 0.05
FEATURES = 30  # whose pairs are looked at, those with the worst single slices
PROPOSED = 12
KEPT = 200
KEPT_OF_PAIR = 3
MIN_SHARE, MIN_ROWS, MIN_USERS = 0.005, 100, 20
MIN_EVIDENCE = 3.0  # beyond the slices before it: a chance of one in twenty
MIN_EXPECTED = 10.0  # sum of p (1 - p): about so many positives


@dataclass(frozen=True)
class WorstSlice:
    """A confirmed slice, less the rows of those proposed before it.

    Everything but `rows` and `users` is of the half of the users that confirmed it. `saved`
    is the log loss per row of the slice that the correction saves, `chance` the p-value.
    """

    words: str
    where: str
    rows: int
    users: int
    predicted: float
    observed: float
    loss: float
    saved: Measure
    slope: float
    chance: float

    @property
    def sentence(self) -> str:
        """The finding in words."""
        return (
            f"{self.words}: {self.predicted:.2%} predicted, {self.observed:.2%} observed{self._spread}. "
            f"Correcting these rows alone would take {self.saved.value:.4f} off their log loss of "
            f"{self.loss:.4f} (95 % interval {self.saved.low:.4f} to {self.saved.high:.4f}, "
            f"n = {self.saved.n:,} of users that the search didn't see)."
        )

    @property
    def _spread(self) -> str:
        if self.slope < 0.8:
            return (
                f"; differences between its probabilities are exaggerated (true to {max(self.slope, 0):.0%})"
            )
        return "; its probabilities are too much alike" if self.slope > 1.25 else ""


@dataclass(frozen=True)
class Search:
    """The confirmed slices, those of most evidence first, and how many were looked at and put to the test."""

    confirmed: tuple[WorstSlice, ...]
    looked_at: int
    tested: int


@dataclass(frozen=True)
class _Slice:
    parts: tuple[tuple[Binned, Condition], ...]
    score: float

    def mask(self) -> Mask:
        """The slice's rows, (n,)."""
        return np.logical_and.reduce(
            [(part.codes >= condition.low) & (part.codes < condition.high) for part, condition in self.parts]
        )


def search_slices(label: Labels, probability: Vector, user: Users, features: list[Binned]) -> Search:
    """Find and confirm the worst slices of n rows.

    Args:
        label: 0 or 1, (n,).
        probability: the model's, (n,).
        user: number of each row's user, (n,).
        features: what slices are made of.
    """
    first = first_half(user)
    halved, grid = [_only(one, first) for one in features], Grid.of(label, probability)
    level = grid.fit(first).apply(probability)
    found, looked_at = _candidates(label[first], level[first], halved)
    if found:  # what the worst slice did to the level of all others isn't theirs
        rest = first & ~_whole(found[0], features).mask()
        level = grid.fit(rest).apply(probability)
        found, _ = _candidates(label[first], level[first], halved)
    proposed = _distinct(found, features, label, level, first)
    tested = [(one, rows) for one, rows in _fresh(proposed) if _is_testable(rows & ~first, level, user)]
    judged = [_judge(one, rows, label, level, user, first) for one, rows in tested]
    kept = confirmed([one.chance for one in judged])
    return Search(tuple(judged[at] for at in kept), looked_at, len(tested))


def _fresh(proposed: list[_Slice]) -> Iterator[tuple[_Slice, Mask]]:
    """The slices with their rows that none before them has: echoes of a bad slice aren't others."""
    taken: Mask | None = None
    for one in proposed:
        mask = one.mask()
        yield one, mask if taken is None else mask & ~taken
        taken = mask if taken is None else taken | mask


def confirmed(chances: list[float], rate: float = FALSE_DISCOVERIES) -> list[int]:
    """The places of the p-values that Benjamini and Hochberg's procedure lets pass.

    Example:
        >>> confirmed([0.001, 0.5, 0.03, 0.02])  # bounds 0.0125, 0.025, 0.0375, 0.05
        [0, 2, 3]
    """
    order = np.argsort(chances)
    bounds = rate * np.arange(1, len(chances) + 1) / max(len(chances), 1)
    passing = np.flatnonzero(np.array(chances)[order] <= bounds)
    return sorted(order[: passing[-1] + 1].tolist()) if len(passing) else []


def _only(binned: Binned, rows: Mask) -> Binned:
    return Binned(binned.feature, binned.codes[rows], binned.size, binned.conditions)


def _candidates(label: Labels, level: Vector, features: list[Binned]) -> tuple[list[_Slice], int]:
    """The likeliest slices, one or two conditions each, and how many were looked at.

    A slice's score is its evidence less the logarithm of how many of its size were looked at: about what
    the best of as many would reach by chance. What doesn't reach 0 isn't put to the test: it would cost the
    others power.
    """
    columns, least = _columns(label, level), max(MIN_ROWS, MIN_SHARE * len(label))
    singles = [(one, _evidence(_by_condition(one, columns), least)) for one in features]
    tried = sum(len(one.conditions) for one in features)
    found = [
        _Slice(((one, one.conditions[at]),), evidence[at] - np.log(max(tried, 1)))
        for one, evidence in singles
        for at in np.flatnonzero(np.isfinite(evidence))
    ]
    pairs = list(combinations(_leading(singles), 2))
    tried_pairs = sum(len(one.conditions) * len(other.conditions) for one, other in pairs)
    for one, other in pairs:
        evidence = _evidence(_by_both(one, other, columns), least)
        for flat in np.argsort(-evidence, axis=None)[:KEPT_OF_PAIR]:
            left, right = np.unravel_index(flat, evidence.shape)
            parts = ((one, one.conditions[left]), (other, other.conditions[right]))
            found.append(_Slice(parts, evidence[left, right] - np.log(max(tried_pairs, 1))))
    ranked = sorted((one for one in found if one.score > 0), key=lambda one: -one.score)
    return ranked[:KEPT], tried + tried_pairs


def _leading(singles: list[tuple[Binned, Vector]]) -> list[Binned]:
    """The features with the worst single slices, one window of each."""
    families: dict[str, Binned] = {}
    for one, evidence in sorted(singles, key=lambda pair: -pair[1].max(initial=-np.inf)):
        if np.isfinite(evidence).any():
            families.setdefault(one.family, one)
    return list(families.values())[:FEATURES]


def _columns(label: Labels, level: Vector) -> Vector:
    """What a slice's score test needs, added up: (6, n).

    1, residual r, r * x, weight w = p (1 - p), w * x, w * x²; x is the log-odds less their mean.
    """
    odds = log_odds(level)
    odds = odds - odds.mean()
    residual, weight = label - level, level * (1 - level)
    return np.stack([np.ones_like(level), residual, residual * odds, weight, weight * odds, weight * odds**2])


def _by_condition(one: Binned, columns: Vector) -> Vector:
    """The columns' sums of each condition of a feature, (6, conditions)."""
    sums = np.stack([np.bincount(one.codes, column, one.size) for column in columns])
    ends = np.concatenate([np.zeros((len(sums), 1)), sums.cumsum(axis=1)], axis=1)
    low, high = _bounds(one)
    return ends[:, high] - ends[:, low]


def _by_both(one: Binned, other: Binned, columns: Vector) -> Vector:
    """The columns' sums of each pair of conditions, (6, conditions of one, conditions of the other)."""
    codes = one.codes.astype(np.int64) * other.size + other.codes
    size = one.size * other.size
    sums = np.stack([np.bincount(codes, column, size) for column in columns])
    ends = np.zeros((len(columns), one.size + 1, other.size + 1))
    ends[:, 1:, 1:] = sums.reshape(-1, one.size, other.size).cumsum(axis=1).cumsum(axis=2)
    low, high = _bounds(one)
    left, right = _bounds(other)
    wide = ends[:, high] - ends[:, low]
    return wide[:, :, right] - wide[:, :, left]


def _bounds(one: Binned) -> tuple[Labels, Labels]:
    found = np.array([(condition.low, condition.high) for condition in one.conditions], dtype=np.int64)
    return found[:, 0], found[:, 1]


def _evidence(sums: Vector, least: float) -> Vector:
    """Half the score statistic of "nothing to correct": about the log loss saved, added over the rows.

    -inf for slices that are too small.
    """
    rows, r, rx, w, wx, wxx = sums
    a, d = w + 1, wxx + 1  # the prior of `Correction`
    determinant = a * d - wx**2
    statistic = (d * r**2 - 2 * wx * r * rx + a * rx**2) / np.maximum(determinant, 1e-12)
    return np.where((rows >= least) & (w >= MIN_EXPECTED), statistic / 2, -np.inf)


def _distinct(
    found: list[_Slice], features: list[Binned], label: Labels, level: Vector, first: Mask
) -> list[_Slice]:
    """The likeliest slices of which each tells something of rows outside those before it; of all rows."""
    left = [_whole(one, features) for one in found]
    masks = [one.mask() & first for one in left]
    columns, least = _columns(label, level), max(MIN_ROWS, MIN_SHARE * int(first.sum()))
    sums = [columns @ mask for mask in masks]
    scores = np.array([one.score for one in left])
    chosen: list[_Slice] = []
    while len(chosen) < PROPOSED and np.isfinite(scores).any():
        best = int(np.argmax(scores))
        chosen.append(left[best])
        taken = np.flatnonzero(masks[best])
        sums = [had - columns[:, taken] @ mask[taken] for had, mask in zip(sums, masks, strict=True)]
        for mask in masks:
            mask[taken] = False
        scores = _evidence(np.stack(sums, axis=1), least)
        scores = np.where(scores >= MIN_EVIDENCE, scores, -np.inf)
    return chosen


def _whole(one: _Slice, features: list[Binned]) -> _Slice:
    """A slice of one half's rows as one of all rows."""
    known = {binned.feature: binned for binned in features}
    return _Slice(tuple((known[part.feature], condition) for part, condition in one.parts), one.score)


def _is_testable(rows: Mask, level: Vector, user: Users) -> bool:
    weight = level[rows] * (1 - level[rows])
    return weight.sum() >= MIN_EXPECTED and len(np.unique(user[rows])) >= MIN_USERS


def _judge(one: _Slice, mask: Mask, label: Labels, level: Vector, user: Users, first: Mask) -> WorstSlice:
    """Fit the correction on the first half's rows, measure on the second's what it saves there."""
    held_out = np.flatnonzero(mask & ~first)
    correction: Correction = Grid.of(label, level).fit(mask & first)
    saved = correction.saved(label[held_out], level[held_out])
    people = np.unique(user[held_out], return_inverse=True)[1]
    sums = sums_by_user(people, int(people.max()) + 1, np.ones(len(held_out)), saved)
    value, drawn = totals(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        measure = interval(float(value[1] / value[0]), drawn[:, 1] / drawn[:, 0], len(held_out))
    loss = -np.where(label == 1, np.log(level), np.log1p(-level))[held_out].mean()
    return WorstSlice(
        words=" and ".join(condition.words for _, condition in one.parts),
        where=" and ".join(condition.where for _, condition in one.parts),
        rows=int(mask.sum()),
        users=len(np.unique(user[mask])),
        predicted=float(level[held_out].mean()),
        observed=float(label[held_out].mean()),
        loss=float(loss),
        saved=measure,
        slope=correction.slope,
        chance=_chance(sums),
    )


def _chance(sums: Vector) -> float:
    """p-value of "the correction saves nothing", one-sided; users are what is independent."""
    from scipy.stats import norm

    rows, saved = sums.T
    mean = saved.sum() / rows.sum()
    error = np.sqrt(((saved - mean * rows) ** 2).sum())
    return float(norm.sf(saved.sum() / error)) if error > 0 else 1.0
