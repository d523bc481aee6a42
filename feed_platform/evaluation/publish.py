"""Evaluation of the versions that matter, put everywhere that people look."""

import time
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from feed_platform.evaluation.evaluate import Evaluation, evaluate_version
from feed_platform.evaluation.off_policy.evaluate import OffPolicy, evaluate_off_policy
from feed_platform.evaluation.off_policy.publish import save_answers
from feed_platform.evaluation.report import metric_name, save_numbers, write_report
from feed_platform.feed import FeedError
from feed_platform.lake import Lake
from feed_platform.lake.connection import VersionGone
from feed_platform.learning import registry
from feed_platform.learning.registry import Alias
from feed_platform.settings import Settings

EVALUATED: tuple[Alias, ...] = ("champion", "challenger")


@dataclass(frozen=True)
class Published:
    """One version's evaluation, by objective, what it would have earned as the policy, and its page."""

    alias: Alias
    found: list[Evaluation]
    off_policy: OffPolicy
    path: Path


def publish_reports(settings: Settings) -> list[Published]:
    """Evaluate champion and challenger: page, rows in the lake, metrics and page in MLflow.

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
                published.append(_publish(settings, alias, evaluate_version(settings, version)))
        except VersionGone as error:
            gone = error
    if gone and not published:
        raise gone
    return published


def _publish(settings: Settings, alias: Alias, found: list[Evaluation]) -> Published:
    off_policy, lake = evaluate_off_policy(settings, found[0].version), Lake.of(settings)
    path = write_report(settings, found, off_policy)
    save_numbers(lake, found)
    save_answers(lake, found[0].version, off_policy.answers)
    _track(settings, found, path)
    return Published(alias, found, off_policy, path)


def _track(settings: Settings, found: list[Evaluation], path: Path) -> None:
    """Log `test_<model>_<metric>` and the page to the run that trained the version."""
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
    tracking.log_artifact(run_id, str(path), "reports")
