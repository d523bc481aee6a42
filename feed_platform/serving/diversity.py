"""Caps of an answer by author and topic, as rules that hold before each draw."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from feed_platform.features.blocks import Found
from feed_platform.features.online import OnlineSnapshot
from feed_platform.feed import FeedSettings
from feed_platform.serving.drawing import Cap

UNKNOWN = -1


def caps_of(config: FeedSettings, limit: int, posts: Found, snapshot: OnlineSnapshot) -> list[Cap]:
    """How many of an answer's items one author and one topic may have.

    Authors and topics that aren't known count for none.
    """
    authors = snapshot.authors(posts).astype(object)
    authors[authors == 0] = None
    return [
        _cap(_kinds(authors.tolist()), config.author_share, limit),
        _cap(_kinds(snapshot.topics(posts)), config.topic_share, limit),
    ]


def _kinds(values: Sequence[int | str | None]) -> npt.NDArray[np.int64]:
    codes: dict[int | str | None, int] = {None: UNKNOWN}
    for value in values:
        codes.setdefault(value, len(codes))
    return np.array([codes[value] for value in values], dtype=np.int64)


def _cap(kinds: npt.NDArray[np.int64], share: float, limit: int) -> Cap:
    """More than the share where there are too few kinds to fill the answer otherwise."""
    different = len(np.unique(kinds[kinds >= 0]))
    return Cap(kinds, max(1, int(share * limit + 1e-9), -(-limit // max(1, different))))
