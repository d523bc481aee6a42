"""From candidates to an ordered answer: cold starts, fallback tiers, ties. No I/O."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import count, repeat

import msgspec
import numpy as np
import numpy.typing as npt

from feed_platform.features.blocks import Found, Wanted, unknown
from feed_platform.features.keys import keys
from feed_platform.features.online import OnlineSnapshot
from feed_platform.features.packed import Floats
from feed_platform.feed import FeedSettings, Serving
from feed_platform.interactions.records import CandidateColumns
from feed_platform.serving.deadline import Due
from feed_platform.serving.diversity import caps_of
from feed_platform.serving.drawing import Cap, Drawn, Places, Rules, draw, hashes
from feed_platform.serving.explaining import EXPLAINED, compare, explain
from feed_platform.serving.exploration import Arm, Policy, arm_of, logits
from feed_platform.serving.filters import exclude
from feed_platform.serving.schemas import (
    PROBE,
    Excluded,
    Explanation,
    RankedItem,
    RankRequest,
    RankResponse,
    Tier,
)
from feed_platform.serving.store import Loaded, Model

REFERENCE_POSITION = 1
BY_MODEL: tuple[Tier, ...] = ("champion", "previous", "challenger")
UNCHANGED = Serving()
DECIMALS = 12  # beyond them a sum depends on the rows' order, and equal posts would not tie

Vector = npt.NDArray[np.float64]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """A request with the candidates that filters leave, when it happens (UTC, naive)."""

    request: RankRequest
    request_id: str
    at: datetime
    posts: Found
    excluded: list[Excluded]
    caps: Sequence[Cap] = ()

    @classmethod
    def of(
        cls,
        request: RankRequest,
        request_id: str,
        at: datetime,
        snapshot: OnlineSnapshot | None,
        serving: Serving,
        caps: FeedSettings | None = None,
    ) -> "Asked":
        """A request after its filters; `caps` says how much of it one author and one topic may have."""
        candidates = request.candidate_ids
        if len(set(candidates)) < len(candidates):
            candidates = list(dict.fromkeys(candidates))
        found = snapshot.find(candidates) if snapshot else unknown(candidates)
        posts, excluded = exclude(found, request.filters, serving.moderation, snapshot, at)
        rules = caps_of(caps, request.limit or len(posts), posts, snapshot) if caps and snapshot else []
        return cls(request, request_id, at, posts, excluded, rules)

    def matrix(self, snapshot: OnlineSnapshot, wanted: Wanted | None = None) -> Floats:
        """The candidates' feature rows (n, k), as if each stood first: all, or those wanted."""
        user, at, context = keys([self.request.user_id]), np.datetime64(self.at), self.request.context
        return snapshot.rows(user, self.posts, at, REFERENCE_POSITION, context, wanted)


@dataclass(frozen=True)
class Scored:
    """The candidates' scores (n,), which tier gave them, and what it knows of them.

    `matrix` holds the model's feature rows (n, features) where one scored them.
    """

    served_by: Tier
    scores: Vector
    probabilities: dict[str, Vector]
    model_version: str | None = None
    matrix: Floats | None = None
    model: Model | None = None


@dataclass(frozen=True)
class Ranking:
    """One answer with what its log record needs; `drawn` speaks of places among the posts asked about."""

    asked: Asked
    snapshot: OnlineSnapshot | None
    scored: Scored
    drawn: Drawn
    arm: Arm
    policy: Policy

    @property
    def is_look(self) -> bool:
        """Whether nobody is served by it: it leaves no record."""
        return self.asked.request.surface == PROBE or self.asked.request.model == "challenger"

    @property
    def limit(self) -> int:
        """How many items the answer holds."""
        ranked = len(self.drawn.order)
        return min(self.asked.request.limit or ranked, ranked)

    @property
    def vectors(self) -> Floats | None:
        """All that the snapshot says of the candidates (n, features) where a model scored them."""
        if self.snapshot is None or self.scored.matrix is None:
            return None
        return self.asked.matrix(self.snapshot)

    @property
    def order(self) -> Places:
        """Every candidate's place in the request, those that a cap left out last."""
        return np.concatenate([self.drawn.order, self.drawn.left_out])

    @cached_property
    def candidates(self) -> CandidateColumns:
        """Every candidate in that order."""
        order, left_out = self.order, len(self.drawn.left_out)
        is_certain = self.policy == "greedy" and not left_out
        return CandidateColumns(
            [*map(self.asked.posts.ids.__getitem__, order.tolist())],
            self.scored.scores[order].tolist(),
            None if is_certain else self.drawn.propensity.tolist() + [None] * left_out,
        )

    def response(self) -> RankResponse:
        """The HTTP answer."""
        as_of = self.snapshot.as_of.replace(tzinfo=UTC) if self.snapshot else None
        scored = self.scored
        return RankResponse(
            self.asked.request_id,
            scored.model_version,
            as_of,
            scored.served_by,
            self._items(),
            self.asked.excluded,
            self._comparison(),
        )

    def _items(self) -> list[RankedItem]:
        shown, ranked = self.drawn.order[: self.limit], self.candidates
        probabilities = {name: column[shown] for name, column in self.scored.probabilities.items()}
        columns = (
            ranked.post_ids,
            count(1),
            ranked.scores,
            self.drawn.propensity.tolist(),
            by_row(probabilities, len(shown)),
        )
        items = [*map(RankedItem, *columns)]  # hundreds of items an answer; it ends with the shortest column
        if self.asked.request.explain:
            return [*map(_explained, items, self._explanations()), *items[EXPLAINED:]]
        return items

    def _explanations(self) -> Sequence[dict[str, Explanation] | None]:
        shown = self.drawn.order[: min(self.limit, EXPLAINED)]
        scored = self.scored
        if scored.model is None or scored.matrix is None:
            return [None] * len(shown)
        return explain(scored.model, scored.matrix[shown])

    def _comparison(self) -> dict[str, Explanation] | None:
        """None too where one of the two may not be shown."""
        scored, pair, post_ids = self.scored, self.asked.request.compare, self.asked.posts.ids
        if pair is None or scored.model is None or scored.matrix is None or not {*pair} <= {*post_ids}:
            return None
        return compare(scored.model, scored.matrix[[post_ids.index(post_id) for post_id in pair]])


def by_row(probabilities: Mapping[str, Vector], rows: int) -> list[dict[str, float]]:
    """Probabilities by objective, of each row."""
    columns = {name: column.tolist() for name, column in probabilities.items()}
    if len(columns) == 1:
        ((name, column),) = columns.items()
        return [{name: value} for value in column]
    values = zip(*columns.values(), strict=True) if columns else repeat((), rows)
    return [dict(zip(columns, row, strict=True)) for row in values]


def _explained(item: RankedItem, explanation: dict[str, Explanation] | None) -> RankedItem:
    return msgspec.structs.replace(item, explanation=explanation)


def rank(
    request: RankRequest,
    request_id: str,
    at: datetime,
    loaded: Loaded,
    on_failure: Callable[[Tier], None] = lambda tier: None,
    serving: Serving = UNCHANGED,
    due: Due | None = None,
) -> Ranking:
    """Rank a request's candidates with the best tier that works.

    Filters, then pinned places, then chance. Only models' scores are explored with: temperatures are in
    their units.

    Args:
        at: the moment of the request (UTC, naive).
        loaded: model and snapshot, one consistent state.
        on_failure: told of each tier that failed.
        serving: the feed's exploration and moderation.
        due: until when the answer is wanted; tiers that would be late are passed over.
    """
    asked = Asked.of(request, request_id, at, loaded.snapshot, serving)
    return arrange(asked, _score(loaded, asked, on_failure, due), loaded.snapshot, serving)


async def rank_together(
    asked: Sequence[tuple[Asked, Due]],
    loaded: Loaded,
    on_failure: Callable[[Tier], None],
    serving: Serving,
    aside: bool = False,
) -> list[Ranking]:
    """As `rank`, of several requests whose candidates the champion scores in one call.

    Args:
        aside: make that call in a thread, while the event loop does something else: it needs a core that is
            free, and no lock of Python's.
    """
    scored = await _by_champion(loaded, asked, aside) if len(asked) > 1 else None
    if scored is None:
        scored = [_score(loaded, one, on_failure, due) for one, due in asked]
    return [arrange(one, its, loaded.snapshot, serving) for (one, _), its in zip(asked, scored, strict=True)]


def arrange(asked: Asked, scored: Scored, snapshot: OnlineSnapshot | None, serving: Serving) -> Ranking:
    """Put scored candidates in order: pinned places, then chance where the request explores."""
    request, request_id, posts = asked.request, asked.request_id, asked.posts
    arm = arm_of(request, request_id, serving.exploration)
    pins = _pins(request, posts.ids)
    chances = None
    if arm.temperature is not None and scored.served_by in BY_MODEL and snapshot is not None:
        chances = logits(scored.scores, arm.temperature, serving.exploration, posts, snapshot, asked.at)
    hashed = partial(hashes, request_id, posts.keys)
    drawn = draw(scored.scores, hashed, chances, Rules(pins, asked.caps))
    policy: Policy = "pinned" if pins else "greedy" if chances is None else "plackett_luce"
    return Ranking(asked, snapshot, scored, drawn, arm, policy)


def _pins(request: RankRequest, post_ids: Sequence[str]) -> dict[int, int]:
    """Which of the candidates left stands at a position."""
    if not request.pinned:
        return {}
    places = {post_id: place for place, post_id in enumerate(post_ids)}
    return {pin.position: places[pin.post_id] for pin in request.pinned if pin.post_id in places}


def _score(
    loaded: Loaded, asked: Asked, on_failure: Callable[[Tier], None], due: Due | None = None
) -> Scored:
    for tier, attempt in _tiers(loaded, asked):
        if due and not due.allows(tier):
            continue
        began = due.now() if due else 0.0
        try:
            scored = attempt()
            if due:
                due.took(tier, began)
            if not np.isfinite(scored.scores).all():
                raise FloatingPointError("a score is not finite")
            return scored
        except Exception:
            log.exception("the %s tier failed", tier)
            on_failure(tier)
    return Scored("recency", np.zeros(len(asked.posts)), {})


def _tiers(loaded: Loaded, asked: Asked) -> Iterator[tuple[Tier, Callable[[], Scored]]]:
    snapshot = loaded.snapshot
    if snapshot is None:
        return
    models: list[tuple[Tier, Model | None]] = [("champion", loaded.champion), ("previous", loaded.previous)]
    for tier, model in models:
        if model is not None:
            yield tier, lambda t=tier, m=model: by_model(t, m, snapshot, asked)  # type: ignore[misc]
    yield "popularity", lambda: _by_popularity(snapshot, asked.posts)
    yield "recency", lambda: _by_recency(snapshot, asked.posts, asked.at)


def by_model(tier: Tier, model: Model, snapshot: OnlineSnapshot, asked: Asked) -> Scored:
    """The candidates' scores by one model."""
    matrix = asked.matrix(snapshot, model.wanted)
    return _scored(tier, model, matrix, model.bundle.probabilities(matrix))


async def _by_champion(
    loaded: Loaded, asked: Sequence[tuple[Asked, Due]], aside: bool
) -> list[Scored] | None:
    """Several requests' scores by one call of the champion; None where each must find its own tier."""
    snapshot, model, due = loaded.snapshot, loaded.champion, min((due for _, due in asked), key=_at)
    if snapshot is None or model is None or not due.allows("champion"):
        return None
    began = due.now()
    try:
        scored = await _at_once(model, [one.matrix(snapshot, model.wanted) for one, _ in asked], aside)
    except Exception:
        log.exception("the champion failed for %d requests together", len(asked))
        return None
    due.took("champion", began)
    return scored if all(np.isfinite(one.scores).all() for one in scored) else None


def _at(due: Due) -> float:
    return due.at


async def _at_once(model: Model, matrices: list[Floats], aside: bool) -> list[Scored]:
    score, matrix = model.bundle.probabilities, np.concatenate(matrices)
    together = await asyncio.to_thread(score, matrix) if aside else score(matrix)
    ends = np.cumsum([len(matrix) for matrix in matrices])[:-1]
    columns = {event: np.split(column, ends) for event, column in together.items()}
    return [
        _scored("champion", model, matrix, {event: parts[turn] for event, parts in columns.items()})
        for turn, matrix in enumerate(matrices)
    ]


def _scored(tier: Tier, model: Model, matrix: Floats, probabilities: dict[str, Vector]) -> Scored:
    rounded = {event: column.round(DECIMALS) for event, column in probabilities.items()}
    scores = model.bundle.score(probabilities).round(DECIMALS)
    return Scored(tier, scores, rounded, model.version, matrix, model)


def _by_popularity(snapshot: OnlineSnapshot, posts: Found) -> Scored:
    rate = snapshot.popularity(posts).astype(np.float64)
    return Scored("popularity", rate, {snapshot.popular_for: rate})


def _by_recency(snapshot: OnlineSnapshot, posts: Found, at: datetime) -> Scored:
    """1 for a post of this moment, 1/2 for one an hour old; 0 where the age is unknown."""
    hours = (np.datetime64(at) - snapshot.created_at(posts)) / np.timedelta64(1, "h")
    return Scored("recency", np.nan_to_num(1 / (1 + np.maximum(hours, 0)), nan=0.0), {})
