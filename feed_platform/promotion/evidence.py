"""All that a verdict rests on, as one JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.learning.registry import ModelVersion
from feed_platform.promotion.contest import Claim
from feed_platform.promotion.finding import Finding, Verdict, reason_of, verdict_of


@dataclass(frozen=True)
class Row:
    """A metric of one objective on the test rows: candidate, champion and their difference, 95 % each."""

    event: str
    metric: str
    candidate: Measure
    champion: Measure | None
    difference: Measure | None


@dataclass(frozen=True)
class Evidence:
    """One attempt: who against whom, on which rows, what was found.

    `attempt` counts the candidates judged on test days that overlap these; `window` is the test's first
    and last `shown_at` allowed; `detectable` the least log-loss difference to the champion, or the
    constant, that these rows would show four times in five.
    """

    claim: Claim
    candidate: ModelVersion
    champion: ModelVersion | None
    findings: tuple[Finding, ...]
    metrics: tuple[Row, ...]
    attempt: int
    window: tuple[datetime, datetime]
    rows: int
    users: int
    positives: int
    detectable: float
    lake_version: int
    read_at: int
    code_version: str
    judged_at: datetime
    notes: Sequence[str] = ()
    off_policy: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        """Pass only where everything that could be looked at passed."""
        return verdict_of(self.findings)

    @property
    def reason(self) -> str:
        """Why, in sentences."""
        return reason_of(self.findings, self.verdict)

    def dumps(self) -> str:
        """The evidence as JSON; a number that isn't finite is null."""
        content = {**asdict(self), "verdict": self.verdict, "reason": self.reason}
        return json.dumps(_finite(content), indent=1, default=_text, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and value - value != 0 else value


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
