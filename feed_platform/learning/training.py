"""Training: fit, track, register the best model as the challenger."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from feed_platform.feed import Feed
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.bundle import code_version
from feed_platform.learning.dataset import Dataset, load_dataset
from feed_platform.learning.examples import TABLE
from feed_platform.learning.feasibility import Feasibility, feasibility
from feed_platform.learning.models import RANKER, Trained, fit_all
from feed_platform.learning.plots import importance_figure, reliability_figure
from feed_platform.learning.provenance import FILE, provenance, version_tags
from feed_platform.learning.ranker import RankerConfig, importance, scoped
from feed_platform.learning.record import TAG, TrainingRecord
from feed_platform.learning.registry import BUNDLES, ModelVersion
from feed_platform.learning.scorers import Boosted
from feed_platform.learning.tracking import Launch, tracked_run
from feed_platform.settings import Settings

SAMPLE_ROWS = 1_000


@dataclass(frozen=True)
class Outcome:
    """A training's end: the version that it puts forward, all models, the data, what it could show."""

    candidate: ModelVersion
    trained: Trained
    data: Dataset
    feasibility: Feasibility


def train(settings: Settings, feed: Feed, config: RankerConfig, launch: Launch) -> Outcome:
    """Fit every model on `training.examples`, track it in MLflow, register the best.

    The model with the lowest validation log loss becomes `challenger`, be it a baseline; whether it
    becomes the champion is for the gate to say.

    Raises:
        FeedError: there are no examples or too short a log, or the ranker can't learn at all.
    """
    import mlflow

    lake = Lake.of(settings)
    data = load_dataset(lake, feed)
    with lake.read(data.read_at) as con:
        known = provenance(con)
    with tracked_run(settings, launch) as run_id:
        _log_inputs(settings, data, scoped(config, feed, data.features))
        feasible = feasibility(data, feed)
        _log_feasibility(feasible)
        for line in feasible.lines():
            launch.log.info(line)
        trained = fit_all(data, feed, config, launch.log.info)
        _log_results(trained, data)
        mlflow.log_dict(known.as_json(), FILE)
        best = _nominate(settings, run_id, trained)
        if best.run_id == run_id:
            tags = version_tags(known, data.read_at, trained.losses[trained.best])
            registry.tag_version(settings, best.version, tags)
        return Outcome(best, trained, data, feasible)


def ranker_importance(trained: Trained) -> dict[str, float]:
    """The first objective's feature importance; empty without a ranker."""
    bundle = trained.bundles.get(RANKER)
    scorer = bundle.heads[0].scorer if bundle else None
    return importance(scorer, bundle.features) if bundle and isinstance(scorer, Boosted) else {}


def _nominate(settings: Settings, run_id: str, trained: Trained) -> ModelVersion:
    """Register the best model; the alias moves last, when all else is done."""
    best = registry.register(settings, run_id, trained.bundles[trained.best])
    is_champion = best == registry.champion(settings)
    registry.set_alias(settings, "challenger", None if is_champion else best)
    return best


def _log_inputs(settings: Settings, data: Dataset, config: RankerConfig) -> None:
    import mlflow
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.pandas_dataset import from_pandas

    parts = {f"rows_{name}": len(part) for name, part in data.parts().items()}
    versions = {"lake_version": data.lake_version, "code_version": code_version()}
    mlflow.log_params({**config.model_dump(), **parts, **versions, "features": len(data.features)})
    mlflow.log_dict({"features": list(data.features)}, "features.json")
    sample = data.train.head(SAMPLE_ROWS).to_pandas()
    source = CodeDatasetSource({"lake": settings.catalog, "table": TABLE, "lake_version": str(data.read_at)})
    mlflow.log_input(from_pandas(sample, source, name=f"{TABLE}@{data.lake_version}"), context="training")


def _log_feasibility(known: Feasibility) -> None:
    import mlflow

    mlflow.log_dict(known.as_json(), "feasibility.json")
    mlflow.log_metrics({f"rate_{one.objective}_{one.part}": one.rate for one in known.rates})
    mlflow.log_metrics({f"detectable_rate_{one.objective}": one.rate for one in known.detectable})


def _log_results(trained: Trained, data: Dataset) -> None:
    import mlflow

    mlflow.log_metrics({f"validation_log_loss_{kind}": loss for kind, loss in trained.losses.items()})
    mlflow.log_metrics({f"overfit_log_loss_{event}": loss for event, loss in trained.overfit.items()})
    mlflow.log_metrics({f"rounds_{event}": rounds for event, rounds in trained.rounds().items()})
    mlflow.set_tags({TAG: _record(trained, data).as_tag(), "best": trained.best, "reason": trained.reason})
    _log_plots(trained, data)
    _log_bundles(trained)


def _record(trained: Trained, data: Dataset) -> TrainingRecord:
    bundles = {kind: bundle.version for kind, bundle in trained.bundles.items()}
    return TrainingRecord(data.split, data.lake_version, data.read_at, bundles, trained.losses, trained.notes)


def _log_plots(trained: Trained, data: Dataset) -> None:
    import mlflow

    best = trained.bundles[trained.best]
    event = best.heads[0].event
    probability = data.calibration.predicted(best.heads[0].probability)
    mlflow.log_figure(reliability_figure(data.calibration.label(event), probability), "plots/reliability.png")
    if shares := ranker_importance(trained):
        mlflow.log_figure(importance_figure(shares), "plots/importance.png")


def _log_bundles(trained: Trained) -> None:
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        for bundle in trained.bundles.values():
            bundle.save(Path(folder))
        mlflow.log_artifacts(folder, BUNDLES)
