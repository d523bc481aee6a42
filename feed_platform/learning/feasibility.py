"""What a training can be expected to learn and to show, asked of the rows before it begins."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from feed_platform.features.catalogue import catalogue
from feed_platform.feed import Feed
from feed_platform.learning.baselines import fit_constant, fit_popularity, row_losses
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Dataset, Labels, Part, users_of
from feed_platform.learning.ranker import obstacle

ONE_SIDED, TWO_SIDED, POWER = 1.645, 1.960, 0.842  # normal quantiles: 5 %, and shown four times in five


@dataclass(frozen=True)
class Rate:
    """How often an objective's event follows an impression in one part of the split."""

    objective: str
    part: str
    rows: int
    events: int
    rate: float


@dataclass(frozen=True)
class Detectable:
    """The least differences that as many rows as the test's would show four times in five, at 5 %.

    `loss_share` is one of log loss, as a share of popularity's gain over the constant; None without a gain.
    `rate` is one of the event's rate between two halves of the users.
    """

    objective: str
    loss_share: float | None
    rate: float


@dataclass(frozen=True)
class Feasibility:
    """Rates, what stands in the way, users and requests of validation, coverage by what a feature is of."""

    rates: tuple[Rate, ...]
    obstacles: tuple[str, ...]
    users: int
    requests: int
    coverage: dict[str, float]
    detectable: tuple[Detectable, ...]

    def as_json(self) -> dict[str, Any]:
        """All figures."""
        return asdict(self)

    def lines(self) -> list[str]:
        """All figures, for people."""
        shares = ", ".join(f"{of} {share:.0%}" for of, share in self.coverage.items())
        return [
            *(
                f"{one.objective}, {one.part}: {one.events:,} of {one.rows:,} rows ({one.rate:.2%})"
                for one in self.rates
            ),
            f"validation: {self.users:,} users, {self.requests:,} requests; features known: {shares}",
            *map(_said, self.detectable),
            *self.obstacles,
        ]


def feasibility(data: Dataset, feed: Feed) -> Feasibility:
    """Figures from label counts of every part; all else from validation, so that the test stays unseen."""
    events = [objective.event for objective in feed.objectives]
    obstacles = {event: why for event in events if (why := obstacle(data.train, event))}
    people = data.validation.select(["user_id", "request_id"])
    return Feasibility(
        tuple(_rate(event, name, part) for event in events for name, part in data.parts().items()),
        tuple(obstacles.values()),
        people["user_id"].drop_nulls().n_unique(),
        people["request_id"].drop_nulls().n_unique(),
        _coverage(data.validation, feed),
        tuple(_detectable(data, event) for event in events if event not in obstacles),
    )


def _rate(event: str, name: str, part: Part) -> Rate:
    positives = part.positives(event)
    return Rate(event, name, len(part), positives, positives / max(1, len(part)))


def _coverage(part: Part, feed: Feed) -> dict[str, float]:
    """The share of cells with a value among the features of each entity group, user, post and request."""
    known = {name: rows / max(1, len(part)) for name, rows in part.present(part.features).items()}
    of = {feature.name: feature.of for feature in catalogue(feed)}
    groups = dict.fromkeys(of[name] for name in part.features if name in of)
    return {
        group: float(np.mean([share for name, share in known.items() if of.get(name) == group]))
        for group in groups
    }


def _detectable(data: Dataset, event: str) -> Detectable:
    """Validation's spread among users, for as many rows as the test has.

    Two rankers differ less from row to row than popularity and the constant: the gate may show more.
    """
    part, label = data.validation, data.validation.label(event)
    user = users_of(part.select(["user_id", "impression_id"]))
    constant, popularity = (
        row_losses(label, part.predicted(fit(data.train, event).raw))
        for fit in (fit_constant, fit_popularity)
    )
    gained, scale = constant - popularity, np.sqrt(len(part) / max(1, len(data.test)))
    gain = float(gained.mean())
    shown = (ONE_SIDED + POWER) * scale * _error(gained, user)
    rate = (TWO_SIDED + POWER) * scale * 2 * _error(label.astype(np.float64), user)
    return Detectable(event, float(shown / gain) if gain > 0 else None, float(rate))


def _error(values: Vector, user: Labels) -> float:
    """The standard error of the rows' mean where a user's rows go together."""
    totals = np.bincount(user, values - values.mean())
    return float(np.sqrt(np.sum(totals**2)) / len(values))


def _said(one: Detectable) -> str:
    gain = (
        "popularity gains no log loss to compare with"
        if one.loss_share is None
        else f"differences in log loss from {one.loss_share:.0%} of popularity's gain over the constant on"
    )
    rate = f"an A/B of its rows differences in rate from {one.rate:.2%} on"
    return f"{one.objective}: the test can show {gain}; {rate}"
