"""What one look at a model found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from feed_platform.promotion.gaps import Gap

Outcome = Literal["pass", "fail", "inconclusive", "not available"]
Verdict = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class Finding:
    """One check's outcome, a sentence that says why, and the numbers behind it."""

    name: str
    outcome: Outcome
    sentence: str
    gap: Gap | None = None
    numbers: dict[str, float] = field(default_factory=dict)


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """Fail where one fails, else inconclusive where one is: only what is shown passes."""
    outcomes = {found.outcome for found in findings}
    return "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"


def reason_of(findings: Iterable[Finding], verdict: Verdict) -> str:
    """The sentences of those that decided: all that failed, or all that are open, or the first."""
    decisive = [found.sentence for found in findings if found.outcome == verdict]
    return decisive[0] if verdict == "pass" else " ".join(decisive)
