"""What a product owner may conclude from an off-policy estimate."""

from dataclasses import dataclass
from typing import Literal

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.off_policy.diagnostics import Diagnostics

Word = Literal["available", "inconclusive", "refused", "not available"]
LEAST_SAMPLE = 100
LEAST_REWARDS = 30
MOST_DEVIATION = 4.0


@dataclass(frozen=True)
class Verdict:
    """One of four words, and a sentence that says why with numbers."""

    word: Word
    sentence: str


@dataclass(frozen=True)
class Subject:
    """What the sentence speaks of: the target policy, what counts (`clicks`), of what (`impressions`).

    `where` says which places count if not all do (` in places 1 to 3 of 10`).
    """

    target: str
    rewards: str
    requests: str
    where: str = ""


def judge(
    subject: Subject, weights: Diagnostics, value: Measure, observed: Measure, gain: Measure
) -> Verdict:
    """The verdict on an estimate.

    Args:
        value: the target's value per request.
        observed: what the log's own policy earned per request.
        gain: the first less the second, with an interval of its own.
    """
    if reason := _refusal(subject, weights):
        return Verdict("refused", reason)
    if weights.effective_rewards < LEAST_REWARDS:
        return Verdict("inconclusive", _inconclusive(subject, weights, value, observed))
    return Verdict("available", _available(subject, weights, value, observed, gain))


def not_available(subject: Subject, reason: str) -> Verdict:
    """The log lacks what any estimate needs."""
    return Verdict("not available", f"What {subject.target} would have earned can't be told: {reason}.")


def _refusal(subject: Subject, weights: Diagnostics) -> str | None:
    """Why the log can't answer for the target at all, in words; None where it can."""
    if weights.effective_sample < LEAST_SAMPLE:
        return (
            f"No value is given for {subject.target}: it shows what this log hardly ever showed. "
            f"{weights.requests:,} {subject.requests} count like {weights.effective_sample:,.0f} of its own, "
            f"{LEAST_SAMPLE} are needed, and the largest weight is {weights.largest_weight:,.0f}."
        )
    if weights.mean_deviation > MOST_DEVIATION:
        return (
            f"No value is given for {subject.target}: weights must be 1 on average and are "
            f"{weights.mean_weight:.2f}, so the log's propensities aren't those that it was drawn with."
        )
    if weights.mean_deviation < -MOST_DEVIATION:
        return (
            f"No value is given for {subject.target}: about {1 - weights.mean_weight:.0%} of what it would "
            "show is as good as absent from the log, or the log's propensities aren't those that it was "
            "drawn with."
        )
    return None


def _inconclusive(subject: Subject, weights: Diagnostics, value: Measure, observed: Measure) -> str:
    return (
        f"The log proves nothing about {subject.target}: its {subject.rewards} count like "
        f"{weights.effective_rewards:.0f} of equal weight, {LEAST_REWARDS} are needed. The estimate of "
        f"{per_thousand(value)} {_unit(subject)}, where the log's own policy had {per_thousand(observed)}, "
        "decides nothing."
    )


def _available(
    subject: Subject, weights: Diagnostics, value: Measure, observed: Measure, gain: Measure
) -> str:
    told = "can't be told apart" if not gain.is_clear else "is better" if gain.low > 0 else "is worse"
    return (
        f"{subject.target} would have had {per_thousand(value)} {_unit(subject)} where the log's own policy "
        f"had {per_thousand(observed)}: it {told} (difference {per_thousand(gain, '+')}). "
        f"{weights.requests:,} {subject.requests} count like {weights.effective_sample:,.0f} of its own."
    )


def _unit(subject: Subject) -> str:
    return f"{subject.rewards} per 1,000 {subject.requests}{subject.where}"


def per_thousand(measure: Measure, sign: str = "") -> str:
    """A value per 1,000 and its interval.

    Example:
        >>> per_thousand(Measure(0.0042, 0.0031, 0.0056, 10_000))
        '4.20 (3.10 to 5.60)'
    """
    value, low, high = (f"{1_000 * part:{sign},.2f}" for part in (measure.value, measure.low, measure.high))
    return f"{value} ({low} to {high})"
