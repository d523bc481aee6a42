"""What a model version would have earned as the feed's policy, by the test days of the log."""

from dataclasses import dataclass, replace

import duckdb
import polars as pl

from feed_platform.evaluation.off_policy.answer import Answer, answer, unanswered
from feed_platform.evaluation.off_policy.diagnostics import Calibration, calibrate
from feed_platform.evaluation.off_policy.own_policies import own_policies
from feed_platform.evaluation.off_policy.policy import Scores, answerable, replay, score
from feed_platform.evaluation.off_policy.slates import Slates, read_slates
from feed_platform.evaluation.off_policy.verdict import LEAST_SAMPLE, Subject
from feed_platform.feed import load_feed
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.examples import TABLE
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.registry import ModelVersion
from feed_platform.learning.splits import Window
from feed_platform.settings import Settings

REQUESTS = 2_000
TEMPERATURES = {"exploring": 1.0, "exploring less": 0.5, "all but greedy": 0.1}
LOGGED = """
select count(propensity), count(*) filter (propensity < 1), count(*) filter (propensity_kind = 'conditional')
from raw.impressions where shown_at >= $start and shown_at < $end
"""
GIVE_PROPENSITIES = "the log has no propensities: it doesn't say how probable it was to show what it showed"
EXPLORE = "the log's policy is greedy: it never shows what another policy would rather have shown"
KEEP_CANDIDATES = (
    "the log keeps no candidates (serving.requests and serving.candidates), so nobody knows what else it "
    "could have shown, and how probable that was"
)
SHOW_WHOLE_SLATES = "no request of the test days has all its places, with propensities and matured labels"


@dataclass(frozen=True)
class OffPolicy:
    """A version's value as the policy by each answer, and a sentence for each surface on what the log's own
    policies earned, if there are several."""

    answers: list[Answer]
    own: list[str]


def evaluate_off_policy(settings: Settings, version: ModelVersion) -> OffPolicy:
    """What a version would have earned at each of `TEMPERATURES`, or the one answer that nobody can tell.

    The policy is the Plackett–Luce softmax of the version's scores, a temperature being a share of the
    median request's standard deviation of scores. Its own predictions are the reward model: they come from
    rows before the test days.
    """
    record = TrainingRecord.of(registry.client(settings), version.run_id)
    bundle = registry.load_bundle(version, record.bundles[version.kind])
    with Lake.of(settings).read(record.read_at) as con:
        own = own_policies(con, bundle.heads[0].event)
        return OffPolicy(_answers(con, settings, bundle, record.split.test), own)


def _answers(
    con: duckdb.DuckDBPyConnection, settings: Settings, bundle: Bundle, test: Window
) -> list[Answer]:
    subject = Subject(bundle.kind, _reward_name(bundle), "requests")
    if reason := _obstacle(con, test):
        return [unanswered(subject, reason)]
    rewards = _rewards(con, bundle, test)
    slates = read_slates(con, load_feed(settings), rewards, (test.start, test.end), REQUESTS)
    if slates is None:
        return [unanswered(subject, SHOW_WHOLE_SLATES)]
    scores = score(bundle, slates)
    return [
        _answer(replace(subject, target=f"{bundle.kind}, {name}"), slates, scores, share * scores.spread)
        for name, share in TEMPERATURES.items()
        if scores.spread > 0
    ] or [unanswered(subject, "it gives every post the same score")]


def _answer(subject: Subject, slates: Slates, scores: Scores, temperature: float) -> Answer:
    whole = replay(slates, scores, temperature)
    cut = answerable(whole, LEAST_SAMPLE)
    places, of = cut.reward.shape[1], whole.reward.shape[1]
    first = "place 1" if places == 1 else f"places 1 to {places}"
    where = "" if places == of else f" in {first} of {of}"
    return answer(replace(subject, where=where), cut, _calibration(slates))


def _obstacle(con: duckdb.DuckDBPyConnection, test: Window) -> str | None:
    """Why the log can't answer for any policy but its own; None where it may."""
    row = con.execute(LOGGED, {"start": test.start, "end": test.end}).fetchone()
    assert row is not None
    known, uncertain, conditional = row
    if not known:
        return GIVE_PROPENSITIES
    if not uncertain:
        return EXPLORE
    kept = con.execute("select count(*) from (from serving.candidates limit 1)").fetchone()
    return None if conditional and kept and kept[0] else KEEP_CANDIDATES


def _rewards(con: duckdb.DuckDBPyConnection, bundle: Bundle, test: Window) -> pl.DataFrame:
    value = " + ".join(f'{weight} * "label_{event}"' for event, weight in bundle.objectives.items())
    return con.execute(
        f"select impression_id, cast({value} as double) as reward from {TABLE} "
        "where shown_at >= $start and shown_at < $end",
        {"start": test.start, "end": test.end},
    ).pl()


def _reward_name(bundle: Bundle) -> str:
    """What a request earns: the event where it is the only one and counts 1, else the declared value."""
    only = list(bundle.objectives.items())
    return f"{only[0][0]}s" if len(only) == 1 and only[0][1] == 1 else "value"


def _calibration(slates: Slates) -> Calibration:
    """First places against the number of candidates: further down, choices vary with what stands above."""
    candidates = slates.is_candidate.sum(axis=1, keepdims=True).astype(float)
    return calibrate(slates.propensity[:, :1], candidates)
