"""The evaluation's numbers in one self-contained HTML page and in `training.evaluations`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.business import Business
from feed_platform.evaluation.charts import (
    calibration_figure,
    precision_recall_figure,
    roc_figure,
    slices_figure,
    swings_figure,
)
from feed_platform.evaluation.errors.analyse import ErrorAnalysis
from feed_platform.evaluation.errors.diagnosis_publish import diagnosis_sections
from feed_platform.evaluation.errors.publish import error_sections
from feed_platform.evaluation.evaluate import Evaluation
from feed_platform.evaluation.feeds import DEPTH, Feeds
from feed_platform.evaluation.feeds import METRICS as FEED_METRICS
from feed_platform.evaluation.money import Money
from feed_platform.evaluation.off_policy.evaluate import OffPolicy
from feed_platform.evaluation.pages import Section, fill, section
from feed_platform.evaluation.summary import questions, sensitivity
from feed_platform.evaluation.verdict import verdict
from feed_platform.feed import write_atomically
from feed_platform.lake import Lake
from feed_platform.learning.plots import importance_figure, svg
from feed_platform.learning.ranker import importance
from feed_platform.learning.scorers import Boosted
from feed_platform.settings import Settings

METRICS = {
    "log_loss": "Log loss",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "calibration_error": "Calibration error",
    "ndcg_at_5": "NDCG@5",
    "ndcg_at_10": "NDCG@10",
    "mrr": "Reciprocal rank (MRR)",
    "hit_rate_at_1": "Hit rate@1",
    "hit_rate_at_5": "Hit rate@5",
    "hit_rate_at_10": "Hit rate@10",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}


RANKING = ("ndcg_at_5", "ndcg_at_10", "mrr", "hit_rate_at_1", "hit_rate_at_5", "hit_rate_at_10")


def write_report(
    settings: Settings,
    found: list[Evaluation],
    business: Business,
    off_policy: OffPolicy,
    errors: list[ErrorAnalysis],
    against: tuple[str, ...] = (),
    compared: Path | None = None,
) -> Path:
    """Write `reports/model-<version>.html`: summary, objectives, errors, feeds, money, off-policy values.

    `against` asks and says how the version compares with another, in sentences, `compared` is the page on it.
    A diagnosis that the lake keeps of the version has its sections too.
    """
    path = settings.reports / f"model-{found[0].version.version}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    diagnosis = diagnosis_sections(Lake.of(settings), found[0].version)
    write_atomically(path, render(found, business, off_policy, errors, against, compared, diagnosis))
    return path


def render(
    found: list[Evaluation],
    business: Business,
    off_policy: OffPolicy,
    errors: list[ErrorAnalysis],
    against: tuple[str, ...] = (),
    compared: Path | None = None,
    diagnosis: Sequence[Section] = (),
) -> str:
    """The page: every section once, in the order of reading."""
    sections = _sections(found, business, off_policy, errors, against, diagnosis)
    beside = compared.name if compared else None
    return fill("report.html", first=found[0], sections=sections, beside=beside)


def _sections(
    found: list[Evaluation],
    business: Business,
    off_policy: OffPolicy,
    errors: list[ErrorAnalysis],
    against: tuple[str, ...],
    diagnosis: Sequence[Section],
) -> list[Section]:
    asked = questions(found, business, off_policy, against)
    return [
        section("summary", "Summary", "summary.html", questions=asked),
        *(_objective_section(part) for part in found),
        *error_sections(errors),
        *diagnosis,
        *_feeds_section(found[0], business.feeds),
        _money_section(found[0], business.money),
        section("off-policy", "As the feed's policy", "off_policy.html", off_policy=off_policy),
    ]


def _feeds_section(found: Evaluation, feeds: Feeds | None) -> list[Section]:
    if feeds is None:
        return []
    values = {"found": found, "feeds": feeds, "metrics": FEED_METRICS, "depth": DEPTH}
    return [section("feeds", "The feeds it makes", "feeds.html", **values)]


def _money_section(found: Evaluation, money: Money) -> Section:
    figure = svg(swings_figure(money), "swings") if money.swings else ""
    said = sensitivity(found.kind, money) if money.swings else ""
    values = {"found": found, "money": money, "figure": figure, "said": said}
    return section("money", "What it is worth", "money.html", **values)


def _objective_section(found: Evaluation) -> Section:
    title, objective = f"Objective: {found.event}", _objective(found)
    values = {"metrics": METRICS, "ranking": {name: METRICS[name] for name in RANKING}}
    anchor = f"objective-{found.event}"
    return section(anchor, title, "objective.html", found=found, objective=objective, **values)


def save_numbers(lake: Lake, found: list[Evaluation], business: Business) -> int:
    """Replace the version's rows of `training.evaluations`; returns how many there are."""
    at, first = datetime.now(UTC).replace(tzinfo=None), found[0]
    worth = [_row(first, model, "all", name, measure) for model, name, measure in business.numbers()]
    rows = [*(row for part in found for row in _rows(part)), *worth]
    table = pl.DataFrame(rows, infer_schema_length=None).with_columns(evaluated_at=pl.lit(at))
    numbers = table.with_columns(pl.col("value", "low", "high").cast(pl.Float64).fill_nan(None))
    version = found[0].version.version
    with lake.write(f"evaluation of model {version}", {"model_version": version}) as con:
        con.execute("delete from training.evaluations where model_version = ?", [version])
        con.register("numbers", numbers.to_arrow())
        con.execute("insert into training.evaluations by name from numbers")
    return len(numbers)


def _objective(found: Evaluation) -> dict[str, Any]:
    figures = {
        "calibration": calibration_figure(found),
        "precision_recall": precision_recall_figure(found),
        "roc": roc_figure(found),
        "slices": slices_figure(found),
    }
    if shares := feature_shares(found):
        figures["importance"] = importance_figure(shares)
    return {
        "verdict": verdict(found),
        "figures": {name: svg(figure, f"{found.event}-{name}") for name, figure in figures.items()},
    }


def feature_shares(found: Evaluation) -> dict[str, float]:
    """Feature importance of a boosted version; empty for a baseline."""
    heads = {head.event: head.scorer for head in found.bundle.heads}
    scorer = heads[found.event]
    return importance(scorer, found.bundle.features) if isinstance(scorer, Boosted) else {}


def _rows(found: Evaluation) -> list[dict[str, Any]]:
    everything = [
        (model, "all", metric, measure)
        for model, numbers in found.models.items()
        for metric, measure in numbers.measures().items()
    ]
    gaps = [(found.kind, "all", f"{metric}_gap", measure) for metric, measure in found.gaps.items()]
    shares = [
        (found.kind, "all", f"{metric}_headroom", measure) for metric, measure in found.headroom.items()
    ]
    parts = [
        (found.kind, part.name, metric, measure)
        for part in found.slices
        for metric, measure in (*part.model.measures().items(), ("log_loss_gap", part.gap))
    ]
    return [_row(found, *facts) for facts in (*everything, *gaps, *shares, *parts)]


def _row(found: Evaluation, model: str, part: str, metric: str, measure: Measure) -> dict[str, Any]:
    return {
        "model_version": found.version.version,
        "model": model,
        "split": "test",
        "slice": part,
        "metric": metric_name(found, metric),
        **vars(measure),
        "lake_version": found.record.lake_version,
    }


def metric_name(found: Evaluation, metric: str) -> str:
    """The metric's name; with the event in front for all objectives but the first."""
    return metric if found.event == found.bundle.heads[0].event else f"{found.event}_{metric}"
