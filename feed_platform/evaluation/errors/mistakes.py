"""The rows on which a model was most sure and wrong, and what made it sure."""

from dataclasses import dataclass

import numpy as np

from feed_platform.evaluation.errors.rows import Rows
from feed_platform.features.keys import key
from feed_platform.learning import scorers
from feed_platform.learning.dataset import Labels
from feed_platform.learning.scorers import Matrix, Scorer

EXAMPLES = 8
CONTRIBUTIONS = 5


@dataclass(frozen=True)
class Contribution:
    """A feature, its value (NaN where missing) and what it adds to the log-odds of the raw score."""

    feature: str
    value: float
    adds: float


@dataclass(frozen=True)
class Mistake:
    """One impression, named by keys (`md5_number_lower(id)`); the greatest contributions first."""

    impression_key: str
    post_key: str
    clicked: bool
    probability: float
    loss: float
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True)
class Mistakes:
    """The surest answers that were wrong: expected and didn't come, came and wasn't expected."""

    false_positives: tuple[Mistake, ...]
    false_negatives: tuple[Mistake, ...]


def mistakes(rows: Rows, scorer: Scorer) -> Mistakes:
    """The rows of either class with the greatest log loss, at most one of a user and one of a post."""
    sides = [_worst(rows, value) for value in (0, 1)]
    chosen = np.concatenate(sides)
    shares = contributions(scorer, rows.matrix[chosen], rows.features)
    told = [_mistake(rows, int(row), share) for row, share in zip(chosen, shares, strict=True)]
    return Mistakes(tuple(told[: len(sides[0])]), tuple(told[len(sides[0]) :]))


def contributions(
    scorer: Scorer, matrix: Matrix, features: tuple[str, ...]
) -> list[tuple[Contribution, ...]]:
    """What each of k rows' features add to the log-odds, the greatest first; empty for baselines."""
    parts = scorers.contributions(scorer, matrix)
    if parts is None:
        return [()] * len(matrix)
    adds = parts[:, :-1]
    order = np.argsort(-np.abs(adds), axis=1)[:, :CONTRIBUTIONS]
    return [
        tuple(Contribution(features[at], float(row[at]), float(add[at])) for at in places if add[at])
        for row, add, places in zip(matrix, adds, order, strict=True)
    ]


def _worst(rows: Rows, label: int) -> Labels:
    """Rows of one class in falling order of loss, none of a user or post that stands there already."""
    of_class = np.flatnonzero(rows.label == label)
    ranked = of_class[np.argsort(-rows.loss[of_class], kind="stable")]
    posts = rows.frame["post_id"]
    chosen: list[int] = []
    users, shown = set(), set()
    for row in ranked[: EXAMPLES * 100]:
        user, post = int(rows.user[row]), posts[int(row)]
        if user not in users and post not in shown:
            chosen.append(int(row))
            users.add(user)
            shown.add(post)
        if len(chosen) == EXAMPLES:
            break
    return np.array(chosen, dtype=np.int64)


def _mistake(rows: Rows, row: int, shares: tuple[Contribution, ...]) -> Mistake:
    return Mistake(
        impression_key=str(key(rows.frame["impression_id"][row])),
        post_key=str(key(rows.frame["post_id"][row])),
        clicked=bool(rows.label[row]),
        probability=float(rows.probability[row]),
        loss=float(rows.loss[row]),
        contributions=shares,
    )
