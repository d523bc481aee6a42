"""The diagnosis of a model version: an asset that only its own job makes."""

import dagster as dg
from pydantic import Field

from feed_platform.evaluation.errors.diagnosis_publish import (
    Diagnosed,
    ablation_figure,
    curve_figure,
    publish_diagnosis,
)
from feed_platform.learning.plots import markdown_image
from feed_platform.resources import Home


class DiagnosisConfig(dg.Config):
    """Which version."""

    version: str | None = Field(None, description="Of the registry; none: the newest.")


@dg.asset(
    key=["training", "diagnosis"],
    group_name="diagnosis",
    deps=[["training", "model"]],
    kinds={"xgboost", "ducklake"},
    description="Is more data worth it, and which features carry the model? Learning curve and ablation.",
)
def training_diagnosis(
    context: dg.AssetExecutionContext, home: Home, config: DiagnosisConfig
) -> dg.MaterializeResult:
    """Fit the ranker of a version again, on fewer users and without groups of features."""
    done = publish_diagnosis(home.settings, home.feed, config.version, context.log.info)
    return dg.MaterializeResult(metadata=_metadata(done))


def _metadata(done: Diagnosed) -> dict[str, dg.MetadataValue]:
    figures = {
        f"{part.event} {name}": dg.MetadataValue.md(markdown_image(draw(part), name))
        for part in done.found
        for name, draw in (("learning curve", curve_figure), ("ablation", ablation_figure))
    }
    return {
        "version": dg.MetadataValue.text(done.version.version),
        "answers": dg.MetadataValue.md("\n".join(f"- {line}" for line in done.lines())),
        "page": dg.MetadataValue.path(done.path),
        **figures,
    }
