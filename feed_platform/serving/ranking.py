"""From candidates to an ordered answer: cold starts, fallback tiers, ties. No I/O."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from feed_platform.features.keys import keys
from feed_platform.features.online import OnlineSnapshot
from feed_platform.serving.schemas import Excluded, RankedItem, RankRequest, RankResponse, Tier
from feed_platform.serving.store import Floats, Loaded, Model

REFERENCE_POSITION = 1
GREEDY, CERTAIN = "greedy", 1.0
SEPARATOR = chr(31)
DECIMALS = 12  # beyond them a sum depends on the rows' order, and equal posts would not tie

Vector = npt.NDArray[np.float64]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """Who wants which posts in order, when (UTC, naive), and what the caller knows besides."""

    user_id: str | None
    post_ids: list[str]
    at: datetime
    context: Mapping[str, Any]


@dataclass(frozen=True)
class Scored:
    """The candidates' scores (n,), which tier gave them, and what it knows of them.

    `matrix` holds the feature rows (n, features) where a model scored them.
    """

    served_by: Tier
    scores: Vector
    probabilities: dict[str, Vector]
    model_version: str | None = None
    matrix: Floats | None = None


@dataclass(frozen=True)
class Ranking:
    """One answer with what its log record needs. `order` are places in `post_ids`, best first."""

    request_id: str
    at: datetime
    request: RankRequest
    snapshot: OnlineSnapshot | None
    post_ids: list[str]
    scored: Scored
    order: npt.NDArray[np.intp]
    excluded: list[Excluded]

    @property
    def limit(self) -> int:
        """How many items the answer holds."""
        return min(self.request.limit or len(self.post_ids), len(self.post_ids))

    def response(self) -> RankResponse:
        """The HTTP answer."""
        as_of = self.snapshot.as_of.replace(tzinfo=UTC) if self.snapshot else None
        scored = self.scored
        return RankResponse(
            self.request_id, scored.model_version, as_of, scored.served_by, self._items(), self.excluded
        )

    def _items(self) -> list[RankedItem]:
        shown = self.order[: self.limit]
        names = list(self.scored.probabilities)
        columns = [self.scored.probabilities[name][shown].tolist() for name in names]
        rows = zip(*columns, strict=True) if columns else iter([()] * len(shown))
        scores = self.scored.scores[shown].tolist()
        return [
            RankedItem(self.post_ids[place], rank, score, CERTAIN, dict(zip(names, row, strict=True)))
            for rank, (place, score, row) in enumerate(
                zip(shown.tolist(), scores, rows, strict=True), start=1
            )
        ]


def rank(
    request: RankRequest,
    request_id: str,
    at: datetime,
    loaded: Loaded,
    on_failure: Callable[[Tier], None] = lambda tier: None,
) -> Ranking:
    """Rank a request's candidates with the best tier that works.

    Args:
        at: the moment of the request (UTC, naive).
        loaded: model and snapshot, one consistent state.
        on_failure: told of each tier that failed.
    """
    post_ids, excluded = _without_removed(list(dict.fromkeys(request.candidate_ids)), loaded.snapshot, at)
    scored = _score(loaded, Asked(request.user_id, post_ids, at, request.context), on_failure)
    order = in_order(scored.scores, post_ids, request_id)
    return Ranking(request_id, at, request, loaded.snapshot, post_ids, scored, order, excluded)


def in_order(scores: Vector, post_ids: Sequence[str], request_id: str) -> npt.NDArray[np.intp]:
    """Places by falling score; ties by a hash of request and post, whatever the candidates' order."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    if (ranked[1:] != ranked[:-1]).all():
        return order
    ties = keys(f"{request_id}{SEPARATOR}{post_id}" for post_id in post_ids)
    return np.lexsort((ties, -scores))


def _without_removed(
    post_ids: list[str], snapshot: OnlineSnapshot | None, at: datetime
) -> tuple[list[str], list[Excluded]]:
    removed = snapshot.removed(post_ids, at) if snapshot else np.zeros(len(post_ids), dtype=bool)
    if not removed.any():
        return post_ids, []
    pairs = list(zip(post_ids, removed.tolist(), strict=True))
    kept = [post_id for post_id, is_removed in pairs if not is_removed]
    return kept, [Excluded(post_id, "removed") for post_id, is_removed in pairs if is_removed]


def _score(loaded: Loaded, asked: Asked, on_failure: Callable[[Tier], None]) -> Scored:
    for tier, attempt in _tiers(loaded, asked):
        try:
            scored = attempt()
            if not np.isfinite(scored.scores).all():
                raise FloatingPointError("a score is not finite")
            return scored
        except Exception:
            log.exception("the %s tier failed", tier)
            on_failure(tier)
    return Scored("recency", np.zeros(len(asked.post_ids)), {})


def _tiers(loaded: Loaded, asked: Asked) -> Iterator[tuple[Tier, Callable[[], Scored]]]:
    snapshot = loaded.snapshot
    if snapshot is None:
        return
    models: list[tuple[Tier, Model | None]] = [("champion", loaded.champion), ("previous", loaded.previous)]
    for tier, model in models:
        if model is not None:
            yield tier, lambda t=tier, m=model: _by_model(t, m, snapshot, asked)  # type: ignore[misc]
    yield "popularity", lambda: _by_popularity(snapshot, asked.post_ids)
    yield "recency", lambda: _by_recency(snapshot, asked.post_ids, asked.at)


def _by_model(tier: Tier, model: Model, snapshot: OnlineSnapshot, asked: Asked) -> Scored:
    at = np.datetime64(asked.at)
    matrix = snapshot.matrix([asked.user_id], asked.post_ids, at, REFERENCE_POSITION, asked.context)
    probabilities = model.probabilities(matrix)
    scores = np.round(model.bundle.score(probabilities), DECIMALS)
    return Scored(tier, scores, probabilities, model.version, matrix)


def _by_popularity(snapshot: OnlineSnapshot, post_ids: list[str]) -> Scored:
    rate = snapshot.popularity(post_ids).astype(np.float64)
    return Scored("popularity", rate, {snapshot.popular_for: rate})


def _by_recency(snapshot: OnlineSnapshot, post_ids: list[str], at: datetime) -> Scored:
    """1 for a post of this moment, 1/2 for one an hour old; 0 where the age is unknown."""
    hours = (np.datetime64(at) - snapshot.created_at(post_ids)) / np.timedelta64(1, "h")
    return Scored("recency", np.nan_to_num(1 / (1 + np.maximum(hours, 0)), nan=0.0), {})
