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
from feed_platform.evaluation.predictions import Material, gather
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
    where it errs, and its page."""

    alias: Alias
    found: list[Evaluation]
    business: Business
    off_policy: OffPolicy
    errors: list[ErrorAnalysis]
    path: Path


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
                rival = aliased["champion"] if version != aliased["champion"] else None
                published.append(_publish(settings, alias, gather(settings, version), rival))
        except VersionGone as error:
            gone = error
    if gone and not published:
        raise gone
    return published


def _publish(settings: Settings, alias: Alias, material: Material, rival: ModelVersion | None) -> Published:
    lake = Lake.of(settings)
    found, business = evaluate_objectives(lake, material), value_version(material)
    off_policy = evaluate_off_policy(settings, material.version)
    against = _against(settings, material.version, rival)
    errors = analyse_errors(settings, material.version)
    path = write_report(settings, found, business, off_policy, errors, against)
    save_numbers(lake, found, business)
    save_answers(lake, found[0].version, off_policy.answers)
    save_errors(lake, found[0].version, errors)
    _track(settings, found, path, write_card(settings, found, business, off_policy))
    return Published(alias, found, business, off_policy, errors, path)


def _against(settings: Settings, version: ModelVersion, champion: ModelVersion | None) -> tuple[str, ...]:
    """The version beside the champion in sentences, with a page of its own; or why that can't be."""
    if champion is None:
        return ()
    try:
        found = compare(settings, version, champion)
    except (FeedError, VersionGone) as error:
        return (f"Not compared with the champion, version {champion.version}: {error}.",)
    page = write_comparison(settings, found)
    return (*(judged(found, part) for part in found.objectives), f"All differences: {page.name}.")


def _track(settings: Settings, found: list[Evaluation], path: Path, card: Path) -> None:
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
    for page in (path, card):
        tracking.log_artifact(run_id, str(page), "reports")
