"""Features computed at the moment of a request: one NumPy function for training and serving."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from feed_platform.features.keys import key

ON_DEMAND = ("position", "post_age_hours", "hour_of_day", "day_of_week")
CODE_BITS = (1 << 24) - 1

Floats = npt.NDArray[np.float32]


def on_demand(at: npt.ArrayLike, created_at: npt.NDArray[np.datetime64], position: npt.ArrayLike) -> Floats:
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


def category_codes(values: Sequence[str | None]) -> Floats:
    """A number for each category, the same everywhere: 24 bits of its key, exact in float32; NaN for None."""
    codes = {value: np.nan if value is None else float(key(value) & CODE_BITS) for value in set(values)}
    return np.fromiter((codes[value] for value in values), dtype=np.float32)
