"""A version's model card (Mitchell et al. 2019): what it is for, what it rests on, how far to trust it."""

from pathlib import Path

from feed_platform.evaluation.business import Business
from feed_platform.evaluation.evaluate import Evaluation
from feed_platform.evaluation.off_policy.evaluate import OffPolicy
from feed_platform.evaluation.pages import fill
from feed_platform.evaluation.proof import proof
from feed_platform.evaluation.report import METRICS
from feed_platform.evaluation.summary import worth
from feed_platform.evaluation.verdict import FEW_POSITIVES, verdict
from feed_platform.feed import FeedError, write_atomically
from feed_platform.learning import registry
from feed_platform.settings import Settings

SHORT = ("log_loss", "roc_auc", "pr_auc", "calibration_error", "ndcg_at_10", "mrr")


def write_card(
    settings: Settings, found: list[Evaluation], business: Business, off_policy: OffPolicy
) -> Path:
    """Write `reports/card-<version>.html` and describe the version in the registry."""
    path = card_path(settings, found[0].version.version)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, render_card(found, business, off_policy))
    describe(settings, found)
    return path


def render_card(found: list[Evaluation], business: Business, off_policy: OffPolicy) -> str:
    """The page: no script, no file beside it."""
    return fill(
        "card.html",
        first=found[0],
        objectives=[(part, verdict(part), proof(part)) for part in found],
        metrics={name: METRICS[name] for name in SHORT},
        worth=worth(found[0], business.money, off_policy),
        limits=limits(found),
    )


def limits(found: list[Evaluation]) -> list[str]:
    """What the numbers don't cover or cover badly, in sentences."""
    few = [part.event for part in found if part.parts["test"][1] < FEW_POSITIVES]
    said = list(found[0].record.notes)
    if few:
        said.append(
            f"Fewer than {FEW_POSITIVES} test rows with {' or '.join(few)}: nothing is proven of them."
        )
    for part in found:
        worse = [one.name for one in part.slices if one.gap.low > 0]
        if worse:
            said.append(f"{part.event}: shown to be worse than {part.baseline} on {', '.join(worse)}.")
    return said


def describe(settings: Settings, found: list[Evaluation]) -> None:
    """Put the card's first sentences into the registry, beside the version."""
    said = "\n\n".join(f"{verdict(part).sentence} {proof(part)}" for part in found)
    registry.client(settings).update_model_version(registry.MODEL, found[0].version.version, said)


def card_path(settings: Settings, version: str) -> Path:
    """Where a version's card lies."""
    return settings.reports / f"card-{version}.html"


def find_card(settings: Settings, version: str | None) -> Path:
    """The card of a version, or of the champion.

    Raises:
        FeedError: there is no such version, or it has no card yet.
    """
    known = registry.get_version(settings, version) if version else registry.champion(settings)
    if known is None:
        raise FeedError("no champion yet: name a version, feed card VERSION")
    path = card_path(settings, known.version)
    if not path.exists():
        raise FeedError(f"{path} does not exist: materialize evaluation/report, which writes cards")
    return path
