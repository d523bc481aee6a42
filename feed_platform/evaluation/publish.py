"""Evaluation of the versions that matter, put everywhere that people look."""

import time
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from feed_platform.evaluation.business import Business, value_version
from feed_platform.evaluation.card import write_card
from feed_platform.evaluation.compare import compare
from feed_platform.evaluation.compare_page import judged, write_comparison
from feed_platform.evaluation.errors.analyse import ErrorAnalysis, analyse_errors
from feed_platform.evaluation.errors.publish import save_errors
from feed_platform.evaluation.evaluate import Evaluation, evaluate_objectives
from feed_platform.evaluation.off_policy.evaluate import OffPolicy, evaluate_off_policy
from feed_platform.evaluation.off_policy.publish import save_answers
from feed_platform.evaluation.predictions import Material, Rival, gather
from feed_platform.evaluation.report import metric_name, save_numbers, write_report
from feed_platform.feed import FeedError
from feed_platform.lake import Lake
from feed_platform.lake.connection import VersionGone
from feed_platform.learning import registry
from feed_platform.learning.registry import Alias, ModelVersion
from feed_platform.settings import Settings

EVALUATED: tuple[Alias, ...] = ("champion", "challenger")


@dataclass(frozen=True)
class Published:
    """One version's evaluation, by objective, its feeds and money, what it would have earned as the policy,
    where it errs, and its pages: report, card and, where there is a rival, the comparison."""

    alias: Alias
    found: list[Evaluation]
    business: Business
    off_policy: OffPolicy
    errors: list[ErrorAnalysis]
    path: Path
    card: Path
    compared: Path | None


def publish_reports(settings: Settings) -> list[Published]:
    """Evaluate champion and challenger: page, rows in the lake, metrics and pages in MLflow.

    A version keeps the report that it has if the rows that it was trained and tested on are gone.

    Raises:
        FeedError: no model has been trained.
        VersionGone: no version's rows are there any more.
    """
    aliased = {alias: registry.with_alias(settings, alias) for alias in EVALUATED}
    if not any(aliased.values()):
        raise FeedError("no model yet: run dagster job execute -j train")
    published, gone = [], None
    for alias, version in aliased.items():
        try:
            if version is not None:
                rival = _rival(settings, version, aliased["champion"])
                published.append(_publish(settings, alias, gather(settings, version, rival), rival))
        except VersionGone as error:
            gone = error
    if gone and not published:
        raise gone
    return published


def _rival(settings: Settings, version: ModelVersion, champion: ModelVersion | None) -> Rival | None:
    """The champion; for the champion itself the one that it took over from."""
    if champion is not None and version != champion:
        return Rival(champion, "the champion")
    before = registry.champion_before(settings, version)
    return Rival(before, "the champion before it") if before else None


def _publish(settings: Settings, alias: Alias, material: Material, rival: Rival | None) -> Published:
    lake = Lake.of(settings)
    found, business = evaluate_objectives(lake, material), value_version(material)
    off_policy = evaluate_off_policy(settings, material.version)
    against, compared = _against(settings, material.version, rival)
    errors = analyse_errors(settings, material)
    path = write_report(settings, found, business, off_policy, errors, against, compared)
    card = write_card(settings, found, business, off_policy)
    save_numbers(lake, found, business)
    save_answers(lake, found[0].version, off_policy.answers)
    save_errors(lake, found[0].version, errors)
    _track(settings, found, [page for page in (path, card, compared) if page])
    return Published(alias, found, business, off_policy, errors, path, card, compared)


def _against(
    settings: Settings, version: ModelVersion, rival: Rival | None
) -> tuple[tuple[str, ...], Path | None]:
    """A question, its answers in sentences, or why there are none, and the comparison's page."""
    if rival is None:
        return (), None
    asked = f"Better than {rival.role}?"
    try:
        found = compare(settings, version, rival.version)
    except (FeedError, VersionGone) as error:
        return (asked, f"Not compared with {rival.role}, version {rival.version.version}: {error}."), None
    page = write_comparison(settings, found)
    return (asked, *(judged(found, part) for part in found.objectives)), page


def _track(settings: Settings, found: list[Evaluation], pages: list[Path]) -> None:
    """Log `test_<model>_<metric>` and the pages to the run that trained the version."""
    from mlflow.entities import Metric

    at = int(time.time() * 1000)
    metrics = [
        Metric(f"test_{model}_{metric_name(part, name)}", value, at, 0)
        for part in found
        for model, numbers in part.models.items()
        for name, value in numbers.values.items()
        if isfinite(value)
    ]
    tracking, run_id = registry.client(settings), found[0].version.run_id
    tracking.log_batch(run_id, metrics)
    for page in pages:
        tracking.log_artifact(run_id, str(page), "reports")
