"""Which post stands where: drawn without replacement, with masks and boosts before each draw.

The model of Luce (1959) and Plackett (1975): of the posts that remain, one is drawn with the chance
exp(s/T) / Σ exp(s/T). Sorting s/T + G, with G standard Gumbel, draws the whole order at once (Yellott 1977).
G comes from a hash of request and post, so neither time nor the candidates' order matters.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from feed_platform.features.keys import Keys, key_once

Vector = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
NO_PLACES: Places = np.empty(0, dtype=np.intp)


@dataclass(frozen=True)
class Cap:
    """At most `most` posts of one kind. `kinds` (n,) are their numbers; below 0: none that counts."""

    kinds: npt.NDArray[np.int64]
    most: int


@dataclass(frozen=True)
class Rules:
    """What holds before each draw.

    Attributes:
        pins: which candidate (0…n-1) stands at a position (from 1). A position behind the last one means
            the last.
        caps: candidates over a cap are left out. Pinned ones count from the start and stay.
    """

    pins: Mapping[int, int] = field(default_factory=dict)
    caps: Sequence[Cap] = ()


@dataclass(frozen=True)
class Drawn:
    """Candidates from the first place down, `order` (k,); those over a cap are `left_out`.

    `propensity` (k,): each one's chance of its place, given those above it.
    """

    order: Places
    propensity: Vector
    left_out: Places = field(default_factory=NO_PLACES.copy)


def hashes(request_id: str, post_keys: Keys) -> Keys:
    """A hash of the request and each post (n,): SplitMix64's finalizer (Steele, Lea and Flood 2014)."""
    request = np.array([key_once(request_id)], dtype=np.uint64)
    return _mix(post_keys ^ _mix(request))


def uniform(hashed: Keys) -> Vector:
    """Hashes as numbers in (0, 1)."""
    return ((hashed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def draw(
    scores: Vector, hashed: Callable[[], Keys], logits: Vector | None = None, rules: Rules | None = None
) -> Drawn:
    """Put n candidates in order.

    Args:
        scores: greedy rankings go by them, ties by hash.
        hashed: gives those of `hashes` (n,), where chance or a tie needs them.
        logits: s/T with boosts; None for a greedy ranking, whose propensities are 1.
    """
    rules = rules or Rules()
    values = scores if logits is None else logits - np.log(-np.log(uniform(hashed())))
    ranked = _ranked(values, hashed)
    if not rules.pins and not rules.caps:
        order, until = ranked, np.arange(1, len(ranked) + 1)
    else:
        order, until = _walk(ranked, rules)
    certain = np.ones(len(order))
    propensity = certain if logits is None else _propensity(order, until, logits, ranked, rules)
    return Drawn(order, propensity, ranked[~np.isin(ranked, order)] if rules.caps else NO_PLACES)


def exposure_boost(logits: Vector, is_new: npt.NDArray[np.bool_], share: float) -> Vector:
    """What to add to the logits (n,) for new posts to have at least `share` of the first draw.

    Every later draw has no less, until one of them is drawn: what leaves was the others'.
    """
    if not share or is_new.all() or not is_new.any():
        return np.zeros(len(logits))
    lacking = np.log(share / (1 - share)) + _log_sum(logits[~is_new]) - _log_sum(logits[is_new])
    return np.where(is_new, max(0.0, float(lacking)), 0.0)


def _ranked(values: Vector, hashed: Callable[[], Keys]) -> Places:
    """The places (n,) of values from the highest down."""
    ranked = (-values).argsort()
    ordered = values[ranked]
    has_ties = (ordered[1:] == ordered[:-1]).any()
    return np.lexsort((hashed(), -values)) if has_ties else ranked


def _walk(ranked: Places, rules: Rules) -> tuple[Places, npt.NDArray[np.int64]]:
    """The order under the rules, and before how many places each of `ranked` could be drawn.

    What a rule has masked stays so, and what remains keeps its noise: the next draw is still a softmax.
    """
    pinned = set(rules.pins.values())
    room = [_Room(cap, pinned) for cap in rules.caps]
    order: list[int] = []
    until = np.zeros(len(ranked), dtype=np.int64)

    def put_pins() -> None:
        while (place := rules.pins.get(len(order) + 1)) is not None:
            order.append(place)

    for turn, place in enumerate(ranked.tolist()):
        put_pins()
        if place in pinned:
            continue
        until[turn] = min((one.full_at(place) for one in room), default=len(ranked) + 1)
        if until[turn] > len(order):
            order.append(place)
            until[turn] = len(order)
            for one in room:
                one.take(place, len(order))
    put_pins()
    late = [place for position, place in sorted(rules.pins.items()) if place not in order]
    return np.array(order + late, dtype=np.intp), until


class _Room:
    """What a cap still lets pass; `full_at` says after how many places it was full."""

    def __init__(self, cap: Cap, pinned: set[int]) -> None:
        self._kinds = cap.kinds.tolist()
        self._left: dict[int, int] = {}
        self._full_at: dict[int, int] = {}
        self._most = cap.most
        for place in pinned:
            self.take(place, 0)

    def full_at(self, place: int) -> int:
        """After how many places no more of this one's kind could be drawn."""
        return self._full_at.get(self._kinds[place], len(self._kinds) + 1)

    def take(self, place: int, placed: int) -> None:
        """Count a post that is the `placed`-th."""
        kind = self._kinds[place]
        if kind < 0:
            return
        self._left[kind] = self._left.get(kind, self._most) - 1
        if self._left[kind] <= 0:
            self._full_at.setdefault(kind, placed)


def _propensity(
    order: Places, until: npt.NDArray[np.int64], logits: Vector, ranked: Places, rules: Rules
) -> Vector:
    """exp(logit − log Σ exp of those that could be drawn for the place); 1 at a pinned place."""
    leaving = np.argsort(until, kind="stable")
    remaining = np.logaddexp.accumulate(logits[ranked[leaving]][::-1])[::-1]
    first = np.searchsorted(until[leaving], np.arange(len(order)), side="right")
    is_free = ~np.isin(order, list(rules.pins.values())) if rules.pins else np.ones(len(order), dtype=bool)
    log_chance = np.zeros(len(order))
    log_chance[is_free] = logits[order[is_free]] - remaining[first[is_free]]
    return np.exp(np.minimum(log_chance, 0.0))


def _log_sum(values: Vector) -> float:
    """log Σ exp, the same in any order of the values."""
    return float(np.logaddexp.reduce(np.sort(values)))


def _mix(values: Keys) -> Keys:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
