"""One MLflow run per Dagster run, with dagster-mlflow's semantics."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import Logger, getLogger
from types import SimpleNamespace
from typing import TYPE_CHECKING

from feed_platform.learning.registry import client
from feed_platform.settings import Settings

if TYPE_CHECKING:
    from dagster_mlflow.resources import MlFlow

EXPERIMENT = "feed-ranker"


@dataclass(frozen=True)
class Launch:
    """What started a training: the Dagster run's id, its job, and where to write log lines."""

    run_id: str
    job_name: str
    log: Logger = field(default_factory=lambda: getLogger(__name__))


@contextmanager
def tracked_run(settings: Settings, launch: Launch) -> Iterator[str]:
    """The id of the launch's MLflow run, active for `mlflow.log_…`.

    Begins it, or resumes it where the same Dagster run has begun it; ends it as finished,
    failed or killed. dagster-mlflow's own class does the work; as a Dagster
    resource it would import MLflow (7 to 15 s) with every code location.
    """
    import mlflow

    run = _begin(settings, launch)
    active = mlflow.active_run()
    assert active is not None
    try:
        yield active.info.run_id
    except BaseException:
        run.cleanup_on_error()
        raise
    mlflow.end_run()


def _begin(settings: Settings, launch: Launch) -> "MlFlow":
    with warnings.catch_warnings(action="ignore"):  # that dagster-mlflow is in beta
        from dagster_mlflow.resources import MlFlow

        _ensure_experiment(settings)
        config = {"experiment_name": EXPERIMENT, "mlflow_tracking_uri": settings.tracking_uri}
        job = SimpleNamespace(job_name=launch.job_name)
        return MlFlow(
            SimpleNamespace(log=launch.log, run_id=launch.run_id, dagster_run=job, resource_config=config)
        )


def _ensure_experiment(settings: Settings) -> None:
    """Create the experiment with its artifacts in the home: MLflow's default is the working folder."""
    registry = client(settings)
    if registry.get_experiment_by_name(EXPERIMENT) is None:
        settings.artifacts.mkdir(parents=True, exist_ok=True)
        registry.create_experiment(EXPERIMENT, artifact_location=settings.artifacts.as_uri())
