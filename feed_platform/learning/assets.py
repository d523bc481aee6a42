"""The training table and the model."""

import dagster as dg

from feed_platform.feed import find_feed
from feed_platform.learning.described import example_columns
from feed_platform.learning.examples import has_examples, write_examples
from feed_platform.learning.plots import importance_figure, markdown_image
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.tracking import Launch
from feed_platform.learning.training import Outcome, ranker_importance, train
from feed_platform.partitions import days_of, time_partitions
from feed_platform.resources import Home
from feed_platform.settings import Settings
from feed_platform.table_metadata import add_profile, table_definition

FEED = find_feed(Settings())
VALID = dg.AssetCheckSpec(
    "schema",
    asset=dg.AssetKey(["training", "examples"]),
    description="Pandera: types, ranges, identities of features and labels. A broken row stops the write.",
)


class TrainingConfig(dg.Config, RankerConfig):
    """How the ranker is trained."""


@dg.asset(
    key=["training", "examples"],
    group_name="learning",
    deps=[["marts", "impression_features"], ["marts", "labels"]],
    partitions_def=time_partitions(),
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[VALID],
    kinds={"ducklake", "pandera"},
    metadata=table_definition("training.examples", example_columns(FEED) if FEED else ()),
    description="One row per matured impression: features as of its hour and labels; written once.",
)
def training_examples(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
    """Add the impressions that matured on the run's days."""
    feed = home.feed
    start, end = days_of(context)
    written = write_examples(home.lake, feed, start, end)
    with home.lake.read() as con:
        if has_examples(con):
            add_profile(context, con, context.asset_key, "matured_day")
    return dg.MaterializeResult(
        metadata={
            "matured rows": written.matured,
            "rows added": written.added,
            "lake version": written.lake_version,
        },
        check_results=[
            dg.AssetCheckResult(passed=True, check_name="schema", metadata={"rows": written.matured})
        ],
    )


@dg.asset(
    key=["training", "model"],
    group_name="learning",
    deps=[training_examples],
    kinds={"xgboost", "mlflow"},
    description="Baselines and XGBoost ranker, tracked in MLflow; the best on validation is the candidate.",
)
def training_model(
    context: dg.AssetExecutionContext, home: Home, config: TrainingConfig
) -> dg.MaterializeResult:
    """Train, register the best."""
    outcome = train(
        home.settings, home.feed, config, Launch(context.run.run_id, context.job_name, context.log)
    )
    for note in outcome.trained.notes:
        context.log.warning(note)
    return dg.MaterializeResult(metadata=_metadata(outcome))


def _metadata(outcome: Outcome) -> dict[str, dg.MetadataValue]:
    trained, parts = outcome.trained, outcome.data.parts()
    losses = [dg.TableRecord({"model": kind, "log loss": loss}) for kind, loss in trained.losses.items()]
    shares = ranker_importance(trained)
    picture = markdown_image(importance_figure(shares), "feature importance") if shares else "no ranker"
    return {
        "candidate": dg.MetadataValue.text(f"version {outcome.candidate.version} ({outcome.candidate.kind})"),
        "reason": dg.MetadataValue.text(trained.reason),
        "notes": dg.MetadataValue.text(" ".join(trained.notes) or "none"),
        "feasibility": dg.MetadataValue.md("\n".join(f"- {one}" for one in outcome.feasibility.lines())),
        "label rates": dg.MetadataValue.table(
            [dg.TableRecord(vars(one)) for one in outcome.feasibility.rates]
        ),
        "validation log loss": dg.MetadataValue.table(losses),
        "rows": dg.MetadataValue.json({name: len(part) for name, part in parts.items()}),
        "split": dg.MetadataValue.json(outcome.data.split.as_json()),
        "trees": dg.MetadataValue.json(trained.rounds()),
        "lake version": dg.MetadataValue.int(outcome.data.lake_version),
        "feature importance": dg.MetadataValue.md(picture),
    }
