"""Estimators of a policy's value from another policy's log: each is linear in the rewards.

IPS (Horvitz and Thompson 1952), SNIPS (Swaminathan and Joachims 2015), the direct method and doubly robust
(Dudík, Langford and Li 2011); for slates whose propensities are conditional, reward interaction (McInerney
et al. 2020) and its doubly robust form, the cascade (Kiyohara et al. 2022).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.off_policy.intervals import Hits, Linear, hits_of, mean_interval
from feed_platform.evaluation.off_policy.weights import Matrix, clipped

IPS, SNIPS, DIRECT, DOUBLY_ROBUST = "ips", "snips", "direct method", "doubly robust"
CLIPPED = "clipped ips"


@dataclass(frozen=True)
class Modelled:
    """What a reward model expects, fitted on other rows.

    Attributes:
        shown: the reward of each place as it was shown, (n, places).
        chosen: the mean over what the target would put at the place, given the places above, (n, places).
        slate: the mean of each place over the whole slates that the target would show, (n, places).
    """

    shown: Matrix
    chosen: Matrix
    slate: Matrix


@dataclass(frozen=True)
class Logged:
    """A log as the target policy sees it: n requests of up to k places, (n, k) unless it says otherwise.

    Attributes:
        reward: what each place earned; 0 where nothing was shown.
        weight: how much more probable it was under the target, with the places above if propensities are
            conditional; 0 where nothing was shown.
        above: the weight of the places above; 1 where places are independent.
        unit: number of each request's user, (n,), from 0: what is resampled as one.
        modelled: a reward model's expectations; without one there is no direct method.
    """

    reward: Matrix
    weight: Matrix
    above: Matrix
    unit: NDArray[np.int64]
    modelled: Modelled | None = None

    @cached_property
    def effective_rewards(self) -> float:
        """As how many equally weighted rewards the log counts: (Σ w·r)² / Σ (w·r)²."""
        return kish(self.weight * self.reward)

    @cached_property
    def hits(self) -> Hits:
        """What could have been earned at each weight."""
        return hits_of(self.weight, self.reward)

    def first(self, places: int) -> "Logged":
        """The same requests, cut to their first places."""
        model = self.modelled
        if model is not None:
            model = Modelled(model.shown[:, :places], model.chosen[:, :places], model.slate[:, :places])
        reward, weight, above = self.reward[:, :places], self.weight[:, :places], self.above[:, :places]
        return Logged(reward, weight, above, self.unit, model)

    @property
    def threshold(self) -> float:
        """Where weights are clipped: √n (Ionides 2008)."""
        return float(np.sqrt(len(self.reward)))


@dataclass(frozen=True)
class Clipping:
    """What clipping weights at a threshold costs in bias.

    `cut` is the share of the weights that lies above the threshold, of the place that loses most. The
    bias is at most 0 where rewards are positive, and at least `bound`: what the clipped weights lack of
    their expected mean of 1, unseen support included, times the greatest reward of the log. `expected` is
    what the reward model would have it, NaN without one.
    """

    threshold: float
    cut: float
    bound: float
    expected: float


def estimators(logged: Logged) -> dict[str, Linear]:
    """Each estimator of the target's value per request."""
    weight, nothing = logged.weight, np.zeros(len(logged.reward))
    found = {
        IPS: Linear(nothing, weight, True),
        SNIPS: _self_normalised(logged),
        CLIPPED: Linear(nothing, clipped(weight, logged.threshold), True),
    }
    if (model := logged.modelled) is None:
        return found
    modelled = (logged.above * model.chosen - weight * model.shown).sum(axis=1)
    direct = Linear(model.slate.sum(axis=1), np.zeros_like(weight))
    return found | {DIRECT: direct, DOUBLY_ROBUST: Linear(modelled, weight)}


def estimates(logged: Logged) -> dict[str, Measure]:
    """The target's value per request by each estimator, with 95 % intervals."""
    return {name: _measure(logged, part) for name, part in estimators(logged).items()}


def observed_value(logged: Logged) -> Measure:
    """What the log's own policy earned per request."""
    alike = np.ones_like(logged.weight)
    hits = hits_of(alike, logged.reward)
    return mean_interval(_own(logged), logged.reward, hits, logged.unit)


def gain(logged: Logged, estimator: str) -> Measure:
    """The target's value less the log's own, on the same requests."""
    return _measure(logged, estimators(logged)[estimator].less(_own(logged)))


def _measure(logged: Logged, estimator: Linear) -> Measure:
    return mean_interval(estimator, logged.reward, logged.hits, logged.unit)


def _own(logged: Logged) -> Linear:
    return Linear(np.zeros(len(logged.reward)), np.ones_like(logged.reward), True)


def clipping(logged: Logged) -> Clipping:
    """What `clipped ips` leaves out."""
    kept = clipped(logged.weight, logged.threshold)
    excess, model = logged.weight - kept, logged.modelled
    cut = excess.sum(axis=0) / np.maximum(logged.weight.sum(axis=0), np.finfo(float).tiny)
    missing = np.maximum(1 - kept.mean(axis=0), 0).sum()
    expected = float("nan") if model is None else 0.0 - float((excess * model.shown).sum(axis=1).mean())
    greatest = float(logged.reward.max(initial=0))
    return Clipping(logged.threshold, float(cut.max()), 0.0 - float(missing) * greatest, expected)


def kish(amount: NDArray[np.float64]) -> float:
    """How many equal amounts weigh as much: (Σ a)² / Σ a² (Kish 1965); 0 for none.

    Example:
        >>> kish(np.array([1.0, 1.0, 1.0, 0.0])), kish(np.array([9.0, 1.0, 1.0])), kish(np.zeros(3))
        (3.0, 1.4578313253012047, 0.0)
    """
    squares = float((amount * amount).sum())
    return float(amount.sum()) ** 2 / squares if squares else 0.0


def _self_normalised(logged: Logged) -> Linear:
    """SNIPS by place, linearised: the mean of `v + w (r − v) / mean(w)` is v = Σ w r / Σ w exactly."""
    weight = logged.weight / np.maximum(logged.weight.mean(axis=0), np.finfo(float).tiny)
    value = (weight * logged.reward).mean(axis=0)
    return Linear((value - weight * value).sum(axis=1), weight, True)
