"""What the weights say about whether a log can answer for a policy at all."""

from dataclasses import dataclass

import numpy as np

from feed_platform.evaluation.off_policy.estimators import Logged, kish
from feed_platform.evaluation.off_policy.weights import Matrix


@dataclass(frozen=True)
class Diagnostics:
    """Of the place where it is worst, but for the rewards.

    Attributes:
        requests: how many were logged.
        effective_sample: as how many requests of the target's own they count: Kish's (Σ w)² / Σ w².
        effective_rewards: as how many equally weighted rewards they count: (Σ w·r)² / Σ (w·r)².
        mean_weight: 1 in the long run, if the propensities are true and the log shows all that the
            target would. Less by the share that it never shows.
        mean_error: the standard error of that mean.
        largest_weight: of a single place.
        zero_share: share of what was shown that the target never shows.
    """

    requests: int
    effective_sample: float
    effective_rewards: float
    mean_weight: float
    mean_error: float
    largest_weight: float
    zero_share: float

    @property
    def mean_deviation(self) -> float:
        """How many standard errors the mean weight is off 1."""
        return (self.mean_weight - 1) / self.mean_error if self.mean_error else 0.0


def diagnose(logged: Logged) -> Diagnostics:
    """The weights' diagnostics."""
    weight = logged.weight
    mean, error = weight.mean(axis=0), weight.std(axis=0) / np.sqrt(len(weight))
    far = int(np.argmax(np.abs(mean - 1) / np.maximum(error, np.finfo(float).tiny)))
    return Diagnostics(
        requests=len(weight),
        effective_sample=min(kish(place) for place in weight.T),
        effective_rewards=logged.effective_rewards,
        mean_weight=float(mean[far]),
        mean_error=float(error[far]),
        largest_weight=float(weight.max()),
        zero_share=float((weight == 0).mean(axis=0).max()),
    )


@dataclass(frozen=True)
class Calibration:
    """Whether propensities are what they say.

    Where a policy can show any of m posts, 1/propensity is m on average, whatever the policy. `expected`
    is that m, `found` the mean of 1/propensity, `error` its standard error.
    """

    expected: float
    found: float
    error: float

    @property
    def deviation(self) -> float:
        """How many standard errors the propensities are off; 0 where they vary by nothing but rounding."""
        return 0.0 if np.isclose(self.found, self.expected) else (self.found - self.expected) / self.error


def calibrate(propensity: Matrix, choices: Matrix) -> Calibration:
    """Compare declared propensities, (n, places), with how many posts could have been shown there.

    Args:
        choices: as `propensity`; those still to choose from where propensities are conditional.
    """
    inverse, wanted = (1 / propensity).mean(axis=1), choices.mean(axis=1)
    error = max(float((inverse - wanted).std()) / np.sqrt(len(inverse)), np.finfo(float).tiny)
    return Calibration(float(wanted.mean()), float(inverse.mean()), error)
