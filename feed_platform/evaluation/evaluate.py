"""A model version beside its baselines, on the test rows that no training has seen."""

from dataclasses import dataclass

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import (
    Measure,
    Resampled,
    Scored,
    difference,
    headroom,
    means,
    resample,
)
from feed_platform.evaluation.metrics import best_threshold
from feed_platform.evaluation.predictions import Material, Rival, gather
from feed_platform.evaluation.ranking import by_request
from feed_platform.evaluation.slices import slices
from feed_platform.lake import Lake
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.dataset import Labels, Part
from feed_platform.learning.models import BASELINES
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.registry import ModelVersion
from feed_platform.settings import Settings

BAYES, AS_SHOWN = "bayes", "as_shown"
EVENT_RATE = "event_rate"
TRUTH_EVENT = "click"
HEADROOM_METRICS = ("log_loss", "roc_auc")


@dataclass(frozen=True)
class SliceResult:
    """One slice: its rows and positives, the model, and its log loss less the best baseline's."""

    name: str
    positives: int
    model: Resampled
    gap: Measure


@dataclass(frozen=True)
class Evaluation:
    """All numbers of one model version for one objective, on the test part.

    `models` holds every kind, `bayes` where the true probabilities are known, and `as_shown`, the log's own
    policy: the rate of events that it earned, and its ranking metrics where places are known. `gaps` are
    the version's metrics less the best baseline's, `over_log` its ranking metrics less the log's,
    `headroom` the share of the way from popularity to Bayes that it has gone.
    """

    version: ModelVersion
    bundle: Bundle
    event: str
    record: TrainingRecord
    parts: dict[str, tuple[int, int]]
    newest_as_of: str
    users: int
    scored: dict[str, Scored]
    models: dict[str, Resampled]
    baseline: str
    gaps: dict[str, Measure]
    over_log: dict[str, Measure]
    headroom: dict[str, Measure]
    slices: tuple[SliceResult, ...]
    rival: Rival | None

    @property
    def kind(self) -> str:
        """The version's kind, its name among `models`."""
        return self.version.kind

    @property
    def policies(self) -> list[str]:
        """The names of those that choose an order, the log's own first."""
        ranked = [name for name, model in self.models.items() if "mrr" in model.values and name != AS_SHOWN]
        return [AS_SHOWN, *ranked]


def evaluate_version(settings: Settings, version: ModelVersion) -> list[Evaluation]:
    """Evaluate a registered version and its training's other models, one result per objective."""
    return evaluate_objectives(Lake.of(settings), gather(settings, version))


def evaluate_objectives(lake: Lake, material: Material) -> list[Evaluation]:
    """The numbers of each of a version's objectives."""
    return [_evaluate(lake, material, event) for event in material.bundle.objectives]


def _evaluate(lake: Lake, material: Material, event: str) -> Evaluation:
    version, data, record = material.version, material.data, material.record
    scored = {kind: material.scored(kind, event) for kind in material.predictions}
    if event == TRUTH_EVENT and (bayes := _bayes(lake, material)):
        scored[BAYES] = bayes
    models = {kind: resample(predictions, material.user) for kind, predictions in scored.items()}
    baseline = best_baseline(record, version.kind)
    ours, theirs, log = models[version.kind], models[baseline], _as_shown(material, event)
    return Evaluation(
        version=version,
        bundle=material.bundle,
        event=event,
        record=record,
        parts={name: (len(part), part.positives(event)) for name, part in data.parts().items()},
        newest_as_of=str(data.newest_as_of),
        users=material.users,
        scored=scored,
        models=models | {AS_SHOWN: log},
        baseline=baseline,
        gaps={metric: difference(ours, theirs, metric) for metric in ours.values},
        over_log={metric: difference(ours, log, metric) for metric in ours.values if metric in log.values},
        headroom=_headroom(models, ours),
        slices=_slices(data.test, material.user, scored[version.kind], scored[baseline]),
        rival=material.rival,
    )


def _as_shown(material: Material, event: str) -> Resampled:
    """The log's own policy: the rate of events, and its order's metrics where places are known."""
    label = material.label(event)
    rate = means({EVENT_RATE: label.astype(np.float64)}, material.user, material.users)
    if material.log_score is None:
        return rate
    rows = np.flatnonzero(material.request >= 0)
    values, first = by_request(label[rows], material.log_score[rows], material.request[rows])
    return rate.joined(means(values, material.user[rows[first]], material.users))


def best_baseline(record: TrainingRecord, kind: str) -> str:
    """The baseline, other than the model itself, that validation liked best: chosen before the test."""
    losses = {name: record.losses[name] for name in BASELINES if name in record.losses and name != kind}
    return min(losses, key=lambda name: losses[name]) if losses else kind


def _bayes(lake: Lake, material: Material) -> Scored | None:
    """The true click probabilities as a model, if they are known for all test rows."""
    data = material.data
    with lake.read() as con:
        tuning, truth = (known_truth(con, part.frame) for part in (data.calibration, data.test))
    if tuning.has_nulls() or truth.has_nulls():
        return None
    threshold = best_threshold(data.calibration.label(TRUTH_EVENT), tuning.to_numpy())
    return Scored(material.label(TRUTH_EVENT), truth.to_numpy(), threshold, material.request)


def known_truth(con: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> pl.Series:
    """The true click probability of each row, (n,); null where it isn't known."""
    con.register("wanted", frame.select("impression_id").with_row_index("place").to_arrow())
    known = con.execute(
        "select click_probability from wanted "
        "left join truth.impressions using (impression_id) order by place"
    ).pl()
    return known["click_probability"]


def _headroom(models: dict[str, Resampled], ours: Resampled) -> dict[str, Measure]:
    if BAYES not in models or "popularity" not in models:
        return {}
    floor, ceiling = models["popularity"], models[BAYES]
    return {metric: headroom(ours, floor, ceiling, metric) for metric in HEADROOM_METRICS}


def _slices(test: Part, cluster: NDArray[np.int64], ours: Scored, theirs: Scored) -> tuple[SliceResult, ...]:
    results = []
    for name, mask in slices(test.frame).items():
        rows = np.flatnonzero(mask)
        _, users = np.unique(cluster[rows], return_inverse=True)
        model, other = (resample(_take(scored, rows), users) for scored in (ours, theirs))
        positives = int(ours.label[rows].sum())
        results.append(SliceResult(name, positives, model, difference(model, other, "log_loss")))
    return tuple(results)


def _take(scored: Scored, rows: Labels) -> Scored:
    rank_score = None if scored.rank_score is None else scored.rank_score[rows]
    return Scored(
        scored.label[rows], scored.probability[rows], scored.threshold, scored.request[rows], rank_score
    )
