"""What feeds a model would make of the posts that test requests showed, beside the log as it was shown.

A feed is the first `DEPTH` posts of a request that showed more than that. Only what was shown can be put
in another order: what else a model would have picked is a question for the off-policy values.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import (
    Measure,
    Resampled,
    difference,
    draws_of,
    means,
    ratios,
)
from feed_platform.evaluation.evaluate import AS_SHOWN
from feed_platform.evaluation.predictions import Material
from feed_platform.evaluation.ranking import Places, value_ndcg
from feed_platform.learning.calibration import Vector

DEPTH = 3
POPULAR = (0.01, 0.1)
METRICS = {
    "value_ndcg_at_5": "Value-weighted NDCG@5",
    "value_ndcg_at_10": "Value-weighted NDCG@10",
    "coverage": f"Posts that reach the first {DEPTH}",
    "topics": f"Different topics in the first {DEPTH}",
    "authors": f"Different authors in the first {DEPTH}",
    "popular_1": "Share of the 1 % most shown posts",
    "popular_10": "Share of the 10 % most shown posts",
    "novelty": "Novelty (bits)",
}

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Feeds:
    """Every order's numbers, the log's own among them where places are known, and what the version's
    differ from the log's by, empty without."""

    orders: dict[str, Resampled]
    gaps: dict[str, Measure]
    requests: int


@dataclass(frozen=True)
class Shelf:
    """The rows of requests that showed more than `DEPTH` posts, (n,) each: `rows` among the test rows,
    numbers of user, request and post, and how often the log showed the post, as a share."""

    rows: Codes
    user: Codes
    users: int
    request: Codes
    post: Codes
    topic: Codes
    author: Codes
    share: Vector

    @classmethod
    def of(cls, material: Material) -> "Shelf":
        """Choose the rows and number their posts, topics and authors."""
        _, code, size = np.unique(material.request, return_inverse=True, return_counts=True)
        rows = np.flatnonzero((material.request >= 0) & (size[code] > DEPTH))
        frame = material.data.test.frame[rows]
        post, topic, author = (_codes(frame, name) for name in ("post_id", "topic", "author_id"))
        times = np.bincount(post) if len(rows) else np.empty(0)
        return cls(
            rows,
            material.user[rows],
            material.users,
            material.request[rows],
            post,
            topic,
            author,
            times[post] / max(len(rows), 1),
        )


def make_feeds(material: Material) -> Feeds | None:
    """Compare the orders of all models and the log; None where no request shows enough posts."""
    shelf = Shelf.of(material)
    if not len(shelf.rows):
        return None
    scores = {kind: said.score for kind, said in material.predictions.items()}
    if material.log_score is not None:
        scores = {AS_SHOWN: material.log_score} | scores
    worth = material.value()[shelf.rows]
    orders = {name: measure_order(shelf, worth, score[shelf.rows]) for name, score in scores.items()}
    gaps = {}
    if AS_SHOWN in orders:
        ours = orders[material.version.kind]
        gaps = {metric: difference(ours, orders[AS_SHOWN], metric) for metric in ours.values}
    return Feeds(orders, gaps, len(np.unique(shelf.request)))


def measure_order(shelf: Shelf, value: Vector, score: Vector) -> Resampled:
    """One order's numbers.

    Args:
        value: what each row earned, (n,).
        score: what rows are ordered by, best first, (n,).
    """
    ranked = Places.of(score, shelf.request)
    top = np.flatnonzero(ranked.place < DEPTH)
    worth, first = value_ndcg(value, score, shelf.request)
    return (
        means(worth, shelf.user[first], shelf.users)
        .joined(means(_variety(shelf, ranked, top), shelf.user[ranked.first], shelf.users))
        .joined(_popularity(shelf, top))
        .joined(_coverage(shelf, top))
    )


def _variety(shelf: Shelf, ranked: Places, top: Codes) -> dict[str, Vector]:
    """How many topics and authors each request's feed has."""

    def different(codes: Codes) -> Vector:
        pairs = np.unique(np.column_stack([ranked.request[top], codes[top]]), axis=0)
        return np.bincount(pairs[:, 0], minlength=len(ranked.first)).astype(np.float64)

    named = {"topics": shelf.topic, "authors": shelf.author}
    return {name: different(codes) for name, codes in named.items() if codes.max(initial=0) > 0}


def _popularity(shelf: Shelf, top: Codes) -> Resampled:
    """Places that go to what the log showed most, and the mean surprise of a place, −log2 of the share."""
    ones = np.ones(len(top))
    parts = {"novelty": (-np.log2(shelf.share[top]), ones)}
    times = np.bincount(shelf.post)
    order = np.argsort(-times, kind="stable")
    for part in POPULAR:
        popular = np.zeros(len(times))
        popular[order[: max(1, round(part * len(times)))]] = 1
        parts[f"popular_{part * 100:.0f}"] = (popular[shelf.post[top]], ones)
    return ratios(parts, shelf.user[top], shelf.users)


def _coverage(shelf: Shelf, top: Codes) -> Resampled:
    """The share of the shown posts that some feed has.

    A draw of users sees fewer posts than all users do, which shifts the share but hardly its spread: the
    replicates are moved so that their mean is the value.
    """
    posts = int(shelf.post.max()) + 1

    def seen(draw: Vector, rows: Codes | slice) -> int:
        return int(np.count_nonzero(np.bincount(shelf.post[rows], draw[shelf.user[rows]], posts)))

    value = seen(np.ones(shelf.users), top) / posts
    draws = [draw.astype(np.float64) for draw in draws_of(shelf.users)]
    drawn = np.array([seen(draw, top) / max(seen(draw, slice(None)), 1) for draw in draws])
    return Resampled({"coverage": value}, {"coverage": drawn - drawn.mean() + value}, {"coverage": posts})


def _codes(frame: pl.DataFrame, name: str) -> Codes:
    if name not in frame.columns:
        return np.zeros(len(frame), dtype=np.int64)
    return frame[name].fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
