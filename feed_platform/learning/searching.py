"""A search in a home: tracked in MLflow, its best settings saved for a training."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from feed_platform.feed import Feed, write_atomically
from feed_platform.lake import Lake
from feed_platform.learning.dataset import Part, load_dataset
from feed_platform.learning.plots import INK, MODEL, OTHER, legend, new_figure
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.search import RANGES, Found, Limits, Trial, search
from feed_platform.learning.tracking import Launch, tracked_run
from feed_platform.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[str], None]


def search_home(
    settings: Settings, feed: Feed, base: RankerConfig, limits: Limits, launch: Launch, progress: Progress
) -> Found:
    """Search on the home's training table; nothing is registered, let alone promoted.

    Each trial is a run in MLflow within the search's. The best so far is in `best_path` after each trial, so
    that what ends the search loses nothing.

    Raises:
        FeedError: there are no examples, or nothing can be searched for.
    """
    train, validation, lake_version = _rows(settings, feed)
    with tracked_run(settings, launch):
        _log_inputs(train, validation, base, limits, lake_version)
        keeper = _Keeper(settings, progress)
        found = search(train, validation, feed, base, limits, keeper.hear)
        _log_results(found)
    return found


def best_path(settings: Settings) -> Path:
    """Where the best settings lie, as the job `train` takes them."""
    return settings.root / "search" / "best.yaml"


def advice(settings: Settings, found: Found) -> str:
    """What to do with what came out."""
    if not found.gain:
        return "today's settings are the best of those tried: there is nothing to train anew"
    return (
        f"train with it: dagster job execute -m feed_platform.definitions -j train -c {best_path(settings)}"
    )


def launchpad(config: RankerConfig) -> str:
    """The settings as Dagster's launchpad takes them (YAML), those that are searched for in any case."""
    changed = config.model_dump(exclude_defaults=True)
    chosen = {**{name: getattr(config, name) for name in RANGES}, **changed}
    return yaml.safe_dump({"ops": {"training__model": {"config": chosen}}}, sort_keys=False)


def history_figure(found: Found) -> "Figure":
    """Each trial's loss and the lowest so far."""
    losses = [trial.loss for trial in found.trials]
    figure = new_figure("Search", "trial", "validation log loss")
    axes = figure.axes[0]
    axes.scatter(range(len(losses)), losses, color=OTHER, s=14, label="trial")
    lowest = [min(losses[: n + 1]) for n in range(len(losses))]
    axes.step(range(len(losses)), lowest, where="post", color=MODEL, label="best so far")
    axes.axhline(losses[0], color=INK, linestyle="--", linewidth=1, label="today's settings")
    legend(axes)
    return figure


def settings_figure(importance: dict[str, float]) -> "Figure":
    """Each setting's share of the spread of losses."""
    rising = sorted(importance.items(), key=lambda item: item[1])
    figure = new_figure("What the loss depends on", "share of its spread", "", (5.0, 2.2))
    figure.axes[0].barh([name for name, _ in rising], [share for _, share in rising], color=MODEL)
    return figure


class _Keeper:
    """Tracks each trial, says how it went, saves the best so far."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._path, self._progress = best_path(settings), progress
        self._best: Trial | None = None

    def hear(self, trial: Trial) -> None:
        if self._best is None or trial.loss < self._best.loss:
            self._best = trial
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, launchpad(trial.config))
        _log_trial(trial)
        values = ", ".join(f"{name} {value:g}" for name, value in trial.settings.items())
        losses = f"{trial.loss:.5f} (best {self._best.loss:.5f})"
        self._progress(f"trial {trial.number}: {losses}, {trial.seconds:.1f} s: {values}")


def _rows(settings: Settings, feed: Feed) -> tuple[Part, Part, int]:
    """Train, validation and the lake version; the other parts go no further than here."""
    data = load_dataset(Lake.of(settings), feed)
    return data.train, data.validation, data.lake_version


def _log_inputs(train: Part, validation: Part, base: RankerConfig, limits: Limits, lake_version: int) -> None:
    import mlflow

    rows = {"rows_train": len(train), "rows_validation": len(validation), "lake_version": lake_version}
    mlflow.log_params({**base.model_dump(), **limits.model_dump(), **rows})
    mlflow.set_tag("search", "whole")


def _log_trial(trial: Trial) -> None:
    import mlflow

    with mlflow.start_run(run_name=f"trial {trial.number}", nested=True, tags={"search": "trial"}):
        mlflow.log_params(trial.config.model_dump())
        rounds = {f"rounds_{event}": float(count) for event, count in trial.rounds.items()}
        mlflow.log_metrics({"validation_log_loss": trial.loss, "seconds": trial.seconds, **rounds})


def _log_results(found: Found) -> None:
    import mlflow

    mlflow.log_metrics({"validation_log_loss": found.best.loss, "gain": found.gain, "chance": found.chance})
    mlflow.log_text(launchpad(found.best.config), "best.yaml")
    mlflow.log_text("\n".join(found.lines()), "result.txt")
    mlflow.log_figure(history_figure(found), "plots/history.png")
    if found.importance:
        mlflow.log_figure(settings_figure(found.importance), "plots/importance.png")
