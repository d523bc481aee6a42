"""A model version beside its baselines, on the test rows that no training has seen."""

from dataclasses import dataclass

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import Measure, Resampled, Scored, difference, headroom, resample
from feed_platform.evaluation.metrics import best_threshold
from feed_platform.evaluation.slices import slices
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Dataset, Labels, Part, reload_dataset
from feed_platform.learning.models import BASELINES
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.registry import ModelVersion
from feed_platform.learning.scorers import Matrix
from feed_platform.settings import Settings

BAYES = "bayes"
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

    `models` holds every kind, and `bayes` where the true probabilities are known; `gaps` are
    the version's metrics less the best baseline's, `headroom` the share of the way from
    popularity to Bayes that it has gone.
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
    headroom: dict[str, Measure]
    slices: tuple[SliceResult, ...]

    @property
    def kind(self) -> str:
        """The version's kind, its name among `models`."""
        return self.version.kind


def evaluate_version(settings: Settings, version: ModelVersion) -> list[Evaluation]:
    """Evaluate a registered version and its training's other models, one result per objective."""
    lake = Lake.of(settings)
    record = TrainingRecord.of(registry.client(settings), version.run_id)
    bundles = {kind: registry.load_bundle(version, sha256) for kind, sha256 in record.bundles.items()}
    data = reload_dataset(lake, record, bundles[version.kind].features)
    events = bundles[version.kind].objectives
    return [_evaluate(lake, version, record, bundles, data, event) for event in events]


def _evaluate(
    lake: Lake,
    version: ModelVersion,
    record: TrainingRecord,
    bundles: dict[str, Bundle],
    data: Dataset,
    event: str,
) -> Evaluation:
    test, cluster = data.test, users_of(data.test.frame)
    scored = {kind: _score(bundle, data, event) for kind, bundle in bundles.items()}
    if event == TRUTH_EVENT and (bayes := _bayes(lake, data)):
        scored[BAYES] = bayes
    models = {kind: resample(predictions, cluster) for kind, predictions in scored.items()}
    baseline = best_baseline(record, version.kind)
    ours, theirs = models[version.kind], models[baseline]
    return Evaluation(
        version=version,
        bundle=bundles[version.kind],
        event=event,
        record=record,
        parts={name: (len(part), part.positives(event)) for name, part in data.parts().items()},
        newest_as_of=str(data.frame["as_of"].max()),
        users=int(cluster.max()) + 1,
        scored=scored,
        models=models,
        baseline=baseline,
        gaps={metric: difference(ours, theirs, metric) for metric in ours.values},
        headroom=_headroom(models, ours),
        slices=_slices(test, cluster, scored[version.kind], scored[baseline]),
    )


def best_baseline(record: TrainingRecord, kind: str) -> str:
    """The baseline, other than the model itself, that validation liked best: chosen before the test."""
    losses = {name: record.losses[name] for name in BASELINES if name in record.losses and name != kind}
    return min(losses, key=lambda name: losses[name]) if losses else kind


def users_of(frame: pl.DataFrame) -> NDArray[np.int64]:
    """A number for each row's user, (n,); a row without a user stands alone."""
    names = frame.select(pl.coalesce("user_id", "impression_id")).to_series()
    return names.rank("dense").to_numpy().astype(np.int64) - 1


def _score(bundle: Bundle, data: Dataset, event: str) -> Scored:
    """Probabilities at the position that was shown, the threshold set on the calibration rows."""
    tuning = bundle.probabilities(data.calibration.matrix)[event]
    threshold = best_threshold(data.calibration.label(event), tuning)
    probability = bundle.probabilities(data.test.matrix)[event]
    at_first = bundle.probabilities(at_reference_position(data.test.matrix, bundle.features))[event]
    return _as_scored(data.test, event, probability, threshold, at_first)


def at_reference_position(matrix: Matrix, features: tuple[str, ...]) -> Matrix:
    """The rows as if each had been shown at position 1, as serving ranks them."""
    moved = matrix.copy()
    if "position" in features:
        moved[:, features.index("position")] = 1.0
    return moved


def _as_scored(
    test: Part, event: str, probability: Vector, threshold: float, rank_score: Vector | None = None
) -> Scored:
    requests = test.frame["request_id"].rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1
    return Scored(test.label(event), probability, threshold, requests, rank_score)


def _bayes(lake: Lake, data: Dataset) -> Scored | None:
    """The true click probabilities as a model, if they are known for all test rows."""
    with lake.read() as con:
        tuning, truth = (_known_truth(con, part.frame) for part in (data.calibration, data.test))
    if tuning.has_nulls() or truth.has_nulls():
        return None
    threshold = best_threshold(data.calibration.label(TRUTH_EVENT), tuning.to_numpy())
    return _as_scored(data.test, TRUTH_EVENT, truth.to_numpy(), threshold)


def _known_truth(con: duckdb.DuckDBPyConnection, frame: pl.DataFrame) -> pl.Series:
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
