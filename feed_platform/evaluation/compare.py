"""Any two versions on the same rows, shown after both trainings: differences with intervals, and where
they rank differently."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import Measure, Resampled, Scored, difference, means, resample
from feed_platform.evaluation.predictions import at_reference_position, matrix_of, requests_of
from feed_platform.evaluation.ranking import Places
from feed_platform.evaluation.slices import slices
from feed_platform.feed import FeedError
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import reload_dataset, users_of
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.registry import ModelVersion
from feed_platform.settings import Settings

THRESHOLD = 0.5
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Objective:
    """One objective of both versions; differences are the first version's less the second's."""

    event: str
    positives: int
    one: Resampled
    other: Resampled
    scored: tuple[Scored, Scored]
    slices: tuple[tuple[str, Measure], ...]

    def gap(self, metric: str) -> Measure:
        """The difference in a metric, paired."""
        return difference(self.one, self.other, metric)


@dataclass(frozen=True)
class Order:
    """How differently two versions order requests of two posts or more.

    `first` is the share whose first post differs, `alike` the mean rank correlation (Spearman), `moved`
    by slice how many places higher the first version puts its posts.
    """

    first: Measure
    alike: Measure
    moved: tuple[tuple[str, Measure], ...]


@dataclass(frozen=True)
class Comparison:
    """Two versions on rows from `start` to `end`; `order` is None where no request shows two posts.

    `features` are those that only one has, `settings` the parameters that differ, (first, second) each.
    """

    one: ModelVersion
    other: ModelVersion
    start: datetime
    end: datetime
    read_at: int
    rows: int
    users: int
    objectives: tuple[Objective, ...]
    order: Order | None
    features: tuple[list[str], list[str]]
    settings: dict[str, tuple[str, str]]


def compare(settings: Settings, one: ModelVersion, other: ModelVersion) -> Comparison:
    """Put two versions on the rows of the newer one's test that both trainings came before.

    Raises:
        FeedError: there are no such rows, or no objective that both predict.
        VersionGone: the rows aren't there any more.
    """
    tracking = registry.client(settings)
    records = [TrainingRecord.of(tracking, version.run_id) for version in (one, other)]
    newer = max(records, key=lambda record: (record.split.test.start, record.read_at))
    bundles = registry.load_bundle(one), registry.load_bundle(other)
    start, end = max(record.split.test.start for record in records), newer.split.test.end
    frame = reload_dataset(Lake.of(settings), newer, bundles[0].features).test.frame
    frame = frame.filter(pl.col("shown_at") >= start)
    events = [event for event in bundles[0].objectives if event in bundles[1].objectives]
    if frame.is_empty() or not events:
        raise FeedError(
            f"versions {one.version} and {other.version} have no "
            f"{'objective' if len(frame) else 'test impressions after both trainings'} in common: "
            "compare versions whose test days overlap and that predict the same event"
        )
    said = [_answers(bundle, frame) for bundle in bundles]
    user = users_of(frame)
    return Comparison(
        one=one,
        other=other,
        start=start,
        end=end,
        read_at=newer.read_at,
        rows=len(frame),
        users=int(user.max()) + 1,
        objectives=tuple(_objective(frame, event, said, user) for event in events),
        order=_order(frame, [bundle.score(first) for bundle, (_, first) in zip(bundles, said, strict=True)]),
        features=_only(bundles),
        settings=_settings(*(tracking.get_run(version.run_id).data.params for version in (one, other))),
    )


Answers = tuple[dict[str, Vector], dict[str, Vector]]


def _answers(bundle: Bundle, frame: pl.DataFrame) -> Answers:
    """Probabilities as shown and at position 1; a feature that the rows lack is missing."""
    matrix = matrix_of(frame, bundle.features)
    first = at_reference_position(matrix, bundle.features)
    return bundle.probabilities(matrix), bundle.probabilities(first)


def _objective(frame: pl.DataFrame, event: str, said: list[Answers], user: Codes) -> Objective:
    label, request = frame[f"label_{event}"].to_numpy().astype(np.int64), requests_of(frame)
    one, other = (Scored(label, shown[event], THRESHOLD, request, first[event]) for shown, first in said)
    parts = []
    for name, mask in slices(frame).items():
        rows = np.flatnonzero(mask)
        _, users = np.unique(user[rows], return_inverse=True)
        cut = [
            Scored(label[rows], scored.probability[rows], THRESHOLD, request[rows]) for scored in (one, other)
        ]
        ours, theirs = (resample(scored, users) for scored in cut)
        parts.append((name, difference(ours, theirs, "log_loss")))
    resampled = resample(one, user), resample(other, user)
    return Objective(event, int(label.sum()), *resampled, (one, other), tuple(parts))


def _order(frame: pl.DataFrame, scores: list[Vector]) -> Order | None:
    request, user = requests_of(frame), users_of(frame)
    _, code, size = np.unique(request, return_inverse=True, return_counts=True)
    rows = np.flatnonzero((request >= 0) & (size[code] > 1))
    if not len(rows):
        return None
    users, whose = int(user.max()) + 1, user[rows]
    mine, theirs = (Places.of(score[rows], request[rows]) for score in scores)
    gap, n = (theirs.place - mine.place).astype(np.float64), mine.size.astype(np.float64)
    first = (mine.place == 0) & (theirs.place != 0)
    by_request = {"first": mine.sums(first), "alike": 1 - 6 * mine.sums(gap**2) / (n * (n**2 - 1))}
    found = means(by_request, whose[mine.first], users)
    moved = []
    for name, mask in slices(frame[rows]).items():
        measure = means({"moved": gap[mask]}, whose[mask], users).measure("moved")
        moved.append((name, measure))
    moved.sort(key=lambda part: -abs(part[1].value))
    return Order(found.measure("first"), found.measure("alike"), tuple(moved))


def _only(bundles: tuple[Bundle, Bundle]) -> tuple[list[str], list[str]]:
    one, other = (set(bundle.features) for bundle in bundles)
    return sorted(one - other), sorted(other - one)


def _settings(one: dict[str, str], other: dict[str, str]) -> dict[str, tuple[str, str]]:
    names = sorted(one.keys() | other.keys())
    return {
        name: (one.get(name, "–"), other.get(name, "–")) for name in names if one.get(name) != other.get(name)
    }
