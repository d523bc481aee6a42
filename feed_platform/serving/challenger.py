"""A look at the version that the gate judges: ranked beside the champion, never in its place."""

from datetime import datetime
from http import HTTPStatus

import numpy as np

from feed_platform.feed import FeedSettings, Serving
from feed_platform.serving.problems import Problem
from feed_platform.serving.ranking import Asked, Ranking, arrange, by_model
from feed_platform.serving.schemas import RankRequest
from feed_platform.serving.store import Loaded


def rank_by_challenger(
    loaded: Loaded,
    request: RankRequest,
    request_id: str,
    at: datetime,
    serving: Serving,
    caps: FeedSettings | None = None,
) -> Ranking:
    """As `ranking.rank`, with the challenger alone: no tier answers in its place.

    Raises:
        Problem: 409, there is no challenger, or it gives scores that are not finite.
    """
    if loaded.challenger is None or loaded.snapshot is None:
        raise Problem(HTTPStatus.CONFLICT, "no challenger stands beside the champion now")
    asked = Asked.of(request, request_id, at, loaded.snapshot, serving, caps)
    scored = by_model("challenger", loaded.challenger, loaded.snapshot, asked)
    if not np.isfinite(scored.scores).all():
        raise Problem(HTTPStatus.CONFLICT, "the challenger gives scores that are not finite")
    return arrange(asked, scored, loaded.snapshot, serving)
