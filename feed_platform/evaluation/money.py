"""What models are worth by the declared weights: observed, and expected of their first choices.

A first choice is the post that a model puts first among those that a request showed. What it would have
earned there is what the version's calibrated probabilities say for position 1, times the share of such
promises that came true where the chosen posts really stood: this corrects a model that believes its own
best guesses too much. It rests on the model's position effect, which no log without exploration can prove.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import REPLICATES, Measure, interval, means, totals
from feed_platform.evaluation.evaluate import AS_SHOWN
from feed_platform.evaluation.predictions import Material
from feed_platform.evaluation.ranking import Places
from feed_platform.learning.calibration import Vector

FACTORS = (0.0, 0.5, 1.0, 2.0, 4.0)
THOUSAND = 1_000.0

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Expected:
    """Worth of first choices per thousand, the objectives' rates added up by weight: replicates (r,)."""

    value: float
    replicates: Vector
    n: int

    def measure(self) -> Measure:
        """With its interval."""
        return interval(self.value, self.replicates, self.n)

    def less(self, other: "Expected") -> Measure:
        """The difference on the same requests and draws."""
        return interval(self.value - other.value, self.replicates - other.replicates, self.n)


@dataclass(frozen=True)
class Swing:
    """The version's worth less the rival's with one objective's weight multiplied, the others as declared."""

    event: str
    factor: float
    gap: Measure


@dataclass(frozen=True)
class Money:
    """Worth per thousand impressions, in the weights' unit.

    `observed` is what the log's impressions earned; `tenth` the impressions that each model likes most,
    where they stood; `expected` each order's first choices, and `gaps` the version's less the others',
    both empty without requests; `swings` the sensitivity to the weights against `rival`.
    """

    weights: dict[str, float]
    observed: Measure
    tenth: dict[str, Measure]
    expected: dict[str, Measure]
    gaps: dict[str, Measure]
    rival: str
    swings: tuple[Swing, ...]


def value_models(material: Material, rival: str) -> Money:
    """Value every model, and how far the choice between the version and a rival hangs on the weights."""
    weights = dict(material.bundle.objectives)
    rows = np.flatnonzero(material.request >= 0)
    choices, found = _orders(material, weights, rows), {}
    if len(rows):
        found = {name: expect(material, rows[picked], weights) for name, picked in choices.items()}
    ours = found.get(material.version.kind)
    return Money(
        weights=weights,
        observed=_observed(material, np.arange(len(material.user))),
        tenth={kind: _top_tenth(material, said.score) for kind, said in material.predictions.items()},
        expected={name: one.measure() for name, one in found.items()},
        gaps={name: ours.less(one) for name, one in found.items() if one is not ours} if ours else {},
        rival=rival,
        swings=tuple(_swings(material, rows, rival)) if len(rows) and len(weights) > 1 else (),
    )


def expect(material: Material, picked: Codes, weights: dict[str, float]) -> Expected:
    """The worth of chosen rows at position 1, per thousand.

    Args:
        picked: rows among the test rows, one of each request, (requests,).
    """
    said, worth = material.predictions[material.version.kind], np.zeros(REPLICATES + 1)
    for event, weight in weights.items():
        label = material.label(event)[picked].astype(np.float64)
        columns = [np.ones(len(picked)), said.first[event][picked], said.shown[event][picked], label]
        n, promised, stood, came = totals(columns, material.user[picked], material.users).T
        with np.errstate(divide="ignore", invalid="ignore"):
            worth += THOUSAND * weight * promised / n * came / stood
    return Expected(float(worth[0]), worth[1:], len(picked))


def _orders(material: Material, weights: dict[str, float], rows: Codes) -> dict[str, Codes]:
    """The first choice of every request, by the log and by each model under the weights."""
    scores = {kind: _score(material, kind, weights)[rows] for kind in material.predictions}
    if material.log_score is not None:
        scores = {AS_SHOWN: material.log_score[rows]} | scores
    return {name: first_choices(score, material.request[rows]) for name, score in scores.items()}


def first_choices(score: Vector, request: Codes) -> Codes:
    """The row that has the best score of each request; equal ones by chance.

    Example:
        >>> first_choices(np.array([0.1, 0.3, 0.2]), np.array([5, 5, 9])).tolist()
        [1, 2]
    """
    ranked = Places.of(score, request)
    rows = np.flatnonzero(ranked.place == 0)
    return rows[np.argsort(ranked.request[rows])]


def _score(material: Material, kind: str, weights: dict[str, float]) -> Vector:
    first = material.predictions[kind].first
    return np.sum([weight * first[event] for event, weight in weights.items()], axis=0)


def _swings(material: Material, rows: Codes, rival: str) -> list[Swing]:
    """Multiply each weight by each factor in turn and choose anew."""
    declared, request = dict(material.bundle.objectives), material.request[rows]
    found = []
    for event, factor in product(declared, FACTORS):
        weights = declared | {event: declared[event] * factor}
        if any(weights.values()):
            ours, theirs = (
                expect(material, rows[first_choices(_score(material, kind, weights)[rows], request)], weights)
                for kind in (material.version.kind, rival)
            )
            found.append(Swing(event, factor, ours.less(theirs)))
    return found


def _observed(material: Material, rows: Codes) -> Measure:
    worth = THOUSAND * material.value()[rows]
    return means({"value": worth}, material.user[rows], material.users).measure("value")


def _top_tenth(material: Material, score: Vector) -> Measure:
    """The tenth of the impressions that a score puts highest, equal ones by chance."""
    tie = np.random.default_rng(0).random(len(score))
    return _observed(material, np.lexsort((tie, -score))[: max(1, len(score) // 10)])
