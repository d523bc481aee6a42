"""The policy that a model would be in the feed, and what it makes of logged slates."""

from dataclasses import dataclass

import numpy as np

from feed_platform.evaluation.off_policy.estimators import Logged, Modelled, kish
from feed_platform.evaluation.off_policy.slates import Slates
from feed_platform.evaluation.off_policy.weights import (
    Matrix,
    Vector,
    cascade,
    plackett_luce,
    softmax,
)
from feed_platform.learning.bundle import Bundle

DRAWS, SEED = 20, 7


@dataclass(frozen=True)
class Scores:
    """A model on some slates.

    Attributes:
        rank: what it ranks by, (n, candidates); −inf for none.
        reward: what it expects a post to earn, by place from 1: k matrices (n, candidates), 0 for none.
    """

    rank: Matrix
    reward: tuple[Matrix, ...]

    @property
    def spread(self) -> float:
        """The median request's standard deviation of scores: the unit of temperatures."""
        masked = np.where(np.isfinite(self.rank), self.rank, np.nan)
        return float(np.median(np.nanstd(masked, axis=1)))


def score(bundle: Bundle, slates: Slates) -> Scores:
    """Score every candidate, at position 1 to rank and at each shown place for what it would earn there."""
    columns = [slates.names.index(name) for name in bundle.features]
    matrix = np.ascontiguousarray(slates.features[:, columns])
    by_place = []
    for place in range(slates.reward.shape[1]):
        if "position" in bundle.features:
            matrix[:, bundle.features.index("position")] = place + 1
        by_place.append(bundle.score(bundle.probabilities(matrix)))
    reward = tuple(slates.spread(values, 0.0) for values in by_place)
    return Scores(slates.spread(by_place[0], -np.inf), reward)


def replay(slates: Slates, scores: Scores, temperature: float) -> Logged:
    """The log as the Plackett–Luce softmax of the scores sees it.

    Args:
        temperature: in units of the scores; the smaller, the greedier.
    """
    chance, places = softmax(scores.rank, temperature), slates.reward.shape[1]
    target = np.where(slates.is_shown, plackett_luce(chance, places), 0.0)
    weight, above = cascade(target, slates.propensity)
    return Logged(slates.reward, weight, above, slates.unit, _modelled(slates, scores, chance))


def answerable(logged: Logged, least: float) -> Logged:
    """The log cut to the first places, at least one, of which it counts like `least` requests or more."""
    enough = [kish(place) >= least for place in logged.weight.T]
    return logged.first(max(1, len(enough) if all(enough) else enough.index(False)))


def _modelled(slates: Slates, scores: Scores, chance: Matrix) -> Modelled:
    places = slates.reward.shape[1]
    shown = np.column_stack([scores.reward[place][:, place] for place in range(places)])
    chosen = np.column_stack([_chosen(chance, scores.reward[place], place) for place in range(places)])
    slate = _drawn(chance, scores.reward)
    return Modelled(*(np.where(slates.is_shown, part, 0.0) for part in (shown, chosen, slate)))


def _chosen(chance: Matrix, reward: Matrix, place: int) -> Vector:
    """The mean reward of the target's choice for a place, given what was shown above it."""
    left = chance[:, place:]
    total = np.maximum(left.sum(axis=1), np.finfo(float).tiny)
    return (left * reward[:, place:]).sum(axis=1) / total


def _drawn(chance: Matrix, reward: tuple[Matrix, ...]) -> Matrix:
    """The mean reward of each place over slates that the target draws, (n, places)."""
    random, found = np.random.default_rng(SEED), np.zeros((len(chance), len(reward)))
    with np.errstate(divide="ignore"):
        for _ in range(DRAWS):
            race = random.standard_exponential(chance.shape) / chance
            order = np.argsort(race, axis=1)[:, : len(reward)]
            for place, values in enumerate(reward):
                found[:, place] += np.take_along_axis(values, order[:, [place]], 1)[:, 0]
    return found / DRAWS
