"""Logged rankings with all that could have been shown, as any policy that scores posts would see them."""

from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.evaluation.off_policy.weights import Matrix
from feed_platform.features.catalogue import feature_names
from feed_platform.features.parity import recomputed
from feed_platform.feed import Feed
from feed_platform.learning.scorers import Matrix as Features

REFERENCE_POSITION = 1
CANDIDATES = """
with shown as (
    select request_id, post_id, position, propensity, reward
    from raw.impressions left join rewards using (impression_id)
    where propensity_kind = 'conditional' and coalesce(policy, '') not in ('greedy', 'pinned')
        and shown_at >= $start and shown_at < $end
),
whole as (
    select request_id from shown left join serving.candidates using (request_id, post_id)
    group by request_id
    having count(rank) = count(*) and count(reward) = count(*) and count(shown.propensity) = count(*)
        and max(position) = count(*) and count(distinct position) = count(*) and min(position) = 1
        and count(distinct post_id) = count(*)
),
chosen as (
    select * from serving.requests semi join whole using (request_id)
    order by md5(request_id) limit $requests
)
select chosen.request_id, chosen.user_id, candidates.post_id, chosen.context, chosen.requested_at as at,
    coalesce(chosen.features_as_of,
        date_trunc('hour', chosen.requested_at - to_minutes(cast($delay as bigint)))) as as_of,
    coalesce(greatest(chosen.features_as_of - interval 1 microsecond, chosen.upserts_at), chosen.requested_at)
        as attributes_at,
    shown.position as place, shown.propensity, shown.reward
from chosen join serving.candidates using (request_id) left join shown using (request_id, post_id)
order by chosen.request_id, shown.position nulls last, candidates.post_id
"""


@dataclass(frozen=True)
class Slates:
    """n requests of up to c candidates, those that were shown first and in their order.

    Attributes:
        is_candidate: (n, c), false behind a request's last candidate.
        reward, propensity: of the first k candidates, (n, k): 0 and 1 where a request showed fewer. The
            propensities are conditional.
        is_shown: (n, k).
        unit: number of each request's user, (n,); a request without a user stands alone.
        features: float32 (candidates, features) of `is_candidate`, row by row, at position 1.
        names: of the features.
    """

    is_candidate: NDArray[np.bool_]
    reward: Matrix
    propensity: Matrix
    is_shown: NDArray[np.bool_]
    unit: NDArray[np.int64]
    features: Features
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.reward)

    def spread(self, value: NDArray[np.float64], missing: float) -> Matrix:
        """One value per candidate as a matrix of the requests, (n, c)."""
        matrix = np.full(self.is_candidate.shape, missing)
        matrix[self.is_candidate] = value
        return matrix


def read_slates(
    con: duckdb.DuckDBPyConnection,
    feed: Feed,
    rewards: pl.DataFrame,
    window: tuple[datetime, datetime],
    most: int,
) -> Slates | None:
    """A sample of the requests whose every shown post has a reward and a propensity, with their candidates.

    A request counts if its places are 1 to k without a gap and its candidates were kept. Features are
    computed from the raw rows as of the request, those of posts that weren't shown too.

    Args:
        con: the lake; a temporary view and tables `parity_*` are made in the connection.
        rewards: impression_id, reward.
        window: when the posts were shown.
        most: number of requests; which ones depends on their ids alone.

    Returns:
        None where there is no such request.
    """
    con.register("rewards", rewards.to_arrow())
    limits = {"start": window[0], "end": window[1], "requests": most, "delay": feed.feature_delay_minutes}
    rows = con.execute(CANDIDATES, limits).pl()
    con.unregister("rewards")
    if rows["place"].drop_nulls().is_empty():
        return None
    samples = rows.select(
        "user_id",
        "post_id",
        "as_of",
        "attributes_at",
        "at",
        pl.lit(REFERENCE_POSITION).alias("position"),
        "context",
    )
    return _slates(rows, recomputed(con, feed, samples), feature_names(feed))


def _slates(rows: pl.DataFrame, features: Features, names: tuple[str, ...]) -> Slates:
    request = rows["request_id"].rle_id().to_numpy().astype(np.int64)
    sizes = np.bincount(request)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    shown = rows["place"].is_not_null().to_numpy()
    shape = (len(sizes), int(place[shown].max()) + 1)

    def table(name: str, missing: float) -> Matrix:
        values = np.full(shape, missing)
        values[request[shown], place[shown]] = rows[name].to_numpy()[shown]
        return values

    first = rows.filter(pl.Series(place == 0))
    users = first.select(pl.coalesce("user_id", "request_id").rank("dense")).to_series()
    return Slates(
        is_candidate=np.arange(sizes.max()) < sizes[:, None],
        reward=table("reward", 0.0),
        propensity=table("propensity", 1.0),
        is_shown=table("place", 0.0) > 0,
        unit=users.to_numpy().astype(np.int64) - 1,
        features=features,
        names=names,
    )
