"""Candidates that may not be shown: removed, moderated, blocked or not what the caller wants."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from feed_platform.features.blocks import Found
from feed_platform.features.keys import keys
from feed_platform.features.on_demand import category_code
from feed_platform.features.online import OnlineSnapshot
from feed_platform.feed import Attributes, Moderation
from feed_platform.serving.schemas import Condition, Excluded, FieldError, Filters, RankRequest, Reason

Mask = npt.NDArray[np.bool_]


def faults(request: RankRequest, attributes: Attributes, moderation: Moderation) -> list[FieldError]:
    """What a feed's declarations don't allow in a request's filters and pinned posts."""
    return [
        *_filter_faults(request.filters, attributes, moderation),
        *_pin_faults(request),
        *_compare_faults(request),
    ]


def exclude(
    posts: Found,
    filters: Filters,
    moderation: Moderation,
    snapshot: OnlineSnapshot | None,
    at: datetime,
) -> tuple[Found, list[Excluded]]:
    """Split candidates into those that may be shown and the others, each with its first reason.

    Args:
        snapshot: what is known of posts. Of a post that it lacks, and of every post without a snapshot,
            nothing is: it meets no condition that wants something and breaks none that forbids.
        at: the moment of the request (UTC, naive).
    """
    reasons: dict[int, Reason] = {}
    for reason, masked in _masks(posts, filters, moderation, snapshot, at):
        for place in masked.nonzero()[0].tolist():
            reasons.setdefault(place, reason)
    if not reasons:
        return posts, []
    kept = np.delete(np.arange(len(posts)), list(reasons))
    return posts.at(kept), [Excluded(posts.ids[place], reasons[place]) for place in sorted(reasons)]


def _masks(
    posts: Found,
    filters: Filters,
    moderation: Moderation,
    snapshot: OnlineSnapshot | None,
    at: datetime,
) -> Iterator[tuple[Reason, Mask]]:
    if snapshot is not None:
        yield "removed", snapshot.removed(posts, at)
        flags = (*moderation.hide, *filters.flags)
        if moderation.attribute and flags:
            yield "moderated", _has_one(snapshot.attribute(moderation.attribute, posts), flags)
    if filters.posts:
        blocked = set(filters.posts)
        yield "blocked_post", np.array([post_id in blocked for post_id in posts.ids])
    if filters.authors and snapshot is not None:
        yield "blocked_author", np.isin(snapshot.authors(posts), keys(filters.authors))
    if filters.topics and snapshot is not None:
        unwanted = set(filters.topics)
        yield "blocked_topic", np.array([topic in unwanted for topic in snapshot.topics(posts)])
    for condition in filters.attributes:
        if snapshot is None:
            yield "attribute", np.full(len(posts), _wants(condition))
        else:
            yield "attribute", _breaks(condition, snapshot, posts)


def _breaks(condition: Condition, snapshot: OnlineSnapshot, posts: Found) -> Mask:
    values = snapshot.attribute(condition.attribute, posts)
    broken = np.zeros(len(posts), dtype=bool)
    if condition.any_of:
        broken |= ~_has_one(values, condition.any_of)
    if condition.none_of:
        broken |= _has_one(values, condition.none_of)
    if condition.at_least is not None:
        broken |= ~(values >= condition.at_least)  # NaN, unknown, is neither
    if condition.at_most is not None:
        broken |= ~(values <= condition.at_most)
    return broken


def _wants(condition: Condition) -> bool:
    return bool(condition.any_of) or condition.at_least is not None or condition.at_most is not None


def _has_one(values: npt.NDArray[np.generic], wanted: Sequence[str]) -> Mask:
    """Whether each encoded category or list (n,) or (n, length) has one of some values."""
    found = np.isin(values, [category_code(one) for one in wanted])
    return np.asarray(found if found.ndim == 1 else found.any(axis=1))


def _filter_faults(filters: Filters, attributes: Attributes, moderation: Moderation) -> Iterator[FieldError]:
    if filters.flags and moderation.attribute is None:
        yield FieldError("feed.toml names no moderation attribute", "/filters/flags")
    for index, condition in enumerate(filters.attributes):
        where = f"/filters/attributes/{index}"
        kind = attributes.posts.get(condition.attribute)
        if kind is None:
            yield FieldError(f"{condition.attribute!r} is no attribute of posts", f"{where}/attribute")
        elif kind == "number" and (condition.any_of or condition.none_of):
            yield FieldError("is a number: give at_least or at_most", where)
        elif kind != "number" and (condition.at_least is not None or condition.at_most is not None):
            yield FieldError(f"is a {kind}: give any_of or none_of", where)


def _pin_faults(request: RankRequest) -> Iterator[FieldError]:
    candidates = set(request.candidate_ids) if request.pinned else set()
    posts: set[str] = set()
    positions: set[int] = set()
    for index, pin in enumerate(request.pinned):
        if pin.post_id not in candidates:
            yield FieldError("is none of candidate_ids", f"/pinned/{index}/post_id")
        if pin.post_id in posts:
            yield FieldError("is pinned twice", f"/pinned/{index}/post_id")
        if pin.position in positions:
            yield FieldError("has a pinned post already", f"/pinned/{index}/position")
        posts.add(pin.post_id)
        positions.add(pin.position)


def _compare_faults(request: RankRequest) -> Iterator[FieldError]:
    for index, post_id in enumerate(request.compare or ()):
        if post_id not in request.candidate_ids:
            yield FieldError("is none of candidate_ids", f"/compare/{index}")
