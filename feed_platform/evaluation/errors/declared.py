"""The slices that `feed.toml` declares, with the floors that a challenger must keep there."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from feed_platform.evaluation.bootstrap import Measure, interval
from feed_platform.evaluation.errors.rows import Mask, Rows, sums_by_user, totals
from feed_platform.evaluation.slices import declared
from feed_platform.feed import SliceFloor


@dataclass(frozen=True)
class DeclaredSlice:
    """One declared slice: the model's log loss there, and by how much a challenger may exceed it.

    `loss` is None where no row is in the slice. `allowed` is the floor's share of the loss, in nats.
    """

    floor: SliceFloor
    rows: int
    positives: int
    predicted: float
    observed: float
    loss: Measure | None

    @property
    def allowed(self) -> float | None:
        """What the gate would let a challenger of this model lose, in log loss per row."""
        return self.floor.floor * self.loss.value if self.loss else None


def declared_slices(rows: Rows, floors: Iterable[SliceFloor]) -> tuple[DeclaredSlice, ...]:
    """The declared slices of the test rows, in their order.

    Raises:
        FeedError: a condition can't be evaluated; names the slice.
    """
    known = list(floors)
    masks = declared(rows.frame, known)
    return tuple(_measured(rows, one, masks[one.name]) for one in known)


def _measured(rows: Rows, floor: SliceFloor, mask: Mask) -> DeclaredSlice:
    n, nothing = int(mask.sum()), float("nan")
    if not n:
        return DeclaredSlice(floor, 0, 0, nothing, nothing, None)
    value, drawn = totals(sums_by_user(rows.user, rows.users, mask, rows.loss * mask))
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = interval(float(value[1] / value[0]), drawn[:, 1] / drawn[:, 0], n)
    label, probability = rows.label[mask], rows.probability[mask]
    return DeclaredSlice(floor, n, int(label.sum()), float(probability.mean()), float(label.mean()), loss)
