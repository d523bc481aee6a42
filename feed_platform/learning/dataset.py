"""The training table, cut in time: rows, matrices and labels, read when they are needed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.features.builds import last_build
from feed_platform.features.catalogue import feature_names
from feed_platform.feed import Feed, FeedError
from feed_platform.lake import Lake, seal
from feed_platform.lake.connection import version_of
from feed_platform.learning.calibration import Vector
from feed_platform.learning.examples import TABLE, has_examples
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.scorers import Matrix
from feed_platform.learning.source import Held, Source, Stored
from feed_platform.learning.splits import Split, Window, split_by_time
from feed_platform.learning.spool import Spool, as_matrix

Labels = NDArray[np.int64]


def users_of(frame: pl.DataFrame) -> Labels:
    """A number for each row's user, (n,); a row without a user stands alone."""
    names = frame.select(pl.coalesce("user_id", "impression_id")).to_series()
    return names.rank("dense").to_numpy().astype(np.int64) - 1


class Rows(Protocol):
    """What a booster is fitted to: features some rows at a time, labels in the same order."""

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the matrix's columns."""

    def batches(self) -> Iterator[Matrix]:
        """The matrix some rows at a time; missing is NaN."""

    def label(self, event: str) -> Labels:
        """1 where the event followed the impression, else 0, shape (n,)."""


@dataclass(frozen=True)
class Part:
    """Rows of one part of the split, in order of time.

    Features are read from the source once, into a spool on disk; `frame` and `matrix` hold all rows in
    memory and are for parts that fit: never ask train for them.
    """

    source: Source
    features: tuple[str, ...]

    @classmethod
    def of(cls, frame: pl.DataFrame, features: tuple[str, ...]) -> "Part":
        """Rows in memory."""
        return cls(Held(frame), features)

    def __len__(self) -> int:
        return self._rows

    @cached_property
    def frame(self) -> pl.DataFrame:
        """All rows with all columns, and every feature."""
        return self.select(tuple(dict.fromkeys((*self.source.columns, *self.features))))

    def select(self, columns: Sequence[str]) -> pl.DataFrame:
        """Some columns of all rows, (n, columns)."""
        return pl.concat(list(self.source.batches(columns)) or [pl.DataFrame(schema=list(columns))])

    @cached_property
    def matrix(self) -> Matrix:
        """Features as float32 (n, features), row by row in memory; missing is NaN."""
        rows = [as_matrix(frame) for frame in self.source.batches(self.features)]
        return np.concatenate([np.empty((0, len(self.features)), np.float32), *rows])

    def batches(self) -> Iterator[Matrix]:
        """The matrix some rows at a time."""
        return self._spool.batches()

    def take(self, rows: NDArray[np.int64]) -> Matrix:
        """The matrix's rows of these numbers, (len(rows), features)."""
        return self._spool.take(rows)

    def predicted(self, raw: Callable[[Matrix], Vector]) -> Vector:
        """What `raw` says of each row, (n,), asked batch by batch."""
        return np.concatenate([np.empty(0), *(raw(batch) for batch in self.batches())])

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows' features."""
        first = next(self.source.batches(self.features), None)
        return pl.DataFrame(schema=list(self.features)) if first is None else first.head(rows)

    def label(self, event: str) -> Labels:
        """1 where the event followed the impression, else 0, shape (n,)."""
        if event not in self._labels:
            column = self.select([f"label_{event}"]).to_series()
            self._labels[event] = column.fill_null(0).cast(pl.Int8).to_numpy()
        return self._labels[event].astype(np.int64)

    def positives(self, event: str) -> int:
        """Rows that the event followed."""
        return int(self.label(event).sum())

    def present(self, columns: Sequence[str]) -> dict[str, int]:
        """How many rows have a value, by column."""
        counted = pl.col(columns).cast(pl.Float32).fill_nan(None).count()
        counts = [frame.select(counted) for frame in self.source.batches(columns, ordered=False)]
        return pl.concat(counts).sum().row(0, named=True) if counts else dict.fromkeys(columns, 0)

    @cached_property
    def _rows(self) -> int:
        return sum(len(batch) for batch in self.source.batches(["shown_at"], ordered=False))

    @cached_property
    def _spool(self) -> Spool:
        return Spool.of(self.source.batches(self.features), len(self.features), self.source.scratch)

    @cached_property
    def _labels(self) -> dict[str, NDArray[np.int8]]:
        return {}


@dataclass(frozen=True)
class Dataset:
    """All examples of one lake version and their split.

    `lake_version` is the newest feature build that its rows come from, `read_at` the lake version in which
    the training table was read.
    """

    source: Source
    features: tuple[str, ...]
    split: Split
    lake_version: int
    read_at: int

    @classmethod
    def of(cls, frame: pl.DataFrame, features: tuple[str, ...], split: Split) -> "Dataset":
        """Rows in memory, as if of the lake's first version."""
        return cls(Held(frame), features, split, 1, 1)

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
        return self.validation if self.split.is_merged else self._part(self.split.calibration)

    @cached_property
    def test(self) -> Part:
        """What only the evaluation reads."""
        return self._part(self.split.test)

    @property
    def before_calibration(self) -> tuple[Part, Part]:
        """Train and validation: all rows that neither calibration nor test looks at."""
        return self.train, self.validation

    def parts(self) -> dict[str, Part]:
        """The four parts by name."""
        return {
            "train": self.train,
            "validation": self.validation,
            "calibration": self.calibration,
            "test": self.test,
        }

    @cached_property
    def newest_as_of(self) -> datetime:
        """The latest hour before which features count."""
        newest = [frame["as_of"].max() for frame in self.source.batches(["as_of"], ordered=False)]
        return max(at for at in newest if isinstance(at, datetime))

    def _part(self, window: Window) -> Part:
        return Part(self.source.within(window), self.features)


def load_dataset(lake: Lake, feed: Feed) -> Dataset:
    """Find `training.examples` and split it. A feature that is newer than every row is NaN in all of them.

    Raises:
        FeedError: there are no features or examples, or too few days of them.
    """
    with lake.read() as con:
        span = (
            con.sql(f"select min(shown_at), max(shown_at) from {TABLE}").fetchone()
            if has_examples(con)
            else None
        )
        read_at, sealed = version_of(con), seal(con, feed)
        if span is None or span[0] is None:
            matured = timedelta(seconds=feed.label_window_seconds + feed.label_delay_seconds)
            raise FeedError(
                f"no training examples yet: impressions mature {matured} after they were shown, and the "
                f"features reach up to {sealed}; the jobs ingest and build_features extend them"
            )
        built = last_build(con).lake_version
    split = split_by_time(span[0], span[1], timedelta(seconds=feed.label_window_seconds))
    return Dataset(Stored.open(lake, read_at), feature_names(feed), split, built, read_at)


def reload_dataset(lake: Lake, record: TrainingRecord, features: tuple[str, ...]) -> Dataset:
    """The data set of an earlier training, as it was then.

    Raises:
        FeedError: the lake's version is gone.
    """
    source = Stored.open(lake, record.read_at)
    return Dataset(source, features, record.split, record.lake_version, record.read_at)
