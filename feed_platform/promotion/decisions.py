"""From verdict to champion: at once, or when a person approves; and back."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

from feed_platform.feed import Feed, FeedError
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.models import BASELINES
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.registry import ModelVersion
from feed_platform.promotion import ledger
from feed_platform.promotion.evidence import Evidence
from feed_platform.promotion.gate import judge
from feed_platform.promotion.ledger import Entry, Event
from feed_platform.promotion.page import Files, write_evidence
from feed_platform.serving import deployment, pointer
from feed_platform.settings import Settings

STAND_INS = ("popularity", BASELINES[0])
BARS: dict[Event, str] = {"rejected": "was rejected", "rolled back": "was rolled back"}


@dataclass(frozen=True)
class Decision:
    """A judged candidate, its evidence on disk, and what became of it."""

    evidence: Evidence
    files: Files
    consequence: str


def run_gate(settings: Settings, feed: Feed) -> Decision | None:
    """Judge the challenger, keep the evidence, act on the verdict as the feed's mode says.

    None where there is nothing to judge: no challenger, or it is the champion.

    Raises:
        FeedError: as `judge`.
    """
    champion = deployment.settle(settings)
    candidate = registry.with_alias(settings, "challenger")
    if candidate is None or candidate == champion:
        registry.set_alias(settings, "challenger", None)
        deployment.show_challenger(settings)
        return None
    evidence = judge(settings, feed, candidate, champion)
    files = write_evidence(settings, evidence)
    barred = _bar(settings, candidate)
    _keep(settings, feed, evidence, files)
    consequence = _act(settings, feed, evidence, barred)
    deployment.show_challenger(settings)
    return Decision(evidence, files, consequence)


def approve(settings: Settings, feed: Feed, version: str | None = None, despite: str | None = None) -> str:
    """Make a version that waits for it the champion; returns what was done.

    Args:
        version: of the registry; None where exactly one waits.
        despite: why a version may serve although it didn't pass, or was rejected or rolled back.

    Raises:
        FeedError: no version waits or several do, the version didn't pass or was judged against another
            champion (without `despite`), or the service refuses it.
    """
    champion = deployment.settle(settings)
    chosen = _chosen(settings, version)
    if chosen == champion:
        raise FeedError(f"version {chosen.version} is the champion already")
    objection = _objection(settings, chosen, champion)
    if objection and not despite:
        raise FeedError(f"version {chosen.version} {objection}; --despite 'why' approves it nevertheless")
    _note(settings, feed, "approved", chosen, despite or "passed", champion)
    deployment.promote(settings, chosen)
    return f"version {chosen.version} ({chosen.kind}) is the champion"


def reject(settings: Settings, feed: Feed, version: str | None = None, reason: str = "") -> str:
    """Turn a version down for good; returns what was done.

    Raises:
        FeedError: no version waits or several do, or it is the champion.
    """
    champion = deployment.settle(settings)
    chosen = _chosen(settings, version)
    if chosen == champion:
        raise FeedError(f"version {chosen.version} is the champion: feed rollback takes it out of service")
    _note(settings, feed, "rejected", chosen, reason or "no reason given", champion)
    for alias in get_args(registry.Alias):
        if registry.with_alias(settings, alias) == chosen:
            registry.set_alias(settings, alias, None)
    deployment.show_challenger(settings)
    return f"version {chosen.version} ({chosen.kind}) is rejected"


def roll_back(settings: Settings, feed: Feed) -> str:
    """Put the model before the champion back, and keep the champion from coming again by itself.

    Raises:
        FeedError: nothing was deployed before.
    """
    taken_out = deployment.settle(settings)
    done = deployment.rollback(settings)
    if taken_out:
        _note(settings, feed, "rolled back", taken_out, done, registry.champion(settings))
    return done


def _act(settings: Settings, feed: Feed, evidence: Evidence, barred: str | None) -> str:
    candidate, is_first = evidence.candidate, evidence.champion is None
    if evidence.verdict != "pass":
        is_empty = is_first and feed.promotion.mode == "automatic"
        return _stand_in(settings, feed, candidate) if is_empty else "the champion stays"
    if barred:
        return f"version {candidate.version} {barred}: it serves only where feed approve --despite says so"
    if feed.promotion.mode == "approval":
        return f"version {candidate.version} waits: feed approve {candidate.version}"
    if pointer.read(settings) is None:
        deployment.promote(settings, candidate)
        return f"version {candidate.version} is the champion"
    registry.set_alias(settings, "approved", candidate)
    return f"version {candidate.version} becomes the champion with the next deployment"


def _stand_in(settings: Settings, feed: Feed, candidate: ModelVersion) -> str:
    """Something must answer and be compared with: popularity, or the overall rate; it claims nothing."""
    record = TrainingRecord.of(registry.client(settings), candidate.run_id)
    kind = next(name for name in STAND_INS if name in record.bundles)
    bundle = registry.load_bundle(candidate, record.bundles[kind])
    version = registry.register(settings, candidate.run_id, bundle)
    said = f"version {version.version} ({kind}) stands in as the champion: nothing is shown to be better"
    _note(settings, feed, "stand-in", version, said, None)
    deployment.promote(settings, version)
    return said


def _keep(settings: Settings, feed: Feed, evidence: Evidence, files: Files) -> None:
    """The verdict's line in the lake, then its tags and files in MLflow."""
    candidate, champion = evidence.candidate, evidence.champion
    entry = Entry(
        event="verdict",
        model_version=candidate.version,
        kind=candidate.kind,
        champion=champion.version if champion else None,
        mode=feed.promotion.mode,
        reason=evidence.reason,
        decided_at=evidence.judged_at,
        claim=evidence.claim,
        verdict=evidence.verdict,
        attempt=evidence.attempt,
        test_from=evidence.window[0],
        test_until=evidence.window[1],
        lake_version=evidence.lake_version,
        evidence=evidence.dumps(),
    )
    ledger.write(Lake.of(settings), entry)
    facts = {"claim": evidence.claim, "verdict": evidence.verdict, "attempt": str(evidence.attempt)}
    tags = {f"promotion_{name}": value for name, value in facts.items()}
    registry.tag_version(settings, candidate.version, tags)
    for path in (files.page, files.json):
        registry.client(settings).log_artifact(candidate.run_id, str(path), "promotion")


def _note(
    settings: Settings,
    feed: Feed,
    event: Event,
    version: ModelVersion,
    why: str,
    champion: ModelVersion | None,
) -> None:
    at = datetime.now(UTC).replace(tzinfo=None)
    before = champion.version if champion else None
    entry = Entry(event, version.version, version.kind, before, feed.promotion.mode, why, at)
    ledger.write(Lake.of(settings), entry)
    registry.tag_version(settings, version.version, {"promotion_decision": event})


def _chosen(settings: Settings, version: str | None) -> ModelVersion:
    if version is not None:
        return registry.get_version(settings, version)
    with Lake.of(settings).read() as con:
        waiting = ledger.waiting(con)
    if len(waiting) != 1:
        raise FeedError(f"name a version: {', '.join(waiting) or 'none'} wait for approval")
    return registry.get_version(settings, waiting[0])


def _objection(settings: Settings, chosen: ModelVersion, champion: ModelVersion | None) -> str | None:
    if barred := _bar(settings, chosen):
        return barred
    with Lake.of(settings).read() as con:
        judged = ledger.last(con, chosen.version, "verdict")
    if judged is None:
        return "was never judged"
    if judged["verdict"] != "pass":
        return f"was judged {judged['verdict']}: {judged['reason']}"
    now = champion.version if champion else None
    if judged["champion"] != now:
        return f"was judged against version {judged['champion'] or 'none'}, the champion is {now or 'none'}"
    return None


def _bar(settings: Settings, version: ModelVersion) -> str | None:
    """Why a version may not serve by itself any more: the last word of a person."""
    with Lake.of(settings).read() as con:
        said = ledger.last(con, version.version, "approved", "rejected", "rolled back")
    return BARS.get(said["event"]) if said else None
