"""The report of a model version."""

import dagster as dg

from feed_platform.evaluation.charts import calibration_figure, precision_recall_figure, slices_figure
from feed_platform.evaluation.errors.publish import work_list, worst_slices
from feed_platform.evaluation.evaluate import EVENT_RATE, Evaluation
from feed_platform.evaluation.pages import order_name, shown
from feed_platform.evaluation.publish import Published, publish_reports
from feed_platform.evaluation.report import METRICS
from feed_platform.evaluation.summary import worth
from feed_platform.evaluation.verdict import verdict
from feed_platform.learning.plots import markdown_image
from feed_platform.resources import Home

FIGURES = {
    "calibration": calibration_figure,
    "precision recall": precision_recall_figure,
    "slices": slices_figure,
}


@dg.asset(
    key=["evaluation", "report"],
    group_name="evaluation",
    deps=[["training", "model"]],
    kinds={"html"},
    description="Champion and challenger beside every baseline on test rows: page, numbers, MLflow metrics.",
)
def evaluation_report(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
    """Evaluate the versions that carry an alias."""
    published = publish_reports(home.settings)
    for done in published:
        context.log.info(verdict(done.found[0]).sentence)
    return dg.MaterializeResult(metadata={k: v for done in published for k, v in _metadata(done).items()})


def _metadata(done: Published) -> dict[str, dg.MetadataValue]:
    found, prefix = done.found[0], f"{done.alias} "
    return {
        f"{prefix}version": dg.MetadataValue.text(f"{found.version.version} ({found.kind})"),
        f"{prefix}verdict": dg.MetadataValue.text(verdict(found).sentence),
        f"{prefix}worth": dg.MetadataValue.md(_worth(done)),
        f"{prefix}off-policy": dg.MetadataValue.md(_verdicts(done)),
        f"{prefix}work on next": dg.MetadataValue.md(_listed(work_list(done.errors))),
        f"{prefix}worst slices": dg.MetadataValue.md(_listed(worst_slices(done.errors))),
        f"{prefix}report": dg.MetadataValue.path(done.path),
        f"{prefix}card": dg.MetadataValue.path(done.card),
        **({f"{prefix}comparison": dg.MetadataValue.path(done.compared)} if done.compared else {}),
        f"{prefix}metrics": dg.MetadataValue.table(_table(found)),
        **{
            f"{prefix}{name}": dg.MetadataValue.md(markdown_image(draw(found), name))
            for name, draw in FIGURES.items()
        },
    }


def _worth(done: Published) -> str:
    return "\n".join(f"- {one}" for one in worth(done.found[0], done.business.money, done.off_policy))


def _verdicts(done: Published) -> str:
    answers = [f"- **{one.verdict.word}**: {one.verdict.sentence}" for one in done.off_policy.answers]
    return "\n".join(answers + [f"- {sentence}" for sentence in done.off_policy.own])


def _listed(sentences: list[str]) -> str:
    return "\n".join(f"1. {sentence}" for sentence in sentences) or "nothing stands out beyond noise"


def _table(found: Evaluation) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "model": order_name(model),
                "Event rate": shown(numbers.find(EVENT_RATE)),
                **{title: shown(numbers.find(metric)) for metric, title in METRICS.items()},
            }
        )
        for model, numbers in found.models.items()
    ]
