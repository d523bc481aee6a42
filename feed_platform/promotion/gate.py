"""The gate: a candidate against the champion, everything looked at, one verdict."""

from datetime import UTC, datetime

from feed_platform.evaluation.bootstrap import Resampled, Scored, difference, resample
from feed_platform.evaluation.predictions import requests_of
from feed_platform.features.differences import stored_differences
from feed_platform.feed import Feed
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.calibration import Vector
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.registry import ModelVersion
from feed_platform.promotion import cost, ledger, log_value, looks
from feed_platform.promotion.contest import Contest, Side, enter
from feed_platform.promotion.evidence import Evidence, Row
from feed_platform.promotion.finding import Finding
from feed_platform.settings import Settings

LEAK_SAMPLE = 200
METRICS = ("log_loss", "roc_auc", "pr_auc", "calibration_error", "ndcg_at_10")


def judge(settings: Settings, feed: Feed, candidate: ModelVersion, champion: ModelVersion | None) -> Evidence:
    """Everything that speaks for and against a candidate; decides and changes nothing.

    Raises:
        FeedError: the lake version that the candidate was trained from is gone, a slice's condition is
            wrong, or the bundle can't score.
    """
    lake, contest = Lake.of(settings), enter(settings, candidate, champion)
    with lake.read() as con:
        mine = log_value.told(con, candidate.version)
        theirs = log_value.told(con, champion.version) if champion else []
    value = log_value.look(mine, theirs, feed.promotion)
    findings = tuple(_look(settings, feed, contest, value))
    record = TrainingRecord.of(registry.client(settings), candidate.run_id)
    start, end = contest.start, record.split.test.end
    return Evidence(
        claim=contest.claim,
        candidate=candidate,
        champion=champion,
        findings=findings,
        metrics=tuple(_metrics(contest)),
        attempt=ledger.attempt_number(lake, candidate.version, (start, end)),
        window=(start, end),
        rows=len(contest.test),
        users=contest.users,
        positives=contest.positives,
        detectable=next((one.gap.detectable for one in findings if one.gap), float("nan")),
        lake_version=record.lake_version,
        read_at=record.read_at,
        code_version=contest.candidate.bundle.code_version,
        judged_at=datetime.now(UTC).replace(tzinfo=None),
        notes=contest.notes,
        off_policy=tuple(one.sentence for one in mine),
    )


def _look(settings: Settings, feed: Feed, contest: Contest, value: Finding) -> list[Finding]:
    """All findings, the decisive ones first; without rows there is only that to say."""
    fitness = looks.data(contest)
    if not len(contest.test):
        return [fitness]
    with Lake.of(settings).read() as con:
        leaked = looks.leakage(stored_differences(con, feed, LEAK_SAMPLE))
    return [
        *looks.comparisons(contest, feed.promotion),
        *looks.calibration(contest, feed.promotion),
        leaked,
        looks.single_features(contest, feed.promotion),
        fitness,
        value,
        *cost.within(_cost(settings, contest), feed.promotion.budgets),
    ]


def _cost(settings: Settings, contest: Contest) -> cost.Cost:
    people = contest.test.frame["user_id"].drop_nulls().unique(maintain_order=True).head(cost.PEOPLE)
    return cost.measure(contest.candidate.bundle, settings, people.to_list())


def _metrics(contest: Contest) -> list[Row]:
    """Each objective's metrics of both models, for the reader: the verdict doesn't rest on them."""
    if not len(contest.test):
        return []
    rows = []
    for event in contest.events:
        mine = _resampled(contest, contest.candidate, event)
        has_champion = contest.champion and event in contest.champion.probabilities
        theirs = _resampled(contest, contest.champion, event) if contest.champion and has_champion else None
        rows += [_row(event, name, mine, theirs) for name in METRICS if name in mine.values]
    return rows


def _row(event: str, metric: str, mine: Resampled, theirs: Resampled | None) -> Row:
    if theirs is None:
        return Row(event, metric, mine.measure(metric), None, None)
    gap = difference(mine, theirs, metric)
    return Row(event, metric, mine.measure(metric), theirs.measure(metric), gap)


def _resampled(contest: Contest, side: Side, event: str) -> Resampled:
    request = requests_of(contest.test.frame)
    probability: Vector = side.probabilities[event]
    scored = Scored(contest.test.label(event), probability, 0.5, request, contest.rank_scores(side))
    return resample(scored, contest.user)
