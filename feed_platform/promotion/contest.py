"""Candidate, champion and constant on the same test rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl

from feed_platform.evaluation.predictions import at_reference_position, matrix_of
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.baselines import row_losses
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Dataset, Part, reload_dataset, users_of
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.registry import ModelVersion
from feed_platform.promotion.gaps import Users
from feed_platform.settings import Settings

CONSTANT = "constant"
Claim = Literal["first", "refresh", "change"]


@dataclass(frozen=True)
class Side:
    """One model on the test rows: its probabilities by objective, (n,) each."""

    bundle: Bundle
    probabilities: Mapping[str, Vector]

    @classmethod
    def of(cls, bundle: Bundle, frame: pl.DataFrame) -> "Side":
        """Score rows at the positions that were shown; a feature that the rows lack is missing."""
        if frame.is_empty():
            return cls(bundle, {event: np.empty(0) for event in bundle.objectives})
        return cls(bundle, bundle.probabilities(matrix_of(frame, bundle.features)))


@dataclass(frozen=True)
class Contest:
    """What the gate looks at: rows shown after both models' training, and every model's answers.

    `champion` is None for the first model of a home; `constant` is the overall rate of the candidate's
    training rows, `start` the first instant of the test. `notes` say what a reader must know.
    """

    claim: Claim
    data: Dataset
    start: datetime
    test: Part
    candidate: Side
    champion: Side | None
    constant: Side
    notes: tuple[str, ...] = ()

    @cached_property
    def events(self) -> tuple[str, ...]:
        """The candidate's objectives."""
        return tuple(self.candidate.bundle.objectives)

    @cached_property
    def user(self) -> Users:
        """Number of each row's user, (n,)."""
        return users_of(self.test.frame)

    @property
    def users(self) -> int:
        """How many users there are."""
        return int(self.user.max()) + 1 if len(self.test) else 0

    @property
    def positives(self) -> int:
        """Rows with the first objective's event."""
        return self.test.positives(self.events[0])

    def losses(self, side: Side) -> Vector:
        """Each row's log loss, averaged over the candidate's objectives, (n,).

        What a champion doesn't predict it answers with the overall rate.
        """
        by_event = [
            row_losses(
                self.test.label(event), side.probabilities.get(event, self.constant.probabilities[event])
            )
            for event in self.events
        ]
        return np.mean(by_event, axis=0)

    def rank_scores(self, side: Side) -> Vector:
        """What each row would be ranked by, as if it stood first, (n,)."""
        first = at_reference_position(matrix_of(self.test.frame, side.bundle.features), side.bundle.features)
        return side.bundle.score(side.bundle.probabilities(first))


def enter(settings: Settings, candidate: ModelVersion, champion: ModelVersion | None) -> Contest:
    """Put candidate and champion on the candidate's test rows.

    Raises:
        FeedError: the lake version that the candidate was trained from is gone.
    """
    tracking = registry.client(settings)
    record = TrainingRecord.of(tracking, candidate.run_id)
    bundle = registry.load_bundle(candidate)
    data = reload_dataset(Lake.of(settings), record, bundle.features)
    holder = registry.load_bundle(champion) if champion else None
    start = record.split.test.start
    if champion:
        start = max(start, TrainingRecord.of(tracking, champion.run_id).split.test.start)
    test = _since(data.test, start)
    constant = registry.load_bundle(candidate, record.bundles[CONSTANT])
    return Contest(
        claim=claim_of(settings, candidate, champion),
        data=data,
        start=start,
        test=test,
        candidate=Side.of(bundle, test.frame),
        champion=Side.of(holder, test.frame) if holder else None,
        constant=Side.of(constant, test.frame),
        notes=(*record.notes, *_notes(data, start, holder)),
    )


def claim_of(settings: Settings, candidate: ModelVersion, champion: ModelVersion | None) -> Claim:
    """A refresh has the champion's code, configuration and kind on newer data; all else is a change."""
    if champion is None:
        return "first"
    mine, theirs = (registry.load_bundle(version) for version in (candidate, champion))
    same = (
        mine.kind == theirs.kind
        and mine.code_version == theirs.code_version
        and mine.features == theirs.features
        and mine.objectives == theirs.objectives
        and _configuration(settings, candidate) == _configuration(settings, champion)
    )
    newer = mine.lake_version > theirs.lake_version
    return "refresh" if same and newer else "change"


def _configuration(settings: Settings, version: ModelVersion) -> dict[str, str | None]:
    logged = registry.client(settings).get_run(version.run_id).data.params
    return {name: logged.get(name) for name in RankerConfig.model_fields}


def _since(test: Part, start: datetime) -> Part:
    return Part.of(test.frame.filter(pl.col("shown_at") >= start), test.features)


def _notes(data: Dataset, start: datetime, holder: Bundle | None) -> list[str]:
    notes = []
    if start > data.split.test.start:
        notes.append(
            f"Test rows from {start:%Y-%m-%d %H:%M} UTC on: the champion was fitted to earlier ones."
        )
    lacking = sorted(set(holder.features) - set(data.source.columns)) if holder else []
    if lacking:
        notes.append(f"The champion wants {lacking[0]} and {len(lacking) - 1} more that these rows lack.")
    return notes
