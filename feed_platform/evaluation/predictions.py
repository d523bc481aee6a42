"""What every model of a training says of the test rows, computed once for all that looks at it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import Scored
from feed_platform.evaluation.metrics import best_threshold
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Dataset, Labels, Part, reload_dataset, users_of
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.registry import ModelVersion
from feed_platform.learning.scorers import Matrix
from feed_platform.settings import Settings


@dataclass(frozen=True)
class Rival:
    """A registered version of another training to stand beside a version; `role` says what it is."""

    version: ModelVersion
    role: str

    @property
    def name(self) -> str:
        """Its name among the models."""
        return f"version_{self.version.version}"


@dataclass(frozen=True)
class Predictions:
    """One model's probabilities by objective, (n,) each: of the calibration rows as shown, of the test
    rows as shown, and of the test rows as if each stood first."""

    bundle: Bundle
    tuning: dict[str, Vector]
    shown: dict[str, Vector]
    first: dict[str, Vector]

    @classmethod
    def of(cls, bundle: Bundle, data: Dataset) -> "Predictions":
        """Score calibration and test rows; a feature that they lack is missing."""
        tuning, test = (matrix_of(part.frame, bundle.features) for part in (data.calibration, data.test))
        return cls(
            bundle,
            bundle.probabilities(tuning),
            bundle.probabilities(test),
            bundle.probabilities(at_reference_position(test, bundle.features)),
        )

    @cached_property
    def score(self) -> Vector:
        """What the model ranks by: the combined value at position 1, (n,)."""
        return self.bundle.score(self.first)


@dataclass(frozen=True)
class Material:
    """A version, its training's models and their predictions on the test rows.

    `user` numbers the rows' users, `request` their requests (-1 for none), (n,) each. `rival` is among
    the models too, None where the rows don't allow it.
    """

    version: ModelVersion
    record: TrainingRecord
    data: Dataset
    predictions: dict[str, Predictions]
    user: NDArray[np.int64]
    request: NDArray[np.int64]
    rival: Rival | None

    @property
    def bundle(self) -> Bundle:
        """The version's own bundle."""
        return self.predictions[self.version.kind].bundle

    @property
    def users(self) -> int:
        """How many users the test rows have."""
        return int(self.user.max()) + 1

    @cached_property
    def log_score(self) -> Vector | None:
        """The order in which requests were shown, best first, (n,); None where a place isn't known."""
        position = self.data.test.frame["position"].cast(pl.Float64).fill_nan(None)
        if position.null_count() or (self.request < 0).all():
            return None
        return -position.to_numpy()

    def label(self, event: str) -> Labels:
        """The test rows' labels, (n,)."""
        return self.data.test.label(event)

    def scored(self, kind: str, event: str) -> Scored:
        """One model and objective, the threshold set on the calibration rows."""
        said = self.predictions[kind]
        threshold = best_threshold(self.data.calibration.label(event), said.tuning[event])
        return Scored(self.label(event), said.shown[event], threshold, self.request, said.first[event])

    def value(self) -> Vector:
        """What each test row earned by the declared weights, (n,)."""
        objectives = self.bundle.objectives.items()
        return np.sum([weight * self.label(event) for event, weight in objectives], axis=0)


def gather(settings: Settings, version: ModelVersion, rival: Rival | None = None) -> Material:
    """Read a version's training rows as they were and score them by all of its training's models.

    A rival joins them if its own test days began no later, so that all test rows are new to it too, and if
    it predicts every objective.

    Raises:
        VersionGone: the rows aren't there any more.
    """
    record = TrainingRecord.of(registry.client(settings), version.run_id)
    bundles = {kind: registry.load_bundle(version, sha256) for kind, sha256 in record.bundles.items()}
    data = reload_dataset(Lake.of(settings), record, bundles[version.kind].features)
    joined = _joining(settings, rival, record, bundles[version.kind])
    if rival and joined:
        bundles[rival.name] = joined
    frame = data.test.frame
    return Material(
        version=version,
        record=record,
        data=data,
        predictions={kind: Predictions.of(bundle, data) for kind, bundle in bundles.items()},
        user=users_of(frame),
        request=requests_of(frame),
        rival=rival if joined else None,
    )


def _joining(
    settings: Settings, rival: Rival | None, record: TrainingRecord, bundle: Bundle
) -> Bundle | None:
    """The rival's bundle, if the test rows are fair to it."""
    if rival is None:
        return None
    theirs = TrainingRecord.of(registry.client(settings), rival.version.run_id)
    if theirs.split.test.start > record.split.test.start:
        return None
    found = registry.load_bundle(rival.version)
    return found if set(bundle.objectives) <= set(found.objectives) else None


def matrix_of(frame: pl.DataFrame, features: tuple[str, ...]) -> Matrix:
    """The features of n rows, float32 (n, features); one that they lack is missing everywhere."""
    return Part.of(frame, features).matrix


def requests_of(frame: pl.DataFrame) -> NDArray[np.int64]:
    """A number for each row's request, (n,); -1 for none."""
    return frame["request_id"].rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1


def at_reference_position(matrix: Matrix, features: tuple[str, ...]) -> Matrix:
    """The rows as if each had been shown at position 1, as serving ranks them."""
    moved = matrix.copy()
    if "position" in features:
        moved[:, features.index("position")] = 1.0
    return moved
