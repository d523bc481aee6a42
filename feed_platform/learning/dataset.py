"""The training table in memory, cut in time, as matrices and labels."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.features.builds import last_build
from feed_platform.features.catalogue import feature_names
from feed_platform.feed import Feed, FeedError
from feed_platform.lake import Lake, seal
from feed_platform.lake.connection import version_of
from feed_platform.learning.examples import TABLE, has_examples
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.scorers import Matrix
from feed_platform.learning.splits import Split, Window, split_by_time

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Rows of one part of the split, in order of time."""

    frame: pl.DataFrame
    features: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def matrix(self) -> Matrix:
        """Features as float32 (n, features), row by row in memory; missing is NaN."""
        columns = self.frame.select(pl.col(self.features).cast(pl.Float32).fill_null(np.nan))
        return np.ascontiguousarray(columns.to_numpy())

    def label(self, event: str) -> Labels:
        """1 where the event followed the impression, else 0, shape (n,)."""
        return self.frame[f"label_{event}"].to_numpy().astype(np.int64)

    def positives(self, event: str) -> int:
        """Rows that the event followed."""
        return int(self.frame[f"label_{event}"].sum())


@dataclass(frozen=True)
class Dataset:
    """All examples of one lake version and their split.

    `lake_version` is the newest feature build that its rows come from, `read_at` the lake version in which
    the training table was read.
    """

    frame: pl.DataFrame
    features: tuple[str, ...]
    split: Split
    lake_version: int
    read_at: int

    @cached_property
    def train(self) -> Part:
        """What models are fitted to."""
        return self._part(self.split.train)

    @cached_property
    def validation(self) -> Part:
        """What stops the boosting and chooses the champion."""
        return self._part(self.split.validation)

    @cached_property
    def calibration(self) -> Part:
        """What probabilities and thresholds are set on."""
        return self._part(self.split.calibration)

    @cached_property
    def test(self) -> Part:
        """What only the evaluation reads."""
        return self._part(self.split.test)

    @property
    def before_calibration(self) -> Part:
        """Train and validation: all rows that neither calibration nor test looks at."""
        return Part(pl.concat([self.train.frame, self.validation.frame]), self.features)

    def parts(self) -> dict[str, Part]:
        """The four parts by name."""
        return {
            "train": self.train,
            "validation": self.validation,
            "calibration": self.calibration,
            "test": self.test,
        }

    def _part(self, window: Window) -> Part:
        return Part(window.rows(self.frame), self.features)


def load_dataset(con: duckdb.DuckDBPyConnection, feed: Feed) -> Dataset:
    """Read `training.examples` and split it. A feature that is newer than every row is NaN in all of them.

    Raises:
        FeedError: there are no features or examples, or too few days of them.
    """
    frame = _read(con)
    if frame is None or frame.is_empty():
        matured = timedelta(seconds=feed.label_window_seconds + feed.label_delay_seconds)
        raise FeedError(
            f"no training examples yet: impressions mature {matured} after they were shown, and the "
            f"features reach up to {seal(con, feed)}; the jobs ingest and build_features extend them"
        )
    shown = frame["shown_at"]
    split = split_by_time(shown[0], shown[-1], timedelta(seconds=feed.label_window_seconds))
    names = feature_names(feed)
    unknown = [pl.lit(np.nan, pl.Float32).alias(name) for name in names if name not in frame.columns]
    return Dataset(frame.with_columns(unknown), names, split, last_build(con).lake_version, version_of(con))


def reload_dataset(lake: Lake, record: TrainingRecord, features: tuple[str, ...]) -> Dataset:
    """The data set of an earlier training, as it was then."""
    with lake.read(record.read_at) as con:
        frame = _read(con)
    assert frame is not None, "a training read it"
    return Dataset(frame, features, record.split, record.lake_version, record.read_at)


def _read(con: duckdb.DuckDBPyConnection) -> pl.DataFrame | None:
    return con.sql(f"from {TABLE} order by shown_at, impression_id").pl() if has_examples(con) else None
