"""The Open Bandit sample's answers for a terminal."""

from collections.abc import Iterator

from feed_platform.evaluation.off_policy.estimators import DIRECT, DOUBLY_ROBUST, IPS, SNIPS
from feed_platform.evaluation.off_policy.open_bandit import CAMPAIGNS, Crossed, crossed, statement
from feed_platform.evaluation.off_policy.verdict import per_thousand

POINTS = (SNIPS, DIRECT, DOUBLY_ROBUST)
LINE = "{:<9}{:<18}{:<24}{:>6}{:>15}{:>15}   {:<22} {}"


def sample_lines() -> Iterator[str]:
    """A table of both directions in every campaign, the verdicts, and what so few rows can't prove."""
    answers = list(crossed())
    yield from table_lines(answers)
    yield from (f"{one.answer.verdict.word}: {one.answer.verdict.sentence}" for one in answers)
    yield from map(statement, CAMPAIGNS)


def table_lines(answers: list[Crossed]) -> Iterator[str]:
    """Clicks per 1,000 impressions of each policy, by the other's log and in its own."""
    yield "Clicks per 1,000 impressions that a policy would have had, by the other policy's log"
    yield LINE.format("campaign", "log -> policy", "ips, 95 % interval", *POINTS, "really", "verdict")
    for found in answers:
        yield LINE.format(*_cells(found)).rstrip()


def _cells(found: Crossed) -> list[str]:
    worth, word = found.answer.worth, found.answer.verdict.word
    assert worth is not None, "propensities and candidates are known"
    values = [per_thousand(worth.estimates[IPS])]
    values += [f"{1_000 * worth.estimates[name].value:.2f}" for name in POINTS]
    shown = ["–"] * len(values) if word == "refused" else values
    return [found.campaign, f"{found.log} -> {found.target}", *shown, per_thousand(found.really), word]
