"""The look at what a candidate would have earned, where the log can tell."""

from dataclasses import dataclass

import duckdb

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.off_policy.evaluate import TEMPERATURES
from feed_platform.evaluation.off_policy.publish import TABLE
from feed_platform.feed import Promotion
from feed_platform.lake.tables import has_table
from feed_platform.promotion.finding import Finding, Outcome

NAME = "off-policy value"
ANSWERS = f"""
select target, any_value(verdict), any_value(sentence),
    {{measures}}
from {TABLE} where model_version = $version group by target
"""
MEASURE = "any_value({part}) filter (metric = '{metric}')"
PARTS = [(metric, part) for metric in ("observed", "gain") for part in ("value", "low", "high", "n")]


@dataclass(frozen=True)
class Told:
    """What the report says of a version as one policy; numbers per request, only where the log has them.

    `gain` is the policy's value less `observed`, that of the log's own.
    """

    target: str
    verdict: str
    sentence: str
    observed: Measure | None = None
    gain: Measure | None = None

    @property
    def value(self) -> float | None:
        """What the policy would have earned, where the verdict is that this can be told."""
        is_told = self.verdict == "available" and self.observed and self.gain
        return self.observed.value + self.gain.value if is_told and self.observed and self.gain else None


def told(con: duckdb.DuckDBPyConnection, version: str) -> list[Told]:
    """The report's answers about a version, those of the greediest policy first; empty without a report."""
    if not has_table(con, TABLE):
        return []
    measures = ", ".join(MEASURE.format(metric=metric, part=part) for metric, part in PARTS)
    rows = con.execute(ANSWERS.format(measures=measures), {"version": version}).fetchall()
    return sorted((_told(*row) for row in rows), key=lambda one: (_greed(one.target), one.target))


def look(candidate: list[Told], champion: list[Told], rules: Promotion) -> Finding:
    """The candidate as the greediest policy that the log can value, against what the log's own earned.

    Where the champion, as the same policy, would have earned less than the log's, it is held to that: a
    policy that explores may earn less than a greedy log however good its model. What the log can't answer
    for, or answers from too few requests or rewards, is no evidence and doesn't hold a model up.
    """
    known = next((one for one in candidate if one.value is not None), None)
    if known is None:
        return Finding(NAME, "not available", _why_not(candidate))
    assert known.observed and known.gain
    bar, whose = _bar(known, champion)
    allowed = bar - rules.off_policy * abs(bar)
    value, low, high = (
        known.observed.value + part for part in (known.gain.value, known.gain.low, known.gain.high)
    )
    outcome: Outcome = "fail" if high < allowed else "inconclusive" if value < allowed else "pass"
    word = {
        "fail": "is shown to earn less",
        "inconclusive": "probably earns less",
        "pass": "is not shown to earn less",
    }
    return Finding(
        NAME,
        outcome,
        f"As the log's policy ({known.target}) the candidate {word[outcome]} than {whose} by more than "
        f"{rules.off_policy:.0%}: {1_000 * value:.2f} per 1,000 requests ({1_000 * low:.2f} to "
        f"{1_000 * high:.2f}, 95 %), {1_000 * allowed:.2f} are asked for.",
        numbers={"value": value, "low": low, "high": high, "asked for": allowed},
    )


def _bar(known: Told, champion: list[Told]) -> tuple[float, str]:
    assert known.observed
    same = next((one.value for one in champion if one.target == known.target and one.value is not None), None)
    if same is not None and same < known.observed.value:
        return same, "the champion as the same policy"
    return known.observed.value, "the log's own policy"


def _why_not(candidate: list[Told]) -> str:
    if not candidate:
        return "No report says what the candidate would have earned as the log's policy."
    return f"{candidate[0].sentence} That neither speaks for the candidate nor against it."


def _greed(target: str) -> int:
    """0 for the greediest: the policy nearest to the one that serves."""
    by_greed = sorted(TEMPERATURES, key=lambda name: TEMPERATURES[name])
    named = [place for place, name in enumerate(by_greed) if f", {name}" in target]
    return min(named, default=len(by_greed))


def _told(target: str, verdict: str, sentence: str, *numbers: float | None) -> Told:
    observed, gain = (_measure(*numbers[start : start + 4]) for start in (0, 4))
    return Told(target, verdict, sentence, observed, gain)


def _measure(value: float | None, low: float | None, high: float | None, n: float | None) -> Measure | None:
    if value is None or low is None or high is None or n is None:
        return None
    return Measure(value, low, high, int(n))
