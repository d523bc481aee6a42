"""The test rows of one objective and what a model said of them."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import draws_of
from feed_platform.learning.baselines import row_losses
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Labels
from feed_platform.learning.scorers import Matrix

Mask = NDArray[np.bool_]
Users = NDArray[np.int64]
SEED = 11


@dataclass(frozen=True)
class Rows:
    """n test rows, arrays of shape (n,) each.

    `frame` holds facts and features by name, `matrix` (n, features) the same features as the model reads
    them; `user` numbers the users from 0; `truth` are the true probabilities where they are known.
    """

    event: str
    frame: pl.DataFrame
    matrix: Matrix
    features: tuple[str, ...]
    label: Labels
    probability: Vector
    user: Users
    truth: Vector | None = None

    def __len__(self) -> int:
        return len(self.label)

    @property
    def users(self) -> int:
        """How many users there are."""
        return int(self.user.max()) + 1 if len(self) else 0

    @property
    def loss(self) -> Vector:
        """Each row's log loss."""
        return row_losses(self.label, self.probability)


def first_half(user: Users) -> Mask:
    """Whether a row's user belongs to the first of two random halves of the users, (n,)."""
    users = int(user.max()) + 1 if len(user) else 0
    return np.random.default_rng(SEED).permutation(users)[user] * 2 < users


def sums_by_user(user: Users, users: int, *columns: Vector | Mask | Labels) -> Vector:
    """Columns of n rows added up by user, (users, columns)."""
    return np.column_stack([np.bincount(user, column, users) for column in columns])


def totals(sums: Vector) -> tuple[Vector, Vector]:
    """Sums over all users, (columns,), and over each bootstrap draw of them, (draws, columns)."""
    drawn = np.array([draw @ sums for draw in draws_of(len(sums))])
    return sums.sum(axis=0), drawn
