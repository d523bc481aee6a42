"""One target policy's value: every estimate, what they rest on, and what may be concluded."""

from dataclasses import dataclass

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.off_policy.diagnostics import Calibration, Diagnostics, diagnose
from feed_platform.evaluation.off_policy.estimators import (
    DOUBLY_ROBUST,
    SNIPS,
    Clipping,
    Logged,
    clipping,
    estimates,
    gain,
    observed_value,
)
from feed_platform.evaluation.off_policy.verdict import Subject, Verdict, judge, not_available


@dataclass(frozen=True)
class Worth:
    """What an estimate rests on; `headline` names the estimator that the verdict speaks of."""

    observed: Measure
    estimates: dict[str, Measure]
    headline: str
    gain: Measure
    clipping: Clipping
    weights: Diagnostics
    calibration: Calibration | None


@dataclass(frozen=True)
class Answer:
    """The verdict on a target policy, and its numbers where the log has what they need."""

    subject: Subject
    verdict: Verdict
    worth: Worth | None = None


def answer(subject: Subject, logged: Logged, calibration: Calibration | None = None) -> Answer:
    """Estimate a target's value on a log and judge what that proves.

    Doubly robust is the headline where there is a reward model, self-normalised weights elsewhere.
    """
    headline = SNIPS if logged.modelled is None else DOUBLY_ROBUST
    found, observed, difference = estimates(logged), observed_value(logged), gain(logged, headline)
    weights = diagnose(logged)
    worth = Worth(observed, found, headline, difference, clipping(logged), weights, calibration)
    return Answer(subject, judge(subject, weights, found[headline], observed, difference), worth)


def unanswered(subject: Subject, reason: str) -> Answer:
    """No estimate is possible, and why."""
    return Answer(subject, not_available(subject, reason))
