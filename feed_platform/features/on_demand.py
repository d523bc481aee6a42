"""Features computed at the moment of a request: the same NumPy functions for training and serving."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import polars as pl

from feed_platform.features.keys import key
from feed_platform.feed import AttributeKind, Attributes, ContextKind

ON_DEMAND = ("position", "post_age_hours", "hour_of_day", "day_of_week")
LOCAL_HOUR = "local_hour"
CODE_BITS = (1 << 24) - 1
LIST_LENGTH = 16

Floats = npt.NDArray[np.float32]
Instants = npt.NDArray[np.datetime64]
Encoded = npt.NDArray[Any]


def on_demand(at: npt.ArrayLike, created_at: Instants, position: npt.ArrayLike) -> Floats:
    """The on-demand features of n posts, float32 (n, 4) in the order of `ON_DEMAND`.

    Args:
        at: when the posts are shown (UTC), one instant or (n,).
        created_at: when each post was created (n,); NaT where unknown, its age is then NaN.
        position: place in the feed from 1, one number or (n,); NaN where unknown.

    `day_of_week` is 0 on Monday.
    """
    shown = np.asarray(at, dtype="datetime64[us]")
    hours = shown.astype("datetime64[h]").astype(np.int64)
    age = (shown - created_at.astype("datetime64[us]")) / np.timedelta64(1, "h")
    features = np.empty((len(created_at), len(ON_DEMAND)), dtype=np.float32)
    features[:, 0] = position
    features[:, 1] = age
    features[:, 2] = hours % 24
    features[:, 3] = (hours // 24 + 3) % 7  # 1970-01-01 was a Thursday
    return features


def local_hours(at: npt.ArrayLike, zones: Sequence[str | None]) -> Floats:
    """The hour of the day in each user's time zone (n,); in UTC where the zone is unknown.

    Args:
        at: instants (UTC), one or (n,).
        zones: IANA names such as `Europe/Berlin` (n,).

    Example:
        >>> local_hours(np.datetime64("2026-07-01T12:40"), ["Europe/Berlin", "Asia/Kolkata", None]).tolist()
        [14.0, 18.0, 12.0]
    """
    shown = np.broadcast_to(np.asarray(at, dtype="datetime64[us]"), len(zones))
    hours = shown.astype("datetime64[h]").astype(np.int64)
    offsets = [_offset_minutes(zone, hour) for zone, hour in zip(zones, hours.tolist(), strict=True)]
    minutes = shown.astype("datetime64[m]").astype(np.int64) + np.array(offsets, dtype=np.int64)
    return (minutes // 60 % 24).astype(np.float32)


@lru_cache(100_000)
def _offset_minutes(zone: str | None, hour: int) -> int:
    try:
        found = ZoneInfo(zone) if zone else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return 0
    offset = datetime.fromtimestamp(hour * 3600, found).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)


def category_codes(values: Sequence[str | None]) -> Floats:
    """A number for each category, the same everywhere: 24 bits of its key, exact in float32; NaN for None."""
    codes = {value: np.nan if value is None else float(category_code(value)) for value in set(values)}
    return np.fromiter((codes[value] for value in values), dtype=np.float32)


def category_code(value: str) -> int:
    """The code of one category: never 0, which stands for no value in a list."""
    return max(key(value) & CODE_BITS, 1)


def encode(values: pl.Series, kind: AttributeKind) -> Encoded:
    """An attribute's values as numbers.

    A category's code and a number are float32 (n,), NaN where missing; a list is the codes of its
    first 16 values, int32 (n, 16), 0 behind its end.
    """
    if kind == "category":
        return category_codes(values.to_list())
    if kind == "number":
        return values.cast(pl.Float32).fill_null(np.nan).to_numpy()
    codes = np.zeros((len(values), LIST_LENGTH), dtype=np.int32)
    for row, value in enumerate(values.to_list()):
        known = [category_code(one) for one in value or () if one is not None][:LIST_LENGTH]
        codes[row, : len(known)] = known
    return codes


def as_feature(encoded: Encoded) -> Floats:
    """An encoded attribute as a feature (n,): itself, of a list how many values it holds."""
    if encoded.ndim == 1:
        return encoded
    return np.count_nonzero(encoded, axis=1).astype(np.float32)


def matches(attributes: Attributes) -> tuple[str, ...]:
    """The attributes that users and posts both have, whose values can be the same."""
    shared = set(attributes.users) & set(attributes.posts)
    numbers = {name for name in shared if "number" in (attributes.users[name], attributes.posts[name])}
    return tuple(name for name in attributes.users if name in shared - numbers)


def match(users: Encoded, posts: Encoded) -> Floats:
    """How many values n users and n posts share (n,); NaN where a category isn't known."""
    left, right = (side[:, None] if side.ndim == 1 else side for side in (users, posts))
    same = (left[:, :, None] == right[:, None, :]) & (left[:, :, None] != 0)
    unknown = np.isnan(left.astype(np.float32)).any(axis=1) | np.isnan(right.astype(np.float32)).any(axis=1)
    return np.where(unknown, np.nan, same.any(axis=2).sum(axis=1)).astype(np.float32)


def context_values(context: Mapping[str, Any], kinds: Mapping[str, ContextKind]) -> Floats:
    """The declared keys of one request's context (k,); NaN for what it lacks."""
    return np.array([_context_value(context.get(name), kind) for name, kind in kinds.items()], np.float32)


def _context_value(value: Any, kind: ContextKind) -> float:
    if value is None:
        return np.nan
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    if kind == "category":
        return float(category_code(text))
    try:
        return np.nan if isinstance(value, bool) else float(text)
    except ValueError:
        return np.nan
