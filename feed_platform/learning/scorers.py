"""The kinds of model behind one interface: from a feature matrix to raw probabilities."""

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from feed_platform.learning.calibration import Vector, sigmoid
from feed_platform.learning.quick_predict import Predict, quick_predict

Matrix = NDArray[np.float32]


class Scorer(Protocol):
    """One objective's model. `kind` names it, `suffix` its file."""

    kind: ClassVar[str]
    suffix: ClassVar[str]

    def raw(self, matrix: Matrix) -> Vector:
        """Raw probabilities, shape (n,), of the rows of a (n, features) matrix; missing is NaN."""

    def dumps(self) -> bytes:
        """The model as the content of its file."""


@dataclass(frozen=True)
class Constant:
    """The same probability for everything: the event's rate."""

    kind: ClassVar[str] = "constant"
    suffix: ClassVar[str] = ".json"
    rate: float

    def raw(self, matrix: Matrix) -> Vector:
        """The rate, for each row."""
        return np.full(len(matrix), self.rate)

    def dumps(self) -> bytes:
        """The rate as JSON."""
        return _json(asdict(self))

    @classmethod
    def loads(cls, data: bytes) -> "Constant":
        """Read what `dumps` wrote."""
        return cls(**json.loads(data))


@dataclass(frozen=True)
class Popularity:
    """The post's own rate: (events + strength * rate) / (impressions + strength).

    `events` and `impressions` are the numbers of the two columns of counts.
    """

    kind: ClassVar[str] = "popularity"
    suffix: ClassVar[str] = ".json"
    events: int
    impressions: int
    rate: float
    strength: float

    def raw(self, matrix: Matrix) -> Vector:
        """The smoothed rate; `rate` where nothing is known. Late impressions can't lift it above 1."""
        events, impressions = _counts(matrix, self.events, self.impressions)
        return np.minimum((events + self.strength * self.rate) / (impressions + self.strength), 1.0)

    def dumps(self) -> bytes:
        """Column and fill value as JSON."""
        return _json(asdict(self))

    @classmethod
    def loads(cls, data: bytes) -> "Popularity":
        """Read what `dumps` wrote."""
        return cls(**json.loads(data))


@dataclass(frozen=True)
class Segment:
    """A segment's rate, drawn to the post's: (events + strength * post rate) / (impressions + strength).

    `events` and `impressions` are the numbers of the columns that count within the segment.
    """

    kind: ClassVar[str] = "segment"
    suffix: ClassVar[str] = ".json"
    events: int
    impressions: int
    strength: float
    post: Popularity

    def raw(self, matrix: Matrix) -> Vector:
        """The smoothed rate; the post's where nothing is known of the segment."""
        events, impressions = _counts(matrix, self.events, self.impressions)
        return np.minimum(
            (events + self.strength * self.post.raw(matrix)) / (impressions + self.strength), 1.0
        )

    def dumps(self) -> bytes:
        """Columns and strengths as JSON."""
        return _json(asdict(self))

    @classmethod
    def loads(cls, data: bytes) -> "Segment":
        """Read what `dumps` wrote."""
        read = json.loads(data)
        return cls(**{**read, "post": Popularity(**read["post"])})


@dataclass(frozen=True)
class Logistic:
    """Logistic regression on standardised signed logs of the features; a missing one counts as its mean."""

    kind: ClassVar[str] = "logistic"
    suffix: ClassVar[str] = ".json"
    weights: tuple[float, ...]
    intercept: float
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def raw(self, matrix: Matrix) -> Vector:
        """sigmoid(weights · standardised signed logs + intercept)."""
        return sigmoid(standardise(matrix, *self._moments) @ self._weights + self.intercept)

    @cached_property
    def _moments(self) -> tuple[Vector, Vector]:
        return np.array(self.mean), np.array(self.scale)

    @cached_property
    def _weights(self) -> Vector:
        return np.array(self.weights)

    def dumps(self) -> bytes:
        """Weights, mean and scale as JSON."""
        return _json(asdict(self))

    @classmethod
    def loads(cls, data: bytes) -> "Logistic":
        """Read what `dumps` wrote."""
        read = json.loads(data)
        return cls(tuple(read["weights"]), read["intercept"], tuple(read["mean"]), tuple(read["scale"]))


class Boosted:
    """An XGBoost booster, kept as UBJSON."""

    kind: ClassVar[str] = "xgboost"
    suffix: ClassVar[str] = ".ubj"

    def __init__(self, model: bytes, threads: int = 1) -> None:
        import xgboost

        self._model = model
        self.booster = xgboost.Booster()
        self.booster.load_model(bytearray(model))
        self.booster.set_param({"nthread": threads})
        self._predict: Predict = self.booster.inplace_predict

    def raw(self, matrix: Matrix) -> Vector:
        """The booster's probabilities."""
        return self._predict(matrix).astype(np.float64)

    def quickened(self, rows: Matrix, groups: Sequence[Sequence[int]]) -> "Boosted":
        """This model for a server, proved on some rows: as `quick_predict`."""
        quick = copy(self)
        quick._predict = quick_predict(self.booster, rows, groups)
        return quick

    def dumps(self) -> bytes:
        """The booster as UBJSON."""
        return self._model

    @classmethod
    def loads(cls, data: bytes) -> "Boosted":
        """Read what `dumps` wrote."""
        return cls(data)


KINDS: dict[str, type[Constant | Popularity | Segment | Logistic | Boosted]] = {
    kind.kind: kind for kind in (Constant, Popularity, Segment, Logistic, Boosted)
}


def contributions(scorer: Scorer, matrix: Matrix) -> Vector | None:
    """What each feature adds to the log-odds of the raw score, (n, features + 1), the base last.

    Boosters: exact SHAP values of the trees (Lundberg et al. 2020), computed by XGBoost. Logistic
    regression: weight times distance from the mean. None for a model of which nothing is to be explained: a
    constant, a single rate.
    """
    if isinstance(scorer, Boosted):
        import xgboost

        rows = xgboost.DMatrix(matrix, missing=np.nan, nthread=1)
        found = scorer.booster.predict(rows, pred_contribs=True, validate_features=False)
        return np.asarray(found, dtype=np.float64)
    if isinstance(scorer, Logistic):
        terms = standardise(matrix, np.array(scorer.mean), np.array(scorer.scale)) * np.array(scorer.weights)
        return np.column_stack([terms, np.full(len(matrix), scorer.intercept)])
    return None


def signed_log(matrix: Matrix) -> Vector:
    """sign(x) * log(1 + |x|) in double: counts span several powers of ten."""
    values = matrix.astype(np.float64)
    return np.copysign(np.log1p(np.abs(values)), values)


def standardise(matrix: Matrix, mean: Vector, scale: Vector) -> Vector:
    """(signed log - mean) / scale; missing becomes 0, the mean."""
    return np.nan_to_num((signed_log(matrix) - mean) / scale, nan=0.0, posinf=0.0, neginf=0.0)


def _counts(matrix: Matrix, *columns: int) -> Vector:
    """Some columns of counts, (columns, n); nothing counted where nothing is known."""
    return np.nan_to_num(matrix[:, columns].astype(np.float64)).T


def _json(data: dict[str, object]) -> bytes:
    return json.dumps(data, sort_keys=True, allow_nan=False).encode()
