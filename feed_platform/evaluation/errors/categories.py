"""Errors by tag: how common, what share of them, how much there is to gain, what to work on next.

After error analysis by categories as A. Ng teaches it (Machine Learning Yearning, 2018, chapters 14 to 19),
with log loss instead of counts of wrong answers. Tags overlap: shares don't add up to 1.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from feed_platform.evaluation.bootstrap import Measure, interval
from feed_platform.evaluation.errors.recalibration import Grid, saved_by_the_other_half
from feed_platform.evaluation.errors.rows import Mask, Rows, first_half, sums_by_user, totals
from feed_platform.evaluation.errors.tags import Tag, tagged
from feed_platform.learning.calibration import Vector

Reference = Literal["the true probabilities", "the model's own level"]
COLUMNS = ("rows", "positives", "loss", "excess", "saved")
CALIBRATION_SHARE = 1 / 3


@dataclass(frozen=True)
class Category:
    """The errors of the rows with one tag. Log losses are in nats.

    Attributes:
        share: of all errors, those of these rows.
        density: errors per row, against the model's own level; 1 is as elsewhere.
        headroom: log loss per row above the reference.
        gain: by how much the log loss of all rows would fall without that headroom.
        saved: by how much it would fall if just these rows' probabilities were corrected (two numbers,
            fitted on the other half of the users).
    """

    tag: Tag
    rows: int
    positives: int
    common: float
    predicted: float
    observed: float
    share: Measure
    density: Measure
    headroom: Measure
    gain: Measure
    saved: Measure

    @property
    def stands_out(self) -> bool:
        """Whether there are clearly more errors than elsewhere."""
        return self.density.low > 1 and self.gain.low > 0

    @property
    def is_miscalibrated(self) -> bool:
        """Whether a correction of the probabilities would clearly bring a third of the gain or more."""
        return self.saved.low > 0 and self.saved.value >= CALIBRATION_SHARE * self.gain.value


@dataclass(frozen=True)
class Categories:
    """All tags of one objective's test rows, those with the most to gain first, and what errors are."""

    reference: Reference
    found: tuple[Category, ...]

    @property
    def next(self) -> tuple[Category, ...]:
        """What to work on: tags that clearly stand out, the greatest gain first."""
        return tuple(one for one in self.found if one.stands_out)


def categories(rows: Rows) -> Categories:
    """The errors by tag.

    Where the true probabilities p* are known, a row's error is its expected log loss over the best that
    any model can reach, p* ln(p*/p) + (1 - p*) ln((1 - p*)/(1 - p)), and so is the headroom. Elsewhere it
    is the log loss itself, and the headroom is what lies above the model's own level: the loss that these
    rows would have if the model were as much better than their own rate as it is over all rows. That
    level may be out of reach for rows of which little is known.
    """
    first, grid = first_half(rows.user), Grid.of(rows.label, rows.probability)
    excess = rows.loss if rows.truth is None else divergence(rows.truth, rows.probability)
    everything = _Sums.of(rows, np.ones(len(rows), dtype=bool), excess, np.zeros(len(rows)))
    found = []
    for tag, mask in tagged(rows.frame):
        saved = saved_by_the_other_half(grid, rows.probability, mask, first)
        found.append(_category(rows, tag, mask, everything, _Sums.of(rows, mask, excess, saved)))
    reference: Reference = "the model's own level" if rows.truth is None else "the true probabilities"
    return Categories(reference, tuple(sorted(found, key=lambda one: -one.gain.value)))


def advice(category: Category) -> str:
    """What could be done about a tag's errors."""
    if not category.is_miscalibrated:
        return category.tag.advice
    return (
        f"Its probabilities are off ({category.predicted:.2%} predicted, {category.observed:.2%} observed): "
        f"correcting them here alone would bring {category.saved.value / category.gain.value:.0%} of it. "
        f"{category.tag.advice}"
    )


def sentence(category: Category, reference: Reference) -> str:
    """One line of the list of what to work on."""
    gain, basis = category.gain, "With" if reference == "the true probabilities" else "At"
    return (
        f"{category.tag.name}: {category.common:.1%} of the rows, {category.share.value:.1%} of the errors, "
        f"{category.density.value:.1f} times the usual. {basis} {reference} the log loss of all "
        f"rows would be {gain.value:.5f} lower (95 % interval {gain.low:.5f} to {gain.high:.5f}). "
        f"{advice(category)}"
    )


def divergence(truth: Vector, probability: Vector) -> Vector:
    """Expected log loss of `probability` over that of the true probabilities, (n,); never negative.

    Example:
        >>> divergence(np.array([0.5]), np.array([0.25])).round(4).tolist()  # (ln 2 + ln(2/3)) / 2
        [0.1438]
    """
    p, q = (np.clip(values, 1e-12, 1 - 1e-12) for values in (truth, probability))
    return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))


@dataclass(frozen=True)
class _Sums:
    """`COLUMNS` of some rows added up: as they are (columns,) and in each draw of users (draws, columns)."""

    value: Vector
    drawn: Vector

    @classmethod
    def of(cls, rows: Rows, mask: Mask, excess: Vector, saved: Vector) -> "_Sums":
        columns = (mask, rows.label * mask, rows.loss * mask, excess * mask, saved)
        return cls(*totals(sums_by_user(rows.user, rows.users, *columns)))


def _category(rows: Rows, tag: Tag, mask: Mask, everything: _Sums, tagged_rows: _Sums) -> Category:
    knows_truth, n = rows.truth is not None, int(mask.sum())
    value = _numbers(tagged_rows.value, everything.value, knows_truth)
    drawn = _numbers(tagged_rows.drawn, everything.drawn, knows_truth)
    measures = {name: interval(float(value[name]), drawn[name], n) for name in value}
    return Category(
        tag=tag,
        rows=n,
        positives=int(rows.label[mask].sum()),
        common=n / len(rows),
        predicted=float(rows.probability[mask].mean()),
        observed=float(rows.label[mask].mean()),
        **measures,
    )


def _numbers(tagged_rows: Vector, everything: Vector, knows_truth: bool) -> dict[str, Vector]:
    """A tag's measures from sums, for one set of sums or for many, (..., columns)."""
    n, positives, loss, excess, saved = np.moveaxis(tagged_rows, -1, 0)
    all_n, all_positives, all_loss, all_excess, _ = np.moveaxis(everything, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = all_loss / constant_loss(all_n, all_positives) * constant_loss(n, positives)
        usual = n * all_excess / all_n if knows_truth else level
        above = excess if knows_truth else loss - level
        return {
            "share": excess / all_excess,
            "density": excess / usual,
            "headroom": above / n,
            "gain": above / all_n,
            "saved": saved / all_n,
        }


def constant_loss(rows: Vector, positives: Vector) -> Vector:
    """Log loss, summed, of rows that are all answered with their own rate.

    Example:
        >>> round(float(constant_loss(np.array(4.0), np.array(1.0))), 4)  # 4 entropies of 1/4
        2.2493
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.clip(positives / rows, 1e-12, 1 - 1e-12)
        return -rows * (rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
