"""How well an order puts the posts of each request: NDCG, reciprocal rank, hit rate, from rows all at once.

NDCG as Järvelin and Kekäläinen (2002) with linear gains, reciprocal rank as Voorhees (1999).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Labels

NDCG_DEPTHS = (5, 10)
HIT_DEPTHS = (1, 5, 10)
SEED = 0


@dataclass(frozen=True)
class Places:
    """Rows of requests with their places, 0 for the first, in the order of a score; all of shape (n,).

    Rows of equal score are put in a random order that depends on nothing. `request` numbers requests
    from 0, `first` is a row of each, `size` how many rows each has.
    """

    place: NDArray[np.int64]
    request: NDArray[np.int64]
    first: NDArray[np.int64]
    size: NDArray[np.int64]

    @classmethod
    def of(cls, score: Vector, request: NDArray[np.int64]) -> "Places":
        """Rank rows, best score first, within their requests (any numbers)."""
        _, first, code, size = np.unique(request, return_index=True, return_inverse=True, return_counts=True)
        return cls(_place(score, code, size), code, first, size)

    def sums(self, values: Vector | Labels) -> Vector:
        """Each request's sum of its rows' values, (requests,)."""
        return np.bincount(self.request, values, len(self.first)).astype(np.float64)


def by_request(label: Labels, score: Vector, request: NDArray[np.int64]) -> tuple[dict[str, Vector], Labels]:
    """Every metric of each request with both labels, and one of its rows.

    Example:
        The request's only positive stands at place 2 of 3: 1 / log2(3), 1 / 2, not first.

        >>> values, row = by_request(np.array([0, 1, 0]), np.array([0.9, 0.5, 0.1]), np.array([4, 4, 4]))
        >>> {name: round(float(value[0]), 4) for name, value in values.items() if name != "ndcg_at_10"}
        {'ndcg_at_5': 0.6309, 'mrr': 0.5, 'hit_rate_at_1': 0.0, 'hit_rate_at_5': 1.0, 'hit_rate_at_10': 1.0}
    """
    ranked = Places.of(score, request)
    positives = ranked.sums(label)
    mixed = (positives > 0) & (positives < ranked.size)
    best = np.full(len(ranked.first), len(label))
    np.minimum.at(best, ranked.request[label == 1], ranked.place[label == 1])
    ideal = Places.of(label.astype(np.float64), request)
    found = {f"ndcg_at_{depth}": _ndcg(label, ranked, ideal, depth) for depth in NDCG_DEPTHS}
    found["mrr"] = 1 / (best + 1.0)
    found |= {f"hit_rate_at_{depth}": (best < depth).astype(np.float64) for depth in HIT_DEPTHS}
    return {name: value[mixed] for name, value in found.items()}, ranked.first[mixed]


def value_ndcg(value: Vector, score: Vector, request: NDArray[np.int64]) -> tuple[dict[str, Vector], Labels]:
    """NDCG of what the rows were worth, of each request that could be put in a worse order; and one of its
    rows. A value below 0 counts 0.

    Example:
        A share (5) stands below a click (1): (1 + 5 / log2(3)) / (5 + 1 / log2(3)).

        >>> worth, rank = np.array([1.0, 5.0, 0.0]), np.array([0.9, 0.5, 0.1])
        >>> values, row = value_ndcg(worth, rank, np.array([4, 4, 4]))
        >>> values["value_ndcg_at_5"].round(4).tolist()
        [0.7378]
    """
    gain = np.maximum(value, 0.0)
    ranked, ideal = Places.of(score, request), Places.of(gain, request)
    top = np.zeros(len(ranked.first))
    np.maximum.at(top, ranked.request, gain)
    mixed = (top > 0) & (ranked.sums(gain) < top * ranked.size)
    found = {f"value_ndcg_at_{depth}": _ndcg(gain, ranked, ideal, depth)[mixed] for depth in NDCG_DEPTHS}
    return found, ranked.first[mixed]


def _ndcg(gain: NDArray[np.generic], ranked: Places, ideal: Places, depth: int) -> Vector:
    with np.errstate(invalid="ignore", divide="ignore"):
        return ranked.sums(_discounted(gain, ranked, depth)) / ideal.sums(_discounted(gain, ideal, depth))


def _discounted(gain: NDArray[np.generic], ranked: Places, depth: int) -> Vector:
    return np.where(ranked.place < depth, gain / np.log2(ranked.place + 2), 0.0)


def _place(score: Vector, code: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.int64]:
    tie = np.random.default_rng(SEED).random(len(score))
    order = np.lexsort((tie, -score, code))
    place = np.empty(len(score), dtype=np.int64)
    place[order] = np.arange(len(score)) - np.repeat(size.cumsum() - size, size)
    return place
