"""Identical situations with different labels: what no model that sees no more can get right."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import Measure, interval
from feed_platform.evaluation.errors.rows import Rows, sums_by_user, totals
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Labels
from feed_platform.learning.scorers import Matrix

CHUNK = 50_000
KEPT_BITS = np.uint32(0xFFFF0000)  # sign, exponent and 7 bits: two to three significant digits
ENTROPY_FLOOR = 4 * np.log(2)  # H(p) >= 4 ln 2 p (1 - p)


@dataclass(frozen=True)
class Consistency:
    """Rows that share a situation with another row, and how often their labels differ.

    Attributes:
        name: what makes two situations identical.
        rows: rows that have a twin.
        situations: distinct situations of two rows or more.
        mixed: situations with both labels.
        disagreement: chance that two rows of a situation differ; None without twins, like those below.
        irreducible: squared error that no model can fall below on these rows (half the disagreement).
        model: the model's squared error on them.
        log_loss_floor: a log loss that no model can fall below on them: 4 ln 2 times `irreducible`.
    """

    name: str
    rows: int
    situations: int
    mixed: int
    disagreement: Measure | None = None
    irreducible: Measure | None = None
    model: Measure | None = None
    log_loss_floor: Measure | None = None

    @property
    def sentence(self) -> str:
        """The finding in words."""
        if self.disagreement is None or self.irreducible is None or self.model is None:
            return f"No two test rows have {self.name}: nothing can be said."
        floor, ours = self.irreducible, self.model
        return (
            f"{self.rows:,} rows share {self.name} with another row ({self.situations:,} situations). "
            f"Of two of them {self.disagreement.value:.1%} differ in the label (95 % interval "
            f"{self.disagreement.low:.1%} to {self.disagreement.high:.1%}): knowing only that, squared error "
            f"can't fall below {floor.value:.4f} there; the model's is {ours.value:.4f}."
        )


def consistency(rows: Rows) -> tuple[Consistency, ...]:
    """Two kinds of twins: equal features (rounded), and the same user, post and hour."""
    hours = rows.frame.select("user_id", "post_id", pl.col("shown_at").dt.truncate("1h"))
    known = hours["user_id"].is_not_null().to_numpy()
    return (
        _twins("equal features (rounded to 2 or 3 digits)", fingerprints(rows.matrix), rows),
        _twins("the same user, post and hour", _apart(hours.hash_rows(seed=7).to_numpy(), known), rows),
    )


def fingerprints(matrix: Matrix) -> NDArray[np.uint64]:
    """A 64-bit hash of each row's rounded features, (n,): equal for equal rows.

    Multiply-add with random odd factors on scrambled cells: of a million rows two differing ones
    collide with a probability of about 3 in 10 million.
    """
    draw = np.random.default_rng(3).integers(0, 2**63, matrix.shape[1], dtype=np.uint64)
    factors: NDArray[np.uint64] = np.bitwise_or(draw << np.uint64(1), np.uint64(1))
    found = np.empty(len(matrix), dtype=np.uint64)
    for start in range(0, len(matrix), CHUNK):
        found[start : start + CHUNK] = _hashed(matrix[start : start + CHUNK], factors)
    return found


def _hashed(matrix: Matrix, factors: NDArray[np.uint64]) -> NDArray[np.uint64]:
    plain = np.where(matrix == 0, np.float32(0), matrix)  # -0 is 0
    cells = (np.nan_to_num(plain, nan=-3e38).view(np.uint32) & KEPT_BITS).astype(np.uint64)
    cells = (cells ^ (cells >> np.uint64(17))) * np.uint64(0x9E3779B97F4A7C15)
    return ((cells ^ (cells >> np.uint64(29))) * factors).sum(axis=1, dtype=np.uint64)


def _apart(hashes: NDArray[np.uint64], known: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Rows without a user have no twins: each gets a number of its own."""
    return np.where(known, hashes, np.arange(len(hashes), dtype=np.uint64))


def _twins(name: str, situation: NDArray[np.uint64], rows: Rows) -> Consistency:
    _, code, size = np.unique(situation, return_inverse=True, return_counts=True)
    positives = np.bincount(code, rows.label, len(size)).astype(np.float64)
    twin = size[code] >= 2
    repeated = size >= 2
    mixed = int((repeated & (positives > 0) & (positives < size)).sum())
    if not twin.any():
        return Consistency(name, 0, 0, 0)
    differing = pair_differences(rows.label[twin], positives[code[twin]], size[code[twin]])
    error = (rows.label[twin] - rows.probability[twin]) ** 2
    n = int(twin.sum())
    value, drawn = totals(sums_by_user(rows.user[twin], rows.users, np.ones(n), differing, error))
    with np.errstate(divide="ignore", invalid="ignore"):
        disagreement = interval(float(value[1] / value[0]), drawn[:, 1] / drawn[:, 0], n)
        model = interval(float(value[2] / value[0]), drawn[:, 2] / drawn[:, 0], n)
    return Consistency(
        name,
        n,
        int(repeated.sum()),
        mixed,
        disagreement,
        _times(disagreement, 0.5),
        model,
        _times(disagreement, 0.5 * ENTROPY_FLOOR),
    )


def pair_differences(label: Labels, positives: Vector, size: Labels) -> Vector:
    """Each row's share of its twins that have the other label, (n,); twice p (1 - p) on average.

    Example:
        A situation of three rows, one of them clicked: its two twins differ, each of theirs one of two.

        >>> pair_differences(np.array([1, 0, 0]), np.array([1.0] * 3), np.array([3] * 3)).tolist()
        [1.0, 0.5, 0.5]
    """
    other = np.where(label == 1, size - positives, positives)
    return other / (size - 1)


def _times(measure: Measure, factor: float) -> Measure:
    return Measure(measure.value * factor, measure.low * factor, measure.high * factor, measure.n)
