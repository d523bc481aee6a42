"""The ranker fitted again to other rows or features, and its loss on the validation rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from feed_platform.evaluation.bootstrap import Measure, Resampled, difference, means
from feed_platform.evaluation.errors.rows import Mask, Users
from feed_platform.feed import Feed
from feed_platform.learning.baselines import row_losses
from feed_platform.learning.cold import with_cold
from feed_platform.learning.dataset import Dataset, Part, users_of
from feed_platform.learning.ranker import RankerConfig, fit_rankers, obstacle
from feed_platform.learning.source import Source
from feed_platform.learning.splits import Window

SEED = 7
LOSS = "log_loss"


@dataclass(frozen=True)
class Trial:
    """One objective's fit to so many rows: its validation log loss, and that of each draw of users."""

    rows: int
    losses: Resampled

    @property
    def loss(self) -> Measure:
        """The log loss with its interval."""
        return self.losses.measure(LOSS)

    def gap(self, other: "Trial") -> Measure:
        """This loss less the other's, on the same draws of users."""
        return difference(self.losses, other.losses, LOSS)


@dataclass(frozen=True)
class Point:
    """One number of a diagnosis, a row of `training.diagnosis`.

    `gap` is the loss less that of the point `against`; neither is there for the first point of a study.
    """

    study: str
    item: str
    event: str
    rows: int
    loss: Measure
    against: str | None = None
    gap: Measure | None = None


@dataclass(frozen=True)
class Chosen:
    """Those rows of a source of n rows that `keep`, (n,), names; they are never in memory together."""

    source: Source
    keep: Mask

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the source's columns."""
        return self.source.columns

    @property
    def scratch(self) -> Path | None:
        """The source's folder for temporary files."""
        return self.source.scratch

    def batches(self, columns: Sequence[str] | None = None, ordered: bool = True) -> Iterator[pl.DataFrame]:
        """The source's batches less the rows that aren't kept, always in order: `keep` follows it."""
        start = 0
        for batch in self.source.batches(columns):
            kept = batch.filter(self.keep[start : start + len(batch)])
            start += len(batch)
            if len(kept):
                yield kept

    def within(self, window: Window) -> "Chosen":
        """The kept rows that were shown in the window."""
        shown = pl.concat(list(self.source.batches(["shown_at"])))["shown_at"]
        inside = shown.is_between(window.start, window.end, closed="left").to_numpy()
        return Chosen(self.source.within(window), self.keep[inside])


def users_in(part: Part) -> Users:
    """A number for each row's user, (n,)."""
    return users_of(part.select(["user_id", "impression_id"]))


def share_of_users(user: Users, share: float) -> Mask:
    """The rows of a random share of the users, (n,); a smaller share lies within a greater one."""
    users = int(user.max()) + 1
    return _shuffled(user) < max(1, round(share * users))


def rows_up_to(user: Users, most: int) -> Mask:
    """The rows of as many random users as have `most` rows together, (n,), but one user at least."""
    place = _shuffled(user)
    together = np.cumsum(np.bincount(place))
    return place < max(1, int(np.searchsorted(together, most, side="right")))


def chosen(part: Part, keep: Mask) -> Part:
    """The part's rows that `keep`, (n,), names."""
    return part if keep.all() else Part(Chosen(part.source, keep), part.features)


def fit_trials(
    data: Dataset, train: Part, events: Sequence[str], feed: Feed, config: RankerConfig, user: Users
) -> dict[str, Trial]:
    """Fit the ranker to `train`, with its features alone; validation stops it and is what it is measured on.

    Args:
        data: whose validation part to take.
        train: the rows to learn from.
        events: the objectives; those with too few of either class in `train` are left out.
        feed: what the features are of.
        config: the ranker's settings; directions of features that `train` lacks don't count.
        user: number of each validation row's user, (n,).
    """
    validation = replace(data.validation, features=train.features)
    able = [event for event in events if obstacle(train, event) is None]
    monotone = {name: way for name, way in config.monotone.items() if name in train.features}
    settings = config.model_copy(update={"monotone": monotone})
    fitted = fit_rankers(with_cold(train, feed, settings), validation, able, settings) if able else {}
    rows, users = len(train), int(user.max()) + 1
    return {
        event: Trial(
            rows,
            means({LOSS: row_losses(validation.label(event), validation.predicted(scorer.raw))}, user, users),
        )
        for event, scorer in fitted.items()
    }


def _shuffled(user: Users) -> Users:
    """Each row's user's place in a random order of the users, (n,)."""
    return np.random.default_rng(SEED).permutation(int(user.max()) + 1)[user]
