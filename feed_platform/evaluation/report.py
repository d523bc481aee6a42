"""The evaluation's numbers in one self-contained HTML page and in `training.evaluations`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.charts import (
    calibration_figure,
    precision_recall_figure,
    roc_figure,
    slices_figure,
)
from feed_platform.evaluation.evaluate import Evaluation
from feed_platform.evaluation.off_policy.evaluate import OffPolicy
from feed_platform.evaluation.pages import Section, fill, section
from feed_platform.feed import write_atomically
from feed_platform.lake import Lake
from feed_platform.learning.plots import importance_figure, svg
from feed_platform.learning.ranker import importance
from feed_platform.learning.scorers import Boosted
from feed_platform.settings import Settings

FEW_POSITIVES = 100
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
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}


@dataclass(frozen=True)
class Verdict:
    """`better`, `worse` or `within noise`, and a sentence that says so with numbers."""

    word: str
    sentence: str


def verdict(found: Evaluation) -> Verdict:
    """The version's log loss against the best baseline's, in one sentence.

    The best baseline is the one that validation liked best, so the test chooses nothing.
    """
    gap, (rows, positives) = found.gaps["log_loss"], found.parts["test"]
    word = "within noise" if not gap.is_clear else "better" if gap.high < 0 else "worse"
    few = f" {positives} positives are too few to tell models apart." if positives < FEW_POSITIVES else ""
    sentence = (
        f"{found.kind} is {_WORDS[word]} {found.baseline}, the best other baseline, on {rows:,} test "
        f"impressions with {positives:,} {found.event}s: its log loss differs by {gap.value:+.4f} "
        f"(95 % interval {gap.low:+.4f} to {gap.high:+.4f}; below 0 is better).{few}"
    )
    return Verdict(word, sentence)


def write_report(settings: Settings, found: list[Evaluation], off_policy: OffPolicy) -> Path:
    """Write `reports/model-<version>.html`; every objective has its part, off-policy values come last."""
    path = settings.reports / f"model-{found[0].version.version}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, render(found, off_policy))
    return path


def render(found: list[Evaluation], off_policy: OffPolicy) -> str:
    """The page: every section once, in the order of reading."""
    return fill("report.html", first=found[0], sections=_sections(found, off_policy))


def _sections(found: list[Evaluation], off_policy: OffPolicy) -> list[Section]:
    return [
        *(_objective_section(part) for part in found),
        section("off-policy", "As the feed's policy", "off_policy.html", off_policy=off_policy),
    ]


def _objective_section(found: Evaluation) -> Section:
    title, objective = f"Objective: {found.event}", _objective(found)
    return section(
        f"objective-{found.event}", title, "objective.html", found=found, objective=objective, metrics=METRICS
    )


def save_numbers(lake: Lake, found: list[Evaluation]) -> int:
    """Replace the version's rows of `training.evaluations`; returns how many there are."""
    rows = pl.DataFrame([row for part in found for row in _rows(part)], infer_schema_length=None)
    numbers = rows.with_columns(pl.col("value", "low", "high").cast(pl.Float64).fill_nan(None))
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
    at = datetime.now(UTC).replace(tzinfo=None)
    return [{**_row(found, *facts), "evaluated_at": at} for facts in (*everything, *gaps, *shares, *parts)]


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


_WORDS = {"better": "better than", "worse": "worse than", "within noise": "not told apart from"}
