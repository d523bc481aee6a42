"""Train, validation, calibration and test, in this order of time, with a gap between them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import polars as pl

from feed_platform.feed import FeedError

PartName = Literal["train", "validation", "calibration", "test"]
SHARES: dict[PartName, float] = {"train": 0.60, "validation": 0.15, "calibration": 0.10, "test": 0.15}
MERGED: dict[PartName, float] = {"train": 0.60, "validation": 0.25, "test": 0.15}
SHORT = timedelta(days=10)


@dataclass(frozen=True)
class Window:
    """The instants [start, end) of `shown_at`."""

    start: datetime
    end: datetime

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame's rows that were shown within."""
        return frame.filter(pl.col("shown_at").is_between(self.start, self.end, closed="left"))


@dataclass(frozen=True)
class Split:
    """The four parts; a short log calibrates on its validation part and says so in `note`."""

    train: Window
    validation: Window
    calibration: Window
    test: Window

    @property
    def is_merged(self) -> bool:
        """Whether validation and calibration are the same rows."""
        return self.validation == self.calibration

    @property
    def note(self) -> str:
        """What a reader of the numbers must know of the split."""
        short = f"The log covers under {SHORT.days} days: validation and calibration are the same rows."
        return short if self.is_merged else ""

    def as_json(self) -> dict[str, list[str]]:
        """Each part's start and end in ISO 8601."""
        parts = {name: getattr(self, name) for name in SHARES}
        return {name: [part.start.isoformat(), part.end.isoformat()] for name, part in parts.items()}

    @classmethod
    def from_json(cls, data: dict[str, list[str]]) -> "Split":
        """Read what `as_json` wrote."""
        instants = {name: [datetime.fromisoformat(text) for text in pair] for name, pair in data.items()}
        return cls(**{name: Window(start, end) for name, (start, end) in instants.items()})


def split_by_time(first: datetime, last: datetime, gap: timedelta) -> Split:
    """Cut the time from the first to the last impression, leaving `gap` between neighbours.

    An impression's label looks one label window ahead: with a gap that long, no label of one
    part reaches into the next.

    Raises:
        FeedError: the gaps would take more than half of the time.

    Example:
        >>> first, hour = datetime(2026, 1, 1), timedelta(hours=1)
        >>> split = split_by_time(first, first + 102 * hour, hour)  # 100 hours and 2 gaps
        >>> split.is_merged, split.train.end - first, split.validation.start - split.train.end
        (True, datetime.timedelta(days=2, seconds=43200), datetime.timedelta(seconds=3600))
    """
    span = last - first
    shares = MERGED if span < SHORT else SHARES
    usable = span - (len(shares) - 1) * gap
    if usable * 2 < span or not usable:
        raise FeedError(
            f"matured impressions cover {span}, too little for a split in time with gaps of {gap}: "
            "import a longer log, or shorten label_window_seconds in feed.toml"
        )
    parts: dict[PartName, Window] = {}
    start = first
    for name, share in shares.items():
        parts[name] = Window(start, start + share * usable)
        start = parts[name].end + gap
    parts["test"] = Window(parts["test"].start, last + timedelta(microseconds=1))
    calibration = parts.get("calibration", parts["validation"])
    return Split(parts["train"], parts["validation"], calibration, parts["test"])
